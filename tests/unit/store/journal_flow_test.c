/* What a flow writes down, and reads again: items, step runs, files; webhooks, callbacks, deliveries; assets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/base/time.h"
#include "journal_fixture.h"

#define A "0190d5a0-0000-7000-8000-00000000000a"
#define B "0190d5a0-0000-7000-8000-00000000000b"
#define C "0190d5a0-0000-7000-8000-00000000000c"

static char *lent(const char *text)
{
    return (char *)(uintptr_t)text;
}

static int write_one(struct record record)
{
    return commit_now(&record, 1);
}

static struct item_record item(const char *id, const char *run_id)
{
    struct item_record r = { .workspace = lent("ws"), .process = lent("p"), .payload = lent("{\"n\":1}"), .created_ms = 5, .updated_ms = 6,
        .step = run_id != NULL ? 0 : ITEM_WAITS, .told = true };

    (void)snprintf(r.id, sizeof r.id, "%s", id);
    (void)snprintf(r.run_id, sizeof r.run_id, "%s", run_id != NULL ? run_id : "");
    return r;
}

static struct journal_read items_of(const char *run_id)
{
    return (struct journal_read) { .kind = READ_ITEMS, .state = -1, .run_id = run_id, .limit = 100 };
}

static void items_move_and_go(void **state)
{
    struct run_record run = plain_run(1);
    struct item_record one = item(A, run.id), two = item(B, run.id);
    struct journal_read read;

    (void)state;
    add_run(&run, "{}", "[]");
    one.told = false;
    memcpy(two.parent, A, sizeof A);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &one }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &two }), 0);
    one.state = ITEM_FAILED;
    one.told = true;
    one.step = 1;
    one.exception = EXCEPTION_BUSINESS;
    one.exception_code = lent("BAD");
    one.exception_message = lent("no such article");
    memcpy(one.step_run, C, sizeof C);
    one.payload = lent("\"not this\"");   /* a move leaves it */
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_MOVE, .item = &one }), 0);
    one.payload = lent("[2]");
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_PAYLOAD, .item = &two }), 0);
    read = items_of(run.id);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 2);
    assert_string_equal(read.rows[0].item.payload, "{\"n\":1}");
    assert_int_equal(read.rows[0].item.state, ITEM_FAILED);
    assert_int_equal(read.rows[0].item.step, 1);
    assert_true(read.rows[0].item.told);
    assert_int_equal(read.rows[0].item.exception, EXCEPTION_BUSINESS);
    assert_string_equal(read.rows[0].item.exception_message, "no such article");
    assert_string_equal(read.rows[0].item.step_run, C);
    assert_string_equal(read.rows[1].item.parent, A);
    /* The payload of one that is in another run, or in none by now, stays. */
    memcpy(one.run_id, C, sizeof C);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_PAYLOAD, .item = &one }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_DROP, .item = &two }), 0);
    read = items_of(run.id);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 1);
    assert_string_equal(read.rows[0].item.payload, "{\"n\":1}");
}

/* The oldest have waited longest. */
static void what_waits_comes_in_turn(void **state)
{
    struct item_record first = item(A, NULL), second = item(B, NULL);
    struct journal_read read = { .kind = READ_ITEMS, .state = -1, .workspace = "ws", .process = "p", .limit = 1 };

    (void)state;
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &second }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &first }), 0);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 1);
    assert_true(read.more);
    assert_string_equal(read.rows[0].item.id, A);
}

