/* A client starts a process run: the same bell as a cron line's. */
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "belfry/base/time.h"
#include "belfry/core/event.h"

struct start {
    struct api_call call;
    struct serve_room *room;
    struct http_exchange *x;
    struct config *config;         /* held: the firing points into it */
    struct firing firing;
    json_t *ids;                   /* of the work items that the run takes; the records lend from it */
    struct record *with;
    struct callback_record callback;
};

static void start_free(struct start *s)
{
    struct serve_room *room = s->room;

    json_decref(s->firing.event);
    json_decref(s->firing.input);
    json_decref(s->ids);
    callback_record_close(&s->callback);
    free(s->with);
    config_release(s->config);
    free(s);
    serve_let_go(room);
}

static void rung(struct firing *f, int status)
{
    struct start *s = f->data;

    if (s->callback.url != NULL && (status != 0 || f->state == RUN_SKIPPED))
        deliver_callback_dropped(s->room->host.deliver, f->id);
    if (status == 0 && f->state == RUN_SKIPPED)
        api_refuse(s->x, 409, "the process does not take another run now, as its overlap policy has it");
    else if (status == 0)
        serve_json(s->x, 200, s->call.shape != NULL ? s->call.shape(&s->call, f->process, f->run_id, s->ids, json_array_size(f->input))
                                                    : json_pack("{s:b, s:s}", "started", 1, "id", f->run_id));
    else if (status == BF_EEXIST)
        api_refuse(s->x, 409, f->run_id[0] != '\0' ? "a work item was taken by the run %s meanwhile" : "a work item waits no more%s", f->run_id);
    else if (status == BF_EINVAL)
        api_refuse(s->x, 400, "%s", f->error.text);
    else
        api_refuse(s->x, status == BF_EAGAIN ? 429 : 503, "%s", f->error.text);
    start_free(s);
}

static void add_with(struct start *s, struct record record)
{
    struct record *grown = reallocarray(s->with, s->firing.with_count + 1, sizeof *grown);

    if (grown == NULL)
        abort();
    s->with = grown;
    grown[s->firing.with_count++] = record;
    s->firing.with = grown;
}

/* What makes the items the run's, in the commit that admits it. */
static void take_items(struct start *s, json_t *ids, int64_t now_ms)
{
    const json_t *id;
    size_t i;

    s->ids = json_incref(ids);
    json_array_foreach(s->ids, i, id)
        add_with(s, (struct record) { .kind = RECORD_ITEM_TAKE, .key = json_string_value(id), .run_id = s->firing.id, .value = now_ms });
    (void)json_object_set(s->firing.event, "work_items", s->ids);
}

/* The callback in the body, which has been checked. */
static void take_callback(struct start *s)
{
    struct deliver_room *deliver = s->room->host.deliver;
    struct callback_ask ask;
    json_t *body;

    if (!api_body(s->x, &body) || !api_read_callback(&s->call, body, &ask) ||
        deliver_callback_make(deliver, s->firing.id, ask.url, ask.secret, ask.events, &s->callback) != 0)
        abort();
    json_decref(body);
    deliver_callback_added(deliver, &s->callback);
    add_with(s, (struct record) { .kind = RECORD_CALLBACK_ADD, .callback = &s->callback, .run_id = s->firing.id });
}

/* Takes `payloads`; `ids` and `files` may be NULL. */
static void ring(const struct api_call *call, const struct process_config *process, json_t *payloads, json_t *ids, json_t *files)
{
    int64_t now_ms = time_wall_ms();
    struct start *s = calloc(1, sizeof *s);
    struct firing *f;

    if (s == NULL) {
        json_decref(payloads);
        api_refuse(call->x, 503, "out of memory");
        return;
    }
    s->call = *call;
    s->room = call->room;
    s->x = call->x;
    s->config = config_hold(call->config);
    call->room->open++;
    f = &s->firing;
    *f = (struct firing) { .kind = TRIGGER_API, .trigger_name = s->call.key_name, .process = process, .input = payloads,
        .refuse_when_full = true, .cb = rung, .data = s };
    id_new(now_ms, f->id);
    if (payloads == NULL && process->input != NULL)
        f->program = process->input;
    else if (payloads == NULL)
        f->input = json_pack("[{}]");   /* one empty work item */
    f->event = event_new(f->id, f->kind, f->trigger_name, now_ms, 0, s->call.key_name);
    if (f->event == NULL)
        abort();
    if (ids != NULL)
        take_items(s, ids, now_ms);
    if (call->callback)
        take_callback(s);
    if (files != NULL)
        (void)json_object_set(f->event, "files", files);
    call->room->host.bell->ring(call->room->host.bell->data, f);
}

