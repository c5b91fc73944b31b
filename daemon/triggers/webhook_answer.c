/*
 * A request whose body is whole: paused, rate, signature, body, then it rings, and is answered once its event is on disk.
 *
 *   call_new ─▶ ring ─▶ rung ─┬─▶ answer                    accepted, passed over, refused
 *                             ├─▶ read_run ─▶ run_read      it came before: the first answer once more
 *                             └─▶ wait ─▶ run_ended ─▶ read_run ─▶ run_read     respond = result
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "belfry/core/event.h"
#include "belfry/triggers/signature.h"
#include "webhook_internal.h"

#define SEEN_LIVES_MS (24 * 60 * 60 * INT64_C(1000))

struct hook_call {
    struct webhook_room *room;
    struct hook *hook;
    struct http_exchange *x;
    struct config *config;                 /* held: the firing points into it */
    const struct webhook_config *set;
    struct firing firing;
    struct journal_read read;
    char claim_scope[128];
    char claim_key[72];
    bool repeated;
    bool waiting;                          /* in the room's list, with a deadline */
    bool reading;
    bool read_again;                       /* the run ended while it was being read */
    bool gone;                             /* the client is */
    struct heap_node deadline;
    TAILQ_ENTRY(hook_call) link;
};

static void call_free(struct hook_call *c)
{
    struct webhook_room *room = c->room;

    json_decref(c->firing.event);
    config_release(c->config);
    free(c);
    webhook_let_go(room);
}

static void stop_waiting(struct hook_call *c)
{
    struct webhook_room *room = c->room;
    struct heap_node *first;

    if (!c->waiting)
        return;
    c->waiting = false;
    TAILQ_REMOVE(&room->waiting, c, link);
    heap_remove(&room->deadlines, &c->deadline);
    first = heap_first(&room->deadlines);
    if (first == NULL)
        (void)uv_timer_stop(&room->timer);
}

static void answer_json(struct hook_call *c, unsigned status, json_t *body)
{
    char *text = json_text(body);

    json_decref(body);
    stop_waiting(c);
    if (text != NULL)
        http_respond(c->x, status, "application/json", text, strlen(text), NULL, 0);
    else
        http_respond_error(c->x, 500, "out_of_memory", "out of memory");
    free(text);
    call_free(c);
}

static void answer_accepted(struct hook_call *c, enum run_state state)
{
    answer_json(c, 202, json_pack("{s:s, s:s, s:s}", "run_id", c->firing.run_id, "event_id", c->firing.run_id, "state",
                                  run_state_name(state)));
}

/* --- reading the run's record ------------------------------------------------------------------------------------- */

static void read_run(struct hook_call *c);

static void run_read(struct journal_read *read, int status)
{
    struct hook_call *c = read->data;
    enum run_state state;

    c->reading = false;
    if (status != 0) {
        /* It was admitted: that is true, whatever the journal cannot read just now. */
        answer_accepted(c, c->firing.state);
        return;
    }
    state = read->rows[0].run.state;
    c->firing.state = state;
    if (c->gone || c->room->stopping || !c->set->respond_result)
        answer_accepted(c, state);
    else if (run_state_is_end(state))
        answer_json(c, 200, c->room->host.record(c->room->host.data, &read->rows[0]));
    else if (c->read_again)
        read_run(c);
    else if (!c->waiting)
        answer_accepted(c, state);
}

static void read_run(struct hook_call *c)
{
    c->reading = true;
    c->read_again = false;
    c->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = run_read, .data = c };
    memcpy(c->read.id, c->firing.run_id, sizeof c->read.id);
    journal_read(c->room->journal, &c->read);
}

void webhook_run_ended(struct webhook_room *room, const struct run_record *run)
{
    struct hook_call *c;

    TAILQ_FOREACH(c, &room->waiting, link) {
        if (strcmp(c->firing.run_id, run->id) != 0)
            continue;
        c->read_again = true;
        if (!c->reading)
            read_run(c);
    }
}

/* --- waiting for it ----------------------------------------------------------------------------------------------- */

