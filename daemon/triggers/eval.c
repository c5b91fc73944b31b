/*
 * The evaluator: a queue of evaluations and one belfry-eval that answers them in order. Some are sent ahead, so that the
 * child never waits for the loop; only the first one is ever at fault when it dies or takes too long, and those behind it
 * are sent again to the next child.
 *
 *     no child ──run──▶ RUNNING ──end of stream, time-out, nonsense──▶ ENDING ──reaped──▶ no child (a new one if any wait)
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "belfry/base/buf.h"
#include "belfry/triggers/eval.h"
#include "eval_child.h"

/* Sent ahead of the answers: enough to keep the child busy, few enough that sending them again costs little. */
#define AHEAD_MAX 32
#define AHEAD_BYTES_MAX (1 << 20)
#define READ_SIZE 65536

enum end_cause { END_BY_ITSELF, END_TOO_SLOW, END_NONSENSE };

/* A child and its handles, freed when both handles are closed. */
struct eval_line {
    struct evaluator *evaluator;
    struct eval_child child;
    uv_poll_t io;
    uv_poll_t end;
    int open_handles;
    bool ending;
    enum end_cause cause;
    struct buf out;            /* what is not sent yet begins at out_done */
    size_t out_done;
    struct buf in;
};

struct evaluator {
    uv_loop_t *loop;
    uv_timer_t timer;          /* runs only while an answer is awaited, or a failure has to be told */
    struct eval_line *line;    /* NULL: no child */
    struct evaluation *first;  /* the queue; `pending` is the next one */
    struct evaluation *last;
    struct evaluation *unsent; /* the first that the child was not sent */
    size_t sent;               /* how many it was sent and has not answered */
    uint32_t first_id;         /* of `first`; the others' follow */
    bool spared;               /* a child was killed from outside while it worked on `first`: not its fault, once */
    struct error broken;       /* with a code: no child can be had, and the whole queue is to be told */
    bool closing;
    size_t lines;              /* whose handles are not closed yet */
    bool timer_closed;
    void (*closed)(void *data);
    void *closed_data;
};

/* --- the queue ---------------------------------------------------------------------------------------------------- */

static void queue_add(struct evaluator *ev, struct evaluation *e)
{
    e->pending = NULL;
    if (ev->last)
        ev->last->pending = e;
    else
        ev->first = e;
    ev->last = e;
    if (!ev->unsent)
        ev->unsent = e;
}

static struct evaluation *queue_pop(struct evaluator *ev)
{
    struct evaluation *e = ev->first;
    ev->first = e->pending;
    if (!ev->first)
        ev->last = NULL;
    if (ev->unsent == e)
        ev->unsent = ev->first;
    ev->first_id++;
    ev->spared = false;
    e->pending = NULL;
    return e;
}

/* Takes the first one off and tells its owner, who may do anything with the evaluator but expect it to be unchanged. */
static void finish_first(struct evaluator *ev, int status, const struct error *why, json_t *result)
{
    struct evaluation *e = queue_pop(ev);
    if (ev->sent > 0)
        ev->sent--;
    if (why)
        e->error = *why;
    e->result = result;
    e->cb(e, status);
}

static void fail_all(struct evaluator *ev, const struct error *why)
{
    /* Those that come while the owners are told get another chance. */
    struct evaluation *const last = ev->last;
    bool done = !ev->first;
    while (!done) {
        done = ev->first == last;
        finish_first(ev, why->code, why, NULL);
    }
}

/* --- the child ---------------------------------------------------------------------------------------------------- */

static void maybe_closed(struct evaluator *ev)
{
    if (!ev->closing || ev->lines > 0 || !ev->timer_closed)
        return;
    struct error why;
    error_set(&why, BF_ECANCELED, "the evaluator of jq programs is closing");
    while (ev->first)
        finish_first(ev, BF_ECANCELED, &why, NULL);
    void (*closed)(void *data) = ev->closed;
    void *data = ev->closed_data;
    free(ev);
    if (closed)
        closed(data);
}

