/*
 * Work items of runs: what each was given and what it left in the output. They are parts of the run's record, so their ids lead
 * to it: "RUN-in-0", "RUN-out-2". Those that a client had made (api_input.c) keep the ids and the files that they had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api.h"
#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "belfry/core/event.h"

enum side { SIDE_INPUT, SIDE_OUTPUT };

/* A run's items, read from its row. */
struct items {
    const struct run_record *run;
    const char *process_id;
    char lost_id[ID_SIZE];         /* of a process that is no longer configured */
    char step_id[ID_SIZE];
    json_t *result;                /* owns what the two lists are of a collected run */
    json_t *event;
    const json_t *ids;             /* of the items that clients had made; lent by the event */
    json_t *input;                 /* entries {"payload", "path"?, "files"?} */
    json_t *output;
};

/* What a run that has not been collected was given. */
static json_t *given(const struct journal_row *row, const json_t *event)
{
    json_t *payloads = event_input(event, row->input, NULL), *entries = json_array(), *payload;
    size_t i;

    json_array_foreach(payloads, i, payload)
        (void)json_array_append_new(entries, json_pack("{s:O}", "payload", payload));
    json_decref(payloads);
    return entries;
}

/* By a person, when the run had failed (house/retry.c): run.json alone tells of them. */
static bool were_deleted(const struct items *items)
{
    const char *settled = json_str(items->result, "settled");

    return settled != NULL && strcmp(settled, "deleted") == 0;
}

static void items_read_row(struct items *items, const struct api_read *r, const struct journal_row *row)
{
    const struct process_config *process = config_process(r->config, row->run.process);
    json_t *both;

    *items = (struct items) { .run = &row->run };
    id_from_name("process", row->run.process, items->lost_id);
    items->process_id = process != NULL ? process->id : items->lost_id;
    shape_step_id(row->run.process, shape_first_step(&row->run, process), items->step_id);
    items->result = json_stored(row->run.result);
    items->event = json_stored(row->event);
    items->ids = json_object_get(items->event, "work_items");
    both = json_object_get(items->result, "work_items");
    items->output = json_incref(json_object_get(both, "output"));
    items->input = json_incref(json_object_get(both, "input"));
    /* A run of which nothing was kept tells from its firing what it was given. */
    if (json_array_size(items->input) == 0) {
        json_decref(items->input);
        items->input = given(row, items->event);
    }
    if (were_deleted(items)) {
        json_decref(items->input);
        items->input = json_array();
    }
}

static void items_read(struct items *items, const struct api_read *r)
{
    items_read_row(items, r, &r->read.rows[0]);
}

static void items_close(struct items *items)
{
    json_decref(items->input);
    json_decref(items->output);
    json_decref(items->result);
    json_decref(items->event);
}

static const char *state_of(const struct run_record *run, enum side side)
{
    if (side == SIDE_OUTPUT)
        return "done";   /* it lies in the output: no step takes it */
    switch (run->state) {
    case RUN_QUEUED: case RUN_STARTING:
        return "pending";
    case RUN_RUNNING: case RUN_COLLECTING:
        return "in_progress";
    case RUN_COMPLETED:
        return "done";
    default:
        return "failed";
    }
}

static void item_id(const struct items *items, enum side side, size_t index, char id[64])
{
    const struct run_record *run = items->run;
    const char *made = side == SIDE_INPUT ? json_string_value(json_array_get(items->ids, index)) : NULL;

    if (made != NULL)
        (void)snprintf(id, 64, "%s", made);
    else
        (void)snprintf(id, 64, "%s-%s-%zu", run->id, side == SIDE_INPUT ? "in" : "out", index);
}

/* --- shapes ------------------------------------------------------------------------------------------------------- */

