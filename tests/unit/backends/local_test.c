/* Local runs: how they start, end, are stopped, and are found again after a restart. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/file.h"
#include "belfry/base/id.h"
#include "local_fixture.h"

/* Waits in its folder (work/) until it is told to go on. */
#define UNTIL_GO "while [ ! -e go ]; do sleep 0.02; done; "

static void assert_end(const struct shop *s, enum run_state outcome, const char *backend_state, const char *error_code)
{
    assert_int_equal(s->told.ended, 1);
    assert_int_equal(s->told.end.outcome, outcome);
    assert_string_equal(s->told.backend_state, backend_state);
    assert_string_equal(s->told.error_code, error_code);
}

static void assert_console(const struct shop *s, const char *words)
{
    char *console = shop_read_run(s, "console.log");

    if (strstr(console, words) == NULL)
        fail_msg("the console lacks \"%s\": %s", words, console);
    free(console);
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

static void a_success(void **state)
{
    struct shop *s = *state;
    char *path;

    shop_script(s, "echo hello");
    shop_run(s, NULL, NULL);
    assert_end(s, RUN_COMPLETED, "exited", "");
    assert_true(s->told.end.has_exit_code);
    assert_int_equal(s->told.end.exit_code, 0);
    assert_null(s->told.end.error_message);
    assert_true(s->told.started_ms > 0);
    assert_true(s->told.end.ended_ms >= s->told.started_ms);
    path = s->backend->ops->console(s->backend, s->run.id);
    assert_non_null(path);
    assert_int_equal(access(path, R_OK), 0);
    free(path);
    assert_console(s, "hello\n");
}

static void an_exit_code(void **state)
{
    struct shop *s = *state;

    shop_script(s, "exit 7");
    shop_run(s, NULL, NULL);
    assert_end(s, RUN_FAILED, "exited", "exit_code");
    assert_true(s->told.end.has_exit_code);
    assert_int_equal(s->told.end.exit_code, 7);
    assert_string_equal(s->told.error_message, "the command ended with exit code 7");
}

static void a_signal(void **state)
{
    struct shop *s = *state;

    shop_script(s, "kill -SEGV $$");
    shop_run(s, NULL, NULL);
    assert_end(s, RUN_FAILED, "signaled", "signal");
    assert_false(s->told.end.has_exit_code);
    assert_non_null(strstr(s->told.error_message, "signal 11"));
}

static void a_plain_command(void **state)
{
    char echo[] = "echo", words[] = "$HOME *";
    char *argv[] = { echo, words };
    struct shop *s = *state;

    s->process.shell = false;
    s->process.command = (struct words) { .items = argv, .count = 2 };
    shop_run(s, NULL, NULL);
    assert_end(s, RUN_COMPLETED, "exited", "");
    assert_console(s, "$HOME *\n");   /* found in PATH; nothing is expanded */
}

static void a_command_that_is_not_there(void **state)
{
    char missing[] = "no-such-command-anywhere";
    char *argv[] = { missing };
    struct shop *s = *state;

    s->process.shell = false;
    s->process.command = (struct words) { .items = argv, .count = 1 };
    shop_start(s, NULL, NULL);
    shop_wait_refused(s);
    assert_int_equal(s->told.not_started, 1);
    assert_int_equal(s->told.started, 0);
    assert_false(s->told.again);
    assert_int_equal(s->told.why.code, BF_ENOENT);
    assert_non_null(strstr(s->told.why.text, missing));
}

static void a_folder_that_is_not_there(void **state)
{
    char nowhere[] = "/nonexistent/belfry";
    struct shop *s = *state;

    s->process.cwd = nowhere;
    shop_script(s, "true");
    shop_start(s, NULL, NULL);
    shop_wait_refused(s);
    assert_false(s->told.again);
    assert_non_null(strstr(s->told.why.text, nowhere));
}

static void a_user_that_is_not_there(void **state)
{
    char nobody[] = "belfry-no-such-user";
    struct shop *s = *state;

    s->process.user = nobody;
    shop_script(s, "true");
    shop_start(s, NULL, NULL);
    shop_wait_refused(s);
    assert_false(s->told.again);
    assert_non_null(strstr(s->told.why.text, nobody));
}

/* --- being stopped ------------------------------------------------------------------------------------------------ */

static bool is_gone(long pid)
{
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* A command, its child and a grandchild that has left the group: none of them wants to go, and none is left. */
static void a_timeout_ends_them_all(void **state)
{
    struct shop *s = *state;

    s->process.timeout_ms = 1500;
    s->process.kill_grace_ms = 50;
    shop_script(s, "trap '' TERM\n"
                   "sh -c 'setsid sh -c \"echo \\$\\$ >far.new; mv far.new far; while :; do sleep 1; done\" &"
                   "       echo $$ >child.new; mv child.new child; while :; do sleep 1; done' &\n"
                   "echo $$ >self.new; mv self.new self\n"
                   "while :; do sleep 1; done");
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    shop_follow(s);
    shop_wait_file(s, "work/far");
    shop_wait_file(s, "work/child");
    shop_wait_file(s, "work/self");
    shop_wait_ended(s);
    assert_end(s, RUN_TIMED_OUT, "timed_out", "timeout");
    assert_true(is_gone(shop_number(s, "work/self")));
    assert_true(is_gone(shop_number(s, "work/child")));
    assert_true(is_gone(shop_number(s, "work/far")));
}

static void what_a_command_leaves_behind(void **state)
{
    struct shop *s = *state;

    shop_script(s, "(trap '' TERM HUP; while :; do sleep 1; done) &\n"
                   "echo $! >child\n"
                   "exit 0");
    shop_run(s, NULL, NULL);
    assert_end(s, RUN_COMPLETED, "exited", "");
    assert_true(is_gone(shop_number(s, "work/child")));
}

static void stopped_gently(void **state)
{
    struct shop *s = *state;

    shop_script(s, "trap 'echo goodbye; exit 3' TERM; >ready; while :; do sleep 0.02; done");
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    shop_follow(s);
    shop_wait_file(s, "work/ready");
    shop_stop(s, STOP_GENTLY);
    shop_wait_ended(s);
    assert_end(s, RUN_CANCELED, "canceled", "canceled");
    assert_console(s, "goodbye\n");
}

static void stopped_gently_in_vain(void **state)
{
    struct shop *s = *state;

    s->process.kill_grace_ms = 50;
    shop_script(s, "trap 'echo no' TERM; >ready; while :; do sleep 0.02; done");
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    shop_follow(s);
    shop_wait_file(s, "work/ready");
    shop_stop(s, STOP_GENTLY);
    shop_wait_ended(s);
    assert_end(s, RUN_CANCELED, "canceled", "canceled");
    assert_console(s, "no\n");
}

static void stopped_at_once(void **state)
{
    struct shop *s = *state;

    s->process.kill_grace_ms = 600000;   /* nothing that a test would wait for */
    shop_script(s, "trap 'echo no' TERM; >ready; while :; do sleep 0.02; done");
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    shop_follow(s);
    shop_wait_file(s, "work/ready");
    shop_stop(s, STOP_GENTLY);
    shop_stop(s, STOP_AT_ONCE);
    shop_wait_ended(s);
    assert_end(s, RUN_CANCELED, "canceled", "canceled");
}

/* Its start and its end come in one turn of the loop, and it is followed no sooner than it is known to have started. */
static void over_before_anybody_looked(void **state)
{
    struct shop *s = *state;

    s->follow_at_once = true;
    shop_script(s, "exit 0");
    shop_start(s, NULL, NULL);
    shop_let_it_end();
    shop_wait_ended(s);
    assert_int_equal(s->told.started, 1);
    assert_end(s, RUN_COMPLETED, "exited", "");
}

/* --- a daemon that goes and comes --------------------------------------------------------------------------------- */

static void a_restart_while_it_runs(void **state)
{
    struct shop *s = *state;
    int64_t started_ms;

    shop_script(s, UNTIL_GO "echo done; exit 5");
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    started_ms = s->told.started_ms;
    shop_follow(s);
    shop_close(s);
    assert_int_equal(s->told.ended, 0);
    shop_open(s);
    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_STARTED);
    assert_int_equal(s->told.started_ms, started_ms);
    shop_follow(s);
    shop_write_run(s, "work/go", "");
    shop_wait_ended(s);
    assert_end(s, RUN_FAILED, "exited", "exit_code");
    assert_int_equal(s->told.end.exit_code, 5);
    assert_console(s, "done\n");
}

/* The configuration has given its process steps meanwhile: what runs is found all the same, and not started once more. */
static void a_restart_with_another_configuration(void **state)
{
    struct shop *s = *state;

    shop_script(s, UNTIL_GO "exit 0");
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    shop_close(s);
    s->process.work_items = WORK_ITEMS_API;
    shop_open(s);
    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_STARTED);
    shop_follow(s);
    shop_write_run(s, "work/go", "");
    shop_wait_ended(s);
    assert_end(s, RUN_COMPLETED, "exited", "");
}

