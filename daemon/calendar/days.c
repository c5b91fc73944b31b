/* Calendars of days: weekdays, dates, dates of every year. */
#include "belfry/calendar/days.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/buf.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "days_set.h"

/* A hundred years of days: more is a mistake (or an attack), not a calendar. */
#define DATES_MAX 36525
#define WORD_MAX 64
/* Any year will do that has a 29 February. */
#define LEAP_YEAR 2000

void days_init(struct days *days)
{
    memset(days, 0, sizeof *days);
}

void days_close(struct days *days)
{
    free(days->dates);
    free(days->yearly);
    memset(days, 0, sizeof *days);
}

static int compare_dates(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int compare_yearly(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

void days_settle(struct days *days)
{
    size_t kept = 0;

    if (days->count > 1)
        qsort(days->dates, days->count, sizeof *days->dates, compare_dates);
    for (size_t i = 0; i < days->count; i++) {
        if (kept == 0 || days->dates[kept - 1] != days->dates[i])
            days->dates[kept++] = days->dates[i];
    }
    days->count = kept;
    kept = 0;
    if (days->yearly_count > 1)
        qsort(days->yearly, days->yearly_count, sizeof *days->yearly, compare_yearly);
    for (size_t i = 0; i < days->yearly_count; i++) {
        if (kept == 0 || days->yearly[kept - 1] != days->yearly[i])
            days->yearly[kept++] = days->yearly[i];
    }
    days->yearly_count = kept;
}

/* Room for one more. The arrays double at each power of two, so their size need not be kept; one that days_settle has
 * emptied in part holds more than that. */
static void *grown(void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    return reallocarray(array, count == 0 ? 1 : count * 2, size);
}

int days_put_dates(struct days *days, int64_t first, int64_t last, struct error *err)
{
    for (int64_t day = first; day <= last; day++) {
        int64_t *dates;

        if (days->count >= DATES_MAX)
            return error_set(err, BF_ETOOBIG, "a calendar holds at most %d days", DATES_MAX);
        dates = grown(days->dates, days->count, sizeof *dates);
        if (dates == NULL)
            return error_set(err, BF_ENOMEM, "no memory for a calendar of %zu days", days->count);
        days->dates = dates;
        days->dates[days->count++] = day;
    }
    return 0;
}

int days_put_yearly(struct days *days, int32_t date, struct error *err)
{
    int32_t *yearly;

    if (days->yearly_count >= DATES_MAX)
        return error_set(err, BF_ETOOBIG, "a calendar holds at most %d dates of every year", DATES_MAX);
    yearly = grown(days->yearly, days->yearly_count, sizeof *yearly);
    if (yearly == NULL)
        return error_set(err, BF_ENOMEM, "no memory for a calendar of %zu dates", days->yearly_count);
    days->yearly = yearly;
    days->yearly[days->yearly_count++] = date;
    return 0;
}

int days_digits(const char *text, size_t count)
{
    int n = 0;

    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        n = n * 10 + (text[i] - '0');
    }
    return n;
}

bool days_date_exists(int year, int month, int day)
{
    static const int lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (year < 0 || month < 1 || month > 12 || day < 1 || day > lengths[month - 1])
        return false;
    return leap || month != 2 || day <= 28;
}

/* What a date in a word is. */
struct date {
    bool yearly;
    int year;
    int month;
    int day;
};

/* "2026-12-24" or "12-24". */
static bool date_read(const char *text, size_t len, struct date *date)
{
    date->yearly = len == 5;
    date->year = LEAP_YEAR;
    if (len == 10 && text[4] == '-') {
        date->year = days_digits(text, 4);
        text += 5;
    } else if (len != 5) {
        return false;
    }
    if (text[2] != '-')
        return false;
    date->month = days_digits(text, 2);
    date->day = days_digits(text + 3, 2);
    return days_date_exists(date->year, date->month, date->day);
}

static int64_t date_number(const struct date *date)
{
    return time_days_from_civil(date->year, date->month, date->day);
}

static int put_yearly_range(struct days *days, int64_t first, int64_t last, struct error *err)
{
    for (int64_t day = first; day <= last; day++) {
        int64_t year;
        int month;
        int day_of_month;
        int rc;

        time_civil_from_days(day, &year, &month, &day_of_month);
        rc = days_put_yearly(days, (int32_t)(month * 100 + day_of_month), err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int add_yearly_range(struct days *days, const struct date *first, const struct date *last, struct error *err)
{
    int64_t from = date_number(first);
    int64_t to = date_number(last);
    int rc;

    if (from <= to)
        return put_yearly_range(days, from, to, err);
    /* Over New Year: to the year's end, and from its beginning. */
    rc = put_yearly_range(days, from, time_days_from_civil(LEAP_YEAR, 12, 31), err);
    return rc != 0 ? rc : put_yearly_range(days, time_days_from_civil(LEAP_YEAR, 1, 1), to, err);
}

static int add_dates(struct days *days, const char *word, struct error *err)
{
    const char *dots = strstr(word, "..");
    size_t first_len = dots != NULL ? (size_t)(dots - word) : strlen(word);
    struct date first;
    struct date last;

    if (!date_read(word, first_len, &first))
        return error_set(err, BF_EINVAL, "\"%s\" is no day: write 2026-12-24, 12-24 (every year), 2026-12-24..2027-01-06, sat or "
                                         "mon-fri",
                         word);
    last = first;
    if (dots != NULL && (!date_read(dots + 2, strlen(dots + 2), &last) || last.yearly != first.yearly))
        return error_set(err, BF_EINVAL, "\"%s\": after the dots stands no date like the one before them", word);
    if (first.yearly)
        return add_yearly_range(days, &first, &last, err);
    if (date_number(&last) < date_number(&first))
        return error_set(err, BF_EINVAL, "\"%s\" ends before it begins", word);
    return days_put_dates(days, date_number(&first), date_number(&last), err);
}

/* 0–6, or -1. */
static int weekday_of_name(const char *name, size_t len)
{
    static const char *const names[] = { "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday" };

    for (int i = 0; i < 7; i++) {
        if ((len == 3 || len == strlen(names[i])) && strncasecmp(names[i], name, len) == 0)
            return i;
    }
    return -1;
}

static int add_weekdays(struct days *days, const char *word, struct error *err)
{
    const char *dash = strchr(word, '-');
    int first = weekday_of_name(word, dash != NULL ? (size_t)(dash - word) : strlen(word));
    int last = dash != NULL ? weekday_of_name(dash + 1, strlen(dash + 1)) : first;

    if (first < 0 || last < 0)
        return error_set(err, BF_EINVAL, "\"%s\" is no weekday: sun, mon, tue, wed, thu, fri, sat, in full, or a range as mon-fri",
                         word);
    for (int day = first;; day = (day + 1) % 7) {   /* goes round: fri-mon */
        days->weekdays = (uint8_t)(days->weekdays | 1u << day);
        if (day == last)
            return 0;
    }
}

static int add_word(struct days *days, const char *word, struct error *err)
{
    struct buf shown;
    bool plain;
    int rc;

    buf_init(&shown);
    text_printable(word, strnlen(word, WORD_MAX), &shown);
    plain = strlen(word) < WORD_MAX && strcmp(buf_str(&shown), word) == 0;
    rc = plain ? 0 : error_set(err, BF_EINVAL, "\"%s\" is no day", buf_str(&shown));
    buf_close(&shown);
    if (!plain)
        return rc;
    if ((word[0] >= 'a' && word[0] <= 'z') || (word[0] >= 'A' && word[0] <= 'Z'))
        return add_weekdays(days, word, err);
    return add_dates(days, word, err);
}

int days_add(struct days *days, const char *word, struct error *err)
{
    int rc = add_word(days, word, err);

    days_settle(days);
    return rc;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One line: a day, a comment behind it or alone, or nothing. */
static int add_line(struct days *days, const char *line, size_t len, struct error *err)
{
    const char *comment = memchr(line, '#', len);
    char word[WORD_MAX + 1];

    if (comment != NULL)
        len = (size_t)(comment - line);
    while (len > 0 && is_blank(line[len - 1]))
        len--;
    while (len > 0 && is_blank(*line)) {
        line++;
        len--;
    }
    if (len == 0)
        return 0;
    if (len > WORD_MAX || memchr(line, '\0', len) != NULL)
        return error_set(err, BF_EINVAL, "there is no day on it, but %zu bytes of something else", len);
    memcpy(word, line, len);
    word[len] = '\0';
    return add_word(days, word, err);
}

static int add_lines(struct days *days, const char *text, size_t len, struct error *err)
{
    const char *end = text + len;
    int number = 0;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line_len = (size_t)((newline != NULL ? newline : end) - text);
        int rc;

        number++;
        rc = add_line(days, text, line_len, err);
        if (rc != 0)
            return error_prefix(err, "line %d", number);
        text += line_len + (newline != NULL);
    }
    return 0;
}

int days_add_file(struct days *days, const char *text, size_t len, struct error *err)
{
    static const char bom[] = "\xEF\xBB\xBF";
    static const char ical[] = "BEGIN:VCALENDAR";
    int rc;

    if (len >= 3 && memcmp(text, bom, 3) == 0) {
        text += 3;
        len -= 3;
    }
    if (len >= sizeof ical - 1 && strncasecmp(text, ical, sizeof ical - 1) == 0)
        rc = days_add_ical(days, text, len, err);
    else
        rc = add_lines(days, text, len, err);
    days_settle(days);
    return rc;
}

bool days_contain(const struct days *days, int64_t day)
{
    int weekday = (int)(((day + 4) % 7 + 7) % 7);   /* 1970-01-01 was a Thursday */

    if (days->weekdays >> weekday & 1)
        return true;
    if (days->count > 0 && bsearch(&day, days->dates, days->count, sizeof day, compare_dates) != NULL)
        return true;
    if (days->yearly_count > 0) {
        int64_t year;
        int month;
        int day_of_month;
        int32_t date;

        time_civil_from_days(day, &year, &month, &day_of_month);
        date = (int32_t)(month * 100 + day_of_month);
        return bsearch(&date, days->yearly, days->yearly_count, sizeof date, compare_yearly) != NULL;
    }
    return false;
}
