/* Which folders are watched, and what inotify says of them (inotify(7)). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "belfry/base/log.h"
#include "watch_internal.h"

#define MASK (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | \
              IN_ONLYDIR | IN_EXCL_UNLINK)
/* Of the folders above one that is there, only that they go matters: their files are nobody's business here. */
#define GUARD_MASK (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define LOST (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)
#define READ_SIZE 65536
#define READS_MAX 64             /* in one turn of the loop */
#define RETRY_MS 5000            /* a folder that is there and cannot be watched */
#define OPEN_TRIES 16

/* --- descriptors and the folders behind them ---------------------------------------------------------------------- */

static void dir_remove(struct watch_dir *dir)
{
    struct watch_room *room = dir->watch->room;
    struct wd_entry *entry = dir->entry;

    LIST_REMOVE(dir, of_watch);
    LIST_REMOVE(dir, of_wd);
    free(dir);
    if (!LIST_EMPTY(&entry->dirs))
        return;
    (void)inotify_rm_watch(room->fd, entry->wd);   /* fails when the kernel was first: the folder is gone */
    HASH_DEL(room->wds, entry);
    free(entry);
}

static struct wd_entry *entry_need(struct watch_room *room, int wd)
{
    struct wd_entry *entry;

    HASH_FIND_INT(room->wds, &wd, entry);
    if (entry != NULL)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->wd = wd;
    LIST_INIT(&entry->dirs);
    HASH_ADD_INT(room->wds, wd, entry);
    return entry;
}

static struct watch_dir *dir_of(const struct wd_entry *entry, const struct watch *w)
{
    struct watch_dir *dir;

    LIST_FOREACH(dir, &entry->dirs, of_wd) {
        if (dir->watch == w)
            return dir;
    }
    return NULL;
}

/* 0 or an errno. `path` is what the watch calls it; above the folder: the name that is waited for, or that leads down. A
 * folder that several watches look at hears all that any of them wants to (IN_MASK_ADD). */
static int dir_watch(struct watch *w, const char *full, const char *path, bool above, uint32_t mask)
{
    size_t size = strlen(path) + 1;
    int wd = inotify_add_watch(w->room->fd, full, mask | IN_MASK_ADD | (path[0] != '\0' && !above ? IN_DONT_FOLLOW : 0));
    struct wd_entry *entry;
    struct watch_dir *dir;

    if (wd < 0)
        return errno;
    entry = entry_need(w->room, wd);
    dir = entry != NULL ? calloc(1, sizeof *dir + size) : NULL;
    if (dir == NULL)
        return ENOMEM;
    if (dir_of(entry, w) != NULL) {   /* the same folder again, or under another name after a move */
        struct watch_dir *old = dir_of(entry, w);

        LIST_REMOVE(old, of_watch);
        LIST_REMOVE(old, of_wd);
        free(old);
    }
    dir->watch = w;
    dir->entry = entry;
    dir->above = above;
    memcpy(dir->path, path, size);
    LIST_INSERT_HEAD(&w->dirs, dir, of_watch);
    LIST_INSERT_HEAD(&entry->dirs, dir, of_wd);
    return 0;
}

void watch_root_close(struct watch *w)
{
    while (!LIST_EMPTY(&w->dirs))
        dir_remove(LIST_FIRST(&w->dirs));
    w->there = false;
}

static void remove_tree(struct watch *w, const char *path)
{
    size_t len = strlen(path);
    struct watch_dir *dir = LIST_FIRST(&w->dirs);

    while (dir != NULL) {
        struct watch_dir *next = LIST_NEXT(dir, of_watch);

        if (strncmp(dir->path, path, len) == 0 && (dir->path[len] == '\0' || dir->path[len] == '/'))
            dir_remove(dir);
        dir = next;
    }
}

/* --- opening a folder --------------------------------------------------------------------------------------------- */

/* File systems whose other writers this kernel does not see (statfs(2)). */
static bool is_remote(const char *path)
{
    static const unsigned long types[] = { 0x6969 /* NFS */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */, 0x517b /* SMB */,
                                           0x65735546 /* FUSE */, 0x01021997 /* 9p */, 0x5346414f /* AFS */,
                                           0x00c36400 /* Ceph */, 0x786f4256 /* VirtualBox */ };
    struct statfs fs;

    if (statfs(path, &fs) != 0)
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (((unsigned long)fs.f_type & 0xffffffff) == types[i])
            return true;
    }
    return false;
}

static void begin_polling(struct watch *w, const char *why)
{
    if (!w->polling)
        log_notice("watch %s: %s is looked through every %lld ms: %s", w->config->name, w->root,
                   (long long)w->config->poll_interval_ms, why);
    w->polling = true;
    watch_root_close(w);
}

