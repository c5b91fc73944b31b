/* Records: one statement a kind, prepared once. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char *const sql[ST_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_RUN_ADD] = "INSERT INTO runs VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,"
                   "?23,?24,?25,?26,?27)",
    [ST_TEXTS_ADD] = "INSERT INTO run_texts VALUES (?1,?2,?3)",
    [ST_RUN_SET] = "UPDATE runs SET process=?2,workspace=?3,trigger_kind=?4,trigger_name=?5,overlap=?6,state=?7,outcome=?8,"
                   "attempt=?9,failures=?10,accepted=?11,due=?12,not_before=?13,started=?14,ended=?15,exit_code=?16,"
                   "unconfirmed=?17,stop_as=?18,backend_state=?19,error_code=?20,error_message=?21,memo=?22,remote_id=?23,"
                   "remote_url=?24,reason=?25,result=?26,drain=?27 WHERE id=?1",
    [ST_RUN_UNTOLD] = "SELECT run_id FROM lines WHERE run_id=?1 UNION ALL SELECT run_id FROM deliveries WHERE run_id=?1 LIMIT 1",
    [ST_RUN_DROP] = "DELETE FROM runs WHERE id=?1 AND state>=4",
    [ST_RUN_TEXTS_DROP] = "DELETE FROM run_texts WHERE id=?1",
    [ST_RUN_STEPS_DROP] = "DELETE FROM step_runs WHERE run_id=?1",
    [ST_RUN_FILES_DROP] = "DELETE FROM item_files WHERE item IN (SELECT id FROM work_items WHERE run_id=?1)",
    [ST_RUN_ITEMS_DROP] = "DELETE FROM work_items WHERE run_id=?1",
    [ST_RUN_CALLBACK_DROP] = "DELETE FROM callbacks WHERE run_id=?1",
    [ST_CLAIM_GET] = "SELECT run_id FROM claims WHERE name=?1 AND until>?2",
    [ST_CLAIM_PUT] = "INSERT INTO claims VALUES (?1,?2,?3)"
                     " ON CONFLICT (name) DO UPDATE SET run_id=excluded.run_id, until=excluded.until",
    [ST_CURSOR_PUT] = "INSERT INTO cursors VALUES (?1,?2,?3) ON CONFLICT (kind, name) DO UPDATE SET value=excluded.value",
    [ST_CURSOR_DROP] = "DELETE FROM cursors WHERE kind=?1 AND name=?2",
    [ST_FILE_PUT] = "INSERT INTO files VALUES (?1,?2,?3,?4,?5) ON CONFLICT (watch, path) DO UPDATE SET"
                    " identity=excluded.identity, state=excluded.state, run_id=excluded.run_id",
    [ST_FILE_DROP] = "DELETE FROM files WHERE watch=?1 AND path=?2",
    [ST_FILES_DROP] = "DELETE FROM files WHERE watch=?1",
    [ST_LINE_ADD] = "INSERT INTO lines (target, run_id) VALUES (?1,?2)",
    [ST_LINE_SENT] = "DELETE FROM lines WHERE target=?1 AND run_id=?2",
    [ST_PAUSE_PUT] = "INSERT INTO pauses VALUES (?1,?2,?3) ON CONFLICT (kind, name) DO UPDATE SET value=excluded.value",
    [ST_ITEM_ADD] = "INSERT INTO work_items VALUES (?1,?2,?3,?7,?4,?5,?6,?8,?9,?10,?11,?12,?13,?14,?15)",
    [ST_ITEM_PAYLOAD] = "UPDATE work_items SET payload=?6 WHERE id=?1 AND run_id IS ?7",
    [ST_ITEM_MOVE] = "UPDATE work_items SET updated=?5,step=?8,state=?9,step_run=?10,told=?12,exception=?13,exception_code=?14,"
                     "exception_message=?15 WHERE id=?1",
    [ST_ITEM_DROP] = "DELETE FROM work_items WHERE id=?1",
    /* A firing that is skipped takes nothing. */
    [ST_ITEM_TAKE] = "UPDATE work_items SET run_id=?2,updated=?3 WHERE id=?1 AND run_id IS NULL"
                     " AND EXISTS (SELECT 1 FROM runs WHERE id=?2 AND state<>9)",
    /* By whom, when it does not wait (for a run; or at all) any more. */
    [ST_ITEM_TAKEN] = "SELECT (SELECT run_id FROM work_items WHERE id=?1) WHERE NOT EXISTS"
                      " (SELECT 1 FROM work_items WHERE id=?1 AND run_id IS NULL AND (state=0 OR ?2))",
    [ST_STEP_RUN] = "INSERT INTO step_runs VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14) ON CONFLICT (id) DO UPDATE SET"
                    " state=excluded.state, started=excluded.started, ended=excluded.ended, exit_code=excluded.exit_code,"
                    " forgiven=excluded.forgiven, spoke=excluded.spoke, error_code=excluded.error_code,"
                    " error_message=excluded.error_message",
    [ST_STEP_RUN_DROP] = "DELETE FROM step_runs WHERE id=?1",
    [ST_ITEM_FILE] = "INSERT OR REPLACE INTO item_files VALUES (?1,?2,?3,?4,?5)",
    [ST_ITEM_FILE_AWAITED] = "SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM item_files f JOIN work_items w ON w.id = f.item WHERE f.id=?1"
                             " AND f.there=0 AND w.run_id IS ?2 AND CASE WHEN ?3 THEN w.step_run=?4 AND EXISTS"
                             " (SELECT 1 FROM step_runs WHERE id=?4 AND state<2) ELSE w.state=?5 END)",
    [ST_ITEM_FILE_DROP] = "DELETE FROM item_files WHERE id=?1",
    [ST_ITEM_FILES_DROP] = "DELETE FROM item_files WHERE item=?1",
    [ST_HOOK_ADD] = "INSERT INTO webhooks VALUES (?1,?2,?3,?4,?5,?6)",
    [ST_HOOK_DROP] = "DELETE FROM webhooks WHERE id=?1",
    [ST_CALLBACK_ADD] = "INSERT INTO callbacks SELECT ?1,?2,?3,?4 WHERE EXISTS (SELECT 1 FROM runs WHERE id=?1 AND state<>9)",
    [ST_DELIVERY_ADD] = "INSERT INTO deliveries VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
    [ST_DELIVERY_SET] = "UPDATE deliveries SET next=?7,tries=?8 WHERE id=?1",
    [ST_DELIVERY_DROP] = "DELETE FROM deliveries WHERE id=?1",
    [ST_ASSET_ADD] = "INSERT INTO assets VALUES (?1,?2,?3,NULL,NULL,?4)",
    [ST_ASSET_GET] = "SELECT id FROM assets WHERE workspace=?1 AND name=?2",
    [ST_ASSET_FILE] = "UPDATE assets SET file=?1,content_type=?2 WHERE id=?3",
    [ST_ASSET_DROP] = "DELETE FROM assets WHERE id=?1",
    [ST_ASSET_UPLOADS_DROP] = "DELETE FROM asset_uploads WHERE asset=?1",
    [ST_ASSET_UPLOAD] = "INSERT OR REPLACE INTO asset_uploads VALUES (?1,?2,?3,?4,?5)",
    [ST_ASSET_AWAITED] = "SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM asset_uploads WHERE id=?1 AND state=0)",
    [ST_KEY_ADD] = "INSERT INTO api_keys VALUES (?1,?2,?3,?4,?5,?6,?7,?8,0,0)",
    [ST_KEY_SET] = "UPDATE api_keys SET name=coalesce(?2,name),permissions=coalesce(?3,permissions),expires=coalesce(?4,expires) WHERE id=?1",
    [ST_KEY_USED] = "UPDATE api_keys SET last_used=?2,uses=?3 WHERE id=?1",
    [ST_KEY_HIDE] = "UPDATE api_keys SET sealed=NULL WHERE id=?1",
    [ST_KEY_DROP] = "DELETE FROM api_keys WHERE id=?1",
    /* Of a prune ?1 is the limit, ?2 until when runs are forgotten, ?3 now, ?4 an id of a day ago. Ids sort by the time of admission, so
     * the oldest come first; a run whose lines or messages wait stays until they went. */
    [ST_PRUNE_RUNS] = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE state >= 4 AND ended < ?2 AND NOT EXISTS"
                      " (SELECT 1 FROM lines WHERE run_id = runs.id) AND id NOT IN (SELECT run_id FROM deliveries) ORDER BY id LIMIT ?1)",
    [ST_PRUNE_TEXTS] = "DELETE FROM run_texts WHERE id IN (SELECT t.id FROM run_texts t LEFT JOIN runs r ON r.id = t.id"
                       " WHERE r.id IS NULL LIMIT ?1)",
    [ST_PRUNE_CLAIMS] = "DELETE FROM claims WHERE name IN (SELECT name FROM claims WHERE until < ?3 LIMIT ?1)",
    /* Those of no run that wait stay; the others of no run were settled by hand. */
    [ST_PRUNE_ITEMS] = "DELETE FROM work_items WHERE id IN (SELECT w.id FROM work_items w LEFT JOIN runs r ON r.id = w.run_id"
                       " WHERE r.id IS NULL AND (w.run_id IS NOT NULL OR (w.state <> 0 AND w.updated < ?2)) LIMIT ?1)",
    [ST_PRUNE_STEP_RUNS] = "DELETE FROM step_runs WHERE id IN (SELECT s.id FROM step_runs s LEFT JOIN runs r ON r.id = s.run_id"
                           " WHERE r.id IS NULL LIMIT ?1)",
    /* What was announced, and has not come since, does not come any more. */
    [ST_PRUNE_ITEM_FILES] = "DELETE FROM item_files WHERE id IN (SELECT f.id FROM item_files f LEFT JOIN work_items w ON w.id = f.item"
                            " WHERE w.id IS NULL OR (f.there = 0 AND f.id < ?4) LIMIT ?1)",
    [ST_PRUNE_CALLBACKS] = "DELETE FROM callbacks WHERE run_id IN (SELECT c.run_id FROM callbacks c LEFT JOIN runs r ON r.id = c.run_id"
                           " WHERE r.id IS NULL LIMIT ?1)",
    /* An asset knows its file by itself. */
    [ST_PRUNE_UPLOADS] = "DELETE FROM asset_uploads WHERE id IN (SELECT id FROM asset_uploads WHERE id < ?4 LIMIT ?1)",
};

