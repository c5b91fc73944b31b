/* What belfry-run leaves in the run's folder: that it began, and how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "order.h"

static void boot_id(char out[64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, out, 63) : -1;

    if (fd >= 0)
        (void)close(fd);
    out[got > 0 ? got : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
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

int record_claim(int folder_fd, const struct order *order, int64_t now_ms)
{
    char name[32], temporary[48], text[160], boot[64];
    int fd, errnum, len;

    (void)snprintf(name, sizeof name, "claim.%lld", (long long)order->attempt);
    (void)snprintf(temporary, sizeof temporary, ".%s.%d", name, (int)getpid());
    boot_id(boot);
    len = snprintf(text, sizeof text, "%d %s %lld\n", (int)getpid(), boot[0] != '\0' ? boot : "-", (long long)now_ms);
    fd = openat(folder_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    /* Locked and written under a name of its own, then linked: whoever sees the claim sees it whole and locked. */
    errnum = flock(fd, LOCK_EX | LOCK_NB) == 0 ? write_all(fd, text, (size_t)len) : errno;
    if (errnum == 0 && linkat(folder_fd, temporary, folder_fd, name, 0) != 0)
        errnum = errno;
    (void)unlinkat(folder_fd, temporary, 0);
    return errnum;
}

static const char *const endings[] = { "exited", "signaled", "timed_out", "canceled", "failed" };

/* The texts that belfry-run puts into errors are its own, and may be cut within a character. */
static void plain(const char *text, char *out, size_t size)
{
    size_t n = 0;

    for (; *text != '\0' && n + 1 < size; text++)
        out[n++] = *text == '"' || *text == '\\' || (unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e ? '\'' : *text;
    out[n] = '\0';
}

int record_exit(int folder_fd, const struct order *order, const struct outcome *o)
{
    char name[32], temporary[40], text[1024], error[256];
    int fd, errnum, len;

    plain(o->error != NULL ? o->error : "", error, sizeof error);
    len = snprintf(text, sizeof text,
                   "{\"outcome\": \"%s\", \"exit_code\": %d, \"signal\": %d, \"started_ms\": %lld, \"ended_ms\": %lld,"
                   " \"error\": \"%s\", \"max_rss_kib\": %ld, \"user_ms\": %lld, \"system_ms\": %lld,"
                   " \"console_truncated\": %s}\n",
                   endings[o->ending], o->exit_code, o->signal, (long long)o->started_ms, (long long)o->ended_ms, error,
                   o->usage.ru_maxrss, (long long)o->usage.ru_utime.tv_sec * 1000 + o->usage.ru_utime.tv_usec / 1000,
                   (long long)o->usage.ru_stime.tv_sec * 1000 + o->usage.ru_stime.tv_usec / 1000,
                   o->console_cut ? "true" : "false");
    (void)snprintf(name, sizeof name, "exit.%lld", (long long)order->attempt);
    (void)snprintf(temporary, sizeof temporary, ".%s.tmp", name);
    fd = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    errnum = write_all(fd, text, (size_t)len);
    if (errnum == 0 && fsync(fd) != 0)
        errnum = errno;
    if (close(fd) != 0 && errnum == 0)
        errnum = errno;
    if (errnum == 0 && renameat(folder_fd, temporary, folder_fd, name) != 0)
        errnum = errno;
    if (errnum == 0 && fsync(folder_fd) != 0)
        errnum = errno;
    return errnum;
}
