/* Following local runs: claims and exits in their folders, supervisors by pidfd. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "local_internal.h"

/* --- what the folder says ----------------------------------------------------------------------------------------- */

enum claim { CLAIM_NONE, CLAIM_LIVES, CLAIM_DEAD, CLAIM_VOID };

struct trace {
    enum claim claim;
    pid_t pid;
    int64_t started_ms;
    bool other_boot;
    json_t *exit;              /* exit.N, or NULL */
};

static char *trace_path(const struct local *b, const char *run_id, const char *what, unsigned attempt)
{
    char *folder = local_folder(b, run_id);
    struct buf path = { 0 };

    buf_addf(&path, "%s/%s.%u", folder != NULL ? folder : "", what, attempt);
    free(folder);
    return buf_take(&path);
}

static void read_claim(const struct local *b, const char *run_id, unsigned attempt, struct trace *t)
{
    char *path = trace_path(b, run_id, "claim", attempt);
    char text[160] = "", boot[64] = "";
    long long started = 0;
    int fd, pid = 0;

    fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    free(path);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    if (strncmp(text, "void", 4) == 0) {
        t->claim = CLAIM_VOID;
    } else {
        if (sscanf(text, "%d %63s %lld", &pid, boot, &started) == 3) {
            t->pid = (pid_t)pid;
            t->started_ms = started;
            t->other_boot = strcmp(boot, id_boot()) != 0;
        }
        /* Its lock lives exactly as long as the supervisor. */
        t->claim = !t->other_boot && flock(fd, LOCK_SH | LOCK_NB) != 0 ? CLAIM_LIVES : CLAIM_DEAD;
    }
    (void)close(fd);
}

static void read_exit(const struct local *b, const char *run_id, unsigned attempt, struct trace *t)
{
    char *path = trace_path(b, run_id, "exit", attempt);
    struct buf text = { 0 };

    if (path != NULL && file_read(path, 65536, &text, NULL) == 0)
        t->exit = json_parse(text.data, text.len, NULL);
    buf_close(&text);
    free(path);
}

/* The claim first: an exit that is written meanwhile is then seen, and never a dead claim without its exit. */
static void read_trace(const struct local *b, const char *run_id, unsigned attempt, struct trace *t)
{
    memset(t, 0, sizeof *t);
    read_claim(b, run_id, attempt, t);
    read_exit(b, run_id, attempt, t);
}

/* Makes the claim ourselves, so that a belfry-run that is late starts nothing. False when it is there by now. */
static bool void_claim(const struct local *b, const char *run_id, unsigned attempt)
{
    char *path = trace_path(b, run_id, "claim", attempt), *folder = local_folder(b, run_id);
    bool made = true;
    int fd;

    /* No folder at all: the run never came as far as that, and a late belfry-run would have nowhere to work. */
    if (path != NULL && folder != NULL && access(folder, F_OK) == 0) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        made = fd >= 0 || errno != EEXIST;
        if (fd >= 0) {
            if (write(fd, "void\n", 5) != 5)
                log_warning("cannot write %s: %s", path, strerror(errno));
            (void)close(fd);
        }
    }
    free(folder);
    free(path);
    return made;
}

/* --- reports, later ----------------------------------------------------------------------------------------------- */

struct news {
    struct local *backend;
    char id[ID_SIZE];
    enum found found;
    int64_t started_ms;
    struct run_end end;
    char words[256];
};

static struct news *news_new(struct local *b, const char *run_id)
{
    struct news *n = calloc(1, sizeof *n);

    if (n == NULL)
        abort();
    n->backend = b;
    (void)snprintf(n->id, sizeof n->id, "%s", run_id);
    return n;
}

static void tell_found(void *data)
{
    struct news *n = data;
    const struct backend_reports *r = n->backend->base.reports;

    r->found(r->data, n->id, n->found, NULL, NULL, n->started_ms);
    free(n);
}

static void tell_ended(void *data)
{
    struct news *n = data;
    const struct backend_reports *r = n->backend->base.reports;

    r->ended(r->data, n->id, &n->end);
    free(n);
}

struct outcome_row {
    const char *word;
    enum run_state outcome;
    const char *code;
};

static const struct outcome_row outcomes[] = {
    { "exited", RUN_FAILED, "exit_code" },
    { "signaled", RUN_FAILED, "signal" },
    { "timed_out", RUN_TIMED_OUT, "timeout" },
    { "canceled", RUN_CANCELED, "canceled" },
    { "failed", RUN_FAILED, "start_failed" },
};

