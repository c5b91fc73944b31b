/* The server over real sockets, with raw bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#include <cmocka.h>

#include "belfry/base/json.h"
#include "server_fixture.h"

#define HOST "Host: a\r\n"

static struct world world;

static int open_world(void **state)
{
    *state = &world;
    world_open(&world, (struct http_server_options){0});
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    return 0;
}

static void assert_says(const struct buf *got, const char *needle)
{
    if (count_of(got, needle) == 0)
        fail_msg("\"%s\" is not in: %.2000s", needle, buf_str(got));
}

static void a_request_is_shown_whole(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "GET /a%20b/%2Fc/%c3%a9?q=1%202+3&r&s=%25 HTTP/1.1\r\n" HOST "X-Test: t \r\n\r\n");
    client_reads(w, fd, &got, " x=", 1);
    assert_says(&got, "HTTP/1.1 200 OK\r\n");
    assert_says(&got, "X-Content-Type-Options: nosniff\r\n");
    assert_says(&got, "Cache-Control: no-store\r\n");
    assert_says(&got, "Date: ");
    assert_says(&got, "method=GET path=/a b/%2Fc/\xc3\xa9 target=/a%20b/%2Fc/%c3%a9?q=1%202+3&r&s=%25 remote=127.0.0.1 local=0 "
                      "body=0 query=q=1 2 3;r=;s=%; q=1 2 3 x=t");
    close(fd);
    buf_close(&got);
}

static void the_unix_socket_is_local(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    struct stat st;
    int fd = client_connect_unix(w);

    client_says(w, fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    client_reads(w, fd, &got, "remote= local=1", 1);
    assert_int_equal(stat(w->socket_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    close(fd);
    buf_close(&got);
}

static void a_connection_is_kept(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    for (int i = 1; i <= 5; i++) {
        client_says(w, fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
        client_reads(w, fd, &got, "hello", i);
    }
    client_says(w, fd, "\r\nGET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    client_reads_all(w, fd, &got);
    assert_int_equal(count_of(&got, "HTTP/1.1 200"), 6);
    assert_int_equal(w->handled, 6);
    close(fd);
    buf_close(&got);
}

static void requests_in_one_piece_are_answered_in_order(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    struct buf ask = {0};
    const char *at;
    int fd = client_connect(w);

    for (int i = 0; i < 200; i++)
        buf_addf(&ask, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\n<%04d>", i);
    client_send(w, fd, ask.data, ask.len);
    client_reads(w, fd, &got, "<0199>", 1);
    at = got.data;
    for (int i = 0; i < 200; i++) {
        char mark[16];

        snprintf(mark, sizeof mark, "<%04d>", i);
        at = strstr(at, mark);
        assert_non_null(at);
    }
    close(fd);
    buf_close(&ask);
    buf_close(&got);
}

static void a_request_comes_byte_by_byte(void **state)
{
    static const char ask[] = "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    for (size_t i = 0; i < sizeof ask - 1; i++)
        client_send(w, fd, ask + i, 1);
    client_reads(w, fd, &got, "hello world", 1);
    close(fd);
    buf_close(&got);
}

static void large_bodies_go_both_ways(void **state)
{
    struct world *w = *state;
    size_t len = 1 << 20;
    char *body = malloc(len);
    char head[128];

    for (size_t i = 0; i < len; i++)
        body[i] = (char)('a' + i % 23);
    for (int chunked = 0; chunked < 2; chunked++) {
        struct buf got = {0};
        int fd = client_connect(w);
        const char *answer;

        snprintf(head, sizeof head, chunked ? "Transfer-Encoding: chunked\r\n\r\n%zx\r\n" : "Content-Length: %zu\r\n\r\n", len);
        client_says(w, fd, "POST /echo HTTP/1.1\r\nConnection: close\r\n" HOST);
        client_says(w, fd, head);
        client_send(w, fd, body, len);
        if (chunked)
            client_says(w, fd, "\r\n0\r\n\r\n");
        client_reads_all(w, fd, &got);
        answer = strstr(got.data, "\r\n\r\n");
        assert_non_null(answer);
        assert_int_equal(got.len - (size_t)(answer + 4 - got.data), len);
        assert_memory_equal(answer + 4, body, len);
        close(fd);
        buf_close(&got);
    }
    free(body);
}

static void a_slow_reader_gets_all(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int small = 65536;
    int fd = client_connect(w);

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    client_says(w, fd, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    for (int i = 0; i < 50; i++)
        world_turn(w, -1);
    client_reads_all(w, fd, &got);
    assert_true(got.len > 4 << 20);
    assert_says(&got, "b!HTTP/1.1 200");
    close(fd);
    buf_close(&got);
}

static void a_file_is_sent(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    const char *body;
    int fd = client_connect(w);

    client_says(w, fd, "GET /file HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    client_reads_all(w, fd, &got);
    assert_says(&got, "Content-Length: 200000\r\n");
    body = strstr(got.data, "\r\n\r\n") + 4;
    assert_int_equal(got.len - (size_t)(body - got.data), 200000);
    assert_memory_equal(body, "0000001", 7);
    assert_memory_equal(body + 200000 - 8, "39999400", 8);
    close(fd);
    buf_close(&got);
}

static void head_gets_no_body(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "HEAD /headers HTTP/1.1\r\n" HOST "\r\nGET /error HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    client_reads_all(w, fd, &got);
    assert_says(&got, "Cache-Control: max-age=5\r\n");
    assert_says(&got, "X-Mine: 1\r\n");
    assert_int_equal(count_of(&got, "no-store"), 1);
    assert_says(&got, "\r\n\r\nHTTP/1.1 409 Conflict\r\n");
    assert_says(&got, "{\"error\":{\"code\":\"paused\",\"message\":\"\\\"x\\\" is\\npaused\"}}");
    close(fd);
    buf_close(&got);
}

static void a_header_is_never_split(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "GET /bad-header HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    client_reads_all(w, fd, &got);
    assert_says(&got, "HTTP/1.1 500 ");
    assert_int_equal(count_of(&got, "X-Evil"), 0);
    close(fd);
    buf_close(&got);
}

static void an_answer_may_come_later(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "GET /later HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n");
    while (w->later_count == 0)
        world_turn(w, fd);
    assert_int_equal(w->handled, 1);
    http_respond(w->later[0], 200, "text/plain", "at last", 7, NULL, 0);
    w->later_count = 0;
    client_reads(w, fd, &got, "HTTP/1.1 200", 2);
    assert_says(&got, "at lastHTTP/1.1 200");
    assert_int_equal(w->gone_count, 0);
    close(fd);
    buf_close(&got);
}

static void a_client_that_goes_is_noticed(void **state)
{
    struct world *w = *state;
    struct linger reset = {1, 0};
    struct http_server_stats stats;
    int fd = client_connect_unix(w);

    client_says(w, fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    while (w->later_count == 0)
        world_turn(w, -1);
    close(fd);
    while (w->gone_count == 0)
        world_turn(w, -1);
    fd = client_connect(w);
    client_says(w, fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    while (w->later_count == 0)
        world_turn(w, -1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    while (w->gone_count == 1)
        world_turn(w, -1);
    do {
        world_turn(w, -1);
        http_server_stats(w->server, &stats);
    } while (stats.connections > 0);
    assert_int_equal(w->later_count, 0);
}

static void a_client_that_has_said_all_is_answered(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    shutdown(fd, SHUT_WR);
    while (w->later_count == 0)
        world_turn(w, -1);
    for (int i = 0; i < 20; i++)
        world_turn(w, -1);
    assert_int_equal(w->gone_count, 0);
    http_respond(w->later[0], 200, "text/plain", "at last", 7, NULL, 0);
    w->later_count = 0;
    client_reads_all(w, fd, &got);
    assert_says(&got, "at last");
    close(fd);
    buf_close(&got);
}

static void a_cut_body_reaches_no_handler(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "GET / HTTP/1.1\r\n" HOST "\r\nPOST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nhello");
    shutdown(fd, SHUT_WR);
    client_reads_all(w, fd, &got);
    assert_int_equal(count_of(&got, "HTTP/1.1 "), 1);
    assert_int_equal(w->handled, 1);
    close(fd);
    buf_close(&got);
}

static void closing_ends_what_waits(void **state)
{
    struct world *w = *state;
    int fd = client_connect(w);

    client_says(w, fd, "GET /later HTTP/1.1\r\n" HOST "\r\nGET /later HTTP/1.1\r\n" HOST "\r\nPOST / HTT");
    while (w->later_count == 0)
        world_turn(w, -1);
    world_close(w);
    assert_int_equal(w->gone_count, 1);
    assert_int_equal(w->later_count, 0);
    close(fd);
    world_open(w, (struct http_server_options){0});
}

static void an_expectation_is_met(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client_reads(w, fd, &got, "HTTP/1.1 100 Continue\r\n\r\n", 1);
    client_says(w, fd, "hello");
    client_reads(w, fd, &got, "hello", 1);
    buf_reset(&got);
    client_says(w, fd, "POST /early HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client_reads_all(w, fd, &got);
    assert_says(&got, "HTTP/1.1 401");
    close(fd);
    buf_close(&got);
}

static void a_head_may_be_refused_early(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    char *body = calloc(1, 200000);
    int fd = client_connect(w);

    client_says(w, fd, "GET /early HTTP/1.1\r\n" HOST "\r\n");
    client_reads(w, fd, &got, "HTTP/1.1 401", 1);
    client_says(w, fd, "POST /early HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    client_reads(w, fd, &got, "HTTP/1.1 401", 2);
    client_says(w, fd, "POST /early HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
    client_send(w, fd, body, 200000);
    client_reads_all(w, fd, &got);
    assert_int_equal(count_of(&got, "HTTP/1.1 401"), 3);
    assert_int_equal(w->handled, 0);
    close(fd);
    free(body);
    buf_close(&got);
}

static void a_body_may_be_limited(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    int fd = client_connect(w);

    client_says(w, fd, "POST /echo HTTP/1.1\r\n" HOST "X-Limit: 1\r\nContent-Length: 10\r\n\r\n0123456789");
    client_reads(w, fd, &got, "0123456789", 1);
    client_says(w, fd, "POST /echo HTTP/1.1\r\n" HOST "X-Limit: 1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n");
    client_reads(w, fd, &got, "HTTP/1.1 413", 1);
    client_says(w, fd, "POST /echo HTTP/1.1\r\n" HOST "X-Limit: 1\r\nContent-Length: 11\r\n\r\n0123456789a");
    client_reads(w, fd, &got, "HTTP/1.1 413", 2);
    assert_int_equal(w->handled, 1);
    close(fd);
    buf_close(&got);
}

static void the_largest_head_is_taken(void **state)
{
    struct world *w = *state;
    struct buf got = {0};
    struct buf ask = {0};
    int fd = client_connect(w);

    buf_adds(&ask, "GET /x HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 98; i++)
        buf_addf(&ask, "X-%02d: %0100d\r\n", i, i);
    buf_addf(&ask, "X-Test: ");
    while (ask.len < 16384 - 4)
        buf_addc(&ask, 'y');
    buf_adds(&ask, "\r\n\r\n");
    assert_int_equal(ask.len, 16384);
    for (int i = 1; i <= 3; i++) {
        client_send(w, fd, ask.data, ask.len);
        client_reads(w, fd, &got, "HTTP/1.1 200", i);
        client_reads(w, fd, &got, "x=yyyy", i);
    }
    close(fd);
    buf_close(&ask);
    buf_close(&got);
}

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
        buf_adds(&ask, "\r\n\r\n");
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_shown_whole),
        TEST(the_unix_socket_is_local),
        TEST(a_connection_is_kept),
        TEST(requests_in_one_piece_are_answered_in_order),
        TEST(a_request_comes_byte_by_byte),
        TEST(large_bodies_go_both_ways),
        TEST(a_slow_reader_gets_all),
        TEST(a_file_is_sent),
        TEST(head_gets_no_body),
        TEST(a_header_is_never_split),
        TEST(an_answer_may_come_later),
        TEST(a_client_that_goes_is_noticed),
        TEST(a_client_that_has_said_all_is_answered),
        TEST(a_cut_body_reaches_no_handler),
        TEST(closing_ends_what_waits),
        TEST(an_expectation_is_met),
        TEST(a_head_may_be_refused_early),
        TEST(a_body_may_be_limited),
        TEST(the_largest_head_is_taken),
        TEST(too_many_arguments_are_refused),
        TEST(what_smuggles_is_refused_and_closed),
        TEST(a_bad_chunk_ends_its_request),
        TEST(a_refusal_waits_for_earlier_answers),
        TEST(http_1_0_is_spoken),
        TEST(a_dribbler_meets_the_deadline),
        TEST(an_idle_connection_is_closed),
        TEST(too_many_connections_are_told),
        TEST(running_out_of_descriptors_is_survived),
        TEST(a_live_socket_is_not_taken_over),
        TEST(an_idle_server_has_no_timer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
