/* How days are put into a calendar of days: shared by its two readers. Within the room only. */
#ifndef BELFRY_CALENDAR_DAYS_SET_H
#define BELFRY_CALENDAR_DAYS_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/calendar/days.h"

/* Puts first … last in at the end, unsorted; days_settle must follow. Refuses more than a hundred years of days. */
int days_put_dates(struct days *days, int64_t first, int64_t last, struct error *err);
/* The same for one date of every year (month * 100 + day). */
int days_put_yearly(struct days *days, int32_t date, struct error *err);
void days_settle(struct days *days);

/* As many digits as `count`, as a number, or -1. */
int days_digits(const char *text, size_t count);
/* False for 30 February. */
bool days_date_exists(int year, int month, int day);

/* The iCalendar form of a days file. */
int days_add_ical(struct days *days, const char *text, size_t len, struct error *err);

#endif
