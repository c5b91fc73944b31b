/* Files at their edges: a disk that is full in the middle, links in every place, what is no file, descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "belfry/base/file.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/belfry-edge.XXXXXX");
    (void)signal(SIGXFSZ, SIG_IGN);
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes > limit.rlim_max ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int drop_folder(void **state)
{
    (void)state;
    limit_files(RLIM_INFINITY);
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

static void write_text(const char *name, const char *text)
{
    struct error err;

    if (file_write_atomic(in(name), text, strlen(text), 0600, &err) != 0)
        fail_msg("%s", err.text);
}

static void check_text(const char *name, const char *text)
{
    struct buf got = { 0 };
    struct error err;

    if (file_read(in(name), 1 << 20, &got, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(buf_str(&got), text);
    buf_close(&got);
}

/* The old file stays as it was, the new one is not there in part, and nothing else is left behind. */
static void a_full_disk_leaves_what_was_there(void **state)
{
    static char large[100000];
    struct error err = { 0 };
    int written, copied;

    (void)state;
    assert_int_equal(mkdir(in("full"), 0700), 0);
    write_text("full/keep", "old");
    assert_int_equal(file_write_atomic(in("large"), large, sizeof large, 0600, &err), 0);
    limit_files(4096);
    written = file_write_atomic(in("full/keep"), large, sizeof large, 0600, &err);
    copied = file_copy(in("large"), in("full/copy"), 0600, NULL);
    limit_files(RLIM_INFINITY);
    assert_true(written < 0 && copied < 0);
    assert_int_equal(err.code, written);
    assert_non_null(strstr(err.text, "full/keep"));
    check_text("full/keep", "old");
    assert_int_equal(unlink(in("full/keep")), 0);
    assert_int_equal(rmdir(in("full")), 0);
}

