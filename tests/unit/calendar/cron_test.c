/* Cron expressions: what is taken, what is refused and how, which days are named, and where H falls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/base/time.h"
#include "belfry/calendar/cron.h"

static struct cron parsed(const char *text, const char *seed)
{
    struct cron cron;
    struct error err;

    if (cron_parse(text, seed, &cron, &err) != 0)
        fail_msg("%s", err.text);
    return cron;
}

static void refusals_name_field_text_and_range(void **state)
{
    static const struct {
        const char *text;
        const char *says[3];
    } cases[] = {
        { "60 * * * *", { "minute", "\"60\"", "0-59" } },
        { "* 24 * * *", { "hour", "\"24\"", "0-23" } },
        { "0 0 0 * *", { "day-of-month", "\"0\"", "1-31" } },
        { "0 0 * 13 *", { "month", "\"13\"", "jan-dec" } },
        { "0 0 * foo *", { "month", "\"foo\"", "jan-dec" } },
        { "0 0 * * 8", { "day-of-week", "\"8\"", "0-7" } },
        { "61 0 0 * * *", { "second", "\"61\"", "0-59" } },
        { "*/0 * * * *", { "minute", "\"*/0\"", "step of 0" } },
        { "1, * * * *", { "minute", "\"1,\"", "missing" } },
        { "0 0 5-1 * *", { "day-of-month", "\"5-1\"", "backwards" } },
        { "0 0 * * 1#6", { "day-of-week", "\"1#6\"", "1 to 5" } },
        { "0 0 * * L", { "day-of-week", "\"L\"", "5L" } },
        { "0 0 L-31 * *", { "day-of-month", "\"L-31\"", "30" } },
        { "? * * * *", { "minute", "\"?\"", "0-59" } },
        { "H(50-70) * * * *", { "minute", "H(50-70)", "range" } },
        { "H(5 * * * *", { "minute", "H(5", "range" } },
        { "0 0 30 2 *", { "never fires", "30 2", "" } },
        { "0 0 31W 4 *", { "never fires", "31W", "" } },
        { "* * * *", { "4 fields", "minute hour day-of-month month day-of-week", "" } },
        { "0 0 0 1 1 * 2026", { "years", "seconds first", "" } },
        { "", { "0 fields", "", "" } },
        { "@reboot", { "@reboot", "systemd", "" } },
        { "@every 5m", { "2 fields", "", "" } },
        { "@every_minute", { "every = 5m", "", "" } },
        { "@fortnightly", { "@weekly", "", "" } },
        { "\x01 * * * *", { "minute", "\"?\"", "0-59" } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cron cron;
        struct error err = { 0 };

        if (cron_parse(cases[i].text, NULL, &cron, &err) != BF_EINVAL)
            fail_msg("\"%s\" was taken", cases[i].text);
        for (int k = 0; k < 3; k++) {
            if (strstr(err.text, cases[i].says[k]) == NULL)
                fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says[k]);
        }
    }
}

static void fields_are_masks(void **state)
{
    struct cron cron = parsed("0,30 9-17/4 */10 jan,MAR fri-sun", NULL);

    (void)state;
    assert_int_equal(cron.seconds, 1);
    assert_true(cron.minutes == (UINT64_C(1) | UINT64_C(1) << 30));
    assert_int_equal(cron.hours, 1u << 9 | 1u << 13 | 1u << 17);
    assert_int_equal(cron.days, 1u << 1 | 1u << 11 | 1u << 21 | 1u << 31);
    assert_int_equal(cron.months, 1u << 1 | 1u << 3);
    assert_int_equal(cron.weekdays, 1u << 5 | 1u << 6 | 1u << 0);
    assert_true(cron.days_starred);
    assert_false(cron.weekdays_starred || cron.minutes_starred || cron.hours_starred);
    assert_int_equal(parsed("0 0 * * 6-7", NULL).weekdays, 1u << 6 | 1u << 0);
    assert_int_equal(parsed("0 0 * * sunday", NULL).weekdays, 1);
    assert_int_equal(parsed("0 22-1 * * *", NULL).hours, 1u << 22 | 1u << 23 | 1u << 0 | 1u << 1);
    assert_true(parsed("10/25 * * * *", NULL).minutes == (UINT64_C(1) << 10 | UINT64_C(1) << 35));
    assert_true(parsed("*/5 3 * * *", NULL).minutes_starred);
    assert_true(parsed("*/5 0 3 * * *", NULL).minutes_starred);
    assert_false(parsed("0 3 * * *", NULL).minutes_starred);
}

/* Whether the expression's day fields name a date. */
static bool names(const char *text, int year, int month, int day)
{
    struct cron cron = parsed(text, NULL);

    return cron_matches_day(&cron, year, month, day);
}

static void days_of_the_month(void **state)
{
    (void)state;
    assert_true(names("0 0 L * *", 2024, 2, 29));
    assert_false(names("0 0 L * *", 2024, 2, 28));
    assert_true(names("0 0 L-2 * *", 2023, 2, 26));
    /* 31 May 2026 is a Sunday, 1 August 2026 a Saturday, 1 November 2026 a Sunday. */
    assert_true(names("0 0 LW * *", 2026, 5, 29));
    assert_true(names("0 0 1W * *", 2026, 8, 3));
    assert_true(names("0 0 1W * *", 2026, 11, 2));
    assert_true(names("0 0 31W * *", 2026, 5, 29));
    assert_false(names("0 0 31W * *", 2026, 4, 30));
    assert_true(names("0 0 * * 5L", 2026, 5, 29));
    assert_true(names("0 0 * * friL", 2026, 5, 29));
    assert_false(names("0 0 * * 5L", 2026, 5, 22));
    assert_true(names("0 0 * * tue#2", 2026, 5, 12));
    assert_false(names("0 0 * * tue#2", 2026, 5, 5));
    assert_false(names("0 0 * * *", 2026, 13, 1));
    assert_false(names("0 0 * * *", 2026, 2, 29));
}

