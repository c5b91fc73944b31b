/* The journal: opening, closing, and what passes between the loop and the threads. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "internal.h"

#define LOCK_WAIT_NS 10000000L   /* 10 ms */
#define LOCK_TRIES 500
#define STACK_SIZE (512 * 1024)

/* --- opening ------------------------------------------------------------------------------------------------------ */

static void read_holder(int fd, char holder[32])
{
    ssize_t got = pread(fd, holder, 31, 0);

    holder[got > 0 ? got : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
}

static bool is_gone(const char *holder)
{
    int64_t pid;

    return text_int(holder, 1, INT32_MAX, &pid) == 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* A daemon that was killed while it started a program may have left a child that is about to be that program: it holds the
 * lock until then. */
static bool lock_it(int fd, char holder[32])
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno == EINTR)
            continue;
        read_holder(fd, holder);
        if (!is_gone(holder) || i >= LOCK_TRIES)
            return false;
        (void)nanosleep(&(struct timespec) { .tv_nsec = LOCK_WAIT_NS }, NULL);
    }
    return true;
}

static int take_lock(struct journal *j, const char *state_dir, struct error *err)
{
    char *path = file_join(state_dir, "lock");
    char holder[32] = "";
    int status = 0;

    if (path == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    j->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->lock_fd < 0) {
        status = error_errno(err, errno, "cannot open the lock %s", path);
    } else if (!lock_it(j->lock_fd, holder)) {
        status = error_set(err, BF_EEXIST, "another belfryd (process %s) works on %s; stop it, or give this one a state_dir of"
                           " its own", holder[0] != '\0' ? holder : "unknown", state_dir);
    } else {
        (void)snprintf(holder, sizeof holder, "%d\n", (int)getpid());
        if (ftruncate(j->lock_fd, 0) != 0 || pwrite(j->lock_fd, holder, strlen(holder), 0) < 0)
            status = error_errno(err, errno, "cannot write the lock %s", path);
    }
    free(path);
    return status;
}

static int open_database(struct journal *j, struct error *err)
{
    static const char setup[] = "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA trusted_schema=0;"
                                "PRAGMA temp_store=MEMORY;PRAGMA mmap_size=0;PRAGMA cache_size=-512;PRAGMA secure_delete=1;"
                                "PRAGMA wal_autocheckpoint=16000;PRAGMA journal_size_limit=67108864";
    mode_t old = umask(0077);
    int rc = sqlite3_open_v2(j->path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK) {
        (void)sqlite3_busy_timeout(j->db, 5000);
        rc = sqlite3_exec(j->db, setup, NULL, NULL, NULL);
    }
    (void)umask(old);
    if (rc == SQLITE_OK)
        return schema_prepare(j->db, j->path, err);
    return error_set(err, store_code(rc), "cannot open %s: %s%s", j->path, sqlite3_errmsg(j->db),
                     rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB ?
                     "; put a backup in its place, or move it away to begin anew" : "");
}

static void on_async(uv_async_t *async);

static int start_thread(pthread_t *thread, void *(*main)(void *), void *data)
{
    sigset_t all, old;
    pthread_attr_t attr;
    int errnum;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_SIZE);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    errnum = pthread_create(thread, &attr, main, data);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return errnum;
}

static void init_shared(struct journal *j)
{
    pthread_condattr_t monotonic;

    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&j->mutex, NULL);
    (void)pthread_mutex_init(&j->read_mutex, NULL);
    (void)pthread_cond_init(&j->wake, &monotonic);
    (void)pthread_cond_init(&j->read_wake, NULL);
    (void)pthread_condattr_destroy(&monotonic);
    j->waiting_tail = &j->waiting;
    j->done_tail = &j->done;
    STAILQ_INIT(&j->reads);
    STAILQ_INIT(&j->answered);
    j->health.writable = true;
}

