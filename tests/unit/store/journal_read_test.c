/* Reading the journal: every field as it was written, filters, pages, lines, what has expired, and forgetting it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/base/buf.h"
#include "belfry/base/time.h"
#include "journal_fixture.h"

static char *lent(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void check_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        assert_true(a == b);
    else
        assert_string_equal(a, b);
}

static void check_run(const struct run_record *a, const struct run_record *b)
{
    assert_string_equal(a->id, b->id);
    check_text(a->process, b->process);
    check_text(a->workspace, b->workspace);
    check_text(a->trigger_name, b->trigger_name);
    assert_int_equal(a->trigger_kind, b->trigger_kind);
    assert_int_equal(a->overlap, b->overlap);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->failures, b->failures);
    assert_true(a->accepted_ms == b->accepted_ms && a->due_ms == b->due_ms && a->not_before_ms == b->not_before_ms);
    assert_true(a->started_ms == b->started_ms && a->ended_ms == b->ended_ms);
    assert_int_equal(a->has_exit_code, b->has_exit_code);
    if (a->has_exit_code)
        assert_int_equal(a->exit_code, b->exit_code);
    assert_int_equal(a->unconfirmed, b->unconfirmed);
    assert_int_equal(a->stop_as, b->stop_as);
    check_text(a->backend_state, b->backend_state);
    check_text(a->error_code, b->error_code);
    check_text(a->error_message, b->error_message);
    check_text(a->memo, b->memo);
    check_text(a->remote_id, b->remote_id);
    check_text(a->remote_url, b->remote_url);
    check_text(a->reason, b->reason);
    check_text(a->result, b->result);
}

static struct run_record full_run(unsigned n)
{
    struct run_record run = plain_run(n);

    run.process = lent("Bücher-世界");
    run.workspace = lent("работа");
    run.trigger_kind = TRIGGER_WEBHOOK;
    run.trigger_name = lent("🔔 o'hook; DROP TABLE runs --");
    run.overlap = OVERLAP_ALLOW_ALL;
    run.state = RUN_LOST;
    run.outcome = RUN_TIMED_OUT;
    run.attempt = 17;
    run.failures = 4000000000u;
    run.accepted_ms = INT64_C(1767225600123);
    run.due_ms = INT64_C(1767225600000);
    run.not_before_ms = INT64_MAX;
    run.started_ms = INT64_C(1767225601000);
    run.ended_ms = INT64_C(1767225699999);
    run.has_exit_code = true;
    run.exit_code = INT_MIN;
    run.unconfirmed = true;
    run.stop_as = RUN_CANCELED;
    run.backend_state = lent("");
    run.error_code = lent("signal");
    run.error_message = lent("line one\nline \"two\"\t\\");
    run.memo = lent("{\"items\":[1,2,3]}");
    run.remote_id = lent("abc-1");
    run.remote_url = lent("https://example.org/?a=b&c=%20");
    run.reason = lent("because");
    run.result = lent("{}");
    return run;
}

static int read_run(const char *id, struct journal_read *read)
{
    memset(read, 0, sizeof *read);
    read->kind = READ_RUN;
    (void)snprintf(read->id, sizeof read->id, "%s", id);
    return read_now(read);
}

static void every_field_comes_back(void **state)
{
    struct run_record full = full_run(1), bare = plain_run(2);
    struct journal_read read;

    (void)state;
    bare.exit_code = 99;   /* of no meaning without has_exit_code */
    add_run(&full, "{\"a\":\"ü\"}", "[{\"b\":1},null]");
    add_run(&bare, "{}", NULL);
    assert_int_equal(read_run(full.id, &read), 0);
    assert_int_equal(read.count, 1);
    check_run(&read.rows[0].run, &full);
    assert_string_equal(read.rows[0].event, "{\"a\":\"ü\"}");
    assert_string_equal(read.rows[0].input, "[{\"b\":1},null]");
    assert_int_equal(read_run(bare.id, &read), 0);
    check_run(&read.rows[0].run, &bare);
    assert_string_equal(read.rows[0].event, "{}");
    assert_null(read.rows[0].input);
    assert_int_equal(read_run("ffffffff-0000-7000-8000-000000000000", &read), BF_ENOENT);
    assert_int_equal(read.count, 0);
    assert_int_equal(read.error.code, BF_ENOENT);
    assert_non_null(strstr(read.error.text, "ffffffff-0000"));
}

