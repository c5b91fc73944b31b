/*
 * Cron expressions: five fields, or six with seconds first (SPEC §5). Both day fields restricted: either may match
 * (POSIX); a field that begins with '*' is unrestricted. Extensions: names, steps, lists, ranges, @hourly … @yearly,
 * L, LW, nW, d#n, dL, and H, a slot hashed from the schedule's name.
 */
#ifndef BELFRY_CALENDAR_CRON_H
#define BELFRY_CALENDAR_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "belfry/base/error.h"

/* What an expression came to: plain data, copied freely. Small on purpose: ten thousand of them lie in memory. */
struct cron {
    uint64_t seconds;       /* bit n: second n; bit 0 alone for five fields */
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;          /* bit n: day n of the month, 1–31 */
    uint16_t months;        /* bit n: month n, 1–12 */
    uint8_t weekdays;       /* bit n: 0 Sunday … 6 Saturday */
    uint8_t last_weekdays;  /* dL: bit n, the last such weekday of the month */
    uint64_t nth_weekdays;  /* d#k: bit d * 5 + (k - 1) */
    uint32_t near_days;     /* nW: bit n, the weekday (Mon–Fri) nearest to day n within its month */
    uint32_t last_days;     /* L-n: bit n, n days before the last (bit 0: L) */
    bool last_workday;      /* LW */
    bool days_starred;      /* the field begins with '*' (or is '?'): then both day fields must match */
    bool weekdays_starred;
    bool minutes_starred;   /* the minute (or second) or the hour field begins with '*': it follows elapsed time (Debian's rule) */
    bool hours_starred;
};

/* `seed` (may be NULL) names the schedule for H. 0, or BF_EINVAL with the field, what stands there and what may. An
 * expression that can never fire (30 February) is refused too. */
int cron_parse(const char *text, const char *seed, struct cron *cron, struct error *err);

/* True when the clock on the wall shows a time that the expression names. month 1–12, weekday 0 Sunday. */
bool cron_matches_day(const struct cron *cron, int64_t year, int month, int day);

/* The first local time (seconds since 1970-01-01T00:00 on the wall) at or after local_s that it names; INT64_MAX when
 * there is none within 40 years. */
int64_t cron_next_local(const struct cron *cron, int64_t local_s);

#endif
