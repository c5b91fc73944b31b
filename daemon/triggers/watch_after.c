/* What is done to a file when its run has ended: kept, deleted or moved, on the thread pool, and only while it is the very
 * version that fired. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "watch_internal.h"

#define RETRY_MS 30000
#define NUMBERS_MAX 10000

enum act_result { ACT_KEPT, ACT_GONE, ACT_FAILED };

struct act {
    struct timed timed;            /* first: waits here for another try */
    uv_work_t work;
    struct config *config;         /* held */
    const struct after_config *after;
    uint64_t stat_hash;            /* of the version that fired; 0: only its identity is known */
    char run_id[ID_SIZE];
    char *path, *full, *identity;
    enum act_result result;
    struct error error;
};

/* --- runs whose end is waited for --------------------------------------------------------------------------------- */

static struct watch_run *run_need(struct watch *w, const char *run_id, enum run_state known)
{
    struct watch_run *run;

    HASH_FIND_STR(w->room->runs, run_id, run);
    if (run != NULL)
        return run;
    run = calloc(1, sizeof *run);
    if (run == NULL)
        return NULL;
    run->watch = w;
    run->known = known;
    memcpy(run->id, run_id, strnlen(run_id, ID_SIZE - 1));
    HASH_ADD_STR(w->room->runs, id, run);
    return run;
}

int watch_run_add(struct watch *w, const char *run_id, const char *path, const char *identity, enum run_state known)
{
    struct watch_run *run = run_need(w, run_id, known);
    struct watch_run_file *file;

    if (run == NULL)
        return BF_ENOMEM;
    if (run->count == run->cap) {
        size_t cap = run->cap == 0 ? 1 : run->cap * 2;

        file = realloc(run->files, cap * sizeof *file);
        if (file == NULL)
            return BF_ENOMEM;
        run->files = file;
        run->cap = cap;
    }
    file = &run->files[run->count];
    file->path = strdup(path);
    file->identity = strdup(identity);
    run->count++;
    return file->path != NULL && file->identity != NULL ? 0 : BF_ENOMEM;
}

void watch_run_free(struct watch_run *run)
{
    HASH_DEL(run->watch->room->runs, run);
    for (size_t i = 0; i < run->count; i++) {
        free(run->files[i].path);
        free(run->files[i].identity);
    }
    free(run->files);
    free(run);
}

/* --- on the pool -------------------------------------------------------------------------------------------------- */

static struct file_bounds until_closing(const struct act *act)
{
    return (struct file_bounds) { .max = INT64_MAX, .stop = &act->timed.watch->room->closing };
}

static bool is_the_version(struct act *act)
{
    const struct file_bounds bounds = until_closing(act);
    struct sighting s = { 0 };
    char identity[128], sha256[65];
    struct stat st;
    int64_t size;

    if (lstat(act->full, &st) != 0) {
        act->result = errno == ENOENT || errno == ENOTDIR ? ACT_GONE : ACT_KEPT;
        return false;
    }
    if (!S_ISREG(st.st_mode))
        return false;
    s = (struct sighting) { .size = st.st_size, .inode = st.st_ino, .device = st.st_dev,
                            .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec };
    if (act->stat_hash != 0)
        return act->stat_hash == watch_stat_hash(&s);
    if (strncmp(act->identity, "sha256:", 7) != 0) {
        settle_identity(&s, NULL, identity);
    } else {
        if (file_sha256_within(act->full, &bounds, sha256, &size, &act->error) != 0)
            return false;
        settle_identity(&s, sha256, identity);
    }
    return watch_same_version(identity, act->identity);
}

