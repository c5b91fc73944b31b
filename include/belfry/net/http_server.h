/*
 * The HTTP server: HTTP/1.1 by libmicrohttpd, behind a gate of Belfry's own.
 *
 * libmicrohttpd lets bad framing through (two lengths, a length with a transfer coding, bare line feeds) and its time-out
 * is an idle one. So each connection is accepted here; the gate reads its bytes, follows the framing of every request
 * (RFC 9112), holds absolute deadlines and limits, and hands on to libmicrohttpd, over a socket pair, only heads that are
 * whole and sound. What is not gets 400 (or 408, 413, 414, 431, 501, 505) from the gate, and the connection is closed.
 */
#ifndef BELFRY_NET_HTTP_SERVER_H
#define BELFRY_NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "belfry/base/error.h"

struct http_server;
struct http_exchange;

struct http_server_options {
    int64_t max_body;              /* bytes; the handler may ask for less by http_limit_body */
    int64_t max_connections;       /* over TCP; the socket has as many of its own, which nobody outside can take */
    int64_t idle_timeout_ms;       /* between requests on a kept connection, and between two pieces of a body */
    int64_t head_timeout_ms;       /* absolute, from the first byte of a head; 0: 10 s */
    int64_t body_floor;            /* bytes a second that a body must keep up on the whole after 10 s; 0: 1000 */
    int64_t body_time_ms;          /* absolute, for a body of up to 1 MiB that is kept in memory; longer ones have it in proportion.
                                    * 0: 60 s */
};

/* Called on the loop thread when a head has come, before its body: the place to refuse early (http_respond) or to lower
 * the body's limit. A body that is refused is not kept; behind a 401 it is not even waited for, and the connection is closed.
 * May be NULL. */
typedef void (*http_head_cb)(void *data, struct http_exchange *x);
/* Called once for each request whose body is whole. Must lead to exactly one http_respond, now or later. */
typedef void (*http_request_cb)(void *data, struct http_exchange *x);

int http_server_new(uv_loop_t *loop, const struct http_server_options *options, http_head_cb head,
                    http_request_cb request, void *data, struct http_server **server, struct error *err);
/* "127.0.0.1:8750", "[::1]:0": bound at once; *port (may be NULL) gets the port. */
int http_server_listen_tcp(struct http_server *server, const char *address, int *port, struct error *err);
/* A Unix socket; a dead one that is in the way is removed, a live one is BF_EEXIST. */
int http_server_listen_unix(struct http_server *server, const char *path, int mode, struct error *err);
/* Whether it listens at that TCP address. */
bool http_server_owns(const struct http_server *server, const struct sockaddr *address);
/* No new connections; requests under way go on. */
void http_server_stop_listening(struct http_server *server);
/* Closes all, at once; exchanges that were not answered get their `gone` callback. Then closed(data). */
void http_server_close(struct http_server *server, void (*closed)(void *data), void *data);

struct http_server_stats {
    uint64_t requests;
    uint64_t refused_framing;
    uint64_t refused_timeout;
    uint64_t refused_connections;
    size_t connections;
};
void http_server_stats(const struct http_server *server, struct http_server_stats *stats);

/* --- an exchange: one request and its answer ---------------------------------------------------------------------- */

const char *http_method(const struct http_exchange *x);
/* The path, percent-decoded once, beginning with '/', without "." and ".." segments (such a request never comes here),
 * without NUL. */
const char *http_path(const struct http_exchange *x);
/* The raw request target, as it came. */
const char *http_target(const struct http_exchange *x);
/* The first value of a query argument, decoded; NULL when it is not there. */
const char *http_query(const struct http_exchange *x, const char *name);
void http_each_query(const struct http_exchange *x, void (*each)(void *data, const char *name, const char *value),
                     void *data);
/* The first header of that name (any case), or NULL; its bytes are checked: no control characters. */
const char *http_header(const struct http_exchange *x, const char *name);
void http_each_header(const struct http_exchange *x, void (*each)(void *data, const char *name, const char *value),
                      void *data);
const char *http_body(const struct http_exchange *x, size_t *len);
/* The peer's address as text ("127.0.0.1", "::1"), "" on the Unix socket. */
const char *http_remote(const struct http_exchange *x);
bool http_is_local(const struct http_exchange *x);   /* came over the Unix socket */
int http_refusal(const struct http_exchange *x);   /* 0: all of a streamed body was taken */
/* Whether its head announces a body of more than nothing. */
bool http_announces_body(const struct http_exchange *x);
void http_limit_body(struct http_exchange *x, int64_t bytes);

/* From the head's callback: the body is handed on as it comes, and not kept. `take` gives 0, or what is to be answered (an HTTP
 * status) instead of going on: then no more comes, and the handler finds it in
 * http_refusal. If the client goes before the body is whole, `gone` of http_set_data is
 * called, and the request never comes to the handler. */
void http_stream_body(struct http_exchange *x, int (*take)(struct http_exchange *x, const char *bytes, size_t len));
/* The same for a form (multipart/form-data): piece by piece, each with its field's name, the name of its file (NULL: none) and
 * where in the field it begins. False when the request has no such body. */
bool http_stream_form(struct http_exchange *x, int (*take)(struct http_exchange *x, const char *field, const char *file, uint64_t offset,
                                                           const char *bytes, size_t len));

/* For the handler's own use; `gone` is called (once, on the loop) if the client or the server goes before the answer:
 * http_respond must still be called, and does nothing then but end the exchange. */
void http_set_data(struct http_exchange *x, void *data, void (*gone)(struct http_exchange *x));
void *http_data(const struct http_exchange *x);

/* Before the answer: `done` is called once, on the loop, when all of the answer is with the kernel on its way to the client (went), or
 * when it never will be. Not from within http_respond. `data` has to outlive the server. */
void http_when_sent(struct http_exchange *x, void (*done)(void *data, bool went), void *data);

struct http_header_pair {
    const char *name;
    const char *value;
};

/* Answers and ends the exchange: x is not to be touched after it. Body and headers are copied. Every answer carries
 * X-Content-Type-Options: nosniff and Cache-Control: no-store unless given. Loop thread only. */
void http_respond(struct http_exchange *x, unsigned status, const char *content_type, const void *body, size_t len,
                  const struct http_header_pair *headers, size_t header_count);
/* The error shape of SPEC §7: {"error": {"code", "message"}}. */
void http_respond_error(struct http_exchange *x, unsigned status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Answers with a file's content from offset on (sent from the file, not read into memory); fd is the server's then. */
void http_respond_file(struct http_exchange *x, unsigned status, const char *content_type, int fd, int64_t offset,
                       int64_t len, const struct http_header_pair *headers, size_t header_count);

#endif
