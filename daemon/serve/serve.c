/* The table of routes, who may take them, and the room itself. */
#include "belfry/serve/serve.h"

#include <stdlib.h>
#include <string.h>

#include "belfry/base/text.h"
#include "api.h"

/* --- small helps -------------------------------------------------------------------------------------------------- */

void serve_json(struct http_exchange *x, unsigned status, json_t *body)
{
    char *text = json_text(body);

    json_decref(body);
    if (text == NULL)
        http_respond_error(x, 500, "out_of_memory", "out of memory");
    else
        http_respond(x, status, "application/json", text, strlen(text), NULL, 0);
    free(text);
}

json_t *serve_body(struct http_exchange *x)
{
    struct error err;
    size_t len;
    const char *bytes = http_body(x, &len);
    json_t *body = len > 0 ? json_parse(bytes, len, &err) : json_object();

    if (body == NULL) {
        http_respond_error(x, 400, "bad_json", "the body is not good JSON: %s", err.text);
    } else if (!json_is_object(body)) {
        http_respond_error(x, 400, "bad_json", "the body has to be a JSON object");
        json_decref(body);
        body = NULL;
    }
    return body;
}

bool serve_query_int(struct http_exchange *x, const char *name, int64_t low, int64_t high, int64_t otherwise, int64_t *value)
{
    const char *text = http_query(x, name);

    *value = otherwise;
    if (text == NULL || text_int(text, low, high, value) == 0)
        return true;
    http_respond_error(x, 400, "bad_query", "%s has to be a number from %lld to %lld", name, (long long)low, (long long)high);
    return false;
}

bool serve_query_time(struct http_exchange *x, const char *name, int64_t *wall_ms)
{
    const char *text = http_query(x, name);

    *wall_ms = 0;
    if (text == NULL || time_parse(text, wall_ms) == 0)
        return true;
    http_respond_error(x, 400, "bad_query", "%s has to be a time as in 2026-01-05T02:30:00Z", name);
    return false;
}

struct barrier {
    struct serve_room *room;
    struct commit commit;
    void (*done)(void *data, int status);
    void *data;
};

static void barrier_passed(struct commit *commit, int status)
{
    struct barrier *b = commit->data;
    struct serve_room *room = b->room;

    b->done(b->data, status);
    free(b);
    serve_let_go(room);
}

void serve_when_written(struct serve_room *room, void (*done)(void *data, int status), void *data)
{
    struct barrier *b = calloc(1, sizeof *b);

    if (b == NULL)
        abort();
    *b = (struct barrier) { .room = room, .done = done, .data = data };
    b->commit = (struct commit) { .must = true, .cb = barrier_passed, .data = b };   /* of no records: commits keep their order */
    room->open++;
    journal_commit(room->host.journal, &b->commit);
}

/* --- routes ------------------------------------------------------------------------------------------------------- */

struct route {
    const char *method;
    const char *path;          /* {} stands for one segment, * at the end for the rest */
    uint32_t permissions;      /* that a key needs: over the socket none is asked for */
    route_fn serve;
};

#define READS_RUNS (MAY(MAY_READ_RUNS) | MAY(MAY_READ_WORK_ITEMS))
#define READS_FILES (MAY(MAY_READ_RUN_OUTPUTS) | MAY(MAY_READ_WORK_ITEMS))

