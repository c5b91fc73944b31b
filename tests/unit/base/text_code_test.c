/* Hex and base64, there and back, and what is no such thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"
#include "belfry/base/text.h"

static void every_byte_has_its_hex(void **state)
{
    unsigned char bytes[256], back[256];
    char hex[513];
    size_t len = sizeof back;

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    text_hex(bytes, sizeof bytes, hex);
    assert_int_equal(strlen(hex), 512);
    assert_int_equal(strncmp(hex, "000102030405060708090a0b0c0d0e0f10", 34), 0);
    assert_string_equal(hex + 508, "feff");
    assert_int_equal(text_unhex(hex, 512, back, &len), 0);
    assert_int_equal(len, 256);
    assert_memory_equal(back, bytes, 256);
    text_hex(bytes, 0, hex);
    assert_string_equal(hex, "");
}

static void hex_is_taken_in_either_case_and_nothing_else(void **state)
{
    static const char *const bad[] = { "0", "0g", "g0", " 0", "0x", "@0", "`0", "G0", "[0", "0\xC3", "-1", "1:", "/0" };
    unsigned char out[4];
    size_t len = sizeof out;

    (void)state;
    assert_int_equal(text_unhex("DeadBeeF", 8, out, &len), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(out, "\xDE\xAD\xBE\xEF", 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        len = sizeof out;
        if (text_unhex(bad[i], strlen(bad[i]), out, &len) != BF_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    }
    len = 3;
    assert_int_equal(text_unhex("DeadBeeF", 8, out, &len), BF_EINVAL);
    len = 0;
    assert_int_equal(text_unhex("", 0, out, &len), 0);
    assert_int_equal(len, 0);
}

/* RFC 4648 §10 */
static void base64_as_the_standard_has_it(void **state)
{
    static const struct {
        const char *plain, *coded;
    } cases[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xFB\xFF\xBF", "+/+/" } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        unsigned char out[16];
        size_t len = strlen(cases[i].plain);

        text_base64(cases[i].plain, strlen(cases[i].plain), &b);
        assert_string_equal(buf_str(&b), cases[i].coded);
        assert_int_equal(text_unbase64(cases[i].coded, strlen(cases[i].coded), out, &len), 0);
        assert_int_equal(len, strlen(cases[i].plain));
        assert_memory_equal(out, cases[i].plain, len);
        buf_close(&b);
    }
}

static void base64_goes_there_and_back_at_every_length(void **state)
{
    unsigned char *bytes, *back;

    (void)state;
    for (size_t n = 0; n < 300; n++) {
        struct buf b = { 0 };
        size_t len = n;

        /* Exact sizes on the heap: a byte too far is seen by the address sanitizer. */
        bytes = malloc(n + (n == 0));
        back = malloc(n + (n == 0));
        assert_non_null(bytes);
        assert_non_null(back);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (unsigned char)(i * 151 + n * 7);
        text_base64(bytes, n, &b);
        assert_int_equal(b.len, (n + 2) / 3 * 4);
        assert_int_equal(text_unbase64(buf_str(&b), b.len, back, &len), 0);
        assert_int_equal(len, n);
        assert_int_equal(memcmp(back, bytes, n), 0);
        if (n > 0) {
            len = n - 1;
            assert_int_equal(text_unbase64(buf_str(&b), b.len, back, &len), BF_EINVAL);
        }
        free(bytes);
        free(back);
        buf_close(&b);
    }
}

/* One value has one spelling. */
static void base64_is_strict(void **state)
{
    static const char *const bad[] = { "Zg", "Zg=", "Zg===", "Zm8", "Zh==", "Zm9=", "Z===", "====", "=", "Z=g=", "=Zg=", "Zm9v\n",
        "Zm 9", "Zm-_", "Zm9v====", "Zm9vZg", "Zg==Zg==", "\xC3\xBCZZ", "Z\x01ZZ" };
    unsigned char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t len = sizeof out;

        if (text_unbase64(bad[i], strlen(bad[i]), out, &len) != BF_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    }
    {
        size_t len = sizeof out;

        assert_int_equal(text_unbase64("Zm\0v", 4, out, &len), BF_EINVAL);
    }
}

static void escapes_are_undone_once(void **state)
{
    static const struct {
        const char *from, *to;   /* NULL: it is none */
    } cases[] = { { "", "" }, { "plain+text", "plain+text" }, { "a%2Fb", "a/b" }, { "a%252fb", "a%2fb" }, { "%25", "%" }, { "%C3%a4", "\xC3\xA4" },
        { "%", NULL }, { "a%2", NULL }, { "%0g", NULL }, { "%%41", NULL }, { "a%00b", NULL } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };

        assert_int_equal(text_unescape(cases[i].from, strlen(cases[i].from), &b), cases[i].to != NULL ? 0 : BF_EINVAL);
        if (cases[i].to != NULL)
            assert_string_equal(buf_str(&b), cases[i].to);
        buf_close(&b);
    }
    {
        struct buf b = { 0 };

        assert_int_equal(text_unescape("a%41", 3, &b), BF_EINVAL);   /* nothing behind its end is looked at */
        buf_close(&b);
    }
}

static void bytes_are_equal_or_not(void **state)
{
    (void)state;
    assert_true(text_equal_constant_time("same\0a", "same\0a", 6));
    assert_false(text_equal_constant_time("same\0a", "same\0b", 6));
    assert_false(text_equal_constant_time("Xame", "same", 4));
    assert_true(text_equal_constant_time("a", "b", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_has_its_hex),
        cmocka_unit_test(hex_is_taken_in_either_case_and_nothing_else),
        cmocka_unit_test(base64_as_the_standard_has_it),
        cmocka_unit_test(base64_goes_there_and_back_at_every_length),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(escapes_are_undone_once),
        cmocka_unit_test(bytes_are_equal_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
