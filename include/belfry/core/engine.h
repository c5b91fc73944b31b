/*
 * The engine: the one place that admits firings and moves runs from state to state. It knows no loop, no database, no
 * network and no clock: it is told what happened and when, and gives orders to a world (the daemon's, or the simulated
 * one of tests/sim). Its one rule: write down what is about to be done, do it, write down what came of it. An order is
 * given only after the record that lets a restarted daemon finish or recognise it is durable.
 *
 *   who calls        what                                         what the engine orders then
 *   a trigger        engine_admit                                 commit, then start
 *   a person         engine_cancel, engine_drain                  commit, then stop
 *                    engine_reopen                                commit, then start
 *                    engine_settle                                commit, then collect
 *   the backend      engine_started, _not_started, _start_unknown,
 *                    _found, _ended, _collected                   commit, then follow, find, collect, publish
 *   the clock        engine_wake                                  what has come due: retries, look-ups, deadlines
 *
 * Everything runs on one thread. No callback of the world is called back into the engine from within an order: the world
 * reports later, from the loop.
 */
#ifndef BELFRY_CORE_ENGINE_H
#define BELFRY_CORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/base/error.h"
#include "belfry/base/time.h"
#include "belfry/core/record.h"
#include "belfry/core/run.h"

struct engine;

/* How a run is stopped: by beginning nothing more of it, gently (the backend's own way), or at once. */
enum stop_how { STOP_BEGINNING, STOP_GENTLY, STOP_AT_ONCE };

/* Orders. `run` is lent for the call. None of them fails: what cannot be done is reported as its outcome. */
struct engine_world {
    void *data;
    /* Makes records durable; the commit's callback later. */
    void (*commit)(void *data, struct commit *commit);
    /* Starts the run (its intent is durable). event and input are its JSON texts when the engine still has them from the
     * firing; event NULL: the world reads them from the journal. → engine_started, engine_not_started or
     * engine_start_unknown. */
    void (*start)(void *data, const struct run_record *run, const char *event, const char *input);
    /* Looks whether a start that got no answer took effect. → engine_found. */
    void (*find)(void *data, const struct run_record *run);
    /* Follows a run until it is over. → engine_ended; after a restart too. */
    void (*follow)(void *data, const struct run_record *run);
    /* Asks for an end; the run is followed already. No report of its own. May be ordered again. */
    void (*stop)(void *data, const struct run_record *run, enum stop_how how);
    /* Brings the outputs home and publishes the result folder (idempotent: a crash repeats it). → engine_collected. */
    void (*collect)(void *data, const struct run_record *run);
    /* The run's end is durable and its result lines are in the journal: tell whoever waits, act on watched files, send
     * lines. No report. Also called for a skipped firing. */
    void (*ended)(void *data, const struct run_record *run);
    /* The store has no record of the run any more: it is no run, its end is nobody's, nothing of it is to go on. No report. */
    void (*dropped)(void *data, const struct run_record *run);
    /* A start of a run, or a failure to start one, for syslog; text says why it failed, NULL when it started. */
    void (*note)(void *data, const struct run_record *run, const char *text);
    /* A line of its own for somebody who wants to be told of this write of the run, which began or has ended (LINE_ADD's scope);
     * NULL: nobody. May be NULL itself. */
    const char *(*line)(void *data, const struct run_record *run);
    /* Call engine_wake at that time (monotonic ms; INT64_MAX: never). One wake-up is asked for at a time. */
    void (*wake_at)(void *data, int64_t mono_ms);
    /* Random bytes: of the kernel, or of the simulation's seed. */
    void (*random)(void *data, void *bytes, size_t len);
};

/* What the engine has to know of a process: copied. */
struct lane_settings {
    const char *process;
    const char *workspace;
    size_t max_parallel;
    size_t queue_limit;
    unsigned retries;
    int64_t retry_delay_ms;
    unsigned retry_on;          /* bits 1 << enum run_state of end states */
    int64_t timeout_ms;         /* 0: none. From the start; a run that cannot be started gives up after it too */
    bool memo_lasts;            /* what the backend notes is of the run (local), not of an attempt */
    bool backend_times_out;     /* the backend itself ends a run at timeout_ms (local): the engine only stands by */
};

/* `world` is copied. 0 or BF_ENOMEM. */
int engine_new(const struct engine_world *world, struct engine **engine);
void engine_free(struct engine *engine);

/* Sets or changes the processes (reload): lanes that are no longer named finish what they have and admit nothing.
 * max_runs bounds the runs that are starting or running at once; line_targets name the syslog targets that get a result
 * line for each end (copied). */
int engine_configure(struct engine *engine, size_t max_runs, const struct lane_settings *lanes, size_t count,
                     const char *const *line_targets, size_t target_count);

/* --- firings ------------------------------------------------------------------------------------------------------ */

struct admission;
/* status: 0 admitted (run_id, state), BF_EEXIST (the key was seen: run_id is the earlier run), BF_ENOSPC or BF_EIO (not
 * written down: nothing happened). Called once, never before engine_admit has returned. */
typedef void (*admission_cb)(struct admission *admission, int status);

/* Owned by the caller until the callback; strings are lent until then. */
struct admission {
    const char *process;
    enum trigger_kind kind;
    const char *trigger_name;
    enum overlap overlap;             /* UNSET: buffer_one for a schedule, buffer_all for the others */
    char id[ID_SIZE];                 /* the run's id to be; empty: the engine makes one */
    const char *event;                /* JSON text */
    const char *input;                /* JSON array of payloads; NULL: the event's default payload */
    int64_t due_ms;
    const char *claim_scope;          /* a key that admits once: NULL for none */
    const char *claim_key;
    int64_t claim_until_ms;
    const struct record *with;        /* records that become durable with the firing, or not at all: its cursor, its file */
    size_t with_count;
    bool refuse_when_full;            /* else a full queue is a skipped run */
    const char *skip_reason;          /* not NULL: the trigger already knows that this firing is to be skipped, and why */
    const char *skip_code;            /* a word for it; NULL: "skipped" */
    admission_cb cb;
    void *data;
    /* the answer */
    char run_id[ID_SIZE];
    enum run_state state;
    void *pending;                    /* the engine's */
};

