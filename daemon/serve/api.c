/*
 * The Control Room API of local workspaces: one table of operations, each with its permission, and one gate. What is not in the
 * table cannot be reached; what is in it is reached by who holds the permission. Source: the vendor's API v1, as its OpenAPI
 * document has it; the spellings of its earlier editions are rows, too. The two older APIs (api_old.c) pass the same gate.
 */
#include "api.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/text.h"
#include "belfry/base/time.h"

#define LIMIT_DEFAULT 50

#define RUN_STATE "state=new|in_progress|completed|unresolved|stopping"
#define ITEM_STATE "state=new|pending|in_progress|failed|done"

/* Literals stand before what they would also match. */
const struct operation operations[] = {
    { "GET", "", "getWorkspace", NO_PERMISSION, api_workspace, NULL, false },
    { "GET", "/processes", "listProcesses", MAY_READ_PROCESSES, api_processes, "limit", false },
    { "GET", "/process-runs", "listProcessRuns", MAY_READ_RUNS, api_runs, "process_id " RUN_STATE " limit", false },
    { "GET", "/processes/{}/process-runs", "listProcessRunsOfProcess", MAY_READ_RUNS, api_runs_of_process, RUN_STATE " limit", false },
    { "GET", "/process-runs/{}", "getProcessRun", MAY_READ_PROCESSES, api_run, NULL, false },
    /* The vendor asks for read_runs alone: here, who may only read deletes nothing. */
    { "DELETE", "/process-runs/{}", "deleteProcessRun", MAY_TRIGGER_PROCESSES, api_run_delete, NULL, false },
    { "POST", "/process-runs/{}/stop", "stopProcessRun", MAY_TRIGGER_PROCESSES, api_stop, NULL, false },
    { "POST", "/processes/{}/process-runs", "startProcessRun", MAY_TRIGGER_PROCESSES, api_start, NULL, false },
    { "POST", "/processes/{}/process-runs-integrations", "startProcessRunQsAuth", MAY_TRIGGER_PROCESSES, api_start_by_token,
      "token! with_handshake=asana", true },
    { "GET", "/outputs", "listProcessRunOutputs", MAY_READ_WORK_ITEMS, api_outputs, "process_run_id! limit", false },
    { "GET", "/process-runs/{}/outputs", "listOutputsOfProcessRun", MAY_READ_WORK_ITEMS, api_outputs_of_run, "limit", false },
    { "GET", "/step-runs", "listStepRuns", MAY_READ_PROCESSES, api_step_runs, "process_run_id! limit", false },
    { "GET", "/process-runs/{}/step-runs", "listStepRunsOfProcessRun", MAY_READ_PROCESSES, api_step_runs_of_run, "limit", false },
    { "GET", "/step-runs/{}", "getStepRun", MAY_READ_RUNS, api_step_run, NULL, false },
    { "GET", "/step-runs/{}/artifacts", "listStepRunArtifacts", MAY_READ_RUN_OUTPUTS, api_artifacts, "limit", false },
    { "GET", "/step-runs/{}/artifacts/{}", "getStepRunArtifact", MAY_READ_RUN_OUTPUTS, api_artifact, NULL, false },
    { "GET", "/step-runs/{}/console-messages", "listStepRunConsoleMessages", MAY_READ_RUN_OUTPUTS, api_console, "limit", false },
    { "GET", "/step-runs/{}/events", "listStepRunEvents", MAY_READ_RUN_OUTPUTS, api_events, "limit", false },
    { "GET", "/work-items", "listWorkItems", MAY_READ_WORK_ITEMS, api_items, "process_id process_run_id " ITEM_STATE " limit", false },
    { "GET", "/processes/{}/work-items", "listWorkItemsOfProcess", MAY_READ_WORK_ITEMS, api_items_of_process, ITEM_STATE " limit", false },
    { "GET", "/process-runs/{}/work-items", "listWorkItemsOfProcessRun", MAY_READ_WORK_ITEMS, api_items_of_run, ITEM_STATE " limit", false },
    { "POST", "/work-items", "createWorkItem", MAY_WRITE_WORK_ITEMS, api_item_make, NULL, false },
    { "POST", "/work-items/batch", "runWorkItemBatchOperation", MAY_WRITE_WORK_ITEMS, api_batch, NULL, false },
    { "GET", "/work-items/{}", "getWorkItem", MAY_READ_WORK_ITEMS, api_item, "include_data", false },
    { "POST", "/work-items/{}/payload", "updateWorkItemPayload", MAY_WRITE_WORK_ITEMS, api_item_payload, NULL, false },
    { "PUT", "/work-items/{}/payload", "updateWorkItemPayloadByPut", MAY_WRITE_WORK_ITEMS, api_item_payload, NULL, false },
    { "POST", "/work-items/{}/files", "createWorkItemFile", MAY_WRITE_WORK_ITEMS, api_item_file, NULL, false },
    { "POST", "/work-items/{}/files/upload", "createWorkItemFileUpload", MAY_WRITE_WORK_ITEMS, api_item_file_flat, NULL, false },
    { "GET", "/assets", "listAssets", MAY_READ_ASSETS, api_assets, "limit", false },
    { "POST", "/assets", "createAsset", MAY_WRITE_ASSETS, api_asset_make, NULL, false },
    { "GET", "/assets/{}", "getAsset", MAY_READ_ASSETS, api_asset, NULL, false },
    { "DELETE", "/assets/{}", "deleteAsset", MAY_WRITE_ASSETS, api_asset_delete, NULL, false },
    { "POST", "/assets/{}/uploads", "createAssetUpload", MAY_WRITE_ASSETS, api_asset_upload, NULL, false },
    { "GET", "/assets/{}/uploads/{}", "getAssetUpload", MAY_WRITE_ASSETS, api_asset_upload_state, NULL, false },
    /* By a name that holds a slash; "*" is the rest of the path, and is not told of in the reference. */
    { "GET", "/assets/*", "getAssetByName", MAY_READ_ASSETS, api_asset, NULL, false },
    { "DELETE", "/assets/*", "deleteAssetByName", MAY_WRITE_ASSETS, api_asset_delete, NULL, false },
    { "GET", "/webhooks", "listWebhooks", MAY_READ_WEBHOOKS, api_hooks, "limit", false },
    { "POST", "/webhooks", "createWebhook", MAY_WRITE_WEBHOOKS, api_hook_make, NULL, false },
    { "GET", "/webhooks/{}", "getWebhook", MAY_READ_WEBHOOKS, api_hook, NULL, false },
    { "DELETE", "/webhooks/{}", "deleteWebhook", MAY_WRITE_WEBHOOKS, api_hook_delete, NULL, false },
    { "GET", "/workers", "listWorkers", MAY_READ_WORKERS, api_workers, "limit", false },
    { "POST", "/workers/link-tokens", "createLinkToken", MAY_WRITE_WORKERS, NULL, NULL, false },
    { "GET", "/workers/{}", "getWorker", MAY_READ_WORKERS, api_worker, NULL, false },
    { "POST", "/workers/{}", "updateWorker", MAY_WRITE_WORKERS, NULL, NULL, false },
    { "PUT", "/workers/{}", "updateWorkerByPut", MAY_WRITE_WORKERS, NULL, NULL, false },
    { "DELETE", "/workers/{}", "deleteWorker", MAY_WRITE_WORKERS, NULL, NULL, false },
    { "GET", "/worker-groups", "listWorkerGroups", MAY_READ_WORKERS, api_no_elements, "limit", false },
    { "POST", "/worker-groups", "createWorkerGroup", MAY_WRITE_WORKERS, NULL, NULL, false },
    { "GET", "/worker-groups/{}", "getWorkerGroup", MAY_READ_WORKERS, api_no_such_element, NULL, false },
    { "POST", "/worker-groups/{}", "updateWorkerGroup", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "PUT", "/worker-groups/{}", "updateWorkerGroupByPut", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "DELETE", "/worker-groups/{}", "deleteWorkerGroup", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "POST", "/worker-groups/{}/workers", "addWorkerToGroup", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "PUT", "/worker-groups/{}/workers", "addWorkerToGroupByPut", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "DELETE", "/worker-groups/{}/workers/{}", "removeWorkerFromGroup", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "GET", "/worker-groups/{}/link-tokens", "listWorkerGroupLinkTokens", MAY_READ_WORKERS, api_no_such_element, "limit", false },
    { "POST", "/worker-groups/{}/link-tokens", "createWorkerGroupLinkToken", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "GET", "/worker-groups/{}/link-tokens/{}", "getWorkerGroupLinkToken", MAY_READ_WORKERS, api_no_such_element, NULL, false },
    { "POST", "/worker-groups/{}/link-tokens/{}", "updateWorkerGroupLinkToken", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "PUT", "/worker-groups/{}/link-tokens/{}", "updateWorkerGroupLinkTokenByPut", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "DELETE", "/worker-groups/{}/link-tokens/{}", "deleteWorkerGroupLinkToken", MAY_WRITE_WORKERS, api_no_such_element, NULL, false },
    { "POST", "/task-packages", "createTaskPackage", MAY_WRITE_TASK_PACKAGES, NULL, NULL, false },
    { "GET", "/task-packages/{}", "getTaskPackage", MAY_READ_TASK_PACKAGES, api_no_such_element, NULL, false },
    { "GET", "/task-packages/{}/download", "getTaskPackageDownload", MAY_READ_TASK_PACKAGES, api_no_such_element, NULL, false },
    { "GET", "/task-packages/{}/upload", "getTaskPackageUpload", MAY_WRITE_TASK_PACKAGES, api_no_such_element, NULL, false },
    { "DELETE", "/task-packages/{}", "deleteTaskPackage", MAY_WRITE_TASK_PACKAGES, api_no_such_element, NULL, false },
    { "GET", "/assistants", "listAssistants", MAY_READ_ASSISTANTS, api_no_elements, "limit", false },
    { "POST", "/assistants", "createAssistant", MAY_WRITE_ASSISTANTS, NULL, NULL, false },
    { "GET", "/assistants/{}", "getAssistant", MAY_READ_ASSISTANTS, api_no_such_element, NULL, false },
    { "GET", "/assistants/{}/assistant-runs", "listRunsOfAssistant", MAY_READ_ASSISTANTS, api_no_such_element, "limit", false },
    { "GET", "/assistant-runs", "listAssistantRuns", MAY_READ_ASSISTANTS, api_no_elements, "assistant_id limit", false },
    { "GET", "/assistant-runs/{}", "getAssistantRun", MAY_READ_ASSISTANTS, api_no_such_element, NULL, false },
};
const size_t operation_count = sizeof operations / sizeof *operations;

