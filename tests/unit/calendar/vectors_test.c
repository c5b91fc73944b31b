/*
 * Cron vectors from the test suites of other schedulers (tests/vectors/, chosen by select.py there). A vector marked
 * `differs` is one whose text Belfry reads otherwise on purpose: that it does is asserted too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "belfry/base/time.h"
#include "belfry/calendar/schedule.h"

struct tally {
    int run;
    int differing;
    int failed;
};

static const char *member(const json_t *vector, const char *name)
{
    return json_string_value(json_object_get(vector, name));
}

static json_t *load(const char *name)
{
    char path[4096];
    json_error_t error;
    json_t *file;

    snprintf(path, sizeof path, "%s/vectors/%s", TESTS_DIR, name);
    file = json_load_file(path, 0, &error);
    if (file == NULL)
        fail_msg("%s: %s", path, error.text);
    return file;
}

static void complain(struct tally *tally, const json_t *vector, const char *got)
{
    char *text = json_dumps(vector, JSON_COMPACT);

    tally->failed++;
    print_error("%s\n    got: %s\n", text, got);
    free(text);
}

static void report(const char *what, const struct tally *tally)
{
    print_message("%s: %d vectors run, %d more differ as stated\n", what, tally->run, tally->differing);
    assert_int_equal(tally->failed, 0);
    assert_true(tally->run > 100);
}

/* "UTC+05:30" is a zone of one offset; the rest are names. */
static struct zone *open_zone(const char *name)
{
    struct zone *zone;
    struct error err;
    unsigned char file[44 + 6 + 4] = "TZif";
    int hours;
    int minutes;
    char sign;

    if (sscanf(name, "UTC%c%2d:%2d", &sign, &hours, &minutes) == 3) {
        uint32_t offset = (uint32_t)((sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60));

        file[39] = 1;
        file[43] = 4;
        for (int i = 0; i < 4; i++)
            file[44 + i] = (unsigned char)(offset >> (24 - 8 * i));
        assert_int_equal(zone_from_bytes(name, file, sizeof file, &zone, &err), 0);
        return zone;
    }
    if (zone_get(name, &zone, &err) != 0)
        fail_msg("%s", err.text);
    return zone;
}

/* An instant in ms, rounded down; *rest: there was more than whole milliseconds. A time without a zone is one of UTC. */
static int64_t instant(const char *text, bool *rest)
{
    char full[64];
    const char *dot = strchr(text, '.');
    int64_t ms = 0;

    snprintf(full, sizeof full, "%s%s", text, strlen(text) == 19 ? "Z" : "");
    if (time_parse(full, &ms) != 0)
        fail_msg("%s is no time", text);
    *rest = false;
    for (size_t i = 1; dot != NULL && dot[i] >= '0' && dot[i] <= '9'; i++)
        *rest = *rest || (i > 3 && dot[i] != '0');
    return ms;
}

/* True when the vector is dealt with: its text is refused, rightly or not. A text that fires at no time may be. */
static bool refused(struct tally *tally, const json_t *vector, struct cron *cron, bool fires_not)
{
    struct error err = { 0 };
    bool differs = json_object_get(vector, "differs") != NULL;

    if (cron_parse(member(vector, "expr"), NULL, cron, &err) == 0) {
        if (!differs)
            return false;
        complain(tally, vector, "taken, though it is said to differ");
        return true;
    }
    if (differs)
        tally->differing++;
    else if (fires_not)
        tally->run++;
    else
        complain(tally, vector, err.text);
    return true;
}

static void check_next(struct tally *tally, const json_t *vector)
{
    struct timing timing = { 0 };
    const json_t *expected = json_object_get(vector, "expected");
    bool never = json_is_null(expected) || json_array_size(expected) == 0;
    int64_t after_ms;
    bool rest;
    size_t i;
    json_t *item;

    if (refused(tally, vector, &timing.cron, never))
        return;
    tally->run++;
    timing.zone = open_zone(member(vector, "tz"));
    after_ms = instant(member(vector, "from"), &rest);
    if (json_is_true(json_object_get(vector, "inclusive")) && !rest)
        after_ms--;
    if (never && timing_next(&timing, after_ms) != INT64_MAX)
        complain(tally, vector, "it fires");
    json_array_foreach(expected, i, item) {
        int64_t wanted_ms = instant(json_string_value(item), &rest);
        int64_t got_ms = timing_next(&timing, after_ms);
        char text[TIME_TEXT_SIZE];

        if (got_ms != wanted_ms) {
            time_format(got_ms, text);
            complain(tally, vector, text);
            break;
        }
        after_ms = got_ms;
    }
    zone_put(timing.zone);
}

