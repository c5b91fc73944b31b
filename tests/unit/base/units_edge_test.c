/* Units, numbers and times at their edges: overflow, cuts, every day of eight hundred years, whatever bytes come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"

static void durations_reach_to_the_end(void **state)
{
    static const char *const bad[] = { " ", "1", "+1s", " 1s", "1s ", "1S", "1w", "ms", "1h30", "1hm", "1e3s", "0x1s",
        "9223372036854775808ms", "9223372036854775807s", "106751991168d", "9223372036854775807ms1ms", "1\xC2\xA0s", "--1s", "00" };
    char text[32];
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ms = -7;
        if (text_duration_ms(bad[i], &ms) != BF_EINVAL || ms != -7)
            fail_msg("\"%s\" was taken", bad[i]);
    }
    for (ms = 1; ms < INT64_MAX / 7; ms = ms * 7 + 3) {
        int64_t back;

        text_from_duration(ms, text);
        assert_int_equal(text_duration_ms(text, &back), 0);
        assert_true(back == ms);
    }
    text_from_duration(INT64_MAX, text);
    assert_int_equal(text_duration_ms(text, &ms), 0);
    assert_true(ms == INT64_MAX);
}

static void numbers_reach_to_the_end(void **state)
{
    static const char *const bad[] = { "", "-", "+1", "1 ", "1x", "1.0", "9223372036854775808", "--1", "1\n", "\xD9\xA1" };
    int64_t n;

    (void)state;
    assert_int_equal(text_int("9223372036854775807", INT64_MIN, INT64_MAX, &n), 0);
    assert_true(n == INT64_MAX);
    assert_int_equal(text_int("-5", -5, 5, &n), 0);
    assert_int_equal(text_int("-6", -5, 5, &n), BF_EINVAL);
    assert_int_equal(text_int("6", -5, 5, &n), BF_EINVAL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (text_int(bad[i], INT64_MIN, INT64_MAX, &n) != BF_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    }
    assert_int_equal(text_size("8388607T", &n), 0);
    assert_true(n == INT64_C(8388607) << 40);
    assert_int_equal(text_size("8388608T", &n), BF_EINVAL);
    assert_int_equal(text_size("1KiB", &n), BF_EINVAL);
    assert_int_equal(text_size("k", &n), BF_EINVAL);
}

/* Words of every length up to and over what is compared. */
static void no_word_is_too_long_to_compare(void **state)
{
    char longest[200];

    (void)state;
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t a = 0; a < sizeof longest; a++) {
        for (size_t b = 0; b < sizeof longest; b += 7) {
            const char *const words[] = { longest + b, NULL };
            const char *near = text_nearest(longest + a, words);
            size_t la = strlen(longest + a), lb = strlen(longest + b), apart = la > lb ? la - lb : lb - la;

            assert_true(near == NULL || apart <= 3);
            assert_true(near != NULL || apart > 0 || la == 0 || la > 64);
        }
    }
}

/* Whatever three bytes come, what is shown is UTF-8 without a control character. */
static void whatever_comes_can_be_shown(void **state)
{
    static const char *const hidden[] = { "\x1B", "\x7F", "\xC2\x9B", "\xE2\x80\xAE", "\xE2\x80\xA8", "\xE2\x81\xA6", "\xED\xA0\x80" };
    struct buf b = { 0 };

    (void)state;
    for (uint32_t i = 0; i < 1 << 24; i += 37) {
        char bytes[3] = { (char)(i >> 16), (char)(i >> 8), (char)i };

        buf_reset(&b);
        text_printable(bytes, sizeof bytes, &b);
        assert_true(b.len >= 1 && text_is_utf8(b.data, b.len));
        for (size_t k = 0; k < b.len; k++)
            assert_true((unsigned char)b.data[k] >= 0x20 && b.data[k] != 0x7F);
    }
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        buf_reset(&b);
        text_printable(hidden[i], strlen(hidden[i]), &b);
        assert_int_equal(strncmp(buf_str(&b), "\\x", 2), 0);
        assert_int_equal(b.len, 4 * strlen(hidden[i]));
    }
    buf_close(&b);
}

static void times_have_an_end(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" }, { -1, "1969-12-31T23:59:59.999Z" }, { 951782400000, "2000-02-29T00:00:00.000Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" }, { 253402300800000, "-" }, { -62167219200000, "0000-01-01T00:00:00.000Z" },
        { -62167219200001, "-" }, { INT64_MAX, "-" }, { INT64_MIN, "-" },
    };
    char text[TIME_TEXT_SIZE];
    int64_t back;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        time_format(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
        if (strcmp(text, "-") != 0) {
            assert_int_equal(time_parse(text, &back), 0);
            assert_true(back == cases[i].ms);
        }
    }
    time_format_offset(INT64_MAX, 3600, text);
    assert_string_equal(text, "-");
    time_format_offset(0, -3600, text);
    assert_string_equal(text, "1969-12-31T23:00:00-01:00");
}

/* Every beginning of a good time is none: what is read stops at the end. */
static void a_time_that_is_cut_off_is_no_time(void **state)
{
    static const char whole[] = "2026-01-05T10:01:03.250+02:00";
    static const char *const bad[] = { "2026-00-05T10:01:03Z", "2026-01-32T10:01:03Z", "1900-02-29T00:00:00Z", "2026-01-05T10:01:61Z",
        "2026-01-05T10:01:03,5Z", "2026-01-05T10:01:03+0200", "2026-01-05T10:01:03+24:00", "2026-01-05T10:01:03+02:60",
        " 2026-01-05T10:01:03Z", "2026-01-05T10:01:03Z ", "26-01-05T10:01:03Z", "2026-1-5T10:01:03Z" };
    int64_t ms;

    (void)state;
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char part[sizeof whole];

        (void)snprintf(part, sizeof part, "%.*s", (int)len, whole);
        assert_int_equal(time_parse(part, &ms), BF_EINVAL);
    }
    assert_int_equal(time_parse(whole, &ms), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (time_parse(bad[i], &ms) != BF_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    }
    assert_int_equal(time_parse("2016-12-31T23:59:60Z", &ms), 0);
    assert_true(ms == 1483228800000);
}

/* Day by day: each is the one after the day before. */
static void the_calendar_counts_every_day(void **state)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t days = time_days_from_civil(1600, 1, 1), y;
    int m, d;

    (void)state;
    assert_int_equal(time_days_from_civil(1970, 1, 1), 0);
    for (int year = 1600; year < 2400; year++) {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= lengths[month - 1] + (month == 2 && leap); day++, days++) {
                assert_true(time_days_from_civil(year, month, day) == days);
                time_civil_from_days(days, &y, &m, &d);
                assert_true(y == year && m == month && d == day);
            }
        }
    }
    time_civil_from_days(time_days_from_civil(0, 1, 1) - 1, &y, &m, &d);
    assert_true(y == -1 && m == 12 && d == 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_reach_to_the_end),
        cmocka_unit_test(numbers_reach_to_the_end),
        cmocka_unit_test(no_word_is_too_long_to_compare),
        cmocka_unit_test(whatever_comes_can_be_shown),
        cmocka_unit_test(times_have_an_end),
        cmocka_unit_test(a_time_that_is_cut_off_is_no_time),
        cmocka_unit_test(the_calendar_counts_every_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