static const struct surface {
    const char *prefix;            /* the workspace follows */
    const struct operation *operations;
    const size_t *count;
    const char *key_header;        /* the key may come in this one, too; NULL: in none */
} surfaces[] = {
    { "/api/v1/workspaces/", operations, &operation_count, NULL },
    { "/process-v1/workspaces/", process_v1_operations, &process_v1_count, NULL },
    { "/json-v1/workspaces/", json_v1_operations, &json_v1_count, NULL },
    { "/secrets-v1/workspaces/", secrets_v1_operations, &secrets_v1_count, NULL },
    { "/workspace-v1/workspaces/", process_secret_operations, &process_secret_count, "robocloud-process-secret" },
};

/* --- small helps -------------------------------------------------------------------------------------------------- */

static const char *code_of(unsigned status)
{
    switch (status) {
    case 400: return "BAD_REQUEST";
    case 401: return "UNAUTHORIZED";
    case 403: return "FORBIDDEN";
    case 404: return "NOT_FOUND";
    case 405: return "METHOD_NOT_ALLOWED";
    case 409: return "CONFLICT";
    case 429: return "TOO_MANY_REQUESTS";
    case 501: return "NOT_IMPLEMENTED";
    default: return "UNAVAILABLE";
    }
}

void api_refuse(struct http_exchange *x, unsigned status, const char *format, ...)
{
    struct buf text = { 0 };
    va_list ap;

    va_start(ap, format);
    buf_vaddf(&text, format, ap);
    va_end(ap);
    http_respond_error(x, status, code_of(status), "%s", buf_str(&text));
    buf_close(&text);
}