/* A page goes on behind the row that the last one ended with, whether that is there still or not. */
static void pages_go_on_behind_rows_that_are_gone(void **state)
{
    static const char *const ids[] = { "a", "b", "c", "d", "e" };
    struct journal_read read = { .kind = READ_ITEMS, .state = -1, .workspace = "ws", .whole = true, .limit = 2 };
    struct item_record waits;
    int64_t behind;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        waits = item(ids[i], NULL);
        assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &waits }), 0);
    }
    assert_int_equal(read_now(&read), 0);
    assert_string_equal(read.rows[0].item.id, "e");
    assert_string_equal(read.rows[1].item.id, "d");
    assert_true(read.more);
    behind = read.rows[1].item.row;
    for (size_t i = 3; i < 5; i++) {
        waits = item(ids[i], NULL);
        assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_DROP, .item = &waits }), 0);
    }
    read = (struct journal_read) { .kind = READ_ITEMS, .state = -1, .workspace = "ws", .whole = true, .before_row = behind, .limit = 2 };
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 2);
    assert_string_equal(read.rows[0].item.id, "c");
    assert_true(read.more);
}

static void only_what_waits_is_taken(void **state)
{
    struct run_record run = plain_run(1);
    struct item_record waits = item(A, NULL), done = item(B, NULL);
    struct journal_read read = { .kind = READ_ITEMS, .state = -1, .workspace = "ws", .process = "p", .limit = 100 };

    (void)state;
    add_run(&run, "{}", "[]");
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &waits }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &done }), 0);
    done.state = ITEM_DONE;
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_MOVE, .item = &done }), 0);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 1);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_TAKE, .key = B, .run_id = run.id, .value = 9 }), BF_EEXIST);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_TAKE, .key = A, .run_id = run.id, .value = 9 }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_TAKE, .key = A, .run_id = run.id, .value = 9 }), BF_EEXIST);
}

struct flow_seen {
    int steps, items;
};

static int see_step(void *data, const struct step_record *run)
{
    ((struct flow_seen *)data)->steps++;
    assert_string_equal(run->name, "fetch");
    assert_int_equal(run->attempt, 2);
    assert_true(run->spoke && run->has_exit_code);
    assert_int_equal(run->exit_code, 3);
    assert_string_equal(run->error_code, "exit_code");
    return 0;
}

static int see_item(void *data, const struct item_record *record)
{
    ((struct flow_seen *)data)->items++;
    assert_string_equal(record->id, A);
    return 0;
}

/* At start: the flows of open runs, not of those that have ended, and no items that only wait. */
static void open_flows_are_read_at_start(void **state)
{
    struct run_record open = plain_run(1), ended = plain_run(2);
    struct item_record one = item(A, open.id), two = item(B, ended.id), three = item(C, NULL);
    struct step_record step = { .id = A, .name = lent("fetch"), .attempt = 2, .created_ms = 1 };
    struct flow_seen seen = { 0 };
    struct flow_reader reader = { .data = &seen, .step_run = see_step, .item = see_item };
    struct journal_read read = { .kind = READ_STEP_RUNS, .state = -1, .limit = 10 };
    char of_runs[2 * ID_SIZE + 8];
    struct error err;

    (void)state;
    open.state = RUN_RUNNING;
    ended.state = RUN_COMPLETED;
    add_run(&open, "{}", "[]");
    add_run(&ended, "{}", "[]");
    memcpy(step.run_id, open.id, sizeof step.run_id);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &one }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &two }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &three }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_STEP_RUN, .step_run = &step }), 0);
    step.state = STEP_FAILED;
    step.spoke = step.has_exit_code = true;
    step.exit_code = 3;
    step.error_code = lent("exit_code");
    assert_int_equal(write_one((struct record) { .kind = RECORD_STEP_RUN, .step_run = &step }), 0);
    close_journal();
    open_journal();
    assert_int_equal(journal_each_flow(journal, &reader, &err), 0);
    assert_int_equal(seen.steps, 1);
    assert_int_equal(seen.items, 1);
    memcpy(read.id, A, sizeof A);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 1);
    (void)snprintf(of_runs, sizeof of_runs, "[\"%s\",\"%s\"]", open.id, ended.id);
    read = (struct journal_read) { .kind = READ_STEP_RUNS, .state = -1, .limit = 10, .ids = of_runs };
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 1);
    assert_string_equal(read.rows[0].step_run.id, A);
    assert_int_equal(write_one((struct record) { .kind = RECORD_STEP_RUN_DROP, .step_run = &step }), 0);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 0);
}

