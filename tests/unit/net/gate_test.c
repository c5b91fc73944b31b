/* The gate, from a table: each case is fed whole, byte by byte and in two halves cut everywhere, and must be judged the
 * same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/net/http_gate.h"

#define BODY_MAX 1000
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define END "\r\n"
#define CHUNKED POST HOST "Transfer-Encoding: chunked\r\n" END

/* status 0: sound, and `requests` whole heads with all bytes handed on; WAIT: sound as far as it goes. */
#define WAIT 1U

static const struct {
    const char *bytes;
    unsigned status;
    uint64_t requests;
} cases[] = {
    /* sound */
    {GET HOST END, 0, 1},
    {GET HOST END GET HOST END, 0, 2},
    {END GET HOST END, 0, 1},
    {"GET / HTTP/1.0\r\n" END, 0, 1},
    {"GET / HTTP/1.0\r\n" HOST END, 0, 1},
    {"GET /a/b?c=d&e=%20f HTTP/1.1\r\n" HOST END, 0, 1},
    {"GET /%41%2f%2Fx HTTP/1.1\r\n" HOST END, 0, 1},
    {"GET /...//.a/a../..b HTTP/1.1\r\n" HOST END, 0, 1},
    {"GET /?a=../../x HTTP/1.1\r\n" HOST END, 0, 1},
    {"GET /.%2F HTTP/1.1\r\n" HOST END, 0, 1},
    {"OPTIONS * HTTP/1.1\r\n" HOST END, 0, 1},
    {"X-9!#$%&'*+-.^_`|~ / HTTP/1.1\r\n" HOST END, 0, 1},
    {GET "host:a" END END, 0, 1},
    {GET "Host: [::1]:8750\r\n" END, 0, 1},
    {GET "Host:\t a.example:80 \t\r\n" END, 0, 1},
    {GET HOST "X:\r\nY: \xc3\xa9\r\nZ: a\tb\r\n" END, 0, 1},
    {POST HOST "Content-Length: 0\r\n" END, 0, 1},
    {POST HOST "Content-Length: 5\r\n" END "hello", 0, 1},
    {POST HOST "content-length: 00005\r\n" END "hello" GET HOST END, 0, 2},
    {POST HOST "Content-Length: 1000\r\n" END, WAIT, 1},
    {POST HOST "Content-Length: 5\r\nExpect: 100-Continue\r\n" END "hello", 0, 1},
    {GET HOST "Content-Length: 4\r\n" END "\r\n\r\n" GET HOST END, 0, 2},
    {CHUNKED "0\r\n\r\n", 0, 1},
    {CHUNKED "5\r\nhello\r\n0\r\n\r\n", 0, 1},
    {CHUNKED "00a\r\n0123456789\r\n0\r\n\r\n" GET HOST END, 0, 2},
    {CHUNKED "A\r\n\r\n\r\n\r\n\r\n\r\n\r\n000\r\n\r\n", 0, 1},
    {CHUNKED "1;a=b;c=\"d\"\r\nx\r\n0;last\r\n\r\n", 0, 1},
    {POST HOST "Transfer-Encoding: CHUNKED\r\n" END "0\r\n\r\n", 0, 1},
    {"GET / HT", WAIT, 0},
    {GET HOST "\r", WAIT, 0},
    {POST HOST "Content-Length: 5\r\n" END "he", WAIT, 1},
    {CHUNKED "5\r\nhel", WAIT, 1},
    {"\r", WAIT, 0},
    {GET HOST END "G", WAIT, 1},
    /* request lines */
    {END END GET HOST END, 400, 0},
    {"GET /\r\n" END, 400, 0},
    {"GET / HTTP/1.1 \r\n" HOST END, 400, 0},
    {"GET  / HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /  HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET\t/ HTTP/1.1\r\n" HOST END, 400, 0},
    {" GET / HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET / a HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET / http/1.1\r\n" HOST END, 400, 0},
    {"GET / HTTP/1.1x\r\n" HOST END, 400, 0},
    {"GET / HTTP/11\r\n" HOST END, 400, 0},
    {"GET / HTTP/1.2\r\n" HOST END, 505, 0},
    {"GET / HTTP/0.9\r\n" HOST END, 505, 0},
    {"GET / HTTP/2.0\r\n" HOST END, 505, 0},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 0},
    {"G(T / HTTP/1.1\r\n" HOST END, 400, 0},
    {"G\xc3\xa9T / HTTP/1.1\r\n" HOST END, 400, 0},
    {"AMETHODTHATGOESONANDONANDONANDONANDON / HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET http://a/ HTTP/1.1\r\n" HOST END, 400, 0},
    {"CONNECT a:443 HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET * HTTP/1.1\r\n" HOST END, 400, 0},
    {"OPTIONS ** HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET a HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /a#b HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /\xc3\xa9 HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /\x7f HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /% HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /%4 HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /%4?a HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /%zz HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /%00 HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /a%0d%0ab HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /?a=%00 HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /?a=100% HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /.. HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /a/../b HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /./b HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /a/. HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /%2e%2E/b HTTP/1.1\r\n" HOST END, 400, 0},
    {"GET /a/.%2e?x HTTP/1.1\r\n" HOST END, 400, 0},
    /* header lines */
    {GET END, 400, 0},
    {GET HOST "Host: b\r\n" END, 400, 0},
    {GET HOST HOST END, 400, 0},
    {GET "Host: a b\r\n" END, 400, 0},
    {GET "Host: a/b\r\n" END, 400, 0},
    {GET "Host: a@b\r\n" END, 400, 0},
    {GET "Host:\r\n" END, 400, 0},
    {GET "Host : a\r\n" END, 400, 0},
    {GET HOST "X : b\r\n" END, 400, 0},
    {GET HOST "X\r\n" END, 400, 0},
    {GET HOST ": b\r\n" END, 400, 0},
    {GET HOST "X: a\r\n b\r\n" END, 400, 0},
    {GET HOST "X: a\r\n\tb\r\n" END, 400, 0},
    {GET " Host: a\r\n" END, 400, 0},
    {GET HOST "X(y: a\r\n" END, 400, 0},
    {GET HOST "X: a\x01\r\n" END, 400, 0},
    {GET HOST "X: a\x7f\r\n" END, 400, 0},
    {GET HOST "X: a\rb\r\n" END, 400, 0},
    {GET HOST "X: a\nY: b\r\n" END, 400, 0},
    {"GET / HTTP/1.1\nHost: a\n\n", 400, 0},
    {GET "Host: a\n\r\n", 400, 0},
    {GET HOST "\n", 400, 0},
    {GET HOST "\rX", 400, 0},
    {"\n" GET HOST END, 400, 0},
    {"\r" GET HOST END, 400, 0},
    /* framing */
    {POST HOST "Content-Length: 5\r\nContent-Length: 5\r\n" END "hello", 400, 0},
    {POST HOST "Content-Length: 5\r\nContent-Length: 6\r\n" END "hello", 400, 0},
    {POST HOST "Content-Length: 5, 5\r\n" END "hello", 400, 0},
    {POST HOST "Content-Length: +5\r\n" END "hello", 400, 0},
    {POST HOST "Content-Length: -1\r\n" END, 400, 0},
    {POST HOST "Content-Length: 0x5\r\n" END "hello", 400, 0},
    {POST HOST "Content-Length: 5 5\r\n" END "hello", 400, 0},
    {POST HOST "Content-Length:\r\n" END, 400, 0},
    {POST HOST "Content-Length: 5a\r\n" END "hello", 400, 0},
    {POST HOST "Content-Length: 99999999999999999999\r\n" END, 400, 0},
    {POST HOST "Content-Length: 18446744073709551621\r\n" END "hello", 400, 0},
    {POST HOST "Content-Length: 1001\r\n" END, 413, 0},
    {POST HOST "Content-Length: 999999999999999999\r\n" END, 413, 0},
    {POST HOST "Content-Length: 9223372036854775807\r\n" END, 400, 0},
    {POST HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n", 400, 0},
    {POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END "0\r\n\r\n", 400, 0},
    {POST HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, 400, 0},
    {POST HOST "Transfer-Encoding: gzip, chunked\r\n" END, 501, 0},
    {POST HOST "Transfer-Encoding: chunked, identity\r\n" END, 501, 0},
    {POST HOST "Transfer-Encoding: identity\r\n" END, 501, 0},
    {POST HOST "Transfer-Encoding: xchunked\r\n" END, 501, 0},
    {POST HOST "Transfer-Encoding: \"chunked\"\r\n" END, 501, 0},
    {POST HOST "Transfer-Encoding:\x0b" "chunked\r\n" END, 400, 0},
    {POST HOST "Transfer-Encoding : chunked\r\n" END, 400, 0},
    {POST HOST "Transfer-Encoding:\r\n chunked\r\n" END, 501, 0},
    {"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n" END, 400, 0},
    {POST HOST "Expect: 200-ok\r\n" END, 417, 0},
    {GET HOST END "GET /\r\n" END, 400, 1},
    /* chunks */
    {CHUNKED "\r\n", 400, 1},
    {CHUNKED "g\r\n", 400, 1},
    {CHUNKED " 5\r\nhello\r\n", 400, 1},
    {CHUNKED "5 \r\nhello\r\n", 400, 1},
    {CHUNKED "0x5\r\nhello\r\n", 400, 1},
    {CHUNKED "-5\r\nhello\r\n", 400, 1},
    {CHUNKED "5\nhello\r\n", 400, 1},
    {CHUNKED "5\r\nhello!\r\n", 400, 1},
    {CHUNKED "5\r\nhello\n0\r\n\r\n", 400, 1},
    {CHUNKED "5\r\nhello0\r\n\r\n", 400, 1},
    {CHUNKED "5\rhello", 400, 1},
    {CHUNKED "5;a\nb\r\nhello\r\n", 400, 1},
    {CHUNKED "5;a\x01\r\nhello\r\n", 400, 1},
    {CHUNKED ";a\r\n", 400, 1},
    {CHUNKED "3e9\r\n", 413, 1},
    {CHUNKED "ffffffffffffffff5\r\n", 413, 1},
    {CHUNKED "00000000000000005\r\nhello\r\n", 400, 1},
    {CHUNKED "0\r\nX: y\r\n\r\n", 400, 1},
    {CHUNKED "0\r\n\rX", 400, 1},
    {CHUNKED "0\r\n\n", 400, 1},
};