static const struct route routes[] = {
    { "GET", "/healthz", FOR_ALL, serve_health },
    { "GET", "/readyz", FOR_ALL, serve_ready },
    { "POST", "/callbacks/{}", FOR_ALL, serve_callback },
    { "GET", "/files/{}/*", FOR_ALL, serve_link },
    { "GET", "/item-files/{}", FOR_ALL, serve_item_file },
    { "POST", "/uploads/{}", FOR_ALL, serve_upload },
    { "PUT", "/uploads/{}", FOR_ALL, serve_upload },
    { "PUT", "/asset-uploads/{}", FOR_ALL, serve_upload },
    { "POST", "/asset-uploads/{}", FOR_ALL, serve_upload },
    { "GET", "/api/v1/openapi.json", FOR_ALL, serve_reference },
    { "GET", "/", FOR_ALL, serve_root },
    { "GET", "/api/", FOR_ALL, serve_api_page },
    { "GET", "/api", FOR_ALL, serve_api_page_is_there },
    { "GET", "/metrics", MAY(MAY_READ_RUNS), serve_metrics },
    { "GET", "/belfry/v1/status", FOR_OPERATOR, serve_status },
    { "GET", "/belfry/v1/triggers", MAY(MAY_READ_PROCESSES), serve_triggers },
    { "GET", "/belfry/v1/next", MAY(MAY_READ_PROCESSES), serve_next },
    { "POST", "/belfry/v1/triggers/{}/{}/pause", MAY(MAY_TRIGGER_PROCESSES), serve_pause },
    { "POST", "/belfry/v1/triggers/{}/{}/resume", MAY(MAY_TRIGGER_PROCESSES), serve_resume },
    { "POST", "/belfry/v1/reload", FOR_OPERATOR, serve_reload },
    { "GET", "/belfry/v1/runs", READS_RUNS, serve_runs },
    { "GET", "/belfry/v1/runs/{}", READS_RUNS, serve_run },
    { "GET", "/belfry/v1/runs/{}/log", MAY(MAY_READ_RUN_OUTPUTS), serve_log },
    { "GET", "/belfry/v1/runs/{}/files/*", READS_FILES, serve_file },
    { "POST", "/belfry/v1/runs/{}/cancel", MAY(MAY_TRIGGER_PROCESSES), serve_cancel },
    { "POST", "/belfry/v1/runs/{}/retry", MAY(MAY_WRITE_WORK_ITEMS), serve_retry },
    { "POST", "/belfry/v1/processes/{}/runs", MAY(MAY_TRIGGER_PROCESSES), serve_begin },
    { "GET", "/belfry/v1/keys", FOR_OPERATOR, serve_keys },
    { "GET", "/belfry/v1/keys/{}", FOR_OPERATOR, serve_key },
    { "POST", "/belfry/v1/keys/{}", FOR_OPERATOR, serve_key_edit },
    { "DELETE", "/belfry/v1/keys/{}", FOR_OPERATOR, serve_key_remove },
    { "GET", "/belfry/v1/workspaces/{}/keys", FOR_OPERATOR, serve_workspace_keys },
    { "POST", "/belfry/v1/workspaces/{}/keys", FOR_OPERATOR, serve_key_add },
    { "GET", "/belfry/v1/workspaces/{}/keys/{}", FOR_OPERATOR, serve_key },
    { "POST", "/belfry/v1/workspaces/{}/keys/{}", FOR_OPERATOR, serve_key_edit },
    { "DELETE", "/belfry/v1/workspaces/{}/keys/{}", FOR_OPERATOR, serve_key_remove },
};

#define ROUTE_COUNT (sizeof routes / sizeof *routes)
#define FOR_ALL_BODY_MAX 65536   /* a callback of a Control Room is a few hundred bytes */

