/* Due times around clock changes, within limits and calendars, and the promise next(t) > t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/base/time.h"
#include "belfry/calendar/schedule.h"

#define DUE_MAX 12

static int64_t at(const char *text)
{
    int64_t ms = 0;

    if (time_parse(text, &ms) != 0)
        fail_msg("%s is no time", text);
    return ms;
}

static void set(struct timing *timing, const char *expression, const char *zone)
{
    struct error err;

    memset(timing, 0, sizeof *timing);
    if (cron_parse(expression, "seed", &timing->cron, &err) != 0 || zone_get(zone, &timing->zone, &err) != 0)
        fail_msg("%s", err.text);
}

/* The due times after `from` are these, NULL at the end. */
static void expect(const struct timing *timing, const char *from, const char *const due[])
{
    int64_t after_ms = at(from);

    for (size_t i = 0; due[i] != NULL; i++) {
        int64_t got_ms = timing_next(timing, after_ms);
        char text[TIME_TEXT_SIZE];

        time_format(got_ms, text);
        if (got_ms != at(due[i]))
            fail_msg("due %zu after %s is %s, not %s", i + 1, from, text, due[i]);
        after_ms = got_ms;
    }
}

#define EXPECT(timing, from, ...) expect((timing), (from), (const char *const[]){ __VA_ARGS__, NULL })

/* Berlin: 2026-03-29 02:00 → 03:00 and 2026-10-25 03:00 → 02:00. */
static void fixed_times_fire_once(void **state)
{
    struct timing t;

    (void)state;
    set(&t, "30 2 * * *", "Europe/Berlin");
    EXPECT(&t, "2026-03-28T00:00:00Z", "2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00");
    EXPECT(&t, "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00");
    zone_put(t.zone);
    set(&t, "0,15,30,45 2,3 * * *", "Europe/Berlin");   /* four skipped times and 03:00 itself: one firing */
    EXPECT(&t, "2026-03-28T23:00:00Z", "2026-03-29T03:00:00+02:00", "2026-03-29T03:15:00+02:00");
    zone_put(t.zone);
}

static void starred_times_follow_elapsed_time(void **state)
{
    struct timing t;

    (void)state;
    set(&t, "*/30 * * * *", "Europe/Berlin");
    EXPECT(&t, "2026-03-29T01:15:00+01:00", "2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00");
    EXPECT(&t, "2026-10-25T02:15:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00",
           "2026-10-25T03:00:00+01:00");
    zone_put(t.zone);
    set(&t, "0 */2 * * *", "Europe/Berlin");
    EXPECT(&t, "2026-03-29T00:30:00+01:00", "2026-03-29T04:00:00+02:00");
    EXPECT(&t, "2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T04:00:00+01:00");
    zone_put(t.zone);
}

static void gap_may_be_chosen(void **state)
{
    struct timing t;

    (void)state;
    set(&t, "15,45 2 * * *", "Europe/Berlin");
    t.gap = DST_GAP_SKIP;
    EXPECT(&t, "2026-03-28T12:00:00Z", "2026-03-30T02:15:00+02:00");
    t.gap = DST_GAP_SHIFT;
    EXPECT(&t, "2026-03-28T12:00:00Z", "2026-03-29T03:15:00+02:00", "2026-03-29T03:45:00+02:00", "2026-03-30T02:15:00+02:00");
    t.gap = DST_GAP_AFTER;
    EXPECT(&t, "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00", "2026-03-30T02:15:00+02:00");
    zone_put(t.zone);
    set(&t, "40 */2 * * *", "Europe/Berlin");   /* chosen, it holds for starred ones too */
    t.gap = DST_GAP_AFTER;
    EXPECT(&t, "2026-03-29T00:40:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:40:00+02:00");
    t.gap = DST_GAP_SHIFT;
    EXPECT(&t, "2026-03-29T00:40:00+01:00", "2026-03-29T03:40:00+02:00", "2026-03-29T04:40:00+02:00");
    zone_put(t.zone);
}

static void repeat_may_be_chosen(void **state)
{
    struct timing t;

    (void)state;
    set(&t, "30 2 * * *", "Europe/Berlin");
    t.repeat = DST_REPEAT_LAST;
    EXPECT(&t, "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00");
    t.repeat = DST_REPEAT_BOTH;
    EXPECT(&t, "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00");
    zone_put(t.zone);
    set(&t, "0,30 * * * *", "Europe/Berlin");
    t.repeat = DST_REPEAT_FIRST;
    EXPECT(&t, "2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T03:00:00+01:00");
    t.repeat = DST_REPEAT_LAST;
    EXPECT(&t, "2026-10-25T01:00:00+02:00", "2026-10-25T01:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00",
           "2026-10-25T03:00:00+01:00");
    zone_put(t.zone);
}

