/* Which local times an expression names: a mask of days a month, then bits of hours, minutes and seconds. */
#include "belfry/calendar/cron.h"

#include "belfry/base/time.h"

#define DAY_S 86400
#define YEARS_AHEAD 40
/* Local times past this are not looked at: the arithmetic below stays far from overflow. */
#define LOCAL_MAX_S (INT64_MAX / 2)

struct month_shape {
    int length;
    int first_weekday;   /* of the 1st, 0 Sunday */
};

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static struct month_shape shape_of(int64_t year, int month)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t first = time_days_from_civil(year, month, 1);
    struct month_shape shape;

    shape.length = lengths[month - 1] + (month == 2 && is_leap(year));
    shape.first_weekday = (int)(((first + 4) % 7 + 7) % 7);   /* 1970-01-01 was a Thursday */
    return shape;
}

static int weekday_of(const struct month_shape *shape, int day)
{
    return (shape->first_weekday + day - 1) % 7;
}

/* The weekday (Monday to Friday) nearest to a day, within its month. */
static int nearest_workday(const struct month_shape *shape, int day)
{
    int weekday = weekday_of(shape, day);

    if (weekday == 6)
        return day > 1 ? day - 1 : day + 2;
    if (weekday == 0)
        return day < shape->length ? day + 1 : day - 2;
    return day;
}

/* Days of the month, by the day-of-month field alone. */
static uint32_t days_by_number(const struct cron *cron, const struct month_shape *shape)
{
    uint32_t mask = cron->days;

    for (uint32_t near = cron->near_days; near != 0; near &= near - 1) {
        int day = __builtin_ctz(near);

        if (day <= shape->length)
            mask |= UINT32_C(1) << nearest_workday(shape, day);
    }
    for (uint32_t last = cron->last_days; last != 0; last &= last - 1) {
        int day = shape->length - __builtin_ctz(last);

        if (day >= 1)
            mask |= UINT32_C(1) << day;
    }
    if (cron->last_workday)
        mask |= UINT32_C(1) << nearest_workday(shape, shape->length);
    return mask;
}

/* Days of the month, by the day-of-week field alone. */
static uint32_t days_by_weekday(const struct cron *cron, const struct month_shape *shape)
{
    uint32_t mask = 0;

    for (int day = 1; day <= shape->length; day++) {
        int weekday = weekday_of(shape, day);
        int nth = (day - 1) / 7;
        bool last = day + 7 > shape->length;

        if ((cron->weekdays >> weekday & 1) || (last && (cron->last_weekdays >> weekday & 1)) ||
            (cron->nth_weekdays >> (weekday * 5 + nth) & 1))
            mask |= UINT32_C(1) << day;
    }
    return mask;
}

/* Bit n: day n of this month is named. A field that begins with a star only narrows the other (every second day is still
 * every second day); two fields without one are either-or, as POSIX has it. */
static uint32_t days_in_month(const struct cron *cron, int64_t year, int month)
{
    struct month_shape shape;
    uint32_t by_number;
    uint32_t by_weekday;
    uint32_t all;

    if (!(cron->months >> month & 1))
        return 0;
    shape = shape_of(year, month);
    all = ((UINT32_C(1) << shape.length) - 1) << 1;
    by_number = days_by_number(cron, &shape);
    by_weekday = days_by_weekday(cron, &shape);
    if (cron->days_starred || cron->weekdays_starred)
        return by_number & by_weekday & all;
    return (by_number | by_weekday) & all;
}

bool cron_matches_day(const struct cron *cron, int64_t year, int month, int day)
{
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    return days_in_month(cron, year, month) >> day & 1;
}

/* The lowest set bit at or above n, or -1. */
static int bit_from(uint64_t bits, int n)
{
    uint64_t left = n > 63 ? 0 : bits & (UINT64_MAX << n);

    return left != 0 ? __builtin_ctzll(left) : -1;
}

/* The first second of a day, at or after second_of_day, that the time fields name, or -1. */
static int time_from(const struct cron *cron, int second_of_day)
{
    int hour = second_of_day / 3600;
    int minute = second_of_day / 60 % 60;
    int second = second_of_day % 60;
    int found = bit_from(cron->hours, hour);

    if (found < 0)
        return -1;
    if (found == hour) {
        int in_minute = (cron->minutes >> minute & 1) ? bit_from(cron->seconds, second) : -1;
        int later;

        if (in_minute >= 0)
            return hour * 3600 + minute * 60 + in_minute;
        later = bit_from(cron->minutes, minute + 1);
        if (later >= 0)
            return hour * 3600 + later * 60 + bit_from(cron->seconds, 0);
        found = bit_from(cron->hours, hour + 1);
        if (found < 0)
            return -1;
    }
    return found * 3600 + bit_from(cron->minutes, 0) * 60 + bit_from(cron->seconds, 0);
}

int64_t cron_next_local(const struct cron *cron, int64_t local_s)
{
    int64_t today;
    int second_of_day;
    int64_t year;
    int month;
    int day;
    int64_t last_year;

    if (local_s > LOCAL_MAX_S || local_s < -LOCAL_MAX_S)
        return INT64_MAX;
    today = local_s / DAY_S - (local_s % DAY_S < 0);
    second_of_day = (int)(local_s - today * DAY_S);
    time_civil_from_days(today, &year, &month, &day);
    if (cron_matches_day(cron, year, month, day)) {
        int found = time_from(cron, second_of_day);

        if (found >= 0)
            return today * DAY_S + found;
    }
    last_year = year + YEARS_AHEAD;
    for (day++; year <= last_year; day = 1) {
        int found = bit_from(days_in_month(cron, year, month), day);

        if (found >= 0)
            return time_days_from_civil(year, month, found) * DAY_S + time_from(cron, 0);
        if (++month > 12) {
            month = 1;
            year++;
        }
    }
    return INT64_MAX;
}
