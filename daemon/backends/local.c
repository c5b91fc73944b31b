/* The local backend: its operations and its table of live supervisors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "local_internal.h"

const struct local_task *local_task_of(const struct local *b, const char *run_id)
{
    return b->task != NULL ? b->task(b->owner, run_id) : NULL;
}

/* A step run's lies in that of its run. */
char *local_folder(const struct local *b, const char *run_id)
{
    const struct local_task *task = local_task_of(b, run_id);
    char *run = file_join(b->runs_dir, task != NULL ? task->run_id : run_id), *folder;

    if (task == NULL || run == NULL)
        return run;
    folder = file_join(run, run_id);
    free(run);
    return folder;
}

struct local_run *local_run_find(const struct local *b, const char *run_id)
{
    struct local_run *run;

    HASH_FIND_STR(b->runs, run_id, run);
    return run;
}

struct local_run *local_run_add(struct local *b, const char *run_id, unsigned attempt, pid_t pid, int pidfd, bool child)
{
    struct local_run *run = calloc(1, sizeof *run);

    if (run == NULL)
        abort();
    memcpy(run->id, run_id, strnlen(run_id, ID_SIZE - 1));
    run->backend = b;
    run->attempt = attempt;
    run->pid = pid;
    run->pidfd = pidfd;
    run->child = child;
    run->report_fd = -1;
    HASH_ADD_STR(b->runs, id, run);
    b->working++;
    return run;
}

static void maybe_closed(struct local *b);

void local_work_done(struct local *b)
{
    b->working--;
    maybe_closed(b);
}

void local_handle_closed(uv_handle_t *handle)
{
    struct local_run *run = handle->data;
    struct local *b = run->backend;

    if (--run->handles > 0)
        return;
    (void)close(run->pidfd);
    buf_close(&run->report);
    free(run);
    local_work_done(b);
}

void local_run_drop(struct local_run *run)
{
    HASH_DEL(run->backend->runs, run);
    if (run->report_fd >= 0) {
        uv_close((uv_handle_t *)&run->report_poll, local_handle_closed);
        (void)close(run->report_fd);
        run->report_fd = -1;
    }
    uv_close((uv_handle_t *)&run->exit_poll, local_handle_closed);
}

/* --- forgetting --------------------------------------------------------------------------------------------------- */

struct removal {
    uv_work_t work;
    struct local *backend;
    char *path;
    struct error error;
};

static void remove_folder(uv_work_t *work)
{
    struct removal *r = work->data;

    (void)file_remove_tree(r->path, &r->error);
}

static void removed(uv_work_t *work, int status)
{
    struct removal *r = work->data;
    struct local *b = r->backend;

    (void)status;
    if (r->error.code != 0)
        log_warning("%s", r->error.text);
    free(r->path);
    free(r);
    local_work_done(b);
}

/* The name is free before the call returns: a retry makes the folder anew, perhaps before the old one is removed. */
static void forget(struct backend *base, const char *run_id)
{
    struct local *b = (struct local *)base;
    struct removal *r = calloc(1, sizeof *r);
    char *folder = local_folder(b, run_id);

    if (r == NULL || folder == NULL)
        abort();
    if (file_set_aside(folder, &r->path, &r->error) != 0)
        log_warning("%s", r->error.text);
    free(folder);
    if (r->path == NULL) {
        free(r);
        return;
    }
    r->backend = b;
    r->work.data = r;
    b->working++;
    if (uv_queue_work(b->loop, &r->work, remove_folder, removed) != 0)
        abort();
}

static char *console(struct backend *base, const char *run_id)
{
    char *folder = local_folder((struct local *)base, run_id);
    char *path = folder != NULL ? file_join(folder, "console.log") : NULL;

    free(folder);
    return path;
}

static const char *trouble(struct backend *base)
{
    (void)base;
    return NULL;
}

static void configure(struct backend *base, const struct workspace_config *workspace)
{
    ((struct local *)base)->workspace = workspace;
}

/* --- opening, closing --------------------------------------------------------------------------------------------- */

static void later_closed(void *data)
{
    struct local *b = data;
    void (*closed)(void *data) = b->closed;
    void *closed_data = b->closed_data;

    free(b->runs_dir);
    free(b->program);
    free(b);
    closed(closed_data);
}

static void maybe_closed(struct local *b)
{
    if (b->closing && b->working == 0)
        later_close(&b->later, later_closed, b);
}

/* Runs go on: their supervisors keep what matters until a daemon asks again. */
static void close_backend(struct backend *base, void (*closed)(void *data), void *data)
{
    struct local *b = (struct local *)base;
    struct local_run *run, *next;

    b->closed = closed;
    b->closed_data = data;
    HASH_ITER(hh, b->runs, run, next)
        local_run_drop(run);
    b->closing = true;
    maybe_closed(b);
}

static const struct backend_ops local_ops = {
    .start = local_start,
    .find = local_find,
    .follow = local_follow,
    .stop = local_stop,
    .collect = local_collect,
    .forget = forget,
    .console = console,
    .trouble = trouble,
    .configure = configure,
    .close = close_backend,
};

struct local *local_new(uv_loop_t *loop, const char *runs_dir, const char *program, const struct workspace_config *workspace,
                        const struct backend_reports *reports)
{
    struct local *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    b->runs_dir = strdup(runs_dir);
    b->program = strdup(program);
    if (b->runs_dir == NULL || b->program == NULL) {
        free(b->runs_dir);
        free(b->program);
        free(b);
        return NULL;
    }
    b->base.ops = &local_ops;
    b->base.reports = reports;
    b->loop = loop;
    b->workspace = workspace;
    later_init(&b->later, loop);
    return b;
}
