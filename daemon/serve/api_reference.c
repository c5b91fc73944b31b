/* /api/v1/openapi.json: the table of operations, described. */
#include <string.h>

#include "api.h"

/* What a place holder behind a segment is called, and what a path with it is about; the last one's word counts. */
static const struct segment {
    const char *name, *id, *subject;
} segments[] = {
    { "processes", "process_id", "Processes" }, { "process-runs", "process_run_id", "Process runs" },
    { "process-runs-integrations", NULL, "Process runs" }, { "step-runs", "step_run_id", "Step runs" }, { "artifacts", "artifact_id", NULL },
    { "outputs", NULL, "Work items" }, { "work-items", "work_item_id", "Work items" }, { "assets", "asset_id", "Assets" },
    { "uploads", "upload_id", NULL }, { "webhooks", "webhook_id", "Webhooks" }, { "workers", "worker_id", "Workers" },
    { "worker-groups", "worker_group_id", "Workers" }, { "link-tokens", "link_token_id", NULL },
    { "task-packages", "task_package_id", "Task packages" }, { "assistants", "assistant_id", "Assistants" },
    { "assistant-runs", "assistant_run_id", "Assistants" },
};

static const struct segment *segment_of(const char *text, size_t len)
{
    static const struct segment other = { "", "id", NULL };

    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++) {
        if (strlen(segments[i].name) == len && strncmp(segments[i].name, text, len) == 0)
            return &segments[i];
    }
    return &other;
}

static const char *subject_of(const char *path)
{
    const char *subject = "Workspace";

    while (*path != '\0') {
        size_t len = strcspn(++path, "/");
        const struct segment *segment = segment_of(path, len);

        subject = segment->subject != NULL ? segment->subject : subject;
        path += len;
    }
    return subject;
}

/* `values`: "a|b", or NULL: any. */
static json_t *schema_of_parameter(const char *name, const char *values, size_t len)
{
    const char *type = strcmp(name, "limit") == 0 ? "number" : strcmp(name, "include_data") == 0 ? "boolean" : "string";
    json_t *schema = json_pack("{s:s}", "type", type), *list = json_array();

    for (size_t at = 0, n; values != NULL && at < len; at += n + 1) {
        n = strcspn(values + at, "| ");
        (void)json_array_append_new(list, json_stringn(values + at, n));
    }
    if (values != NULL)
        (void)json_object_set(schema, "enum", list);
    json_decref(list);
    return schema;
}

static void add_parameter(json_t *list, const char *name, const char *where, bool required, json_t *schema)
{
    (void)json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o}", "name", name, "in", where, "required", (int)required,
                                                "schema", schema));
}

/* "/processes/{}/process-runs" with its place holders named. */
static json_t *write_path(const char *path, struct buf *out)
{
    json_t *parameters = json_array();
    const char *segment = path;

    add_parameter(parameters, "workspace_id", "path", true, schema_of_parameter("workspace_id", NULL, 0));
    buf_adds(out, "/workspaces/{workspace_id}");
    for (const char *c = path; *c != '\0'; c++) {
        if (c[0] == '{') {
            const char *name = segment_of(segment, (size_t)(c - 1 - segment))->id;

            buf_addf(out, "{%s}", name);
            add_parameter(parameters, name, "path", true, schema_of_parameter(name, NULL, 0));
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
        size_t len = strcspn(query, " "), name_len = strcspn(query, "!= ");
        bool needed = query[name_len] == '!';
        const char *values = query[name_len + needed] == '=' ? query + name_len + needed + 1 : NULL;

        memcpy(name, query, name_len);
        name[name_len] = '\0';
        add_parameter(parameters, name, "query", needed, schema_of_parameter(name, values, values != NULL ? (size_t)(query + len - values) : 0));
        query += len + strspn(query + len, " ");
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

static json_t *content_of(json_t *schema)
{
    return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

static void add_body(json_t *operation, const char *schema)
{
    size_t len = strcspn(schema, "?");

    (void)json_object_set_new(operation, "requestBody", json_pack("{s:b, s:o}", "required", schema[len] == '\0', "content",
                                                                  content_of(reference_to(schema, len))));
}

static void add_response(json_t *responses, const char *status, const char *about, const char *schema)
{
    json_t *response = json_pack("{s:s}", "description", about);

    if (schema != NULL)
        (void)json_object_set_new(response, "content", content_of(schema_of(schema)));
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

static void add_responses(json_t *responses, const struct operation *op, const struct operation_shape *shape)
{
    if (shape->answer != NULL)
        add_response(responses, "200", "OK", shape->answer);
    add_response(responses, "401", "no key, or none that is good", "Error");
    add_response(responses, "403", "the key may not do that", "Error");
    if (op->serve == NULL)
        add_response(responses, "501", "not served by this version of Belfry", "Error");
    else if (shape->answer == NULL)
        add_response(responses, "404", "always: this workspace is a machine, and has none", "Error");
    else
        add_errors(responses, shape->errors);
}

static json_t *describe(const struct operation *op, const struct operation_shape *shape, json_t *parameters)
{
    json_t *o = json_pack("{s:s, s:s, s:[s]}", "operationId", op->name, "summary", shape->summary, "tags", subject_of(op->path));
    json_t *responses = json_object();

    add_query(parameters, op->query);
    (void)json_object_set_new(o, "parameters", parameters);
    if (op->permission != NO_PERMISSION)
        (void)json_put(o, "x-permission", permission_name((enum permission)op->permission));
    (void)json_object_set_new(o, "security", json_pack("[{s:[]}]", op->token ? "token" : "key"));
    if (shape->body != NULL)
        add_body(o, shape->body);
    add_responses(responses, op, shape);
    (void)json_object_set_new(o, "responses", responses);
    return o;
}

/* The subjects in the order in which they come. */
static void add_tag(json_t *tags, const char *subject)
{
    const json_t *tag;
    size_t i;

    json_array_foreach(tags, i, tag) {
        if (strcmp(json_str(tag, "name"), subject) == 0)
            return;
    }
    (void)json_array_append_new(tags, json_pack("{s:s}", "name", subject));
}

void serve_reference(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    json_t *paths = json_object(), *tags = json_array(), *whole;
    struct buf path = { 0 };

    (void)room;
    (void)args;
    for (size_t i = 0; i < operation_count; i++) {
        const struct operation *op = &operations[i];
        const struct operation_shape *shape = shape_of(op);
        json_t *parameters, *item;

        if (shape == NULL)   /* another spelling of a row above */
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
                                  describe(op, shape, parameters));
        add_tag(tags, subject_of(op->path));
    }
    buf_close(&path);
    whole = json_pack("{s:s, s:{s:s, s:s}, s:[{s:s}], s:o, s:o, s:{s:{s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:s}}}}", "openapi", "3.0.3",
                      "info", "title", "Control Room API of local workspaces, served by Belfry", "version", BELFRY_VERSION, "servers",
                      "url", "/api/v1", "tags", tags, "paths", paths, "components", "securitySchemes", "key", "type", "apiKey", "in",
                      "header", "name", "Authorization", "description", "RC-WSKEY and the key", "token", "type", "apiKey", "in", "query",
                      "name", "token");
    (void)json_object_set_new(json_object_get(whole, "components"), "schemas", json_stored(api_schemas));
    serve_json(x, 200, whole);
}