int records_prepare(struct journal *j, struct error *err)
{
    for (int i = 0; i < ST_COUNT; i++) {
        if (sqlite3_prepare_v3(j->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &j->statements[i], NULL) != SQLITE_OK)
            return error_set(err, BF_EIO, "cannot prepare a statement for %s: %s", j->path, sqlite3_errmsg(j->db));
    }
    return 0;
}

void records_finish(struct journal *j)
{
    for (int i = 0; i < ST_COUNT; i++)
        (void)sqlite3_finalize(j->statements[i]);
}

int records_run(struct journal *j, enum statement st)
{
    int rc = sqlite3_step(j->statements[st]);

    (void)sqlite3_reset(j->statements[st]);
    return rc;
}

void records_text(sqlite3_stmt *st, int at, const char *value)
{
    if (value != NULL)
        (void)sqlite3_bind_text(st, at, value, -1, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(st, at);
}

static int put_run(struct journal *j, enum statement which, const struct run_record *r)
{
    sqlite3_stmt *st = j->statements[which];
    const int64_t numbers[] = { r->overlap, r->state, r->outcome, r->attempt, r->failures, r->accepted_ms, r->due_ms,
        r->not_before_ms, r->started_ms, r->ended_ms };

    records_text(st, 1, r->id);
    records_text(st, 2, r->process);
    records_text(st, 3, r->workspace);
    (void)sqlite3_bind_int(st, 4, (int)r->trigger_kind);
    records_text(st, 5, r->trigger_name);
    for (int i = 0; i < 10; i++)
        (void)sqlite3_bind_int64(st, 6 + i, numbers[i]);
    if (r->has_exit_code)
        (void)sqlite3_bind_int(st, 16, r->exit_code);
    else
        (void)sqlite3_bind_null(st, 16);
    (void)sqlite3_bind_int(st, 17, r->unconfirmed);
    (void)sqlite3_bind_int(st, 18, (int)r->stop_as);
    records_text(st, 19, r->backend_state);
    records_text(st, 20, r->error_code);
    records_text(st, 21, r->error_message);
    records_text(st, 22, r->memo);
    records_text(st, 23, r->remote_id);
    records_text(st, 24, r->remote_url);
    records_text(st, 25, r->reason);
    records_text(st, 26, r->result);
    (void)sqlite3_bind_int(st, 27, (int)r->drain);
    return records_run(j, which);
}

/* Of a statement that had to change a row: SQLITE_NOTFOUND when there is none. */
static int changed(const struct journal *j, int rc)
{
    return rc == SQLITE_DONE && sqlite3_changes(j->db) == 0 ? SQLITE_NOTFOUND : rc;
}

static int add_run(struct journal *j, const struct record *r)
{
    sqlite3_stmt *st = j->statements[ST_TEXTS_ADD];
    int rc = put_run(j, ST_RUN_ADD, r->run);

    if (rc != SQLITE_DONE)
        return rc;
    records_text(st, 1, r->run->id);
    records_text(st, 2, r->event);
    records_text(st, 3, r->input);
    return records_run(j, ST_TEXTS_ADD);
}

/* Two texts and perhaps a number: the shape of most statements. */
static int put_pair(struct journal *j, enum statement which, const char *a, const char *b, const int64_t *value)
{
    sqlite3_stmt *st = j->statements[which];

    records_text(st, 1, a);
    records_text(st, 2, b);
    if (value != NULL)
        (void)sqlite3_bind_int64(st, 3, *value);
    return records_run(j, which);
}

/* 128 bits of SHA-256 over scope and key: two claims never meet by chance. */
void records_bind_claim(sqlite3_stmt *st, const struct record *r)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(ctx, r->scope, strlen(r->scope) + 1) != 1 || EVP_DigestUpdate(ctx, r->key, strlen(r->key)) != 1 ||
        EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
        abort();
    EVP_MD_CTX_free(ctx);
    (void)sqlite3_bind_blob(st, 1, digest, 16, SQLITE_TRANSIENT);
}