bool api_body(struct http_exchange *x, json_t **body)
{
    struct error err;
    size_t len;
    const char *bytes = http_body(x, &len);

    *body = len > 0 ? json_parse(bytes, len, &err) : json_null();
    if (*body == NULL)
        api_refuse(x, 400, "the body is not good JSON: %s", err.text);
    return *body != NULL;
}

/* Generated clients write numbers as "10.0". */
static bool read_limit(const char *text, size_t most, size_t *limit)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 1) || floor(value) < value)
        return false;
    *limit = value > (double)most ? most : (size_t)value;
    return true;
}

bool api_limit_within(struct http_exchange *x, size_t otherwise, size_t most, size_t *limit)
{
    const char *text = http_query(x, "limit");

    *limit = otherwise;
    if (text == NULL || read_limit(text, most, limit))
        return true;
    api_refuse(x, 400, "limit has to be a whole number from 1");
    return false;
}

bool api_limit_or(struct http_exchange *x, size_t otherwise, size_t *limit)
{
    return api_limit_within(x, otherwise, API_LIMIT_MAX, limit);
}

bool api_limit(struct http_exchange *x, size_t *limit)
{
    return api_limit_or(x, LIMIT_DEFAULT, limit);
}

void api_refuse_cursor(struct http_exchange *x)
{
    api_refuse(x, 400, "that cursor is none of ours: follow \"next\" as it is");
}

