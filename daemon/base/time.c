/* Points in time. The civil calendar's arithmetic counts days from 0000-03-01, so that a leap day ends its year. */
#include "belfry/base/time.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "belfry/base/error.h"

#define DAY_MS INT64_C(86400000)

static int64_t clock_ms(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t time_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t time_mono_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

struct instant time_now(void)
{
    return (struct instant) { .wall_ms = time_wall_ms(), .mono_ms = time_mono_ms() };
}

int64_t time_days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void time_civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153;

    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static bool split(int64_t ms, int64_t *year, int *month, int *day, int *of_day_ms)
{
    int64_t days = ms / DAY_MS - (ms % DAY_MS < 0);

    time_civil_from_days(days, year, month, day);
    *of_day_ms = (int)(ms - days * DAY_MS);
    return *year >= 0 && *year <= 9999;
}

void time_format(int64_t wall_ms, char out[TIME_TEXT_SIZE])
{
    int month, day, t;
    int64_t year;

    if (wall_ms < -DAY_MS * 800000 || wall_ms > DAY_MS * 3000000 || !split(wall_ms, &year, &month, &day, &t)) {
        (void)snprintf(out, TIME_TEXT_SIZE, "-");
        return;
    }
    (void)snprintf(out, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year, month, day, t / 3600000,
                   t / 60000 % 60, t / 1000 % 60, t % 1000);
}

void time_format_offset(int64_t wall_ms, int offset_s, char out[TIME_TEXT_SIZE])
{
    int month, day, t;
    unsigned off = (unsigned)(offset_s < 0 ? -offset_s : offset_s) / 60 % 6000;
    int64_t year;
    char fraction[8] = "";

    if (wall_ms < -DAY_MS * 800000 || wall_ms > DAY_MS * 3000000 ||
        !split(wall_ms + (int64_t)offset_s * 1000, &year, &month, &day, &t)) {
        (void)snprintf(out, TIME_TEXT_SIZE, "-");
        return;
    }
    if (t % 1000 != 0)
        (void)snprintf(fraction, sizeof fraction, ".%03d", t % 1000);
    (void)snprintf(out, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02u:%02u:%02u%s%c%02u:%02u", (int)year, month, day,
                   (unsigned)t / 3600000 % 24, (unsigned)t / 60000 % 60, (unsigned)t / 1000 % 60, fraction, offset_s < 0 ? '-' : '+', off / 60, off % 60);
}

/* Exactly n digits. */
static bool digits(const char **at, int n, int *value)
{
    *value = 0;
    while (n-- > 0) {
        char c = *(*at)++;

        if (c < '0' || c > '9')
            return false;
        *value = *value * 10 + (c - '0');
    }
    return true;
}

static bool take(const char **at, char c)
{
    return *(*at)++ == c;
}

static int month_days(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

int time_parse(const char *text, int64_t *wall_ms)
{
    int year, month, day, hour, minute, second, ms = 0, off_h = 0, off_m = 0, scale = 100, sign;
    const char *at = text;

    if (!digits(&at, 4, &year) || !take(&at, '-') || !digits(&at, 2, &month) || !take(&at, '-') || !digits(&at, 2, &day) ||
        month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return BF_EINVAL;
    if (*at != 'T' && *at != 't' && *at != ' ')
        return BF_EINVAL;
    at++;
    if (!digits(&at, 2, &hour) || !take(&at, ':') || !digits(&at, 2, &minute) || !take(&at, ':') ||
        !digits(&at, 2, &second) || hour > 23 || minute > 59 || second > 60)
        return BF_EINVAL;
    if (*at == '.') {
        if (at[1] < '0' || at[1] > '9')
            return BF_EINVAL;
        for (at++; *at >= '0' && *at <= '9'; at++, scale /= 10)
            ms += (*at - '0') * scale;
    }
    sign = *at == '-' ? -1 : 1;
    if (*at == 'Z' || *at == 'z') {
        at++;
    } else {
        if (*at != '+' && *at != '-')
            return BF_EINVAL;
        at++;
        if (!digits(&at, 2, &off_h) || !take(&at, ':') || !digits(&at, 2, &off_m) || off_h > 23 || off_m > 59)
            return BF_EINVAL;
    }
    if (*at != '\0')
        return BF_EINVAL;
    *wall_ms = (time_days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
                sign * (off_h * 3600 + off_m * 60)) * 1000 + ms;
    return 0;
}