static int put_claim(struct journal *j, const struct record *r)
{
    sqlite3_stmt *st = j->statements[ST_CLAIM_PUT];

    records_bind_claim(st, r);
    records_text(st, 2, r->run_id);
    (void)sqlite3_bind_int64(st, 3, r->value);
    return records_run(j, ST_CLAIM_PUT);
}

/* A path is bytes, whatever they say. */
static void path(sqlite3_stmt *st, const char *bytes)
{
    (void)sqlite3_bind_blob(st, 2, bytes, (int)strlen(bytes), SQLITE_STATIC);
}

static int put_file(struct journal *j, const struct record *r)
{
    sqlite3_stmt *st = j->statements[ST_FILE_PUT];

    records_text(st, 1, r->scope);
    path(st, r->key);
    records_text(st, 3, r->identity);
    (void)sqlite3_bind_int64(st, 4, r->value);
    records_text(st, 5, r->run_id);
    return records_run(j, ST_FILE_PUT);
}

static int drop_file(struct journal *j, const struct record *r)
{
    enum statement which = r->key != NULL ? ST_FILE_DROP : ST_FILES_DROP;

    records_text(j->statements[which], 1, r->scope);
    if (r->key != NULL)
        path(j->statements[which], r->key);
    return records_run(j, which);
}

