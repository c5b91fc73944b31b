/* What a bad configuration is told: each problem with its file, its line, its section and key, and the nearest word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "belfry/base/text.h"
#include "config_fixture.h"

struct told {
    const char *file;
    unsigned line;
    const char *says[3];
};

/* As many lines as there are rows, in their order, each beginning with its place and saying its words. */
static void check_report(const struct told *told, size_t count)
{
    const char *line = buf_str(&report);

    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(line, "\n");
        char *text = strndup(line, len), place[300];

        (void)snprintf(place, sizeof place, "%s:%u: ", in_folder(told[i].file), told[i].line);
        if (strncmp(text, place, strlen(place)) != 0)
            fail_msg("\"%s\" does not begin with \"%s\" in:\n%s", text, place, buf_str(&report));
        for (int k = 0; k < 3 && told[i].says[k] != NULL; k++) {
            if (strstr(text, told[i].says[k]) == NULL)
                fail_msg("\"%s\" does not say \"%s\"", text, told[i].says[k]);
        }
        free(text);
        line += len + (line[len] == '\n');
    }
    assert_string_equal(line, "");
}

#define CHECK(...) \
    do { \
        static const struct told told[] = { __VA_ARGS__ }; \
        assert_null(load()); \
        check_report(told, sizeof told / sizeof *told); \
    } while (0)

#define MAIN "belfry.conf"

static void every_kind_of_problem_is_told_at_its_line(void **state)
{
    (void)state;
    unsetenv("BELFRY_TEST_ABSENT");
    write_text(MAIN,
        "[deamon]\n"                              /* 1 */
        "state_dir = x\n"
        "[daemon]\n"
        "max_runs = lots\n"                       /* 4 */
        "log_levle = info\n"
        "log_level = inof\n"                      /* 6 */
        "keep_runs = 90\n"
        "keep_runs = 90d\n"                       /* 8 */
        "socket = ${BELFRY_TEST_ABSENT}\n"
        "state_dir = ${oops\n"                    /* 10 */
        "results_dir =\n"
        "just words\n"                            /* 12 */
        "[http]\n"
        "max_body = 1m\n"                         /* 14 */
        "max_connections = 0\n"
        "idle_timeout = 50ms\n"                   /* 16 */
        "[process a]\n"
        "workspace = her\n"                       /* 18 */
        "command = true\n"
        "shell = maybe\n"                         /* 20 */
        "[workspace here]\n"
        "type = local\n"                          /* 22 */
        "[workspace here]\n"
        "type = remote\n"                         /* 24: of a section that is passed over */
        "[schedule]\n"
        "[schedule s]\n"                          /* 26 */
        "process = aa\n"
        "cron = 61 * * * *\n"                     /* 28 */
        "only = workdays\n");
    CHECK(
        { MAIN, 1, { "[deamon]", "daemon" } },
        { MAIN, 4, { "[daemon] max_runs: ", "\"lots\"", "whole number" } },
        { MAIN, 5, { "[daemon] log_levle: ", "\"log_level\"" } },
        { MAIN, 6, { "[daemon] log_level: ", "\"inof\"", "\"info\"" } },
        { MAIN, 7, { "[daemon] keep_runs: ", "\"90\"", "90s" } },
        { MAIN, 8, { "[daemon] keep_runs: ", "line 7" } },
        { MAIN, 9, { "[daemon] socket: ", "BELFRY_TEST_ABSENT" } },
        { MAIN, 10, { "[daemon] state_dir: ", "$$" } },
        { MAIN, 11, { "[daemon] results_dir: ", "empty" } },
        { MAIN, 12, { "key = value" } },
        { MAIN, 14, { "[http] max_body: ", "\"1m\"", "10M" } },
        { MAIN, 15, { "[http] max_connections: ", "\"0\"", "1 to 100000" } },
        { MAIN, 16, { "[http] idle_timeout: ", "\"50ms\"", "100ms to 1d" } },
        { MAIN, 18, { "[process a] workspace: ", "[workspace her]", "\"here\"" } },
        { MAIN, 20, { "[process a] shell: ", "\"maybe\"", "yes nor no" } },
        { MAIN, 23, { "[workspace here]", MAIN ":21" } },
        { MAIN, 25, { "[schedule]", "name" } },
        { MAIN, 27, { "[schedule s] process: ", "[process aa]", "\"a\"" } },
        { MAIN, 28, { "[schedule s] cron: ", "61", "0-59" } },
        { MAIN, 29, { "[schedule s] only: ", "[calendar workdays]" } });
}

