/* Time as it is written, ids, the heap of what is due, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/base/heap.h"
#include "belfry/base/id.h"
#include "belfry/base/json.h"
#include "belfry/base/time.h"

static void rfc3339(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = { { "1970-01-01T00:00:00Z", 0 }, { "2026-01-05T10:01:03.250Z", 1767607263250 }, { "2026-01-05t10:01:03z", 1767607263000 },
        { "2026-01-05 12:01:03+02:00", 1767607263000 }, { "2024-02-29T23:59:59.999999999-00:30", 1709252999999 },
        { "1969-12-31T23:59:59.500Z", -500 } };
    static const char *const bad[] = { "", "2026-01-05", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-05T24:00:00Z",
        "2026-01-05T10:01:03", "2026-01-05T10:01:03.Z", "2026-01-05T10:01:03Zx", "2026-01-05T10:61:03Z", "+2026-01-05T10:01:03Z" };
    char text[TIME_TEXT_SIZE];
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (time_parse(good[i].text, &ms) != 0 || ms != good[i].ms)
            fail_msg("%s is %lld", good[i].text, (long long)ms);
        time_format(ms, text);
        assert_int_equal(time_parse(text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (time_parse(bad[i], &ms) == 0)
            fail_msg("\"%s\" is taken for a time", bad[i]);
    }
    time_format(1767607263250, text);
    assert_string_equal(text, "2026-01-05T10:01:03.250Z");
    time_format_offset(1767607263000, 7200, text);
    assert_string_equal(text, "2026-01-05T12:01:03+02:00");
    time_format_offset(1767607263000, -12600, text);
    assert_string_equal(text, "2026-01-05T06:31:03-03:30");
}

static void days(void **state)
{
    (void)state;
    for (int64_t day = -800000; day < 800000; day += 37) {
        int64_t year;
        int month, of_month;

        time_civil_from_days(day, &year, &month, &of_month);
        assert_in_range(month, 1, 12);
        assert_in_range(of_month, 1, 31);
        assert_int_equal(time_days_from_civil(year, month, of_month), day);
    }
    assert_int_equal(time_days_from_civil(2000, 3, 1), 11017);
}

static void ids(void **state)
{
    char a[ID_SIZE], b[ID_SIZE], before[ID_SIZE] = "";

    (void)state;
    for (int i = 0; i < 5000; i++) {
        id_new(1767607263250, a);
        assert_true(id_is_uuid(a));
        assert_int_equal(a[14], '7');
        assert_true(strcmp(before, a) < 0);
        memcpy(before, a, sizeof a);
    }
    assert_int_equal(strncmp(a, "019b8dcb-", 4), 0);
    id_from_name("process", "nightly", a);
    id_from_name("process", "nightly", b);
    assert_string_equal(a, b);
    id_from_name("workspace", "nightly", b);
    assert_string_not_equal(a, b);
    assert_true(id_is_uuid(a));
    assert_false(id_is_uuid("019b8dcb"));
    assert_false(id_is_uuid("019b8dcb-0000-7000-8000-00000000000g"));
    assert_false(id_is_uuid("019b8dcb-0000-7000-8000-0000000000000"));
}

static void heap(void **state)
{
    enum { COUNT = 500 };
    struct heap_node nodes[COUNT];
    struct heap h;
    int64_t last = INT64_MIN;
    size_t seen = 0;

    (void)state;
    heap_init(&h);
    srand(7);
    for (size_t i = 0; i < COUNT; i++) {
        heap_node_init(&nodes[i]);
        assert_int_equal(heap_set(&h, &nodes[i], rand() % 1000), 0);
    }
    for (size_t i = 0; i < COUNT; i += 3)
        assert_int_equal(heap_set(&h, &nodes[i], rand() % 1000), 0);
    for (size_t i = 0; i < COUNT; i += 5)
        heap_remove(&h, &nodes[i]);
    heap_remove(&h, &nodes[0]);
    for (struct heap_node *n; (n = heap_first(&h)) != NULL; seen++) {
        assert_true(n->due_ms >= last);
        last = n->due_ms;
        heap_remove(&h, n);
        assert_true(n->index == HEAP_NOT_IN);
    }
    assert_int_equal(seen, COUNT - COUNT / 5);
    heap_close(&h);
}

static void json(void **state)
{
    static const char *const bad[] = { "", "{", "[1,]", "{\"a\":1,\"a\":2}", "01", "\"\xff\"", "1 2", "nul", "'a'" };
    static const char good[] = "{\"b\": [1, 2.0, \"x\"], \"a\": true}";
    char deep[300];
    struct error err;
    json_t *value;
    char *text;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (json_parse(bad[i], strlen(bad[i]), &err) != NULL)
            fail_msg("\"%s\" is taken for JSON", bad[i]);
        assert_int_equal(err.code, BF_EINVAL);
    }
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    assert_null(json_parse(deep, 200, &err));
    value = json_parse(good, strlen(good), &err);
    assert_non_null(value);
    text = json_text_sorted(value);
    assert_string_equal(text, "{\"a\":true,\"b\":[1,2.0,\"x\"]}");
    free(text);
    assert_true(json_flag(value, "a", false));
    assert_int_equal(json_int(value, "nothing", 7), 7);
    assert_int_equal(json_put(value, "bytes", "\xff"), 0);
    assert_string_equal(json_str(value, "bytes"), "\\xFF");
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3339), cmocka_unit_test(days), cmocka_unit_test(ids), cmocka_unit_test(heap), cmocka_unit_test(json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
