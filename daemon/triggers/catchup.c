/* Which due times fire, and which are passed over. */
#include "belfry/triggers/catchup.h"

/* The newest of several missed times counts as on time while it is late by no more than this part of its interval. */
#define ON_TIME_PART 12

int64_t catchup_wake(const struct catchup_rule *rule, int64_t due_ms)
{
    if (due_ms == INT64_MAX || rule->jitter_ms <= 0)
        return due_ms;
    return due_ms + timing_jitter(rule->name, due_ms, timing_next(rule->timing, due_ms), rule->jitter_ms);
}

/* The newest due time in (after, until]; one is known to be there. No backward step exists for due times, so the last
 * instant whose next due time is not beyond `until` is searched for by halving. */
static int64_t newest_due(const struct timing *timing, int64_t after_ms, int64_t until_ms)
{
    int64_t low = timing_next(timing, after_ms);
    int64_t high = until_ms;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int64_t due = timing_next(timing, middle);

        if (due <= until_ms)
            low = due;
        else
            high = middle;
    }
    return low;
}

/* How many are due in (after, before), counted up to the limit. */
static unsigned count_due(const struct timing *timing, int64_t after_ms, int64_t before_ms)
{
    unsigned count = 0;

    while (count < CATCHUP_COUNT_MAX) {
        after_ms = timing_next(timing, after_ms);
        if (after_ms >= before_ms)
            break;
        count++;
    }
    return count;
}

static bool only_just_passed(const struct catchup_rule *rule, int64_t due_ms, int64_t now_ms)
{
    int64_t late_ms = now_ms - catchup_wake(rule, due_ms);
    int64_t next_ms = timing_next(rule->timing, due_ms);

    return late_ms <= CATCHUP_GRACE_MS && late_ms <= (next_ms - due_ms) / ON_TIME_PART;
}

/* Of what was missed, first … newest: the one that fires now, or 0. */
static int64_t pick(const struct catchup_rule *rule, int64_t first_ms, int64_t newest_ms, int64_t now_ms, bool on_time)
{
    int64_t oldest_ms = now_ms - rule->window_ms;

    if (rule->catchup == CATCHUP_ALL && first_ms < oldest_ms)
        first_ms = timing_next(rule->timing, oldest_ms - 1);
    if (rule->catchup == CATCHUP_ALL && first_ms <= newest_ms)
        return first_ms;
    if (on_time || (rule->catchup == CATCHUP_LAST && newest_ms >= oldest_ms))
        return newest_ms;
    return 0;
}

static void judge_missed(const struct catchup_rule *rule, const struct catchup_place *place, int64_t first_ms,
                         int64_t now_ms, struct catchup_verdict *v)
{
    int64_t newest_ms = newest_due(rule->timing, place->cursor_ms, now_ms);
    bool on_time;

    if (newest_ms > first_ms && catchup_wake(rule, newest_ms) > now_ms)   /* its jitter lets it wait */
        newest_ms = newest_due(rule->timing, place->cursor_ms, newest_ms - 1);
    on_time = only_just_passed(rule, newest_ms, now_ms);
    v->fire_ms = pick(rule, first_ms, newest_ms, now_ms, on_time);
    v->missed = v->fire_ms != 0 && !(on_time && v->fire_ms == newest_ms);
    v->cursor_ms = v->fire_ms != 0 ? v->fire_ms : newest_ms;
    v->dropped = count_due(rule->timing, place->cursor_ms, v->fire_ms != 0 ? v->fire_ms : newest_ms + 1);
    if (v->dropped > 0)
        v->dropped_ms = v->fire_ms == 0 ? newest_ms : newest_due(rule->timing, place->cursor_ms, v->fire_ms - 1);
}

void catchup_look(const struct catchup_rule *rule, const struct catchup_place *place, int64_t now_ms,
                  struct catchup_verdict *verdict)
{
    int64_t due_ms = timing_next(rule->timing, place->cursor_ms);
    int64_t wake_ms = catchup_wake(rule, due_ms);
    bool in_time = now_ms - wake_ms <= CATCHUP_GRACE_MS && !(place->fresh && rule->catchup == CATCHUP_NONE);

    *verdict = (struct catchup_verdict) { .cursor_ms = place->cursor_ms };
    if (wake_ms > now_ms) {
        verdict->next_ms = due_ms;
        verdict->wake_ms = wake_ms;
        return;
    }
    if (in_time || due_ms <= place->seen_ms)
        verdict->fire_ms = verdict->cursor_ms = due_ms;
    else
        judge_missed(rule, place, due_ms, now_ms, verdict);
    verdict->next_ms = timing_next(rule->timing, verdict->cursor_ms);
    verdict->wake_ms = catchup_wake(rule, verdict->next_ms);
}
