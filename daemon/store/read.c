/* The reading thread: a connection of its own that can only read, and never checkpoints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct query {
    sqlite3_stmt *st;
    char *sql;
    int bound;
};

static void add(struct query *q, const char *more)
{
    char *longer = sqlite3_mprintf("%s%s", q->sql != NULL ? q->sql : "", more);

    sqlite3_free(q->sql);
    q->sql = longer;
}

static void build_items(struct query *q, const struct journal_read *a)
{
    add(q, "SELECT " ITEM_COLUMNS " FROM work_items w WHERE ");
    if (a->ids != NULL) {
        add(q, "w.id IN (SELECT value FROM json_each(:ids)) ORDER BY w.rowid");
        add(q, " LIMIT :limit");
        return;
    }
    if (a->run_id != NULL) {
        add(q, "w.run_id=:run ORDER BY w.rowid LIMIT :limit");
        return;
    }
    add(q, a->whole ? "(w.run_id IS NULL OR w.step>=0)" : "w.run_id IS NULL AND w.state=0");
    if (a->workspace != NULL)
        add(q, " AND w.workspace=:workspace");
    if (a->process != NULL)
        add(q, " AND w.process=:process");
    if (a->whole) {
        if (a->before_row > 0)
            add(q, " AND w.rowid<:row");
        add(q, " ORDER BY w.rowid DESC LIMIT :limit");
        return;
    }
    add(q, " ORDER BY w.id LIMIT :limit");
}

static void build_step_runs(struct query *q, const struct journal_read *a)
{
    add(q, "SELECT " STEP_COLUMNS " FROM step_runs s WHERE ");
    add(q, a->ids != NULL ? "s.run_id IN (SELECT value FROM json_each(:ids))" : a->run_id != NULL ? "s.run_id=:run" : "s.id=:id");
    add(q, " ORDER BY s.id LIMIT :limit");
}

static void build_item_files(struct query *q, const struct journal_read *a)
{
    if (a->whole) {   /* by their own ids, whoever names them */
        add(q, "SELECT " FILE_COLUMNS " FROM item_files f WHERE f.id IN (SELECT value FROM json_each(:ids))"
               " UNION ALL SELECT file,'',name,0,1 FROM assets WHERE file IN (SELECT value FROM json_each(:ids)) LIMIT :limit");
        return;
    }
    add(q, "SELECT " FILE_COLUMNS " FROM item_files f WHERE ");
    add(q, a->run_id != NULL ? "f.item IN (SELECT id FROM work_items WHERE run_id=:run)"
                             : a->ids != NULL ? "f.item IN (SELECT value FROM json_each(:ids))" : "f.id=:id");
    add(q, " ORDER BY f.item, f.id LIMIT :limit");
}

/* Of each workspace and each place (scheme, host and port of the URL) that it sends to, so that what waits for a receiver that is gone
 * hides nobody else's. Places take turns. */
static void build_deliveries(struct query *q, const struct journal_read *a)
{
    (void)a;
    add(q, "WITH waiting AS (SELECT d.id, d.next, d.next>:since AS later, coalesce(r.workspace,'') AS workspace,"
           " substr(d.url||'/',1,instr(substr(d.url||'/',9),'/')+7) AS place FROM deliveries d LEFT JOIN runs r ON r.id=d.run_id),"
           " placed AS (SELECT id, next, later, workspace, row_number() OVER (PARTITION BY workspace, place ORDER BY next, id) AS nth"
           " FROM waiting), turns AS (SELECT id, row_number() OVER (PARTITION BY workspace ORDER BY later, nth, next, id) AS turn"
           " FROM placed WHERE nth<=4)");
    add(q, " SELECT " DELIVERY_COLUMNS " FROM turns t JOIN deliveries d ON d.id=t.id LEFT JOIN callbacks c ON c.run_id=d.run_id AND d.hook=''"
           " WHERE t.turn<=8 ORDER BY d.next, d.id LIMIT :limit");
}

static void build_assets(struct query *q, const struct journal_read *a)
{
    add(q, "SELECT " ASSET_COLUMNS " FROM assets a WHERE a.workspace=:workspace");
    if (a->name != NULL)
        add(q, " AND a.name=:name");
    else if (a->id[0] != '\0')
        add(q, " AND a.id=:id");
    else if (a->before_id != NULL)
        add(q, " AND a.id>:before");
    add(q, " ORDER BY a.id LIMIT :limit");
}

