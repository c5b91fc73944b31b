/* Workspace, processes, process runs. */
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "belfry/base/time.h"

#define ALL_STATES (((1u << RUN_STATES) - 1) & ~(1u << RUN_SKIPPED))   /* a firing that was skipped is no process run */

void api_workspace(const struct api_call *call)
{
    json_t *o = json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", call->workspace->id, "name", call->workspace->name, "organization", "id",
                          "belfry", "name", "Belfry");

    serve_json(call->x, 200, o);
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

/* A page of what has no order but that of the file: the cursor is the last one's id. */
void api_processes(const struct api_call *call)
{
    const struct config *c = call->room->host.config(call->room->host.data);
    json_t *list = json_array();
    const char *cursor, *last = NULL;
    bool skip, more = false;
    size_t limit;

    if (!api_page(call->x, &limit, &cursor)) {
        json_decref(list);
        return;
    }
    skip = cursor != NULL;
    for (size_t i = 0; i < c->process_count && !more; i++) {
        const struct process_config *p = c->processes[i];
        json_t *o;

        if (p->workspace != call->workspace)
            continue;
        if (skip) {
            skip = strcmp(p->id, cursor) != 0;
            continue;
        }
        more = json_array_size(list) == limit;
        if (more)
            break;
        o = shape_process(p);
        (void)json_put(o, "created_at", "1970-01-01T00:00:00.000Z");   /* a configuration does not say */
        (void)json_array_append_new(list, o);
        last = p->id;
    }
    api_answer_page(call->x, list, more ? last : NULL);
}

/* --- reading runs ------------------------------------------------------------------------------------------------- */

static struct api_read *read_new(const struct api_call *call)
{
    struct api_read *r = calloc(1, sizeof *r);

    if (r == NULL) {
        api_refuse(call->x, 503, "out of memory");
        return NULL;
    }
    r->call = *call;
    r->config = config_hold(call->room->host.config(call->room->host.data));
    call->room->open++;
    return r;
}

static void read_free(struct api_read *r)
{
    struct serve_room *room = r->call.room;

    config_release(r->config);
    free(r);
    serve_let_go(room);
}

static void refuse_unreadable(struct api_read *r, int status)
{
    if (status == BF_ENOENT)
        api_refuse(r->call.x, 404, "Process run not found");
    else
        api_refuse(r->call.x, 503, "the journal cannot be read: %s", r->read.error.text);
}

static void run_read(struct journal_read *read, int status)
{
    struct api_read *r = read->data;
    const struct run_record *run = status == 0 ? &read->rows[0].run : NULL;

    if (run == NULL)
        refuse_unreadable(r, status);
    else if (strcmp(run->workspace, r->call.workspace->name) != 0 || run->state == RUN_SKIPPED)
        api_refuse(r->call.x, 404, "Process run not found");
    else
        r->done(r, run);
    read_free(r);
}

void api_read_run(const struct api_call *call, const char *id, void (*done)(struct api_read *read, const struct run_record *run))
{
    struct api_read *r;

    if (!id_is_uuid(id)) {
        api_refuse(call->x, 404, "Process run not found");
        return;
    }
    r = read_new(call);
    if (r == NULL)
        return;
    r->done = done;
    r->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .stopping = -1, .cb = run_read, .data = r };
    memcpy(r->read.id, id, sizeof r->read.id);
    journal_read(call->room->host.journal, &r->read);
}

/* --- listing ------------------------------------------------------------------------------------------------------ */

static void runs_read(struct journal_read *read, int status)
{
    struct api_read *r = read->data;
    struct buf list = { 0 };

    if (status != 0) {
        refuse_unreadable(r, status);
        read_free(r);
        return;
    }
    if (r->done != NULL) {
        r->done(r, NULL);
        read_free(r);
        return;
    }
    for (size_t i = 0; i < read->count; i++) {
        if (i > 0)
            buf_addc(&list, ',');
        shape_run_text(&list, &read->rows[i].run, config_process(r->config, read->rows[i].run.process));
    }
    api_answer_page_text(r->call.x, &list, read->more && read->count > 0 ? read->rows[read->count - 1].run.id : NULL);
    buf_close(&list);
    read_free(r);
}

