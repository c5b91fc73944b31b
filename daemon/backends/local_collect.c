/* Results of a local run, gathered on the thread pool: console, artifacts, work items. What the run left is hostile: names
 * are made safe, only regular files are taken, links are not followed, and it takes only so much room. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/text.h"
#include "local_collect.h"

#define DEPTH_MAX 32
#define FILES_MAX 100000
#define CONSOLE_BYTES (INT64_C(10) << 30)   /* belfry-run keeps far less, as long as nobody else writes to it */

/* --- artifacts ---------------------------------------------------------------------------------------------------- */

static void keep_artifact(struct gathering *g, int fd, const char *shown)
{
    char step[FILE_NAME_MAX + 1], safe[FILE_NAME_MAX + 1], hex[65], *dir, *to;
    struct buf below = { 0 };
    int64_t size;

    file_safe_name(g->part->step, strlen(g->part->step), step);
    buf_addf(&below, "artifacts/%s", step);
    dir = file_join(g->dir, buf_str(&below));

    if (++g->files > FILES_MAX) {
        if (g->files == FILES_MAX + 1)
            local_note(g, "more artifacts than %d: the rest is left out", FILES_MAX);
        goto out;
    }
    g->status = dir == NULL ? error_set(&g->error, BF_ENOMEM, "out of memory") : file_make_dirs(dir, 0750, &g->error);
    to = g->status == 0 ? local_free_name(g, dir, shown, safe) : NULL;
    if (to != NULL && local_keep_hashed(g, fd, shown, to, hex, &size)) {
        /* What is made safe is the path: the name is the run's own, as far as it is a text. */
        const char *name = text_is_utf8(shown, strlen(shown)) ? shown : safe;
        json_t *entry = json_pack("{s:s, s:s, s:s++, s:I, s:s}", "step", g->part->step, "name", name, "path", buf_str(&below), "/", safe,
                                  "size", (json_int_t)size, "sha256", hex);

        if (g->items != NULL)
            (void)json_put(entry, "step_run", g->part->id);
        if (json_array_append_new(g->collected.artifacts, entry) != 0)
            g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    }
    free(to);
out:
    free(dir);
    buf_close(&below);
}

static bool wanted(const struct gathering *g, const char *relative)
{
    for (size_t i = 0; i < g->part->globs.count; i++) {
        if (fnmatch(g->part->globs.items[i], relative, FNM_PATHNAME) == 0)
            return true;
    }
    return false;
}

static void walk(struct gathering *g, int dir, const char *relative, bool all, int depth);

