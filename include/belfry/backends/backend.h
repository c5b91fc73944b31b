/*
 * A backend: where process runs happen. Robocorp's Control Room and this machine stand behind the same operations.
 *
 * Every order names a run by its record (lent for the call: copy what is kept) and is answered through backend_reports,
 * later, from the loop, never from within the call, and once: an order that was answered is over.
 */
#ifndef BELFRY_BACKENDS_BACKEND_H
#define BELFRY_BACKENDS_BACKEND_H

#include <stdarg.h>
#include <stdint.h>
#include <uv.h>

#include "belfry/base/error.h"
#include "belfry/base/json.h"
#include "belfry/config/config.h"
#include "belfry/core/engine.h"
#include "belfry/core/flows.h"
#include "belfry/core/run.h"

/* What a collected run brought home. A backend puts files only below `dir` (a staging folder that is not yet published):
 * "console.log", "artifacts/STEP/NAME", "work-items/input/…", "work-items/output/…". */
struct collection {
    json_t *steps;        /* array for run.json */
    json_t *work_items;   /* {"input": [...], "output": [...]} */
    json_t *artifacts;    /* [{"step", "name", "path", "size", "sha256"}] */
    json_t *notes;        /* array of strings: what could not be brought home for good, and why; may be empty */
    size_t notes_over;    /* how many more there were */
};

#define NOTES_MAX 100
#define NOTE_BYTES 1000

/* Adds a note, made printable and cut to NOTE_BYTES; beyond NOTES_MAX it is only counted: a run may give cause to any number. */
void collection_note(struct collection *c, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

enum checked { CHECKED_SAME /* or it could not be seen */, CHECKED_COMPLETED, CHECKED_GONE };

/* How a backend reports: the engine's calls, with the time filled in. */
struct backend_reports {
    void *data;
    void (*write_memo)(void *data, const char *run_id, const char *memo, void (*done)(void *data, int status), void *done_data);
    /* True when the memo of an open run other than this one has that text in it. */
    bool (*is_named)(void *data, const char *run_id, const char *text);
    /* The secret of a run's callbacks: the same whenever it is asked for. */
    void (*callback_secret)(void *data, const char *run_id, char secret[65]);
    void (*started)(void *data, const char *run_id, const char *remote_id, const char *remote_url,
                    const char *backend_state, int64_t started_ms);
    void (*not_started)(void *data, const char *run_id, const struct error *why, bool again, int64_t retry_after_ms);
    void (*start_unknown)(void *data, const char *run_id, const struct error *why);
    void (*found)(void *data, const char *run_id, enum found found, const char *remote_id, const char *remote_url,
                  int64_t started_ms);
    void (*ended)(void *data, const char *run_id, const struct run_end *end);
    void (*checked)(void *data, const char *run_id, enum checked checked, const char *backend_state, int64_t ended_ms);
    /* status 0: all is in `dir` and synced; the collection's references are handed over. Else why not yet. */
    void (*collected)(void *data, const char *run_id, int status, const struct error *why, struct collection *collection);
};

struct backend;

struct backend_ops {
    void (*start)(struct backend *b, const struct run_record *run, const struct process_config *process,
                  const json_t *event, const json_t *input);
    void (*find)(struct backend *b, const struct run_record *run, const struct process_config *process);
    void (*follow)(struct backend *b, const struct run_record *run, const struct process_config *process);
    void (*stop)(struct backend *b, const struct run_record *run, const struct process_config *process,
                 enum stop_how how);
    /* Something happened to a run that is followed: look at it now. NULL: this backend needs no such hint. */
    void (*look)(struct backend *b, const char *run_id);
    /* Looks whether a run that ended unresolved is completed by now → checked. NULL: an end is an end. */
    void (*check)(struct backend *b, const struct run_record *run, const struct process_config *process);
    /* `process` may be NULL when the configuration no longer names it: bring home what can be. `input` is the run's JSON
     * array of payloads. */
    void (*collect)(struct backend *b, const struct run_record *run, const struct process_config *process,
                    const json_t *input, const char *dir);
    /* The run's end is on disk: what the backend kept of it may go. */
    void (*forget)(struct backend *b, const char *run_id);
    /* The console as far as it is known: a path to a growing file, on the heap, or NULL. */
    char *(*console)(struct backend *b, const char *run_id);
    /* Something is wrong with the workspace ("api key refused since …"), or NULL: for status. Lent. */
    const char *(*trouble)(struct backend *b);
    /* A reload: the new settings of the workspace (held by the caller as long as the backend lives). */
    void (*configure)(struct backend *b, const struct workspace_config *workspace);
    /* Gives up what is under way without reports (runs go on where they are), then closed(data). */
    void (*close)(struct backend *b, void (*closed)(void *data), void *data);
};

struct backend {
    const struct backend_ops *ops;
    const struct backend_reports *reports;
};

struct http_client;

/* `flows`: of the runs that go through steps; it outlives the backend. */
int backend_local_new(uv_loop_t *loop, const char *state_dir, const struct workspace_config *workspace, struct flows *flows,
                      const struct backend_reports *reports, struct backend **backend, struct error *err);
/* An empty flow for an open run, as its memo has its steps; the journal's items and step runs are put into it. */
int backend_local_flow(const struct run_record *run, const struct workspace_config *workspace, const struct process_config *process,
                       struct flow **flow);
int backend_robocorp_new(uv_loop_t *loop, struct http_client *client, const struct workspace_config *workspace,
                         const struct backend_reports *reports, struct backend **backend, struct error *err);

#endif
