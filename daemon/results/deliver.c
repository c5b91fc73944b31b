/* Who wants to be told of runs, and the messages that are made for them. */
#include "deliver_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/json.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"

#define LINE_STARTED "api:started"
#define LINE_ENDED "api:ended"
#define LINES_AT_ONCE 100

static const char *const line_of[] = { LINE_STARTED, LINE_ENDED };

/* --- who wants to know -------------------------------------------------------------------------------------------- */

static bool hook_wants(const struct hook_record *h, const struct run_record *run, unsigned event)
{
    return (h->events & event) != 0 && strcmp(h->workspace, run->workspace) == 0 && (h->process == NULL || strcmp(h->process, run->process) == 0);
}

static struct callback *callback_of(const struct deliver_room *room, const char *run_id)
{
    struct callback *c;

    HASH_FIND_STR(room->callbacks, run_id, c);
    return c;
}

const char *deliver_line(const struct deliver_room *room, const struct run_record *run)
{
    unsigned event = run_state_is_end(run->state) ? hook_event_of(run->state) : HOOK_STARTED;
    const struct callback *c = callback_of(room, run->id);
    const struct hook *h = room->hooks;

    while (h != NULL && !hook_wants(&h->r, run, event))
        h = h->next;
    if (h == NULL && (c == NULL || (c->r.events & event) == 0))
        return NULL;
    return event == HOOK_STARTED ? LINE_STARTED : LINE_ENDED;
}

void deliver_each_hook(const struct deliver_room *room, void (*each)(void *data, const struct hook_record *hook), void *data)
{
    for (const struct hook *h = room->hooks; h != NULL; h = h->next)
        each(data, &h->r);
}

const struct hook_record *deliver_hook(const struct deliver_room *room, const char *id)
{
    const struct hook *h = room->hooks;

    while (h != NULL && strcmp(h->r.id, id) != 0)
        h = h->next;
    return h != NULL ? &h->r : NULL;
}

void deliver_hook_secret(const struct deliver_room *room, const char *id, char secret[65])
{
    unsigned char derived[VAULT_MAC_SIZE];

    vault_derive(room->vault, "webhook", id, strlen(id), derived);
    text_hex(derived, sizeof derived, secret);
    explicit_bzero(derived, sizeof derived);
}

void deliver_hook_added(struct deliver_room *room, const struct hook_record *record)
{
    struct hook *h = calloc(1, sizeof *h), **at = &room->hooks;

    if (h == NULL || hook_record_copy(&h->r, record) != 0)
        abort();
    while (*at != NULL)   /* in the order in which they were made */
        at = &(*at)->next;
    *at = h;
}

void deliver_hook_dropped(struct deliver_room *room, const char *id)
{
    struct hook **at = &room->hooks, *h;

    while (*at != NULL && strcmp((*at)->r.id, id) != 0)
        at = &(*at)->next;
    h = *at;
    if (h == NULL)
        return;
    *at = h->next;
    hook_record_close(&h->r);
    free(h);
}

int deliver_callback_make(const struct deliver_room *room, const char *run_id, const char *url, const char *secret, unsigned events,
                          struct callback_record *callback)
{
    struct buf sealed = { 0 };

    *callback = (struct callback_record) { .events = events, .url = strdup(url) };
    memcpy(callback->run_id, run_id, strnlen(run_id, ID_SIZE - 1));
    if (callback->url == NULL || vault_seal(room->vault, run_id, secret, strlen(secret), &sealed) != 0) {
        free(callback->url);
        buf_close(&sealed);
        return BF_ENOMEM;
    }
    callback->sealed_len = sealed.len;
    callback->sealed = (unsigned char *)buf_take(&sealed);
    return 0;
}

void deliver_callback_added(struct deliver_room *room, const struct callback_record *record)
{
    struct callback *c = calloc(1, sizeof *c);

    if (c == NULL || callback_record_copy(&c->r, record) != 0)
        abort();
    HASH_ADD_STR(room->callbacks, r.run_id, c);
}

