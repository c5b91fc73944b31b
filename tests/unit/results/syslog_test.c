/* Result lines on their way: a real journal, real sockets, targets that come, go and come again. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/buf.h"
#include "belfry/base/time.h"
#include "belfry/results/syslog.h"
#include "tests/unit/store/journal_fixture.h"

#define PATIENCE_MS 60000
#define LINES_MAX 1024

/* What listens: its lines are gathered whenever the loop turns. */
struct receiver {
    int fd;                      /* datagrams, or connections */
    int peer;                    /* the connection; -1: none */
    bool stream, octets;         /* octet counting (TCP), else NUL after each line */
    struct buf bytes;            /* of the stream, not yet taken apart */
    char *lines[LINES_MAX];
    size_t count;
};

struct post {
    struct syslog_config config;
    char *targets[4];
    char names[4][160];
    struct syslog_room *room;
    struct receiver receivers[2];
    char why[256];
    size_t waiting;
    unsigned runs;
};

static char tag[] = "belfry";

/* --- receivers ---------------------------------------------------------------------------------------------------- */

static struct sockaddr_un local_address(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    assert_true(snprintf(address.sun_path, sizeof address.sun_path, "%s/log", journal_folder) <
                (int)sizeof address.sun_path);
    return address;
}

static void receive_local(struct receiver *r, int type)
{
    struct sockaddr_un address = local_address();

    *r = (struct receiver) { .peer = -1, .stream = type == SOCK_STREAM };
    r->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(r->fd >= 0);
    assert_int_equal(bind(r->fd, (struct sockaddr *)&address, sizeof address), 0);
    if (r->stream)
        assert_int_equal(listen(r->fd, 4), 0);
}

