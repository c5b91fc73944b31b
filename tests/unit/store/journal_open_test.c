/* Opening a journal: one daemon a folder, what cannot be opened says why, and what was told survives a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "belfry/base/file.h"
#include "journal_fixture.h"

static const char *in_folder(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", journal_folder, name);
    return path;
}

static int open_again(struct error *err)
{
    struct journal *other = NULL;
    int status = journal_open(&journal_loop, journal_folder, &other, err);

    assert_int_equal(status == 0, other != NULL);
    assert_true(status == 0 || err->code == status);
    if (other != NULL)
        journal = other;
    return status;
}

static size_t count_runs(void)
{
    struct journal_read read = { .kind = READ_RUNS, .state = -1, .limit = 1000000 };

    assert_int_equal(read_now(&read), 0);
    return read.count;
}

static void a_second_daemon_is_kept_out(void **state)
{
    struct run_record run = plain_run(1);
    struct error err = { 0 };
    char pid[32];

    (void)state;
    assert_int_equal(open_again(&err), BF_EEXIST);
    (void)snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    assert_non_null(strstr(err.text, journal_folder));
    /* The first one is none the worse for it. */
    add_run(&run, "{}", NULL);
    assert_int_equal(count_runs(), 1);
    close_journal();
    assert_int_equal(open_again(&err), 0);
    assert_int_equal(count_runs(), 1);
}

