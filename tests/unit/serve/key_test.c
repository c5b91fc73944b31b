/* What a key looks like, and what permissions are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "belfry/serve/keyring.h"

static void a_key_knows_itself(void **state)
{
    char value[KEY_VALUE_LEN + 1], other[KEY_VALUE_LEN + 1], longer[KEY_VALUE_LEN + 2] = "";

    (void)state;
    key_value_make(value);
    key_value_make(other);
    assert_string_not_equal(value, other);
    assert_int_equal(strlen(value), KEY_VALUE_LEN);
    assert_memory_equal(value, "belfry_", 7);
    assert_true(key_value_is_sound(value));
    for (size_t i = 0; i < KEY_VALUE_LEN; i++) {
        char kept = value[i];

        value[i] = kept == 'x' ? 'y' : 'x';
        assert_false(key_value_is_sound(value));
        value[i] = '\0';
        assert_false(key_value_is_sound(value));
        value[i] = kept;
    }
    assert_true(key_value_is_sound(value));
    assert_false(key_value_is_sound(""));
    memcpy(longer, value, KEY_VALUE_LEN);
    longer[KEY_VALUE_LEN] = 'x';
    assert_false(key_value_is_sound(longer));
}

static void each_digit_is_as_likely(void **state)
{
    unsigned counts[128] = { 0 };
    char value[KEY_VALUE_LEN + 1];
    double square = 0, expected = 4000.0 * 32 / 62;

    (void)state;
    for (int n = 0; n < 4000; n++) {
        key_value_make(value);
        for (size_t i = 7; i < 39; i++)
            counts[(unsigned char)value[i]]++;
    }
    for (size_t i = 0; i < 128; i++) {
        double off = (double)counts[i] - expected;

        if (counts[i] > 0)
            square += off * off / expected;
    }
    assert_true(square < 150);   /* chi-square with 61 degrees: exceeded once in a thousand million times */
}

static void permissions(void **state)
{
    static const struct {
        const char *text;
        uint32_t set;
    } good[] = {
        { "", 0 }, { " , ", 0 }, { "Processes.read_runs", 1u << MAY_READ_RUNS }, { "read_runs", 1u << MAY_READ_RUNS },
        { "read_runs,trigger_processes", 1u << MAY_READ_RUNS | 1u << MAY_TRIGGER_PROCESSES },
        { "Assets.read_asset_storage_assets\tread_runs read_runs", 1u << MAY_READ_ASSETS | 1u << MAY_READ_RUNS },
        { "all", PERMISSIONS_ALL },
    };
    static const char *const bad[] = { "read", "Processes.", "Processes", "processes.read_runs", "Tasks.read_runs", ".read_runs", "*",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    struct buf text = { 0 };
    struct error err;
    uint32_t set;
    json_t *list;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(permissions_parse(good[i].text, &set, &err), 0);
        assert_int_equal(set, good[i].set);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(permissions_parse(bad[i], &set, &err), BF_EINVAL);
    for (uint32_t i = 0; i < PERMISSIONS; i++) {
        buf_reset(&text);
        permissions_text(1u << i, &text);
        assert_string_equal(buf_str(&text), permission_name((enum permission)i));
        assert_int_equal(permissions_parse(buf_str(&text), &set, &err), 0);
        assert_int_equal(set, 1u << i);
    }
    buf_reset(&text);
    permissions_text(PERMISSIONS_ALL, &text);
    assert_int_equal(permissions_parse(buf_str(&text), &set, &err), 0);
    assert_int_equal(set, PERMISSIONS_ALL);
    list = permissions_json(PERMISSIONS_ALL);
    assert_int_equal(json_array_size(list), PERMISSIONS);
    json_decref(list);
    buf_close(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_knows_itself),
        cmocka_unit_test(each_digit_is_as_likely),
        cmocka_unit_test(permissions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
