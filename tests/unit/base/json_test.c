/* JSON from outside: what is refused, what is read out of it, and how it is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/json.h"

static json_t *parsed(const char *text)
{
    struct error err = { 0 };
    json_t *value = json_parse(text, strlen(text), &err);

    if (value == NULL)
        fail_msg("%s: %s", text, err.text);
    return value;
}

static void any_one_value_is_taken(void **state)
{
    static const char *const good[] = { "{}", "[]", "1", "-0.5", "\"x\"", "true", "null", " {\"a\": [1, 2]}\n" };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        json_decref(parsed(good[i]));
}

static void what_is_not_one_value_is_refused_with_its_line(void **state)
{
    static const char *const bad[] = { "", " ", "{", "{\"a\":1,}", "[1 2]", "nul", "{'a':1}", "1 2", "{} {}", "\"\xFF\"", "\"\x01\"",
        "{\"a\":1,\"a\":2}", "{\"x\":{\"a\":1,\"a\":2}}", "NaN", "01", "\"\\ud800\"" };
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(&err, 0, sizeof err);
        if (json_parse(bad[i], strlen(bad[i]), &err) != NULL)
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(err.code, BF_EINVAL);
        assert_non_null(strstr(err.text, "line 1"));
    }
    assert_null(json_parse("{\n\n\"a\": !}", 9, &err));
    assert_non_null(strstr(err.text, "line 3"));
    assert_null(json_parse("{}", 2 - 1, &err));
    assert_null(json_parse("{\"a\x1B[31m\": 1}", 13, &err));
    assert_null(strchr(err.text, 0x1B));
}

static void nesting_has_a_limit(void **state)
{
    struct buf text = { 0 };
    struct error err;
    json_t *value;

    (void)state;
    for (int i = 0; i < JSON_DEPTH; i++)
        buf_addc(&text, '[');
    for (int i = 0; i < JSON_DEPTH; i++)
        buf_addc(&text, ']');
    value = json_parse(text.data, text.len, &err);
    assert_non_null(value);
    json_decref(value);
    /* Once it is in, it is read back whatever it is wrapped in. */
    buf_reset(&text);
    for (int i = 0; i < 2 * JSON_DEPTH; i++)
        buf_addc(&text, '[');
    for (int i = 0; i < 2 * JSON_DEPTH; i++)
        buf_addc(&text, ']');
    assert_null(json_parse(text.data, text.len, &err));
    value = json_stored(text.data);
    assert_non_null(value);
    json_decref(value);
    assert_null(json_stored(NULL));
    buf_reset(&text);
    for (int i = 0; i < 100000; i++)
        buf_addc(&text, '[');
    assert_null(json_parse(text.data, text.len, &err));
    assert_non_null(strstr(err.text, "deeper than 64"));
    buf_reset(&text);
    /* Brackets within a string are no nesting, whatever stands before them. */
    buf_adds(&text, "[\"\\\"\\\\");
    for (int i = 0; i < 100; i++)
        buf_adds(&text, "[{");
    buf_adds(&text, "\"]");
    value = json_parse(text.data, text.len, &err);
    assert_non_null(value);
    json_decref(value);
    buf_close(&text);
}

static void members_are_read_by_their_type(void **state)
{
    json_t *object = parsed("{\"s\":\"x\",\"i\":-7,\"whole\":12.0,\"part\":1.5,\"big\":1e300,\"t\":true,\"f\":false,\"n\":null}");

    (void)state;
    assert_string_equal(json_str(object, "s"), "x");
    assert_null(json_str(object, "i"));
    assert_null(json_str(object, "n"));
    assert_null(json_str(object, "absent"));
    assert_int_equal(json_int(object, "i", 3), -7);
    assert_int_equal(json_int(object, "whole", 3), 12);
    assert_int_equal(json_int(object, "part", 3), 3);
    assert_int_equal(json_int(object, "big", 3), 3);
    assert_int_equal(json_int(object, "s", 3), 3);
    assert_int_equal(json_int(object, "absent", 3), 3);
    assert_true(json_flag(object, "t", false));
    assert_false(json_flag(object, "f", true));
    assert_true(json_flag(object, "s", true));
    assert_false(json_flag(object, "absent", false));
    assert_null(json_str(NULL, "s"));
    assert_int_equal(json_int(NULL, "s", 3), 3);
    json_decref(object);
}

static void it_is_written_compact(void **state)
{
    static const char text[] = "{\"b\":[1,2.5,null],\"a\":{\"z\":true,\"y\":\"Gr\xC3\xBC\xC3\x9F""e\"}}";
    json_t *value = parsed(text), *again = parsed("{ \"a\": {\"y\": \"Gr\\u00fc\\u00dfe\", \"z\": true}, \"b\": [1, 2.5, null] }");
    char *plain = json_text(value), *sorted = json_text_sorted(value), *other = json_text_sorted(again);

    (void)state;
    assert_string_equal(plain, text);
    assert_string_equal(sorted, other);
    assert_string_equal(sorted, "{\"a\":{\"y\":\"Gr\xC3\xBC\xC3\x9F""e\",\"z\":true},\"b\":[1,2.5,null]}");
    free(plain);
    free(sorted);
    free(other);
    json_decref(value);
    json_decref(again);
    plain = json_text(NULL);
    assert_string_equal(plain, "null");
    free(plain);
    value = json_string("x");
    plain = json_text(value);
    assert_string_equal(plain, "\"x\"");
    free(plain);
    json_decref(value);
}

static void members_are_put_and_replaced(void **state)
{
    json_t *object = json_object();
    char *text;

    (void)state;
    assert_int_equal(json_put(object, "a", "one"), 0);
    assert_int_equal(json_put(object, "a", "two"), 0);
    assert_int_equal(json_put(object, "none", NULL), 0);
    assert_int_equal(json_put(object, "bytes", "x\xFFy"), 0);
    assert_int_equal(json_put_int(object, "n", INT64_MIN), 0);
    assert_int_equal(json_put_time(object, "never", 0), 0);
    assert_int_equal(json_put_time(object, "at", 1767607263000), 0);
    text = json_text_sorted(object);
    assert_string_equal(text, "{\"a\":\"two\",\"at\":\"2026-01-05T10:01:03.000Z\",\"bytes\":\"x\\\\xFFy\","
                        "\"n\":-9223372036854775808,\"none\":null}");
    free(text);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_value_is_taken),
        cmocka_unit_test(what_is_not_one_value_is_refused_with_its_line),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(members_are_read_by_their_type),
        cmocka_unit_test(it_is_written_compact),
        cmocka_unit_test(members_are_put_and_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
