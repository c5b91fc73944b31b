/* POSIX rules for the years after a zone's table: read once, then worked out year by year. */
#include "zone_rule.h"

#include <string.h>

#include "belfry/base/time.h"

#define DAY_S 86400
#define END_OF_TIME_S INT64_C(16725225600)   /* 2500-01-01: no change is looked for from there on */
/* A rule that changes in leap years only may rest for eight years (1896–1904, 2096–2104). */
#define YEARS_AHEAD 9

struct rule_event {
    int64_t at_s;
    int32_t offset_s;   /* from at_s on */
};

/* Two a year, for the year itself, two before (times reach a week past the year's end) and two after. */
#define EVENT_YEARS 5
#define EVENTS_MAX (2 * EVENT_YEARS)

struct cursor {
    const char *at;
    const char *end;
};

static bool take(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static bool is_letter(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

static bool take_number(struct cursor *c, int low, int high, int *value)
{
    const char *start = c->at;
    int n = 0;

    while (c->at < c->end && is_digit(*c->at) && c->at - start < 4)
        n = n * 10 + (*c->at++ - '0');
    if (c->at == start || n < low || n > high)
        return false;
    *value = n;
    return true;
}

static bool take_abbreviation(struct cursor *c)
{
    const char *start = c->at;

    if (take(c, '<')) {
        start = c->at;
        while (c->at < c->end && (is_letter(*c->at) || is_digit(*c->at) || *c->at == '+' || *c->at == '-'))
            c->at++;
        return c->at > start && take(c, '>');
    }
    while (c->at < c->end && is_letter(*c->at))
        c->at++;
    return c->at - start >= 3;
}

/* [+-]h[h[h]][:mm[:ss]] */
static bool take_time(struct cursor *c, int hours_max, int32_t *seconds)
{
    bool negative = false;
    int hours;
    int minutes = 0;
    int secs = 0;

    if (take(c, '-'))
        negative = true;
    else
        (void)take(c, '+');
    if (!take_number(c, 0, hours_max, &hours))
        return false;
    if (take(c, ':')) {
        if (!take_number(c, 0, 59, &minutes))
            return false;
        if (take(c, ':') && !take_number(c, 0, 59, &secs))
            return false;
    }
    *seconds = hours * 3600 + minutes * 60 + secs;
    if (negative)
        *seconds = -*seconds;
    return true;
}

static bool take_date(struct cursor *c, struct rule_date *date)
{
    date->time_s = 2 * 3600;
    if (take(c, 'M')) {
        date->kind = RULE_DAY_MONTH_WEEK;
        if (!take_number(c, 1, 12, &date->month) || !take(c, '.') || !take_number(c, 1, 5, &date->week) || !take(c, '.') ||
            !take_number(c, 0, 6, &date->day))
            return false;
    } else if (take(c, 'J')) {
        date->kind = RULE_DAY_JULIAN;
        if (!take_number(c, 1, 365, &date->day))
            return false;
    } else {
        date->kind = RULE_DAY_ZERO_BASED;
        if (!take_number(c, 0, 365, &date->day))
            return false;
    }
    return !take(c, '/') || take_time(c, 167, &date->time_s);
}

int rule_parse(const char *text, size_t len, struct zone_rule *rule)
{
    struct cursor c = { text, text + len };

    memset(rule, 0, sizeof *rule);
    if (!take_abbreviation(&c) || !take_time(&c, 24, &rule->standard_s))
        return BF_EINVAL;
    rule->standard_s = -rule->standard_s;   /* POSIX counts west of Greenwich */
    rule->summer_s = rule->standard_s;
    if (c.at == c.end)
        return 0;
    if (!take_abbreviation(&c))
        return BF_EINVAL;
    rule->has_summer = true;
    rule->summer_s = rule->standard_s + 3600;
    if (c.at < c.end && *c.at != ',') {
        if (!take_time(&c, 24, &rule->summer_s))
            return BF_EINVAL;
        rule->summer_s = -rule->summer_s;
    }
    /* A zone file always names the dates (RFC 9636 §3.3.1); a rule without them means nothing certain. */
    if (!take(&c, ',') || !take_date(&c, &rule->start) || !take(&c, ',') || !take_date(&c, &rule->end))
        return BF_EINVAL;
    return c.at == c.end ? 0 : BF_EINVAL;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t month_week_day(const struct rule_date *date, int64_t year)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t first = time_days_from_civil(year, date->month, 1);
    int length = lengths[date->month - 1] + (date->month == 2 && is_leap(year));
    int first_weekday = (int)(((first + 4) % 7 + 7) % 7);   /* 1970-01-01 was a Thursday */
    int day = (date->day - first_weekday + 7) % 7 + 7 * (date->week - 1);

    while (day >= length)
        day -= 7;
    return first + day;
}

/* The clock on the wall at which the date's change comes. */
static int64_t date_local(const struct rule_date *date, int64_t year)
{
    int64_t day;

    if (date->kind == RULE_DAY_MONTH_WEEK)
        day = month_week_day(date, year);
    else if (date->kind == RULE_DAY_ZERO_BASED)
        day = time_days_from_civil(year, 1, 1) + date->day;
    else   /* Jn never counts 29 February */
        day = time_days_from_civil(year, 1, 1) + date->day - 1 + (is_leap(year) && date->day >= 60);
    return day * DAY_S + date->time_s;
}

static void insert_event(struct rule_event *events, size_t count, int64_t at_s, int32_t offset_s)
{
    size_t i = count;

    while (i > 0 && events[i - 1].at_s > at_s) {
        events[i] = events[i - 1];
        i--;
    }
    events[i] = (struct rule_event){ at_s, offset_s };
}

/* The changes around `year`, sorted. Summer time all year round is a rule whose end and next start are one instant: of
 * two events at one instant the later one in the year's order stays behind the other and wins. */
static void events_around(const struct zone_rule *rule, int64_t year, struct rule_event events[EVENTS_MAX])
{
    size_t count = 0;

    for (int64_t y = year - 2; y < year - 2 + EVENT_YEARS; y++) {
        insert_event(events, count++, date_local(&rule->start, y) - rule->standard_s, rule->summer_s);
        insert_event(events, count++, date_local(&rule->end, y) - rule->summer_s, rule->standard_s);
    }
}

static int64_t year_of(const struct zone_rule *rule, int64_t utc_s)
{
    int64_t local_s = utc_s + rule->standard_s;
    int64_t days = local_s / DAY_S - (local_s % DAY_S < 0);
    int64_t year;
    int month;
    int day;

    time_civil_from_days(days, &year, &month, &day);
    return year;
}

int32_t rule_offset_at(const struct zone_rule *rule, int64_t utc_s)
{
    struct rule_event events[EVENTS_MAX];
    int32_t offset_s = rule->standard_s;

    if (!rule->has_summer)
        return offset_s;
    events_around(rule, year_of(rule, utc_s), events);
    for (size_t i = 0; i < EVENTS_MAX && events[i].at_s <= utc_s; i++)
        offset_s = events[i].offset_s;
    return offset_s;
}

/* The first change after utc_s among the sorted events; `offset_s` is what holds at utc_s. */
static bool change_among(const struct rule_event events[EVENTS_MAX], int64_t utc_s, int32_t offset_s, struct rule_event *found)
{
    for (size_t i = 0; i < EVENTS_MAX; i++) {
        bool replaced = i + 1 < EVENTS_MAX && events[i + 1].at_s == events[i].at_s;

        if (events[i].at_s <= utc_s || replaced || events[i].offset_s == offset_s)
            continue;
        *found = events[i];
        return true;
    }
    return false;
}

bool rule_next_change(const struct zone_rule *rule, int64_t utc_s, int64_t *at_s, int *before_s, int *after_s)
{
    struct rule_event events[EVENTS_MAX];
    struct rule_event found;
    int32_t offset_s;
    int64_t year;

    if (!rule->has_summer || rule->summer_s == rule->standard_s)
        return false;
    offset_s = rule_offset_at(rule, utc_s);
    year = year_of(rule, utc_s);
    for (int64_t y = year; y <= year + YEARS_AHEAD; y++) {
        events_around(rule, y, events);
        /* The last year's events may still be replaced by one of the year after: they are seen again from there. */
        if (!change_among(events, utc_s, offset_s, &found) || found.at_s >= events[EVENTS_MAX - 2].at_s)
            continue;
        if (found.at_s >= END_OF_TIME_S)
            return false;
        *at_s = found.at_s;
        *before_s = offset_s;
        *after_s = found.offset_s;
        return true;
    }
    return false;
}