static void an_end_while_nobody_watched(void **state)
{
    struct shop *s = *state;

    shop_script(s, UNTIL_GO "exit 5");
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    shop_close(s);
    shop_write_run(s, "work/go", "");
    shop_wait_file(s, "exit.1");
    shop_open(s);
    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_STARTED);
    shop_follow(s);
    shop_wait_ended(s);
    assert_end(s, RUN_FAILED, "exited", "exit_code");
    assert_int_equal(s->told.end.exit_code, 5);
}

static void stopped_after_a_restart(void **state)
{
    struct shop *s = *state;

    shop_script(s, "while :; do sleep 0.02; done");
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    shop_close(s);
    shop_open(s);
    shop_follow(s);
    shop_stop(s, STOP_GENTLY);
    shop_wait_ended(s);
    assert_end(s, RUN_CANCELED, "canceled", "canceled");
}

/* The kernel took the supervisor (out of memory): the run is lost, and its command does not go on unwatched. */
static void a_supervisor_that_is_killed(void **state)
{
    struct shop *s = *state;
    pid_t command;
    int status;

    shop_script(s, "echo $$ >self.new; mv self.new self; while :; do sleep 0.02; done");
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    shop_follow(s);
    shop_wait_file(s, "work/self");
    command = (pid_t)shop_number(s, "work/self");
    assert_int_equal(kill((pid_t)shop_number(s, "claim.1"), SIGKILL), 0);
    shop_wait_ended(s);
    assert_end(s, RUN_LOST, "", "lost");
    assert_non_null(strstr(s->told.error_message, "supervisor was killed"));
    assert_int_equal(waitpid(command, &status, 0), command);
    assert_true(WIFSIGNALED(status));
    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_DIED);
}

