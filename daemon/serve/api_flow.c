/*
 * Work items as the journal has them: those that wait in an input, and those that go through the steps of a run. A run that is one
 * command keeps its items in its record (api_items.c): asked for here, and not found, they are looked for there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"

struct item_ask {
    struct api_call call;
    struct config *config;         /* held */
    struct flow_read read;
    void (*done)(struct item_ask *ask);
    char run_id[ID_SIZE];
    bool outputs;
    json_t *ids;                   /* of a start */
};

static void ask_free(struct item_ask *ask)
{
    struct serve_room *room = ask->call.room;

    config_release(ask->config);
    json_decref(ask->ids);
    free(ask);
    serve_let_go(room);
}

static void read_came(struct flow_read *read, int status)
{
    struct item_ask *ask = read->data;

    if (status != 0)
        api_refuse(ask->call.x, 503, "the journal cannot be read: %s", read->error.text);
    else
        ask->done(ask);
    ask_free(ask);
}

static struct item_ask *ask_new(const struct api_call *call, void (*done)(struct item_ask *ask))
{
    struct item_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL)
        abort();
    ask->call = *call;
    ask->config = config_hold(call->config);
    ask->done = done;
    ask->read = (struct flow_read) { .cb = read_came, .data = ask };
    call->room->open++;
    return ask;
}

static void go(struct item_ask *ask)
{
    const struct flows_world *world = flows_world(ask->call.room->host.flows);

    world->read(world->data, &ask->read);
}

static void ask_by_id(const struct api_call *call, const char *id, void (*done)(struct item_ask *ask))
{
    struct item_ask *ask = ask_new(call, done);
    json_t *ids = json_pack("[s]", id);
    char *text = json_text(ids);

    if (text == NULL)
        abort();
    ask->read.ids = text;
    go(ask);
    free(text);   /* the world has a copy */
    json_decref(ids);
}

static void ask_by_run(const struct api_call *call, const char *run_id, bool outputs, void (*done)(struct item_ask *ask))
{
    struct item_ask *ask;

    if (!id_is_uuid(run_id)) {
        api_refuse(call->x, 404, "Process run not found");
        return;
    }
    ask = ask_new(call, done);
    memcpy(ask->run_id, run_id, sizeof ask->run_id);
    ask->outputs = outputs;
    ask->read.run_id = ask->run_id;
    go(ask);
}

/* --- shapes ------------------------------------------------------------------------------------------------------- */

/* In the output of its run: past the last step. What the run began with counts, not what its process is configured as by now: an
 * open run's flow knows; of one that has ended, what is new in a later step waits for nothing. */
static bool is_output(const struct api_call *call, const struct item_record *item)
{
    const struct flow *flow = item->run_id[0] != '\0' ? flows_find(call->room->host.flows, item->run_id) : NULL;

    return item->state == ITEM_NEW && item->step > 0 && (flow == NULL || (size_t)item->step == flow_steps(flow));
}

/* A client that polls by the older APIs stops at the first state but in progress: an item that an open run was started with waits for
 * nothing but its turn. v1 says new. */
static bool waits_in_run(const struct api_call *call, const struct item_record *item)
{
    return call->items != NULL && item->state == ITEM_NEW && item->step == 0 && engine_run(call->room->host.engine, item->run_id) != NULL;
}

static const char *word_of(const struct api_call *call, const struct item_record *item)
{
    return is_output(call, item) ? "done" : waits_in_run(call, item) ? "pending" : item_state_name(item->state);
}

static void put_ref(json_t *o, const char *name, const char *id)
{
    (void)json_object_set_new(o, name, id != NULL && id[0] != '\0' ? json_pack("{s:s}", "id", id) : json_null());
}

static void put_step(const struct config *config, json_t *o, const struct item_record *item)
{
    const struct process_config *process = config_process(config, item->process);
    char id[ID_SIZE] = "";

    if (process != NULL && item->step >= 0 && (size_t)item->step < config_steps(process))
        shape_step_id(item->process, config_step_name(config_step(process, (size_t)item->step)), id);
    put_ref(o, "step", id);
    put_ref(o, "step_run", item->step_run);
}