bool api_offset(struct http_exchange *x, int64_t *offset)
{
    const char *cursor = http_query(x, "cursor");

    *offset = 0;
    if (cursor == NULL || text_int(cursor, 0, INT64_MAX / 2, offset) == 0)
        return true;
    api_refuse_cursor(x);
    return false;
}

bool api_page(struct http_exchange *x, size_t *limit, const char **cursor)
{
    *cursor = http_query(x, "cursor");
    if (!api_limit(x, limit))
        return false;
    if (*cursor != NULL && !id_is_uuid(*cursor)) {
        api_refuse_cursor(x);
        return false;
    }
    return true;
}

void api_base_url(const struct http_exchange *x, struct buf *url)
{
    const char *proto = http_header(x, "X-Forwarded-Proto"), *host = http_header(x, "Host"), *remote = http_remote(x);
    bool proxied = strcmp(remote, "127.0.0.1") == 0 || strcmp(remote, "::1") == 0;

    buf_addf(url, "%s://%s", proxied && proto != NULL && strcasecmp(proto, "https") == 0 ? "https" : "http",
             host != NULL ? host : "localhost");
}

static void percent(struct buf *url, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            buf_addc(url, *text);
        else
            buf_addf(url, "%%%02X", (unsigned char)*text);
    }
}

struct query_writer {
    struct buf *url;
    const char *seen[16];
    size_t count;
};

/* Clients send their first query along with `next`, so that everything comes twice: the first of a name counts. */
static void copy_query(void *data, const char *name, const char *value)
{
    struct query_writer *w = data;

    if (strcmp(name, "cursor") == 0 || w->count == sizeof w->seen / sizeof *w->seen)
        return;
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->seen[i], name) == 0)
            return;
    }
    w->seen[w->count++] = name;
    percent(w->url, name);
    buf_addc(w->url, '=');
    percent(w->url, value);
    buf_addc(w->url, '&');
}

