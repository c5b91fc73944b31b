/* What happens when a schedule is due: it rings, and its cursor goes with the firing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "belfry/base/time.h"
#include "belfry/core/event.h"
#include "belfry/core/pace.h"
#include "clock_internal.h"

/* Schedules looked at in one turn of the loop; the rest comes in the next, so that the first of a thousand need not wait
 * for the last. */
#define TURN_MAX 50
#define RETRY_BASE_MS 1000
#define RETRY_CAP_MS 60000
#define CLAIM_LIFE_MS (2 * 24 * 60 * 60 * INT64_C(1000))

/* One firing under way. The configuration that it points into is held. */
struct clock_firing {
    struct firing firing;
    struct record cursor;
    struct clock_room *room;
    struct clock_schedule *schedule;
    struct config *config;
    char *claim_key;
    char *skip_reason;
};

void clock_rule(const struct clock_schedule *s, struct catchup_rule *rule)
{
    const struct schedule_config *c = s->config;

    *rule = (struct catchup_rule) { .name = c->name, .timing = &c->timing, .jitter_ms = c->jitter_ms,
                                    .catchup = (enum catchup)c->catchup, .window_ms = c->catchup_window_ms };
}

static int put_at(struct heap *heap, struct clock_schedule *s, int64_t next_ms, int64_t wake_ms)
{
    s->next_ms = next_ms;
    if (next_ms == INT64_MAX) {
        heap_remove(heap, &s->node);
        return 0;
    }
    return heap_set(heap, &s->node, wake_ms);
}

int clock_place(struct clock_room *room, struct heap *heap, struct clock_schedule *s)
{
    struct catchup_rule rule;
    int64_t next_ms;

    (void)room;
    if (s->paused) {
        heap_remove(heap, &s->node);
        return 0;
    }
    clock_rule(s, &rule);
    next_ms = timing_next(rule.timing, s->cursor_ms);
    return put_at(heap, s, next_ms, catchup_wake(&rule, next_ms));
}

static void firing_free(struct clock_firing *f)
{
    json_decref(f->firing.event);
    config_release(f->config);
    free(f->claim_key);
    free(f->skip_reason);
    free(f);
}

void clock_firing_moved(struct clock_firing *firing, struct clock_schedule *s)
{
    firing->schedule = s;
}

/* It could not be written down: all that is held is tried again after a pause that grows. */
static void hold(struct clock_room *room, struct clock_schedule *s)
{
    uint64_t dice;

    s->held = true;
    if (room->closing || uv_is_active((uv_handle_t *)&room->retry))
        return;
    id_random(&dice, sizeof dice);
    room->tries++;
    uv_timer_start(&room->retry, clock_retry, (uint64_t)pace_backoff(RETRY_BASE_MS, RETRY_CAP_MS, room->tries, dice), 0);
}

static void write_cursor(struct clock_room *room, struct clock_schedule *s)
{
    if (clock_note_cursor(room, s->config->name, s->cursor_ms) != 0) {
        log_error("clock: no memory to write down how far schedule %s has come", s->config->name);
        return;
    }
    clock_notes_write(room);
}

static void step(struct clock_room *room, struct clock_schedule *s, int64_t now_ms);

/* The event's own fault: its run is skipped, with the reason, and the schedule goes on. */
static bool ring_as_skipped(struct clock_firing *f)
{
    if (f->skip_reason != NULL)
        return false;
    f->skip_reason = strdup(f->firing.error.code != 0 ? f->firing.error.text : "its input program failed");
    if (f->skip_reason == NULL)
        return false;
    f->firing.program = NULL;
    f->firing.skip_reason = f->skip_reason;
    f->firing.error = (struct error) { 0 };
    f->room->bell.ring(f->room->bell.data, &f->firing);
    return true;
}

static const char *word_for(const struct firing *firing, int status)
{
    if (status == BF_EEXIST)
        return "fired before";
    if (status != 0)
        return error_name(status);
    return firing->passed_over ? "passed over" : run_state_name(firing->state);
}

/* Dealt with, one way or the other: the cursor is at least there. */
static void advance(struct clock_room *room, struct clock_schedule *s, int64_t due_ms, bool is_written)
{
    bool behind = due_ms < s->cursor_ms;

    if (!behind)
        s->cursor_ms = due_ms;
    if (!is_written || behind)
        write_cursor(room, s);
}

static void fired(struct firing *firing, int status)
{
    struct clock_firing *f = firing->data;
    struct clock_room *room = f->room;
    struct clock_schedule *s = f->schedule;
    const char *name = firing->trigger_name;
    char due[TIME_TEXT_SIZE];

    time_format(firing->due_ms, due);
    if (status == BF_EINVAL && !room->closing) {
        log_warning("schedule %s: its firing for %s is skipped: %s", name, due, firing->error.text);
        if (ring_as_skipped(f))
            return;
    }
    if (s != NULL) {
        s->firing = NULL;
        s->last_word = word_for(firing, status);
    }
    if (status == 0 || status == BF_EEXIST || status == BF_EINVAL) {
        room->tries = 0;
        if (s != NULL)
            advance(room, s, firing->due_ms, status == 0 && !firing->passed_over);
    } else if (status != BF_ESHUTDOWN) {
        log_error("schedule %s: its firing for %s could not be written down and will be tried again: %s", name, due,
                  firing->error.code != 0 ? firing->error.text : error_name(status));
        if (s != NULL && !s->paused)
            hold(room, s);
    }
    firing_free(f);
    if (s != NULL && !s->held && !s->paused && !room->closing && status != BF_ESHUTDOWN) {
        step(room, s, room->hands.wall_ms(room->hands.data));
        clock_look(room);
    }
    clock_let_go(room);
}

