/*
 * A run: one process run that a firing asked for, from its admission to its end (SPEC §8).
 *
 *     (new) ──▶ queued ──▶ starting ──▶ running ──▶ collecting ──▶ completed │ failed │ canceled │ timed_out │ lost
 *       │         │  ▲        │  │         │  ▲          ▲
 *       │         │  └────────┘  └─────────┼──┼──────────┤   surely not started, a retry: back to queued
 *       │         │  └─────────────────────┘  │          │   failed with retries left: back to queued
 *       │         └───────────────────────────┼──────────┘   canceled or given up before it started
 *       ├─▶ starting   (a free lane: the intent is written with the firing itself)
 *       └─▶ skipped
 *
 * A run that ended, but for completed and skipped, may be taken up again by a person: back to queued, as a further attempt; or, when
 * all is well by that person's word, to collecting, and it completes without another attempt.
 * A run's record is written before each move is acted upon; what is in memory is what is on disk.
 */
#ifndef BELFRY_CORE_RUN_H
#define BELFRY_CORE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "belfry/base/id.h"
#include "belfry/core/overlap.h"

enum run_state {
    RUN_QUEUED, RUN_STARTING, RUN_RUNNING, RUN_COLLECTING,
    RUN_COMPLETED, RUN_FAILED, RUN_CANCELED, RUN_TIMED_OUT, RUN_LOST,
    RUN_SKIPPED,
    RUN_STATES
};

enum trigger_kind { TRIGGER_SCHEDULE, TRIGGER_WATCH, TRIGGER_WEBHOOK, TRIGGER_MANUAL, TRIGGER_API, TRIGGER_KINDS };

/* Once set, nothing more of the run is begun, and what runs may end by itself: no step run, no further attempt. */
enum run_drain {
    DRAIN_NO,
    DRAIN_FAIL,                 /* work items that still wait then have failed */
    DRAIN_DONE,                 /* or are taken as done */
};

/* Everything that a run's row in the journal holds and that may change. Strings are the record's own (heap) or NULL. */
struct run_record {
    char id[ID_SIZE];
    char *process;
    char *workspace;
    enum trigger_kind trigger_kind;
    char *trigger_name;         /* the schedule, watch, webhook; the person or key that asked */
    enum overlap overlap;
    enum run_state state;
    enum run_state outcome;     /* the end that is to come; of meaning while COLLECTING (else RUN_QUEUED) */
    unsigned attempt;           /* of the start; 0: never tried */
    unsigned failures;          /* attempts that began and failed: what `retries` counts */
    int64_t accepted_ms;        /* wall clock, 0: not yet */
    int64_t due_ms;
    int64_t not_before_ms;      /* a retry waits until then */
    int64_t started_ms;
    int64_t ended_ms;
    int exit_code;
    bool has_exit_code;
    bool unconfirmed;           /* a start got no answer and could not be found either for two minutes */
    enum run_state stop_as;     /* RUN_CANCELED or RUN_TIMED_OUT once a stop was asked for, else RUN_QUEUED */
    enum run_drain drain;
    char *backend_state;        /* the backend's own word */
    char *error_code;           /* "exit_code", "start_failed", "signal" … ; NULL: none */
    char *error_message;
    char *memo;                 /* what the backend needs to know again after a restart (JSON), opaque to all others */
    char *remote_id;            /* the backend's id of the process run */
    char *remote_url;
    char *reason;               /* why it was skipped or canceled, or completed after all */
    char *result;               /* once collected: {"dir", "steps", "work_items", "artifacts", …} (JSON) */
};

/* An end, collected or skipped: nothing follows. */
bool run_state_is_end(enum run_state state);
/* True when the table above has the move. */
bool run_move_allowed(enum run_state from, enum run_state to);
/* It was asked to end, one way or the other. */
bool run_is_stopping(const struct run_record *run);
/* "queued" …, and back: RUN_STATES when the word is unknown. */
const char *run_state_name(enum run_state state);
enum run_state run_state_from_name(const char *name);
/* "schedule", "watch", "webhook", "manual", "api"; TRIGGER_KINDS when unknown. */
const char *trigger_kind_name(enum trigger_kind kind);
enum trigger_kind trigger_kind_from_name(const char *name);

/* The id of a local run's step run, and back (false when it is none): a run is a UUIDv7, its step run the same bits as a
 * UUIDv8 (RFC 9562), so that one leads to the other without a table. */
void run_step_id(const char *run_id, char step_run_id[ID_SIZE]);
bool run_of_step(const char *step_run_id, char run_id[ID_SIZE]);

/* Deep copy: 0 or BF_ENOMEM (then *to is empty). */
int run_record_copy(struct run_record *to, const struct run_record *from);
void run_record_close(struct run_record *record);

#endif
