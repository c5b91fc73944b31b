/* The journal: what was taken is there again after a reopen, in order, or not at all. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/file.h"
#include "belfry/store/journal.h"

static char folder[64];
static uv_loop_t loop;
static struct journal *journal;

static void count_closed(void *data)
{
    (*(int *)data)++;
}

static void open_journal(void)
{
    struct error err = { 0 };

    if (journal_open(&loop, folder, &journal, &err) != 0)
        fail_msg("%s", err.text);
}

static void close_journal(void)
{
    int closed = 0;

    journal_close(journal, count_closed, &closed);
    while (closed == 0)
        (void)uv_run(&loop, UV_RUN_ONCE);
    journal = NULL;
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/belfry-journal-XXXXXX");
    if (mkdtemp(folder) == NULL || uv_loop_init(&loop) != 0)
        return -1;
    open_journal();
    return 0;
}

static int tear_down(void **state)
{
    struct error err;

    (void)state;
    if (journal != NULL)
        close_journal();
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return file_remove_tree(folder, &err);
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

static int order;

struct taken {
    struct commit commit;
    struct run_record run;
    struct record records[4];
    int status;
    int place;     /* 0: not answered */
};

static void answered(struct commit *commit, int status)
{
    struct taken *t = commit->data;

    t->status = status;
    t->place = ++order;
}

static void wait_for(const struct taken *t)
{
    while (t->place == 0)
        (void)uv_run(&loop, UV_RUN_ONCE);
}

static void give(struct taken *t, size_t count, bool must)
{
    t->place = 0;
    t->commit = (struct commit) { .records = t->records, .count = count, .must = must, .cb = answered, .data = t };
    journal_commit(journal, &t->commit);
    assert_int_equal(t->place, 0);
}

#define TEXT(words) ((char *)(uintptr_t)(words))

static void fill_run(struct taken *t, unsigned n, enum run_state state)
{
    t->run = (struct run_record) { .process = TEXT(n % 2 == 0 ? "even" : "odd"), .workspace = TEXT("w"), .trigger_kind = TRIGGER_WEBHOOK,
        .trigger_name = TEXT("h\xc3\xa4h"), .overlap = OVERLAP_BUFFER_ALL, .state = state, .accepted_ms = 1000 + n };
    (void)snprintf(t->run.id, sizeof t->run.id, "019b8dcb-0000-7000-8000-%012u", n);
    if (run_state_is_end(state))
        t->run.ended_ms = 2000 + n;
    t->records[0] = (struct record) { .kind = RECORD_RUN_ADD, .run = &t->run, .event = "{\"e\":1}", .input = n % 3 == 0 ? NULL : "[1]" };
}

static void add_run(unsigned n, enum run_state state)
{
    struct taken t;

    fill_run(&t, n, state);
    give(&t, 1, false);
    wait_for(&t);
    assert_int_equal(t.status, 0);
}

/* --- reads -------------------------------------------------------------------------------------------------------- */

struct asked {
    struct journal_read read;
    int status;
    bool there;
    size_t count;
    bool more;
    char first[ID_SIZE], last[ID_SIZE];
    void (*look)(const struct journal_row *row);
};

static void rows_came(struct journal_read *read, int status)
{
    struct asked *a = read->data;

    a->status = status;
    a->there = true;
    a->count = read->count;
    a->more = read->more;
    if (read->count > 0) {
        memcpy(a->first, read->rows[0].run.id, ID_SIZE);
        memcpy(a->last, read->rows[read->count - 1].run.id, ID_SIZE);
        if (a->look != NULL)
            a->look(&read->rows[0]);
    }
}

static void ask(struct asked *a)
{
    a->read.cb = rows_came;
    a->read.data = a;
    a->there = false;
    journal_read(journal, &a->read);
    while (!a->there)
        (void)uv_run(&loop, UV_RUN_ONCE);
}

static void look_at_all(const struct journal_row *row)
{
    const struct run_record *r = &row->run;

    assert_string_equal(r->process, "even");
    assert_string_equal(r->trigger_name, "h\xc3\xa4h");
    assert_int_equal(r->trigger_kind, TRIGGER_WEBHOOK);
    assert_int_equal(r->overlap, OVERLAP_BUFFER_ALL);
    assert_int_equal(r->state, RUN_COLLECTING);
    assert_int_equal(r->outcome, RUN_FAILED);
    assert_int_equal(r->attempt, 3);
    assert_int_equal(r->failures, 2);
    assert_int_equal(r->due_ms, INT64_C(1767607263250));
    assert_int_equal(r->not_before_ms, 7);
    assert_true(r->has_exit_code);
    assert_int_equal(r->exit_code, -9);
    assert_true(r->unconfirmed);
    assert_int_equal(r->stop_as, RUN_TIMED_OUT);
    assert_string_equal(r->backend_state, "unresolved");
    assert_string_equal(r->error_code, "");
    assert_string_equal(r->error_message, "line\nline \xf0\x9f\x98\x80 'quote\"");
    assert_string_equal(r->memo, "{}");
    assert_string_equal(r->remote_id, "r");
    assert_null(r->remote_url);
    assert_string_equal(r->reason, "why");
    assert_string_equal(r->result, "{\"a\":[]}");
    assert_string_equal(row->event, "{\"e\":1}");
    assert_string_equal(row->input, "[1]");
}

