/*
 * One request to the API. All of a workspace's requests share its rate and its flights; a 429 lets the whole key rest.
 * What came of a request is put into one of few classes: that is what tells a start that surely did not happen from one
 * that nobody knows of.
 */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "belfry/core/pace.h"
#include "robocorp_internal.h"

#define FLIGHTS_MAX 16
#define URGENT_OF 4              /* one of so many is a look, while starts or stops wait, too */
#define BREAK_AFTER 5            /* faults in a row open the circuit */
#define BREAK_BASE_MS 500
#define BREAK_CAP_MS 60000
#define BREAK_PATIENCE_MS 60000  /* what waited that long when a probe fails is told so */
#define FAULTS_SAID 3            /* in a row */
#define REST_MS 5000             /* after a 429 that does not say how long */
#define REST_MAX_MS 600000       /* a server that asks for more is asked again then */
#define AGAIN_BASE_MS 500
#define AGAIN_CAP_MS 10000

/* --- what the server says of an error ----------------------------------------------------------------------------- */

/* {"error": {"code", "message"}}, or the same at the top level. */
static void say_status(struct ask *ask)
{
    const struct http_request *r = &ask->request;
    json_t *body = json_parse(buf_str(&r->answer), r->answer.len, NULL);
    const json_t *error = json_is_object(json_object_get(body, "error")) ? json_object_get(body, "error") : body;
    const char *code = json_str(error, "code"), *message = json_str(error, "message");
    struct buf text = { 0 };

    if (code != NULL)
        text_printable(code, strnlen(code, 80), &text);
    if (message != NULL) {
        buf_adds(&text, code != NULL ? ": " : "");
        text_printable(message, strnlen(message, 300), &text);
    }
    error_set(&ask->error, r->http_status == 404 ? BF_ENOENT : BF_ENET, "%s %s: the Control Room answered %ld%s%s", r->method,
              buf_str(&ask->url), r->http_status, text.len > 0 ? ", " : "", buf_str(&text));
    buf_close(&text);
    json_decref(body);
}

static enum asked class_of_status(long status)
{
    switch (status) {
    case 401: case 403:
        return ASKED_DENIED;
    case 429:
        return ASKED_BUSY;
    case 400: case 404: case 405: case 409: case 410: case 413: case 415: case 422:
        return ASKED_REFUSED;
    default:
        return status >= 200 && status < 300 ? ASKED_GOOD : ASKED_UNKNOWN;
    }
}

static void judge(struct ask *ask, int status)
{
    struct http_request *r = &ask->request;
    struct error why;

    ask->status = r->http_status;
    ask->retry_after_ms = r->retry_after_ms > 0 ? r->retry_after_ms : 0;
    if (status != 0) {
        ask->outcome = status == BF_ECANCELED ? ASKED_CANCELED : r->sent ? ASKED_UNKNOWN : ASKED_NOT_SENT;
        ask->error = r->error;
        return;
    }
    ask->outcome = class_of_status(r->http_status);
    if (ask->outcome != ASKED_GOOD) {
        say_status(ask);
        return;
    }
    ask->answer = json_parse_within(buf_str(&r->answer), r->answer.len, JSON_DEPTH_WRAPPED, &why);
    if (ask->answer == NULL || json_is_string(ask->answer)) {
        /* The vendor's clients know answers that are JSON once more inside a string. */
        const char *text = json_string_value(ask->answer);
        json_t *inner = text != NULL ? json_parse_within(text, json_string_length(ask->answer), JSON_DEPTH_WRAPPED, NULL) : NULL;

        if (inner != NULL) {
            json_decref(ask->answer);
            ask->answer = inner;
        }
    }
    if (ask->answer == NULL) {
        ask->outcome = ASKED_UNKNOWN;
        error_set(&ask->error, BF_EPROTO, "%s %s: the answer is not JSON: %s", r->method, buf_str(&ask->url), why.text);
    }
}

/* --- what it means for the workspace ------------------------------------------------------------------------------ */