void api_list_runs(const struct api_call *call, const struct process_config *process, const char *state, size_t limit,
                   void (*done)(struct api_read *read, const struct run_record *none))
{
    struct api_read *r = read_new(call);
    unsigned states = ALL_STATES;
    int stopping = -1;

    if (r == NULL)
        return;
    if (state != NULL)
        (void)states_of_word(state, &states, &stopping);
    r->done = done;
    r->read = (struct journal_read) { .kind = READ_RUNS, .workspace = call->workspace->name, .state = -1, .states = states,
        .process = process != NULL ? process->name : NULL, .stopping = stopping, .limit = limit, .brief = true, .cb = runs_read, .data = r };
    journal_read(call->room->host.journal, &r->read);
}

void api_list_runs_from(const struct api_call *call, const struct process_config *process, const char *before, size_t limit,
                        void (*done)(struct api_read *read, const struct run_record *none))
{
    struct api_read *r = read_new(call);

    if (r == NULL)
        return;
    r->done = done;
    r->read = (struct journal_read) { .kind = READ_RUNS, .workspace = call->workspace->name, .state = -1, .states = ALL_STATES, .stopping = -1,
        .process = process != NULL ? process->name : NULL, .before_id = before, .limit = limit, .whole = true, .cb = runs_read, .data = r };
    journal_read(call->room->host.journal, &r->read);
}

static void list_runs(const struct api_call *call, const char *process_word)
{
    const struct process_config *process = process_word != NULL ? api_process(call, process_word) : NULL;
    const char *state = http_query(call->x, "state"), *cursor;
    unsigned states = ALL_STATES;
    int stopping = -1;
    struct api_read *r;
    size_t limit;

    if (!api_page(call->x, &limit, &cursor))
        return;
    if (state != NULL && !states_of_word(state, &states, &stopping)) {
        api_refuse(call->x, 400, "state has to be new, in_progress, completed, unresolved or stopping");
        return;
    }
    if (process_word != NULL && process == NULL) {
        api_answer_page(call->x, json_array(), NULL);
        return;
    }
    r = read_new(call);
    if (r == NULL)
        return;
    r->read = (struct journal_read) { .kind = READ_RUNS, .workspace = call->workspace->name, .state = -1, .states = states,
        .process = process != NULL ? process->name : NULL, .stopping = stopping, .before_id = cursor, .limit = limit, .brief = true, .cb = runs_read,
        .data = r };
    journal_read(call->room->host.journal, &r->read);
}

void api_runs(const struct api_call *call)
{
    list_runs(call, http_query(call->x, "process_id"));
}

void api_runs_of_process(const struct api_call *call)
{
    list_runs(call, call->args.at[0]);
}

/* --- one ---------------------------------------------------------------------------------------------------------- */

static void show(struct api_read *r, const struct run_record *run)
{
    struct buf text = { 0 };

    shape_run_text(&text, run, config_process(r->config, run->process));
    if (buf_failed(&text))
        api_refuse(r->call.x, 503, "out of memory");
    else
        http_respond(r->call.x, 200, "application/json", buf_str(&text), text.len, NULL, 0);
    buf_close(&text);
}

void api_run(const struct api_call *call)
{
    api_read_run(call, call->args.at[0], show);
}

/* --- stopping ----------------------------------------------------------------------------------------------------- */

struct stop {
    struct api_call call;
    bool as_done, terminate;
    char *reason;                  /* NULL: none was given */
};

static void stop_free(struct stop *s)
{
    struct serve_room *room = s->call.room;

    free(s->reason);
    free(s);
    serve_let_go(room);
}