/* One name in a folder, opened there and then: a link that takes its place is not followed. */
static void visit(struct gathering *g, int dir, const char *name, const char *relative, bool all, int depth)
{
    bool take = all || wanted(g, relative);
    struct stat st;
    int fd;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (!S_ISDIR(st.st_mode) && !(take && S_ISREG(st.st_mode))) {
        if (take)
            local_note(g, "%s is not a regular file: it is left out", relative);
        return;
    }
    fd = file_open_below(dir, name);
    if (fd < 0 || fstat(fd, &st) != 0)
        local_note(g, "%s cannot be read: %s", relative, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        walk(g, fd, relative, take, depth + 1);
    else if (take && S_ISREG(st.st_mode))
        keep_artifact(g, fd, name);
    if (fd >= 0)
        (void)close(fd);
}

/* Below a folder that a glob names, all is wanted. */
static void walk(struct gathering *g, int dir, const char *relative, bool all, int depth)
{
    struct dirent **names = NULL;
    int count = depth < DEPTH_MAX ? scandirat(dir, ".", &names, NULL, alphasort) : 0;

    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        struct buf inner = { 0 };

        buf_addf(&inner, "%s%s%s", relative, relative[0] != '\0' ? "/" : "", name);
        if (g->files <= FILES_MAX && !local_given_up(g) && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            visit(g, dir, name, buf_str(&inner), all, depth);
        buf_close(&inner);
        free(names[i]);
    }
    free(names);
}

static void keep_artifacts(struct gathering *g)
{
    char *path = file_join(g->part->folder, "work");
    int dir = path != NULL ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

    if (dir >= 0) {
        walk(g, dir, "", false, 0);
        (void)close(dir);
    }
    free(path);
}

/* --- the console -------------------------------------------------------------------------------------------------- */

static void keep_console(struct gathering *g, const char *from, const char *name)
{
    const struct file_bounds bounds = { .max = CONSOLE_BYTES, .stop = &g->backend->closing };
    char *to = file_join(g->dir, name);
    int fd = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (to == NULL)
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    else if (fd >= 0)
        g->status = local_put_file(g, fd, from, to, &bounds);
    else if (errno != ENOENT)
        g->status = error_errno(&g->error, errno, "cannot read %s", from);
    if (g->status == BF_ETOOBIG) {
        g->status = 0;
        local_note(g, "%s is too big: it is left out", name);
    }
    if (fd >= 0)
        (void)close(fd);
    free(to);
}

static void note_console(struct gathering *g, const char *path)
{
    json_t *step;
    size_t i;

    json_array_foreach(g->collected.steps, i, step) {
        if (json_str(step, "id") != NULL && strcmp(json_str(step, "id"), g->part->id) == 0)
            (void)json_object_set_new(step, "console", json_pack("{s:s}", "path", path));
    }
}

/* The step run's own, beside that of the whole run. */
static void keep_part_console(struct gathering *g)
{
    char *from = file_join(g->part->folder, "console.log"), *dir = file_join(g->dir, "console");
    struct buf name = { 0 };

    buf_addf(&name, "console/%s.log", g->part->id);
    if (from == NULL || dir == NULL || buf_failed(&name))
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    else if ((g->status = file_make_dirs(dir, 0750, &g->error)) == 0)
        keep_console(g, from, buf_str(&name));
    note_console(g, buf_str(&name));
    buf_close(&name);
    free(from);
    free(dir);
}

/* --- the job ------------------------------------------------------------------------------------------------------ */

static void gather_part(struct gathering *g)
{
    char *console = file_join(g->part->folder, "console.log");

    if (console == NULL)
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    else if ((g->results & RESULTS_LOG) != 0 && g->console == NULL)
        keep_console(g, console, "console.log");
    else if ((g->results & RESULTS_LOG) != 0)
        keep_part_console(g);
    free(console);
    if (g->status == 0 && (g->results & RESULTS_ARTIFACTS) != 0)
        keep_artifacts(g);
    if (g->status == 0 && (g->results & RESULTS_WORK_ITEMS) != 0 && g->items == NULL)
        local_keep_inputs(g);
    if (g->status == 0 && (g->results & RESULTS_WORK_ITEMS) != 0 && g->items == NULL)
        local_keep_outputs(g);
}

static void gather(uv_work_t *work)
{
    struct gathering *g = work->data;

    if (g->console != NULL && (g->results & RESULTS_LOG) != 0)
        keep_console(g, g->console, "console.log");
    for (size_t i = 0; i < g->part_count && g->status == 0; i++) {
        g->part = &g->parts[i];
        gather_part(g);
    }
    if (g->status == 0 && g->items != NULL && (g->results & RESULTS_WORK_ITEMS) != 0)
        local_keep_flow_items(g);
    if (g->status == 0 && !local_sync_each(g))
        g->status = file_sync_all(g->dir, &g->error);
}

static void free_words(struct words *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->items[i]);
    free(w->items);
}

static void gathered(uv_work_t *work, int status)
{
    struct gathering *g = work->data;
    struct local *b = g->backend;
    const struct backend_reports *r = b->base.reports;

    (void)status;
    if (g->status == 0) {
        r->collected(r->data, g->id, 0, NULL, &g->collected);
    } else {
        r->collected(r->data, g->id, g->status, &g->error, NULL);
        json_decref(g->collected.steps);
        json_decref(g->collected.work_items);
        json_decref(g->collected.artifacts);
        json_decref(g->collected.notes);
    }
    for (size_t i = 0; i < g->part_count; i++) {
        free_words(&g->parts[i].globs);
        free(g->parts[i].folder);
        free(g->parts[i].step);
    }
    free(g->parts);
    json_decref(g->input);
    json_decref(g->items);
    json_decref(g->numbers);
    free(g->console);
    free(g->dir);
    free(g);
    local_work_done(b);
}

