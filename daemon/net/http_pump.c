/*
 * The pump: bytes of the client through the gate into the pair, bytes of the pair to the client. What can be written at
 * once goes from one socket to the other through one buffer that all connections share; memory of its own a connection
 * has only while bytes wait.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server_internal.h"

/* Runs of libmicrohttpd within which it must have shown a head to the handler. */
#define HEAD_RUNS_MAX 64

static int64_t now_of(const struct conn *c)
{
    return (int64_t)uv_now(c->server->loop);
}

static size_t waiting(const struct pump *p)
{
    return p->end - p->at;
}

static void pump_clear(struct pump *p)
{
    free(p->bytes);
    memset(p, 0, sizeof *p);
}

/* Room for `more` bytes at the end. Waiting bytes never pass SERVER_PUMP_MAX, so the buffer does not either. */
static bool pump_room(struct pump *p, size_t more)
{
    size_t cap = p->cap ? p->cap : 1024;
    char *grown;

    if (p->at > 0 && p->cap - p->end < more) {
        memmove(p->bytes, p->bytes + p->at, waiting(p));
        p->end -= p->at;
        p->judged -= p->judged < p->at ? p->judged : p->at;
        p->at = 0;
    }
    if (p->cap - p->end >= more)
        return true;
    while (cap - p->end < more)
        cap *= 2;
    grown = realloc(p->bytes, cap);
    if (!grown)
        return false;
    p->bytes = grown;
    p->cap = cap;
    return true;
}

static bool pump_add(struct pump *p, const char *bytes, size_t len)
{
    if (!pump_room(p, len))
        return false;
    memcpy(p->bytes + p->end, bytes, len);
    p->end += len;
    return true;
}

/* --- the gate's own answers --------------------------------------------------------------------------------------- */

static const char *reason_of(unsigned status)
{
    switch (status) {
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Bad Request";
    }
}

static void add_own_answer(struct conn *c)
{
    char answer[768];
    char body[256];
    char date[48] = "";
    time_t now = time(NULL);
    struct tm tm;
    int body_len;
    int len;

    /* The reasons are literals of ours with nothing in them that JSON would escape. */
    body_len = snprintf(body, sizeof body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}",
                        exchange_code_of(c->gate.status), c->gate.why);
    if (gmtime_r(&now, &tm))
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    len = snprintf(answer, sizeof answer,
                   "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                   "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n%sConnection: close\r\n\r\n%s",
                   c->gate.status, reason_of(c->gate.status), date, body_len,
                   c->gate.status == 503 ? "Retry-After: 1\r\n" : "", body);
    /* Without memory the client sees a closed connection, which says no as well. */
    (void)pump_add(&c->out, answer, (size_t)len);
}

void pump_refuse(struct conn *c, unsigned status, const char *why)
{
    c->body_cut = c->gate.phase == GATE_BODY || c->gate.phase == GATE_CHUNKS;
    c->gate.phase = GATE_REFUSED;
    c->gate.status = status;
    c->gate.why = why;
    c->state = CONN_REFUSING;
    conn_activate(c);
}

/* --- from the client to the pair ---------------------------------------------------------------------------------- */

/* How many of the bytes may be handed on. */
static size_t judge(struct conn *c, const char *bytes, size_t len)
{
    size_t passed = 0;
    size_t n;

    do {
        enum gate_phase before = c->gate.phase;

        n = gate_pass(&c->gate, bytes + passed, len - passed);
        passed += n;
        if (c->gate.phase != GATE_REFUSED)
            continue;
        if (before == GATE_REFUSED)
            return passed;
        c->body_cut = before != GATE_HEAD;
        c->state = CONN_REFUSING;
        c->server->stats.refused_framing++;
        return passed;
    } while (n > 0 && passed < len);
    return passed;
}

static void note_progress(struct conn *c, size_t unjudged)
{
    int64_t now_ms = now_of(c);
    bool in_body = c->gate.phase == GATE_BODY || c->gate.phase == GATE_CHUNKS;

    c->moved_ms = now_ms;
    if (!(c->gate.phase == GATE_HEAD && unjudged > 0))
        c->head_since_ms = 0;
    else if (c->head_since_ms == 0)
        c->head_since_ms = now_ms;
    if (!in_body) {
        c->body_since_ms = 0;
    } else if (c->body_of != c->gate.requests) {
        c->body_of = c->gate.requests;
        c->body_since_ms = now_ms;
    }
}

