/* /api/v1/openapi.json: the table of operations, described. */
#include <string.h>

#include "api.h"

static const char *const segments[] = { "processes", "process_id", "process-runs", "process_run_id", "step-runs", "step_run_id",
    "artifacts", "artifact_id", "workers", "worker_id", "worker-groups",
    "worker_group_id", "link-tokens", "link_token_id", "task-packages", "task_package_id", "assistants", "assistant_id", "assistant-runs",
    "assistant_run_id", "work-items", "work_item_id", "assets", "asset_id", "uploads", "upload_id", "webhooks", "webhook_id",
    NULL };

/* What a place holder behind that segment is called. */
static const char *name_of(const char *segment, size_t len)
{
    for (size_t i = 0; segments[i] != NULL; i += 2) {
        if (strlen(segments[i]) == len && strncmp(segments[i], segment, len) == 0)
            return segments[i + 1];
    }
    return "id";
}

static void add_parameter(json_t *list, const char *name, const char *where, bool required)
{
    (void)json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in", where, "required", (int)required,
                                                "schema", "type", strcmp(name, "limit") == 0 ? "number" : "string"));
}

/* "/processes/{}/process-runs" with its place holders named. */
static json_t *write_path(const char *path, struct buf *out)
{
    json_t *parameters = json_array();
    const char *segment = path;

    add_parameter(parameters, "workspace_id", "path", true);
    buf_adds(out, "/workspaces/{workspace_id}");
    for (const char *c = path; *c != '\0'; c++) {
        if (c[0] == '{') {
            const char *name = name_of(segment, (size_t)(c - 1 - segment));

            buf_addf(out, "{%s}", name);
            add_parameter(parameters, name, "path", true);
            c++;
            continue;
        }
        if (*c == '/' && c[1] != '{')
            segment = c + 1;
        buf_addc(out, *c);
    }
    return parameters;
}

static void add_query(json_t *parameters, const char *query)
{
    char name[64];

    while (query != NULL && *query != '\0') {
        size_t len = strcspn(query, "! ");

        memcpy(name, query, len);
        name[len] = '\0';
        add_parameter(parameters, name, "query", query[len] == '!');
        query += len + strspn(query + len, "! ");
    }
}

static const struct operation_shape *shape_of(const struct operation *op)
{
    for (size_t i = 0; i < operation_shape_count; i++) {
        if (strcmp(operation_shapes[i].name, op->name) == 0)
            return &operation_shapes[i];
    }
    return NULL;
}

static json_t *reference_to(const char *schema, size_t len)
{
    struct buf ref = { 0 };
    json_t *o;

    buf_addf(&ref, "#/components/schemas/%.*s", (int)len, schema);
    o = json_pack("{s:s}", "$ref", buf_str(&ref));
    buf_close(&ref);
    return o;
}

/* "X", or "[X]" for a page of them. */
static json_t *schema_of(const char *name)
{
    if (name[0] != '[')
        return reference_to(name, strlen(name));
    return json_pack("{s:s, s:[s,s,s], s:{s:{s:s, s:b}, s:{s:s}, s:{s:s, s:o}}}", "type", "object", "required", "next", "has_more", "data",
                     "properties", "next", "type", "string", "nullable", 1, "has_more", "type", "boolean", "data", "type", "array", "items",
                     reference_to(name + 1, strlen(name) - 2));
}

static void add_response(json_t *responses, const char *status, const char *about, const char *schema)
{
    json_t *response = json_pack("{s:s}", "description", about);

    if (schema != NULL)
        (void)json_object_set_new(response, "content", json_pack("{s:{s:o}}", "application/json", "schema", schema_of(schema)));
    (void)json_object_set_new(responses, status, response);
}

static void add_errors(json_t *responses, const char *errors)
{
    static const struct {
        const char *status, *about;
    } known[] = { { "400", "the request is not good" }, { "404", "there is none" }, { "409", "not in this state" },
                  { "429", "the queue is full: try again later" } };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strstr(errors, known[i].status) != NULL)
            add_response(responses, known[i].status, known[i].about, "Error");
    }
}

static json_t *describe(const struct operation *op, json_t *parameters)
{
    json_t *o = json_pack("{s:s}", "operationId", op->name), *responses = json_object();
    const struct operation_shape *shape = shape_of(op);

    add_query(parameters, op->query);
    (void)json_object_set_new(o, "parameters", parameters);
    if (op->permission != NO_PERMISSION)
        (void)json_put(o, "x-permission", permission_name((enum permission)op->permission));
    (void)json_object_set_new(o, "security", json_pack("[{s:[]}]", op->token ? "token" : "key"));
    if (shape != NULL && shape->body != NULL)
        (void)json_object_set_new(o, "requestBody", json_pack("{s:{s:{s:o}}}", "content", "application/json", "schema", schema_of(shape->body)));
    if (op->serve != NULL && shape != NULL)
        add_response(responses, "200", "OK", shape->answer);
    add_response(responses, "401", "no key, or none that is good", "Error");
    add_response(responses, "403", "the key may not do that", "Error");
    if (op->serve == NULL)
        add_response(responses, "501", "not served by this version of Belfry", "Error");
    else
        add_errors(responses, shape != NULL ? shape->errors : "404");
    (void)json_object_set_new(o, "responses", responses);
    return o;
}

void serve_reference(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    json_t *paths = json_object(), *whole;
    struct buf path = { 0 };

    (void)room;
    (void)args;
    for (size_t i = 0; i < operation_count; i++) {
        const struct operation *op = &operations[i];
        json_t *parameters, *item;

        if (strchr(op->path, '*') != NULL)   /* another spelling of a row above */
            continue;
        buf_reset(&path);
        parameters = write_path(op->path, &path);
        item = json_object_get(paths, buf_str(&path));
        if (item == NULL) {
            item = json_object();
            (void)json_object_set_new(paths, buf_str(&path), item);
        }
        (void)json_object_set_new(item, strcmp(op->method, "GET") == 0 ? "get" : strcmp(op->method, "POST") == 0 ? "post"
                                        : strcmp(op->method, "PUT") == 0 ? "put" : "delete",
                                  describe(op, parameters));
    }
    buf_close(&path);
    whole = json_pack("{s:s, s:{s:s, s:s}, s:[{s:s}], s:o, s:{s:{s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:s}}}}", "openapi", "3.0.3", "info",
                      "title", "Control Room API of local workspaces, served by Belfry", "version", BELFRY_VERSION, "servers", "url",
                      "/api/v1", "paths", paths, "components", "securitySchemes", "key", "type", "apiKey", "in", "header", "name",
                      "Authorization", "description", "RC-WSKEY and the key", "token", "type", "apiKey", "in", "query", "name", "token");
    (void)json_object_set_new(json_object_get(whole, "components"), "schemas", json_stored(api_schemas));
    serve_json(x, 200, whole);
}
