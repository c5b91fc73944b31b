/* A local backend with the real belfry-run, in folders of the test's own. */
#include "local_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/file.h"
#include "belfry/base/time.h"

#define POLL_MS 5
#define PATIENCE_MS 60000

/* --- reports ------------------------------------------------------------------------------------------------------ */

static void keep_words(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from != NULL ? from : "");
}

static void check_id(const struct shop *s, const char *run_id)
{
    assert_string_equal(run_id, s->run.id);
}

static void started(void *data, const char *run_id, const char *remote_id, const char *remote_url,
                    const char *backend_state, int64_t started_ms)
{
    struct shop *s = data;

    check_id(s, run_id);
    assert_null(remote_id);
    assert_null(remote_url);
    assert_string_equal(backend_state, "running");
    s->told.started++;
    s->told.started_ms = started_ms;
    if (s->follow_at_once)
        shop_follow(s);
}

static void not_started(void *data, const char *run_id, const struct error *why, bool again, int64_t retry_after_ms)
{
    struct shop *s = data;

    check_id(s, run_id);
    assert_int_equal(retry_after_ms, 0);
    s->told.not_started++;
    s->told.why = *why;
    s->told.again = again;
}

static void start_unknown(void *data, const char *run_id, const struct error *why)
{
    struct shop *s = data;

    check_id(s, run_id);
    s->told.unknown++;
    s->told.why = *why;
}

static void found(void *data, const char *run_id, enum found what, const char *remote_id, const char *remote_url,
                  int64_t started_ms)
{
    struct shop *s = data;

    check_id(s, run_id);
    assert_null(remote_id);
    assert_null(remote_url);
    s->told.found++;
    s->told.what = what;
    s->told.started_ms = started_ms;
}

static void ended(void *data, const char *run_id, const struct run_end *end)
{
    struct shop *s = data;

    check_id(s, run_id);
    s->told.ended++;
    s->told.end = *end;
    keep_words(s->told.backend_state, sizeof s->told.backend_state, end->backend_state);
    keep_words(s->told.error_code, sizeof s->told.error_code, end->error_code);
    keep_words(s->told.error_message, sizeof s->told.error_message, end->error_message);
}

static void collected(void *data, const char *run_id, int status, const struct error *why, struct collection *collection)
{
    struct shop *s = data;

    check_id(s, run_id);
    assert_int_equal(s->told.collected, 0);
    s->told.collected++;
    s->told.status = status;
    if (why != NULL)
        s->told.why = *why;
    if (collection != NULL)
        s->told.collection = *collection;
}

/* --- opening, closing --------------------------------------------------------------------------------------------- */

static char workspace_name[] = "here", workspace_id[] = "8a9f0c51-8b1f-4b53-9f6a-111111111111", process_name[] = "p";
static char trigger_name[] = "nightly";