static void put_exception(json_t *o, const struct item_record *item)
{
    json_t *exception;

    (void)json_object_set_new(o, "exception", json_null());
    if (item->exception == EXCEPTION_NONE)
        return;
    exception = json_object();
    (void)json_put(exception, "code", item->exception_code);
    (void)json_put(exception, "type", exception_type_name(item->exception));
    (void)json_put(exception, "message", item->exception_message);
    (void)json_object_set_new(o, "exception", exception);
}

static void put_data(const struct item_ask *ask, json_t *o, const struct item_record *item)
{
    json_t *payload = json_stored(item->payload);

    (void)json_object_set_new(o, "payload", payload != NULL ? payload : json_null());
    (void)json_object_set_new(o, "files", api_shape_files(&ask->call, item->id, ask->read.files, ask->read.file_count));
}

static void put_process(json_t *o, const struct item_record *item)
{
    char id[ID_SIZE];

    id_from_name("process", item->process, id);
    put_ref(o, "process", id);
}

json_t *api_shape_item(const struct api_call *call, const struct config *config, const struct item_record *item)
{
    json_t *o = json_object();

    (void)json_put(o, "id", item->id);
    (void)json_put_time(o, "created_at", item->created_ms);
    (void)json_put(o, "state", word_of(call, item));
    (void)json_object_set_new(o, "state_updated_at", json_null());
    if (item->updated_ms != item->created_ms)
        (void)json_put_time(o, "state_updated_at", item->updated_ms);
    put_process(o, item);
    put_ref(o, "process_run", item->run_id);
    put_step(config, o, item);
    put_exception(o, item);
    return o;
}

/* A client had made it, and a run has taken it that has no flow (yet): its payload and state are the run's, its files its own. */
static bool is_derived(const struct item_record *item)
{
    return item->run_id[0] != '\0' && item->step == ITEM_WAITS;
}

static json_t *files_by_item(const struct item_ask *ask)
{
    json_t *files = json_object();

    for (size_t i = 0; i < ask->read.item_count; i++)
        (void)json_object_set_new(files, ask->read.items[i].id,
                                  api_shape_files(&ask->call, ask->read.items[i].id, ask->read.files, ask->read.file_count));
    return files;
}

static json_t *shape_row(const struct item_ask *ask, const struct item_record *item, bool data)
{
    json_t *o = api_shape_item(&ask->call, ask->config, item);

    if (data)
        put_data(ask, o, item);
    return o;
}

static json_t *shape_output_row(const struct item_ask *ask, const struct item_record *item)
{
    json_t *o = json_object();

    (void)json_put(o, "id", item->id);
    (void)json_put_time(o, "created_at", item->created_ms);
    put_process(o, item);
    put_ref(o, "process_run", item->run_id);
    put_data(ask, o, item);
    return o;
}

/* --- of a run ----------------------------------------------------------------------------------------------------- */

static bool wanted(const struct item_ask *ask, const struct item_record *item)
{
    const char *state = http_query(ask->call.x, "state"), *process = http_query(ask->call.x, "process_id");
    const struct process_config *known = config_process(ask->config, item->process);

    if (ask->outputs)
        return is_output(&ask->call, item);
    return (state == NULL || strcmp(state, word_of(&ask->call, item)) == 0) &&
           (process == NULL || (known != NULL && (strcmp(process, known->id) == 0 || strcmp(process, known->name) == 0)));
}

/* All of them, the oldest first, for the older APIs. */
static void answer_all(struct item_ask *ask)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ask->read.item_count; i++)
        (void)json_array_append_new(list, shape_row(ask, &ask->read.items[i], true));
    ask->call.items(&ask->call, list);
}