/* What a daemon leaves that is killed between fork and exec: its child has the lock until it is another program. */
static void the_child_of_a_dead_daemon_is_waited_for(void **state)
{
    struct error err = { 0 };
    pid_t dead;

    (void)state;
    close_journal();
    dead = fork();
    if (dead == 0) {
        int fd = open(in_folder("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (flock(fd, LOCK_EX) != 0 || ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
            _exit(1);
        if (fork() == 0)
            (void)usleep(200000);
        _exit(0);
    }
    assert_int_equal(waitpid(dead, NULL, 0), dead);
    assert_int_equal(open_again(&err), 0);
}

static void only_its_owner_can_read_it(void **state)
{
    static const char *const files[] = { "belfry.db", "belfry.db-wal", "belfry.db-shm", "lock" };
    struct run_record run = plain_run(1);
    struct stat st;

    (void)state;
    add_run(&run, "{}", NULL);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_int_equal(stat(in_folder(files[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static int note_run(void *data, const struct run_record *run)
{
    buf_addf(data, "%.8s %s\n", run->id, run_state_name(run->state));
    return 0;
}

static void open_runs_come_oldest_first(void **state)
{
    struct buf b = { 0 };
    struct error err;

    (void)state;
    for (unsigned i = RUN_STATES; i-- > 0;) {
        struct run_record run = plain_run(i);

        run.state = (enum run_state)i;
        add_run(&run, "{}", NULL);
    }
    close_journal();
    open_journal();
    assert_int_equal(journal_each_open_run(journal, note_run, &b, &err), 0);
    assert_string_equal(buf_str(&b), "00000000 queued\n00000001 starting\n00000002 running\n00000003 collecting\n");
    buf_close(&b);
}

static void what_is_no_database_is_left_alone(void **state)
{
    static const char text[] = "this is not a database, but somebody's only copy of something that is dear to them\n";
    struct buf got = { 0 };
    struct error err = { 0 };

    (void)state;
    close_journal();
    assert_int_equal(file_write_atomic(in_folder("belfry.db"), text, strlen(text), 0600, &err), 0);
    assert_true(open_again(&err) < 0);
    assert_non_null(strstr(err.text, in_folder("belfry.db")));
    assert_non_null(strstr(err.text, "not a database"));
    assert_non_null(strstr(err.text, "backup"));
    assert_int_equal(file_read(in_folder("belfry.db"), 1000, &got, &err), 0);
    assert_string_equal(buf_str(&got), text);
    buf_close(&got);
    /* The lock went with the failure. */
    assert_int_equal(unlink(in_folder("belfry.db")), 0);
    assert_int_equal(open_again(&err), 0);
}

static void a_newer_database_is_left_alone(void **state)
{
    struct error err = { 0 };
    sqlite3 *db;

    (void)state;
    close_journal();
    assert_int_equal(sqlite3_open(in_folder("belfry.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(open_again(&err), BF_ENOTSUP);
    assert_non_null(strstr(err.text, "newer"));
    assert_non_null(strstr(err.text, "99"));
}

static void a_database_without_its_tables_says_so(void **state)
{
    struct error err = { 0 };
    sqlite3 *db;

    (void)state;
    close_journal();
    assert_int_equal(sqlite3_open(in_folder("belfry.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DROP TABLE claims", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_true(open_again(&err) < 0);
    assert_non_null(strstr(err.text, "claims"));
    assert_non_null(strstr(err.text, journal_folder));
}

static void a_place_where_nothing_can_be_made_says_why(void **state)
{
    struct journal *other = NULL;
    struct error err = { 0 };
    char below[160];

    (void)state;
    assert_int_equal(file_write_atomic(in_folder("file"), "x", 1, 0600, &err), 0);
    (void)snprintf(below, sizeof below, "%s/file/state", journal_folder);
    assert_true(journal_open(&journal_loop, below, &other, &err) < 0);
    assert_null(other);
    assert_non_null(strstr(err.text, "/file"));
    /* Folders above it are made. */
    close_journal();
    (void)snprintf(below, sizeof below, "%s/a/b/state", journal_folder);
    assert_int_equal(journal_open(&journal_loop, below, &journal, &err), 0);
    assert_int_equal(count_runs(), 0);
}

static void on_crash(struct commit *commit, int status)
{
    *(int *)commit->data -= status == 0;
}

/* The child's loop and journal are its own. It ends as a killed daemon does: without a word. */
static void crash_with_a_hundred(void)
{
    struct run_record runs[100];
    struct record records[100];
    struct commit commits[100];
    struct journal *mine;
    struct error err;
    uv_loop_t loop;
    int left = 100;

    if (uv_loop_init(&loop) != 0 || journal_open(&loop, journal_folder, &mine, &err) != 0)
        _exit(1);
    for (unsigned i = 0; i < 100; i++) {
        runs[i] = plain_run(i);
        records[i] = (struct record) { .kind = RECORD_RUN_ADD, .run = &runs[i], .event = "{}" };
        commits[i] = (struct commit) { .records = &records[i], .count = 1, .cb = on_crash, .data = &left };
        journal_commit(mine, &commits[i]);
    }
    while (left > 0)
        uv_run(&loop, UV_RUN_ONCE);
    _exit(0);
}

static void what_was_told_survives_a_crash(void **state)
{
    int status;
    pid_t child;

    (void)state;
    close_journal();
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        crash_with_a_hundred();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    open_journal();
    assert_int_equal(count_runs(), 100);
}

/* A write that was torn off in the middle of the log is as if it had never been. */
static void a_torn_end_of_the_log_is_passed_over(void **state)
{
    struct run_record run = plain_run(1000);
    struct stat st;
    int status;
    pid_t child;

    (void)state;
    close_journal();
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        crash_with_a_hundred();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(stat(in_folder("belfry.db-wal"), &st), 0);
    assert_true(st.st_size > 5000);
    assert_int_equal(truncate(in_folder("belfry.db-wal"), st.st_size - 5000), 0);
    open_journal();
    assert_true(count_runs() <= 100);
    add_run(&run, "{}", NULL);
    close_journal();
    open_journal();
    assert_true(count_runs() >= 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_setup, journal_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_daemon_is_kept_out),
        TEST(the_child_of_a_dead_daemon_is_waited_for),
        TEST(only_its_owner_can_read_it),
        TEST(open_runs_come_oldest_first),
        TEST(what_is_no_database_is_left_alone),
        TEST(a_newer_database_is_left_alone),
        TEST(a_database_without_its_tables_says_so),
        TEST(a_place_where_nothing_can_be_made_says_why),
        TEST(what_was_told_survives_a_crash),
        TEST(a_torn_end_of_the_log_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
