/*
 * The flow of a run's work items through the steps of its process: which step run is to be started next, with which item; what a
 * step run that reserves, releases or makes an item gets; when the run is over, and how. Pure: it knows no process, no file and
 * no clock. What it changes is taken as records, to be made durable before anybody hears of it.
 *
 * Rules
 *   A step begins when the one before it has no item left that waits or is worked on.
 *   A step run is started with an item reserved for it, and may reserve more until none waits (or: one each). When it has ended
 *   and items still wait, another is started: as many at once as the step's max_parallel allows.
 *   Whatever a step run holds when it ends becomes done when it ended well, failed otherwise.
 *   The outputs that it has made are the input of the next step. One that ended well and never spoke of work items hands on what
 *   it held.
 *   The run has failed when items are failed at the end (a Control Room's word is unresolved), or a step run failed.
 */
#ifndef BELFRY_CORE_FLOW_H
#define BELFRY_CORE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/core/engine.h"
#include "belfry/core/item.h"
#include "belfry/core/record.h"

struct flow_step {
    const char *name;
    size_t max_parallel;
    bool each;                    /* a step run for each item: none can be reserved beyond the first */
    bool list;                    /* a step run gets all that wait, or with `each` one, as a list: it reserves none itself */
};

struct flow;

/* `steps` is copied. 0 or BF_ENOMEM. */
int flow_new(const char *run_id, const char *workspace_id, const char *process, const struct flow_step *steps, size_t count,
             struct flow **flow);
void flow_free(struct flow *flow);
const char *flow_run_id(const struct flow *flow);
size_t flow_steps(const struct flow *flow);
const char *flow_step_name(const struct flow *flow, size_t step);
/* What the journal has of it: copied, in the order in which they were made. */
int flow_put_item(struct flow *flow, const struct item_record *item);
int flow_put_step_run(struct flow *flow, const struct step_record *run);

/* An item that the run was started with; `made` is one that a client had made and that is in the journal already. */
int flow_add_input(struct flow *flow, int64_t now_ms, const char *id, const char *payload, bool made);

/* --- what is to be done ------------------------------------------------------------------------------------------- */

enum flow_do { FLOW_WAIT, FLOW_START, FLOW_OVER };

/* FLOW_START: the step run `*run` (of that id) has been made and has its first item; start it once the changes are on disk. Ask
 * again after each start. */
enum flow_do flow_next(struct flow *flow, int64_t now_ms, const char *id, const struct step_record **run);
/* The end of the run; `words` gets the message. */
void flow_outcome(const struct flow *flow, struct run_end *end, char words[256]);
/* Nothing new is started from now on. */
void flow_halt(struct flow *flow);
/* The run's end is on its way: no wish changes it any more, until another attempt begins. */
void flow_close(struct flow *flow);
/* Another attempt of the run: what a person has had tried again waits already; else all that failed does, in its step. What an item
 * had put out, and nobody has taken, goes: it will be made again. Step runs that failed are told of no more. */
void flow_begin_attempt(struct flow *flow, unsigned attempt, int64_t now_ms);
/* A person has settled, or has tried again, what step runs failed at: they are told of no more. */
void flow_forgive(struct flow *flow);
/* What a person wants done with an item that failed (or, to be dropped or done, still waits): tried again, taken as done, forgotten.
 * False when the item is not there, or not where that can be done. */
enum item_wish { WISH_RETRY, WISH_DONE, WISH_DROP };
bool flow_may(const struct flow *flow, const char *item_id, enum item_wish wish);
bool flow_wish(struct flow *flow, const char *item_id, enum item_wish wish, int64_t now_ms);
/* The wish to have all tried again that failed: how many they were. */
size_t flow_retry_failed(struct flow *flow, int64_t now_ms);
size_t flow_failed(const struct flow *flow);       /* items */
size_t flow_waiting(const struct flow *flow);
/* What still waits is not worked on any more: done, or failed for that reason. */
void flow_settle_waiting(struct flow *flow, int64_t now_ms, bool as_done, const char *code, const char *why);

/* --- step runs ---------------------------------------------------------------------------------------------------- */

const struct step_record *flow_step_run(const struct flow *flow, const char *step_run_id);
/* `each` may change the flow. */
void flow_each_step_run(const struct flow *flow, void (*each)(void *data, const struct step_record *run), void *data);
/* The items that it holds, in order; the first one is what it was started with. */
void flow_each_held(const struct flow *flow, const char *step_run_id, void (*each)(void *data, const struct item_record *item), void *data);
size_t flow_active(const struct flow *flow);       /* step runs that have not ended */
/* The attempt of the run that is being made: step runs are marked with it. */
void flow_set_attempt(struct flow *flow, unsigned attempt);

void flow_began(struct flow *flow, const char *step_run_id, int64_t started_ms);
/* It could not be started, and may be later: it never was, and its items wait again. */
void flow_not_begun(struct flow *flow, const char *step_run_id, int64_t now_ms);
void flow_ended(struct flow *flow, const char *step_run_id, const struct run_end *end);
/* It has used work items: what it was given is not handed on unseen. */
void flow_spoke(struct flow *flow, const char *step_run_id);

/* --- what a step run asks for: 0, or BF_ENOENT (nothing of the kind that is its own) ------------------------------- */

/* Another item, or the one that it has not released: a request may come twice. *item NULL: none waits. */
int flow_reserve(struct flow *flow, const char *step_run_id, int64_t now_ms, const struct item_record **item);
/* state: ITEM_DONE or ITEM_FAILED. Twice the same is well; BF_EEXIST when it was released otherwise. */
int flow_release(struct flow *flow, const char *step_run_id, const char *item_id, int64_t now_ms, enum item_state state,
                 enum exception_type type, const char *code, const char *message);
/* An output of an item that it holds. One that its maker may not know of (`told`) and that has the same payload is the same.
 * BF_ETOOBIG: the run has FLOW_ITEMS_MAX already. */
int flow_output(struct flow *flow, const char *step_run_id, const char *parent, int64_t now_ms, const char *new_id,
                const char *payload, const struct item_record **item);
/* True when so many more may be put out. */
bool flow_has_room(const struct flow *flow, size_t outputs);
/* The answer has gone out. */
void flow_told(struct flow *flow, const char *item_id);
/* The first of the items that it was given, held or released; NULL: a person has had all of them tried again. */
const struct item_record *flow_given(const struct flow *flow, const char *step_run_id);
/* An item that the step run may read and change: one that it holds or has made. NULL: none. */
const struct item_record *flow_item_of(const struct flow *flow, const char *step_run_id, const char *item_id);

/* --- what is to be written down ----------------------------------------------------------------------------------- */

/* What has changed since, as records with copies of their own; count 0: nothing. free with flow_changes_free. */
struct flow_changes {
    struct record *records;
    size_t count;
    struct item_record *items;
    size_t item_count;
    struct step_record *steps;
    size_t step_count;
};
int flow_take_changes(struct flow *flow, struct flow_changes *changes);
void flow_changes_close(struct flow_changes *changes);

#endif
