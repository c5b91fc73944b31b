/* Which files fire: closed, settled, moved in, marked, found by a scan; and which do not. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "belfry/base/time.h"
#include "watch_fixture.h"

static struct words words(char *items[])
{
    size_t count = 0;

    while (items[count] != NULL)
        count++;
    return (struct words) { .items = items, .count = count };
}

static void a_closed_file_fires_once(void **state)
{
    struct yard *y = *state;
    const struct fake_row *row;
    const json_t *file;
    char path[PATH_MAX];
    int64_t mtime_ms;
    struct stat st;

    yard_open(y);
    yard_write(y, "in/a.csv", "hello");
    yard_wait(y, 1);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
    assert_true(snprintf(path, sizeof path, "%s/a.csv", y->in) < (int)sizeof path);
    file = json_object_get(y->fake.rings[0].event, "file");
    assert_string_equal(json_str(file, "path"), path);
    assert_string_equal(json_str(file, "dir"), y->in);
    assert_int_equal(json_int(file, "size", -1), 5);
    assert_null(json_object_get(file, "sha256"));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(time_parse(json_str(file, "mtime"), &mtime_ms), 0);
    assert_int_equal(mtime_ms, st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
    assert_string_equal(json_str(json_object_get(y->fake.rings[0].event, "trigger"), "kind"), "watch");
    assert_string_equal(json_str(json_object_get(y->fake.rings[0].event, "trigger"), "name"), "drops");
    row = fake_find(&y->journal, RECORD_FILE, "drops", path);
    assert_non_null(row);
    assert_int_equal(row->value, FILE_FIRED);
    assert_string_equal(row->run_id, y->fake.rings[0].id);
    assert_int_equal(yard_view(y).fired, 2);
    assert_int_equal(yard_view(y).settling, 0);
}

static void a_new_version_fires_again(void **state)
{
    struct yard *y = *state;

    yard_open(y);
    yard_write(y, "in/a.csv", "one");
    yard_wait(y, 1);
    yard_write(y, "in/a.csv", "and two");
    yard_wait(y, 2);
    assert_int_equal(yard_fired(y, "a.csv"), 2);
    assert_int_equal(json_int(json_object_get(y->fake.rings[1].event, "file"), "size", -1), 7);
}

/* Somebody only read it, or closed it without a change. */
static void no_change_no_firing(void **state)
{
    struct yard *y = *state;
    char path[PATH_MAX];

    yard_open(y);
    yard_write(y, "in/a.csv", "one");
    yard_wait(y, 1);
    assert_true(snprintf(path, sizeof path, "%s/a.csv", y->in) < (int)sizeof path);
    assert_int_equal(close(open(path, O_WRONLY | O_CLOEXEC)), 0);
    assert_int_equal(close(open(path, O_RDONLY | O_CLOEXEC)), 0);
    assert_int_equal(chmod(path, 0640), 0);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
}

static void an_open_file_waits(void **state)
{
    struct yard *y = *state;
    int fd;

    yard_open(y);
    fd = yard_hold(y, "in/a.csv", "half");
    yard_sentinel(y);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "a.csv"), 0);
    assert_int_equal(write(fd, " and half", 9), 9);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "a.csv"), 0);
    assert_int_equal(close(fd), 0);
    yard_wait(y, 1);
    assert_int_equal(json_int(json_object_get(y->fake.rings[3].event, "file"), "size", -1), 13);
}

/* Its creation was never seen: it is there when the daemon starts, and a writer still has it. */
static void an_open_file_that_a_scan_finds(void **state)
{
    struct yard *y = *state;
    int fd = yard_hold(y, "in/a.csv", "half");

    yard_write(y, "in/b.csv", "whole");
    yard_open(y);
    yard_wait(y, 1);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "b.csv"), 1);
    assert_int_equal(yard_fired(y, "a.csv"), 0);
    assert_int_equal(close(fd), 0);
    yard_wait(y, 2);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
}

