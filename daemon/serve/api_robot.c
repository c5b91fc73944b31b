/*
 * What a run asks of the work item API from inside, with a token of its own: the next item, its release, outputs, payloads, files.
 * Each change is on disk before it is answered, and each request may come twice. Source: the requests that the vendor's libraries
 * for robots make (robocorp-workitems, rpaframework).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "belfry/core/flows.h"

/* --- the token ---------------------------------------------------------------------------------------------------- */

bool api_run_token(struct api_call *call, const char *value)
{
    const struct flows_world *world = flows_world(call->room->host.flows);
    const struct step_record *step_run;
    const struct run_record *run;
    const struct flow *flow;
    char good[RUN_TOKEN_SIZE];

    if (strlen(value) < 2 * (size_t)ID_SIZE || value[ID_SIZE - 1] != '.' || value[2 * ID_SIZE - 1] != '.')
        return false;
    memcpy(call->run_id, value, ID_SIZE - 1);
    memcpy(call->step_run, value + ID_SIZE, ID_SIZE - 1);
    call->run_id[ID_SIZE - 1] = call->step_run[ID_SIZE - 1] = '\0';
    world->token(world->data, call->run_id, call->step_run, good);
    if (strlen(value) != strlen(good) || !text_equal_constant_time(value, good, strlen(good)))
        return false;
    run = engine_run(call->room->host.engine, call->run_id);
    flow = flows_find(call->room->host.flows, call->run_id);
    step_run = flow != NULL ? flow_step_run(flow, call->step_run) : NULL;
    /* It is gone when the step run is over. */
    return run != NULL && call->workspace != NULL && strcmp(run->workspace, call->workspace->name) == 0 && step_run != NULL &&
           step_run->state <= STEP_RUNNING;
}

/* --- answers, once it is on disk ---------------------------------------------------------------------------------- */

struct robot_write {
    struct api_call call;
    json_t *answer;                /* NULL: nothing but 204 */
    char output[ITEM_ID_SIZE];     /* made by this request */
    bool gone;
};

static struct flow *flow_of(const struct api_call *call)
{
    return flows_find(call->room->host.flows, call->run_id);
}

static void client_gone(struct http_exchange *x)
{
    ((struct robot_write *)http_data(x))->gone = true;
}

/* An output whose maker is to learn its id. */
struct telling {
    struct flows *flows;
    char run_id[ID_SIZE];
    char item[ITEM_ID_SIZE];
};

/* The answer is on its way, or lost. As long as it may be lost the same request once more means the same output; once it is known to
 * have gone, another one. */
static void output_told(void *data, bool went)
{
    struct telling *t = data;
    struct flow *flow = went ? flows_find(t->flows, t->run_id) : NULL;

    if (flow != NULL) {
        flow_told(flow, t->item);
        flows_save(t->flows, flow, NULL, 0, NULL, NULL);
    }
    free(t);
}

static void tell_when_sent(const struct robot_write *w)
{
    struct telling *t = calloc(1, sizeof *t);

    if (t == NULL)
        abort();
    t->flows = w->call.room->host.flows;
    memcpy(t->run_id, w->call.run_id, sizeof t->run_id);
    memcpy(t->item, w->output, sizeof t->item);
    http_when_sent(w->call.x, output_told, t);
}

static void saved(void *data, int status)
{
    struct robot_write *w = data;
    struct serve_room *room = w->call.room;

    if (status == 0 && w->output[0] != '\0' && !w->gone)
        tell_when_sent(w);
    if (status != 0)
        api_refuse(w->call.x, 503, "belfryd is stopping");
    else if (w->answer != NULL)
        serve_json(w->call.x, 200, json_incref(w->answer));
    else
        http_respond(w->call.x, 204, NULL, "", 0, NULL, 0);
    json_decref(w->answer);
    free(w);
    serve_let_go(room);
}

/* Takes the answer. */
static void save(const struct api_call *call, json_t *answer, const char *output)
{
    struct robot_write *w = calloc(1, sizeof *w);

    if (w == NULL)
        abort();
    w->call = *call;
    w->answer = answer;
    if (output != NULL)
        (void)snprintf(w->output, sizeof w->output, "%s", output);
    http_set_data(call->x, w, client_gone);
    call->room->open++;
    flows_save(call->room->host.flows, flow_of(call), NULL, 0, saved, w);
}

/* The run and step run in the path are the token's. */
static bool is_ours(const struct api_call *call)
{
    if (strcmp(call->args.at[1], call->run_id) == 0 && strcmp(call->args.at[2], call->step_run) == 0)
        return true;
    api_refuse(call->x, 403, "this token is another run's");
    return false;
}

/* --- the queue ---------------------------------------------------------------------------------------------------- */