static void build_callbacks(struct query *q, const struct journal_read *a)
{
    (void)a;
    add(q, "SELECT run_id, url, events, sealed FROM callbacks WHERE run_id=:id LIMIT :limit");
}

static void build_uploads(struct query *q, const struct journal_read *a)
{
    (void)a;
    add(q, "SELECT " UPLOAD_COLUMNS " FROM asset_uploads u WHERE u.id=:id LIMIT :limit");
}

static void columns(struct query *q, const struct journal_read *a, bool lines)
{
    bool whole = a->whole || a->kind == READ_RUN;

    add(q, a->brief ? "SELECT " RUN_BRIEF_COLUMNS : "SELECT " RUN_COLUMNS);
    add(q, whole ? ",t.event,t.input" : ",NULL,NULL");
    add(q, lines ? ",l.line FROM lines l JOIN runs r ON r.id = l.run_id" : ",0 FROM runs r");
    if (whole)
        add(q, " LEFT JOIN run_texts t ON t.id = r.id");
    add(q, " WHERE 1");
}

/* States are numbers of ours, not words from outside; written out so that the partial indexes serve. */
static void state_filter(struct query *q, int state)
{
    char *term;

    if (state < 0)
        return;
    term = sqlite3_mprintf(" AND r.state=%d%s", state,
                           state < 4 ? " AND state < 4" : state <= 8 && state >= 5 ? " AND state IN (5,6,7,8)" : "");
    add(q, term != NULL ? term : "");
    sqlite3_free(term);
}

static void states_filter(struct query *q, const struct journal_read *a)
{
    char word[24];

    if (a->states == 0)
        return;
    add(q, " AND r.state IN (");
    for (int i = 0, first = 1; i < RUN_STATES; i++) {
        if ((a->states & (1u << i)) == 0)
            continue;
        (void)snprintf(word, sizeof word, "%s%d", first ? "" : ",", i);
        add(q, word);
        first = 0;
    }
    add(q, ")");
    /* Written out so that the partial indexes serve. */
    if (a->states >> RUN_COMPLETED == 0)
        add(q, " AND state < 4");
    else if ((a->states & ~((1u << RUN_FAILED | 1u << RUN_CANCELED | 1u << RUN_TIMED_OUT | 1u << RUN_LOST))) == 0)
        add(q, " AND state IN (5,6,7,8)");
    if (a->stopping >= 0)
        add(q, a->stopping ? " AND (r.stop_as<>0 OR r.drain<>0)" : " AND r.stop_as=0 AND r.drain=0");
    if (a->begun >= 0)
        add(q, a->begun ? " AND r.started<>0" : " AND r.started=0");
}

static void build(struct query *q, const struct journal_read *a)
{
    static void (*const others[])(struct query *q, const struct journal_read *a) = {
        [READ_ITEMS] = build_items, [READ_STEP_RUNS] = build_step_runs, [READ_ITEM_FILES] = build_item_files,
        [READ_DELIVERIES] = build_deliveries, [READ_CALLBACKS] = build_callbacks, [READ_ASSETS] = build_assets, [READ_UPLOADS] = build_uploads };

    if (a->kind < sizeof others / sizeof *others && others[a->kind] != NULL) {
        others[a->kind](q, a);
        return;
    }
    columns(q, a, a->kind == READ_LINES);
    switch (a->kind) {
    case READ_RUN:
        add(q, " AND r.id=:id");
        return;
    case READ_LINES:
        add(q, " AND l.target=:target AND l.line>:after ORDER BY l.line LIMIT :limit");
        return;
    default:
        break;
    }
    if (a->process != NULL)
        add(q, " AND r.process=:process");
    if (a->workspace != NULL)
        add(q, " AND r.workspace=:workspace");
    if (a->trigger_kind != NULL)
        add(q, " AND r.trigger_kind=:kind");
    if (a->trigger_name != NULL)
        add(q, " AND r.trigger_name=:name");
    if (a->since_ms > 0)
        add(q, " AND r.accepted>=:since");
    if (a->until_ms > 0)
        add(q, " AND r.accepted<:until");
    if (a->before_id != NULL)
        add(q, " AND r.id<:before");
    state_filter(q, a->state);
    states_filter(q, a);
    add(q, " ORDER BY r.id DESC LIMIT :limit");
}

static void bind_text(struct query *q, const char *name, const char *value)
{
    int at = sqlite3_bind_parameter_index(q->st, name);

    if (at > 0)
        (void)sqlite3_bind_text(q->st, at, value, -1, SQLITE_STATIC);
}