/* 0: taken, the callback will come. Else refused on the spot and no callback comes: BF_ENOENT (no such process),
 * BF_EAGAIN (the queue is full and `refuse_when_full`), BF_ENOMEM. */
int engine_admit(struct engine *engine, struct instant now, struct admission *admission);

/* --- persons ------------------------------------------------------------------------------------------------------ */

/* Asks for a run's end. 0 when it is on its way, BF_ENOENT when no such run is open. `reason` is copied. */
int engine_cancel(struct engine *engine, struct instant now, const char *run_id, enum run_state as, const char *reason);
/* Has nothing more of it begun: what runs ends by itself, and its end is the run's. One that has not begun, or cannot, is canceled. As
 * above. */
int engine_drain(struct engine *engine, struct instant now, const char *run_id, enum run_drain how, const char *reason);
/* Takes up a run that has ended: it is queued again, as a further attempt, with `count` records (lent) in the same commit; then
 * done(data, status), as in admission. 0: the callback will come. Else refused on the spot: BF_EEXIST (it is open), BF_EINVAL
 * (it completed, or was skipped), BF_ENOENT (its process is not configured), BF_ENOMEM. done has BF_ENOENT when the run's record is
 * gone by then. */
int engine_reopen(struct engine *engine, struct instant now, const struct run_record *run, const struct record *with, size_t count,
                  void (*done)(void *data, int status), void *data);
/* Has a run that has ended complete after all, for that reason (copied), without another attempt: its results are collected anew.
 * done and what it gives back as in engine_reopen. */
int engine_settle(struct engine *engine, struct instant now, const struct run_record *run, const char *reason,
                  void (*done)(void *data, int status), void *data);
/* No new starts (the daemon stops, or a person paused a process): firings are still admitted and queued. */
void engine_hold(struct engine *engine, bool hold);

/* --- what the world reports --------------------------------------------------------------------------------------- */

/* At start: a run that had not ended; copied. Then engine_resume once, when all are in. */
int engine_recover(struct engine *engine, const struct run_record *run);
void engine_resume(struct engine *engine, struct instant now);

/* A workspace is there again that the world had no backend for: what was ordered of its runs is ordered once more. */
void engine_take_up(struct engine *engine, struct instant now, const char *workspace);

/* The backend wants `memo` on disk with the run before it goes on; done(data, status) then: 0, or BF_ECANCELED when the
 * run is no longer starting. */
void engine_write_memo(struct engine *engine, const char *run_id, const char *memo, void (*done)(void *data, int status),
                       void *data);
/* remote_id and remote_url may be NULL (local). started_ms 0: now. */
void engine_started(struct engine *engine, struct instant now, const char *run_id, const char *remote_id,
                    const char *remote_url, const char *backend_state, int64_t started_ms);
/* Surely not started. `again`: the reason may pass (retried with back-off, and at least after retry_after_ms when that is
 * not 0); else the run fails, or counts as a failed attempt when it has retries. */
void engine_not_started(struct engine *engine, struct instant now, const char *run_id, const struct error *why, bool again,
                        int64_t retry_after_ms);
/* Nobody knows: it will be looked up before it is tried again. */
void engine_start_unknown(struct engine *engine, struct instant now, const char *run_id, const struct error *why);

enum found { FOUND_STARTED, FOUND_ABSENT /* for sure */, FOUND_NOT_SEEN /* not so far */, FOUND_UNKNOWN /* could not look */,
    FOUND_DIED /* it had begun, and is gone without an outcome */ };
void engine_found(struct engine *engine, struct instant now, const char *run_id, enum found found, const char *remote_id,
                  const char *remote_url, int64_t started_ms);

/* A run is over at its backend. */
struct run_end {
    enum run_state outcome;       /* COMPLETED, FAILED, CANCELED, TIMED_OUT, LOST */
    const char *backend_state;
    int64_t ended_ms;             /* wall; 0: now */
    bool has_exit_code;
    int exit_code;
    const char *error_code;       /* NULL when completed */
    const char *error_message;
};
void engine_ended(struct engine *engine, struct instant now, const char *run_id, const struct run_end *end);

/* The result folder is published: `result` is the JSON for the record. status not 0: not yet (a full disk, a dead
 * network); it is ordered again with back-off. */
void engine_collected(struct engine *engine, struct instant now, const char *run_id, int status, const struct error *why,
                      const char *result);

void engine_wake(struct engine *engine, struct instant now);

/* --- what can be seen --------------------------------------------------------------------------------------------- */

struct engine_stats {
    size_t queued, starting, running, collecting, unconfirmed;
    size_t held_up;                       /* collecting or starting again after a fault */
    uint64_t admitted, skipped, duplicates, ended[RUN_STATES];
    uint64_t start_failures;
};
void engine_stats(const struct engine *engine, struct engine_stats *stats);
/* An open run, or NULL. Lent until the engine is called again. */
const struct run_record *engine_run(const struct engine *engine, const char *run_id);
/* The last fault of an open run that is held up, or NULL. */
const char *engine_trouble(const struct engine *engine, const char *run_id);
void engine_each_run(const struct engine *engine, void (*each)(void *data, const struct run_record *run), void *data);

#endif