static json_t *shape_file(const struct api_read *r, const struct items *items, const char *dir, const char *name)
{
    const char *results = json_str(items->result, "results");
    struct buf path = { 0 }, whole = { 0 }, url = { 0 };
    struct stat st = { 0 };
    json_t *o = json_object();
    char id[ID_SIZE];

    buf_addf(&path, "%s/%s", dir, name);
    buf_addf(&whole, "%s/%s", results != NULL ? results : "", buf_str(&path));
    artifact_id(items->run->id, buf_str(&path), id);
    (void)json_put(o, "id", id);
    (void)json_put_int(o, "size", lstat(buf_str(&whole), &st) == 0 ? st.st_size : 0);
    (void)json_put(o, "name", name);
    api_base_url(r->call.x, &url);
    serve_link_to(r->call.room, items->run->id, buf_str(&path), &url);
    (void)json_object_set_new(o, "download", json_object());
    (void)json_put(json_object_get(o, "download"), "url", buf_str(&url));
    buf_close(&path);
    buf_close(&whole);
    buf_close(&url);
    return o;
}

static json_t *shape_files(const struct api_read *r, const struct items *items, const json_t *entry)
{
    const json_t *names = json_object_get(entry, "files"), *name;
    const char *dir = json_str(entry, "path");
    json_t *list = json_array();
    size_t i;

    json_array_foreach(names, i, name) {
        if (dir != NULL && json_is_string(name))
            (void)json_array_append_new(list, shape_file(r, items, dir, json_string_value(name)));
    }
    return list;
}

static void put_payload(json_t *o, const struct api_read *r, const struct items *items, const json_t *entry)
{
    json_t *payload = json_object_get(entry, "payload"), *own = json_object_get(r->files, json_str(o, "id"));

    (void)json_object_set_new(o, "payload", payload != NULL ? json_incref(payload) : json_null());
    (void)json_object_set_new(o, "files", own != NULL ? json_incref(own) : shape_files(r, items, entry));
}

/* Of a run that was stopped before it began the engine knows no more than why. */
static json_t *shape_exception(const struct run_record *run)
{
    const char *code = run->error_code == NULL && run->state == RUN_CANCELED ? "canceled" : run->error_code;
    json_t *exception = json_pack("{s:s}", "type", run->state == RUN_FAILED ? "application" : "orchestrator");

    (void)json_put(exception, "code", code);
    (void)json_put(exception, "message", run->error_message != NULL ? run->error_message : run->reason);
    return exception;
}

static json_t *shape_item(const struct items *items, enum side side, size_t index)
{
    const struct run_record *run = items->run;
    bool failed = side == SIDE_INPUT && strcmp(state_of(run, side), "failed") == 0;
    json_t *o = json_object();
    char id[64], step[ID_SIZE];

    item_id(items, side, index, id);
    (void)json_put(o, "id", id);
    (void)json_put_time(o, "created_at", side == SIDE_INPUT ? run->accepted_ms : run->ended_ms);
    (void)json_put(o, "state", state_of(run, side));
    (void)json_object_set_new(o, "state_updated_at", json_null());
    (void)json_put_time(o, "state_updated_at", run->ended_ms != 0 ? run->ended_ms : run->started_ms);
    (void)json_object_set_new(o, "process", json_pack("{s:s}", "id", items->process_id));
    (void)json_object_set_new(o, "process_run", json_pack("{s:s}", "id", run->id));
    (void)json_object_set_new(o, "step", side == SIDE_INPUT ? json_pack("{s:s}", "id", items->step_id) : json_null());
    (void)json_object_set_new(o, "step_run", json_null());
    if (side == SIDE_INPUT && run->started_ms != 0) {
        run_step_id(run->id, step);
        (void)json_object_set_new(o, "step_run", json_pack("{s:s}", "id", step));
    }
    (void)json_object_set_new(o, "exception", json_null());
    if (failed)
        (void)json_object_set_new(o, "exception", shape_exception(run));
    return o;
}

