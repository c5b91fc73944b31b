/* The server over real sockets, with raw bytes: what it refuses, and its limits. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server_fixture.h"

/* libmicrohttpd's pool cannot hold the table of so many. */
static void too_many_arguments_are_refused(void **state)
{
    struct world *w = *state;

    for (int cookies = 0; cookies < 2; cookies++) {
        struct buf got = {0};
        struct buf ask = {0};
        int fd = client_connect(w);

        buf_adds(&ask, "GET /echo HTTP/1.1\r\n" HOST "\r\nGET /?");
        for (int i = 0; i < 3000; i++)
            buf_adds(&ask, cookies ? "" : "a&");
        buf_adds(&ask, " HTTP/1.1\r\n" HOST "Cookie: a=b");
        for (int i = 0; i < 2000; i++)
            buf_adds(&ask, cookies ? "; a=b" : "");
        /* What comes behind it, sound or not, is for nobody. */
        buf_adds(&ask, cookies ? "\r\n\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n" : "\r\n\r\nGET /echo HTTP/9.9\r\n");
        client_send(w, fd, ask.data, ask.len);
        client_reads_all(w, fd, &got);
        assert_int_equal(count_of(&got, "HTTP/1.1 200"), 1);
        assert_int_equal(count_of(&got, "HTTP/1.1 431"), 1);
        close(fd);
        buf_close(&ask);
        buf_close(&got);
    }
}

/* --- what the gate refuses ---------------------------------------------------------------------------------------- */

static const struct {
    const char *bytes;
    unsigned status;
} smuggling[] = {
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\nhello", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5,5\r\n\r\nhello", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n", 413},
    {"GET / HTTP/1.1\nHost: a\n\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Host: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400},
    {"GET /../etc HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /%2e%2e/etc HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /a%00 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http://a/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/3.0\r\n" HOST "\r\n", 505},
    {"\x16\x03\x01\x02\x00\x01", 400},
};

static void what_smuggles_is_refused_and_closed(void **state)
{
    struct world *w = *state;
    struct http_server_stats stats;
    int handled = 0;

    for (size_t i = 0; i < sizeof smuggling / sizeof smuggling[0]; i++) {
        /* The first alone; the second behind a good request, and with one more behind it that must never run. */
        for (int behind = 0; behind < 2; behind++) {
            struct buf got = {0};
            char status[32];
            int fd = client_connect(w);

            if (behind)
                client_says(w, fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\ngood");
            client_says(w, fd, smuggling[i].bytes);
            client_says(w, fd, "GET /smuggled HTTP/1.1\r\n" HOST "\r\n");
            client_reads_all(w, fd, &got);
            handled += behind;
            snprintf(status, sizeof status, "HTTP/1.1 %u ", smuggling[i].status);
            if (count_of(&got, status) != 1 || count_of(&got, "X-Content-Type-Options") != 1 + behind || w->handled != handled)
                fail_msg("case %zu: %s\nwas answered: %s", i, smuggling[i].bytes, buf_str(&got));
            assert_says(&got, "Connection: close\r\n");
            assert_says(&got, "\r\n\r\n{\"error\":{\"code\":\"");
            if (behind)
                assert_true(strstr(got.data, "good") < strstr(got.data, status));
            close(fd);
            buf_close(&got);
        }
    }
    http_server_stats(w->server, &stats);
    assert_int_equal(stats.refused_framing, 2 * sizeof smuggling / sizeof smuggling[0]);
}

static void a_bad_chunk_ends_its_request(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "GET /echo HTTP/1.1\r\n" HOST "\r\nPOST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello");
    for (int i = 0; i < 10; i++)
        world_turn(w, -1);
    client_says(w, fd, "XX5\r\nhello\r\n0\r\n\r\n");
    client_reads_all(w, fd, &got);
    assert_int_equal(count_of(&got, "HTTP/1.1 200"), 1);
    assert_int_equal(count_of(&got, "HTTP/1.1 400"), 1);
    assert_int_equal(w->handled, 1);
    close(fd);
    buf_close(&got);
}

static void a_refusal_waits_for_earlier_answers(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "GET /later HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\nGET / HTTP/9.9\r\n");
    while (w->later_count == 0)
        world_turn(w, -1);
    for (int i = 0; i < 10; i++)
        world_turn(w, -1);
    assert_int_equal(recv(fd, &(char){0}, 1, MSG_DONTWAIT), -1);
    http_respond(w->later[0], 200, "text/plain", "at last", 7, NULL, 0);
    w->later_count = 0;
    client_reads_all(w, fd, &got);
    assert_says(&got, "at lastHTTP/1.1 200");
    assert_int_equal(count_of(&got, "HTTP/1.1 505"), 1);
    close(fd);
    buf_close(&got);
}