static void a_file_moved_in(void **state)
{
    struct yard *y = *state;

    yard_write(y, "elsewhere.csv", "whole");
    yard_open(y);
    yard_move(y, "elsewhere.csv", "in/a.csv");
    yard_wait(y, 1);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
    yard_write(y, "second.csv", "as whole");   /* over it: another version */
    yard_move(y, "second.csv", "in/a.csv");
    yard_wait(y, 2);
    yard_move(y, "in/a.csv", "in/b.csv");      /* a new name is a new file */
    yard_wait(y, 3);
    assert_int_equal(yard_fired(y, "a.csv"), 2);
    assert_int_equal(yard_fired(y, "b.csv"), 1);
}

static void a_file_that_goes_before_it_settles(void **state)
{
    struct yard *y = *state;

    yard_open(y);
    yard_write(y, "in/a.csv", "one");
    yard_remove(y, "in/a.csv");
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "a.csv"), 0);
    assert_int_equal(yard_view(y).settling, 0);
}

static void only_files(void **state)
{
    struct yard *y = *state;
    char from[PATH_MAX], to[PATH_MAX];

    yard_write(y, "secret", "not for the watch");
    assert_true(snprintf(from, sizeof from, "%s/secret", y->base) < (int)sizeof from);
    yard_open(y);
    assert_true(snprintf(to, sizeof to, "%s/link.csv", y->in) < (int)sizeof to);
    assert_int_equal(symlink(from, to), 0);
    assert_true(snprintf(to, sizeof to, "%s/pipe.csv", y->in) < (int)sizeof to);
    assert_int_equal(mkfifo(to, 0600), 0);
    yard_folder(y, "in/folder.csv");
    yard_write(y, "in/folder.csv/below.csv", "not recursive");
    yard_sentinel(y);
    assert_int_equal(fake_fired(&y->fake), 1);
}

static void names_that_do_not_count(void **state)
{
    static const char *const names[] = { ".hidden", "a~", ".a.swp", "b.tmp", "c.part", "d.crdownload", "#e#", "4913" };
    struct yard *y = *state;
    char path[80];

    yard_open(y);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "in/%s", names[i]);
        yard_write(y, path, "x");
    }
    yard_sentinel(y);
    assert_int_equal(fake_fired(&y->fake), 1);
    yard_move(y, "in/c.part", "in/c");   /* as a browser does in the end */
    yard_wait(y, 1);
    assert_int_equal(yard_fired(y, "c"), 1);
}

static void include_and_exclude(void **state)
{
    static char csv[] = "*.csv", hidden[] = ".env*", secrets[] = "secret*";
    static char *included[] = { csv, hidden, NULL }, *excluded[] = { secrets, NULL };   /* as long as the room */
    struct yard *y = *state;

    y->watch.include = words(included);
    y->watch.exclude = words(excluded);
    yard_open(y);
    yard_write(y, "in/a.txt", "x");
    yard_write(y, "in/secret.csv", "x");
    yard_write(y, "in/.data.csv", "a transfer under way: a star names no dot");
    yard_write(y, "in/.env.local", "named");
    yard_write(y, "in/b.csv", "x");
    yard_wait(y, 2);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, ".env.local"), 1);
    assert_int_equal(yard_fired(y, "b.csv"), 1);
    assert_int_equal(fake_fired(&y->fake), 3);
}

static void a_marker_of_each_file(void **state)
{
    static char marker[] = "%f.done";
    struct yard *y = *state;
    int fd;

    y->watch.marker = marker;
    yard_open(y);
    yard_write(y, "in/a.csv", "x");
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "a.csv"), 0);   /* settled long ago, as far as its bytes go */
    yard_write(y, "in/a.csv.done", "");
    yard_wait(y, 1);
    fd = yard_hold(y, "in/b.csv", "its writer says that it is done");
    yard_write(y, "in/b.csv.done", "");
    yard_wait(y, 2);
    assert_int_equal(close(fd), 0);
    yard_write(y, "in/c.csv.done", "");            /* the marker came first */
    yard_write(y, "in/c.csv", "x");
    yard_wait(y, 3);
    yard_sentinel(y);
    assert_int_equal(fake_fired(&y->fake), 5);     /* no marker fires */
}