static int put_item(struct journal *j, enum statement which, const struct item_record *item)
{
    sqlite3_stmt *st = j->statements[which];

    records_text(st, 1, item->id);
    records_text(st, 2, item->workspace);
    records_text(st, 3, item->process);
    (void)sqlite3_bind_int64(st, 4, item->created_ms);
    (void)sqlite3_bind_int64(st, 5, item->updated_ms);
    records_text(st, 6, item->payload);
    records_text(st, 7, item->run_id[0] != '\0' ? item->run_id : NULL);
    (void)sqlite3_bind_int(st, 8, item->step);
    (void)sqlite3_bind_int(st, 9, (int)item->state);
    records_text(st, 10, item->step_run[0] != '\0' ? item->step_run : NULL);
    records_text(st, 11, item->parent[0] != '\0' ? item->parent : NULL);
    (void)sqlite3_bind_int(st, 12, item->told);
    (void)sqlite3_bind_int(st, 13, (int)item->exception);
    records_text(st, 14, item->exception_code);
    records_text(st, 15, item->exception_message);
    return records_run(j, which);
}

static int drop_item(struct journal *j, const char *id)
{
    records_text(j->statements[ST_ITEM_DROP], 1, id);
    records_text(j->statements[ST_ITEM_FILES_DROP], 1, id);
    if (records_run(j, ST_ITEM_DROP) != SQLITE_DONE)
        return SQLITE_ERROR;
    return records_run(j, ST_ITEM_FILES_DROP);
}