static void a_row_becomes_what_is_set_and_its_texts_stay(void **state)
{
    struct run_record run = plain_run(1), then = full_run(1);
    struct record set = { .kind = RECORD_RUN_SET, .run = &then };
    struct journal_read read;

    (void)state;
    add_run(&run, "{\"event\":1}", "[1]");
    assert_int_equal(commit_now(&set, 1), 0);
    assert_int_equal(read_run(run.id, &read), 0);
    check_run(&read.rows[0].run, &then);
    assert_string_equal(read.rows[0].event, "{\"event\":1}");
    assert_string_equal(read.rows[0].input, "[1]");
    set.run = &run;
    assert_int_equal(commit_now(&set, 1), 0);
    assert_int_equal(read_run(run.id, &read), 0);
    check_run(&read.rows[0].run, &run);
}

static void an_event_of_a_mebibyte_comes_back(void **state)
{
    static char event[(1 << 20) + 3];
    struct run_record run = plain_run(1);
    struct journal_read read;

    (void)state;
    memset(event, 'x', sizeof event - 1);
    event[0] = event[sizeof event - 2] = '"';
    add_run(&run, event, event);
    assert_int_equal(read_run(run.id, &read), 0);
    assert_string_equal(read.rows[0].event, event);
    assert_string_equal(read.rows[0].input, event);
}

/* Twenty runs: process p0 … p3, workspace w0 or w1, kinds and states in turn. */
static void add_twenty(void)
{
    static const char *const processes[] = { "p0", "p1", "p2", "p3" }, *const workspaces[] = { "w0", "w1" };
    static const char *const names[] = { "a", "b", "c" };

    for (unsigned i = 0; i < 20; i++) {
        struct run_record run = plain_run(i);

        run.process = lent(processes[i % 4]);
        run.workspace = lent(workspaces[i % 2]);
        run.trigger_kind = (enum trigger_kind)(i % TRIGGER_KINDS);
        run.trigger_name = lent(names[i % 3]);
        run.state = (enum run_state)(i % RUN_STATES);
        run.accepted_ms = 1000 + i;
        run.ended_ms = run_state_is_end(run.state) ? 5000 + i : 0;
        add_run(&run, "{\"e\":1}", NULL);
    }
}

/* The numbers of the runs that a filter lets through, newest first, as text. */
static void check_runs(struct journal_read *read, const char *wanted)
{
    struct buf got = { 0 };

    read->kind = READ_RUNS;
    assert_int_equal(read_now(read), 0);
    for (size_t i = 0; i < read->count; i++) {
        unsigned n = 0;

        assert_int_equal(sscanf(read->rows[i].run.id, "%8x", &n), 1);
        buf_addf(&got, "%s%u", i > 0 ? " " : "", n);
    }
    assert_string_equal(buf_str(&got), wanted);
    buf_close(&got);
}

