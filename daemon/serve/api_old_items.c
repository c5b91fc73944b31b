/* Work items as the older workspace API has them. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api.h"

#define RUNS_LISTED 200            /* of a process without steps: whose items its list has */

/* What a run has taken and waits there is in progress: see waits_in_run in api_flow.c. */
static const char *old_item_state(const char *word)
{
    return strcmp(word, "done") == 0 ? "COMPLETED" : strcmp(word, "new") == 0 ? "NEW" : strcmp(word, "failed") == 0 ? "FAILED" : "IN_PROGRESS";
}

static json_t *old_item(const struct api_call *call, const json_t *item, bool data)
{
    const char *type;
    json_t *o = json_object(), *exception = json_object_get(item, "exception"), *file, *files;
    size_t i;

    (void)json_put(o, "id", json_str(item, "id"));
    (void)json_put(o, "state", old_item_state(json_str(item, "state")));
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

/* Whether the items, which are all of one process, are of the one in the path. */
static bool is_of_process(const struct api_call *call, const json_t *items)
{
    const char *of = json_str(json_object_get(json_array_get(items, 0), "process"), "id");
    const struct process_config *process = api_process(call, call->args.at[0]);

    return of == NULL || strcmp(of, process != NULL ? process->id : call->args.at[0]) == 0;
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
    const char *word = http_query(call->x, "bodyAsPayload");
    bool whole = word != NULL && strcasecmp(word, "true") == 0;
    json_t *body, *payload;

    if (process == NULL || !(whole ? api_old_payload(call->x, &body) : api_body(call->x, &body)))
        return;
    payload = whole ? body : json_object_get(body, "payload");
    if (payload != NULL)
        api_item_make_as(call, process, payload, only_id);
    else
        api_refuse(call->x, 400, "payload is needed");
    json_decref(body);
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

enum order { AS_MADE, OLDEST_FIRST, NEWEST_FIRST };

struct dated {
    json_t *item;
    const char *at;
    size_t index;                  /* of the same instant, that which came first is the older one */
};

static int older_first(const void *a, const void *b)
{
    const struct dated *one = a, *other = b;
    int order = strcmp(one->at, other->at);

    return order != 0 ? order : one->index < other->index ? -1 : 1;
}

/* The items by the times at which they were made. Takes the reference, gives one. */
static json_t *sorted(json_t *items, enum order order)
{
    size_t count = json_array_size(items);
    struct dated *dated = calloc(count + 1, sizeof *dated);
    json_t *list = json_array();

    if (dated == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array_get(items, i);
        const char *at = json_str(item, "created_at");

        dated[i] = (struct dated) { item, at != NULL ? at : "", i };
    }
    if (order != AS_MADE)
        qsort(dated, count, sizeof *dated, older_first);
    for (size_t i = 0; i < count; i++)
        (void)json_array_append(list, dated[order == NEWEST_FIRST ? count - 1 - i : i].item);
    free(dated);
    json_decref(items);
    return list;
}

/* What sortBy and sortOrder ask for; false when it was refused. */
static bool read_order(struct http_exchange *x, enum order *order)
{
    const char *by = http_query(x, "sortBy"), *word = http_query(x, "sortOrder");

    *order = word != NULL && strcasecmp(word, "desc") == 0 ? NEWEST_FIRST : by != NULL || word != NULL ? OLDEST_FIRST : AS_MADE;
    if ((by == NULL || strcmp(by, "createTs") == 0) && (word == NULL || strcasecmp(word, "asc") == 0 || strcasecmp(word, "desc") == 0))
        return true;
    api_refuse(x, 400, "work items are sorted by createTs alone, asc or desc");
    return false;
}

/* Takes the items. */
static void answer_items(const struct api_call *call, json_t *items, enum order order)
{
    json_t *list = json_array(), *item;
    size_t i;

    items = sorted(items, order);
    json_array_foreach(items, i, item)
        (void)json_array_append_new(list, old_item(call, item, with_data(call->x)));
    json_decref(items);
    serve_json(call->x, 200, json_pack("{s:o}", "data", list));
}

static void answer_newest_first(const struct api_call *call, json_t *items)
{
    answer_items(call, items, NEWEST_FIRST);
}

/* The process may have gone from the configuration meanwhile. */
static void add_derived(const struct api_call *call, json_t *rows)
{
    const struct process_config *process = api_process(call, call->args.at[0]);
    struct api_call shaped = *call;

    shaped.items = answer_newest_first;
    if (process != NULL)
        api_add_derived_items(&shaped, process, RUNS_LISTED, with_data(call->x), rows);
    else
        answer_newest_first(call, rows);
}

/* Those that wait, those that go through the steps of runs, and those of runs without steps: clients look here for what failed. */
void api_old_items_of_process(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);
    struct api_call shaped = *call;

    shaped.items = add_derived;
    if (process != NULL)
        api_all_rows(&shaped, process, 0, API_LIMIT_MAX);
}

static void answer_run_items(const struct api_call *call, json_t *items)
{
    enum order order;

    if (!is_of_process(call, items)) {
        json_decref(items);
        api_refuse(call->x, 404, "Process run not found");
    } else if (read_order(call->x, &order)) {
        answer_items(call, items, order);
    } else {
        json_decref(items);
    }
}

void api_old_items_of_run(const struct api_call *call)
{
    struct api_call shaped = *call;

    shaped.items = answer_run_items;
    api_run_items(&shaped, call->args.at[1]);
}

/* --- one ---------------------------------------------------------------------------------------------------------- */

static void answer_item(const struct api_call *call, json_t *items)
{
    if (is_of_process(call, items))
        serve_json(call->x, 200, old_item(call, json_array_get(items, 0), true));
    else
        api_refuse(call->x, 404, "Work item not found");
    json_decref(items);
}

void api_old_item(const struct api_call *call)
{
    struct api_call shaped = *call;

    shaped.items = answer_item;
    shaped.item_at = 1;
    api_item(&shaped);
}

void api_old_item_file(const struct api_call *call)
{
    struct api_call shaped = *call;

    shaped.item_at = 1;
    api_item_file_flat(&shaped);
}
