/*
 * Files that are whole or not there, and names from outside that cannot climb out of a folder.
 */
#ifndef BELFRY_BASE_FILE_H
#define BELFRY_BASE_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"

#define FILE_NAME_MAX 200

/* Makes a safe file name of a remote one: only its last component's characters count as text; '/', control characters,
 * bytes that are not UTF-8 and a leading '.' or '-' become %XX; at most FILE_NAME_MAX bytes, cut before the extension;
 * empty becomes "unnamed". The result is never "." or "..", and has no '/'. */
void file_safe_name(const char *name, size_t len, char out[FILE_NAME_MAX + 1]);
/* The k-th alternative for a taken name: "report.csv", 2 → "report-2.csv". Cut to FILE_NAME_MAX. */
void file_numbered_name(const char *name, unsigned k, char out[FILE_NAME_MAX + 1]);

/* Makes a folder and those above it (mode 0750 each, an existing folder is fine). 0 or BF_E…. */
int file_make_dirs(const char *path, mode_t mode, struct error *err);
/* The whole of a regular file, at most max bytes (BF_ETOOBIG). */
int file_read(const char *path, size_t max, struct buf *into, struct error *err);
/* Writes to a temporary name beside path, fsyncs, renames over path, fsyncs the folder. */
int file_write_atomic(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err);
/* Writes a new file (O_EXCL), and leaves its fsync to file_sync_all. */
int file_write_unsynced(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err);
/* fsync of a folder, by path. */
int file_sync_dir(const char *path, struct error *err);
/* Syncs the whole file system that path is on, whoever wrote there: cheaper than an fsync each for very many files, dearer for a few. */
int file_sync_all(const char *path, struct error *err);
/* Removes a folder and all below it without following links; what is not there is no error. */
int file_remove_tree(const char *path, struct error *err);
/* Gives path a name that nothing else has, hidden beside it: its own is free at once, and the rest can be removed at leisure.
 * *aside: the new path (heap), NULL when there was nothing. */
int file_set_aside(const char *path, char **aside, struct error *err);
/* Such a name: whatever bears it is to be removed, now or after a crash. */
bool file_is_aside(const char *name);
/* How far a copy or a hash goes that may take long. */
struct file_bounds {
    int64_t max;                 /* bytes: a file that has more, or gets more meanwhile, is BF_ETOOBIG */
    const atomic_bool *stop;     /* set by another thread: BF_ECANCELED at the next piece; NULL: nobody sets it */
    bool unsynced;               /* a copy gets no fsync: for what no power cut outlives anyhow, or file_sync_all */
};

/* Copies a regular file (copy_file_range, then read/write; holes stay holes) to a new file `to` (O_EXCL), fsyncs it. */
int file_copy(const char *from, const char *to, mode_t mode, struct error *err);
int file_copy_within(const char *from, const char *to, mode_t mode, const struct file_bounds *bounds, struct error *err);
/* The same from an open file; `from` is its name for errors. */
int file_copy_fd(int in, const char *from, const char *to, mode_t mode, const struct file_bounds *bounds, struct error *err);
/* Opens "a/b/c" below an open folder for reading, segment after segment: no link is followed and no ".." taken, so that
 * it stays below. A descriptor, or -1 with errno. */
int file_open_below(int dir, const char *path);
/* SHA-256 of a file as lower-case hex, and its size. */
int file_sha256(const char *path, char hex[65], int64_t *size, struct error *err);
int file_sha256_within(const char *path, const struct file_bounds *bounds, char hex[65], int64_t *size, struct error *err);
/* "dir/name" on the heap; name alone when it is absolute. NULL when out of memory. */
char *file_join(const char *dir, const char *name);

#endif
