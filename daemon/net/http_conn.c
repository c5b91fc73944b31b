/*
 * A connection's life, and the deadlines of all of them: one heap, one timer. A deadline that moves away is only noted;
 * the heap learns of it when the earlier time comes. With no connection the timer is off.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_internal.h"

static struct conn *conn_of_timer(struct heap_node *node)
{
    return HEAP_ENTRY(node, struct conn, timer);
}

void conn_set_deadline(struct conn *c, int64_t due_ms)
{
    struct http_server *server = c->server;

    c->due_ms = due_ms;
    if (due_ms == INT64_MAX || (c->timer.index != HEAP_NOT_IN && c->timer.due_ms <= due_ms))
        return;
    /* A connection that nothing would ever end may not live. */
    if (heap_set(&server->due, &c->timer, due_ms) < 0)
        conn_kill(c);
}

void conn_arm(struct http_server *server)
{
    struct heap_node *first = heap_first(&server->due);
    int64_t now_ms;

    if (!first) {
        if (server->timer_ms != INT64_MAX)
            uv_timer_stop(&server->timer);
        server->timer_ms = INT64_MAX;
        return;
    }
    if (first->due_ms >= server->timer_ms || server->closing)
        return;
    now_ms = (int64_t)uv_now(server->loop);
    server->timer_ms = first->due_ms;
    uv_timer_start(&server->timer, conn_on_timer, first->due_ms > now_ms ? (uint64_t)(first->due_ms - now_ms) : 0, 0);
}

void conn_on_timer(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    int64_t now_ms = (int64_t)uv_now(server->loop);
    struct heap_node *node;

    server->timer_ms = INT64_MAX;
    while ((node = heap_first(&server->due)) != NULL && node->due_ms <= now_ms) {
        struct conn *c = conn_of_timer(node);

        if (node == &server->accept_retry) {
            heap_remove(&server->due, node);
            listen_resume(server);
            continue;
        }
        heap_remove(&server->due, node);
        if (c->due_ms > now_ms)
            conn_set_deadline(c, c->due_ms);
        else
            pump_on_deadline(c);
    }
    conn_arm(server);
}

void conn_activate(struct conn *c)
{
    c->server->kicked = true;
    if (c->active || c->state == CONN_DEAD)
        return;
    c->active = true;
    c->server->active_count++;
    TAILQ_INSERT_TAIL(&c->server->active, c, active_link);
}

void conn_deactivate(struct conn *c)
{
    if (!c->active)
        return;
    c->active = false;
    c->server->active_count--;
    TAILQ_REMOVE(&c->server->active, c, active_link);
}

static void remember_remote(struct conn *c, const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, c->remote, sizeof c->remote);
    else if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, c->remote, sizeof c->remote);
    else
        c->is_local = true;
}

/* fd stays the caller's when NULL comes back. */
struct conn *conn_new(struct http_server *server, int fd, const struct sockaddr *address, bool over_limit)
{
    struct conn *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->server = server;
    c->client_fd = fd;
    c->pair_fd = -1;
    c->over_limit = over_limit;
    c->moved_ms = (int64_t)uv_now(server->loop);
    c->due_ms = c->moved_ms + server->options.idle_timeout_ms;
    gate_init(&c->gate, server->options.max_body);
    heap_node_init(&c->timer);
    remember_remote(c, address);
    if (heap_set(&server->due, &c->timer, c->due_ms) < 0) {
        free(c);
        return NULL;
    }
    if (uv_poll_init(server->loop, &c->client_poll, fd) < 0) {
        heap_remove(&server->due, &c->timer);
        free(c);
        return NULL;
    }
    c->client_poll.data = c;
    c->refs = 1;
    server->handles++;
    server->stats.connections++;
    server->refusals += over_limit;
    server->taken[c->is_local] += !over_limit;
    LIST_INSERT_HEAD(&server->conns, c, link);
    if (over_limit) {
        pump_refuse(c, 503, "there are too many connections");
        conn_activate(c);
        return c;
    }
    c->client_events = UV_READABLE;
    uv_poll_start(&c->client_poll, UV_READABLE, pump_on_client);
    return c;
}

static int remember_fd(struct http_server *server, int fd, struct conn *c)
{
    size_t count = server->by_fd_count;

    if ((size_t)fd >= count) {
        struct conn **grown;

        count = (size_t)fd + 64;
        grown = realloc(server->by_fd, count * sizeof *grown);
        if (!grown)
            return BF_ENOMEM;
        memset(grown + server->by_fd_count, 0, (count - server->by_fd_count) * sizeof *grown);
        server->by_fd = grown;
        server->by_fd_count = count;
    }
    server->by_fd[fd] = c;
    return BF_OK;
}

int conn_open_pair(struct conn *c)
{
    struct sockaddr address = {.sa_family = AF_UNIX};
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        return BF_EAGAIN;
    if (remember_fd(c->server, fds[1], c) < 0 || uv_poll_init(c->server->loop, &c->pair_poll, fds[0]) < 0) {
        close(fds[0]);
        close(fds[1]);
        return BF_EAGAIN;
    }
    c->pair_poll.data = c;
    c->pair_fd = fds[0];
    /* One for the poll, one for libmicrohttpd, which says so when it has closed. On failure it has closed its socket. */
    c->refs += 2;
    if (MHD_add_connection(c->server->mhd, fds[1], &address, sizeof address) == MHD_YES)
        return BF_OK;
    c->server->by_fd[fds[1]] = NULL;
    conn_unref(c);
    return BF_EAGAIN;
}

void conn_unref(struct conn *c)
{
    struct http_server *server = c->server;

    if (--c->refs > 0)
        return;
    free(c->in.bytes);
    free(c->out.bytes);
    free(c);
    server_handle_closed(server);
}

static void on_poll_closed(uv_handle_t *handle)
{
    conn_unref(handle->data);
}

void conn_close_pair(struct conn *c)
{
    if (c->pair_fd < 0)
        return;
    uv_close((uv_handle_t *)&c->pair_poll, on_poll_closed);
    close(c->pair_fd);
    c->pair_fd = -1;
    c->pair_events = 0;
    c->pair_full = false;
    c->server->kicked = true;
}

void conn_tell_sent(struct conn *c, bool went)
{
    void (*sent)(void *data, bool went) = c->sent;

    c->sent = NULL;
    if (sent)
        sent(c->sent_data, went);
}

void conn_kill(struct conn *c)
{
    struct http_server *server = c->server;
    struct http_exchange *x = c->x;

    if (c->state == CONN_DEAD)
        return;
    c->state = CONN_DEAD;
    conn_tell_sent(c, false);
    LIST_REMOVE(c, link);
    conn_deactivate(c);
    heap_remove(&server->due, &c->timer);
    server->stats.connections--;
    server->refusals -= c->over_limit;
    server->taken[c->is_local] -= !c->over_limit;
    conn_close_pair(c);
    /* One that no handler has seen is libmicrohttpd's still. */
    if (x && exchange_is_begun(x)) {
        c->x = NULL;
        exchange_gone(x);
    }
    uv_close((uv_handle_t *)&c->client_poll, on_poll_closed);
    close(c->client_fd);
    listen_resume(server);
}
