/*
 * The flows of all open runs, shared by who starts step runs (the local backend) and who serves them work items (the API). What
 * one of them changes is on disk before anybody acts upon it. Loop thread only.
 */
#ifndef BELFRY_CORE_FLOWS_H
#define BELFRY_CORE_FLOWS_H

#include "belfry/core/flow.h"

#define RUN_TOKEN_SIZE 144

struct flows;

/* Items with their payloads, and their files. */
struct flow_read {
    const char *run_id;           /* all that the run has */
    const char *ids;              /* or, not NULL, a JSON array of items' ids */
    /* Called once, later. What it gets is lent until it returns. */
    void (*cb)(struct flow_read *read, int status);
    void *data;
    const struct item_record *items;
    size_t item_count;
    const struct item_file *files;
    size_t file_count;
    struct error error;
};

struct flows_world {
    void *data;
    void (*commit)(void *data, struct commit *commit);
    /* `read` is the caller's until the callback; its strings are copied. */
    void (*read)(void *data, struct flow_read *read);
    /* The folder that holds the items' files, each by its id. */
    const char *files_dir;
    /* Where the work item API is, from inside a run: "http://127.0.0.1:8750"; and the token of a step run. */
    const char *(*api_url)(void *data);
    void (*token)(void *data, const char *run_id, const char *step_run_id, char token[RUN_TOKEN_SIZE]);
};

/* `world` is copied. 0 or BF_ENOMEM. */
int flows_new(const struct flows_world *world, struct flows **flows);
void flows_free(struct flows *flows);
const struct flows_world *flows_world(const struct flows *flows);

struct flow *flows_find(const struct flows *flows, const char *run_id);
/* Takes the flow. */
void flows_add(struct flows *flows, struct flow *flow);
void flows_drop(struct flows *flows, const char *run_id);

/* Writes down what has changed of the flow, with up to `count` records (lent until then) beside it; then done(data, status):
 * later, and in the order of the calls. It never fails but for BF_ESHUTDOWN. */
void flows_save(struct flows *flows, struct flow *flow, const struct record *with, size_t count,
                void (*done)(void *data, int status), void *data);

#endif
