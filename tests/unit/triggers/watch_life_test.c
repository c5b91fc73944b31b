/* What lasts: restarts, ends of runs, firings that cannot be written down, persons and reloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "watch_fixture.h"

/* --- restarts ----------------------------------------------------------------------------------------------------- */

static void what_is_there_at_the_first_start(void **state)
{
    struct yard *y = *state;

    yard_write(y, "in/b.csv", "x");
    yard_write(y, "in/a.csv", "x");
    yard_open(y);
    yard_wait(y, 2);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
    assert_int_equal(yard_fired(y, "b.csv"), 1);
}

static void existing_files_ignored(void **state)
{
    struct yard *y = *state;

    y->watch.existing = false;
    yard_write(y, "in/a.csv", "there before");
    yard_write(y, "in/b.csv", "there before");
    yard_open(y);
    yard_wait_record(y, "in/a.csv", FILE_IGNORED);
    yard_wait_record(y, "in/b.csv", FILE_IGNORED);
    yard_write(y, "in/b.csv", "a later version of it");
    yard_wait(y, 1);
    assert_int_equal(yard_fired(y, "b.csv"), 1);
    yard_close(y);
    yard_write(y, "in/c.csv", "while nobody looked");
    yard_open(y);
    yard_wait(y, 2);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "c.csv"), 1);
    assert_int_equal(yard_fired(y, "a.csv"), 0);
}

/* Not even while the folder cannot be there for the first look. */
static void existing_ignored_of_a_folder_to_come(void **state)
{
    struct yard *y = *state;

    y->watch.existing = false;
    yard_remove(y, "in");
    yard_open(y);
    yard_folder(y, "in");
    yard_write(y, "in/a.csv", "new");
    yard_wait(y, 1);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
}

static void a_restart_fires_nothing_twice(void **state)
{
    struct yard *y = *state;

    y->journal.run_state = RUN_RUNNING;
    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_write(y, "in/b.csv", "x");
    yard_write(y, "in/c.csv", "x");
    yard_wait(y, 3);
    yard_close(y);
    yard_write(y, "in/b.csv", "changed meanwhile");
    yard_remove(y, "in/c.csv");
    yard_write(y, "in/d.csv", "came meanwhile");
    yard_open(y);
    yard_wait(y, 5);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
    assert_int_equal(yard_fired(y, "b.csv"), 2);
    assert_int_equal(yard_fired(y, "d.csv"), 1);
}

/* A file that had not settled when the daemon went is no less a file. */
static void a_restart_while_a_file_settles(void **state)
{
    struct yard *y = *state;

    y->watch.settle_ms = 60000;
    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    run_idle(&y->loop);
    yard_close(y);
    y->watch.settle_ms = 20;
    yard_open(y);
    yard_wait(y, 1);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
}

static void forgets_what_is_gone(void **state)
{
    struct yard *y = *state;

    y->journal.run_state = RUN_COMPLETED;
    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_wait(y, 1);
    yard_end(y, yard_run_of(y, "a.csv"), RUN_COMPLETED);
    yard_wait_record(y, "in/a.csv", FILE_DONE);
    yard_remove(y, "in/a.csv");
    yard_wait_record(y, "in/a.csv", -1);
    yard_write(y, "in/b.csv", "x");
    yard_wait(y, 2);
    yard_end(y, yard_run_of(y, "b.csv"), RUN_COMPLETED);
    yard_wait_record(y, "in/b.csv", FILE_DONE);
    yard_close(y);
    yard_remove(y, "in/b.csv");
    yard_open(y);
    yard_wait_record(y, "in/b.csv", -1);
}

/* --- after a run -------------------------------------------------------------------------------------------------- */

