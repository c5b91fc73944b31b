/* Lines of runs as they go out, byte for byte where a standard says so; records; folders that are whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/buf.h"
#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "belfry/results/folder.h"
#include "belfry/results/syslog.h"

#define TEXT(words) ((char *)(uintptr_t)(words))

static struct run_record ended(void)
{
    return (struct run_record) { .id = "019b8dcb-0000-7000-8000-000000000001", .process = TEXT("nightly"), .workspace = TEXT("w"),
        .trigger_kind = TRIGGER_SCHEDULE, .trigger_name = TEXT("s"), .state = RUN_COMPLETED, .accepted_ms = 1767607263250,
        .started_ms = 1767607263300, .ended_ms = 1767607264300 };
}

static void rfc5424(void **state)
{
    struct run_record run = ended();
    struct buf b = { 0 };
    char expected[256];

    (void)state;
    syslog_format_5424(&b, &run, NULL, "/r/x", 3, "belfry", "host", 1767607265000, false);
    (void)snprintf(expected, sizeof expected, "<30>1 2026-01-05T10:01:05.000Z host belfry %d ", (int)getpid());
    assert_int_equal(strncmp(buf_str(&b), expected, strlen(expected)), 0);
    assert_non_null(strstr(buf_str(&b), " [belfry@32473 run=\"019b8dcb-0000-7000-8000-000000000001\" process=\"nightly\" "
                                        "trigger=\"schedule/s\" state=\"completed\" duration_ms=\"1000\" results=\"/r/x\"]"));
    assert_null(strchr(buf_str(&b), '\n'));
    buf_reset(&b);
    syslog_format_5424(&b, &run, NULL, "/r/x", 3, "belfry", "host", 1767607265000, true);
    assert_non_null(strstr(buf_str(&b), "again=\"maybe\""));
    buf_close(&b);
}

static void what_could_break_a_line(void **state)
{
    struct run_record run = ended();
    struct buf b = { 0 };

    (void)state;
    run.state = RUN_FAILED;
    run.error_code = TEXT("exit_code");
    run.error_message = TEXT("a \"quote\" ] and \\ and \n<0>1 forged \x1b[31m");
    syslog_format_5424(&b, &run, NULL, "/r", 3, "belfry", "host", 0, false);
    assert_null(strchr(buf_str(&b), '\n'));
    assert_null(strchr(buf_str(&b), '\x1b'));
    if (strstr(buf_str(&b), "quote") != NULL) {
        const char *at = strstr(buf_str(&b), "a \\\"quote\\\" \\]");

        assert_non_null(at);
    }
    assert_int_equal(strncmp(buf_str(&b), "<27>1 ", 6), 0);
    buf_reset(&b);
    syslog_format_local(&b, &run, NULL, "/r", 3, "belfry", 0, false);
    assert_null(strchr(buf_str(&b), '\n'));
    assert_non_null(strstr(buf_str(&b), "state=failed"));
    buf_close(&b);
}

static void the_journal(void **state)
{
    struct run_record run = ended();
    struct buf b = { 0 };

    (void)state;
    run.trigger_name = TEXT("s\nMESSAGE=forged");
    syslog_format_journal(&b, &run, NULL, "/r", "belfry", false);
    assert_non_null(strstr(buf_str(&b), "BELFRY_RUN=019b8dcb-0000-7000-8000-000000000001\n"));
    assert_non_null(strstr(buf_str(&b), "SYSLOG_IDENTIFIER=belfry\n"));
    assert_null(strstr(buf_str(&b), "\nMESSAGE=forged"));
    assert_int_equal(b.data[b.len - 1], '\n');
    buf_close(&b);
}

static void starts(void **state)
{
    struct run_record run = ended();
    struct buf b = { 0 };

    (void)state;
    run.state = RUN_RUNNING;
    run.ended_ms = 0;
    syslog_format_5424(&b, &run, NULL, NULL, 3, "belfry", "host", 0, false);
    assert_non_null(strstr(buf_str(&b), "state=\"started\""));
    assert_null(strstr(buf_str(&b), "duration_ms"));
    buf_reset(&b);
    syslog_format_5424(&b, &run, "no such program", NULL, 3, "belfry", "host", 0, false);
    assert_non_null(strstr(buf_str(&b), "no such program"));
    assert_int_equal(strncmp(buf_str(&b), "<28>1 ", 6), 0);
    buf_close(&b);
}

static void records(void **state)
{
    struct run_record run = ended();
    json_t *o;

    (void)state;
    run.state = RUN_COLLECTING;
    run.outcome = RUN_FAILED;
    run.error_code = TEXT("exit_code");
    run.error_message = TEXT("7");
    run.has_exit_code = true;
    run.exit_code = 7;
    run.attempt = 2;
    run.remote_id = TEXT("r-1");
    {
        json_t *result = json_pack("{s:[], s:{s:[], s:[]}, s:[]}", "steps", "work_items", "input", "output", "artifacts");

        o = run_json(&run, "robocorp", NULL, result);
        json_decref(result);
    }
    assert_string_equal(json_str(o, "state"), "failed");   /* run.json is written before the last move */
    assert_int_equal(json_int(o, "duration_ms", 0), 1000);
    assert_int_equal(json_int(o, "exit_code", 0), 7);
    assert_int_equal(json_int(o, "attempt", 0), 2);
    assert_string_equal(json_str(json_object_get(o, "error"), "code"), "exit_code");
    assert_string_equal(json_str(json_object_get(o, "remote"), "run_id"), "r-1");
    assert_string_equal(json_str(o, "accepted"), "2026-01-05T10:01:03.250Z");
    json_decref(o);
    run.state = RUN_RUNNING;
    o = run_json(&run, "robocorp", NULL, NULL);
    assert_string_equal(json_str(o, "state"), "running");
    json_decref(o);
}