/* --- what is found ------------------------------------------------------------------------------------------------ */

static void never_begun(void **state)
{
    struct shop *s = *state;

    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_ABSENT);
    assert_int_equal(access(s->folder, F_OK), -1);   /* asking leaves nothing behind */
}

/* The daemon died between the folder and the supervisor: whoever comes late with that attempt starts nothing. */
static void claimed_in_vain(void **state)
{
    struct shop *s = *state;
    char *claim;

    shop_write_run(s, "input.json", "null");
    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_ABSENT);
    claim = shop_read_run(s, "claim.1");
    assert_string_equal(claim, "void\n");
    free(claim);
    shop_find(s);   /* and so it stays */
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_ABSENT);
    shop_script(s, "true");
    shop_start(s, NULL, NULL);
    shop_wait_refused(s);
    assert_int_equal(s->told.unknown, 1);
    assert_int_equal(s->told.started, 0);
    s->told = (struct told) { 0 };
    s->run.attempt = 2;
    shop_run(s, NULL, NULL);
    assert_end(s, RUN_COMPLETED, "exited", "");
}

static void died_with_the_machine(void **state)
{
    struct shop *s = *state;

    shop_write_run(s, "claim.1", "1 00000000-0000-0000-0000-000000000000 1700000000000\n");
    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_DIED);
    assert_int_equal(s->told.started_ms, INT64_C(1700000000000));
    shop_follow(s);
    shop_wait_ended(s);
    assert_end(s, RUN_LOST, "", "lost");
    assert_non_null(strstr(s->told.error_message, "machine went down"));
}

/* Its outcome reached the disk before the machine went. */
static void ended_before_the_machine(void **state)
{
    struct shop *s = *state;

    shop_write_run(s, "claim.1", "1 00000000-0000-0000-0000-000000000000 1700000000000\n");
    shop_write_run(s, "exit.1", "{\"outcome\": \"exited\", \"exit_code\": 0, \"started_ms\": 1700000000000,"
                                " \"ended_ms\": 1700000001000}\n");
    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_STARTED);
    shop_follow(s);
    shop_wait_ended(s);
    assert_end(s, RUN_COMPLETED, "exited", "");
    assert_int_equal(s->told.end.ended_ms, INT64_C(1700000001000));
}

/* The number of a supervisor that died may be another process by now: here, this one. */
static void a_pid_that_is_somebody_else(void **state)
{
    struct shop *s = *state;
    char claim[160];

    (void)snprintf(claim, sizeof claim, "%d %s 1700000000000\n", (int)getpid(), id_boot());
    shop_write_run(s, "claim.1", claim);
    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_DIED);
    shop_follow(s);
    shop_stop(s, STOP_AT_ONCE);   /* or this would be the end of the test */
    shop_wait_ended(s);
    assert_end(s, RUN_LOST, "", "lost");
}

static void a_claim_that_is_none(void **state)
{
    struct shop *s = *state;

    shop_write_run(s, "claim.1", "");
    shop_find(s);
    shop_wait_found(s);
    assert_int_equal(s->told.what, FOUND_DIED);
}