static void a_run_comes_back_whole(void **state)
{
    struct asked a = { .read = { .kind = READ_RUN, .state = -1 }, .look = look_at_all };
    struct taken t;

    (void)state;
    fill_run(&t, 2, RUN_QUEUED);
    give(&t, 1, false);
    wait_for(&t);
    t.run.state = RUN_COLLECTING;
    t.run.outcome = RUN_FAILED;
    t.run.attempt = 3;
    t.run.failures = 2;
    t.run.due_ms = INT64_C(1767607263250);
    t.run.not_before_ms = 7;
    t.run.has_exit_code = t.run.unconfirmed = true;
    t.run.exit_code = -9;
    t.run.stop_as = RUN_TIMED_OUT;
    t.run.backend_state = TEXT("unresolved");
    t.run.error_code = TEXT("");
    t.run.error_message = TEXT("line\nline \xf0\x9f\x98\x80 'quote\"");
    t.run.memo = TEXT("{}");
    t.run.remote_id = TEXT("r");
    t.run.reason = TEXT("why");
    t.run.result = TEXT("{\"a\":[]}");
    t.records[0] = (struct record) { .kind = RECORD_RUN_SET, .run = &t.run };
    give(&t, 1, true);
    wait_for(&t);
    close_journal();
    open_journal();
    memcpy(a.read.id, t.run.id, ID_SIZE);
    ask(&a);
    assert_int_equal(a.status, 0);
    assert_int_equal(a.count, 1);
    a = (struct asked) { .read = { .kind = READ_RUN, .state = -1 } };
    memcpy(a.read.id, "019b8dcb-0000-7000-8000-999999999999", ID_SIZE);
    ask(&a);
    assert_int_equal(a.status, BF_ENOENT);
}

static void answers_come_in_order_and_in_groups(void **state)
{
    enum { COUNT = 2000 };
    struct taken *all = calloc(COUNT, sizeof *all);
    struct journal_health health;

    (void)state;
    order = 0;
    for (unsigned n = 0; n < COUNT; n++) {
        fill_run(&all[n], n, RUN_QUEUED);
        give(&all[n], 1, n % 2 == 0);
    }
    wait_for(&all[COUNT - 1]);
    for (int n = 0; n < COUNT; n++) {
        assert_int_equal(all[n].status, 0);
        assert_int_equal(all[n].place, n + 1);
    }
    journal_health(journal, &health);
    assert_true(health.writable);
    assert_int_equal(health.commits, COUNT);
    assert_true(health.transactions < COUNT / 4);
    assert_int_equal(health.waiting, 0);
    free(all);
}

static void a_claim_admits_once(void **state)
{
    struct asked a = { .read = { .kind = READ_RUNS, .state = -1, .limit = 10 } };
    struct taken one, two;

    (void)state;
    fill_run(&one, 1, RUN_QUEUED);
    fill_run(&two, 2, RUN_QUEUED);
    one.records[1] = two.records[1] = (struct record) { .kind = RECORD_CLAIM, .scope = "s", .key = "k", .value = 5000, .now_ms = 1000 };
    one.records[1].run_id = one.run.id;
    two.records[1].run_id = two.run.id;
    /* Both at once: in one transaction the second is refused, and takes nobody along. */
    give(&one, 2, false);
    give(&two, 2, false);
    wait_for(&two);
    assert_int_equal(one.status, 0);
    assert_int_equal(two.status, BF_EEXIST);
    assert_string_equal(two.commit.existing, one.run.id);
    ask(&a);
    assert_int_equal(a.count, 1);
    /* When it is over, the key may come again; another scope is another matter. */
    two.records[1].now_ms = 5001;
    give(&two, 2, false);
    wait_for(&two);
    assert_int_equal(two.status, 0);
    fill_run(&one, 3, RUN_QUEUED);
    one.records[1].scope = "t";
    give(&one, 2, false);
    wait_for(&one);
    assert_int_equal(one.status, 0);
}