static void stop_written(void *data, int status)
{
    struct stop *s = data;

    if (status == 0)
        serve_json(s->call.x, 200, json_pack("{s:b}", "accepted", 1));
    else
        api_refuse(s->call.x, 503, "belfryd is stopping");
    stop_free(s);
}

static bool read_stop(struct stop *s)
{
    const json_t *done, *terminate;
    json_t *body;
    bool good;

    if (!api_body(s->call.x, &body))
        return false;
    done = json_object_get(body, "set_remaining_work_items_as_done");
    terminate = json_object_get(body, "terminate_ongoing_activity_runs");
    good = json_is_boolean(done) && json_is_boolean(terminate);
    s->as_done = json_is_true(done);
    s->terminate = json_is_true(terminate);
    if (json_str(body, "reason") != NULL && (s->reason = strdup(json_str(body, "reason"))) == NULL)
        abort();
    json_decref(body);
    if (!good)
        api_refuse(s->call.x, 400, "set_remaining_work_items_as_done and terminate_ongoing_activity_runs have to be true or false");
    return good;
}

/*
 * terminate_ongoing_activity_runs: the commands that run are stopped; else they may end, and nothing more is begun.
 * set_remaining_work_items_as_done is for the items that no step run has come to. A run that has ended meanwhile needs no stop.
 */
static void stop(struct api_read *r, const struct run_record *run)
{
    struct serve_room *room = r->call.room;
    struct stop *s = calloc(1, sizeof *s);
    const char *reason;

    if (s == NULL)
        abort();
    s->call = r->call;
    room->open++;
    if (!read_stop(s)) {
        stop_free(s);
        return;
    }
    reason = s->reason != NULL ? s->reason : "stopped by the API";
    (void)engine_drain(room->host.engine, time_now(), run->id, s->as_done ? DRAIN_DONE : DRAIN_FAIL, reason);
    if (s->terminate)
        (void)engine_cancel(room->host.engine, time_now(), run->id, RUN_CANCELED, reason);
    serve_when_written(room, stop_written, s);
}

void api_stop(const struct api_call *call)
{
    api_read_run(call, call->args.at[0], stop);
}

/* --- deleting ----------------------------------------------------------------------------------------------------- */

struct run_delete {
    struct api_call call;
    char id[ID_SIZE];
    struct record record;
    struct commit commit;
};

static void deleted(struct commit *commit, int status)
{
    struct run_delete *d = commit->data;
    struct serve_room *room = d->call.room;

    if (status == 0)
        serve_json(d->call.x, 200, json_pack("{s:s, s:b}", "id", d->id, "deleted", 1));
    else if (status == BF_EEXIST)
        api_refuse(d->call.x, 409, "somebody has still to be told of the run's end: a syslog target or a webhook that is not reached");
    else
        api_refuse(d->call.x, 503, "it could not be written down: %s", error_name(status));
    free(d);
    serve_let_go(room);
}

/* Its record goes; its results are the operator's, and stay as long as keep_results says. */
static void delete(struct api_read *r, const struct run_record *run)
{
    struct run_delete *d;

    if (!run_state_is_end(run->state) || engine_run(r->call.room->host.engine, run->id) != NULL) {
        api_refuse(r->call.x, 409, "the run has not ended: stop it first");
        return;
    }
    d = calloc(1, sizeof *d);
    if (d == NULL)
        abort();
    d->call = r->call;
    memcpy(d->id, run->id, sizeof d->id);
    d->record = (struct record) { .kind = RECORD_RUN_DROP, .key = d->id };
    d->commit = (struct commit) { .records = &d->record, .count = 1, .cb = deleted, .data = d };
    r->call.room->open++;
    journal_commit(r->call.room->host.journal, &d->commit);
}

void api_run_delete(const struct api_call *call)
{
    api_read_run(call, call->args.at[0], delete);
}
