/* Identities that need the bytes: read on the thread pool. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "watch_internal.h"

struct hash_job {
    uv_work_t work;
    struct watch *watch;
    struct sighting seen;
    char sha256[65];
    int status;
    struct error error;
    char *path;                /* below the folder */
    char full[];
};

static void read_file(uv_work_t *work)
{
    struct hash_job *job = work->data;
    const struct file_bounds bounds = { .max = INT64_MAX, .stop = &job->watch->room->closing };
    int64_t size;

    job->status = file_sha256_within(job->full, &bounds, job->sha256, &size, &job->error);
}

/* What was read is what is there: else it has changed meanwhile, and is looked at anew. */
static void judge(struct watch *w, struct watch_look *look, const struct hash_job *job)
{
    struct watch_file *file = look->file;
    struct sighting now;
    char identity[128];

    if (!watch_stat(w, file->path, &now)) {
        watch_look_end(look);
        return;
    }
    if (look->again || job->status != 0 || watch_stat_hash(&now) != watch_stat_hash(&job->seen)) {
        if (job->status != 0)
            log_warning("watch %s: %s", w->config->name, job->error.text);
        look->again = false;
        watch_look_again(look, time_mono_ms() + (job->status != 0 ? 5000 : 0));
        return;
    }
    settle_identity(&now, job->sha256, identity);
    if (file->state != FILE_NEW && watch_same_version(file->identity, identity)) {
        file->stat_hash = watch_stat_hash(&now);   /* touched, not changed */
        watch_look_end(look);
        return;
    }
    memcpy(look->sha256, job->sha256, sizeof look->sha256);
    watch_ready(look);
}

static void hashed(uv_work_t *work, int status)
{
    struct hash_job *job = work->data;
    struct watch *w = job->watch;
    struct watch_room *room = w->room;
    struct watch_file *file = watch_is_idle(w) ? NULL : watch_file_find(w, job->path);

    if (status != 0)
        job->status = BF_ECANCELED;
    if (file != NULL && file->look != NULL && file->look->busy) {
        file->look->busy = false;
        judge(w, file->look, job);
        watch_ring_all(w);
    }
    free(job->path);
    free(job);
    watch_unref(w);
    watch_let_go(room);
}

void watch_hash(struct watch_look *look)
{
    struct watch *w = look->timed.watch;
    char full[PATH_MAX];
    struct hash_job *job = calloc(1, sizeof *job + sizeof full);

    if (job == NULL || !watch_full_path(w, look->file->path, full) || (job->path = strdup(look->file->path)) == NULL) {
        free(job);
        watch_look_again(look, time_mono_ms() + 5000);
        return;
    }
    memcpy(job->full, full, sizeof full);
    job->work.data = job;
    job->watch = w;
    job->seen = look->settling.seen;
    look->busy = true;
    w->refs++;
    w->room->open++;
    uv_queue_work(w->room->loop, &job->work, read_file, hashed);
}