/* Whoever asks by the files' own ids hears of those that an item or an asset has. */
static void files_are_known_by_their_ids(void **state)
{
    struct item_record one = item("run-in-0", NULL);
    struct item_file file = { .id = A, .item = "run-in-0", .name = lent("a.csv"), .size = 5 };
    struct asset_record asset = { .id = B, .workspace = lent("ws"), .name = lent("cfg"), .created_ms = 1 }, again = asset;
    struct asset_upload upload = { .id = C, .asset = B, .content_type = lent("text/plain"), .state = UPLOAD_COMPLETED };
    struct record both[] = { { .kind = RECORD_ASSET_UPLOAD, .upload = &upload }, { .kind = RECORD_ASSET_FILE, .upload = &upload } };
    struct journal_read read = { .kind = READ_ITEM_FILES, .state = -1, .whole = true, .ids = "[\"" A "\",\"" B "\",\"" C "\"]", .limit = 10 };

    (void)state;
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &one }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_FILE, .item_file = &file }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ASSET_ADD, .asset = &asset }), 0);
    memcpy(again.id, C, sizeof C);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ASSET_ADD, .asset = &again }), BF_EEXIST);   /* one of a name */
    assert_int_equal(commit_now(both, 2), 0);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 2);
    assert_string_equal(read.rows[0].file.id, A);
    assert_string_equal(read.rows[1].file.id, C);
    read = (struct journal_read) { .kind = READ_ASSETS, .state = -1, .workspace = "ws", .name = "cfg", .limit = 1 };
    assert_int_equal(read_now(&read), 0);
    assert_string_equal(read.rows[0].asset.file, C);
    assert_string_equal(read.rows[0].asset.content_type, "text/plain");
    assert_int_equal(write_one((struct record) { .kind = RECORD_ASSET_DROP, .key = B }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_DROP, .item = &one }), 0);
    read = (struct journal_read) { .kind = READ_ITEM_FILES, .state = -1, .whole = true, .ids = "[\"" A "\",\"" C "\"]", .limit = 10 };
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 0);   /* they went with what they belonged to */
}

static int came(const struct item_file *file, struct item_record judged, bool robot)
{
    return write_one((struct record) { .kind = RECORD_ITEM_FILE_CAME, .item_file = file, .item = &judged, .value = robot });
}

/* Bytes that came for an item are refused when it has moved since they were judged. */
static void bytes_come_once_and_in_time(void **state)
{
    struct run_record run = plain_run(1);
    struct item_record waits = item(A, NULL), held = waits;
    struct item_file file = { .id = B, .item = A, .name = lent("f"), .size = 3 }, late = { .id = C, .item = A, .name = lent("late"), .size = 3 };
    struct step_record step = { .id = C, .name = lent("s"), .state = STEP_RUNNING };
    struct record take = { .kind = RECORD_ITEM_TAKE, .key = A, .run_id = run.id };

    (void)state;
    run.state = RUN_RUNNING;
    add_run(&run, "{}", "[]");
    waits.step = ITEM_WAITS;
    memcpy(step.run_id, run.id, sizeof step.run_id);
    memcpy(held.run_id, run.id, sizeof held.run_id);
    memcpy(held.step_run, C, sizeof held.step_run);
    held.state = ITEM_IN_PROGRESS;
    held.step = 0;
    file.there = true;
    assert_int_equal(came(&file, waits, false), BF_EEXIST);   /* there is no such item, and it was not announced */
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &waits }), 0);
    assert_int_equal(came(&file, waits, false), BF_EEXIST);
    file.there = false;
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_FILE, .item_file = &file }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_FILE, .item_file = &late }), 0);
    file.there = late.there = true;
    assert_int_equal(came(&file, waits, false), 0);
    assert_int_equal(came(&file, waits, false), BF_EEXIST);   /* once */
    assert_int_equal(write_one(take), 0);
    assert_int_equal(came(&late, waits, false), BF_EEXIST);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_MOVE, .item = &held }), 0);
    assert_int_equal(came(&late, held, true), BF_EEXIST);   /* nobody knows of the step run */
    assert_int_equal(write_one((struct record) { .kind = RECORD_STEP_RUN, .step_run = &step }), 0);
    held.state = ITEM_DONE;   /* a step run's own may have gone on */
    assert_int_equal(came(&late, held, true), 0);
    late.there = false;
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_FILE, .item_file = &late }), 0);
    late.there = true;
    assert_int_equal(came(&late, held, false), BF_EEXIST);   /* another state than a client was let in with */
    memcpy(held.step_run, B, sizeof held.step_run);
    assert_int_equal(came(&late, held, true), BF_EEXIST);    /* another step run */
    memcpy(held.step_run, C, sizeof held.step_run);
    step.state = STEP_COMPLETED;
    assert_int_equal(write_one((struct record) { .kind = RECORD_STEP_RUN, .step_run = &step }), 0);
    assert_int_equal(came(&late, held, true), BF_EEXIST);
}

