/*
 * The journal: SQLite in WAL mode with synchronous=FULL, written by one thread of its own. All commits that wait are one
 * transaction (group commit): a thousand firings at one instant cost one fsync, and a commit that is refused (a claim
 * that lives) takes none of the others with it. Reads have a thread and a read-only connection of their own, so a long
 * listing delays no commit. Nothing wakes while nothing is asked.
 *
 * When the disk is full or fails, commits that are not `must` fail at once with the reason; `must` commits wait, in
 * order, and are tried again every second until they are durable. journal_health tells.
 */
#ifndef BELFRY_STORE_JOURNAL_H
#define BELFRY_STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "belfry/base/error.h"
#include "belfry/core/record.h"

struct journal;

/* Opens or makes state_dir/belfry.db (mode 0600), takes the lock that keeps a second daemon out (BF_EEXIST), brings the
 * schema up to date. Blocking: at start only. */
int journal_open(uv_loop_t *loop, const char *state_dir, struct journal **journal, struct error *err);

/* Ends after all commits taken so far have had their callback (must commits that cannot be written get BF_ESHUTDOWN);
 * then closed(data) is called on the loop and the journal is gone. */
void journal_close(struct journal *journal, void (*closed)(void *data), void *data);

/* Takes a commit: durable before its callback, in the order in which they were given. Loop thread only. */
void journal_commit(struct journal *journal, struct commit *commit);

/* A burst is over: gives the memory of caches back, in the background. */
void journal_rest(struct journal *journal);

struct journal_health {
    bool writable;            /* the last try worked */
    char problem[256];        /* else why not */
    uint64_t commits;         /* made durable since the start */
    uint64_t transactions;    /* in so many groups */
    size_t waiting;           /* taken and not yet durable */
};
void journal_health(struct journal *journal, struct journal_health *health);

/* --- at start, blocking, before the first commit ------------------------------------------------------------------ */

/* Every run that has not ended, oldest first. each owns nothing: it copies what it keeps. Returns 0, or what each
 * returned. */
int journal_each_open_run(struct journal *journal, int (*each)(void *data, const struct run_record *run), void *data,
                          struct error *err);
int journal_each_cursor(struct journal *journal, const char *kind,
                        int (*each)(void *data, const char *name, int64_t value), void *data, struct error *err);
int journal_each_pause(struct journal *journal,
                       int (*each)(void *data, const char *kind, const char *name, int64_t value), void *data,
                       struct error *err);
/* The files of a watch; run_state is the state of the file's run (RUN_STATES when there is none). */
int journal_each_file(struct journal *journal, const char *watch,
                      int (*each)(void *data, const char *path, const char *identity, enum file_state state,
                                  const char *run_id, enum run_state run_state),
                      void *data, struct error *err);

/* The flows of the open runs: their step runs, then their items in the order in which they were made. */
struct flow_reader {
    void *data;
    int (*step_run)(void *data, const struct step_record *run);
    int (*item)(void *data, const struct item_record *item);
};
int journal_each_flow(struct journal *journal, const struct flow_reader *reader, struct error *err);

int journal_each_hook(struct journal *journal, int (*each)(void *data, const struct hook_record *hook), void *data, struct error *err);
/* Of the runs that are open, or have lines that wait. */
int journal_each_callback(struct journal *journal, int (*each)(void *data, const struct callback_record *callback), void *data,
                          struct error *err);
int journal_has_deliveries(struct journal *journal, bool *has, struct error *err);
int journal_each_key(struct journal *journal, int (*each)(void *data, const struct key_record *key), void *data,
                     struct error *err);

/* --- reads, answered on the loop thread --------------------------------------------------------------------------- */

struct journal_read;
/* status 0 or BF_ENOENT or BF_EIO; never called before the call has returned. */
typedef void (*journal_read_cb)(struct journal_read *read, int status);

enum journal_read_kind {
    READ_RUN,            /* id → rows[0] with event and input */
    READ_RUNS,           /* filter → rows, newest first, without event and input unless `whole` */
    READ_ITEMS,          /* ids, or run_id: all that it has, in order; or workspace and process: items that wait, the oldest
                          * first (whole: those that wait or go through a run, the newest first) → rows with `item` */
    READ_STEP_RUNS,      /* id, or run_id: all of the run, or ids: of those runs → rows with `step_run`, in order */
    READ_ITEM_FILES,     /* id, or ids of items (whole: of the files, an asset's too), or run_id → rows with `file` */
    READ_DELIVERIES,     /* since_ms: now → rows with `delivery`, in the order of their time. No workspace has more than eight of them, and
                          * of those none more than four that go to one place: the next of each, what is due before what is not */
    READ_CALLBACKS,      /* id: of a run → rows with `callback` */
    READ_ASSETS,         /* workspace, and id, or name, or (before_id: the last one had) a page → rows with `asset` */
    READ_UPLOADS,        /* id → rows with `upload` */
    READ_LINES,          /* target, after_line, limit → rows of runs whose line has not gone yet, oldest first */
};

struct journal_row {
    struct run_record run;
    char *event;
    char *input;
    struct item_record item;
    struct step_record step_run;
    struct item_file file;
    struct delivery_record delivery;
    struct callback_record callback;
    struct asset_record asset;
    struct asset_upload upload;
    int64_t line;        /* READ_LINES: the line's number */
};

struct journal_read {
    enum journal_read_kind kind;
    /* what is asked; strings are copied */
    char id[ID_SIZE];
    const char *process;        /* filters; NULL: any */
    const char *workspace;
    const char *trigger_kind;
    const char *trigger_name;
    int state;                  /* enum run_state, or -1: any */
    unsigned states;            /* bits of enum run_state; 0: any */
    int stopping;               /* with states: 1 those that were asked to stop, 0 the others, -1 all */
    int begun;                  /* likewise of those that have begun */
    int64_t since_ms;           /* accepted at or after */
    int64_t until_ms;
    const char *before_id;      /* the page after this run, or asset */
    int64_t before_row;         /* READ_ITEMS, whole: after the item that had this row; 0: the first page */
    const char *ids;            /* a JSON array of ids; then none of the filters counts */
    const char *run_id;
    const char *name;           /* READ_ASSETS */
    const char *target;
    int64_t after_line;
    size_t limit;
    size_t bytes;               /* of what is read: the row that would be beyond, and is not the first, waits for the next page; 0: any */
    bool whole;
    bool brief;                 /* without what a list does not show: memo, result, remote names, messages */
    journal_read_cb cb;
    void *data;
    /* what is answered: the journal's until the callback returns */
    struct journal_row *rows;
    size_t count;
    bool more;                  /* there would have been more than limit, or bytes */
    struct error error;
};

/* Owned by the caller until the callback. */
void journal_read(struct journal *journal, struct journal_read *read);

/* Forgets runs that ended before until_ms, with all that belongs to them, and items of no run that were done before; claims that are
 * over; announced files and asset uploads of more than a day ago. A run whose lines or messages wait stays. At most limit rows of
 * each kind: a commit in the background, then done(data, count) on the loop: how many of the kind of which most went. */
void journal_prune(struct journal *journal, int64_t until_ms, size_t limit, void (*done)(void *data, size_t count),
                   void *data);

#endif