static void http_1_0_is_spoken(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "GET /echo HTTP/1.0\r\n\r\n");
    client_reads_all(w, fd, &got);
    assert_says(&got, " 200 OK");
    close(fd);
    buf_close(&got);
}

/* --- limits ------------------------------------------------------------------------------------------------------- */

static void a_dribbler_meets_the_deadline(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd;

    world_close(w);
    world_open(w, (struct http_server_options){.head_timeout_ms = 50});
    fd = client_connect(w);
    client_says(w, fd, "GET / HTTP/1.1\r\n" HOST "X: ");
    /* A byte each turn: no idle time-out would ever end this. */
    while (count_of(&got, "HTTP/1.1 408") == 0) {
        char byte;

        client_says(w, fd, "y");
        if (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
            buf_addc(&got, byte);
    }
    client_reads_all(w, fd, &got);
    assert_says(&got, "Connection: close");
    assert_int_equal(w->handled, 0);
    close(fd);
    buf_close(&got);
}

static void a_body_that_rests_is_cut(void **state)
{
    static const char *const paths[] = { "/echo", "/stream" };
    struct world *w = *state;

    world_close(w);
    world_open(w, (struct http_server_options){.idle_timeout_ms = 50});
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct buf got = {0}, ask = {0};
        char *body = calloc(1, 1000000);
        int fd = client_connect(w);

        /* However much had come before. */
        buf_addf(&ask, "POST %s HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n", paths[i]);
        buf_add(&ask, body, 1000000);
        client_send(w, fd, ask.data, ask.len);
        client_reads_all(w, fd, &got);
        assert_says(&got, "HTTP/1.1 408");
        assert_int_equal(w->handled, 0);
        close(fd);
        free(body);
        buf_close(&ask);
        buf_close(&got);
    }
}