static void changes_of_other_sizes(void **state)
{
    struct timing t;

    (void)state;
    set(&t, "15 2 * * *", "Australia/Lord_Howe");   /* half an hour: 02:00 → 02:30 and 02:00 → 01:30 */
    EXPECT(&t, "2026-10-03T00:00:00Z", "2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00");
    zone_put(t.zone);
    set(&t, "45 1 * * *", "Australia/Lord_Howe");
    EXPECT(&t, "2026-04-03T15:00:00Z", "2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30");
    t.repeat = DST_REPEAT_LAST;
    EXPECT(&t, "2026-04-03T15:00:00Z", "2026-04-05T01:45:00+10:30", "2026-04-06T01:45:00+10:30");
    zone_put(t.zone);
    set(&t, "0 8 30 12 *", "Pacific/Apia");   /* 30 December 2011 never was there */
    EXPECT(&t, "2011-06-01T00:00:00Z", "2011-12-31T00:00:00+14:00", "2012-12-30T08:00:00+14:00");
    zone_put(t.zone);
    set(&t, "0 0 * * *", "America/Sao_Paulo");   /* midnight itself is skipped */
    EXPECT(&t, "2018-11-03T12:00:00Z", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00");
    zone_put(t.zone);
}

static void start_end_and_intervals(void **state)
{
    struct timing t;

    (void)state;
    set(&t, "0 12 * * *", "UTC");
    t.start_ms = at("2026-05-01T12:00:00Z");
    t.end_ms = at("2026-05-02T12:00:00Z");
    EXPECT(&t, "2020-01-01T00:00:00Z", "2026-05-01T12:00:00Z", "2026-05-02T12:00:00Z");
    assert_true(timing_next(&t, t.end_ms) == INT64_MAX);
    t.every_ms = 90 * 60000;
    t.end_ms = 0;
    t.start_ms = 0;
    EXPECT(&t, "1970-01-02T00:00:00Z", "1970-01-02T01:30:00Z", "1970-01-02T03:00:00Z");
    EXPECT(&t, "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z");
    t.start_ms = at("2026-05-01T00:07:00.500Z");
    EXPECT(&t, "2000-01-01T00:00:00Z", "2026-05-01T00:07:00.500Z", "2026-05-01T01:37:00.500Z");
    t.every_ms = INT64_MAX / 2;
    assert_true(timing_next(&t, INT64_MAX - 1) == INT64_MAX);
    assert_true(timing_next(&t, INT64_MAX) == INT64_MAX);
    zone_put(t.zone);
}

static void calendars_of_days(void **state)
{
    struct timing t;
    struct days weekend;
    struct days holidays;
    struct error err;
    const struct days *skip[2] = { &weekend, &holidays };

    (void)state;
    days_init(&weekend);
    days_init(&holidays);
    assert_int_equal(days_add(&weekend, "sat-sun", &err), 0);
    assert_int_equal(days_add(&holidays, "12-24..12-26", &err), 0);
    set(&t, "0 9 * * *", "Europe/Berlin");
    t.skip = skip;
    t.skip_count = 2;   /* 23 December 2026 is a Wednesday, so 28 is the next Monday */
    EXPECT(&t, "2026-12-23T00:00:00Z", "2026-12-23T09:00:00+01:00", "2026-12-28T09:00:00+01:00");
    t.skip_count = 0;
    t.only = skip;
    t.only_count = 1;
    EXPECT(&t, "2026-12-23T00:00:00Z", "2026-12-26T09:00:00+01:00", "2026-12-27T09:00:00+01:00", "2027-01-02T09:00:00+01:00");
    t.every_ms = 36 * 3600000;   /* from the epoch; those on Monday to Friday are left out */
    EXPECT(&t, "2026-12-21T00:00:00Z", "2026-12-27T00:00:00Z", "2027-01-02T00:00:00Z");
    t.every_ms = 0;
    t.only_count = 2;
    t.only = (const struct days *const[]){ &holidays, &weekend };
    EXPECT(&t, "2026-12-23T10:00:00Z", "2026-12-24T09:00:00+01:00", "2026-12-25T09:00:00+01:00", "2026-12-26T09:00:00+01:00");
    days_close(&weekend);
    assert_int_equal(days_add(&weekend, "2026-01-01", &err), 0);   /* a day in the past alone: never again */
    t.only_count = 1;
    t.only = skip;
    assert_true(timing_next(&t, at("2026-02-01T00:00:00Z")) == INT64_MAX);
    t.every_ms = 60000;
    assert_true(timing_next(&t, at("2026-02-01T00:00:00Z")) == INT64_MAX);
    days_close(&weekend);
    days_close(&holidays);
    zone_put(t.zone);
}

static void jitter_stays_before_the_next(void **state)
{
    int64_t due = at("2026-01-01T00:00:00Z");
    int64_t lowest = INT64_MAX;
    int64_t highest = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char name[32];
        int64_t moved;

        snprintf(name, sizeof name, "schedule-%d", i);
        moved = timing_jitter(name, due, due + 60000, 600000);
        assert_true(moved >= 0 && moved < 60000);
        assert_int_equal(moved, timing_jitter(name, due, due + 60000, 600000));
        lowest = moved < lowest ? moved : lowest;
        highest = moved > highest ? moved : highest;
        assert_in_range(timing_jitter(name, due, INT64_MAX, 1000), 0, 999);
    }
    assert_true(lowest < 2000 && highest > 58000);
    assert_int_equal(timing_jitter("a", due, due + 60000, 0), 0);
    assert_int_equal(timing_jitter("a", due, due, 1000), 0);
}