void robot_reserve(const struct api_call *call)
{
    const struct item_record *item;

    if (!is_ours(call))
        return;
    if (flow_reserve(flow_of(call), call->step_run, time_wall_ms(), &item) != 0)
        api_refuse(call->x, 403, "this step run is over");
    else
        save(call, json_pack("{s:s?}", "workItemId", item != NULL ? item->id : NULL), NULL);
}

static bool read_exception(const struct api_call *call, const json_t *body, enum exception_type *type, const char **code, const char **message)
{
    const json_t *exception = json_object_get(body, "exception");
    const char *word = json_str(exception, "type");

    *type = EXCEPTION_UNSPECIFIED;
    *code = json_str(exception, "code");
    *message = json_str(exception, "message");
    if (word == NULL)
        return true;
    *type = exception_type_from_name(word);
    if (*type < EXCEPTIONS)
        return true;
    api_refuse(call->x, 400, "exception.type has to be BUSINESS or APPLICATION");
    return false;
}

static void release(const struct api_call *call, const json_t *body)
{
    const char *id = json_str(body, "workItemId"), *word = json_str(body, "state"), *code, *message;
    bool done = word != NULL && (strcmp(word, "COMPLETED") == 0 || strcmp(word, "DONE") == 0);
    enum exception_type type;
    int status;

    if (id == NULL || word == NULL || (!done && strcmp(word, "FAILED") != 0)) {
        api_refuse(call->x, 400, "workItemId is needed, and state COMPLETED or FAILED");
        return;
    }
    if (!read_exception(call, body, &type, &code, &message))
        return;
    status = flow_release(flow_of(call), call->step_run, id, time_wall_ms(), done ? ITEM_DONE : ITEM_FAILED, type, code, message);
    if (status == BF_EEXIST)
        api_refuse(call->x, 409, "the work item %s was released otherwise before", id);
    else if (status != 0)
        api_refuse(call->x, 404, "this step run holds no work item %s", id);
    else
        save(call, json_object(), NULL);
}

void robot_release(const struct api_call *call)
{
    json_t *body;

    if (!is_ours(call) || !api_body(call->x, &body))
        return;
    release(call, body);
    json_decref(body);
}

void robot_output(const struct api_call *call)
{
    const struct item_record *item;
    json_t *body;
    char id[ID_SIZE], *payload;
    int status;

    if (!api_body(call->x, &body))
        return;
    payload = json_text(json_object_get(body, "payload"));
    if (payload == NULL)
        abort();
    id_new(time_wall_ms(), id);
    status = flow_output(flow_of(call), call->step_run, call->args.at[1], time_wall_ms(), id, payload, &item);
    if (status == BF_ETOOBIG)
        api_refuse(call->x, 409, "the run has %d work items: no more go through one run", FLOW_ITEMS_MAX);
    else if (status != 0)
        api_refuse(call->x, 404, "this step run has no input work item %s", call->args.at[1]);
    else
        save(call, json_pack("{s:s}", "id", item->id), item->id);
    free(payload);
    json_decref(body);
}

/* --- an item's data ----------------------------------------------------------------------------------------------- */

/* An item that the token may touch; it was refused when not. It has shown that it knows of it. */
static const struct item_record *own_item(const struct api_call *call)
{
    struct flow *flow = flow_of(call);
    const struct item_record *item = flow_item_of(flow, call->step_run, call->args.at[0]);

    if (item == NULL) {
        api_refuse(call->x, 404, "this step run has no work item %s", call->args.at[0]);
        return NULL;
    }
    flow_spoke(flow, call->step_run);
    flow_told(flow, item->id);
    return item;
}

struct robot_read {
    struct api_call call;
    struct flow_read read;
    void (*shape)(struct robot_read *r);
};

static void read_came(struct flow_read *read, int status)
{
    struct robot_read *r = read->data;
    struct serve_room *room = r->call.room;

    if (status != 0)
        api_refuse(r->call.x, 503, "the journal cannot be read: %s", read->error.text);
    else if (read->item_count == 0)
        api_refuse(r->call.x, 404, "Work item not found");
    else
        r->shape(r);
    free(r);
    serve_let_go(room);
}

static void spoken(void *data, int status)
{
    struct robot_read *r = data;
    const struct flows_world *world = flows_world(r->call.room->host.flows);
    json_t *ids = json_pack("[s]", r->call.args.at[0]);
    char *text = json_text(ids);

    (void)status;
    if (text == NULL)
        abort();
    r->read = (struct flow_read) { .ids = text, .cb = read_came, .data = r };
    world->read(world->data, &r->read);
    free(text);
    json_decref(ids);
}

