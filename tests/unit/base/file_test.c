/* Names that cannot climb, files that are whole or not there, secrets. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#include <cmocka.h>

#include "belfry/base/file.h"
#include "belfry/base/secret.h"
#include "belfry/base/text.h"

static char folder[64];

static char *in(const char *name)
{
    return file_join(folder, name);
}

static int open_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/belfry-file-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    struct error err;

    (void)state;
    return file_remove_tree(folder, &err);
}

static void put(const char *name, const char *text, mode_t mode)
{
    char *path = in(name);
    struct error err;

    assert_int_equal(file_write_atomic(path, text, strlen(text), mode, &err), 0);
    free(path);
}

static void names_are_safe(void **state)
{
    static const char *const hostile[] = { "../../etc/passwd", "/etc/passwd", "..", ".", "", "a/b", "\x1b[31m", "a\nb", "-rf", ".hidden",
        "\xff\xfe", "\xc2\x9b", "con\\aux" };

    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        char safe[FILE_NAME_MAX + 1];

        file_safe_name(hostile[i], strlen(hostile[i]), safe);
        assert_true(safe[0] != '\0' && safe[0] != '.' && safe[0] != '-');
        assert_null(strchr(safe, '/'));
        assert_true(text_is_utf8(safe, strlen(safe)));
        for (const char *c = safe; *c != '\0'; c++)
            assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
    }
}

static void names_keep_their_extension(void **state)
{
    char longer[400], safe[FILE_NAME_MAX + 1], numbered[FILE_NAME_MAX + 1];

    (void)state;
    memset(longer, 'x', sizeof longer);
    memcpy(longer + 395, ".csv", 5);
    file_safe_name(longer, 399, safe);
    assert_int_equal(strlen(safe), FILE_NAME_MAX);
    assert_string_equal(safe + FILE_NAME_MAX - 4, ".csv");
    file_numbered_name(safe, 12, numbered);
    assert_true(strlen(numbered) <= FILE_NAME_MAX);
    assert_string_equal(numbered + strlen(numbered) - 7, "-12.csv");
    file_numbered_name("report.csv", 2, numbered);
    assert_string_equal(numbered, "report-2.csv");
    file_numbered_name("report", 2, numbered);
    assert_string_equal(numbered, "report-2");
}

static void written_whole(void **state)
{
    char *path = in("deep/er/file");
    struct buf b = { 0 };
    struct error err;
    struct stat st;

    (void)state;
    assert_int_not_equal(file_write_atomic(path, "x", 1, 0600, &err), 0);
    assert_non_null(strstr(err.text, "deep/er"));
    {
        char *dirs = in("deep/er");

        assert_int_equal(file_make_dirs(dirs, 0750, &err), 0);
        assert_int_equal(file_make_dirs(dirs, 0750, &err), 0);
        free(dirs);
    }
    assert_int_equal(file_write_atomic(path, "one", 3, 0600, &err), 0);
    assert_int_equal(file_write_atomic(path, "two!", 4, 0640, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(file_read(path, 100, &b, &err), 0);
    assert_string_equal(buf_str(&b), "two!");
    buf_reset(&b);
    assert_int_equal(file_read(path, 3, &b, &err), BF_ETOOBIG);
    assert_int_equal(file_read("/nonexistent/x", 3, &b, &err), BF_ENOENT);
    assert_int_equal(file_read(folder, 3, &b, &err) == 0, 0);
    buf_close(&b);
    free(path);
}

#define WRITES 300

struct writer {
    pthread_t thread;
    char *path;
    char text[8192];
    int failed;
};

static void *write_often(void *data)
{
    struct writer *w = data;

    for (int i = 0; i < WRITES; i++)
        w->failed += file_write_atomic(w->path, w->text, sizeof w->text, 0600, NULL) != 0;
    return NULL;
}

/* Two threads write one file: each write is whole, and none is another's. */
static void written_by_two(void **state)
{
    static struct writer writers[2];
    struct buf b = { 0 };
    struct dirent *entry;
    size_t left = 0;
    DIR *dir;

    (void)state;
    for (int i = 0; i < 2; i++) {
        writers[i].path = in("shared");
        memset(writers[i].text, 'a' + i, sizeof writers[i].text);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_often, &writers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        assert_int_equal(writers[i].failed, 0);
    }
    assert_int_equal(file_read(writers[0].path, sizeof writers[0].text, &b, NULL), 0);
    assert_int_equal(b.len, sizeof writers[0].text);
    assert_true(memcmp(b.data, writers[0].text, b.len) == 0 || memcmp(b.data, writers[1].text, b.len) == 0);
    buf_close(&b);
    dir = opendir(folder);
    while ((entry = readdir(dir)) != NULL)
        left += strstr(entry->d_name, ".tmp") != NULL;
    (void)closedir(dir);
    assert_int_equal(left, 0);
    free(writers[0].path);
    free(writers[1].path);
}

static void copies_and_digests(void **state)
{
    char *from = in("from"), *to = in("to"), *link = in("link"), hex[65];
    struct error err;
    int64_t size;

    (void)state;
    put("from", "abc", 0600);
    assert_int_equal(file_copy(from, to, 0600, &err), 0);
    assert_int_not_equal(file_copy(from, to, 0600, &err), 0);   /* never over one that is there */
    assert_int_equal(file_sha256(to, hex, &size, &err), 0);
    assert_int_equal(size, 3);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(symlink("from", link), 0);
    (void)unlink(to);
    assert_int_not_equal(file_copy(link, to, 0600, &err), 0);
    free(from);
    free(to);
    free(link);
}