static void an_upload_comes_once(void **state)
{
    struct asset_record asset = { .id = B, .workspace = lent("ws"), .name = lent("cfg"), .created_ms = 1 };
    struct asset_upload upload = { .id = C, .asset = B, .content_type = lent("text/plain"), .state = UPLOAD_COMPLETED };
    struct record came = { .kind = RECORD_ASSET_CAME, .upload = &upload };
    struct journal_read read = { .kind = READ_ASSETS, .state = -1, .workspace = "ws", .name = "cfg", .limit = 1 };

    (void)state;
    assert_int_equal(write_one((struct record) { .kind = RECORD_ASSET_ADD, .asset = &asset }), 0);
    assert_int_equal(write_one(came), BF_EEXIST);
    upload.state = UPLOAD_PENDING;
    assert_int_equal(write_one((struct record) { .kind = RECORD_ASSET_UPLOAD, .upload = &upload }), 0);
    upload.state = UPLOAD_COMPLETED;
    assert_int_equal(write_one(came), 0);
    assert_int_equal(read_now(&read), 0);
    assert_string_equal(read.rows[0].asset.file, C);
    assert_int_equal(write_one(came), BF_EEXIST);
}

static int count_callback(void *data, const struct callback_record *callback)
{
    ++*(int *)data;
    assert_string_equal(callback->url, "https://example.org/");
    assert_int_equal(callback->sealed_len, 3);
    return 0;
}

static void messages_wait_until_they_went(void **state)
{
    struct run_record run = plain_run(1), ended = plain_run(2);
    struct callback_record callback = { .url = lent("https://example.org/"), .events = HOOK_COMPLETED,
        .sealed = (unsigned char *)(uintptr_t)"abc", .sealed_len = 3 };
    struct delivery_record first = { .id = A, .url = lent("u"), .body = lent("{}"), .next_ms = 20 }, second = first;
    struct journal_read read = { .kind = READ_DELIVERIES, .state = -1, .limit = 10 };
    struct error err;
    bool has = true;
    int count = 0;

    (void)state;
    ended.state = RUN_COMPLETED;
    add_run(&run, "{}", "[]");
    add_run(&ended, "{}", "[]");
    assert_int_equal(journal_has_deliveries(journal, &has, &err), 0);
    assert_false(has);
    memcpy(callback.run_id, run.id, sizeof callback.run_id);
    assert_int_equal(write_one((struct record) { .kind = RECORD_CALLBACK_ADD, .callback = &callback }), 0);
    memcpy(callback.run_id, ended.id, sizeof callback.run_id);
    assert_int_equal(write_one((struct record) { .kind = RECORD_CALLBACK_ADD, .callback = &callback }), 0);
    memcpy(first.run_id, run.id, sizeof first.run_id);
    memcpy(second.id, B, sizeof B);
    memcpy(second.hook_id, C, sizeof C);
    memcpy(second.run_id, run.id, sizeof second.run_id);
    second.next_ms = 10;
    assert_int_equal(write_one((struct record) { .kind = RECORD_DELIVERY_ADD, .delivery = &first }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_DELIVERY_ADD, .delivery = &second }), 0);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 2);
    assert_string_equal(read.rows[0].delivery.id, B);
    assert_null(read.rows[0].delivery.sealed);   /* a webhook's secret is made of its id */
    assert_memory_equal(read.rows[1].delivery.sealed, "abc", 3);
    second.next_ms = 30;
    second.tries = 4;
    assert_int_equal(write_one((struct record) { .kind = RECORD_DELIVERY_SET, .delivery = &second }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_DELIVERY_DROP, .delivery = &first }), 0);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 1);
    assert_int_equal(read.rows[0].delivery.tries, 4);
    close_journal();
    open_journal();
    assert_int_equal(journal_has_deliveries(journal, &has, &err), 0);
    assert_true(has);
    assert_int_equal(journal_each_callback(journal, count_callback, &count, &err), 0);
    assert_int_equal(count, 1);   /* that of the run that has not ended */
}

