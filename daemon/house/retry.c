/*
 * What a person wants done with work items that failed: tried again, taken as done, forgotten. A run that has ended is taken up
 * again for that, as a further attempt; its results get another revision. A run without a flow was one command over all that it was
 * given: it is tried again as a whole, and settled as a whole.
 */
#include <stdlib.h>
#include <string.h>

#include "belfry/backends/backend.h"
#include "house.h"

struct wish {
    struct house *house;
    char run_id[ID_SIZE];
    char *workspace;                 /* that it has to be in; NULL: any */
    enum item_wish what;
    bool ask;                        /* only whether it could be done */
    json_t *ids;                     /* NULL: all that failed */
    struct journal_read run, callback, steps, items;
    struct run_record record;
    size_t inputs;                   /* work items that it was started with */
    json_t *made;                    /* the ids of those that clients had made, or NULL */
    struct flow *flow;               /* until the flows have it */
    struct flow_changes changes;
    struct callback_record told;     /* of the run; url NULL: none */
    struct commit commit;
    struct error why;
    void (*done)(void *data, int status, const struct error *why);
    void *data;
};

static void finish(struct wish *w, int status)
{
    struct house *h = w->house;

    w->done(w->data, status, &w->why);
    run_record_close(&w->record);
    flow_free(w->flow);
    flow_changes_close(&w->changes);
    callback_record_close(&w->told);
    json_decref(w->ids);
    json_decref(w->made);
    free(w->workspace);
    free(w);
    h->working--;
    house_settle(h);
}

