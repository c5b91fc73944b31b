/* Workspace, processes, process runs. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "belfry/base/file.h"
#include "belfry/base/time.h"

#define PROCESS_NAME_MAX 64

void api_workspace(const struct api_call *call)
{
    json_t *o = json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", call->workspace->id, "name", call->workspace->name, "organization", "id",
                          "belfry", "name", "Belfry");

    serve_json(call->x, 200, o);
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct process_config *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

/* By their names, so that a list goes on behind one that a reload takes away: the cursor is the last one's. */
void api_processes(const struct api_call *call)
{
    const struct config *c = call->config;
    const char *cursor = http_query(call->x, "cursor");
    const struct process_config **found;
    size_t limit, count = 0, i;
    json_t *list, *o;

    if (!api_limit(call->x, &limit))
        return;
    if (cursor != NULL && strlen(cursor) > PROCESS_NAME_MAX) {
        api_refuse_cursor(call->x);
        return;
    }
    found = calloc(c->process_count + 1, sizeof *found);
    if (found == NULL)
        abort();
    for (i = 0; i < c->process_count; i++) {
        if (c->processes[i]->workspace == call->workspace && (cursor == NULL || strcmp(c->processes[i]->name, cursor) > 0))
            found[count++] = c->processes[i];
    }
    qsort(found, count, sizeof *found, by_name);
    list = json_array();
    for (i = 0; i < count && i < limit; i++) {
        o = shape_process(found[i]);
        (void)json_put(o, "created_at", "1970-01-01T00:00:00.000Z");   /* a configuration does not say */
        (void)json_array_append_new(list, o);
    }
    api_answer_page(call->x, list, count > limit ? found[limit - 1]->name : NULL);
    free(found);
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
    r->config = config_hold(call->config);
    call->room->open++;
    return r;
}

static void read_free(struct api_read *r)
{
    struct serve_room *room = r->call.room;

    config_release(r->config);
    json_decref(r->files);
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

void api_read_run_with(const struct api_call *call, const char *id, json_t *files,
                       void (*done)(struct api_read *read, const struct run_record *run))
{
    struct api_read *r;

    if (!id_is_uuid(id)) {
        api_refuse(call->x, 404, "Process run not found");
        json_decref(files);
        return;
    }
    r = read_new(call);
    if (r == NULL) {
        json_decref(files);
        return;
    }
    r->files = files;
    r->done = done;
    r->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .stopping = -1, .cb = run_read, .data = r };
    memcpy(r->read.id, id, sizeof r->read.id);
    journal_read(call->room->host.journal, &r->read);
}

void api_read_run(const struct api_call *call, const char *id, void (*done)(struct api_read *read, const struct run_record *run))
{
    api_read_run_with(call, id, NULL, done);
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
    const struct run_filter *filter = runs_of_word(state);
    struct api_read *r = read_new(call);

    if (r == NULL)
        return;
    r->done = done;
    r->read = (struct journal_read) { .kind = READ_RUNS, .workspace = call->workspace->name, .state = -1, .states = filter->states,
        .stopping = filter->stopping, .begun = filter->begun, .process = process != NULL ? process->name : NULL, .limit = limit,
        .cb = runs_read, .data = r };
    journal_read(call->room->host.journal, &r->read);
}

void api_list_runs_from(const struct api_call *call, const struct process_config *process, const char *before, size_t limit,
                        void (*done)(struct api_read *read, const struct run_record *none))
{
    const struct run_filter *filter = runs_of_word(NULL);
    struct api_read *r = read_new(call);

    if (r == NULL)
        return;
    r->done = done;
    r->read = (struct journal_read) { .kind = READ_RUNS, .workspace = call->workspace->name, .state = -1, .states = filter->states,
        .stopping = filter->stopping, .begun = filter->begun, .process = process != NULL ? process->name : NULL, .before_id = before,
        .limit = limit, .bytes = PAGE_BYTES, .whole = true, .cb = runs_read, .data = r };
    journal_read(call->room->host.journal, &r->read);
}