static void give_message(unsigned n, const char *run_id, const char *url, int64_t next_ms)
{
    struct delivery_record d = { .hook_id = C, .url = lent(url), .body = lent("{}"), .next_ms = next_ms };

    (void)snprintf(d.id, sizeof d.id, "%08x-0000-7000-8000-000000000000", n);
    memcpy(d.run_id, run_id, sizeof d.run_id);
    assert_int_equal(write_one((struct record) { .kind = RECORD_DELIVERY_ADD, .delivery = &d }), 0);
}

static int count_url(const struct journal_read *read, const char *url)
{
    int count = 0;

    for (size_t i = 0; i < read->count; i++)
        count += strcmp(read->rows[i].delivery.url, url) == 0;
    return count;
}

static void what_waits_for_one_hides_nobody_elses(void **state)
{
    static const char *const silent[] = { "http://a/x", "http://a/y?z", "https://a/", "http://b:80", "http://c/" };
    struct run_record mine = plain_run(1), theirs = plain_run(2);
    struct journal_read read = { .kind = READ_DELIVERIES, .state = -1, .since_ms = 1000, .limit = 1000 };
    unsigned n = 0;

    (void)state;
    theirs.workspace = lent("v");
    add_run(&mine, "{}", "[]");
    add_run(&theirs, "{}", "[]");
    for (; n < 40; n++)
        give_message(n, mine.id, silent[n % 2], 101 + n);   /* one place */
    give_message(n++, mine.id, "https://a/", 500);
    give_message(n++, theirs.id, "http://a/x", 600);
    give_message(n++, theirs.id, "http://z/", 5000);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(count_url(&read, "http://a/x") + count_url(&read, "http://a/y?z"), 4 + 1);
    assert_int_equal(count_url(&read, "https://a/"), 1);
    assert_int_equal(count_url(&read, "http://z/"), 1);
    assert_int_equal(read.count, 7);
    for (size_t i = 1; i < read.count; i++)
        assert_true(read.rows[i - 1].delivery.next_ms <= read.rows[i].delivery.next_ms);
    assert_int_equal(read.rows[0].delivery.next_ms, 101);
    /* However many places: what is due comes before what is not, and each place has a turn before any has its second. */
    for (unsigned i = 0; i < 20; i++) {
        give_message(n++, mine.id, "http://later/", 2000 + i);
        give_message(n++, mine.id, silent[3 + i % 2], 700 + i);
    }
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 8 + 2);
    assert_int_equal(count_url(&read, "https://a/"), 1);
    assert_true(count_url(&read, "http://b:80") >= 2 && count_url(&read, "http://c/") >= 2);
    assert_int_equal(count_url(&read, "http://later/"), 0);
}

