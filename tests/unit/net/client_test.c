/* The client against a small raw server that misbehaves as its path says. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/net/http_client.h"
#include "client_internal.h"
#include "raw_server.h"

struct world {
    struct raw_server raw;
    uv_loop_t loop;
    struct http_client *client;
    char url[128];
    bool closed;
};

struct asked {
    struct http_request request;
    int status;
    int calls;
};

static int open_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct error err;

    alarm(120);
    /* Must not matter: a proxy comes from the configuration only. */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    raw_server_start(&w->raw);
    uv_loop_init(&w->loop);
    assert_int_equal(http_client_new(&w->loop, "belfry-test/1", &w->client, &err), 0);
    *state = w;
    return 0;
}

static void on_closed(void *data)
{
    struct world *w = data;

    w->closed = true;
}

static int close_world(void **state)
{
    struct world *w = *state;

    if (w->client)
        http_client_close(w->client, on_closed, w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_true(w->closed);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    raw_server_stop(&w->raw);
    free(w);
    alarm(0);
    return 0;
}

static void on_done(struct http_request *request, int status)
{
    struct asked *a = request->data;

    a->status = status;
    a->calls++;
}

static const char *url_of(struct world *w, const char *path)
{
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d%s", w->raw.port, path);
    return w->url;
}

static void begin(struct world *w, struct asked *a)
{
    a->request.cb = on_done;
    a->request.data = a;
    http_client_send(w->client, &a->request);
    assert_int_equal(a->calls, 0);
}

static void finish(struct world *w, struct asked *a)
{
    while (a->calls == 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(a->calls, 1);
}

static void ask(struct world *w, struct asked *a, const char *method, const char *path)
{
    a->request.method = method;
    a->request.url = url_of(w, path);
    begin(w, a);
    finish(w, a);
}

static void an_answer_comes_whole(void **state)
{
    struct world *w = *state;
    static const char *const headers[] = {"Authorization: secret", "X-Empty;", NULL};
    struct asked a = {.request = {.headers = headers}};

    ask(w, &a, "GET", "/ok?q=1");
    assert_int_equal(a.status, 0);
    assert_int_equal(a.request.http_status, 200);
    assert_true(a.request.sent);
    assert_string_equal(buf_str(&a.request.answer), "hello there");
    assert_int_equal(a.request.received, 11);
    assert_string_equal(a.request.content_type, "text/plain; charset=utf-8");
    assert_int_equal(a.request.retry_after_ms, -1);
    assert_non_null(strstr(w->raw.last, "GET /ok?q=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(w->raw.last, "Authorization: secret\r\n"));
    assert_non_null(strstr(w->raw.last, "User-Agent: belfry-test/1\r\n"));
    assert_null(strstr(w->raw.last, "Accept-Encoding"));
    http_request_close(&a.request);
}

static void any_answer_is_an_answer(void **state)
{
    struct world *w = *state;
    struct asked busy = {0}, moved = {0}, interim = {0};

    ask(w, &busy, "GET", "/busy");
    assert_int_equal(busy.status, 0);
    assert_int_equal(busy.request.http_status, 429);
    assert_int_equal(busy.request.retry_after_ms, 7000);
    assert_true(busy.request.server_date_ms == INT64_C(1767607200000));
    assert_string_equal(buf_str(&busy.request.answer), "busy");
    ask(w, &moved, "GET", "/moved");
    assert_int_equal(moved.request.http_status, 302);
    assert_string_equal(moved.request.location, "/ok?x=1");
    ask(w, &interim, "GET", "/interim");
    assert_int_equal(interim.request.http_status, 200);
    assert_int_equal(interim.request.retry_after_ms, -1);
    assert_string_equal(interim.request.content_type, "");
    http_request_close(&busy.request);
    http_request_close(&moved.request);
    http_request_close(&interim.request);
}

static void a_body_is_sent(void **state)
{
    struct world *w = *state;
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct asked a = {.request = {.headers = headers, .body = "{\"a\":\0}", .body_len = 7}};
    struct asked b = {0};

    ask(w, &a, "PUT", "/ok");
    assert_int_equal(a.request.http_status, 200);
    assert_non_null(strstr(w->raw.last, "PUT /ok "));
    assert_non_null(strstr(w->raw.last, "Content-Length: 7\r\n"));
    assert_non_null(strstr(w->raw.last, "Content-Type: application/json\r\n"));
    ask(w, &b, "POST", "/ok");
    assert_non_null(strstr(w->raw.last, "Content-Length: 0\r\n"));
    assert_null(strstr(w->raw.last, "Content-Type"));
    assert_null(strstr(w->raw.last, "Expect"));
    http_request_close(&a.request);
    http_request_close(&b.request);
}

/* The proof of A4: libcurl repeats a POST on a kept connection; with `once` it is executed once. */
static void once_is_once(void **state)
{
    struct world *w = *state;
    struct asked warm = {0}, kept = {.request = {.body = "x", .body_len = 1}};
    struct asked once = {.request = {.body = "x", .body_len = 1, .once = true}};

    ask(w, &warm, "GET", "/ok");
    ask(w, &once, "POST", "/die?signature=abc");
    assert_int_equal(once.status, BF_ENET);
    assert_true(once.request.sent);
    assert_int_equal(atomic_load(&w->raw.executed), 1);
    assert_non_null(strstr(once.request.error.text, "closed the connection without an answer"));
    assert_null(strstr(once.request.error.text, "signature"));
    assert_int_equal(atomic_load(&w->raw.connections), 2);
    /* What `once` is there against: the kept connection is used, dies, and libcurl sends again. */
    ask(w, &kept, "POST", "/die");
    assert_true(atomic_load(&w->raw.executed) > 2);
    http_request_close(&warm.request);
    http_request_close(&once.request);
    http_request_close(&kept.request);
}

static void connections_are_kept(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 5; i++) {
        struct asked a = {0};

        ask(w, &a, "GET", "/ok");
        assert_int_equal(a.request.http_status, 200);
        http_request_close(&a.request);
    }
    assert_int_equal(atomic_load(&w->raw.connections), 1);
}

static void one_host_has_few_connections(void **state)
{
    struct world *w = *state;
    struct asked asked[48];

    memset(asked, 0, sizeof asked);
    url_of(w, "/ok");
    for (size_t i = 0; i < 48; i++) {
        asked[i].request.method = "GET";
        asked[i].request.url = w->url;
        begin(w, &asked[i]);
    }
    for (size_t i = 0; i < 48; i++) {
        finish(w, &asked[i]);
        assert_int_equal(asked[i].request.http_status, 200);
        http_request_close(&asked[i].request);
    }
    assert_true(atomic_load(&w->raw.connections) <= 16);
}

static void what_is_cut_is_no_answer(void **state)
{
    static const struct {
        const char *path;
        const char *words;
    } cuts[] = {
        {"/cut-head", "the head of the answer was cut off"}, {"/cut-body", "was cut off after 4 bytes"}, {"/garbage", "http://127.0.0.1:"},
        {"/die", "without an answer"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        struct asked a = {.request = {.once = true}};

        ask(w, &a, "GET", cuts[i].path);
        assert_int_equal(a.status, BF_ENET);
        assert_int_equal(a.request.error.code, BF_ENET);
        assert_true(a.request.sent);
        assert_int_equal(a.request.http_status, 0);
        if (!strstr(a.request.error.text, cuts[i].words))
            fail_msg("%s: %s", cuts[i].path, a.request.error.text);
        http_request_close(&a.request);
    }
}

static void what_cannot_be_reached_was_not_sent(void **state)
{
    struct world *w = *state;
    struct asked refused = {.request = {.method = "POST", .url = "http://user:pass@127.0.0.1:1/x?sig=y", .once = true}};
    struct asked plain = {.request = {.method = "GET", .url = "http://127.0.0.1:1/", .https_only = true}};
    struct asked file = {.request = {.method = "GET", .url = "file:///etc/passwd"}};
    struct asked sock = {.request = {.method = "GET", .url = "http://belfry/", .unix_socket = "/nonexistent/sock"}};

    begin(w, &refused);
    finish(w, &refused);
    assert_int_equal(refused.status, BF_ENET);
    assert_false(refused.request.sent);
    assert_string_equal(refused.request.error.text, "could not reach 127.0.0.1:1 (connection refused)");
    begin(w, &plain);
    finish(w, &plain);
    assert_int_equal(plain.status, BF_ENET);
    assert_non_null(strstr(plain.request.error.text, "only https may be asked"));
    begin(w, &file);
    finish(w, &file);
    assert_int_equal(file.status, BF_ENET);
    begin(w, &sock);
    finish(w, &sock);
    assert_int_equal(sock.status, BF_ENET);
    assert_string_equal(sock.request.error.text,
                        "could not reach the socket /nonexistent/sock (no such file or directory)");
}

static const char *refuse_loopback(void *data, const struct sockaddr *address)
{
    ++*(int *)data;
    return address->sa_family == AF_INET ? "it is guarded" : NULL;
}

static void a_guarded_address_is_not_connected_to(void **state)
{
    struct world *w = *state;
    struct asked a = {0}, b = {0};
    int looked = 0;

    ask(w, &a, "GET", "/ok");
    assert_int_equal(a.status, 0);
    http_client_close(w->client, on_closed, w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_true(w->closed);
    w->closed = false;
    assert_int_equal(http_client_new(&w->loop, "belfry-test/1", &w->client, &(struct error){0}), 0);
    http_client_guard(w->client, refuse_loopback, &looked);
    ask(w, &b, "POST", "/ok");
    assert_int_equal(b.status, BF_ENET);
    assert_non_null(strstr(b.request.error.text, "is not connected to: it is guarded"));
    assert_false(b.request.sent);
    assert_int_equal(looked, 1);
    assert_int_equal(atomic_load(&w->raw.connections), 1);
    http_request_close(&a.request);
    http_request_close(&b.request);
}

static void silence_times_out(void **state)
{
    struct world *w = *state;
    struct asked a = {.request = {.timeout_ms = 50, .body = "x", .body_len = 1, .once = true}};

    ask(w, &a, "POST", "/silent?secret");
    assert_int_equal(a.status, BF_ETIMEDOUT);
    assert_true(a.request.sent);
    assert_non_null(strstr(a.request.error.text, "/silent: no whole answer within 0.05 s"));
    assert_int_equal(atomic_load(&w->raw.executed), 1);
    http_request_close(&a.request);
}

static void too_much_is_refused(void **state)
{
    struct world *w = *state;
    struct asked a = {.request = {.max_answer = 10}};
    struct asked b = {.request = {.max_answer = 11}};

    ask(w, &a, "GET", "/ok");
    assert_int_equal(a.status, BF_ETOOBIG);
    assert_non_null(strstr(a.request.error.text, "10 bytes"));
    ask(w, &b, "GET", "/ok");
    assert_int_equal(b.status, 0);
    http_request_close(&a.request);
    http_request_close(&b.request);
}

static void a_request_can_be_taken_back(void **state)
{
    struct world *w = *state;
    struct asked a = {.request = {.method = "GET"}}, b = a;

    a.request.url = b.request.url = url_of(w, "/silent");
    begin(w, &a);
    http_client_cancel(w->client, &a.request);
    assert_int_equal(a.calls, 0);
    finish(w, &a);
    assert_int_equal(a.status, BF_ECANCELED);
    begin(w, &b);
    http_client_close(w->client, on_closed, w);
    w->client = NULL;
    finish(w, &b);
    assert_int_equal(b.status, BF_ECANCELED);
    http_request_close(&a.request);
    http_request_close(&b.request);
}

static void a_file_is_streamed(void **state)
{
    struct world *w = *state;
    char in[] = "/tmp/belfry-net-in-XXXXXX", out[] = "/tmp/belfry-net-out-XXXXXX";
    int in_fd = mkstemp(in), out_fd = mkstemp(out);
    struct http_form_field fields[] = {{"key", "v1"}, {"policy", "v2"}};
    struct asked raw = {.request = {.upload_path = in, .sink_fd = out_fd}};
    struct asked form = {.request = {.upload_path = in, .upload_name = "a b.txt", .form = fields, .form_count = 2}};
    struct asked missing = {.request = {.upload_path = "/nonexistent/file"}};
    char back[64] = "";

    assert_int_equal(write(in_fd, "file content", 12), 12);
    ask(w, &raw, "PUT", "/ok");
    assert_int_equal(raw.request.http_status, 200);
    assert_non_null(strstr(w->raw.last, "Content-Length: 12\r\n"));
    assert_non_null(strstr(w->raw.last, "\r\n\r\nfile content"));
    assert_int_equal(raw.request.answer.len, 0);
    assert_int_equal(pread(out_fd, back, sizeof back, 0), 11);
    assert_string_equal(back, "hello there");
    ask(w, &form, "POST", "/ok");
    assert_int_equal(form.request.http_status, 200);
    assert_non_null(strstr(w->raw.last, "Content-Type: multipart/form-data; boundary="));
    assert_non_null(strstr(w->raw.last, "name=\"key\"\r\n\r\nv1\r\n"));
    assert_non_null(strstr(w->raw.last, "name=\"file\"; filename=\"a b.txt\"\r\n"));
    assert_true(strstr(w->raw.last, "v2\r\n") < strstr(w->raw.last, "file content\r\n--"));
    ask(w, &missing, "PUT", "/ok");
    assert_int_equal(missing.status, BF_EIO);
    assert_false(missing.request.sent);
    assert_non_null(strstr(missing.request.error.text, "/nonexistent/file"));
    http_request_close(&raw.request);
    http_request_close(&form.request);
    http_request_close(&missing.request);
    close(in_fd);
    close(out_fd);
    unlink(in);
    unlink(out);
}

static void a_full_sink_is_told(void **state)
{
    struct world *w = *state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct asked a = {.request = {.sink_fd = full}};
    struct asked busy = {.request = {.sink_fd = full}};

    ask(w, &a, "GET", "/ok");
    assert_int_equal(a.status, BF_EIO);
    ask(w, &busy, "GET", "/busy");
    assert_int_equal(busy.status, 0);
    assert_string_equal(buf_str(&busy.request.answer), "busy");
    http_request_close(&a.request);
    http_request_close(&busy.request);
    close(full);
}

static void a_program_without_a_loop_may_wait(void **state)
{
    struct world *w = *state;
    struct http_request request = {.method = "GET"};

    request.url = url_of(w, "/ok");
    assert_int_equal(http_client_send_now(&request, "belfry/1"), 0);
    assert_string_equal(buf_str(&request.answer), "hello there");
    http_request_close(&request);
}

static void retry_after_is_read_and_bounded(void **state)
{
    static const struct {
        const char *value;
        int64_t ms;
    } values[] = {
        {"0", 0}, {"120", 120000}, {"86400", 86400000}, {"86401", 86400000},
        {"999999999999999999999999", 86400000}, {"-5", -1}, {"", -1}, {"1.5", -1}, {"5 s", -1}, {"soon", -1},
        {"Mon, 05 Jan 2026 10:01:00 GMT", 60000}, {"Mon, 05 Jan 2026 09:00:00 GMT", 0},
        {"Monday, 05-Jan-26 10:00:30 GMT", 30000}, {"Mon Jan  5 10:00:10 2026", 10000},
        {"Mon, 05 Jan 2037 10:00:00 GMT", 86400000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (client_retry_after_ms(values[i].value, INT64_C(1767607200000)) != values[i].ms)
            fail_msg("%s: %lld", values[i].value,
                     (long long)client_retry_after_ms(values[i].value, INT64_C(1767607200000)));
}

static void a_url_is_shown_without_secrets(void **state)
{
    static const char *const urls[][3] = {
        {"https://u:p@h.example/a/b?X-Amz-Signature=1#f", "https://h.example/a/b", "h.example:443"},
        {"http://h?x", "http://h", "h:80"},
        {"http://[::1]:8/a", "http://[::1]:8/a", "[::1]:8"},
        {"http://[::1]/a", "http://[::1]/a", "[::1]:80"},
        {"http://h:9/a@b?c@d", "http://h:9/a@b", "h:9"},
    };
    char shown[256];

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        client_url_shown(urls[i][0], shown, sizeof shown);
        assert_string_equal(shown, urls[i][1]);
        client_url_host(urls[i][0], shown, sizeof shown);
        assert_string_equal(shown, urls[i][2]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_whole),
        TEST(any_answer_is_an_answer),
        TEST(a_body_is_sent),
        TEST(once_is_once),
        TEST(connections_are_kept),
        TEST(one_host_has_few_connections),
        TEST(what_is_cut_is_no_answer),
        TEST(what_cannot_be_reached_was_not_sent),
        TEST(a_guarded_address_is_not_connected_to),
        TEST(silence_times_out),
        TEST(too_much_is_refused),
        TEST(a_request_can_be_taken_back),
        TEST(a_file_is_streamed),
        TEST(a_full_sink_is_told),
        TEST(a_program_without_a_loop_may_wait),
        cmocka_unit_test(retry_after_is_read_and_bounded),
        cmocka_unit_test(a_url_is_shown_without_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