struct verdict {
    unsigned status;
    uint64_t requests;
    size_t passed;
    size_t len;
};

/* Feeds bytes as a connection would: pieces that end at each of `cuts`, what was not passed kept for the next. */
static struct verdict feed(const char *bytes, size_t len, size_t piece, size_t first)
{
    struct verdict v = {.len = len};
    size_t have = first ? first : piece;
    struct gate gate;

    gate_init(&gate, BODY_MAX);
    for (;;) {
        size_t n;

        if (have > len)
            have = len;
        do {
            /* A copy of the exact size: one read too far is a sanitizer's report. */
            char *copy = malloc(have - v.passed + 1);

            memcpy(copy, bytes + v.passed, have - v.passed);
            copy = realloc(copy, have - v.passed ? have - v.passed : 1);
            n = gate_pass(&gate, copy, have - v.passed);
            free(copy);
            assert_true(n <= have - v.passed);
            v.passed += n;
        } while (n > 0);
        if (have == len || gate.phase == GATE_REFUSED)
            break;
        have += piece;
    }
    v.status = gate.phase == GATE_REFUSED ? gate.status : 0;
    v.requests = gate.requests;
    if (gate.phase == GATE_REFUSED)
        assert_non_null(gate.why);
    if (v.status == 0 && (v.passed < len || gate.phase != GATE_HEAD))
        v.status = WAIT;
    return v;
}

