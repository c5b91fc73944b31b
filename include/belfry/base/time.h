/*
 * Points in time and how they are written. The two clocks are read here and nowhere else; the rooms that decide take
 * the time as an argument.
 */
#ifndef BELFRY_BASE_TIME_H
#define BELFRY_BASE_TIME_H

#include <stdint.h>

#define TIME_TEXT_SIZE 40

/* An instant as both clocks see it: `wall_ms` (CLOCK_REALTIME, since the epoch) for what people and records call a
 * time, `mono_ms` (CLOCK_BOOTTIME, goes on in suspend, is never set) for how long to wait. */
struct instant {
    int64_t wall_ms;
    int64_t mono_ms;
};

struct instant time_now(void);
int64_t time_wall_ms(void);
int64_t time_mono_ms(void);

/* RFC 3339 in UTC with milliseconds, "2026-01-05T10:01:03.000Z". Years 0000–9999; outside, "-". */
void time_format(int64_t wall_ms, char out[TIME_TEXT_SIZE]);
/* The same at a fixed offset east of UTC, "2026-01-05T12:01:03+02:00" (milliseconds only when not zero). */
void time_format_offset(int64_t wall_ms, int offset_s, char out[TIME_TEXT_SIZE]);
/* Reads RFC 3339 (any offset, any number of decimals, 'T' or a space). 0 or BF_EINVAL. */
int time_parse(const char *text, int64_t *wall_ms);

/* Days since 1970-01-01 of a proleptic Gregorian date, and back (month 1–12, day 1–31). */
int64_t time_days_from_civil(int64_t year, int month, int day);
void time_civil_from_days(int64_t days, int64_t *year, int *month, int *day);

#endif
