/* Rows become records; the reads at start, before anything is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static char *text_at(sqlite3_stmt *row, int column)
{
    return (char *)(uintptr_t)sqlite3_column_text(row, column);
}

void row_to_run(sqlite3_stmt *row, struct run_record *run)
{
    const char *id = text_at(row, 0);

    memset(run, 0, sizeof *run);
    if (id != NULL && strlen(id) < sizeof run->id)
        memcpy(run->id, id, strlen(id) + 1);
    run->process = text_at(row, 1);
    run->workspace = text_at(row, 2);
    run->trigger_kind = (enum trigger_kind)sqlite3_column_int(row, 3);
    run->trigger_name = text_at(row, 4);
    run->overlap = (enum overlap)sqlite3_column_int(row, 5);
    run->state = (enum run_state)sqlite3_column_int(row, 6);
    run->outcome = (enum run_state)sqlite3_column_int(row, 7);
    run->attempt = (unsigned)sqlite3_column_int(row, 8);
    run->failures = (unsigned)sqlite3_column_int(row, 9);
    run->accepted_ms = sqlite3_column_int64(row, 10);
    run->due_ms = sqlite3_column_int64(row, 11);
    run->not_before_ms = sqlite3_column_int64(row, 12);
    run->started_ms = sqlite3_column_int64(row, 13);
    run->ended_ms = sqlite3_column_int64(row, 14);
    run->has_exit_code = sqlite3_column_type(row, 15) != SQLITE_NULL;
    run->exit_code = sqlite3_column_int(row, 15);
    run->unconfirmed = sqlite3_column_int(row, 16) != 0;
    run->stop_as = (enum run_state)sqlite3_column_int(row, 17);
    run->backend_state = text_at(row, 18);
    run->error_code = text_at(row, 19);
    run->error_message = text_at(row, 20);
    run->memo = text_at(row, 21);
    run->remote_id = text_at(row, 22);
    run->remote_url = text_at(row, 23);
    run->reason = text_at(row, 24);
    run->result = text_at(row, 25);
    run->drain = (enum run_drain)sqlite3_column_int(row, 26);
}

static void id_at(sqlite3_stmt *row, int column, char *id, size_t size)
{
    const char *text = text_at(row, column);

    (void)snprintf(id, size, "%s", text != NULL ? text : "");
}

void row_to_item(sqlite3_stmt *row, struct item_record *item)
{
    *item = (struct item_record) { .workspace = text_at(row, 1), .process = text_at(row, 2), .created_ms = sqlite3_column_int64(row, 4),
        .updated_ms = sqlite3_column_int64(row, 5), .payload = text_at(row, 6), .step = sqlite3_column_int(row, 7),
        .state = (enum item_state)sqlite3_column_int(row, 8), .told = sqlite3_column_int(row, 11) != 0,
        .exception = (enum exception_type)sqlite3_column_int(row, 12), .exception_code = text_at(row, 13),
        .exception_message = text_at(row, 14), .row = sqlite3_column_int64(row, 15) };
    id_at(row, 0, item->id, sizeof item->id);
    id_at(row, 3, item->run_id, sizeof item->run_id);
    id_at(row, 9, item->step_run, sizeof item->step_run);
    id_at(row, 10, item->parent, sizeof item->parent);
}

void row_to_step_run(sqlite3_stmt *row, struct step_record *run)
{
    *run = (struct step_record) { .step = sqlite3_column_int(row, 2), .name = text_at(row, 3),
        .state = (enum step_state)sqlite3_column_int(row, 4), .attempt = (unsigned)sqlite3_column_int(row, 5),
        .created_ms = sqlite3_column_int64(row, 6), .started_ms = sqlite3_column_int64(row, 7), .ended_ms = sqlite3_column_int64(row, 8),
        .has_exit_code = sqlite3_column_type(row, 9) != SQLITE_NULL, .exit_code = sqlite3_column_int(row, 9),
        .forgiven = sqlite3_column_int(row, 10) != 0, .spoke = sqlite3_column_int(row, 11) != 0, .error_code = text_at(row, 12),
        .error_message = text_at(row, 13) };
    id_at(row, 0, run->id, sizeof run->id);
    id_at(row, 1, run->run_id, sizeof run->run_id);
}

void row_to_item_file(sqlite3_stmt *row, struct item_file *file)
{
    *file = (struct item_file) { .name = text_at(row, 2), .size = sqlite3_column_int64(row, 3), .there = sqlite3_column_int(row, 4) != 0 };
    id_at(row, 0, file->id, sizeof file->id);
    id_at(row, 1, file->item, sizeof file->item);
}

void row_to_delivery(sqlite3_stmt *row, struct delivery_record *d)
{
    *d = (struct delivery_record) { .url = text_at(row, 3), .body = text_at(row, 4), .created_ms = sqlite3_column_int64(row, 5),
        .next_ms = sqlite3_column_int64(row, 6), .tries = (unsigned)sqlite3_column_int(row, 7),
        .sealed = (unsigned char *)(uintptr_t)sqlite3_column_blob(row, 8), .sealed_len = (size_t)sqlite3_column_bytes(row, 8) };
    id_at(row, 0, d->id, sizeof d->id);
    id_at(row, 1, d->hook_id, sizeof d->hook_id);
    id_at(row, 2, d->run_id, sizeof d->run_id);
}

void row_to_callback(sqlite3_stmt *row, struct callback_record *callback)
{
    *callback = (struct callback_record) { .url = text_at(row, 1), .events = (unsigned)sqlite3_column_int(row, 2),
        .sealed = (unsigned char *)(uintptr_t)sqlite3_column_blob(row, 3), .sealed_len = (size_t)sqlite3_column_bytes(row, 3) };
    id_at(row, 0, callback->run_id, sizeof callback->run_id);
}

void row_to_asset(sqlite3_stmt *row, struct asset_record *asset)
{
    *asset = (struct asset_record) { .workspace = text_at(row, 1), .name = text_at(row, 2), .content_type = text_at(row, 4),
        .created_ms = sqlite3_column_int64(row, 5) };
    id_at(row, 0, asset->id, sizeof asset->id);
    id_at(row, 3, asset->file, sizeof asset->file);
}

void row_to_upload(sqlite3_stmt *row, struct asset_upload *upload)
{
    *upload = (struct asset_upload) { .content_type = text_at(row, 2), .state = (enum upload_state)sqlite3_column_int(row, 3),
        .created_ms = sqlite3_column_int64(row, 4) };
    id_at(row, 0, upload->id, sizeof upload->id);
    id_at(row, 1, upload->asset, sizeof upload->asset);
}

/* --- at start ----------------------------------------------------------------------------------------------------- */