static void links_are_replaced_not_followed(void **state)
{
    struct error err;
    struct stat st;

    (void)state;
    write_text("precious", "precious");
    assert_int_equal(symlink("precious", in("link")), 0);
    write_text("link", "new");
    check_text("precious", "precious");
    assert_int_equal(lstat(in("link"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
    /* Nor is a copy laid through a link that leads nowhere yet. */
    assert_int_equal(symlink("not-yet", in("dangling")), 0);
    assert_int_equal(file_copy(in("precious"), in("dangling"), 0600, &err), BF_EEXIST);
    assert_int_equal(access(in("not-yet"), F_OK), -1);
    assert_int_equal(symlink("precious", in("from")), 0);
    assert_true(file_copy(in("from"), in("to"), 0600, &err) < 0);
    assert_true(file_sha256(in("from"), (char[65]) { 0 }, &(int64_t) { 0 }, &err) < 0);
}

/* A pipe would be waited for, a device has no end. */
static void only_regular_files_are_read(void **state)
{
    struct buf got = { 0 };
    struct error err;

    (void)state;
    assert_int_equal(mkfifo(in("fifo"), 0600), 0);
    assert_int_equal(file_read(in("fifo"), 100, &got, &err), BF_EINVAL);
    assert_int_equal(file_read("/dev/zero", 100, &got, &err), BF_EINVAL);
    assert_int_equal(file_read(folder, 100, &got, &err), BF_EINVAL);
    assert_int_equal(file_copy(in("fifo"), in("copy"), 0600, &err), BF_EINVAL);
    assert_int_equal(file_copy(folder, in("copy"), 0600, &err), BF_EINVAL);
    assert_int_equal(access(in("copy"), F_OK), -1);
    buf_close(&got);
}

static void folders_stand_on_folders(void **state)
{
    struct error err;
    struct stat st;

    (void)state;
    assert_int_equal(file_make_dirs(in("a//b/c/"), 0750, &err), 0);
    assert_int_equal(stat(in("a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(symlink("a", in("to-a")), 0);
    assert_int_equal(file_make_dirs(in("to-a/b/d"), 0750, &err), 0);
    assert_int_equal(stat(in("a/b/d"), &st), 0);
    write_text("file", "x");
    assert_true(file_make_dirs(in("file"), 0750, &err) < 0);
    assert_non_null(strstr(err.text, in("file")));
    assert_true(file_make_dirs(in("file/below"), 0750, &err) < 0);
}

static void a_tree_goes_with_all_that_is_odd_in_it(void **state)
{
    char deep[PATH_MAX];
    struct error err;
    struct stat st;
    size_t used;

    (void)state;
    assert_int_equal(mkdir(in("beside"), 0700), 0);
    write_text("beside/keep", "keep");
    assert_int_equal(file_make_dirs(in("tree/locked"), 0700, &err), 0);
    write_text("tree/locked/file", "x");
    write_text("tree/-rf *\n\xFF", "x");
    assert_int_equal(symlink("../beside", in("tree/out")), 0);
    assert_int_equal(symlink("nowhere", in("tree/dangling")), 0);
    assert_int_equal(mkfifo(in("tree/fifo"), 0600), 0);
    assert_int_equal(chmod(in("tree/locked"), 0), 0);
    (void)snprintf(deep, sizeof deep, "%s", in("tree/"));
    for (used = strlen(deep); used < 600; used += 2)
        (void)snprintf(deep + used, sizeof deep - used, "d/");
    assert_int_equal(file_make_dirs(deep, 0700, &err), 0);
    assert_int_equal(file_remove_tree(in("tree"), &err), 0);
    assert_int_equal(lstat(in("tree"), &st), -1);
    check_text("beside/keep", "keep");
    assert_int_equal(symlink("beside", in("link-to-beside")), 0);
    assert_int_equal(file_remove_tree(in("link-to-beside"), &err), 0);
    assert_int_equal(lstat(in("link-to-beside"), &st), -1);
    check_text("beside/keep", "keep");
}

static void make_in(int dir, const char *name, bool is_folder)
{
    int fd = is_folder ? mkdirat(dir, name, 0700) : openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

    assert_true(fd >= 0);
    if (!is_folder)
        (void)close(fd);
}

/* A folder in a folder, so many times, every tenth with something beside it, every hundredth locked. */
static void make_deep(const char *name, int depth)
{
    int at, below;

    assert_int_equal(mkdir(in(name), 0700), 0);
    at = open(in(name), O_RDONLY | O_DIRECTORY);
    make_in(at, ".deep-0", true);     /* a name that removing could come to */
    make_in(at, ".deep-0/x", true);
    make_in(at, ".deep-1", false);
    for (int i = 0; i < depth; i++) {
        assert_true(at >= 0);
        make_in(at, "d", true);
        if (i % 10 == 0) {
            make_in(at, "empty", true);
            make_in(at, "file", false);
        }
        below = openat(at, "d", O_RDONLY | O_DIRECTORY);
        if (i % 100 == 99)
            assert_int_equal(fchmod(at, 0), 0);
        (void)close(at);
        at = below;
    }
    (void)close(at);
}

/* What a run has made decides neither how many descriptors its removal takes nor how much of the stack. */
static void a_tree_of_any_depth_goes(void **state)
{
    struct rlimit before, few;
    struct error err;
    struct stat st;
    int status;

    (void)state;
    make_deep("deep", 5000);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit) { .rlim_cur = 20, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    status = file_remove_tree(in("deep"), &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, 0);
    assert_int_equal(lstat(in("deep"), &st), -1);
}

/* What somebody else does to the folder that is being removed, just before something in it is. */
static void (*meanwhile)(int dir, const char *name);
static int meanwhile_times;

/* In front of the C library's. */
int unlinkat(int dir, const char *name, int flags)
{
    if (meanwhile != NULL)
        meanwhile(dir, name);
    return (int)syscall(SYS_unlinkat, dir, name, flags);
}

static void rename_the_temporary(int dir, const char *name)
{
    if (strcmp(name, "end.tmp") == 0)
        (void)renameat(dir, "end.tmp", dir, "end");
}

static void take_the_temporary(int dir, const char *name)
{
    if (strcmp(name, "end.tmp") == 0)
        (void)syscall(SYS_unlinkat, dir, "end.tmp", 0);
}

/* As long as there is a time left. */
static void put_one_more(int dir, const char *name)
{
    char late[32];

    if (strcmp(name, "sub") != 0 || meanwhile_times-- <= 0)
        return;
    (void)snprintf(late, sizeof late, "sub/late-%d", meanwhile_times);
    make_in(dir, late, false);
}

static int remove_while(void (*happens)(int dir, const char *name), int times)
{
    static const char *const files[] = { "busy/before", "busy/sub/before", "busy/sub/end.tmp", "busy/sub/later", "busy/later" };
    struct error err;
    int status;

    assert_int_equal(mkdir(in("busy"), 0700), 0);
    assert_int_equal(mkdir(in("busy/sub"), 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        make_in(AT_FDCWD, in(files[i]), false);
    meanwhile_times = times;
    meanwhile = happens;
    status = file_remove_tree(in("busy"), &err);
    meanwhile = NULL;
    return status;
}

/* A supervisor may still write in a folder that goes: it renames its temporary files. */
static void a_tree_goes_though_something_comes_and_goes_in_it_meanwhile(void **state)
{
    struct error err;
    struct stat st;

    (void)state;
    assert_int_equal(remove_while(rename_the_temporary, 0), 0);
    assert_int_equal(lstat(in("busy"), &st), -1);
    assert_int_equal(remove_while(take_the_temporary, 0), 0);
    assert_int_equal(lstat(in("busy"), &st), -1);
    assert_int_equal(remove_while(put_one_more, 2), 0);
    assert_int_equal(lstat(in("busy"), &st), -1);
    /* It does not go on for ever, where somebody else does. */
    assert_int_not_equal(remove_while(put_one_more, 1000), 0);
    assert_true(meanwhile_times > 900);
    assert_int_equal(file_remove_tree(in("busy"), &err), 0);
}

/* Root notices no lock: it is somebody else who has to remove what a run of theirs has locked. */
static void a_folder_locked_by_its_owner_goes_too(void **state)
{
    static const mode_t modes[] = { 0, 0100, 0300, 0500, 0600 };
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(chmod(folder, 0711), 0);
    assert_int_equal(mkdir(in("theirs"), 0700), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(in("theirs"), 65534, 65534), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error err;
        bool gone = true;

        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(1);
        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
            if (file_make_dirs(in("theirs/a/b"), 0700, &err) != 0 ||
                file_write_atomic(in("theirs/a/b/file"), "x", 1, 0400, &err) != 0 || chmod(in("theirs/a/b"), modes[i]) != 0 ||
                chmod(in("theirs/a"), modes[i]) != 0)
                _exit(2);
            gone = gone && file_remove_tree(in("theirs/a"), &err) == 0 && access(in("theirs/a"), F_OK) != 0;
        }
        make_deep("theirs/deep", 300);
        gone = gone && file_remove_tree(in("theirs/deep"), &err) == 0 && access(in("theirs/deep"), F_OK) != 0;
        _exit(gone ? 0 : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_copy_is_byte_for_byte(void **state)
{
    static char bytes[300001];
    char one[65], two[65];
    struct error err;
    int64_t size;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 256);
    assert_int_equal(file_write_atomic(in("from"), bytes, sizeof bytes, 0600, &err), 0);
    assert_int_equal(file_copy(in("from"), in("to"), 0640, &err), 0);
    assert_int_equal(file_sha256(in("from"), one, &size, &err), 0);
    assert_int_equal(size, sizeof bytes);
    assert_int_equal(file_sha256(in("to"), two, &size, &err), 0);
    assert_string_equal(one, two);
    write_text("empty", "");
    assert_int_equal(file_copy(in("empty"), in("empty-too"), 0640, &err), 0);
    assert_int_equal(file_sha256(in("empty-too"), one, &size, &err), 0);
    assert_int_equal(size, 0);
    assert_string_equal(one, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void opening_below_stays_below_and_leaves_nothing_open(void **state)
{
    static const char *const bad[] = { "", "/", "..", "../outside", "a/../../outside", "a/..", "/etc/passwd", "a//b", "a/", "link",
        "a/link-dir/b", "link-out/outside", "absent", "file/x", "a/b/" };
    char name[NAME_MAX + 8];
    struct error err;
    int dir, fd;

    (void)state;
    assert_int_equal(file_make_dirs(in("below/a/deep"), 0700, &err), 0);
    write_text("outside", "outside");
    write_text("below/file", "x");
    write_text("below/a/b", "in b");
    assert_int_equal(symlink("file", in("below/link")), 0);
    assert_int_equal(symlink("deep", in("below/a/link-dir")), 0);
    assert_int_equal(symlink("..", in("below/link-out")), 0);
    dir = open(in("below"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    fd = file_open_below(dir, "a/b");
    assert_true(fd >= 0);
    assert_int_equal(read(fd, name, sizeof name), 4);
    assert_memory_equal(name, "in b", 4);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        fd = file_open_below(dir, bad[i]);
        if (fd >= 0)
            fail_msg("\"%s\" was opened", bad[i]);
        assert_int_not_equal(errno, 0);
    }
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(file_open_below(dir, name), -1);
    /* The lowest number that is free is the one behind the folder's, as it was. */
    fd = dup(dir);
    assert_int_equal(fd, dir + 1);
    close(fd);
    close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_leaves_what_was_there),
        cmocka_unit_test(links_are_replaced_not_followed),
        cmocka_unit_test(only_regular_files_are_read),
        cmocka_unit_test(folders_stand_on_folders),
        cmocka_unit_test(a_tree_goes_with_all_that_is_odd_in_it),
        cmocka_unit_test(a_tree_of_any_depth_goes),
        cmocka_unit_test(a_tree_goes_though_something_comes_and_goes_in_it_meanwhile),
        cmocka_unit_test(a_folder_locked_by_its_owner_goes_too),
        cmocka_unit_test(a_copy_is_byte_for_byte),
        cmocka_unit_test(opening_below_stays_below_and_leaves_nothing_open),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
