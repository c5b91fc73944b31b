/* Syslog targets: what syslog.c (which line next) and syslog_target.c (how it travels) share. */
#ifndef BELFRY_RESULTS_SYSLOG_INTERNAL_H
#define BELFRY_RESULTS_SYSLOG_INTERNAL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "belfry/base/buf.h"
#include "belfry/results/syslog.h"

enum target_kind { TARGET_LOCAL, TARGET_JOURNAL, TARGET_UDP, TARGET_TCP };

/* A way out for datagrams or a stream. Sending is immediate: it goes, or it does not, and why. */
struct wire {
    enum target_kind kind;
    char *path;                       /* of a local socket */
    char *host, *port;
    int fd;                           /* -1: not connected */
    bool stream;                      /* TCP, or a local stream socket */
    struct sockaddr_storage address;  /* of host, once it is resolved */
    socklen_t address_len;
    unsigned turn;                    /* which of its addresses, counted on at each failure */
};

int wire_init(struct wire *w, const char *target, struct error *err);
void wire_close(struct wire *w);
void wire_drop(struct wire *w);       /* the connection only */
/* True when the name has to be resolved before wire_send. */
bool wire_needs_address(const struct wire *w);
/* Connects when needed (local sockets, UDP) and sends. 0; BF_EAGAIN: not now (full, or still connecting); else why not. */
int wire_send(struct wire *w, const char *bytes, size_t len, struct error *err);

#endif