/* Sends a byte each turn until `until_ms` is over, or there is an answer. */
static void dribble(struct world *w, int fd, uint64_t until_ms, struct buf *got)
{
    while (uv_now(&w->loop) < until_ms && got->len == 0) {
        char byte;

        client_says(w, fd, "y");
        if (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
            buf_addc(got, byte);
    }
}

static void a_body_has_its_time(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd;

    world_close(w);
    world_open(w, (struct http_server_options){.body_time_ms = 200});
    fd = client_connect(w);
    client_says(w, fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
    dribble(w, fd, UINT64_MAX, &got);
    client_reads_all(w, fd, &got);
    assert_says(&got, "HTTP/1.1 408");
    close(fd);
    buf_reset(&got);
    /* One that takes no memory has what it needs. */
    fd = client_connect(w);
    client_says(w, fd, "POST /stream HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
    dribble(w, fd, uv_now(&w->loop) + 600, &got);
    assert_int_equal(got.len, 0);
    close(fd);
    buf_close(&got);
}

static void an_idle_connection_is_closed(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd;

    world_close(w);
    world_open(w, (struct http_server_options){.idle_timeout_ms = 30});
    fd = client_connect(w);
    client_reads_all(w, fd, &got);
    assert_int_equal(got.len, 0);
    close(fd);
    fd = client_connect(w);
    client_says(w, fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    client_reads_all(w, fd, &got);
    assert_int_equal(count_of(&got, "HTTP/1.1 "), 1);
    close(fd);
    buf_close(&got);
}

static void too_many_connections_are_told(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    struct http_server_stats stats;
    int fds[3];

    world_close(w);
    world_open(w, (struct http_server_options){.max_connections = 2});
    for (int i = 0; i < 2; i++) {
        fds[i] = client_connect(w);
        client_says(w, fds[i], "GET /echo HTTP/1.1\r\n" HOST "\r\n");
        client_reads(w, fds[i], &got, "HTTP/1.1 200", i + 1);
    }
    fds[2] = client_connect(w);
    client_says(w, fds[2], "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    client_reads_all(w, fds[2], &got);
    assert_says(&got, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_says(&got, "Retry-After: 1\r\n");
    close(fds[2]);
    close(fds[0]);
    do {
        world_turn(w, -1);
        http_server_stats(w->server, &stats);
    } while (stats.connections > 1);
    assert_int_equal(stats.refused_connections, 1);
    fds[0] = client_connect(w);
    client_says(w, fds[0], "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    client_reads(w, fds[0], &got, "HTTP/1.1 200", 3);
    close(fds[0]);
    close(fds[1]);
    buf_close(&got);
}

/* Nor may who comes over TCP take the operator's place. */
static void the_socket_has_places_of_its_own(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fds[4];

    world_close(w);
    world_open(w, (struct http_server_options){.max_connections = 1});
    fds[0] = client_connect(w);
    client_says(w, fds[0], "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    client_reads(w, fds[0], &got, "HTTP/1.1 200", 1);
    fds[1] = client_connect_unix(w);
    client_says(w, fds[1], "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    client_reads(w, fds[1], &got, "HTTP/1.1 200", 2);
    fds[2] = client_connect(w);
    client_reads_all(w, fds[2], &got);
    assert_int_equal(count_of(&got, "HTTP/1.1 503"), 1);
    fds[3] = client_connect_unix(w);
    client_reads_all(w, fds[3], &got);
    assert_int_equal(count_of(&got, "HTTP/1.1 503"), 2);
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
    buf_close(&got);
}

static void running_out_of_descriptors_is_survived(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    struct rlimit old, low;
    int probe;
    int fds[2];

    for (int i = 0; i < 2; i++)
        fds[i] = client_connect(w);
    probe = dup(0);
    close(probe);
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = (rlim_t)probe;   /* not one more */
    setrlimit(RLIMIT_NOFILE, &low);
    client_reads_all(w, fds[1], &got);
    setrlimit(RLIMIT_NOFILE, &old);
    close(fds[0]);
    close(fds[1]);
    buf_reset(&got);
    fds[0] = client_connect(w);
    client_says(w, fds[0], "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    client_reads(w, fds[0], &got, "HTTP/1.1 200", 1);
    close(fds[0]);
    buf_close(&got);
}

static void a_live_socket_is_not_taken_over(void **state)
{
    struct world *w = *state;
    struct error err = {0};
    char path[160];
    int fd;

    assert_int_equal(http_server_listen_unix(w->server, w->socket_path, 0600, &err), BF_EEXIST);
    assert_non_null(strstr(err.text, "listening there already"));
    snprintf(path, sizeof path, "%s/plain", w->dir);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(http_server_listen_unix(w->server, path, 0600, &err), BF_EEXIST);
    unlink(path);
    assert_int_equal(http_server_listen_tcp(w->server, "127.0.0.1", NULL, &err), BF_EINVAL);
    assert_int_equal(http_server_listen_tcp(w->server, "::1:80", NULL, &err), BF_EINVAL);
    assert_int_equal(http_server_listen_tcp(w->server, "a.b:80", NULL, &err), BF_EINVAL);
}

/* Nothing of the server's may wake an idle loop. */
static void an_idle_server_has_no_timer(void **state)
{
    struct world *w = *state;
    struct http_server_stats stats;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    client_reads(w, fd, &got, "HTTP/1.1 200", 1);
    assert_true(uv_backend_timeout(&w->loop) > 0);
    close(fd);
    do {
        world_turn(w, -1);
        http_server_stats(w->server, &stats);
    } while (stats.connections > 0);
    world_turn(w, -1);
    assert_int_equal(uv_backend_timeout(&w->loop), -1);
    buf_close(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(too_many_arguments_are_refused),
        TEST(what_smuggles_is_refused_and_closed),
        TEST(a_bad_chunk_ends_its_request),
        TEST(a_refusal_waits_for_earlier_answers),
        TEST(http_1_0_is_spoken),
        TEST(a_dribbler_meets_the_deadline),
        TEST(a_body_that_rests_is_cut),
        TEST(a_body_has_its_time),
        TEST(an_idle_connection_is_closed),
        TEST(too_many_connections_are_told),
        TEST(the_socket_has_places_of_its_own),
        TEST(running_out_of_descriptors_is_survived),
        TEST(a_live_socket_is_not_taken_over),
        TEST(an_idle_server_has_no_timer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