struct start_read {
    struct journal *journal;
    sqlite3_stmt *row;
    struct error *err;
};

static int begin(struct start_read *r, struct journal *j, const char *sql, const char *argument, struct error *err)
{
    r->journal = j;
    r->err = err;
    if (sqlite3_prepare_v2(j->db, sql, -1, &r->row, NULL) != SQLITE_OK)
        return error_set(err, BF_EIO, "cannot read %s: %s", j->path, sqlite3_errmsg(j->db));
    if (argument != NULL)
        (void)sqlite3_bind_text(r->row, 1, argument, -1, SQLITE_STATIC);
    return 0;
}

/* 1: a row; 0: no more; negative: failed. */
static int next(struct start_read *r)
{
    int rc = sqlite3_step(r->row);

    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE)
        return 0;
    return error_set(r->err, BF_EIO, "cannot read %s: %s", r->journal->path, sqlite3_errmsg(r->journal->db));
}

static int end(struct start_read *r, int status)
{
    (void)sqlite3_finalize(r->row);
    return status;
}

int journal_each_open_run(struct journal *journal, int (*each)(void *data, const struct run_record *run), void *data,
                          struct error *err)
{
    struct run_record run;
    struct start_read r;
    int status = begin(&r, journal, "SELECT " RUN_COLUMNS " FROM runs r WHERE state < 4 ORDER BY id", NULL, err);

    if (status != 0)
        return status;
    while ((status = next(&r)) > 0) {
        row_to_run(r.row, &run);
        status = each(data, &run);
        if (status != 0)
            break;
    }
    return end(&r, status);
}

int journal_each_cursor(struct journal *journal, const char *kind,
                        int (*each)(void *data, const char *name, int64_t value), void *data, struct error *err)
{
    struct start_read r;
    int status = begin(&r, journal, "SELECT name, value FROM cursors WHERE kind=?1", kind, err);

    if (status != 0)
        return status;
    while ((status = next(&r)) > 0) {
        status = each(data, text_at(r.row, 0), sqlite3_column_int64(r.row, 1));
        if (status != 0)
            break;
    }
    return end(&r, status);
}

int journal_each_pause(struct journal *journal,
                       int (*each)(void *data, const char *kind, const char *name, int64_t value), void *data,
                       struct error *err)
{
    struct start_read r;
    int status = begin(&r, journal, "SELECT kind, name, value FROM pauses", NULL, err);

    if (status != 0)
        return status;
    while ((status = next(&r)) > 0) {
        status = each(data, text_at(r.row, 0), text_at(r.row, 1), sqlite3_column_int64(r.row, 2));
        if (status != 0)
            break;
    }
    return end(&r, status);
}

int journal_each_file(struct journal *journal, const char *watch,
                      int (*each)(void *data, const char *path, const char *identity, enum file_state state,
                                  const char *run_id, enum run_state run_state),
                      void *data, struct error *err)
{
    static const char sql[] = "SELECT CAST(f.path AS TEXT), f.identity, f.state, f.run_id, r.state FROM files f"
                              " LEFT JOIN runs r ON r.id = f.run_id WHERE f.watch=?1";
    struct start_read r;
    int status = begin(&r, journal, sql, watch, err);

    if (status != 0)
        return status;
    while ((status = next(&r)) > 0) {
        enum run_state state = sqlite3_column_type(r.row, 4) == SQLITE_NULL ? RUN_STATES :
            (enum run_state)sqlite3_column_int(r.row, 4);

        status = each(data, text_at(r.row, 0), text_at(r.row, 1), (enum file_state)sqlite3_column_int(r.row, 2),
                      text_at(r.row, 3), state);
        if (status != 0)
            break;
    }
    return end(&r, status);
}