/* What is not written is told at the section's own line. */
static void what_is_missing_is_told_at_its_section(void **state)
{
    (void)state;
    write_text(MAIN,
        "[workspace w]\n"
        "[workspace r]\n"                         /* 2 */
        "type = robocorp\n"
        "[workspace here]\n"
        "type = local\n"
        "[process a]\n"                           /* 6 */
        "[process b]\n"
        "workspace = here\n"
        "[schedule s]\n"                          /* 9 */
        "process = b\n"
        "[schedule t]\n"                          /* 11 */
        "cron = * * * * *\n"
        "[watch w]\n"                             /* 13 */
        "process = b\n"
        "[webhook h]\n"                           /* 15 */
        "process = b\n");
    CHECK(
        { MAIN, 1, { "[workspace w] ", "type" } },
        { MAIN, 2, { "[workspace r] ", "id is missing" } },
        { MAIN, 2, { "[workspace r] ", "api_key" } },
        { MAIN, 6, { "[process a] ", "workspace is missing" } },
        { MAIN, 7, { "[process b] ", "command is missing" } },
        { MAIN, 9, { "[schedule s] ", "cron", "every" } },
        { MAIN, 11, { "[schedule t] ", "process is missing" } },
        { MAIN, 13, { "[watch w] ", "path is missing" } },
        { MAIN, 15, { "[webhook h] ", "verify is missing" } });
}

static void a_dangling_calendar_has_a_nearest_word_too(void **state)
{
    (void)state;
    write_text(MAIN, PROCESS "[calendar holidays]\ndays = 12-25\n[schedule s]\nprocess = p\ncron = 0 0 * * *\n"
               "skip = holidays holliday\nonly = zebra\n");
    CHECK(
        { MAIN, 11, { "[schedule s] skip: ", "[calendar holliday]", "\"holidays\"" } },
        { MAIN, 12, { "[schedule s] only: ", "[calendar zebra]" } });
}

/* A section that was not understood takes its keys with it: they must not become the keys of the one before. */
static void keys_of_a_bad_section_are_nobodys(void **state)
{
    struct buf text = { 0 };

    (void)state;
    write_text(MAIN, "[daemon]\nmax_runs = 1\n[daemon\nmax_runs = many\nnonsense = 1\n");
    CHECK({ MAIN, 3, { "[kind name]" } });
    write_text(MAIN, "[daemon]\nmax_runs = 1\n[]\nmax_runs = many\n");
    CHECK({ MAIN, 3, { "[kind name]" } });
    write_text(MAIN, "[daemon]\nmax_runs = 1\n[daemon] ; not a comment\nmax_runs = many\n");
    CHECK({ MAIN, 3, { "[kind name]" } });
    buf_adds(&text, "[daemon]\nmax_runs = 1\n[process ");
    for (int i = 0; i < 300; i++)
        buf_addc(&text, 'x');
    buf_adds(&text, "]\nmax_runs = many\nkeep_runs = 1\n");
    write_text(MAIN, buf_str(&text));
    CHECK({ MAIN, 3, { "200 bytes" } });
    buf_close(&text);
    write_text(MAIN, "[ ]\nmax_runs = many\n");
    assert_null(load());
    write_text(MAIN, "max_runs = 1\n[daemon]\n");
    CHECK({ MAIN, 1, { "max_runs", "section" } });
}

static void names_are_plain(void **state)
{
    static const char *const bad[] = { "../x", "a/b", "a b", "-a", ".a", "_a", "\xC3\xBC", "a:b", "a\x1B[31m",
        "12345678901234567890123456789012345678901234567890123456789012345" };
    static const char *const fine[] = { "a", "A-1_b.c", "9", "1234567890123456789012345678901234567890123456789012345678901234" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf text = { 0 };

        buf_addf(&text, "[calendar %s]\ndays = sat\n", bad[i]);
        write_text(MAIN, buf_str(&text));
        buf_close(&text);
        CHECK({ MAIN, 1, { "[calendar ", "letters, digits" } });
        assert_null(strchr(buf_str(&report), 0x1B));
    }
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        struct buf text = { 0 };

        buf_addf(&text, "[calendar %s]\ndays = sat\n", fine[i]);
        config_release(good(buf_str(&text)));
        buf_close(&text);
    }
}

static void sections_that_this_version_lacks_say_so(void **state)
{
    (void)state;
    write_text(MAIN, "[notify me]\non = failed\n" PROCESS);
    CHECK({ MAIN, 1, { "[notify me]", "not supported" } });
}

