/*
 * A full disk: what need not be written fails at once and says why, what must be waits in its order, and nothing is half
 * there. The disk is full as far as this process goes: its files may not grow (RLIMIT_FSIZE).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "journal_fixture.h"

static void set_limit(rlim_t soft)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = soft > limit.rlim_max ? limit.rlim_max : soft;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The log can take nothing more. */
static void fill_the_disk(void)
{
    struct run_record run = plain_run(0);
    char path[128];
    struct stat st;

    add_run(&run, "{}", NULL);
    (void)snprintf(path, sizeof path, "%s/belfry.db-wal", journal_folder);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 0);
    set_limit((rlim_t)st.st_size);
}

static void make_room(void)
{
    set_limit(RLIM_INFINITY);
}

static int setup(void **state)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    return journal_setup(state);
}

static int teardown(void **state)
{
    make_room();
    return journal_teardown(state);
}

static size_t count_runs(void)
{
    struct journal_read read = { .kind = READ_RUNS, .state = -1, .limit = 1000 };

    assert_int_equal(read_now(&read), 0);
    return read.count;
}

static bool is_of_the_disk(int status)
{
    return status == BF_ENOSPC || status == BF_EIO;
}

static void what_need_not_be_written_fails_at_once(void **state)
{
    struct run_record runs[3];
    struct record records[3][2];
    struct told told[3];
    struct journal_health health;

    (void)state;
    fill_the_disk();
    for (unsigned i = 0; i < 3; i++) {
        runs[i] = plain_run(i + 1);
        records[i][0] = (struct record) { .kind = RECORD_RUN_ADD, .run = &runs[i], .event = "{}" };
        records[i][1] = (struct record) { .kind = RECORD_CLAIM, .scope = "s", .key = "k", .run_id = runs[i].id, .now_ms = 1, .value = 9 };
        give(&told[i], records[i], i == 0 ? 2 : 1, false);
    }
    wait_until_told(&told[2]);
    for (int i = 0; i < 3; i++)
        assert_true(is_of_the_disk(told[i].status));
    journal_health(journal, &health);
    assert_false(health.writable);
    assert_non_null(strstr(health.problem, "belfry.db"));
    assert_int_equal(health.commits, 1);
    /* What is there can be read all the while. */
    assert_int_equal(count_runs(), 1);
    make_room();
    /* Nothing of the commit that failed is there: neither its run nor its claim. */
    give(&told[0], records[0], 2, false);
    wait_until_told(&told[0]);
    assert_int_equal(told[0].status, 0);
    assert_int_equal(count_runs(), 2);
    journal_health(journal, &health);
    assert_true(health.writable);
}

static void what_must_be_written_waits_in_its_order(void **state)
{
    struct run_record runs[6];
    struct record records[6];
    struct told told[6], late;
    struct record cursor = { .kind = RECORD_CURSOR, .scope = "schedule", .key = "a", .value = 1 };
    struct journal_health health;

    (void)state;
    fill_the_disk();
    for (unsigned i = 0; i < 6; i++) {
        runs[i] = plain_run(i + 1);
        records[i] = (struct record) { .kind = RECORD_RUN_ADD, .run = &runs[i], .event = "{}" };
        give(&told[i], &records[i], 1, i % 2 == 0);
    }
    wait_until_told(&told[5]);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(told[i].calls, i % 2);
        if (i % 2 == 1)
            assert_true(is_of_the_disk(told[i].status));
    }
    /* One that comes while they wait fails as its elders did, and another of those that must takes its place behind. */
    assert_true(is_of_the_disk(commit_now(&cursor, 1)));
    give(&late, &cursor, 1, true);
    journal_health(journal, &health);
    assert_int_equal(health.waiting, 4);
    assert_false(health.writable);
    assert_int_equal(told[0].calls + told[2].calls + told[4].calls, 0);
    make_room();
    wait_until_told(&late);
    for (int i = 0; i < 6; i += 2) {
        assert_int_equal(told[i].calls, 1);
        assert_int_equal(told[i].status, 0);
    }
    assert_int_equal(late.status, 0);
    assert_true(told[0].order < told[2].order && told[2].order < told[4].order && told[4].order < late.order);
    assert_int_equal(count_runs(), 4);
    journal_health(journal, &health);
    assert_true(health.writable);
    assert_int_equal(health.waiting, 0);
    assert_int_equal(health.commits, 5);
}