/* A page; the cursor is the last one's row. */
static void answer_rows(struct item_ask *ask)
{
    int64_t behind;
    bool more = false;
    json_t *list;
    char follows[32];
    size_t limit;

    if (!api_offset(ask->call.x, &behind) || !api_limit(ask->call.x, &limit))
        return;
    list = json_array();
    for (size_t i = 0; i < ask->read.item_count && !more; i++) {
        const struct item_record *item = &ask->read.items[i];

        if (item->row <= behind || !wanted(ask, item))
            continue;
        more = json_array_size(list) == limit;
        if (more)
            break;
        (void)json_array_append_new(list, ask->outputs ? shape_output_row(ask, item) : shape_row(ask, item, false));
        behind = item->row;
    }
    (void)snprintf(follows, sizeof follows, "%lld", (long long)behind);
    api_answer_page(ask->call.x, list, more ? follows : NULL);
}

static void run_items_came(struct item_ask *ask)
{
    if (ask->read.item_count == 0 || is_derived(&ask->read.items[0]))
        api_derived_items(&ask->call, ask->run_id, ask->outputs, ask->call.items != NULL ? files_by_item(ask) : NULL);
    else if (strcmp(ask->read.items[0].workspace, ask->call.workspace->id) != 0)
        api_refuse(ask->call.x, 404, "Process run not found");
    else if (ask->call.items != NULL)
        answer_all(ask);
    else
        answer_rows(ask);
}

void api_run_items(const struct api_call *call, const char *run_id)
{
    const char *state = http_query(call->x, "state");

    if (state != NULL && item_state_from_name(state) == ITEM_STATES && strcmp(state, "pending") != 0)
        api_refuse(call->x, 400, "state has to be new, pending, in_progress, failed or done");
    else
        ask_by_run(call, run_id, false, run_items_came);
}

static void outputs_of(const struct api_call *call, const char *run_id)
{
    ask_by_run(call, run_id, true, run_items_came);
}

void api_outputs(const struct api_call *call)
{
    const char *run_id = http_query(call->x, "process_run_id");

    if (run_id == NULL)
        api_refuse(call->x, 400, "process_run_id is needed");
    else
        outputs_of(call, run_id);
}

void api_outputs_of_run(const struct api_call *call)
{
    outputs_of(call, call->args.at[0]);
}

/* --- of all runs, and of none --------------------------------------------------------------------------------------- */

struct row_ask {
    struct item_ask ask;
    struct journal_read read;
};

static void row_ask_free(struct row_ask *r)
{
    config_release(r->ask.config);
    serve_let_go(r->ask.call.room);
    free(r);
}

/* For the older APIs: all at once, with their files. */
static void answer_whole(struct row_ask *r)
{
    struct item_ask *ask = ask_new(&r->ask.call, answer_all);
    json_t *ids = json_array();
    char *text;

    for (size_t i = 0; i < r->read.count; i++)
        (void)json_array_append_new(ids, json_string(r->read.rows[i].item.id));
    text = json_text(ids);
    if (text == NULL)
        abort();
    ask->read.ids = text;
    go(ask);
    free(text);
    json_decref(ids);
}

static void rows_came(struct journal_read *read, int status)
{
    struct row_ask *r = read->data;
    struct item_ask *ask = &r->ask;
    const char *state = http_query(ask->call.x, "state");
    json_t *list;
    struct buf cursor = { 0 };

    if (status == 0 && ask->call.items != NULL) {
        answer_whole(r);
        row_ask_free(r);
        return;
    }
    list = json_array();
    for (size_t i = 0; status == 0 && i < read->count; i++) {
        if (wanted(ask, &read->rows[i].item))
            (void)json_array_append_new(list, shape_row(ask, &read->rows[i].item, false));
    }
    if (read->more)
        buf_addf(&cursor, "w%lld", (long long)read->rows[read->count - 1].item.row);
    else if (state == NULL || strcmp(state, "new") != 0)
        buf_adds(&cursor, "r");   /* those of runs without a flow follow: none of them is new */
    if (status == 0) {
        api_answer_page(ask->call.x, list, cursor.len > 0 ? buf_str(&cursor) : NULL);
    } else {
        json_decref(list);
        api_refuse(ask->call.x, 503, "the journal cannot be read: %s", read->error.text);
    }
    buf_close(&cursor);
    row_ask_free(r);
}

