/* jq programs in their confined child: what they may, what they may not, and what becomes of their neighbours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "belfry/triggers/eval.h"

struct asked {
    struct evaluation evaluation;
    int status;
    int calls;
    int order;
    char *text;
};

struct world {
    uv_loop_t loop;
    struct evaluator *evaluator;
    bool in_run;
    int told;
    bool closed;
};

static struct world world;

static void told(struct evaluation *e, int status)
{
    struct asked *a = e->data;
    assert_false(world.in_run);
    a->status = status;
    a->calls++;
    a->order = world.told++;
    a->text = status == 0 ? json_dumps(e->result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    assert_true((status == 0) == (e->result != NULL));
    json_decref(e->result);
}

static void ask(struct asked *a, const char *program, const json_t *value)
{
    memset(a, 0, sizeof *a);
    a->evaluation.program = program;
    a->evaluation.value = value;
    a->evaluation.cb = told;
    a->evaluation.data = a;
    world.in_run = true;
    evaluator_run(world.evaluator, &a->evaluation);
    world.in_run = false;
}

static void wait_for(const struct asked *a)
{
    while (a->calls == 0)
        uv_run(&world.loop, UV_RUN_ONCE);
    assert_int_equal(a->calls, 1);
}

static void on_closed(void *data)
{
    struct world *w = data;
    w->closed = true;
}

static int begin(void **state)
{
    struct error err;
    (void)state;
    memset(&world, 0, sizeof world);
    setenv("BELFRY_LIBEXEC", EVAL_FOLDER, 1);
    uv_loop_init(&world.loop);
    return evaluator_new(&world.loop, &world.evaluator, &err);
}

static int end(void **state)
{
    (void)state;
    if (!world.closed)
        evaluator_close(world.evaluator, on_closed, &world);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    assert_true(world.closed);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    return 0;
}

static void gives(const char *program, const json_t *value, const char *expected)
{
    struct asked a;
    ask(&a, program, value);
    wait_for(&a);
    if (a.status != 0)
        print_error("%s: %s\n", program, a.evaluation.error.text);
    assert_int_equal(a.status, 0);
    assert_string_equal(a.text, expected);
    free(a.text);
}

static void refuses(const char *program, const json_t *value, const char *reason)
{
    struct asked a;
    ask(&a, program, value);
    wait_for(&a);
    assert_int_equal(a.status, BF_EINVAL);
    assert_int_equal(a.evaluation.error.code, BF_EINVAL);
    if (!strstr(a.evaluation.error.text, reason))
        print_error("%s: '%s' is not in: %s\n", program, reason, a.evaluation.error.text);
    assert_non_null(strstr(a.evaluation.error.text, reason));
}

static void test_results(void **state)
{
    (void)state;
    json_t *v = json_pack("{s:i, s:[i,i], s:s, s:s}", "a", 1, "list", 1, 2, "name", "Zo\xc3\xab", "odd", "\"\\\n");
    gives(".", v, "{\"a\":1,\"list\":[1,2],\"name\":\"Zoë\",\"odd\":\"\\\"\\\\\\n\"}");
    gives(".a == 1", v, "true");
    gives("[.list[] | {n: .}]", v, "[{\"n\":1},{\"n\":2}]");
    gives(".name | ascii_downcase", v, "\"zoë\"");
    gives("null", v, "null");
    gives("9007199254740991", v, "9007199254740991");
    gives(".a | tostring + \"x\"", v, "\"1x\"");
    gives("# a comment\n.a", v, "1");
    gives(".", NULL, "null");
    json_decref(v);
}

static void test_failures(void **state)
{
    (void)state;
    json_t *v = json_pack("{s:i}", "a", 1);
    refuses("empty", v, "gave nothing");
    refuses(".a, .a", v, "gave several");
    refuses(".a.b", v, "Cannot index number");
    refuses("error(\"no \\u001b[31m such thing\")", v, "no \\x1B[31m such thing");
    refuses("error({why: 1})", v, "{\"why\":1}");
    refuses("halt", v, "halt");
    refuses("\"x\" | halt_error", v, "halt");
    refuses(".a, error(\"late\")", v, "late");
    refuses(".a ^ b", v, "syntax error");
    refuses("nothing_like_it", v, "nothing_like_it/0 is not defined");
    gives(".a", v, "1");
    json_decref(v);
}

static pid_t only_child(void)
{
    char path[64], line[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    const bool any = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    return any ? (pid_t)strtol(line, NULL, 10) : 0;
}

/* What the kernel says of the child. */
static void status_has(pid_t child, const char *wanted)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", (int)child);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    assert_non_null(strstr(text, wanted));
}

