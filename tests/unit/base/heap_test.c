/* The heap of things that are due: always the earliest first, whatever is put in, moved and taken out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "belfry/base/heap.h"

#define MANY 500

static uint32_t dice(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Every node knows its place, and no child is due before its parent. */
static void check_heap(const struct heap *h)
{
    for (size_t i = 0; i < h->count; i++) {
        assert_int_equal(h->nodes[i]->index, i);
        if (i > 0)
            assert_true(h->nodes[(i - 1) / 2]->due_ms <= h->nodes[i]->due_ms);
    }
}

static void an_empty_heap_has_no_first(void **state)
{
    struct heap h;
    struct heap_node n;

    (void)state;
    heap_init(&h);
    heap_node_init(&n);
    assert_null(heap_first(&h));
    heap_remove(&h, &n);
    assert_int_equal(n.index, HEAP_NOT_IN);
    assert_int_equal(heap_set(&h, &n, 5), 0);
    assert_ptr_equal(heap_first(&h), &n);
    heap_remove(&h, &n);
    heap_remove(&h, &n);
    assert_null(heap_first(&h));
    assert_int_equal(n.index, HEAP_NOT_IN);
    heap_close(&h);
}

static void they_come_out_in_order(void **state)
{
    struct heap_node nodes[MANY];
    struct heap h;
    uint32_t seed = 1;
    int64_t last = INT64_MIN;
    size_t count = 0;

    (void)state;
    heap_init(&h);
    for (size_t i = 0; i < MANY; i++) {
        heap_node_init(&nodes[i]);
        assert_int_equal(heap_set(&h, &nodes[i], (int64_t)(dice(&seed) % 200) - 100), 0);
        check_heap(&h);
    }
    for (struct heap_node *n; (n = heap_first(&h)) != NULL; count++) {
        assert_true(n->due_ms >= last);
        last = n->due_ms;
        heap_remove(&h, n);
        check_heap(&h);
    }
    assert_int_equal(count, MANY);
    heap_close(&h);
}

/* Against the slow way: looking at all of them. */
static void moving_and_removing_keeps_the_order(void **state)
{
    struct heap_node nodes[64];
    struct heap h;
    uint32_t seed = 7;

    (void)state;
    heap_init(&h);
    for (size_t i = 0; i < 64; i++)
        heap_node_init(&nodes[i]);
    for (int round = 0; round < 20000; round++) {
        struct heap_node *n = &nodes[dice(&seed) % 64];
        int64_t earliest = INT64_MAX;
        size_t in = 0;

        if (dice(&seed) % 3 == 0)
            heap_remove(&h, n);
        else
            assert_int_equal(heap_set(&h, n, (int64_t)dice(&seed) % 1000), 0);
        for (size_t i = 0; i < 64; i++) {
            in += nodes[i].index != HEAP_NOT_IN;
            if (nodes[i].index != HEAP_NOT_IN && nodes[i].due_ms < earliest)
                earliest = nodes[i].due_ms;
        }
        assert_int_equal(h.count, in);
        check_heap(&h);
        if (in > 0)
            assert_true(heap_first(&h)->due_ms == earliest);
        else
            assert_null(heap_first(&h));
    }
    heap_close(&h);
}

static void the_ends_of_time_have_their_place(void **state)
{
    struct heap_node a, b, c;
    struct heap h;

    (void)state;
    heap_init(&h);
    heap_node_init(&a);
    heap_node_init(&b);
    heap_node_init(&c);
    assert_int_equal(heap_set(&h, &a, INT64_MAX), 0);
    assert_int_equal(heap_set(&h, &b, INT64_MIN), 0);
    assert_int_equal(heap_set(&h, &c, 0), 0);
    assert_ptr_equal(heap_first(&h), &b);
    assert_int_equal(heap_set(&h, &b, INT64_MAX), 0);
    assert_ptr_equal(heap_first(&h), &c);
    heap_close(&h);
    assert_null(heap_first(&h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_no_first),
        cmocka_unit_test(they_come_out_in_order),
        cmocka_unit_test(moving_and_removing_keeps_the_order),
        cmocka_unit_test(the_ends_of_time_have_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
