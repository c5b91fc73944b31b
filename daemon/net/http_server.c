/*
 * The HTTP server as a whole: libmicrohttpd without a thread and without a listening socket, its epoll descriptor on the
 * loop. libmicrohttpd runs once before the loop goes to sleep, for all that came in this turn; its answers are then
 * taken from the pairs and written to the clients at once, so the pairs themselves seldom need watching.
 */
#include "belfry/net/http_server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/log.h"
#include "server_internal.h"

/* Pool of one connection: the largest head, the table of its headers, the head of an answer. */
#define MHD_POOL_BYTES (32 * 1024)
#define MHD_CONNECTIONS_SPARE 128
#define DRIVE_ROUNDS 8

static void on_mhd_log(void *cls, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

static void on_mhd_log(void *cls, const char *format, va_list ap)
{
    char line[512];

    (void)cls;
    /* With each answer it tries TCP's options on its pair, which is no TCP socket. */
    if (strncmp(format, "Setting ", 8) == 0 || strncmp(format, "Failed to push", 14) == 0)
        return;
    vsnprintf(line, sizeof line, format, ap);
    for (size_t i = 0; line[i]; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = line[i + 1] ? ' ' : '\0';
    log_debug("libmicrohttpd: %s", line);
}

void server_handle_closed(struct http_server *server)
{
    void (*closed)(void *) = server->closed;
    void *data = server->closed_data;

    if (--server->handles > 0)
        return;
    heap_close(&server->due);
    free(server->by_fd);
    free(server);
    if (closed)
        closed(data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    server_handle_closed(handle->data);
}

static bool mhd_is_busy(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;

    /* Its connections have no time-outs of its own: it wants to run at once, or not before something happens. */
    return MHD_get_timeout(server->mhd, &timeout_ms) == MHD_YES && timeout_ms == 0;
}

static void on_idle(uv_idle_t *idle)
{
    struct http_server *server = idle->data;

    server->kicked = true;
}

static void step_active(struct http_server *server)
{
    /* A step may put its connection, or end another, back at the tail: this turn takes those of before only. */
    for (size_t n = server->active_count; n > 0; n--) {
        struct conn *c = TAILQ_FIRST(&server->active);

        if (!c)
            return;
        conn_deactivate(c);
        pump_step(c);
    }
}

static void drive(struct http_server *server)
{
    bool busy = true;

    for (int i = 0; i < DRIVE_ROUNDS && (busy || server->kicked); i++) {
        server->kicked = false;
        MHD_run(server->mhd);
        step_active(server);
        busy = mhd_is_busy(server);
    }
    /* An answer longer than all the rounds: others get their turn first. */
    if (busy || server->kicked)
        uv_idle_start(&server->idle, on_idle);
    else
        uv_idle_stop(&server->idle);
    server->kicked = server->kicked || busy;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct http_server *server = prepare->data;

    if (server->kicked)
        drive(server);
    conn_arm(server);
}

static void on_mhd_poll(uv_poll_t *poll, int status, int events)
{
    struct http_server *server = poll->data;

    (void)status;
    (void)events;
    server->kicked = true;
}

static int start_mhd(struct http_server *server, struct error *err)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    unsigned limit = 2 * (unsigned)server->options.max_connections + MHD_CONNECTIONS_SPARE;   /* over TCP, and over the socket */
    const union MHD_DaemonInfo *info;

    server->mhd = MHD_start_daemon(flags, 0, NULL, NULL, exchange_handle, server,
                                   MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,
                                   MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, server,
                                   MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, server,
                                   MHD_OPTION_NOTIFY_CONNECTION, exchange_connection, server,
                                   MHD_OPTION_CONNECTION_LIMIT, limit,
                                   MHD_OPTION_CONNECTION_TIMEOUT, 0U,
                                   MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MHD_POOL_BYTES,
                                   MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                   MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!server->mhd)
        return error_set(err, BF_EIO, "could not start the HTTP server (libmicrohttpd refused)");
    info = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || uv_poll_init(server->loop, &server->mhd_poll, info->epoll_fd) < 0) {
        MHD_stop_daemon(server->mhd);
        return error_set(err, BF_EIO, "could not put the HTTP server on the event loop");
    }
    return BF_OK;
}

static void set_options(struct http_server *server, const struct http_server_options *options)
{
    server->options = *options;
    if (server->options.max_body < 0)
        server->options.max_body = 0;
    if (server->options.max_connections < 1)
        server->options.max_connections = 1;
    if (server->options.max_connections > 1000000)
        server->options.max_connections = 1000000;
    if (server->options.idle_timeout_ms <= 0)
        server->options.idle_timeout_ms = 30000;
    if (server->options.head_timeout_ms <= 0)
        server->options.head_timeout_ms = SERVER_HEAD_TIMEOUT_MS;
    if (server->options.body_floor <= 0)
        server->options.body_floor = SERVER_BODY_FLOOR;
    if (server->options.body_time_ms <= 0)
        server->options.body_time_ms = SERVER_BODY_TIME_MS;
}

static void start_handles(struct http_server *server)
{
    uv_prepare_init(server->loop, &server->prepare);
    uv_idle_init(server->loop, &server->idle);
    uv_timer_init(server->loop, &server->timer);
    server->mhd_poll.data = server->prepare.data = server->idle.data = server->timer.data = server;
    server->handles = 4;
    uv_poll_start(&server->mhd_poll, UV_READABLE, on_mhd_poll);
    uv_prepare_start(&server->prepare, on_prepare);
    /* What keeps the loop alive are the listening sockets, the connections and, while accepting rests, the timer. */
    uv_unref((uv_handle_t *)&server->mhd_poll);
    uv_unref((uv_handle_t *)&server->prepare);
}

int http_server_new(uv_loop_t *loop, const struct http_server_options *options, http_head_cb head,
                    http_request_cb request, void *data, struct http_server **server, struct error *err)
{
    struct http_server *s = calloc(1, sizeof *s);
    struct sigaction old;
    int rc;

    if (!s)
        return error_set(err, BF_ENOMEM, "out of memory for the HTTP server");
    s->loop = loop;
    set_options(s, options);
    s->head = head;
    s->request = request;
    s->data = data;
    s->timer_ms = INT64_MAX;
    heap_init(&s->due);
    heap_node_init(&s->accept_retry);
    LIST_INIT(&s->listeners);
    LIST_INIT(&s->conns);
    TAILQ_INIT(&s->active);
    /* libmicrohttpd sends files with sendfile(2), which knows no MSG_NOSIGNAL. */
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
    s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    rc = start_mhd(s, err);
    if (rc < 0) {
        if (s->reserve_fd >= 0)
            close(s->reserve_fd);
        free(s);
        return rc;
    }
    start_handles(s);
    *server = s;
    return BF_OK;
}

void http_server_stop_listening(struct http_server *server)
{
    listen_stop(server);
}

/* Runs in the loop's closing phase: never inside a call of libmicrohttpd's, whoever asked for the close. */
static void on_prepare_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    struct conn *c;

    while ((c = LIST_FIRST(&server->conns)) != NULL)
        conn_kill(c);
    MHD_stop_daemon(server->mhd);
    server->mhd = NULL;
    server_handle_closed(server);
}

void http_server_close(struct http_server *server, void (*closed)(void *data), void *data)
{
    server->closing = true;
    server->closed = closed;
    server->closed_data = data;
    listen_stop(server);
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    server->reserve_fd = -1;
    uv_close((uv_handle_t *)&server->mhd_poll, on_handle_closed);
    uv_close((uv_handle_t *)&server->idle, on_handle_closed);
    uv_close((uv_handle_t *)&server->timer, on_handle_closed);
    uv_close((uv_handle_t *)&server->prepare, on_prepare_closed);
}

void http_server_stats(const struct http_server *server, struct http_server_stats *stats)
{
    *stats = server->stats;
}
