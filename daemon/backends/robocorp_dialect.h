/*
 * The three dialects that Control Rooms speak: `api = v1`, `process-v1` (the older workspace API) and `process-secret` (the
 * oldest). A dialect is a row: where things are asked for, what a body looks like, under which names an answer has them.
 * What an API has no route for is NULL, and is not done.
 */
#ifndef BELFRY_BACKENDS_ROBOCORP_DIALECT_H
#define BELFRY_BACKENDS_ROBOCORP_DIALECT_H

#include <stdbool.h>
#include <stdint.h>

#include "belfry/base/buf.h"
#include "belfry/base/json.h"

enum start_form {
    START_ITEMS_V1,    /* {"type": "with_work_item_ids", "work_item_ids": [...]} */
    START_ITEMS_OLD,   /* {"type": "workItemIds", "workItemIds": [...]} */
    START_PAYLOAD,     /* the payload itself: there are no work items to make before */
};

/* Routes below the workspace; {p} process, {r} process run, {s} step run, {a} artifact, {n} its name, {w} work item.
 * Names in an answer: "a.b" is a member of a member, "a|b" the first of them that is there. */
struct dialect {
    const char *key_header;          /* the key follows */
    enum start_form start_form;

    const char *processes;
    const char *items_new;           /* the process's items that wait in its input */
    const char *item_create;
    const char *item;
    const char *item_file;
    const char *start;
    const char *runs;                /* newest first; NULL: runs are asked for one by one */
    const char *runs_of;             /* those of one process */
    const char *run;
    const char *run_items;
    const char *run_failed;          /* its failed items */
    const char *stop;
    const char *steps;
    const char *artifacts;
    const char *artifact;
    const char *console;
    const char *events;
    const char *outputs;
    const char *outputs_before;      /* how older servers of the same dialect spell it */

    const char *started_id;
    const char *run_process;
    const char *run_created;
    const char *run_ended;
    const char *item_run;
    const char *item_created;
    const char *item_step_run;
    const char *file_form;
};

extern const struct dialect dialects[];   /* by enum robocorp_api */

struct path_words {
    const char *process, *run, *step, *artifact, *name, *item;
};
/* Appends a route with its words percent-encoded. */
void dialect_path(struct buf *path, const char *route, const struct path_words *words);

/* A member by such a name: any value, or text (NULL when it is not there or of another type). Lent by the object. */
json_t *dialect_member(const json_t *object, const char *name);
const char *dialect_text(const json_t *object, const char *name);

enum room_state {
    ROOM_OPEN,            /* also in a state that nobody knows: it is followed on */
    ROOM_COMPLETED,
    ROOM_UNRESOLVED,
};

/* A process run as an answer shows it; texts are lent by the answer. */
struct room_run {
    const char *id;
    const char *process;      /* NULL when it does not say */
    const char *state;        /* the Control Room's own word */
    enum room_state meaning;
    int64_t created_ms;       /* by the server's clock; 0: it does not say */
    int64_t ended_ms;
};
/* False when the object has no id or no state. */
bool dialect_run(const struct dialect *d, const json_t *object, struct room_run *run);

/* True when an item of a run is what the run left in the output: not among `inputs` (ids) and not taken by a step. */
bool dialect_is_output(const struct dialect *d, const json_t *item, const json_t *inputs);

/* Bodies; the caller owns them. */
json_t *dialect_item_body(const struct dialect *d, const char *process, json_t *payload);
json_t *dialect_file_body(const struct dialect *d, const char *name, int64_t size);
/* `callback_url` NULL: no callback. */
json_t *dialect_start_body(const struct dialect *d, json_t *items, json_t *payloads, const char *callback_url, const char *secret);

#endif
