/* What a local run is given, and what is brought home of it: a run may leave anything behind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/file.h"
#include "belfry/base/id.h"
#include "local_fixture.h"

static void assert_file(const struct shop *s, const char *path, const char *text)
{
    char *is = shop_read(s, path);

    assert_string_equal(is, text);
    free(is);
}

/* --- the environment ---------------------------------------------------------------------------------------------- */

/* A variable of the run's, from the output of `env -0`; NULL when it is not there; fails when it is there twice. */
static const char *variable(const struct buf *env, const char *name)
{
    const char *value = NULL;
    size_t len = strlen(name);

    for (size_t at = 0; at < env->len; at += strlen(env->data + at) + 1) {
        if (strncmp(env->data + at, name, len) != 0 || env->data[at + len] != '=')
            continue;
        assert_null(value);
        value = env->data + at + len + 1;
    }
    return value;
}

static void read_env(const struct shop *s, struct buf *env)
{
    struct error err = { 0 };
    char path[PATH_MAX];

    assert_true(snprintf(path, sizeof path, "%s/work/env", s->folder) < (int)sizeof path);
    if (file_read(path, 1 << 20, env, &err) != 0)
        fail_msg("%s", err.text);
    buf_addc(env, '\0');
}

static void assert_variable(const struct buf *env, const char *name, const char *value)
{
    const char *is = variable(env, name);

    if (is == NULL || strcmp(is, value) != 0)
        fail_msg("%s is %s, not %s", name, is != NULL ? is : "not there", value);
}

static void assert_place(const struct shop *s, const struct buf *env, const char *name, const char *place)
{
    char path[PATH_MAX];

    assert_true(snprintf(path, sizeof path, "%s/%s", s->folder, place) < (int)sizeof path);
    assert_variable(env, name, path);
}

static void an_environment_as_a_worker_gives_it(void **state)
{
    struct shop *s = *state;
    struct buf env = { 0 };
    char step[ID_SIZE];

    assert_int_equal(setenv("BELFRY_TEST_SECRET", "of the daemon alone", 1), 0);
    s->run.due_ms = INT64_C(1700000000000);
    shop_script(s, "env -0 >env; pwd -P >pwd");
    shop_run(s, NULL, NULL);
    assert_int_equal(unsetenv("BELFRY_TEST_SECRET"), 0);
    assert_int_equal(s->told.end.exit_code, 0);
    read_env(s, &env);
    run_step_id(s->run.id, step);
    assert_variable(&env, "RC_WORKSPACE_ID", s->workspace.id);
    assert_variable(&env, "RC_PROCESS_ID", s->process.id);
    assert_variable(&env, "RC_PROCESS_RUN_ID", s->run.id);
    assert_variable(&env, "RC_STEP_RUN_ID", step);
    assert_variable(&env, "RC_ACTIVITY_RUN_ID", step);
    assert_variable(&env, "RC_WORKITEM_ADAPTER", "FileAdapter");
    assert_variable(&env, "RPA_WORKITEMS_ADAPTER", "RPA.Robocorp.WorkItems.FileAdapter");
    assert_place(s, &env, "RC_WORKITEM_INPUT_PATH", "work-items-in/workitems.json");
    assert_place(s, &env, "RC_WORKITEM_OUTPUT_PATH", "work-items-out/workitems.json");
    assert_place(s, &env, "RPA_INPUT_WORKITEM_PATH", "work-items-in/workitems.json");
    assert_place(s, &env, "RPA_OUTPUT_WORKITEM_PATH", "work-items-out/workitems.json");
    assert_place(s, &env, "ROBOT_ARTIFACTS", "work/output");
    assert_place(s, &env, "ROBOT_ROOT", "work");
    assert_place(s, &env, "BELFRY_INPUT", "input.json");
    assert_variable(&env, "BELFRY_RUN_ID", s->run.id);
    assert_variable(&env, "BELFRY_PROCESS", "p");
    assert_variable(&env, "BELFRY_TRIGGER", "schedule/nightly");
    assert_variable(&env, "BELFRY_ATTEMPT", "1");
    assert_variable(&env, "BELFRY_DUE", "2023-11-14T22:13:20.000Z");
    assert_null(variable(&env, "BELFRY_FILE"));
    assert_null(variable(&env, "BELFRY_TEST_SECRET"));
    assert_null(variable(&env, "BELFRY_LIBEXEC"));
    assert_non_null(variable(&env, "PATH"));
    assert_non_null(variable(&env, "HOME"));
    buf_close(&env);
}

