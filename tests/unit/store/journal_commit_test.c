/* Commits: in order, in groups, whole or not at all, and once a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/base/buf.h"
#include "journal_fixture.h"

#define MANY 1000

static bool is_there(unsigned n)
{
    struct journal_read read = { .kind = READ_RUN };

    (void)snprintf(read.id, sizeof read.id, "%08x-0000-7000-8000-000000000000", n);
    return read_now(&read) == 0;
}

static int claim(unsigned n, const char *scope, const char *key, int64_t now_ms, int64_t until_ms, char existing[ID_SIZE])
{
    struct run_record run = plain_run(n);
    struct record records[] = {
        { .kind = RECORD_RUN_ADD, .run = &run, .event = "{}" },
        { .kind = RECORD_CLAIM, .scope = scope, .key = key, .run_id = run.id, .now_ms = now_ms, .value = until_ms },
    };
    struct told t;

    give(&t, records, 2, false);
    wait_until_told(&t);
    if (existing != NULL)
        memcpy(existing, t.commit.existing, ID_SIZE);
    return t.status;
}

static void callbacks_come_in_the_order_of_the_commits(void **state)
{
    struct told *told = calloc(MANY, sizeof *told);
    struct run_record *runs = calloc(MANY, sizeof *runs);
    struct record *records = calloc(MANY, sizeof *records);
    struct journal_health health;

    (void)state;
    assert_true(told != NULL && runs != NULL && records != NULL);
    for (unsigned i = 0; i < MANY; i++) {
        runs[i] = plain_run(i);
        records[i] = (struct record) { .kind = RECORD_RUN_ADD, .run = &runs[i], .event = "{}" };
        give(&told[i], &records[i], 1, i % 2 == 0);
    }
    journal_health(journal, &health);
    assert_int_equal(health.waiting, MANY);
    wait_until_told(&told[MANY - 1]);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(told[i].calls, 1);
        assert_int_equal(told[i].order, i);
        assert_int_equal(told[i].status, 0);
    }
    journal_health(journal, &health);
    assert_int_equal(health.commits, MANY);
    assert_int_equal(health.waiting, 0);
    assert_true(health.writable);
    /* What waited together was written together. */
    assert_true(health.transactions >= 1 && health.transactions < MANY / 4);
    free(told);
    free(runs);
    free(records);
}

static void a_living_claim_refuses_the_whole_commit(void **state)
{
    char existing[ID_SIZE];

    (void)state;
    assert_int_equal(claim(1, "hook/a", "k", 1000, 2000, existing), 0);
    assert_string_equal(existing, "");
    assert_int_equal(claim(2, "hook/a", "k", 1999, 5000, existing), BF_EEXIST);
    assert_string_equal(existing, "00000001-0000-7000-8000-000000000000");
    assert_true(is_there(1));
    assert_false(is_there(2));
    /* Another scope or key is another claim; a key is bytes and case counts. */
    assert_int_equal(claim(3, "hook/b", "k", 1000, 2000, NULL), 0);
    assert_int_equal(claim(4, "hook/a", "K", 1000, 2000, NULL), 0);
    assert_int_equal(claim(5, "hook/a", "", 1000, 2000, NULL), 0);
    assert_int_equal(claim(6, "hook/a", "", 1000, 2000, existing), BF_EEXIST);
    assert_string_equal(existing, "00000005-0000-7000-8000-000000000000");
}

static void a_claim_ends_at_its_time(void **state)
{
    char existing[ID_SIZE];

    (void)state;
    assert_int_equal(claim(1, "s", "k", 1000, 2000, NULL), 0);
    assert_int_equal(claim(2, "s", "k", 2000, 3000, existing), 0);
    assert_string_equal(existing, "");
    /* It is the new one's from then on. */
    assert_int_equal(claim(3, "s", "k", 2500, 9000, existing), BF_EEXIST);
    assert_string_equal(existing, "00000002-0000-7000-8000-000000000000");
    assert_int_equal(claim(4, "s", "k", 3000, 4000, NULL), 0);
}

/* Two with one key in one group: the first one given wins, and its neighbours are not touched. */
static void one_group_admits_a_key_once(void **state)
{
    struct run_record runs[5];
    struct record records[5][2];
    struct told told[5];

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        runs[i] = plain_run(i);
        records[i][0] = (struct record) { .kind = RECORD_RUN_ADD, .run = &runs[i], .event = "{}" };
        records[i][1] = (struct record) { .kind = RECORD_CLAIM, .scope = "s", .key = i == 1 || i == 3 ? "same" : runs[i].id,
            .run_id = runs[i].id, .now_ms = 1, .value = 10 };
        give(&told[i], records[i], 2, false);
    }
    wait_until_told(&told[4]);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(told[i].status, i == 3 ? BF_EEXIST : 0);
        assert_int_equal(is_there(i), i != 3);
    }
    assert_string_equal(told[3].commit.existing, runs[1].id);
}

