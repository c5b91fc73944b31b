/*
 * Inside the watches.
 *
 *   watch.c         the room, configurations, persons
 *   watch_recall.c  what the journal knows of them at the start
 *   watch_dirs.c    inotify: which folders are watched, what became of them
 *   watch_scan.c    reading whole folders, on the thread pool
 *   watch_files.c   the files that are known, and the looks at those that may be new
 *   watch_hash.c    identities that need the bytes
 *   watch_ring.c    files that are ready: their order, their batches, their firings
 *   watch_after.c   what is done to a file when its run has ended
 *   watch_names.c   which names count
 */
#ifndef BELFRY_TRIGGERS_WATCH_INTERNAL_H
#define BELFRY_TRIGGERS_WATCH_INTERNAL_H

#include <limits.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <uthash.h>

#include "belfry/base/heap.h"
#include "belfry/base/time.h"
#include "belfry/triggers/settle.h"
#include "belfry/triggers/watch.h"
#include "notes.h"

struct watch;

/* Something that wants to be called at a monotonic time. */
struct timed {
    struct heap_node node;
    void (*run)(struct timed *timed);
    struct watch *watch;
};

/* A version of a file that may be new: there while somebody still has to look at it. */
struct watch_look {
    struct timed timed;
    struct watch_file *file;
    struct settling settling;
    char sha256[65];               /* "": not known */
    bool appeared;                 /* its creation was seen, so its close will be */
    bool ready;                    /* in the watch's row of ready files */
    bool busy;                     /* hashed, or its firing is under way */
    bool again;                    /* something happened meanwhile */
};

#define FILE_NEW 0xff              /* no version of it is recorded */

struct watch_file {
    UT_hash_handle hh;
    char *identity;                /* of the recorded version; NULL while FILE_NEW */
    struct watch_look *look;       /* NULL: nothing to do */
    uint64_t stat_hash;            /* of the sighting that identity was made from; 0: not known */
    uint32_t scan;                 /* the last whole scan that saw it */
    uint8_t state;                 /* enum file_state or FILE_NEW */
    char path[];                   /* below the watch's folder */
};

/* A folder with an inotify watch. Two watches may share one, so several of these may share a descriptor. */
struct watch_dir {
    LIST_ENTRY(watch_dir) of_watch;
    LIST_ENTRY(watch_dir) of_wd;
    struct watch *watch;
    struct wd_entry *entry;
    bool above;                    /* not the folder itself: one above it, while it is not there */
    char path[];                   /* below the watch's folder, "" is itself */
};

struct wd_entry {
    UT_hash_handle hh;
    int wd;
    LIST_HEAD(, watch_dir) dirs;
};

/* A version of a file that a run works on; both texts on the heap. */
struct watch_run_file {
    char *path;                    /* below the watch's folder */
    char *identity;
};

/* An admitted run whose end will be acted upon. */
struct watch_run {
    UT_hash_handle hh;
    struct watch *watch;
    char id[ID_SIZE];
    enum run_state known;          /* its state when the daemon started; RUN_QUEUED for those since */
    struct watch_run_file *files;
    size_t count, cap;
};

struct watch {
    LIST_ENTRY(watch) of_room;
    struct watch_room *room;
    struct config *config_held;
    const struct watch_config *config;
    char *root;                    /* absolute */
    size_t refs;                   /* the room's and that of each job and firing under way */
    bool gone;                     /* no longer configured */
    bool paused;
    bool polling;
    bool there;
    bool first;                    /* never looked at before: `existing` decides over what is there */
    bool wanted;                   /* while a configuration is taken */
    dev_t root_device;             /* of the folder as it was opened */
    ino_t root_inode;
    struct watch_file *files;
    size_t looks;
    LIST_HEAD(, watch_dir) dirs;
    struct timed poll;
    uint32_t scan;                 /* number of the scan */
    size_t scan_jobs;              /* folders of it that are still read */
    bool scan_failed;              /* not all could be read: absence proves nothing */
    bool scan_again;
    struct timed retry;            /* after hold_until_ms */
    struct watch_look **ready;     /* [ready_head … ready_count) */
    size_t ready_head, ready_count, ready_cap;
    bool ready_sorted;
    size_t ringing;
    int64_t hold_until_ms;         /* monotonic: a firing could not be written down */
    unsigned tries;
    uint64_t fired, overflows;
    const char *last_word;
};

struct watch_word {
    UT_hash_handle hh;
    bool paused;
    char name[];
};

/* A cursor of the journal: this watch was looked at, at that folder. */
struct watch_memory {
    struct watch_memory *next;
    int64_t root;                  /* hash of the folder's path */
    bool used;
    char name[];
};

struct scan_result;