static void the_process_has_the_last_word(void **state)
{
    char home[] = "HOME=/nowhere", adapter[] = "RC_WORKITEM_ADAPTER=mine.Adapter", lines[] = "LINES_OF_TEXT=a\nb=c";
    char *items[] = { home, adapter, lines };
    struct shop *s = *state;
    struct buf env = { 0 };

    s->process.env = (struct words) { .items = items, .count = 3 };
    shop_script(s, "env -0 >env");
    shop_run(s, NULL, NULL);
    read_env(s, &env);
    assert_variable(&env, "HOME", "/nowhere");
    assert_variable(&env, "RC_WORKITEM_ADAPTER", "mine.Adapter");
    assert_variable(&env, "LINES_OF_TEXT", "a\nb=c");
    buf_close(&env);
}

/* Nothing of the daemon's is open in a run, and its input is empty. */
static void no_descriptor_is_left_open(void **state)
{
    struct shop *s = *state;
    char *list;

    shop_script(s, "cat; ls /proc/self/fd >fds");
    shop_run(s, NULL, NULL);
    assert_int_equal(s->told.end.exit_code, 0);
    list = shop_read_run(s, "work/fds");
    assert_string_equal(list, "0\n1\n2\n3\n");   /* 3: ls reads the folder */
    free(list);
}

/* --- what goes in ------------------------------------------------------------------------------------------------- */

static void payloads(void **state)
{
    struct shop *s = *state;

    shop_script(s, "cat \"$BELFRY_INPUT\" >one; cat \"$RC_WORKITEM_INPUT_PATH\" >all");
    shop_run(s, NULL, "[{\"n\": 1, \"text\": \"\\u00e4 \\\"x\\\"\"}, 2]");
    shop_collect(s, "[{\"n\": 1, \"text\": \"\\u00e4 \\\"x\\\"\"}, 2]");
    assert_int_equal(s->told.status, 0);
    {
        char *one = shop_read_run(s, "work/one"), *all = shop_read_run(s, "work/all");

        assert_string_equal(one, "{\"n\":1,\"text\":\"\xc3\xa4 \\\"x\\\"\"}");
        assert_string_equal(all, "[{\"payload\":{\"n\":1,\"text\":\"\xc3\xa4 \\\"x\\\"\"},\"files\":{}},"
                                 "{\"payload\":2,\"files\":{}}]");
        free(one);
        free(all);
    }
    assert_file(s, "out/work-items/input/1/payload.json", "{\"n\":1,\"text\":\"\xc3\xa4 \\\"x\\\"\"}");
    assert_file(s, "out/work-items/input/2/payload.json", "2");
    assert_int_equal(json_array_size(json_object_get(s->told.collection.work_items, "input")), 2);
    assert_int_equal(json_array_size(json_object_get(s->told.collection.work_items, "output")), 0);
}

/* An event for the file `path` below base, which says that it is called `name`. */
static char *file_event(const struct shop *s, const char *path, const char *name, bool attach)
{
    json_t *event = json_pack("{s:{s:o, s:s}, s:b}", "file", "path", json_sprintf("%s/%s", s->base, path), "name", name,
                              "attach", attach);
    char *text = json_text(event);

    assert_non_null(text);
    json_decref(event);
    return text;
}

static void an_attached_file(void **state)
{
    struct shop *s = *state;
    char *event = file_event(s, "drop.csv", "drop.csv", true), *list;

    shop_write(s, "drop.csv", "a,b\n");
    shop_script(s, "while [ ! -e go ]; do sleep 0.02; done; cat \"$BELFRY_FILE\"");
    shop_start(s, event, "[{}]");
    shop_wait_started(s);
    shop_write(s, "drop.csv", "changed after it rang\n");
    shop_write_run(s, "work/go", "");
    shop_follow(s);
    shop_wait_ended(s);
    shop_collect(s, "[{}]");
    assert_file(s, "out/console.log", "a,b\n");
    assert_file(s, "out/work-items/input/1/drop.csv", "a,b\n");
    list = shop_read_run(s, "work-items-in/workitems.json");
    assert_string_equal(list, "[{\"payload\":{},\"files\":{\"drop.csv\":\"drop.csv\"}}]");
    free(list);
    free(event);
}

static void a_file_that_is_not_to_travel(void **state)
{
    struct shop *s = *state;
    char *event = file_event(s, "not-even-there.csv", "not-even-there.csv", false);

    shop_script(s, "echo \"<$BELFRY_FILE>\"");
    shop_run(s, event, NULL);
    shop_collect(s, NULL);
    assert_file(s, "out/console.log", "<>\n");
    free(event);
}

