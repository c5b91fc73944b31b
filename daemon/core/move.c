/* Moves: a run's record is written first, and what follows from it is ordered when it is durable. */
#include <stdlib.h>
#include <string.h>

#include "belfry/core/pace.h"
#include "internal.h"

struct open_run *run_find(const struct engine *e, const char *run_id)
{
    struct open_run *run;

    HASH_FIND(hh, e->runs, run_id, strlen(run_id), run);
    return run;
}

struct open_run *run_add(struct engine *e, struct lane *lane, const char *id)
{
    struct open_run *run = engine_alloc(sizeof *run);

    memcpy(run->rec.id, id, sizeof run->rec.id);
    run->lane = lane;
    run->rec.outcome = RUN_QUEUED;
    run->rec.stop_as = RUN_QUEUED;
    heap_node_init(&run->wake);
    HASH_ADD(hh, e->runs, rec.id, (unsigned)strlen(run->rec.id), run);
    return run;
}

void run_drop(struct engine *e, struct open_run *run)
{
    lane_leave_line(e, run);
    lane_uncount(run);
    lane_give_back(e, run);
    heap_remove(&e->wakes, &run->wake);
    HASH_DEL(e->runs, run);
    run_record_close(&run->rec);
    free(run->trouble);
    free(run);
}

void run_move(struct open_run *run, enum run_state to)
{
    assert(run_move_allowed(run->rec.state, to));
    run->rec.state = to;
}

void engine_set_wake(struct engine *e)
{
    struct heap_node *first = heap_first(&e->wakes);
    int64_t due = first != NULL ? first->due_ms : INT64_MAX;

    if (due == e->wake_at_ms)
        return;
    e->wake_at_ms = due;
    e->world.wake_at(e->world.data, due);
}

void run_wake_in(struct engine *e, struct open_run *run, struct instant now, int64_t wait_ms)
{
    if (heap_set(&e->wakes, &run->wake, now.mono_ms + wait_ms) != 0)
        abort();
    engine_set_wake(e);
}