void api_all_rows(const struct api_call *call, const struct process_config *process, int64_t before, size_t limit)
{
    struct row_ask *r = calloc(1, sizeof *r);

    if (r == NULL)
        abort();
    r->ask.call = *call;
    r->ask.config = config_hold(call->config);
    call->room->open++;
    r->read = (struct journal_read) { .kind = READ_ITEMS, .state = -1, .whole = true, .workspace = call->workspace->id, .before_row = before,
        .process = process != NULL ? process->name : NULL, .limit = limit,
        .bytes = call->items == NULL ? PAGE_BYTES : 0, .cb = rows_came, .data = r };
    journal_read(call->room->host.journal, &r->read);
}

/* --- one ---------------------------------------------------------------------------------------------------------- */

/* The item that was asked for, if it is a row and of this workspace. NULL with *elsewhere: it is a run's that has no flow. */
static const struct item_record *the_item(const struct item_ask *ask, bool *elsewhere)
{
    const struct item_record *item = ask->read.item_count > 0 ? &ask->read.items[0] : NULL;

    *elsewhere = item == NULL || is_derived(item);
    if (item != NULL && strcmp(item->workspace, ask->call.workspace->id) != 0)
        *elsewhere = false;
    else if (!*elsewhere)
        return item;
    if (!*elsewhere)
        api_refuse(ask->call.x, 404, "Work item not found");
    return NULL;
}

static void show(struct item_ask *ask)
{
    bool elsewhere;
    const struct item_record *item = the_item(ask, &elsewhere);

    if (elsewhere)
        api_derived_item(&ask->call, ask->read.item_count > 0 ? ask->read.items[0].run_id : NULL, files_by_item(ask));
    else if (item != NULL && ask->call.items != NULL)
        ask->call.items(&ask->call, json_pack("[o]", shape_row(ask, item, true)));
    else if (item != NULL)
        serve_json(ask->call.x, 200, shape_row(ask, item, true));
}

void api_item(const struct api_call *call)
{
    ask_by_id(call, call->args.at[call->item_at], show);
}

static bool may_be_changed(const struct item_ask *ask, const struct item_record *item)
{
    if (item_may_be_changed(item, engine_run(ask->call.room->host.engine, item->run_id) != NULL))
        return true;
    api_refuse(ask->call.x, 409, "a run has taken this work item: it is changed only when it has failed, and the run has ended");
    return false;
}

static const struct item_record *to_be_changed(const struct item_ask *ask)
{
    bool elsewhere;
    const struct item_record *item = the_item(ask, &elsewhere);

    if (elsewhere)
        api_derived_item_stays(&ask->call, ask->read.item_count > 0 ? ask->read.items[0].run_id : NULL);
    return item != NULL && may_be_changed(ask, item) ? item : NULL;
}

static void change_payload(struct item_ask *ask)
{
    const struct item_record *item = to_be_changed(ask);
    json_t *body;

    if (item == NULL || !api_body(ask->call.x, &body))
        return;
    if (json_object_get(body, "payload") == NULL)
        api_refuse(ask->call.x, 400, "payload is needed");
    else
        api_write_payload(&ask->call, item, json_object_get(body, "payload"));
    json_decref(body);
}

void api_item_payload(const struct api_call *call)
{
    ask_by_id(call, call->args.at[call->item_at], change_payload);
}

static void add_file(struct item_ask *ask, json_t *(*shape)(const char *url, json_t *form))
{
    const struct item_record *item = to_be_changed(ask);

    if (item != NULL)
        api_file_announce(&ask->call, item->id, ask->read.files, ask->read.file_count, shape);
}

