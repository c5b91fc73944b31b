/*
 * belfry-run: the supervisor of one attempt of a local run. It outlives the daemon: it keeps the console, holds the time
 * limit, ends the whole group, and leaves the outcome on disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "belfry/backends/supervisor.h"
#include "command.h"
#include "order.h"

#define CONSOLE_MAX (64 << 20)
#define DRAIN_MS 200            /* how long writers that the command left behind are listened to */

struct supervisor {
    struct order order;
    struct command command;
    struct outcome outcome;
    int folder_fd;
    int console_fd;
    int log_fd;                  /* that of the whole run; -1: none */
    int signal_fd;
    int timer_fd;
    int64_t console_left;
    bool over;                  /* the command itself has ended */
    bool stopping;              /* TERM was sent; the timer now means KILL */
    bool open;                  /* its output goes on */
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char text[512];
    va_list ap;
    int len;

    va_start(ap, format);
    len = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    /* A daemon that is gone reads nothing, and looks into the folder when it is back. */
    if (len > 0 && write(SUPERVISOR_REPORT_FD, text, (size_t)len) < 0)
        errno = 0;
}

static void set_timer(struct supervisor *s, int64_t ms)
{
    struct itimerspec at = { .it_value = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 } };

    if (ms <= 0)
        at.it_value.tv_nsec = 1;
    (void)timerfd_settime(s->timer_fd, 0, &at, NULL);
}

/* --- the console -------------------------------------------------------------------------------------------------- */

/* A full disk costs lines of the console, never the run: false, and that they are missing is said in its outcome. */
static bool put(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t got = write(fd, bytes, len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        bytes += got;
        len -= (size_t)got;
    }
    return true;
}

static void keep(struct supervisor *s, const char *bytes, size_t len)
{
    static const char cut[] = "\n[belfry: the console's limit is reached, the rest is not kept]\n";
    bool over = (int64_t)len > s->console_left;

    if (s->outcome.console_cut)
        return;
    if (over)
        len = (size_t)s->console_left;
    s->console_left -= (int64_t)len;
    s->outcome.console_cut = !put(s->console_fd, bytes, len) || over;
    if (s->log_fd >= 0)
        (void)put(s->log_fd, bytes, len);
    if (over)
        (void)put(s->console_fd, cut, sizeof cut - 1);
    if (over && s->log_fd >= 0)
        (void)put(s->log_fd, cut, sizeof cut - 1);
}

static void read_output(struct supervisor *s)
{
    char chunk[65536];
    ssize_t got;

    while ((got = read(s->command.output_fd, chunk, sizeof chunk)) > 0)
        keep(s, chunk, (size_t)got);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    s->open = false;
    (void)close(s->command.output_fd);
}

/* --- ending ------------------------------------------------------------------------------------------------------- */

static void stop(struct supervisor *s, enum ending why, bool at_once)
{
    if (s->over)
        return;
    if (!s->stopping)
        s->outcome.ending = why;
    s->stopping = true;
    (void)kill(-s->command.pid, at_once ? SIGKILL : SIGTERM);
    if (at_once)
        set_timer(s, 1000);
    else
        set_timer(s, s->order.kill_grace_ms);
}

static void on_timer(struct supervisor *s)
{
    uint64_t times;

    if (read(s->timer_fd, &times, sizeof times) < 0)
        return;
    if (s->stopping) {
        (void)kill(-s->command.pid, SIGKILL);
        set_timer(s, 1000);
    } else if (!s->over) {
        stop(s, ENDING_TIMED_OUT, false);
    }
}

static void reap(struct supervisor *s)
{
    struct rusage usage;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        if (pid != s->command.pid)
            continue;   /* one that the command left behind */
        s->over = true;
        s->outcome.usage = usage;
        s->outcome.ended_ms = clock_ms(CLOCK_REALTIME);
        if (WIFEXITED(status))
            s->outcome.exit_code = WEXITSTATUS(status);
        else if (WIFSIGNALED(status))
            s->outcome.signal = WTERMSIG(status);
        if (!s->stopping)
            s->outcome.ending = WIFEXITED(status) ? ENDING_EXITED : ENDING_SIGNALED;
    }
}

static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(s);
        else if (info.ssi_signo == SIGTERM)
            stop(s, ENDING_CANCELED, false);
        else if (info.ssi_signo == SIGUSR1)
            stop(s, ENDING_CANCELED, true);
    }
}

static void supervise(struct supervisor *s)
{
    if (s->order.timeout_ms > 0)
        set_timer(s, s->order.timeout_ms);
    while (!s->over) {
        struct pollfd fds[] = { { .fd = s->signal_fd, .events = POLLIN }, { .fd = s->timer_fd, .events = POLLIN },
            { .fd = s->open ? s->command.output_fd : -1, .events = POLLIN } };

        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            break;
        if (fds[2].revents != 0)
            read_output(s);
        if (fds[0].revents != 0)
            on_signal(s);
        if (fds[1].revents != 0)
            on_timer(s);
    }
}