void local_copy_globs(struct words *globs, const struct process_config *process)
{
    static const char *const usual[] = { "output/*" };
    const char *const *from = process != NULL && process->artifacts.count > 0 ?
        (const char *const *)process->artifacts.items : usual;
    size_t count = process != NULL && process->artifacts.count > 0 ? process->artifacts.count : 1;

    *globs = (struct words) { .items = calloc(count, sizeof(char *)) };
    for (size_t i = 0; i < count && globs->items != NULL; i++) {
        if ((globs->items[i] = strdup(from[i])) == NULL)
            abort();
        globs->count = i + 1;
    }
}

int64_t local_artifacts_max(const struct process_config *process)
{
    int64_t max = process != NULL ? process->artifacts_max : ARTIFACTS_MAX;

    return max > 0 ? max : INT64_MAX;
}

static json_t *describe_step(const struct run_record *run)
{
    json_t *step = json_object();
    char id[ID_SIZE];

    if (step == NULL)
        return NULL;
    run_step_id(run->id, id);
    (void)json_put(step, "id", id);
    (void)json_put(step, "name", "main");
    (void)json_put(step, "state", run->started_ms == 0 ? "new" : run->outcome == RUN_COMPLETED ? "completed" : "failed");
    (void)json_put_time(step, "started", run->started_ms);
    (void)json_put_time(step, "ended", run->started_ms != 0 ? run->ended_ms : 0);
    if (run->has_exit_code)
        (void)json_put_int(step, "exit_code", run->exit_code);
    return step;
}

static struct gathering *gathering_new(struct local *b, const char *run_id, const char *dir, const struct process_config *process)
{
    struct gathering *g = calloc(1, sizeof *g);

    if (g == NULL || (g->dir = strdup(dir)) == NULL)
        abort();
    g->work.data = g;
    g->backend = b;
    memcpy(g->id, run_id, sizeof g->id);
    g->results = process != NULL ? process->results : RESULTS_ALL;
    g->max = g->left = local_artifacts_max(process);
    g->numbers = json_object();
    g->collected.work_items = json_pack("{s:[], s:[]}", "input", "output");
    g->collected.artifacts = json_array();
    g->collected.notes = json_array();
    return g;
}

static void begin(struct gathering *g)
{
    g->backend->working++;
    if (uv_queue_work(g->backend->loop, &g->work, gather, gathered) != 0)
        abort();
}

void local_collect(struct backend *base, const struct run_record *run, const struct process_config *process,
                   const json_t *input, const char *dir)
{
    struct local *b = (struct local *)base;
    struct gathering *g = gathering_new(b, run->id, dir, process);

    g->parts = calloc(1, sizeof *g->parts);
    if (g->parts == NULL || (g->parts[0].folder = local_folder(b, run->id)) == NULL || (g->parts[0].step = strdup("main")) == NULL)
        abort();
    g->part_count = 1;
    run_step_id(run->id, g->parts[0].id);
    local_copy_globs(&g->parts[0].globs, process);
    g->input = json_deep_copy(input);
    g->collected.steps = json_array();
    if (json_array_append_new(g->collected.steps, describe_step(run)) != 0)
        abort();
    begin(g);
}

void local_gather(struct local *b, const char *run_id, struct local_part *parts, size_t count, char *console, json_t *items,
                  json_t *steps, const struct process_config *process, const char *dir)
{
    struct gathering *g = gathering_new(b, run_id, dir, process);

    g->parts = parts;
    g->part_count = count;
    g->console = console;
    g->items = items;
    g->collected.steps = steps;
    begin(g);
}