static void a_marker_of_the_folder(void **state)
{
    static char marker[] = "READY";
    struct yard *y = *state;

    y->watch.marker = marker;
    yard_open(y);
    yard_write(y, "in/b.csv", "x");
    yard_write(y, "in/a.csv", "x");
    run_idle(&y->loop);
    assert_int_equal(y->fake.count, 0);
    yard_write(y, "in/READY", "");
    yard_wait(y, 2);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
    assert_int_equal(yard_fired(y, "b.csv"), 1);
}

/* Two files written in turn, so that the kernel cannot fold their events into one. */
static void overflow(const struct yard *y, long events)
{
    char path[2][PATH_MAX];

    for (int i = 0; i < 2; i++)
        assert_true(snprintf(path[i], sizeof path[i], "%s/.filler%d", y->in, i) < (int)sizeof path[i]);
    for (long i = 0; i <= events; i++)
        assert_int_equal(close(open(path[i % 2], O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
}

static void an_overflow_loses_nothing(void **state)
{
    struct yard *y = *state;
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    char line[32] = "";
    long events;

    if (limit == NULL || fgets(line, sizeof line, limit) == NULL)
        line[0] = '\0';
    if (limit != NULL)
        (void)fclose(limit);
    events = strtol(line, NULL, 10);
    if (events <= 0 || events > 200000)
        skip();   /* a queue that is not to be filled in a test */
    yard_open(y);
    yard_sentinel(y);
    overflow(y, events);
    yard_write(y, "in/a.csv", "its event is lost");
    yard_wait(y, 1);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
    assert_int_equal(yard_view(y).overflows, 1);
    yard_write(y, "in/b.csv", "and events are heard again");
    yard_wait(y, 2);
    assert_int_equal(yard_fired(y, "sentinel-1.csv"), 1);
}

static bool not_there(void *data)
{
    return !yard_view(data).there;
}

static bool is_there(void *data)
{
    return yard_view(data).there;
}

static void a_folder_deleted_and_made_again(void **state)
{
    struct yard *y = *state;

    yard_open(y);
    yard_write(y, "in/a.csv", "one");
    yard_wait(y, 1);
    yard_remove(y, "in");
    run_until(&y->loop, not_there, y);
    yard_folder(y, "in");
    yard_write(y, "in/b.csv", "written before anybody looked");
    yard_wait(y, 2);
    assert_true(yard_view(y).there);
    yard_remove(y, "in");   /* and both at once */
    yard_folder(y, "in");
    yard_write(y, "in/c.csv", "x");
    yard_wait(y, 3);
    yard_write(y, "in/a.csv", "another");
    yard_wait(y, 4);
    assert_int_equal(yard_fired(y, "a.csv"), 2);
}

static void a_folder_moved_away(void **state)
{
    struct yard *y = *state;

    yard_open(y);
    yard_sentinel(y);
    yard_move(y, "in", "old");
    run_until(&y->loop, not_there, y);
    yard_write(y, "old/a.csv", "not watched any more");
    yard_folder(y, "in");
    run_until(&y->loop, is_there, y);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "a.csv"), 0);
    assert_int_equal(fake_fired(&y->fake), 2);
}

static void a_folder_that_is_not_there_yet(void **state)
{
    static char deep[PATH_MAX];
    struct yard *y = *state;

    assert_true(snprintf(deep, sizeof deep, "%s/later/deep/in", y->base) < (int)sizeof deep);
    y->watch.path = deep;
    yard_open(y);
    assert_false(yard_view(y).there);
    yard_folder(y, "later");
    run_idle(&y->loop);
    yard_folder(y, "later/deep");
    yard_folder(y, "later/deep/in");
    yard_write(y, "later/deep/in/a.csv", "x");
    yard_wait(y, 1);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
}

static void looking_through(void **state)
{
    struct yard *y = *state;
    int fd;

    y->watch.mode = WATCH_POLL;
    yard_write(y, "in/a.csv", "x");
    yard_open(y);
    yard_wait(y, 1);
    assert_true(yard_view(y).polling);
    fd = yard_hold(y, "in/b.csv", "half");
    yard_sentinel(y);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "b.csv"), 0);
    assert_int_equal(close(fd), 0);
    yard_wait(y, 2);
    yard_remove(y, "in");
    yard_folder(y, "in");
    yard_write(y, "in/c.csv", "x");
    yard_wait(y, 3);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
}

