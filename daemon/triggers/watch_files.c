/* The files of a watch: which versions are known, and the looks at those that may be new. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/log.h"
#include "watch_internal.h"

/* How long a file that a writer holds open is left alone between looks; its close is seen at once where inotify works. */
#define HELD_MIN_MS 1000
#define HELD_MAX_MS 30000
/* Looks at files that came together are taken together. */
#define TICK_MS 16
/* A file whose creation was seen but never its close, where nobody can tell whether it is open still. */
#define NEVER_CLOSED_MS 60000

struct watch_file *watch_file_find(const struct watch *w, const char *path)
{
    struct watch_file *file;

    HASH_FIND_STR(w->files, path, file);
    return file;
}

struct watch_file *watch_file_need(struct watch *w, const char *path)
{
    struct watch_file *file = watch_file_find(w, path);
    size_t size = strlen(path) + 1;

    if (file != NULL)
        return file;
    file = calloc(1, sizeof *file + size);
    if (file == NULL)
        return NULL;
    memcpy(file->path, path, size);
    file->state = FILE_NEW;
    file->scan = w->scan;
    HASH_ADD_KEYPTR(hh, w->files, file->path, size - 1, file);
    return file;
}

int watch_file_record(struct watch_file *file, uint8_t state, const char *identity, uint64_t stat_hash)
{
    char *copy = strdup(identity);

    if (copy == NULL)
        return BF_ENOMEM;
    free(file->identity);
    file->identity = copy;
    file->state = state;
    file->stat_hash = stat_hash;
    return 0;
}

void watch_file_forget(struct watch *w, struct watch_file *file)
{
    if (file->look != NULL)
        watch_look_free(file->look);
    HASH_DEL(w->files, file);
    free(file->identity);
    free(file);
}

void watch_files_free(struct watch *w)
{
    struct watch_file *file, *next;

    HASH_ITER(hh, w->files, file, next)
        watch_file_forget(w, file);
}

uint64_t watch_stat_hash(const struct sighting *s)
{
    const uint64_t parts[] = { (uint64_t)s->size, (uint64_t)s->mtime_ns, s->inode };   /* a device is numbered anew */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        hash = (hash ^ parts[i]) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    return hash != 0 ? hash : 1;
}

/* The device at the end is left out: the same disk may have another number after a reboot or a mount. */
static size_t telling_part(const char *identity)
{
    const char *end = strrchr(identity, '-');

    return end != NULL && strncmp(identity, "sha256:", 7) != 0 ? (size_t)(end - identity) : strlen(identity);
}

bool watch_same_version(const char *a, const char *b)
{
    size_t len = telling_part(a);

    return len == telling_part(b) && memcmp(a, b, len) == 0;
}

bool watch_file_is_known(const struct watch *w, const struct watch_file *file, const struct sighting *s)
{
    char identity[128];

    (void)w;
    if (file->state == FILE_NEW)
        return false;
    if (file->stat_hash != 0)
        return file->stat_hash == watch_stat_hash(s);
    settle_identity(s, NULL, identity);
    return watch_same_version(file->identity, identity);
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

static struct watch_look *look_new(struct watch *w, struct watch_file *file)
{
    struct watch_look *look = calloc(1, sizeof *look);

    if (look == NULL)
        return NULL;
    look->timed.run = watch_look_run;
    look->timed.watch = w;
    heap_node_init(&look->timed.node);
    look->file = file;
    file->look = look;
    w->looks++;
    return look;
}

void watch_look_free(struct watch_look *look)
{
    struct watch *w = look->timed.watch;

    watch_timed_at(&look->timed, INT64_MAX);
    watch_unready(look);
    look->file->look = NULL;
    w->looks--;
    free(look);
}

void watch_look_end(struct watch_look *look)
{
    struct watch *w = look->timed.watch;
    struct watch_file *file = look->file;

    watch_look_free(look);
    if (file->state == FILE_NEW)
        watch_file_forget(w, file);
}

void watch_look_again(struct watch_look *look, int64_t mono_ms)
{
    watch_timed_at(&look->timed, mono_ms);
}

enum writer { WRITER_NONE, WRITER_THERE, WRITER_UNKNOWN };

/* A read lease is only given while nobody has the file open for writing (fcntl(2)). It is let go at once; should a writer
 * come in between, the signal that tells of it is one that is ignored. */
static enum writer find_writer(const struct watch *w, const char *path)
{
    enum writer found = WRITER_UNKNOWN;
    char full[PATH_MAX];
    int fd;

    if (!watch_full_path(w, path, full))
        return WRITER_UNKNOWN;
    fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return WRITER_UNKNOWN;
    if (fcntl(fd, F_SETSIG, SIGURG) == 0) {
        if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
            found = WRITER_NONE;
            (void)fcntl(fd, F_SETLEASE, F_UNLCK);
        } else if (errno == EAGAIN) {
            found = WRITER_THERE;
        }
    }
    (void)close(fd);
    return found;
}

