/* The files of a configuration: conf.d in its order, paths where they stand, secrets that nobody else may write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "belfry/base/file.h"
#include "config_fixture.h"

#define REMOTE "[workspace r]\ntype = robocorp\nid = x\n"

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(in_folder(name), 0700), 0);
}

static void conf_d_is_read_in_name_order(void **state)
{
    struct config *c;

    (void)state;
    make_folder("conf.d");
    write_text("conf.d/20-b.conf", "[schedule b]\nprocess = p\nevery = 1h\n");
    write_text("conf.d/10-z.conf", "[schedule z]\nprocess = p\nevery = 1h\n");
    write_text("conf.d/9-y.conf", "[schedule y]\nprocess = p\nevery = 1h\n");
    write_text("conf.d/.hidden.conf", "nonsense\n");
    write_text("conf.d/30-c.conf~", "nonsense\n");
    write_text("conf.d/40-d.conf.bak", "nonsense\n");
    write_text("conf.d/.conf", "nonsense\n");
    c = good(PROCESS "[schedule a]\nprocess = p\nevery = 1h\n");
    assert_int_equal(c->schedule_count, 4);
    assert_string_equal(c->schedules[0].name, "a");
    assert_string_equal(c->schedules[1].name, "z");
    assert_string_equal(c->schedules[2].name, "b");
    assert_string_equal(c->schedules[3].name, "y");
    assert_string_equal(c->path, in_folder("belfry.conf"));
    config_release(c);
}

/* A reference may lead to any file, before or behind; a section stands once in all of them. */
static void files_are_one_configuration(void **state)
{
    struct config *c;

    (void)state;
    make_folder("conf.d");
    write_text("conf.d/a.conf", "[schedule s]\nprocess = p\nevery = 1h\nskip = cal\n");
    write_text("conf.d/b.conf", PROCESS "[calendar cal]\ndays = sat\n");
    c = good("[daemon]\nmax_runs = 3\n");
    assert_ptr_equal(c->schedules[0].process, config_process(c, "p"));
    assert_int_equal(c->schedules[0].timing.skip_count, 1);
    assert_ptr_equal(c->schedules[0].timing.skip[0], &c->calendars[0]->days);
    config_release(c);
    write_text("conf.d/c.conf", "[daemon]\nmax_runs = 4\n[process p]\nworkspace = here\ncommand = other\n");
    assert_null(load());
    assert_non_null(strstr(buf_str(&report), "c.conf:1: [daemon]"));
    assert_non_null(strstr(buf_str(&report), "belfry.conf:1\n"));
    assert_non_null(strstr(buf_str(&report), "c.conf:3: [process p]"));
    assert_non_null(strstr(buf_str(&report), "b.conf:3\n"));
}

/* A section does not go on in the next file, and a file's last line needs no end. */
static void a_section_ends_with_its_file(void **state)
{
    (void)state;
    make_folder("conf.d");
    write_text("conf.d/a.conf", "max_runs = 3\n");
    write_text("conf.d/b.conf", "  max_runs = 4");
    write_text("belfry.conf", "[daemon]\nlog_level = info");
    assert_null(load());
    assert_non_null(strstr(buf_str(&report), "a.conf:1: max_runs"));
    assert_non_null(strstr(buf_str(&report), "b.conf:1: max_runs"));
}

static void files_that_cannot_be_read_say_so(void **state)
{
    struct config *config = NULL;

    (void)state;
    buf_reset(&report);
    assert_int_equal(config_load(in_folder("absent.conf"), NULL, NULL, &config, &report), BF_ENOENT);
    assert_non_null(strstr(buf_str(&report), in_folder("absent.conf")));
    buf_reset(&report);
    assert_true(config_load(config_folder, NULL, NULL, &config, &report) < 0);
    assert_non_null(strstr(buf_str(&report), config_folder));
    write_text("belfry.conf", "");
    config_release(good(""));
    make_folder("conf.d");
    make_folder("conf.d/folder.conf");
    assert_null(load());
    assert_non_null(strstr(buf_str(&report), "conf.d/folder.conf"));
    assert_int_equal(rmdir(in_folder("conf.d/folder.conf")), 0);
    assert_int_equal(symlink("nowhere", in_folder("conf.d/dangling.conf")), 0);
    assert_null(load());
    assert_non_null(strstr(buf_str(&report), "conf.d/dangling.conf"));
}