/* Watches the nearest folder above that exists, for the name that leads down. True when that name came meanwhile. */
static bool wait_above(struct watch *w)
{
    char above[PATH_MAX], name[PATH_MAX], below[PATH_MAX];
    struct stat st;
    char *slash;

    if (snprintf(above, sizeof above, "%s", w->root) >= (int)sizeof above)
        return false;
    while ((slash = strrchr(above, '/')) != NULL) {
        memcpy(below, above, sizeof below);
        memcpy(name, slash + 1, strlen(slash + 1) + 1);
        *(slash == above ? slash + 1 : slash) = '\0';
        if (dir_watch(w, above, name, true, MASK) == 0)
            return stat(below, &st) == 0 && S_ISDIR(st.st_mode);
        if (strcmp(above, "/") == 0)
            break;
    }
    watch_timed_at(&w->poll, time_mono_ms() + RETRY_MS);
    return false;
}

/* A folder does not hear that one above it was renamed: those are watched for that. One that may not be read cannot be,
 * and then only a restart or a reload would notice. */
static void guard_above(struct watch *w)
{
    char above[PATH_MAX], name[PATH_MAX];
    char *slash;

    if (snprintf(above, sizeof above, "%s", w->root) >= (int)sizeof above)
        return;
    while ((slash = strrchr(above, '/')) != NULL && slash != above) {
        memcpy(name, slash + 1, strlen(slash + 1) + 1);
        *slash = '\0';
        (void)dir_watch(w, above, name, true, GUARD_MASK);
    }
}

static void say_not_there(struct watch *w, int errnum)
{
    log_warning("watch %s: %s cannot be watched (%s); waiting for it", w->config->name, w->root, strerror(errnum));
    w->last_word = "waiting for the folder";
}

/* One try: 0, or an errno. */
static int try_root(struct watch *w)
{
    struct stat st;
    int errnum;

    if (w->config->mode == WATCH_POLL)
        begin_polling(w, "mode = poll");
    else if (w->config->mode == WATCH_AUTO && is_remote(w->root))
        begin_polling(w, "other machines' changes to it are not announced");
    else
        w->polling = false;
    errnum = w->polling ? 0 : dir_watch(w, w->root, "", false, MASK);
    if (errnum == ENOSPC || errnum == ENOMEM) {
        begin_polling(w, "the limit of inotify watches is reached (raise fs.inotify.max_user_watches)");
        errnum = 0;
    }
    if (errnum == 0 && stat(w->root, &st) != 0)
        errnum = errno;
    if (errnum == 0 && !S_ISDIR(st.st_mode))
        errnum = ENOTDIR;
    if (errnum != 0)
        return errnum;
    w->root_device = st.st_dev;
    w->root_inode = st.st_ino;
    if (!w->polling)
        guard_above(w);
    return 0;
}

void watch_root_open(struct watch *w)
{
    bool was_there = w->there;
    int errnum = 0;

    watch_root_close(w);
    watch_timed_at(&w->poll, INT64_MAX);
    if (w->paused)
        return;
    for (int i = 0; i < OPEN_TRIES; i++) {
        errnum = try_root(w);
        if (errnum == 0) {
            w->there = true;
            w->last_word = NULL;
            watch_scan(w);
            return;
        }
        watch_root_close(w);
        if (w->polling || (errnum != ENOENT && errnum != ENOTDIR) || !wait_above(w))
            break;
    }
    if (was_there || w->last_word == NULL)
        say_not_there(w, errnum);
    if (w->polling || (errnum != ENOENT && errnum != ENOTDIR))
        watch_timed_at(&w->poll, time_mono_ms() + (w->polling ? w->config->poll_interval_ms : RETRY_MS));
    if (w->first) {   /* what comes from now on was not there at the first start */
        w->first = false;
        watch_note_first(w);
        watch_write(w->room);
    }
}

void watch_dir_add(struct watch *w, const char *path)
{
    char full[PATH_MAX];
    int errnum;

    if (w->polling || !watch_full_path(w, path, full))
        return;
    errnum = dir_watch(w, full, path, false, MASK);
    if (errnum == ENOSPC || errnum == ENOMEM) {
        begin_polling(w, "the limit of inotify watches is reached (raise fs.inotify.max_user_watches)");
        w->there = true;
        w->scan_again = true;
    } else if (errnum != 0 && errnum != ENOENT && errnum != ENOTDIR) {
        log_warning("watch %s: cannot watch %s: %s", w->config->name, full, strerror(errnum));
    }
}

/* --- what inotify says -------------------------------------------------------------------------------------------- */