static void filters_let_through_what_fits_all_of_them(void **state)
{
    (void)state;
    add_twenty();
    check_runs(&(struct journal_read) { .state = -1, .limit = 100 }, "19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .process = "p1" }, "17 13 9 5 1");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .workspace = "w0" }, "18 16 14 12 10 8 6 4 2 0");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .trigger_kind = "webhook" }, "17 12 7 2");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .trigger_kind = "webhook", .trigger_name = "b" }, "7");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .since_ms = 1017 }, "19 18 17");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .since_ms = 1003, .until_ms = 1006 }, "5 4 3");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .process = "p0", .workspace = "w1" }, "");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .process = "p1", .since_ms = 1009, .trigger_name = "c" }, "17");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .process = "p'; --" }, "");
    check_runs(&(struct journal_read) { .state = -1, .limit = 100, .trigger_kind = "carillon" }, "");
    for (unsigned s = 0; s < RUN_STATES; s++) {
        char wanted[16];

        (void)snprintf(wanted, sizeof wanted, "%u %u", s + 10, s);
        check_runs(&(struct journal_read) { .state = (int)s, .limit = 100 }, wanted);
    }
    check_runs(&(struct journal_read) { .state = RUN_FAILED, .process = "p1", .limit = 100 }, "5");
}

static void pages_follow_each_other_without_a_gap(void **state)
{
    struct journal_read read = { .state = -1, .limit = 8 };
    char before[ID_SIZE];

    (void)state;
    add_twenty();
    check_runs(&read, "19 18 17 16 15 14 13 12");
    assert_true(read.more);
    memcpy(before, read.rows[7].run.id, sizeof before);
    read = (struct journal_read) { .state = -1, .limit = 8, .before_id = before };
    check_runs(&read, "11 10 9 8 7 6 5 4");
    assert_true(read.more);
    memcpy(before, read.rows[7].run.id, sizeof before);
    read = (struct journal_read) { .state = -1, .limit = 8, .before_id = before };
    check_runs(&read, "3 2 1 0");
    assert_false(read.more);
    read = (struct journal_read) { .state = -1, .limit = 20 };
    check_runs(&read, "19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0");
    assert_false(read.more);
    read = (struct journal_read) { .state = -1, .limit = 0 };
    check_runs(&read, "");
    assert_true(read.more);
}

/* A page of great runs ends early, and the next goes on where it ended. One that is greater than a page is a page. */
static void a_page_has_only_so_many_bytes(void **state)
{
    static char big[100001], huge[1000001];
    struct journal_read read = { .state = -1, .limit = 100, .bytes = 250000, .whole = true };
    char before[ID_SIZE];

    (void)state;
    memset(big, ' ', sizeof big - 1);
    memset(huge, ' ', sizeof huge - 1);
    for (unsigned i = 0; i < 6; i++) {
        struct run_record run = plain_run(i);

        add_run(&run, "{}", i == 2 ? huge : big);
    }
    check_runs(&read, "5 4");
    assert_true(read.more);
    memcpy(before, read.rows[1].run.id, sizeof before);
    read = (struct journal_read) { .state = -1, .limit = 100, .bytes = 250000, .whole = true, .before_id = before };
    check_runs(&read, "3");
    assert_true(read.more);
    memcpy(before, read.rows[0].run.id, sizeof before);
    read = (struct journal_read) { .state = -1, .limit = 100, .bytes = 250000, .whole = true, .before_id = before };
    check_runs(&read, "2");
    assert_true(read.more);
    memcpy(before, read.rows[0].run.id, sizeof before);
    read = (struct journal_read) { .state = -1, .limit = 100, .bytes = 250000, .whole = true, .before_id = before };
    check_runs(&read, "1 0");
    assert_false(read.more);
    read = (struct journal_read) { .state = -1, .limit = 1, .bytes = 250000, .whole = true };
    check_runs(&read, "5");
    assert_true(read.more);
    read = (struct journal_read) { .state = -1, .limit = 100, .bytes = 250000 };   /* what is not read does not count */
    check_runs(&read, "5 4 3 2 1 0");
    assert_false(read.more);
}

static void texts_come_only_when_asked_for(void **state)
{
    struct journal_read read = { .state = -1, .limit = 1 };

    (void)state;
    add_twenty();
    check_runs(&read, "19");
    assert_null(read.rows[0].event);
    read = (struct journal_read) { .state = -1, .limit = 1, .whole = true };
    check_runs(&read, "19");
    assert_string_equal(read.rows[0].event, "{\"e\":1}");
}

static void line(enum record_kind kind, const char *target, unsigned n)
{
    struct run_record run = plain_run(n);
    struct record r = { .kind = kind, .scope = target, .run_id = run.id };

    assert_int_equal(commit_now(&r, 1), 0);
}

static void lines_wait_in_their_order_until_they_went(void **state)
{
    struct journal_read read = { .kind = READ_LINES, .target = "local", .limit = 2 };
    int64_t last;

    (void)state;
    add_twenty();
    for (unsigned i = 0; i < 5; i++) {
        line(RECORD_LINE_ADD, "local", 4 - i);
        line(RECORD_LINE_ADD, "udp://h:514", 4 - i);
    }
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 2);
    assert_true(read.more);
    assert_int_equal(strncmp(read.rows[0].run.id, "00000004", 8), 0);
    assert_int_equal(strncmp(read.rows[1].run.id, "00000003", 8), 0);
    assert_true(read.rows[0].line > 0 && read.rows[0].line < read.rows[1].line);
    last = read.rows[1].line;
    read = (struct journal_read) { .kind = READ_LINES, .target = "local", .limit = 10, .after_line = last };
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 3);
    assert_false(read.more);
    assert_int_equal(strncmp(read.rows[0].run.id, "00000002", 8), 0);
    line(RECORD_LINE_SENT, "local", 2);
    line(RECORD_LINE_SENT, "local", 2);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 2);
    read = (struct journal_read) { .kind = READ_LINES, .target = "udp://h:514", .limit = 10 };
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 5);
    read.target = "nobody";
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 0);
    /* A number is never given again: a reader that goes on after it would pass the new line over. */
    for (unsigned i = 0; i < 5; i++) {
        line(RECORD_LINE_SENT, "local", i);
        line(RECORD_LINE_SENT, "udp://h:514", i);
    }
    line(RECORD_LINE_ADD, "local", 9);
    read = (struct journal_read) { .kind = READ_LINES, .target = "local", .limit = 10, .after_line = last };
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 1);
}

