/* Secrets: where they are taken from, who may touch them there, and that no error shows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/secret.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/belfry-secret.XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL);
}

static const char *write_file(const char *name, const char *bytes, size_t len, mode_t mode)
{
    static char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path);   /* it may be one that its owner may not write */
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static void the_first_line_is_the_secret(void **state)
{
    static const struct {
        const char *bytes, *secret;
    } cases[] = {
        { "hunter2", "hunter2" }, { "hunter2\n", "hunter2" }, { "hunter2\r\n", "hunter2" }, { "hunter2 \nmore\n", "hunter2" },
        { " leading", " leading" }, { "two words\n", "two words" }, { "Schl\xC3\xBCssel\n", "Schl\xC3\xBCssel" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct secret s = { 0 };
        struct error err = { 0 };
        int readable = -1;

        assert_int_equal(secret_from_file(&s, write_file("key", cases[i].bytes, strlen(cases[i].bytes), 0600), &readable, &err), 0);
        assert_string_equal(s.bytes, cases[i].secret);
        assert_int_equal(s.len, strlen(cases[i].secret));
        assert_int_equal(readable, 0);
        secret_close(&s);
        assert_null(s.bytes);
        assert_int_equal(s.len, 0);
        secret_close(&s);
    }
}

static void modes_are_judged(void **state)
{
    static const struct {
        mode_t mode;
        int status, readable;
    } cases[] = {
        { 0600, 0, 0 }, { 0400, 0, 0 }, { 0700, 0, 0 }, { 0640, 0, 1 }, { 0604, 0, 1 }, { 0644, 0, 1 }, { 0444, 0, 1 },
        { 0620, BF_EACCES, 0 }, { 0602, BF_EACCES, 0 }, { 0660, BF_EACCES, 0 }, { 0666, BF_EACCES, 0 }, { 0777, BF_EACCES, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = write_file("key", "hunter2\n", 8, cases[i].mode);
        struct secret s = { 0 };
        struct error err = { 0 };
        int readable = 0;

        assert_int_equal(secret_from_file(&s, path, &readable, &err), cases[i].status);
        assert_int_equal(readable, cases[i].readable);
        assert_int_equal(s.bytes != NULL, cases[i].status == 0);
        if (cases[i].status != 0) {
            assert_non_null(strstr(err.text, path));
            assert_non_null(strstr(err.text, "chmod go-w"));
            assert_null(strstr(err.text, "hunter2"));
        }
        secret_close(&s);
    }
}

static void what_holds_no_secret_is_refused(void **state)
{
    struct secret s = { 0 };
    struct error err;
    char large[5000];
    char fifo[128];
    int readable = 0;

    (void)state;
    assert_int_equal(secret_from_file(&s, write_file("key", "", 0, 0600), &readable, &err), BF_EINVAL);
    assert_int_equal(secret_from_file(&s, write_file("key", "\nsecond line\n", 13, 0600), &readable, &err), BF_EINVAL);
    assert_null(strstr(err.text, "second"));
    assert_int_equal(secret_from_file(&s, write_file("key", "  \r\n", 4, 0600), &readable, &err), BF_EINVAL);
    assert_int_equal(secret_from_file(&s, folder, &readable, &err), BF_EINVAL);
    assert_non_null(strstr(err.text, "regular file"));
    (void)snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(secret_from_file(&s, fifo, &readable, &err), BF_EINVAL);
    assert_int_equal(secret_from_file(&s, "/nonexistent/key", &readable, &err), BF_ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/key"));
    memset(large, 's', sizeof large);
    assert_int_equal(secret_from_file(&s, write_file("key", large, sizeof large, 0600), &readable, &err), BF_ETOOBIG);
    assert_null(s.bytes);
    large[4096] = '\n';
    assert_int_equal(secret_from_file(&s, write_file("key", large, sizeof large, 0600), &readable, &err), 0);
    assert_int_equal(s.len, 4096);
    secret_close(&s);
}

static void the_environment_gives_one(void **state)
{
    struct secret s = { 0 };
    struct error err;

    (void)state;
    setenv("BELFRY_TEST_SECRET", "from outside", 1);
    assert_int_equal(secret_from_env(&s, "BELFRY_TEST_SECRET", &err), 0);
    assert_string_equal(s.bytes, "from outside");
    setenv("BELFRY_TEST_SECRET", "", 1);
    assert_int_equal(secret_from_env(&s, "BELFRY_TEST_SECRET", &err), BF_ENOENT);
    unsetenv("BELFRY_TEST_SECRET");
    assert_int_equal(secret_from_env(&s, "BELFRY_TEST_SECRET", &err), BF_ENOENT);
    assert_non_null(strstr(err.text, "BELFRY_TEST_SECRET"));
    /* What was there before stays when nothing comes after it. */
    assert_string_equal(s.bytes, "from outside");
    secret_close(&s);
}

static void a_credential_lies_in_its_folder_only(void **state)
{
    static const char *const bad[] = { "../key", "a/b", "..", "/etc/passwd", "", ".", "absent" };
    struct secret s = { 0 };
    struct error err;

    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(secret_from_credential(&s, "api", &err), BF_ENOENT);
    assert_non_null(strstr(err.text, "LoadCredential"));
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    (void)write_file("api", "hunter2\n", 8, 0400);
    assert_int_equal(secret_from_credential(&s, "api", &err), 0);
    assert_string_equal(s.bytes, "hunter2");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (secret_from_credential(&s, bad[i], &err) == 0)
            fail_msg("\"%s\" was taken", bad[i]);
    }
    secret_close(&s);
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void a_secret_may_be_set_again(void **state)
{
    struct secret s = { 0 };

    (void)state;
    assert_int_equal(secret_set(&s, "one", 3), 0);
    assert_int_equal(secret_set(&s, "an\0other", 8), 0);
    assert_int_equal(s.len, 8);
    assert_memory_equal(s.bytes, "an\0other", 9);
    assert_int_equal(secret_set(&s, "", 0), 0);
    assert_int_equal(s.len, 0);
    assert_string_equal(s.bytes, "");
    secret_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_is_the_secret),
        cmocka_unit_test(modes_are_judged),
        cmocka_unit_test(what_holds_no_secret_is_refused),
        cmocka_unit_test(the_environment_gives_one),
        cmocka_unit_test(a_credential_lies_in_its_folder_only),
        cmocka_unit_test(a_secret_may_be_set_again),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