static void refuse(struct wish *w, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void refuse(struct wish *w, int status, const char *format, ...)
{
    struct buf text = { 0 };
    va_list ap;

    va_start(ap, format);
    buf_vaddf(&text, format, ap);
    va_end(ap);
    error_set(&w->why, status, "%s", buf_str(&text));
    buf_close(&text);
    finish(w, status);
}

/* All of the wish or nothing: the first item that it cannot be done with, or NULL; "": there is none at all. */
static const char *apply(struct flow *flow, const struct wish *w)
{
    const json_t *id;
    size_t i;

    json_array_foreach(w->ids, i, id) {
        if (!flow_may(flow, json_string_value(id), w->what))
            return json_string_value(id);
    }
    if (w->ask)
        return w->ids == NULL && flow_failed(flow) == 0 ? "" : NULL;
    json_array_foreach(w->ids, i, id)
        (void)flow_wish(flow, json_string_value(id), w->what, time_wall_ms());   /* the same one twice is once */
    return w->ids == NULL && flow_retry_failed(flow, time_wall_ms()) == 0 ? "" : NULL;
}

/* --- a run that is open ------------------------------------------------------------------------------------------- */

static void open_saved(void *data, int status)
{
    struct wish *w = data;
    struct house *h = w->house;
    const struct run_record *run = engine_run(h->engine, w->run_id);
    struct home *home = run != NULL ? home_find(h, run->workspace) : NULL;

    if (status == 0 && home != NULL && home->backend->ops->look != NULL && h->storey == STOREY_ALL)
        home->backend->ops->look(home->backend, w->run_id);
    finish(w, status);
}

static void change_open(struct wish *w, struct flow *flow)
{
    const char *not_that = apply(flow, w);

    if (not_that != NULL)
        refuse(w, BF_EAGAIN, not_that[0] != '\0' ? "the work item %s has not failed" : "the run goes on, and no work item of it has failed%s", not_that);
    else if (w->ask)
        finish(w, 0);
    else
        flows_save(w->house->flows, flow, NULL, 0, open_saved, w);
}

/* --- a run that has ended ----------------------------------------------------------------------------------------- */

static void reopened(void *data, int status)
{
    struct wish *w = data;
    struct house *h = w->house;

    if (status == 0 && w->flow != NULL) {
        flows_add(h->flows, w->flow);
        w->flow = NULL;
    }
    /* Who was told of the run's end is told of its next one, too. */
    if (status == 0 && w->told.url != NULL && h->storey == STOREY_ALL) {
        deliver_callback_dropped(h->deliver, w->run_id);
        deliver_callback_added(h->deliver, &w->told);
    }
    if (status == BF_ENOENT)
        error_set(&w->why, status, "there is no run with that id");   /* it was deleted meanwhile */
    else if (status != 0)
        error_set(&w->why, status, "it could not be written down: %s", error_name(status));
    finish(w, status);
}

static void refuse_reopening(struct wish *w, int status)
{
    if (status == BF_ENOENT)
        refuse(w, BF_ENOENT, "the process %s is no longer in the configuration", w->record.process);
    else
        refuse(w, BF_EAGAIN, "run %s has not ended: it can be tried again when it has", w->run_id);
}

static void reopen(struct wish *w)
{
    int status;

    if (w->flow != NULL)
        flow_forgive(w->flow);
    if (w->flow != NULL && flow_take_changes(w->flow, &w->changes) != 0)
        abort();
    status = engine_reopen(w->house->engine, time_now(), &w->record, w->changes.records, w->changes.count, reopened, w);
    if (status != 0)
        refuse_reopening(w, status);
}

static void settled(struct commit *commit, int status)
{
    struct wish *w = commit->data;

    if (status != 0)
        error_set(&w->why, status, "it could not be written down: %s", error_name(status));
    finish(w, status);
}

/* --- a run of one command ----------------------------------------------------------------------------------------- */

/* The ids of the wish that are none of the run's inputs, and how many of the inputs it names. A new reference. */
static json_t *strangers(const struct wish *w, size_t *named)
{
    json_t *left = json_object();
    const json_t *id;
    size_t i;

    json_array_foreach(w->ids, i, id)
        (void)json_object_set_new(left, json_string_value(id), json_true());
    *named = 0;
    for (i = 0; i < w->inputs && json_object_size(left) > 0; i++) {
        const char *made = json_string_value(json_array_get(w->made, i));
        char own[ITEM_ID_SIZE];

        item_input_id(w->run_id, i, own);
        *named += json_object_del(left, made != NULL ? made : own) == 0;
    }
    return left;
}

/* What the run's record keeps of it all: nothing of it changes, but that its command failed is told of its step from now on. */
static char *settled_result(const struct wish *w)
{
    json_t *result = json_stored(w->record.result), *step = json_array_get(json_object_get(result, "steps"), 0), *error;
    char *text;

    if (result == NULL)
        result = json_object();
    (void)json_put(result, "settled", w->what == WISH_DROP ? "deleted" : "done");
    if (step != NULL && w->record.error_code != NULL) {
        error = json_object();
        (void)json_put(error, "code", w->record.error_code);
        (void)json_put(error, "message", w->record.error_message);
        (void)json_object_set_new(step, "error", error);
    }
    text = json_text(result);
    if (text == NULL)
        abort();
    json_decref(result);
    return text;
}

static void settle(struct wish *w)
{
    char *result = settled_result(w);
    int status;

    free(w->record.result);
    w->record.result = result;
    status = engine_settle(w->house->engine, time_now(), &w->record,
                           w->what == WISH_DROP ? "its work items were deleted" : "its work items were marked as done", reopened, w);
    if (status != 0)
        refuse_reopening(w, status);
}

static void wish_for_whole(struct wish *w)
{
    size_t named;
    json_t *left = strangers(w, &named);

    if (json_object_size(left) > 0)
        refuse(w, BF_ENOENT, "there is no work item %s", json_object_iter_key(json_object_iter(left)));
    else if (w->what != WISH_RETRY && named < w->inputs)
        refuse(w, BF_EAGAIN, "run %s was one command over %zu work items: all of them have to be named", w->run_id, w->inputs);
    else if (w->ask)
        finish(w, 0);
    else if (w->what == WISH_RETRY)
        reopen(w);
    else
        settle(w);
    json_decref(left);
}

/* --- whichever it is ---------------------------------------------------------------------------------------------- */

static void open_flow(struct wish *w)
{
    struct house *h = w->house;

    if (backend_local_flow(&w->record, config_workspace(h->config, w->record.workspace), config_process(h->config, w->record.process),
                           &w->flow) != 0)
        abort();
}

/* An item that a single command took goes through none. */
static bool has_flow(const struct journal_read *items)
{
    for (size_t i = 0; i < items->count; i++) {
        if (items->rows[i].item.step >= 0)
            return true;
    }
    return false;
}

static void items_came(struct journal_read *read, int status)
{
    struct wish *w = read->data;
    const char *not_that;

    if (status != 0) {
        refuse(w, status, "%s", read->error.text);
        return;
    }
    if (w->flow == NULL && !has_flow(read)) {
        wish_for_whole(w);
        return;
    }
    if (w->flow == NULL)   /* none of its step runs could be begun */
        open_flow(w);
    for (size_t i = 0; i < read->count; i++) {
        if (flow_put_item(w->flow, &read->rows[i].item) != 0)
            abort();
    }
    if (engine_run(w->house->engine, w->run_id) != NULL) {
        refuse(w, BF_EAGAIN, "run %s has not ended: it can be tried again when it has", w->run_id);
        return;
    }
    /* In a run that has ended nothing waits: what it was not brought to has failed with it. */
    flow_settle_waiting(w->flow, w->record.ended_ms, false, run_state_name(w->record.state), w->record.error_message);
    not_that = apply(w->flow, w);
    if (not_that != NULL) {
        refuse(w, BF_EAGAIN, not_that[0] != '\0' ? "the work item %s has not failed" : "no work item of the run has failed%s", not_that);
        return;
    }
    if (w->ask) {
        finish(w, 0);
        return;
    }
    /* With items still failed that nobody wants tried again, the run stays what it is; else it goes on, or is over anew. */
    if (flow_waiting(w->flow) > 0 || flow_failed(w->flow) == 0) {
        reopen(w);
        return;
    }
    if (flow_take_changes(w->flow, &w->changes) != 0)
        abort();
    w->commit = (struct commit) { .records = w->changes.records, .count = w->changes.count, .cb = settled, .data = w };
    journal_commit(w->house->journal, &w->commit);
}

static void steps_came(struct journal_read *read, int status)
{
    struct wish *w = read->data;
    struct house *h = w->house;

    if (status != 0) {
        refuse(w, status, "%s", read->error.text);
        return;
    }
    if (read->count > 0)
        open_flow(w);
    for (size_t i = 0; i < read->count; i++) {
        if (flow_put_step_run(w->flow, &read->rows[i].step_run) != 0)
            abort();
    }
    w->items = (struct journal_read) { .kind = READ_ITEMS, .state = -1, .run_id = w->run_id, .limit = SIZE_MAX / 4, .cb = items_came, .data = w };
    journal_read(h->journal, &w->items);
}

static void callback_came(struct journal_read *read, int status)
{
    struct wish *w = read->data;
    struct house *h = w->house;

    if (status != 0) {
        refuse(w, status, "%s", read->error.text);
        return;
    }
    if (read->count > 0 && callback_record_copy(&w->told, &read->rows[0].callback) != 0)
        abort();
    w->steps = (struct journal_read) { .kind = READ_STEP_RUNS, .state = -1, .run_id = w->run_id, .limit = SIZE_MAX / 4, .cb = steps_came, .data = w };
    journal_read(h->journal, &w->steps);
}

static size_t count_inputs(const char *text)
{
    json_t *inputs = json_stored(text);
    size_t count = json_array_size(inputs);

    json_decref(inputs);
    return count;
}

static void run_came(struct journal_read *read, int status)
{
    struct wish *w = read->data;
    json_t *event;

    if (status == 0 && w->workspace != NULL && strcmp(read->rows[0].run.workspace, w->workspace) != 0)
        status = BF_ENOENT;
    if (status != 0) {
        refuse(w, status, status == BF_ENOENT ? "there is no run with that id%s" : "%s", status == BF_ENOENT ? "" : read->error.text);
        return;
    }
    if (run_record_copy(&w->record, &read->rows[0].run) != 0)
        abort();
    w->inputs = read->rows[0].input != NULL ? count_inputs(read->rows[0].input) : 1;
    event = json_stored(read->rows[0].event);
    w->made = json_incref(json_object_get(event, "work_items"));
    json_decref(event);
    if (!run_state_is_end(w->record.state)) {
        refuse(w, BF_EAGAIN, "run %s has not ended: it can be tried again when it has", w->run_id);
        return;
    }
    if (!run_move_allowed(w->record.state, RUN_QUEUED)) {
        refuse(w, BF_EAGAIN, "run %s is %s: nothing of it can be tried again", w->run_id, run_state_name(w->record.state));
        return;
    }
    w->callback = (struct journal_read) { .kind = READ_CALLBACKS, .state = -1, .limit = 1, .cb = callback_came, .data = w };
    memcpy(w->callback.id, w->run_id, sizeof w->callback.id);
    journal_read(w->house->journal, &w->callback);
}

void house_wish(void *house, const char *workspace, const char *run_id, enum item_wish what, bool ask, const json_t *ids,
                void (*done)(void *data, int status, const struct error *why), void *data)
{
    struct house *h = house;
    struct flow *flow = flows_find(h->flows, run_id);
    const struct run_record *run = engine_run(h->engine, run_id);
    struct wish *w = calloc(1, sizeof *w);

    if (w == NULL)
        abort();
    w->house = h;
    w->what = what;
    w->ask = ask;
    w->ids = ids != NULL ? json_incref((json_t *)(uintptr_t)ids) : NULL;
    w->done = done;
    w->data = data;
    memcpy(w->run_id, run_id, strnlen(run_id, ID_SIZE - 1));
    h->working++;
    if (workspace != NULL && (w->workspace = strdup(workspace)) == NULL)
        abort();
    if (flow != NULL && run != NULL && run->state == RUN_RUNNING && (workspace == NULL || strcmp(run->workspace, workspace) == 0)) {
        change_open(w, flow);
        return;
    }
    w->run = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = run_came, .data = w };
    memcpy(w->run.id, w->run_id, sizeof w->run.id);
    journal_read(h->journal, &w->run);
}
