/* Starting belfry-eval, reaping it, and the two kinds of frame. */
#include "eval_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "belfry/base/text.h"
#include "belfry/triggers/eval.h"

/* So much of a program is shown in an error. */
#define PROGRAM_SHOWN 80

static int pidfd_of(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int spawn_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setsigmask(attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attributes, &all);
    if (rc == 0)
        rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return rc;
}

static int spawn_actions(posix_spawn_file_actions_t *actions, int socket)
{
    int rc = posix_spawn_file_actions_adddup2(actions, socket, STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(actions, socket, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    return rc;
}

/* An errno value, or 0. The child gets `socket` as its input and output, no environment, and nothing else that is open. */
static int spawn(const char *path, int socket, pid_t *pid)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    char parent[24];
    char name[] = "belfry-eval";
    char *argv[] = {name, parent, NULL};
    char *envp[] = {NULL};

    snprintf(parent, sizeof parent, "%ld", (long)getpid());
    int rc = posix_spawnattr_init(&attributes);
    if (rc != 0)
        return rc;
    rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        goto attributes;
    rc = spawn_attributes(&attributes);
    if (rc == 0)
        rc = spawn_actions(&actions, socket);
    if (rc == 0)
        rc = posix_spawn(pid, path, &actions, &attributes, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
attributes:
    posix_spawnattr_destroy(&attributes);
    return rc;
}

/* Both ends above the standard descriptors, so that no duplication in the child meets another. */
static int socket_pair(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    for (int i = 0; i < 2; i++) {
        if (ends[i] > STDERR_FILENO)
            continue;
        const int higher = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        const int saved = errno;
        if (higher < 0) {
            close(ends[0]);
            close(ends[1]);
            return saved;
        }
        close(ends[i]);
        ends[i] = higher;
    }
    return 0;
}

int eval_child_spawn(struct eval_child *child, struct error *err)
{
    char path[4096];
    const char *folder = secure_getenv("BELFRY_LIBEXEC");
    int ends[2];
    pid_t pid = 0;

    *child = (struct eval_child){.pid = -1, .pidfd = -1, .fd = -1};
    const int n = snprintf(path, sizeof path, "%s/belfry-eval", folder && *folder ? folder : BELFRY_LIBEXECDIR);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, BF_EINVAL, "starting belfry-eval: its folder's name is too long");
    int rc = socket_pair(ends);
    if (rc != 0)
        return error_errno(err, rc, "starting belfry-eval: making a socket pair");
    rc = spawn(path, ends[1], &pid);
    close(ends[1]);
    if (rc != 0) {
        close(ends[0]);
        return error_errno(err, rc, "starting %s, which runs jq programs", path);
    }
    child->pid = pid;
    child->fd = ends[0];
    child->pidfd = pidfd_of(pid);
    if (child->pidfd >= 0)
        return 0;

    rc = errno;
    eval_child_kill(child);
    struct eval_end end;
    eval_child_reap(child, &end);
    return error_errno(err, rc, "starting %s: pidfd_open", path);
}

void eval_child_kill(const struct eval_child *child)
{
    /* Not reaped yet, so the number is still its own. */
    if (child->pid > 0)
        kill(child->pid, SIGKILL);
}

void eval_child_reap(struct eval_child *child, struct eval_end *end)
{
    siginfo_t info = {0};
    *end = (struct eval_end){.code = CLD_KILLED, .status = SIGKILL};
    if (child->pid > 0) {
        int rc;
        do {
            rc = waitid(P_PID, (id_t)child->pid, &info, WEXITED);
        } while (rc != 0 && errno == EINTR);
        if (rc == 0)
            *end = (struct eval_end){.code = info.si_code, .status = info.si_status};
    }
    if (child->pidfd >= 0)
        close(child->pidfd);
    if (child->fd >= 0)
        close(child->fd);
    *child = (struct eval_child){.pid = -1, .pidfd = -1, .fd = -1};
}

bool eval_child_reason(const struct eval_end *end, struct error *err)
{
    if (end->code != CLD_EXITED) {
        const char *name = sigabbrev_np(end->status);
        error_set(err, BF_EINVAL, "jq itself broke down on it (SIG%s)", name ? name : "?");
        return true;
    }
    switch (end->status) {
    case EVAL_EXIT_MEMORY:
        error_set(err, BF_EINVAL, "used more than %d MiB", EVAL_MEMORY_MAX >> 20);
        return true;
    case EVAL_EXIT_UNCONFINED:
        error_set(err, BF_ENOTSUP,
                  "belfry-eval cannot lock itself in on this system (seccomp or resource limits are refused), so no jq "
                  "program is run");
        return false;
    case 127:
        error_set(err, BF_EIO, "belfry-eval does not start: is a library of it missing?");
        return false;
    default:
        error_set(err, BF_EINVAL, "belfry-eval ended over it with exit code %d", end->status);
        return true;
    }
}

int eval_put_request(struct buf *out, uint32_t id, enum eval_op op, const char *program, const char *value,
                     struct error *err)
{
    const size_t program_len = strlen(program);
    const size_t value_len = strlen(value);
    if (program_len > EVAL_REQUEST_MAX || value_len > EVAL_REQUEST_MAX - program_len)
        return error_set(err, BF_ETOOBIG, "an event of %zu bytes is too large for a jq program (at most %u MiB)", value_len,
                         EVAL_REQUEST_MAX >> 20);
    const struct eval_request_head head = {.program_len = (uint32_t)program_len, .value_len = (uint32_t)value_len,
                                           .id = id, .op = op};
    if (buf_reserve(out, sizeof head + program_len + value_len) != 0)
        return error_set(err, BF_ENOMEM, "out of memory for a jq program's event");
    buf_add(out, &head, sizeof head);
    buf_add(out, program, program_len);
    buf_add(out, value, value_len);
    return 0;
}

int64_t eval_answer_size(const char *bytes, size_t len)
{
    struct eval_answer_head head;
    if (len < sizeof head)
        return 0;
    memcpy(&head, bytes, sizeof head);
    if (head.len > EVAL_ANSWER_MAX || head.status >= EVAL_STATUSES)
        return BF_EPROTO;
    if (head.status != EVAL_DONE && head.len > EVAL_WORDS_MAX)
        return BF_EPROTO;
    return (int64_t)(sizeof head + head.len);
}

int eval_blame(struct error *err, int code, const char *program, const char *reason, size_t len)
{
    struct buf text;
    const size_t program_len = strlen(program);
    buf_init(&text);
    text_printable(program, program_len < PROGRAM_SHOWN ? program_len : PROGRAM_SHOWN, &text);
    if (program_len > PROGRAM_SHOWN)
        buf_adds(&text, "…");
    buf_adds(&text, "': ");
    text_printable(reason, len, &text);
    error_set(err, code, "jq program '%s", buf_str(&text));
    buf_close(&text);
    return code;
}

/* jq's first complaint on one line: without "jq: error: ", the program's own text behind it, and its guess at a shell. */
static int blame_compiler(struct error *err, const char *words, size_t len)
{
    static const char start[] = "jq: error: ";
    static const char guess[] = " (Unix shell quoting issues?)";
    struct buf line, shown;

    if (len >= sizeof start - 1 && memcmp(words, start, sizeof start - 1) == 0) {
        words += sizeof start - 1;
        len -= sizeof start - 1;
    }
    const char *end = memchr(words, '\n', len);
    if (end)
        len = (size_t)(end - words);
    while (len > 0 && (words[len - 1] == ':' || words[len - 1] == ' '))
        len--;
    buf_init(&line);
    buf_init(&shown);
    const char *at = memmem(words, len, guess, sizeof guess - 1);
    const size_t before = at ? (size_t)(at - words) : len;
    buf_add(&line, words, before);
    if (at)
        buf_add(&line, at + sizeof guess - 1, len - before - (sizeof guess - 1));
    text_printable(buf_str(&line), line.len, &shown);
    const int code = error_set(err, BF_EINVAL, "jq: %s", shown.len > 0 ? buf_str(&shown) : "it does not compile");
    buf_close(&shown);
    buf_close(&line);
    return code;
}

int eval_get_answer(const char *frame, const char *program, uint32_t *id, json_t **result, struct error *err)
{
    struct eval_answer_head head;
    memcpy(&head, frame, sizeof head);
    const char *text = frame + sizeof head;
    const char *reason = "";

    *id = head.id;
    switch ((enum eval_status)head.status) {
    case EVAL_DONE:
        if (!result)
            return 0;
        *result = json_parse_within(text, head.len, JSON_DEPTH_WRAPPED, err);
        if (*result)
            return 0;
        return error_prefix(err, "the result of a jq program");
    case EVAL_BAD_PROGRAM:
        return blame_compiler(err, text, head.len);
    case EVAL_FAILED:
        return eval_blame(err, BF_EINVAL, program, text, head.len);
    case EVAL_GAVE_NOTHING:
        reason = "gave nothing, where one result is wanted";
        break;
    case EVAL_GAVE_SEVERAL:
        reason = "gave several results, where one is wanted (an array holds several)";
        break;
    case EVAL_HALTED:
        reason = "called halt";
        break;
    case EVAL_ANSWER_TOO_LONG:
        reason = "gave a result of more than 4 MiB";
        break;
    case EVAL_STATUSES:
    default:
        return error_set(err, BF_EPROTO, "belfry-eval answered with an unknown status");
    }
    return eval_blame(err, BF_EINVAL, program, reason, strlen(reason));
}