static void write_next(struct http_exchange *x, const char *cursor, struct buf *url)
{
    struct query_writer w = { .url = url };

    api_base_url(x, url);
    percent(url, http_path(x));
    buf_addc(url, '?');
    http_each_query(x, copy_query, &w);
    buf_adds(url, "cursor=");
    percent(url, cursor);
}

void api_answer_page(struct http_exchange *x, json_t *data, const char *cursor)
{
    json_t *page = json_pack("{s:n, s:b, s:o}", "next", "has_more", cursor != NULL, "data", data);
    struct buf url = { 0 };

    if (cursor != NULL) {
        write_next(x, cursor, &url);
        (void)json_put(page, "next", buf_str(&url));
        buf_close(&url);
    }
    serve_json(x, 200, page);
}

void api_answer_page_text(struct http_exchange *x, const struct buf *elements, const char *cursor)
{
    struct buf page = { 0 };

    buf_adds(&page, "{\"next\":");
    if (cursor != NULL) {
        buf_addc(&page, '"');
        write_next(x, cursor, &page);   /* of a checked Host and percent-encoded parts: nothing in it has to be escaped */
        buf_addc(&page, '"');
    } else {
        buf_adds(&page, "null");
    }
    buf_addf(&page, ",\"has_more\":%s,\"data\":[", cursor != NULL ? "true" : "false");
    buf_add(&page, buf_str(elements), elements->len);
    buf_adds(&page, "]}");
    if (buf_failed(&page) || buf_failed(elements))
        api_refuse(x, 503, "out of memory");
    else
        http_respond(x, 200, "application/json", buf_str(&page), page.len, NULL, 0);
    buf_close(&page);
}

const struct process_config *api_process(const struct api_call *call, const char *word)
{
    const struct config *c = call->config;

    for (size_t i = 0; i < c->process_count; i++) {
        const struct process_config *p = c->processes[i];

        if (p->workspace == call->workspace && (strcmp(p->id, word) == 0 || strcmp(p->name, word) == 0))
            return p;
    }
    return NULL;
}

/* --- the gate ----------------------------------------------------------------------------------------------------- */

#define INLINE_ASSET_MAX (8 << 20)

/* Robots share assets by the API itself, with the token of their run. */
static bool by_run_token(struct api_call *call, const struct operation *op, const char *value)
{
    return value != NULL && op != NULL && (op->permission == RUN_TOKEN || op->permission == MAY_READ_ASSETS || op->permission == MAY_WRITE_ASSETS) &&
           api_run_token(call, value);
}

static void name_key(struct api_call *call, const char *name)
{
    (void)snprintf(call->key_name, sizeof call->key_name, "%s", name);
}

static bool allows(const struct api_key *key, unsigned permission)
{
    if (permission == NO_PERMISSION)
        return true;
    return (key->permissions & (permission == SEES_RUNS ? MAY(MAY_READ_PROCESSES) | MAY(MAY_READ_RUNS) : MAY(permission))) != 0;
}

/* Whether who asks may do that here; it has been answered when not. */
static bool may(struct api_call *call, const struct surface *surface, const struct operation *op)
{
    char came[GATE_VALUE_SIZE];
    const char *value = gate_value(call->x, surface->key_header, op != NULL && op->token, came) ? came : NULL;
    const struct api_key *key;

    if (op != NULL && op->permission == RUN_TOKEN) {
        if (by_run_token(call, op, value))
            return true;
        gate_ask_for_key(call->x, "UNAUTHORIZED");
        return false;
    }
    if (http_is_local(call->x)) {
        name_key(call, "socket");
        return true;
    }
    key = value != NULL ? keyring_check(call->room->host.keyring, value, time_wall_ms()) : NULL;
    if (key == NULL && by_run_token(call, op, value)) {
        name_key(call, "run");
        return true;
    }
    if (key == NULL) {
        gate_ask_for_key(call->x, "UNAUTHORIZED");
        return false;
    }
    /* Another workspace, one that is not there, an operation that is not there: all the same to who may not see them. */
    if (call->workspace == NULL || strcmp(key->workspace, call->workspace->id) != 0 ||
        (op != NULL && !allows(key, op->permission))) {
        api_refuse(call->x, 403, "this key may not do that");
        return false;
    }
    name_key(call, key->name);
    return true;
}

