/* A run that had ended is taken up again: a person has what failed tried once more, or says that all is well. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct reopening {
    struct commit commit;
    struct engine *engine;
    struct run_record snapshot;
    void (*done)(void *data, int status);
    void *data;
    struct record records[];
};

static void reopened(struct commit *commit, int status)
{
    struct reopening *r = (struct reopening *)commit->data;
    struct engine *e = r->engine;
    struct open_run *run = run_find(e, r->snapshot.id);

    if (run != NULL && status != 0) {
        run_drop(e, run);
    } else if (run != NULL) {
        run->on_disk = true;
        if (run->rec.state == RUN_COLLECTING)
            e->world.collect(e->world.data, &run->rec);
        else if (run_is_stopping(&run->rec))
            run_collect_stopped(e, run, e->now);
        else
            lane_line_up(e, run);
    }
    lanes_pump(e, e->now);
    r->done(r->data, status);
    run_record_close(&r->snapshot);
    free(r);
}

/* As it is before its first attempt, but for what tells of the earlier ones. */
static void begin_anew(struct open_run *run)
{
    struct run_record *rec = &run->rec;

    rec->state = RUN_QUEUED;
    rec->outcome = RUN_QUEUED;
    rec->stop_as = RUN_QUEUED;
    rec->drain = DRAIN_NO;
    rec->failures = 0;
    rec->not_before_ms = 0;
    rec->ended_ms = 0;
    rec->has_exit_code = false;
    rec->exit_code = 0;
    engine_set_text(&rec->error_code, NULL);
    engine_set_text(&rec->error_message, NULL);
    engine_set_text(&rec->reason, NULL);
    run_forget_remote(run);
}

/* Nothing of it is to be tried again: it is over. */
static void begin_to_end(struct run_record *rec, struct instant now, const char *reason)
{
    rec->state = RUN_COLLECTING;
    rec->outcome = RUN_COMPLETED;
    rec->ended_ms = now.wall_ms;
    engine_set_text(&rec->backend_state, "completed");
    engine_set_text(&rec->reason, reason);
}

/* `settled`: why it is over, or NULL. */
static int take_up(struct engine *engine, struct instant now, const struct run_record *record, const char *settled,
                   const struct record *with, size_t count, void (*done)(void *data, int status), void *data)
{
    struct lane *lane = lane_find(engine, record->process);
    struct reopening *r;
    struct open_run *run;

    if (run_find(engine, record->id) != NULL)
        return BF_EEXIST;
    if (!run_move_allowed(record->state, RUN_QUEUED))
        return BF_EINVAL;
    if (lane == NULL || !lane->configured)
        return BF_ENOENT;
    engine->now = now;
    r = calloc(1, sizeof *r + (1 + count) * sizeof *r->records);
    if (r == NULL)
        return BF_ENOMEM;
    run = run_add(engine, lane, record->id);
    if (run_record_copy(&run->rec, record) != 0)
        abort();
    begin_anew(run);
    if (settled != NULL)
        begin_to_end(&run->rec, now, settled);
    else
        lane_count(run);
    if (run_record_copy(&r->snapshot, &run->rec) != 0)
        abort();
    r->engine = engine;
    r->done = done;
    r->data = data;
    r->records[0] = (struct record) { .kind = RECORD_RUN_SET, .run = &r->snapshot };
    for (size_t i = 0; i < count; i++)
        r->records[1 + i] = with[i];
    r->commit = (struct commit) { .records = r->records, .count = 1 + count, .cb = reopened, .data = r };
    engine->world.commit(engine->world.data, &r->commit);
    return 0;
}

int engine_reopen(struct engine *engine, struct instant now, const struct run_record *record, const struct record *with, size_t count,
                  void (*done)(void *data, int status), void *data)
{
    return take_up(engine, now, record, NULL, with, count, done, data);
}

int engine_settle(struct engine *engine, struct instant now, const struct run_record *record, const char *reason,
                  void (*done)(void *data, int status), void *data)
{
    return take_up(engine, now, record, reason, NULL, 0, done, data);
}