int shop_setup(void **state)
{
    struct shop *s = calloc(1, sizeof *s);
    const char *tmp = getenv("TMPDIR");
    struct error err = { 0 };

    assert_non_null(s);
    assert_int_equal(setenv("BELFRY_LIBEXEC", PROGRAMS, 1), 0);
    /* What a supervisor that was killed leaves behind comes to this process, which can then tell that it has ended. */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    assert_int_equal(uv_loop_init(&s->loop), 0);
    (void)snprintf(s->base, sizeof s->base, "%s/belfry-local-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(s->base));
    (void)snprintf(s->state, sizeof s->state, "%s/state", s->base);
    (void)snprintf(s->out, sizeof s->out, "%s/out", s->base);
    assert_int_equal(file_make_dirs(s->out, 0700, &err), 0);
    s->reports = (struct backend_reports) { .data = s, .started = started, .not_started = not_started,
                                            .start_unknown = start_unknown, .found = found, .ended = ended,
                                            .collected = collected };
    s->workspace = (struct workspace_config) { .name = workspace_name, .type = WORKSPACE_LOCAL, .id = workspace_id };
    s->process = (struct process_config) { .name = process_name, .workspace = &s->workspace, .shell = true,
                                           .kill_grace_ms = 10000, .results = RESULTS_ALL };
    id_from_name("process", process_name, s->process.id);
    s->run = (struct run_record) { .process = process_name, .workspace = workspace_name,
                                   .trigger_kind = TRIGGER_SCHEDULE, .trigger_name = trigger_name,
                                   .state = RUN_STARTING, .attempt = 1 };
    id_new(time_wall_ms(), s->run.id);
    (void)snprintf(s->folder, sizeof s->folder, "%s/runs/%s", s->state, s->run.id);
    shop_open(s);
    *state = s;
    return 0;
}

void shop_open(struct shop *s)
{
    struct error err = { 0 };

    assert_null(s->backend);
    if (s->flows == NULL)
        assert_int_equal(flows_new(&(struct flows_world) { .data = s }, &s->flows), 0);
    if (backend_local_new(&s->loop, s->state, &s->workspace, s->flows, &s->reports, &s->backend, &err) != 0)
        fail_msg("%s", err.text);
}

static void closed(void *data)
{
    ((struct shop *)data)->backend = NULL;
}

static bool is_closed(const struct shop *s)
{
    return s->backend == NULL;
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

static void tick(uv_timer_t *timer)
{
    (void)timer;
}

static void run_until(struct shop *s, bool (*so)(const struct shop *s), const char *what)
{
    int64_t deadline_ms = time_mono_ms() + PATIENCE_MS;
    uv_timer_t timer;

    uv_timer_init(&s->loop, &timer);
    uv_timer_start(&timer, tick, POLL_MS, POLL_MS);
    while (!so(s) && time_mono_ms() < deadline_ms)
        uv_run(&s->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&s->loop, UV_RUN_NOWAIT);
    if (!so(s))
        fail_msg("waited in vain: %s", what);
}

void shop_close(struct shop *s)
{
    s->backend->ops->close(s->backend, closed, s);
    run_until(s, is_closed, "the backend's close");
}

static void drop_collection(struct collection *c)
{
    json_decref(c->steps);
    json_decref(c->work_items);
    json_decref(c->artifacts);
    json_decref(c->notes);
}

/* All of them end by themselves. But for a test that failed half-way, and lost sight of a run: then they are ended, one after the
 * other, for what a child leaves behind is this process's child, too. */
static void await_children(void)
{
    int64_t deadline_ms = time_mono_ms() + PATIENCE_MS;
    int child;
    FILE *list;

    while (waitpid(-1, NULL, WNOHANG) >= 0) {
        (void)usleep(POLL_MS * 1000);
        if (time_mono_ms() < deadline_ms)
            continue;
        list = fopen("/proc/thread-self/children", "re");
        assert_non_null(list);
        while (fscanf(list, "%d", &child) == 1)
            (void)kill(child, SIGKILL);
        (void)fclose(list);
    }
}

int shop_teardown(void **state)
{
    struct shop *s = *state;
    struct error err = { 0 };

    if (s->backend != NULL) {   /* a test that failed half-way leaves no run behind */
        shop_stop(s, STOP_AT_ONCE);
        shop_close(s);
    }
    await_children();
    assert_int_equal(uv_loop_close(&s->loop), 0);
    flows_free(s->flows);
    drop_collection(&s->told.collection);
    assert_int_equal(file_remove_tree(s->base, &err), 0);
    free(s);
    return 0;
}

static bool has_started(const struct shop *s)
{
    return s->told.started > 0;
}

static bool has_found(const struct shop *s)
{
    return s->told.found > 0;
}

static bool was_refused(const struct shop *s)
{
    return s->told.not_started + s->told.unknown > 0;
}

static bool has_ended(const struct shop *s)
{
    return s->told.ended > 0;
}

static bool has_collected(const struct shop *s)
{
    return s->told.collected > 0;
}

void shop_let_it_end(void)
{
    siginfo_t info;

    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
}

void shop_wait_started(struct shop *s)
{
    run_until(s, has_started, "the start");
}

void shop_wait_found(struct shop *s)
{
    run_until(s, has_found, "what is found");
}

void shop_wait_refused(struct shop *s)
{
    run_until(s, was_refused, "a start's refusal");
}

void shop_wait_ended(struct shop *s)
{
    run_until(s, has_ended, "the end");
}

void shop_wait_file(struct shop *s, const char *path)
{
    int64_t deadline_ms = time_mono_ms() + PATIENCE_MS;
    char full[PATH_MAX];
    uv_timer_t timer;

    assert_true(snprintf(full, sizeof full, "%s/%s", s->folder, path) < (int)sizeof full);
    uv_timer_init(&s->loop, &timer);
    uv_timer_start(&timer, tick, POLL_MS, POLL_MS);
    while (access(full, F_OK) != 0 && time_mono_ms() < deadline_ms)
        uv_run(&s->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&s->loop, UV_RUN_NOWAIT);
    if (access(full, F_OK) != 0)
        fail_msg("waited in vain for %s", full);
}

/* --- orders ------------------------------------------------------------------------------------------------------- */

void shop_script(struct shop *s, const char *script)
{
    s->process.command_text = (char *)(uintptr_t)script;
}

static json_t *parse(const char *text)
{
    struct error err = { 0 };
    json_t *value = json_parse(text, strlen(text), &err);

    if (value == NULL)
        fail_msg("%s", err.text);
    return value;
}

void shop_start(struct shop *s, const char *event, const char *input)
{
    json_t *e = parse(event != NULL ? event : "{}"), *i = parse(input != NULL ? input : "[null]");

    s->backend->ops->start(s->backend, &s->run, &s->process, e, i);
    json_decref(e);
    json_decref(i);
}

void shop_find(struct shop *s)
{
    s->told.found = 0;
    s->backend->ops->find(s->backend, &s->run, &s->process);
    assert_int_equal(s->told.found, 0);   /* never from within the call */
}

void shop_follow(struct shop *s)
{
    s->backend->ops->follow(s->backend, &s->run, &s->process);
    assert_int_equal(s->told.ended, 0);
}

void shop_stop(struct shop *s, enum stop_how how)
{
    s->backend->ops->stop(s->backend, &s->run, &s->process, how);
}

void shop_run(struct shop *s, const char *event, const char *input)
{
    shop_start(s, event, input);
    assert_int_equal(s->told.started + s->told.not_started, 0);
    shop_wait_started(s);
    shop_follow(s);
    shop_wait_ended(s);
    assert_int_equal(s->told.started, 1);
    assert_int_equal(s->told.ended, 1);
    assert_int_equal(s->told.not_started + s->told.unknown, 0);
}

void shop_collect(struct shop *s, const char *input)
{
    json_t *i = parse(input != NULL ? input : "[null]");

    s->told.collected = 0;
    drop_collection(&s->told.collection);
    s->told.collection = (struct collection) { 0 };
    s->backend->ops->collect(s->backend, &s->run, &s->process, i, s->out);
    json_decref(i);
    run_until(s, has_collected, "the collection");
}

/* --- files -------------------------------------------------------------------------------------------------------- */

bool shop_has(const struct shop *s, const char *path)
{
    char full[PATH_MAX];
    struct stat st;

    assert_true(snprintf(full, sizeof full, "%s/%s", s->base, path) < (int)sizeof full);
    return lstat(full, &st) == 0;
}

static char *read_file(const char *full)
{
    struct error err = { 0 };
    struct buf b = { 0 };

    if (file_read(full, 1 << 24, &b, &err) != 0)
        fail_msg("%s", err.text);
    return buf_take(&b);
}

char *shop_read(const struct shop *s, const char *path)
{
    char full[PATH_MAX];

    assert_true(snprintf(full, sizeof full, "%s/%s", s->base, path) < (int)sizeof full);
    return read_file(full);
}

char *shop_read_run(const struct shop *s, const char *path)
{
    char full[PATH_MAX];

    assert_true(snprintf(full, sizeof full, "%s/%s", s->folder, path) < (int)sizeof full);
    return read_file(full);
}

static void write_file(const char *full, const char *text)
{
    struct error err = { 0 };

    if (file_write_atomic(full, text, strlen(text), 0600, &err) != 0)
        fail_msg("%s", err.text);
}

void shop_write(const struct shop *s, const char *path, const char *text)
{
    char full[PATH_MAX];

    assert_true(snprintf(full, sizeof full, "%s/%s", s->base, path) < (int)sizeof full);
    write_file(full, text);
}

void shop_write_run(const struct shop *s, const char *path, const char *text)
{
    struct error err = { 0 };
    char full[PATH_MAX];

    assert_int_equal(file_make_dirs(s->folder, 0700, &err), 0);
    assert_true(snprintf(full, sizeof full, "%s/%s", s->folder, path) < (int)sizeof full);
    write_file(full, text);
}

long shop_number(const struct shop *s, const char *path)
{
    char *text = shop_read_run(s, path);
    long number = strtol(text, NULL, 10);

    free(text);
    assert_true(number > 0);
    return number;
}

const json_t *shop_artifact(const struct shop *s, const char *name)
{
    json_t *one;
    size_t i;

    json_array_foreach (s->told.collection.artifacts, i, one) {
        if (strcmp(json_str(one, "name"), name) == 0)
            return one;
    }
    return NULL;
}

bool shop_notes(const struct shop *s, const char *words)
{
    json_t *one;
    size_t i;

    json_array_foreach (s->told.collection.notes, i, one) {
        if (strstr(json_string_value(one), words) != NULL)
            return true;
    }
    return false;
}
