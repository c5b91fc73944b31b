/*
 * The store's inside: what its files share. See include/belfry/store/journal.h.
 *
 *   journal.c  opening, closing, handing over between threads    schema.c   tables
 *   write.c    the writing thread: group commit                  records.c  one statement a record kind
 *   read.c     the reading thread                                rows.c     rows to run records; the reads at start
 *   records_refuse.c  what refuses a commit                      records_prune.c  forgetting what is over
 */
#ifndef BELFRY_STORE_INTERNAL_H
#define BELFRY_STORE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <sys/queue.h>

#include "belfry/store/journal.h"

enum statement {
    ST_BEGIN, ST_COMMIT, ST_ROLLBACK,
    ST_RUN_ADD, ST_TEXTS_ADD, ST_RUN_SET, ST_RUN_UNTOLD, ST_RUN_DROP, ST_RUN_TEXTS_DROP, ST_RUN_STEPS_DROP, ST_RUN_FILES_DROP,
    ST_RUN_ITEMS_DROP, ST_RUN_CALLBACK_DROP, ST_CLAIM_GET, ST_CLAIM_PUT, ST_CURSOR_PUT, ST_CURSOR_DROP, ST_FILE_PUT, ST_FILE_DROP,
    ST_FILES_DROP, ST_LINE_ADD, ST_LINE_SENT, ST_PAUSE_PUT, ST_ITEM_ADD, ST_ITEM_PAYLOAD, ST_ITEM_MOVE, ST_ITEM_DROP, ST_ITEM_TAKE,
    ST_ITEM_TAKEN, ST_STEP_RUN, ST_STEP_RUN_DROP, ST_ITEM_FILE, ST_ITEM_FILE_AWAITED, ST_ITEM_FILE_DROP, ST_ITEM_FILES_DROP, ST_HOOK_ADD, ST_HOOK_DROP,
    ST_CALLBACK_ADD, ST_DELIVERY_ADD, ST_DELIVERY_SET, ST_DELIVERY_DROP, ST_ASSET_ADD, ST_ASSET_GET, ST_ASSET_FILE, ST_ASSET_DROP, ST_ASSET_UPLOADS_DROP,
    ST_ASSET_UPLOAD, ST_ASSET_AWAITED, ST_KEY_ADD, ST_KEY_SET,
    ST_KEY_USED, ST_KEY_HIDE, ST_KEY_DROP,
    /* In this order, runs first. */
    ST_PRUNE_RUNS, ST_PRUNE_TEXTS, ST_PRUNE_CLAIMS, ST_PRUNE_ITEMS, ST_PRUNE_STEP_RUNS, ST_PRUNE_ITEM_FILES, ST_PRUNE_CALLBACKS, ST_PRUNE_UPLOADS,
    ST_COUNT
};

/* A request to the writing thread that is no commit. */
struct prune {
    int64_t until_ms;
    size_t limit;
    int64_t now_ms;
    size_t count;
    void (*done)(void *data, size_t count);
    void *data;
    struct prune *next;
};

struct read_request {
    struct journal_read *read;
    struct journal_read asked;     /* with strings of its own */
    STAILQ_ENTRY(read_request) next;
};

STAILQ_HEAD(read_list, read_request);

struct journal {
    uv_loop_t *loop;
    char *path;
    int lock_fd;
    sqlite3 *db;                   /* the only connection that writes */
    sqlite3_stmt *statements[ST_COUNT];
    uv_async_t async;
    size_t outstanding;            /* loop thread: taken and not yet answered */
    bool closing;
    void (*closed)(void *data);
    void *closed_data;

    pthread_t writer;
    pthread_mutex_t mutex;         /* all below, up to reading */
    pthread_cond_t wake;
    struct commit *waiting, **waiting_tail;
    struct commit *done, **done_tail;
    struct prune *prunes, *pruned;
    bool ending;                   /* what cannot be written now is given up */
    bool quit;                     /* nothing is outstanding any more */
    bool rest;                     /* memory that only speeds things up is to be given back */
    struct journal_health health;

