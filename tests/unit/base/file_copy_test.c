/* Copies and hashes of files that somebody else has made: with holes, larger than may be, given up half-way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "belfry/base/file.h"

#define TERABYTE (INT64_C(1) << 40)

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/belfry-copy.XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

static const char *in(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* A file of that size with a few bytes here and there, and nothing between. */
static void make_sparse(const char *name, const int64_t *at, size_t count, int64_t size)
{
    int fd = open(in(name), O_WRONLY | O_CREAT | O_EXCL, 0600);

    assert_true(fd >= 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pwrite(fd, "bytes", 5, at[i]), 5);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(close(fd), 0);
}

static void assert_bytes(const char *name, int64_t at, const char *bytes)
{
    int fd = open(in(name), O_RDONLY);
    char got[16] = "";

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, got, strlen(bytes), at), strlen(bytes));
    assert_string_equal(got, bytes);
    assert_int_equal(close(fd), 0);
}

static void holes_stay_holes(void **state)
{
    static const int64_t at[] = { 0, 7 << 20, TERABYTE - 1000 };
    struct stat from, to;
    struct error err;

    (void)state;
    make_sparse("sparse", at, 3, TERABYTE);
    assert_int_equal(file_copy(in("sparse"), in("copy"), 0640, &err), 0);
    assert_int_equal(stat(in("sparse"), &from), 0);
    assert_int_equal(stat(in("copy"), &to), 0);
    assert_int_equal(to.st_size, TERABYTE);
    assert_true(to.st_blocks <= from.st_blocks);
    for (size_t i = 0; i < 3; i++)
        assert_bytes("copy", at[i], "bytes");
    make_sparse("nothing", NULL, 0, TERABYTE);
    assert_int_equal(file_copy(in("nothing"), in("nothing-too"), 0640, &err), 0);
    assert_int_equal(stat(in("nothing-too"), &to), 0);
    assert_int_equal(to.st_size, TERABYTE);
    assert_int_equal(to.st_blocks, 0);
}

static void what_is_too_big_is_not_there(void **state)
{
    static const int64_t at[] = { 0 };
    struct file_bounds bounds = { .max = 999 };
    struct error err;
    char hex[65];
    int64_t size;

    (void)state;
    make_sparse("big", at, 1, 1000);
    assert_int_equal(file_copy_within(in("big"), in("no"), 0640, &bounds, &err), BF_ETOOBIG);
    assert_true(access(in("no"), F_OK) != 0);
    assert_int_equal(file_sha256_within(in("big"), &bounds, hex, &size, &err), BF_ETOOBIG);
    bounds.max = 1000;
    assert_int_equal(file_copy_within(in("big"), in("yes"), 0640, &bounds, &err), 0);
    assert_int_equal(file_sha256_within(in("yes"), &bounds, hex, &size, &err), 0);
    assert_int_equal(size, 1000);
}

static void what_is_given_up_is_not_there(void **state)
{
    static const int64_t at[] = { 0 };
    atomic_bool stop = true;
    struct file_bounds bounds = { .max = INT64_MAX, .stop = &stop };
    struct error err;
    char hex[65];
    int64_t size;

    (void)state;
    make_sparse("long", at, 1, TERABYTE);
    assert_int_equal(file_copy_within(in("long"), in("part"), 0640, &bounds, &err), BF_ECANCELED);
    assert_true(access(in("part"), F_OK) != 0);
    assert_int_equal(file_sha256_within(in("long"), &bounds, hex, &size, &err), BF_ECANCELED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(holes_stay_holes, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(what_is_too_big_is_not_there, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(what_is_given_up_is_not_there, make_folder, drop_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
