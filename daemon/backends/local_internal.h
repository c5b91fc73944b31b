/*
 * The local backend's inside. See include/belfry/backends/{backend,supervisor}.h.
 *
 *   local.c          the operations, the table of runs      local_start.c    folder, order, spawn
 *   local_follow.c   claims, exits, finding, following      local_collect.c  results, on the thread pool (local_collect.h)
 *   local_env.c      what a step finds in its environment   local_list.c     work items as a list
 *
 * A run of several steps, or one that uses the work item API, has a step run for each of its commands. To the files above
 * a step run is a run like any other; steps.c and those beside it (steps_internal.h) make a run of them.
 */
#ifndef BELFRY_BACKENDS_LOCAL_INTERNAL_H
#define BELFRY_BACKENDS_LOCAL_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uthash.h>

#include "belfry/backends/backend.h"
#include "belfry/backends/supervisor.h"
#include "belfry/base/buf.h"
#include "belfry/core/flows.h"
#include "belfry/net/later.h"

/* What a step run is to know of the run that it belongs to. */
struct local_task {
    char run_id[ID_SIZE];
    unsigned attempt;                    /* the run's */
    char item_id[ITEM_ID_SIZE];          /* the first work item that it holds */
    bool api;                            /* work items by the API, else by files */
    const char *api_url;                 /* "http://127.0.0.1:8750" */
    char token[RUN_TOKEN_SIZE];
};

struct local {
    struct backend base;
    uv_loop_t *loop;
    char *runs_dir;                      /* state_dir/runs */
    char *program;                       /* belfry-run */
    const struct workspace_config *workspace;
    /* NULL, or says what a step run belongs to (NULL: to none that is known). */
    const struct local_task *(*task)(void *owner, const char *step_run_id);
    void *owner;
    struct later later;
    struct local_run *runs;
    size_t working;                      /* jobs on the thread pool, handles that close */
    atomic_bool closing;                 /* they give up what takes long */
    void (*closed)(void *data);
    void *closed_data;
};

/* A supervisor that lives, as far as we watch it. */
struct local_run {
    char id[ID_SIZE];
    unsigned attempt;
    struct local *backend;
    pid_t pid;
    bool child;                          /* started by this process: it wants to be reaped */
    int pidfd;
    uv_poll_t exit_poll;
    int report_fd;                       /* -1: none, or done with */
    uv_poll_t report_poll;
    struct buf report;
    bool reported;                       /* its start, one way or the other */
    bool followed;
    bool exited;
    int handles;                         /* that are still to be closed */
    UT_hash_handle hh;
};

/* --- local.c --- */
/* A part of the backend on its own; NULL when there is no memory. */
struct local *local_new(uv_loop_t *loop, const char *runs_dir, const char *program, const struct workspace_config *workspace,
                        const struct backend_reports *reports);
const struct local_task *local_task_of(const struct local *b, const char *run_id);
char *local_folder(const struct local *b, const char *run_id);
struct local_run *local_run_find(const struct local *b, const char *run_id);
struct local_run *local_run_add(struct local *b, const char *run_id, unsigned attempt, pid_t pid, int pidfd, bool child);
void local_run_drop(struct local_run *run);
void local_handle_closed(uv_handle_t *handle);
void local_work_done(struct local *b);   /* one of `working` less */

/* --- local_env.c --- */
/* Appends "env=NAME=VALUE\0" for each. file_path may be NULL. */
void local_environment(struct buf *order, const struct local *b, const struct run_record *run,
                       const struct process_config *process, const struct local_task *task, const char *folder, const char *file_path);
/* "uid=…" and so on for process->user; 0 or BF_E…. */
int local_identity(struct buf *order, const struct process_config *process, struct error *err);

/* --- local_start.c --- */
void local_start(struct backend *base, const struct run_record *run, const struct process_config *process,
                 const json_t *event, const json_t *input);

/* --- local_follow.c --- */
void local_find(struct backend *base, const struct run_record *run, const struct process_config *process);
void local_follow(struct backend *base, const struct run_record *run, const struct process_config *process);
void local_stop(struct backend *base, const struct run_record *run, const struct process_config *process, enum stop_how how);
void local_watch(struct local_run *run, int report_fd);   /* its exit, and its report when there is one */

/* --- local_collect.c --- */
/* One command's part of a run. */
struct local_part {
    char *folder;
    char *step;                          /* its name */
    char id[ID_SIZE];                    /* the step run's */
    struct words globs;                  /* of what is kept */
};

/* Gathers a run of several parts into dir → collected(data, …) as backend_reports has it. Takes parts (heap), console (heap; the
 * whole run's), items ({"input": [{"payload", "files": [{"name", "from"}]}], "output": …}, from: a path) and steps. process: NULL
 * when it is no longer configured. */
void local_gather(struct local *b, const char *run_id, struct local_part *parts, size_t count, char *console, json_t *items,
                  json_t *steps, const struct process_config *process, const char *dir);
/* How many bytes the files of a run may have. */
int64_t local_artifacts_max(const struct process_config *process);
void local_copy_globs(struct words *globs, const struct process_config *process);
void local_collect(struct backend *base, const struct run_record *run, const struct process_config *process,
                   const json_t *input, const char *dir);

/* --- local_list.c --- */
/* The work items that a command left as a list: [{"payload", "files": {name: name beside the list}}], or NULL; notes may be NULL. */
json_t *local_read_list(const char *folder, const char *list, json_t *notes);

#endif