bool serve_path_matches(const char *pattern, const char *path, struct route_args *args)
{
    size_t n = 0;

    for (size_t i = 0; i < ARGS_MAX; i++)
        args->at[i][0] = '\0';
    while (*pattern != '\0') {
        size_t len;

        if (*pattern == '*' || (pattern[0] == '{' && pattern[1] == '}')) {
            len = *pattern == '*' ? strlen(path) : strcspn(path, "/");
            if (n == ARGS_MAX || len == 0 || len >= ARG_SIZE)
                return false;
            memcpy(args->at[n], path, len);
            args->at[n++][len] = '\0';
            path += len;
            pattern += *pattern == '*' ? 1 : 2;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

bool serve_method_matches(const char *method, const char *asked)
{
    return strcmp(method, asked) == 0 || (strcmp(method, "GET") == 0 && strcmp(asked, "HEAD") == 0);
}

void serve_add_method(struct buf *allow, const char *method)
{
    if (strstr(buf_str(allow), method) == NULL)   /* none is a part of another */
        buf_addf(allow, "%s%s", allow->len > 0 ? ", " : "", method);
}

void serve_refuse_method(struct http_exchange *x, const char *code, const char *allow)
{
    struct buf body = { 0 };

    buf_addf(&body, "{\"error\":{\"code\":\"%s\",\"message\":\"this path does not take that method\"}}", code);
    http_respond(x, 405, "application/json", buf_str(&body), body.len, &(struct http_header_pair) { "Allow", allow }, 1);
    buf_close(&body);
}

/* Whether nobody is asked for a key here. What is not there is told to who has one, but that a webhook is not. */
static bool is_for_all(const char *path)
{
    struct route_args args;

    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (serve_path_matches(routes[i].path, path, &args))
            return routes[i].permissions == FOR_ALL;
    }
    return strncmp(path, "/hooks/", 7) == 0;
}

void serve_head(struct serve_room *room, struct http_exchange *x, int64_t usual)
{
    char value[GATE_VALUE_SIZE];

    /* Without a body nothing is kept of who is not known, and the request itself is judged in a moment. */
    if (serve_upload_head(room, x) || !http_announces_body(x))
        return;
    if (api_owns(http_path(x)))
        api_head(room, x, usual);
    else if (is_for_all(http_path(x)))
        http_limit_body(x, usual < FOR_ALL_BODY_MAX ? usual : FOR_ALL_BODY_MAX);
    else if (gate_knows(room, x, gate_value(x, NULL, false, value) ? value : NULL))
        http_limit_body(x, usual);
    else
        gate_ask_for_key(x, "unauthorized");
}

void serve_request(struct serve_room *room, struct http_exchange *x)
{
    const char *path = http_path(x), *method = http_method(x);
    struct route_args args = { .workspace = NULL };
    struct buf allow = { 0 };

    if (api_owns(path)) {
        api_request(room, x);
        return;
    }
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!serve_path_matches(routes[i].path, path, &args))
            continue;
        if (!gate_lets(room, x, routes[i].permissions, &args))
            goto out;
        if (serve_method_matches(routes[i].method, method)) {
            routes[i].serve(room, x, &args);
            goto out;
        }
        serve_add_method(&allow, routes[i].method);
    }
    if (allow.len > 0)
        serve_refuse_method(x, "method_not_allowed", buf_str(&allow));
    else if (is_for_all(path) || gate_lets(room, x, FOR_ANY_KEY, &args))
        http_respond_error(x, 404, "not_found", "there is nothing at this path");
out:
    buf_close(&allow);
}

/* --- the room ----------------------------------------------------------------------------------------------------- */

int serve_new(uv_loop_t *loop, const struct serve_host *host, struct serve_room **room, struct error *err)
{
    struct serve_room *r = calloc(1, sizeof *r);

    *room = NULL;
    if (r == NULL)
        return error_set(err, BF_ENOMEM, "cannot prepare the API: out of memory");
    r->loop = loop;
    r->host = *host;
    r->open = 1;
    TAILQ_INIT(&r->waiting);
    TAILQ_INIT(&r->uploads);
    TAILQ_INIT(&r->landing);
    heap_init(&r->deadlines);
    (void)uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    *room = r;
    return 0;
}

void serve_stop(struct serve_room *room)
{
    room->stopping = true;
    run_answer_all(room);
}

void serve_let_go(struct serve_room *room)
{
    void (*closed)(void *data) = room->closed;
    void *data = room->closed_data;

    if (--room->open > 0)
        return;
    heap_close(&room->deadlines);
    free(room);
    closed(data);
}

static void timer_closed(uv_handle_t *handle)
{
    serve_let_go(handle->data);
}

void serve_close(struct serve_room *room, void (*closed)(void *data), void *data)
{
    room->closed = closed;
    room->closed_data = data;
    serve_stop(room);
    serve_drop_uploads(room);
    uv_close((uv_handle_t *)&room->timer, timer_closed);
}
