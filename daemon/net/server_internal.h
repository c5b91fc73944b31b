/*
 * What the files of the HTTP server share.
 *
 * A connection has three ends: the client's socket, and the two of a socket pair. The pump moves bytes between the
 * client and this side of the pair, and the gate judges them on the way; libmicrohttpd owns the other side. The pair is
 * made with the first whole head: a client that says nothing costs a few hundred bytes.
 */
#ifndef BELFRY_NET_SERVER_INTERNAL_H
#define BELFRY_NET_SERVER_INTERNAL_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "belfry/base/buf.h"
#include "belfry/base/heap.h"
#include "belfry/net/http_gate.h"
#include "belfry/net/http_server.h"

#define SERVER_PUMP_MAX 65536          /* bytes that wait in one direction of a connection, at most */
#define SERVER_HEAD_TIMEOUT_MS 10000
#define SERVER_BODY_FLOOR 1000
#define SERVER_BODY_GRACE_MS 10000     /* before the floor counts */
#define SERVER_BODY_TIME_MS 60000
#define SERVER_BODY_TIME_OF (1 << 20)  /* bytes that may take that long */
#define SERVER_LINGER_MS 2000          /* for a client to take its last answer before the socket closes */
#define SERVER_BACKLOG 1024
#define SERVER_REFUSALS_MAX 64         /* connections over the limit that are being told so at one time */

/* What a connection is doing, and the moves it may make:
 *
 *   OPEN → REFUSING      the gate said no: earlier answers go out first
 *   OPEN → DRAINING      the client or libmicrohttpd has ended: what is left goes out
 *   REFUSING → DRAINING  the gate's own answer is in the buffer
 *   DRAINING → LINGERING all is written and our side is shut; the client's last bytes are thrown away
 *   any → DEAD           the sockets are closed; the struct lives until libmicrohttpd and libuv have let go
 */
enum conn_state { CONN_OPEN, CONN_REFUSING, CONN_DRAINING, CONN_LINGERING, CONN_DEAD };

struct pump {
    char *bytes;         /* NULL while nothing waits */
    size_t at;
    size_t judged;       /* client's side: bytes before it may be handed on */
    size_t end;
    size_t cap;
};

struct listener {
    uv_poll_t poll;
    struct http_server *server;
    int fd;
    char *unix_path;     /* NULL for TCP */
    dev_t unix_dev;
    ino_t unix_ino;
    LIST_ENTRY(listener) link;
};

struct conn {
    struct http_server *server;
    enum conn_state state;
    int client_fd;
    int pair_fd;              /* -1 before the first head, and after libmicrohttpd has closed */
    uv_poll_t client_poll;
    uv_poll_t pair_poll;
    int client_events;        /* what the polls watch */
    int pair_events;
    unsigned refs;            /* uv handles not closed, and libmicrohttpd's connection */
    struct gate gate;
    struct pump in;
    struct pump out;
    struct http_exchange *x;  /* the one that libmicrohttpd is at */
    void (*sent)(void *data, bool went);   /* to be told when what is answered so far is with the client; NULL: nobody */
    void *sent_data;
    uint64_t answered;        /* requests whose answer is wholly in the pair, or further */
    bool active;              /* in server->active */
    bool client_ended;        /* the client has sent its last byte */
    bool pair_full;           /* the last write to the pair did not fit */
    bool pair_deaf;           /* libmicrohttpd reads no more of this connection */
    bool pair_ended;          /* libmicrohttpd has closed its side */
    bool mhd_closed;          /* it says it has: what is left in the pair is its last */
    bool is_local;
    bool head_lost;           /* libmicrohttpd has given up on a head, see give_up_head() */
    unsigned head_runs;       /* how often it was run with a head that it has not shown */
    bool body_cut;            /* refused in the middle of a body: that request gets no answer of its own */
    bool over_limit;
    struct heap_node timer;
    int64_t due_ms;           /* the deadline; INT64_MAX for none. The heap may hold an earlier time */
    int64_t head_since_ms;    /* 0: no head has begun */
    int64_t body_since_ms;
    uint64_t body_of;         /* the request that body_since_ms is of */
    int64_t blocked_since_ms; /* 0: nothing keeps us from reading the client */
    int64_t moved_ms;         /* when the last byte moved */
    char remote[INET6_ADDRSTRLEN];
    LIST_ENTRY(conn) link;
    TAILQ_ENTRY(conn) active_link;
};