struct watch_room {
    uv_loop_t *loop;
    struct journal *journal;
    struct bell bell;
    LIST_HEAD(, watch) watches;
    int fd;                        /* inotify */
    uv_poll_t poll;
    int mounts_fd;                 /* -1: mounts cannot be followed */
    uv_poll_t mounts;
    uv_timer_t timer;
    uv_idle_t idle;                /* runs only while scan results wait */
    struct heap heap;
    int64_t timer_at_ms;
    struct wd_entry *wds;
    struct watch_run *runs;
    struct watch_word *words;
    struct scan_result *results_first, *results_last;
    struct notes notes;
    bool configured, started;
    atomic_bool closing;           /* read on the thread pool, too */
    size_t open;
    void (*closed)(void *data);
    void *closed_data;
};

/* watch.c */
void watch_let_go(struct watch_room *room);               /* one thing less that a close waits for */
void watch_unref(struct watch *w);
bool watch_is_idle(const struct watch *w);                 /* nothing is to be done for it: gone, or the room closes */
void watch_timed_at(struct timed *timed, int64_t mono_ms); /* INT64_MAX: never */
void watch_write(struct watch_room *room);                 /* commits the notes */
/* Notes that a watch was looked at for the first time: from now on `existing` decides nothing. */
void watch_note_first(struct watch *w);
/* Notes a file's state; FILE_NEW forgets it. */
void watch_note_file(struct watch *w, const char *path, const char *identity, const char *run_id, uint8_t state);
bool watch_full_path(const struct watch *w, const char *path, char out[PATH_MAX]);

/* watch_recall.c */
int watch_recall(struct watch_room *room, struct watch_memory **memory, struct error *err);   /* cursors and pauses */
int watch_recall_files(struct watch *w, struct error *err);
int watch_set_word(struct watch_room *room, const char *name, bool paused);   /* a person's */

/* watch_names.c */
bool watch_name_counts(const struct watch_config *c, const char *name);
/* True when name is a marker; `subject` is then the name of its file, or "" when it is for all of its folder. */
bool watch_name_is_marker(const struct watch_config *c, const char *name, char subject[NAME_MAX + 1]);
bool watch_marker_there(const struct watch *w, const char *path);
/* True for a folder into which files are moved after their runs: never watched. */
bool watch_is_target(const struct watch *w, const char *full_path);

/* watch_dirs.c */
void watch_inotify_read(uv_poll_t *poll, int status, int events);
void watch_mounts_changed(uv_poll_t *poll, int status, int events);
void watch_root_open(struct watch *w);                     /* watches the folder (or waits for it), and scans it */
void watch_root_close(struct watch *w);
void watch_dir_add(struct watch *w, const char *path);     /* a folder below; scanned by the caller */

/* watch_scan.c */
void watch_scan(struct watch *w);                          /* all of it; once more when one is under way */
void watch_scan_dir(struct watch *w, const char *path);    /* a folder below, with what is in it */
void watch_results_free(struct watch_room *room);
bool watch_stat(const struct watch *w, const char *path, struct sighting *sighting);   /* a regular file, no link */

/* watch_files.c */
struct watch_file *watch_file_find(const struct watch *w, const char *path);
struct watch_file *watch_file_need(struct watch *w, const char *path);
int watch_file_record(struct watch_file *file, uint8_t state, const char *identity, uint64_t stat_hash);
void watch_file_forget(struct watch *w, struct watch_file *file);
uint64_t watch_stat_hash(const struct sighting *s);
/* True when the recorded version is this one, as far as can be told without reading it. */
bool watch_file_is_known(const struct watch *w, const struct watch_file *file, const struct sighting *s);
bool watch_same_version(const char *a, const char *b);
enum hint { HINT_SEEN, HINT_APPEARED, HINT_CLOSED };
void watch_hint(struct watch *w, const char *path, enum hint hint);
void watch_look_again(struct watch_look *look, int64_t mono_ms);
void watch_look_end(struct watch_look *look);              /* nothing more to do; the file stays when it is recorded */
void watch_look_free(struct watch_look *look);
void watch_file_is_gone(struct watch *w, const char *path);
void watch_look_run(struct timed *timed);
void watch_files_free(struct watch *w);

/* watch_hash.c */
void watch_hash(struct watch_look *look);

/* watch_ring.c */
void watch_ready(struct watch_look *look);
void watch_unready(struct watch_look *look);
void watch_ring_all(struct watch *w);

/* watch_after.c */
/* Makes the run, or adds a file to it; paths and identities are copied. */
int watch_run_add(struct watch *w, const char *run_id, const char *path, const char *identity, enum run_state known);
void watch_run_act(struct watch_run *run, enum run_state state);
void watch_run_free(struct watch_run *run);
void watch_act_retry(struct timed *timed);
void watch_act_free(struct timed *timed);                  /* one that waits */

#endif