/* Of the twenty, 4 … 9 and 14 … 19 have ended, at 5000 and their number. */
static void expired_runs_are_forgotten_oldest_first(void **state)
{
    struct journal_read one;

    (void)state;
    add_twenty();
    assert_int_equal(prune_now(5015, 3), 3);
    assert_int_equal(read_run("00000006-0000-7000-8000-000000000000", &one), BF_ENOENT);
    assert_int_equal(read_run("00000007-0000-7000-8000-000000000000", &one), 0);
    assert_int_equal(prune_now(5015, 100), 4);
    assert_int_equal(prune_now(5015, 100), 0);
    check_runs(&(struct journal_read) { .state = -1, .limit = 100 }, "19 18 17 16 15 13 12 11 10 3 2 1 0");
    /* Nothing that has not ended is ever forgotten. */
    assert_int_equal(prune_now(INT64_MAX, 100), 5);
    check_runs(&(struct journal_read) { .state = -1, .limit = 100 }, "13 12 11 10 3 2 1 0");
}

static void a_run_whose_line_waits_stays(void **state)
{
    (void)state;
    add_twenty();
    line(RECORD_LINE_ADD, "local", 5);
    assert_int_equal(prune_now(5008, 100), 3);
    check_runs(&(struct journal_read) { .state = -1, .until_ms = 1010, .limit = 100 }, "9 8 5 3 2 1 0");
    line(RECORD_LINE_SENT, "local", 5);
    assert_int_equal(prune_now(5008, 100), 1);
}

static int claim(const char *key, unsigned n, int64_t now_ms, int64_t until_ms)
{
    struct run_record run = plain_run(n);
    struct record r = { .kind = RECORD_CLAIM, .scope = "s", .key = key, .run_id = run.id, .now_ms = now_ms, .value = until_ms };

    return commit_now(&r, 1);
}

/* Claims go when they are over by the wall clock; one that lives refuses after the pruning as before. */
static void claims_are_forgotten_when_they_are_over(void **state)
{
    int64_t now_ms = time_wall_ms();

    (void)state;
    assert_int_equal(claim("old", 1, 1000, 2000), 0);
    assert_int_equal(claim("lives", 2, now_ms, now_ms + 86400000), 0);
    assert_int_equal(prune_now(0, 100), 1);
    /* Judged at a time when it lived: only a claim that is no longer there lets another in. */
    assert_int_equal(claim("old", 3, 1500, 2500), 0);
    assert_int_equal(claim("lives", 4, now_ms, now_ms + 1), BF_EEXIST);
}

static void reads_and_commits_do_not_wait_for_each_other(void **state)
{
    struct told told[50];
    struct run_record runs[50];
    struct record records[50];
    struct journal_read read;

    (void)state;
    add_twenty();
    for (unsigned i = 0; i < 50; i++) {
        runs[i] = plain_run(100 + i);
        records[i] = (struct record) { .kind = RECORD_RUN_ADD, .run = &runs[i], .event = "{}" };
        give(&told[i], &records[i], 1, false);
        read = (struct journal_read) { .kind = READ_RUNS, .state = -1, .limit = 1000 };
        assert_int_equal(read_now(&read), 0);
        assert_true(read.count >= 20 && read.count <= 21 + i);
    }
    wait_until_told(&told[49]);
    /* What a callback has said is what a read sees. */
    read = (struct journal_read) { .kind = READ_RUNS, .state = -1, .limit = 1000 };
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 70);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_setup, journal_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_comes_back),
        TEST(a_row_becomes_what_is_set_and_its_texts_stay),
        TEST(an_event_of_a_mebibyte_comes_back),
        TEST(filters_let_through_what_fits_all_of_them),
        TEST(pages_follow_each_other_without_a_gap),
        TEST(a_page_has_only_so_many_bytes),
        TEST(texts_come_only_when_asked_for),
        TEST(lines_wait_in_their_order_until_they_went),
        TEST(expired_runs_are_forgotten_oldest_first),
        TEST(a_run_whose_line_waits_stays),
        TEST(claims_are_forgotten_when_they_are_over),
        TEST(reads_and_commits_do_not_wait_for_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
