/* Files that are whole or not there. */
#include "belfry/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/id.h"
#include "belfry/base/text.h"

#define ASIDE ".gone-"
#define ASIDE_NAME_MAX 100   /* of its former name */

char *file_join(const char *dir, const char *name)
{
    struct buf path = { 0 };

    if (name[0] != '/') {
        buf_adds(&path, dir);
        if (path.len == 0 || path.data[path.len - 1] != '/')
            buf_addc(&path, '/');
    }
    buf_adds(&path, name);
    return buf_take(&path);
}

static int make_dir(const char *path, mode_t mode, struct error *err)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return 0;
    if (errno == EEXIST) {
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            return 0;
        errno = ENOTDIR;
    }
    return error_errno(err, errno, "cannot make the folder %s", path);
}

int file_make_dirs(const char *path, mode_t mode, struct error *err)
{
    char *copy;
    int status = 0;

    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != ENOENT)
        return make_dir(path, mode, err);
    copy = strdup(path);
    if (copy == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    for (char *slash = strchr(copy + 1, '/'); slash != NULL && status == 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = make_dir(copy, mode, err);
        *slash = '/';
    }
    if (status == 0)
        status = make_dir(copy, mode, err);
    free(copy);
    return status;
}

int file_read(const char *path, size_t max, struct buf *into, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    ssize_t got = 0;
    int status = 0;

    if (fd < 0)
        return error_errno(err, errno, "cannot read %s", path);
    if (fstat(fd, &st) != 0)
        status = error_errno(err, errno, "cannot read %s", path);
    else if (!S_ISREG(st.st_mode))
        status = error_set(err, BF_EINVAL, "cannot read %s: it is not a regular file", path);
    while (status == 0) {
        if (buf_reserve(into, 65536) != 0) {
            status = error_set(err, BF_ENOMEM, "out of memory while reading %s", path);
            break;
        }
        got = read(fd, into->data + into->len, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = error_errno(err, errno, "cannot read %s", path);
        if (got <= 0)
            break;
        into->len += (size_t)got;
        into->data[into->len] = '\0';
        if (into->len > max)
            status = error_set(err, BF_ETOOBIG, "%s is larger than %zu bytes", path, max);
    }
    (void)close(fd);
    return status;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, bytes, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno;
        bytes += put;
        len -= (size_t)put;
    }
    return 0;
}

static int sync_by(int (*sync)(int fd), const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int errnum;

    if (fd < 0)
        return error_errno(err, errno, "cannot open the folder %s", path);
    errnum = sync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return errnum == 0 ? 0 : error_errno(err, errnum, "cannot sync the folder %s", path);
}

int file_sync_dir(const char *path, struct error *err)
{
    return sync_by(fsync, path, err);
}

int file_sync_all(const char *path, struct error *err)
{
    return sync_by(syncfs, path, err);
}

static int sync_parent(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char *dir;
    int status;

    if (slash == NULL)
        return file_sync_dir(".", err);
    dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (dir == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    status = file_sync_dir(dir, err);
    free(dir);
    return status;
}

static void random_hex(char hex[17])
{
    unsigned char dice[8];

    id_random(dice, sizeof dice);
    text_hex(dice, sizeof dice, hex);
}

/* The temporary name is of this call alone: another thread may write the same file. */
int file_write_atomic(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err)
{
    struct buf temporary = { 0 };
    char hex[17];
    int fd, errnum;

    random_hex(hex);
    buf_addf(&temporary, "%s.%s.tmp", path, hex);
    if (buf_failed(&temporary)) {
        buf_close(&temporary);
        return error_set(err, BF_ENOMEM, "out of memory");
    }
    fd = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    errnum = fd < 0 ? errno : write_all(fd, bytes, len);
    if (errnum == 0 && fsync(fd) != 0)
        errnum = errno;
    if (fd >= 0 && close(fd) != 0 && errnum == 0)
        errnum = errno;
    if (errnum == 0 && rename(temporary.data, path) != 0)
        errnum = errno;
    if (errnum != 0 && fd >= 0)
        (void)unlink(temporary.data);
    buf_close(&temporary);
    return errnum == 0 ? sync_parent(path, err) : error_errno(err, errnum, "cannot write %s", path);
}

int file_write_unsynced(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode), errnum;

    if (fd < 0)
        return error_errno(err, errno, "cannot write %s", path);
    errnum = write_all(fd, bytes, len);
    if (close(fd) != 0 && errnum == 0)
        errnum = errno;
    if (errnum == 0)
        return 0;
    (void)unlink(path);
    return error_errno(err, errnum, "cannot write %s", path);
}

/* A folder of a run may have been made unreadable by the run itself: it is ours to remove all the same. */
static int open_to_remove(int parent, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);

    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(parent, name, flags);
    if (fd >= 0)
        (void)fchmod(fd, 0700);
    return fd;
}