static void bind_int(struct query *q, const char *name, int64_t value)
{
    int at = sqlite3_bind_parameter_index(q->st, name);

    if (at > 0)
        (void)sqlite3_bind_int64(q->st, at, value);
}

static void bind_all(struct query *q, const struct journal_read *a)
{
    bind_text(q, ":id", a->id);
    bind_text(q, ":process", a->process);
    bind_text(q, ":workspace", a->workspace);
    bind_int(q, ":kind", a->trigger_kind != NULL ? (int64_t)trigger_kind_from_name(a->trigger_kind) : 0);
    bind_text(q, ":name", a->kind == READ_ASSETS ? a->name : a->trigger_name);
    bind_text(q, ":before", a->before_id);
    bind_text(q, ":target", a->target);
    bind_text(q, ":ids", a->ids);
    bind_text(q, ":run", a->run_id);
    bind_int(q, ":after", a->after_line);
    bind_int(q, ":row", a->before_row);
    bind_int(q, ":since", a->since_ms);
    bind_int(q, ":until", a->until_ms);
    bind_int(q, ":limit", (int64_t)a->limit + 1);
}

static char *copy_at(sqlite3_stmt *row, int column, bool *failed)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    char *copy = text != NULL ? strdup(text) : NULL;

    *failed = *failed || (text != NULL && copy == NULL);
    return copy;
}

static struct journal_row *new_row(struct journal_read *a)
{
    struct journal_row *rows = reallocarray(a->rows, a->count + 1, sizeof *rows);

    if (rows == NULL)
        return NULL;
    a->rows = rows;
    rows[a->count] = (struct journal_row) { 0 };
    return &rows[a->count++];
}

static int take_item(struct journal_read *a, sqlite3_stmt *st)
{
    struct journal_row *row = new_row(a);
    struct item_record lent;

    row_to_item(st, &lent);
    return row != NULL ? item_record_copy(&row->item, &lent) : BF_ENOMEM;
}

static int take_step_run(struct journal_read *a, sqlite3_stmt *st)
{
    struct journal_row *row = new_row(a);
    struct step_record lent;

    row_to_step_run(st, &lent);
    return row != NULL ? step_record_copy(&row->step_run, &lent) : BF_ENOMEM;
}

static int take_item_file(struct journal_read *a, sqlite3_stmt *st)
{
    struct journal_row *row = new_row(a);
    struct item_file lent;

    row_to_item_file(st, &lent);
    return row != NULL ? item_file_copy(&row->file, &lent) : BF_ENOMEM;
}

static int take_row(struct journal_read *a, sqlite3_stmt *st)
{
    struct journal_row *row = new_row(a);
    struct run_record lent;
    bool failed = false;

    row_to_run(st, &lent);
    if (row == NULL || run_record_copy(&row->run, &lent) != 0)
        return BF_ENOMEM;
    row->event = copy_at(st, RUN_COLUMN_COUNT, &failed);
    row->input = copy_at(st, RUN_COLUMN_COUNT + 1, &failed);
    row->line = sqlite3_column_int64(st, RUN_COLUMN_COUNT + 2);
    return failed ? BF_ENOMEM : 0;
}

static int take_delivery(struct journal_read *a, sqlite3_stmt *st)
{
    struct journal_row *row = new_row(a);
    struct delivery_record lent;

    row_to_delivery(st, &lent);
    return row != NULL ? delivery_record_copy(&row->delivery, &lent) : BF_ENOMEM;
}

static int take_callback(struct journal_read *a, sqlite3_stmt *st)
{
    struct journal_row *row = new_row(a);
    struct callback_record lent;

    row_to_callback(st, &lent);
    return row != NULL ? callback_record_copy(&row->callback, &lent) : BF_ENOMEM;
}

static int take_asset(struct journal_read *a, sqlite3_stmt *st)
{
    struct journal_row *row = new_row(a);
    struct asset_record lent;

    row_to_asset(st, &lent);
    return row != NULL ? asset_record_copy(&row->asset, &lent) : BF_ENOMEM;
}

static int take_upload(struct journal_read *a, sqlite3_stmt *st)
{
    struct journal_row *row = new_row(a);
    struct asset_upload lent;

    row_to_upload(st, &lent);
    return row != NULL ? asset_upload_copy(&row->upload, &lent) : BF_ENOMEM;
}

