/* Configurations: typed, checked, everything that is wrong in one go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "belfry/base/file.h"
#include "belfry/config/config.h"
#include "belfry/core/run.h"

static char folder[64], path[128];
static struct buf report;

static int open_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/belfry-config-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/belfry.conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    struct error err;

    (void)state;
    buf_close(&report);
    return file_remove_tree(folder, &err);
}

static int refuse_programs(void *data, const char *program, struct error *err)
{
    (void)data;
    return strstr(program, "bad") == NULL ? 0 : error_set(err, BF_EINVAL, "jq: it is bad");
}

static struct config *load(const char *text)
{
    struct config *config = NULL;
    struct error err;
    int status;

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, &err), 0);
    buf_reset(&report);
    status = config_load(path, refuse_programs, NULL, &config, &report);
    assert_true((status == 0) == (config != NULL));
    return config;
}

#define LOCAL "[workspace here]\ntype = local\n"
#define PROCESS LOCAL "[process p]\nworkspace = here\ncommand = true\n"

static struct config *good(const char *text)
{
    struct config *config = load(text);

    if (config == NULL)
        fail_msg("refused: %s", buf_str(&report));
    return config;
}

static void says(const char *text, const char *words)
{
    struct config *config = load(text);

    if (config != NULL || strstr(buf_str(&report), words) == NULL)
        fail_msg("\"%s\" is not said of:\n%s\nbut: %s", words, text, buf_str(&report));
}

static void defaults(void **state)
{
    struct config *c = good(PROCESS "[schedule s]\nprocess = p\ncron = 30 2 * * *\n");

    (void)state;
    assert_int_equal(c->daemon.max_runs, 64);
    assert_int_equal(c->daemon.keep_runs_ms, INT64_C(90) * 86400000);
    assert_int_equal(c->http.max_body, 1 << 20);
    assert_int_equal(c->http.listen.count, 1);
    assert_string_equal(c->http.listen.items[0], "127.0.0.1:8750");
    assert_string_equal(c->syslog.tag, "belfry");
    assert_int_equal(c->processes[0]->kill_grace_ms, 10000);
    assert_int_equal(c->processes[0]->overlap, OVERLAP_UNSET);
    assert_int_equal(c->processes[0]->results, RESULTS_ALL);
    assert_int_equal(c->schedules[0].catchup, CATCHUP_LAST);
    assert_int_equal(c->schedules[0].catchup_window_ms, 86400000);
    assert_true(id_is_uuid(c->workspaces[0]->id));
    assert_ptr_equal(c->schedules[0].process, c->processes[0]);
    config_release(c);
}

static void values(void **state)
{
    struct config *c;
    char expected[160];

    (void)state;
    assert_int_equal(setenv("BELFRY_WORD", "a \"b c\"", 1), 0);
    c = good("[daemon]\nstate_dir = here/state\nsocket = /run/x.sock\n" LOCAL
             "[process p]\nworkspace = here\ncommand = prog ${BELFRY_WORD} $$x 'single $$' \\\"\ntimeout = 1h30m\nretries = 3\n"
             "retry_on = failed timed_out\nenv = A=1 \"B=2 3\"\nresults = artifacts log\nartifacts = *.txt out/*\n"
             "[webhook w]\nprocess = p\nverify = hmac X-Sig sha256= base64\nsecret_env = BELFRY_WORD\nallow_from = 10.0.0.0/8 ::1\n"
             "path = /hooks/else\nmethods = POST PUT\n");
    (void)snprintf(expected, sizeof expected, "%s/here/state", folder);
    assert_string_equal(c->daemon.state_dir, expected);
    assert_string_equal(c->daemon.socket, "/run/x.sock");
    assert_int_equal(c->processes[0]->command.count, 6);
    assert_string_equal(c->processes[0]->command.items[2], "b c");
    assert_string_equal(c->processes[0]->command.items[3], "$x");
    assert_string_equal(c->processes[0]->command.items[4], "single $");
    assert_string_equal(c->processes[0]->command.items[5], "\"");
    assert_int_equal(c->processes[0]->timeout_ms, 5400000);
    assert_int_equal(c->processes[0]->retry_on, 1U << RUN_FAILED | 1U << RUN_TIMED_OUT);
    assert_int_equal(c->processes[0]->env.count, 2);
    assert_string_equal(c->processes[0]->env.items[1], "B=2 3");
    assert_int_equal(c->processes[0]->results, RESULTS_ARTIFACTS | RESULTS_LOG);
    assert_int_equal(c->webhooks[0]->verify.scheme, VERIFY_HMAC);
    assert_string_equal(c->webhooks[0]->verify.prefix, "sha256=");
    assert_true(c->webhooks[0]->verify.base64);
    assert_int_equal(c->webhooks[0]->allow_count, 2);
    assert_int_equal(c->webhooks[0]->allow_from[0].bits, 104);
    config_release(c);
}

static void every_problem_at_once(void **state)
{
    const char *line;
    int lines = 0;

    (void)state;
    assert_null(load("[daemon]\nmax_runs = many\nlog_levl = info\n[process p]\nworkspace = ther\ncommand = true\n" LOCAL
                     "[schedule s]\nprocess = q\ncron = 61 * * * *\ncatchup = some\n[wach w]\n[process p]\n"));
    for (line = buf_str(&report); *line != '\0'; lines++) {
        assert_int_equal(strncmp(line, path, strlen(path)), 0);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    assert_true(lines >= 8);
}

static void what_is_refused(void **state)
{
    (void)state;
    says("[daemn]\n", "daemon");
    says(PROCESS "[schedule s]\nprocess = p\n", "cron");
    says(PROCESS "[schedule s]\nprocess = p\ncron = * * * * *\nevery = 1m\n", "every");
    says(PROCESS "[schedule s]\nprocess = p\ncron = * * * * *\ntimezone = Europe/Berlinn\n", "Berlinn");
    says(PROCESS "[schedule s]\nprocess = P\ncron = * * * * *\n", "p");
    says(PROCESS "[schedule s]\nprocess = p\ncron = * * * * *\ninput = bad\n", "it is bad");
    says(PROCESS "[webhook w]\nprocess = p\n", "verify");
    says(PROCESS "[webhook w]\nprocess = p\nverify = hmac\n", "HEADER");
    says(PROCESS "[webhook w]\nprocess = p\nverify = bearer\n", "secret");
    says(PROCESS "[webhook w]\nprocess = p\nverify = none\npath = nope\n", "/");
    says(PROCESS "[webhook w]\nprocess = p\nverify = none\n[webhook v]\nprocess = p\nverify = none\npath = /hooks/w\n", "/hooks/w");
    says(PROCESS "[webhook w]\nprocess = p\nverify = none\nallow_from = 10.0.0.0/33\n", "10.0.0.0/33");
    says(PROCESS "[watch w]\nprocess = p\n", "path");
    says(PROCESS "[watch w]\nprocess = p\npath = .\nsuccess = burn\n", "burn");
    says(PROCESS "max_parallel = -1\n", "-1");
    says(PROCESS "process_id = x\n", "process_id");
    says(PROCESS "command = other\n", "line");
    says(LOCAL "[process p]\nworkspace = here\n", "command");
    says(LOCAL "[process p]\nworkspace = here\ncommand = 'open\n", "quote");
    says(LOCAL "[process ../p]\nworkspace = here\ncommand = true\n", "name");
    says(LOCAL "api_url = https://x\n", "api_url");
    says("[workspace w]\ntype = robocorp\nid = x\n", "api_key");
    says("[workspace w]\ntype = robocorp\nid = x\napi_key_env = HOME\napi_url = http://api.example.org\n", "https");
    says("[workspace w]\ntype = robocorp\nid = x\napi_key_env = HOME\napi_url = http://127.0.0.1.example.org/\n", "https");
    says("[workspace w]\ntype = robocorp\nid = x\napi_key_env = HOME\napi_url = http://localhost.example.org/\n", "https");
    says("[workspace w]\ntype = robocorp\nid = x\napi_key = secret\n", "api_key_file");
    says("[http]\nlisten = 0.0.0.0:80\n", "loopback");
    says("[http]\nlisten = 127.0.0.1\n", "127.0.0.1:");
    says("[syslog]\ntarget = udp://\n", "udp://");
    says("[daemon]\nstate_dir = ${BELFRY_NOT_SET}\n", "BELFRY_NOT_SET");
    says("k = v\n", "section");
}

static void a_secret_is_never_told(void **state)
{
    (void)state;
    assert_null(load("[workspace w]\ntype = robocorp\nid = x\napi_key = hunter2\n"));
    assert_null(strstr(buf_str(&report), "hunter2"));
}

static void ten_thousand_schedules(void **state)
{
    struct buf text = { 0 };
    struct config *c;

    (void)state;
    buf_adds(&text, PROCESS);
    for (int i = 0; i < 10000; i++)
        buf_addf(&text, "[schedule s%d]\nprocess = p\ncron = %d %d * * *\n", i, i % 60, i / 60 % 24);
    c = good(buf_str(&text));
    assert_int_equal(c->schedule_count, 10000);
    assert_string_equal(c->schedules[9999].name, "s9999");
    config_release(c);
    buf_close(&text);
}

static void the_socket_alone(void **state)
{
    char *socket = NULL;
    struct error err;

    (void)state;
    assert_null(load("[daemon]\nsocket = run/b.sock\nnonsense\n[process p]\n"));
    assert_int_equal(config_socket(path, &socket, &err), 0);
    assert_non_null(strstr(socket, "/run/b.sock"));
    free(socket);
    assert_int_not_equal(config_socket("/nonexistent/belfry.conf", &socket, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults), cmocka_unit_test(values), cmocka_unit_test(every_problem_at_once),
        cmocka_unit_test(what_is_refused), cmocka_unit_test(a_secret_is_never_told), cmocka_unit_test(ten_thousand_schedules),
        cmocka_unit_test(the_socket_alone),
    };

    return cmocka_run_group_tests(tests, open_folder, remove_folder);
}
