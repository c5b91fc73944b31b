/* belfry-run by its protocol: orders, claims, exits, and the console's limit. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/backends/supervisor.h"
#include "belfry/base/file.h"
#include "belfry/base/id.h"
#include "belfry/base/json.h"

struct desk {
    char folder[64];
    struct buf order;
    pid_t pid;
    int report;             /* where it says how it began */
    char said[512];
};

static void put(struct desk *d, const char *text)
{
    buf_adds(&d->order, text);
    buf_addc(&d->order, '\0');
}

/* An order without a command. */
static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    const char *tmp = getenv("TMPDIR");
    char line[128];

    assert_non_null(d);
    (void)snprintf(d->folder, sizeof d->folder, "%s/belfry-run-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(d->folder));
    put(d, "version=" SUPERVISOR_VERSION);
    (void)snprintf(line, sizeof line, "folder=%s", d->folder);
    put(d, line);
    (void)snprintf(line, sizeof line, "cwd=%s", d->folder);
    put(d, line);
    put(d, "attempt=1");
    put(d, "kill_grace_ms=10000");
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;

    if (d->pid > 0)
        (void)kill(d->pid, SIGKILL);
    buf_close(&d->order);
    assert_int_equal(file_remove_tree(d->folder, NULL), 0);
    free(d);
    return 0;
}

static void put_script(struct desk *d, const char *script)
{
    put(d, "argv=/bin/sh");
    put(d, "argv=-c");
    buf_addf(&d->order, "argv=%s", script);
    buf_addc(&d->order, '\0');
}

/* Away from the numbers at which belfry-run looks for them. */
static int lifted(int fd)
{
    int up = fcntl(fd, F_DUPFD_CLOEXEC, 20);

    assert_true(up >= 0);
    (void)close(fd);
    return up;
}

static void begin(struct desk *d)
{
    char name[] = "belfry-run", path[] = "PATH=/usr/bin:/bin";
    char *argv[] = { name, NULL }, *env[] = { path, NULL };
    int order = memfd_create("order", MFD_CLOEXEC), report[2];
    posix_spawn_file_actions_t files;

    assert_true(order >= 0);
    assert_false(buf_failed(&d->order));
    assert_int_equal(write(order, d->order.data, d->order.len), (ssize_t)d->order.len);
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    order = lifted(order);
    report[1] = lifted(report[1]);
    assert_int_equal(posix_spawn_file_actions_init(&files), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&files, order, SUPERVISOR_ORDER_FD), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&files, report[1], SUPERVISOR_REPORT_FD), 0);
    assert_int_equal(posix_spawn(&d->pid, PROGRAMS "/belfry-run", &files, NULL, argv, env), 0);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)close(order);
    (void)close(report[1]);
    d->report = report[0];
}

/* Its word: it says one line and closes. */
static void hear(struct desk *d)
{
    size_t len = 0;
    ssize_t got;

    while (len < sizeof d->said - 1 && (got = read(d->report, d->said + len, sizeof d->said - 1 - len)) > 0)
        len += (size_t)got;
    d->said[len] = '\0';
    (void)close(d->report);
}

