/*
 * iCalendar (RFC 5545), as far as a calendar of days needs it: VEVENTs of whole days, alone or every year. What would
 * need more is refused by name, never left out in silence; properties that say nothing of days are passed over.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/buf.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "days_set.h"

#define DEPTH_MAX 8
/* An unfolded line: enough for any property that counts here; longer ones (descriptions) are cut. */
#define LINE_MAX_BYTES 1024

struct event {
    bool has_start;
    bool has_end;
    bool yearly;
    bool canceled;
    int64_t first;
    int64_t end;      /* exclusive */
    int64_t length;   /* of DURATION, in days; 0: none */
};

struct reader {
    struct days *days;
    const char *at;
    const char *end;
    int line;         /* number of the line's first part */
    int next_line;
    char text[LINE_MAX_BYTES + 1];
    int depth;        /* components that are open */
    int event_depth;  /* the depth of the VEVENT that is open; 0: none */
    struct event event;
    struct error *err;
};

/* One property: "NAME;PARAM=…:value", taken apart in the line itself. */
struct property {
    const char *name;
    char *parameters;   /* "" when there are none */
    char *value;
};

static int refuse(struct reader *r, const char *what, const char *value)
{
    struct buf shown;
    int rc;

    buf_init(&shown);
    text_printable(value, strnlen(value, 60), &shown);
    rc = error_set(r->err, BF_EINVAL, "line %d: %s \"%s\"", r->line, what, buf_str(&shown));
    buf_close(&shown);
    return rc;
}

static void append(struct reader *r, size_t *len, const char *bytes, size_t count)
{
    size_t room = LINE_MAX_BYTES - *len;

    if (count > 0 && bytes[count - 1] == '\r')
        count--;
    if (count > room)
        count = room;
    memcpy(r->text + *len, bytes, count);
    *len += count;
}

/* The next unfolded line (§3.1: a line that begins with a blank goes on with the one before). False at the end. */
static bool next_line(struct reader *r)
{
    size_t len = 0;

    if (r->at == r->end)
        return false;
    r->line = r->next_line;
    do {
        const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
        const char *stop = newline != NULL ? newline : r->end;
        bool continued = r->next_line > r->line;   /* its blank is no part of it */

        append(r, &len, r->at + continued, (size_t)(stop - r->at) - continued);
        r->at = newline != NULL ? newline + 1 : r->end;
        r->next_line++;
    } while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'));
    r->text[len] = '\0';
    return true;
}

/* The colon before the value: one within quotes belongs to a parameter. */
static char *value_colon(char *text)
{
    bool quoted = false;

    for (; *text != '\0'; text++) {
        if (*text == '"')
            quoted = !quoted;
        else if (*text == ':' && !quoted)
            return text;
    }
    return NULL;
}

static bool split_property(char *text, struct property *p)
{
    char *colon = value_colon(text);
    char *semicolon;

    if (colon == NULL)
        return false;
    *colon = '\0';
    p->name = text;
    p->value = colon + 1;
    semicolon = strchr(text, ';');
    p->parameters = semicolon != NULL ? semicolon + 1 : colon;
    if (semicolon != NULL)
        *semicolon = '\0';
    return true;
}

/* "20261224". */
static int read_date(struct reader *r, const struct property *p, int64_t *day)
{
    int year = -1;
    int month = 0;
    int day_of_month = 0;

    if (strlen(p->value) >= 8) {
        year = days_digits(p->value, 4);
        month = days_digits(p->value + 4, 2);
        day_of_month = days_digits(p->value + 6, 2);
    }
    if (!days_date_exists(year, month, day_of_month))
        return refuse(r, strcasecmp(p->name, "DTEND") == 0 ? "DTEND is no date:" : "DTSTART is no date:", p->value);
    if (p->value[8] != '\0')
        return refuse(r, "only events of whole days can be used, and this one has a time of day:", p->value);
    *day = time_days_from_civil(year, month, day_of_month);
    return 0;
}

static int read_rule(struct reader *r, struct property *p)
{
    char *rest = p->value;
    char *part;
    bool yearly = false;

    while ((part = strsep(&rest, ";")) != NULL) {
        if (strcasecmp(part, "FREQ=YEARLY") != 0)
            return refuse(r, "RRULE may be FREQ=YEARLY alone; it cannot be followed with", part);
        yearly = true;
    }
    r->event.yearly = yearly;
    return 0;
}