static void add_nested(struct item_ask *ask)
{
    add_file(ask, api_upload_nested);
}

static void add_flat(struct item_ask *ask)
{
    add_file(ask, api_upload_flat);
}

void api_item_file(const struct api_call *call)
{
    ask_by_id(call, call->args.at[call->item_at], add_nested);
}

void api_item_file_flat(const struct api_call *call)
{
    ask_by_id(call, call->args.at[call->item_at], add_flat);
}

/* --- for a start -------------------------------------------------------------------------------------------------- */

static const struct item_record *row_of(const struct item_ask *ask, const char *id)
{
    for (size_t i = 0; i < ask->read.item_count; i++) {
        if (strcmp(ask->read.items[i].id, id) == 0)
            return &ask->read.items[i];
    }
    return NULL;
}

/* The files of the items, for a run that has no flow: they are handed to it with the event. NULL when there are none. */
static json_t *files_of(const struct item_ask *ask)
{
    const char *dir = flows_world(ask->call.room->host.flows)->files_dir;
    json_t *list = json_array();
    const json_t *id;
    size_t index;

    json_array_foreach(ask->ids, index, id) {
        for (size_t i = 0; i < ask->read.file_count; i++) {
            const struct item_file *file = &ask->read.files[i];
            struct buf path = { 0 };

            if (!file->there || strcmp(file->item, json_string_value(id)) != 0)
                continue;
            buf_addf(&path, "%s/%s", dir, file->id);
            (void)json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I}", "path", buf_str(&path), "name", file->name, "size",
                                                        (json_int_t)file->size, "item", (json_int_t)index));
            buf_close(&path);
        }
    }
    if (json_array_size(list) > 0)
        return list;
    json_decref(list);
    return NULL;
}

static bool may_be_taken(const struct item_ask *ask, const struct process_config *process, const char *id)
{
    const struct item_record *item = row_of(ask, id);

    if (item == NULL || process == NULL || strcmp(item->workspace, ask->call.workspace->id) != 0 || strcmp(item->process, process->name) != 0) {
        api_refuse(ask->call.x, 400, "work_item_ids: %s is no work item of this process", id);
        return false;
    }
    if (item->run_id[0] == '\0' && item->state == ITEM_NEW)
        return true;
    api_refuse(ask->call.x, 409, item->run_id[0] != '\0' ? "the work item %s is in a run already" : "the work item %s is done", id);
    return false;
}

static void start_with(struct item_ask *ask)
{
    const struct process_config *process = api_process(&ask->call, ask->call.args.at[0]);
    json_t *payloads = json_array(), *files;
    const json_t *id;
    size_t i;

    json_array_foreach(ask->ids, i, id) {
        if (!may_be_taken(ask, process, json_string_value(id))) {
            json_decref(payloads);
            return;
        }
        (void)json_array_append_new(payloads, json_stored(row_of(ask, json_string_value(id))->payload));
    }
    files = config_has_flow(process) ? NULL : files_of(ask);
    api_start_with_items(&ask->call, process, ask->ids, payloads, files);
    json_decref(files);
    json_decref(payloads);
}

void api_start_named_items(const struct api_call *call, const json_t *ids)
{
    struct item_ask *ask;
    const json_t *id;
    char *text;
    size_t i, k;

    json_array_foreach(ids, i, id) {
        for (k = 0; k < i && json_is_string(id) && !json_equal(json_array_get(ids, k), id); k++)
            ;
        if (!json_is_string(id) || k < i) {
            api_refuse(call->x, 400, "work_item_ids has to be an array of ids, each once");
            return;
        }
    }
    ask = ask_new(call, start_with);
    ask->ids = json_incref((json_t *)(uintptr_t)ids);
    text = json_text(ids);
    if (text == NULL)
        abort();
    ask->read.ids = text;
    go(ask);
    free(text);
}