/* Those of the group that the command leaves behind when it is stopped have their grace too. */
static void wait_for_group(struct supervisor *s)
{
    int64_t until = clock_ms(CLOCK_BOOTTIME) + s->order.kill_grace_ms;

    while (s->stopping && kill(-s->command.pid, 0) == 0 && clock_ms(CLOCK_BOOTTIME) < until) {
        struct pollfd fd = { .fd = s->signal_fd, .events = POLLIN };

        (void)poll(&fd, 1, 50);
        on_signal(s);
        if (s->open)
            read_output(s);
    }
}

/* No child outlives its run. What left the group was given to us (subreaper): it is found as a child of ours. */
static void kill_what_remains(struct supervisor *s)
{
    char path[64], list[4096];
    ssize_t got;
    int fd;

    (void)kill(-s->command.pid, SIGKILL);
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (int i = 0; i < 1000 && waitpid(-1, NULL, WNOHANG) != -1; i++) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        got = fd >= 0 ? read(fd, list, sizeof list - 1) : -1;
        if (fd >= 0)
            (void)close(fd);
        list[got > 0 ? got : 0] = '\0';
        for (char *at = list, *end; *at != '\0'; at = end) {
            long pid = strtol(at, &end, 10);

            if (end == at)
                break;
            if (pid > 1)
                (void)kill((pid_t)pid, SIGKILL);
        }
        (void)waitpid(-1, NULL, 0);
    }
}

static void drain(struct supervisor *s)
{
    int64_t until = clock_ms(CLOCK_MONOTONIC) + DRAIN_MS, left;

    if (s->open)
        read_output(s);
    while (s->open && (left = until - clock_ms(CLOCK_MONOTONIC)) > 0) {
        struct pollfd fd = { .fd = s->command.output_fd, .events = POLLIN };

        if (poll(&fd, 1, (int)left) > 0)
            read_output(s);
    }
}

/* --- beginning ---------------------------------------------------------------------------------------------------- */

static bool prepare(struct supervisor *s)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigset_t ours;

    (void)setsid();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigfillset(&ours);
    (void)sigprocmask(SIG_SETMASK, &ours, NULL);
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGCHLD);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigaddset(&ours, SIGUSR1);
    s->signal_fd = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
    s->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    s->folder_fd = open(s->order.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->signal_fd < 0 || s->timer_fd < 0 || s->folder_fd < 0)
        return false;
    s->console_fd = openat(s->folder_fd, "console.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    s->log_fd = s->order.log != NULL ? open(s->order.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    s->console_left = s->order.console_max > 0 ? s->order.console_max : CONSOLE_MAX;
    return s->console_fd >= 0;
}

static int give_up(struct supervisor *s, int errnum, const char *what)
{
    static char words[256];

    (void)snprintf(words, sizeof words, "%s %s: %s", what, strcmp(what, "cannot run the command") == 0 ? s->order.argv[0] :
                   strcmp(what, "cannot enter the folder") == 0 ? s->order.cwd : "", strerror(errnum));
    s->outcome.ending = ENDING_FAILED;
    s->outcome.error = words;
    s->outcome.ended_ms = clock_ms(CLOCK_REALTIME);
    (void)record_exit(s->folder_fd, &s->order, &s->outcome);
    say("failed %d %s\n", errnum, words);
    return 1;
}

int main(void)
{
    static struct supervisor s;
    const char *what;
    int errnum;

    (void)fcntl(SUPERVISOR_ORDER_FD, F_SETFD, FD_CLOEXEC);
    (void)fcntl(SUPERVISOR_REPORT_FD, F_SETFD, FD_CLOEXEC);
    if (!order_read(SUPERVISOR_ORDER_FD, &s.order, &what)) {
        say("failed %d %s\n", EINVAL, what);
        return 1;
    }
    (void)close(SUPERVISOR_ORDER_FD);
    if (!prepare(&s)) {
        say("failed %d cannot open the run's folder %s: %s\n", errno, s.order.folder, strerror(errno));
        return 1;
    }
    s.outcome.started_ms = clock_ms(CLOCK_REALTIME);
    errnum = record_claim(s.folder_fd, &s.order, s.outcome.started_ms);
    if (errnum != 0) {
        say("failed %d cannot claim the attempt: %s\n", errnum, strerror(errnum));
        return 1;
    }
    errnum = command_start(&s.order, &s.command, &what);
    if (errnum != 0)
        return give_up(&s, errnum, what);
    s.open = true;
    say("started %lld\n", (long long)s.outcome.started_ms);
    (void)close(SUPERVISOR_REPORT_FD);
    supervise(&s);
    wait_for_group(&s);
    drain(&s);
    kill_what_remains(&s);
    while ((errnum = record_exit(s.folder_fd, &s.order, &s.outcome)) == ENOSPC || errnum == EDQUOT || errnum == EIO)
        (void)poll(NULL, 0, 1000);   /* the outcome is worth waiting for */
    return errnum;
}
