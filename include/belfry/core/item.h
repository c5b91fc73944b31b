/*
 * A work item: the payload and files that a run, or one of its steps, gets or gives. One that a client made waits in its
 * process's input until a run takes it; in a run it goes through the steps (core/flow.h) and ends in the output.
 *
 *     new ──▶ in_progress ──▶ done │ failed ──▶ new (retried)
 */
#ifndef BELFRY_CORE_ITEM_H
#define BELFRY_CORE_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "belfry/base/id.h"

#define ITEM_ID_SIZE 56           /* a UUID, or "RUN-in-12" of what a run was started with */
#define ITEM_WAITS (-1)           /* the step of an item that no flow has */
#define ITEMS_MAX 10000           /* of what a run is started with, and of one list of outputs: each is a record, and in memory */
#define FLOW_ITEMS_MAX 100000     /* that go through one run */

enum item_state { ITEM_NEW, ITEM_IN_PROGRESS, ITEM_DONE, ITEM_FAILED, ITEM_STATES };

enum exception_type { EXCEPTION_NONE, EXCEPTION_APPLICATION, EXCEPTION_BUSINESS, EXCEPTION_ORCHESTRATOR, EXCEPTION_UNSPECIFIED,
    EXCEPTIONS };

struct item_record {
    char id[ITEM_ID_SIZE];
    char *workspace;              /* its id */
    char *process;                /* its name */
    char run_id[ID_SIZE];         /* that took it; "": none has */
    int64_t created_ms;
    int64_t updated_ms;           /* when its state or place changed */
    char *payload;                /* JSON; NULL: not at hand */
    int step;                     /* whose queue it is in, from 0; as many as there are steps: the output; or ITEM_WAITS */
    enum item_state state;
    char step_run[ID_SIZE];       /* that reserved it last, or made it; "": none has */
    char parent[ITEM_ID_SIZE];    /* the item of which it is an output; "": of none */
    bool told;                    /* whoever made it knows its id */
    enum exception_type exception;
    char *exception_code;         /* NULL: none was given */
    char *exception_message;
    int64_t row;                  /* as it was read: what was made later has a larger one; 0: it was not */
};

/* "new" …; "application" …; NULL for EXCEPTION_NONE. And back: ITEM_STATES, EXCEPTIONS when the word is unknown (any case). */
const char *item_state_name(enum item_state state);
enum item_state item_state_from_name(const char *name);
const char *exception_type_name(enum exception_type type);
enum exception_type exception_type_from_name(const char *name);

/* Whether a client may change its payload and files: nothing works on it. `open`: the run that took it has not ended. */
bool item_may_be_changed(const struct item_record *item, bool open);

/* The id of the item number `index` that a run was started with, unless a client had made it. */
void item_input_id(const char *run_id, size_t index, char id[ITEM_ID_SIZE]);

/* Deep copy: 0 or BF_ENOMEM (then *to is empty). */
int item_record_copy(struct item_record *to, const struct item_record *from);
void item_record_close(struct item_record *record);

/* A file of a work item; its bytes lie in state_dir/items/ID. */
struct item_file {
    char id[ID_SIZE];
    char item[ITEM_ID_SIZE];
    char *name;                   /* as the client gave it: a text, never a path */
    int64_t size;                 /* as it was announced; once it is there, what it has */
    bool there;                   /* its bytes have come */
};

int item_file_copy(struct item_file *to, const struct item_file *from);
void item_file_close(struct item_file *file);

/* A step run: one process that a run has started for one of its steps. */
enum step_state { STEP_NEW, STEP_RUNNING, STEP_COMPLETED, STEP_FAILED, STEP_STATES };

struct step_record {
    char id[ID_SIZE];
    char run_id[ID_SIZE];
    int step;                     /* from 0 */
    char *name;                   /* the step's */
    enum step_state state;
    unsigned attempt;             /* of the run, that it was made in */
    int64_t created_ms;
    int64_t started_ms;           /* 0: it has not */
    int64_t ended_ms;
    bool has_exit_code;
    int exit_code;
    bool forgiven;                /* it failed, and another attempt was made since */
    bool spoke;                   /* it has used the work item API, or has left a list of outputs */
    char *error_code;
    char *error_message;
};

const char *step_state_name(enum step_state state);   /* as the Control Room API has them: "new", "in_progress", … */
int step_record_copy(struct step_record *to, const struct step_record *from);
void step_record_close(struct step_record *record);

#endif