static int remove_below(int parent, const char *name)
{
    int fd = open_to_remove(parent, name);
    struct dirent *entry;
    int errnum = 0;
    DIR *dir;

    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP ? (unlinkat(parent, name, 0) == 0 ? 0 : errno) : errno;
    dir = fdopendir(fd);
    if (dir == NULL) {
        errnum = errno;
        (void)close(fd);
        return errnum;
    }
    while (errnum == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type != DT_DIR && unlinkat(fd, entry->d_name, 0) == 0)
            continue;
        errnum = remove_below(fd, entry->d_name);
    }
    if (errnum == 0)
        errnum = errno;
    (void)closedir(dir);
    if (errnum == 0 && unlinkat(parent, name, AT_REMOVEDIR) != 0)
        errnum = errno;
    return errnum;
}

int file_remove_tree(const char *path, struct error *err)
{
    int errnum = remove_below(AT_FDCWD, path);

    if (errnum == 0 || errnum == ENOENT)
        return 0;
    return error_errno(err, errnum, "cannot remove %s", path);
}

int file_set_aside(const char *path, char **aside, struct error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    struct buf to = { 0 };
    char hex[17];
    int status = 0;

    *aside = NULL;
    random_hex(hex);
    buf_addf(&to, "%.*s" ASIDE "%.*s-%s", (int)(name - path), path, ASIDE_NAME_MAX, name, hex);
    if (buf_failed(&to))
        status = error_set(err, BF_ENOMEM, "out of memory");
    else if (rename(path, to.data) == 0)
        *aside = buf_take(&to);
    else if (errno != ENOENT)
        status = error_errno(err, errno, "cannot set %s aside", path);
    buf_close(&to);
    return status;
}

bool file_is_aside(const char *name)
{
    return strncmp(name, ASIDE, strlen(ASIDE)) == 0;
}

static int copy_bytes(int from, int to)
{
    char chunk[65536];
    ssize_t got;
    int errnum;

    for (;;) {
        got = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
        if (got == 0)
            return 0;
        if (got < 0)
            break;
    }
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return errno;
    for (;;) {
        got = read(from, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? 0 : errno;
        errnum = write_all(to, chunk, (size_t)got);
        if (errnum != 0)
            return errnum;
    }
}

static int copy_fd(int in, const char *from, const char *to, mode_t mode, bool sync, struct error *err)
{
    struct stat st;
    int out, errnum;

    if (fstat(in, &st) != 0 || !S_ISREG(st.st_mode))
        return error_set(err, BF_EINVAL, "cannot copy %s: it is not a regular file", from);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (out < 0)
        return error_errno(err, errno, "cannot write %s", to);
    errnum = copy_bytes(in, out);
    if (errnum == 0 && sync && fsync(out) != 0)
        errnum = errno;
    if (close(out) != 0 && errnum == 0)
        errnum = errno;
    if (errnum == 0)
        return 0;
    (void)unlink(to);
    return error_errno(err, errnum, "cannot copy %s to %s", from, to);
}

static int copy_path(const char *from, const char *to, mode_t mode, bool sync, struct error *err)
{
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), status;

    if (in < 0)
        return error_errno(err, errno, "cannot read %s", from);
    status = copy_fd(in, from, to, mode, sync, err);
    (void)close(in);
    return status;
}

int file_copy_fd(int in, const char *from, const char *to, mode_t mode, struct error *err)
{
    return copy_fd(in, from, to, mode, true, err);
}

int file_copy_fd_unsynced(int in, const char *from, const char *to, mode_t mode, struct error *err)
{
    return copy_fd(in, from, to, mode, false, err);
}

int file_copy(const char *from, const char *to, mode_t mode, struct error *err)
{
    return copy_path(from, to, mode, true, err);
}

int file_copy_unsynced(const char *from, const char *to, mode_t mode, struct error *err)
{
    return copy_path(from, to, mode, false, err);
}

int file_open_below(int dir, const char *path)
{
    int at = dir;

    for (bool last = false; !last;) {
        size_t len = strcspn(path, "/");
        char name[NAME_MAX + 1];
        int below = -1, errnum;

        last = path[len] == '\0';
        if (len == 0 || len > NAME_MAX || (len == 2 && path[0] == '.' && path[1] == '.')) {
            errno = ENOENT;
        } else {
            memcpy(name, path, len);
            name[len] = '\0';
            below = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (last ? 0 : O_DIRECTORY));
        }
        errnum = errno;
        if (at != dir)
            (void)close(at);
        if (below < 0) {
            errno = errnum;
            return -1;
        }
        at = below;
        path += len + 1;
    }
    return at;
}

int file_sha256(const char *path, char hex[65], int64_t *size, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), status = 0;
    unsigned char chunk[65536], hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx;
    ssize_t got;

    if (fd < 0)
        return error_errno(err, errno, "cannot read %s", path);
    ctx = EVP_MD_CTX_new();
    *size = 0;
    if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        status = error_set(err, BF_ENOMEM, "out of memory");
    while (status == 0 && (got = read(fd, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = error_errno(err, errno, "cannot read %s", path);
        else if (EVP_DigestUpdate(ctx, chunk, (size_t)got) != 1)
            status = error_set(err, BF_ENOMEM, "out of memory");
        else
            *size += got;
    }
    if (status == 0 && EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        status = error_set(err, BF_ENOMEM, "out of memory");
    if (status == 0)
        text_hex(hash, 32, hex);
    EVP_MD_CTX_free(ctx);
    (void)close(fd);
    return status;
}