static json_t *shape_output(const struct api_read *r, const struct items *items, size_t index)
{
    const struct run_record *run = items->run;
    json_t *o = json_object();
    char id[64];

    item_id(items, SIDE_OUTPUT, index, id);
    (void)json_put(o, "id", id);
    (void)json_put_time(o, "created_at", run->ended_ms);
    (void)json_object_set_new(o, "process", json_pack("{s:s}", "id", items->process_id));
    (void)json_object_set_new(o, "process_run", json_pack("{s:s}", "id", run->id));
    put_payload(o, r, items, json_array_get(items->output, index));
    return o;
}

/* --- pages: the cursor is how many came before -------------------------------------------------------------------- */

struct window {
    size_t first, limit;
};

static bool read_window(struct http_exchange *x, struct window *w)
{
    int64_t first;

    if (!api_offset(x, &first))
        return false;
    w->first = (size_t)first;
    return api_limit(x, &w->limit);
}

static void answer_window(struct http_exchange *x, json_t *list, const struct window *w, size_t total)
{
    char cursor[32];

    (void)snprintf(cursor, sizeof cursor, "%zu", w->first + w->limit);
    api_answer_page(x, list, w->first + w->limit < total ? cursor : NULL);
}

static void list_outputs(struct api_read *r, const struct run_record *run)
{
    json_t *list = json_array();
    struct items items;
    struct window w;

    (void)run;
    if (!read_window(r->call.x, &w)) {
        json_decref(list);
        return;
    }
    items_read(&items, r);
    for (size_t i = w.first; i < json_array_size(items.output) && i - w.first < w.limit; i++)
        (void)json_array_append_new(list, shape_output(r, &items, i));
    answer_window(r->call.x, list, &w, json_array_size(items.output));
    items_close(&items);
}

/* --- work items --------------------------------------------------------------------------------------------------- */

static void append_items(json_t *list, const struct api_read *r, const struct journal_row *row, bool data)
{
    struct items items;
    json_t *o;

    items_read_row(&items, r, row);
    for (enum side side = SIDE_INPUT; side <= SIDE_OUTPUT; side++) {
        const json_t *entries = side == SIDE_INPUT ? items.input : items.output;

        for (size_t i = 0; i < json_array_size(entries); i++) {
            o = shape_item(&items, side, i);
            if (data)
                put_payload(o, r, &items, json_array_get(entries, i));
            (void)json_array_append_new(list, o);
        }
    }
    items_close(&items);
}

static void list_items(struct api_read *r, const struct run_record *run)
{
    const char *state = http_query(r->call.x, "state"), *process = http_query(r->call.x, "process_id");
    json_t *list = json_array();
    size_t total = 0;
    struct items items;
    struct window w;

    if (!read_window(r->call.x, &w)) {
        json_decref(list);
        return;
    }
    items_read(&items, r);
    for (enum side side = SIDE_INPUT; side <= SIDE_OUTPUT; side++) {
        size_t count = json_array_size(side == SIDE_INPUT ? items.input : items.output);

        if ((state != NULL && strcmp(state, state_of(run, side)) != 0) || (process != NULL && strcmp(process, items.process_id) != 0))
            continue;
        for (size_t i = 0; i < count; i++, total++) {
            if (total >= w.first && total - w.first < w.limit)
                (void)json_array_append_new(list, shape_item(&items, side, i));
        }
    }
    answer_window(r->call.x, list, &w, total);
    items_close(&items);
}

static void list_all(struct api_read *r, const struct run_record *run)
{
    json_t *list = json_array();

    (void)run;
    append_items(list, r, &r->read.rows[0], true);
    r->call.items(&r->call, list);
}

void api_derived_items(const struct api_call *call, const char *run_id, bool outputs, json_t *files)
{
    api_read_run_with(call, run_id, files, outputs ? list_outputs : call->items != NULL ? list_all : list_items);
}

/* --- of a process's newest runs, for the older APIs ---------------------------------------------------------------- */

struct newest_ask {
    struct api_read r;
    json_t *items;                 /* those that the journal has as such, then those of the runs */
    bool data;
};