static struct clock_firing *firing_new(struct clock_room *room, struct clock_schedule *s, int64_t due_ms, int64_t now_ms)
{
    const struct schedule_config *c = s->config;
    struct clock_firing *f = calloc(1, sizeof *f);
    struct buf key = { 0 };
    char due[TIME_TEXT_SIZE];

    if (f == NULL)
        return NULL;
    time_format(due_ms, due);
    buf_addf(&key, "%s@%s", c->name, due);
    f->room = room;
    f->schedule = s;
    f->config = config_hold(room->config);
    f->claim_key = buf_take(&key);
    f->cursor = (struct record) { .kind = RECORD_CURSOR, .scope = "schedule", .key = c->name, .value = due_ms };
    f->firing = (struct firing) {
        .kind = TRIGGER_SCHEDULE, .trigger_name = c->name, .process = c->process, .overlap = (enum overlap)c->overlap,
        .program = c->input != NULL ? c->input : c->process->input, .claim_scope = "schedule", .claim_key = f->claim_key,
        .claim_until_ms = (due_ms > now_ms ? due_ms : now_ms) + CLAIM_LIFE_MS, .due_ms = due_ms, .with = &f->cursor,
        .with_count = 1, .cb = fired, .data = f };
    id_new(now_ms, f->firing.id);
    f->firing.event = event_new(f->firing.id, TRIGGER_SCHEDULE, c->name, now_ms, due_ms, NULL);
    if (f->claim_key == NULL || f->firing.event == NULL) {
        firing_free(f);
        return NULL;
    }
    return f;
}

static void ring(struct clock_room *room, struct clock_schedule *s, int64_t due_ms, int64_t now_ms)
{
    struct clock_firing *f = firing_new(room, s, due_ms, now_ms);

    if (f == NULL) {
        log_error("schedule %s: out of memory, will be tried again", s->config->name);
        hold(room, s);
        return;
    }
    s->firing = f;
    room->open++;
    room->bell.ring(room->bell.data, &f->firing);
}

static void say_dropped(const struct clock_schedule *s, const struct catchup_verdict *v)
{
    char last[TIME_TEXT_SIZE];

    time_format(v->dropped_ms, last);
    log_warning("schedule %s: %u%s due time%s missed and not caught up, the last one %s", s->config->name, v->dropped,
                v->dropped == CATCHUP_COUNT_MAX ? " or more" : "", v->dropped == 1 ? "" : "s", last);
}

static void say_caught_up(const struct clock_schedule *s, const struct catchup_verdict *v)
{
    char due[TIME_TEXT_SIZE];

    time_format(v->fire_ms, due);
    log_notice("schedule %s: catching up on %s", s->config->name, due);
}

static void step(struct clock_room *room, struct clock_schedule *s, int64_t now_ms)
{
    const struct catchup_place place = { .cursor_ms = s->cursor_ms, .seen_ms = s->seen_ms, .fresh = s->fresh };
    struct catchup_rule rule;
    struct catchup_verdict v;

    clock_rule(s, &rule);
    catchup_look(&rule, &place, now_ms, &v);
    s->fresh = false;
    if (v.dropped > 0)
        say_dropped(s, &v);
    put_at(&room->heap, s, v.next_ms, v.wake_ms);
    if (v.fire_ms == 0) {
        if (v.cursor_ms == s->cursor_ms)
            return;
        s->cursor_ms = v.cursor_ms;
        write_cursor(room, s);
        return;
    }
    if (v.missed)
        say_caught_up(s, &v);
    ring(room, s, v.fire_ms, now_ms);
}

/* Due while an earlier firing is not written down yet: it waits for that one, and will not count as missed. */
static void see_it_come(struct clock_room *room, struct clock_schedule *s, int64_t now_ms)
{
    struct catchup_rule rule;
    int64_t next_ms;

    clock_rule(s, &rule);
    if (now_ms - s->node.due_ms <= CATCHUP_GRACE_MS)
        s->seen_ms = now_ms;
    next_ms = timing_next(rule.timing, now_ms > s->next_ms ? now_ms : s->next_ms);
    put_at(&room->heap, s, next_ms, catchup_wake(&rule, next_ms));
}

static void set_timer(struct clock_room *room)
{
    const struct heap_node *first = heap_first(&room->heap);
    int64_t at_ms = first != NULL ? first->due_ms : INT64_MAX;
    int rc;

    if (at_ms == room->armed_ms)
        return;
    rc = room->hands.arm(room->hands.data, room->fd, at_ms);
    if (rc == -ECANCELED)   /* set this instant: the timer stands, and the look that follows is the next turn's */
        rc = room->hands.arm(room->hands.data, room->fd, at_ms);
    if (rc != 0 && rc != -ECANCELED)
        log_error("clock: cannot set the timer: %s", strerror(-rc));
    room->armed_ms = at_ms;
}

void clock_look(struct clock_room *room)
{
    int64_t now_ms = room->hands.wall_ms(room->hands.data);

    if (!room->started || room->closing)
        return;
    for (int i = 0; i < TURN_MAX; i++) {
        struct heap_node *node = heap_first(&room->heap);
        struct clock_schedule *s = (struct clock_schedule *)(void *)node;

        if (node == NULL || node->due_ms > now_ms)
            break;
        if (s->firing != NULL || s->held)
            see_it_come(room, s, now_ms);
        else
            step(room, s, now_ms);
    }
    set_timer(room);
}

void clock_retry(uv_timer_t *timer)
{
    struct clock_room *room = timer->data;
    int64_t now_ms = room->hands.wall_ms(room->hands.data);

    for (size_t i = 0; i < room->count; i++) {
        if (!room->schedules[i].held)
            continue;
        room->schedules[i].held = false;
        step(room, &room->schedules[i], now_ms);
    }
    clock_look(room);
}
