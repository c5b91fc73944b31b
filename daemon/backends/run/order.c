/* The order: NUL-ended texts "key=value". */
#include "order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/backends/supervisor.h"

#define ORDER_BYTES_MAX (8 << 20)

static char *read_all(int fd, size_t *len)
{
    struct stat st;
    size_t size;
    char *bytes;

    if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > ORDER_BYTES_MAX)
        return NULL;
    size = (size_t)st.st_size;
    bytes = malloc(size + 1);
    if (bytes == NULL)
        return NULL;
    for (*len = 0; *len < size;) {
        ssize_t got = pread(fd, bytes + *len, size - *len, (off_t)*len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return NULL;
        *len += (size_t)got;
    }
    bytes[size] = '\0';
    return bytes;
}

static bool number(const char *text, int64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno == 0 && *text != '\0' && *end == '\0' && *value >= 0;
}

static bool identity(const char *text, unsigned *id)
{
    int64_t n;

    if (!number(text, &n) || n >= UINT32_MAX)
        return false;
    *id = (unsigned)n;
    return true;
}

static bool append(char **list, size_t *count, char *value)
{
    if (*count >= ORDER_ITEMS_MAX)
        return false;
    list[(*count)++] = value;
    return true;
}

static bool take(struct order *o, const char *key, char *value)
{
    if (strcmp(key, "version") == 0)
        return strcmp(value, SUPERVISOR_VERSION) == 0;
    if (strcmp(key, "folder") == 0)
        return (o->folder = value) != NULL;
    if (strcmp(key, "cwd") == 0)
        return (o->cwd = value) != NULL;
    if (strcmp(key, "log") == 0)
        return (o->log = value) != NULL;
    if (strcmp(key, "uid") == 0)
        return o->other_user = identity(value, &o->uid);
    if (strcmp(key, "gid") == 0)
        return identity(value, &o->gid);
    if (strcmp(key, "group") == 0)
        return o->group_count < sizeof o->groups / sizeof *o->groups && identity(value, &o->groups[o->group_count++]);
    if (strcmp(key, "argv") == 0)
        return append(o->argv, &o->argc, value);
    if (strcmp(key, "env") == 0)
        return append(o->env, &o->envc, value);
    if (strcmp(key, "attempt") == 0)
        return number(value, &o->attempt);
    if (strcmp(key, "timeout_ms") == 0)
        return number(value, &o->timeout_ms);
    if (strcmp(key, "kill_grace_ms") == 0)
        return number(value, &o->kill_grace_ms);
    if (strcmp(key, "console_max") == 0)
        return number(value, &o->console_max);
    return false;
}

bool order_read(int fd, struct order *order, const char **why)
{
    size_t len = 0;
    char *at = read_all(fd, &len), *end;

    memset(order, 0, sizeof *order);
    order->bytes = at;
    *why = "the order cannot be read";
    if (at == NULL)
        return false;
    for (end = at + len; at < end; at += strlen(at) + 1) {
        char *value = strchr(at, '=');

        *why = "the order has a key or value that this belfry-run does not know: restart belfryd after an upgrade";
        if (value == NULL)
            return false;
        *value++ = '\0';
        if (!take(order, at, value))
            return false;
        at = value;
    }
    *why = "the order lacks a folder, a command or an attempt";
    return order->folder != NULL && order->cwd != NULL && order->argc > 0 && order->attempt > 0;
}
