/* Reports: what the backend and persons say of runs. A report about a run that is no longer where the report presumes it
 * is old news, and passes without effect. */
#include <stdlib.h>
#include <string.h>

#include "belfry/core/pace.h"
#include "internal.h"

#define BACKOFF_BASE_MS 1000
#define BACKOFF_CAP_MS 60000
#define LOOKS_BEFORE_ABSENT 5          /* 2 + 5 + 15 + 30 + 60 s: a start that took effect shows by then */
#define UNCONFIRMED_AFTER_MS 120000

static struct open_run *run_in(struct engine *e, struct instant now, const char *run_id, enum run_state state)
{
    struct open_run *run = run_find(e, run_id);

    e->now = now;
    return run != NULL && run->rec.state == state ? run : NULL;
}

/* --- memo --------------------------------------------------------------------------------------------------------- */

struct memo {
    struct commit commit;
    struct record record;
    struct run_record snapshot;
    struct engine *engine;
    void (*done)(void *data, int status);
    void *data;
};

static void memo_written(struct commit *commit, int status)
{
    struct memo *m = (struct memo *)commit->data;
    struct open_run *run = run_find(m->engine, m->snapshot.id);

    if (status == 0 && (run == NULL || run->rec.state != RUN_STARTING || run_is_stopping(&run->rec)))
        status = BF_ECANCELED;
    m->done(m->data, status);
    run_record_close(&m->snapshot);
    free(m);
}

void engine_write_memo(struct engine *engine, const char *run_id, const char *memo, void (*done)(void *data, int status),
                       void *data)
{
    struct open_run *run = run_find(engine, run_id);
    struct memo *m = engine_alloc(sizeof *m);

    assert(run != NULL && run->rec.state == RUN_STARTING);
    engine_set_text(&run->rec.memo, memo);
    if (run_record_copy(&m->snapshot, &run->rec) != 0)
        abort();
    m->engine = engine;
    m->done = done;
    m->data = data;
    m->record = (struct record) { .kind = RECORD_RUN_SET, .run = &m->snapshot };
    m->commit = (struct commit) { .records = &m->record, .count = 1, .must = true, .cb = memo_written, .data = m };
    engine->world.commit(engine->world.data, &m->commit);
}

/* --- starts ------------------------------------------------------------------------------------------------------- */

static void now_running(struct engine *e, struct open_run *run, struct instant now, const char *remote_id,
                        const char *remote_url, const char *backend_state, int64_t started_ms)
{
    run_move(run, RUN_RUNNING);
    run->rec.started_ms = started_ms != 0 ? started_ms : now.wall_ms;
    run->rec.unconfirmed = false;
    run->tries = 0;
    run->unknown_since_ms = 0;
    engine_set_text(&run->trouble, NULL);
    engine_set_text(&run->rec.remote_id, remote_id);
    engine_set_text(&run->rec.remote_url, remote_url);
    engine_set_text(&run->rec.backend_state, backend_state);
    run_write(e, run, THEN_FOLLOW);
    run_arm_deadline(e, run, now);
}

void engine_started(struct engine *engine, struct instant now, const char *run_id, const char *remote_id,
                    const char *remote_url, const char *backend_state, int64_t started_ms)
{
    struct open_run *run = run_in(engine, now, run_id, RUN_STARTING);

    if (run != NULL)
        now_running(engine, run, now, remote_id, remote_url, backend_state, started_ms);
}

static bool retries_left(const struct open_run *run, enum run_state outcome)
{
    const struct lane_settings *set = &run->lane->set;
    /* When its time was over nobody has asked for the end of it all. */
    bool wanted = run->rec.drain == DRAIN_NO &&
                  (run->rec.stop_as == RUN_QUEUED || (run->rec.stop_as == RUN_TIMED_OUT && outcome == RUN_TIMED_OUT));

    return (set->retry_on & (1u << outcome)) != 0 && run->rec.failures <= set->retries && wanted;
}