static void set_timer(struct webhook_room *room)
{
    struct heap_node *first = heap_first(&room->deadlines);
    int64_t wait_ms;

    if (first == NULL || room->closing)
        return;
    wait_ms = first->due_ms - time_mono_ms();
    (void)uv_timer_start(&room->timer, hook_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

/* The wait is over, the run is not: a call whose record is being read is answered when that is there. */
static void give_up_waiting(struct hook_call *c)
{
    if (c->reading)
        stop_waiting(c);
    else
        answer_accepted(c, c->firing.state);
}

void hook_timer(uv_timer_t *timer)
{
    struct webhook_room *room = timer->data;
    int64_t now_ms = time_mono_ms();
    struct heap_node *first;

    while ((first = heap_first(&room->deadlines)) != NULL && first->due_ms <= now_ms)
        give_up_waiting(HEAP_ENTRY(first, struct hook_call, deadline));
    set_timer(room);
}

void hook_answer_all(struct webhook_room *room)
{
    while (!TAILQ_EMPTY(&room->waiting))
        give_up_waiting(TAILQ_FIRST(&room->waiting));
}

static void client_gone(struct http_exchange *x)
{
    struct hook_call *c = http_data(x);

    c->gone = true;
    if (c->waiting)
        give_up_waiting(c);
}

static void wait_for_end(struct hook_call *c)
{
    struct webhook_room *room = c->room;

    if (heap_set(&room->deadlines, &c->deadline, time_mono_ms() + c->set->wait_ms) != 0) {
        answer_accepted(c, c->firing.state);
        return;
    }
    c->waiting = true;
    TAILQ_INSERT_TAIL(&room->waiting, c, link);
    set_timer(room);
    /* A run that is known from before may have ended long ago. */
    if (c->repeated)
        read_run(c);
}

/* --- what became of it -------------------------------------------------------------------------------------------- */

static void answer_busy(struct hook_call *c, unsigned status, const char *code, const char *after)
{
    struct buf body = { 0 };
    json_t *error = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", c->firing.error.text);
    char *text = json_text(error);

    json_decref(error);
    buf_adds(&body, text != NULL ? text : "");
    free(text);
    http_respond(c->x, status, "application/json", buf_str(&body), body.len,
                 &(struct http_header_pair) { "Retry-After", after }, 1);
    buf_close(&body);
    call_free(c);
}

static void answer_error(struct hook_call *c, int status)
{
    struct hook *hook = c->hook;

    hook->refused++;
    if (status == BF_EINVAL) {
        hook->last_word = "event_error";
        log_warning("webhook %s: event %s: %s", hook->name, c->firing.id, c->firing.error.text);
        http_respond_error(c->x, 422, "event_error", "%s", c->firing.error.text);
        call_free(c);
    } else if (status == BF_EAGAIN) {
        hook->last_word = "queue_full";
        answer_busy(c, 429, "queue_full", "30");
    } else {
        hook->last_word = "unavailable";
        answer_busy(c, 503, status == BF_ESHUTDOWN ? "stopping" : "unavailable", "10");
    }
}

static void rung(struct firing *firing, int status)
{
    struct hook_call *c = firing->data;
    struct hook *hook = c->hook;

    if (status == BF_EEXIST) {
        hook->repeated++;
        hook->last_word = "repeated";
        c->repeated = true;
        firing->state = RUN_QUEUED;
        if (c->set->respond_result && !c->gone && !c->room->stopping)
            wait_for_end(c);
        else
            read_run(c);
    } else if (status != 0) {
        answer_error(c, status);
    } else if (firing->passed_over) {
        hook->last_word = "passed over";
        answer_json(c, 200, json_pack("{s:s}", "skipped", "`when` is not true"));
    } else {
        hook->accepted++;
        hook->last_word = "accepted";
        if (c->set->respond_result && !run_state_is_end(firing->state) && !c->gone && !c->room->stopping)
            wait_for_end(c);
        else
            answer_accepted(c, firing->state);
    }
}

/* --- the way in --------------------------------------------------------------------------------------------------- */

static const char *header_of(void *data, const char *name)
{
    return http_header(data, name);
}

static void claim_of(const char *replay, char out[72])
{
    /* An id is as long as its sender likes; the journal's key is not. */
    if (strlen(replay) < 72)
        (void)snprintf(out, 72, "%s", replay);
    else
        id_from_name("replay", replay, out);
}

static void ring(struct hook_call *c, json_t *request, const char *replay, int64_t now_ms)
{
    struct firing *f = &c->firing;
    const struct webhook_config *set = c->set;

    *f = (struct firing) { .kind = TRIGGER_WEBHOOK, .trigger_name = c->hook->name, .process = set->process,
        .overlap = (enum overlap)set->overlap, .when = set->when, .key = set->key, .program = set->input,
        .refuse_when_full = true, .cb = rung, .data = c };
    id_new(now_ms, f->id);
    f->event = event_new(f->id, TRIGGER_WEBHOOK, c->hook->name, now_ms, 0, NULL);
    (void)json_object_set_new(f->event, "request", request);
    if (replay[0] != '\0') {
        (void)snprintf(c->claim_scope, sizeof c->claim_scope, "webhook/%s", c->hook->name);
        claim_of(replay, c->claim_key);
        f->claim_scope = c->claim_scope;
        f->claim_key = c->claim_key;
        f->claim_until_ms = now_ms + SEEN_LIVES_MS;
    }
    http_set_data(c->x, c, client_gone);
    c->room->bell.ring(c->room->bell.data, f);
}

static struct hook_call *call_new(struct webhook_room *room, struct hook *hook, struct http_exchange *x)
{
    struct hook_call *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->room = room;
    c->hook = hook;
    c->x = x;
    c->config = config_hold(room->config);
    c->set = hook->config;
    heap_node_init(&c->deadline);
    room->open++;
    return c;
}

static void respond_later(struct http_exchange *x, unsigned status, const char *after, const char *body)
{
    http_respond(x, status, "application/json", body, strlen(body), &(struct http_header_pair) { "Retry-After", after }, 1);
}

void webhook_request(struct webhook_room *room, struct http_exchange *x)
{
    struct hook *hook = hook_at(room, http_path(x));
    struct instant now = time_now();
    enum signature_verdict verdict;
    struct hook_call *c;
    struct error err;
    const char *body;
    char replay[200];
    json_t *request;
    size_t len;

    if (hook == NULL) {
        http_respond_error(x, 404, "not_found", "there is no webhook here");
        return;
    }
    if (room->stopping) {
        respond_later(x, 503, "10", "{\"error\":{\"code\":\"stopping\",\"message\":\"belfryd is stopping\"}}");
        return;
    }
    if (hook->word ? hook->paused : hook->config->paused) {
        hook_refuse(hook, x, 409, "paused", "this webhook is paused");
        return;
    }
    body = http_body(x, &len);
    verdict = signature_check(&hook->config->verify, hook->config->secrets, hook->config->secret_count, header_of, x, body, len,
                              now.wall_ms, hook->config->tolerance_ms, replay);
    if (!hook_take_token(hook, verdict == SIGNATURE_GOOD ? &hook->rung : &hook->unsigned_ones, now.mono_ms)) {
        hook->refused++;
        hook->last_word = "rate";
        respond_later(x, 429, "1", "{\"error\":{\"code\":\"rate\",\"message\":\"more requests a second than this webhook takes\"}}");
        return;
    }
    if (verdict != SIGNATURE_GOOD) {
        hook_refuse(hook, x, 401, "unauthorized", signature_verdict_text(verdict));
        return;
    }
    request = hook_request_json(hook->config, x, &err);
    if (request == NULL) {
        hook_refuse(hook, x, 400, "bad_body", err.text);
        return;
    }
    c = call_new(room, hook, x);
    if (c == NULL) {
        json_decref(request);
        http_respond_error(x, 503, "unavailable", "out of memory");
        return;
    }
    ring(c, request, replay, now.wall_ms);
}