static void destroy(struct journal *j)
{
    records_finish(j);
    (void)sqlite3_close(j->db);
    if (j->lock_fd >= 0)
        (void)close(j->lock_fd);
    (void)pthread_mutex_destroy(&j->mutex);
    (void)pthread_mutex_destroy(&j->read_mutex);
    (void)pthread_cond_destroy(&j->wake);
    (void)pthread_cond_destroy(&j->read_wake);
    free(j->path);
    free(j);
}

int journal_open(uv_loop_t *loop, const char *state_dir, struct journal **journal, struct error *err)
{
    struct journal *j = calloc(1, sizeof *j);
    int status, errnum;

    if (j == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    j->loop = loop;
    j->lock_fd = -1;
    init_shared(j);
    status = file_make_dirs(state_dir, 0711, err);
    if (status == 0 && (j->path = file_join(state_dir, "belfry.db")) == NULL)
        status = error_set(err, BF_ENOMEM, "out of memory");
    if (status == 0)
        status = take_lock(j, state_dir, err);
    if (status == 0)
        status = open_database(j, err);
    if (status == 0)
        status = records_prepare(j, err);
    if (status == 0 && (errnum = uv_async_init(loop, &j->async, on_async)) != 0)
        status = error_set(err, BF_EIO, "cannot make an async handle: %s", uv_strerror(errnum));
    if (status != 0) {
        destroy(j);
        return status;
    }
    j->async.data = j;
    uv_unref((uv_handle_t *)&j->async);
    errnum = start_thread(&j->writer, writer_main, j);
    if (errnum != 0) {
        uv_close((uv_handle_t *)&j->async, NULL);
        (void)uv_run(loop, UV_RUN_NOWAIT);
        destroy(j);
        return error_errno(err, errnum, "cannot start the journal's thread");
    }
    *journal = j;
    return 0;
}

/* --- between the threads ------------------------------------------------------------------------------------------ */

static void took(struct journal *j)
{
    if (j->outstanding++ == 0)
        uv_ref((uv_handle_t *)&j->async);
}

static void answered(struct journal *j)
{
    if (--j->outstanding == 0)
        uv_unref((uv_handle_t *)&j->async);
}

void journal_commit(struct journal *journal, struct commit *commit)
{
    bool first;

    commit->next = NULL;
    commit->status = 0;
    took(journal);
    pthread_mutex_lock(&journal->mutex);
    first = journal->waiting == NULL;
    *journal->waiting_tail = commit;
    journal->waiting_tail = &commit->next;
    if (first)
        (void)pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->mutex);
}

void journal_prune(struct journal *journal, int64_t until_ms, size_t limit, void (*done)(void *data, size_t count),
                   void *data)
{
    struct prune *p = calloc(1, sizeof *p);

    if (p == NULL)
        abort();
    *p = (struct prune) { .until_ms = until_ms, .limit = limit, .now_ms = time_wall_ms(), .done = done, .data = data };
    took(journal);
    pthread_mutex_lock(&journal->mutex);
    p->next = journal->prunes;
    journal->prunes = p;
    (void)pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->mutex);
}

static char *copy(const char *text)
{
    char *to = text != NULL ? strdup(text) : NULL;

    if (text != NULL && to == NULL)
        abort();
    return to;
}

void journal_read(struct journal *journal, struct journal_read *read)
{
    struct read_request *request = calloc(1, sizeof *request);

    if (request == NULL)
        abort();
    request->read = read;
    request->asked = *read;
    request->asked.rows = NULL;
    request->asked.count = 0;
    request->asked.more = false;
    request->asked.process = copy(read->process);
    request->asked.workspace = copy(read->workspace);
    request->asked.trigger_kind = copy(read->trigger_kind);
    request->asked.trigger_name = copy(read->trigger_name);
    request->asked.before_id = copy(read->before_id);
    request->asked.target = copy(read->target);
    request->asked.ids = copy(read->ids);
    request->asked.run_id = copy(read->run_id);
    request->asked.name = copy(read->name);
    took(journal);
    if (!journal->reader_runs) {
        if (start_thread(&journal->reader, reader_main, journal) != 0)
            abort();
        journal->reader_runs = true;
    }
    pthread_mutex_lock(&journal->read_mutex);
    STAILQ_INSERT_TAIL(&journal->reads, request, next);
    (void)pthread_cond_signal(&journal->read_wake);
    pthread_mutex_unlock(&journal->read_mutex);
}

