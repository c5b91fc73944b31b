/* Starting a local run: its folder, the order, the supervisor. The journal holds the intent already; nothing here needs
 * to be synced, for after a power cut the process is gone too and the claim's boot id says so. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "local_internal.h"

extern char **environ;

/* More is copied on the thread pool. */
#define BYTES_AT_ONCE (1 << 20)
#define FILES_AT_ONCE 8

struct beginning {
    struct local *backend;
    struct run_record run;
    const struct process_config *process;
    struct config *config;             /* held, while the process is needed beyond the order */
    json_t *event, *input;
    char *folder;
    int folder_fd;
    bool other_user;                   /* the folder is to be theirs */
    uid_t uid;
    gid_t gid;
    char *file_path;                   /* BELFRY_FILE, or NULL */
    json_t *names;                     /* of files, that are taken */
    struct local_task task;
    bool has_task;
    uv_work_t work;
    int status;
    struct error error;
};

/* --- the folder --------------------------------------------------------------------------------------------------- */

static int give(struct beginning *g, const char *name)
{
    if (!g->other_user || fchownat(g->folder_fd, name, g->uid, g->gid, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return error_errno(&g->error, errno, "cannot give %s/%s to %s", g->folder, name, g->process->user);
}

static int make(struct beginning *g, const char *name)
{
    if (mkdirat(g->folder_fd, name, 0700) != 0 && errno != EEXIST)
        return error_errno(&g->error, errno, "cannot make the folder %s/%s", g->folder, name);
    return give(g, name);
}

static int put_file(struct beginning *g, const char *name, const char *text)
{
    int fd = openat(g->folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t len = strlen(text);
    int errnum = 0;

    if (fd < 0)
        return error_errno(&g->error, errno, "cannot write %s/%s", g->folder, name);
    if (write(fd, text, len) != (ssize_t)len)
        errnum = errno != 0 ? errno : ENOSPC;
    if (close(fd) != 0 && errnum == 0)
        errnum = errno;
    if (errnum != 0)
        return error_errno(&g->error, errnum, "cannot write %s/%s", g->folder, name);
    return give(g, name);
}

/* A further attempt finds its folder as the first one did; only the console goes on. */
static int clear_work(struct beginning *g)
{
    static const char *const leftovers[] = { "work", "work-items-in", "work-items-out" };
    int status = 0;

    for (size_t i = 0; i < 3 && status == 0; i++) {
        char *path = file_join(g->folder, leftovers[i]);

        status = path != NULL ? file_remove_tree(path, &g->error) : error_set(&g->error, BF_ENOMEM, "out of memory");
        free(path);
    }
    if (status == 0 && g->run.attempt > 1) {
        int fd = openat(g->folder_fd, "console.log", O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

        if (fd >= 0) {
            dprintf(fd, "[belfry: attempt %u]\n", g->run.attempt);
            (void)close(fd);
        }
    }
    return status;
}

/* That of the run, in which a step run's lies. */
static int make_run_folder(struct beginning *g)
{
    char *path = file_join(g->backend->runs_dir, g->task.run_id);
    int status = 0;

    if (path == NULL)
        return error_set(&g->error, BF_ENOMEM, "out of memory");
    if (mkdir(path, 0711) != 0 && errno != EEXIST)
        status = error_errno(&g->error, errno, "cannot make the run's folder %s", path);
    free(path);
    return status;
}

static int make_folder(struct beginning *g)
{
    bool there = false;
    int status;

    if (g->has_task && (status = make_run_folder(g)) != 0)
        return status;
    if (mkdir(g->folder, 0711) != 0) {
        there = errno == EEXIST;
        if (!there)
            return error_errno(&g->error, errno, "cannot make the run's folder %s", g->folder);
    }
    g->folder_fd = open(g->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (g->folder_fd < 0)
        return error_errno(&g->error, errno, "cannot open the run's folder %s", g->folder);
    if (there && (status = clear_work(g)) != 0)
        return status;
    if ((status = make(g, "work")) != 0 || (status = make(g, "work/output")) != 0 ||
        (status = make(g, "work-items-in")) != 0)
        return status;
    return make(g, "work-items-out");
}

/* --- the input ---------------------------------------------------------------------------------------------------- */

/* A safe name that no other file of the run has: in a batch from several folders two may be called the same. */
static void free_name(struct beginning *g, const char *name, char safe[FILE_NAME_MAX + 1])
{
    char first[FILE_NAME_MAX + 1];

    file_safe_name(name, strlen(name), first);
    memcpy(safe, first, sizeof first);
    for (unsigned k = 2; strcmp(safe, "workitems.json") == 0 || json_object_get(g->names, safe) != NULL; k++)
        file_numbered_name(first, k, safe);
    (void)json_object_set_new(g->names, safe, json_true());
}

/* Copies a file in: what the run works on stays what it was when it rang. The files of the item that it belongs to get its name. */
static int attach(struct beginning *g, const json_t *file, json_t *items)
{
    json_t *entry = json_object_get(json_array_get(items, (size_t)json_int(file, "item", 0)), "files");
    const struct file_bounds bounds = { .max = INT64_MAX, .stop = &g->backend->closing, .unsynced = true };
    const char *from = json_str(file, "path");
    const char *name = json_str(file, "name");
    char safe[FILE_NAME_MAX + 1];
    struct buf to = { 0 };
    int status;

    if (from == NULL || name == NULL || entry == NULL)
        return 0;
    free_name(g, name, safe);
    buf_addf(&to, "%s/work-items-in/%s", g->folder, safe);
    if (buf_failed(&to) || json_object_set_new(entry, json_object_get(entry, name) == NULL ? name : safe, json_string(safe)) != 0) {
        buf_close(&to);
        return error_set(&g->error, BF_ENOMEM, "out of memory");
    }
    status = file_copy_within(from, to.data, 0600, &bounds, &g->error);
    if (status == 0) {
        status = give(g, to.data + strlen(g->folder) + 1);
        if (g->file_path == NULL)
            g->file_path = buf_take(&to);
    }
    buf_close(&to);
    return status;
}

static int attach_all(struct beginning *g, const json_t *event, json_t *items)
{
    const json_t *list = json_object_get(event, "files");
    const json_t *one;
    int status = 0;
    size_t i;

    if (!json_flag(event, "attach", true))
        return 0;
    if (json_is_array(list)) {
        json_array_foreach(list, i, one) {
            if (status == 0)
                status = attach(g, one, items);
        }
        return status;
    }
    one = json_object_get(event, "file");
    return one != NULL ? attach(g, one, items) : 0;
}

/* The file adapter's list: one object an item; the event's files go with the first, unless they say otherwise. */
static int write_items(struct beginning *g, const json_t *event, const json_t *input)
{
    json_t *items = json_array(), *payload;
    char *first = NULL, *list = NULL;
    int status = 0;
    size_t i;

    json_array_foreach(input, i, payload) {
        json_t *item = json_pack("{s:O, s:{}}", "payload", payload, "files");

        if (item == NULL || json_array_append_new(items, item) != 0)
            status = error_set(&g->error, BF_ENOMEM, "out of memory");
    }
    if (json_array_size(items) == 0)
        (void)json_array_append_new(items, json_pack("{s:n, s:{}}", "payload", "files"));
    if (status == 0)
        status = attach_all(g, event, items);
    if (status == 0) {
        first = json_text(json_object_get(json_array_get(items, 0), "payload"));
        list = json_text(items);
        if (first == NULL || list == NULL)
            status = error_set(&g->error, BF_ENOMEM, "out of memory");
    }
    if (status == 0)
        status = put_file(g, "input.json", first);
    if (status == 0)
        status = put_file(g, "work-items-in/workitems.json", list);
    free(first);
    free(list);
    json_decref(items);
    return status;
}

/* --- the order ---------------------------------------------------------------------------------------------------- */

static void put(struct buf *order, const char *key, const char *value)
{
    buf_addf(order, "%s=%s", key, value);
    buf_addc(order, '\0');
}

static void put_number(struct buf *order, const char *key, int64_t value)
{
    buf_addf(order, "%s=%lld", key, (long long)value);
    buf_addc(order, '\0');
}

static void put_command(struct buf *order, const struct process_config *process)
{
    if (process->shell) {
        put(order, "argv", "/bin/sh");
        put(order, "argv", "-c");
        put(order, "argv", process->command_text);
        return;
    }
    for (size_t i = 0; i < process->command.count; i++)
        put(order, "argv", process->command.items[i]);
}

static int write_order(struct beginning *g, int *order_fd)
{
    struct buf order = { 0 }, work = { 0 }, log = { 0 };
    int fd, status;

    buf_addf(&work, "%s/work", g->folder);
    put(&order, "version", SUPERVISOR_VERSION);
    put(&order, "folder", g->folder);
    put(&order, "cwd", g->process->cwd != NULL ? g->process->cwd : buf_str(&work));
    put_number(&order, "attempt", g->run.attempt);
    put_number(&order, "timeout_ms", g->process->timeout_ms);
    put_number(&order, "kill_grace_ms", g->process->kill_grace_ms);
    put_command(&order, g->process);
    if (g->has_task) {
        buf_addf(&log, "%s/%s/console.log", g->backend->runs_dir, g->task.run_id);
        put(&order, "log", buf_str(&log));
    }
    status = local_identity(&order, g->process, &g->error);
    local_environment(&order, g->backend, &g->run, g->process, g->has_task ? &g->task : NULL, g->folder, g->file_path);
    if (status == 0 && (buf_failed(&order) || buf_failed(&work)))
        status = error_set(&g->error, BF_ENOMEM, "out of memory");
    if (status == 0) {
        fd = memfd_create("belfry order", MFD_CLOEXEC);
        if (fd < 0 || write(fd, order.data, order.len) != (ssize_t)order.len) {
            status = error_errno(&g->error, errno, "cannot write the order for belfry-run");
            if (fd >= 0)
                (void)close(fd);
        } else {
            /* Away from the numbers that belfry-run is to find its descriptors at. */
            *order_fd = fcntl(fd, F_DUPFD_CLOEXEC, 10);
            (void)close(fd);
            if (*order_fd < 0)
                status = error_errno(&g->error, errno, "cannot hand the order to belfry-run");
        }
    }
    buf_close(&order);
    buf_close(&work);
    buf_close(&log);
    return status;
}

/* --- the supervisor ----------------------------------------------------------------------------------------------- */

static int report_pipe(int pipe_fds[2], struct error *err)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return error_errno(err, errno, "cannot make a pipe for belfry-run");
    pipe_fds[0] = fds[0];
    pipe_fds[1] = fcntl(fds[1], F_DUPFD_CLOEXEC, 10);
    (void)close(fds[1]);
    if (pipe_fds[1] >= 0)
        return 0;
    (void)close(fds[0]);
    return error_errno(err, errno, "cannot make a pipe for belfry-run");
}

static int spawn(struct beginning *g, int order_fd, int report_fd, pid_t *pid)
{
    char *argv[] = { (char *)(uintptr_t)"belfry-run", (char *)(uintptr_t)g->run.id, NULL };
    char *env[] = { NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int errnum;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_adddup2(&files, order_fd, SUPERVISOR_ORDER_FD);
    (void)posix_spawn_file_actions_adddup2(&files, report_fd, SUPERVISOR_REPORT_FD);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    errnum = posix_spawn(pid, g->backend->program, &files, &attr, argv, env);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    return errnum == 0 ? 0 : error_errno(&g->error, errnum, "cannot start the supervisor %s", g->backend->program);
}

static int launch(struct beginning *g)
{
    int order_fd = -1, report[2] = { -1, -1 }, pidfd = -1, status;
    struct local_run *run;
    pid_t pid = 0;

    status = write_order(g, &order_fd);
    if (status == 0)
        status = report_pipe(report, &g->error);
    if (status == 0)
        status = spawn(g, order_fd, report[1], &pid);
    if (status == 0 && (pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
        /* It runs, and cannot be watched: the claim in its folder will say what became of it. */
        log_warning("cannot watch the supervisor of run %s: %s", g->run.id, strerror(errno));
    if (order_fd >= 0)
        (void)close(order_fd);
    if (report[1] >= 0)
        (void)close(report[1]);
    if (status != 0 || pidfd < 0) {
        if (report[0] >= 0)
            (void)close(report[0]);
        return status;
    }
    run = local_run_add(g->backend, g->run.id, g->run.attempt, pid, pidfd, true);
    local_watch(run, report[0]);
    return 0;
}

/* --- reports, which never come from within the call --------------------------------------------------------------- */

struct refusal {
    struct local *backend;
    char id[ID_SIZE];
    bool unknown;
    struct error error;
};

static void refuse(void *data)
{
    struct refusal *r = data;
    const struct backend_reports *reports = r->backend->base.reports;
    int code = r->error.code;

    if (r->unknown)
        reports->start_unknown(reports->data, r->id, &r->error);
    else
        /* What a full disk or a busy machine refuses may pass; what is wrong with the process does not. */
        reports->not_started(reports->data, r->id, &r->error, code == BF_ENOSPC || code == BF_ENOMEM || code == BF_EAGAIN ||
                             code == BF_EIO, 0);
    free(r);
}

static void report_refusal(struct beginning *g, bool unknown)
{
    struct refusal *r = calloc(1, sizeof *r);

    if (r == NULL)
        abort();
    r->backend = g->backend;
    memcpy(r->id, g->run.id, sizeof r->id);
    r->unknown = unknown;
    r->error = g->error;
    later_do(&g->backend->later, refuse, r);
}

/* This very attempt: a supervisor of it lives, or has left its claim. Its folder is not to be touched. */
static bool began_before(const struct beginning *g)
{
    const struct local_run *live = local_run_find(g->backend, g->run.id);
    struct buf claim = { 0 };
    bool began;

    buf_addf(&claim, "%s/claim.%u", g->folder, g->run.attempt);
    began = (live != NULL && live->attempt == g->run.attempt) || access(buf_str(&claim), F_OK) == 0;
    buf_close(&claim);
    return began;
}

/* --- the way through ---------------------------------------------------------------------------------------------- */

/* It is copied anew by the next try: a full disk is not to stay full of it. */
static void drop_input(const struct beginning *g)
{
    char *path = file_join(g->folder, "work-items-in");

    if (path != NULL)
        (void)file_remove_tree(path, NULL);
    free(path);
}

static void prepare(struct beginning *g)
{
    g->status = make_folder(g);
    if (g->status == 0)
        g->status = write_items(g, g->event, g->input);
    if (g->status != 0)
        drop_input(g);
}

static void beginning_free(struct beginning *g)
{
    if (g->folder_fd >= 0)
        (void)close(g->folder_fd);
    json_decref(g->event);
    json_decref(g->input);
    json_decref(g->names);
    run_record_close(&g->run);
    config_release(g->config);
    free(g->file_path);
    free(g->folder);
    free(g);
}

static void go(struct beginning *g)
{
    if (g->status == 0)
        g->status = launch(g);
    if (g->status != 0) {
        report_refusal(g, false);
    } else if (local_run_find(g->backend, g->run.id) == NULL) {
        error_set(&g->error, BF_EAGAIN, "the supervisor was started and cannot be watched");
        report_refusal(g, true);
    }
    beginning_free(g);
}

static void prepare_in_pool(uv_work_t *work)
{
    prepare(work->data);
}

static void prepared(uv_work_t *work, int status)
{
    struct beginning *g = work->data;
    struct local *b = g->backend;

    (void)status;
    /* When the backend closes, nothing is started: the next daemon finds no claim, and begins anew. */
    if (b->closing)
        beginning_free(g);
    else
        go(g);
    local_work_done(b);
}

/* Little enough for the loop. A folder that is there already may hold anything, which has to go first. */
static bool is_quick(const struct beginning *g)
{
    const json_t *list = json_object_get(g->event, "files"), *one;
    int64_t bytes = json_int(json_object_get(g->event, "file"), "size", 0);
    size_t i;

    if (access(g->folder, F_OK) == 0)
        return false;
    json_array_foreach(list, i, one)
        bytes += json_int(one, "size", 0);
    return !json_flag(g->event, "attach", true) || (bytes <= BYTES_AT_ONCE && json_array_size(list) <= FILES_AT_ONCE);
}

static void find_owner(struct beginning *g)
{
    const struct passwd *owner = g->process->user != NULL && geteuid() == 0 ? getpwnam(g->process->user) : NULL;

    if (owner == NULL)
        return;
    g->other_user = true;
    g->uid = owner->pw_uid;
    g->gid = owner->pw_gid;
}

void local_start(struct backend *base, const struct run_record *run, const struct process_config *process,
                 const json_t *event, const json_t *input)
{
    struct local *b = (struct local *)base;
    struct beginning *g = calloc(1, sizeof *g);
    const struct local_task *task;

    if (g == NULL || run_record_copy(&g->run, run) != 0 || (g->folder = local_folder(b, run->id)) == NULL)
        abort();
    g->backend = b;
    g->process = process;
    g->config = process->config != NULL ? config_hold(process->config) : NULL;
    g->event = json_incref((json_t *)(uintptr_t)event);
    g->input = json_incref((json_t *)(uintptr_t)input);
    g->folder_fd = -1;
    g->names = json_object();
    task = local_task_of(b, run->id);
    if (task != NULL) {
        g->task = *task;
        g->has_task = true;
    }
    if (began_before(g)) {
        error_set(&g->error, BF_EEXIST, "attempt %u of the run was begun before", run->attempt);
        report_refusal(g, true);
        beginning_free(g);
        return;
    }
    find_owner(g);
    if (is_quick(g)) {
        prepare(g);
        go(g);
        return;
    }
    g->work.data = g;
    b->working++;
    if (uv_queue_work(b->loop, &g->work, prepare_in_pool, prepared) != 0)
        abort();
}