static void success_moves(void **state)
{
    struct yard *y = *state;
    static char done[PATH_MAX];

    assert_true(snprintf(done, sizeof done, "%s/done/deep", y->base) < (int)sizeof done);
    y->watch.success = (struct after_config) { .kind = AFTER_MOVE, .dir = done };
    yard_folder(y, "done");
    yard_open(y);
    yard_write(y, "in/a.csv", "first");
    yard_wait(y, 1);
    yard_end(y, yard_run_of(y, "a.csv"), RUN_COMPLETED);
    yard_wait_record(y, "in/a.csv", -1);
    assert_true(yard_has(y, "done/deep/a.csv", "first"));
    assert_false(yard_has(y, "in/a.csv", NULL));
    yard_write(y, "in/a.csv", "second");   /* and then its name is taken */
    yard_wait(y, 2);
    yard_end(y, yard_run_of(y, "a.csv"), RUN_COMPLETED);
    yard_wait_record(y, "in/a.csv", -1);
    yard_write(y, "in/a.csv", "third");
    yard_wait(y, 3);
    yard_end(y, yard_run_of(y, "a.csv"), RUN_COMPLETED);
    yard_wait_record(y, "in/a.csv", -1);
    assert_true(yard_has(y, "done/deep/a.csv", "first"));
    assert_true(yard_has(y, "done/deep/a-2.csv", "second"));
    assert_true(yard_has(y, "done/deep/a-3.csv", "third"));
}

static void failure_and_success_differ(void **state)
{
    struct yard *y = *state;
    static char failed[PATH_MAX];

    assert_true(snprintf(failed, sizeof failed, "%s/failed", y->base) < (int)sizeof failed);
    y->watch.success = (struct after_config) { .kind = AFTER_DELETE };
    y->watch.failure = (struct after_config) { .kind = AFTER_MOVE, .dir = failed };
    yard_open(y);
    yard_write(y, "in/good.csv", "x");
    yard_write(y, "in/bad.csv", "y");
    yard_write(y, "in/late.csv", "z");
    yard_wait(y, 3);
    yard_end(y, yard_run_of(y, "good.csv"), RUN_COMPLETED);
    yard_end(y, yard_run_of(y, "bad.csv"), RUN_FAILED);
    yard_end(y, yard_run_of(y, "late.csv"), RUN_TIMED_OUT);
    yard_wait_record(y, "in/good.csv", -1);
    yard_wait_record(y, "in/bad.csv", -1);
    yard_wait_record(y, "in/late.csv", -1);
    assert_false(yard_has(y, "in/good.csv", NULL));
    assert_true(yard_has(y, "failed/bad.csv", "y"));
    assert_true(yard_has(y, "failed/late.csv", "z"));
    yard_end(y, yard_run_of(y, "bad.csv"), RUN_FAILED);   /* told twice: nothing more */
    yard_sentinel(y);
    assert_true(yard_has(y, "failed/bad.csv", "y"));
}

static void a_run_that_goes_on_touches_nothing(void **state)
{
    struct yard *y = *state;

    y->watch.success = y->watch.failure = (struct after_config) { .kind = AFTER_DELETE };
    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_wait(y, 1);
    yard_end(y, yard_run_of(y, "a.csv"), RUN_RUNNING);
    yard_end(y, yard_run_of(y, "a.csv"), RUN_COLLECTING);
    yard_sentinel(y);
    assert_true(yard_has(y, "in/a.csv", "x"));
    yard_end(y, yard_run_of(y, "a.csv"), RUN_CANCELED);
    yard_wait_record(y, "in/a.csv", -1);
    assert_false(yard_has(y, "in/a.csv", NULL));
}

/* Its successor is not the file that the run has worked on. */
static void a_newer_version_stays(void **state)
{
    struct yard *y = *state;
    char first[ID_SIZE];

    y->watch.success = (struct after_config) { .kind = AFTER_DELETE };
    yard_open(y);
    yard_write(y, "in/a.csv", "one");
    yard_wait(y, 1);
    memcpy(first, yard_run_of(y, "a.csv"), ID_SIZE);
    yard_write(y, "in/a.csv", "and two");
    yard_wait(y, 2);
    yard_end(y, first, RUN_COMPLETED);
    yard_sentinel(y);
    assert_true(yard_has(y, "in/a.csv", "and two"));
    yard_end(y, yard_run_of(y, "a.csv"), RUN_COMPLETED);
    yard_wait_record(y, "in/a.csv", -1);
    assert_false(yard_has(y, "in/a.csv", NULL));
}

