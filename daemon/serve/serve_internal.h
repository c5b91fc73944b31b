/*
 * Inside the serving room: serve.c has the table of routes, gate.c lets in or not; admin.c, runs.c, files.c and begin.c have its
 * rows.
 */
#ifndef BELFRY_SERVE_INTERNAL_H
#define BELFRY_SERVE_INTERNAL_H

#include <sys/queue.h>

#include "belfry/base/heap.h"
#include "belfry/serve/serve.h"

#define ARGS_MAX 5
#define ARG_SIZE 1024                /* "name:" and 255 escaped slashes have room */

/* What stands in a path's place holders; the last may be the rest of the path. */
struct route_args {
    char at[ARGS_MAX][ARG_SIZE];
    const char *workspace;           /* the name of the one whose things alone are shown, for this call; NULL: of all */
    const char *who;                 /* with a workspace: the key's name */
};

#define LIMIT_SIZE 65                /* of a workspace's name that is kept */
#define PAGE_BYTES (8 << 20)         /* of what a page of a list is made of: then it ends early, and says that there is more */

struct run_ask;
TAILQ_HEAD(run_ask_list, run_ask);
struct upload;
TAILQ_HEAD(upload_list, upload);

struct serve_room {
    uv_loop_t *loop;
    struct serve_host host;
    struct run_ask_list waiting;     /* for a run's end */
    struct heap deadlines;           /* of those */
    struct upload_list uploads;      /* whose bodies come */
    struct upload_list landing;      /* those that are whole, and are put in place */
    uv_timer_t timer;
    bool stopping;
    size_t open;                     /* asks under way, and the timer */
    void (*closed)(void *data);
    void *closed_data;
};

typedef void (*route_fn)(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

/* --- serve.c --- */
void serve_let_go(struct serve_room *room);
/* done(data, status) once all that was given to the journal before is on disk: for what is acknowledged, and was written by somebody
 * else. status: 0 or BF_ESHUTDOWN. */
void serve_when_written(struct serve_room *room, void (*done)(void *data, int status), void *data);
/* Answers with JSON; takes the reference. */
void serve_json(struct http_exchange *x, unsigned status, json_t *body);
/* The body as a JSON object (empty: an empty one); NULL when it was refused with 400. */
json_t *serve_body(struct http_exchange *x);
/* Adds one to the methods that a path takes, for an Allow header; and refuses another with them. */
void serve_add_method(struct buf *allow, const char *method);
void serve_refuse_method(struct http_exchange *x, const char *code, const char *allow);
/* A query argument as a whole number within bounds, or `otherwise` when it is not given: false when it was refused. */
bool serve_query_int(struct http_exchange *x, const char *name, int64_t low, int64_t high, int64_t otherwise, int64_t *value);
/* A query argument as a time, 0 when it is not given: false when it was refused. */
bool serve_query_time(struct http_exchange *x, const char *name, int64_t *wall_ms);

/* --- gate.c --- */
/* What a route of Belfry's own asks of a key: bits 1 << enum permission, or: */
#define FOR_ALL UINT32_C(0)          /* nobody is asked */
#define FOR_ANY_KEY (UINT32_C(1) << 31)
#define FOR_OPERATOR UINT32_MAX      /* no key will do: who may open the socket */
#define MAY(permission) (UINT32_C(1) << (permission))
/* False when it has been refused. args get the workspace that a key is limited to. */
bool gate_lets(struct serve_room *room, struct http_exchange *x, uint32_t permissions, struct route_args *args);
/* True when what lies in the workspace is not to be seen with that limit (NULL or "": none). */
bool gate_hides(const char *limit, const char *workspace);
#define GATE_VALUE_SIZE 256          /* a run's token has room, and more than any key */
/* The value behind "RC-WSKEY" or "Bearer", in that header (NULL: none), or as ?token= when it may: where there is a header of its own,
 * the key is called a secret, and may come as ?secret=, too. False when there is none. */
bool gate_value(const struct http_exchange *x, const char *key_header, bool token, char value[GATE_VALUE_SIZE]);
/* Whether there is such a key (NULL: none came), or none is needed over the socket: nothing is counted. */
bool gate_knows(const struct serve_room *room, const struct http_exchange *x, const char *value);
/* 401, in the words of the route: "unauthorized", or the API's. */
void gate_ask_for_key(struct http_exchange *x, const char *code);
/* A local workspace, by its id or name. */
const struct workspace_config *gate_workspace(const struct serve_room *room, const char *word, size_t len);

/* --- admin.c --- */
void serve_health(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_ready(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_callback(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_metrics(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_status(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_triggers(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_next(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_pause(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_resume(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_reload(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

/* --- keys.c --- */
void serve_keys(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_workspace_keys(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_key(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_key_add(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_key_edit(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_key_remove(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

/* --- runs.c --- */
void serve_runs(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_run(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_cancel(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void run_timer(uv_timer_t *timer);
void run_answer_all(struct serve_room *room);

/* True when the path fits the pattern; args get what stands in its place holders. */
bool serve_path_matches(const char *pattern, const char *path, struct route_args *args);
/* GET takes HEAD, too. */
bool serve_method_matches(const char *method, const char *asked);

/* --- api.c --- */
bool api_owns(const char *path);
void api_head(struct serve_room *room, struct http_exchange *x, int64_t usual);
void api_request(struct serve_room *room, struct http_exchange *x);

/* --- links.c --- */
/* Appends the path and query of a link to a file of a run's results. */
void serve_link_to(const struct serve_room *room, const char *run_id, const char *path, struct buf *url);
void serve_link(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

/* --- web.c; the pages are in web/ --- */
extern const char web_api_html[];
void serve_root(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_api_page(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_api_page_is_there(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

/* --- uploads.c --- */
/* Appends the path and query of a link that takes the bytes of a work item's file, or gives them. `step_run`: who asks for it; "": a
 * client. */
void serve_upload_link(const struct serve_room *room, const char *file_id, const char *step_run, int64_t size, struct buf *url);
/* The same of an asset's upload, of whatever length. */
void serve_asset_upload_link(const struct serve_room *room, const char *upload_id, struct buf *url);
void serve_item_file_link(const struct serve_room *room, const char *file_id, struct buf *url);
/* True when the head is an upload's: its body is streamed, or it was refused. */
bool serve_upload_head(struct serve_room *room, struct http_exchange *x);
/* The room closes: what has not come whole is given up. */
void serve_drop_uploads(struct serve_room *room);
void serve_upload(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_item_file(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

/* --- wishes.c --- */
void serve_retry(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

/* --- files.c --- */
/* Answers with an open regular file, from offset on; takes the descriptor. */
void serve_send_file(struct http_exchange *x, int fd, const char *type, int64_t offset, int64_t most);
/* A run's console as far as it is known: a descriptor, or -1. */
int serve_open_console(const struct serve_room *room, const struct run_record *run);
void serve_log(struct serve_room *room, struct http_exchange *x, const struct route_args *args);
void serve_file(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

/* --- begin.c --- */
void serve_begin(struct serve_room *room, struct http_exchange *x, const struct route_args *args);

#endif
