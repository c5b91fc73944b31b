/* Cron expressions, read. Each refusal names the field, what stands there and what may. */
#include "belfry/calendar/cron.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum field_id { FIELD_SECOND, FIELD_MINUTE, FIELD_HOUR, FIELD_DAY, FIELD_MONTH, FIELD_WEEKDAY, FIELD_COUNT };

struct field_spec {
    const char *name;
    int low;
    int high;
    int star_high;            /* '*' and "a/n" end here */
    int hash_high;            /* H alone ends here: 28, so that it falls in every month */
    int cycle;                /* ranges may go round ("22-4", "fri-mon"): its length; 0: they may not */
    const char *const *words; /* of `low`, `low` + 1 …, NULL at the end */
    const char *range;        /* for people */
};

static const char *const month_words[] = { "january", "february", "march",     "april",   "may",      "june",     "july",
                                           "august",  "september", "october", "november", "december", NULL };
static const char *const weekday_words[] = { "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", NULL };

/* Months differ in length, so days of the month do not go round. */
static const struct field_spec fields[FIELD_COUNT] = {
    [FIELD_SECOND] = { "second", 0, 59, 59, 59, 60, NULL, "0-59" },
    [FIELD_MINUTE] = { "minute", 0, 59, 59, 59, 60, NULL, "0-59" },
    [FIELD_HOUR] = { "hour", 0, 23, 23, 23, 24, NULL, "0-23" },
    [FIELD_DAY] = { "day-of-month", 1, 31, 31, 28, 0, NULL, "1-31, L, L-n, LW, nW or ?" },
    [FIELD_MONTH] = { "month", 1, 12, 12, 12, 12, month_words, "1-12 or jan-dec" },
    [FIELD_WEEKDAY] = { "day-of-week", 0, 7, 6, 6, 7, weekday_words, "0-7 or sun-sat (0 and 7 are Sunday), d#1 to d#5, dL or ?" },
};

#define FIELD_TEXT_MAX 256
/* Debian's cron takes any step; one past the range means the first value alone. */
#define STEP_MAX 9999
#define DIGITS_MAX 5

struct parser {
    const char *seed;
    enum field_id id;
    const struct field_spec *field;
    const char *at;       /* in the field's text */
    const char *text;     /* the whole field */
    uint64_t bits;
    struct cron *cron;
    struct error *err;
};

/* What was given, fit to be shown: it comes from a file or a request. */
static void shown(const char *text, size_t len, char out[80])
{
    size_t n = 0;

    for (size_t i = 0; i < len && n < 76; i++)
        out[n++] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
    if (n < len)
        n += (size_t)snprintf(out + n, 4, "...");
    out[n] = '\0';
}

