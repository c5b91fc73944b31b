/* When a file is finished: every rule with a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/triggers/settle.h"

#define SETTLE_MS 2000

static const struct sighting one = { .size = 10, .mtime_ns = 1000, .inode = 7, .device = 1 };

struct look {
    struct settling settling;
    int64_t wait_ms;
};

static enum settle_verdict look(struct look *l, struct sighting s, int64_t mono_ms, bool closed)
{
    return settle_look(&l->settling, &s, mono_ms, SETTLE_MS, closed, false, false, &l->wait_ms);
}

static void keeps_still(void **state)
{
    struct look l = { 0 };

    (void)state;
    assert_int_equal(look(&l, one, 5000, false), SETTLE_WAIT);
    assert_int_equal(l.wait_ms, SETTLE_MS);
    assert_int_equal(look(&l, one, 6999, false), SETTLE_WAIT);
    assert_int_equal(l.wait_ms, 1);
    assert_int_equal(look(&l, one, 7000, false), SETTLE_READY);
    assert_false(l.settling.closed);   /* nobody saw it closed: the caller has to find out */
}

/* Each thing that tells versions apart begins the wait anew. */
static void any_change_begins_anew(void **state)
{
    const struct sighting changed[] = {
        { .size = 11, .mtime_ns = 1000, .inode = 7, .device = 1 },
        { .size = 10, .mtime_ns = 1001, .inode = 7, .device = 1 },
        { .size = 10, .mtime_ns = 1000, .inode = 8, .device = 1 },
        { .size = 10, .mtime_ns = 1000, .inode = 7, .device = 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        struct look l = { 0 };

        look(&l, one, 5000, true);
        assert_true(l.settling.closed);
        assert_int_equal(look(&l, changed[i], 6900, false), SETTLE_WAIT);
        assert_int_equal(l.wait_ms, SETTLE_MS);
        assert_false(l.settling.closed);
        assert_int_equal(look(&l, changed[i], 7000, false), SETTLE_WAIT);
        assert_int_equal(look(&l, changed[i], 8900, false), SETTLE_READY);
    }
}

static void a_close_begins_the_wait(void **state)
{
    struct look l = { 0 };

    (void)state;
    look(&l, one, 5000, false);
    assert_int_equal(look(&l, one, 6500, true), SETTLE_WAIT);
    assert_int_equal(l.wait_ms, SETTLE_MS);
    assert_int_equal(look(&l, one, 7000, false), SETTLE_WAIT);
    assert_int_equal(look(&l, one, 8500, false), SETTLE_READY);
    assert_true(l.settling.closed);
}

static void no_settle_time(void **state)
{
    struct settling s = { 0 };
    int64_t wait_ms = -1;

    (void)state;
    assert_int_equal(settle_look(&s, &one, 5000, 0, true, false, false, &wait_ms), SETTLE_READY);
    assert_int_equal(wait_ms, 0);
}

static void only_the_marker_decides(void **state)
{
    struct settling s = { 0 };
    int64_t wait_ms;

    (void)state;
    assert_int_equal(settle_look(&s, &one, 5000, SETTLE_MS, true, true, false, &wait_ms), SETTLE_WAIT);
    assert_int_equal(wait_ms, INT64_MAX);
    assert_int_equal(settle_look(&s, &one, 500000, SETTLE_MS, false, true, false, &wait_ms), SETTLE_WAIT);
    assert_int_equal(wait_ms, INT64_MAX);
    assert_int_equal(settle_look(&s, &one, 500000, SETTLE_MS, false, true, true, &wait_ms), SETTLE_READY);
    assert_int_equal(wait_ms, 0);
}

static void an_empty_file_of_the_first_second(void **state)
{
    const struct sighting nothing = { 0 };   /* looks like what nobody has seen yet */
    struct look l = { 0 };

    (void)state;
    assert_int_equal(look(&l, nothing, 500, true), SETTLE_WAIT);
    assert_int_equal(look(&l, nothing, 2499, false), SETTLE_WAIT);
    assert_int_equal(look(&l, nothing, 2500, false), SETTLE_READY);
}

static void identities(void **state)
{
    const struct sighting big = { .size = INT64_MAX, .mtime_ns = INT64_MIN, .inode = UINT64_MAX, .device = UINT64_MAX };
    char text[128];

    (void)state;
    settle_identity(&one, NULL, text);
    assert_string_equal(text, "10-1000-7-1");
    settle_identity(&big, NULL, text);
    assert_string_equal(text, "9223372036854775807--9223372036854775808-18446744073709551615-18446744073709551615");
    settle_identity(&one, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", text);
    assert_string_equal(text, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_still),
        cmocka_unit_test(any_change_begins_anew),
        cmocka_unit_test(a_close_begins_the_wait),
        cmocka_unit_test(no_settle_time),
        cmocka_unit_test(only_the_marker_decides),
        cmocka_unit_test(an_empty_file_of_the_first_second),
        cmocka_unit_test(identities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