static void a_file_that_is_gone(void **state)
{
    struct shop *s = *state;
    char *event = file_event(s, "gone.csv", "gone.csv", true);

    shop_script(s, "true");
    shop_start(s, event, NULL);
    shop_wait_refused(s);
    assert_int_equal(s->told.not_started, 1);
    assert_false(s->told.again);
    assert_non_null(strstr(s->told.why.text, "gone.csv"));
    free(event);
}

static void a_hostile_name_comes_in(void **state)
{
    struct shop *s = *state;
    char *event = file_event(s, "x", "../../../escaped", true);

    shop_write(s, "x", "x");
    shop_script(s, "basename \"$(dirname \"$BELFRY_FILE\")\"; cat \"$BELFRY_FILE\"");
    shop_run(s, event, NULL);
    shop_collect(s, NULL);
    assert_file(s, "out/console.log", "work-items-in\nx");
    assert_false(shop_has(s, "escaped"));
    assert_false(shop_has(s, "state/escaped"));
    free(event);
}

static void files_of_one_name(void **state)
{
    struct shop *s = *state;
    json_t *event, *files = json_array();
    const char *const names[] = { "a", "b", "c" }, *const shown[] = { "x.csv", "x.csv", "workitems.json" };
    char *text, *list;

    for (size_t i = 0; i < 3; i++) {
        shop_write(s, names[i], names[i]);
        (void)json_array_append_new(files, json_pack("{s:o, s:s}", "path", json_sprintf("%s/%s", s->base, names[i]), "name",
                                                     shown[i]));
    }
    event = json_pack("{s:o}", "files", files);
    text = json_text(event);
    shop_script(s, "cd \"${RC_WORKITEM_INPUT_PATH%/*}\"; cat x.csv x-2.csv workitems-2.json; basename \"$BELFRY_FILE\"");
    shop_run(s, text, "[1]");
    shop_collect(s, "[1]");
    assert_file(s, "out/console.log", "abcx.csv\n");
    assert_file(s, "out/work-items/input/1/x-2.csv", "b");
    list = shop_read_run(s, "work-items-in/workitems.json");
    assert_string_equal(list, "[{\"payload\":1,\"files\":{\"x.csv\":\"x.csv\",\"x-2.csv\":\"x-2.csv\","
                              "\"workitems.json\":\"workitems-2.json\"}}]");
    free(list);
    free(text);
    json_decref(event);
}

/* --- what comes out ----------------------------------------------------------------------------------------------- */

static void the_console_in_order(void **state)
{
    struct shop *s = *state;

    shop_script(s, "echo 1; echo 2 >&2; echo 3; (echo 4 >&2); printf '\\000\\377'; echo 5");
    shop_run(s, NULL, NULL);
    shop_collect(s, NULL);
    {
        static const char expected[] = "1\n2\n3\n4\n\0\xff" "5\n";
        char path[PATH_MAX], is[64];
        FILE *file;

        assert_true(snprintf(path, sizeof path, "%s/console.log", s->out) < (int)sizeof path);
        file = fopen(path, "re");
        assert_non_null(file);
        assert_int_equal(fread(is, 1, sizeof is, file), sizeof expected - 1);
        (void)fclose(file);
        assert_memory_equal(is, expected, sizeof expected - 1);
    }
}

