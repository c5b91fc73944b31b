/* Work items that failed, tried again, taken as done or deleted: one run's by the command line, several by the API's batches. */
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "belfry/base/time.h"

#define BATCH_MAX 1000

/* --- a whole run, by Belfry's own API ----------------------------------------------------------------------------- */

struct retry_ask {
    struct serve_room *room;
    struct http_exchange *x;
};

static void retried(void *data, int status, const struct error *why)
{
    struct retry_ask *ask = data;
    struct serve_room *room = ask->room;

    if (status == 0)
        serve_json(ask->x, 202, json_pack("{s:b}", "accepted", 1));
    else if (status == BF_ENOENT)
        http_respond_error(ask->x, 404, "not_found", "%s", why->text);
    else
        http_respond_error(ask->x, status == BF_EAGAIN ? 409 : 503, status == BF_EAGAIN ? "conflict" : "unavailable", "%s", why->text);
    free(ask);
    serve_let_go(room);
}

static bool are_ids(const json_t *ids)
{
    const json_t *id;
    size_t i;

    json_array_foreach(ids, i, id) {
        if (!json_is_string(id))
            return false;
    }
    return json_array_size(ids) > 0 && json_array_size(ids) <= BATCH_MAX;
}

void serve_retry(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    struct retry_ask *ask;
    json_t *body, *ids;

    if (!id_is_uuid(args->at[0])) {
        http_respond_error(x, 404, "not_found", "there is no run with that id");
        return;
    }
    body = serve_body(x);
    if (body == NULL)
        return;
    ids = json_object_get(body, "work_item_ids");
    if (ids != NULL && !are_ids(ids)) {
        http_respond_error(x, 400, "bad_request", "work_item_ids has to be an array of 1 to %d ids", BATCH_MAX);
        json_decref(body);
        return;
    }
    ask = calloc(1, sizeof *ask);
    if (ask == NULL)
        abort();
    *ask = (struct retry_ask) { room, x };
    room->open++;
    room->host.wish(room->host.data, args->workspace, args->at[0], WISH_RETRY, false, ids, retried, ask);
    json_decref(body);
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

struct batch {
    struct api_call call;
    enum item_wish what;
    json_t *ids;
    json_t *runs;                  /* {run id: [item id …]}, of items that runs have */
    void *at;                      /* the next of those */
    bool asked;                    /* all of them could do it: now it is done */
    struct journal_read read;
    struct item_record *waiting;   /* items that wait in an input */
    struct record *records;
    size_t waiting_count;
    struct commit commit;
};

static void batch_free(struct batch *b)
{
    struct serve_room *room = b->call.room;

    for (size_t i = 0; i < b->waiting_count; i++)
        item_record_close(&b->waiting[i]);
    free(b->waiting);
    free(b->records);
    json_decref(b->runs);
    json_decref(b->ids);
    config_release(b->call.config);
    free(b);
    serve_let_go(room);
}

static void next_run(struct batch *b);

static void run_done(void *data, int status, const struct error *why)
{
    struct batch *b = data;

    if (status == 0) {
        b->at = json_object_iter_next(b->runs, b->at);
        next_run(b);
        return;
    }
    api_refuse(b->call.x, status == BF_ENOENT ? 404 : status == BF_EAGAIN ? 409 : 503, "%s", why->text);
    batch_free(b);
}

static void waiting_written(struct commit *commit, int status)
{
    struct batch *b = commit->data;

    if (status == 0) {
        next_run(b);
        return;
    }
    if (status == BF_EEXIST)
        api_refuse(b->call.x, 409, "a work item was taken by the run %s meanwhile", commit->existing);
    else
        api_refuse(b->call.x, 503, "the work items could not be written down: %s", error_name(status));
    batch_free(b);
}

/* The first that waits in an input and cannot be tried again, for it is done; NULL: there is none. */
static const char *done_already(const struct batch *b)
{
    for (size_t i = 0; i < b->waiting_count; i++) {
        if (b->what == WISH_RETRY && b->waiting[i].state != ITEM_NEW)
            return b->waiting[i].id;
    }
    return NULL;
}

static void settle_waiting(struct batch *b)
{
    if (b->waiting_count == 0 || b->what == WISH_RETRY) {
        next_run(b);
        return;
    }
    b->records = calloc(b->waiting_count, sizeof *b->records);
    if (b->records == NULL)
        abort();
    for (size_t i = 0; i < b->waiting_count; i++) {
        b->waiting[i].state = ITEM_DONE;
        b->waiting[i].updated_ms = time_wall_ms();
        b->records[i] = (struct record) { .kind = b->what == WISH_DROP ? RECORD_ITEM_DROP : RECORD_ITEM_MOVE, .item = &b->waiting[i] };
    }
    b->commit = (struct commit) { .records = b->records, .count = b->waiting_count, .cb = waiting_written, .data = b };
    journal_commit(b->call.room->host.journal, &b->commit);
}

/* First all runs are asked whether it can be done there, then it is done: the items that wait, and run by run. */
static void next_run(struct batch *b)
{
    struct serve_room *room = b->call.room;

    if (b->at != NULL) {
        room->host.wish(room->host.data, b->call.workspace->name, json_object_iter_key(b->at), b->what, !b->asked,
                        json_object_iter_value(b->at), run_done, b);
    } else if (!b->asked) {
        b->asked = true;
        b->at = json_object_iter(b->runs);
        settle_waiting(b);
    } else {
        serve_json(b->call.x, 200, json_pack("{s:b}", "accepted", 1));
        batch_free(b);
    }
}

static const struct item_record *row_of(const struct journal_read *read, const char *id)
{
    for (size_t i = 0; i < read->count; i++) {
        if (strcmp(read->rows[i].item.id, id) == 0)
            return &read->rows[i].item;
    }
    return NULL;
}

/* Of a run that has no flow its item's id is all there is of it. */
static bool run_of_item(const char *id, char run_id[ID_SIZE])
{
    if (strlen(id) < ID_SIZE + 3 || strncmp(id + ID_SIZE - 1, "-in-", 4) != 0)
        return false;
    memcpy(run_id, id, ID_SIZE - 1);
    run_id[ID_SIZE - 1] = '\0';
    return id_is_uuid(run_id);
}

static void add_to_run(struct batch *b, const char *run_id, const char *id)
{
    json_t *list = json_object_get(b->runs, run_id);

    if (list == NULL) {
        list = json_array();
        (void)json_object_set_new(b->runs, run_id, list);
    }
    (void)json_array_append_new(list, json_string(id));
}

/* Puts an item where it belongs; false when there is no such item in this workspace. */
static bool sort_item(struct batch *b, const char *id)
{
    const struct item_record *item = row_of(&b->read, id);
    char run_id[ID_SIZE];

    if (item != NULL && strcmp(item->workspace, b->call.workspace->id) != 0)
        return false;
    if (item != NULL && item->run_id[0] == '\0')
        return item_record_copy(&b->waiting[b->waiting_count++], item) == 0;
    if (item == NULL && !run_of_item(id, run_id))
        return false;
    add_to_run(b, item != NULL ? item->run_id : run_id, id);
    return true;
}

static void items_came(struct journal_read *read, int status)
{
    struct batch *b = read->data;
    const char *not_that;
    const json_t *id;
    size_t i;

    if (status != 0) {
        api_refuse(b->call.x, 503, "the journal cannot be read: %s", read->error.text);
        batch_free(b);
        return;
    }
    b->waiting = calloc(json_array_size(b->ids) + 1, sizeof *b->waiting);
    if (b->waiting == NULL)
        abort();
    json_array_foreach(b->ids, i, id) {
        if (!sort_item(b, json_string_value(id))) {
            api_refuse(b->call.x, 404, "there is no work item %s", json_string_value(id));
            batch_free(b);
            return;
        }
    }
    not_that = done_already(b);
    if (not_that != NULL) {
        api_refuse(b->call.x, 409, "the work item %s has not failed", not_that);
        batch_free(b);
        return;
    }
    b->at = json_object_iter(b->runs);
    next_run(b);
}

static void begin(const struct api_call *call, enum item_wish what, const json_t *ids)
{
    struct batch *b = calloc(1, sizeof *b);
    char *text = json_text(ids);

    if (b == NULL || text == NULL)
        abort();
    b->call = *call;
    (void)config_hold(call->config);
    b->what = what;
    b->ids = json_incref((json_t *)(uintptr_t)ids);
    b->runs = json_object();
    b->read = (struct journal_read) { .kind = READ_ITEMS, .state = -1, .ids = text, .limit = BATCH_MAX, .cb = items_came, .data = b };
    call->room->open++;
    journal_read(call->room->host.journal, &b->read);
    free(text);
}

void api_batch(const struct api_call *call)
{
    static const char *const words[] = { "retry", "mark_as_done", "delete" };
    const char *word;
    json_t *body;
    size_t what = 0;

    if (!api_body(call->x, &body))
        return;
    word = json_str(body, "batch_operation");
    while (what < 3 && (word == NULL || strcmp(words[what], word) != 0))
        what++;
    if (what == 3 || !are_ids(json_object_get(body, "work_item_ids")))
        api_refuse(call->x, 400, "batch_operation has to be retry, delete or mark_as_done, and work_item_ids an array of 1 to %d ids", BATCH_MAX);
    else
        begin(call, (enum item_wish)what, json_object_get(body, "work_item_ids"));
    json_decref(body);
}

void api_old_retry(const struct api_call *call)
{
    json_t *ids = json_pack("[s]", call->args.at[1]);

    begin(call, WISH_RETRY, ids);
    json_decref(ids);
}