static void steps_are_checked(void **state)
{
    (void)state;
    write_text(MAIN, "[workspace w]\ntype = local\n"
        "[step one]\ncommand = true\n[step bare]\nmax_parallel = 0\nitems = some\n"
        "[process p]\nworkspace = w\nsteps = one onne one\n"
        "[process both]\nworkspace = w\nsteps = one\ncommand = true\n"
        "[process shell]\nworkspace = w\nsteps = one\nshell = yes\n"
        "[process none]\nworkspace = w\nsteps =\n");
    CHECK(
        { MAIN, 5, { "[step bare]", "command is missing" } },
        { MAIN, 6, { "[step bare] max_parallel: " } },
        { MAIN, 7, { "[step bare] items: ", "neither all nor each" } },
        { MAIN, 10, { "[process p] steps: ", "there is no [step onne]", "one" } },
        { MAIN, 10, { "[process p] steps: ", "comes twice" } },
        { MAIN, 13, { "[process both] steps: ", "not both" } },
        { MAIN, 18, { "[process shell] shell: ", "[step" } },
        { MAIN, 21, { "[process none] steps: ", "have to follow" } });
    write_text(MAIN, "[http]\nlisten = none\n[workspace w]\ntype = local\n[step one]\ncommand = true\n"
        "[process p]\nworkspace = w\nsteps = one\n");
    CHECK({ MAIN, 7, { "[process p]", "work item API", "listen = none" } });
}

static void secrets_are_named_once_and_near_words_are_hinted_at(void **state)
{
    (void)state;
    write_text("mail", "{}\n");
    write_text("key", "hunter2\n");
    write_text(MAIN, "[workspace w]\ntype = local\n"
        "[secret mail]\nvalue_file = mail\n"
        "[secret typo]\nvalue_fil = mail\n"
        "[process p]\nworkspace = w\ncommand = true\nsecrets = mail mail\n"
        "[webhook h]\nprocess = p\nverify = bearer\nsecret_fille = key\n"
        "[workspace there]\ntype = robocorp\nid = x\napi_key_ev = KEY\n");
    CHECK(
        { MAIN, 5, { "[secret typo]", "missing" } },
        { MAIN, 6, { "[secret typo] value_fil: ", "did you mean \"value_file\"" } },
        { MAIN, 10, { "[process p] secrets: ", "mail comes twice" } },
        { MAIN, 13, { "[webhook h]", "secret" } },
        { MAIN, 14, { "[webhook h] secret_fille: ", "did you mean \"secret_file\"" } },
        { MAIN, 15, { "[workspace there]", "api_key" } },
        { MAIN, 18, { "[workspace there] api_key_ev: ", "did you mean \"api_key_env\"" } });
}

/* What belongs to one kind of workspace or process is refused in the other. */
static void keys_of_the_other_kind_are_refused(void **state)
{
    (void)state;
    write_text("key", "hunter2\n");
    write_text(MAIN,
        "[workspace here]\ntype = local\nrate = 5\napi_key_file = key\n"
        "[workspace there]\ntype = robocorp\nid = x\napi_key_file = key\n"
        "[process a]\nworkspace = here\nprocess_name = A\ncommand = true\n"
        "[process b]\nworkspace = there\nprocess_name = B\nprocess_id = b\n"
        "[process c]\nworkspace = there\nprocess_name = C\ncommand = true\ncwd = .\n");
    CHECK(
        { MAIN, 3, { "[workspace here] rate: " } },
        { MAIN, 4, { "[workspace here] api_key_file: " } },
        { MAIN, 11, { "[process a] process_name: " } },
        { MAIN, 13, { "[process b] ", "process_id", "process_name" } },
        { MAIN, 20, { "[process c] command: " } },
        { MAIN, 21, { "[process c] cwd: " } });
}