/* Its exit code. */
static int finish(struct desk *d)
{
    int status = 0;

    assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
    d->pid = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int run(struct desk *d)
{
    begin(d);
    hear(d);
    return finish(d);
}

static char *read_file(const struct desk *d, const char *name)
{
    struct error err = { 0 };
    struct buf b = { 0 };
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", d->folder, name);
    if (file_read(path, 1 << 24, &b, &err) != 0)
        fail_msg("%s", err.text);
    return buf_take(&b);
}

static bool has(const struct desk *d, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", d->folder, name);
    return access(path, F_OK) == 0;
}

static json_t *read_exit(const struct desk *d)
{
    char *text = read_file(d, "exit.1");
    json_t *json = json_parse(text, strlen(text), NULL);

    assert_non_null(json);
    free(text);
    return json;
}

/* --- what is left on disk ----------------------------------------------------------------------------------------- */

static void a_run(void **state)
{
    struct desk *d = *state;
    char *claim, *console, boot[64] = "", path[128];
    long long started_ms = 0, said_ms = 0;
    json_t *end;
    int pid = 0, fd;

    put_script(d, "read line <fifo; echo out; echo \"$line\" >&2; exit 4");
    (void)snprintf(path, sizeof path, "%s/fifo", d->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    begin(d);
    hear(d);
    assert_int_equal(sscanf(d->said, "started %lld\n", &said_ms), 1);
    claim = read_file(d, "claim.1");
    assert_int_equal(sscanf(claim, "%d %63s %lld", &pid, boot, &started_ms), 3);
    assert_int_equal(pid, d->pid);
    assert_string_equal(boot, id_boot());
    assert_int_equal(started_ms, said_ms);
    free(claim);
    (void)snprintf(path, sizeof path, "%s/claim.1", d->folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_not_equal(flock(fd, LOCK_SH | LOCK_NB), 0);   /* it lives */
    assert_false(has(d, "exit.1"));
    (void)snprintf(path, sizeof path, "%s/fifo", d->folder);
    {
        int fifo = open(path, O_WRONLY | O_CLOEXEC);

        assert_int_equal(write(fifo, "go on\n", 6), 6);
        (void)close(fifo);
    }
    assert_int_equal(finish(d), 0);
    assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
    (void)close(fd);
    console = read_file(d, "console.log");
    assert_string_equal(console, "out\ngo on\n");
    free(console);
    end = read_exit(d);
    assert_string_equal(json_str(end, "outcome"), "exited");
    assert_int_equal(json_int(end, "exit_code", -1), 4);
    assert_int_equal(json_int(end, "started_ms", -1), started_ms);
    assert_true(json_int(end, "ended_ms", -1) >= started_ms);
    assert_true(json_int(end, "max_rss_kib", -1) > 0);
    assert_true(json_is_false(json_object_get(end, "console_truncated")));
    json_decref(end);
}

static void a_console_without_end(void **state)
{
    struct desk *d = *state;
    char *console;
    json_t *end;

    put(d, "console_max=1000");
    put_script(d, "i=0; while [ $i -lt 5000 ]; do echo 123456789; i=$((i+1)); done; exit 0");
    assert_int_equal(run(d), 0);
    console = read_file(d, "console.log");
    assert_int_equal(strspn(console, "123456789\n"), 1000 + 1);   /* and the line break before the word */
    assert_string_equal(console + 1001, "[belfry: the console's limit is reached, the rest is not kept]\n");
    free(console);
    end = read_exit(d);
    assert_int_equal(json_int(end, "exit_code", -1), 0);          /* it is not held up either */
    assert_true(json_is_true(json_object_get(end, "console_truncated")));
    json_decref(end);
}

static void a_command_that_cannot_be_run(void **state)
{
    struct desk *d = *state;
    json_t *end;

    put(d, "argv=/nonexistent/gr\xc3\xb6\xc3\x9f\x65 \"quoted\"");
    assert_int_equal(run(d), 1);
    assert_int_equal(strncmp(d->said, "failed 2 cannot run the command /nonexistent/", 45), 0);
    end = read_exit(d);
    assert_string_equal(json_str(end, "outcome"), "failed");
    assert_non_null(strstr(json_str(end, "error"), "/nonexistent/"));
    json_decref(end);
}

/* A name so long that the words about it are cut, in the middle of a character. */
static void words_that_are_cut(void **state)
{
    struct desk *d = *state;
    json_t *end;

    buf_adds(&d->order, "argv=/x");
    for (int i = 0; i < 300; i++)
        buf_adds(&d->order, "\xc3\xb6");
    buf_addc(&d->order, '\0');
    assert_int_equal(run(d), 1);
    end = read_exit(d);   /* is well-formed all the same */
    assert_string_equal(json_str(end, "outcome"), "failed");
    json_decref(end);
}

/* --- claims ------------------------------------------------------------------------------------------------------- */

static void a_claim_that_is_there(void **state)
{
    struct desk *d = *state;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/claim.1", d->folder);
    assert_int_equal(file_write_atomic(path, "void\n", 5, 0600, NULL), 0);
    put_script(d, ">ran");
    assert_int_equal(run(d), 1);
    assert_int_equal(strncmp(d->said, "failed 17 ", 10), 0);
    assert_false(has(d, "ran"));
    assert_false(has(d, "exit.1"));
    {
        char *claim = read_file(d, "claim.1");

        assert_string_equal(claim, "void\n");
        free(claim);
    }
}

/* --- orders ------------------------------------------------------------------------------------------------------- */

static void assert_refused(struct desk *d)
{
    assert_int_equal(run(d), 1);
    assert_int_equal(strncmp(d->said, "failed 22 ", 10), 0);
    assert_false(has(d, "claim.1"));
    assert_false(has(d, "ran"));
}

static void an_unknown_key(void **state)
{
    struct desk *d = *state;

    put_script(d, ">ran");
    put(d, "colour=red");
    assert_refused(d);
}

static void another_version(void **state)
{
    struct desk *d = *state;

    put_script(d, ">ran");
    put(d, "version=2");
    assert_refused(d);
}

static void a_number_that_is_none(void **state)
{
    static const char *const lines[] = { "timeout_ms=", "timeout_ms=-1", "timeout_ms=1s", "attempt=99999999999999999999",
                                         "uid=4294967295" };
    struct desk *d = *state;
    size_t usual;

    put_script(d, ">ran");
    usual = d->order.len;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        d->order.len = usual;
        put(d, lines[i]);
        assert_refused(d);
    }
}

static void no_command(void **state)
{
    assert_refused(*state);
}

static void an_empty_order(void **state)
{
    struct desk *d = *state;

    d->order.len = 1;
    d->order.data[0] = '\0';
    assert_refused(d);
}

static void a_folder_that_is_gone(void **state)
{
    struct desk *d = *state;

    put_script(d, ">ran");
    put(d, "folder=/nonexistent/belfry");
    assert_int_equal(run(d), 1);
    assert_int_equal(strncmp(d->said, "failed 2 ", 9), 0);
    assert_non_null(strstr(d->said, "/nonexistent/belfry"));
}

/* Whoever started it is gone: it goes on, and leaves its outcome. */
static void nobody_listens(void **state)
{
    struct desk *d = *state;
    json_t *end;

    put_script(d, "echo x; exit 0");
    begin(d);
    (void)close(d->report);
    assert_int_equal(finish(d), 0);
    end = read_exit(d);
    assert_string_equal(json_str(end, "outcome"), "exited");
    json_decref(end);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_run),
        TEST(a_console_without_end),
        TEST(a_command_that_cannot_be_run),
        TEST(words_that_are_cut),
        TEST(a_claim_that_is_there),
        TEST(an_unknown_key),
        TEST(another_version),
        TEST(a_number_that_is_none),
        TEST(no_command),
        TEST(an_empty_order),
        TEST(a_folder_that_is_gone),
        TEST(nobody_listens),
    };

    (void)alarm(600);   /* a run that never ends fails the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
