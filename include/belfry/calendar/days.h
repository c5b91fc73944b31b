/*
 * Calendars of days: weekdays and dates that a schedule skips, or to which it keeps (`skip`, `only`).
 */
#ifndef BELFRY_CALENDAR_DAYS_H
#define BELFRY_CALENDAR_DAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/base/error.h"

struct days {
    uint8_t weekdays;      /* bit n: 0 Sunday … 6 Saturday */
    int64_t *dates;        /* days since 1970-01-01, sorted */
    size_t count;
    int32_t *yearly;       /* month * 100 + day, sorted: dates of every year */
    size_t yearly_count;
};

void days_init(struct days *days);
void days_close(struct days *days);
/* One word of a `days` list: "sat", "saturday", "mon-fri", "2026-12-24", "12-24" (every year), "2026-12-24..2027-01-06". */
int days_add(struct days *days, const char *word, struct error *err);
/* The text of a `file`: one date a line (as in days_add, '#' comments), or iCalendar (VEVENTs of whole days: DTSTART,
 * DTEND exclusive, RRULE of FREQ=YEARLY alone; anything else in an RRULE is an error that names it). */
int days_add_file(struct days *days, const char *text, size_t len, struct error *err);
bool days_contain(const struct days *days, int64_t day);

#endif
