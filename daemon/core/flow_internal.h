/* Inside the flow: flow.c keeps it and writes it down, flow_move.c moves its items. */
#ifndef BELFRY_CORE_FLOW_INTERNAL_H
#define BELFRY_CORE_FLOW_INTERNAL_H

#include <sys/queue.h>
#include <uthash.h>

#include "belfry/core/flow.h"

struct flow_item {
    struct item_record r;         /* its payload is there until it is on disk, or until its maker knows of it */
    bool added, dropped;          /* since the changes were taken */
    bool listed;                  /* among those that have changed */
    bool queued;                  /* in the list of its step, or of the step run that holds it */
    bool output;                  /* it is in its parent's list */
    LIST_HEAD(, flow_item) outputs;
    LIST_ENTRY(flow_item) next_output;
    TAILQ_ENTRY(flow_item) next;
    STAILQ_ENTRY(flow_item) next_changed;
    UT_hash_handle hh;
};

TAILQ_HEAD(flow_items, flow_item);

struct flow_run {
    struct step_record r;
    bool dropped, listed;
    struct flow_items held;
    struct flow_item *untold;     /* the output that it made last, as long as it may not know of it; or NULL */
    STAILQ_ENTRY(flow_run) next_changed;
    UT_hash_handle hh;
};

struct flow_place {
    char *name;
    size_t max_parallel;
    bool each, list;
    struct flow_items waiting;
    size_t active;                /* step runs that have not ended */
    size_t in_progress;
    size_t failed;
};

struct flow {
    char run_id[ID_SIZE];
    char *workspace, *process;
    struct flow_place *places;    /* one more than there are steps: the output */
    size_t count;                 /* of steps */
    struct flow_item *items;      /* by id, in the order in which they were made */
    struct flow_run *runs;
    STAILQ_HEAD(, flow_item) changed_items;
    STAILQ_HEAD(, flow_run) changed_runs;
    size_t active;
    unsigned attempt;
    bool halted, closed;
};

struct flow_item *flow_item_find(const struct flow *flow, const char *id);
struct flow_run *flow_run_find(const struct flow *flow, const char *id);
/* Marks it as changed since the changes were taken. */
void flow_item_changed(struct flow *flow, struct flow_item *item);
void flow_run_changed(struct flow *flow, struct flow_run *run);
struct flow_item *flow_item_new(struct flow *flow, const char *id, int step, int64_t now_ms);
/* Makes it known to the item that it is an output of. */
void flow_item_link(struct flow *flow, struct flow_item *item);
/* Takes it out of where it is counted and queued, puts it where its record says. */
void flow_unplace(struct flow *flow, struct flow_item *item);
void flow_place(struct flow *flow, struct flow_item *item);

#endif