int journal_each_key(struct journal *journal, int (*each)(void *data, const struct key_record *key), void *data,
                     struct error *err)
{
    static const char sql[] = "SELECT id, name, workspace, permissions, digest, sealed, created, expires, last_used, uses"
                              " FROM api_keys ORDER BY id";
    struct start_read r;
    int status = begin(&r, journal, sql, NULL, err);

    if (status != 0)
        return status;
    while ((status = next(&r)) > 0) {
        struct key_record key = { .name = text_at(r.row, 1), .workspace = text_at(r.row, 2), .permissions = text_at(r.row, 3),
            .sealed = (unsigned char *)(uintptr_t)sqlite3_column_blob(r.row, 5), .sealed_len = (size_t)sqlite3_column_bytes(r.row, 5),
            .created_ms = sqlite3_column_int64(r.row, 6), .expires_ms = sqlite3_column_int64(r.row, 7),
            .last_used_ms = sqlite3_column_int64(r.row, 8), .uses = (uint64_t)sqlite3_column_int64(r.row, 9) };
        const char *id = text_at(r.row, 0);

        if (id == NULL || strlen(id) >= sizeof key.id || sqlite3_column_bytes(r.row, 4) != KEY_DIGEST_SIZE)
            continue;   /* none of ours */
        memcpy(key.id, id, strlen(id) + 1);
        memcpy(key.digest, sqlite3_column_blob(r.row, 4), KEY_DIGEST_SIZE);
        status = each(data, &key);
        if (status != 0)
            break;
    }
    return end(&r, status);
}

int journal_each_flow(struct journal *journal, const struct flow_reader *reader, struct error *err)
{
    static const char step_sql[] = "SELECT " STEP_COLUMNS " FROM step_runs s JOIN runs r ON r.id = s.run_id WHERE r.state < 4 ORDER BY s.id";
    static const char item_sql[] = "SELECT " ITEM_COLUMNS " FROM work_items w JOIN runs r ON r.id = w.run_id WHERE r.state < 4"
                                   " AND w.step >= 0 ORDER BY w.rowid";
    struct start_read r;
    struct step_record step;
    struct item_record item;
    int status = begin(&r, journal, step_sql, NULL, err);

    if (status != 0)
        return status;
    while ((status = next(&r)) > 0) {
        row_to_step_run(r.row, &step);
        status = reader->step_run(reader->data, &step);
        if (status != 0)
            break;
    }
    status = end(&r, status);
    if (status == 0)
        status = begin(&r, journal, item_sql, NULL, err);
    if (status != 0)
        return status;
    while ((status = next(&r)) > 0) {
        row_to_item(r.row, &item);
        status = reader->item(reader->data, &item);
        if (status != 0)
            break;
    }
    return end(&r, status);
}

int journal_each_hook(struct journal *journal, int (*each)(void *data, const struct hook_record *hook), void *data, struct error *err)
{
    struct start_read r;
    int status = begin(&r, journal, "SELECT id, workspace, process, events, endpoint, created FROM webhooks ORDER BY id", NULL, err);

    if (status != 0)
        return status;
    while ((status = next(&r)) > 0) {
        struct hook_record hook = { .workspace = text_at(r.row, 1), .process = text_at(r.row, 2),
            .events = (unsigned)sqlite3_column_int(r.row, 3), .endpoint = text_at(r.row, 4), .created_ms = sqlite3_column_int64(r.row, 5) };

        id_at(r.row, 0, hook.id, sizeof hook.id);
        status = each(data, &hook);
        if (status != 0)
            break;
    }
    return end(&r, status);
}

int journal_each_callback(struct journal *journal, int (*each)(void *data, const struct callback_record *callback), void *data,
                          struct error *err)
{
    static const char sql[] = "SELECT c.run_id, c.url, c.events, c.sealed FROM callbacks c JOIN runs r ON r.id = c.run_id WHERE r.state < 4"
                              " OR EXISTS (SELECT 1 FROM lines l WHERE l.run_id = c.run_id)";
    struct start_read r;
    int status = begin(&r, journal, sql, NULL, err);

    if (status != 0)
        return status;
    while ((status = next(&r)) > 0) {
        struct callback_record callback;

        row_to_callback(r.row, &callback);
        status = each(data, &callback);
        if (status != 0)
            break;
    }
    return end(&r, status);
}

int journal_has_deliveries(struct journal *journal, bool *has, struct error *err)
{
    struct start_read r;
    int status = begin(&r, journal, "SELECT 1 FROM deliveries LIMIT 1", NULL, err);

    if (status != 0)
        return status;
    status = next(&r);
    *has = status > 0;
    return end(&r, status > 0 ? 0 : status);
}