static void next_vectors(void **state)
{
    struct tally tally = { 0 };
    json_t *file = load("cron-next.json");
    size_t i;
    json_t *vector;

    (void)state;
    json_array_foreach(json_object_get(file, "vectors"), i, vector)
        check_next(&tally, vector);
    report("next", &tally);
    json_decref(file);
}

static void check_match(struct tally *tally, const json_t *vector)
{
    struct timing timing = { 0 };
    bool wanted = json_is_true(json_object_get(vector, "match"));
    bool rest;
    int64_t at_ms;

    if (refused(tally, vector, &timing.cron, !wanted))
        return;
    tally->run++;
    timing.zone = open_zone(member(vector, "tz"));
    at_ms = instant(member(vector, "at"), &rest);
    at_ms -= member(vector, "granularity") != NULL ? at_ms % 60000 : at_ms % 1000;
    if ((timing_next(&timing, at_ms - 1) == at_ms) != wanted)
        complain(tally, vector, wanted ? "no match" : "a match");
    zone_put(timing.zone);
}

static void match_vectors(void **state)
{
    struct tally tally = { 0 };
    json_t *file = load("cron-match.json");
    size_t i;
    json_t *vector;

    (void)state;
    json_array_foreach(json_object_get(file, "vectors"), i, vector)
        check_match(&tally, vector);
    report("match", &tally);
    json_decref(file);
}

static void parse_vectors(void **state)
{
    struct tally tally = { 0 };
    json_t *file = load("cron-parse.json");
    size_t i;
    json_t *vector;

    (void)state;
    json_array_foreach(json_object_get(file, "vectors"), i, vector) {
        bool differs = json_object_get(vector, "differs") != NULL;
        bool wanted = json_is_true(json_object_get(vector, "valid")) != differs;
        struct cron cron;
        struct error err = { 0 };
        int rc = cron_parse(member(vector, "expr"), "seed", &cron, &err);

        if ((rc == 0) != wanted)
            complain(&tally, vector, rc == 0 ? "taken" : err.text);
        else if (differs)
            tally.differing++;
        else
            tally.run++;
    }
    report("parse", &tally);
    json_decref(file);
}

static bool same_times(const struct cron *a, const struct cron *b)
{
    return a->seconds == b->seconds && a->minutes == b->minutes && a->hours == b->hours && a->days == b->days &&
           a->months == b->months && a->weekdays == b->weekdays && a->last_weekdays == b->last_weekdays &&
           a->nth_weekdays == b->nth_weekdays && a->near_days == b->near_days && a->last_days == b->last_days &&
           a->last_workday == b->last_workday;
}

static void equal_vectors(void **state)
{
    struct tally tally = { 0 };
    json_t *file = load("cron-equal.json");
    size_t i;
    json_t *vector;

    (void)state;
    json_array_foreach(json_object_get(file, "vectors"), i, vector) {
        const char *canonical = member(vector, "canonical");
        bool differs = json_object_get(vector, "differs") != NULL;
        bool wanted = canonical != NULL || json_is_true(json_object_get(vector, "equal"));
        bool as_stated = false;
        struct cron one;
        struct cron other;
        struct error err = { 0 };

        if (cron_parse(member(vector, "expr"), NULL, &one, &err) == 0 &&
            cron_parse(canonical != NULL ? canonical : member(vector, "other"), NULL, &other, &err) == 0)
            as_stated = same_times(&one, &other) == wanted;
        if (as_stated == differs)
            complain(&tally, vector, err.code != 0 ? err.text : wanted ? "not equal" : "equal");
        else if (differs)
            tally.differing++;
        else
            tally.run++;
    }
    report("equal", &tally);
    json_decref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_vectors),
        cmocka_unit_test(match_vectors),
        cmocka_unit_test(parse_vectors),
        cmocka_unit_test(equal_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