static void list_runs(const struct api_call *call, const char *process_word)
{
    const struct process_config *process = process_word != NULL ? api_process(call, process_word) : NULL;
    const struct run_filter *filter = runs_of_word(http_query(call->x, "state"));
    const char *cursor;
    struct api_read *r;
    size_t limit;

    if (!api_page(call->x, &limit, &cursor))
        return;
    if (filter == NULL) {
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
    r->read = (struct journal_read) { .kind = READ_RUNS, .workspace = call->workspace->name, .state = -1, .states = filter->states,
        .stopping = filter->stopping, .begun = filter->begun, .process = process != NULL ? process->name : NULL, .before_id = cursor,
        .limit = limit, .brief = true, .cb = runs_read, .data = r };
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
    uv_work_t work;
    struct api_call call;
    char id[ID_SIZE];
    struct journal_read read;
    char **files;                  /* of its work items: paths */
    size_t file_count;
    struct record record;
    struct commit commit;
};

static void delete_free(struct run_delete *d)
{
    struct serve_room *room = d->call.room;

    for (size_t i = 0; i < d->file_count; i++)
        free(d->files[i]);
    free(d->files);
    free(d);
    serve_let_go(room);
}

static bool goes_on(const struct api_call *call, const char *run_id, bool ended)
{
    if (ended && engine_run(call->room->host.engine, run_id) == NULL)
        return false;
    api_refuse(call->x, 409, "the run has not ended: stop it first");
    return true;
}

/* Nobody names them any more: what stays all the same goes with the day. */
static void remove_files(uv_work_t *work)
{
    const struct run_delete *d = work->data;

    for (size_t i = 0; i < d->file_count; i++)
        (void)unlink(d->files[i]);
}

static void removed(uv_work_t *work, int status)
{
    struct run_delete *d = work->data;

    (void)status;
    serve_json(d->call.x, 200, json_pack("{s:s, s:b}", "id", d->id, "deleted", 1));
    delete_free(d);
}

static void deleted(struct commit *commit, int status)
{
    struct run_delete *d = commit->data;

    d->work.data = d;
    if (status == 0 && d->file_count == 0) {   /* the pool's threads cost memory: not for nothing */
        removed(&d->work, 0);
    } else if (status == 0) {
        if (uv_queue_work(d->call.room->loop, &d->work, remove_files, removed) != 0)
            abort();
    } else {
        if (status == BF_EEXIST)
            api_refuse(d->call.x, 409, "somebody has still to be told of the run's end: a syslog target, a webhook or a callback that is not reached");
        else if (status == BF_ENOENT && !goes_on(&d->call, d->id, true))
            api_refuse(d->call.x, 404, "Process run not found");
        else if (status != BF_ENOENT)
            api_refuse(d->call.x, 503, "it could not be written down: %s", error_name(status));
        delete_free(d);
    }
}

static void note_files(struct run_delete *d)
{
    const char *dir = flows_world(d->call.room->host.flows)->files_dir;

    d->files = calloc(d->read.count + 1, sizeof *d->files);
    if (d->files == NULL)
        abort();
    for (size_t i = 0; i < d->read.count; i++) {
        if ((d->files[d->file_count++] = file_join(dir, d->read.rows[i].file.id)) == NULL)
            abort();
    }
}

static void files_came(struct journal_read *read, int status)
{
    struct run_delete *d = read->data;

    if (status != 0) {
        api_refuse(d->call.x, 503, "the journal cannot be read: %s", read->error.text);
        delete_free(d);
    } else if (goes_on(&d->call, d->id, true)) {   /* it was taken up again meanwhile */
        delete_free(d);
    } else {
        note_files(d);
        d->record = (struct record) { .kind = RECORD_RUN_DROP, .key = d->id };
        d->commit = (struct commit) { .records = &d->record, .count = 1, .cb = deleted, .data = d };
        journal_commit(d->call.room->host.journal, &d->commit);
    }
}

/* Its record goes, with its work items; its results are the operator's, and stay as long as keep_results says. */
static void delete(struct api_read *r, const struct run_record *run)
{
    struct run_delete *d;

    if (goes_on(&r->call, run->id, run_state_is_end(run->state)))
        return;
    d = calloc(1, sizeof *d);
    if (d == NULL)
        abort();
    d->call = r->call;
    memcpy(d->id, run->id, sizeof d->id);
    d->read = (struct journal_read) { .kind = READ_ITEM_FILES, .state = -1, .run_id = d->id, .limit = SIZE_MAX / 4, .cb = files_came, .data = d };
    r->call.room->open++;
    journal_read(r->call.room->host.journal, &d->read);
}

void api_run_delete(const struct api_call *call)
{
    api_read_run(call, call->args.at[0], delete);
}
