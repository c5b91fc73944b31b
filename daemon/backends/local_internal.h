/*
 * The local backend's inside. See include/belfry/backends/{backend,supervisor}.h.
 *
 *   local.c          the operations, the table of runs      local_start.c    folder, order, spawn
 *   local_follow.c   claims, exits, finding, following      local_collect.c  results, on the thread pool
 *   local_env.c      what a step finds in its environment
 */
#ifndef BELFRY_BACKENDS_LOCAL_INTERNAL_H
#define BELFRY_BACKENDS_LOCAL_INTERNAL_H

#include <stdbool.h>
#include <uthash.h>

#include "belfry/backends/backend.h"
#include "belfry/backends/supervisor.h"
#include "belfry/base/buf.h"
#include "belfry/net/later.h"

struct local {
    struct backend base;
    uv_loop_t *loop;
    char *runs_dir;                      /* state_dir/runs */
    char *program;                       /* belfry-run */
    const struct workspace_config *workspace;
    struct later later;
    struct local_run *runs;
    size_t working;                      /* jobs on the thread pool, handles that close */
    bool closing;
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
char *local_folder(const struct local *b, const char *run_id);
struct local_run *local_run_find(const struct local *b, const char *run_id);
struct local_run *local_run_add(struct local *b, const char *run_id, unsigned attempt, pid_t pid, int pidfd, bool child);
void local_run_drop(struct local_run *run);
void local_handle_closed(uv_handle_t *handle);
void local_work_done(struct local *b);   /* one of `working` less */

/* --- local_env.c --- */
/* Appends "env=NAME=VALUE\0" for each. file_path may be NULL. */
void local_environment(struct buf *order, const struct local *b, const struct run_record *run,
                       const struct process_config *process, const char *folder, const char *file_path);
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
void local_collect(struct backend *base, const struct run_record *run, const struct process_config *process,
                   const json_t *input, const char *dir);

#endif
