/* Starting the command. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum step { STEP_FORK, STEP_USER, STEP_FOLDER, STEP_EXEC };

static const char *const step_words[] = { "cannot start a process", "cannot become the user", "cannot enter the folder",
    "cannot run the command" };

struct failure {
    int step;
    int errnum;
};

static void fail(int fd, enum step step, int errnum)
{
    struct failure f = { .step = (int)step, .errnum = errnum };

    if (write(fd, &f, sizeof f) < 0)
        _exit(126);
    _exit(127);
}

static int become(const struct order *o)
{
    if (setgroups(o->group_count, o->groups) != 0 || setresgid(o->gid, o->gid, o->gid) != 0 ||
        setresuid(o->uid, o->uid, o->uid) != 0)
        return errno;
    return 0;
}

static void reset_signals(void)
{
    struct sigaction usual = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int s = 1; s < NSIG; s++)
        (void)sigaction(s, &usual, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* execvpe with the PATH that the command is to have, not ours. */
static int search(const struct order *o)
{
    const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    int errnum = ENOENT;
    char candidate[4096];

    if (strchr(o->argv[0], '/') != NULL) {
        (void)execve(o->argv[0], o->argv, o->env);
        return errno;
    }
    for (size_t i = 0; i < o->envc; i++) {
        if (strncmp(o->env[i], "PATH=", 5) == 0)
            path = o->env[i] + 5;
    }
    while (*path != '\0') {
        size_t len = strcspn(path, ":");

        (void)snprintf(candidate, sizeof candidate, "%.*s/%s", (int)len, path, o->argv[0]);
        (void)execve(candidate, o->argv, o->env);
        if (errno != ENOENT && errno != ENOTDIR)
            errnum = errno;
        path += len + (path[len] == ':');
    }
    return errnum;
}

static void child(const struct order *o, int output, int report)
{
    int null = open("/dev/null", O_RDONLY);
    int errnum;

    (void)setpgid(0, 0);
    reset_signals();
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        fail(report, STEP_FORK, errno);
    (void)umask(027);
    if (o->other_user && (errnum = become(o)) != 0)
        fail(report, STEP_USER, errnum);
    if (chdir(o->cwd) != 0)
        fail(report, STEP_FOLDER, errno);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);   /* no command without its supervisor */
    /* All else is close-on-exec already; this is for what a library might have left open. */
    (void)dup3(report, 3, O_CLOEXEC);
    (void)close_range(4, ~0u, 0);
    fail(3, STEP_EXEC, search(o));
}

int command_start(const struct order *order, struct command *command, const char **what)
{
    int output[2], report[2];
    struct failure f;
    ssize_t got;

    *what = step_words[STEP_FORK];
    if (pipe2(output, O_CLOEXEC) != 0)
        return errno;
    if (pipe2(report, O_CLOEXEC) != 0)
        return errno;
    command->pid = vfork();
    if (command->pid < 0)
        return errno;
    if (command->pid == 0)
        child(order, output[1], report[1]);
    (void)close(output[1]);
    (void)close(report[1]);
    do
        got = read(report[0], &f, sizeof f);
    while (got < 0 && errno == EINTR);
    (void)close(report[0]);
    if (got == (ssize_t)sizeof f) {
        (void)waitpid(command->pid, NULL, 0);
        *what = step_words[f.step];
        return f.errnum;
    }
    (void)fcntl(output[0], F_SETFL, O_NONBLOCK);
    command->output_fd = output[0];
    return 0;
}
