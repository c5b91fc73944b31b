/* Runs: listed, shown (now, or when they have ended), canceled. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/time.h"
#include "serve_internal.h"

#define WAIT_MAX_MS 3600000

struct run_ask {
    struct serve_room *room;
    struct http_exchange *x;
    struct journal_read read;
    char limit[LIMIT_SIZE];     /* of who asks */
    int64_t wait_until_ms;      /* monotonic; 0: not at all */
    bool waiting;               /* in the room's list, with a deadline */
    bool reading;
    bool read_again;            /* the run ended while it was being read */
    bool gone;                  /* the client is */
    struct heap_node deadline;
    TAILQ_ENTRY(run_ask) link;
};

static struct run_ask *ask_new(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    struct run_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL) {
        http_respond_error(x, 503, "unavailable", "out of memory");
        return NULL;
    }
    ask->room = room;
    ask->x = x;
    if (args->workspace != NULL)
        (void)snprintf(ask->limit, sizeof ask->limit, "%s", args->workspace);
    heap_node_init(&ask->deadline);
    room->open++;
    return ask;
}

static void stop_waiting(struct run_ask *ask)
{
    struct serve_room *room = ask->room;

    if (!ask->waiting)
        return;
    ask->waiting = false;
    TAILQ_REMOVE(&room->waiting, ask, link);
    heap_remove(&room->deadlines, &ask->deadline);
    if (heap_first(&room->deadlines) == NULL)
        (void)uv_timer_stop(&room->timer);
}

static void ask_free(struct run_ask *ask)
{
    struct serve_room *room = ask->room;

    stop_waiting(ask);
    free(ask);
    serve_let_go(room);
}

static void answer_unreadable(struct run_ask *ask, int status)
{
    if (status == BF_ENOENT)
        http_respond_error(ask->x, 404, "not_found", "there is no run %s", ask->read.id);
    else
        http_respond_error(ask->x, 503, "unavailable", "the journal cannot be read: %s", ask->read.error.text);
    ask_free(ask);
}

/* --- a list ------------------------------------------------------------------------------------------------------- */

static void runs_read(struct journal_read *read, int status)
{
    struct run_ask *ask = read->data;
    json_t *list;

    if (status != 0) {
        answer_unreadable(ask, status);
        return;
    }
    list = json_array();
    for (size_t i = 0; i < read->count; i++)
        (void)json_array_append_new(list, ask->room->host.record(ask->room->host.data, &read->rows[i]));
    serve_json(ask->x, 200, json_pack("{s:o, s:b}", "data", list, "has_more", read->more));
    ask_free(ask);
}

static bool read_state(struct http_exchange *x, int *state)
{
    const char *word = http_query(x, "state");
    enum run_state found;

    *state = -1;
    if (word == NULL)
        return true;
    found = run_state_from_name(word);
    if (found == RUN_STATES) {
        http_respond_error(x, 400, "bad_query", "there is no such state of a run; they are queued, starting, running, collecting, "
                                                "completed, failed, canceled, timed_out, lost and skipped");
        return false;
    }
    *state = (int)found;
    return true;
}

void serve_runs(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    const char *before = http_query(x, "before"), *workspace = http_query(x, "workspace");
    int64_t n, since_ms;
    struct run_ask *ask;
    int state;

    if (!serve_query_int(x, "n", 1, 1000, 20, &n) || !serve_query_time(x, "since", &since_ms) || !read_state(x, &state))
        return;
    if (workspace != NULL && gate_hides(args->workspace, workspace)) {
        http_respond_error(x, 403, "forbidden", "this key is of another workspace");
        return;
    }
    if (before != NULL && !id_is_uuid(before)) {
        http_respond_error(x, 400, "bad_query", "before has to be the id of a run");
        return;
    }
    ask = ask_new(room, x, args);
    if (ask == NULL)
        return;
    ask->read = (struct journal_read) { .kind = READ_RUNS, .process = http_query(x, "process"),
        .workspace = args->workspace != NULL ? ask->limit : workspace, .state = state, .since_ms = since_ms, .before_id = before,
        .limit = (size_t)n, .bytes = PAGE_BYTES, .whole = true, .cb = runs_read, .data = ask };
    journal_read(room->host.journal, &ask->read);
}

/* --- one ---------------------------------------------------------------------------------------------------------- */

