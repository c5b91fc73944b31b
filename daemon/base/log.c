/* What Belfry says of itself. */
#include "belfry/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "belfry/base/buf.h"
#include "belfry/base/text.h"

#define FACILITY_DAEMON 3

static struct {
    pthread_mutex_t mutex;
    enum log_sink sink;
    enum log_level level;
    char tag[64];
    bool prefixes;       /* stderr is a stream of the journal: it reads <N> */
    int fd;
    uint64_t dropped;
} state = { .mutex = PTHREAD_MUTEX_INITIALIZER, .sink = LOG_SINK_STDERR, .level = LOG_LEVEL_INFO, .tag = "belfry", .fd = -1 };

static const char *const level_words[] = { [LOG_LEVEL_ERROR] = "error: ", [LOG_LEVEL_WARNING] = "warning: ",
    [LOG_LEVEL_NOTICE] = "", [LOG_LEVEL_INFO] = "", [LOG_LEVEL_DEBUG] = "debug: " };

void log_open(enum log_sink sink, enum log_level level, const char *tag)
{
    pthread_mutex_lock(&state.mutex);
    if (state.fd >= 0)
        (void)close(state.fd);
    state.fd = -1;
    state.sink = sink;
    state.level = level;
    state.prefixes = getenv("JOURNAL_STREAM") != NULL;
    (void)snprintf(state.tag, sizeof state.tag, "%s", tag);
    pthread_mutex_unlock(&state.mutex);
}

static void to_stderr(enum log_level level, const struct buf *text)
{
    struct buf line = { 0 };

    if (state.prefixes)
        buf_addf(&line, "<%d>%s\n", (int)level, buf_str(text));
    else
        buf_addf(&line, "%s: %s%s\n", state.tag, level_words[level], buf_str(text));
    if (buf_failed(&line) || write(STDERR_FILENO, line.data, line.len) < 0)
        state.dropped++;
    buf_close(&line);
}

static int connect_to(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static void send_datagram(const char *path, const struct buf *datagram)
{
    /* Twice: the receiver may have been started anew since the last line. */
    for (int i = 0; i < 2 && !buf_failed(datagram); i++) {
        if (state.fd < 0)
            state.fd = connect_to(path);
        if (state.fd < 0)
            break;
        if (send(state.fd, datagram->data, datagram->len, MSG_NOSIGNAL) >= 0)
            return;
        if (errno == EAGAIN)
            break;
        (void)close(state.fd);
        state.fd = -1;
    }
    state.dropped++;
}

static void to_syslog(enum log_level level, const struct buf *text)
{
    struct buf line = { 0 };
    time_t now = time(NULL);
    struct tm tm;
    char stamp[32] = "";

    if (localtime_r(&now, &tm) != NULL)
        (void)strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &tm);
    buf_addf(&line, "<%d>%s %s[%d]: %s%s", FACILITY_DAEMON * 8 + (int)level, stamp, state.tag, (int)getpid(),
             level_words[level], buf_str(text));
    send_datagram("/dev/log", &line);
    buf_close(&line);
}

static void to_journal(enum log_level level, const struct buf *text)
{
    struct buf line = { 0 };

    buf_addf(&line, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n", (int)level, state.tag, buf_str(text));
    send_datagram("/run/systemd/journal/socket", &line);
    buf_close(&line);
}

void log_line(enum log_level level, const char *format, ...)
{
    struct buf raw = { 0 }, text = { 0 };
    va_list ap;

    if (level > state.level)
        return;
    va_start(ap, format);
    buf_vaddf(&raw, format, ap);
    va_end(ap);
    text_printable(buf_str(&raw), raw.len, &text);

    pthread_mutex_lock(&state.mutex);
    if (state.sink == LOG_SINK_SYSLOG)
        to_syslog(level, &text);
    else if (state.sink == LOG_SINK_JOURNAL)
        to_journal(level, &text);
    else
        to_stderr(level, &text);
    pthread_mutex_unlock(&state.mutex);
    buf_close(&raw);
    buf_close(&text);
}

uint64_t log_dropped(void)
{
    uint64_t dropped;

    pthread_mutex_lock(&state.mutex);
    dropped = state.dropped;
    pthread_mutex_unlock(&state.mutex);
    return dropped;
}
