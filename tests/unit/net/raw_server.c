#include "raw_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct raw_conn {
    struct raw_server *raw;
    int fd;
};

static void say(int fd, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

/* Reads one request whole; false at the end. */
static bool read_request(int fd, char *request, size_t size)
{
    size_t len = 0;

    for (;;) {
        const char *end, *field;
        ssize_t n;

        request[len] = '\0';
        end = strstr(request, "\r\n\r\n");
        if (end) {
            field = strcasestr(request, "\r\nContent-Length:");
            if (!field || len - (size_t)(end + 4 - request) >= (size_t)strtoul(field + 17, NULL, 10))
                return true;
        }
        n = recv(fd, request + len, size - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
    }
}

static void wait_for_end(int fd)
{
    char bytes[1024];

    while (recv(fd, bytes, sizeof bytes, 0) > 0)
        continue;
}

/* False: the connection is to be closed. */
static bool answer(struct raw_conn *c, const char *request)
{
    if (strstr(request, " /die"))
        return false;
    if (strstr(request, " /cut-head")) {
        say(c->fd, "HTTP/1.1 200 OK\r\nContent-Le");
        return false;
    }
    if (strstr(request, " /cut-body")) {
        say(c->fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        return false;
    }
    if (strstr(request, " /silent")) {
        wait_for_end(c->fd);
        return false;
    }
    if (strstr(request, " /garbage")) {
        say(c->fd, "220 mail.example ESMTP\r\n\r\n");
        return false;
    }
    if (strstr(request, " /busy")) {
        say(c->fd, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nDate: Mon, 05 Jan 2026 10:00:00 GMT\r\n"
                   "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbusy");
        return true;
    }
    if (strstr(request, " /moved")) {
        say(c->fd, "HTTP/1.1 302 Found\r\nLocation: /ok?x=1\r\nContent-Length: 0\r\n\r\n");
        return true;
    }
    if (strstr(request, " /interim")) {
        say(c->fd, "HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\nContent-Type: a/b\r\n\r\nHTTP/1.1 200 OK\r\n"
                   "Content-Length: 2\r\n\r\nok");
        return true;
    }
    say(c->fd, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 11\r\n\r\nhello there");
    return true;
}

static void *serve(void *data)
{
    struct raw_conn *c = data;
    char *request = malloc(sizeof c->raw->last);

    while (read_request(c->fd, request, sizeof c->raw->last)) {
        if (strncmp(request, "POST", 4) == 0)
            atomic_fetch_add(&c->raw->executed, 1);
        pthread_mutex_lock(&c->raw->lock);
        memcpy(c->raw->last, request, sizeof c->raw->last);
        pthread_mutex_unlock(&c->raw->lock);
        if (!answer(c, request))
            break;
    }
    close(c->fd);
    free(request);
    free(c);
    return NULL;
}

static void *accept_all(void *data)
{
    struct raw_server *raw = data;
    int fd;

    while ((fd = accept(raw->fd, NULL, NULL)) >= 0 && raw->thread_count < THREADS_MAX) {
        struct raw_conn *c = malloc(sizeof *c);

        c->raw = raw;
        c->fd = fd;
        atomic_fetch_add(&raw->connections, 1);
        pthread_create(&raw->threads[raw->thread_count++], NULL, serve, c);
    }
    return NULL;
}

void raw_server_start(struct raw_server *raw)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (raw->fd < 0 || bind(raw->fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(raw->fd, 64) < 0
        || getsockname(raw->fd, (struct sockaddr *)&address, &len) < 0)
        abort();
    raw->port = ntohs(address.sin_port);
    pthread_mutex_init(&raw->lock, NULL);
    if (pthread_create(&raw->accepter, NULL, accept_all, raw) != 0)
        abort();
}

void raw_server_stop(struct raw_server *raw)
{
    shutdown(raw->fd, SHUT_RDWR);
    pthread_join(raw->accepter, NULL);
    for (int i = 0; i < raw->thread_count; i++)
        pthread_join(raw->threads[i], NULL);
    pthread_mutex_destroy(&raw->lock);
    close(raw->fd);
}
