/* Units, nearest words, encodings, what may be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/base/buf.h"
#include "belfry/base/text.h"

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = { { "0", 0 }, { "500ms", 500 }, { "90s", 90000 }, { "5m", 300000 }, { "2h", 7200000 }, { "1d", 86400000 },
        { "1h30m", 5400000 }, { "1d2h3m4s5ms", 93784005 } };
    static const char *const bad[] = { "", "5", "s", "5x", "-5s", "5 s ", "1.5h", "5 minutes", "99999999999999999d", "5s5" };
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char back[32];

        assert_int_equal(text_duration_ms(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
        text_from_duration(ms, back);
        assert_int_equal(text_duration_ms(back, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (text_duration_ms(bad[i], &ms) == 0)
            fail_msg("\"%s\" is taken as %lld ms", bad[i], (long long)ms);
    }
}

static void sizes_and_numbers(void **state)
{
    int64_t n;
    bool yes;

    (void)state;
    assert_int_equal(text_size("64k", &n), 0);
    assert_int_equal(n, 65536);
    assert_int_equal(text_size("1G", &n), 0);
    assert_int_equal(n, 1 << 30);
    assert_int_equal(text_size("10", &n), 0);
    assert_int_equal(n, 10);
    assert_int_not_equal(text_size("10 M", &n), 0);
    assert_int_not_equal(text_size("99999999999G", &n), 0);
    assert_int_not_equal(text_size("-1", &n), 0);
    assert_int_equal(text_int("-12", -20, 0, &n), 0);
    assert_int_equal(n, -12);
    assert_int_not_equal(text_int("21", -20, 20, &n), 0);
    assert_int_not_equal(text_int("0x10", 0, 100, &n), 0);
    assert_int_not_equal(text_int(" 1", 0, 100, &n), 0);
    assert_int_not_equal(text_int("", 0, 100, &n), 0);
    assert_int_not_equal(text_int("9223372036854775808", 0, INT64_MAX, &n), 0);
    assert_int_equal(text_bool("yes", &yes), 0);
    assert_true(yes);
    assert_int_equal(text_bool("no", &yes), 0);
    assert_false(yes);
    assert_int_not_equal(text_bool("true", &yes), 0);
}

static void nearest(void **state)
{
    static const char *const words[] = { "process", "schedule", "webhook", "watch", NULL };

    (void)state;
    assert_string_equal(text_nearest("proces", words), "process");
    assert_string_equal(text_nearest("webhok", words), "webhook");
    assert_string_equal(text_nearest("wacth", words), "watch");
    assert_null(text_nearest("calendar", words));
    assert_null(text_nearest("", words));
}

static void encodings(void **state)
{
    static const unsigned char bytes[] = { 0, 1, 0xfe, 0xff, 'a' };
    struct buf b = { 0 };
    char hex[11];
    unsigned char back[16];
    size_t len = sizeof back;

    (void)state;
    text_hex(bytes, 5, hex);
    assert_string_equal(hex, "0001feff61");
    assert_int_equal(text_unhex("0001FEff61", 10, back, &len), 0);
    assert_int_equal(len, 5);
    assert_memory_equal(back, bytes, 5);
    len = sizeof back;
    assert_int_not_equal(text_unhex("0", 1, back, &len), 0);
    len = sizeof back;
    assert_int_not_equal(text_unhex("0g", 2, back, &len), 0);
    len = 1;
    assert_int_not_equal(text_unhex("0001", 4, back, &len), 0);
    for (size_t n = 0; n <= 5; n++) {
        buf_reset(&b);
        text_base64(bytes, n, &b);
        len = sizeof back;
        assert_int_equal(text_unbase64(buf_str(&b), b.len, back, &len), 0);
        assert_int_equal(len, n);
        assert_memory_equal(back, bytes, n);
    }
    for (size_t i = 0; i < 5; i++) {
        static const char *const bad[] = { "QQ", "QQ=", "Q===", "QQ==QQ==", "Q Q=" };

        len = sizeof back;
        if (text_unbase64(bad[i], strlen(bad[i]), back, &len) == 0)
            fail_msg("\"%s\" is taken for base64", bad[i]);
    }
    buf_close(&b);
}

static void utf8(void **state)
{
    static const char *const good[] = { "", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf" };
    static const char *const bad[] = { "\xc3", "\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\xe2\x82" };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
    assert_false(text_is_utf8("a\0b", 3));
}

static void printable(void **state)
{
    struct buf b = { 0 };

    (void)state;
    text_printable("a\x1b[31m\n\xff\xc3\xa4\x7f\xc2\x9b", 13, &b);
    assert_null(strchr(buf_str(&b), '\x1b'));
    assert_null(strchr(buf_str(&b), '\n'));
    assert_null(strstr(buf_str(&b), "\xc2\x9b"));
    assert_non_null(strstr(buf_str(&b), "\\x1B"));
    assert_non_null(strstr(buf_str(&b), "\\xFF"));
    assert_non_null(strstr(buf_str(&b), "\xc3\xa4"));
    assert_true(text_is_utf8(buf_str(&b), b.len));
    buf_close(&b);
}

static void globs(void **state)
{
    (void)state;
    assert_true(text_glob("*.csv", "a.csv"));
    assert_false(text_glob("*.csv", "a.csv.tmp"));
    assert_true(text_glob("in-??.[ab]*", "in-01.abc"));
    assert_false(text_glob("in-??.[!ab]*", "in-01.abc"));
    assert_true(text_equal_constant_time("abc", "abc", 3));
    assert_false(text_equal_constant_time("abc", "abd", 3));
}

static void buffers(void **state)
{
    struct buf b = { 0 };
    char *taken;

    (void)state;
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_addf(&b, "%d,", i);
    assert_int_equal(b.len, strlen(buf_str(&b)));
    assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    taken = buf_take(&b);
    assert_int_equal(strncmp(taken, "0,1,2,", 6), 0);
    assert_int_equal(b.len, 0);
    free(taken);
    assert_int_not_equal(buf_reserve(&b, SIZE_MAX), 0);
    buf_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations), cmocka_unit_test(sizes_and_numbers), cmocka_unit_test(nearest),
        cmocka_unit_test(encodings), cmocka_unit_test(utf8), cmocka_unit_test(printable), cmocka_unit_test(globs),
        cmocka_unit_test(buffers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
