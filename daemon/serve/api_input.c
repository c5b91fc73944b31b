/* A process's input: work items that clients made, and that wait for a run. */
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "belfry/base/time.h"

/* --- making, changing --------------------------------------------------------------------------------------------- */

struct item_write {
    struct api_call call;
    struct config *config;         /* held */
    struct item_record item;
    struct record record;
    struct commit commit;
    json_t *(*shape)(json_t *item);   /* of the answer; NULL: v1's */
    bool made;
};

static json_t *shape_waiting(const struct item_write *w)
{
    json_t *o = api_shape_item(&w->call, w->config, &w->item);

    (void)json_object_set_new(o, "payload", json_stored(w->item.payload));
    (void)json_object_set_new(o, "files", json_array());
    return o;
}

static void write_free(struct item_write *w)
{
    struct serve_room *room = w->call.room;

    item_record_close(&w->item);
    config_release(w->config);
    free(w);
    serve_let_go(room);
}

static void written(struct commit *commit, int status)
{
    struct item_write *w = commit->data;
    json_t *payload;   /* or the item */

    if (status != 0) {
        api_refuse(w->call.x, 503, "the work item could not be written down: %s", error_name(status));
    } else if (w->made) {
        payload = shape_waiting(w);
        serve_json(w->call.x, 200, w->shape != NULL ? w->shape(payload) : payload);
    } else {
        payload = json_stored(w->item.payload);
        serve_json(w->call.x, 200, json_pack("{s:o}", "payload", payload));
    }
    write_free(w);
}

static void write_item(const struct api_call *call, const struct item_record *known, const char *process, const json_t *payload,
                       json_t *(*shape)(json_t *item))
{
    struct item_write *w = calloc(1, sizeof *w);

    if (w == NULL)
        abort();
    w->call = *call;
    w->config = config_hold(call->config);
    w->made = known == NULL;
    w->shape = shape;
    w->item.step = ITEM_WAITS;
    w->item.told = true;
    w->item.created_ms = w->item.updated_ms = time_wall_ms();
    if (known == NULL) {
        id_new(w->item.created_ms, w->item.id);
    } else {
        memcpy(w->item.id, known->id, sizeof w->item.id);
        memcpy(w->item.run_id, known->run_id, sizeof w->item.run_id);
    }
    w->item.workspace = strdup(call->workspace->id);
    w->item.process = strdup(process);
    w->item.payload = json_text(payload);
    if (w->item.workspace == NULL || w->item.process == NULL || w->item.payload == NULL)
        abort();
    w->record = (struct record) { .kind = w->made ? RECORD_ITEM_ADD : RECORD_ITEM_PAYLOAD, .item = &w->item };
    w->commit = (struct commit) { .records = &w->record, .count = 1, .cb = written, .data = w };
    call->room->open++;
    journal_commit(call->room->host.journal, &w->commit);
}

void api_item_make(const struct api_call *call)
{
    const struct process_config *process = NULL;
    const char *id;
    json_t *body;

    if (!api_body(call->x, &body))
        return;
    id = json_str(json_object_get(body, "process"), "id");
    if (id != NULL)
        process = api_process(call, id);
    if (id == NULL || json_object_get(body, "payload") == NULL)
        api_refuse(call->x, 400, "process.id and payload are needed");
    else if (process == NULL)
        api_refuse(call->x, 400, "there is no process of that id in this workspace");
    else
        write_item(call, NULL, process->name, json_object_get(body, "payload"), NULL);
    json_decref(body);
}

void api_item_make_as(const struct api_call *call, const struct process_config *process, const json_t *payload, json_t *(*shape)(json_t *item))
{
    write_item(call, NULL, process->name, payload, shape);
}

void api_write_payload(const struct api_call *call, const struct item_record *item, const json_t *payload)
{
    write_item(call, item, item->process, payload, NULL);
}

/* --- for a start -------------------------------------------------------------------------------------------------- */

struct waiting_ask {
    struct api_call call;
    struct journal_read read;
};

static void waiting_read(struct journal_read *read, int status)
{
    struct waiting_ask *ask = read->data;
    struct serve_room *room = ask->call.room;
    json_t *ids = json_array();

    for (size_t i = 0; status == 0 && i < read->count; i++)
        (void)json_array_append_new(ids, json_string(read->rows[i].item.id));
    if (status != 0)
        api_refuse(ask->call.x, 503, "the journal cannot be read: %s", read->error.text);
    else if (json_array_size(ids) > 0)
        api_start_named_items(&ask->call, ids);
    else if (ask->call.shape != NULL)   /* a shape that tells of a run has none to tell of */
        api_refuse(ask->call.x, 409, "nothing was started: no work item waits in the process's input");
    else
        serve_json(ask->call.x, 200, json_pack("{s:b}", "started", 0));
    json_decref(ids);
    config_release(ask->call.config);
    free(ask);
    serve_let_go(room);
}

void api_start_inputs(const struct api_call *call, const struct process_config *process)
{
    struct waiting_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL)
        abort();
    ask->call = *call;
    (void)config_hold(call->config);
    ask->read = (struct journal_read) { .kind = READ_ITEMS, .state = -1, .workspace = call->workspace->id, .process = process->name,
        .limit = API_ITEMS_MAX, .cb = waiting_read, .data = ask };
    call->room->open++;
    journal_read(call->room->host.journal, &ask->read);
}
