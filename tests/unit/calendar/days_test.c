/* Calendars of days: words, files of dates, iCalendar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/base/time.h"
#include "belfry/calendar/days.h"

static bool has(const struct days *days, int year, int month, int day)
{
    return days_contain(days, time_days_from_civil(year, month, day));
}

static void add(struct days *days, const char *word)
{
    struct error err;

    if (days_add(days, word, &err) != 0)
        fail_msg("%s", err.text);
}

static void add_file(struct days *days, const char *text)
{
    struct error err;

    if (days_add_file(days, text, strlen(text), &err) != 0)
        fail_msg("%s", err.text);
}

static void words(void **state)
{
    struct days d;

    (void)state;
    days_init(&d);
    assert_false(has(&d, 2026, 1, 1));
    add(&d, "sat");
    add(&d, "Sunday");
    assert_true(has(&d, 2026, 11, 21) && has(&d, 2026, 11, 22));   /* a Saturday, a Sunday */
    assert_false(has(&d, 2026, 11, 23));
    assert_true(has(&d, 1969, 12, 27));   /* a Saturday before the epoch */
    add(&d, "2026-12-24");
    add(&d, "2025-12-24..2026-01-06");
    add(&d, "2026-01-05");   /* there already */
    assert_true(has(&d, 2026, 12, 24) && has(&d, 2025, 12, 24) && has(&d, 2026, 1, 6) && has(&d, 2026, 1, 5));
    assert_false(has(&d, 2026, 1, 7) || has(&d, 2025, 12, 23) || has(&d, 2027, 12, 24));
    assert_int_equal(d.count, 15);
    add(&d, "05-01");
    add(&d, "12-30..01-02");
    assert_true(has(&d, 2030, 5, 1) && has(&d, 2031, 12, 31) && has(&d, 2031, 1, 2));
    assert_false(has(&d, 2030, 5, 2) || has(&d, 2031, 1, 3));
    add(&d, "02-29");
    assert_true(has(&d, 2028, 2, 29));
    days_close(&d);
    days_init(&d);
    add(&d, "fri-mon");
    assert_int_equal(d.weekdays, 1u << 5 | 1u << 6 | 1u << 0 | 1u << 1);
    days_close(&d);
}

static void words_refused(void **state)
{
    static const char *const bad[] = { "", "foo", "mon-", "mon-foo", "2026-13-01", "2026-02-29", "02-30", "2026-1-1", "2026-12-24..",
                                       "2026-12-24..12-26", "2026-12-24..2026-12-23", "1900-01-01..2100-01-01", "24.12.2026",
                                       "2026-12-24x", "\x1b[2J" };
    struct days d;
    struct error err;

    (void)state;
    days_init(&d);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err.text[0] = '\0';
        if (days_add(&d, bad[i], &err) == 0)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_true(strlen(err.text) > 0);
        assert_null(strchr(err.text, '\x1b'));
    }
    days_close(&d);
}

static void files_of_dates(void **state)
{
    static const char bad[] = "2026-01-01\n# fine\nnonsense\n";
    struct days d;
    struct error err;

    (void)state;
    days_init(&d);
    add_file(&d, "\xEF\xBB\xBF# holidays\r\n2026-12-25\r\n\r\n  01-01  # New Year\n2026-06-01..2026-06-03");
    assert_true(has(&d, 2026, 12, 25) && has(&d, 2040, 1, 1) && has(&d, 2026, 6, 3));
    assert_int_equal(d.count, 4);
    assert_int_equal(days_add_file(&d, bad, strlen(bad), &err), BF_EINVAL);
    assert_non_null(strstr(err.text, "line 3"));
    assert_int_equal(days_add_file(&d, "2026-01-01\0x", 12, &err), BF_EINVAL);
    days_close(&d);
}

#define EVENT(lines) "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n" lines "END:VEVENT\r\nEND:VCALENDAR\r\n"

static void icalendar(void **state)
{
    struct days d;

    (void)state;
    days_init(&d);
    add_file(&d, EVENT("UID:1\r\nSUMMARY:folded\r\n  text: with a colon\r\nDTSTART;VALUE=DATE:202612\r\n 24\r\n"
                       "DTEND;VALUE=DATE:20261227\r\n"));
    assert_true(has(&d, 2026, 12, 24) && has(&d, 2026, 12, 26));
    assert_false(has(&d, 2026, 12, 27));
    add_file(&d, EVENT("DTSTART;VALUE=DATE:20200501\r\nRRULE:FREQ=YEARLY\r\n"));
    assert_true(has(&d, 2031, 5, 1));
    assert_false(has(&d, 2031, 5, 2));
    add_file(&d, EVENT("DTSTART;X-A=\"a;b:c\":20270801\nDURATION:P1W\nBEGIN:VALARM\nDURATION:PT5M\nEND:VALARM\n"));
    assert_true(has(&d, 2027, 8, 7));
    assert_false(has(&d, 2027, 8, 8));
    add_file(&d, EVENT("DTSTART:20280301\r\nSTATUS:CANCELLED\r\n"));
    assert_false(has(&d, 2028, 3, 1));
    add_file(&d, EVENT("DTSTART:20280401\r\nDTEND:20280401\r\n"));
    assert_true(has(&d, 2028, 4, 1));
    days_close(&d);
}

static void icalendar_refused(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } bad[] = {
        { EVENT("DTSTART:20260101\r\nRRULE:FREQ=YEARLY;COUNT=3\r\n"), "line 5: RRULE may be FREQ=YEARLY alone; it cannot be followed with \"COUNT=3\"" },
        { EVENT("DTSTART:20260101\r\nRRULE:FREQ=WEEKLY\r\n"), "\"FREQ=WEEKLY\"" },
        { EVENT("DTSTART:20260101T090000Z\r\n"), "line 4: only events of whole days" },
        { EVENT("DTSTART:20260230\r\n"), "DTSTART is no date" },
        { EVENT("DTSTART:20260105\r\nDTEND:20260101\r\n"), "DTEND before" },
        { EVENT("SUMMARY:x\r\n"), "DTSTART" },
        { EVENT("DTSTART:20260105\r\nEXDATE:20260106\r\n"), "EXDATE" },
        { EVENT("DTSTART:20260105\r\nDURATION:PT5M\r\n"), "DURATION" },
        { EVENT("DTSTART:19000101\r\nDTEND:99990101\r\n"), "at most" },
        { "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\n", "middle" },
        { "BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR\n", "nothing is open" },
        { "BEGIN:VCALENDAR\nnonsense\n", "line 2" },
    };
    struct days d;
    struct error err;

    (void)state;
    days_init(&d);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (days_add_file(&d, bad[i].text, strlen(bad[i].text), &err) == 0)
            fail_msg("%s was taken", bad[i].text);
        if (strstr(err.text, bad[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, bad[i].says);
    }
    days_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),     cmocka_unit_test(words_refused),     cmocka_unit_test(files_of_dates),
        cmocka_unit_test(icalendar), cmocka_unit_test(icalendar_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