void run_sleep(struct engine *e, struct open_run *run)
{
    heap_remove(&e->wakes, &run->wake);
    engine_set_wake(e);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

struct write {
    struct commit commit;
    struct engine *engine;
    struct run_record snapshot;
    enum then then;
    struct record records[];
};

/* A run's end is on disk: its place in memory is free, and whoever waits is told. */
static void end(struct engine *e, struct open_run *run, const struct run_record *record)
{
    e->totals.ended[record->state]++;
    run_drop(e, run);
    e->world.ended(e->world.data, record);
}

void run_follow(struct engine *e, struct open_run *run)
{
    const struct run_record *rec = &run->rec;

    e->world.follow(e->world.data, rec);
    if (rec->drain != DRAIN_NO)
        e->world.stop(e->world.data, rec, STOP_BEGINNING);
    if (rec->stop_as != RUN_QUEUED)
        e->world.stop(e->world.data, rec, STOP_GENTLY);
}

static void order(struct engine *e, struct open_run *run, const struct write *w)
{
    const struct run_record *rec = &run->rec;
    void *data = e->world.data;

    switch (w->then) {
    case THEN_START:
        if (rec->state != RUN_STARTING || rec->attempt != w->snapshot.attempt)
            return;
        if (run_is_stopping(rec))
            run_collect_stopped(e, run, e->now);
        else
            e->world.start(data, rec, NULL, NULL);
        return;
    case THEN_FOLLOW:
        if (rec->state != RUN_RUNNING)
            return;
        e->world.note(data, rec, NULL);
        run_follow(e, run);
        return;
    case THEN_DRAIN:
    case THEN_STOP_GENTLY:
    case THEN_STOP_AT_ONCE:
        if (rec->state == RUN_RUNNING)
            e->world.stop(data, rec, w->then == THEN_DRAIN ? STOP_BEGINNING : w->then == THEN_STOP_GENTLY ? STOP_GENTLY : STOP_AT_ONCE);
        return;
    case THEN_COLLECT:
        if (rec->state == RUN_COLLECTING)
            e->world.collect(data, rec);
        return;
    case THEN_END:
        end(e, run, &w->snapshot);
        return;
    case THEN_NOTHING:
        return;
    }
}

/* Nothing can be written down of it any more, so that nothing may be done. */
static void drop(struct engine *e, struct open_run *run, const struct run_record *record)
{
    run_drop(e, run);
    e->world.dropped(e->world.data, record);
    lanes_pump(e, e->now);
}

static void written(struct commit *commit, int status)
{
    struct write *w = (struct write *)commit->data;
    struct engine *e = w->engine;
    struct open_run *run = run_find(e, w->snapshot.id);

    /* `must`: any other failure is the store's end, and then nothing more is ordered. */
    if (status == 0 && run != NULL)
        order(e, run, w);
    else if (status == BF_ENOENT && run != NULL)
        drop(e, run, &w->snapshot);
    run_record_close(&w->snapshot);
    free(w);
}

void run_write(struct engine *e, struct open_run *run, enum then then)
{
    size_t lines = then == THEN_END ? e->target_count : 0;
    struct write *w = engine_alloc(sizeof *w + (2 + lines) * sizeof *w->records);
    const char *own = NULL;

    w->engine = e;
    w->then = then;
    if (run_record_copy(&w->snapshot, &run->rec) != 0)
        abort();
    w->records[0] = (struct record) { .kind = RECORD_RUN_SET, .run = &w->snapshot };
    for (size_t i = 0; i < lines; i++)
        w->records[1 + i] = (struct record) { .kind = RECORD_LINE_ADD, .scope = e->targets[i], .run_id = w->snapshot.id };
    if ((then == THEN_END || then == THEN_FOLLOW) && e->world.line != NULL)
        own = e->world.line(e->world.data, &w->snapshot);
    if (own != NULL)
        w->records[1 + lines++] = (struct record) { .kind = RECORD_LINE_ADD, .scope = own, .run_id = w->snapshot.id };
    w->commit = (struct commit) { .records = w->records, .count = 1 + lines, .must = true, .cb = written, .data = w };
    e->world.commit(e->world.data, &w->commit);
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

void run_begin(struct engine *e, struct open_run *run)
{
    run_sleep(e, run);
    run_move(run, RUN_STARTING);
    run->rec.attempt++;
    run->rec.not_before_ms = 0;
    run->looks = 0;
    run->unknown_since_ms = 0;
    lane_take(e, run);
    run_write(e, run, THEN_START);
}

void run_collect(struct engine *e, struct open_run *run, struct instant now, enum run_state outcome, const char *code,
                 const char *message)
{
    lane_leave_line(e, run);
    lane_uncount(run);
    run_sleep(e, run);
    run_move(run, RUN_COLLECTING);
    run->rec.outcome = outcome;
    run->rec.unconfirmed = false;
    if (run->rec.ended_ms == 0)
        run->rec.ended_ms = now.wall_ms;
    engine_set_text(&run->rec.error_code, code);
    engine_set_text(&run->rec.error_message, message);
    engine_set_text(&run->trouble, NULL);
    run->tries = 0;
    lane_give_back(e, run);
    run_write(e, run, THEN_COLLECT);
    lanes_pump(e, now);
}

void run_collect_stopped(struct engine *e, struct open_run *run, struct instant now)
{
    run_collect(e, run, now, run->rec.stop_as != RUN_QUEUED ? run->rec.stop_as : RUN_CANCELED, NULL, NULL);
}

void run_delay(struct engine *e, struct open_run *run, struct instant now, int64_t wait_ms)
{
    run_move(run, RUN_QUEUED);
    run->rec.not_before_ms = now.wall_ms + wait_ms;
    lane_give_back(e, run);
    lane_count(run);
    run_write(e, run, THEN_NOTHING);
    run_wake_in(e, run, now, wait_ms);
    lanes_pump(e, now);
}

void run_stop(struct engine *e, struct open_run *run, struct instant now, enum run_state as, const char *reason, enum then how)
{
    engine_set_text(&run->rec.reason, reason);
    run->rec.stop_as = as;
    if (!run->on_disk)
        return;   /* its admission goes on from there, if it comes to that */
    if (run->rec.state == RUN_QUEUED)
        run_collect(e, run, now, as, NULL, NULL);
    else
        run_write(e, run, how);
}

void run_forget_remote(struct open_run *run)
{
    if (!run->lane->set.memo_lasts)
        engine_set_text(&run->rec.memo, NULL);
    engine_set_text(&run->rec.remote_id, NULL);
    engine_set_text(&run->rec.remote_url, NULL);
}

void run_arm_deadline(struct engine *e, struct open_run *run, struct instant now)
{
    const struct lane_settings *set = &run->lane->set;
    int64_t left;

    if (set->timeout_ms == 0 || set->backend_times_out) {
        run_sleep(e, run);
        return;
    }
    left = run->rec.started_ms + set->timeout_ms - now.wall_ms;
    /* A wall clock that was set meanwhile cannot make the run's time longer than it is. */
    if (left > set->timeout_ms)
        left = set->timeout_ms;
    run_wake_in(e, run, now, left > 0 ? left : 0);
}