static int refuse(const struct parser *p, const char *why)
{
    char text[80];

    shown(p->text, strlen(p->text), text);
    return error_set(p->err, BF_EINVAL, "%s field \"%s\": %s; allowed: %s", p->field->name, text, why, p->field->range);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool at_end(const struct parser *p)
{
    return *p->at == '\0' || *p->at == ',';
}

static bool is_char(char c, char lower)
{
    return c == lower || c == (char)(lower - 'a' + 'A');
}

/* A run of digits, at most 9999. */
static int take_digits(struct parser *p, int *value)
{
    const char *start = p->at;
    int n = 0;

    while (is_digit(*p->at) && p->at - start < DIGITS_MAX)
        n = n * 10 + (*p->at++ - '0');
    if (p->at == start)
        return refuse(p, "a number is missing");
    if (is_digit(*p->at) || n > STEP_MAX)
        return refuse(p, "a number is too large");
    *value = n;
    return 0;
}

/* The value of a name of three letters or in full, or -1. */
static int word_value(const struct field_spec *field, const char *word, size_t len)
{
    for (int i = 0; field->words != NULL && field->words[i] != NULL; i++) {
        if ((len == 3 || len == strlen(field->words[i])) && strncasecmp(field->words[i], word, len) == 0)
            return field->low + i;
    }
    return -1;
}

/* A number or a name; *last: an L was joined to a weekday's name ("friL"). */
static int take_value(struct parser *p, int *value, bool *last)
{
    const char *start = p->at;
    size_t len = 0;
    int rc;

    *last = false;
    if (!is_letter(*p->at)) {
        rc = take_digits(p, value);
        if (rc == 0 && (*value < p->field->low || *value > p->field->high))
            return refuse(p, "a number is out of range");
        return rc;
    }
    while (is_letter(start[len]))
        len++;
    *value = word_value(p->field, start, len);
    if (*value < 0 && p->id == FIELD_WEEKDAY && len > 3 && is_char(start[len - 1], 'l')) {
        *value = word_value(p->field, start, --len);
        *last = *value >= 0;
        p->at += *last;
    }
    if (*value < 0)
        return refuse(p, p->id == FIELD_WEEKDAY && len == 1 && is_char(*start, 'l') ? "L wants a weekday before it, as in 5L"
                                                                                    : "it has a word that means nothing here");
    p->at += len;
    return 0;
}

static void mark(struct parser *p, int low, int high, int step)
{
    for (int n = low; n <= high; n += step) {
        int value = n;

        if (p->field->cycle > 0 && value >= p->field->low + p->field->cycle)
            value -= p->field->cycle;   /* gone round; and 7 is Sunday */
        p->bits |= UINT64_C(1) << value;
    }
}

/* "/n" or nothing. */
static int take_step(struct parser *p, int *step, bool *given)
{
    int rc;

    *step = 1;
    *given = *p->at == '/';
    if (!*given)
        return 0;
    p->at++;
    rc = take_digits(p, step);
    if (rc == 0 && *step == 0)
        return refuse(p, "a step of 0 never moves on");
    return rc;
}

/* FNV-1a over the name and the field, then mixed: FNV's low bits alone are not even over short names. */
static uint64_t slot_hash(const char *seed, enum field_id id)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (const char *c = seed != NULL ? seed : ""; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    hash = (hash ^ (uint64_t)id) * UINT64_C(0x100000001b3);
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

/* H, H/n, H(a-b), H(a-b)/n. */
static int take_hash(struct parser *p)
{
    int low = p->field->low;
    int high = p->field->hash_high;
    int step;
    int width;
    bool stepped;
    int rc;

    p->at++;
    if (*p->at == '(') {
        p->at++;
        rc = take_digits(p, &low);
        if (rc != 0)
            return rc;
        if (*p->at++ != '-')
            return refuse(p, "H wants a range in its brackets, as in H(0-29)");
        rc = take_digits(p, &high);
        if (rc != 0)
            return rc;
        if (*p->at++ != ')' || low < p->field->low || high > p->field->star_high || low > high)
            return refuse(p, "H wants a range within the field's in its brackets, as in H(0-29)");
    }
    rc = take_step(p, &step, &stepped);
    if (rc != 0)
        return rc;
    width = high - low + 1;
    if (stepped && step < width)
        width = step;
    low += (int)(slot_hash(p->seed, p->id) % (uint64_t)width);
    mark(p, low, stepped ? high : low, step);
    return 0;
}

/* L, LW, L-n of the month. */
static int take_last_day(struct parser *p)
{
    int before = 0;
    int rc;

    p->at++;
    if (is_char(*p->at, 'w')) {
        p->at++;
        p->cron->last_workday = true;
        return 0;
    }
    if (*p->at == '-') {
        p->at++;
        rc = take_digits(p, &before);
        if (rc != 0)
            return rc;
        if (before > 30)
            return refuse(p, "L-n goes back 30 days at most");
    }
    p->cron->last_days |= UINT32_C(1) << before;
    return 0;
}

/* d#n, dL; 1 when it is neither. */
static int take_weekday_mark(struct parser *p, int weekday, bool last)
{
    int nth;
    int rc;

    weekday %= 7;
    if (last || is_char(*p->at, 'l')) {
        p->at += !last;
        p->cron->last_weekdays = (uint8_t)(p->cron->last_weekdays | 1u << weekday);
        return 0;
    }
    if (*p->at != '#')
        return 1;
    p->at++;
    rc = take_digits(p, &nth);
    if (rc != 0)
        return rc;
    if (nth < 1 || nth > 5)
        return refuse(p, "after # stands which of the month, 1 to 5");
    p->cron->nth_weekdays |= UINT64_C(1) << (weekday * 5 + nth - 1);
    return 0;
}

/* "-b" and "/n" behind the first value of a range. */
static int take_range(struct parser *p, int low)
{
    int high = low;
    int step;
    bool ranged = *p->at == '-';
    bool stepped;
    bool last = false;
    int rc;

    if (ranged) {
        p->at++;
        rc = take_value(p, &high, &last);
        if (rc != 0)
            return rc;
        if (last)
            return refuse(p, "L marks one weekday, not a range");
        if (high < low && p->field->cycle == 0)
            return refuse(p, "the range runs backwards");
        if (high < low)
            high += p->field->cycle;
    }
    rc = take_step(p, &step, &stepped);
    if (rc != 0)
        return rc;
    if (stepped && !ranged && high < p->field->star_high)
        high = p->field->star_high;
    mark(p, low, high, step);
    return 0;
}

static int take_item(struct parser *p)
{
    int value;
    int step;
    bool flag;
    int rc;

    if (at_end(p))
        return refuse(p, "a value is missing");
    if (*p->at == '*') {
        p->at++;
        rc = take_step(p, &step, &flag);
        if (rc == 0)
            mark(p, p->field->low, p->field->star_high, step);
        return rc;
    }
    if (is_char(*p->at, 'h') && !is_letter(p->at[1]))
        return take_hash(p);
    if (p->id == FIELD_DAY && is_char(*p->at, 'l'))
        return take_last_day(p);
    rc = take_value(p, &value, &flag);
    if (rc != 0)
        return rc;
    if (p->id == FIELD_DAY && is_char(*p->at, 'w')) {
        p->at++;
        p->cron->near_days |= UINT32_C(1) << value;
        return 0;
    }
    if (p->id == FIELD_WEEKDAY) {
        rc = take_weekday_mark(p, value, flag);
        if (rc <= 0)
            return rc;
    }
    return take_range(p, value);
}

static void field_store(const struct parser *p, bool starred)
{
    struct cron *cron = p->cron;

    switch (p->id) {
    case FIELD_SECOND:
        cron->seconds = p->bits;
        /* The finest field that is there has the say: one that fires through a minute follows elapsed time too. */
        cron->minutes_starred = starred;
        break;
    case FIELD_MINUTE:
        cron->minutes = p->bits;
        cron->minutes_starred = cron->minutes_starred || starred;
        break;
    case FIELD_HOUR:
        cron->hours = (uint32_t)p->bits;
        cron->hours_starred = starred;
        break;
    case FIELD_DAY:
        cron->days = (uint32_t)p->bits;
        cron->days_starred = starred;
        break;
    case FIELD_MONTH:
        cron->months = (uint16_t)p->bits;
        break;
    case FIELD_WEEKDAY:
        cron->weekdays = (uint8_t)p->bits;
        cron->weekdays_starred = starred;
        break;
    case FIELD_COUNT:
        break;
    }
}

static int parse_field(enum field_id id, const char *text, const char *seed, struct cron *cron, struct error *err)
{
    struct parser p = { .seed = seed, .id = id, .field = &fields[id], .at = text, .text = text, .cron = cron, .err = err };
    int rc;

    if (strcmp(text, "?") == 0 && (id == FIELD_DAY || id == FIELD_WEEKDAY)) {
        mark(&p, p.field->low, p.field->star_high, 1);
        field_store(&p, true);
        return 0;
    }
    for (;;) {
        rc = take_item(&p);
        if (rc != 0)
            return rc;
        if (*p.at == '\0')
            break;
        if (*p.at != ',')
            return refuse(&p, "something stands where the value should end");
        p.at++;
    }
    field_store(&p, text[0] == '*');
    return 0;
}

static const char *named_schedule(const char *name)
{
    static const char *const names[][2] = {
        { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" }, { "@weekly", "0 0 * * 0" },
        { "@daily", "0 0 * * *" },  { "@midnight", "0 0 * * *" }, { "@hourly", "0 * * * *" },
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(name, names[i][0]) == 0)
            return names[i][1];
    }
    return NULL;
}

static int refuse_name(const char *name, struct error *err)
{
    char text[80];

    shown(name, strlen(name), text);
    if (strcasecmp(name, "@reboot") == 0)
        return error_set(err, BF_EINVAL, "cron \"@reboot\" is no time: to run at the machine's start, let a systemd service or "
                                         "an @reboot line of crontab call \"belfry run PROCESS\"");
    if (strncasecmp(name, "@every", 6) == 0)
        return error_set(err, BF_EINVAL, "cron \"%s\": an interval is written every = 5m, in place of cron", text);
    return error_set(err, BF_EINVAL,
                     "cron \"%s\" is no name of a schedule: @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually", text);
}

/* The words of text, each with a NUL behind, in `copy`. How many, or -1 when there are more or longer ones than may be. */
static int split(const char *text, char copy[FIELD_COUNT][FIELD_TEXT_MAX])
{
    static const char blanks[] = " \t\r\n";
    int count = 0;

    for (text += strspn(text, blanks); *text != '\0'; text += strspn(text, blanks)) {
        size_t len = strcspn(text, blanks);

        if (count == FIELD_COUNT || len >= FIELD_TEXT_MAX)
            return -1;
        memcpy(copy[count], text, len);
        copy[count++][len] = '\0';
        text += len;
    }
    return count;
}

int cron_parse(const char *text, const char *seed, struct cron *cron, struct error *err)
{
    char words[FIELD_COUNT][FIELD_TEXT_MAX];
    char whole[80];
    int count = split(text, words);
    enum field_id first;

    if (count == 1 && words[0][0] == '@') {
        const char *fields_text = named_schedule(words[0]);

        if (fields_text == NULL)
            return refuse_name(words[0], err);
        count = split(fields_text, words);
    }
    shown(text, strlen(text), whole);
    if (count < 0)
        return error_set(err, BF_EINVAL, "cron \"%s\" is too long: five fields (minute hour day-of-month month day-of-week), or six "
                                         "with seconds first, of at most %d characters; there is no field for years",
                         whole, FIELD_TEXT_MAX - 1);
    if (count != 5 && count != 6)
        return error_set(err, BF_EINVAL, "cron \"%s\" has %d field%s: it takes five (minute hour day-of-month month day-of-week), "
                                         "or six with seconds first",
                         whole, count, count == 1 ? "" : "s");
    memset(cron, 0, sizeof *cron);
    cron->seconds = 1;
    first = count == 6 ? FIELD_SECOND : FIELD_MINUTE;
    for (int i = 0; i < count; i++) {
        int rc = parse_field((enum field_id)((int)first + i), words[i], seed, cron, err);

        if (rc != 0)
            return error_prefix(err, "cron \"%s\"", whole);
    }
    /* Every shape of year comes within 28 years of 2000. */
    if (cron_next_local(cron, INT64_C(946684800)) == INT64_MAX)
        return error_set(err, BF_EINVAL, "cron \"%s\" never fires: none of its months has such a day", whole);
    return 0;
}