/* "P3D", "P2W". */
static int read_duration(struct reader *r, const struct property *p)
{
    size_t digits = strspn(p->value[0] != '\0' ? p->value + 1 : p->value, "0123456789");
    const char *unit = p->value + (p->value[0] != '\0') + digits;
    int count = digits > 0 && digits <= 4 ? days_digits(p->value + 1, digits) : 0;

    if (p->value[0] != 'P' || count <= 0 || (strcmp(unit, "D") != 0 && strcmp(unit, "W") != 0))
        return refuse(r, "only a DURATION of whole days or weeks (P3D, P1W) can be used, not", p->value);
    r->event.length = *unit == 'W' ? count * 7 : count;
    return 0;
}

static int put_yearly(struct reader *r)
{
    for (int64_t day = r->event.first; day < r->event.end; day++) {
        int64_t year;
        int month;
        int day_of_month;
        int rc;

        if (day - r->event.first >= 366)
            break;
        time_civil_from_days(day, &year, &month, &day_of_month);
        rc = days_put_yearly(r->days, (int32_t)(month * 100 + day_of_month), r->err);
        if (rc != 0)
            return error_prefix(r->err, "line %d", r->line);
    }
    return 0;
}

static int close_event(struct reader *r)
{
    struct event *event = &r->event;

    if (event->canceled)
        return 0;
    if (!event->has_start)
        return refuse(r, "the event that ends here has no", "DTSTART");
    if (event->length > 0)
        event->end = event->first + event->length;
    else if (!event->has_end)
        event->end = event->first + 1;
    if (event->end == event->first)   /* some calendars write the same day twice for an event of one day */
        event->end++;
    if (event->end < event->first)
        return refuse(r, "the event that ends here has a DTEND before its", "DTSTART");
    if (event->yearly)
        return put_yearly(r);
    if (days_put_dates(r->days, event->first, event->end - 1, r->err) != 0)
        return error_prefix(r->err, "line %d", r->line);
    return 0;
}

static int event_property(struct reader *r, struct property *p)
{
    static const char *const unusable[] = { "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID" };
    struct event *event = &r->event;

    if (strcasecmp(p->name, "DTSTART") == 0) {
        event->has_start = true;
        return read_date(r, p, &event->first);
    }
    if (strcasecmp(p->name, "DTEND") == 0) {
        event->has_end = true;
        return read_date(r, p, &event->end);
    }
    if (strcasecmp(p->name, "RRULE") == 0)
        return read_rule(r, p);
    if (strcasecmp(p->name, "DURATION") == 0)
        return read_duration(r, p);
    if (strcasecmp(p->name, "STATUS") == 0)
        event->canceled = strcasecmp(p->value, "CANCELLED") == 0;
    for (size_t i = 0; i < sizeof unusable / sizeof unusable[0]; i++) {
        if (strcasecmp(p->name, unusable[i]) == 0)
            return refuse(r, "events that name single days beside their rule cannot be used:", p->name);
    }
    return 0;
}

static int begin_component(struct reader *r, const char *name)
{
    if (r->depth == DEPTH_MAX)
        return refuse(r, "too many components within each other at", name);
    r->depth++;
    if (r->event_depth == 0 && strcasecmp(name, "VEVENT") == 0) {
        r->event_depth = r->depth;
        memset(&r->event, 0, sizeof r->event);
    }
    return 0;
}

static int end_component(struct reader *r, const char *name)
{
    int rc = 0;

    if (r->depth == 0)
        return refuse(r, "nothing is open that could end with", name);
    if (r->depth == r->event_depth) {
        if (strcasecmp(name, "VEVENT") != 0)
            return refuse(r, "an event is open, but what ends is", name);
        rc = close_event(r);
        r->event_depth = 0;
    }
    r->depth--;
    return rc;
}

static int read_line(struct reader *r)
{
    struct property p;

    if (r->text[0] == '\0')
        return 0;
    if (!split_property(r->text, &p))
        return refuse(r, "this is no iCalendar property:", r->text);
    if (strcasecmp(p.name, "BEGIN") == 0)
        return begin_component(r, p.value);
    if (strcasecmp(p.name, "END") == 0)
        return end_component(r, p.value);
    /* Not those of an alarm within the event. */
    return r->event_depth != 0 && r->depth == r->event_depth ? event_property(r, &p) : 0;
}

int days_add_ical(struct days *days, const char *text, size_t len, struct error *err)
{
    struct reader *r = calloc(1, sizeof *r);
    int rc = 0;

    if (r == NULL)
        return error_set(err, BF_ENOMEM, "no memory to read a calendar");
    r->days = days;
    r->at = text;
    r->end = text + len;
    r->next_line = 1;
    r->err = err;
    while (rc == 0 && next_line(r))
        rc = read_line(r);
    if (rc == 0 && r->depth != 0)
        rc = error_set(err, BF_EINVAL, "line %d: the calendar ends in the middle of a component", r->line);
    free(r);
    return rc;
}
