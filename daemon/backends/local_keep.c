/* One file of a run's, kept with its results: under a safe name, out of reach of who made it, and only as big as it may be. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local_collect.h"

#define SYNCED_EACH 64           /* files */

void local_note(struct gathering *g, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    collection_note(&g->collected, format, ap);
    va_end(ap);
}

bool local_given_up(struct gathering *g)
{
    if (g->status == 0 && g->backend->closing)
        g->status = error_set(&g->error, BF_ECANCELED, "the daemon is stopping");
    return g->status != 0;
}

bool local_sync_each(const struct gathering *g)
{
    return g->put <= SYNCED_EACH;
}

char *local_free_name(struct gathering *g, const char *dir, const char *name, char safe[FILE_NAME_MAX + 1])
{
    char first[FILE_NAME_MAX + 1], *path, *key;
    struct stat st;
    unsigned k;

    file_safe_name(name, strlen(name), first);
    memcpy(safe, first, sizeof first);
    key = file_join(dir + strlen(g->dir), first);
    /* A run may have made the same name many thousand times: what is known to be taken is not tried again. */
    for (k = (unsigned)json_int(g->numbers, key != NULL ? key : "", 1);; k++) {
        if (k > 1)
            file_numbered_name(first, k, safe);
        path = key != NULL ? file_join(dir, safe) : NULL;
        if (path == NULL || (lstat(path, &st) != 0 && errno == ENOENT))
            break;
        free(path);
    }
    if (path == NULL || json_object_set_new(g->numbers, key, json_integer((json_int_t)k + 1)) != 0) {
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
        free(path);
        path = NULL;
    }
    free(key);
    return path;
}

/* What is the daemon's own and has no other name is linked there; what another user owns, or could still reach by another
 * name, is copied: nobody may change it once it is published. */
int local_put_file(struct gathering *g, int fd, const char *from, const char *to, const struct file_bounds *bounds)
{
    struct file_bounds copied = *bounds;
    char open_file[64];
    struct stat st;

    g->put++;
    copied.unsynced = !local_sync_each(g);
    (void)snprintf(open_file, sizeof open_file, "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) != 0 || st.st_uid != geteuid() || st.st_nlink != 1 || st.st_size > bounds->max ||
        linkat(AT_FDCWD, open_file, AT_FDCWD, to, AT_SYMLINK_FOLLOW) != 0)
        return file_copy_fd(fd, from, to, 0640, &copied, &g->error);
    if (fchmod(fd, 0640) != 0 || (!copied.unsynced && fsync(fd) != 0))
        return error_errno(&g->error, errno, "cannot sync %s", to);
    return 0;
}

static bool keep(struct gathering *g, int fd, const char *shown, const char *to, char *hex, int64_t *size)
{
    const struct file_bounds bounds = { .max = g->left, .stop = &g->backend->closing };
    struct stat st;
    int status = local_put_file(g, fd, shown, to, &bounds);

    if (status == 0 && hex != NULL)
        status = file_sha256_within(to, &bounds, hex, size, &g->error);
    else if (status == 0 && stat(to, &st) != 0)
        status = error_errno(&g->error, errno, "cannot read %s", to);
    else if (status == 0)
        *size = st.st_size;
    if (status == BF_ETOOBIG) {
        (void)unlink(to);   /* it may have grown when it was there */
        local_note(g, "%s is too big: the run's files would have more than %lld bytes together (artifacts_max): it is left out", shown,
                   (long long)g->max);
        return false;
    }
    g->status = status;
    if (status == 0)
        g->left -= *size < g->left ? *size : g->left;
    return status == 0;
}

bool local_keep_file(struct gathering *g, int fd, const char *shown, const char *to)
{
    int64_t size;

    return keep(g, fd, shown, to, NULL, &size);
}

bool local_keep_hashed(struct gathering *g, int fd, const char *shown, const char *to, char hex[65], int64_t *size)
{
    return keep(g, fd, shown, to, hex, size);
}