static void lost(struct news *n, bool other_boot)
{
    n->end.outcome = RUN_LOST;
    n->end.error_code = "lost";
    (void)snprintf(n->words, sizeof n->words, "%s", other_boot ?
                   "the machine went down while the run was under way" :
                   "the run's supervisor was killed before it could write the outcome down (out of memory?)");
    n->end.error_message = n->words;
}

static void judge_exit(struct news *n, const json_t *exit_json)
{
    const char *word = json_str(exit_json, "outcome");
    const char *error = json_str(exit_json, "error");
    struct run_end *end = &n->end;
    size_t i = 0;

    while (word != NULL && i < 4 && strcmp(outcomes[i].word, word) != 0)
        i++;
    end->outcome = outcomes[i].outcome;
    end->error_code = outcomes[i].code;
    end->backend_state = outcomes[i].word;
    end->ended_ms = json_int(exit_json, "ended_ms", 0);
    end->exit_code = (int)json_int(exit_json, "exit_code", 0);
    end->has_exit_code = i == 0;
    end->error_message = n->words;
    if (i == 0 && end->exit_code == 0) {
        end->outcome = RUN_COMPLETED;
        end->error_code = end->error_message = NULL;
    } else if (i == 0) {
        (void)snprintf(n->words, sizeof n->words, "the command ended with exit code %d", end->exit_code);
    } else if (i == 1) {
        int number = (int)json_int(exit_json, "signal", 0);

        (void)snprintf(n->words, sizeof n->words, "the command was ended by signal %d (%s)", number, strsignal(number));
    } else if (i == 2) {
        (void)snprintf(n->words, sizeof n->words, "the command ran longer than its timeout");
    } else if (i == 3) {
        (void)snprintf(n->words, sizeof n->words, "the command was stopped");
    } else {
        (void)snprintf(n->words, sizeof n->words, "%s", error != NULL ? error : "the command could not be started");
    }
}

static void report_end(struct local *b, const char *run_id, unsigned attempt)
{
    struct news *n = news_new(b, run_id);
    struct trace t;

    read_trace(b, run_id, attempt, &t);
    if (t.exit != NULL)
        judge_exit(n, t.exit);
    else
        lost(n, t.other_boot);
    json_decref(t.exit);
    later_do(&b->later, tell_ended, n);
}

/* --- a live supervisor -------------------------------------------------------------------------------------------- */

/* The supervisor ended before it said how its start went: the folder knows. */
static void settle_start(struct local_run *run)
{
    const struct backend_reports *r = run->backend->base.reports;
    struct error why;
    struct trace t;

    run->reported = true;
    read_trace(run->backend, run->id, run->attempt, &t);
    if (t.claim == CLAIM_NONE) {
        error_set(&why, BF_EAGAIN, "the supervisor of the run ended before it began");
        r->not_started(r->data, run->id, &why, true, 0);
    } else {
        r->started(r->data, run->id, NULL, NULL, "running", t.started_ms);
    }
    json_decref(t.exit);
}

static void report_line(struct local_run *run)
{
    const struct backend_reports *r = run->backend->base.reports;
    const char *line = buf_str(&run->report);
    long long number = 0;
    struct error why;
    int used = 0;

    run->reported = true;
    if (sscanf(line, "started %lld", &number) == 1) {
        r->started(r->data, run->id, NULL, NULL, "running", (int64_t)number);
        return;
    }
    if (sscanf(line, "failed %lld %n", &number, &used) != 1 || used == 0)
        used = 0;
    error_set(&why, error_code_of_errno((int)number), "%.*s", (int)strcspn(line + used, "\n"), line + used);
    r->not_started(r->data, run->id, &why, why.code == BF_EAGAIN || why.code == BF_ENOMEM || why.code == BF_ENOSPC, 0);
}

/* Reads what is there of the report. True when no more will come: it said its word, or ended without one. */
static bool read_report(struct local_run *run)
{
    char chunk[512];
    ssize_t got;

    while ((got = read(run->report_fd, chunk, sizeof chunk)) > 0)
        buf_add(&run->report, chunk, (size_t)got);
    return (run->report.len > 0 && memchr(run->report.data, '\n', run->report.len) != NULL) || got == 0 ||
           (errno != EAGAIN && errno != EINTR);
}

static void close_report(struct local_run *run)
{
    uv_close((uv_handle_t *)&run->report_poll, local_handle_closed);
    (void)close(run->report_fd);
    run->report_fd = -1;
}

static void on_report(uv_poll_t *poll, int status, int events)
{
    struct local_run *run = poll->data;

    (void)status;
    (void)events;
    if (!read_report(run))
        return;
    close_report(run);
    if (run->report.len > 0)
        report_line(run);
    /* Nothing said: its exit tells. */
}