static int take(struct journal_read *a, sqlite3_stmt *st)
{
    switch (a->kind) {
    case READ_ITEMS: return take_item(a, st);
    case READ_STEP_RUNS: return take_step_run(a, st);
    case READ_ITEM_FILES: return take_item_file(a, st);
    case READ_DELIVERIES: return take_delivery(a, st);
    case READ_CALLBACKS: return take_callback(a, st);
    case READ_ASSETS: return take_asset(a, st);
    case READ_UPLOADS: return take_upload(a, st);
    default: return take_row(a, st);
    }
}

static size_t row_bytes(sqlite3_stmt *st)
{
    size_t bytes = 0;

    for (int i = 0; i < sqlite3_column_count(st); i++) {
        if (sqlite3_column_type(st, i) == SQLITE_TEXT)
            bytes += (size_t)sqlite3_column_bytes(st, i);
    }
    return bytes;
}

/* All rows, or as many as may be: then more is set. SQLite's word for how it ended. */
static int take_all(struct journal_read *a, sqlite3_stmt *st, int *status)
{
    size_t bytes = 0;
    int rc;

    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        bytes += a->bytes > 0 ? row_bytes(st) : 0;
        a->more = a->kind != READ_RUN && (a->count == a->limit || (a->count > 0 && bytes > a->bytes));
        if (a->more)
            return SQLITE_DONE;
        *status = take(a, st);
        if (*status != 0)
            break;
    }
    return rc;
}

void row_close(struct journal_row *row)
{
    run_record_close(&row->run);
    item_record_close(&row->item);
    step_record_close(&row->step_run);
    item_file_close(&row->file);
    delivery_record_close(&row->delivery);
    callback_record_close(&row->callback);
    asset_record_close(&row->asset);
    asset_upload_close(&row->upload);
    free(row->event);
    free(row->input);
}

static int fetch(struct journal *j, sqlite3 *db, struct journal_read *a)
{
    struct query q = { 0 };
    int status = 0, rc = SQLITE_NOMEM;

    build(&q, a);
    if (q.sql != NULL)
        rc = sqlite3_prepare_v2(db, q.sql, -1, &q.st, NULL);
    if (rc == SQLITE_OK) {
        bind_all(&q, a);
        rc = take_all(a, q.st, &status);
    }
    if (status == 0 && rc != SQLITE_DONE)
        status = error_set(&a->error, store_code(rc), "cannot read %s: %s", j->path, sqlite3_errmsg(db));
    (void)sqlite3_finalize(q.st);
    sqlite3_free(q.sql);
    if (status == 0 && a->kind == READ_RUN && a->count == 0)
        status = error_set(&a->error, BF_ENOENT, "there is no run %s", a->id);
    return status;
}

static int open_reader(const struct journal *j, sqlite3 **db)
{
    int rc = sqlite3_open_v2(j->path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(*db, "PRAGMA query_only=1;PRAGMA cache_size=-256;PRAGMA mmap_size=0", NULL, NULL, NULL);
    (void)sqlite3_busy_timeout(*db, 5000);
    return rc;
}

static struct read_request *next_request(struct journal *j)
{
    struct read_request *request;

    pthread_mutex_lock(&j->read_mutex);
    while ((request = STAILQ_FIRST(&j->reads)) == NULL && !j->read_stop)
        (void)pthread_cond_wait(&j->read_wake, &j->read_mutex);
    if (request != NULL)
        STAILQ_REMOVE_HEAD(&j->reads, next);
    pthread_mutex_unlock(&j->read_mutex);
    return request;
}

void *reader_main(void *journal)
{
    struct journal *j = journal;
    struct read_request *request;
    sqlite3 *db = NULL;

    while ((request = next_request(j)) != NULL) {
        struct journal_read *a = &request->asked;

        if (db == NULL && open_reader(j, &db) != SQLITE_OK) {
            a->error.code = error_set(&a->error, BF_EIO, "cannot open %s for reading: %s", j->path, sqlite3_errmsg(db));
            (void)sqlite3_close(db);
            db = NULL;
        } else {
            a->error.code = fetch(j, db, a);
        }
        pthread_mutex_lock(&j->read_mutex);
        STAILQ_INSERT_TAIL(&j->answered, request, next);
        pthread_mutex_unlock(&j->read_mutex);
        (void)uv_async_send(&j->async);
    }
    (void)sqlite3_close(db);
    return NULL;
}