static void runs_are_found(void **state)
{
    struct asked a = { .read = { .kind = READ_RUNS, .state = -1, .limit = 4 } };

    (void)state;
    for (unsigned n = 0; n < 10; n++)
        add_run(n, n < 6 ? RUN_COMPLETED : n < 8 ? RUN_FAILED : RUN_QUEUED);
    ask(&a);
    assert_int_equal(a.count, 4);
    assert_true(a.more);
    assert_string_equal(a.first, "019b8dcb-0000-7000-8000-000000000009");
    a.read.before_id = "019b8dcb-0000-7000-8000-000000000004";
    ask(&a);
    assert_int_equal(a.count, 4);
    assert_false(a.more);
    assert_string_equal(a.last, "019b8dcb-0000-7000-8000-000000000000");
    a.read = (struct journal_read) { .kind = READ_RUNS, .state = RUN_FAILED, .limit = 10 };
    ask(&a);
    assert_int_equal(a.count, 2);
    a.read = (struct journal_read) { .kind = READ_RUNS, .state = -1, .process = "even", .since_ms = 1004, .limit = 10 };
    ask(&a);
    assert_int_equal(a.count, 3);
    a.read = (struct journal_read) { .kind = READ_RUNS, .state = -1, .process = "x' OR 1=1 --", .limit = 10 };
    ask(&a);
    assert_int_equal(a.count, 0);
    a.read = (struct journal_read) { .kind = READ_EXPIRED, .state = -1, .until_ms = 2003, .limit = 10 };
    ask(&a);
    assert_int_equal(a.count, 3);
    assert_string_equal(a.first, "019b8dcb-0000-7000-8000-000000000000");
}

static int see_open_run(void *data, const struct run_record *run)
{
    (void)run;
    ++*(int *)data;
    return 0;
}

static void pruned(void *data, size_t count)
{
    *(size_t *)data = count;
}

static void old_runs_are_forgotten(void **state)
{
    struct asked a = { .read = { .kind = READ_RUNS, .state = -1, .limit = 100 } };
    struct taken line;
    struct error err;
    size_t count = SIZE_MAX;
    int open = 0;

    (void)state;
    for (unsigned n = 0; n < 10; n++)
        add_run(n, n < 8 ? RUN_COMPLETED : RUN_RUNNING);
    /* A run whose line waits for its target stays. */
    line.records[0] = (struct record) { .kind = RECORD_LINE_ADD, .scope = "udp://x:1", .run_id = "019b8dcb-0000-7000-8000-000000000001" };
    give(&line, 1, true);
    wait_for(&line);
    journal_prune(journal, 2005, 3, pruned, &count);
    while (count == SIZE_MAX)
        (void)uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(count, 3);
    count = SIZE_MAX;
    journal_prune(journal, 2005, 100, pruned, &count);
    while (count == SIZE_MAX)
        (void)uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(count, 1);
    ask(&a);
    assert_int_equal(a.count, 6);
    close_journal();
    open_journal();
    assert_int_equal(journal_each_open_run(journal, see_open_run, &open, &err), 0);
    assert_int_equal(open, 2);
}

static void lines_wait_in_order(void **state)
{
    struct asked a = { .read = { .kind = READ_LINES, .target = "t", .state = -1, .limit = 2 } };
    struct taken t;

    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        fill_run(&t, n, RUN_COMPLETED);
        t.records[1] = (struct record) { .kind = RECORD_LINE_ADD, .scope = "t", .run_id = t.run.id };
        t.records[2] = (struct record) { .kind = RECORD_LINE_ADD, .scope = "other", .run_id = t.run.id };
        give(&t, 3, true);
        wait_for(&t);
    }
    ask(&a);
    assert_int_equal(a.count, 2);
    assert_true(a.more);
    assert_string_equal(a.first, "019b8dcb-0000-7000-8000-000000000000");
    t.records[0] = (struct record) { .kind = RECORD_LINE_SENT, .scope = "t", .run_id = "019b8dcb-0000-7000-8000-000000000000" };
    give(&t, 1, true);
    wait_for(&t);
    ask(&a);
    assert_string_equal(a.first, "019b8dcb-0000-7000-8000-000000000001");
    a.read.target = "other";
    ask(&a);
    assert_string_equal(a.first, "019b8dcb-0000-7000-8000-000000000000");
}

/* --- small records ------------------------------------------------------------------------------------------------ */

static int add_cursor(void *data, const char *name, int64_t value)
{
    assert_string_equal(name, "nightly");
    *(int64_t *)data += value;
    return 0;
}

static int add_pause(void *data, const char *kind, const char *name, int64_t value)
{
    assert_string_equal(kind, "watch");
    assert_string_equal(name, "w");
    *(int64_t *)data += value;
    return 0;
}