/* An attempt that failed: once more, or the end. */
static void attempt_failed(struct engine *e, struct open_run *run, struct instant now, enum run_state outcome,
                           const char *code, const char *message)
{
    run->rec.failures++;
    if (!retries_left(run, outcome)) {
        run_collect(e, run, now, outcome, code, message);
        return;
    }
    engine_set_text(&run->trouble, message);
    run->rec.ended_ms = 0;
    run->rec.stop_as = RUN_QUEUED;
    engine_set_text(&run->rec.reason, NULL);
    if (run->rec.state == RUN_RUNNING) {
        run_forget_remote(run);
    }
    run_delay(e, run, now, pace_retry(run->lane->set.retry_delay_ms, run->rec.failures, engine_dice(e)));
}

static bool waited_too_long(const struct open_run *run, struct instant now)
{
    int64_t timeout_ms = run->lane->set.timeout_ms;

    return timeout_ms > 0 && now.wall_ms - run->rec.accepted_ms >= timeout_ms;
}

static int64_t time_left(const struct open_run *run, struct instant now)
{
    int64_t timeout_ms = run->lane->set.timeout_ms;

    return timeout_ms > 0 ? run->rec.accepted_ms + timeout_ms - now.wall_ms : INT64_MAX;
}

void engine_not_started(struct engine *engine, struct instant now, const char *run_id, const struct error *why, bool again,
                        int64_t retry_after_ms)
{
    struct open_run *run = run_in(engine, now, run_id, RUN_STARTING);
    int64_t wait_ms;

    if (run == NULL)
        return;
    engine->totals.start_failures++;
    if (run_is_stopping(&run->rec)) {
        run_collect_stopped(engine, run, now);
        return;
    }
    /* Said at the first fault and when it is given up, not at each try; a start that waits for another's fault to pass is
     * none. */
    if ((run->tries == 0 && why->code != BF_EAGAIN) || !again)
        engine->world.note(engine->world.data, &run->rec, why->text);
    if (!again) {
        attempt_failed(engine, run, now, RUN_FAILED, "start_failed", why->text);
        return;
    }
    if (waited_too_long(run, now)) {
        run_collect(engine, run, now, RUN_FAILED, "start_failed", why->text);
        return;
    }
    run->tries++;
    engine_set_text(&run->trouble, why->text);
    wait_ms = pace_backoff(BACKOFF_BASE_MS, BACKOFF_CAP_MS, run->tries, engine_dice(engine));
    if (wait_ms < retry_after_ms)
        wait_ms = retry_after_ms;
    run_delay(engine, run, now, wait_ms < time_left(run, now) ? wait_ms : time_left(run, now));
}

static void look_again(struct engine *e, struct open_run *run, struct instant now)
{
    run->looks++;
    run_wake_in(e, run, now, pace_look(run->looks));
}

void engine_start_unknown(struct engine *engine, struct instant now, const char *run_id, const struct error *why)
{
    struct open_run *run = run_in(engine, now, run_id, RUN_STARTING);

    if (run == NULL)
        return;
    engine_set_text(&run->trouble, why->text);
    run->unknown_since_ms = now.mono_ms;
    run->looks = 0;
    look_again(engine, run, now);
}

/* The start surely did not take effect: it is made again, with an intent of its own. */
static void start_over(struct engine *e, struct open_run *run, struct instant now)
{
    if (run_is_stopping(&run->rec))
        run_collect_stopped(e, run, now);
    else
        run_begin(e, run);
}

static void still_unknown(struct engine *e, struct open_run *run, struct instant now)
{
    if (run->unknown_since_ms == 0)
        run->unknown_since_ms = now.mono_ms;
    if (!run->rec.unconfirmed && now.mono_ms - run->unknown_since_ms >= UNCONFIRMED_AFTER_MS) {
        run->rec.unconfirmed = true;
        e->world.note(e->world.data, &run->rec,
                      "a start request got no answer and cannot be looked up: it is unconfirmed, and still looked for");
        run_write(e, run, THEN_NOTHING);
    }
    look_again(e, run, now);
}

