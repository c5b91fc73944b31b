#include "server_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void on_gone(struct http_exchange *x)
{
    struct world *w = http_data(x);

    w->gone_count++;
    for (int i = 0; i < w->later_count; i++)
        if (w->later[i] == x)
            w->later[i] = w->later[--w->later_count];
    http_respond(x, 200, "text/plain", "too late", 8, NULL, 0);
}

static void add_pair(void *data, const char *name, const char *value)
{
    buf_addf(data, "%s=%s;", name, value);
}

static void show(struct http_exchange *x)
{
    struct buf text = {0};
    size_t len;

    http_body(x, &len);
    buf_addf(&text, "method=%s path=%s target=%s remote=%s local=%d body=%zu query=", http_method(x), http_path(x),
             http_target(x), http_remote(x), http_is_local(x), len);
    http_each_query(x, add_pair, &text);
    buf_addf(&text, " q=%s x=%s", http_query(x, "q") ? http_query(x, "q") : "-",
             http_header(x, "x-test") ? http_header(x, "x-test") : "-");
    http_respond(x, 200, "text/plain", buf_str(&text), text.len, NULL, 0);
    buf_close(&text);
}

static void send_file(struct world *w, struct http_exchange *x)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/file", w->dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    http_respond_file(x, 200, "application/octet-stream", fd, 3, 200000, NULL, 0);
}

static void send_big(struct http_exchange *x)
{
    size_t len = 4 << 20;
    char *bytes = malloc(len);

    memset(bytes, 'b', len - 1);
    bytes[len - 1] = '!';
    http_respond(x, 200, "text/plain", bytes, len, NULL, 0);
    free(bytes);
}

static void on_request(void *data, struct http_exchange *x)
{
    struct world *w = data;
    const char *path = http_path(x);
    size_t len;
    const char *body = http_body(x, &len);

    w->handled++;
    if (strcmp(path, "/echo") == 0) {
        http_respond(x, 200, "application/octet-stream", body, len, NULL, 0);
    } else if (strcmp(path, "/later") == 0) {
        assert_true(w->later_count < LATER_MAX);
        http_set_data(x, w, on_gone);
        w->later[w->later_count++] = x;
    } else if (strcmp(path, "/file") == 0) {
        send_file(w, x);
    } else if (strcmp(path, "/big") == 0) {
        send_big(x);
    } else if (strcmp(path, "/error") == 0) {
        http_respond_error(x, 409, "paused", "\"%s\" is\npaused", "x");
    } else if (strcmp(path, "/headers") == 0) {
        struct http_header_pair pairs[] = {{"Cache-Control", "max-age=5"}, {"X-Mine", "1"}};

        http_respond(x, 200, "text/plain", "h", 1, pairs, 2);
    } else if (strcmp(path, "/bad-header") == 0) {
        struct http_header_pair pairs[] = {{"X-Mine", "1\r\nX-Evil: 1"}};

        http_respond(x, 200, "text/plain", "h", 1, pairs, 1);
    } else {
        show(x);
    }
}

static int pass_over(struct http_exchange *x, const char *bytes, size_t len)
{
    (void)x;
    (void)bytes;
    (void)len;
    return 0;
}

static void on_head(void *data, struct http_exchange *x)
{
    (void)data;
    if (strcmp(http_path(x), "/early") == 0)
        http_respond(x, 401, "text/plain", "no", 2, NULL, 0);
    if (strcmp(http_path(x), "/never") == 0)
        http_respond(x, 403, "text/plain", "no", 2, NULL, 0);
    if (strcmp(http_path(x), "/stream") == 0)
        http_stream_body(x, pass_over);
    if (http_header(x, "x-limit"))
        http_limit_body(x, 10);
}

void world_open(struct world *w, struct http_server_options options)
{
    struct error err = {0};
    char path[128];
    FILE *file;

    memset(w, 0, sizeof *w);
    if (!options.max_connections)
        options.max_connections = 32;
    if (!options.max_body)
        options.max_body = 1 << 20;
    if (!options.idle_timeout_ms)
        options.idle_timeout_ms = 600000;
    if (!options.head_timeout_ms)
        options.head_timeout_ms = 600000;
    snprintf(w->dir, sizeof w->dir, "/tmp/belfry-net-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(path, sizeof path, "%s/file", w->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 50000; i++)
        fprintf(file, "%05d", i);
    fclose(file);
    uv_loop_init(&w->loop);
    if (http_server_new(&w->loop, &options, on_head, on_request, w, &w->server, &err) < 0
        || http_server_listen_tcp(w->server, "127.0.0.1:0", &w->port, &err) < 0)
        fail_msg("%s", err.text);
    snprintf(w->socket_path, sizeof w->socket_path, "%s/sock", w->dir);
    if (http_server_listen_unix(w->server, w->socket_path, 0660, &err) < 0)
        fail_msg("%s", err.text);
    alarm(120);
}

static void on_closed(void *data)
{
    struct world *w = data;

    w->closed = true;
}

void world_close(struct world *w)
{
    char path[128];

    http_server_close(w->server, on_closed, w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_true(w->closed);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    assert_int_equal(access(w->socket_path, F_OK), -1);
    snprintf(path, sizeof path, "%s/file", w->dir);
    unlink(path);
    rmdir(w->dir);
    alarm(0);
}

void world_turn(struct world *w, int fd)
{
    struct pollfd fds[2] = {{.fd = uv_backend_fd(&w->loop), .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    int timeout_ms;

    uv_run(&w->loop, UV_RUN_NOWAIT);
    /* The deadlines' timer does not keep the loop alive by itself, so it does not count in here; look again soon. */
    timeout_ms = uv_backend_timeout(&w->loop);
    poll(fds, fd < 0 ? 1 : 2, timeout_ms == 0 ? 0 : 5);
}

int client_connect(struct world *w)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

int client_connect_unix(struct world *w)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", w->socket_path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void client_send(struct world *w, int fd, const void *bytes, size_t len)
{
    const char *p = bytes;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN)
            return;   /* the server has closed: what it said is still to be read */
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
        world_turn(w, -1);
    }
}

void client_says(struct world *w, int fd, const char *text)
{
    client_send(w, fd, text, strlen(text));
}

int count_of(const struct buf *got, const char *needle)
{
    size_t needle_len = strlen(needle);
    int count = 0;

    for (size_t i = 0; i + needle_len <= got->len; i++)
        count += memcmp(got->data + i, needle, needle_len) == 0;
    return count;
}

/* False at the end. */
static bool read_some(struct world *w, int fd, struct buf *got)
{
    static char bytes[65536];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);

    if (n > 0)
        buf_add(got, bytes, (size_t)n);
    if (n < 0 && errno == EAGAIN)
        world_turn(w, fd);
    else if (n <= 0)
        return false;
    return true;
}

void client_reads(struct world *w, int fd, struct buf *got, const char *needle, int times)
{
    while (count_of(got, needle) < times)
        if (!read_some(w, fd, got))
            fail_msg("the connection ended before \"%s\" came %d times: %s", needle, times, buf_str(got));
}

void client_reads_all(struct world *w, int fd, struct buf *got)
{
    while (read_some(w, fd, got))
        continue;
}

void assert_says(const struct buf *got, const char *needle)
{
    if (count_of(got, needle) == 0)
        fail_msg("\"%s\" is not in: %.2000s", needle, buf_str(got));
}

static struct world world;

int open_world(void **state)
{
    *state = &world;
    world_open(&world, (struct http_server_options){0});
    return 0;
}

int close_world(void **state)
{
    world_close(*state);
    return 0;
}
