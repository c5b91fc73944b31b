/*
 * Listening sockets and accepting. When descriptors run out, the one kept in reserve lets a waiting client be accepted
 * and told so; when that fails too, accepting rests until a connection has closed or a second is over: nothing spins.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "belfry/base/log.h"
#include "belfry/net/address.h"
#include "server_internal.h"

#define ACCEPT_AT_ONCE 64
#define ACCEPT_REST_MS 1000

static void on_listening(uv_poll_t *poll, int status, int events);

static void rest(struct http_server *server)
{
    struct listener *l;

    if (server->accept_paused)
        return;
    server->accept_paused = true;
    LIST_FOREACH(l, &server->listeners, link)
        uv_poll_stop(&l->poll);
    if (heap_set(&server->due, &server->accept_retry, (int64_t)uv_now(server->loop) + ACCEPT_REST_MS) < 0)
        listen_resume(server);
    /* At once: nothing else may be left that keeps the loop alive. */
    conn_arm(server);
}

void listen_resume(struct http_server *server)
{
    struct listener *l;

    if (server->reserve_fd < 0 && !server->closing)
        server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!server->accept_paused)
        return;
    server->accept_paused = false;
    heap_remove(&server->due, &server->accept_retry);
    LIST_FOREACH(l, &server->listeners, link)
        uv_poll_start(&l->poll, UV_READABLE, on_listening);
}

/* The table is full: takes one client by the reserve, so that it is told and does not hang. */
static void refuse_by_reserve(struct http_server *server, int listen_fd)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                                 "Connection: close\r\n\r\n";
    int fd;

    server->stats.refused_connections++;
    if (server->reserve_fd >= 0) {
        close(server->reserve_fd);
        fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            /* A client that does not get it sees a closed connection, which says as much. */
            (void)!send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
            close(fd);
        }
        server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    rest(server);
}