static void check(size_t i, struct verdict v, const char *how, size_t cut)
{
    if (v.status == cases[i].status && v.requests == cases[i].requests)
        return;
    fail_msg("case %zu, %s %zu: status %u instead of %u, %u heads instead of %u:\n%s", i, how, cut, v.status,
             cases[i].status, (unsigned)v.requests, (unsigned)cases[i].requests, cases[i].bytes);
}

static void every_case_is_judged_the_same_however_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *bytes = cases[i].bytes;
        size_t len = strlen(bytes);
        struct verdict whole = feed(bytes, len, len, 0);
        struct verdict single = feed(bytes, len, 1, 0);

        check(i, whole, "whole", 0);
        check(i, single, "byte by byte", 0);
        assert_int_equal(whole.passed, single.passed);
        for (size_t cut = 1; cut < len; cut++)
            check(i, feed(bytes, len, len, cut), "cut at", cut);
    }
}

/* A head with a target and so many headers, the last of which is made as long as the whole needs (0: as it comes). */
static char *make_head(size_t target, size_t headers, size_t len)
{
    size_t room = target + headers * 16 + 64 + len;
    char *head = malloc(room);
    size_t at = (size_t)snprintf(head, room, "GET /");

    memset(head + at, 'a', target - 1);
    at += target - 1;
    at += (size_t)snprintf(head + at, room - at, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 1; i < headers; i++)
        at += (size_t)snprintf(head + at, room - at, "X%zu: y\r\n", i);
    if (len > 0) {
        memset(head + at - 2, 'a', len - 4 - (at - 2));
        at = len - 4;
        at += (size_t)snprintf(head + at, room - at, "\r\n");
    }
    snprintf(head + at, room - at, "\r\n");
    return head;
}