void api_start_with_items(const struct api_call *call, const struct process_config *process, const json_t *ids, json_t *payloads,
                          json_t *files)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)ids);

    ring(call, process, json_incref(payloads), copy, files);
    json_decref(copy);
}

const struct process_config *api_start_process(const struct api_call *call)
{
    const struct process_config *process = api_process(call, call->args.at[0]);

    if (process == NULL)
        api_refuse(call->x, 404, "Process not found");
    return process;
}

void api_start_as(const struct api_call *call, const struct process_config *process, json_t *payloads, start_shape shape)
{
    struct api_call shaped = *call;

    shaped.shape = shape;
    ring(&shaped, process, payloads, NULL, NULL);
}

/* What the body asks for (NULL: nothing); false when it was answered, or is by what it has begun. */
static bool read_payloads(const struct api_call *call, const struct process_config *process, const json_t *body, json_t **asked)
{
    const char *type = json_str(body, "type");
    const json_t *said = json_object_get(body, "type");
    json_t *payloads = json_object_get(body, "payloads"), *ids = json_object_get(body, "work_item_ids");

    *asked = NULL;
    if (said == NULL || json_is_null(said))
        return true;
    if (type != NULL && strcmp(type, "with_payloads") == 0) {
        if (json_is_array(payloads) && json_array_size(payloads) > 0) {
            *asked = json_incref(payloads);
            return true;
        }
        api_refuse(call->x, 400, "payloads has to be an array of at least one");
    } else if (type != NULL && strcmp(type, "with_work_item_ids") == 0) {
        if (json_array_size(ids) > 0 && json_array_size(ids) <= API_ITEMS_MAX)
            api_start_named_items(call, ids);
        else
            api_refuse(call->x, 400, "work_item_ids has to be an array of 1 to %d ids", API_ITEMS_MAX);
    } else if (type != NULL && strcmp(type, "with_inputs") == 0) {
        api_start_inputs(call, process);
    } else {
        api_refuse(call->x, 400, "type has to be with_payloads, with_work_item_ids or with_inputs");
    }
    return false;
}

void api_start(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);
    struct api_call with = *call;
    struct callback_ask callback;
    json_t *body, *payloads;

    if (process == NULL || !api_body(call->x, &body))
        return;
    if (!json_is_object(body) && !json_is_null(body)) {
        api_refuse(call->x, 400, "the body has to be an object");
    } else if (api_read_callback(call, body, &callback)) {
        with.callback = callback.url != NULL;
        if (read_payloads(&with, process, body, &payloads))
            ring(&with, process, payloads, NULL, NULL);
    }
    json_decref(body);
}

void api_start_by_token(const struct api_call *call)
{
    const char *handshake = http_query(call->x, "with_handshake"), *secret = http_header(call->x, "X-Hook-Secret");
    const struct process_config *process = api_start_process(call);
    json_t *body;

    if (process == NULL)
        return;
    if (handshake != NULL && strcmp(handshake, "asana") != 0) {
        api_refuse(call->x, 400, "with_handshake has to be asana");
        return;
    }
    if (handshake != NULL && secret != NULL) {   /* Asana's first message starts nothing */
        http_respond(call->x, 200, "application/json", "{}", 2, &(struct http_header_pair) { "X-Hook-Secret", secret }, 1);
        return;
    }
    if (api_body(call->x, &body))
        ring(call, process, json_pack("[o]", body), NULL, NULL);
}
