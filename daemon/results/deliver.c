/* What is to be told to whom, and how it is sent. */
#include "belfry/results/deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "belfry/base/json.h"
#include "belfry/base/log.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "belfry/core/pace.h"

#define LINE_STARTED "api:started"
#define LINE_ENDED "api:ended"
#define LINES_AT_ONCE 100
#define AT_ONCE 16                     /* messages under way */
#define BACKOFF_BASE_MS 5000
#define BACKOFF_CAP_MS (60 * 60 * 1000)
#define GIVEN_UP_AFTER_MS (2 * 24 * 60 * 60 * INT64_C(1000))
#define LONGEST_SLEEP_MS (60 * 60 * 1000)

struct hook {
    struct hook_record r;
    struct hook *next;
};

struct callback {
    struct callback_record r;
    UT_hash_handle hh;
};

struct sending {
    struct deliver_room *room;
    struct delivery_record r;
    struct http_request request;
    char signature[96];
    const char *headers[4];
    struct record record;
    struct commit commit;
    struct sending *next;
};

struct deliver_room {
    uv_loop_t *loop;
    struct journal *journal;
    struct http_client *client;
    const struct vault *vault;
    struct deliver_host host;
    struct hook *hooks;
    struct callback *callbacks;        /* of runs that have not ended */
    struct journal_read lines, due;
    bool reading_lines, reading_due;
    bool more_lines, more_due;
    int64_t last_line[2];              /* of each kind, that was made messages of */
    int kind;                          /* whose lines are being read: 0 started, 1 ended */
    struct sending *sendings;
    size_t under_way;
    uv_timer_t timer;
    size_t troubled;
    char why[256];
    size_t open;                       /* reads, commits, requests, the timer */
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
};

static const char *const line_of[] = { LINE_STARTED, LINE_ENDED };

static void let_go(struct deliver_room *room);

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

static void ask_for_due(struct deliver_room *room);

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
        ask_for_due(room);
    let_go(room);
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
        let_go(room);
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

/* --- sending ------------------------------------------------------------------------------------------------------ */

static void settled(struct commit *commit, int status)
{
    struct sending *s = commit->data, **at = &s->room->sendings;
    struct deliver_room *room = s->room;

    (void)status;   /* not written: it is sent again after the next start */
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    delivery_record_close(&s->r);
    free(s);
    room->under_way--;
    if (!room->closing)
        ask_for_due(room);
    let_go(room);
}

static void settle(struct sending *s, bool over)
{
    s->record = (struct record) { .kind = over ? RECORD_DELIVERY_DROP : RECORD_DELIVERY_SET, .delivery = &s->r };
    s->commit = (struct commit) { .records = &s->record, .count = 1, .must = true, .cb = settled, .data = s };
    journal_commit(s->room->journal, &s->commit);
}

static void try_again(struct sending *s, const char *why)
{
    struct deliver_room *room = s->room;
    uint64_t dice;

    id_random(&dice, sizeof dice);
    s->r.tries++;
    s->r.next_ms = time_wall_ms() + pace_backoff(BACKOFF_BASE_MS, BACKOFF_CAP_MS, s->r.tries, dice);
    (void)snprintf(room->why, sizeof room->why, "%.255s", why);
    if (s->r.tries == 1)
        room->troubled++;
    if (time_wall_ms() - s->r.created_ms > GIVEN_UP_AFTER_MS) {
        log_warning("the message %s of run %s was given up after two days: %s", s->r.id, s->r.run_id, why);
        room->troubled--;
        settle(s, true);
        return;
    }
    if (s->r.tries == 3)
        log_warning("a message of run %s is not taken by its receiver, it is sent again for two days: %s", s->r.run_id, why);
    settle(s, false);
}

static void sent(struct http_request *request, int status)
{
    struct sending *s = request->data;
    struct deliver_room *room = s->room;
    long http = request->http_status;
    char why[256];

    explicit_bzero(s->signature, sizeof s->signature);
    if (status == BF_ECANCELED && room->closing) {
        (void)snprintf(why, sizeof why, "stopping");
        settle(s, false);   /* as it was: the next daemon sends it */
    } else if (status == 0 && ((http >= 200 && http < 300) || http == 410)) {
        if (s->r.tries > 0 && room->troubled > 0)
            room->troubled--;
        settle(s, true);
    } else {
        (void)snprintf(why, sizeof why, "%.200s", status == 0 ? "" : request->error.text);
        if (status == 0)
            (void)snprintf(why, sizeof why, "the receiver answered %ld", http);
        try_again(s, why);
    }
    http_request_close(request);
}

