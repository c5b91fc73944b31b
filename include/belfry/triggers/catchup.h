/*
 * What the due times of a schedule come to at an instant: which one fires next, which are passed over (SPEC §5). Pure: it
 * is told how far the schedule has come (its cursor) and what time it is, and is asked again after each answer that
 * fires.
 *
 *   a due time that                                                      comes to
 *   was seen to come (seen_ms), or is late by no more than CATCHUP_GRACE_MS   a firing
 *   is older, and so is whatever else has passed since the cursor:
 *     catchup = last: the newest of them, if within the window               one firing for all
 *     catchup = all: each within the window, oldest first                    a firing each
 *     catchup = none: the newest of them, if it has only just passed         a firing; the others are passed over
 *   is not there yet (cursor ahead of a clock that was set back too)     nothing
 */
#ifndef BELFRY_TRIGGERS_CATCHUP_H
#define BELFRY_TRIGGERS_CATCHUP_H

#include <stdbool.h>
#include <stdint.h>

#include "belfry/config/config.h"

/* A daemon that is this late is slow; one that is later was asleep, stopped, or had its clock set forward. */
#define CATCHUP_GRACE_MS 5000
/* Times passed over are counted up to here. */
#define CATCHUP_COUNT_MAX 1000

struct catchup_rule {
    const char *name;
    const struct timing *timing;
    int64_t jitter_ms;
    enum catchup catchup;
    int64_t window_ms;
};

/* How far a schedule has come. */
struct catchup_place {
    int64_t cursor_ms;     /* the last due time that is dealt with */
    int64_t seen_ms;       /* due times up to here came while somebody watched: they wait, they are not missed. 0: none */
    bool fresh;            /* the daemon has just started: with catchup = none, what came before that is passed over */
};

struct catchup_verdict {
    int64_t fire_ms;       /* the due time that fires now; 0: none */
    bool missed;           /* it is caught up, not on time */
    int64_t cursor_ms;     /* the cursor once that is done */
    unsigned dropped;      /* due times passed over before it, at most CATCHUP_COUNT_MAX */
    int64_t dropped_ms;    /* the newest of them */
    int64_t next_ms;       /* the due time after cursor_ms; INT64_MAX: never */
    int64_t wake_ms;       /* next_ms with its jitter: when to ask again (may be past) */
};

void catchup_look(const struct catchup_rule *rule, const struct catchup_place *place, int64_t now_ms,
                  struct catchup_verdict *verdict);
/* When a due time fires, its jitter counted in; INT64_MAX stays. */
int64_t catchup_wake(const struct catchup_rule *rule, int64_t due_ms);

#endif
