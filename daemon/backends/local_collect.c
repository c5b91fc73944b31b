/* Results of a local run, gathered on the thread pool: console, artifacts, work items. What the run left is hostile: names
 * are made safe, only regular files are taken, links are not followed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "local_internal.h"

#define DEPTH_MAX 32
#define FILES_MAX 100000
#define SYNCED_EACH 64           /* files; with more of them all are synced at once, at the end */

struct gathering {
    uv_work_t work;
    struct local *backend;
    char id[ID_SIZE];
    struct local_part *parts;     /* one a command */
    size_t part_count;
    const struct local_part *part;    /* that is being gathered */
    char *dir;                    /* the staging folder */
    char *console;                /* of the whole run; NULL: that of its one part */
    unsigned results;
    json_t *input;                /* payloads, of a run whose items travel as lists */
    json_t *items;                /* or the items themselves, with paths of their files; NULL: as lists */
    struct collection collected;
    size_t files, put;            /* artifacts; and with all else */
    int status;
    struct error error;
};

/* --- one file ----------------------------------------------------------------------------------------------------- */

static void note(struct gathering *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct gathering *g, const char *format, ...)
{
    struct buf text = { 0 }, shown = { 0 };
    va_list ap;

    va_start(ap, format);
    buf_vaddf(&text, format, ap);
    va_end(ap);
    text_printable(buf_str(&text), text.len, &shown);   /* it names files of the run's */
    (void)json_array_append_new(g->collected.notes, json_string(buf_str(&shown)));
    buf_close(&text);
    buf_close(&shown);
}

static bool sync_each(const struct gathering *g)
{
    return g->put <= SYNCED_EACH;
}

/* Puts an open file at to. What is the daemon's own and has no other name is linked there; what another user owns, or
 * could still reach by another name, is copied: nobody may change it once it is published. */
static int put_file(struct gathering *g, int fd, const char *from, const char *to)
{
    char open_file[64];
    struct stat st;

    g->put++;
    (void)snprintf(open_file, sizeof open_file, "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) != 0 || st.st_uid != geteuid() || st.st_nlink != 1 ||
        linkat(AT_FDCWD, open_file, AT_FDCWD, to, AT_SYMLINK_FOLLOW) != 0)
        return (sync_each(g) ? file_copy_fd : file_copy_fd_unsynced)(fd, from, to, 0640, &g->error);
    if (fchmod(fd, 0640) != 0 || (sync_each(g) && fsync(fd) != 0))
        return error_errno(&g->error, errno, "cannot sync %s", to);
    return 0;
}

/* A free name in dir for a name from outside: a meeting gets a number. */
static char *free_name(struct gathering *g, const char *dir, const char *name, char safe[FILE_NAME_MAX + 1])
{
    char first[FILE_NAME_MAX + 1];
    struct stat st;
    char *path;

    file_safe_name(name, strlen(name), first);
    memcpy(safe, first, sizeof first);
    for (unsigned k = 2;; k++) {
        path = file_join(dir, safe);
        if (path == NULL || (lstat(path, &st) != 0 && errno == ENOENT))
            break;
        free(path);
        file_numbered_name(first, k, safe);
    }
    if (path == NULL)
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    return path;
}

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
            note(g, "more artifacts than %d: the rest is left out", FILES_MAX);
        goto out;
    }
    g->status = dir == NULL ? error_set(&g->error, BF_ENOMEM, "out of memory") : file_make_dirs(dir, 0750, &g->error);
    to = g->status == 0 ? free_name(g, dir, shown, safe) : NULL;
    if (g->status == 0)
        g->status = put_file(g, fd, shown, to);
    if (g->status == 0)
        g->status = file_sha256(to, hex, &size, &g->error);
    if (g->status == 0) {
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

/* --- the walk ----------------------------------------------------------------------------------------------------- */

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
            note(g, "%s is not a regular file: it is left out", relative);
        return;
    }
    fd = file_open_below(dir, name);
    if (fd < 0 || fstat(fd, &st) != 0)
        note(g, "%s cannot be read: %s", relative, strerror(errno));
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
        if (g->status == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
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

/* --- work items --------------------------------------------------------------------------------------------------- */

static void write_json(struct gathering *g, const char *dir, const char *name, const json_t *value)
{
    char *text = json_text(value), *path = file_join(dir, name);

    g->put++;
    if (text == NULL || path == NULL)
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    else
        g->status = (sync_each(g) ? file_write_atomic : file_write_unsynced)(path, text, strlen(text), 0640, &g->error);
    free(text);
    free(path);
}

/* The files of an item: named in its list, lying beside it. */
static void keep_item_files(struct gathering *g, const char *list, const json_t *files, const char *dir, json_t *names)
{
    char *path = file_join(g->part->folder, list);
    int beside = path != NULL ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    const char *name;
    json_t *where;

    json_object_foreach((json_t *)(uintptr_t)files, name, where) {
        const char *relative = json_string_value(where);
        char safe[FILE_NAME_MAX + 1], *to;
        struct stat st;
        int fd;

        if (relative == NULL || g->status != 0)
            continue;
        fd = beside >= 0 ? file_open_below(beside, relative) : -1;
        if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
            note(g, "the work item's file %s is no file in %s: it is left out", name, list);
        } else if ((to = free_name(g, dir, name, safe)) != NULL) {
            g->status = put_file(g, fd, name, to);
            (void)json_array_append_new(names, json_string(safe));
            free(to);
        }
        if (fd >= 0)
            (void)close(fd);
    }
    if (beside >= 0)
        (void)close(beside);
    free(path);
}