static void note_trouble(struct ask *ask)
{
    struct robocorp *b = ask->b;
    struct buf text = { 0 };

    if (ask->outcome == ASKED_GOOD || ask->outcome == ASKED_REFUSED) {
        if (b->trouble_said)
            log_notice("workspace %s: the Control Room answers again", b->set->name);
        b->trouble[0] = '\0';
        b->trouble_said = false;
        b->faults = 0;
        return;
    }
    if (ask->outcome == ASKED_CANCELED)
        return;
    b->faults++;
    if (ask->outcome == ASKED_DENIED)
        buf_addf(&text, "the Control Room does not accept the key, or the key lacks a permission: %s", ask->error.text);
    else
        buf_adds(&text, ask->error.text);
    /* One answer that is lost is no news; status shows it all the same. */
    if (!b->trouble_said && (b->faults >= FAULTS_SAID || ask->outcome == ASKED_DENIED)) {
        log_warning("workspace %s: %s", b->set->name, buf_str(&text));
        b->trouble_said = true;
    }
    (void)snprintf(b->trouble, sizeof b->trouble, "%s", buf_str(&text));
    buf_close(&text);
}

static void rest(struct ask *ask)
{
    int64_t wait_ms = ask->retry_after_ms > 0 ? ask->retry_after_ms : REST_MS;
    int64_t until_ms = time_mono_ms() + (wait_ms < REST_MAX_MS ? wait_ms : REST_MAX_MS);

    if (until_ms > ask->b->quiet_until_ms)
        ask->b->quiet_until_ms = until_ms;
}

/* The breaker: a Control Room that answers nothing is left in peace, and then asked one thing at a time until it answers.
 * What was in flight when the circuit opened tells nothing new. */
static void weigh_circuit(struct ask *ask)
{
    struct robocorp *b = ask->b;
    int64_t now_ms = time_mono_ms();
    uint64_t dice;

    if (ask->outcome == ASKED_CANCELED || now_ms < b->broken_until_ms)
        return;
    if (ask->outcome != ASKED_NOT_SENT && ask->outcome != ASKED_UNKNOWN) {
        b->breaks = 0;
        return;
    }
    if (++b->breaks < BREAK_AFTER)
        return;
    id_random(&dice, sizeof dice);
    b->broken_until_ms = now_ms + pace_backoff(BREAK_BASE_MS, BREAK_CAP_MS, b->breaks - BREAK_AFTER + 1, dice);
}

static bool circuit_is_open(const struct robocorp *b)
{
    return b->breaks >= BREAK_AFTER;
}

