/* Work items as the older workspace API has them. */
#include <string.h>
#include <strings.h>

#include "api.h"

static json_t *old_item(const struct api_call *call, const json_t *item, bool data)
{
    const char *state = json_str(item, "state"), *type;
    json_t *o = json_object(), *exception = json_object_get(item, "exception"), *file, *files;
    size_t i;

    (void)json_put(o, "id", json_str(item, "id"));
    (void)json_put(o, "state", strcmp(state, "done") == 0 ? "COMPLETED" : strcmp(state, "new") == 0 ? "NEW" : strcmp(state, "failed") == 0
                               ? "FAILED" : strcmp(state, "pending") == 0 ? "PENDING" : "IN_PROGRESS");
    (void)json_object_set(o, "createTs", json_object_get(item, "created_at"));
    (void)json_object_set(o, "stateTs", json_object_get(item, "state_updated_at"));
    (void)json_put(o, "workspaceId", call->workspace->id);
    (void)json_object_set(o, "processId", json_object_get(json_object_get(item, "process"), "id"));
    api_old_put(o, "processRunId", json_str(json_object_get(item, "process_run"), "id"));
    api_old_put(o, "activityRunId", json_str(json_object_get(item, "step_run"), "id"));
    if (json_is_object(exception)) {
        type = json_str(exception, "type");
        exception = json_copy(exception);
        (void)json_put(exception, "type", type != NULL && strcmp(type, "business") == 0 ? "BUSINESS" : "APPLICATION");
        (void)json_object_set_new(o, "exception", exception);
    }
    if (!data)
        return o;
    (void)json_object_set(o, "payload", json_object_get(item, "payload"));
    files = json_array();
    json_array_foreach(json_object_get(item, "files"), i, file)
        (void)json_array_append_new(files, json_pack("{s:O, s:O, s:O, s:O, s:O}", "id", json_object_get(file, "id"), "name",
                                                     json_object_get(file, "name"), "fileName", json_object_get(file, "name"), "size",
                                                     json_object_get(file, "size"), "download", json_object_get(file, "download")));
    (void)json_object_set_new(o, "files", files);
    return o;
}

static bool with_data(const struct http_exchange *x)
{
    const char *word = http_query(x, "includeData");

    return word != NULL && strcasecmp(word, "true") == 0;
}

static json_t *only_id(json_t *item)
{
    json_t *o = json_pack("{s:O}", "id", json_object_get(item, "id"));

    json_decref(item);
    return o;
}

void api_old_item_make(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);
    const char *whole = http_query(call->x, "bodyAsPayload");
    json_t *body, *payload;

    if (process == NULL || !api_body(call->x, &body))
        return;
    payload = whole != NULL && strcasecmp(whole, "true") == 0 ? body : json_object_get(body, "payload");
    if (payload != NULL)
        api_item_make_as(call, process, payload, only_id);
    else
        api_refuse(call->x, 400, "payload is needed");
    json_decref(body);
}

static void answer_items(const struct api_call *call, json_t *items)
{
    json_t *list = json_array(), *item;
    size_t i;

    json_array_foreach(items, i, item)
        (void)json_array_append_new(list, old_item(call, item, with_data(call->x)));
    json_decref(items);
    serve_json(call->x, 200, json_pack("{s:o}", "data", list));
}

static void answer_item(const struct api_call *call, json_t *items)
{
    serve_json(call->x, 200, old_item(call, json_array_get(items, 0), true));
    json_decref(items);
}

/* Those that wait, and those that go through the steps of runs; what a run without steps has taken is listed with it. */
void api_old_items_of_process(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);
    struct api_call shaped = *call;

    shaped.items = answer_items;
    if (process != NULL)
        api_all_rows(&shaped, process, NULL, API_LIMIT_MAX);
}

void api_old_item(const struct api_call *call)
{
    struct api_call shaped = *call;

    shaped.items = answer_item;
    shaped.item_at = 1;
    api_item(&shaped);
}

/* Those of a run of the process in the path. */
static void answer_run_items(const struct api_call *call, json_t *items)
{
    const char *of = json_str(json_object_get(json_array_get(items, 0), "process"), "id");
    const struct process_config *process = api_process(call, call->args.at[0]);

    if (of != NULL && strcmp(of, process != NULL ? process->id : call->args.at[0]) != 0) {
        json_decref(items);
        api_refuse(call->x, 404, "Process run not found");
        return;
    }
    answer_items(call, items);
}

void api_old_items_of_run(const struct api_call *call)
{
    struct api_call shaped = *call;

    shaped.items = answer_run_items;
    api_run_items(&shaped, call->args.at[1]);
}

void api_old_item_file(const struct api_call *call)
{
    struct api_call shaped = *call;

    shaped.item_at = 1;
    api_item_file_flat(&shaped);
}
