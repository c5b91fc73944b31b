/* A binary min-heap of embedded nodes. */
#include "belfry/base/heap.h"

#include <stdlib.h>

#include "belfry/base/error.h"

void heap_init(struct heap *h)
{
    *h = (struct heap) { 0 };
}

void heap_close(struct heap *h)
{
    free(h->nodes);
    heap_init(h);
}

void heap_node_init(struct heap_node *n)
{
    n->due_ms = 0;
    n->index = HEAP_NOT_IN;
}

static void put(struct heap *h, size_t i, struct heap_node *n)
{
    h->nodes[i] = n;
    n->index = i;
}

static void up(struct heap *h, struct heap_node *n)
{
    size_t i = n->index;

    while (i > 0 && h->nodes[(i - 1) / 2]->due_ms > n->due_ms) {
        put(h, i, h->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, n);
}

static void down(struct heap *h, struct heap_node *n)
{
    size_t i = n->index;
    size_t child;

    while ((child = 2 * i + 1) < h->count) {
        if (child + 1 < h->count && h->nodes[child + 1]->due_ms < h->nodes[child]->due_ms)
            child++;
        if (h->nodes[child]->due_ms >= n->due_ms)
            break;
        put(h, i, h->nodes[child]);
        i = child;
    }
    put(h, i, n);
}

static int grow(struct heap *h)
{
    size_t cap = h->cap == 0 ? 16 : h->cap * 2;
    struct heap_node **nodes;

    if (h->count < h->cap)
        return 0;
    nodes = reallocarray(h->nodes, cap, sizeof(struct heap_node *));
    if (nodes == NULL)
        return BF_ENOMEM;
    h->nodes = nodes;
    h->cap = cap;
    return 0;
}

int heap_set(struct heap *h, struct heap_node *n, int64_t due_ms)
{
    if (n->index == HEAP_NOT_IN) {
        if (grow(h) != 0)
            return BF_ENOMEM;
        n->index = h->count++;
    }
    n->due_ms = due_ms;
    put(h, n->index, n);
    up(h, n);
    down(h, n);
    return 0;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    size_t hole = n->index;
    struct heap_node *last;

    if (hole == HEAP_NOT_IN)
        return;
    n->index = HEAP_NOT_IN;
    last = h->nodes[--h->count];
    if (last == n)
        return;
    put(h, hole, last);
    up(h, last);
    down(h, last);
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->count > 0 ? h->nodes[0] : NULL;
}