static size_t flights_allowed(const struct robocorp *b)
{
    return circuit_is_open(b) ? 1 : FLIGHTS_MAX;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static void finish(struct ask *ask)
{
    struct robocorp *b = ask->b;

    robocorp_begin(b);
    robocorp_done(b);        /* the ask's own; the one above keeps the backend until the callback is over */
    ask->cb(ask);
    robocorp_done(b);
}

/* A start or a stop does not wait behind thousands of looks; and not the other way round either. */
static struct ask_queue *next_queue(struct robocorp *b)
{
    if (TAILQ_EMPTY(&b->urgent))
        return &b->queue;
    return TAILQ_EMPTY(&b->queue) || b->turn % URGENT_OF != 0 ? &b->urgent : &b->queue;
}

static bool is_waited_for(struct robocorp *b)
{
    return !TAILQ_EMPTY(&b->urgent) || !TAILQ_EMPTY(&b->queue);
}

/* Whoever ordered them decides anew: a run may have waited longer than its timeout. */
static void give_up_waiting(struct robocorp *b, struct ask_queue *queue)
{
    int64_t since_ms = time_mono_ms() - BREAK_PATIENCE_MS;
    struct ask *ask;

    while ((ask = TAILQ_FIRST(queue)) != NULL && ask->queued_ms <= since_ms) {
        TAILQ_REMOVE(queue, ask, link);
        ask->outcome = ASKED_NOT_SENT;
        error_set(&ask->error, BF_ENET, "%s %s: not asked, the Control Room does not answer: %s", ask->request.method,
                  buf_str(&ask->url), b->trouble);
        finish(ask);
    }
}

static void line_up(struct ask *ask)
{
    ask->queued_ms = time_mono_ms();
    TAILQ_INSERT_TAIL(strcmp(ask->request.method, "POST") == 0 ? &ask->b->urgent : &ask->b->queue, ask, link);
}

static bool will_try_again(struct ask *ask)
{
    bool may_pass = ask->outcome == ASKED_NOT_SENT || ask->outcome == ASKED_BUSY || ask->outcome == ASKED_UNKNOWN;
    uint64_t dice;
    int64_t wait_ms;

    if (!may_pass || ask->b->closing || ask->tries >= ask->tries_left)
        return false;
    id_random(&dice, sizeof dice);
    wait_ms = pace_backoff(AGAIN_BASE_MS, AGAIN_CAP_MS, ask->tries, dice);
    return heap_set(&ask->b->again, &ask->again, time_mono_ms() + wait_ms) == 0;
}

static void answered(struct http_request *request, int status)
{
    struct ask *ask = request->data;
    struct robocorp *b = ask->b;

    ask->flying = false;
    b->flying--;
    TAILQ_REMOVE(&b->flights, ask, link);
    if (request->server_date_ms > 0)
        b->skew_ms = request->server_date_ms - time_wall_ms();
    judge(ask, status);
    note_trouble(ask);
    weigh_circuit(ask);
    if (ask->outcome == ASKED_BUSY)
        rest(ask);
    if (will_try_again(ask)) {
        http_request_close(&ask->request);
        json_decref(ask->answer);
        ask->answer = NULL;
        ask_pump(b);
        return;
    }
    robocorp_begin(b);
    finish(ask);
    if (!b->closing && circuit_is_open(b)) {
        give_up_waiting(b, &b->urgent);
        give_up_waiting(b, &b->queue);
    }
    if (!b->closing)
        ask_pump(b);
    robocorp_done(b);
}

static void fly(struct ask *ask)
{
    struct robocorp *b = ask->b;
    struct http_request before = ask->request;

    ask->request = (struct http_request) { .method = before.method, .url = buf_str(&ask->url), .headers = ask->access->headers,
        .body = ask->body, .body_len = ask->body != NULL ? strlen(ask->body) : 0, .ca_file = ask->access->ca_file,
        .proxy = ask->access->proxy, .once = before.once, .cb = answered, .data = ask };
    ask->tries++;
    ask->flying = true;
    b->flying++;
    TAILQ_INSERT_TAIL(&b->flights, ask, link);
    http_client_send(b->client, &ask->request);
}

static void refill(struct robocorp *b, int64_t now_ms)
{
    double rate = (double)b->set->rate;

    b->tokens += rate * (double)(now_ms - b->tokens_ms) / 1000.0;
    b->tokens_ms = now_ms;
    if (b->tokens > rate)
        b->tokens = rate;
}

/* When something is to be done next: a token, the end of a rest, a next try. */
static void set_timer(struct robocorp *b, int64_t now_ms)
{
    struct heap_node *first = heap_first(&b->again);
    int64_t due_ms = first != NULL ? first->due_ms : INT64_MAX;

    if (is_waited_for(b) && b->flying < flights_allowed(b)) {
        int64_t token_ms = now_ms + (b->tokens >= 1.0 ? 0 : (int64_t)((1.0 - b->tokens) * 1000.0 / (double)b->set->rate) + 1);
        int64_t send_ms = token_ms > b->quiet_until_ms ? token_ms : b->quiet_until_ms;

        if (circuit_is_open(b) && b->broken_until_ms > send_ms)
            send_ms = b->broken_until_ms;

        due_ms = send_ms < due_ms ? send_ms : due_ms;
    }
    if (due_ms == INT64_MAX)
        (void)uv_timer_stop(&b->pace);
    else
        (void)uv_timer_start(&b->pace, ask_timer, due_ms > now_ms ? (uint64_t)(due_ms - now_ms) : 0, 0);
}

void ask_pump(struct robocorp *b)
{
    int64_t now_ms = time_mono_ms();
    struct heap_node *first;
    struct ask *ask;

    if (b->closing)
        return;
    while ((first = heap_first(&b->again)) != NULL && first->due_ms <= now_ms) {
        ask = HEAP_ENTRY(first, struct ask, again);
        heap_remove(&b->again, first);
        line_up(ask);
    }
    refill(b, now_ms);
    while (now_ms >= b->quiet_until_ms && (!circuit_is_open(b) || now_ms >= b->broken_until_ms) && b->flying < flights_allowed(b) &&
           b->tokens >= 1.0 && is_waited_for(b)) {
        struct ask_queue *queue = next_queue(b);

        ask = TAILQ_FIRST(queue);
        TAILQ_REMOVE(queue, ask, link);
        b->turn++;
        b->tokens -= 1.0;
        fly(ask);
    }
    set_timer(b, now_ms);
}

void ask_timer(uv_timer_t *timer)
{
    ask_pump(timer->data);
}

static void cancel_waiting(void *data)
{
    struct ask *ask = data;

    ask->outcome = ASKED_CANCELED;
    finish(ask);
}

void ask_send(struct robocorp *b, struct ask *ask, const char *method, const char *path, json_t *body, unsigned tries, bool once,
              void (*cb)(struct ask *ask), void *data)
{
    memset(ask, 0, sizeof *ask);
    ask->b = b;
    ask->access = access_hold(b->access);
    ask->cb = cb;
    ask->data = data;
    ask->tries_left = once ? 1 : tries;
    ask->request.method = method;
    ask->request.once = once;
    heap_node_init(&ask->again);
    buf_addf(&ask->url, "%s%s", path[0] == '/' ? ask->access->root : "", path);
    ask->body = body != NULL ? json_text(body) : NULL;
    json_decref(body);
    robocorp_begin(b);
    if (b->closing) {
        later_do(&b->later, cancel_waiting, ask);
        return;
    }
    line_up(ask);
    /* Not from within the caller's order. */
    set_timer(b, time_mono_ms());
}

void ask_route(struct robocorp *b, struct ask *ask, const char *method, const char *route, const struct path_words *words,
               json_t *body, unsigned tries, bool once, void (*cb)(struct ask *ask), void *data)
{
    struct buf path = { 0 };

    dialect_path(&path, route, words);
    ask_send(b, ask, method, buf_str(&path), body, tries, once, cb, data);
    buf_close(&path);
}

void ask_close(struct ask *ask)
{
    if (ask->b == NULL)
        return;
    http_request_close(&ask->request);
    access_release(ask->access);
    buf_close(&ask->url);
    json_decref(ask->answer);
    free(ask->body);
    memset(ask, 0, sizeof *ask);
}

const char *ask_string(struct ask *ask, const json_t *object, const char *member)
{
    const char *text = json_str(object, member);

    if (text != NULL && text[0] != '\0')
        return text;
    ask->outcome = ASKED_UNKNOWN;
    error_set(&ask->error, BF_EPROTO, "%s %s: \"%s\" in the answer is missing, or no text", ask->request.method, buf_str(&ask->url),
              member);
    return NULL;
}

void ask_cancel_all(struct robocorp *b)
{
    struct heap_node *first;
    struct ask *ask;

    while ((first = heap_first(&b->again)) != NULL) {
        heap_remove(&b->again, first);
        cancel_waiting(HEAP_ENTRY(first, struct ask, again));
    }
    while (is_waited_for(b)) {
        struct ask_queue *queue = next_queue(b);

        ask = TAILQ_FIRST(queue);
        TAILQ_REMOVE(queue, ask, link);
        cancel_waiting(ask);
    }
    TAILQ_FOREACH(ask, &b->flights, link)
        http_client_cancel(b->client, &ask->request);
    (void)uv_timer_stop(&b->pace);
    (void)uv_timer_stop(&b->poll);
}