/* port 0: any. The port. */
static int receive_ip(struct receiver *r, int type, int port, bool listens)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int yes = 1;

    *r = (struct receiver) { .peer = -1, .stream = type == SOCK_STREAM, .octets = type == SOCK_STREAM };
    r->fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(r->fd >= 0);
    assert_int_equal(setsockopt(r->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    assert_int_equal(bind(r->fd, (struct sockaddr *)&address, sizeof address), 0);
    if (r->stream && listens)
        assert_int_equal(listen(r->fd, 4), 0);
    assert_int_equal(getsockname(r->fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void hang_up(struct receiver *r)
{
    if (r->peer >= 0)
        (void)close(r->peer);
    r->peer = -1;
    buf_reset(&r->bytes);
}

static void receiver_close(struct receiver *r)
{
    hang_up(r);
    if (r->fd >= 0)
        (void)close(r->fd);
    r->fd = -1;
}

static void receiver_free(struct receiver *r)
{
    if (r->fd != 0)
        receiver_close(r);
    buf_close(&r->bytes);
    for (size_t i = 0; i < r->count; i++)
        free(r->lines[i]);
}

static void keep(struct receiver *r, const char *bytes, size_t len)
{
    assert_in_range(r->count, 0, LINES_MAX - 1);
    r->lines[r->count] = strndup(bytes, len);
    assert_non_null(r->lines[r->count]);
    r->count++;
}

/* The whole frames of a stream. */
static void take_apart(struct receiver *r)
{
    size_t at = 0;

    while (at < r->bytes.len) {
        const char *bytes = r->bytes.data + at, *nul = memchr(bytes, '\0', r->bytes.len - at);
        char *end = NULL;
        size_t len;

        if (!r->octets) {
            if (nul == NULL)
                break;
            keep(r, bytes, (size_t)(nul - bytes));
            at += (size_t)(nul - bytes) + 1;
            continue;
        }
        len = strtoul(bytes, &end, 10);
        assert_true(len > 0);
        if (*end != ' ' || (size_t)(end + 1 - bytes) + len > r->bytes.len - at)
            break;
        keep(r, end + 1, len);
        at += (size_t)(end + 1 - bytes) + len;
    }
    memmove(r->bytes.data, r->bytes.data + at, r->bytes.len - at + 1);
    r->bytes.len -= at;
}

static void listen_in(struct receiver *r)
{
    char bytes[65536];
    ssize_t got;

    if (r->fd <= 0)
        return;
    if (!r->stream) {
        while ((got = recv(r->fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0)
            keep(r, bytes, (size_t)got);
        return;
    }
    if (r->peer < 0)
        r->peer = accept4(r->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (r->peer < 0)
        return;
    while ((got = recv(r->peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        buf_add(&r->bytes, bytes, (size_t)got);
    if (r->bytes.len > 0)
        take_apart(r);
    if (got == 0)
        hang_up(r);
}

/* --- the room ----------------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct post *p = calloc(1, sizeof *p);

    assert_non_null(p);
    for (size_t i = 0; i < 4; i++)
        p->targets[i] = p->names[i];
    p->config = (struct syslog_config) { .targets = { .items = p->targets }, .facility = 3, .tag = tag };
    *state = p;
    return journal_setup(state) == 0 ? (*state = p, 0) : -1;
}

static void add_target(struct post *p, const char *name)
{
    (void)snprintf(p->names[p->config.targets.count++], sizeof p->names[0], "%s", name);
}

static void add_ip_target(struct post *p, const char *scheme, const char *host, int port)
{
    char name[128];

    (void)snprintf(name, sizeof name, "%s://%s:%d", scheme, host, port);
    add_target(p, name);
}

static void add_local_target(struct post *p)
{
    struct sockaddr_un address = local_address();
    char name[sizeof address.sun_path + 8];

    (void)snprintf(name, sizeof name, "local:%s", address.sun_path);
    add_target(p, name);
}

static void open_room(struct post *p)
{
    struct error err = { 0 };

    assert_int_equal(syslog_new(&journal_loop, journal, &p->config, "/r", &p->room, &err), 0);
}

static void room_closed(void *data)
{
    ((struct post *)data)->room = NULL;
}

static void tick(uv_timer_t *timer)
{
    struct post *p = timer->data;

    for (size_t i = 0; i < 2; i++)
        listen_in(&p->receivers[i]);
}

static void run_until(struct post *p, bool (*so)(struct post *p), const char *what)
{
    int64_t deadline_ms = time_mono_ms() + PATIENCE_MS;
    uv_timer_t timer;

    uv_timer_init(&journal_loop, &timer);
    timer.data = p;
    uv_timer_start(&timer, tick, 0, 5);
    while (!so(p) && time_mono_ms() < deadline_ms)
        uv_run(&journal_loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&journal_loop, UV_RUN_NOWAIT);
    if (!so(p))
        fail_msg("waited in vain: %s (%zu and %zu lines)", what, p->receivers[0].count, p->receivers[1].count);
}

static bool is_closed(struct post *p)
{
    return p->room == NULL;
}

static void close_room(struct post *p)
{
    syslog_close(p->room, room_closed, p);
    run_until(p, is_closed, "the room's close");
}

static int teardown(void **state)
{
    struct post *p = *state;

    if (p->room != NULL)
        close_room(p);
    for (size_t i = 0; i < 2; i++)
        receiver_free(&p->receivers[i]);
    free(p);
    return journal_teardown(state);
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

/* A run that has ended, with a line for each target: in one commit, as the engine does. */
static void end_run(struct post *p)
{
    struct run_record run = plain_run(++p->runs);
    struct record records[1 + 4] = { { .kind = RECORD_RUN_ADD, .run = &run, .event = "{}", .input = "[null]" } };
    size_t count = 0;
    const char *const *names = syslog_targets(p->room, &count);

    run.state = RUN_COMPLETED;
    run.started_ms = 2000;
    run.ended_ms = 2500;
    for (size_t i = 0; i < count; i++)
        records[1 + i] = (struct record) { .kind = RECORD_LINE_ADD, .scope = names[i], .run_id = run.id };
    assert_int_equal(commit_now(records, 1 + count), 0);
    syslog_pump(p->room);
}

static void end_runs(struct post *p, unsigned count)
{
    while (count-- > 0)
        end_run(p);
}

/* The lines of a receiver are those of runs 1 … count, in order, each once. */
static void assert_lines(const struct receiver *r, unsigned count)
{
    assert_int_equal(r->count, count);
    for (unsigned n = 1; n <= count; n++) {
        struct run_record run = plain_run(n);

        if (strstr(r->lines[n - 1], run.id) == NULL)
            fail_msg("line %u is not run %u's: %s", n, n, r->lines[n - 1]);
    }
}

static unsigned expected;

static bool all_came(struct post *p)
{
    return p->receivers[0].count >= expected;
}

static void wait_lines(struct post *p, unsigned count)
{
    expected = count;
    run_until(p, all_came, "lines");
}

/* How many lines wait in the journal for a target. */
static size_t unsent(const char *target)
{
    struct journal_read read = { .kind = READ_LINES, .target = target, .limit = 1000, .state = -1 };

    assert_int_equal(read_now(&read), 0);
    return read.count;
}

static bool nothing_waits(struct post *p)
{
    (void)p;
    for (size_t i = 0; i < p->config.targets.count; i++) {
        if (unsent(p->targets[i]) > 0)
            return false;
    }
    return true;
}

static void take_trouble(void *data, const char *target, const char *why, size_t waiting)
{
    struct post *p = data;

    assert_string_equal(target, p->targets[0]);
    (void)snprintf(p->why, sizeof p->why, "%s", why);
    p->waiting = waiting;
}

static bool in_trouble(struct post *p)
{
    p->why[0] = '\0';
    syslog_each_trouble(p->room, take_trouble, p);
    return p->why[0] != '\0';
}

static bool in_no_trouble(struct post *p)
{
    return !in_trouble(p);
}

/* --- ways out ----------------------------------------------------------------------------------------------------- */

static void to_a_local_socket(void **state)
{
    struct post *p = *state;

    receive_local(&p->receivers[0], SOCK_DGRAM);
    add_local_target(p);
    open_room(p);
    end_runs(p, 3);
    wait_lines(p, 3);
    assert_lines(&p->receivers[0], 3);
    assert_int_equal(strncmp(p->receivers[0].lines[0], "<30>", 4), 0);
    assert_non_null(strstr(p->receivers[0].lines[0], "state=completed duration_ms=500 results=/r/p/1970-01-01/"));
    run_until(p, nothing_waits, "the marks");
}

static void to_a_local_stream(void **state)
{
    struct post *p = *state;

    receive_local(&p->receivers[0], SOCK_STREAM);
    add_local_target(p);
    open_room(p);
    end_runs(p, 3);
    wait_lines(p, 3);
    assert_lines(&p->receivers[0], 3);
    run_until(p, nothing_waits, "the marks");
}

static void to_udp(void **state)
{
    struct post *p = *state;

    add_ip_target(p, "udp", "127.0.0.1", receive_ip(&p->receivers[0], SOCK_DGRAM, 0, false));
    open_room(p);
    end_runs(p, 3);
    wait_lines(p, 3);
    assert_lines(&p->receivers[0], 3);
    assert_int_equal(strncmp(p->receivers[0].lines[0], "<30>1 ", 6), 0);
    run_until(p, nothing_waits, "the marks");
}

static void to_tcp(void **state)
{
    struct post *p = *state;

    add_ip_target(p, "tcp", "127.0.0.1", receive_ip(&p->receivers[0], SOCK_STREAM, 0, true));
    open_room(p);
    end_runs(p, 3);
    wait_lines(p, 3);
    assert_lines(&p->receivers[0], 3);
    assert_int_equal(p->receivers[0].bytes.len, 0);   /* the counts were right to the byte */
    run_until(p, nothing_waits, "the marks");
}

/* A name with several addresses, of which this one listens. */
static void to_a_name(void **state)
{
    struct post *p = *state;

    add_ip_target(p, "tcp", "localhost", receive_ip(&p->receivers[0], SOCK_STREAM, 0, true));
    open_room(p);
    end_runs(p, 2);
    wait_lines(p, 2);
    assert_lines(&p->receivers[0], 2);
}

static void more_than_are_read_at_once(void **state)
{
    struct post *p = *state;

    add_ip_target(p, "tcp", "127.0.0.1", receive_ip(&p->receivers[0], SOCK_STREAM, 0, false));
    open_room(p);
    end_runs(p, 250);
    run_until(p, in_trouble, "the trouble");
    assert_int_equal(listen(p->receivers[0].fd, 4), 0);
    wait_lines(p, 250);
    run_until(p, nothing_waits, "the marks");
    assert_lines(&p->receivers[0], 250);
}

/* --- targets that are away ---------------------------------------------------------------------------------------- */

static void a_local_socket_that_comes_later(void **state)
{
    struct post *p = *state;

    add_local_target(p);
    open_room(p);
    end_runs(p, 3);
    run_until(p, in_trouble, "the trouble");
    assert_non_null(strstr(p->why, journal_folder));
    assert_true(p->waiting > 0);
    assert_int_equal(unsent(p->targets[0]), 3);
    end_run(p);
    receive_local(&p->receivers[0], SOCK_DGRAM);
    wait_lines(p, 4);
    run_until(p, in_no_trouble, "the trouble's end");
    run_until(p, nothing_waits, "the marks");
    assert_lines(&p->receivers[0], 4);
}

/* The system's logger is started again: its socket is another one under the same name. */
static void a_local_socket_made_anew(void **state)
{
    struct sockaddr_un address = local_address();
    struct post *p = *state;

    receive_local(&p->receivers[0], SOCK_DGRAM);
    add_local_target(p);
    open_room(p);
    end_run(p);
    wait_lines(p, 1);
    run_until(p, nothing_waits, "the mark");
    receiver_close(&p->receivers[0]);
    assert_int_equal(unlink(address.sun_path), 0);
    p->receivers[1] = p->receivers[0];
    p->receivers[1].fd = 0;
    receive_local(&p->receivers[0], SOCK_DGRAM);
    end_run(p);
    wait_lines(p, 1);
    assert_non_null(strstr(p->receivers[0].lines[0], plain_run(2).id));
}

static void a_tcp_server_that_comes_later(void **state)
{
    struct post *p = *state;

    add_ip_target(p, "tcp", "127.0.0.1", receive_ip(&p->receivers[0], SOCK_STREAM, 0, false));
    open_room(p);
    end_runs(p, 3);
    run_until(p, in_trouble, "the trouble");
    assert_int_equal(listen(p->receivers[0].fd, 4), 0);
    end_run(p);
    wait_lines(p, 4);
    run_until(p, nothing_waits, "the marks");
    assert_lines(&p->receivers[0], 4);
}

static void a_tcp_server_that_hangs_up(void **state)
{
    struct post *p = *state;

    add_ip_target(p, "tcp", "127.0.0.1", receive_ip(&p->receivers[0], SOCK_STREAM, 0, true));
    open_room(p);
    end_run(p);
    wait_lines(p, 1);
    run_until(p, nothing_waits, "the mark");
    hang_up(&p->receivers[0]);
    end_runs(p, 3);
    wait_lines(p, 4);
    run_until(p, nothing_waits, "the marks");
    assert_lines(&p->receivers[0], 4);
}

static void a_udp_receiver_that_comes_later(void **state)
{
    struct receiver probe;
    struct post *p = *state;
    int port = receive_ip(&probe, SOCK_DGRAM, 0, false);

    receiver_free(&probe);   /* nobody is there: the kernel of this machine says so */
    add_ip_target(p, "udp", "127.0.0.1", port);
    open_room(p);
    end_runs(p, 3);
    run_until(p, in_trouble, "the trouble");
    (void)receive_ip(&p->receivers[0], SOCK_DGRAM, port, false);
    wait_lines(p, 3);
    run_until(p, nothing_waits, "the marks");
    assert_lines(&p->receivers[0], 3);
}

static bool both_came(struct post *p)
{
    return p->receivers[0].count >= expected && p->receivers[1].count >= expected;
}

static void one_of_two_is_away(void **state)
{
    struct post *p = *state;

    add_local_target(p);
    add_ip_target(p, "udp", "127.0.0.1", receive_ip(&p->receivers[1], SOCK_DGRAM, 0, false));
    open_room(p);
    end_runs(p, 3);
    run_until(p, in_trouble, "the trouble");
    while (unsent(p->targets[1]) > 0)   /* the other one does not wait for it */
        uv_run(&journal_loop, UV_RUN_NOWAIT);
    assert_int_equal(unsent(p->targets[0]), 3);
    receive_local(&p->receivers[0], SOCK_DGRAM);
    expected = 3;
    run_until(p, both_came, "both");
    run_until(p, nothing_waits, "the marks");
    assert_lines(&p->receivers[0], 3);
    assert_lines(&p->receivers[1], 3);
}

/* --- over restarts ------------------------------------------------------------------------------------------------ */

static void lines_of_an_earlier_life(void **state)
{
    struct post *p = *state;

    add_local_target(p);
    open_room(p);
    end_runs(p, 2);
    run_until(p, in_trouble, "the trouble");
    close_room(p);
    close_journal();
    open_journal();
    receive_local(&p->receivers[0], SOCK_DGRAM);
    open_room(p);
    syslog_pump(p->room);
    wait_lines(p, 2);
    end_run(p);
    wait_lines(p, 3);
    run_until(p, nothing_waits, "the marks");
    assert_lines(&p->receivers[0], 3);
    assert_non_null(strstr(p->receivers[0].lines[0], "again=maybe"));   /* a crash may have come after the line went */
    assert_non_null(strstr(p->receivers[0].lines[1], "again=maybe"));
    assert_null(strstr(p->receivers[0].lines[2], "again"));
    close_room(p);
    open_room(p);
    end_run(p);
    wait_lines(p, 4);
    assert_lines(&p->receivers[0], 4);
}

static void an_end_while_lines_are_read(void **state)
{
    struct post *p = *state;

    receive_local(&p->receivers[0], SOCK_DGRAM);
    add_local_target(p);
    open_room(p);
    end_runs(p, 3);
    close_room(p);
    open_room(p);
    syslog_pump(p->room);
    run_until(p, nothing_waits, "the marks");
    wait_lines(p, 3);
    assert_lines(&p->receivers[0], 3);
}

static void other_targets_after_a_reload(void **state)
{
    struct post *p = *state;
    struct error err = { 0 };
    size_t count = 0;

    receive_local(&p->receivers[0], SOCK_DGRAM);
    add_local_target(p);
    open_room(p);
    end_run(p);
    wait_lines(p, 1);
    add_ip_target(p, "udp", "127.0.0.1", receive_ip(&p->receivers[1], SOCK_DGRAM, 0, false));
    assert_int_equal(syslog_configure(p->room, &p->config, "/r", &err), 0);
    end_run(p);
    wait_lines(p, 2);
    run_until(p, nothing_waits, "the marks");
    assert_lines(&p->receivers[0], 2);
    assert_int_equal(p->receivers[1].count, 1);
    p->config.targets.count = 1;
    assert_int_equal(syslog_configure(p->room, &p->config, "/r", &err), 0);
    assert_string_equal(syslog_targets(p->room, &count)[0], p->targets[0]);
    assert_int_equal(count, 1);
    end_run(p);
    wait_lines(p, 3);
    assert_int_equal(p->receivers[1].count, 1);
    assert_lines(&p->receivers[0], 3);
}

/* --- starts ------------------------------------------------------------------------------------------------------- */

static void starts_go_at_once_or_not_at_all(void **state)
{
    struct run_record run = plain_run(1);
    struct post *p = *state;

    run.state = RUN_RUNNING;
    add_local_target(p);
    open_room(p);
    syslog_note(p->room, &run, NULL);
    receive_local(&p->receivers[0], SOCK_DGRAM);
    syslog_note(p->room, &run, NULL);
    syslog_note(p->room, &run, "no such program");
    wait_lines(p, 2);
    assert_non_null(strstr(p->receivers[0].lines[0], "state=started"));
    assert_non_null(strstr(p->receivers[0].lines[1], "state=start_failed"));
    assert_non_null(strstr(p->receivers[0].lines[1], "error=\"no such program\""));
    p->runs = 1;
    end_run(p);
    wait_lines(p, 3);
    assert_int_equal(p->receivers[0].count, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(to_a_local_socket),
        TEST(to_a_local_stream),
        TEST(to_udp),
        TEST(to_tcp),
        TEST(to_a_name),
        TEST(more_than_are_read_at_once),
        TEST(a_local_socket_that_comes_later),
        TEST(a_local_socket_made_anew),
        TEST(a_tcp_server_that_comes_later),
        TEST(a_tcp_server_that_hangs_up),
        TEST(a_udp_receiver_that_comes_later),
        TEST(one_of_two_is_away),
        TEST(lines_of_an_earlier_life),
        TEST(an_end_while_lines_are_read),
        TEST(other_targets_after_a_reload),
        TEST(starts_go_at_once_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