static void artifacts(void **state)
{
    struct shop *s = *state;
    const json_t *a;

    shop_script(s, "printf hello >output/a.txt; mkdir -p output/deep/er; printf x >output/deep/er/b.txt;"
                   " printf y >output/deep/a.txt; printf z >beside.txt");
    shop_run(s, NULL, NULL);
    s->run.state = RUN_COLLECTING;
    s->run.outcome = RUN_COMPLETED;
    s->run.started_ms = s->told.started_ms;
    s->run.ended_ms = s->told.end.ended_ms;
    s->run.has_exit_code = true;
    shop_collect(s, NULL);
    assert_int_equal(s->told.status, 0);
    assert_int_equal(json_array_size(s->told.collection.artifacts), 3);
    a = shop_artifact(s, "a.txt");
    assert_non_null(a);
    assert_string_equal(json_str(a, "step"), "main");
    assert_string_equal(json_str(a, "path"), "artifacts/main/a.txt");
    assert_int_equal(json_int(a, "size", -1), 5);
    assert_string_equal(json_str(a, "sha256"), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_file(s, "out/artifacts/main/a.txt", "hello");
    assert_null(shop_artifact(s, "a-2.txt"));   /* two names that met: the number is the path's */
    assert_file(s, "out/artifacts/main/a-2.txt", "y");
    assert_file(s, "out/artifacts/main/b.txt", "x");
    assert_null(shop_artifact(s, "beside.txt"));
    a = json_array_get(s->told.collection.steps, 0);
    assert_string_equal(json_str(a, "name"), "main");
    assert_string_equal(json_str(a, "state"), "completed");
    assert_int_equal(json_int(a, "exit_code", -1), 0);
}

static void artifacts_by_glob(void **state)
{
    char csv[] = "*.csv", deep[] = "reports/*/final.pdf";
    char *globs[] = { csv, deep };
    struct shop *s = *state;

    s->process.artifacts = (struct words) { .items = globs, .count = 2 };
    shop_script(s, "echo 1 >a.csv; echo 2 >b.txt; mkdir -p reports/x reports/y/z; echo 3 >reports/x/final.pdf;"
                   " echo 4 >reports/y/z/final.pdf; echo 5 >output/c.csv; echo 6 >reports/d.csv");
    shop_run(s, NULL, NULL);
    shop_collect(s, NULL);
    assert_int_equal(json_array_size(s->told.collection.artifacts), 2);
    assert_file(s, "out/artifacts/main/a.csv", "1\n");
    assert_file(s, "out/artifacts/main/final.pdf", "3\n");
}

static void what_is_hostile(void **state)
{
    static const struct {
        const char *name, *path;
    } names[] = { { "-rf", "artifacts/main/%2Drf" }, { ".hidden", "artifacts/main/%2Ehidden" }, { "new\nline", "artifacts/main/new%0Aline" },
                  { "...", "artifacts/main/%2E.." }, { "bad%FFutf8", "artifacts/main/bad%FFutf8" } };
    char all[] = "output", console[] = "*";
    char *globs[] = { all, console };
    struct shop *s = *state;
    struct stat st;
    char path[PATH_MAX], script[2048];

    shop_write(s, "secret", "not the run's");
    s->process.artifacts = (struct words) { .items = globs, .count = 2 };
    (void)snprintf(script, sizeof script,
                   "cd output; ln -s '%s/secret' link.txt; ln -s '%s' folder; ln -s loop loop; mkfifo pipe;"
                   " ln '%s/secret' hard.txt; echo x >'-rf'; echo x >.hidden; echo x >\"$(printf 'new\\nline')\";"
                   " echo x >\"$(printf 'bad\\377utf8')\"; ln -s x \"$(printf 'bad\\377link')\"; echo x >...;"
                   " i=0; d=.; while [ $i -lt 100 ]; do d=$d/d; i=$((i+1)); done; mkdir -p $d; echo x >$d/deepest",
                   s->base, s->base, s->base);
    shop_script(s, script);
    shop_run(s, NULL, NULL);
    assert_int_equal(s->told.end.exit_code, 0);
    shop_collect(s, NULL);
    assert_int_equal(s->told.status, 0);
    assert_null(shop_artifact(s, "link.txt"));
    assert_null(shop_artifact(s, "secret"));
    assert_null(shop_artifact(s, "pipe"));
    assert_null(shop_artifact(s, "deepest"));
    assert_true(shop_notes(s, "output/link.txt is not a regular file"));
    assert_true(shop_notes(s, "output/folder is not a regular file"));
    assert_true(shop_notes(s, "output/pipe is not a regular file"));
    assert_true(shop_notes(s, "output/bad\\xFFlink is not a regular file"));
    assert_file(s, "out/artifacts/main/%2Drf", "x\n");
    assert_file(s, "out/artifacts/main/%2Ehidden", "x\n");
    assert_file(s, "out/artifacts/main/new%0Aline", "x\n");
    assert_file(s, "out/artifacts/main/bad%FFutf8", "x\n");
    assert_file(s, "out/artifacts/main/%2E..", "x\n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {   /* escaped for the disk alone */
        assert_non_null(shop_artifact(s, names[i].name));
        assert_string_equal(json_str(shop_artifact(s, names[i].name), "path"), names[i].path);
    }
    /* A hard link to a file of somebody else's: its bytes, and no hand on it. */
    assert_file(s, "out/artifacts/main/hard.txt", "not the run's");
    shop_write(s, "elsewhere", "");
    assert_true(snprintf(path, sizeof path, "%s/artifacts/main/hard.txt", s->out) < (int)sizeof path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_nlink, 1);
}

/* The run's own folders, or its console, may be links by the time of the collection. */
static void places_that_became_links(void **state)
{
    struct shop *s = *state;
    char script[2048];

    shop_write(s, "console.log", "not the run's");
    shop_write(s, "workitems.json", "[{\"payload\": \"not the run's\"}]");
    (void)snprintf(script, sizeof script,
                   "cd ..; rm -r work/output; ln -s '%s' work/output; rm -r work-items-out; ln -s '%s' work-items-out",
                   s->base, s->base);
    shop_script(s, script);
    shop_run(s, NULL, NULL);
    assert_int_equal(s->told.end.exit_code, 0);
    shop_collect(s, NULL);
    assert_int_equal(s->told.status, 0);
    assert_int_equal(json_array_size(s->told.collection.artifacts), 0);
    assert_int_equal(json_array_size(json_object_get(s->told.collection.work_items, "output")), 0);
    assert_true(shop_notes(s, "work-items-out/workitems.json cannot be read"));
}

static void output_work_items(void **state)
{
    struct shop *s = *state;
    const json_t *items, *files;

    shop_script(s, "cd \"${RC_WORKITEM_OUTPUT_PATH%/*}\"; printf report >r.txt; mkdir sub; printf s >sub/s.txt;"
                   " printf '%s' '[{\"payload\": {\"n\": 1}, \"files\": {\"r.txt\": \"r.txt\", \"../s.txt\": \"sub/s.txt\","
                   " \"evil\": \"../input.json\", \"abs\": \"/etc/hostname\", \"odd\": 7}}, {\"payload\": \"two\"}, 3]'"
                   " >workitems.json");
    shop_run(s, NULL, "[1]");
    shop_collect(s, "[1]");
    assert_int_equal(s->told.status, 0);
    items = json_object_get(s->told.collection.work_items, "output");
    assert_int_equal(json_array_size(items), 3);
    assert_string_equal(json_str(json_array_get(items, 0), "path"), "work-items/output/1");
    assert_int_equal(json_int(json_object_get(json_array_get(items, 0), "payload"), "n", -1), 1);
    files = json_object_get(json_array_get(items, 0), "files");
    assert_int_equal(json_array_size(files), 2);
    assert_file(s, "out/work-items/output/1/payload.json", "{\"n\":1}");
    assert_file(s, "out/work-items/output/1/r.txt", "report");
    assert_false(shop_has(s, "out/work-items/output/s.txt"));
    assert_file(s, "out/work-items/output/2/payload.json", "\"two\"");
    assert_file(s, "out/work-items/output/3/payload.json", "null");
    assert_true(shop_notes(s, "evil is no file"));
    assert_true(shop_notes(s, "abs is no file"));
}

/* So many that not each is synced by itself. */
static void many_output_work_items(void **state)
{
    struct shop *s = *state;

    shop_script(s, "cd \"${RC_WORKITEM_OUTPUT_PATH%/*}\"; >other; ln other second;"
                   " { printf '[null'; for i in $(seq 2 200); do printf %s $i >f$i; printf ',{\"payload\":%s,\"files\":{\"f\":\"f%s\"}}' $i $i; done;"
                   " printf ',{\"payload\":\"linked\",\"files\":{\"f\":\"second\"}}]'; } >workitems.json; printf linked >other");
    shop_run(s, NULL, NULL);
    shop_collect(s, NULL);
    assert_int_equal(s->told.status, 0);
    assert_int_equal(json_array_size(json_object_get(s->told.collection.work_items, "output")), 201);
    assert_file(s, "out/work-items/output/2/f", "2");
    assert_file(s, "out/work-items/output/200/f", "200");
    assert_file(s, "out/work-items/output/200/payload.json", "200");
    assert_file(s, "out/work-items/output/201/f", "linked");
}

static void output_that_is_no_list(void **state)
{
    static const char *const texts[] = { "{\"payload\": 1}", "[{\"payload\": 1}", "\xff", "" };
    struct shop *s = *state;

    shop_script(s, "true");
    shop_run(s, NULL, NULL);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        shop_write_run(s, "work-items-out/workitems.json", texts[i]);
        shop_collect(s, NULL);
        assert_int_equal(s->told.status, 0);
        assert_true(shop_notes(s, "work-items-out/workitems.json cannot be read"));
        assert_int_equal(file_remove_tree(s->out, NULL), 0);
        assert_int_equal(mkdir(s->out, 0700), 0);
    }
}

