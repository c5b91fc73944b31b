/*
 * When a schedule is due: a cron expression or an interval, in a zone, within start and end, on the days that its
 * calendars allow, with a choice for the hours that a clock change skips or repeats (SPEC §5). Pure: the instant goes in,
 * the next due instant comes out, and next(t) > t always.
 */
#ifndef BELFRY_CALENDAR_SCHEDULE_H
#define BELFRY_CALENDAR_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/calendar/cron.h"
#include "belfry/calendar/days.h"
#include "belfry/calendar/zone.h"

enum dst_gap { DST_GAP_DEFAULT, DST_GAP_AFTER, DST_GAP_SKIP, DST_GAP_SHIFT };
enum dst_repeat { DST_REPEAT_DEFAULT, DST_REPEAT_FIRST, DST_REPEAT_LAST, DST_REPEAT_BOTH };

struct timing {
    struct cron cron;                    /* when every_ms is 0 */
    int64_t every_ms;                    /* from the epoch, or from start_ms */
    struct zone *zone;                   /* lent */
    int64_t start_ms;                    /* not before; 0: always */
    int64_t end_ms;                      /* not after; 0: for ever */
    const struct days *const *skip;      /* lent; a day in any of them is left out */
    const struct days *const *only;      /* lent; when there are any, a day must be in one of them */
    enum dst_gap gap;                    /* DEFAULT: AFTER for fixed times; schedules that begin with '*' follow elapsed time */
    enum dst_repeat repeat;              /* DEFAULT: FIRST for fixed times; both for those that follow elapsed time */
    uint16_t skip_count;                 /* small, here at the end: ten thousand of these lie in memory */
    uint16_t only_count;
};

/* The first due instant after after_ms, or INT64_MAX when it is never due again (looked for through 40 years). */
int64_t timing_next(const struct timing *timing, int64_t after_ms);

/* How far jitter moves a firing: 0 … jitter_ms - 1, the same on every machine for a name and a due time (a hash), and
 * never up to the next due time. */
int64_t timing_jitter(const char *name, int64_t due_ms, int64_t next_due_ms, int64_t jitter_ms);

#endif