static void limits_are_met_exactly(void **state)
{
    static const struct {
        size_t target, headers, len;
        unsigned status;
    } limits[] = {
        {10, 1, GATE_HEAD_MAX, 0},
        {10, 1, GATE_HEAD_MAX + 1, 431},
        {10, GATE_HEADERS_MAX, 0, 0},
        {10, GATE_HEADERS_MAX + 1, 0, 431},
        {GATE_TARGET_MAX, 1, 0, 0},
        {GATE_TARGET_MAX + 1, 1, 0, 414},
        {GATE_TARGET_MAX + 500, 1, 0, 414},
        {GATE_HEAD_MAX + 500, 1, 0, 414},
    };

    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char *head = make_head(limits[i].target, limits[i].headers, limits[i].len);
        size_t len = strlen(head);

        if (limits[i].len)
            assert_int_equal(len, limits[i].len);
        assert_int_equal(feed(head, len, len, 0).status, limits[i].status);
        assert_int_equal(feed(head, len, 97, 0).status, limits[i].status);
        free(head);
    }
}

static void a_chunk_extension_is_bounded(void **state)
{
    char bytes[2048];
    size_t len = (size_t)snprintf(bytes, sizeof bytes, "%s", CHUNKED "1;");

    (void)state;
    memset(bytes + len, 'e', 1000);
    assert_int_equal(feed(bytes, len + 1000, len + 1000, 0).status, 400);
    assert_int_equal(feed(bytes, len + 1000, 1, 0).status, 400);
}

static void chunks_add_up_to_the_limit(void **state)
{
    char bytes[4096];
    size_t len = (size_t)snprintf(bytes, sizeof bytes, "%s", CHUNKED);

    (void)state;
    for (int i = 0; i < 10; i++)
        len += (size_t)snprintf(bytes + len, sizeof bytes - len, "64\r\n%0100d\r\n", 0);
    assert_int_equal(feed(bytes, len, len, 0).status, WAIT);
    len += (size_t)snprintf(bytes + len, sizeof bytes - len, "1\r\n");
    assert_int_equal(feed(bytes, len, len, 0).status, 413);
    assert_int_equal(feed(bytes, len, 1, 0).status, 413);
}

static void an_expectation_is_told(void **state)
{
    static const char head[] = POST HOST "Content-Length: 5\r\nExpect: 100-continue\r\n" END;
    struct gate gate;

    (void)state;
    gate_init(&gate, BODY_MAX);
    assert_int_equal(gate_pass(&gate, head, sizeof head - 1), sizeof head - 1);
    assert_true(gate.expect_continue);
    assert_int_equal(gate.phase, GATE_BODY);
    assert_int_equal(gate.body_left, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_is_judged_the_same_however_cut),
        cmocka_unit_test(limits_are_met_exactly),
        cmocka_unit_test(a_chunk_extension_is_bounded),
        cmocka_unit_test(chunks_add_up_to_the_limit),
        cmocka_unit_test(an_expectation_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