static void only_what_is_wanted(void **state)
{
    struct shop *s = *state;

    s->process.results = RESULTS_LOG;
    shop_script(s, "echo x >output/a; echo hello");
    shop_run(s, NULL, NULL);
    shop_collect(s, NULL);
    assert_file(s, "out/console.log", "hello\n");
    assert_false(shop_has(s, "out/artifacts"));
    assert_false(shop_has(s, "out/work-items"));
    assert_int_equal(json_array_size(s->told.collection.artifacts), 0);
}

/* Collected once more after a crash, into another folder: nothing was taken away by the first. */
static void collected_twice(void **state)
{
    struct shop *s = *state;

    shop_script(s, "echo x >output/a; echo hello");
    shop_run(s, NULL, NULL);
    shop_collect(s, NULL);
    assert_int_equal(file_remove_tree(s->out, NULL), 0);
    assert_int_equal(mkdir(s->out, 0700), 0);
    shop_collect(s, NULL);
    assert_int_equal(s->told.status, 0);
    assert_file(s, "out/console.log", "hello\n");
    assert_file(s, "out/artifacts/main/a", "x\n");
}

/* Any number of files of one name: the next number is known, and not looked for from the first one. */
static void one_name_many_times(void **state)
{
    struct shop *s = *state;

    shop_script(s, "for i in 1 2 3 4; do mkdir output/$i; echo $i >output/$i/a.txt; done; echo x >output/a-3.txt");
    shop_run(s, NULL, NULL);
    shop_collect(s, NULL);
    assert_int_equal(s->told.status, 0);
    assert_int_equal(json_array_size(s->told.collection.artifacts), 5);
    assert_file(s, "out/artifacts/main/a.txt", "1\n");
    assert_file(s, "out/artifacts/main/a-2.txt", "2\n");
    assert_file(s, "out/artifacts/main/a-3.txt", "3\n");
    assert_file(s, "out/artifacts/main/a-4.txt", "4\n");
    assert_file(s, "out/artifacts/main/a-3-2.txt", "x\n");
}