void deliver_callback_dropped(struct deliver_room *room, const char *run_id)
{
    struct callback *c = callback_of(room, run_id);

    if (c == NULL)
        return;
    HASH_DEL(room->callbacks, c);
    callback_record_close(&c->r);
    free(c);
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static char *message(const struct deliver_room *room, const struct run_record *run, unsigned event, const char *id)
{
    const char *workspace_id, *process_id;
    json_t *body, *payload;
    char *text;

    if (!room->host.ids(room->host.data, run, &workspace_id, &process_id))
        return NULL;
    body = json_pack("{s:s, s:s, s:s}", "id", id, "event", "process_run", "action", hook_event_name(event));
    payload = json_pack("{s:s, s:s, s:s, s:s, s:s}", "workspaceId", workspace_id, "processId", process_id, "processName", run->process,
                        "processRunId", run->id, "state", event == HOOK_STARTED ? "IP" : "COMPL");
    (void)json_put_time(body, "webhookEventTimestamp", event == HOOK_STARTED ? run->started_ms : run->ended_ms);
    if (event != HOOK_STARTED) {
        (void)json_put(payload, "result", event == HOOK_COMPLETED ? "success" : "error");
        if (run->started_ms != 0)
            (void)json_put_int(payload, "duration", (run->ended_ms - run->started_ms) / 1000);
        if (run->error_code != NULL)
            (void)json_put(payload, "errorCode", run->error_code);
    }
    (void)json_object_set_new(body, "payload", payload);
    text = json_text(body);
    json_decref(body);
    return text;
}

/* What the lines that were read become: one commit, after which the lines are gone and the messages there. */
struct making {
    struct deliver_room *room;
    struct delivery_record *deliveries;
    struct record *records;
    char (*runs)[ID_SIZE];
    size_t delivery_count, count, cap;
    struct commit commit;
};

static void add_delivery(struct making *m, const struct run_record *run, unsigned event, const char *hook_id, const char *url)
{
    struct delivery_record *d;

    if (m->delivery_count == m->cap)
        return;
    d = &m->deliveries[m->delivery_count];
    *d = (struct delivery_record) { .created_ms = time_wall_ms() };
    id_new(d->created_ms, d->id);
    d->next_ms = d->created_ms;
    (void)snprintf(d->hook_id, sizeof d->hook_id, "%s", hook_id);
    memcpy(d->run_id, run->id, sizeof d->run_id);
    d->body = message(m->room, run, event, d->id);
    if (d->body == NULL)
        return;
    if ((d->url = strdup(url)) == NULL)
        abort();
    m->records[m->count++] = (struct record) { .kind = RECORD_DELIVERY_ADD, .delivery = d };
    m->delivery_count++;
}

static void make_for(struct making *m, const struct run_record *run, int kind)
{
    unsigned event = kind == 0 ? HOOK_STARTED : hook_event_of(run->state);
    const struct callback *c = callback_of(m->room, run->id);

    for (const struct hook *h = m->room->hooks; h != NULL; h = h->next) {
        if (hook_wants(&h->r, run, event))
            add_delivery(m, run, event, h->r.id, h->r.endpoint);
    }
    if (c != NULL && (c->r.events & event) != 0)
        add_delivery(m, run, event, "", c->r.url);
}

static void made(struct commit *commit, int status)
{
    struct making *m = commit->data;
    struct deliver_room *room = m->room;

    for (size_t i = 0; i < m->delivery_count; i++)
        delivery_record_close(&m->deliveries[i]);
    free(m->deliveries);
    free(m->records);
    free(m->runs);
    free(m);
    if (status == 0 && !room->closing)
        deliver_send_due(room);
    deliver_let_go(room);
}

static size_t hook_count(const struct deliver_room *room)
{
    size_t count = 1;

    for (const struct hook *h = room->hooks; h != NULL; h = h->next)
        count++;
    return count;
}

static void lines_came(struct journal_read *read, int status)
{
    struct deliver_room *room = read->data;
    struct making *m;
    int kind = room->kind;

    room->reading_lines = false;
    if (room->closing || status != 0 || read->count == 0) {
        room->kind = kind == 0 ? 1 : 0;
        if (!room->closing && (kind == 0 || room->more_lines))
            deliver_pump(room);
        deliver_let_go(room);
        return;
    }
    m = calloc(1, sizeof *m);
    if (m == NULL)
        abort();
    m->room = room;
    m->cap = read->count * hook_count(room);
    m->deliveries = calloc(m->cap, sizeof *m->deliveries);
    m->records = calloc(m->cap + read->count, sizeof *m->records);
    m->runs = calloc(read->count, sizeof *m->runs);
    if (m->deliveries == NULL || m->records == NULL || m->runs == NULL)
        abort();
    for (size_t i = 0; i < read->count; i++) {
        const struct run_record *run = &read->rows[i].run;

        make_for(m, run, kind);
        memcpy(m->runs[i], run->id, sizeof m->runs[i]);
        m->records[m->count++] = (struct record) { .kind = RECORD_LINE_SENT, .scope = line_of[kind], .run_id = m->runs[i] };
        room->last_line[kind] = read->rows[i].line;
        if (kind == 1)
            deliver_callback_dropped(room, run->id);
    }
    m->commit = (struct commit) { .records = m->records, .count = m->count, .must = true, .cb = made, .data = m };
    journal_commit(room->journal, &m->commit);   /* takes the hold */
    deliver_pump(room);
}

void deliver_pump(struct deliver_room *room)
{
    if (room->closing)
        return;
    if (room->reading_lines) {
        room->more_lines = true;
        return;
    }
    room->more_lines = false;
    room->reading_lines = true;
    room->lines = (struct journal_read) { .kind = READ_LINES, .state = -1, .target = line_of[room->kind], .after_line = room->last_line[room->kind],
        .limit = LINES_AT_ONCE, .cb = lines_came, .data = room };
    room->open++;
    journal_read(room->journal, &room->lines);
}

size_t deliver_trouble(const struct deliver_room *room, const char **why)
{
    *why = room->why;
    return room->troubled;
}

/* --- opening, closing --------------------------------------------------------------------------------------------- */

static int take_hook(void *data, const struct hook_record *hook)
{
    deliver_hook_added(data, hook);
    return 0;
}

static int take_callback(void *data, const struct callback_record *callback)
{
    deliver_callback_added(data, callback);
    return 0;
}

void deliver_free(struct deliver_room *room)
{
    struct callback *c, *next;

    while (room->hooks != NULL)
        deliver_hook_dropped(room, room->hooks->r.id);
    HASH_ITER(hh, room->callbacks, c, next)
        deliver_callback_dropped(room, c->r.run_id);
    free(room);
}

int deliver_new(uv_loop_t *loop, struct journal *journal, struct http_client *client, const struct vault *vault,
                const struct deliver_host *host, struct deliver_room **room, struct error *err)
{
    struct deliver_room *r = calloc(1, sizeof *r);
    bool waits = false;
    int status;

    if (r == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    r->loop = loop;
    r->journal = journal;
    r->client = client;
    r->vault = vault;
    r->host = *host;
    status = journal_each_hook(journal, take_hook, r, err);
    if (status == 0)
        status = journal_each_callback(journal, take_callback, r, err);
    if (status == 0)
        status = journal_has_deliveries(journal, &waits, err);
    waits = waits || r->hooks != NULL || r->callbacks != NULL;
    if (status != 0) {
        deliver_free(r);
        return status;
    }
    (void)uv_timer_init(loop, &r->timer);
    uv_unref((uv_handle_t *)&r->timer);
    r->timer.data = r;
    r->open = 1;
    *room = r;
    if (waits) {   /* the journal's reader is not woken for nothing */
        deliver_send_due(r);
        deliver_pump(r);
    }
    return 0;
}

void deliver_let_go(struct deliver_room *room)
{
    void (*closed)(void *data) = room->closed;
    void *data = room->closed_data;

    if (--room->open == 0)
        closed(data);
}

static void timer_closed(uv_handle_t *handle)
{
    deliver_let_go(handle->data);
}

void deliver_close(struct deliver_room *room, void (*closed)(void *data), void *data)
{
    room->closing = true;
    room->closed = closed;
    room->closed_data = data;
    uv_close((uv_handle_t *)&room->timer, timer_closed);   /* what is under way ends with the HTTP client */
}
