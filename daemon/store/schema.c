/* Tables. user_version counts the steps that a database has taken; each step is one entry, never changed once released. */
#include "internal.h"

static const char *const steps[] = {
    /* Runs sort by time because their ids do (UUIDv7). Texts that never change lie apart, so that a change of state
     * rewrites a short row; they are long, and so in a table with rowids, where a row fills its page before it spills over.
     * Claims come in no order, each to a page of its own: they are kept short, by a digest of their scope and key. */
    "CREATE TABLE runs (id TEXT PRIMARY KEY, process TEXT NOT NULL, workspace TEXT NOT NULL, trigger_kind INTEGER NOT NULL,"
    " trigger_name TEXT NOT NULL, overlap INTEGER NOT NULL, state INTEGER NOT NULL, outcome INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL, failures INTEGER NOT NULL, accepted INTEGER NOT NULL, due INTEGER NOT NULL,"
    " not_before INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL, exit_code INTEGER,"
    " unconfirmed INTEGER NOT NULL, stop_as INTEGER NOT NULL, backend_state TEXT, error_code TEXT, error_message TEXT,"
    " memo TEXT, remote_id TEXT, remote_url TEXT, reason TEXT, result TEXT) WITHOUT ROWID;"
    "CREATE INDEX runs_open ON runs (id) WHERE state < 4;"
    "CREATE INDEX runs_troubled ON runs (state, id) WHERE state IN (5,6,7,8);"
    "CREATE INDEX runs_process ON runs (process, id);"
    "CREATE TABLE run_texts (id TEXT NOT NULL UNIQUE, event TEXT, input TEXT);"
    "CREATE TABLE claims (name BLOB PRIMARY KEY, run_id TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE cursors (kind TEXT, name TEXT, value INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;"
    "CREATE TABLE pauses (kind TEXT, name TEXT, value INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;"
    "CREATE TABLE files (watch TEXT, path BLOB, identity TEXT NOT NULL, state INTEGER NOT NULL, run_id TEXT,"
    " PRIMARY KEY (watch, path)) WITHOUT ROWID;"
    "CREATE TABLE lines (line INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, run_id TEXT NOT NULL);"
    "CREATE INDEX lines_run ON lines (run_id, target);"
    "CREATE INDEX lines_target ON lines (target, line);",
    "CREATE TABLE api_keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, workspace TEXT NOT NULL, permissions TEXT NOT NULL,"
    " digest BLOB NOT NULL UNIQUE, sealed BLOB, created INTEGER NOT NULL, expires INTEGER NOT NULL, last_used INTEGER NOT NULL,"
    " uses INTEGER NOT NULL) WITHOUT ROWID;",
    "CREATE TABLE work_items (id TEXT NOT NULL UNIQUE, workspace TEXT NOT NULL, process TEXT NOT NULL, run_id TEXT,"
    " created INTEGER NOT NULL, updated INTEGER NOT NULL, payload TEXT NOT NULL);"
    "CREATE INDEX work_items_waiting ON work_items (workspace, process, id) WHERE run_id IS NULL;"
    "CREATE INDEX work_items_run ON work_items (run_id) WHERE run_id IS NOT NULL;",
    /* Items of runs, as they go through the steps; those of a step of -1 are in no flow. */
    "ALTER TABLE work_items ADD COLUMN step INTEGER NOT NULL DEFAULT -1;"
    "ALTER TABLE work_items ADD COLUMN state INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE work_items ADD COLUMN step_run TEXT;"
    "ALTER TABLE work_items ADD COLUMN parent TEXT;"
    "ALTER TABLE work_items ADD COLUMN told INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE work_items ADD COLUMN exception INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE work_items ADD COLUMN exception_code TEXT;"
    "ALTER TABLE work_items ADD COLUMN exception_message TEXT;"
    "CREATE TABLE step_runs (id TEXT PRIMARY KEY, run_id TEXT NOT NULL, step INTEGER NOT NULL, name TEXT NOT NULL,"
    " state INTEGER NOT NULL, attempt INTEGER NOT NULL, created INTEGER NOT NULL, started INTEGER NOT NULL,"
    " ended INTEGER NOT NULL, exit_code INTEGER, forgiven INTEGER NOT NULL, spoke INTEGER NOT NULL, error_code TEXT, error_message TEXT) WITHOUT ROWID;"
    "CREATE INDEX step_runs_run ON step_runs (run_id, id);"
    "CREATE TABLE item_files (id TEXT PRIMARY KEY, item TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,"
    " there INTEGER NOT NULL, UNIQUE (item, name)) WITHOUT ROWID;",
    "CREATE TABLE webhooks (id TEXT PRIMARY KEY, workspace TEXT NOT NULL, process TEXT, events INTEGER NOT NULL,"
    " endpoint TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE callbacks (run_id TEXT PRIMARY KEY, url TEXT NOT NULL, events INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE deliveries (id TEXT PRIMARY KEY, hook TEXT NOT NULL, run_id TEXT NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL,"
    " created INTEGER NOT NULL, next INTEGER NOT NULL, tries INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX deliveries_next ON deliveries (next);"
    /* Those of work items and of assets lie side by side. */
    "CREATE TABLE assets (id TEXT PRIMARY KEY, workspace TEXT NOT NULL, name TEXT NOT NULL, file TEXT, content_type TEXT,"
    " created INTEGER NOT NULL, UNIQUE (workspace, name)) WITHOUT ROWID;"
    "CREATE TABLE asset_uploads (id TEXT PRIMARY KEY, asset TEXT NOT NULL, content_type TEXT NOT NULL, state INTEGER NOT NULL,"
    " created INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX asset_uploads_asset ON asset_uploads (asset);",
    "ALTER TABLE runs ADD COLUMN drain INTEGER NOT NULL DEFAULT 0;",
};

#define STEPS ((int)(sizeof steps / sizeof *steps))

static int version_of(sqlite3 *db, int *version)
{
    sqlite3_stmt *row;
    int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &row, NULL);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(row);
    *version = rc == SQLITE_ROW ? sqlite3_column_int(row, 0) : 0;
    (void)sqlite3_finalize(row);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int take_step(sqlite3 *db, int step)
{
    char *sql = sqlite3_mprintf("BEGIN IMMEDIATE;%s;PRAGMA user_version=%d;COMMIT", steps[step], step + 1);
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_exec(db, sql, NULL, NULL, NULL);

    sqlite3_free(sql);
    return rc;
}

int schema_prepare(sqlite3 *db, const char *path, struct error *err)
{
    int version = 0;
    int rc = version_of(db, &version);

    if (rc == SQLITE_OK && version > STEPS)
        return error_set(err, BF_ENOTSUP, "%s was written by a newer belfryd (its version is %d, this one knows %d); start"
                         " that one", path, version, STEPS);
    for (; rc == SQLITE_OK && version < STEPS; version++)
        rc = take_step(db, version);
    if (rc != SQLITE_OK)
        return error_set(err, store_code(rc), "cannot prepare the tables of %s: %s", path, sqlite3_errmsg(db));
    return 0;
}
