/* Inside following: robocorp_follow.c knows one run, robocorp_rounds.c looks at many of them at once. */
#ifndef BELFRY_BACKENDS_ROBOCORP_FOLLOW_H
#define BELFRY_BACKENDS_ROBOCORP_FOLLOW_H

#include "robocorp_internal.h"

struct follow {
    struct robocorp *b;
    struct ask ask;
    struct pages pages;
    struct heap_node due;
    char run_id[ID_SIZE];
    char *remote_id;
    char *process_id;            /* of the memo, or NULL */
    int64_t since_ms;            /* monotonic */
    unsigned faults;
    unsigned missing;
    int64_t missing_since_ms;
    bool asking;
    bool stop_wanted;            /* not yet taken by the Control Room */
    bool stopped;                /* an end by our own word */
    bool dropped;                /* forgotten while it was asking */
    char state[64];
    int64_t ended_ms;
    size_t steps, steps_completed;
    char failure_code[80];
    char failure[400];
    bool wanted;                 /* by the round under way: it has not been shown yet */
    UT_hash_handle hh;
    UT_hash_handle hh_remote;    /* by remote_id */
};

/* --- robocorp_follow.c --- */
void follow_look(struct follow *f);                                   /* asks for this run alone */
void follow_shown(struct follow *f, const struct room_run *run);     /* an answer shows it */
void follow_fault(struct follow *f);                                  /* it could not be looked at: later */
void follow_set_timer(struct robocorp *b);

/* --- robocorp_rounds.c --- */
/* Looks at what is due, and at what soon will be. */
void round_begin(struct robocorp *b);
void round_forget(struct follow *f);                                  /* it is no longer followed */

#endif
