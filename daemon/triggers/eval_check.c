/* Compiling programs while somebody waits: a configuration is being read. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "belfry/base/time.h"
#include "belfry/triggers/eval.h"
#include "eval_child.h"

/* Compiling takes some 15 ms; a machine that has just booted may be busy. */
#define CHECK_TIME_MAX_MS 2000

struct eval_checker {
    struct eval_child child;
    bool there;
    uint32_t last_id;
};

int eval_checker_new(struct eval_checker **checker, struct error *err)
{
    *checker = calloc(1, sizeof **checker);
    if (!*checker)
        return error_set(err, BF_ENOMEM, "out of memory for checking jq programs");
    return 0;
}

static void child_end(struct eval_checker *checker, struct eval_end *end)
{
    eval_child_kill(&checker->child);
    eval_child_reap(&checker->child, end);
    checker->there = false;
}

void eval_checker_free(struct eval_checker *checker)
{
    struct eval_end end;
    if (!checker)
        return;
    if (checker->there)
        child_end(checker, &end);
    free(checker);
}

/* 0 when fd is ready, BF_ETIMEDOUT after the deadline. */
static int wait_for(int fd, short events, int64_t deadline_mono_ms)
{
    for (;;) {
        const int64_t left_ms = deadline_mono_ms - time_mono_ms();
        struct pollfd p = {.fd = fd, .events = events};
        if (left_ms <= 0)
            return BF_ETIMEDOUT;
        const int n = poll(&p, 1, (int)left_ms);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return error_code_of_errno(errno);
    }
}

/* 0, BF_ETIMEDOUT, or BF_EIO when the child is gone. */
static int send_all(int fd, const char *bytes, size_t len, int64_t deadline_mono_ms)
{
    while (len > 0) {
        const int rc = wait_for(fd, POLLOUT, deadline_mono_ms);
        if (rc != 0)
            return rc;
        const ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return BF_EIO;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int receive(int fd, char *into, size_t len, int64_t deadline_mono_ms)
{
    while (len > 0) {
        const int rc = wait_for(fd, POLLIN, deadline_mono_ms);
        if (rc != 0)
            return rc;
        const ssize_t n = recv(fd, into, len, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            return BF_EIO;
        if (n > 0) {
            into += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* One compilation, asked and answered. BF_EIO and BF_ETIMEDOUT: no answer came. */
static int ask(struct eval_checker *checker, const struct buf *request, const char *program, struct error *err)
{
    /* An answer to a compilation is a head and words, never a result. */
    char frame[sizeof(struct eval_answer_head) + EVAL_WORDS_MAX];
    const int64_t deadline = time_mono_ms() + CHECK_TIME_MAX_MS;
    const int fd = checker->child.fd;

    int rc = send_all(fd, request->data, request->len, deadline);
    if (rc == 0)
        rc = receive(fd, frame, sizeof(struct eval_answer_head), deadline);
    if (rc != 0)
        return rc;
    const int64_t size = eval_answer_size(frame, sizeof(struct eval_answer_head));
    if (size < 0 || (size_t)size > sizeof frame)
        return BF_EIO;
    rc = receive(fd, frame + sizeof(struct eval_answer_head), (size_t)size - sizeof(struct eval_answer_head), deadline);
    if (rc != 0)
        return rc;
    uint32_t id;
    return eval_get_answer(frame, program, &id, NULL, err);
}

/* The child gave no answer: it is ended, and says why. */
static int no_answer(struct eval_checker *checker, int status, struct error *err)
{
    struct eval_end end;
    child_end(checker, &end);
    if (status == BF_ETIMEDOUT)
        return error_set(err, BF_EINVAL, "jq took more than %d s to compile it", CHECK_TIME_MAX_MS / 1000);
    eval_child_reason(&end, err);
    return err ? err->code : BF_EINVAL;
}

static int check_with(struct eval_checker *checker, const char *program, struct error *err)
{
    struct buf request;
    struct error why = {0};

    buf_init(&request);
    int rc = eval_put_request(&request, ++checker->last_id, EVAL_COMPILE, program, "null", err);
    if (rc != 0)
        goto out;
    if (!checker->there) {
        rc = eval_child_spawn(&checker->child, err);
        if (rc != 0)
            goto out;
        checker->there = true;
    }
    rc = ask(checker, &request, program, &why);
    if (rc == BF_EIO || rc == BF_ETIMEDOUT)
        rc = no_answer(checker, rc, &why);
    if (rc != 0)
        error_set(err, rc, "%s", why.text);
out:
    buf_close(&request);
    return rc;
}

int eval_check(void *data, const char *program, struct error *err)
{
    struct eval_checker of_its_own = {0};
    struct eval_end end;

    if (data)
        return check_with(data, program, err);
    const int rc = check_with(&of_its_own, program, err);
    if (of_its_own.there)
        child_end(&of_its_own, &end);
    return rc;
}