static void test_confined(void **state)
{
    (void)state;
    json_t *v = json_pack("{s:i}", "a", 1);
    setenv("BELFRY_EVAL_TEST_SECRET", "s3cr3t", 1);
    gives("env", v, "{}");
    gives("$ENV.BELFRY_EVAL_TEST_SECRET", v, "null");
    refuses("include \"x\"; .", v, "module not found");
    refuses("import \"/etc/passwd\" as $x; .", v, "module not found");
    refuses("\"/etc/passwd\" | modulemeta", v, "module not found");
    refuses("input", v, "");
    gives("[inputs]", v, "[]");
    gives("input_filename", v, "null");
    gives("debug | stderr | .a", v, "1");
    gives("0 | localtime | mktime", v, "0");
    gives("now | type", v, "\"number\"");
    status_has(only_child(), "\nSeccomp:\t2\n");
    status_has(only_child(), "\nNoNewPrivs:\t1\n");
    json_decref(v);
}

static void test_bounds(void **state)
{
    (void)state;
    json_t *v = json_pack("{s:i}", "a", 1);
    refuses("def f: f; f", v, "took more than 1000 ms");
    gives(".a", v, "1");
    refuses("reduce range(40) as $i (\"x\"; . + .)", v, "used more than 128 MiB");
    gives(".a", v, "1");
    refuses("reduce range(23) as $i (\"x\"; . + .)", v, "more than 4 MiB");
    gives("reduce range(20) as $i (\"x\"; . + .) | length", v, "1048576");
    refuses("reduce range(10000) as $i (null; [.])", v, "result");
    gives(".a", v, "1");
    json_decref(v);
}

static void test_many_in_order(void **state)
{
    enum { MANY = 1000 };
    struct asked *all = calloc(MANY, sizeof *all);
    char (*programs)[32] = calloc(MANY, sizeof *programs);
    char expected[32];
    json_t *v = json_integer(5);
    (void)state;
    for (int i = 0; i < MANY; i++) {
        /* More programs than the child keeps compiled. */
        snprintf(programs[i], sizeof programs[i], ". + %d", i % 80 == 79 ? i : i % 4);
        ask(&all[i], programs[i], v);
    }
    wait_for(&all[MANY - 1]);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(all[i].status, 0);
        assert_int_equal(all[i].order, i);
        snprintf(expected, sizeof expected, "%d", 5 + (i % 80 == 79 ? i : i % 4));
        assert_string_equal(all[i].text, expected);
        free(all[i].text);
    }
    free(programs);
    free(all);
    json_decref(v);
}

static pid_t last_killed;

/* Kills the child as soon as there is one that is not `but`. */
static pid_t kill_child_but(pid_t but)
{
    pid_t child;
    while ((child = only_child()) == 0 || child == but)
        uv_run(&world.loop, UV_RUN_NOWAIT);
    assert_int_equal(kill(child, SIGKILL), 0);
    last_killed = child;
    return child;
}

static void test_neighbours_of_the_killed(void **state)
{
    struct asked first, others[40];
    json_t *v = json_integer(5);
    (void)state;
    ask(&first, "def f: f; f", v);
    for (int i = 0; i < 40; i++)
        ask(&others[i], ". * 2", v);
    /* Killed from outside: once, it gets another child; the second time it is blamed. */
    kill_child_but(0);
    const pid_t second = kill_child_but(last_killed);
    assert_true(second > 0);
    wait_for(&first);
    assert_int_equal(first.status, BF_EINVAL);
    assert_non_null(strstr(first.evaluation.error.text, "SIGKILL"));
    wait_for(&others[39]);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(others[i].calls, 1);
        assert_int_equal(others[i].status, 0);
        assert_string_equal(others[i].text, "10");
        free(others[i].text);
    }

    /* One that dies while nothing is asked is nobody's error. */
    const pid_t idle = only_child();
    assert_true(idle > 0);
    kill(idle, SIGKILL);
    gives(". * 3", v, "15");
    json_decref(v);
}

static void test_idle_is_quiet(void **state)
{
    json_t *v = json_integer(5);
    (void)state;
    gives(".", v, "5");
    assert_int_equal(uv_run(&world.loop, UV_RUN_NOWAIT), 1);
    assert_int_equal(uv_backend_timeout(&world.loop), -1);
    json_decref(v);
}