static int add_file(void *data, const char *path, const char *identity, enum file_state file_state, const char *run_id,
                    enum run_state run_state)
{
    assert_string_equal(path, "/in/\xff");
    assert_string_equal(identity, "2");
    assert_int_equal(file_state, FILE_FIRED);
    assert_string_equal(run_id, "019b8dcb-0000-7000-8000-000000000001");
    assert_int_equal(run_state, RUN_FAILED);
    ++*(int *)data;
    return 0;
}

static void cursors_pauses_and_files(void **state)
{
    struct error err;
    struct taken t;
    int64_t cursor = 0, pause = 0;
    int files = 0;

    (void)state;
    fill_run(&t, 1, RUN_FAILED);
    t.records[1] = (struct record) { .kind = RECORD_CURSOR, .scope = "schedule", .key = "nightly", .value = 7 };
    t.records[2] = (struct record) { .kind = RECORD_FILE, .scope = "w", .key = "/in/\xff", .identity = "1", .value = FILE_IGNORED };
    t.records[3] = (struct record) { .kind = RECORD_PAUSE, .scope = "watch", .key = "w", .value = 1 };
    give(&t, 4, true);
    wait_for(&t);
    t.records[0] = (struct record) { .kind = RECORD_CURSOR, .scope = "schedule", .key = "nightly", .value = 9 };
    t.records[1] = (struct record) { .kind = RECORD_FILE, .scope = "w", .key = "/in/\xff", .identity = "2", .value = FILE_FIRED,
        .run_id = t.run.id };
    t.records[2] = (struct record) { .kind = RECORD_CURSOR, .scope = "other", .key = "x", .value = 9 };
    give(&t, 3, true);
    wait_for(&t);
    close_journal();
    open_journal();
    assert_int_equal(journal_each_cursor(journal, "schedule", add_cursor, &cursor, &err), 0);
    assert_int_equal(cursor, 9);
    assert_int_equal(journal_each_pause(journal, add_pause, &pause, &err), 0);
    assert_int_equal(pause, 1);
    assert_int_equal(journal_each_file(journal, "w", add_file, &files, &err), 0);
    assert_int_equal(files, 1);
    t.records[0] = (struct record) { .kind = RECORD_FILE_DROP, .scope = "w" };
    t.records[1] = (struct record) { .kind = RECORD_CURSOR_DROP, .scope = "schedule", .key = "nightly" };
    give(&t, 2, true);
    wait_for(&t);
    close_journal();
    open_journal();
    assert_int_equal(journal_each_file(journal, "w", add_file, &files, &err), 0);
    assert_int_equal(files, 1);
    assert_int_equal(journal_each_cursor(journal, "schedule", add_cursor, &cursor, &err), 0);
    assert_int_equal(cursor, 9);
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

static void a_second_one_is_kept_out(void **state)
{
    struct journal *other = NULL;
    struct error err;

    (void)state;
    assert_int_equal(journal_open(&loop, folder, &other, &err), BF_EEXIST);
    assert_null(other);
    assert_non_null(strstr(err.text, folder));
}

static void what_is_no_database(void **state)
{
    char path[128];
    struct error err;
    struct stat st;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/belfry.db", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    close_journal();
    assert_int_equal(file_write_atomic(path, "this is no database, and long enough to be seen as none of the kind at all.....", 80, 0600, &err), 0);
    assert_int_not_equal(journal_open(&loop, folder, &journal, &err), 0);
    assert_non_null(strstr(err.text, "belfry.db"));
    journal = NULL;
}

/* A disk that is full, by a limit on the size of files: what is not `must` fails at once, what is waits. */
static void a_full_disk_delays(void **state)
{
    struct rlimit before, small = { 65536, RLIM_INFINITY };
    struct taken refused, waits;
    struct journal_health health;
    char *big = malloc(300000);

    (void)state;
    memset(big, 'x', 299999);
    big[299999] = '\0';
    big[0] = big[299998] = '"';
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    fill_run(&refused, 1, RUN_QUEUED);
    fill_run(&waits, 2, RUN_QUEUED);
    refused.records[0].event = waits.records[0].event = big;
    give(&refused, 1, false);
    give(&waits, 1, true);
    wait_for(&refused);
    assert_int_not_equal(refused.status, 0);
    do {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        journal_health(journal, &health);
    } while (health.writable);
    assert_true(health.problem[0] != '\0');
    assert_int_equal(waits.place, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    wait_for(&waits);
    assert_int_equal(waits.status, 0);
    journal_health(journal, &health);
    assert_true(health.writable);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_comes_back_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_come_in_order_and_in_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_claim_admits_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(runs_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_runs_are_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_wait_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cursors_pauses_and_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_one_is_kept_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_delays, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