    pthread_t reader;
    bool reader_runs;              /* loop thread: it is started with the first read */
    pthread_mutex_t read_mutex;    /* all below */
    pthread_cond_t read_wake;
    struct read_list reads, answered;
    bool read_stop;
};

/* --- schema.c --- */
/* Brings the tables up to date. 0 or a BF_E…. */
int schema_prepare(sqlite3 *db, const char *path, struct error *err);

/* --- records.c --- */
int records_prepare(struct journal *j, struct error *err);
void records_finish(struct journal *j);
/* Runs a statement that gives no rows: SQLITE_DONE or the failure. */
int records_run(struct journal *j, enum statement st);
/* A living claim among the commit's: true, with its run in commit->existing. */
bool records_claimed(struct journal *j, struct commit *commit, int *sqlite_code);
/* Applies all records: SQLITE_DONE, or the failure (the caller undoes). */
void records_text(sqlite3_stmt *st, int at, const char *value);   /* bound until the next step; NULL: null */
void records_bind_claim(sqlite3_stmt *st, const struct record *r);
int records_apply(struct journal *j, const struct commit *commit);
size_t records_prune(struct journal *j, const struct prune *p);

/* --- write.c --- */
void *writer_main(void *journal);
int store_code(int sqlite_code);

/* --- read.c --- */
void *reader_main(void *journal);
void row_close(struct journal_row *row);

/* --- rows.c --- */
#define RUN_COLUMNS "r.id,r.process,r.workspace,r.trigger_kind,r.trigger_name,r.overlap,r.state,r.outcome,r.attempt," \
    "r.failures,r.accepted,r.due,r.not_before,r.started,r.ended,r.exit_code,r.unconfirmed,r.stop_as,r.backend_state," \
    "r.error_code,r.error_message,r.memo,r.remote_id,r.remote_url,r.reason,r.result,r.drain"
#define RUN_COLUMN_COUNT 27
/* The same places, with less in them. */
#define RUN_BRIEF_COLUMNS "r.id,r.process,r.workspace,r.trigger_kind,r.trigger_name,r.overlap,r.state,r.outcome,r.attempt," \
    "r.failures,r.accepted,r.due,r.not_before,r.started,r.ended,r.exit_code,r.unconfirmed,r.stop_as,NULL," \
    "r.error_code,NULL,NULL,NULL,NULL,NULL,NULL,r.drain"
#define ITEM_COLUMNS "w.id,w.workspace,w.process,w.run_id,w.created,w.updated,w.payload,w.step,w.state,w.step_run,w.parent,w.told," \
    "w.exception,w.exception_code,w.exception_message,w.rowid"
#define STEP_COLUMNS "s.id,s.run_id,s.step,s.name,s.state,s.attempt,s.created,s.started,s.ended,s.exit_code,s.forgiven,s.spoke," \
    "s.error_code,s.error_message"
#define DELIVERY_COLUMNS "d.id,d.hook,d.run_id,d.url,d.body,d.created,d.next,d.tries,c.sealed"
#define ASSET_COLUMNS "a.id,a.workspace,a.name,a.file,a.content_type,a.created"
#define UPLOAD_COLUMNS "u.id,u.asset,u.content_type,u.state,u.created"
#define FILE_COLUMNS "f.id,f.item,f.name,f.size,f.there"
/* The columns above as a record; its strings are SQLite's until the next step. */
void row_to_run(sqlite3_stmt *row, struct run_record *run);
void row_to_item(sqlite3_stmt *row, struct item_record *item);
void row_to_step_run(sqlite3_stmt *row, struct step_record *run);
void row_to_delivery(sqlite3_stmt *row, struct delivery_record *delivery);
/* run_id, url, events, sealed */
void row_to_callback(sqlite3_stmt *row, struct callback_record *callback);
void row_to_asset(sqlite3_stmt *row, struct asset_record *asset);
void row_to_upload(sqlite3_stmt *row, struct asset_upload *upload);
void row_to_item_file(sqlite3_stmt *row, struct item_file *file);

#endif
