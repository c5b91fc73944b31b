/* Result folders are whole or not there; records have the shape that the specification gives them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/buf.h"
#include "belfry/base/file.h"
#include "belfry/results/folder.h"

#define TEXT(words) ((char *)(uintptr_t)(words))
#define ID "019b8dcb-0000-7000-8000-000000000001"

struct shelf {
    char dir[64];
    struct run_record run;
    char *place, *staging;
    json_t *record;
    int existing;
    struct error error;
};

static int setup(void **state)
{
    struct shelf *s = calloc(1, sizeof *s);

    assert_non_null(s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/belfry-folder-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->run = (struct run_record) { .id = ID, .process = TEXT("invoices"), .workspace = TEXT("here"),
                                   .trigger_kind = TRIGGER_WEBHOOK, .trigger_name = TEXT("orders"),
                                   .state = RUN_COLLECTING, .outcome = RUN_FAILED, .attempt = 2,
                                   .accepted_ms = 1767607263250, .started_ms = 1767607263300, .ended_ms = 1767607264300 };
    s->record = json_pack("{s:s}", "id", ID);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct shelf *s = *state;

    assert_int_equal(file_remove_tree(s->dir, NULL), 0);
    json_decref(s->record);
    free(s->place);
    free(s->staging);
    free(s);
    return 0;
}

static void stage(struct shelf *s)
{
    free(s->place);
    free(s->staging);
    s->place = folder_path(s->dir, &s->run);
    if (folder_stage(s->dir, &s->run, &s->staging, &s->error) != 0)
        fail_msg("%s", s->error.text);
}

static int publish(struct shelf *s)
{
    s->existing = -1;
    s->error = (struct error) { 0 };
    return folder_publish(s->staging, s->place, s->record, &s->existing, &s->error);
}

static void put(const char *dir, const char *name, const char *text)
{
    char *path = file_join(dir, name);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, NULL), 0);
    free(path);
}

static bool is(const char *dir, const char *name, const char *text)
{
    char *path = file_join(dir, name);
    struct buf b = { 0 };
    bool same = file_read(path, 65536, &b, NULL) == 0 && strcmp(buf_str(&b), text) == 0;

    buf_close(&b);
    free(path);
    return same;
}

static bool there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* --- folders ------------------------------------------------------------------------------------------------------ */