void engine_found(struct engine *engine, struct instant now, const char *run_id, enum found found, const char *remote_id,
                  const char *remote_url, int64_t started_ms)
{
    struct open_run *run = run_in(engine, now, run_id, RUN_STARTING);

    if (run == NULL)
        return;
    switch (found) {
    case FOUND_STARTED:
        now_running(engine, run, now, remote_id, remote_url, NULL, started_ms);
        return;
    case FOUND_ABSENT:
        start_over(engine, run, now);
        return;
    case FOUND_NOT_SEEN:
        if (run->looks >= LOOKS_BEFORE_ABSENT)
            start_over(engine, run, now);
        else
            look_again(engine, run, now);
        return;
    case FOUND_UNKNOWN:
        still_unknown(engine, run, now);
        return;
    case FOUND_DIED:
        if (started_ms != 0)
            run->rec.started_ms = started_ms;
        attempt_failed(engine, run, now, RUN_LOST, "lost", "the run had begun, and ended without leaving its outcome");
        return;
    }
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

/* A run that was asked to stop and did not complete has stopped: its end says who asked. */
static enum run_state true_outcome(const struct open_run *run, enum run_state reported)
{
    if (reported != RUN_COMPLETED && run->rec.stop_as != RUN_QUEUED)
        return run->rec.stop_as;
    return reported;
}

void engine_ended(struct engine *engine, struct instant now, const char *run_id, const struct run_end *end)
{
    struct open_run *run = run_in(engine, now, run_id, RUN_RUNNING);
    enum run_state outcome;

    if (run == NULL)
        return;
    outcome = true_outcome(run, end->outcome);
    run->rec.ended_ms = end->ended_ms != 0 ? end->ended_ms : now.wall_ms;
    run->rec.has_exit_code = end->has_exit_code;
    run->rec.exit_code = end->exit_code;
    if (end->backend_state != NULL)
        engine_set_text(&run->rec.backend_state, end->backend_state);
    if (outcome == RUN_COMPLETED)
        run_collect(engine, run, now, outcome, NULL, NULL);
    else
        attempt_failed(engine, run, now, outcome, end->error_code, end->error_message);
}

void engine_collected(struct engine *engine, struct instant now, const char *run_id, int status, const struct error *why,
                      const char *result)
{
    struct open_run *run = run_in(engine, now, run_id, RUN_COLLECTING);

    if (run == NULL)
        return;
    if (status != 0) {
        run->tries++;
        engine_set_text(&run->trouble, why->text);
        run_wake_in(engine, run, now, pace_backoff(BACKOFF_BASE_MS, BACKOFF_CAP_MS, run->tries, engine_dice(engine)));
        return;
    }
    run_move(run, run->rec.outcome);
    run->rec.outcome = RUN_QUEUED;
    engine_set_text(&run->rec.result, result);
    run_write(engine, run, THEN_END);
}

/* --- persons ------------------------------------------------------------------------------------------------------ */

int engine_cancel(struct engine *engine, struct instant now, const char *run_id, enum run_state as, const char *reason)
{
    struct open_run *run = run_find(engine, run_id);

    engine->now = now;
    if (run == NULL || run_state_is_end(run->rec.state))
        return BF_ENOENT;
    if (run->rec.state != RUN_COLLECTING && run->rec.stop_as == RUN_QUEUED)
        run_stop(engine, run, now, as, reason, THEN_STOP_GENTLY);
    return 0;
}

int engine_drain(struct engine *engine, struct instant now, const char *run_id, enum run_drain how, const char *reason)
{
    struct open_run *run = run_find(engine, run_id);

    if (run == NULL || !run->on_disk || (run->rec.state != RUN_STARTING && run->rec.state != RUN_RUNNING))
        return engine_cancel(engine, now, run_id, RUN_CANCELED, reason);
    engine->now = now;
    if (run->rec.drain == how || run->rec.stop_as != RUN_QUEUED)
        return 0;
    run->rec.drain = how;
    engine_set_text(&run->rec.reason, reason);
    run_write(engine, run, THEN_DRAIN);
    return 0;
}

void engine_hold(struct engine *engine, bool hold)
{
    engine->held = hold;
    if (!hold)
        lanes_pump(engine, engine->now);
}