/* Writes to the pair what it takes; how much that was. */
static size_t hand_on(struct conn *c, const char *bytes, size_t len)
{
    ssize_t n;

    if (len == 0)
        return 0;
    if (c->pair_deaf || c->pair_ended)
        return len;
    if (c->pair_fd < 0 && conn_open_pair(c) < 0) {
        c->gate.requests = c->answered;   /* none of it reached libmicrohttpd */
        pump_refuse(c, 503, "the server is out of descriptors or memory");
        c->body_cut = false;
        return len;
    }
    n = send(c->pair_fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    conn_activate(c);
    if (n >= 0) {
        c->pair_full = (size_t)n < len;
        return (size_t)n;
    }
    if (errno == EAGAIN || errno == ENOBUFS) {
        c->pair_full = true;
        return 0;
    }
    /* It has answered early, or closed: the rest is for nobody. */
    c->pair_deaf = true;
    return len;
}

/* Judges and hands on what waits. */
static void push_in(struct conn *c)
{
    struct pump *in = &c->in;

    if (waiting(in) == 0)
        return;
    if (c->state == CONN_OPEN)
        in->judged += judge(c, in->bytes + in->judged, in->end - in->judged);
    note_progress(c, in->end - in->judged);
    if (in->judged > in->at)
        in->at += hand_on(c, in->bytes + in->at, in->judged - in->at);
    if (c->pair_deaf || (c->state != CONN_OPEN && in->at == in->judged) || in->at == in->end)
        pump_clear(in);
}

/* The usual case: nothing waits, so the bytes go from the shared buffer straight on. */
static bool take_in(struct conn *c, const char *bytes, size_t len)
{
    size_t passed = judge(c, bytes, len);
    size_t done;

    note_progress(c, len - passed);
    done = hand_on(c, bytes, passed);
    if (c->pair_deaf || (c->state != CONN_OPEN && done == passed) || done == len)
        return true;
    if (!pump_add(&c->in, bytes + done, len - done))
        return false;
    c->in.judged = passed - done;
    return true;
}

static void read_client(struct conn *c)
{
    char *into = c->server->scratch;
    size_t room = SERVER_PUMP_MAX;
    bool direct = waiting(&c->in) == 0;
    ssize_t n;

    if (!direct) {
        room = SERVER_PUMP_MAX - waiting(&c->in);
        if (room == 0)
            return;
        if (room > 4096 && waiting(&c->in) < 4096)
            room = 4096;
        if (!pump_room(&c->in, room)) {
            conn_kill(c);
            return;
        }
        into = c->in.bytes + c->in.end;
    }
    n = recv(c->client_fd, into, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        conn_kill(c);
        return;
    }
    conn_activate(c);
    if (n == 0) {
        c->client_ended = true;
        return;
    }
    if (!direct) {
        c->in.end += (size_t)n;
        push_in(c);
    } else if (!take_in(c, into, (size_t)n)) {
        conn_kill(c);
    }
}

/* --- from the pair to the client ---------------------------------------------------------------------------------- */

/* How many bytes went; -1 when the client is gone (and the connection with it). */
static ssize_t write_client(struct conn *c, const char *bytes, size_t len)
{
    ssize_t n = send(c->client_fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n >= 0) {
        c->moved_ms = now_of(c);
        return n;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
        return 0;
    conn_kill(c);
    return -1;
}

/* False when the client takes no more just now, or is gone. */
static bool flush_out(struct conn *c)
{
    struct pump *out = &c->out;
    ssize_t n;

    if (waiting(out) == 0)
        return true;
    n = write_client(c, out->bytes + out->at, waiting(out));
    if (n < 0)
        return false;
    out->at += (size_t)n;
    if (waiting(out) > 0)
        return false;
    pump_clear(out);
    return true;
}

/* Takes from the pair until it is empty or the client takes no more. True when it is empty. */
static bool pull_out(struct conn *c)
{
    char *scratch = c->server->scratch;

    while (flush_out(c)) {
        ssize_t n;
        ssize_t done;

        if (c->pair_fd < 0)
            return true;
        n = recv(c->pair_fd, scratch, SERVER_PUMP_MAX, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0) {   /* ECONNRESET: it closed with bytes of ours unread; all of its own came before */
            c->pair_ended = true;
            conn_close_pair(c);
            return true;
        }
        done = write_client(c, scratch, (size_t)n);
        if (done < 0)
            return false;
        /* Room was made: an answer that did not fit goes on. */
        if (c->answered < c->gate.requests)
            conn_activate(c);
        if (done < n && !pump_add(&c->out, scratch + done, (size_t)(n - done))) {
            conn_kill(c);
            return false;
        }
        /* A short read has emptied it: no second one to hear so, unless its end is near. */
        if (n < SERVER_PUMP_MAX && done == n && !c->mhd_closed && !c->pair_deaf && c->state == CONN_OPEN)
            return true;
    }
    return false;
}

/* --- the moves between states ------------------------------------------------------------------------------------- */

static bool is_answered(const struct conn *c)
{
    return c->answered >= c->gate.requests - (c->body_cut && c->gate.requests > 0);
}

/* A head with very many arguments or cookies is too much for libmicrohttpd's pool. It then stops with the handler not
 * called, and closes without an answer when it is run once more; a sound head it has read in a few runs. All requests
 * before are answered, as it takes them in turn. */
static void give_up_head(struct conn *c)
{
    bool waits = c->x && !exchange_is_begun(c->x);

    if (c->head_lost && c->state == CONN_REFUSING && c->gate.requests == c->answered)
        return;
    c->head_runs = waits ? c->head_runs + 1 : 0;
    if (waits)
        conn_activate(c);
    if (!c->head_lost && c->head_runs < HEAD_RUNS_MAX)
        return;
    c->gate.requests = c->answered;
    pump_refuse(c, 431, "the request has too many arguments or cookies");
    c->body_cut = false;
    c->head_lost = true;
}

static void drain(struct conn *c)
{
    c->state = CONN_DRAINING;
    conn_close_pair(c);
    pump_clear(&c->in);
}

/* All is written: shuts our side, and waits for the client's end so that no reset overtakes the last answer. */
static void finish(struct conn *c)
{
    ssize_t n;

    if (c->client_ended) {
        conn_kill(c);
        return;
    }
    n = recv(c->client_fd, c->server->scratch, SERVER_PUMP_MAX, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN) || (n < 0 && c->gate.phase == GATE_HEAD)) {
        conn_kill(c);
        return;
    }
    shutdown(c->client_fd, SHUT_WR);
    c->state = CONN_LINGERING;
    c->moved_ms = now_of(c);
}

static void move_on(struct conn *c, bool pair_empty)
{
    if (c->state == CONN_OPEN && c->pair_ended)
        drain(c);
    /* The client has ended: what it asked for in whole is answered, what it cut off is not. */
    if (c->state == CONN_OPEN && c->client_ended && !c->pair_full && pair_empty) {
        c->body_cut = c->gate.phase != GATE_HEAD;
        if (is_answered(c))
            drain(c);
    }
    if (c->state == CONN_REFUSING && c->pair_ended && c->gate.requests > 0 && !c->head_lost) {
        /* libmicrohttpd has closed after an answer of its own: nothing may follow that. */
        drain(c);
    } else if (c->state == CONN_REFUSING && waiting(&c->in) == 0 && is_answered(c) && pair_empty) {
        drain(c);
        add_own_answer(c);
        pair_empty = flush_out(c);
    }
    if (c->state == CONN_DRAINING && pair_empty && waiting(&c->out) == 0)
        finish(c);
}

static void watch(struct conn *c)
{
    int client = UV_PRIORITIZED;   /* nothing to read for: only to learn of its end */
    int pair = c->pair_events & UV_READABLE;

    if (c->state == CONN_DEAD)
        return;
    if (c->state == CONN_LINGERING || (c->state == CONN_OPEN && !c->client_ended && waiting(&c->in) < SERVER_PUMP_MAX))
        client = UV_READABLE;
    if (waiting(&c->out) > 0)
        client |= UV_WRITABLE;
    if (client != c->client_events) {
        uv_poll_start(&c->client_poll, client, pump_on_client);
        c->client_events = client;
    }
    if (c->pair_fd < 0)
        return;
    /* Once watched it stays so: it is mostly read before the loop looks. */
    if (c->answered < c->gate.requests || c->mhd_closed)
        pair = UV_READABLE;
    if (waiting(&c->out) > 0)
        pair = 0;
    if (c->pair_full)
        pair |= UV_WRITABLE;
    if (pair == c->pair_events)
        return;
    if (pair)
        uv_poll_start(&c->pair_poll, pair, pump_on_pair);
    else
        uv_poll_stop(&c->pair_poll);
    c->pair_events = pair;
}

/* --- deadlines ---------------------------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the body must have come further, or be refused: no piece of it may be long in coming, nor the whole too slow. One that is
 * kept takes memory meanwhile, so it has to end, too. */
static int64_t body_due_ms(const struct conn *c)
{
    const struct http_server_options *options = &c->server->options;
    int64_t seen = c->gate.body_seen;
    int64_t due_ms = earlier(c->body_since_ms + SERVER_BODY_GRACE_MS + seen / options->body_floor * 1000,
                             c->moved_ms + options->idle_timeout_ms);

    if (c->x && c->gate.requests == c->answered + 1 && exchange_is_streamed(c->x))
        return due_ms;
    if (seen < SERVER_BODY_TIME_OF)
        seen = SERVER_BODY_TIME_OF;
    return earlier(due_ms, c->body_since_ms + options->body_time_ms * seen / SERVER_BODY_TIME_OF);
}

static int64_t deadline(struct conn *c)
{
    const struct http_server_options *options = &c->server->options;
    int64_t due_ms = INT64_MAX;

    if (waiting(&c->out) > 0 || c->state == CONN_DRAINING)
        return c->moved_ms + options->idle_timeout_ms;
    if (c->state == CONN_LINGERING)
        return c->moved_ms + SERVER_LINGER_MS;
    if (c->state != CONN_OPEN)   /* a handler may take its time; nothing else may */
        return c->x ? INT64_MAX : c->moved_ms + options->idle_timeout_ms;
    if (c->head_since_ms > 0)
        due_ms = c->head_since_ms + options->head_timeout_ms;
    if (c->body_since_ms > 0 && c->blocked_since_ms == 0)
        due_ms = earlier(due_ms, body_due_ms(c));
    if (c->client_ended || (due_ms == INT64_MAX && c->answered == c->gate.requests && c->body_since_ms == 0))
        due_ms = earlier(due_ms, c->moved_ms + options->idle_timeout_ms);
    return due_ms;
}

/* The client is not to be blamed for the time in which nobody here took its bytes. */
static void note_blocked(struct conn *c)
{
    bool blocked = c->pair_full || waiting(&c->in) >= SERVER_PUMP_MAX;

    if (blocked && c->blocked_since_ms == 0)
        c->blocked_since_ms = now_of(c);
    if (blocked || c->blocked_since_ms == 0)
        return;
    if (c->body_since_ms > 0)
        c->body_since_ms += now_of(c) - c->blocked_since_ms;
    c->moved_ms = now_of(c);
    c->blocked_since_ms = 0;
}

void pump_on_deadline(struct conn *c)
{
    int64_t now_ms = now_of(c);
    struct http_server_stats *stats = &c->server->stats;

    if (c->state == CONN_OPEN && waiting(&c->out) == 0 && c->head_since_ms > 0
        && c->head_since_ms + c->server->options.head_timeout_ms <= now_ms) {
        stats->refused_timeout++;
        pump_refuse(c, 408, "the head of the request took too long");
        return;
    }
    if (c->state == CONN_OPEN && waiting(&c->out) == 0 && c->body_since_ms > 0 && body_due_ms(c) <= now_ms) {
        stats->refused_timeout++;
        pump_refuse(c, 408, "the body of the request came too slowly");
        return;
    }
    if (waiting(&c->out) > 0)
        stats->refused_timeout++;
    conn_kill(c);
}

/* --- what the loop calls ------------------------------------------------------------------------------------------ */

void pump_step(struct conn *c)
{
    bool pair_empty;

    if (c->state == CONN_DEAD)
        return;
    if (c->state != CONN_LINGERING) {
        push_in(c);
        pair_empty = c->state != CONN_DEAD && pull_out(c);
        if (c->state == CONN_DEAD)
            return;
        if (pair_empty && c->out.at == c->out.end)
            conn_tell_sent(c, true);
        if ((c->state == CONN_OPEN || c->state == CONN_REFUSING) && (c->x || c->head_lost))
            give_up_head(c);
        move_on(c, pair_empty);
        if (c->state == CONN_DEAD)
            return;
    }
    note_blocked(c);
    watch(c);
    conn_set_deadline(c, deadline(c));
}

static void discard(struct conn *c)
{
    ssize_t n = recv(c->client_fd, c->server->scratch, SERVER_PUMP_MAX, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        conn_kill(c);
}

void pump_on_client(uv_poll_t *poll, int status, int events)
{
    struct conn *c = poll->data;

    if (c->state == CONN_LINGERING) {
        discard(c);
        return;
    }
    /* An error or a hang-up, while nothing of it is wanted any more but its going. */
    if (status < 0 || (events & UV_PRIORITIZED)) {
        conn_kill(c);
        return;
    }
    if (events & UV_READABLE)
        read_client(c);
    if (c->state != CONN_DEAD && (events & UV_WRITABLE))
        conn_activate(c);
}

void pump_on_pair(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    conn_activate(poll->data);
}