/* NULL: `allow` gets the methods that the path does take. */
static const struct operation *find_operation(const struct surface *surface, const char *method, const char *path,
                                              struct route_args *args, struct buf *allow)
{
    for (size_t i = 0; i < *surface->count; i++) {
        const struct operation *op = &surface->operations[i];

        if (!serve_path_matches(op->path, path, args))
            continue;
        if (serve_method_matches(op->method, method))
            return op;
        serve_add_method(allow, op->method);
    }
    return NULL;
}

static const struct surface *surface_of(const char *path)
{
    for (size_t i = 0; i < sizeof surfaces / sizeof *surfaces; i++) {
        if (strncmp(path, surfaces[i].prefix, strlen(surfaces[i].prefix)) == 0)
            return &surfaces[i];
    }
    return NULL;
}

bool api_owns(const char *path)
{
    return surface_of(path) != NULL;
}

static void serve_call(const struct api_call *call, const struct operation *op, const char *allow)
{
    if (call->workspace == NULL)
        api_refuse(call->x, 404, "there is no local workspace of that id");
    else if (op == NULL && allow[0] != '\0')
        serve_refuse_method(call->x, code_of(405), allow);
    else if (op == NULL)
        api_refuse(call->x, 404, "there is nothing at this path");
    else if (op->serve == NULL)
        api_refuse(call->x, 501, "%s is not served by this version of Belfry", op->name);
    else
        op->serve(call);
}

/* The call as its head has it; NULL: there is no such operation. */
static const struct operation *read_call(struct serve_room *room, struct http_exchange *x, const struct surface *surface,
                                         struct api_call *call, struct buf *allow)
{
    const char *rest = http_path(x) + strlen(surface->prefix);
    size_t len = strcspn(rest, "/");
    char *path = strdup(rest + len);
    const struct operation *op;

    if (path == NULL)
        abort();
    *call = (struct api_call) { .room = room, .x = x, .config = room->host.config(room->host.data),
        .workspace = gate_workspace(room, rest, len) };
    if (path[0] != '\0' && path[strlen(path) - 1] == '/')   /* clients of the asset storage send it so */
        path[strlen(path) - 1] = '\0';
    op = find_operation(surface, http_method(x), path, &call->args, allow);
    free(path);
    return op;
}

void api_head(struct serve_room *room, struct http_exchange *x, int64_t usual)
{
    const struct surface *surface = surface_of(http_path(x));
    struct buf allow = { 0 };
    struct api_call call;
    const struct operation *op = read_call(room, x, surface, &call, &allow);
    char came[GATE_VALUE_SIZE];
    const char *value = gate_value(x, surface->key_header, op != NULL && op->token, came) ? came : NULL;
    bool takes_key = op == NULL || op->permission != RUN_TOKEN;

    if (!(takes_key && gate_knows(room, x, value)) && !by_run_token(&call, op, value))
        gate_ask_for_key(x, "UNAUTHORIZED");
    else if (op != NULL && op->serve == api_asset_upload && usual < INLINE_ASSET_MAX)
        http_limit_body(x, INLINE_ASSET_MAX);
    else
        http_limit_body(x, usual);
    buf_close(&allow);
}

void api_request(struct serve_room *room, struct http_exchange *x)
{
    const struct surface *surface = surface_of(http_path(x));
    struct buf allow = { 0 };
    struct api_call call;
    const struct operation *op = read_call(room, x, surface, &call, &allow);

    if (may(&call, surface, op))
        serve_call(&call, op, buf_str(&allow));
    buf_close(&allow);
}