static uint32_t dice = 20260101;

static uint32_t roll(uint32_t sides)
{
    dice = dice * 1664525 + 1013904223;
    return (dice >> 8) % sides;
}

static void random_field(char *out, size_t size, int low, int high)
{
    int a = low + (int)roll((uint32_t)(high - low + 1));
    int b = a + (int)roll((uint32_t)(high - a + 1));

    switch (roll(6)) {
    case 0: snprintf(out, size, "*/%u", 1 + roll((uint32_t)(high - low))); break;
    case 1: snprintf(out, size, "%d", a); break;
    case 2: snprintf(out, size, "%d-%d", a, b); break;
    case 3: snprintf(out, size, "%d,%d", a, b); break;
    case 4: snprintf(out, size, "%d-%d/%u", a, b, 1 + roll(5)); break;
    default: snprintf(out, size, "*"); break;
    }
}

static bool wall_matches(const struct timing *t, int64_t utc_ms)
{
    int64_t local_s = utc_ms / 1000 + zone_offset_at(t->zone, utc_ms / 1000);
    int second = (int)(local_s % 86400);
    int64_t year;
    int month;
    int day;

    time_civil_from_days(local_s / 86400, &year, &month, &day);
    return (t->cron.seconds >> (second % 60) & 1) && (t->cron.minutes >> (second / 60 % 60) & 1) &&
           (t->cron.hours >> (second / 3600) & 1) && cron_matches_day(&t->cron, year, month, day);
}

/* A due time is one that the clock shows, but the end of a gap (AFTER), or a gap's length later (SHIFT). */
static void check_due(const struct timing *t, int64_t due_ms, const char *expression)
{
    int64_t change_s = INT64_MAX;
    int before_s = 0;
    int after_s = 0;
    bool behind = zone_next_change(t->zone, due_ms / 1000 - 90000, &change_s, &before_s, &after_s);

    assert_int_equal(due_ms % 1000, 0);
    if (!wall_matches(t, due_ms) && !(behind && change_s <= due_ms / 1000 && after_s > before_s))
        fail_msg("%s is due at %lld, which it does not name", expression, (long long)due_ms);
}

static void next_is_always_later(void **state)
{
    static const char *const zones[] = { "UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Africa/Casablanca",
                                         "Pacific/Apia", "America/Scoresbysund", "Antarctica/Troll", "Asia/Kathmandu" };
    int parsed = 0;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        char fields[5][32];
        char expression[192];
        struct timing t = { 0 };
        struct error err;
        int64_t after_ms = (int64_t)roll(4000000) * 1000 * 1000 + roll(1000);

        random_field(fields[0], sizeof fields[0], 0, 59);
        random_field(fields[1], sizeof fields[1], 0, 23);
        random_field(fields[2], sizeof fields[2], 1, 31);
        random_field(fields[3], sizeof fields[3], 1, 12);
        random_field(fields[4], sizeof fields[4], 0, 6);
        snprintf(expression, sizeof expression, "%s %s %s %s %s", fields[0], fields[1], fields[2], fields[3], fields[4]);
        if (cron_parse(expression, NULL, &t.cron, &err) != 0)
            continue;
        parsed++;
        assert_int_equal(zone_get(zones[roll(sizeof zones / sizeof zones[0])], &t.zone, &err), 0);
        t.gap = (enum dst_gap)roll(4);
        t.repeat = (enum dst_repeat)roll(4);
        for (int i = 0; i < DUE_MAX; i++) {
            int64_t due_ms = timing_next(&t, after_ms);
            int64_t between_ms;

            if (due_ms <= after_ms)
                fail_msg("%s: %lld is not after %lld", expression, (long long)due_ms, (long long)after_ms);
            if (due_ms == INT64_MAX)
                break;
            check_due(&t, due_ms, expression);
            /* Whenever one asks in between, the answer is the same. */
            between_ms = after_ms + (int64_t)((uint64_t)roll(1u << 24) * (uint64_t)(due_ms - after_ms) >> 24);
            if (timing_next(&t, between_ms) != due_ms || timing_next(&t, due_ms - 1) != due_ms)
                fail_msg("%s: asked at %lld, it is not due at %lld", expression, (long long)between_ms, (long long)due_ms);
            after_ms = due_ms;
        }
        zone_put(t.zone);
    }
    assert_true(parsed > 2500);
}