static bool sign(struct sending *s)
{
    struct deliver_room *room = s->room;
    unsigned char mac[VAULT_MAC_SIZE];
    struct secret secret = { 0 };
    char own[65], hex[65];

    if (s->r.hook_id[0] != '\0') {
        deliver_hook_secret(room, s->r.hook_id, own);
        hmac_sha256(own, strlen(own), s->r.body, strlen(s->r.body), mac);
        explicit_bzero(own, sizeof own);
    } else {
        if (s->r.sealed == NULL || vault_unseal(room->vault, s->r.run_id, s->r.sealed, s->r.sealed_len, &secret) != 0)
            return false;
        hmac_sha256(secret.bytes, secret.len, s->r.body, strlen(s->r.body), mac);
        secret_close(&secret);
    }
    text_hex(mac, sizeof mac, hex);
    (void)snprintf(s->signature, sizeof s->signature, "x-rc-signature: %s", hex);
    return true;
}

static void begin_sending(struct deliver_room *room, const struct delivery_record *record)
{
    struct sending *s = calloc(1, sizeof *s);

    if (s == NULL || delivery_record_copy(&s->r, record) != 0)
        abort();
    s->room = room;
    s->next = room->sendings;
    room->sendings = s;
    room->under_way++;
    room->open++;
    if (s->r.hook_id[0] != '\0' && deliver_hook(room, s->r.hook_id) == NULL) {   /* it was deleted */
        settle(s, true);
        return;
    }
    if (!sign(s)) {
        log_error("the message %s of run %s cannot be signed: the master key is not the one of its secret", s->r.id, s->r.run_id);
        settle(s, true);
        return;
    }
    s->headers[0] = "Content-Type: application/json";
    s->headers[1] = s->signature;
    s->request = (struct http_request) { .method = "POST", .url = s->r.url, .headers = s->headers, .body = s->r.body,
        .body_len = strlen(s->r.body), .max_answer = 65536, .cb = sent, .data = s };
    http_client_send(room->client, &s->request);
}

static bool is_under_way(const struct deliver_room *room, const char *id)
{
    const struct sending *s = room->sendings;

    while (s != NULL && strcmp(s->r.id, id) != 0)
        s = s->next;
    return s != NULL;
}

static void on_timer(uv_timer_t *timer)
{
    ask_for_due(timer->data);
}

/* The first that is not due yet says when to look again. */
static void due_came(struct journal_read *read, int status)
{
    struct deliver_room *room = read->data;
    int64_t now_ms = time_wall_ms(), wait_ms = LONGEST_SLEEP_MS;
    bool waits = status != 0;

    room->reading_due = false;
    for (size_t i = 0; !room->closing && status == 0 && i < read->count; i++) {
        const struct delivery_record *d = &read->rows[i].delivery;

        if (is_under_way(room, d->id))
            continue;
        if (d->next_ms > now_ms) {
            wait_ms = d->next_ms - now_ms < wait_ms ? d->next_ms - now_ms : wait_ms;
            waits = true;
            break;
        }
        if (room->under_way >= AT_ONCE)
            break;
        begin_sending(room, d);
    }
    if (status != 0)
        wait_ms = BACKOFF_BASE_MS;
    if (!room->closing && waits)
        (void)uv_timer_start(&room->timer, on_timer, (uint64_t)wait_ms, 0);
    if (!room->closing && room->more_due)
        ask_for_due(room);
    let_go(room);
}

static void ask_for_due(struct deliver_room *room)
{
    if (room->reading_due) {
        room->more_due = true;
        return;
    }
    room->more_due = false;
    room->reading_due = true;
    room->due = (struct journal_read) { .kind = READ_DELIVERIES, .state = -1, .limit = 2 * AT_ONCE, .cb = due_came, .data = room };
    room->open++;
    journal_read(room->journal, &room->due);
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

static void room_free(struct deliver_room *room)
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
        room_free(r);
        return status;
    }
    (void)uv_timer_init(loop, &r->timer);
    uv_unref((uv_handle_t *)&r->timer);
    r->timer.data = r;
    r->open = 1;
    *room = r;
    if (waits) {   /* the journal's reader is not woken for nothing */
        ask_for_due(r);
        deliver_pump(r);
    }
    return 0;
}

static void let_go(struct deliver_room *room)
{
    void (*closed)(void *data) = room->closed;
    void *data = room->closed_data;

    if (--room->open > 0)
        return;
    room_free(room);
    closed(data);
}

static void timer_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

void deliver_close(struct deliver_room *room, void (*closed)(void *data), void *data)
{
    room->closing = true;
    room->closed = closed;
    room->closed_data = data;
    uv_close((uv_handle_t *)&room->timer, timer_closed);   /* what is under way ends with the HTTP client */
}