static void free_rows(struct journal_read *a)
{
    for (size_t i = 0; i < a->count; i++)
        row_close(&a->rows[i]);
    free(a->rows);
}

static void free_strings(struct journal_read *a)
{
    free((void *)(uintptr_t)a->process);
    free((void *)(uintptr_t)a->workspace);
    free((void *)(uintptr_t)a->trigger_kind);
    free((void *)(uintptr_t)a->trigger_name);
    free((void *)(uintptr_t)a->before_id);
    free((void *)(uintptr_t)a->target);
    free((void *)(uintptr_t)a->ids);
    free((void *)(uintptr_t)a->run_id);
    free((void *)(uintptr_t)a->name);
}

static void answer_reads(struct journal *j)
{
    struct read_request *request;
    struct read_list list;

    STAILQ_INIT(&list);
    pthread_mutex_lock(&j->read_mutex);
    STAILQ_CONCAT(&list, &j->answered);
    pthread_mutex_unlock(&j->read_mutex);
    while ((request = STAILQ_FIRST(&list)) != NULL) {
        struct journal_read *read = request->read, *a = &request->asked;

        STAILQ_REMOVE_HEAD(&list, next);
        read->rows = a->rows;
        read->count = a->count;
        read->more = a->more;
        read->error = a->error;
        answered(j);
        read->cb(read, a->error.code);
        free_rows(a);
        free_strings(a);
        free(request);
    }
}

static void answer_prunes(struct journal *j, struct prune *list)
{
    struct prune *next;

    for (struct prune *p = list; p != NULL; p = next) {
        next = p->next;
        answered(j);
        p->done(p->data, p->count);
        free(p);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct journal *j = handle->data;
    void (*closed)(void *data) = j->closed;
    void *data = j->closed_data;

    destroy(j);
    closed(data);
}

/* The threads end when nothing is left for them: joining them then takes no time. */
static void maybe_close(struct journal *j)
{
    if (!j->closing || j->outstanding > 0 || uv_is_closing((uv_handle_t *)&j->async))
        return;
    pthread_mutex_lock(&j->mutex);
    j->quit = true;
    (void)pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->mutex);
    (void)pthread_join(j->writer, NULL);
    if (j->reader_runs) {
        pthread_mutex_lock(&j->read_mutex);
        j->read_stop = true;
        (void)pthread_cond_signal(&j->read_wake);
        pthread_mutex_unlock(&j->read_mutex);
        (void)pthread_join(j->reader, NULL);
    }
    uv_close((uv_handle_t *)&j->async, on_closed);
}

static void on_async(uv_async_t *async)
{
    struct journal *j = async->data;
    struct commit *list, *next;
    struct prune *pruned;

    pthread_mutex_lock(&j->mutex);
    list = j->done;
    j->done = NULL;
    j->done_tail = &j->done;
    pruned = j->pruned;
    j->pruned = NULL;
    pthread_mutex_unlock(&j->mutex);
    for (struct commit *c = list; c != NULL; c = next) {
        next = c->next;
        answered(j);
        c->cb(c, c->status);
    }
    answer_prunes(j, pruned);
    answer_reads(j);
    maybe_close(j);
}

void journal_close(struct journal *journal, void (*closed)(void *data), void *data)
{
    journal->closing = true;
    journal->closed = closed;
    journal->closed_data = data;
    uv_ref((uv_handle_t *)&journal->async);
    pthread_mutex_lock(&journal->mutex);
    journal->ending = true;
    (void)pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->mutex);
    (void)uv_async_send(&journal->async);
}

void journal_rest(struct journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    journal->rest = true;
    (void)pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->mutex);
}

void journal_health(struct journal *journal, struct journal_health *health)
{
    pthread_mutex_lock(&journal->mutex);
    *health = journal->health;
    pthread_mutex_unlock(&journal->mutex);
    health->waiting = journal->outstanding;
}
