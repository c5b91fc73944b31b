/* Webhooks of a workspace: made, listed, shown, deleted; and the callback that a start may carry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "belfry/base/time.h"
#include "belfry/net/http_client.h"

#define URL_MAX_LEN 2048
#define HOOKS_MAX 100                  /* of a workspace: each is looked at with each run */
#define SECRET_MAX_LEN 1024

/* --- shapes ------------------------------------------------------------------------------------------------------- */

static json_t *event_names(unsigned events)
{
    json_t *list = json_array();

    for (unsigned event = 1; event <= HOOK_UNRESOLVED; event <<= 1) {
        if ((events & event) != 0)
            (void)json_array_append_new(list, json_string(hook_event_name(event)));
    }
    return list;
}

static json_t *shape_hook(const struct api_call *call, const struct hook_record *hook, bool secret)
{
    const struct config *c = call->room->host.config(call->room->host.data);
    const struct process_config *process = hook->process != NULL ? config_process(c, hook->process) : NULL;
    json_t *o = json_pack("{s:s, s:o, s:s}", "id", hook->id, "enabled_events", event_names(hook->events), "endpoint", hook->endpoint);
    char id[ID_SIZE], value[65];

    (void)json_object_set_new(o, "process", json_null());
    if (hook->process != NULL) {
        id_from_name("process", hook->process, id);
        (void)json_object_set_new(o, "process", json_pack("{s:s}", "id", process != NULL ? process->id : id));
    }
    if (secret) {
        deliver_hook_secret(call->room->host.deliver, hook->id, value);
        (void)json_put(o, "secret", value);
        explicit_bzero(value, sizeof value);
    }
    return o;
}

