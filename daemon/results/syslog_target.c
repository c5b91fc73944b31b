/* How a line travels: local sockets, UDP, TCP. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "syslog_internal.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

int wire_init(struct wire *w, const char *target, struct error *err)
{
    const char *rest = NULL, *colon;

    *w = (struct wire) { .fd = -1 };
    if (strcmp(target, "journal") == 0) {
        w->kind = TARGET_JOURNAL;
        w->path = strdup(JOURNAL_SOCKET);
    } else if (strncmp(target, "local", 5) == 0) {
        w->kind = TARGET_LOCAL;
        w->path = strdup(target[5] == ':' ? target + 6 : "/dev/log");
    } else {
        w->kind = strncmp(target, "udp", 3) == 0 ? TARGET_UDP : TARGET_TCP;
        w->stream = w->kind == TARGET_TCP;
        rest = target + 6;
        colon = strrchr(rest, ':');
        w->host = rest[0] == '[' ? strndup(rest + 1, (size_t)(colon - rest - 2)) : strndup(rest, (size_t)(colon - rest));
        w->port = strdup(colon + 1);
    }
    if (w->path == NULL && (w->host == NULL || w->port == NULL)) {
        wire_close(w);
        return error_set(err, BF_ENOMEM, "out of memory");
    }
    return 0;
}

void wire_drop(struct wire *w)
{
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = -1;
}

void wire_close(struct wire *w)
{
    wire_drop(w);
    free(w->path);
    free(w->host);
    free(w->port);
    *w = (struct wire) { .fd = -1 };
}

bool wire_needs_address(const struct wire *w)
{
    return w->path == NULL && w->address_len == 0;
}

static int connect_to(struct wire *w, const struct sockaddr *to, socklen_t len, int type)
{
    w->fd = socket(to->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->fd < 0)
        return errno;
    if (connect(w->fd, to, len) == 0 || errno == EINPROGRESS)
        return 0;
    len = (socklen_t)errno;
    wire_drop(w);
    return (int)len;
}

/* syslog's local socket is a datagram one nearly everywhere, a stream on some. */
static int connect_local(struct wire *w)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int errnum;

    if (strlen(w->path) >= sizeof to.sun_path)
        return ENAMETOOLONG;
    memcpy(to.sun_path, w->path, strlen(w->path) + 1);
    w->stream = false;
    errnum = connect_to(w, (struct sockaddr *)&to, sizeof to, SOCK_DGRAM);
    if (errnum == EPROTOTYPE && w->kind == TARGET_LOCAL) {
        w->stream = true;
        errnum = connect_to(w, (struct sockaddr *)&to, sizeof to, SOCK_STREAM);
    }
    return errnum;
}

/* A connection that is still being made takes no line yet; one that the other side left is found out before a line is
 * given to it: what the kernel takes for a dead peer is lost without a word. */
static int stream_state(struct wire *w)
{
    struct pollfd fd = { .fd = w->fd, .events = POLLOUT | POLLIN };
    socklen_t len = sizeof(int);
    int errnum = 0;
    char byte;

    if (poll(&fd, 1, 0) <= 0)
        return EAGAIN;
    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) == 0 && errnum != 0)
        return errnum;
    if ((fd.revents & POLLIN) != 0 && recv(w->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0)
        return ECONNRESET;
    return (fd.revents & POLLOUT) != 0 ? 0 : EAGAIN;
}

static int send_stream(struct wire *w, const char *bytes, size_t len)
{
    struct buf frame = { 0 };
    ssize_t put;
    int errnum = 0;

    /* RFC 6587 §3.4.1, octet counting; a local stream ends its lines with NUL. */
    if (w->kind == TARGET_TCP)
        buf_addf(&frame, "%zu ", len);
    buf_add(&frame, bytes, len);
    if (w->kind == TARGET_LOCAL)
        buf_addc(&frame, '\0');
    put = send(w->fd, buf_str(&frame), frame.len, MSG_NOSIGNAL);
    if (put < 0)
        errnum = errno;
    else if ((size_t)put < frame.len)
        errnum = EPIPE;   /* half a frame cannot be taken back: a new connection, and the whole line again */
    buf_close(&frame);
    return errnum;
}

/* That nobody listens at a port of this machine is known as soon as a datagram was sent there. */
static int send_datagram(struct wire *w, const char *bytes, size_t len)
{
    socklen_t size = sizeof(int);
    int errnum = 0;

    if (send(w->fd, bytes, len, MSG_NOSIGNAL) < 0)
        return errno;
    if (w->kind == TARGET_UDP && getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) != 0)
        errnum = errno;
    return errnum;
}

int wire_send(struct wire *w, const char *bytes, size_t len, struct error *err)
{
    int errnum = 0;

    if (w->fd < 0)
        errnum = w->path != NULL ? connect_local(w) :
            connect_to(w, (struct sockaddr *)&w->address, w->address_len, w->stream ? SOCK_STREAM : SOCK_DGRAM);
    if (errnum == 0 && w->stream)
        errnum = stream_state(w);
    if (errnum == 0 && w->stream)
        errnum = send_stream(w, bytes, len);
    else if (errnum == 0)
        errnum = send_datagram(w, bytes, len);
    if (errnum == 0)
        return 0;
    if (errnum == EAGAIN || errnum == EINPROGRESS || errnum == EALREADY)
        return error_set(err, BF_EAGAIN, "not ready yet");
    wire_drop(w);
    w->address_len = 0;   /* its name may lead elsewhere by now */
    w->turn++;
    if (w->path != NULL)
        return error_errno(err, errnum, "cannot send to %s", w->path);
    return error_errno(err, errnum, "cannot send to %s:%s", w->host, w->port);
}