static int keep_cursor(void *data, const char *name, int64_t value)
{
    (void)name;
    *(int64_t *)data = value;
    return 0;
}

static void a_run_goes_when_nobody_has_to_be_told(void **state)
{
    struct run_record run = plain_run(1);
    struct record drop = { .kind = RECORD_RUN_DROP, .key = run.id }, line = { .kind = RECORD_LINE_ADD, .scope = "local", .run_id = run.id };
    struct journal_read read = { .kind = READ_RUN, .state = -1 };

    (void)state;
    run.state = RUN_FAILED;
    add_run(&run, "{}", "[]");
    memcpy(read.id, run.id, sizeof read.id);
    assert_int_equal(write_one(line), 0);
    assert_int_equal(write_one(drop), BF_EEXIST);
    assert_int_equal(read_now(&read), 0);
    line.kind = RECORD_LINE_SENT;
    assert_int_equal(write_one(line), 0);
    assert_int_equal(write_one(drop), 0);
    assert_int_equal(read_now(&read), BF_ENOENT);
}

/* What another has stays. */
static void a_run_goes_with_all_that_it_had(void **state)
{
    struct run_record run = plain_run(1), other = plain_run(2);
    struct item_record one = item(A, run.id), two = item(B, other.id);
    struct item_file file = { .id = A, .item = A, .name = lent("a") }, second = { .id = B, .item = B, .name = lent("a") };
    struct step_record step = { .id = A, .name = lent("s") };
    struct record drop = { .kind = RECORD_RUN_DROP, .key = run.id };
    struct journal_read items = { .kind = READ_ITEMS, .state = -1, .ids = "[\"" A "\",\"" B "\"]", .limit = 10 };
    struct journal_read files = { .kind = READ_ITEM_FILES, .state = -1, .run_id = run.id, .limit = 10 };
    struct journal_read steps = { .kind = READ_STEP_RUNS, .state = -1, .run_id = run.id, .limit = 10 };

    (void)state;
    run.state = other.state = RUN_RUNNING;
    add_run(&run, "{}", "[]");
    add_run(&other, "{}", "[]");
    memcpy(step.run_id, run.id, sizeof step.run_id);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &one }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &two }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_FILE, .item_file = &file }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_FILE, .item_file = &second }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_STEP_RUN, .step_run = &step }), 0);
    assert_int_equal(write_one(drop), BF_ENOENT);   /* it has not ended: nothing goes */
    assert_int_equal(read_now(&files), 0);
    assert_int_equal(files.count, 1);
    assert_string_equal(files.rows[0].file.id, A);
    run.state = RUN_FAILED;
    assert_int_equal(write_one((struct record) { .kind = RECORD_RUN_SET, .run = &run }), 0);
    assert_int_equal(write_one(drop), 0);
    assert_int_equal(read_now(&items), 0);
    assert_int_equal(items.count, 1);
    assert_string_equal(items.rows[0].item.id, B);
    assert_int_equal(read_now(&steps), 0);
    assert_int_equal(steps.count, 0);
    files = (struct journal_read) { .kind = READ_ITEM_FILES, .state = -1, .whole = true, .ids = items.ids, .limit = 10 };
    assert_int_equal(read_now(&files), 0);
    assert_int_equal(files.count, 1);
    assert_string_equal(files.rows[0].file.id, B);
}