static void folder_event(struct watch *w, const char *path, const char *name, uint32_t mask)
{
    char full[PATH_MAX];

    if (!w->config->recursive || name[0] == '.')
        return;
    if (mask & (IN_DELETE | IN_MOVED_FROM))
        remove_tree(w, path);
    if (!(mask & (IN_CREATE | IN_MOVED_TO)) || !watch_full_path(w, path, full) || watch_is_target(w, full))
        return;
    watch_dir_add(w, path);
    watch_scan_dir(w, path);
}

static void file_event(struct watch *w, const char *dir, const char *path, const char *name, uint32_t mask)
{
    char subject[NAME_MAX + 1], beside[PATH_MAX];

    if (watch_name_is_marker(w->config, name, subject)) {
        if (!(mask & (IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE)))
            return;
        if (subject[0] == '\0')
            watch_scan_dir(w, dir);
        else if (watch_name_counts(w->config, subject) &&
                 snprintf(beside, sizeof beside, "%s%s%s", dir, dir[0] != '\0' ? "/" : "", subject) < (int)sizeof beside)
            watch_hint(w, beside, HINT_SEEN);
        return;
    }
    if (!watch_name_counts(w->config, name))
        return;
    if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO))
        watch_hint(w, path, HINT_CLOSED);
    else if (mask & IN_CREATE)
        watch_hint(w, path, HINT_APPEARED);
    else if (mask & (IN_DELETE | IN_MOVED_FROM))
        watch_file_is_gone(w, path);
}

/* May free dir. */
static void dir_event(struct watch_dir *dir, uint32_t mask, const char *name)
{
    struct watch *w = dir->watch;
    char in[PATH_MAX], path[PATH_MAX];

    if (dir->above) {
        if ((mask & LOST) || ((mask & (IN_CREATE | IN_MOVED_TO)) && strcmp(name, dir->path) == 0))
            watch_root_open(w);
        return;
    }
    if (mask & LOST) {
        mask &= LOST;
        if (dir->path[0] == '\0')
            watch_root_open(w);
        else if (mask != IN_MOVE_SELF)   /* of a move, the folder above has told already */
            dir_remove(dir);
        return;
    }
    if (name[0] == '\0')
        return;
    if (snprintf(in, sizeof in, "%s", dir->path) >= (int)sizeof in ||
        snprintf(path, sizeof path, "%s%s%s", in, in[0] != '\0' ? "/" : "", name) >= (int)sizeof path)
        return;
    if (mask & IN_ISDIR)
        folder_event(w, path, name, mask);
    else
        file_event(w, in, path, name, mask);
}

static void queue_overflowed(struct watch_room *room)
{
    struct watch *w;

    log_notice("watches: more happened than inotify could hold; all watched folders are scanned");
    LIST_FOREACH(w, &room->watches, of_room) {
        if (w->polling || w->paused)
            continue;
        w->overflows++;
        watch_root_open(w);   /* folders may have come and gone unseen, too */
    }
}

static void one_event(struct watch_room *room, const struct inotify_event *event)
{
    struct wd_entry *entry;
    struct watch_dir *dir, *next;

    if (event->mask & IN_Q_OVERFLOW) {
        queue_overflowed(room);
        return;
    }
    HASH_FIND_INT(room->wds, &event->wd, entry);
    if (entry == NULL)
        return;
    for (dir = LIST_FIRST(&entry->dirs); dir != NULL; dir = next) {
        next = LIST_NEXT(dir, of_wd);   /* another watch's: this one's event does not touch it */
        dir_event(dir, event->mask, event->len > 0 ? event->name : "");
    }
}

void watch_inotify_read(uv_poll_t *poll, int status, int events)
{
    struct watch_room *room = poll->data;
    _Alignas(struct inotify_event) static char bytes[READ_SIZE];
    struct watch *w;

    (void)status;
    (void)events;
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t got = read(room->fd, bytes, sizeof bytes);

        if (got <= 0)
            break;
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)(bytes + at);

            at += (ssize_t)(sizeof *event + event->len);
            one_event(room, event);
        }
    }
    LIST_FOREACH(w, &room->watches, of_room) {
        if (w->scan_again && w->scan_jobs == 0)
            watch_scan(w);
        watch_ring_all(w);
    }
    watch_write(room);
}

/* A disk that is mounted over a watched folder, or away from it, is not announced by inotify. */
void watch_mounts_changed(uv_poll_t *poll, int status, int events)
{
    struct watch_room *room = poll->data;
    struct watch *w;

    (void)status;
    (void)events;
    LIST_FOREACH(w, &room->watches, of_room) {
        struct stat st;
        bool there = stat(w->root, &st) == 0 && S_ISDIR(st.st_mode);

        if (w->paused)
            continue;
        if (there != w->there || (there && (st.st_dev != w->root_device || st.st_ino != w->root_inode)))
            watch_root_open(w);
        else if (there && w->config->recursive)
            watch_scan(w);
    }
    watch_write(room);
}