/* A conf.d that is there and cannot be listed is no empty one: half of the schedules would be gone without a word. */
static void a_conf_d_that_cannot_be_listed_says_so(void **state)
{
    char *socket = NULL;
    struct error err;

    (void)state;
    write_text("belfry.conf", "");
    write_text("conf.d", "a file where a folder should be");
    assert_null(load());
    assert_non_null(strstr(buf_str(&report), "conf.d"));
    /* The command line only wants the socket, and gets what the files that it can read say. */
    write_text("belfry.conf", "[daemon]\nsocket = here\n");
    assert_int_equal(config_socket(in_folder("belfry.conf"), &socket, &err), 0);
    assert_string_equal(socket, in_folder("here"));
    free(socket);
}

static void relative_paths_begin_where_they_stand(void **state)
{
    struct config *c;

    (void)state;
    make_folder("conf.d");
    write_text("conf.d/days", "2026-12-25\n");
    write_text("conf.d/a.conf", "[watch w]\nprocess = p\npath = in\nsuccess = move ../done dir\nfailure = move /bad\n"
               "[calendar c]\nfile = days\n");
    c = good("[daemon]\nstate_dir = state\nresults_dir = /results\nsocket = ./run/sock\n" PROCESS "cwd = work\n");
    assert_string_equal(c->daemon.state_dir, in_folder("state"));
    assert_string_equal(c->daemon.results_dir, "/results");
    assert_string_equal(c->daemon.socket, in_folder("./run/sock"));
    assert_string_equal(c->processes[0]->cwd, in_folder("work"));
    assert_string_equal(c->watches[0]->path, in_folder("conf.d/in"));
    assert_int_equal(c->watches[0]->success.kind, AFTER_MOVE);
    assert_string_equal(c->watches[0]->success.dir, in_folder("conf.d/../done dir"));
    assert_string_equal(c->watches[0]->failure.dir, "/bad");
    config_release(c);
}

/* The main file by another name still has its conf.d beside the file itself. */
static void a_linked_file_stands_where_it_leads(void **state)
{
    struct config *config = NULL;

    (void)state;
    make_folder("real");
    make_folder("real/conf.d");
    write_text("real/belfry.conf", "[daemon]\nstate_dir = state\n");
    write_text("real/conf.d/a.conf", "[http]\nmax_connections = 7\n");
    assert_int_equal(symlink("real/belfry.conf", in_folder("link.conf")), 0);
    buf_reset(&report);
    assert_int_equal(config_load(in_folder("link.conf"), NULL, NULL, &config, &report), 0);
    assert_string_equal(config->daemon.state_dir, in_folder("real/state"));
    assert_int_equal(config->http.max_connections, 7);
    config_release(config);
}

static void variables_are_expanded(void **state)
{
    struct config *c;

    (void)state;
    setenv("BELFRY_TEST_A", "one", 1);
    setenv("BELFRY_TEST_B", "", 1);
    setenv("BELFRY_TEST_C", "${BELFRY_TEST_A} $$", 1);
    c = good(WORKSPACE "[process p]\nworkspace = here\nshell = yes\n"
             "command = ${BELFRY_TEST_A}${BELFRY_TEST_A}-${BELFRY_TEST_B}- $HOME $ $$ $${BELFRY_TEST_A} ${BELFRY_TEST_C}\n");
    /* What a variable holds is not looked through again. */
    assert_string_equal(c->processes[0]->command_text, "oneone-- $HOME $ $ ${BELFRY_TEST_A} ${BELFRY_TEST_A} $$");
    config_release(c);
    for (size_t i = 0; i < 5; i++) {
        static const char *const bad[] = { "${", "${}", "${BELFRY_TEST_A", "${BELFRY TEST}", "${1A}" };
        struct buf text = { 0 };

        buf_addf(&text, "[syslog]\ntag = x%s\n", bad[i]);
        write_text("belfry.conf", buf_str(&text));
        buf_close(&text);
        assert_null(load());
        assert_non_null(strstr(buf_str(&report), "belfry.conf:2: [syslog] tag: "));
    }
    unsetenv("BELFRY_TEST_A");
    unsetenv("BELFRY_TEST_B");
    unsetenv("BELFRY_TEST_C");
}