/* 0, or an errno; EEXIST when the name is taken. */
static int move_to(struct act *act, const char *target)
{
    const struct file_bounds bounds = until_closing(act);
    struct stat st;

    if (renameat2(AT_FDCWD, act->full, AT_FDCWD, target, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EXDEV && errno != EINVAL)   /* EINVAL: this file system cannot promise not to replace */
        return errno;
    if (lstat(act->full, &st) != 0)
        return errno;
    if (lstat(target, &(struct stat) { 0 }) == 0)
        return EEXIST;
    if (file_copy_within(act->full, target, st.st_mode & 0777, &bounds, &act->error) != 0)
        return act->error.code == BF_EEXIST ? EEXIST : act->error.code == BF_ENOSPC ? ENOSPC : EIO;
    return unlink(act->full) == 0 ? 0 : errno;
}

static int move_away(struct act *act)
{
    const char *name = strrchr(act->full, '/') + 1;
    char target[PATH_MAX], numbered[FILE_NAME_MAX + 1];
    int errnum = EEXIST;

    if (file_make_dirs(act->after->dir, 0750, &act->error) != 0)
        return act->error.code == BF_ENOSPC ? ENOSPC : EACCES;
    for (unsigned k = 1; errnum == EEXIST && k < NUMBERS_MAX; k++) {
        if (k > 1)
            file_numbered_name(name, k, numbered);
        if (snprintf(target, sizeof target, "%s/%s", act->after->dir, k > 1 ? numbered : name) >= (int)sizeof target)
            return ENAMETOOLONG;
        errnum = move_to(act, target);
    }
    return errnum;
}

static void act_out(uv_work_t *work)
{
    struct act *act = work->data;
    bool deletes = act->after->kind == AFTER_DELETE;
    int errnum;

    act->result = ACT_KEPT;
    act->error = (struct error) { 0 };
    if (!is_the_version(act))
        return;
    errnum = !deletes ? move_away(act) : unlink(act->full) == 0 ? 0 : errno;
    act->result = errnum == 0 || errnum == ENOENT ? ACT_GONE : ACT_FAILED;
    if (act->result != ACT_FAILED)
        act->error = (struct error) { 0 };
    else if (deletes)
        error_errno(&act->error, errnum, "cannot delete %s", act->full);
    else
        error_errno(&act->error, errnum, "cannot move %s to %s", act->full, act->after->dir);
}

/* --- on the loop -------------------------------------------------------------------------------------------------- */

static void act_free(struct act *act)
{
    struct watch *w = act->timed.watch;
    struct watch_room *room = w->room;

    config_release(act->config);
    free(act->path);
    free(act->full);
    free(act->identity);
    free(act);
    watch_unref(w);
    watch_let_go(room);
}

void watch_act_free(struct timed *timed)
{
    act_free((struct act *)(void *)timed);
}

static void file_is_done(struct watch *w, const char *path, const char *identity, const char *run_id, bool gone)
{
    struct watch_file *file = watch_file_find(w, path);
    bool replaced = file != NULL && (file->state != FILE_FIRED || strcmp(file->identity, identity) != 0);

    if (replaced)   /* a newer version has fired meanwhile: the record is its */
        return;
    watch_note_file(w, path, identity, run_id, gone ? FILE_NEW : FILE_DONE);
    if (file == NULL)
        return;
    file->state = gone ? FILE_NEW : FILE_DONE;
    if (gone && file->look == NULL)
        watch_file_forget(w, file);
}

static void acted_out(uv_work_t *work, int status)
{
    struct act *act = work->data;
    struct watch *w = act->timed.watch;

    if (watch_is_idle(w) || status != 0) {   /* still FIRED in the journal: acted out at the next start */
        act_free(act);
        return;
    }
    if (act->error.code != 0) {
        log_error("watch %s: %s", w->config->name, act->error.text);
        w->last_word = "a file could not be put away";
    }
    if (act->result == ACT_FAILED && (act->error.code == BF_ENOSPC || act->error.code == BF_EIO)) {
        watch_timed_at(&act->timed, time_mono_ms() + RETRY_MS);
        return;
    }
    file_is_done(w, act->path, act->identity, act->run_id, act->result == ACT_GONE);
    watch_write(w->room);
    act_free(act);
}

void watch_act_retry(struct timed *timed)
{
    struct act *act = (struct act *)(void *)timed;

    uv_queue_work(timed->watch->room->loop, &act->work, act_out, acted_out);
}

/* A newer version may have fired since: that one is its own run's. */
static void act_on(struct watch *w, const struct watch_run_file *of, const char *run_id, const struct after_config *after)
{
    const char *path = of->path;
    struct watch_file *file = path != NULL ? watch_file_find(w, path) : NULL;
    char full[PATH_MAX];
    struct act *act;

    if (file == NULL || file->state != FILE_FIRED || of->identity == NULL || strcmp(file->identity, of->identity) != 0 ||
        !watch_full_path(w, path, full))
        return;
    if (after == NULL || after->kind == AFTER_KEEP) {
        file_is_done(w, path, file->identity, run_id, false);
        return;
    }
    act = calloc(1, sizeof *act);
    if (act == NULL || (act->path = strdup(path)) == NULL || (act->full = strdup(full)) == NULL ||
        (act->identity = strdup(file->identity)) == NULL) {
        log_error("watch %s: out of memory: %s is put away at the next start", w->config->name, full);
        if (act != NULL) {
            free(act->path);
            free(act->full);
        }
        free(act);
        return;
    }
    heap_node_init(&act->timed.node);
    act->timed.run = watch_act_retry;
    act->timed.watch = w;
    act->work.data = act;
    act->config = config_hold(w->config_held);
    act->after = after;
    act->stat_hash = file->stat_hash;
    memcpy(act->run_id, run_id, strnlen(run_id, ID_SIZE - 1));
    w->refs++;
    w->room->open++;
    uv_queue_work(w->room->loop, &act->work, act_out, acted_out);
}

void watch_run_act(struct watch_run *run, enum run_state state)
{
    struct watch *w = run->watch;
    const struct after_config *after = state == RUN_COMPLETED ? &w->config->success : &w->config->failure;

    if (state == RUN_SKIPPED || state == RUN_STATES)
        after = NULL;
    for (size_t i = 0; i < run->count; i++)
        act_on(w, &run->files[i], run->id, after);
    watch_run_free(run);
    watch_write(w->room);
}

void watch_run_ended(struct watch_room *room, const struct run_record *record)
{
    struct watch_run *run;

    if (record->trigger_kind != TRIGGER_WATCH || room->closing || !run_state_is_end(record->state))
        return;
    HASH_FIND_STR(room->runs, record->id, run);
    if (run != NULL)
        watch_run_act(run, record->state);
}