/* Keys travel in the clear on these: only the machine itself may be at the other end. */
static void only_the_loopback_is_listened_on(void **state)
{
    static const char *const fine[] = { "127.0.0.1:8750", "127.9.8.7:0", "[::1]:1", "localhost:65535", "none",
        "127.0.0.1:1 [::1]:1" };
    static const char *const bad[] = { "0.0.0.0:80", "[::]:80", "192.0.2.1:80", "127.0.0.1.example.org:80", "127.example.org:80",
        "localhost.example.org:80", "127.1:80", "128.0.0.1:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", ":80",
        "::1:80", "127.0.0.1:80 none", "[::1]", "127.0.0.1:80 0.0.0.0:80" };
    struct buf text = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        buf_reset(&text);
        buf_addf(&text, "[http]\nlisten = %s\n", fine[i]);
        config_release(good(buf_str(&text)));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_reset(&text);
        buf_addf(&text, "[http]\nlisten = %s\n", bad[i]);
        write_text(MAIN, buf_str(&text));
        if (load() != NULL)
            fail_msg("%s is listened on", bad[i]);
        assert_non_null(strstr(buf_str(&report), "belfry.conf:2: [http] listen: "));
    }
    buf_close(&text);
}

/* The report is shown on a terminal: nothing in it can command one. */
static void the_report_is_harmless(void **state)
{
    (void)state;
    write_text(MAIN, "[daemon]\nmax_runs = \x1B[2J\x07\nlog\x1B_level = info\n[k\x1B[31mind x]\n\x1B]0;x\n[daemon\xC2\x9B]\n");
    assert_null(load());
    assert_true(text_is_utf8(report.data, report.len));
    for (const char *c = buf_str(&report); *c != '\0'; c++)
        assert_true(*c == '\n' || ((unsigned char)*c >= 0x20 && *c != 0x7F));
    assert_null(strstr(buf_str(&report), "\xC2\x9B"));
    assert_non_null(strstr(buf_str(&report), "max_runs"));
}

static void bytes_that_are_no_text_are_told_with_their_line(void **state)
{
    static const char nul[] = "[daemon]\nmax_runs = 4\0\nlog_level = info\n";
    static const char latin[] = "[daemon]\n# caf\xE9\nlog_level = info\ntag = \xFF\n";

    (void)state;
    write_file(MAIN, nul, sizeof nul - 1, 0600);
    CHECK({ MAIN, 2, { "UTF-8" } });
    write_file(MAIN, latin, sizeof latin - 1, 0600);
    CHECK({ MAIN, 2, { "UTF-8" } }, { MAIN, 4, { "UTF-8" } });
}

static int check_program(void *data, const char *program, struct error *err)
{
    ++*(int *)data;
    return strchr(program, '!') != NULL ? error_set(err, BF_EINVAL, "jq: unexpected '!'") : 0;
}

static void programs_are_checked_by_who_can(void **state)
{
    struct config *config = NULL;
    int calls = 0;

    (void)state;
    write_text(MAIN, PROCESS "input = {a: !}\n[webhook h]\nprocess = p\nverify = none\nwhen = .a\n  == 1\nkey = !\n");
    buf_reset(&report);
    assert_int_equal(config_load(in_folder(MAIN), check_program, &calls, &config, &report), BF_EINVAL);
    assert_null(config);
    assert_int_equal(calls, 3);
    {
        static const struct told told[] = {
            { MAIN, 6, { "[process p] input: ", "unexpected '!'" } },
            { MAIN, 12, { "[webhook h] key: ", "unexpected '!'" } },
        };

        check_report(told, 2);
    }
}

/* Ten thousand sections of which each is wrong: all are told, in their order. */
static void ten_thousand_problems_are_told(void **state)
{
    struct buf text = { 0 };
    unsigned lines = 0;

    (void)state;
    buf_adds(&text, PROCESS);
    for (unsigned i = 0; i < 10000; i++)
        buf_addf(&text, "[schedule s%u]\nprocess = q%u\ncron = 0 0 * * *\n", i, i);
    write_text(MAIN, buf_str(&text));
    assert_null(load());
    for (const char *at = buf_str(&report); (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 10000);
    assert_non_null(strstr(buf_str(&report), "belfry.conf:30004: [schedule s9999] process: "));
    buf_close(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, config_setup, config_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_problem_is_told_at_its_line),
        TEST(what_is_missing_is_told_at_its_section),
        TEST(a_dangling_calendar_has_a_nearest_word_too),
        TEST(keys_of_a_bad_section_are_nobodys),
        TEST(names_are_plain),
        TEST(sections_that_this_version_lacks_say_so),
        TEST(steps_are_checked), TEST(secrets_are_named_once_and_near_words_are_hinted_at),
        TEST(keys_of_the_other_kind_are_refused),
        TEST(only_the_loopback_is_listened_on),
        TEST(the_report_is_harmless),
        TEST(bytes_that_are_no_text_are_told_with_their_line),
        TEST(programs_are_checked_by_who_can),
        TEST(ten_thousand_problems_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