/* A commit that is at fault itself leaves nothing of itself, and takes none of its neighbours with it. */
static void a_commit_at_fault_is_alone_with_it(void **state)
{
    struct run_record runs[6];
    struct record records[6][3];
    struct told told[6];
    struct journal_health health;

    (void)state;
    runs[0] = plain_run(0);
    add_run(&runs[0], "{}", NULL);
    for (unsigned i = 0; i < 6; i++) {
        runs[i] = plain_run(i);
        records[i][0] = (struct record) { .kind = RECORD_CURSOR, .scope = "schedule", .key = runs[i].id, .value = i };
        records[i][1] = (struct record) { .kind = RECORD_RUN_ADD, .run = &runs[i == 3 ? 0 : i], .event = "{}" };
        records[i][2] = (struct record) { .kind = RECORD_LINE_ADD, .scope = "local", .run_id = runs[i].id };
    }
    for (unsigned i = 1; i < 6; i++)
        give(&told[i], records[i], 3, i == 4);
    wait_until_told(&told[5]);
    for (unsigned i = 1; i < 6; i++) {
        assert_int_equal(told[i].status, i == 3 ? BF_EINVAL : 0);
        assert_int_equal(is_there(i), i != 3);
        if (i > 1)
            assert_true(told[i].order > told[i - 1].order);
    }
    /* Its fault is not the disk's. */
    journal_health(journal, &health);
    assert_true(health.writable);
    {
        struct journal_read read = { .kind = READ_LINES, .target = "local", .limit = 10 };

        assert_int_equal(read_now(&read), 0);
        assert_int_equal(read.count, 4);
        for (size_t i = 0; i < read.count; i++)
            assert_string_not_equal(read.rows[i].run.id, runs[3].id);
    }
}

static int add_value(void *data, const char *name, int64_t value)
{
    struct {
        int count;
        int64_t values[4];
    } *seen = data;

    assert_true(seen->count < 4);
    assert_int_equal(name[0], 'a' + (int)(value % 26));
    seen->values[seen->count++] = value;
    return 0;
}

static void cursors_are_put_moved_and_dropped(void **state)
{
    struct record records[] = {
        { .kind = RECORD_CURSOR, .scope = "schedule", .key = "a", .value = 0 },
        { .kind = RECORD_CURSOR, .scope = "schedule", .key = "b", .value = INT64_C(27) },
        { .kind = RECORD_CURSOR, .scope = "watch", .key = "c", .value = 2 },
        { .kind = RECORD_CURSOR, .scope = "schedule", .key = "a", .value = INT64_C(1767225600026) - INT64_C(1767225600026) % 26 },
    };
    struct record drop = { .kind = RECORD_CURSOR_DROP, .scope = "schedule", .key = "b" };
    struct {
        int count;
        int64_t values[4];
    } seen = { 0 };
    struct error err;

    (void)state;
    assert_int_equal(commit_now(records, 4), 0);
    assert_int_equal(journal_each_cursor(journal, "schedule", add_value, &seen, &err), 0);
    assert_int_equal(seen.count, 2);
    assert_true(seen.values[0] == records[3].value || seen.values[1] == records[3].value);
    assert_int_equal(commit_now(&drop, 1), 0);
    seen.count = 0;
    assert_int_equal(journal_each_cursor(journal, "schedule", add_value, &seen, &err), 0);
    assert_int_equal(seen.count, 1);
    assert_true(seen.values[0] == records[3].value);
    seen.count = 0;
    assert_int_equal(journal_each_cursor(journal, "watch", add_value, &seen, &err), 0);
    assert_int_equal(seen.count, 1);
}

static int stop_at_once(void *data, const char *name, int64_t value)
{
    (void)name;
    (void)value;
    return ++*(int *)data == 1 ? BF_ENOMEM : 0;
}

static void what_each_returns_ends_the_reading(void **state)
{
    struct record records[] = {
        { .kind = RECORD_CURSOR, .scope = "s", .key = "a", .value = 0 },
        { .kind = RECORD_CURSOR, .scope = "s", .key = "b", .value = 1 },
    };
    struct error err;
    int calls = 0;

    (void)state;
    assert_int_equal(commit_now(records, 2), 0);
    assert_int_equal(journal_each_cursor(journal, "s", stop_at_once, &calls, &err), BF_ENOMEM);
    assert_int_equal(calls, 1);
}

static int note_pause(void *data, const char *kind, const char *name, int64_t value)
{
    struct buf *b = data;

    buf_addf(b, "%s/%s=%d ", kind, name, (int)value);
    return 0;
}