/* --- its end ------------------------------------------------------------------------------------------------------ */

static void gone(struct local_run *run)
{
    struct local *b = run->backend;
    unsigned attempt = run->attempt;
    char id[ID_SIZE];
    bool followed;

    memcpy(id, run->id, sizeof id);
    if (run->report_fd >= 0) {
        (void)read_report(run);
        close_report(run);
    }
    if (!run->reported && run->report.len > 0)
        report_line(run);
    else if (!run->reported)
        settle_start(run);
    followed = run->followed;   /* since a moment, perhaps: by who has just been told that it started */
    local_run_drop(run);
    if (followed)
        report_end(b, id, attempt);
}

static void on_supervisor_exit(uv_poll_t *poll, int status, int events)
{
    struct local_run *run = poll->data;
    siginfo_t info;

    (void)status;
    (void)events;
    if (run->child)
        (void)waitid(P_PIDFD, (id_t)run->pidfd, &info, WEXITED | WNOHANG);
    gone(run);
}

void local_watch(struct local_run *run, int report_fd)
{
    struct local *b = run->backend;

    if (uv_poll_init(b->loop, &run->exit_poll, run->pidfd) != 0)
        abort();
    run->exit_poll.data = run;
    (void)uv_poll_start(&run->exit_poll, UV_READABLE, on_supervisor_exit);
    run->handles = report_fd >= 0 ? 2 : 1;
    run->report_fd = report_fd;
    if (report_fd < 0)
        return;
    if (uv_poll_init(b->loop, &run->report_poll, report_fd) != 0)
        abort();
    run->report_poll.data = run;
    (void)uv_poll_start(&run->report_poll, UV_READABLE, on_report);
}

/* A supervisor that an earlier daemon started: by its pid, if the lock says that it still lives once we hold its pidfd. */
static struct local_run *reopen(struct local *b, const struct run_record *record)
{
    struct local_run *run = NULL;
    struct trace t;
    int pidfd;

    read_trace(b, record->id, record->attempt, &t);
    json_decref(t.exit);
    if (t.claim != CLAIM_LIVES || (pidfd = (int)syscall(SYS_pidfd_open, t.pid, 0)) < 0)
        return NULL;
    read_trace(b, record->id, record->attempt, &t);
    json_decref(t.exit);
    if (t.claim != CLAIM_LIVES) {
        (void)close(pidfd);
        return NULL;
    }
    run = local_run_add(b, record->id, record->attempt, t.pid, pidfd, false);
    run->reported = true;
    local_watch(run, -1);
    return run;
}

/* --- operations --------------------------------------------------------------------------------------------------- */

void local_find(struct backend *base, const struct run_record *run, const struct process_config *process)
{
    struct local *b = (struct local *)base;
    struct news *n = news_new(b, run->id);
    struct trace t;

    (void)process;
    read_trace(b, run->id, run->attempt, &t);
    if (t.claim == CLAIM_NONE && !void_claim(b, run->id, run->attempt)) {
        json_decref(t.exit);
        read_trace(b, run->id, run->attempt, &t);
    }
    n->started_ms = t.started_ms;
    if (t.exit != NULL || t.claim == CLAIM_LIVES)
        n->found = FOUND_STARTED;
    else
        n->found = t.claim == CLAIM_DEAD ? FOUND_DIED : FOUND_ABSENT;
    json_decref(t.exit);
    later_do(&b->later, tell_found, n);
}

void local_follow(struct backend *base, const struct run_record *run, const struct process_config *process)
{
    struct local *b = (struct local *)base;
    struct local_run *live = local_run_find(b, run->id);

    (void)process;
    if (live != NULL && live->attempt != run->attempt)
        live = NULL;
    if (live == NULL)
        live = reopen(b, run);
    if (live != NULL)
        live->followed = true;
    else
        report_end(b, run->id, run->attempt);
}

void local_stop(struct backend *base, const struct run_record *run, const struct process_config *process, enum stop_how how)
{
    struct local_run *live = local_run_find((struct local *)base, run->id);

    (void)process;
    if (how == STOP_BEGINNING)
        return;   /* it is one command, which has begun */
    /* One that is gone has its end on its way. */
    if (live != NULL && syscall(SYS_pidfd_send_signal, live->pidfd, how == STOP_AT_ONCE ? SIGUSR1 : SIGTERM, NULL, 0) != 0 &&
        errno != ESRCH)
        log_warning("cannot stop the run %s: %s", run->id, strerror(errno));
}