/* The runs whose items are listed by themselves. */
static json_t *runs_of(const json_t *items)
{
    json_t *runs = json_object();
    const json_t *item;
    const char *id;
    size_t i;

    json_array_foreach(items, i, item) {
        id = json_str(json_object_get(item, "process_run"), "id");
        if (id != NULL)
            (void)json_object_set_new(runs, id, json_true());
    }
    return runs;
}

static void newest_came(struct journal_read *read, int status)
{
    struct newest_ask *ask = read->data;
    struct serve_room *room = ask->r.call.room;
    json_t *listed = runs_of(ask->items);

    for (size_t k = read->count; status == 0 && k-- > 0;) {   /* the oldest first, as the others are */
        if (read->rows[k].run.memo == NULL && json_object_get(listed, read->rows[k].run.id) == NULL)
            append_items(ask->items, &ask->r, &read->rows[k], ask->data);
    }
    if (status == 0)
        ask->r.call.items(&ask->r.call, json_incref(ask->items));
    else
        api_refuse(ask->r.call.x, 503, "the journal cannot be read: %s", read->error.text);
    json_decref(listed);
    json_decref(ask->items);
    config_release(ask->r.config);
    free(ask);
    serve_let_go(room);
}

void api_add_derived_items(const struct api_call *call, const struct process_config *process, size_t runs, bool data, json_t *items)
{
    const struct run_filter *filter = runs_of_word(NULL);
    struct newest_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL)
        abort();
    ask->r.call = *call;
    ask->r.config = config_hold(call->config);
    ask->items = items;
    ask->data = data;
    call->room->open++;
    ask->r.read = (struct journal_read) { .kind = READ_RUNS, .workspace = call->workspace->name, .state = -1, .states = filter->states,
        .stopping = filter->stopping, .begun = filter->begun, .process = process->name, .limit = runs, .whole = true, .cb = newest_came, .data = ask };
    journal_read(call->room->host.journal, &ask->r.read);
}

/* --- of all runs -------------------------------------------------------------------------------------------------- */

/* Items of runs that have no flow, run by run, the newest first: a page is that of so many runs. */
static void list_of_runs(struct api_read *r, const struct run_record *none)
{
    const char *state = http_query(r->call.x, "state");
    json_t *list = json_array();
    struct buf cursor = { 0 };

    (void)none;
    for (size_t k = 0; k < r->read.count; k++) {
        const struct journal_row *row = &r->read.rows[k];
        struct items items;

        if (row->run.memo != NULL)   /* it has a flow: its items are listed by themselves */
            continue;
        items_read_row(&items, r, row);
        for (enum side side = SIDE_INPUT; side <= SIDE_OUTPUT; side++) {
            size_t count = json_array_size(side == SIDE_INPUT ? items.input : items.output);

            for (size_t i = 0; i < count && (state == NULL || strcmp(state, state_of(items.run, side)) == 0); i++)
                (void)json_array_append_new(list, shape_item(&items, side, i));
        }
        items_close(&items);
    }
    if (r->read.more && r->read.count > 0)
        buf_addf(&cursor, "r%s", r->read.rows[r->read.count - 1].run.id);
    api_answer_page(r->call.x, list, cursor.len > 0 ? buf_str(&cursor) : NULL);
    buf_close(&cursor);
}

static bool read_cursor(const char *cursor, int64_t *row)
{
    *row = 0;
    if (cursor == NULL || strcmp(cursor, "r") == 0)
        return true;
    return cursor[0] == 'w' ? text_int(cursor + 1, 1, INT64_MAX, row) == 0 : cursor[0] == 'r' && id_is_uuid(cursor + 1);
}