static void line_handle_closed(uv_handle_t *handle)
{
    struct eval_line *line = handle->data;
    struct evaluator *ev = line->evaluator;
    if (--line->open_handles > 0)
        return;
    buf_close(&line->out);
    buf_close(&line->in);
    free(line);
    ev->lines--;
    maybe_closed(ev);
}

/* Reaps the child and lets its handles go. */
static void line_drop(struct evaluator *ev, struct eval_end *end)
{
    struct eval_line *line = ev->line;
    ev->line = NULL;
    uv_poll_stop(&line->io);
    uv_poll_stop(&line->end);
    uv_close((uv_handle_t *)&line->io, line_handle_closed);
    uv_close((uv_handle_t *)&line->end, line_handle_closed);
    eval_child_reap(&line->child, end);
    uv_timer_stop(&ev->timer);
    ev->sent = 0;
    ev->unsent = ev->first;
}

/* Why the first evaluation failed, with its program. */
static void blame_first(struct evaluator *ev, enum end_cause cause, const struct error *how)
{
    struct error why;
    char text[64];
    const char *reason = how->text;
    if (cause == END_TOO_SLOW) {
        snprintf(text, sizeof text, "took more than %d ms", EVAL_TIME_MAX_MS);
        reason = text;
    } else if (cause == END_NONSENSE) {
        reason = "made belfry-eval answer nonsense";
    }
    eval_blame(&why, BF_EINVAL, ev->first->program, reason, strlen(reason));
    finish_first(ev, BF_EINVAL, &why, NULL);
}

/* Worn out, or killed from outside (by hand, or because the machine's memory ran out): `first` gets another child. One
 * that loses that one too is blamed. */
static bool is_nobodys_fault(struct evaluator *ev, const struct eval_end *end)
{
    if (end->code == CLD_EXITED)
        return end->status == EVAL_EXIT_WORN;
    if (end->status != SIGKILL || ev->spared)
        return false;
    ev->spared = true;
    return true;
}

static void feed(struct evaluator *ev);

static void line_read(struct eval_line *line);

static void on_child_ended(uv_poll_t *handle, int status, int events)
{
    struct eval_line *line = handle->data;
    struct evaluator *ev = line->evaluator;
    struct error how = {0};
    struct eval_end end;

    (void)status;
    (void)events;
    /* What it answered before its end may be here later than the news of its end. */
    line_read(line);
    if (ev->closing)
        return;
    const enum end_cause cause = line->ending ? line->cause : END_BY_ITSELF;
    const bool was_asked = ev->sent > 0;
    line_drop(ev, &end);
    if (cause == END_BY_ITSELF && is_nobodys_fault(ev, &end)) {
        feed(ev);
        return;
    }
    if (!eval_child_reason(&end, &how))
        fail_all(ev, &how);
    else if (was_asked)
        blame_first(ev, cause, &how);
    feed(ev);
}

