/* Lines of runs, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/buf.h"
#include "belfry/base/text.h"
#include "belfry/results/syslog.h"

#define TEXT(words) ((char *)(uintptr_t)(words))
#define ID "019b8dcb-0000-7000-8000-000000000001"
#define NOW_MS INT64_C(1767607265042)   /* 2026-01-05T10:01:05.042Z */
#define DAEMON 3
#define LOCAL0 16

static struct run_record failed(void)
{
    return (struct run_record) { .id = ID, .process = TEXT("invoices"), .workspace = TEXT("w"),
                                 .trigger_kind = TRIGGER_WATCH, .trigger_name = TEXT("drops"), .state = RUN_FAILED,
                                 .accepted_ms = 1767607263250, .started_ms = 1767607263300, .ended_ms = 1767607264300,
                                 .has_exit_code = true, .exit_code = 7, .remote_id = TEXT("r-1"),
                                 .error_code = TEXT("exit_code"),
                                 .error_message = TEXT("the command ended with exit code 7") };
}

static void assert_bytes(struct buf *b, const char *bytes)
{
    assert_string_equal(buf_str(b), bytes);
    buf_reset(b);
}

/* The expected line has "PID" where this process's number stands. */
static void assert_line(struct buf *b, const char *line)
{
    const char *hole = strstr(line, "PID");
    char all[4096];

    assert_non_null(hole);
    (void)snprintf(all, sizeof all, "%.*s%d%s", (int)(hole - line), line, (int)getpid(), hole + 3);
    assert_bytes(b, all);
}

/* --- RFC 5424 ----------------------------------------------------------------------------------------------------- */

static void rfc5424(void **state)
{
    struct run_record run = failed();
    struct buf b = { 0 };

    (void)state;
    syslog_format_5424(&b, &run, NULL, "/r/x", DAEMON, "belfry", "host.example", NOW_MS, false);
    assert_line(&b, "<27>1 2026-01-05T10:01:05.042Z host.example belfry PID run [belfry@32473 run=\"" ID "\""
                    " process=\"invoices\" trigger=\"watch/drops\" state=\"failed\" remote=\"r-1\" duration_ms=\"1000\""
                    " exit_code=\"7\" error=\"the command ended with exit code 7\" results=\"/r/x\"]"
                    " run " ID " of invoices failed");
    run = (struct run_record) { .id = ID, .process = TEXT("p"), .trigger_kind = TRIGGER_API, .trigger_name = TEXT("k"),
                                .state = RUN_COMPLETED, .ended_ms = 5 };
    syslog_format_5424(&b, &run, NULL, NULL, LOCAL0, "t", "", 0, true);
    assert_line(&b, "<134>1 1970-01-01T00:00:00.000Z - t PID run [belfry@32473 run=\"" ID "\" process=\"p\""
                    " trigger=\"api/k\" state=\"completed\" again=\"maybe\"] run " ID " of p completed");
    buf_close(&b);
}

static void escapes_in_structured_data(void **state)
{
    struct run_record run = failed();
    struct buf b = { 0 };

    (void)state;
    run.process = TEXT("a\"b");
    run.trigger_name = TEXT("c]d");
    run.remote_id = TEXT("e\\f");
    run.error_message = TEXT("tab\there, line\nbreak, \x7f, \x1b[31m, bad \xff, l\xc3\xb6ss, \xe2\x80\xa8 and \xe2\x80\xae");
    syslog_format_5424(&b, &run, NULL, "/r", DAEMON, "belfry", "h", NOW_MS, false);
    assert_non_null(strstr(buf_str(&b), " process=\"a\\\"b\" trigger=\"watch/c\\]d\" "));
    assert_non_null(strstr(buf_str(&b), " remote=\"e\\\\f\" "));
    /* A backslash that Belfry itself puts in for a control character is escaped as any other. */
    assert_non_null(strstr(buf_str(&b), " error=\"tab\\\\x09here, line\\\\x0Abreak, \\\\x7F, \\\\x1B[31m, bad \\\\xFF,"
                                        " l\xc3\xb6ss, \\\\xE2\\\\x80\\\\xA8 and \\\\xE2\\\\x80\\\\xAE\""));
    assert_non_null(strstr(buf_str(&b), "] run " ID " of a\"b failed"));
    for (size_t i = 0; i < b.len; i++)
        assert_true((unsigned char)b.data[i] >= 0x20 && b.data[i] != 0x7f);
    assert_true(text_is_utf8(b.data, b.len));
    buf_close(&b);
}

static void severities(void **state)
{
    const struct { enum run_state state; int severity; } rows[] = {
        { RUN_COMPLETED, 6 }, { RUN_SKIPPED, 6 }, { RUN_CANCELED, 5 }, { RUN_FAILED, 3 }, { RUN_TIMED_OUT, 3 },
        { RUN_LOST, 3 }, { RUN_RUNNING, 6 },
    };
    struct run_record run = failed();
    struct buf b = { 0 };
    char expected[16];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        run.state = rows[i].state;
        for (int facility = 0; facility <= 23; facility += 23) {
            (void)snprintf(expected, sizeof expected, "<%d>1 ", facility * 8 + rows[i].severity);
            buf_reset(&b);
            syslog_format_5424(&b, &run, NULL, "/r", facility, "belfry", "h", NOW_MS, false);
            assert_int_equal(strncmp(buf_str(&b), expected, strlen(expected)), 0);
        }
    }
    run.state = RUN_STARTING;
    buf_reset(&b);
    syslog_format_5424(&b, &run, "no such program", "/r", DAEMON, "belfry", "h", NOW_MS, false);
    assert_int_equal(strncmp(buf_str(&b), "<28>1 ", 6), 0);
    assert_non_null(strstr(buf_str(&b), " state=\"start_failed\""));
    assert_non_null(strstr(buf_str(&b), " error=\"no such program\"] run " ID " of invoices start failed"));
    assert_null(strstr(buf_str(&b), "results="));
    buf_close(&b);
}