/* Reads it after what this request tells of the step run is on disk. */
static void read_own(const struct api_call *call, void (*shape)(struct robot_read *r))
{
    struct robot_read *r;

    if (own_item(call) == NULL)
        return;
    r = calloc(1, sizeof *r);
    if (r == NULL)
        abort();
    r->call = *call;
    r->shape = shape;
    call->room->open++;
    flows_save(call->room->host.flows, flow_of(call), NULL, 0, spoken, r);
}

static void show_data(struct robot_read *r)
{
    const char *payload = r->read.items[0].payload;

    http_respond(r->call.x, 200, "application/json", payload, strlen(payload), NULL, 0);
}

static void robot_data(const struct api_call *call)
{
    read_own(call, show_data);
}

struct data_write {
    struct robot_write *write;
    struct item_record item;
    struct record record;
};

static void data_saved(void *data, int status)
{
    struct data_write *d = data;

    saved(d->write, status);
    item_record_close(&d->item);
    free(d);
}

static void robot_put_data(const struct api_call *call)
{
    const struct item_record *known = own_item(call);
    struct data_write *d;
    json_t *body;

    if (known == NULL || !api_body(call->x, &body))
        return;
    d = calloc(1, sizeof *d);
    if (d == NULL || (d->write = calloc(1, sizeof *d->write)) == NULL || item_record_copy(&d->item, known) != 0)
        abort();
    free(d->item.payload);
    d->item.payload = json_text(body);
    json_decref(body);
    if (d->item.payload == NULL)
        abort();
    d->record = (struct record) { .kind = RECORD_ITEM_PAYLOAD, .item = &d->item };
    d->write->call = *call;
    d->write->answer = json_object();
    http_set_data(call->x, d->write, client_gone);
    call->room->open++;
    flows_save(call->room->host.flows, flow_of(call), &d->record, 1, data_saved, d);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static const struct item_file *file_named(const struct robot_read *r, const char *id)
{
    for (size_t i = 0; i < r->read.file_count; i++) {
        if (r->read.files[i].there && strcmp(r->read.files[i].id, id) == 0)
            return &r->read.files[i];
    }
    return NULL;
}

static void show_files(struct robot_read *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->read.file_count; i++) {
        const struct item_file *file = &r->read.files[i];

        if (file->there)
            (void)json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "fileName", file->name, "fileId", file->id, "fileSize",
                                                        (json_int_t)file->size));
    }
    serve_json(r->call.x, 200, list);
}

static void robot_files(const struct api_call *call)
{
    read_own(call, show_files);
}

static void show_file(struct robot_read *r)
{
    const struct item_file *file = file_named(r, r->call.args.at[1]);
    struct buf url = { 0 };

    if (file == NULL) {
        api_refuse(r->call.x, 404, "File not found");
        return;
    }
    api_base_url(r->call.x, &url);
    serve_item_file_link(r->call.room, file->id, &url);
    serve_json(r->call.x, 200, json_pack("{s:s}", "url", buf_str(&url)));
    buf_close(&url);
}

static void robot_file(const struct api_call *call)
{
    read_own(call, show_file);
}

static void begin_file(struct robot_read *r)
{
    api_file_announce(&r->call, r->call.args.at[0], r->read.files, r->read.file_count, api_upload_flat);
}

static void robot_add_file(const struct api_call *call)
{
    read_own(call, begin_file);
}

static void drop_file(struct robot_read *r)
{
    const struct item_file *file = file_named(r, r->call.args.at[1]);

    if (file != NULL)
        api_file_drop(&r->call, file->id);
    else
        http_respond(r->call.x, 204, NULL, "", 0, NULL, 0);   /* it is gone: asked twice, perhaps */
}

static void robot_drop_file(const struct api_call *call)
{
    read_own(call, drop_file);
}

const struct operation json_v1_operations[] = {
    { "GET", "/workitems/{}/data", "getWorkItemData", RUN_TOKEN, robot_data, NULL, false },
    { "PUT", "/workitems/{}/data", "setWorkItemData", RUN_TOKEN, robot_put_data, NULL, false },
    { "GET", "/workitems/{}/files", "listWorkItemFiles", RUN_TOKEN, robot_files, NULL, false },
    { "POST", "/workitems/{}/files", "addWorkItemFile", RUN_TOKEN, robot_add_file, NULL, false },
    { "GET", "/workitems/{}/files/{}", "getWorkItemFile", RUN_TOKEN, robot_file, NULL, false },
    { "DELETE", "/workitems/{}/files/{}", "deleteWorkItemFile", RUN_TOKEN, robot_drop_file, NULL, false },
};
const size_t json_v1_count = sizeof json_v1_operations / sizeof *json_v1_operations;
