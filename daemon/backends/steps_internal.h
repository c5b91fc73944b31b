/*
 * Runs of several steps, and those that use the work item API: each command is a step run, which a local backend of its own
 * starts, follows and stops; what is next, the run's flow says (core/flow.h).
 *
 *   steps.c          the operations, which take the other runs straight through; finding and following
 *   steps_run.c      what is next, and what the step runs report
 *   steps_begin.c    a flow begins: its items, its files
 *   steps_start.c    a step run's input: the payloads and files of what it holds
 *   steps_lists.c    outputs that a step run left as a list
 *   steps_collect.c  the results of all of them
 */
#ifndef BELFRY_BACKENDS_STEPS_INTERNAL_H
#define BELFRY_BACKENDS_STEPS_INTERNAL_H

#include "local_internal.h"

struct steps {
    struct backend base;
    uv_loop_t *loop;
    struct local *plain;                 /* runs that are one command and have no flow */
    struct local *inner;                 /* step runs */
    struct backend_reports inner_reports;
    struct flows *flows;
    const struct workspace_config *workspace;
    struct steps_run *runs;
    struct steps_task *tasks;            /* of step runs that have not ended, by their ids */
    struct later later;
    uv_timer_t again;                    /* starts of step runs that are tried again */
    size_t working;                      /* reads, commits, jobs on the thread pool that want to come back */
    size_t open;                         /* parts that are still to close */
    atomic_bool closing;                 /* read on the thread pool, too */
    void (*closed)(void *data);
    void *closed_data;
};

/* A run with a flow, as long as its backend has to do with it. */
struct steps_run {
    char id[ID_SIZE];
    struct steps *steps;
    struct run_record record;
    struct config *config;               /* held */
    const struct process_config *process;
    bool told;                           /* its start was reported, in this attempt */
    bool finding;                        /* whether it was started is being found out */
    size_t looks;                        /* step runs that are looked for */
    bool over;                           /* its end is on its way */
    enum run_state stop_as;              /* RUN_QUEUED: nobody asked for its end */
    enum run_drain drain;
    int64_t again_ms;                    /* monotonic; 0: nothing is to be tried again */
    unsigned tries;
    size_t tasks;
    size_t uses;                         /* by what is under way */
    bool dropped;
    UT_hash_handle hh;
};

/* A step run. */
struct steps_task {
    char id[ID_SIZE];
    struct local_task task;
    struct steps_run *run;
    struct run_record record;            /* what the inner backend sees of it */
    const struct process_config *process;    /* the step's; NULL: it is no longer configured */
    int64_t list_again_ms;               /* monotonic: when its list is read again; 0: it is not */
    struct run_end end;                  /* while its lists are read */
    char *end_words[3];                  /* code, message, the backend's word */
    UT_hash_handle hh;
};

/* --- steps.c --- */
struct steps_run *steps_run_find(const struct steps *s, const char *run_id);
struct steps_run *steps_run_open(struct steps *s, const struct run_record *run, const struct process_config *process);
void steps_run_hold(struct steps_run *run);
/* Gives the hold back; true when the run is still to be worked on. */
bool steps_run_release(struct steps_run *run);
struct steps_task *steps_task_find(const struct steps *s, const char *step_run_id);
/* Of a step run that the flow has and that has not ended. NULL when it is still to be started, and its step is no longer
 * configured. */
struct steps_task *steps_task_open(struct steps_run *run, const struct step_record *record);
void steps_task_close(struct steps_task *task);
struct flow *steps_flow(const struct steps_run *run);
/* Nothing more of it is begun. */
bool steps_stopping(const struct steps_run *run);

/* --- steps_run.c --- */
/* Starts what is to be started; ends the run when nothing is left. */
void steps_go(struct steps_run *run);
/* What no step run has come to, nor will. */
void steps_settle_waiting(struct steps_run *run);
void steps_reports_init(struct steps *s);
void steps_again(uv_timer_t *timer);
/* Calls steps_again soon, until nothing waits any more. */
void steps_set_again(struct steps *s);
/* What was found of it (after a restart, or a start without an answer). */
void steps_look_for(struct steps_run *run, const struct step_record *record);
/* A step run has ended, and what it left is in the flow. */
void steps_task_ended(struct steps_task *task);
void steps_task_failed(struct steps_run *run, const char *step_run_id, const char *code, const char *message);

/* --- steps_begin.c --- */
/* The flow of a run that begins; then steps_go. */
void steps_begin(struct steps_run *run, const json_t *event, const json_t *input);
/* The flow of an open run, made of what the journal has. 0 or BF_E…. */
int steps_flow_new(const char *run_id, const char *memo, const struct workspace_config *workspace,
                   const struct process_config *process, const char *process_name, struct flow **flow);

/* --- steps_start.c --- */
void steps_launch(struct steps_task *task);

/* --- steps_lists.c --- */
/* Takes the list of outputs that the step run left into the flow; then steps_task_ended. */
void steps_read_list(struct steps_task *task);

/* --- steps_collect.c --- */
void steps_collect(struct steps_run *run, const char *dir);

#endif
