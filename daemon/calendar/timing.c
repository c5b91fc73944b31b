/*
 * Due times. A zone's history is a row of stretches with one offset each; within a stretch the clock on the wall and the
 * instants run alike, so a due time is the first local time that the expression names there. What a clock change does
 * to those between the stretches is decided at each seam.
 */
#include "belfry/calendar/schedule.h"

#include <string.h>

#include "belfry/base/time.h"

#define DAY_S INT64_C(86400)
#define DAY_MS (DAY_S * 1000)
#define LOOK_AHEAD_S (40 * 366 * DAY_S)
/* How far back (and for LAST, ahead) a clock change can still matter: more than the largest offset and its change. */
#define NEAR_S (3 * DAY_S)

struct walk {
    const struct timing *timing;
    enum dst_gap gap;
    enum dst_repeat repeat;
    int64_t from_s;         /* the first instant that will do */
    int64_t until_s;        /* none later is looked for */
    /* The answer of the last search by the clock on the wall: it holds for every start between asked_s and found_s. */
    int64_t asked_s;
    int64_t found_s;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool day_is_allowed(const struct timing *timing, int64_t day)
{
    for (size_t i = 0; i < timing->skip_count; i++) {
        if (days_contain(timing->skip[i], day))
            return false;
    }
    for (size_t i = 0; i < timing->only_count; i++) {
        if (days_contain(timing->only[i], day))
            return true;
    }
    return timing->only_count == 0;
}

/* The first local time at or after local_s that is named, on a day that is allowed; INT64_MAX when there is none. */
static int64_t local_from(struct walk *w, int64_t local_s)
{
    int64_t found_s = local_s;

    if (w->asked_s <= local_s && local_s <= w->found_s)
        return w->found_s;
    do {
        int64_t day;

        found_s = cron_next_local(&w->timing->cron, found_s);
        if (found_s > w->until_s + NEAR_S) {
            found_s = INT64_MAX;
            break;
        }
        day = floor_div(found_s, DAY_S);
        if (day_is_allowed(w->timing, day))
            break;
        found_s = (day + 1) * DAY_S;
    } while (found_s <= w->until_s + NEAR_S);
    w->asked_s = local_s;
    w->found_s = found_s;
    return found_s;
}

struct stretch {
    int64_t from_s;
    int64_t to_s;       /* INT64_MAX: without an end */
    int offset_s;
    int next_offset_s;  /* after it */
};

static struct stretch stretch_from(const struct zone *zone, int64_t from_s, int offset_s)
{
    struct stretch s = { from_s, INT64_MAX, offset_s, offset_s };
    int before_s;

    if (!zone_next_change(zone, from_s, &s.to_s, &before_s, &s.next_offset_s))
        s.to_s = INT64_MAX;
    return s;
}

/* For LAST: the local time from which on what this stretch shows comes again in a later one. */
static int64_t repeated_from(const struct zone *zone, const struct stretch *s)
{
    struct stretch next = *s;
    int64_t from_local_s = INT64_MAX;

    while (next.to_s != INT64_MAX && next.to_s - s->to_s < NEAR_S) {
        if (next.to_s + next.next_offset_s < from_local_s)
            from_local_s = next.to_s + next.next_offset_s;
        next = stretch_from(zone, next.to_s, next.next_offset_s);
    }
    return from_local_s;
}

/* The first due instant within a stretch, or INT64_MAX. shown_s: local times before have been shown already. */
static int64_t due_within(struct walk *w, const struct stretch *s, int64_t shown_s)
{
    int64_t low_s = (s->from_s > w->from_s ? s->from_s : w->from_s) + s->offset_s;
    int64_t high_s = s->to_s == INT64_MAX ? INT64_MAX : s->to_s + s->offset_s;
    int64_t local_s;

    if (s->to_s <= w->from_s)
        return INT64_MAX;
    if (w->repeat == DST_REPEAT_FIRST && shown_s > low_s)
        low_s = shown_s;
    if (w->repeat == DST_REPEAT_LAST && s->to_s != INT64_MAX) {
        int64_t again_s = repeated_from(w->timing->zone, s);

        if (again_s < high_s)
            high_s = again_s;
    }
    if (low_s >= high_s)
        return INT64_MAX;
    local_s = local_from(w, low_s);
    return local_s < high_s ? local_s - s->offset_s : INT64_MAX;
}

/* What the local times that are skipped at a stretch's end come to, or INT64_MAX. */
static int64_t due_of_gap(struct walk *w, const struct stretch *s)
{
    int64_t low_s = s->to_s + s->offset_s;
    int64_t high_s = s->to_s + s->next_offset_s;
    int64_t local_s;

    if (high_s <= low_s || w->gap == DST_GAP_SKIP)
        return INT64_MAX;
    if (w->gap == DST_GAP_AFTER && s->to_s < w->from_s)
        return INT64_MAX;
    if (w->gap == DST_GAP_SHIFT && w->from_s + s->offset_s > low_s)
        low_s = w->from_s + s->offset_s;
    if (low_s >= high_s)
        return INT64_MAX;
    local_s = local_from(w, low_s);
    if (local_s >= high_s)
        return INT64_MAX;
    return w->gap == DST_GAP_AFTER ? s->to_s : local_s - s->offset_s;
}

static struct walk walk_start(const struct timing *timing, int64_t from_s)
{
    bool elapsed = timing->cron.minutes_starred || timing->cron.hours_starred;
    struct walk w = { .timing = timing, .gap = timing->gap, .repeat = timing->repeat, .from_s = from_s };