/* And its callback's secret is there for as long as a message wants to be signed with it. */
static void a_run_stays_while_a_message_of_it_waits(void **state)
{
    struct run_record run = plain_run(1);
    struct record drop = { .kind = RECORD_RUN_DROP, .key = run.id };
    struct callback_record callback = { .url = lent("u"), .events = HOOK_COMPLETED, .sealed = (unsigned char *)(uintptr_t)"abc", .sealed_len = 3 };
    struct delivery_record message = { .id = A, .url = lent("u"), .body = lent("{}"), .next_ms = 20 };
    struct journal_read read = { .kind = READ_DELIVERIES, .state = -1, .limit = 10 };

    (void)state;
    run.state = RUN_COMPLETED;
    add_run(&run, "{}", "[]");
    memcpy(callback.run_id, run.id, sizeof callback.run_id);
    memcpy(message.run_id, run.id, sizeof message.run_id);
    assert_int_equal(write_one((struct record) { .kind = RECORD_CALLBACK_ADD, .callback = &callback }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_DELIVERY_ADD, .delivery = &message }), 0);
    assert_int_equal(write_one(drop), BF_EEXIST);
    assert_int_equal(prune_now(INT64_MAX, 100), 0);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 1);
    assert_memory_equal(read.rows[0].delivery.sealed, "abc", 3);
    assert_int_equal(write_one((struct record) { .kind = RECORD_DELIVERY_DROP, .delivery = &message }), 0);
    assert_int_equal(prune_now(INT64_MAX, 100), 1);
    read = (struct journal_read) { .kind = READ_CALLBACKS, .state = -1, .limit = 1 };
    memcpy(read.id, run.id, sizeof read.id);
    assert_int_equal(read_now(&read), 0);
    assert_int_equal(read.count, 0);
}

static size_t count_of(struct journal_read read)
{
    read.state = -1;
    read.limit = 100;
    assert_int_equal(read_now(&read), 0);
    return read.count;
}

/* A bite takes so many of each kind: whoever prunes is told that there may be more. */
static void a_run_of_many_items_is_forgotten_whole(void **state)
{
    struct run_record run = plain_run(1);
    struct item_record one = item(A, run.id);

    (void)state;
    run.state = RUN_COMPLETED;
    add_run(&run, "{}", "[]");
    for (unsigned i = 0; i < 5; i++) {
        item_input_id(run.id, i, one.id);
        assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &one }), 0);
    }
    assert_int_equal(count_of(items_of(run.id)), 5);
    assert_int_equal(prune_now(INT64_MAX, 3), 3);
    assert_int_equal(count_of(items_of(run.id)), 2);
    assert_int_equal(prune_now(INT64_MAX, 3), 2);
    assert_int_equal(prune_now(INT64_MAX, 3), 0);
}

/* An item that was settled by hand before any run took it is kept as long as a run is; one that waits, for ever. */
static void items_that_nobody_took_are_forgotten_when_they_are_done(void **state)
{
    struct item_record waits = item(A, NULL), done = item(B, NULL);

    (void)state;
    done.state = ITEM_DONE;
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &waits }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &done }), 0);
    assert_int_equal(prune_now(6, 100), 0);   /* it was settled at 6 */
    assert_int_equal(prune_now(7, 100), 1);
    assert_int_equal(count_of((struct journal_read) { .kind = READ_ITEMS, .ids = "[\"" A "\"]" }), 1);
    assert_int_equal(count_of((struct journal_read) { .kind = READ_ITEMS, .ids = "[\"" B "\"]" }), 0);
}

/* What was announced, and has not come in a day, does not come any more: the links to bring it are good for an hour. */
static void announcements_are_forgotten_after_a_day(void **state)
{
    int64_t now_ms = time_wall_ms(), ages_ms[] = { 86400000 + 60000, 86400000 - 60000 };
    struct item_record one = item(A, NULL);
    struct item_file there = { .id = A, .item = A, .name = lent("came"), .there = true };

    (void)state;
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_ADD, .item = &one }), 0);
    assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_FILE, .item_file = &there }), 0);
    for (int i = 0; i < 2; i++) {
        struct item_file file = { .item = A, .name = lent(i == 0 ? "old" : "young") };
        struct asset_upload upload = { .asset = B, .content_type = lent("text/plain"), .created_ms = now_ms - ages_ms[i],
            .state = i == 0 ? UPLOAD_COMPLETED : UPLOAD_PENDING };

        id_make(now_ms - ages_ms[i], (const uint8_t[10]) { 0 }, file.id);
        memcpy(upload.id, file.id, sizeof upload.id);
        assert_int_equal(write_one((struct record) { .kind = RECORD_ITEM_FILE, .item_file = &file }), 0);
        assert_int_equal(write_one((struct record) { .kind = RECORD_ASSET_UPLOAD, .upload = &upload }), 0);
    }
    assert_int_equal(prune_now(0, 100), 1);
    for (int i = 0; i < 2; i++) {
        struct journal_read upload = { .kind = READ_UPLOADS }, file = { .kind = READ_ITEM_FILES };

        id_make(now_ms - ages_ms[i], (const uint8_t[10]) { 0 }, upload.id);
        memcpy(file.id, upload.id, sizeof file.id);
        assert_int_equal(count_of(upload), i);
        assert_int_equal(count_of(file), i);
    }
    assert_int_equal(count_of((struct journal_read) { .kind = READ_ITEM_FILES, .ids = "[\"" A "\"]" }), 2);
}

