/*
 * The HTTP client: libcurl's multi interface on the loop.
 *
 * libcurl by itself repeats a request, POST included, that got no answer on a kept connection. A request with `once` is
 * sent on a connection of its own that is never used again (CURLOPT_FRESH_CONNECT, CURLOPT_FORBID_REUSE), so it is sent
 * at most once; `sent` says whether any byte of it left. Redirects are never followed; netrc and environment proxies
 * are off; certificates are always checked.
 */
#ifndef BELFRY_NET_HTTP_CLIENT_H
#define BELFRY_NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"

struct http_client;
struct http_request;

/* status: 0 when an HTTP answer came whole (whatever http_status says), else BF_ENET, BF_ETIMEDOUT, BF_ETOOBIG,
 * BF_ECANCELED, BF_EIO (the sink), with `error` filled. Called once, never before http_client_send has returned. */
typedef void (*http_done_cb)(struct http_request *request, int status);

struct http_form_field {
    const char *name;
    const char *value;
};

/* Zero it, fill the first part, keep it until the callback; then http_request_close. Strings are lent until the
 * callback. */
struct http_request {
    const char *method;               /* "GET" … */
    const char *url;
    const char *const *headers;       /* "Name: value", NULL at the end; may hold a secret: never logged */
    const char *body;                 /* or NULL */
    size_t body_len;
    const struct http_form_field *form;  /* with upload_path: multipart/form-data, these first, then part "file" */
    size_t form_count;
    const char *upload_path;          /* a file to stream: in a form, or as the raw body when form is NULL */
    const char *upload_name;          /* the file part's filename */
    int sink_fd;                      /* > 0: the body of a 2xx answer is written here, not to `answer` */
    int64_t resume_from;              /* > 0, with sink_fd: that many bytes lie in the file already. The rest is asked for by
                                       * Range; an answer that is the whole after all empties the file first */
    int64_t max_answer;               /* bytes; more is BF_ETOOBIG. 0: 8 MiB */
    int64_t connect_timeout_ms;       /* 0: 10 s */
    int64_t timeout_ms;               /* of the whole; 0: 30 s; -1: none, but a stall of 30 s ends it */
    const char *ca_file;
    const char *proxy;
    const char *unix_socket;
    bool once;
    bool https_only;                  /* else http is allowed too */
    http_done_cb cb;
    void *data;
    /* what came of it */
    long http_status;
    bool sent;                        /* at least one byte of the request left this machine */
    struct buf answer;
    int64_t received;                 /* bytes of body */
    bool resumed;                     /* they are the rest: they follow what was there */
    char content_type[128];
    char location[1024];
    int64_t retry_after_ms;           /* -1: not given; bounded to one day */
    int64_t server_date_ms;           /* of the Date header; 0: none */
    struct error error;
    void *transfer;                   /* the client's */
};

int http_client_new(uv_loop_t *loop, const char *user_agent, struct http_client **client, struct error *err);
/* For one whose URLs others choose: before any connection, of which each client has its own, refuses(data, address) says why there must
 * be none to that address (a literal), or NULL. By then names are resolved. */
void http_client_guard(struct http_client *client, const char *(*refuses)(void *data, const struct sockaddr *address), void *data);
/* All requests still under way get BF_ECANCELED first. */
void http_client_close(struct http_client *client, void (*closed)(void *data), void *data);
void http_client_send(struct http_client *client, struct http_request *request);
/* Its callback comes with BF_ECANCELED, soon. */
void http_client_cancel(struct http_client *client, struct http_request *request);
void http_request_close(struct http_request *request);

/* Whether it can be asked: http or https, a host and perhaps a port, no user; nothing in it that has to be escaped. */
bool http_url_is_good(const char *url);

/* A request that waits for its answer, for programs without a loop (the command line). */
int http_client_send_now(struct http_request *request, const char *user_agent);

#endif