#define WINDOW_MIN (3 * 1440)

static int compare_due(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The rule read word by word: each local minute that is named, and what becomes of it. Due instants, with doubles. */
static size_t due_by_definition(const struct timing *t, int64_t local_s, int64_t out[2 * WINDOW_MIN])
{
    bool elapsed = t->cron.minutes_starred || t->cron.hours_starred;
    enum dst_gap gap = t->gap != DST_GAP_DEFAULT ? t->gap : elapsed ? DST_GAP_SKIP : DST_GAP_AFTER;
    enum dst_repeat repeat = t->repeat != DST_REPEAT_DEFAULT ? t->repeat : elapsed ? DST_REPEAT_BOTH : DST_REPEAT_FIRST;
    size_t count = 0;

    for (int i = 0; i < WINDOW_MIN; i++, local_s += 60) {
        struct zone_instants instants;

        if (cron_next_local(&t->cron, local_s) != local_s)
            continue;
        zone_from_local(t->zone, local_s, &instants);
        if (instants.kind == ZONE_GAP ? gap == DST_GAP_AFTER : instants.kind == ZONE_UNIQUE || repeat != DST_REPEAT_LAST)
            out[count++] = instants.first_s;
        if (instants.kind == ZONE_GAP ? gap == DST_GAP_SHIFT : instants.kind == ZONE_REPEATED && repeat != DST_REPEAT_FIRST)
            out[count++] = instants.second_s;
    }
    qsort(out, count, sizeof *out, compare_due);
    return count;
}

/* All firings in three days around a clock change, against the definition. */
static void changes_by_definition(void **state)
{
    static const char *const zones[] = { "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Antarctica/Troll" };
    static int64_t due[2 * WINDOW_MIN];

    (void)state;
    for (int round = 0; round < 400; round++) {
        struct timing t = { 0 };
        struct error err;
        char fields[2][32];
        char expression[96];
        int64_t change_s;
        int64_t after_ms;
        int before_s;
        int after_s;
        size_t count;

        random_field(fields[0], sizeof fields[0], 0, 59);
        random_field(fields[1], sizeof fields[1], 0, 4);
        snprintf(expression, sizeof expression, "%s %s * * *", fields[0], fields[1]);
        assert_int_equal(cron_parse(expression, NULL, &t.cron, &err), 0);
        assert_int_equal(zone_get(zones[roll(4)], &t.zone, &err), 0);
        t.gap = (enum dst_gap)roll(4);
        t.repeat = (enum dst_repeat)roll(4);
        assert_true(zone_next_change(t.zone, at("2015-01-01T00:00:00Z") / 1000 + roll(1000000000), &change_s, &before_s, &after_s));
        /* The first and last half day are for times that a change moves into the window or out of it. */
        count = due_by_definition(&t, (change_s / 86400 - 1) * 86400, due);
        after_ms = ((change_s / 86400 - 1) * 86400 + 43200) * 1000;
        for (size_t i = 0; i < count; i++) {
            if (due[i] * 1000 <= after_ms || due[i] > (change_s / 86400 + 1) * 86400 + 43200)
                continue;
            if (timing_next(&t, after_ms) != due[i] * 1000)
                fail_msg("%s in %s, gap %d, repeat %d: after %lld due at %lld, not %lld", expression, zone_name(t.zone), (int)t.gap,
                         (int)t.repeat, (long long)after_ms, (long long)timing_next(&t, after_ms), (long long)due[i] * 1000);
            after_ms = due[i] * 1000;
        }
        zone_put(t.zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_times_fire_once),
        cmocka_unit_test(starred_times_follow_elapsed_time),
        cmocka_unit_test(gap_may_be_chosen),
        cmocka_unit_test(repeat_may_be_chosen),
        cmocka_unit_test(changes_of_other_sizes),
        cmocka_unit_test(start_end_and_intervals),
        cmocka_unit_test(calendars_of_days),
        cmocka_unit_test(jitter_stays_before_the_next),
        cmocka_unit_test(next_is_always_later),
        cmocka_unit_test(changes_by_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