/* Whose console it was has no say in its size: it is a file like any other. */
static void a_console_that_was_made_too_big(void **state)
{
    struct shop *s = *state;

    shop_script(s, "truncate -s 2T ../console.log; ln ../console.log ../other; echo x >output/a");
    shop_run(s, NULL, NULL);
    shop_collect(s, NULL);
    assert_int_equal(s->told.status, 0);
    assert_true(shop_notes(s, "console.log is too big"));
    assert_false(shop_has(s, "out/console.log"));
    assert_file(s, "out/artifacts/main/a", "x\n");
}

static void a_run_that_never_was(void **state)
{
    struct shop *s = *state;

    shop_collect(s, "[{\"n\": 1}]");
    assert_int_equal(s->told.status, 0);
    assert_false(shop_has(s, "out/console.log"));
    assert_file(s, "out/work-items/input/1/payload.json", "{\"n\":1}");
    assert_string_equal(json_str(json_array_get(s->told.collection.steps, 0), "state"), "new");
}

static void nowhere_to_put_it(void **state)
{
    struct shop *s = *state;

    shop_script(s, "echo x >output/a");
    shop_run(s, NULL, NULL);
    assert_int_equal(rmdir(s->out), 0);
    shop_write(s, "out", "a file in its place");
    shop_collect(s, NULL);
    assert_int_not_equal(s->told.status, 0);
    assert_int_equal(s->told.status, s->told.why.code);
    assert_non_null(strstr(s->told.why.text, s->out));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, shop_setup, shop_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_environment_as_a_worker_gives_it),
        TEST(the_process_has_the_last_word),
        TEST(no_descriptor_is_left_open),
        TEST(payloads),
        TEST(an_attached_file),
        TEST(a_file_that_is_not_to_travel),
        TEST(a_file_that_is_gone),
        TEST(a_hostile_name_comes_in),
        TEST(files_of_one_name),
        TEST(the_console_in_order),
        TEST(artifacts),
        TEST(artifacts_by_glob),
        TEST(what_is_hostile),
        TEST(places_that_became_links),
        TEST(output_work_items),
        TEST(many_output_work_items),
        TEST(output_that_is_no_list),
        TEST(only_what_is_wanted),
        TEST(collected_twice),
        TEST(one_name_many_times),
        TEST(a_console_that_was_made_too_big),
        TEST(a_run_that_never_was),
        TEST(nowhere_to_put_it),
    };

    (void)alarm(600);   /* a run that never ends fails the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
