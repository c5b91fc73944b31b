/*
 * Inside the Control Room API: api.c has the table of operations and the gate before it; the other files are the operations.
 *
 *   api_shape.c    what runs look like (pure)               api_start.c    starts
 *   api_runs.c     processes, runs, stopping, deleting      api_steps.c    a run with its step runs
 *   api_outputs.c  step runs, artifacts, console, events    api_flow.c     work items as the journal has them
 *   api_items.c    work items of runs without a flow        api_input.c    work items that are made, and wait
 *   api_files.c    files of work items                      wishes.c       batches: retry, done, delete
 *   api_assets.c   assets                                   api_hooks.c    webhooks, callbacks
 *   api_workers.c  what a machine has of workers            api_old.c      the two older APIs: runs, starts
 *   api_old_steps.c  their step runs                        api_old_items.c  their work items
 *   api_robot.c    what a run asks for from inside          api_secrets.c  and from the vault
 *   api_reference.c, api_schemas.c  the description of it all
 */
#ifndef BELFRY_SERVE_API_H
#define BELFRY_SERVE_API_H

#include "serve_internal.h"

/* What a start is answered with: `ids` of the items that clients had made, or NULL. A new reference. */
struct api_call;
#define KEY_NAME_SIZE 201
typedef json_t *(*start_shape)(const struct api_call *call, const struct process_config *process, const char *run_id, const json_t *ids,
                               size_t payloads);

struct api_call {
    struct serve_room *room;
    struct http_exchange *x;
    struct config *config;         /* in force when it came: who needs it, or what points into it, after the call holds it */
    const struct workspace_config *workspace;
    void (*items)(const struct api_call *call, json_t *items);   /* answers with items in another shape (taken); NULL: v1's */
    size_t item_at;                /* which of the arguments is a work item's id */
    start_shape shape;             /* of a start's answer; NULL: v1's */
    bool callback;                 /* the body, a start's, has one */
    char key_name[KEY_NAME_SIZE];  /* who asks: of the key; "socket" over the socket */
    char run_id[ID_SIZE];          /* with a token of a run: whose it is */
    char step_run[ID_SIZE];
    struct route_args args;
};

typedef void (*operation_fn)(const struct api_call *call);

enum { NO_PERMISSION = PERMISSIONS, RUN_TOKEN /* no key's, but a run's own */,
    SEES_RUNS /* read_processes or read_runs: a key of the older APIs that may read runs polls them, with v1's names it takes the other */ };

struct operation {
    const char *method;
    const char *path;              /* below /api/v1/workspaces/{workspace_id}; {} stands for one segment */
    const char *name;              /* operationId, the vendor's */
    unsigned permission;           /* enum permission, or NO_PERMISSION: any key of the workspace will do */
    operation_fn serve;            /* NULL: this version does not serve it, and says so */
    const char *query;             /* its query arguments, for the reference, "run_id! limit state=new|done"; "!": needed; NULL: none */
    bool token;                    /* the key comes as ?token= */
};
extern const struct operation operations[];
extern const size_t operation_count;
/* The older workspace API, and the oldest, whose "process secret" is a key as well. */
extern const struct operation process_v1_operations[], process_secret_operations[];
extern const size_t process_v1_count, process_secret_count;
/* What runs use from inside: work items, the vault. */
extern const struct operation json_v1_operations[], secrets_v1_operations[];
extern const size_t json_v1_count, secrets_v1_count;

