/* Reading whole folders: the truth behind the hints. Read on the thread pool, judged on the loop, some at a time. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/buf.h"
#include "belfry/base/log.h"
#include "watch_internal.h"

#define TURN_MAX 2000   /* entries judged in one turn of the loop */

/* One thing found, followed by its name and a NUL in the buffer. */
struct scanned {
    struct sighting sighting;
    uint32_t name_len;
    bool is_folder;
};

struct scan_result {
    uv_work_t work;
    struct scan_result *next;
    struct watch *watch;
    struct config *config;            /* held: the watch's may change meanwhile */
    const struct watch_config *settings;
    struct buf found;
    size_t at;                        /* judged so far */
    int errnum;
    char *path;                       /* below the watch's folder */
    char full[PATH_MAX];
};

static void sight(const struct stat *st, struct sighting *s)
{
    *s = (struct sighting) { .size = st->st_size,
                             .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
                             .inode = st->st_ino, .device = st->st_dev };
}

bool watch_stat(const struct watch *w, const char *path, struct sighting *sighting)
{
    char full[PATH_MAX];
    struct stat st;

    if (!watch_full_path(w, path, full) || lstat(full, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    sight(&st, sighting);
    return true;
}

/* --- on the pool -------------------------------------------------------------------------------------------------- */

static void take_entry(struct scan_result *r, int dir_fd, const struct dirent *entry)
{
    bool maybe_folder = r->settings->recursive && entry->d_name[0] != '.' &&
                        (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
    bool maybe_file = (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN) &&
                      watch_name_counts(r->settings, entry->d_name);
    struct scanned found = { .name_len = (uint32_t)strlen(entry->d_name) };
    struct stat st;

    if ((!maybe_folder && !maybe_file) || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return;
    if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    found.is_folder = S_ISDIR(st.st_mode) && maybe_folder;
    if (!found.is_folder && !(S_ISREG(st.st_mode) && maybe_file))
        return;
    sight(&st, &found.sighting);
    buf_add(&r->found, &found, sizeof found);
    buf_add(&r->found, entry->d_name, found.name_len + 1);
}

static void read_folder(uv_work_t *work)
{
    struct scan_result *r = work->data;
    int fd = open(r->full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (r->path[0] != '\0' ? O_NOFOLLOW : 0));
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (dir == NULL) {
        r->errnum = errno;
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    while (errno = 0, (entry = readdir(dir)) != NULL)
        take_entry(r, fd, entry);
    r->errnum = buf_failed(&r->found) ? ENOMEM : errno;
    (void)closedir(dir);
}

/* --- on the loop -------------------------------------------------------------------------------------------------- */

static void result_free(struct scan_result *r)
{
    struct watch *w = r->watch;
    struct watch_room *room = w->room;

    buf_close(&r->found);
    config_release(r->config);
    free(r->path);
    free(r);
    watch_unref(w);
    watch_let_go(room);
}

/* There before the watch was ever looked at, and to be left alone. */
static void ignore(struct watch *w, const char *path, const struct sighting *s)
{
    struct watch_file *file = watch_file_need(w, path);
    char identity[128];

    settle_identity(s, NULL, identity);
    if (file == NULL || watch_file_record(file, FILE_IGNORED, identity, watch_stat_hash(s)) != 0) {
        w->scan_failed = w->scan_again = true;
        return;
    }
    watch_note_file(w, path, identity, NULL, FILE_IGNORED);
}

static void judge_file(struct watch *w, const char *path, const struct sighting *s)
{
    struct watch_file *file = watch_file_find(w, path);

    if (file != NULL) {
        file->scan = w->scan;
        if (watch_file_is_known(w, file, s))
            return;
    }
    if (file == NULL && w->first && !w->config->existing)
        ignore(w, path, s);
    else
        watch_hint(w, path, HINT_SEEN);
}

static void judge_folder(struct watch *w, const char *path)
{
    char full[PATH_MAX];

    if (!watch_full_path(w, path, full) || watch_is_target(w, full))
        return;
    watch_dir_add(w, path);   /* before it is read: what comes later is announced */
    watch_scan_dir(w, path);
}

/* How many of `most` were judged. */
static int judge_some(struct scan_result *r, int most)
{
    struct watch *w = r->watch;
    int count = 0;

    for (; count < most && r->at < r->found.len; count++) {
        struct scanned found;
        char path[PATH_MAX];
        const char *name;

        memcpy(&found, r->found.data + r->at, sizeof found);
        name = r->found.data + r->at + sizeof found;
        r->at += sizeof found + found.name_len + 1;
        if (snprintf(path, sizeof path, "%s%s%s", r->path, r->path[0] != '\0' ? "/" : "", name) >= (int)sizeof path) {
            log_warning("watch %s: the path of %s is too long: it is left out", w->config->name, name);
            continue;
        }
        if (found.is_folder)
            judge_folder(w, path);
        else
            judge_file(w, path, &found.sighting);
    }
    return count;
}

static void forget_gone(struct watch *w)
{
    struct watch_file *file, *next;

    HASH_ITER(hh, w->files, file, next) {
        if (file->scan != w->scan)
            watch_file_is_gone(w, file->path);
    }
}

static void scan_is_done(struct watch *w)
{
    if (!w->scan_failed) {
        forget_gone(w);
        if (w->first) {
            w->first = false;
            watch_note_first(w);
        }
    }
    watch_write(w->room);
    if (w->polling && !w->scan_again)
        watch_timed_at(&w->poll, time_mono_ms() + w->config->poll_interval_ms);
    if (w->scan_again)
        watch_scan(w);
    watch_ring_all(w);
}

static void folder_is_unreadable(struct watch *w, const struct scan_result *r)
{
    bool is_root = r->path[0] == '\0';

    if (!is_root && (r->errnum == ENOENT || r->errnum == ENOTDIR || r->errnum == ELOOP))
        return;   /* gone since */
    w->scan_failed = true;
    if (!is_root || w->there)
        log_warning("watch %s: cannot read %s: %s", w->config->name, r->full, strerror(r->errnum));
    if (!is_root)
        return;
    w->there = false;
    w->last_word = "the folder cannot be read";
    if (!w->polling)
        watch_timed_at(&w->poll, time_mono_ms() + 5000);
}

static void results_idle(uv_idle_t *idle)
{
    struct watch_room *room = idle->data;
    struct scan_result *r = room->results_first;
    int left = TURN_MAX;

    while (r != NULL && left > 0) {
        struct watch *w = r->watch;

        if (!watch_is_idle(w) && r->errnum == 0 && r->at < r->found.len) {
            left -= judge_some(r, left);
            if (r->at < r->found.len)
                break;
        }
        room->results_first = r->next;
        if (r->next == NULL)
            room->results_last = NULL;
        w->scan_jobs--;
        if (!watch_is_idle(w)) {
            if (r->errnum != 0)
                folder_is_unreadable(w, r);
            else if (w->polling)
                w->there = true;
            if (w->scan_jobs == 0)
                scan_is_done(w);
            else
                watch_ring_all(w);
        }
        result_free(r);
        r = room->results_first;
    }
    if (r == NULL)
        uv_idle_stop(idle);
    watch_write(room);
}

static void folder_read(uv_work_t *work, int status)
{
    struct scan_result *r = work->data;
    struct watch_room *room = r->watch->room;

    if (status != 0)
        r->errnum = EINTR;
    if (room->closing) {
        result_free(r);
        return;
    }
    r->next = NULL;
    if (room->results_last != NULL)
        room->results_last->next = r;
    else
        room->results_first = r;
    room->results_last = r;
    uv_idle_start(&room->idle, results_idle);
}

void watch_results_free(struct watch_room *room)
{
    struct scan_result *r = room->results_first;

    room->results_first = room->results_last = NULL;
    while (r != NULL) {
        struct scan_result *next = r->next;

        result_free(r);
        r = next;
    }
}

void watch_scan_dir(struct watch *w, const char *path)
{
    struct scan_result *r = calloc(1, sizeof *r);

    if (r == NULL || (r->path = strdup(path)) == NULL || !watch_full_path(w, path, r->full)) {
        log_error("watch %s: %s cannot be scanned: out of memory, or its path is too long", w->config->name, path);
        if (r != NULL)
            free(r->path);
        free(r);
        w->scan_failed = true;
        return;
    }
    r->work.data = r;
    r->watch = w;
    r->config = config_hold(w->config_held);
    r->settings = w->config;
    w->refs++;
    w->room->open++;
    w->scan_jobs++;
    uv_queue_work(w->room->loop, &r->work, read_folder, folder_read);
}

void watch_scan(struct watch *w)
{
    if (watch_is_idle(w) || w->paused)
        return;
    w->scan_again = w->scan_jobs > 0;
    if (w->scan_again)
        return;
    w->scan++;
    w->scan_failed = false;
    watch_scan_dir(w, "");
}
