/* The server over real sockets, with raw bytes: what it answers. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server_fixture.h"

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

    client_says(w, fd, "GET /never HTTP/1.1\r\n" HOST "\r\n");
    client_reads(w, fd, &got, "HTTP/1.1 403", 1);
    client_says(w, fd, "POST /never HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    client_reads(w, fd, &got, "HTTP/1.1 403", 2);
    client_says(w, fd, "POST /never HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
    client_send(w, fd, body, 200000);
    client_reads_all(w, fd, &got);
    assert_int_equal(count_of(&got, "HTTP/1.1 403"), 3);
    assert_int_equal(w->handled, 0);
    close(fd);
    free(body);
    buf_close(&got);
}

/* Nothing of the body has to come for that, and nothing of it is waited for. */
static void who_is_not_known_is_told_at_once(void **state)
{
    static const char *const bodies[] = { "Content-Length: 5\r\n", "Content-Length: 1000000\r\n", "Transfer-Encoding: chunked\r\n" };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct buf got = {0};
        int fd = client_connect(w);

        client_says(w, fd, "GET /early HTTP/1.1\r\n" HOST "\r\n");
        client_reads(w, fd, &got, "HTTP/1.1 401", 1);
        client_says(w, fd, "POST /early HTTP/1.1\r\n" HOST);
        client_says(w, fd, bodies[i]);
        client_says(w, fd, "\r\n");
        client_reads_all(w, fd, &got);
        assert_int_equal(count_of(&got, "HTTP/1.1 401"), 2);
        assert_int_equal(count_of(&got, "HTTP/1.1 "), 2);
        close(fd);
        buf_close(&got);
    }
    assert_int_equal(w->handled, 0);
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

/* The second has come to the gate before the first, which it is behind, is answered. */
static void a_limit_is_of_one_request(void **state)
{
    static const char *const lengths[] = { "Content-Length: 20\r\n\r\n01234567890123456789", "Transfer-Encoding: chunked\r\n\r\n14\r\n" };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct buf got = {0};
        int fd = client_connect(w);

        client_says(w, fd, "GET /later HTTP/1.1\r\n" HOST "X-Limit: 1\r\n\r\n");
        while (w->later_count == 0)
            world_turn(w, -1);
        client_says(w, fd, "POST /echo HTTP/1.1\r\n" HOST "X-Limit: 1\r\nContent-Length: 2\r\n\r\nabPOST /echo HTTP/1.1\r\n" HOST);
        client_says(w, fd, lengths[i]);
        http_respond(w->later[0], 200, "text/plain", "first", 5, NULL, 0);
        w->later_count = 0;
        if (i == 1) {
            client_reads(w, fd, &got, "\r\n\r\nab", 1);
            client_says(w, fd, "01234567890123456789\r\n0\r\n\r\n");
        }
        client_reads(w, fd, &got, "01234567890123456789", 1);
        assert_int_equal(count_of(&got, "HTTP/1.1 200"), 3);
        close(fd);
        buf_close(&got);
    }
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
        TEST(who_is_not_known_is_told_at_once),
        TEST(a_body_may_be_limited),
        TEST(a_limit_is_of_one_request),
        TEST(the_largest_head_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
