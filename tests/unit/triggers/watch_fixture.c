/* A watched folder of the test's own. */
#include "watch_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"

#define SENTINEL "sentinel-"

static char watch_name[] = "drops", process_name[] = "p";

int yard_setup(void **state)
{
    struct yard *y = calloc(1, sizeof *y);
    const char *tmp = getenv("TMPDIR");

    assert_non_null(y);
    assert_int_equal(uv_loop_init(&y->loop), 0);
    fakes_open(&y->loop, &y->journal, &y->fake, &y->bell);
    assert_true(snprintf(y->base, sizeof y->base, "%s/belfry-watch-XXXXXX", tmp != NULL ? tmp : "/tmp") <
                (int)sizeof y->base);
    assert_non_null(mkdtemp(y->base));
    assert_true(snprintf(y->in, sizeof y->in, "%s/in", y->base) < (int)sizeof y->in);
    yard_folder(y, "in");
    y->process.name = process_name;
    y->watch = (struct watch_config) { .name = watch_name, .process = &y->process, .path = y->in, .settle_ms = 20,
                                       .mode = WATCH_INOTIFY, .poll_interval_ms = 20, .existing = true, .batch = 1,
                                       .attach = true, .overlap = OVERLAP_UNSET };
    y->list[0] = &y->watch;
    y->config = (struct config) { .watches = y->list, .watch_count = 1, .refs = 1 };
    *state = y;
    return 0;
}

void yard_open(struct yard *y)
{
    struct error err = { 0 };

    assert_null(y->room);
    assert_int_equal(watch_new(&y->loop, &y->journal, &y->bell, &y->room, &err), 0);
    assert_int_equal(watch_configure(y->room, &y->config, &err), 0);
    watch_start(y->room);
}

static void closed(void *data)
{
    *(struct watch_room **)data = NULL;
}

static bool is_closed(void *data)
{
    return ((const struct yard *)data)->room == NULL;
}

void yard_close(struct yard *y)
{
    watch_close(y->room, closed, &y->room);
    run_until(&y->loop, is_closed, y);
    assert_int_equal(y->config.refs, 1);   /* nobody holds it any more */
}

int yard_teardown(void **state)
{
    struct yard *y = *state;
    struct error err = { 0 };

    if (y->room != NULL)
        yard_close(y);
    fakes_close(&y->loop, &y->journal, &y->fake);
    assert_int_equal(uv_loop_close(&y->loop), 0);
    assert_int_equal(file_remove_tree(y->base, &err), 0);
    free(y);
    return 0;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void below(const struct yard *y, const char *path, char full[PATH_MAX])
{
    assert_true(snprintf(full, PATH_MAX, "%s/%s", y->base, path) < PATH_MAX);
}

int yard_hold(const struct yard *y, const char *path, const char *text)
{
    char full[PATH_MAX];
    int fd;

    below(y, path, full);
    fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

void yard_write(const struct yard *y, const char *path, const char *text)
{
    assert_int_equal(close(yard_hold(y, path, text)), 0);
}

void yard_folder(const struct yard *y, const char *path)
{
    char full[PATH_MAX];

    below(y, path, full);
    assert_int_equal(mkdir(full, 0700), 0);
}

void yard_move(const struct yard *y, const char *from, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];

    below(y, from, a);
    below(y, to, b);
    assert_int_equal(rename(a, b), 0);
}

void yard_remove(const struct yard *y, const char *path)
{
    struct error err = { 0 };
    char full[PATH_MAX];

    below(y, path, full);
    assert_int_equal(access(full, F_OK), 0);
    if (unlink(full) != 0)
        assert_int_equal(file_remove_tree(full, &err), 0);
}

bool yard_has(const struct yard *y, const char *path, const char *text)
{
    struct error err = { 0 };
    struct buf b = { 0 };
    char full[PATH_MAX];
    bool has;

    below(y, path, full);
    has = file_read(full, 1 << 20, &b, &err) == 0 && (text == NULL || strcmp(buf_str(&b), text) == 0);
    buf_close(&b);
    return has;
}

/* --- what fired --------------------------------------------------------------------------------------------------- */

static bool names(const json_t *file, const char *name)
{
    return strcmp(json_str(file, "name"), name) == 0;
}

/* The files of a ring: one, or those of a batch. */
static size_t count_names(const struct fake_ring *ring, const char *name)
{
    const json_t *files = json_object_get(ring->event, "files");
    size_t count = 0, index;
    json_t *file;

    if (ring->status != 0 || ring->skip_reason != NULL)
        return 0;
    if (files == NULL)
        return names(json_object_get(ring->event, "file"), name);
    json_array_foreach (files, index, file)
        count += names(file, name);
    return count;
}

size_t yard_fired(const struct yard *y, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < y->fake.count; i++)
        count += count_names(&y->fake.rings[i], name);
    return count;
}

const char *yard_run_of(const struct yard *y, const char *name)
{
    for (size_t i = y->fake.count; i-- > 0;) {
        if (count_names(&y->fake.rings[i], name) > 0)
            return y->fake.rings[i].id;
    }
    fail_msg("%s has not fired", name);
    return NULL;
}

struct waiting {
    struct yard *yard;
    const char *name;
    size_t count;
    int state;
};

static bool has_fired(void *data)
{
    const struct waiting *w = data;

    return yard_fired(w->yard, w->name) >= w->count;
}

static bool has_fired_in_all(void *data)
{
    const struct waiting *w = data;

    return fake_fired(&w->yard->fake) >= w->count + w->yard->sentinels;
}

void yard_wait(struct yard *y, size_t count)
{
    struct waiting w = { .yard = y, .count = count };

    run_until(&y->loop, has_fired_in_all, &w);
    assert_int_equal(fake_fired(&y->fake), count + y->sentinels);
}

void yard_sentinel(struct yard *y)
{
    struct waiting w = { .yard = y, .count = 1 };
    char name[64], path[80];

    (void)snprintf(name, sizeof name, SENTINEL "%u.csv", ++y->sentinels);
    (void)snprintf(path, sizeof path, "in/%s", name);
    w.name = name;
    yard_write(y, path, "sentinel");
    if (y->watch.marker != NULL) {
        (void)snprintf(path, sizeof path, "in/%s.done", name);
        yard_write(y, path, "");
    }
    run_until(&y->loop, has_fired, &w);
    run_idle(&y->loop);
}

/* --- runs and records --------------------------------------------------------------------------------------------- */

void yard_end(struct yard *y, const char *run_id, enum run_state end)
{
    struct run_record run = { .trigger_kind = TRIGGER_WATCH, .trigger_name = watch_name, .state = end };

    memcpy(run.id, run_id, ID_SIZE);
    watch_run_ended(y->room, &run);
}

static bool record_is(void *data)
{
    const struct waiting *w = data;
    const struct fake_row *row;
    char full[PATH_MAX];

    below(w->yard, w->name, full);
    row = fake_find(&w->yard->journal, RECORD_FILE, watch_name, full);
    return w->state < 0 ? row == NULL : row != NULL && row->value == w->state;
}

void yard_wait_record(struct yard *y, const char *path, int state)
{
    struct waiting w = { .yard = y, .name = path, .state = state };

    run_until(&y->loop, record_is, &w);
}

static void take_view(void *data, const struct watch_view *view)
{
    *(struct watch_view *)data = *view;
}

struct watch_view yard_view(const struct yard *y)
{
    struct watch_view view = { 0 };

    watch_each(y->room, take_view, &view);
    assert_non_null(view.name);
    return view;
}
