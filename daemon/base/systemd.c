/* sd_notify(3) in a few lines. */
#include "belfry/base/systemd.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void systemd_notify(const char *format, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    char text[1024];
    va_list ap;
    size_t len;
    int fd, used;

    if (path == NULL || (path[0] != '/' && path[0] != '@') || (len = strlen(path)) >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    va_start(ap, format);
    used = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (used <= 0)
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* A manager that does not listen is no reason to fail: readiness is a courtesy. */
    (void)sendto(fd, text, (size_t)used < sizeof text ? (size_t)used : sizeof text - 1, MSG_NOSIGNAL,
                 (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)close(fd);
}

int64_t systemd_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    char *end;
    long long us;

    if (usec == NULL || (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()))
        return 0;
    errno = 0;
    us = strtoll(usec, &end, 10);
    if (errno != 0 || *end != '\0' || us <= 0)
        return 0;
    return us / 2000 > 0 ? us / 2000 : 1;
}
