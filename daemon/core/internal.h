/*
 * The engine's inside: what its files share. See include/belfry/core/engine.h for what it is.
 *
 *   engine.c   birth, settings, what can be seen      admit.c    firings
 *   lane.c     who may start next                     move.c     write down, then order
 *   report.c   what the backend and persons say       recover.c  after a restart; what has come due
 *   reopen.c   a run that had ended is taken up again, or settled
 */
#ifndef BELFRY_CORE_INTERNAL_H
#define BELFRY_CORE_INTERNAL_H

#include <assert.h>
#include <stddef.h>
#include <sys/queue.h>
#include <uthash.h>

#include "belfry/base/heap.h"
#include "belfry/core/engine.h"

struct lane;

/* A run that has not ended. */
struct open_run {
    struct run_record rec;            /* as it is meant to be; every order waits until that is durable */
    struct lane *lane;
    TAILQ_ENTRY(open_run) waiting;    /* in its lane, while it could start at any time */
    bool on_disk;                     /* its admission is durable: until then nothing more is written of it */
    bool in_line;                     /* it is there */
    bool active;                      /* it counts as starting or running */
    bool counted;                     /* it counts as waiting in its lane (queued: in line, delayed, or being written) */
    struct heap_node wake;            /* when it wants to be looked at again */
    unsigned tries;                   /* faults in a row: of starts, or of collecting */
    unsigned looks;                   /* for a start without an answer */
    int64_t unknown_since_ms;         /* monotonic; 0: its start is not in doubt */
    char *trouble;                    /* the last fault */
    UT_hash_handle hh;
};

TAILQ_HEAD(run_line, open_run);

/* A process, as far as starting goes. */
struct lane {
    char *process;
    char *workspace;
    struct lane_settings set;
    bool configured;                  /* else it only finishes what it has */
    size_t active;
    size_t waiting;                   /* queued runs, in line or not */
    struct run_line line;
    TAILQ_ENTRY(lane) ready;          /* in the engine's list while its first in line could start */
    bool in_ready;
    UT_hash_handle hh;
};

TAILQ_HEAD(lane_list, lane);

struct engine {
    struct engine_world world;
    struct lane *lanes;
    struct open_run *runs;
    struct lane_list ready;
    struct heap wakes;
    struct instant now;               /* as last told */
    int64_t wake_at_ms;               /* what the world was last asked for */
    size_t max_runs;
    size_t active;
    bool held;
    char **targets;
    size_t target_count;
    struct engine_stats totals;       /* the counters that only rise */
};

/* What is ordered once a write is durable, if the run is then still where the write put it. */
enum then { THEN_NOTHING, THEN_START, THEN_FOLLOW, THEN_DRAIN, THEN_STOP_GENTLY, THEN_STOP_AT_ONCE, THEN_COLLECT, THEN_END };

/* Out of memory in mid-run: everything that matters is on disk, so a restart is the clean way on. */
void *engine_alloc(size_t size);
char *engine_strdup(const char *text);   /* NULL stays NULL */
void engine_set_text(char **field, const char *text);

/* --- lane.c --- */
struct lane *lane_find(struct engine *e, const char *process);
struct lane *lane_make(struct engine *e, const char *process, const char *workspace);
void lane_free(struct lane *lane);
/* True when a run under that policy could start in the lane this instant. */
bool lane_free_for(const struct engine *e, const struct lane *lane, enum overlap policy);
void lane_count(struct open_run *run);             /* queued: counts as waiting */
void lane_uncount(struct open_run *run);
void lane_line_up(struct engine *e, struct open_run *run);   /* durable and due: may start in its turn */
void lane_leave_line(struct engine *e, struct open_run *run);
void lane_take(struct engine *e, struct open_run *run);      /* active */
void lane_give_back(struct engine *e, struct open_run *run);
/* Starts whoever may start. */
void lanes_pump(struct engine *e, struct instant now);

/* --- move.c --- */
struct open_run *run_find(const struct engine *e, const char *run_id);
struct open_run *run_add(struct engine *e, struct lane *lane, const char *id);
void run_drop(struct engine *e, struct open_run *run);
void run_move(struct open_run *run, enum run_state to);
/* Writes the run as it is now; `then` is ordered when that is durable. */
void run_write(struct engine *e, struct open_run *run, enum then then);
/* It runs: the world follows it, and is told what was asked of it. */
void run_follow(struct engine *e, struct open_run *run);
void run_wake_in(struct engine *e, struct open_run *run, struct instant now, int64_t wait_ms);
void run_sleep(struct engine *e, struct open_run *run);     /* no wake-up */
void engine_set_wake(struct engine *e);
uint64_t engine_dice(struct engine *e);
/* The steps that several files take. */
void run_begin(struct engine *e, struct open_run *run);     /* intent of a (further) attempt: written, then started */
void run_collect(struct engine *e, struct open_run *run, struct instant now, enum run_state outcome, const char *code,
                 const char *message);
/* It was asked to stop before it began. */
void run_collect_stopped(struct engine *e, struct open_run *run, struct instant now);
void run_delay(struct engine *e, struct open_run *run, struct instant now, int64_t wait_ms);   /* back to queued, not before */
/* A stop is wanted: at once for what waits, by the backend for what is active. `reason` is copied. */
void run_stop(struct engine *e, struct open_run *run, struct instant now, enum run_state as, const char *reason, enum then how);
/* The next attempt is a process run of its own: it must not be taken for an earlier one. */
void run_forget_remote(struct open_run *run);
void run_arm_deadline(struct engine *e, struct open_run *run, struct instant now);

#endif
