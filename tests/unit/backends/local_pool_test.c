/* What a start leaves to the thread pool, for the loop has others to serve: the pool is plugged to see it. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/buf.h"
#include "local_fixture.h"

struct plug {
    uv_work_t work;
    uv_sem_t pulled;
};

static void hold(uv_work_t *work)
{
    uv_sem_wait(&((struct plug *)work->data)->pulled);
}

/* Its only thread waits until the plug is pulled. */
static void plug_in(struct shop *s, struct plug *plug)
{
    assert_int_equal(uv_sem_init(&plug->pulled, 0), 0);
    plug->work.data = plug;
    assert_int_equal(uv_queue_work(&s->loop, &plug->work, hold, NULL), 0);
}

/* Goes on with what was started, to its end. */
static void pull(struct shop *s, struct plug *plug)
{
    uv_sem_post(&plug->pulled);
    shop_wait_started(s);
    shop_follow(s);
    shop_wait_ended(s);
    uv_sem_destroy(&plug->pulled);
    assert_int_equal(s->told.end.outcome, RUN_COMPLETED);
}

static void start_with_files(struct shop *s, int count)
{
    struct buf event = { 0 };
    char name[16];

    for (int i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        shop_write(s, name, "x");
        buf_addf(&event, "%s{\"path\": \"%s/%s\", \"name\": \"%s\", \"size\": 1}", i == 0 ? "{\"files\": [" : ", ", s->base, name, name);
    }
    buf_adds(&event, "]}");
    shop_script(s, "[ $(ls ../work-items-in | wc -l) -gt 1 ]");
    shop_start(s, buf_str(&event), NULL);
    buf_close(&event);
}

static void a_few_files(void **state)
{
    struct shop *s = *state;
    struct plug plug;

    plug_in(s, &plug);
    start_with_files(s, 2);
    assert_int_equal(access(s->folder, F_OK), 0);   /* none of it had to wait */
    pull(s, &plug);
}

static void many_files(void **state)
{
    struct shop *s = *state;
    struct plug plug;

    plug_in(s, &plug);
    start_with_files(s, 100);
    assert_int_equal(access(s->folder, F_OK), -1);
    pull(s, &plug);
}

static void what_an_earlier_attempt_left(void **state)
{
    struct shop *s = *state;
    struct plug plug;
    char left[PATH_MAX];

    shop_script(s, ">left; exit 1");
    shop_run(s, NULL, NULL);
    s->told = (struct told) { 0 };
    assert_true(snprintf(left, sizeof left, "%s/work/left", s->folder) < (int)sizeof left);
    s->run.attempt = 2;
    shop_script(s, "[ ! -e left ]");
    plug_in(s, &plug);
    shop_start(s, NULL, NULL);
    assert_int_equal(access(left, F_OK), 0);
    pull(s, &plug);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, shop_setup, shop_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_few_files),
        TEST(many_files),
        TEST(what_an_earlier_attempt_left),
    };

    (void)setenv("UV_THREADPOOL_SIZE", "1", 1);
    (void)alarm(600);   /* a run that never ends fails the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