static void a_version_that_has_not_fired_yet_stays(void **state)
{
    struct yard *y = *state;

    y->watch.success = (struct after_config) { .kind = AFTER_DELETE };
    yard_open(y);
    yard_write(y, "in/a.csv", "one");
    yard_wait(y, 1);
    yard_write(y, "in/a.csv", "and two");   /* seen by nobody yet */
    yard_end(y, yard_run_of(y, "a.csv"), RUN_COMPLETED);
    yard_wait(y, 2);
    assert_true(yard_has(y, "in/a.csv", "and two"));
    assert_int_equal(yard_fired(y, "a.csv"), 2);
}

static void an_end_while_the_daemon_was_away(void **state)
{
    struct yard *y = *state;

    y->watch.success = (struct after_config) { .kind = AFTER_DELETE };
    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_wait(y, 1);
    yard_close(y);
    y->journal.run_state = RUN_COMPLETED;
    yard_open(y);
    yard_wait_record(y, "in/a.csv", -1);
    assert_false(yard_has(y, "in/a.csv", NULL));
}

static void an_end_after_a_restart(void **state)
{
    struct yard *y = *state;
    char run_id[ID_SIZE];

    y->watch.batch = 0;
    y->watch.success = (struct after_config) { .kind = AFTER_DELETE };
    y->journal.run_state = RUN_RUNNING;
    yard_write(y, "in/a.csv", "x");
    yard_write(y, "in/b.csv", "x");
    yard_open(y);
    yard_wait(y, 1);   /* one ring for both */
    memcpy(run_id, yard_run_of(y, "a.csv"), ID_SIZE);
    yard_close(y);
    yard_open(y);
    yard_sentinel(y);
    assert_true(yard_has(y, "in/a.csv", "x"));
    yard_end(y, run_id, RUN_COMPLETED);
    yard_wait_record(y, "in/a.csv", -1);
    yard_wait_record(y, "in/b.csv", -1);
    assert_false(yard_has(y, "in/a.csv", NULL));
    assert_false(yard_has(y, "in/b.csv", NULL));
}