/* The child is no longer talked to; what it did not answer waits until it has been reaped. */
static void line_end(struct eval_line *line, enum end_cause cause)
{
    if (line->ending)
        return;
    line->ending = true;
    line->cause = cause;
    uv_poll_stop(&line->io);
    uv_timer_stop(&line->evaluator->timer);
    eval_child_kill(&line->child);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void on_time(uv_timer_t *timer);

/* The first one's second begins. */
static void clock_first(struct evaluator *ev)
{
    uv_update_time(ev->loop);
    uv_timer_start(&ev->timer, on_time, EVAL_TIME_MAX_MS, 0);
}

/* Takes one answer from the front of `in`: its size, 0 when it is not whole, or BF_EPROTO. */
static int64_t take_answer(struct evaluator *ev, const char *bytes, size_t len)
{
    uint32_t id;
    json_t *result = NULL;
    struct error why = {0};

    const int64_t size = eval_answer_size(bytes, len);
    if (size <= 0 || (size_t)size > len)
        return size < 0 ? size : 0;
    if (ev->sent == 0)
        return BF_EPROTO;
    int status = eval_get_answer(bytes, ev->first->program, &id, &result, &why);
    if (id != ev->first_id || status == BF_EPROTO) {
        json_decref(result);
        return BF_EPROTO;
    }
    if (status != 0 && status != BF_ENOMEM)
        status = BF_EINVAL;
    if (ev->sent > 1)
        clock_first(ev);
    else
        uv_timer_stop(&ev->timer);
    finish_first(ev, status, status != 0 ? &why : NULL, result);
    return size;
}

/* Takes all whole answers. An owner who is told may close the evaluator: then the line is ending. */
static void take_answers(struct eval_line *line)
{
    struct evaluator *ev = line->evaluator;
    size_t done = 0;
    while (!line->ending && !ev->closing) {
        const int64_t size = take_answer(ev, line->in.data + done, line->in.len - done);
        if (size < 0)
            line_end(line, END_NONSENSE);
        if (size <= 0)
            break;
        done += (size_t)size;
    }
    if (done == 0)
        return;
    memmove(line->in.data, line->in.data + done, line->in.len - done);
    line->in.len -= done;
}

/* Reads what is there. */
static void line_read(struct eval_line *line)
{
    while (!line->ending && !line->evaluator->closing) {
        if (buf_reserve(&line->in, READ_SIZE) != 0)
            return;
        const ssize_t n = recv(line->child.fd, line->in.data + line->in.len, READ_SIZE, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            line_end(line, END_BY_ITSELF);
            return;
        }
        line->in.len += (size_t)n;
        take_answers(line);
    }
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void on_io(uv_poll_t *handle, int status, int events);

static void line_listen(struct eval_line *line)
{
    const int events = UV_READABLE | (line->out_done < line->out.len ? UV_WRITABLE : 0);
    uv_poll_start(&line->io, events, on_io);
}

static void line_write(struct eval_line *line)
{
    while (line->out_done < line->out.len) {
        const ssize_t n = send(line->child.fd, line->out.data + line->out_done, line->out.len - line->out_done,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            /* It is gone; answers that it gave before are still there to be read. */
            buf_reset(&line->out);
            line->out_done = 0;
            return;
        }
        line->out_done += (size_t)n;
    }
    buf_reset(&line->out);
    line->out_done = 0;
}

/* Frames the next one. False when it cannot be: told at once if it is the first, else when it has become the first. */
static bool line_put_next(struct eval_line *line)
{
    struct evaluator *ev = line->evaluator;
    struct evaluation *e = ev->unsent;
    struct error why = {0};
    int rc = BF_ENOMEM;

    char *value = json_text(e->value);
    if (value)
        rc = eval_put_request(&line->out, ev->first_id + (uint32_t)ev->sent, EVAL_RUN, e->program, value, &why);
    else
        error_set(&why, BF_ENOMEM, "out of memory for a jq program's event");
    free(value);
    if (rc == 0) {
        ev->unsent = e->pending;
        ev->sent++;
        if (ev->sent == 1)
            clock_first(ev);
        return true;
    }
    if (ev->sent > 0)
        return false;
    /* An event too large for a program is the event's fault; memory is not. */
    const int code = rc == BF_ETOOBIG ? BF_EINVAL : rc;
    why.code = code;
    finish_first(ev, code, &why, NULL);
    return true;
}

static int line_new(struct evaluator *ev, struct error *err)
{
    struct eval_line *line = calloc(1, sizeof *line);
    if (!line)
        return error_set(err, BF_ENOMEM, "starting belfry-eval: out of memory");
    int rc = eval_child_spawn(&line->child, err);
    if (rc != 0) {
        free(line);
        return rc;
    }
    line->evaluator = ev;
    buf_init(&line->out);
    buf_init(&line->in);
    struct eval_end end;
    rc = uv_poll_init(ev->loop, &line->io, line->child.fd);
    if (rc != 0)
        goto child;
    line->io.data = line;
    line->end.data = line;
    rc = uv_poll_init(ev->loop, &line->end, line->child.pidfd);
    if (rc != 0)
        goto io;
    line->open_handles = 2;
    ev->lines++;
    ev->line = line;
    uv_poll_start(&line->end, UV_READABLE, on_child_ended);
    return 0;

io:
    line->open_handles = 1;
    ev->lines++;
    uv_close((uv_handle_t *)&line->io, line_handle_closed);
    eval_child_kill(&line->child);
    eval_child_reap(&line->child, &end);
    return error_set(err, BF_EIO, "starting belfry-eval: %s", uv_strerror(rc));
child:
    eval_child_kill(&line->child);
    eval_child_reap(&line->child, &end);
    free(line);
    return error_set(err, BF_EIO, "starting belfry-eval: %s", uv_strerror(rc));
}

/* Gives the child what it can take, starting one when there is none. */
static void feed(struct evaluator *ev)
{
    if (ev->closing || !ev->unsent || ev->broken.code != 0)
        return;
    if (!ev->line && line_new(ev, &ev->broken) != 0) {
        /* Not from here: whoever called may be in evaluator_run. */
        uv_timer_start(&ev->timer, on_time, 0, 0);
        return;
    }
    struct eval_line *line = ev->line;
    if (line->ending)
        return;
    while (ev->unsent && ev->sent < AHEAD_MAX && line->out.len - line->out_done < AHEAD_BYTES_MAX) {
        if (!line_put_next(line) || ev->closing || ev->line != line || line->ending)
            break;
    }
    if (ev->closing || ev->line != line || line->ending)
        return;
    line_write(line);
    line_listen(line);
}

static void on_io(uv_poll_t *handle, int status, int events)
{
    struct eval_line *line = handle->data;
    struct evaluator *ev = line->evaluator;

    if (status < 0) {
        line_end(line, END_BY_ITSELF);
        return;
    }
    if (events & UV_WRITABLE)
        line_write(line);
    if (events & UV_READABLE)
        line_read(line);
    if (ev->closing || line->ending)
        return;
    line_listen(line);
    feed(ev);
}

static void on_time(uv_timer_t *timer)
{
    struct evaluator *ev = timer->data;
    if (ev->broken.code != 0) {
        const struct error why = ev->broken;
        ev->broken.code = 0;
        fail_all(ev, &why);
        feed(ev);
        return;
    }
    struct eval_line *line = ev->line;
    if (!line || line->ending)
        return;
    /* A loop that was busy itself may find answers that came in time. */
    const uint32_t id = ev->first_id;
    line_read(line);
    if (ev->closing || line->ending)
        return;
    if (ev->sent > 0 && ev->first_id == id)
        line_end(line, END_TOO_SLOW);
    else
        feed(ev);
}

/* --- from outside ------------------------------------------------------------------------------------------------- */

int evaluator_new(uv_loop_t *loop, struct evaluator **evaluator, struct error *err)
{
    struct evaluator *ev = calloc(1, sizeof *ev);
    if (!ev)
        return error_set(err, BF_ENOMEM, "out of memory for the evaluator of jq programs");
    ev->loop = loop;
    uv_timer_init(loop, &ev->timer);
    ev->timer.data = ev;
    *evaluator = ev;
    return 0;
}

/* The first of a burst is sent here; a request that cannot be framed is told by the timer, so the callback never comes
 * from within this call. */
static void on_start(uv_timer_t *timer)
{
    feed(timer->data);
}

void evaluator_run(struct evaluator *ev, struct evaluation *e)
{
    e->result = NULL;
    e->error.code = 0;
    e->error.text[0] = '\0';
    queue_add(ev, e);
    if (ev->closing || ev->broken.code != 0)
        return;
    if (ev->sent == 0 && !(ev->line && ev->line->ending) && !uv_is_active((uv_handle_t *)&ev->timer))
        uv_timer_start(&ev->timer, on_start, 0, 0);
}

static void timer_closed(uv_handle_t *handle)
{
    struct evaluator *ev = handle->data;
    ev->timer_closed = true;
    maybe_closed(ev);
}

void evaluator_close(struct evaluator *ev, void (*closed)(void *data), void *data)
{
    struct eval_end end;
    ev->closing = true;
    ev->closed = closed;
    ev->closed_data = data;
    if (ev->line) {
        eval_child_kill(&ev->line->child);
        line_drop(ev, &end);
    }
    uv_close((uv_handle_t *)&ev->timer, timer_closed);
}