static void a_secret_that_others_may_write_is_refused(void **state)
{
    static const mode_t modes[] = { 0620, 0602, 0666, 0660 };

    (void)state;
    write_text("belfry.conf", REMOTE "api_key_file = key\n");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        write_file("key", "hunter2\n", 8, modes[i]);
        assert_null(load());
        assert_non_null(strstr(buf_str(&report), "belfry.conf:4: [workspace r] api_key_file: "));
        assert_non_null(strstr(buf_str(&report), in_folder("key")));
        assert_null(strstr(buf_str(&report), "hunter2"));
    }
}

static void a_secret_that_others_may_read_is_warned_about(void **state)
{
    struct config *c;

    (void)state;
    write_file("key", "hunter2\n", 8, 0644);
    c = good(REMOTE "api_key_file = key\n");
    assert_string_equal(c->workspaces[0]->api_key.bytes, "hunter2");
    assert_non_null(strstr(buf_str(&report), "belfry.conf:4: [workspace r] api_key_file: "));
    assert_non_null(strstr(buf_str(&report), "chmod go-r"));
    assert_null(strstr(buf_str(&report), "hunter2"));
    config_release(c);
    write_file("key", "hunter2\n", 8, 0600);
    c = good(REMOTE "api_key_file = key\n");
    assert_string_equal(buf_str(&report), "");
    config_release(c);
}

static void secrets_come_from_where_they_are_kept(void **state)
{
    struct config *c;

    (void)state;
    setenv("BELFRY_TEST_SECRET", "from the environment", 1);
    setenv("CREDENTIALS_DIRECTORY", config_folder, 1);
    write_file("cred", "from systemd\n", 13, 0400);
    write_file("one", "first\n", 6, 0600);
    write_file("two", "second\n", 7, 0600);
    c = good(REMOTE "api_key_env = BELFRY_TEST_SECRET\n" PROCESS
             "[webhook h]\nprocess = p\nverify = github\nsecret_file = one two\nsecret_env = BELFRY_TEST_SECRET\n"
             "secret_credential = cred\n");
    assert_string_equal(c->workspaces[0]->api_key.bytes, "from the environment");
    assert_int_equal(c->webhooks[0]->secret_count, 4);
    assert_string_equal(c->webhooks[0]->secrets[0].bytes, "first");
    assert_string_equal(c->webhooks[0]->secrets[1].bytes, "second");
    assert_string_equal(c->webhooks[0]->secrets[2].bytes, "from the environment");
    assert_string_equal(c->webhooks[0]->secrets[3].bytes, "from systemd");
    config_release(c);
    unsetenv("BELFRY_TEST_SECRET");
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_null(load());
    assert_non_null(strstr(buf_str(&report), "BELFRY_TEST_SECRET"));
    assert_non_null(strstr(buf_str(&report), "secret_credential"));
    assert_null(strstr(buf_str(&report), "second"));
}

static void a_secret_is_never_a_bare_value(void **state)
{
    (void)state;
    write_text("belfry.conf", REMOTE "api_key = hunter2\n" PROCESS "[webhook h]\nprocess = p\nverify = bearer\nsecret = swordfish\n");
    assert_null(load());
    assert_non_null(strstr(buf_str(&report), "api_key_file"));
    assert_non_null(strstr(buf_str(&report), "secret_env"));
    assert_null(strstr(buf_str(&report), "hunter2"));
    assert_null(strstr(buf_str(&report), "swordfish"));
}

static void a_configuration_lives_as_long_as_it_is_held(void **state)
{
    struct config *c = good(PROCESS);

    (void)state;
    assert_ptr_equal(config_hold(c), c);
    config_release(c);
    assert_string_equal(config_process(c, "p")->name, "p");
    assert_null(config_process(c, "q"));
    assert_string_equal(config_workspace(c, "here")->name, "here");
    assert_null(config_workspace(c, ""));
    config_release(c);
    config_release(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, config_setup, config_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(conf_d_is_read_in_name_order),
        TEST(files_are_one_configuration),
        TEST(a_section_ends_with_its_file),
        TEST(files_that_cannot_be_read_say_so),
        TEST(a_conf_d_that_cannot_be_listed_says_so),
        TEST(relative_paths_begin_where_they_stand),
        TEST(a_linked_file_stands_where_it_leads),
        TEST(variables_are_expanded),
        TEST(a_secret_that_others_may_write_is_refused),
        TEST(a_secret_that_others_may_read_is_warned_about),
        TEST(secrets_come_from_where_they_are_kept),
        TEST(a_secret_is_never_a_bare_value),
        TEST(a_configuration_lives_as_long_as_it_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