struct http_server {
    uv_loop_t *loop;
    struct http_server_options options;
    http_head_cb head;
    http_request_cb request;
    void *data;
    struct MHD_Daemon *mhd;
    uv_poll_t mhd_poll;
    uv_prepare_t prepare;
    uv_idle_t idle;           /* on while libmicrohttpd has more to do at once */
    uv_timer_t timer;         /* for the first of `due` */
    int64_t timer_ms;         /* when it will fire; INT64_MAX: off */
    struct heap due;
    struct heap_node accept_retry;
    LIST_HEAD(, listener) listeners;
    LIST_HEAD(, conn) conns;
    TAILQ_HEAD(, conn) active;     /* may have something to read from the pair */
    size_t active_count;
    struct conn **by_fd;           /* connections by the number of libmicrohttpd's end of their pair */
    size_t by_fd_count;
    struct http_server_stats stats;
    size_t taken[2];          /* connections within the limit: over TCP, over the socket */
    size_t refusals;          /* connections over the limit */
    int reserve_fd;           /* let go to accept and refuse when descriptors run out */
    bool kicked;              /* libmicrohttpd must run before the loop sleeps */
    bool accept_paused;
    bool closing;
    size_t handles;           /* uv handles and connections that are not gone yet */
    void (*closed)(void *data);
    void *closed_data;
    char scratch[SERVER_PUMP_MAX];
};

/* http_listen.c */
void listen_resume(struct http_server *server);      /* a descriptor may be free again */
void listen_stop(struct http_server *server);
void server_handle_closed(struct http_server *server);

/* http_conn.c: a connection's life and its deadlines */
struct conn *conn_new(struct http_server *server, int fd, const struct sockaddr *address, bool over_limit);
int conn_open_pair(struct conn *c);
void conn_kill(struct conn *c);                      /* closes its sockets, at once */
void conn_close_pair(struct conn *c);
void conn_unref(struct conn *c);
void conn_set_deadline(struct conn *c, int64_t due_ms);
void conn_arm(struct http_server *server);           /* the one timer, for what is due first */
void conn_on_timer(uv_timer_t *timer);
void conn_activate(struct conn *c);                  /* pump_step will be called before the loop sleeps */
void conn_deactivate(struct conn *c);

/* Tells who waits for it that the answers so far went, or never will. */
void conn_tell_sent(struct conn *c, bool went);

/* http_pump.c: moving the bytes */
void pump_on_client(uv_poll_t *poll, int status, int events);
void pump_on_pair(uv_poll_t *poll, int status, int events);
void pump_step(struct conn *c);                      /* moves all that can be moved now */
void pump_refuse(struct conn *c, unsigned status, const char *why);
void pump_on_deadline(struct conn *c);

/* http_exchange.c: libmicrohttpd's callbacks */
void *exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_len, void **request_cls);
void exchange_completed(void *cls, struct MHD_Connection *mhd, void **request_cls,
                        enum MHD_RequestTerminationCode why);
void exchange_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                         enum MHD_ConnectionNotificationCode code);
bool exchange_is_begun(const struct http_exchange *x);   /* its head has come to the handler */
bool exchange_is_streamed(const struct http_exchange *x);   /* its body is handed on, not kept */
void exchange_gone(struct http_exchange *x);         /* its client went; tells its owner */
const char *exchange_code_of(unsigned status);       /* "not_found" of 404, for error answers */

#endif