static void set_timer(struct serve_room *room)
{
    struct heap_node *first = heap_first(&room->deadlines);
    int64_t wait_ms;

    if (first == NULL)
        return;
    wait_ms = first->due_ms - time_mono_ms();
    (void)uv_timer_start(&room->timer, run_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static bool start_waiting(struct run_ask *ask)
{
    struct serve_room *room = ask->room;

    if (ask->waiting)
        return true;
    if (ask->wait_until_ms <= time_mono_ms() || ask->gone || room->stopping ||
        heap_set(&room->deadlines, &ask->deadline, ask->wait_until_ms) != 0)
        return false;
    ask->waiting = true;
    TAILQ_INSERT_TAIL(&room->waiting, ask, link);
    set_timer(room);
    return true;
}

static void read_run(struct run_ask *ask);

static void run_read(struct journal_read *read, int status)
{
    struct run_ask *ask = read->data;
    bool ended;

    ask->reading = false;
    if (status == 0 && gate_hides(ask->limit, read->rows[0].run.workspace))
        status = BF_ENOENT;
    if (status != 0) {
        answer_unreadable(ask, status);
        return;
    }
    ended = run_state_is_end(read->rows[0].run.state);
    if (!ended && ask->read_again) {
        read_run(ask);
        return;
    }
    /* Once it waits it is answered by the run's end, or by a last reading when its time is over. */
    if (!ended && ask->wait_until_ms != 0 && start_waiting(ask))
        return;
    serve_json(ask->x, 200, ask->room->host.record(ask->room->host.data, &read->rows[0]));
    ask_free(ask);
}

static void read_run(struct run_ask *ask)
{
    char id[ID_SIZE];

    memcpy(id, ask->read.id, sizeof id);
    ask->reading = true;
    ask->read_again = false;
    ask->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = run_read, .data = ask };
    memcpy(ask->read.id, id, sizeof id);
    journal_read(ask->room->host.journal, &ask->read);
}

void serve_run_ended(struct serve_room *room, const struct run_record *run)
{
    struct run_ask *ask, *next;

    for (ask = TAILQ_FIRST(&room->waiting); ask != NULL; ask = next) {
        next = TAILQ_NEXT(ask, link);
        if (strcmp(ask->read.id, run->id) != 0)
            continue;
        ask->read_again = true;
        if (!ask->reading)
            read_run(ask);
    }
}

static void give_up_waiting(struct run_ask *ask)
{
    stop_waiting(ask);
    ask->wait_until_ms = 0;
    if (!ask->reading)
        read_run(ask);
}

void run_timer(uv_timer_t *timer)
{
    struct serve_room *room = timer->data;
    int64_t now_ms = time_mono_ms();
    struct heap_node *first;

    while ((first = heap_first(&room->deadlines)) != NULL && first->due_ms <= now_ms)
        give_up_waiting(HEAP_ENTRY(first, struct run_ask, deadline));
    set_timer(room);
}

void run_answer_all(struct serve_room *room)
{
    while (!TAILQ_EMPTY(&room->waiting))
        give_up_waiting(TAILQ_FIRST(&room->waiting));
}

static void client_gone(struct http_exchange *x)
{
    struct run_ask *ask = http_data(x);

    ask->gone = true;
    if (ask->waiting)
        give_up_waiting(ask);
}

void serve_run(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    struct run_ask *ask;
    int64_t wait_ms;

    if (!serve_query_int(x, "wait_ms", 0, WAIT_MAX_MS, 0, &wait_ms))
        return;
    if (!id_is_uuid(args->at[0])) {
        http_respond_error(x, 404, "not_found", "there is no run with that id");
        return;
    }
    ask = ask_new(room, x, args);
    if (ask == NULL)
        return;
    ask->wait_until_ms = wait_ms > 0 ? time_mono_ms() + wait_ms : 0;
    memcpy(ask->read.id, args->at[0], sizeof ask->read.id);
    http_set_data(x, ask, client_gone);
    read_run(ask);
}

/* --- cancel ------------------------------------------------------------------------------------------------------- */

static void refused_cancel(struct journal_read *read, int status)
{
    struct run_ask *ask = read->data;

    if (status == 0 && gate_hides(ask->limit, read->rows[0].run.workspace))
        status = BF_ENOENT;
    if (status != 0) {
        answer_unreadable(ask, status);
        return;
    }
    http_respond_error(ask->x, 409, "run_ended", "run %s has ended: it is %s", read->id,
                       run_state_name(read->rows[0].run.state));
    ask_free(ask);
}

/* The wish is on disk: a daemon that dies now goes on with it. */
static void cancel_written(void *data, int status)
{
    if (status == 0)
        serve_json(data, 202, json_pack("{s:b}", "accepted", 1));
    else
        http_respond_error(data, 503, "stopping", "belfryd is stopping");
}

void serve_cancel(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    const struct run_record *run = engine_run(room->host.engine, args->at[0]);
    const char *id = args->at[0], *reason;
    struct run_ask *ask;
    json_t *body;

    if (!id_is_uuid(id)) {
        http_respond_error(x, 404, "not_found", "there is no run with that id");
        return;
    }
    body = serve_body(x);
    if (body == NULL)
        return;
    reason = json_str(body, "reason");
    if ((run == NULL || !gate_hides(args->workspace, run->workspace)) &&
        engine_cancel(room->host.engine, time_now(), id, RUN_CANCELED, reason != NULL ? reason : "canceled by a person") == 0) {
        json_decref(body);
        serve_when_written(room, cancel_written, x);
        return;
    }
    json_decref(body);
    ask = ask_new(room, x, args);
    if (ask == NULL)
        return;
    ask->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = refused_cancel, .data = ask };
    memcpy(ask->read.id, id, sizeof ask->read.id);
    journal_read(room->host.journal, &ask->read);
}