static void take(struct http_server *server, int fd, const struct sockaddr *address)
{
    bool over = server->taken[address->sa_family == AF_UNIX] >= (size_t)server->options.max_connections;
    int on = 1;

    if (address->sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (over)
        server->stats.refused_connections++;
    if ((over && server->refusals >= SERVER_REFUSALS_MAX) || !conn_new(server, fd, address, over))
        close(fd);
}

static void on_listening(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;
    struct http_server *server = l->server;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        int fd = accept4(l->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            take(server, fd, (struct sockaddr *)&address);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (errno == EMFILE || errno == ENFILE) {
            log_warning("HTTP: out of file descriptors; new connections wait (raise LimitNOFILE)");
            refuse_by_reserve(server, l->fd);
            return;
        }
        if (errno == ENOBUFS || errno == ENOMEM) {
            rest(server);
            return;
        }
        /* What is left concerns that one client, which is gone already (accept(2): ECONNABORTED and the like). */
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    struct http_server *server = l->server;

    free(l->unix_path);
    free(l);
    server_handle_closed(server);
}

void listen_stop(struct http_server *server)
{
    struct listener *l;

    while ((l = LIST_FIRST(&server->listeners)) != NULL) {
        struct stat st;

        LIST_REMOVE(l, link);
        uv_close((uv_handle_t *)&l->poll, on_listener_closed);
        close(l->fd);
        /* Another daemon may have put its own socket there by now. */
        if (l->unix_path && lstat(l->unix_path, &st) == 0 && st.st_dev == l->unix_dev && st.st_ino == l->unix_ino)
            unlink(l->unix_path);
    }
}

static int add_listener(struct http_server *server, int fd, const char *unix_path, const char *shown, struct error *err)
{
    struct listener *l = calloc(1, sizeof *l);
    struct stat st;
    int rc;

    if (!l)
        return error_set(err, BF_ENOMEM, "out of memory to listen on %s", shown);
    l->server = server;
    l->fd = fd;
    if (unix_path) {
        l->unix_path = strdup(unix_path);
        if (!l->unix_path || lstat(unix_path, &st) < 0) {
            free(l->unix_path);
            free(l);
            return error_set(err, BF_EIO, "could not listen on %s: the socket vanished", shown);
        }
        l->unix_dev = st.st_dev;
        l->unix_ino = st.st_ino;
    }
    rc = uv_poll_init(server->loop, &l->poll, fd);
    if (rc < 0) {
        free(l->unix_path);
        free(l);
        return error_set(err, BF_EIO, "could not listen on %s: %s", shown, uv_strerror(rc));
    }
    l->poll.data = l;
    server->handles++;
    LIST_INSERT_HEAD(&server->listeners, l, link);
    if (!server->accept_paused)
        uv_poll_start(&l->poll, UV_READABLE, on_listening);
    return BF_OK;
}

/* "127.0.0.1:8750" or "[::1]:8750" */
static int parse_address(const char *text, struct addrinfo **found, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t len = colon ? (size_t)(colon - text) : 0;
    char name[128];

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        host++;
        len -= 2;
    } else if (colon && memchr(text, ':', len)) {
        colon = NULL;   /* an IPv6 address with no brackets: which colon is the port's? */
    }
    if (!colon || !colon[1] || len == 0 || len >= sizeof name)
        return error_set(err, BF_EINVAL, "%s is no address to listen on: write 127.0.0.1:8750 or [::1]:8750", text);
    memcpy(name, host, len);
    name[len] = '\0';
    if (strcmp(name, "localhost") == 0)
        hints.ai_flags &= ~AI_NUMERICHOST;
    if (getaddrinfo(name, colon + 1, &hints, found) != 0)
        return error_set(err, BF_EINVAL, "%s is no address to listen on: write 127.0.0.1:8750 or [::1]:8750", text);
    return BF_OK;
}

static int bound_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

int http_server_listen_tcp(struct http_server *server, const char *address, int *port, struct error *err)
{
    struct addrinfo *found;
    int on = 1;
    int fd;
    int rc = parse_address(address, &found, err);

    if (rc < 0)
        return rc;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        rc = error_errno(err, errno, "could not listen on %s", address);
        goto out;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (found->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SERVER_BACKLOG) < 0) {
        rc = error_errno(err, errno, "could not listen on %s", address);
        goto out;
    }
    rc = add_listener(server, fd, NULL, address, err);
    if (rc == BF_OK && port)
        *port = bound_port(fd);
out:
    if (rc < 0 && fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return rc;
}

bool http_server_owns(const struct http_server *server, const struct sockaddr *address)
{
    const struct listener *l;

    LIST_FOREACH(l, &server->listeners, link) {
        struct sockaddr_storage own = {0};
        socklen_t len = sizeof own;

        if (getsockname(l->fd, (struct sockaddr *)&own, &len) == 0 && address_is_same((const struct sockaddr *)&own, address))
            return true;
    }
    return false;
}

/* Makes way at the path: only a socket that nobody answers at is removed. */
static int clear_path(const char *path, const struct sockaddr_un *address, struct error *err)
{
    struct stat st;
    int fd;
    int rc;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? BF_OK : error_errno(err, errno, "could not listen on %s", path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, BF_EEXIST, "could not listen on %s: something that is no socket is there", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(err, errno, "could not listen on %s", path);
    rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
    if (rc == 0 || errno == EAGAIN || errno == EINPROGRESS) {
        rc = error_set(err, BF_EEXIST, "could not listen on %s: another process is listening there already", path);
    } else if (errno != ECONNREFUSED) {
        rc = error_errno(err, errno, "could not see whether anybody listens on %s", path);
    } else {
        rc = unlink(path) < 0 && errno != ENOENT ? error_errno(err, errno, "could not remove the dead socket %s", path)
                                                 : BF_OK;
    }
    close(fd);
    return rc;
}

int http_server_listen_unix(struct http_server *server, const char *path, int mode, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool bound = false;
    int fd;
    int rc;

    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, BF_EINVAL, "could not listen on %s: the path of a socket has at most %zu characters", path,
                         sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    rc = clear_path(path, &address, err);
    if (rc < 0)
        return rc;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(err, errno, "could not listen on %s", path);
    /* Nobody can connect before listen(), so the mode is right before it matters. */
    bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (!bound || chmod(path, (mode_t)mode) < 0 || listen(fd, SERVER_BACKLOG) < 0)
        rc = error_errno(err, errno, "could not listen on %s", path);
    else
        rc = add_listener(server, fd, path, path, err);
    if (rc == BF_OK)
        return BF_OK;
    if (bound)
        unlink(path);
    close(fd);
    return rc;
}