static void both_day_fields(void **state)
{
    (void)state;   /* 13 November 2026 is a Friday, 13 October 2026 a Tuesday */
    assert_true(names("0 0 13 * 5", 2026, 10, 13));
    assert_true(names("0 0 13 * 5", 2026, 10, 16));
    assert_true(names("0 0 13 * *", 2026, 10, 13));
    assert_false(names("0 0 13 * *", 2026, 10, 16));
    assert_true(names("0 0 ? * 5", 2026, 10, 16));
    assert_false(names("0 0 ? * 5", 2026, 10, 13));
    /* A star with a step only narrows the other field, as in Debian's cron. */
    assert_true(names("0 0 */2 * 5", 2026, 11, 13));
    assert_false(names("0 0 */2 * 5", 2026, 11, 15));
    assert_false(names("0 0 */2 * 5", 2026, 11, 6));
}

static void hashed_slots_are_stable_and_even(void **state)
{
    int seen[60] = { 0 };
    struct cron cron;

    (void)state;
    for (int i = 0; i < 6000; i++) {
        char name[32];

        snprintf(name, sizeof name, "job-%d", i);
        cron = parsed("H H H * *", name);
        assert_int_equal(__builtin_popcountll(cron.minutes), 1);
        assert_int_equal(__builtin_popcount(cron.hours), 1);
        assert_int_equal(__builtin_popcount(cron.days), 1);
        assert_int_equal(cron.days & ~(((UINT32_C(1) << 28) - 1) << 1), 0);
        seen[__builtin_ctzll(cron.minutes)]++;
        assert_true(parsed("H H H * *", name).minutes == cron.minutes);
    }
    for (int minute = 0; minute < 60; minute++)   /* 100 each; seven standard deviations either way */
        assert_in_range(seen[minute], 30, 170);
    cron = parsed("H/15 * * * *", "nightly");
    assert_int_equal(__builtin_popcountll(cron.minutes), 4);
    cron = parsed("H(0-29)/10 * * * *", "nightly");
    assert_int_equal(__builtin_popcountll(cron.minutes), 3);
    assert_true(cron.minutes >> 30 == 0);
    assert_false(cron.minutes_starred);
    cron = parsed("h * * * h", NULL);
    assert_int_equal(__builtin_popcountll(cron.minutes), 1);
}

static void next_local_times(void **state)
{
    struct cron cron = parsed("0 0 29 2 */7", NULL);
    int64_t from = time_days_from_civil(2088, 2, 29) * 86400;

    (void)state;
    /* 29 February on a Sunday: 2088, then, over the year 2100 that is no leap year, 2128. */
    assert_int_equal(cron_next_local(&cron, from - 1), from);
    assert_int_equal(cron_next_local(&cron, from), from);
    assert_int_equal(cron_next_local(&cron, from + 1), time_days_from_civil(2128, 2, 29) * 86400);
    cron = parsed("30 59 23 31 12 *", NULL);
    from = time_days_from_civil(2027, 1, 1) * 86400;
    assert_int_equal(cron_next_local(&cron, from - 31), from - 30);
    assert_int_equal(cron_next_local(&cron, from - 29), time_days_from_civil(2028, 1, 1) * 86400 - 30);
    /* Before the epoch, and past what can be counted. */
    cron = parsed("0 12 * * *", NULL);
    assert_int_equal(cron_next_local(&cron, -86400), -43200);
    assert_true(cron_next_local(&cron, INT64_MAX) == INT64_MAX);
    assert_true(cron_next_local(&cron, INT64_MIN) == INT64_MAX);
}

/* Against the plainest search: second by second, each with a look at every field. */
static bool shows(const struct cron *cron, int64_t local_s)
{
    int64_t days = local_s / 86400;
    int second = (int)(local_s % 86400);
    int64_t year;
    int month;
    int day;

    time_civil_from_days(days, &year, &month, &day);
    return (cron->seconds >> (second % 60) & 1) && (cron->minutes >> (second / 60 % 60) & 1) &&
           (cron->hours >> (second / 3600) & 1) && cron_matches_day(cron, year, month, day);
}

static void next_is_the_first_that_matches(void **state)
{
    static const char *const texts[] = { "*/7 */5 * * * *", "59 59 */23 * * *", "0 13 5 * * *", "10-12 0,59 0,23 1,L * 1" };
    uint32_t dice = 12345;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cron cron = parsed(texts[i], NULL);

        for (int round = 0; round < 40; round++) {
            int64_t from;
            int64_t next;

            dice = dice * 1664525 + 1013904223;
            from = INT64_C(1700000000) + (dice >> 6);
            next = cron_next_local(&cron, from);
            assert_true(shows(&cron, next));
            for (int64_t t = from; t < next && t < from + 90000; t++)
                assert_false(shows(&cron, t));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_name_field_text_and_range),
        cmocka_unit_test(fields_are_masks),
        cmocka_unit_test(days_of_the_month),
        cmocka_unit_test(both_day_fields),
        cmocka_unit_test(hashed_slots_are_stable_and_even),
        cmocka_unit_test(next_local_times),
        cmocka_unit_test(next_is_the_first_that_matches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