static int put_step_run(struct journal *j, const struct step_record *r)
{
    sqlite3_stmt *st = j->statements[ST_STEP_RUN];
    const int64_t numbers[] = { (int64_t)r->state, r->attempt, r->created_ms, r->started_ms, r->ended_ms };

    records_text(st, 1, r->id);
    records_text(st, 2, r->run_id);
    (void)sqlite3_bind_int(st, 3, r->step);
    records_text(st, 4, r->name);
    for (int i = 0; i < 5; i++)
        (void)sqlite3_bind_int64(st, 5 + i, numbers[i]);
    if (r->has_exit_code)
        (void)sqlite3_bind_int(st, 10, r->exit_code);
    else
        (void)sqlite3_bind_null(st, 10);
    (void)sqlite3_bind_int(st, 11, r->forgiven);
    (void)sqlite3_bind_int(st, 12, r->spoke);
    records_text(st, 13, r->error_code);
    records_text(st, 14, r->error_message);
    return records_run(j, ST_STEP_RUN);
}

static int put_item_file(struct journal *j, const struct item_file *f)
{
    sqlite3_stmt *st = j->statements[ST_ITEM_FILE];

    records_text(st, 1, f->id);
    records_text(st, 2, f->item);
    records_text(st, 3, f->name);
    (void)sqlite3_bind_int64(st, 4, f->size);
    (void)sqlite3_bind_int(st, 5, f->there);
    return records_run(j, ST_ITEM_FILE);
}