/* It has kept still, and nobody saw it closed: true when it is left alone for longer. */
static bool is_still_written(struct watch *w, struct watch_look *look, int64_t mono_ms)
{
    int64_t still_ms = mono_ms - look->settling.since_ms;
    int64_t wait_ms = still_ms < HELD_MIN_MS ? HELD_MIN_MS : still_ms > HELD_MAX_MS ? HELD_MAX_MS : still_ms;
    enum writer writer = find_writer(w, look->file->path);
    bool hopes = writer == WRITER_UNKNOWN && look->appeared && still_ms < NEVER_CLOSED_MS;

    if (writer != WRITER_THERE && !hopes)
        return false;
    watch_look_again(look, mono_ms + wait_ms);
    return true;
}

/* Recorded while the watch told versions apart by their bytes: they are compared so once more. */
static bool is_known_by_hash(const struct watch_file *file)
{
    return file->state != FILE_NEW && strncmp(file->identity, "sha256:", 7) == 0;
}

static void look_at(struct watch *w, struct watch_look *look, bool closed)
{
    int64_t mono_ms = time_mono_ms();
    bool marked = w->config->marker != NULL;
    struct sighting s;
    int64_t wait_ms;

    watch_unready(look);
    if (!watch_stat(w, look->file->path, &s) || watch_file_is_known(w, look->file, &s)) {
        watch_look_end(look);
        return;
    }
    if (settle_look(&look->settling, &s, mono_ms, w->config->settle_ms, closed, marked,
                    marked && watch_marker_there(w, look->file->path), &wait_ms) == SETTLE_WAIT) {
        watch_look_again(look, wait_ms == INT64_MAX ? INT64_MAX : (mono_ms + wait_ms) / TICK_MS * TICK_MS + TICK_MS);
        return;
    }
    if (!marked && !look->settling.closed && is_still_written(w, look, mono_ms))
        return;
    watch_timed_at(&look->timed, INT64_MAX);
    look->sha256[0] = '\0';
    if (w->config->identity == WATCH_BY_SHA256 || is_known_by_hash(look->file))
        watch_hash(look);
    else
        watch_ready(look);
}

void watch_look_run(struct timed *timed)
{
    struct watch_look *look = (struct watch_look *)(void *)timed;
    struct watch *w = timed->watch;

    if (watch_is_idle(w) || w->paused)
        return;
    look_at(w, look, false);   /* what is ready rings when all looks that are due have been taken: in order, in batches */
}

void watch_hint(struct watch *w, const char *path, enum hint hint)
{
    struct watch_file *file;
    struct watch_look *look;

    if (w->paused)
        return;
    file = watch_file_need(w, path);
    look = file == NULL ? NULL : file->look != NULL ? file->look : look_new(w, file);
    if (look == NULL) {
        log_error("watch %s: out of memory at %s: the folder is scanned again", w->config->name, path);
        w->scan_again = true;
        return;
    }
    look->again = look->busy;
    if (look->busy || look->ready)   /* what is ready is looked at once more before it rings */
        return;
    if (hint == HINT_APPEARED)
        look->appeared = true;
    look_at(w, look, hint == HINT_CLOSED);
}

void watch_file_is_gone(struct watch *w, const char *path)
{
    struct watch_file *file = watch_file_find(w, path);
    struct sighting s;

    if (file == NULL || watch_stat(w, path, &s))
        return;
    if (file->look != NULL && file->look->busy) {
        file->look->again = true;
        return;
    }
    if (file->state == FILE_FIRED) {   /* its run has not ended */
        if (file->look != NULL)
            watch_look_free(file->look);
        return;
    }
    if (file->state != FILE_NEW)
        watch_note_file(w, path, NULL, NULL, FILE_NEW);
    watch_file_forget(w, file);
}