/* --- api.c --- */
/* {"error": {"code", "message"}} with a code of the contract's spelling for the status. */
void api_refuse(struct http_exchange *x, unsigned status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The body as JSON: any value; nothing at all is null. False when it was refused. The caller's reference. */
bool api_body(struct http_exchange *x, json_t **body);
#define API_LIMIT_MAX 1000         /* elements of a page: who asks for more gets so many */
/* "limit" (a float will do), or what it is when it is not said; false when it was refused. */
bool api_limit(struct http_exchange *x, size_t *limit);
bool api_limit_or(struct http_exchange *x, size_t otherwise, size_t *limit);
/* The same where no page is meant, with another bound. */
bool api_limit_within(struct http_exchange *x, size_t otherwise, size_t most, size_t *limit);
void api_refuse_cursor(struct http_exchange *x);
/* The "cursor" of a page that tells how much came before; false when it was refused. */
bool api_offset(struct http_exchange *x, int64_t *offset);
/* The limit and the "cursor" of a page, which is an id; false when it was refused. */
bool api_page(struct http_exchange *x, size_t *limit, const char **cursor);
/* {"next", "has_more", "data"}: takes `data`. `cursor` NULL: this is the last page. */
void api_answer_page(struct http_exchange *x, json_t *data, const char *cursor);
/* The same with the elements as JSON text. */
void api_answer_page_text(struct http_exchange *x, const struct buf *elements, const char *cursor);
/* "http://host" as the client wrote it, or https behind a proxy that says so. */
void api_base_url(const struct http_exchange *x, struct buf *url);
/* A process of the workspace, by its id or name. */
const struct process_config *api_process(const struct api_call *call, const char *word);

/* --- api_shape.c --- */
/* A Control Room's word for where a run is. */
const char *shape_word(const struct run_record *run);
json_t *shape_process(const struct process_config *process);
/* Appends a process run as JSON text; `process` NULL: it is no longer configured. */
void shape_run_text(struct buf *out, const struct run_record *run, const struct process_config *process);
/* `awaiting`: its run waits for a place. */
json_t *shape_step_run(const char *process, const struct step_record *step, bool awaiting);
/* The step of a run that has no flow: its one command, or what it will begin with as its process is configured now (NULL: it is not). */
const char *shape_first_step(const struct run_record *run, const struct process_config *process);
/* The id of a process's step. */
void shape_step_id(const char *process, const char *step, char id[ID_SIZE]);
/* An artifact of a run's result; its id is of the run and the path. */
void artifact_id(const char *run_id, const char *path, char id[ID_SIZE]);
json_t *shape_artifact(const struct run_record *run, const json_t *artifact);
/* The first line of a console's bytes: how many of them it takes with its end, and how long it is; 0 when it may go on behind them (not
 * `last`). One that is longer than `most` is cut there, between two characters; its own end alone is never left over. */
size_t shape_console_line(const char *bytes, size_t len, size_t most, bool last, size_t *line);
/* The runs that have a Control Room's word (NULL: any), as journal_read has it. NULL for no such word. */
struct run_filter {
    const char *word;
    unsigned states;
    int stopping, begun;
};
const struct run_filter *runs_of_word(const char *word);

/* --- api_runs.c --- */
void api_workspace(const struct api_call *call);
void api_processes(const struct api_call *call);
void api_runs(const struct api_call *call);
void api_runs_of_process(const struct api_call *call);
void api_run(const struct api_call *call);
void api_stop(const struct api_call *call);
void api_run_delete(const struct api_call *call);
/* Reads a run of the call's workspace, then done; it has answered 404 when there is none. */
struct api_read;
void api_read_run(const struct api_call *call, const char *id, void (*done)(struct api_read *read, const struct run_record *run));
/* The same with `files` of api_read (taken). */
void api_read_run_with(const struct api_call *call, const char *id, json_t *files,
                       void (*done)(struct api_read *read, const struct run_record *run));

struct api_read {
    struct api_call call;
    struct config *config;         /* held */
    struct journal_read read;
    json_t *files;                 /* {item id: v1's list of its files}, of items that clients had made; or NULL */
    void (*done)(struct api_read *read, const struct run_record *run);
};

/* The newest runs of the workspace, of a process or all (NULL), in a v1 state or any (NULL): done gets the rows, with memo and result. */
void api_list_runs(const struct api_call *call, const struct process_config *process, const char *state, size_t limit,
                   void (*done)(struct api_read *read, const struct run_record *none));

/* --- api_steps.c --- */
/* A run and its step runs. */
struct api_steps {
    struct api_call call;
    struct config *config;         /* held */
    struct run_record run;
    json_t *result;                /* the run's, or NULL */
    struct step_record *steps;
    size_t count;                  /* none of a flow that has not begun; at least one when one was asked for */
    bool flow;                     /* they are rows of their own; else there is one, made of the run */
    char only[ID_SIZE];            /* the one that was asked for */
    struct journal_read read;
    void (*done)(struct api_steps *s);
};
/* A run of the call's workspace with all of its step runs; or one step run, with its run. done is called unless it was refused. */
void api_read_steps(const struct api_call *call, const char *run_id, void (*done)(struct api_steps *s));
void api_read_step(const struct api_call *call, const char *step_run_id, void (*done)(struct api_steps *s));
/* The one step run of a run that is a command; close it with step_record_close. */
void api_derive_step(const struct run_record *run, const struct process_config *process, const json_t *result, struct step_record *step);
/* Whether it goes through steps, as far as its record (with its memo) tells: that it has step runs in the journal tells, too. */
bool api_run_has_flow(const struct config *config, const struct run_record *run);
/* Those of the result's artifacts that the step run left. A new reference. */
json_t *api_step_artifacts(const struct api_steps *s, const struct step_record *step);
/* Its console as far as it is known: a descriptor, or -1. */
int api_open_console(const struct api_steps *s, const struct step_record *step);

/* The same from a run on, with all that is known of each. */
void api_list_runs_from(const struct api_call *call, const struct process_config *process, const char *before, size_t limit,
                        void (*done)(struct api_read *read, const struct run_record *none));

/* --- api_start.c --- */
void api_start(const struct api_call *call);
/* Starts a run with the payloads (taken; NULL: nothing was said of them); answered in that shape. */
void api_start_as(const struct api_call *call, const struct process_config *process, json_t *payloads, start_shape shape);
/* The process in the call's path; NULL after it was refused. */
const struct process_config *api_start_process(const struct api_call *call);
/* Rings with items that were read, and files of theirs that the event is to name (NULL: none); what the arguments are is lent. */
void api_start_with_items(const struct api_call *call, const struct process_config *process, const json_t *ids, json_t *payloads,
                          json_t *files);
void api_start_by_token(const struct api_call *call);

/* --- api_flow.c --- */
/* A work item as v1 has it, but for its payload and files. A new reference. */
json_t *api_shape_item(const struct api_call *call, const struct config *config, const struct item_record *item);
void api_outputs(const struct api_call *call);
void api_outputs_of_run(const struct api_call *call);
/* The work items of a run. */
void api_run_items(const struct api_call *call, const char *run_id);
void api_item(const struct api_call *call);
void api_item_payload(const struct api_call *call);
void api_item_file(const struct api_call *call);
void api_item_file_flat(const struct api_call *call);

/* A page of the items that are rows, behind that row (0: the first); the next cursor is "w" and the last one's row, or "r" when there
 * are no more. */
void api_all_rows(const struct api_call *call, const struct process_config *process, int64_t before, size_t limit);

/* --- api_items.c --- */
void api_items(const struct api_call *call);
void api_items_of_run(const struct api_call *call);
void api_items_of_process(const struct api_call *call);
/* Of a run that has no flow: its items (or outputs); the one in the call's path (`taken_by`: the run, when a client had made it).
 * `files` (taken) as in api_read: those that clients had made keep the files that they had. */
void api_derived_items(const struct api_call *call, const char *run_id, bool outputs, json_t *files);
void api_derived_item(const struct api_call *call, const char *taken_by, json_t *files);
/* Refuses a change of it. */
void api_derived_item_stays(const struct api_call *call, const char *taken_by);
/* call->items gets `items` (taken: those that are rows, the oldest first) and after them those of the process's newest runs without a
 * flow, the oldest of these first; `data`: with their payloads and files. */
void api_add_derived_items(const struct api_call *call, const struct process_config *process, size_t runs, bool data, json_t *items);

/* --- api_input.c --- */
#define API_ITEMS_MAX 1000         /* of one start */
void api_item_make(const struct api_call *call);
/* The same with a payload (lent) and an answer of another shape. */
void api_item_make_as(const struct api_call *call, const struct process_config *process, const json_t *payload, json_t *(*shape)(json_t *item));
/* Changes its payload (lent). */
void api_write_payload(const struct api_call *call, const struct item_record *item, const json_t *payload);
/* A start of the process in the call's path, with the items of those ids; with all that wait. */
void api_start_named_items(const struct api_call *call, const json_t *ids);
void api_start_inputs(const struct api_call *call, const struct process_config *process);

/* --- api_old.c --- */
/* A body that is a payload as a whole: api_body, but a form is taken, too, as an object of strings. */
bool api_old_payload(struct http_exchange *x, json_t **payload);
/* A member with a text, or null. */
void api_old_put(json_t *o, const char *name, const char *text);
json_t *api_old_shape_step(const struct step_record *step);
/* True when the run is of the process in the path; it was refused when not. */
bool api_old_is_of_process(const struct api_call *call, const struct run_record *run);

/* --- api_old_steps.c --- */
void api_old_robot_runs(const struct api_call *call);
void api_old_robot_run(const struct api_call *call);
void api_old_robot_events(const struct api_call *call);
void api_old_robot_messages(const struct api_call *call);
void api_old_robot_artifacts(const struct api_call *call);
void api_old_robot_artifact(const struct api_call *call);

/* --- api_old_items.c --- */
void api_old_item_make(const struct api_call *call);
void api_old_items_of_process(const struct api_call *call);
void api_old_items_of_run(const struct api_call *call);
void api_old_item(const struct api_call *call);
void api_old_item_file(const struct api_call *call);

/* --- api_outputs.c --- */
void api_step_runs(const struct api_call *call);
void api_step_runs_of_run(const struct api_call *call);
void api_step_run(const struct api_call *call);
void api_artifacts(const struct api_call *call);
void api_artifact(const struct api_call *call);
void api_console(const struct api_call *call);
void api_events(const struct api_call *call);

/* The first lines of a step run's console, as far as 16 MiB of it reach: [{"timestamp", "message"}]. */
json_t *api_console_lines(const struct api_steps *s, const struct step_record *step, size_t limit);

/* --- api_robot.c --- */
/* True when it is the token of a step run of the call's workspace that goes on; whose, is noted in the call. */
bool api_run_token(struct api_call *call, const char *value);
void robot_reserve(const struct api_call *call);
void robot_release(const struct api_call *call);
void robot_output(const struct api_call *call);

/* --- wishes.c --- */
void api_batch(const struct api_call *call);
void api_old_retry(const struct api_call *call);

/* --- api_workers.c --- */
void api_no_elements(const struct api_call *call);
void api_no_such_element(const struct api_call *call);
void api_workers(const struct api_call *call);
void api_worker(const struct api_call *call);

/* --- api_assets.c --- */
void api_assets(const struct api_call *call);
void api_asset(const struct api_call *call);
void api_asset_make(const struct api_call *call);
void api_asset_delete(const struct api_call *call);
void api_asset_upload(const struct api_call *call);
void api_asset_upload_state(const struct api_call *call);

/* --- api_hooks.c --- */
void api_hooks(const struct api_call *call);
void api_hook(const struct api_call *call);
void api_hook_make(const struct api_call *call);
void api_hook_delete(const struct api_call *call);
/* What a start's body says of a callback, lent by it; url NULL: nothing. False when it was refused. */
struct callback_ask {
    const char *url, *secret;
    unsigned events;
};
bool api_read_callback(const struct api_call *call, const json_t *body, struct callback_ask *ask);

/* --- api_files.c --- */
/* The body announces a file of that item, which has those: answered with where its bytes go, in that shape (which takes form). */
void api_file_announce(const struct api_call *call, const char *item_id, const struct item_file *files, size_t count,
                       json_t *(*shape)(const char *url, json_t *form));
json_t *api_upload_flat(const char *url, json_t *form);     /* {"url", "fields", "form_data"} */
json_t *api_upload_nested(const char *url, json_t *form);   /* {"upload": {"url", "form_data"}} */
void api_file_drop(const struct api_call *call, const char *file_id);
/* v1's list of an item's files, with links. */
json_t *api_shape_files(const struct api_call *call, const char *item_id, const struct item_file *files, size_t count);

/* --- api_schemas.c --- */
struct operation_shape {
    const char *name;              /* of the operation */
    const char *summary;           /* what it is for */
    const char *body;              /* the schema of what it takes, "X?" when it may be left out; NULL: nothing */
    const char *answer;            /* and gives; "[X]": a page of X; NULL: it never succeeds */
    const char *errors;            /* its own, "400 404" */
};
extern const struct operation_shape operation_shapes[];
extern const size_t operation_shape_count;
extern const char api_schemas[];   /* a JSON object, for components */

/* --- api_reference.c --- */
void serve_reference(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

#endif