static int add_key(struct journal *j, const struct key_record *k)
{
    sqlite3_stmt *st = j->statements[ST_KEY_ADD];

    records_text(st, 1, k->id);
    records_text(st, 2, k->name);
    records_text(st, 3, k->workspace);
    records_text(st, 4, k->permissions);
    (void)sqlite3_bind_blob(st, 5, k->digest, sizeof k->digest, SQLITE_STATIC);
    if (k->sealed != NULL)
        (void)sqlite3_bind_blob(st, 6, k->sealed, (int)k->sealed_len, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(st, 6);
    (void)sqlite3_bind_int64(st, 7, k->created_ms);
    (void)sqlite3_bind_int64(st, 8, k->expires_ms);
    return records_run(j, ST_KEY_ADD);
}

static int edit_key(struct journal *j, const struct key_record *k)
{
    sqlite3_stmt *st = j->statements[ST_KEY_SET];

    records_text(st, 1, k->id);
    records_text(st, 2, k->name);
    records_text(st, 3, k->permissions);
    if (k->expires_ms != KEY_EXPIRES_STAYS)
        (void)sqlite3_bind_int64(st, 4, k->expires_ms);
    else
        (void)sqlite3_bind_null(st, 4);
    return records_run(j, ST_KEY_SET);
}

static int put_key_use(struct journal *j, const struct key_record *k)
{
    sqlite3_stmt *st = j->statements[ST_KEY_USED];

    records_text(st, 1, k->id);
    (void)sqlite3_bind_int64(st, 2, k->last_used_ms);
    (void)sqlite3_bind_int64(st, 3, (sqlite3_int64)k->uses);
    return records_run(j, ST_KEY_USED);
}

static int add_hook(struct journal *j, const struct hook_record *h)
{
    sqlite3_stmt *st = j->statements[ST_HOOK_ADD];

    records_text(st, 1, h->id);
    records_text(st, 2, h->workspace);
    records_text(st, 3, h->process);
    (void)sqlite3_bind_int(st, 4, (int)h->events);
    records_text(st, 5, h->endpoint);
    (void)sqlite3_bind_int64(st, 6, h->created_ms);
    return records_run(j, ST_HOOK_ADD);
}

static int add_callback(struct journal *j, const struct callback_record *c)
{
    sqlite3_stmt *st = j->statements[ST_CALLBACK_ADD];

    records_text(st, 1, c->run_id);
    records_text(st, 2, c->url);
    (void)sqlite3_bind_int(st, 3, (int)c->events);
    (void)sqlite3_bind_blob(st, 4, c->sealed, (int)c->sealed_len, SQLITE_STATIC);
    return records_run(j, ST_CALLBACK_ADD);
}

static int put_delivery(struct journal *j, enum statement which, const struct delivery_record *d)
{
    sqlite3_stmt *st = j->statements[which];

    records_text(st, 1, d->id);
    if (which == ST_DELIVERY_ADD) {
        records_text(st, 2, d->hook_id);
        records_text(st, 3, d->run_id);
        records_text(st, 4, d->url);
        records_text(st, 5, d->body);
        (void)sqlite3_bind_int64(st, 6, d->created_ms);
    }
    (void)sqlite3_bind_int64(st, 7, d->next_ms);
    (void)sqlite3_bind_int64(st, 8, d->tries);
    return records_run(j, which);
}

static int add_asset(struct journal *j, const struct asset_record *a)
{
    sqlite3_stmt *st = j->statements[ST_ASSET_ADD];

    records_text(st, 1, a->id);
    records_text(st, 2, a->workspace);
    records_text(st, 3, a->name);
    (void)sqlite3_bind_int64(st, 4, a->created_ms);
    return records_run(j, ST_ASSET_ADD);
}

static int put_upload(struct journal *j, const struct asset_upload *u)
{
    sqlite3_stmt *st = j->statements[ST_ASSET_UPLOAD];

    records_text(st, 1, u->id);
    records_text(st, 2, u->asset);
    records_text(st, 3, u->content_type);
    (void)sqlite3_bind_int(st, 4, (int)u->state);
    (void)sqlite3_bind_int64(st, 5, u->created_ms);
    return records_run(j, ST_ASSET_UPLOAD);
}

static int put_asset_file(struct journal *j, const struct asset_upload *u)
{
    sqlite3_stmt *st = j->statements[ST_ASSET_FILE];

    records_text(st, 1, u->id);
    records_text(st, 2, u->content_type);
    records_text(st, 3, u->asset);
    return records_run(j, ST_ASSET_FILE);
}

static int take_upload(struct journal *j, const struct asset_upload *u)
{
    int rc = put_upload(j, u);

    return rc == SQLITE_DONE ? put_asset_file(j, u) : rc;
}

static int drop_asset(struct journal *j, const char *id)
{
    records_text(j->statements[ST_ASSET_DROP], 1, id);
    records_text(j->statements[ST_ASSET_UPLOADS_DROP], 1, id);
    if (records_run(j, ST_ASSET_DROP) != SQLITE_DONE)
        return SQLITE_ERROR;
    return records_run(j, ST_ASSET_UPLOADS_DROP);
}

static int drop(struct journal *j, enum statement which, const char *id)
{
    records_text(j->statements[which], 1, id);
    return records_run(j, which);
}

/* With all that belongs to it, but for the claims: what has fired once does not fire again because somebody tidied up. */
static int drop_run(struct journal *j, const char *id)
{
    static const enum statement its_own[] = { ST_RUN_TEXTS_DROP, ST_RUN_STEPS_DROP, ST_RUN_FILES_DROP, ST_RUN_ITEMS_DROP, ST_RUN_CALLBACK_DROP };
    int rc = changed(j, drop(j, ST_RUN_DROP, id));

    for (size_t i = 0; i < sizeof its_own / sizeof *its_own && rc == SQLITE_DONE; i++)
        rc = drop(j, its_own[i], id);
    return rc;
}

static int apply(struct journal *j, const struct record *r)
{
    switch (r->kind) {
    case RECORD_RUN_ADD:
        return add_run(j, r);
    case RECORD_RUN_SET:
        return changed(j, put_run(j, ST_RUN_SET, r->run));
    case RECORD_RUN_DROP:
        return drop_run(j, r->key);
    case RECORD_CLAIM:
        return put_claim(j, r);
    case RECORD_CURSOR:
        return put_pair(j, ST_CURSOR_PUT, r->scope, r->key, &r->value);
    case RECORD_CURSOR_DROP:
        return put_pair(j, ST_CURSOR_DROP, r->scope, r->key, NULL);
    case RECORD_FILE:
        return put_file(j, r);
    case RECORD_FILE_DROP:
        return drop_file(j, r);
    case RECORD_LINE_ADD:
        return put_pair(j, ST_LINE_ADD, r->scope, r->run_id, NULL);
    case RECORD_LINE_SENT:
        return put_pair(j, ST_LINE_SENT, r->scope, r->run_id, NULL);
    case RECORD_ITEM_ADD:
        return put_item(j, ST_ITEM_ADD, r->item);
    case RECORD_ITEM_PAYLOAD:
        return put_item(j, ST_ITEM_PAYLOAD, r->item);
    case RECORD_ITEM_MOVE:
        return put_item(j, ST_ITEM_MOVE, r->item);
    case RECORD_ITEM_DROP:
        return drop_item(j, r->item->id);
    case RECORD_STEP_RUN:
        return put_step_run(j, r->step_run);
    case RECORD_STEP_RUN_DROP:
        return drop(j, ST_STEP_RUN_DROP, r->step_run->id);
    case RECORD_ITEM_FILE:
    case RECORD_ITEM_FILE_CAME:
        return put_item_file(j, r->item_file);
    case RECORD_ITEM_FILE_DROP:
        return drop(j, ST_ITEM_FILE_DROP, r->key);
    case RECORD_ITEM_TAKE:
        return put_pair(j, ST_ITEM_TAKE, r->key, r->run_id, &r->value);
    case RECORD_HOOK_ADD:
        return add_hook(j, r->hook);
    case RECORD_HOOK_DROP:
        return drop(j, ST_HOOK_DROP, r->key);
    case RECORD_CALLBACK_ADD:
        return add_callback(j, r->callback);
    case RECORD_DELIVERY_ADD:
        return put_delivery(j, ST_DELIVERY_ADD, r->delivery);
    case RECORD_DELIVERY_SET:
        return put_delivery(j, ST_DELIVERY_SET, r->delivery);
    case RECORD_DELIVERY_DROP:
        return drop(j, ST_DELIVERY_DROP, r->delivery->id);
    case RECORD_ASSET_ADD:
        return add_asset(j, r->asset);
    case RECORD_ASSET_FILE:
        return put_asset_file(j, r->upload);
    case RECORD_ASSET_CAME:
        return take_upload(j, r->upload);
    case RECORD_ASSET_DROP:
        return drop_asset(j, r->key);
    case RECORD_ASSET_UPLOAD:
        return put_upload(j, r->upload);
    case RECORD_KEY_ADD:
        return add_key(j, r->api_key);
    case RECORD_KEY_SET:
        return edit_key(j, r->api_key);
    case RECORD_KEY_USED:
        return put_key_use(j, r->api_key);
    case RECORD_KEY_HIDE:
        return drop(j, ST_KEY_HIDE, r->key);
    case RECORD_KEY_DROP:
        return drop(j, ST_KEY_DROP, r->key);
    case RECORD_PAUSE:
        return put_pair(j, ST_PAUSE_PUT, r->scope, r->key, &r->value);
    }
    return SQLITE_MISUSE;
}

int records_apply(struct journal *j, const struct commit *commit)
{
    int rc = SQLITE_DONE;

    for (size_t i = 0; i < commit->count && rc == SQLITE_DONE; i++)
        rc = apply(j, &commit->records[i]);
    return rc;
}