static void test_not_installed(void **state)
{
    struct asked a, b;
    json_t *v = json_integer(5);
    (void)state;
    setenv("BELFRY_LIBEXEC", "/nonexistent", 1);
    ask(&a, ".", v);
    ask(&b, ".", v);
    wait_for(&a);
    wait_for(&b);
    assert_int_equal(a.status, BF_ENOENT);
    assert_int_equal(b.status, BF_ENOENT);
    assert_non_null(strstr(a.evaluation.error.text, "/nonexistent/belfry-eval"));
    setenv("BELFRY_LIBEXEC", EVAL_FOLDER, 1);
    gives(".", v, "5");
    json_decref(v);
}

static void test_large_value(void **state)
{
    struct asked a;
    const size_t len = 3 << 20;
    char *text = malloc(len + 1);
    (void)state;
    memset(text, 'x', len);
    text[len] = '\0';
    json_t *v = json_string(text);
    gives("length", v, "3145728");
    ask(&a, ".", v);
    wait_for(&a);
    assert_int_equal(a.status, 0);
    assert_int_equal(strlen(a.text), len + 2);
    free(a.text);
    json_decref(v);
    free(text);
}

static void test_close_under_way(void **state)
{
    struct asked a, b;
    json_t *v = json_integer(5);
    (void)state;
    ask(&a, "def f: f; f", v);
    ask(&b, ".", v);
    uv_run(&world.loop, UV_RUN_NOWAIT);
    world.in_run = true;
    evaluator_close(world.evaluator, on_closed, &world);
    world.in_run = false;
    assert_false(world.closed);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    assert_true(world.closed);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.status, BF_ECANCELED);
    assert_int_equal(b.status, BF_ECANCELED);
    assert_int_equal(only_child(), 0);
    json_decref(v);
}

static void test_check(void **state)
{
    struct eval_checker *checker;
    struct error err = {0};
    (void)state;
    assert_int_equal(eval_checker_new(&checker, &err), 0);
    assert_int_equal(eval_check(checker, ".a | select(. > 1)", &err), 0);
    assert_int_equal(eval_check(checker, ".a ^ b", &err), BF_EINVAL);
    assert_string_equal(err.text, "jq: syntax error, unexpected INVALID_CHARACTER, expecting $end at <top-level>, line 1");
    assert_int_equal(eval_check(checker, "foo(1)", &err), BF_EINVAL);
    assert_string_equal(err.text, "jq: foo/1 is not defined at <top-level>, line 1");
    /* Compiled, not run. */
    assert_int_equal(eval_check(checker, "def f: f; f", &err), 0);
    assert_int_equal(eval_check(checker, ".a", NULL), 0);
    assert_int_equal(eval_check(checker, "(", NULL), BF_EINVAL);
    eval_checker_free(checker);
    eval_checker_free(NULL);

    assert_int_equal(eval_check(NULL, ".a", &err), 0);
    assert_int_equal(eval_check(NULL, ".a | (", &err), BF_EINVAL);
    assert_int_equal(only_child(), 0);

    setenv("BELFRY_LIBEXEC", "/nonexistent", 1);
    assert_int_equal(eval_check(NULL, ".a", &err), BF_ENOENT);
}

static void test_check_after_a_death(void **state)
{
    struct eval_checker *checker;
    struct error err = {0};
    (void)state;
    assert_int_equal(eval_checker_new(&checker, &err), 0);
    assert_int_equal(eval_check(checker, ".a", &err), 0);
    kill(only_child(), SIGKILL);
    /* It is told, once, and the next one has a new child. */
    assert_true(eval_check(checker, ".b", &err) != 0);
    assert_int_equal(eval_check(checker, ".b", &err), 0);
    eval_checker_free(checker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_results, begin, end),
        cmocka_unit_test_setup_teardown(test_failures, begin, end),
        cmocka_unit_test_setup_teardown(test_confined, begin, end),
        cmocka_unit_test_setup_teardown(test_bounds, begin, end),
        cmocka_unit_test_setup_teardown(test_many_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_neighbours_of_the_killed, begin, end),
        cmocka_unit_test_setup_teardown(test_idle_is_quiet, begin, end),
        cmocka_unit_test_setup_teardown(test_not_installed, begin, end),
        cmocka_unit_test_setup_teardown(test_large_value, begin, end),
        cmocka_unit_test_setup_teardown(test_close_under_way, begin, end),
        cmocka_unit_test_setup_teardown(test_check, begin, end),
        cmocka_unit_test_setup_teardown(test_check_after_a_death, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