static void written_for_a_sync_of_all(void **state)
{
    char *from = in("unsynced"), *to = in("unsynced-copy"), hex[65];
    struct error err;
    int64_t size;

    (void)state;
    assert_int_equal(file_write_unsynced(from, "abc", 3, 0600, &err), 0);
    assert_int_not_equal(file_write_unsynced(from, "abcd", 4, 0600, &err), 0);   /* never over one that is there */
    assert_non_null(strstr(err.text, from));
    assert_int_equal(file_copy_within(from, to, 0600, &(struct file_bounds) { .max = INT64_MAX, .unsynced = true }, &err), 0);
    assert_int_equal(file_sha256(to, hex, &size, &err), 0);
    assert_int_equal(size, 3);
    assert_int_equal(file_sync_all(folder, &err), 0);
    assert_int_not_equal(file_sync_all("/nonexistent/folder", &err), 0);
    free(from);
    free(to);
}

static void opened_below(void **state)
{
    char *dirs = in("a/b"), *link = in("a/out");
    struct error err;
    int dir, fd;

    (void)state;
    assert_int_equal(file_make_dirs(dirs, 0750, &err), 0);
    put("a/b/f", "x", 0600);
    assert_int_equal(symlink("/etc", link), 0);
    dir = open(folder, O_RDONLY | O_DIRECTORY);
    fd = file_open_below(dir, "a/b/f");
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(file_open_below(dir, "a/out/passwd"), -1);
    assert_int_equal(file_open_below(dir, "a/../../etc/passwd"), -1);
    assert_int_equal(file_open_below(dir, "/etc/passwd"), -1);
    assert_int_equal(file_open_below(dir, "a//b/f"), -1);
    assert_int_equal(file_open_below(dir, "a/nothing"), -1);
    (void)close(dir);
    free(dirs);
    free(link);
}

static void trees_go_without_following(void **state)
{
    char *tree = in("tree/sub"), *link = in("tree/link"), *kept = in("kept"), *top = in("tree");
    struct error err;
    struct stat st;

    (void)state;
    put("kept", "x", 0600);
    assert_int_equal(file_make_dirs(tree, 0750, &err), 0);
    assert_int_equal(symlink(folder, link), 0);
    assert_int_equal(file_remove_tree(top, &err), 0);
    assert_int_not_equal(stat(top, &st), 0);
    assert_int_equal(stat(kept, &st), 0);
    assert_int_equal(file_remove_tree(top, &err), 0);
    free(tree);
    free(link);
    free(kept);
    free(top);
}

static void set_aside(void **state)
{
    char *path = in("busy"), *first, *second, *none;
    struct error err;
    struct stat st;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(file_make_dirs(path, 0750, &err), 0);
        put("busy/file", "x", 0600);
        assert_int_equal(file_set_aside(path, i == 0 ? &first : &second, &err), 0);
        assert_int_not_equal(lstat(path, &st), 0);
    }
    assert_string_not_equal(first, second);
    assert_true(file_is_aside(strrchr(first, '/') + 1));
    assert_false(file_is_aside("busy"));
    assert_int_equal(stat(first, &st), 0);
    assert_int_equal(file_set_aside(path, &none, &err), 0);   /* nothing is there */
    assert_null(none);
    assert_int_equal(file_remove_tree(first, &err), 0);
    assert_int_equal(file_remove_tree(second, &err), 0);
    free(path);
    free(first);
    free(second);
}

static void secrets(void **state)
{
    char *path = in("secret");
    struct secret s = { 0 };
    struct error err;
    int readable = 0;

    (void)state;
    put("secret", "hunter2\nsecond line\n", 0600);
    assert_int_equal(secret_from_file(&s, path, &readable, &err), 0);
    assert_string_equal(s.bytes, "hunter2");
    assert_int_equal(readable, 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(secret_from_file(&s, path, &readable, &err), 0);
    assert_int_equal(readable, 1);
    assert_int_equal(chmod(path, 0620), 0);
    assert_int_equal(secret_from_file(&s, path, &readable, &err), BF_EACCES);
    assert_null(strstr(err.text, "hunter2"));
    put("secret", "\n", 0600);
    assert_int_not_equal(secret_from_file(&s, path, &readable, &err), 0);
    secret_close(&s);
    assert_int_equal(setenv("BELFRY_TEST", "value", 1), 0);
    assert_int_equal(secret_from_env(&s, "BELFRY_TEST", &err), 0);
    assert_string_equal(s.bytes, "value");
    assert_int_not_equal(secret_from_env(&s, "BELFRY_TEST_NOT_SET", &err), 0);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    put("cred", "from systemd", 0600);
    assert_int_equal(secret_from_credential(&s, "cred", &err), 0);
    assert_string_equal(s.bytes, "from systemd");
    assert_int_not_equal(secret_from_credential(&s, "../cred", &err), 0);
    secret_close(&s);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_safe), cmocka_unit_test(names_keep_their_extension), cmocka_unit_test(written_whole),
        cmocka_unit_test(written_by_two),
        cmocka_unit_test(copies_and_digests), cmocka_unit_test(written_for_a_sync_of_all), cmocka_unit_test(opened_below),
        cmocka_unit_test(trees_go_without_following), cmocka_unit_test(set_aside), cmocka_unit_test(secrets),
    };

    return cmocka_run_group_tests(tests, open_folder, remove_folder);
}