    if (w.gap == DST_GAP_DEFAULT)
        w.gap = elapsed ? DST_GAP_SKIP : DST_GAP_AFTER;
    if (w.repeat == DST_REPEAT_DEFAULT)
        w.repeat = elapsed ? DST_REPEAT_BOTH : DST_REPEAT_FIRST;
    w.until_s = from_s + LOOK_AHEAD_S;
    w.asked_s = INT64_MAX;
    w.found_s = INT64_MIN;
    return w;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Begins some days early, so that a change just behind, whose skipped times are shifted or whose shown ones come again,
 * is seen too. */
static int64_t cron_due(const struct timing *timing, int64_t from_s)
{
    struct walk w = walk_start(timing, from_s);
    int64_t start_s = from_s - NEAR_S;
    struct stretch s = stretch_from(timing->zone, start_s, zone_offset_at(timing->zone, start_s));
    int64_t shown_s = INT64_MIN;
    int64_t of_gap_s = INT64_MAX;   /* from gaps behind; not yet due before the present stretch's end */

    while (s.from_s <= w.until_s) {
        int64_t due_s = min64(due_within(&w, &s, shown_s), of_gap_s);

        if (due_s < s.to_s)
            return due_s;
        if (s.to_s == INT64_MAX)
            return INT64_MAX;
        of_gap_s = min64(of_gap_s, due_of_gap(&w, &s));
        if (s.to_s + s.offset_s > shown_s)
            shown_s = s.to_s + s.offset_s;
        /* Nothing for long: go on from shortly before what comes next, past the changes between. */
        if (of_gap_s == INT64_MAX && s.to_s > w.from_s && w.asked_s <= s.to_s + s.next_offset_s &&
            w.found_s > s.to_s + 3 * NEAR_S) {
            if (w.found_s == INT64_MAX)
                return INT64_MAX;
            start_s = w.found_s - 2 * NEAR_S;
            s = stretch_from(timing->zone, start_s, zone_offset_at(timing->zone, start_s));
            shown_s = INT64_MIN;
            continue;
        }
        s = stretch_from(timing->zone, s.to_s, s.next_offset_s);
    }
    return INT64_MAX;
}

/* The first multiple of the interval after after_ms, counted from start_ms (0: the epoch). */
static int64_t multiple_after(const struct timing *timing, int64_t after_ms)
{
    int64_t steps;
    int64_t due_ms;

    if (after_ms < timing->start_ms && timing->start_ms != 0)
        return timing->start_ms;
    if (__builtin_sub_overflow(after_ms, timing->start_ms, &after_ms))
        return INT64_MAX;
    steps = floor_div(after_ms, timing->every_ms) + 1;
    if (__builtin_mul_overflow(steps, timing->every_ms, &due_ms) || __builtin_add_overflow(due_ms, timing->start_ms, &due_ms))
        return INT64_MAX;
    return due_ms;
}

static int64_t interval_due(const struct timing *timing, int64_t after_ms)
{
    int64_t due_ms = multiple_after(timing, after_ms);
    int64_t until_ms;

    if ((timing->skip_count == 0 && timing->only_count == 0) || due_ms > INT64_MAX - LOOK_AHEAD_S * 1000)
        return due_ms;
    until_ms = due_ms + LOOK_AHEAD_S * 1000;
    while (due_ms <= until_ms) {
        int64_t utc_s = floor_div(due_ms, 1000);
        int64_t day = floor_div(utc_s + zone_offset_at(timing->zone, utc_s), DAY_S);
        struct zone_instants midnight;
        int64_t next_ms;

        if (day_is_allowed(timing, day))
            return due_ms;
        zone_from_local(timing->zone, (day + 1) * DAY_S, &midnight);
        next_ms = midnight.first_s * 1000;
        if (next_ms <= due_ms)   /* a midnight that comes twice, seen from between */
            next_ms = midnight.kind == ZONE_REPEATED ? midnight.second_s * 1000 : due_ms + DAY_MS;
        if (next_ms <= due_ms)
            next_ms = due_ms + 1;
        due_ms = multiple_after(timing, next_ms - 1);
    }
    return INT64_MAX;
}

int64_t timing_next(const struct timing *timing, int64_t after_ms)
{
    int64_t due_ms;
    int64_t due_s;

    if (after_ms == INT64_MAX)
        return INT64_MAX;
    if (timing->start_ms != 0 && after_ms < timing->start_ms - 1)
        after_ms = timing->start_ms - 1;
    if (timing->every_ms > 0) {
        due_ms = interval_due(timing, after_ms);
    } else {
        due_s = cron_due(timing, floor_div(after_ms, 1000) + 1);
        due_ms = due_s > INT64_MAX / 1000 ? INT64_MAX : due_s * 1000;
    }
    return timing->end_ms != 0 && due_ms > timing->end_ms ? INT64_MAX : due_ms;
}

/* FNV-1a, then mixed so that names and times which differ in little land far apart. */
static uint64_t jitter_hash(const char *name, int64_t due_ms)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (const char *c = name; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    for (int shift = 0; shift < 64; shift += 8)
        hash = (hash ^ ((uint64_t)due_ms >> shift & 0xff)) * UINT64_C(0x100000001b3);
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

int64_t timing_jitter(const char *name, int64_t due_ms, int64_t next_due_ms, int64_t jitter_ms)
{
    uint64_t room;

    if (jitter_ms <= 0 || next_due_ms <= due_ms)
        return 0;
    room = (uint64_t)next_due_ms - (uint64_t)due_ms;
    if (room > (uint64_t)jitter_ms)
        room = (uint64_t)jitter_ms;
    return (int64_t)(jitter_hash(name, due_ms) % room);
}