/* --- once --------------------------------------------------------------------------------------------------------- */

static void started_twice(void **state)
{
    struct shop *s = *state;
    char *lines;

    shop_script(s, "echo x >>lines; " UNTIL_GO "exit 0");
    shop_start(s, NULL, NULL);
    shop_start(s, NULL, NULL);
    shop_wait_started(s);
    shop_wait_refused(s);
    assert_int_equal(s->told.started, 1);
    assert_int_equal(s->told.not_started, 0);   /* it would be tried again, and it runs */
    assert_int_equal(s->told.unknown, 1);
    shop_close(s);
    shop_open(s);
    shop_start(s, NULL, NULL);                  /* and by a daemon that does not know */
    s->told.unknown = 0;
    shop_wait_refused(s);
    assert_int_equal(s->told.unknown, 1);
    shop_follow(s);
    shop_write_run(s, "work/go", "");
    shop_wait_ended(s);
    assert_end(s, RUN_COMPLETED, "exited", "");
    lines = shop_read_run(s, "work/lines");
    assert_string_equal(lines, "x\n");
    free(lines);
}

static void a_second_attempt(void **state)
{
    struct shop *s = *state;
    char *console;

    shop_script(s, "echo $BELFRY_ATTEMPT; ls -A; >leftover; exit 1");
    shop_run(s, NULL, NULL);
    s->told = (struct told) { 0 };
    s->run.attempt = 2;
    shop_run(s, NULL, NULL);
    assert_end(s, RUN_FAILED, "exited", "exit_code");
    console = shop_read_run(s, "console.log");
    assert_string_equal(console, "1\noutput\n[belfry: attempt 2]\n2\noutput\n");
    free(console);
}

static void forgotten(void **state)
{
    struct shop *s = *state;

    shop_script(s, "mkdir -p deep/er; >deep/er/file; ln -s / deep/root");
    shop_run(s, NULL, NULL);
    s->backend->ops->forget(s->backend, s->run.id);
    shop_close(s);
    assert_int_equal(access(s->folder, F_OK), -1);
}

/* A retry makes the folder anew while the old one is being removed: nothing of the new one goes with it. */
static void forgotten_and_begun_anew(void **state)
{
    struct shop *s = *state;
    char *runs = file_join(s->state, "runs");
    struct dirent *entry;
    DIR *dir;

    shop_script(s, "mkdir -p deep/er; >deep/er/file");
    shop_run(s, NULL, NULL);
    s->backend->ops->forget(s->backend, s->run.id);
    assert_int_equal(access(s->folder, F_OK), -1);
    shop_write_run(s, "console.log", "second\n");
    shop_close(s);
    assert_int_equal(access(s->folder, F_OK), 0);
    dir = opendir(runs);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        assert_true(strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || strcmp(entry->d_name, s->run.id) == 0);
    (void)closedir(dir);
    free(runs);
}

static void no_supervisor(void **state)
{
    struct shop *s = *state;
    struct backend *other = NULL;
    struct error err = { 0 };

    assert_int_equal(setenv("BELFRY_LIBEXEC", s->base, 1), 0);
    assert_int_equal(backend_local_new(&s->loop, s->state, &s->workspace, s->flows, &s->reports, &other, &err), BF_ENOENT);
    assert_null(other);
    assert_non_null(strstr(err.text, "BELFRY_LIBEXEC"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, shop_setup, shop_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_success),
        TEST(an_exit_code),
        TEST(a_signal),
        TEST(a_plain_command),
        TEST(a_command_that_is_not_there),
        TEST(a_folder_that_is_not_there),
        TEST(a_user_that_is_not_there),
        TEST(a_timeout_ends_them_all),
        TEST(what_a_command_leaves_behind),
        TEST(stopped_gently),
        TEST(stopped_gently_in_vain),
        TEST(stopped_at_once),
        TEST(over_before_anybody_looked),
        TEST(a_restart_while_it_runs),
        TEST(a_restart_with_another_configuration),
        TEST(an_end_while_nobody_watched),
        TEST(stopped_after_a_restart),
        TEST(a_supervisor_that_is_killed),
        TEST(never_begun),
        TEST(claimed_in_vain),
        TEST(died_with_the_machine),
        TEST(ended_before_the_machine),
        TEST(a_pid_that_is_somebody_else),
        TEST(a_claim_that_is_none),
        TEST(started_twice),
        TEST(a_second_attempt),
        TEST(forgotten),
        TEST(forgotten_and_begun_anew),
        TEST(no_supervisor),
    };

    (void)alarm(600);   /* a run that never ends fails the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