/* First the items that the journal has as such ("w…"), then those of runs without a flow ("r…"). */
static void list_everything(const struct api_call *call, const char *process_word)
{
    const struct process_config *process = process_word != NULL ? api_process(call, process_word) : NULL;
    const char *cursor = http_query(call->x, "cursor"), *state = http_query(call->x, "state");
    int64_t row;
    size_t limit;

    if (!api_limit(call->x, &limit))
        return;
    if (state != NULL && item_state_from_name(state) == ITEM_STATES && strcmp(state, "pending") != 0)
        api_refuse(call->x, 400, "state has to be new, pending, in_progress, failed or done");
    else if (!read_cursor(cursor, &row))
        api_refuse_cursor(call->x);
    else if (process_word != NULL && process == NULL)
        api_answer_page(call->x, json_array(), NULL);
    else if (cursor != NULL && cursor[0] == 'r')
        api_list_runs_from(call, process, cursor[1] != '\0' ? cursor + 1 : NULL, limit, list_of_runs);
    else
        api_all_rows(call, process, row, limit);
}

void api_items(const struct api_call *call)
{
    const char *run_id = http_query(call->x, "process_run_id");

    if (run_id != NULL)
        api_run_items(call, run_id);
    else
        list_everything(call, http_query(call->x, "process_id"));
}

void api_items_of_process(const struct api_call *call)
{
    list_everything(call, call->args.at[0]);
}

void api_items_of_run(const struct api_call *call)
{
    api_run_items(call, call->args.at[0]);
}

/* The run of "RUN-in-0": false when it is no such id. */
static bool run_of_item(const char *id, char run_id[ID_SIZE])
{
    if (strlen(id) < ID_SIZE || id[ID_SIZE - 1] != '-')
        return false;
    memcpy(run_id, id, ID_SIZE - 1);
    run_id[ID_SIZE - 1] = '\0';
    return id_is_uuid(run_id);
}

/* The item of that id; NULL when the run has none. */
static const json_t *find_item(const struct items *items, const char *asked, enum side *side, size_t *index)
{
    char id[64];

    for (enum side s = SIDE_INPUT; s <= SIDE_OUTPUT; s++) {
        const json_t *entries = s == SIDE_INPUT ? items->input : items->output;

        for (size_t i = 0; i < json_array_size(entries); i++) {
            item_id(items, s, i, id);
            if (strcmp(id, asked) != 0)
                continue;
            *side = s;
            *index = i;
            return json_array_get(entries, i);
        }
    }
    return NULL;
}

static void show_item(struct api_read *r, const struct run_record *run)
{
    const json_t *entry;
    struct items items;
    enum side side;
    size_t index;
    json_t *o;

    (void)run;
    items_read(&items, r);
    entry = find_item(&items, r->call.args.at[r->call.item_at], &side, &index);
    if (entry == NULL) {
        api_refuse(r->call.x, 404, "Work item not found");
    } else {
        o = shape_item(&items, side, index);
        put_payload(o, r, &items, entry);
        if (r->call.items != NULL)
            r->call.items(&r->call, json_pack("[o]", o));
        else
            serve_json(r->call.x, 200, o);
    }
    items_close(&items);
}

/* A run that is one command is tried again with what it was given first. */
static void refuse_change(struct api_read *r, const struct run_record *run)
{
    struct items items;
    enum side side;
    size_t index;

    items_read(&items, r);
    if (find_item(&items, r->call.args.at[r->call.item_at], &side, &index) != NULL)
        api_refuse(r->call.x, 409, "the run %s has taken this work item as it was: it is not changed any more, start another run", run->id);
    else
        api_refuse(r->call.x, 404, "Work item not found");
    items_close(&items);
}

/* Takes `files`. */
static void with_item(const struct api_call *call, const char *taken_by, json_t *files,
                      void (*done)(struct api_read *r, const struct run_record *run))
{
    char run_id[ID_SIZE];

    if (taken_by != NULL || run_of_item(call->args.at[call->item_at], run_id)) {
        api_read_run_with(call, taken_by != NULL ? taken_by : run_id, files, done);
        return;
    }
    api_refuse(call->x, 404, "Work item not found");
    json_decref(files);
}

void api_derived_item(const struct api_call *call, const char *taken_by, json_t *files)
{
    with_item(call, taken_by, files, show_item);
}

void api_derived_item_stays(const struct api_call *call, const char *taken_by)
{
    with_item(call, taken_by, NULL, refuse_change);
}