static char folder[64];

static int open_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/belfry-results-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    struct error err;

    (void)state;
    return file_remove_tree(folder, &err);
}

static bool exists(const char *dir, const char *name)
{
    char *path = file_join(dir, name);
    bool there = access(path, F_OK) == 0;

    free(path);
    return there;
}

static void folders(void **state)
{
    struct run_record run = ended();
    char *place, *staging = NULL, *left, expected[160];
    json_t *record = json_pack("{s:s}", "id", run.id);
    struct error err;
    int existing = -1;

    (void)state;
    place = folder_path(folder, &run);
    (void)snprintf(expected, sizeof expected, "%s/nightly/2026-01-05/%s", folder, run.id);
    assert_string_equal(place, expected);
    assert_int_equal(folder_stage(folder, &run, &staging, &err), 0);
    assert_string_not_equal(staging, place);
    left = file_join(staging, "half");
    assert_int_equal(file_write_atomic(left, "x", 1, 0600, &err), 0);
    free(staging);
    /* A crash came: what was left there is gone at the next try. */
    assert_int_equal(folder_stage(folder, &run, &staging, &err), 0);
    assert_false(exists(staging, "half"));
    assert_false(exists(place, "run.json"));
    assert_int_equal(folder_publish(staging, place, record, &existing, &err), 0);
    assert_int_equal(existing, 0);
    assert_true(exists(place, "run.json"));
    assert_false(exists(staging, ""));
    free(staging);
    /* A crash came between publishing and the record: it stays as it is. */
    assert_int_equal(folder_stage(folder, &run, &staging, &err), 0);
    assert_int_equal(folder_publish(staging, place, record, &existing, &err), 0);
    assert_int_equal(existing, 1);
    assert_false(exists(staging, ""));
    free(left);
    free(staging);
    free(place);
    json_decref(record);
}

static void hostile_process_names(void **state)
{
    struct run_record run = ended();
    char *place;

    (void)state;
    run.process = TEXT("../../etc");
    place = folder_path(folder, &run);
    assert_int_equal(strncmp(place, folder, strlen(folder)), 0);
    assert_null(strstr(place, "/.."));
    free(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc5424), cmocka_unit_test(what_could_break_a_line), cmocka_unit_test(the_journal), cmocka_unit_test(starts),
        cmocka_unit_test(records), cmocka_unit_test(folders), cmocka_unit_test(hostile_process_names),
    };

    return cmocka_run_group_tests(tests, open_folder, remove_folder);
}