static void published(void **state)
{
    struct shelf *s = *state;
    struct stat st;
    char *run_json_path;
    json_t *read;

    stage(s);
    assert_true(there(s->staging));
    assert_false(there(s->place));
    put(s->staging, "console.log", "hello\n");
    assert_int_equal(publish(s), 0);
    assert_int_equal(s->existing, 0);
    assert_false(there(s->staging));
    assert_true(is(s->place, "console.log", "hello\n"));
    run_json_path = file_join(s->place, "run.json");
    read = json_load_file(run_json_path, 0, NULL);
    assert_non_null(read);
    assert_true(json_equal(read, s->record));
    assert_int_equal(stat(run_json_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(stat(s->place, &st), 0);
    assert_int_equal(st.st_mode & 0007, 0);   /* not for others */
    json_decref(read);
    free(run_json_path);
}

/* A crash came in the middle of a collection: folders, links and files without permission lie about. */
static void what_a_crash_left(void **state)
{
    struct shelf *s = *state;
    char *deep, *link_path;

    stage(s);
    put(s->staging, "console.log", "half");
    deep = file_join(s->staging, "artifacts/main");
    assert_int_equal(file_make_dirs(deep, 0700, NULL), 0);
    put(deep, "a", "a");
    put(s->dir, "kept", "not of this run");
    link_path = file_join(s->staging, "link");
    assert_int_equal(symlink(s->dir, link_path), 0);
    assert_int_equal(chmod(deep, 0500), 0);
    stage(s);
    assert_false(there(deep));
    assert_false(there(link_path));
    assert_true(is(s->dir, "kept", "not of this run"));   /* no link was followed */
    assert_int_equal(publish(s), 0);
    assert_false(is(s->place, "console.log", "half"));
    free(deep);
    free(link_path);
}

/* The crash came after the rename, before the journal knew: the first one stays as it is. */
static void what_is_published_stays(void **state)
{
    struct shelf *s = *state;

    stage(s);
    put(s->staging, "console.log", "first");
    assert_int_equal(publish(s), 0);
    stage(s);
    put(s->staging, "console.log", "second");
    assert_int_equal(json_object_set_new(s->record, "id", json_string("another")), 0);
    assert_int_equal(publish(s), 0);
    assert_int_equal(s->existing, 1);
    assert_true(is(s->place, "console.log", "first"));
    assert_true(is(s->place, "run.json", "{\n  \"id\": \"" ID "\"\n}"));
    assert_false(there(s->staging));
}

/* Somebody else's folder has its name: nothing of it is touched, and the reason names both. */
static void a_place_that_is_taken(void **state)
{
    struct shelf *s = *state;

    stage(s);
    assert_int_equal(mkdir(s->place, 0700), 0);
    put(s->place, "notes.txt", "mine");
    assert_int_not_equal(publish(s), 0);
    assert_non_null(strstr(s->error.text, s->staging));
    assert_non_null(strstr(s->error.text, s->place));
    assert_true(is(s->place, "notes.txt", "mine"));
    assert_true(there(s->staging));
}

static void nowhere_to_stage(void **state)
{
    struct shelf *s = *state;

    put(s->dir, "invoices", "a file where the process's folder is to be");
    assert_int_not_equal(folder_stage(s->dir, &s->run, &s->staging, &s->error), 0);
    assert_null(s->staging);
    assert_non_null(strstr(s->error.text, "invoices"));
}

static void a_staging_that_is_gone(void **state)
{
    struct shelf *s = *state;

    stage(s);
    assert_int_equal(file_remove_tree(s->staging, NULL), 0);
    assert_int_not_equal(publish(s), 0);
    assert_non_null(strstr(s->error.text, s->staging));
    assert_false(there(s->place));
}

static int revise(struct shelf *s, unsigned number)
{
    s->error = (struct error) { 0 };
    assert_int_equal(json_object_set_new(s->record, "revision", json_integer(number)), 0);
    return folder_revise(s->staging, s->place, number, s->record, &s->error);
}

static void a_revision(void **state)
{
    struct shelf *s = *state;

    stage(s);
    put(s->staging, "console.log", "first");
    assert_int_equal(publish(s), 0);
    assert_false(folder_is_first(s->place, 2));
    for (int crash = 0; crash < 2; crash++) {   /* the second time as after a crash */
        stage(s);
        put(s->staging, "console.log", "second");
        assert_int_equal(revise(s, 2), 0);
        assert_false(folder_is_first(s->place, 2));
        assert_false(there(s->staging));
        assert_true(is(s->place, "console.log", "first"));
        assert_true(is(s->place, "run.1.json", "{\n  \"id\": \"" ID "\"\n}"));
        assert_true(is(s->place, "revision-2/console.log", "second"));
        assert_true(is(s->place, "run.json", "{\n  \"id\": \"" ID "\",\n  \"revision\": 2\n}"));
    }
}

/* What it would revise is gone: nobody throws away what there is. */
static void a_revision_of_what_is_gone(void **state)
{
    struct shelf *s = *state;

    stage(s);
    put(s->staging, "console.log", "second");
    assert_true(folder_is_first(s->place, 2));
    assert_int_equal(revise(s, 2), BF_ENOENT);
    assert_non_null(strstr(s->error.text, s->place));
    assert_true(is(s->staging, "console.log", "second"));
    assert_int_equal(publish(s), 0);
    assert_true(folder_is_first(s->place, 2));    /* a crash came before the record */
    assert_false(folder_is_first(s->place, 3));
    stage(s);
    assert_int_equal(revise(s, 3), 0);
    assert_false(folder_is_first(s->place, 3));
    assert_true(is(s->place, "console.log", "second"));
    assert_true(is(s->place, "run.2.json", "{\n  \"id\": \"" ID "\",\n  \"revision\": 2\n}"));
}

/* A person took the record only: the rest stays, and the revision has its place. */
static void a_revision_of_a_folder_without_its_record(void **state)
{
    struct shelf *s = *state;

    stage(s);
    assert_int_equal(mkdir(s->place, 0700), 0);
    put(s->place, "console.log", "first");
    put(s->staging, "console.log", "second");
    assert_false(folder_is_first(s->place, 2));
    assert_int_equal(revise(s, 2), 0);
    assert_true(is(s->place, "console.log", "first"));
    assert_true(is(s->place, "revision-2/console.log", "second"));
    assert_false(folder_is_first(s->place, 2));
}

static void names_of_processes(void **state)
{
    const struct { const char *name, *folder; } rows[] = {
        { "invoices", "invoices" },
        { "../../etc", "%2E.%2F..%2Fetc" },
        { "..", "%2E." },
        { "/etc/passwd", "%2Fetc%2Fpasswd" },
        { ".hidden", "%2Ehidden" },
        { "-rf", "%2Drf" },
        { "two\nlines", "two%0Alines" },
        { "", "unnamed" },
        { "R\xc3\xa9sum\xc3\xa9 (1)", "R\xc3\xa9sum\xc3\xa9 (1)" },
    };
    struct shelf *s = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[256];

        s->run.process = TEXT(rows[i].name);
        stage(s);
        (void)snprintf(expected, sizeof expected, "%s/%s/2026-01-05/" ID, s->dir, rows[i].folder);
        assert_string_equal(s->place, expected);
        assert_int_equal(publish(s), 0);
        assert_true(there(s->place));
    }
}

static void days_are_those_of_utc(void **state)
{
    struct shelf *s = *state;

    (void)setenv("TZ", "Pacific/Kiritimati", 1);
    tzset();
    s->run.accepted_ms = 1767657599999;   /* 2026-01-05T23:59:59.999Z */
    stage(s);
    assert_non_null(strstr(s->place, "/2026-01-05/"));
    s->run.accepted_ms++;
    stage(s);
    assert_non_null(strstr(s->place, "/2026-01-06/"));
    (void)unsetenv("TZ");
    tzset();
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static void assert_record(const json_t *is_record, const char *text)
{
    json_t *expected = json_loads(text, 0, NULL);
    char *shown;

    assert_non_null(expected);
    if (!json_equal(is_record, expected)) {
        shown = json_dumps(is_record, JSON_INDENT(1));
        fail_msg("%s", shown);
    }
    json_decref(expected);
}

static void a_whole_record(void **state)
{
    struct shelf *s = *state;
    json_t *event = json_loads("{\"id\": \"e\", \"trigger\": {\"kind\": \"webhook\", \"name\": \"orders\"}}", 0, NULL);
    json_t *result = json_loads("{\"steps\": [{\"name\": \"main\"}], \"work_items\": {\"input\": [1], \"output\": [2]},"
                                " \"artifacts\": [{\"name\": \"a\"}], \"notes\": [\"n\"], \"dir\": \"/r/x\"}", 0, NULL);
    json_t *record;

    s->run.backend_state = TEXT("exited");
    s->run.remote_id = TEXT("42");
    s->run.remote_url = TEXT("https://cloud.example/42");
    s->run.has_exit_code = true;
    s->run.exit_code = 7;
    s->run.error_code = TEXT("exit_code");
    s->run.error_message = TEXT("it ended with 7");
    record = run_json(&s->run, "local", event, result);
    assert_record(record, "{\"id\": \"" ID "\", \"process\": \"invoices\", \"workspace\": \"here\", \"backend\": \"local\","
        " \"trigger\": {\"kind\": \"webhook\", \"name\": \"orders\"},"
        " \"event\": {\"id\": \"e\", \"trigger\": {\"kind\": \"webhook\", \"name\": \"orders\"}},"
        " \"state\": \"failed\", \"backend_state\": \"exited\","
        " \"remote\": {\"run_id\": \"42\", \"url\": \"https://cloud.example/42\"}, \"attempt\": 2,"
        " \"accepted\": \"2026-01-05T10:01:03.250Z\", \"started\": \"2026-01-05T10:01:03.300Z\","
        " \"ended\": \"2026-01-05T10:01:04.300Z\", \"duration_ms\": 1000, \"exit_code\": 7,"
        " \"error\": {\"code\": \"exit_code\", \"message\": \"it ended with 7\"},"
        " \"steps\": [{\"name\": \"main\"}], \"work_items\": {\"input\": [1], \"output\": [2]},"
        " \"artifacts\": [{\"name\": \"a\"}], \"notes\": [\"n\"]}");
    json_decref(record);
    json_decref(event);
    json_decref(result);
}

static void a_record_with_little(void **state)
{
    struct shelf *s = *state;
    json_t *result = json_object(), *record;

    s->run = (struct run_record) { .id = ID, .process = TEXT("p"), .workspace = TEXT("w"), .state = RUN_SKIPPED,
                                   .trigger_kind = TRIGGER_SCHEDULE, .trigger_name = TEXT("s"),
                                   .accepted_ms = 1767607263250, .due_ms = 1767607263000,
                                   .reason = TEXT("one is running") };
    record = run_json(&s->run, "robocorp", NULL, result);
    assert_record(record, "{\"id\": \"" ID "\", \"process\": \"p\", \"workspace\": \"w\", \"backend\": \"robocorp\","
        " \"trigger\": {\"kind\": \"schedule\", \"name\": \"s\"}, \"state\": \"skipped\", \"backend_state\": null,"
        " \"attempt\": 0, \"accepted\": \"2026-01-05T10:01:03.250Z\", \"due\": \"2026-01-05T10:01:03.000Z\","
        " \"reason\": \"one is running\", \"steps\": [], \"work_items\": {\"input\": [], \"output\": []},"
        " \"artifacts\": []}");
    json_decref(record);
    json_decref(result);
}

/* A clock that was set back makes no run of less than no time; what came from elsewhere need not be text. */
static void odd_values(void **state)
{
    struct shelf *s = *state;
    json_t *record;
    char *text;

    s->run.ended_ms = s->run.started_ms - 5000;
    s->run.error_code = TEXT("signal");
    s->run.error_message = TEXT("bad \xff byte");
    record = run_json(&s->run, "local", NULL, NULL);
    assert_int_equal(json_int(record, "duration_ms", -1), 0);
    assert_string_equal(json_str(json_object_get(record, "error"), "message"), "bad \\xFF byte");
    text = json_dumps(record, 0);
    assert_non_null(text);
    free(text);
    json_decref(record);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(published),
        TEST(what_a_crash_left),
        TEST(what_is_published_stays),
        TEST(a_place_that_is_taken),
        TEST(nowhere_to_stage),
        TEST(a_staging_that_is_gone),
        TEST(a_revision),
        TEST(a_revision_of_what_is_gone),
        TEST(a_revision_of_a_folder_without_its_record),
        TEST(names_of_processes),
        TEST(days_are_those_of_utc),
        TEST(a_whole_record),
        TEST(a_record_with_little),
        TEST(odd_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
