/* After a restart, and when something has come due. */
#include <stdlib.h>
#include <string.h>

#include "belfry/core/pace.h"
#include "internal.h"

#define LONGEST_BACKOFF_MS 60000
#define STOP_AGAIN_MS 30000   /* a stop that had no effect is asked for again, then at once */

int engine_recover(struct engine *engine, const struct run_record *record)
{
    struct lane *lane = lane_find(engine, record->process);
    struct open_run *run;

    if (lane == NULL)
        lane = lane_make(engine, record->process, record->workspace);
    run = run_add(engine, lane, record->id);
    if (run_record_copy(&run->rec, record) != 0) {
        HASH_DEL(engine->runs, run);
        free(run);
        return BF_ENOMEM;
    }
    run->on_disk = true;
    return 0;
}

/* A wall clock that was set back while the daemon was away must not stretch a short delay to hours. */
static int64_t delay_left(const struct open_run *run, struct instant now)
{
    int64_t left_ms = run->rec.not_before_ms - now.wall_ms;
    int64_t longest_ms = 2 * pace_retry(run->lane->set.retry_delay_ms, run->rec.failures, 0);

    if (longest_ms < LONGEST_BACKOFF_MS)
        longest_ms = LONGEST_BACKOFF_MS;
    return left_ms < longest_ms ? left_ms : longest_ms;
}

static void resume(struct engine *e, struct open_run *run, struct instant now)
{
    const struct run_record *rec = &run->rec;
    void *data = e->world.data;

    switch (rec->state) {
    case RUN_QUEUED:
        lane_count(run);
        if (run_is_stopping(rec)) {
            run_collect_stopped(e, run, now);
        } else if (rec->not_before_ms > now.wall_ms) {
            run_wake_in(e, run, now, delay_left(run, now));
        } else {
            lane_line_up(e, run);
        }
        return;
    case RUN_STARTING:
        lane_take(e, run);
        e->world.find(data, rec);
        return;
    case RUN_RUNNING:
        lane_take(e, run);
        run_follow(e, run);
        run_arm_deadline(e, run, now);
        return;
    case RUN_COLLECTING:
        e->world.collect(data, rec);
        return;
    default:
        return;   /* an end is no open run: the journal gives none */
    }
}

void engine_resume(struct engine *engine, struct instant now)
{
    struct open_run *run, *next;

    engine->now = now;
    HASH_ITER(hh, engine->runs, run, next)
        resume(engine, run, now);
    lanes_pump(engine, now);
}

void engine_take_up(struct engine *engine, struct instant now, const char *workspace)
{
    struct open_run *run, *next;

    engine->now = now;
    HASH_ITER(hh, engine->runs, run, next) {
        if (!run->on_disk || strcmp(run->rec.workspace, workspace) != 0)
            continue;
        if (run->rec.state == RUN_STARTING)
            engine->world.find(engine->world.data, &run->rec);
        else if (run->rec.state == RUN_RUNNING)
            run_follow(engine, run);
    }
}

static void overdue(struct engine *e, struct open_run *run, struct instant now)
{
    if (run->rec.stop_as == RUN_QUEUED) {
        run_stop(e, run, now, RUN_TIMED_OUT, "it ran longer than its timeout", THEN_STOP_GENTLY);
    } else {
        e->world.stop(e->world.data, &run->rec, STOP_AT_ONCE);
    }
    run_wake_in(e, run, now, STOP_AGAIN_MS);
}

static void wake(struct engine *e, struct open_run *run, struct instant now)
{
    switch (run->rec.state) {
    case RUN_QUEUED:
        lane_line_up(e, run);
        return;
    case RUN_STARTING:
        e->world.find(e->world.data, &run->rec);
        return;
    case RUN_RUNNING:
        overdue(e, run, now);
        return;
    case RUN_COLLECTING:
        e->world.collect(e->world.data, &run->rec);
        return;
    default:
        return;
    }
}

void engine_wake(struct engine *engine, struct instant now)
{
    struct heap_node *node;

    engine->now = now;
    engine->wake_at_ms = INT64_MAX;
    while ((node = heap_first(&engine->wakes)) != NULL && node->due_ms <= now.mono_ms) {
        struct open_run *run = HEAP_ENTRY(node, struct open_run, wake);

        heap_remove(&engine->wakes, node);
        wake(engine, run, now);
    }
    engine_set_wake(engine);
    lanes_pump(engine, now);
}