/* The files of an item of a flow: [{"name", "from"}], in the store of work items. */
static void keep_stored_files(struct gathering *g, const json_t *files, const char *dir, json_t *names)
{
    char safe[FILE_NAME_MAX + 1], *to;
    const json_t *file;
    size_t i;

    json_array_foreach(files, i, file) {
        const char *name = json_str(file, "name"), *from = json_str(file, "from");
        int fd = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (g->status == 0 && fd < 0)
            note(g, "the work item's file %s is not there any more", name);
        else if (g->status == 0 && (to = free_name(g, dir, name, safe)) != NULL) {
            g->status = put_file(g, fd, name, to);
            (void)json_array_append_new(names, json_string(safe));
            free(to);
        }
        if (fd >= 0)
            (void)close(fd);
    }
}

static void keep_item(struct gathering *g, const char *kind, size_t index, const json_t *payload, const json_t *files)
{
    json_t *names = json_array(), *entry;
    struct buf relative = { 0 };
    char *dir;

    buf_addf(&relative, "work-items/%s/%zu", kind, index + 1);
    dir = file_join(g->dir, buf_str(&relative));
    g->status = dir == NULL ? error_set(&g->error, BF_ENOMEM, "out of memory") : file_make_dirs(dir, 0750, &g->error);
    if (g->status == 0)
        write_json(g, dir, "payload.json", payload);
    if (g->status == 0 && g->items != NULL)
        keep_stored_files(g, files, dir, names);
    else if (g->status == 0)
        keep_item_files(g, strcmp(kind, "input") == 0 ? "work-items-in" : "work-items-out", files, dir, names);
    entry = json_pack("{s:s, s:O?, s:O}", "path", buf_str(&relative), "payload", payload, "files", names);
    if (entry == NULL || json_array_append_new(json_object_get(g->collected.work_items, kind), entry) != 0)
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    json_decref(names);
    buf_close(&relative);
    free(dir);
}

static void keep_outputs(struct gathering *g)
{
    json_t *items = local_read_list(g->part->folder, "work-items-out", g->collected.notes), *item;
    size_t i;

    if (json_array_size(items) > ITEMS_MAX)
        note(g, "it put out %zu work items: the first %d are kept", json_array_size(items), ITEMS_MAX);
    json_array_foreach(items, i, item) {
        if (g->status == 0 && i < ITEMS_MAX)
            keep_item(g, "output", i, json_object_get(item, "payload"), json_object_get(item, "files"));
    }
    json_decref(items);
}

/* The payloads as they were admitted, with the files as the run found them. */
static void keep_inputs(struct gathering *g)
{
    json_t *items = local_read_list(g->part->folder, "work-items-in", g->collected.notes), *payload;
    size_t i;

    json_array_foreach(g->input, i, payload) {
        if (g->status == 0)
            keep_item(g, "input", i, payload, json_object_get(json_array_get(items, i), "files"));
    }
    json_decref(items);
}

/* Those of a flow, as it has them. */
static void keep_flow_items(struct gathering *g)
{
    static const char *const kinds[] = { "input", "output" };
    const json_t *item;
    size_t i;

    for (int k = 0; k < 2; k++) {
        json_array_foreach(json_object_get(g->items, kinds[k]), i, item) {
            if (g->status == 0)
                keep_item(g, kinds[k], i, json_object_get(item, "payload"), json_object_get(item, "files"));
        }
    }
}

/* --- the console -------------------------------------------------------------------------------------------------- */

static void keep_console(struct gathering *g, const char *from, const char *name)
{
    char *to = file_join(g->dir, name);
    int fd = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (to == NULL)
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    else if (fd >= 0)
        g->status = put_file(g, fd, from, to);
    else if (errno != ENOENT)
        g->status = error_errno(&g->error, errno, "cannot read %s", from);
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
        keep_inputs(g);
    if (g->status == 0 && (g->results & RESULTS_WORK_ITEMS) != 0 && g->items == NULL)
        keep_outputs(g);
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
        keep_flow_items(g);
    if (g->status == 0 && !sync_each(g))
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

static struct gathering *gathering_new(struct local *b, const char *run_id, const char *dir, unsigned results)
{
    struct gathering *g = calloc(1, sizeof *g);

    if (g == NULL || (g->dir = strdup(dir)) == NULL)
        abort();
    g->work.data = g;
    g->backend = b;
    memcpy(g->id, run_id, sizeof g->id);
    g->results = results;
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
    struct gathering *g = gathering_new(b, run->id, dir, process != NULL ? process->results : RESULTS_ALL);

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
                  json_t *steps, unsigned results, const char *dir)
{
    struct gathering *g = gathering_new(b, run_id, dir, results);

    g->parts = parts;
    g->part_count = count;
    g->console = console;
    g->items = items;
    g->collected.steps = steps;
    begin(g);
}