static bool is_ours(const struct api_call *call, const struct hook_record *hook)
{
    return hook != NULL && strcmp(hook->workspace, call->workspace->name) == 0;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

struct listing {
    const struct api_call *call;
    json_t *list;
    const char *cursor;
    size_t limit;
    bool more;
    char last[ID_SIZE];
};

static void list_hook(void *data, const struct hook_record *hook)
{
    struct listing *l = data;

    if (!is_ours(l->call, hook) || l->more || (l->cursor != NULL && strcmp(hook->id, l->cursor) <= 0))
        return;
    l->more = json_array_size(l->list) == l->limit;
    if (l->more)
        return;
    (void)json_array_append_new(l->list, shape_hook(l->call, hook, false));
    memcpy(l->last, hook->id, sizeof l->last);
}

void api_hooks(const struct api_call *call)
{
    struct listing l = { .call = call };

    if (!api_page(call->x, &l.limit, &l.cursor))
        return;
    l.list = json_array();
    deliver_each_hook(call->room->host.deliver, list_hook, &l);
    api_answer_page(call->x, l.list, l.more ? l.last : NULL);
}

void api_hook(const struct api_call *call)
{
    const struct hook_record *hook = deliver_hook(call->room->host.deliver, call->args.at[0]);

    if (is_ours(call, hook))
        serve_json(call->x, 200, shape_hook(call, hook, true));
    else
        api_refuse(call->x, 404, "Webhook not found");
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

struct hook_write {
    struct api_call call;
    struct hook_record hook;
    struct record record;
    struct commit commit;
    bool added;
};

static void written(struct commit *commit, int status)
{
    struct hook_write *w = commit->data;
    struct serve_room *room = w->call.room;

    if (status != 0) {
        api_refuse(w->call.x, 503, "the webhook could not be written down: %s", error_name(status));
    } else if (w->added) {
        deliver_hook_added(room->host.deliver, &w->hook);
        serve_json(w->call.x, 200, shape_hook(&w->call, &w->hook, true));
    } else {
        deliver_hook_dropped(room->host.deliver, w->hook.id);
        serve_json(w->call.x, 200, json_pack("{s:s, s:b}", "id", w->hook.id, "deleted", 1));
    }
    hook_record_close(&w->hook);
    free(w);
    serve_let_go(room);
}

static struct hook_write *write_new(const struct api_call *call)
{
    struct hook_write *w = calloc(1, sizeof *w);

    if (w == NULL)
        abort();
    w->call = *call;
    w->commit = (struct commit) { .records = &w->record, .count = 1, .cb = written, .data = w };
    call->room->open++;
    return w;
}

static bool is_url(const char *url)
{
    return url != NULL && strlen(url) <= URL_MAX_LEN && http_url_is_good(url);
}

/* The bits of a list of names: 0 when it is none, empty, or has a word that is unknown. */
static unsigned read_events(const json_t *list)
{
    unsigned events = 0, event;
    const json_t *name;
    size_t i;

    json_array_foreach(list, i, name) {
        event = json_is_string(name) ? hook_event_from_name(json_string_value(name)) : 0;
        if (event == 0)
            return 0;
        events |= event;
    }
    return events;
}

struct counting {
    const struct api_call *call;
    size_t count;
};

static void count_hook(void *data, const struct hook_record *hook)
{
    struct counting *c = data;

    c->count += is_ours(c->call, hook);
}

static void make(const struct api_call *call, const json_t *body)
{
    const char *endpoint = json_str(body, "endpoint"), *id = json_str(json_object_get(body, "process"), "id");
    const struct process_config *process = id != NULL ? api_process(call, id) : NULL;
    unsigned events = read_events(json_object_get(body, "enabled_events"));
    struct hook_write *w;
    struct counting ours = { .call = call };

    deliver_each_hook(call->room->host.deliver, count_hook, &ours);
    if (!is_url(endpoint)) {
        api_refuse(call->x, 400, "endpoint has to be a URL, https://… or http://…, without a user in it");
    } else if (events == 0) {
        api_refuse(call->x, 400, "enabled_events has to name process_run.started, process_run.completed or process_run.unresolved");
    } else if (process == NULL) {
        api_refuse(call->x, 400, "process.id has to be that of a process of this workspace");
    } else if (ours.count >= HOOKS_MAX) {
        api_refuse(call->x, 400, "this workspace has %d webhooks already: delete some", HOOKS_MAX);
    } else {
        w = write_new(call);
        w->added = true;
        w->hook = (struct hook_record) { .workspace = strdup(call->workspace->name), .process = strdup(process->name),
            .endpoint = strdup(endpoint), .events = events, .created_ms = time_wall_ms() };
        if (w->hook.workspace == NULL || w->hook.process == NULL || w->hook.endpoint == NULL)
            abort();
        id_new(w->hook.created_ms, w->hook.id);
        w->record = (struct record) { .kind = RECORD_HOOK_ADD, .hook = &w->hook };
        journal_commit(call->room->host.journal, &w->commit);
    }
}

void api_hook_make(const struct api_call *call)
{
    json_t *body;

    if (!api_body(call->x, &body))
        return;
    make(call, body);
    json_decref(body);
}

void api_hook_delete(const struct api_call *call)
{
    const struct hook_record *hook = deliver_hook(call->room->host.deliver, call->args.at[0]);
    struct hook_write *w;

    if (!is_ours(call, hook)) {
        api_refuse(call->x, 404, "Webhook not found");
        return;
    }
    w = write_new(call);
    memcpy(w->hook.id, hook->id, sizeof w->hook.id);
    w->record = (struct record) { .kind = RECORD_HOOK_DROP, .key = w->hook.id };
    journal_commit(call->room->host.journal, &w->commit);
}

/* --- callbacks ---------------------------------------------------------------------------------------------------- */

bool api_read_callback(const struct api_call *call, const json_t *body, struct callback_ask *ask)
{
    const json_t *callback = json_object_get(body, "callback");

    *ask = (struct callback_ask) { 0 };
    if (callback == NULL || json_is_null(callback))
        return true;
    ask->url = json_str(callback, "url");
    ask->secret = json_str(callback, "secret");
    ask->events = read_events(json_object_get(callback, "callback_events"));
    if (is_url(ask->url) && ask->secret != NULL && strlen(ask->secret) <= SECRET_MAX_LEN && ask->events != 0)
        return true;
    api_refuse(call->x, 400, "callback needs url (https://… or http://…), secret, and callback_events of started, completed, unresolved");
    return false;
}
