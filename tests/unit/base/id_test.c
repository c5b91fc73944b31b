/* Identifiers: they rise, they are of their kind, and those of a name stay the same for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "belfry/base/id.h"

static int64_t time_of(const char *id)
{
    unsigned long long high = 0;
    unsigned low = 0;

    assert_int_equal(sscanf(id, "%8llx-%4x", &high, &low), 2);
    return (int64_t)(high << 16 | low);
}

static void made_ids_are_uuids_of_version_7(void **state)
{
    static const uint8_t ones[10] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    static const uint8_t none[10] = { 0 };
    char id[ID_SIZE];

    (void)state;
    id_make(INT64_C(0x0123456789AB), none, id);
    assert_string_equal(id, "01234567-89ab-7000-8000-000000000000");
    id_make(INT64_C(0x0123456789AB), ones, id);
    assert_string_equal(id, "01234567-89ab-7fff-bfff-ffffffffffff");
    assert_true(id_is_uuid(id));
}

/* More in one millisecond than its counter holds, a clock that is set back, and one that goes on. */
static void new_ids_rise_whatever_the_clock_does(void **state)
{
    const int64_t start = INT64_C(1767225600000);
    char last[ID_SIZE] = "", id[ID_SIZE];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        int64_t now = i < 10000 ? start : i < 15000 ? start - 3600000 : start + 100000 + i;

        id_new(now, id);
        assert_true(id_is_uuid(id));
        assert_int_equal(id[14], '7');
        assert_non_null(strchr("89ab", id[19]));
        assert_true(strcmp(id, last) > 0);
        memcpy(last, id, sizeof last);
    }
    assert_true(time_of(id) == start + 100000 + 19999);
}

static void a_new_id_tells_its_time(void **state)
{
    const int64_t at = INT64_C(4102444800000);   /* after all other times of this program */
    char id[ID_SIZE];

    (void)state;
    id_new(at, id);
    assert_true(time_of(id) == at);
}

static void ids_of_names_are_stable(void **state)
{
    char one[ID_SIZE], two[ID_SIZE];

    (void)state;
    id_from_name("process", "nightly", one);
    id_from_name("process", "nightly", two);
    assert_string_equal(one, two);
    assert_true(id_is_uuid(one));
    assert_int_equal(one[14], '8');
    assert_non_null(strchr("89ab", one[19]));
    id_from_name("workspace", "nightly", two);
    assert_string_not_equal(one, two);
    id_from_name("process", "nightly2", two);
    assert_string_not_equal(one, two);
    /* Kind and name do not flow into each other. */
    id_from_name("ab", "c", one);
    id_from_name("a", "bc", two);
    assert_string_not_equal(one, two);
    /* Over versions too: keys and clients hold on to these. */
    id_from_name("workspace", "main", one);
    assert_string_equal(one, "319a89ae-30d5-8086-ab61-109e6e601247");
}

static void what_is_a_uuid(void **state)
{
    static const char *const good[] = { "01234567-89ab-cdef-0123-456789abcdef", "01234567-89AB-CDEF-0123-456789ABCDEF" };
    static const char *const bad[] = { "", "0", "01234567-89ab-cdef-0123-456789abcde", "01234567-89ab-cdef-0123-456789abcdef0",
        "01234567089ab-cdef-0123-456789abcdef", "0123456-789ab-cdef-0123-456789abcdef", "g1234567-89ab-cdef-0123-456789abcdef",
        "{1234567-89ab-cdef-0123-456789abcde}", "01234567-89ab-cdef-0123 456789abcdef", "01234567_89ab_cdef_0123_456789abcdef" };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(id_is_uuid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(id_is_uuid(bad[i]));
}

static void random_bytes_are_filled_to_the_end(void **state)
{
    unsigned char bytes[300];
    unsigned seen[300] = { 0 };

    (void)state;
    /* A byte that stays 0 sixteen times over was not written. */
    for (int round = 0; round < 16; round++) {
        memset(bytes, 0, sizeof bytes);
        id_random(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_not_equal(seen[i], 0);
    id_random(bytes, 0);
}

static void the_boot_has_one_id(void **state)
{
    const char *boot = id_boot();

    (void)state;
    assert_non_null(boot);
    assert_true(boot[0] == '\0' || id_is_uuid(boot));
    assert_string_equal(boot, id_boot());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_ids_are_uuids_of_version_7),
        cmocka_unit_test(new_ids_rise_whatever_the_clock_does),
        cmocka_unit_test(a_new_id_tells_its_time),
        cmocka_unit_test(ids_of_names_are_stable),
        cmocka_unit_test(what_is_a_uuid),
        cmocka_unit_test(random_bytes_are_filled_to_the_end),
        cmocka_unit_test(the_boot_has_one_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