static void folders_below(void **state)
{
    static char done[PATH_MAX];
    struct yard *y = *state;

    assert_true(snprintf(done, sizeof done, "%s/done", y->in) < (int)sizeof done);
    y->watch.recursive = true;
    y->watch.success = (struct after_config) { .kind = AFTER_MOVE, .dir = done };
    yard_folder(y, "in/there");
    yard_write(y, "in/there/a.csv", "x");
    yard_open(y);
    yard_wait(y, 1);
    yard_folder(y, "in/new");
    yard_write(y, "in/new/b.csv", "x");
    yard_folder(y, "moved");
    yard_folder(y, "moved/deep");
    yard_write(y, "moved/deep/c.csv", "x");
    yard_move(y, "moved", "in/moved");
    yard_wait(y, 3);
    yard_write(y, "in/moved/deep/d.csv", "x");
    yard_folder(y, "in/done");                       /* where files go after their runs */
    yard_write(y, "in/done/e.csv", "not watched");
    yard_folder(y, "in/.hidden");
    yard_write(y, "in/.hidden/f.csv", "neither");
    yard_wait(y, 4);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "c.csv"), 1);
    assert_int_equal(yard_fired(y, "d.csv"), 1);
    assert_int_equal(fake_fired(&y->fake), 5);
    yard_move(y, "in/moved", "gone");
    yard_write(y, "gone/deep/g.csv", "no longer");
    yard_sentinel(y);
    assert_int_equal(fake_fired(&y->fake), 6);
}

static void known_by_its_bytes(void **state)
{
    struct yard *y = *state;
    const json_t *file;

    y->watch.identity = WATCH_BY_SHA256;
    yard_open(y);
    yard_write(y, "in/a.csv", "hello");
    yard_wait(y, 1);
    file = json_object_get(y->fake.rings[0].event, "file");
    assert_string_equal(json_str(file, "sha256"), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    yard_write(y, "in/a.csv", "hello");   /* written anew, the same bytes */
    yard_sentinel(y);
    yard_sentinel(y);
    assert_int_equal(yard_fired(y, "a.csv"), 1);
    yard_write(y, "in/a.csv", "hullo");
    yard_wait(y, 2);
    assert_int_equal(yard_fired(y, "a.csv"), 2);
}

static bool has_skipped(void *data)
{
    const struct yard *y = data;

    return y->fake.count > 0 && y->fake.rings[y->fake.count - 1].skip_reason != NULL;
}

static void a_name_that_is_no_text(void **state)
{
    struct yard *y = *state;

    yard_open(y);
    yard_write(y, "in/\xff\xfe.csv", "x");
    run_until(&y->loop, has_skipped, y);
    assert_non_null(strstr(y->fake.rings[0].skip_reason, "not UTF-8"));
    assert_int_equal(y->fake.rings[0].status, 0);
    yard_sentinel(y);
    assert_int_equal(fake_fired(&y->fake), 1);
    assert_int_equal(y->fake.count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, yard_setup, yard_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_closed_file_fires_once),
        TEST(a_new_version_fires_again),
        TEST(no_change_no_firing),
        TEST(an_open_file_waits),
        TEST(an_open_file_that_a_scan_finds),
        TEST(a_file_moved_in),
        TEST(a_file_that_goes_before_it_settles),
        TEST(only_files),
        TEST(names_that_do_not_count),
        TEST(include_and_exclude),
        TEST(a_marker_of_each_file),
        TEST(a_marker_of_the_folder),
        TEST(an_overflow_loses_nothing),
        TEST(a_folder_deleted_and_made_again),
        TEST(a_folder_moved_away),
        TEST(a_folder_that_is_not_there_yet),
        TEST(looking_through),
        TEST(folders_below),
        TEST(known_by_its_bytes),
        TEST(a_name_that_is_no_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