/* Whatever comes, a line has an end: its structured data is closed, and no character is cut in two. */
static void long_values(void **state)
{
    static char quotes[20000], wide[20001], path[20000];
    struct run_record run = failed();
    struct buf b = { 0 };

    (void)state;
    memset(quotes, '"', sizeof quotes - 1);
    memset(path, ']', sizeof path - 1);
    for (size_t i = 0; i + 2 < sizeof wide; i += 2)
        memcpy(wide + i, "\xc3\xb6", 2);
    run.process = run.trigger_name = run.remote_id = run.error_message = quotes;
    syslog_format_5424(&b, &run, NULL, path, DAEMON, "belfry", "h", NOW_MS, true);
    assert_in_range(b.len, 2000, 8192);
    assert_non_null(strstr(buf_str(&b), "\" again=\"maybe\"] run " ID " of "));
    for (size_t shift = 0; shift < 2; shift++) {
        buf_reset(&b);
        run.process = run.trigger_name = run.remote_id = run.error_message = shift == 0 ? wide : wide + 1;
        wide[1] = shift == 0 ? wide[1] : 'x';
        syslog_format_5424(&b, &run, NULL, path, DAEMON, "belfry", "h", NOW_MS, false);
        assert_in_range(b.len, 2000, 8192);
        assert_true(text_is_utf8(b.data, b.len));
    }
    buf_reset(&b);
    run.error_message = quotes;
    syslog_format_local(&b, &run, NULL, path, DAEMON, "belfry", NOW_MS, false);
    assert_in_range(b.len, 2000, 8192);
    assert_int_equal(b.data[b.len - 1], ']');   /* results= is plain, and the last word */
    buf_close(&b);
}

/* --- the local socket --------------------------------------------------------------------------------------------- */

static void local_lines(void **state)
{
    struct run_record run = failed();
    struct buf b = { 0 };

    (void)state;
    syslog_format_local(&b, &run, NULL, "/r/x", DAEMON, "belfry", NOW_MS, false);
    assert_line(&b, "<27>Jan  5 10:01:05 belfry[PID]: run=" ID " process=invoices trigger=watch/drops state=failed"
                    " remote=r-1 duration_ms=1000 exit_code=7 error=\"the command ended with exit code 7\" results=/r/x");
    run.process = TEXT("two words");
    run.trigger_name = TEXT("x=y");
    run.remote_id = TEXT("");
    run.error_message = TEXT("a \"quote\", a \\ and\na line");
    syslog_format_local(&b, &run, NULL, "/r", DAEMON, "belfry", NOW_MS, true);
    assert_line(&b, "<27>Jan  5 10:01:05 belfry[PID]: run=" ID " process=\"two words\" trigger=\"watch/x=y\" state=failed"
                    " remote=\"\" duration_ms=1000 exit_code=7 error=\"a \\\"quote\\\", a \\\\ and\\\\x0Aa line\""
                    " results=/r again=maybe");
    buf_close(&b);
}

/* --- the journal -------------------------------------------------------------------------------------------------- */

static void journal_fields(void **state)
{
    struct run_record run = failed();
    struct buf b = { 0 };

    (void)state;
    run.trigger_name = TEXT("drops\nPRIORITY=0");
    run.error_message = TEXT("first\nsecond=\"x\"");
    syslog_format_journal(&b, &run, NULL, "/r/x", "belfry", true);
    assert_bytes(&b, "PRIORITY=3\nSYSLOG_IDENTIFIER=belfry\n"
                     "MESSAGE=run=" ID " process=invoices trigger=\"watch/drops\\\\x0APRIORITY=0\" state=failed remote=r-1"
                     " duration_ms=1000 exit_code=7 error=\"first\\\\x0Asecond=\\\"x\\\"\" results=/r/x again=maybe\n"
                     "BELFRY_RUN=" ID "\nBELFRY_PROCESS=invoices\nBELFRY_TRIGGER=watch/drops\\x0APRIORITY=0\n"
                     "BELFRY_STATE=failed\nBELFRY_REMOTE=r-1\nBELFRY_DURATION_MS=1000\nBELFRY_EXIT_CODE=7\n"
                     "BELFRY_ERROR=first\\x0Asecond=\"x\"\nBELFRY_RESULTS=/r/x\nBELFRY_AGAIN=maybe\n");
    buf_close(&b);
}

/* Nothing of a line may be read as the start of another. */
static void lines_in_a_row(void **state)
{
    struct run_record run = failed();
    struct buf b = { 0 };
    size_t first;

    (void)state;
    syslog_format_5424(&b, &run, NULL, "/r", DAEMON, "belfry", "h", NOW_MS, false);
    first = b.len;
    syslog_format_5424(&b, &run, NULL, "/r", DAEMON, "belfry", "h", NOW_MS, false);
    assert_int_equal(b.len, 2 * first);
    assert_memory_equal(b.data, b.data + first, first);   /* appended: what was there stays */
    buf_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc5424),
        cmocka_unit_test(escapes_in_structured_data),
        cmocka_unit_test(severities),
        cmocka_unit_test(long_values),
        cmocka_unit_test(local_lines),
        cmocka_unit_test(journal_fields),
        cmocka_unit_test(lines_in_a_row),
    };

    (void)setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