static void a_persons_word_stays(void **state)
{
    struct record records[] = {
        { .kind = RECORD_PAUSE, .scope = "schedule", .key = "a", .value = 1 },
        { .kind = RECORD_PAUSE, .scope = "watch", .key = "a", .value = 1 },
        { .kind = RECORD_PAUSE, .scope = "schedule", .key = "a", .value = 0 },
    };
    struct buf b = { 0 };
    struct error err;

    (void)state;
    assert_int_equal(commit_now(records, 3), 0);
    close_journal();
    open_journal();
    assert_int_equal(journal_each_pause(journal, note_pause, &b, &err), 0);
    assert_string_equal(buf_str(&b), "schedule/a=0 watch/a=1 ");
    buf_close(&b);
}

static int note_file(void *data, const char *path, const char *identity, enum file_state file_state, const char *run_id,
                     enum run_state run_state)
{
    buf_addf(data, "%s|%s|%d|%.8s|%d\n", path, identity, (int)file_state, run_id != NULL ? run_id : "-", (int)run_state);
    return 0;
}

static void files_are_known_by_their_bytes(void **state)
{
    struct run_record run = plain_run(0xabc);
    struct record records[] = {
        { .kind = RECORD_RUN_ADD, .run = &run, .event = "{}" },
        { .kind = RECORD_FILE, .scope = "in", .key = "/in/a", .identity = "1", .value = FILE_IGNORED },
        { .kind = RECORD_FILE, .scope = "in", .key = "/in/\xFF\xE9.csv", .identity = "2", .value = FILE_FIRED, .run_id = run.id },
        { .kind = RECORD_FILE, .scope = "in", .key = "/in/gone", .identity = "3", .value = FILE_FIRED,
          .run_id = "ffffffff-0000-7000-8000-000000000000" },
        { .kind = RECORD_FILE, .scope = "other", .key = "/in/a", .identity = "4", .value = FILE_DONE },
        { .kind = RECORD_FILE, .scope = "in", .key = "/in/a", .identity = "5", .value = FILE_DONE },
    };
    struct record drop[] = {
        { .kind = RECORD_FILE_DROP, .scope = "in", .key = "/in/\xFF\xE9.csv" },
    };
    struct record drop_all[] = { { .kind = RECORD_FILE_DROP, .scope = "in" } };
    struct buf b = { 0 };
    struct error err;

    (void)state;
    run.state = RUN_RUNNING;
    assert_int_equal(commit_now(records, 6), 0);
    assert_int_equal(journal_each_file(journal, "in", note_file, &b, &err), 0);
    assert_non_null(strstr(buf_str(&b), "/in/a|5|2|-|10\n"));
    assert_non_null(strstr(buf_str(&b), "/in/\xFF\xE9.csv|2|1|00000abc|2\n"));
    assert_non_null(strstr(buf_str(&b), "/in/gone|3|1|ffffffff|10\n"));
    assert_null(strstr(buf_str(&b), "|4|"));
    assert_int_equal(commit_now(drop, 1), 0);
    buf_reset(&b);
    assert_int_equal(journal_each_file(journal, "in", note_file, &b, &err), 0);
    assert_null(strstr(buf_str(&b), ".csv"));
    assert_int_equal(commit_now(drop_all, 1), 0);
    buf_reset(&b);
    assert_int_equal(journal_each_file(journal, "in", note_file, &b, &err), 0);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(journal_each_file(journal, "other", note_file, &b, &err), 0);
    assert_string_equal(buf_str(&b), "/in/a|4|2|-|10\n");
    buf_close(&b);
}

/* Closing waits for what was given before it, and a commit of nothing is a commit. */
static void closing_writes_what_was_given(void **state)
{
    struct run_record run = plain_run(7);
    struct record r = { .kind = RECORD_RUN_ADD, .run = &run, .event = "{}" };
    struct told t, nothing;

    (void)state;
    give(&t, &r, 1, true);
    give(&nothing, NULL, 0, false);
    close_journal();
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.status, 0);
    assert_int_equal(nothing.calls, 1);
    assert_int_equal(nothing.status, 0);
    open_journal();
    assert_true(is_there(7));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_setup, journal_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(callbacks_come_in_the_order_of_the_commits),
        TEST(a_living_claim_refuses_the_whole_commit),
        TEST(a_claim_ends_at_its_time),
        TEST(one_group_admits_a_key_once),
        TEST(a_commit_at_fault_is_alone_with_it),
        TEST(cursors_are_put_moved_and_dropped),
        TEST(what_each_returns_ends_the_reading),
        TEST(a_persons_word_stays),
        TEST(files_are_known_by_their_bytes),
        TEST(closing_writes_what_was_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
