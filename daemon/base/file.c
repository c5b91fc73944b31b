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

/* --- removing ----------------------------------------------------------------------------------------------------- */

/* So many folders are opened one in the other. What lies deeper is moved up and has its turn there: a run may have made folders
 * of any depth, and there are only so many descriptors. */
#define REMOVE_DEPTH 8
#define REMOVE_TIMES 5   /* that a folder is gone through, as long as others put something into it */

struct removing {
    int top;               /* the folder that goes, with all that is in it */
    unsigned long moved;   /* so many were moved up into it */
    unsigned long number;  /* of the name to try next */
};

/* A folder of a run may have been made unreadable by the run itself: it is ours to remove all the same. */
static DIR *open_to_remove(int parent, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags), errnum;
    DIR *dir;

    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(parent, name, flags);
    if (fd < 0)
        return NULL;
    (void)fchmod(fd, 0700);
    dir = fdopendir(fd);
    if (dir != NULL)
        return dir;
    errnum = errno;
    (void)close(fd);
    errno = errnum;
    return NULL;
}

/* 0 or an errno. A name that is taken, by one that was moved before or by the run itself, is passed over. */
static int move_up(struct removing *r, int parent, const char *name)
{
    bool unlocked = false;
    char to[32];

    for (;;) {
        (void)snprintf(to, sizeof to, ".deep-%lu", r->number++);
        if (renameat(parent, name, r->top, to) == 0) {
            r->moved++;
            return 0;
        }
        if (errno == EACCES && !unlocked && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
            unlocked = true;
        else if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
            return errno;
    }
}

static int remove_below(struct removing *r, int parent, const char *name, int depth);

/* What vanishes meanwhile is gone, too: a supervisor may rename a temporary file, or somebody else remove it. */
static int empty_folder(struct removing *r, DIR *dir, int depth)
{
    struct dirent *entry;
    int errnum;

    while ((errno = 0, entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type != DT_DIR && unlinkat(dirfd(dir), entry->d_name, 0) == 0)
            continue;
        errnum = remove_below(r, dirfd(dir), entry->d_name, depth + 1);
        if (errnum != 0 && errnum != ENOENT)
            return errnum;
    }
    return errno;
}

/* A folder that got something new while it was emptied is gone through again. */
static int remove_folder(struct removing *r, DIR *dir, int parent, const char *name, int depth)
{
    unsigned long before;
    int errnum = 0;

    for (int times = 0; times < REMOVE_TIMES; times++) {
        do {
            before = r->moved;
            rewinddir(dir);
            errnum = empty_folder(r, dir, depth);
        } while (errnum == 0 && depth == 0 && r->moved > before);
        if (errnum != 0 || unlinkat(parent, name, AT_REMOVEDIR) == 0)
            return errnum;
        errnum = errno;
        if (errnum != ENOTEMPTY && errnum != EEXIST)
            break;
    }
    return errnum;
}

/* 0 or an errno; ENOENT when the name itself is not there. */
static int remove_below(struct removing *r, int parent, const char *name, int depth)
{
    int errnum;
    DIR *dir;

    if (depth > REMOVE_DEPTH)
        return unlinkat(parent, name, AT_REMOVEDIR) == 0 ? 0 : move_up(r, parent, name);
    dir = open_to_remove(parent, name);
    if (dir == NULL)
        return errno == ENOTDIR || errno == ELOOP ? (unlinkat(parent, name, 0) == 0 ? 0 : errno) : errno;
    if (depth == 0)
        r->top = dirfd(dir);
    errnum = remove_folder(r, dir, parent, name, depth);
    (void)closedir(dir);
    return errnum;
}

int file_remove_tree(const char *path, struct error *err)
{
    struct removing r = { .top = -1 };
    int errnum = remove_below(&r, AT_FDCWD, path, 0);

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

/* --- copying ------------------------------------------------------------------------------------------------------ */

#define PIECE (INT64_C(64) << 20)

static const struct file_bounds boundless = { .max = INT64_MAX };

static bool given_up(const struct file_bounds *bounds)
{
    return bounds->stop != NULL && atomic_load(bounds->stop);
}

static ssize_t move_by_hand(int from, int to, off_t at, size_t len)
{
    char chunk[65536];
    ssize_t got = pread(from, chunk, len < sizeof chunk ? len : sizeof chunk, at);
    int errnum;

    if (got <= 0)
        return got;
    if (lseek(to, at, SEEK_SET) < 0)
        return -1;
    errnum = write_all(to, chunk, (size_t)got);
    errno = errnum;
    return errnum == 0 ? got : -1;
}

/* A piece of both files at the same place: how much came, 0 at the end, -1 with errno. */
static ssize_t move_piece(int from, int to, off_t at, size_t len)
{
    loff_t in = at, out = at;
    ssize_t got = copy_file_range(from, &in, to, &out, len, 0);

    if (got >= 0 || (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP))
        return got;
    return move_by_hand(from, to, at, len);
}

/* From at up to `end`, or to the end of the file. Where it came to is in *at. 0, an errno, or ECANCELED, EFBIG for the bounds. */
static int copy_range(int from, int to, off_t *at, off_t end, const struct file_bounds *bounds)
{
    while (*at < end) {
        ssize_t got;

        if (given_up(bounds))
            return ECANCELED;
        got = move_piece(from, to, *at, (size_t)(end - *at < PIECE ? end - *at : PIECE));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        if (got == 0)
            return 0;
        *at += got;
        if (*at > bounds->max)
            return EFBIG;
    }
    return 0;
}

/* What is a hole stays one: a file of a terabyte may have no bytes at all. */
static int copy_bytes(int from, int to, const struct file_bounds *bounds)
{
    off_t at = 0, end;
    int errnum;

    for (bool more = true; more;) {
        off_t data = lseek(from, at, SEEK_DATA), hole = data >= 0 ? lseek(from, data, SEEK_HOLE) : -1;

        if (data < 0 && errno == ENXIO)   /* nothing but a hole up to the end */
            break;
        at = data >= 0 ? data : at;
        hole = hole >= 0 ? hole : INT64_MAX;
        errnum = copy_range(from, to, &at, hole, bounds);
        if (errnum != 0)
            return errnum;
        more = at == hole;
    }
    end = lseek(from, 0, SEEK_END);
    if (end > bounds->max)
        return EFBIG;
    return end <= at || ftruncate(to, end) == 0 ? 0 : errno;
}

static int copy_failed(const char *from, const char *to, int errnum, const struct file_bounds *bounds, struct error *err)
{
    if (errnum == ECANCELED && given_up(bounds))
        return error_set(err, BF_ECANCELED, "the copy of %s was given up", from);
    if (errnum == EFBIG && bounds->max < INT64_MAX)
        return error_set(err, BF_ETOOBIG, "%s is larger than %lld bytes", from, (long long)bounds->max);
    return error_errno(err, errnum, "cannot copy %s to %s", from, to);
}

int file_copy_fd(int in, const char *from, const char *to, mode_t mode, const struct file_bounds *bounds, struct error *err)
{
    struct stat st;
    int out, errnum;

    if (fstat(in, &st) != 0 || !S_ISREG(st.st_mode))
        return error_set(err, BF_EINVAL, "cannot copy %s: it is not a regular file", from);
    if (st.st_size > bounds->max)
        return copy_failed(from, to, EFBIG, bounds, err);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (out < 0)
        return error_errno(err, errno, "cannot write %s", to);
    errnum = copy_bytes(in, out, bounds);
    if (errnum == 0 && !bounds->unsynced && fsync(out) != 0)
        errnum = errno;
    if (close(out) != 0 && errnum == 0)
        errnum = errno;
    if (errnum == 0)
        return 0;
    (void)unlink(to);
    return copy_failed(from, to, errnum, bounds, err);
}

int file_copy_within(const char *from, const char *to, mode_t mode, const struct file_bounds *bounds, struct error *err)
{
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), status;

    if (in < 0)
        return error_errno(err, errno, "cannot read %s", from);
    status = file_copy_fd(in, from, to, mode, bounds, err);
    (void)close(in);
    return status;
}

int file_copy(const char *from, const char *to, mode_t mode, struct error *err)
{
    return file_copy_within(from, to, mode, &boundless, err);
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

int file_sha256_within(const char *path, const struct file_bounds *bounds, char hex[65], int64_t *size, struct error *err)
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
        else if ((*size += got) > bounds->max)
            status = error_set(err, BF_ETOOBIG, "%s is larger than %lld bytes", path, (long long)bounds->max);
        else if (given_up(bounds))
            status = error_set(err, BF_ECANCELED, "the hash of %s was given up", path);
    }
    if (status == 0 && EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        status = error_set(err, BF_ENOMEM, "out of memory");
    if (status == 0)
        text_hex(hash, 32, hex);
    EVP_MD_CTX_free(ctx);
    (void)close(fd);
    return status;
}

int file_sha256(const char *path, char hex[65], int64_t *size, struct error *err)
{
    return file_sha256_within(path, &boundless, hex, size, err);
}