/* A claim that lives is no fault of the disk's; one that must is judged when there is room. */
static void a_claim_is_judged_when_there_is_room(void **state)
{
    struct run_record first = plain_run(1), second = plain_run(2);
    struct record records[2][2] = {
        { { .kind = RECORD_RUN_ADD, .run = &first, .event = "{}" },
          { .kind = RECORD_CLAIM, .scope = "s", .key = "k", .run_id = first.id, .now_ms = 1, .value = 9 } },
        { { .kind = RECORD_RUN_ADD, .run = &second, .event = "{}" },
          { .kind = RECORD_CLAIM, .scope = "s", .key = "k", .run_id = second.id, .now_ms = 1, .value = 9 } },
    };
    struct told told[2];
    struct record cursor = { .kind = RECORD_CURSOR, .scope = "schedule", .key = "a", .value = 1 };

    (void)state;
    fill_the_disk();
    give(&told[0], records[0], 2, true);
    give(&told[1], records[1], 2, true);
    assert_true(is_of_the_disk(commit_now(&cursor, 1)));
    assert_int_equal(told[0].calls + told[1].calls, 0);
    make_room();
    wait_until_told(&told[1]);
    assert_int_equal(told[0].status, 0);
    assert_int_equal(told[1].status, BF_EEXIST);
    assert_string_equal(told[1].commit.existing, first.id);
}

static void an_end_on_a_full_disk_gives_back_what_waits(void **state)
{
    struct run_record run = plain_run(1);
    struct record r = { .kind = RECORD_RUN_ADD, .run = &run, .event = "{}" };
    struct record cursor = { .kind = RECORD_CURSOR, .scope = "schedule", .key = "a", .value = 1 };
    struct told waits, late;

    (void)state;
    fill_the_disk();
    give(&waits, &r, 1, true);
    assert_true(is_of_the_disk(commit_now(&cursor, 1)));
    give(&late, &cursor, 1, true);
    close_journal();
    assert_int_equal(waits.calls, 1);
    assert_int_equal(waits.status, BF_ESHUTDOWN);
    assert_int_equal(late.calls, 1);
    assert_int_equal(late.status, BF_ESHUTDOWN);
    make_room();
    open_journal();
    assert_int_equal(count_runs(), 1);
}

static void on_pruned(void *data, size_t count)
{
    *(size_t *)data = count;
}

static void pruning_a_full_disk_forgets_nothing(void **state)
{
    struct run_record run = plain_run(1);
    size_t count = SIZE_MAX;

    (void)state;
    run.state = RUN_COMPLETED;
    run.ended_ms = 5;
    add_run(&run, "{}", NULL);
    fill_the_disk();
    journal_prune(journal, 10, 100, on_pruned, &count);
    while (count == SIZE_MAX)
        uv_run(&journal_loop, UV_RUN_ONCE);
    assert_int_equal(count, 0);
    assert_int_equal(count_runs(), 2);
    make_room();
    count = SIZE_MAX;
    journal_prune(journal, 10, 100, on_pruned, &count);
    while (count == SIZE_MAX)
        uv_run(&journal_loop, UV_RUN_ONCE);
    assert_int_equal(count, 1);
    assert_int_equal(count_runs(), 1);
}

static void a_full_disk_at_the_start_says_so(void **state)
{
    struct journal *other = NULL;
    struct error err = { 0 };
    char below[128];

    (void)state;
    (void)snprintf(below, sizeof below, "%s/state", journal_folder);
    set_limit(100);   /* the lock fits, the database does not */
    assert_true(is_of_the_disk(journal_open(&journal_loop, below, &other, &err)));
    make_room();
    assert_null(other);
    assert_non_null(strstr(err.text, below));
    assert_int_equal(journal_open(&journal_loop, below, &other, &err), 0);
    close_journal();
    journal = other;
    assert_int_equal(count_runs(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_need_not_be_written_fails_at_once),
        TEST(what_must_be_written_waits_in_its_order),
        TEST(a_claim_is_judged_when_there_is_room),
        TEST(an_end_on_a_full_disk_gives_back_what_waits),
        TEST(pruning_a_full_disk_forgets_nothing),
        TEST(a_full_disk_at_the_start_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