/* It was deleted, or taken up again, between the look at it and the commit. */
static void what_a_run_has_no_row_for_is_refused(void **state)
{
    struct run_record run = plain_run(1), other = plain_run(2);
    struct record set = { .kind = RECORD_RUN_SET, .run = &run }, drop = { .kind = RECORD_RUN_DROP, .key = run.id };
    struct record both[] = { { .kind = RECORD_CURSOR, .scope = "schedule", .key = "s", .value = 7 }, set };
    struct record add = { .kind = RECORD_RUN_ADD, .run = &other, .event = "{}" };
    struct journal_read read = { .kind = READ_RUN, .state = -1 };
    struct told told[3];
    struct journal_health health;
    int64_t cursor = 0;
    struct error err;

    (void)state;
    assert_int_equal(write_one(set), BF_ENOENT);
    assert_int_equal(write_one(drop), BF_ENOENT);
    give(&told[0], &set, 1, true);      /* `must` does not help it, nor does it keep the others */
    give(&told[1], both, 2, false);
    give(&told[2], &add, 1, true);
    wait_until_told(&told[2]);
    assert_int_equal(told[0].status, BF_ENOENT);
    assert_int_equal(told[1].status, BF_ENOENT);
    assert_int_equal(told[2].status, 0);
    journal_health(journal, &health);
    assert_true(health.writable);
    close_journal();
    open_journal();
    assert_int_equal(journal_each_cursor(journal, "schedule", keep_cursor, &cursor, &err), 0);
    assert_int_equal(cursor, 0);        /* nothing of such a commit is done */

    run.state = RUN_RUNNING;
    add_run(&run, "{}", "[]");
    assert_int_equal(write_one(drop), BF_ENOENT);   /* it has not ended */
    memcpy(read.id, run.id, sizeof read.id);
    assert_int_equal(read_now(&read), 0);
    run.state = RUN_FAILED;
    assert_int_equal(write_one(set), 0);
    assert_int_equal(write_one(set), 0);            /* the same again is a change */
    assert_int_equal(write_one(drop), 0);
    assert_int_equal(write_one(drop), BF_ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_setup, journal_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(items_move_and_go),
        TEST(what_waits_comes_in_turn),
        TEST(pages_go_on_behind_rows_that_are_gone),
        TEST(only_what_waits_is_taken),
        TEST(open_flows_are_read_at_start),
        TEST(files_are_known_by_their_ids),
        TEST(bytes_come_once_and_in_time),
        TEST(an_upload_comes_once),
        TEST(messages_wait_until_they_went),
        TEST(what_waits_for_one_hides_nobody_elses),
        TEST(a_run_goes_when_nobody_has_to_be_told),
        TEST(what_a_run_has_no_row_for_is_refused),
        TEST(a_run_goes_with_all_that_it_had),
        TEST(a_run_of_many_items_is_forgotten_whole),
        TEST(items_that_nobody_took_are_forgotten_when_they_are_done),
        TEST(announcements_are_forgotten_after_a_day),
        TEST(a_run_stays_while_a_message_of_it_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
