/*
 * Overlap: what becomes of a firing while its process still has runs that have not ended, in Temporal's words (SPEC §5).
 * It is judged over all runs of the process, whatever rang.
 */
#ifndef BELFRY_CORE_OVERLAP_H
#define BELFRY_CORE_OVERLAP_H

#include <stdbool.h>
#include <stddef.h>

enum overlap {
    OVERLAP_UNSET,            /* the process's policy, else the trigger kind's default */
    OVERLAP_SKIP,             /* while one runs, a firing is skipped */
    OVERLAP_BUFFER_ONE,       /* one waits, further ones are skipped */
    OVERLAP_BUFFER_ALL,       /* all wait, and run one after the other */
    OVERLAP_CANCEL_OTHER,     /* the running one is stopped gently, the newest firing follows */
    OVERLAP_TERMINATE_OTHER,  /* the running one is killed, the newest firing follows */
    OVERLAP_ALLOW_ALL,        /* all run at once, within max_parallel */
};

/* What stands in the process's lane when a firing comes. */
struct lane_load {
    size_t active;        /* starting, running (not yet over at the backend) */
    size_t waiting;       /* queued */
    size_t max_parallel;  /* 0: not set */
    size_t queue_limit;
};

enum overlap_verdict {
    VERDICT_QUEUE,        /* it becomes a queued run (and starts when the lane lets it) */
    VERDICT_SKIP_OVERLAP, /* skipped: the policy says so */
    VERDICT_SKIP_FULL,    /* the queue is full */
    VERDICT_REPLACE,      /* it is queued, all that waits is skipped, and what is active is stopped */
};

enum overlap_verdict overlap_decide(enum overlap policy, const struct lane_load *load);
/* How many runs may be active at once under a policy: SIZE_MAX for no limit. */
size_t overlap_width(enum overlap policy, size_t max_parallel);
/* "buffer_one"; NULL for OVERLAP_UNSET. And back: OVERLAP_UNSET when the word is unknown. */
const char *overlap_name(enum overlap policy);
enum overlap overlap_from_name(const char *name);

#endif