/* The run is no longer known: nothing tells what to do with the file, so it is kept. */
static void a_forgotten_run(void **state)
{
    struct yard *y = *state;

    y->watch.success = y->watch.failure = (struct after_config) { .kind = AFTER_DELETE };
    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_wait(y, 1);
    yard_close(y);
    y->journal.run_state = RUN_STATES;
    yard_open(y);
    yard_sentinel(y);
    assert_true(yard_has(y, "in/a.csv", "x"));
    assert_int_equal(yard_fired(y, "a.csv"), 1);
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static const char *name_at(const struct yard *y, size_t ring, size_t at)
{
    return json_str(json_array_get(json_object_get(y->fake.rings[ring].event, "files"), at), "name");
}

static void in_batches(void **state)
{
    struct yard *y = *state;

    y->watch.batch = 2;
    yard_write(y, "in/c.csv", "1");
    yard_write(y, "in/a.csv", "333");
    yard_write(y, "in/b.csv", "22");
    y->watch.order = WATCH_BY_SIZE;
    /* They have kept still for long when the scan finds them: all three are ready at once. */
    y->watch.settle_ms = 0;
    yard_open(y);
    yard_wait(y, 2);
    assert_int_equal(json_array_size(json_object_get(y->fake.rings[0].event, "files")), 2);
    assert_null(json_object_get(y->fake.rings[0].event, "file"));
    assert_string_equal(name_at(y, 0, 0), "c.csv");
    assert_string_equal(name_at(y, 0, 1), "b.csv");
    assert_string_equal(name_at(y, 1, 0), "a.csv");
}

static void all_in_the_order_of_their_times(void **state)
{
    const char *const names[] = { "b.csv", "c.csv", "a.csv" };
    struct yard *y = *state;

    y->watch.batch = 0;
    y->watch.order = WATCH_BY_MTIME;
    y->watch.settle_ms = 0;
    for (int i = 0; i < 3; i++) {
        const struct timespec times[2] = { { .tv_sec = 1000000 + i }, { .tv_sec = 1000000 + i } };
        char path[PATH_MAX];

        (void)snprintf(path, sizeof path, "in/%s", names[i]);
        yard_write(y, path, "x");
        assert_true(snprintf(path, sizeof path, "%s/%s", y->in, names[i]) < (int)sizeof path);
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    yard_open(y);
    yard_wait(y, 1);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(name_at(y, 0, i), names[i]);
}

/* --- firings that fail -------------------------------------------------------------------------------------------- */

static void a_firing_that_cannot_be_written_down(void **state)
{
    struct yard *y = *state;

    y->fake.fail_with = BF_ENOSPC;
    y->fake.fail_times = 1;
    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_wait(y, 1);
    assert_int_equal(y->fake.count, 2);
    assert_int_equal(y->fake.rings[0].status, BF_ENOSPC);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
}

static void a_program_that_fails(void **state)
{
    static char program[] = ".file.size / 0";
    struct yard *y = *state;

    y->watch.input = program;
    y->watch.failure = (struct after_config) { .kind = AFTER_DELETE };
    y->fake.fail_with = BF_EINVAL;
    y->fake.fail_times = 1;
    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_wait_record(y, "in/a.csv", FILE_DONE);
    assert_int_equal(y->fake.count, 2);
    assert_string_equal(y->fake.rings[0].program, program);
    assert_non_null(strstr(y->fake.rings[1].skip_reason, "told to fail"));
    assert_null(y->fake.rings[1].program);
    yard_sentinel(y);
    assert_true(yard_has(y, "in/a.csv", "x"));   /* a skipped run acts on no file */
    assert_int_equal(y->fake.count, 3);
}

/* The journal has the claim and not the file's record: its version has fired. */
static void a_version_that_fired_before(void **state)
{
    struct yard *y = *state;

    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_wait(y, 1);
    yard_move(y, "in/a.csv", "a.csv");
    yard_end(y, yard_run_of(y, "a.csv"), RUN_COMPLETED);
    yard_wait_record(y, "in/a.csv", FILE_DONE);
    yard_close(y);
    yard_open(y);
    yard_wait_record(y, "in/a.csv", -1);
    yard_move(y, "a.csv", "in/a.csv");   /* the same file comes back */
    yard_wait_record(y, "in/a.csv", FILE_DONE);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
    assert_int_equal(y->fake.rings[1].status, BF_EEXIST);
}

static bool rings_wait(void *data)
{
    return ((const struct yard *)data)->fake.waiting_count > 0;
}

static void an_end_with_a_firing_under_way(void **state)
{
    struct yard *y = *state;

    y->fake.silent = true;
    y->watch.settle_ms = 60000;
    yard_write(y, "in/b.csv", "still settling");
    yard_open(y);
    run_idle(&y->loop);
    y->watch.settle_ms = 0;
    yard_write(y, "in/a.csv", "x");
    run_until(&y->loop, rings_wait, y);
    y->fake.fail_with = BF_ESHUTDOWN;
    y->fake.fail_times = 1;
    watch_close(y->room, (void (*)(void *))uv_stop, &y->loop);
    run_idle(&y->loop);
    y->fake.silent = false;                    /* the last answer comes after all handles have closed */
    uv_run(&y->loop, UV_RUN_DEFAULT);
    y->room = NULL;
    assert_int_equal(y->config.refs, 1);
    y->fake.fail_with = 0;
    y->watch.settle_ms = 20;
    yard_open(y);                              /* what was not admitted fires at the next start */
    yard_wait(y, 2);
}

/* --- persons and reloads ------------------------------------------------------------------------------------------ */

static void paused(void **state)
{
    struct yard *y = *state;

    yard_open(y);
    yard_sentinel(y);
    assert_int_equal(watch_pause(y->room, "nobody", true), BF_ENOENT);
    assert_int_equal(watch_pause(y->room, "drops", true), 0);
    assert_true(yard_view(y).paused);
    yard_write(y, "in/a.csv", "meanwhile");
    run_idle(&y->loop);
    assert_int_equal(y->fake.count, 1);
    assert_int_equal(watch_pause(y->room, "drops", false), 0);
    yard_wait(y, 1);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
    assert_int_equal(yard_fired(y, "sentinel-1.csv"), 1);
}

static void a_pause_of_a_settling_file(void **state)
{
    struct yard *y = *state;

    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    while (yard_view(y).settling == 0)
        uv_run(&y->loop, UV_RUN_ONCE);
    assert_int_equal(watch_pause(y->room, "drops", true), 0);
    assert_int_equal(y->fake.count, 0);
    assert_int_equal(watch_pause(y->room, "drops", false), 0);
    yard_wait(y, 1);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
}

static void reloaded(void **state)
{
    char txt[] = "*.txt", *included[] = { txt }, elsewhere[PATH_MAX];
    struct yard *y = *state;
    struct watch_config other = y->watch;
    struct watch_config *list[] = { &other };
    struct config again = { .watches = list, .watch_count = 1, .refs = 1 };
    struct error err = { 0 };

    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_write(y, "in/b.txt", "x");
    yard_wait(y, 2);
    other.include = (struct words) { .items = included, .count = 1 };
    assert_int_equal(watch_configure(y->room, &again, &err), 0);
    assert_int_equal(y->config.refs, 1);             /* the old one is let go */
    yard_write(y, "in/c.csv", "no longer named");
    yard_write(y, "in/d.txt", "x");
    yard_wait(y, 3);
    assert_int_equal(yard_fired(y, "b.txt"), 1);     /* what has fired is known as before */
    assert_int_equal(yard_fired(y, "c.csv"), 0);
    yard_folder(y, "elsewhere");                     /* another folder is another watch */
    assert_true(snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", y->base) < (int)sizeof elsewhere);
    other.path = elsewhere;
    yard_write(y, "elsewhere/b.txt", "x");
    assert_int_equal(watch_configure(y->room, &again, &err), 0);
    yard_wait(y, 4);
    assert_int_equal(yard_fired(y, "b.txt"), 2);
    yard_wait_record(y, "in/b.txt", -1);
    again.watch_count = 0;                           /* and one that is no longer named is forgotten */
    assert_int_equal(watch_configure(y->room, &again, &err), 0);
    yard_wait_record(y, "elsewhere/b.txt", -1);
    assert_null(fake_find(&y->journal, RECORD_CURSOR, "watch", "drops"));
    yard_close(y);
    assert_int_equal(again.refs, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, yard_setup, yard_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_at_the_first_start),
        TEST(existing_files_ignored),
        TEST(existing_ignored_of_a_folder_to_come),
        TEST(a_restart_fires_nothing_twice),
        TEST(a_restart_while_a_file_settles),
        TEST(forgets_what_is_gone),
        TEST(success_moves),
        TEST(failure_and_success_differ),
        TEST(a_run_that_goes_on_touches_nothing),
        TEST(a_newer_version_stays),
        TEST(a_version_that_has_not_fired_yet_stays),
        TEST(an_end_while_the_daemon_was_away),
        TEST(an_end_after_a_restart),
        TEST(a_forgotten_run),
        TEST(in_batches),
        TEST(all_in_the_order_of_their_times),
        TEST(a_firing_that_cannot_be_written_down),
        TEST(a_program_that_fails),
        TEST(a_version_that_fired_before),
        TEST(an_end_with_a_firing_under_way),
        TEST(paused),
        TEST(a_pause_of_a_settling_file),
        TEST(reloaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
