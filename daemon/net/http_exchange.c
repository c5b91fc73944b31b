/*
 * Exchanges: what libmicrohttpd calls for each request, and what a handler may ask and answer.
 *
 * An exchange lives from its request line until libmicrohttpd has completed it and its owner has answered it, whichever
 * is later: a client that goes leaves a struct behind that its owner may still look at.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "belfry/base/json.h"
#include "belfry/base/text.h"
#include "server_internal.h"

/* A body that was answered before it came is still read when it is no longer than this: the connection can be kept. */
#define ABSORB_MAX 65536
#define METHOD_SIZE 33
#define FORM_BUFFER 16384

struct http_exchange {
    struct http_server *server;
    struct conn *c;                   /* NULL when it is gone */
    struct MHD_Connection *mhd;       /* NULL when libmicrohttpd has completed the request */
    struct MHD_Response *response;    /* made, not yet queued */
    unsigned status;
    bool begun;                       /* its head was seen */
    bool bodied;                      /* its head announces a body */
    bool shown;                       /* the handler was called: it owes an answer */
    bool responded;
    bool suspended;
    bool gone;
    bool too_big;
    struct buf body;
    int64_t body_seen;
    int (*take)(struct http_exchange *x, const char *bytes, size_t len);
    int (*take_field)(struct http_exchange *x, const char *field, const char *file, uint64_t offset, const char *bytes, size_t len);
    struct MHD_PostProcessor *form;
    int refusal;                      /* what a streamed body's taker wants answered */
    int64_t limit;
    void *data;
    void (*on_gone)(struct http_exchange *x);
    void (*sent)(void *data, bool went);
    void *sent_data;
    bool is_local;
    char remote[INET6_ADDRSTRLEN];
    char method[METHOD_SIZE];
    char *path;                       /* behind target */
    char target[];
};

static const struct {
    unsigned status;
    const char *code;
} codes[] = {
    {400, "bad_request"}, {401, "unauthorized"}, {403, "forbidden"}, {404, "not_found"},
    {405, "method_not_allowed"}, {408, "timeout"}, {409, "conflict"}, {413, "too_large"},
    {414, "target_too_long"}, {417, "expectation_failed"}, {422, "unprocessable"}, {429, "too_many_requests"},
    {431, "headers_too_large"}, {500, "internal"}, {501, "not_implemented"}, {503, "unavailable"},
    {505, "version_not_supported"},
};

const char *exchange_code_of(unsigned status)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return "error";
}

/* --- a request comes ---------------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The gate has let it through, so every escape is sound. An escaped slash stays escaped: no route may see a segment
 * border there. */
static void decode_path(const char *target, char *path)
{
    if (target[0] == '*')
        *path++ = '/';
    for (const char *p = target[0] == '*' ? "" : target; *p && *p != '?'; p++) {
        int c;

        if (*p != '%' || !isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2])) {
            *path++ = *p;
            continue;
        }
        c = hex_value(p[1]) * 16 + hex_value(p[2]);
        p += 2;
        if (c == '/' || c == '\0') {
            memcpy(path, c ? "%2F" : "%00", 3);
            path += 3;
        } else {
            *path++ = (char)c;
        }
    }
    *path = '\0';
}

static void exchange_free(struct http_exchange *x)
{
    if (x->sent)
        x->sent(x->sent_data, false);
    if (x->response)
        MHD_destroy_response(x->response);
    if (x->form)
        MHD_destroy_post_processor(x->form);
    buf_close(&x->body);
    free(x);
}

void *exchange_begin(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *server = cls;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct conn *c = info ? info->socket_context : NULL;
    size_t len = strlen(target);
    struct http_exchange *x;

    if (!c || c->state == CONN_DEAD)
        return NULL;
    x = calloc(1, sizeof *x + 2 * len + 4);
    if (!x)
        return NULL;
    x->server = server;
    x->c = c;
    x->mhd = mhd;
    x->limit = server->options.max_body;
    x->is_local = c->is_local;
    memcpy(x->remote, c->remote, sizeof x->remote);
    memcpy(x->target, target, len + 1);
    x->path = x->target + len + 1;
    decode_path(x->target, x->path);
    c->x = x;
    server->stats.requests++;
    return x;
}

static enum MHD_Result queue(struct http_exchange *x, struct MHD_Connection *mhd)
{
    enum MHD_Result rc;

    if (!x->response)
        return MHD_NO;   /* there was no memory for an answer: the closed connection is one */
    rc = MHD_queue_response(mhd, x->status, x->response);
    MHD_destroy_response(x->response);
    x->response = NULL;
    return rc;
}

/* What is known of the body's length before it comes: -1 for a chunked one. */
static int64_t announced_length(struct MHD_Connection *mhd)
{
    const char *length = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Content-Length");

    if (MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Transfer-Encoding"))
        return -1;
    return length ? strtoll(length, NULL, 10) : 0;   /* the gate has seen to it that it is a number */
}

static enum MHD_Result take_head(struct http_exchange *x, struct MHD_Connection *mhd, const char *method)
{
    int64_t announced = announced_length(mhd);

    x->begun = true;
    x->bodied = announced != 0;
    snprintf(x->method, sizeof x->method, "%s", method);
    if (x->server->head)
        x->server->head(x->server->data, x);
    if (!x->responded && announced > x->limit)
        http_respond_error(x, 413, "too_large", "the body is larger than the limit of %lld bytes", (long long)x->limit);
    if (!x->responded || announced == 0)
        return MHD_YES;
    /* Nobody whom we do not know keeps a place by a body that does not come. */
    if (x->status != 401 && announced > 0 && announced <= ABSORB_MAX && !MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Expect"))
        return MHD_YES;
    return queue(x, mhd);
}

static void take_body(struct http_exchange *x, const char *bytes, size_t len)
{
    if (x->responded || x->too_big || x->refusal != 0)
        return;
    if ((int64_t)len > x->limit - x->body_seen) {
        x->too_big = true;
        buf_close(&x->body);
        return;
    }
    x->body_seen += (int64_t)len;
    if (x->form) {
        if (MHD_post_process(x->form, bytes, len) != MHD_YES && x->refusal == 0)
            x->refusal = 400;
    } else if (x->take) {
        x->refusal = x->take(x, bytes, len);
    } else {
        buf_add(&x->body, bytes, len);
    }
}

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *key, const char *filename, const char *content_type,
                                const char *transfer_encoding, const char *data, uint64_t off, size_t size)
{
    struct http_exchange *x = cls;

    (void)kind;
    (void)content_type;
    (void)transfer_encoding;
    if (x->refusal == 0)
        x->refusal = x->take_field(x, key ? key : "", filename, off, data, size);
    return x->refusal == 0 ? MHD_YES : MHD_NO;
}

void http_stream_body(struct http_exchange *x, int (*take)(struct http_exchange *x, const char *bytes, size_t len))
{
    x->take = take;
}

bool http_stream_form(struct http_exchange *x, int (*take)(struct http_exchange *x, const char *field, const char *file, uint64_t offset,
                                                           const char *bytes, size_t len))
{
    const char *type = http_header(x, "Content-Type");

    if (!type || strncasecmp(type, "multipart/form-data", 19) != 0)
        return false;
    x->take_field = take;
    x->form = MHD_create_post_processor(x->mhd, FORM_BUFFER, on_field, x);
    return x->form != NULL;
}

/* A form that lacks its last boundary has lost something on the way. */
static bool form_is_cut(struct http_exchange *x)
{
    struct MHD_PostProcessor *form = x->form;

    x->form = NULL;
    return form && MHD_destroy_post_processor(form) != MHD_YES && x->refusal == 0;
}

static void show(struct http_exchange *x)
{
    x->shown = true;
    x->server->request(x->server->data, x);
}

static enum MHD_Result take_request(struct http_exchange *x, struct MHD_Connection *mhd)
{
    if (x->responded)
        return queue(x, mhd);
    if (x->too_big)
        http_respond_error(x, 413, "too_large", "the body is larger than the limit of %lld bytes", (long long)x->limit);
    else if (buf_failed(&x->body))
        http_respond_error(x, 503, "unavailable", "out of memory for the body");
    else if (form_is_cut(x))
        http_respond_error(x, 400, "bad_request", "the form is not whole");
    else
        show(x);
    if (x->responded)
        return queue(x, mhd);
    x->suspended = true;
    MHD_suspend_connection(mhd);
    return MHD_YES;
}

enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_len, void **request_cls)
{
    struct http_exchange *x = *request_cls;

    (void)cls;
    (void)url;
    (void)version;
    if (!x || x->gone || (x->c && x->c->state == CONN_DEAD))
        return MHD_NO;
    if (!x->begun)
        return take_head(x, mhd, method);
    if (*upload_len > 0) {
        take_body(x, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    return take_request(x, mhd);
}

bool exchange_is_begun(const struct http_exchange *x)
{
    return x->begun;
}

bool exchange_is_streamed(const struct http_exchange *x)
{
    return x->take || x->form;
}

/* Libmicrohttpd wakes it, sees that it is over, and completes it. */
static void resume(struct http_exchange *x)
{
    if (!x->suspended)
        return;
    x->suspended = false;
    MHD_resume_connection(x->mhd);
    x->server->kicked = true;
}

void exchange_gone(struct http_exchange *x)
{
    void (*on_gone)(struct http_exchange *) = x->on_gone;
    bool tell = !x->gone && !x->responded && on_gone;

    x->gone = true;
    x->c = NULL;
    resume(x);
    x->on_gone = NULL;
    if (tell)
        on_gone(x);
}

void exchange_completed(void *cls, struct MHD_Connection *mhd, void **request_cls,
                        enum MHD_RequestTerminationCode why)
{
    struct http_exchange *x = *request_cls;

    (void)cls;
    (void)mhd;
    *request_cls = NULL;
    if (!x)
        return;
    if (x->c && x->sent && why == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
        conn_tell_sent(x->c, false);   /* who waits already will not know: answers that follow closely are one to us */
        x->c->sent = x->sent;
        x->c->sent_data = x->sent_data;
        x->sent = NULL;
    }
    if (x->c) {
        x->c->answered++;
        x->c->x = NULL;
        conn_activate(x->c);
    }
    x->suspended = false;
    /* A request that was cut off before the handler saw it is owed an answer by nobody. */
    if (x->responded || !x->shown) {
        exchange_gone(x);
        exchange_free(x);
        return;
    }
    x->mhd = NULL;
    if (!x->gone)
        exchange_gone(x);
}

void exchange_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                         enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = cls;
    const union MHD_ConnectionInfo *info;
    struct conn *c = *socket_context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = info ? server->by_fd[info->connect_fd] : NULL;
        return;
    }
    if (!c)
        return;
    /* It gave up between the request line and the handler: it never completes such a request, nor answers it. */
    if (c->x) {
        exchange_free(c->x);
        c->x = NULL;
        c->head_lost = true;
    }
    c->mhd_closed = true;
    conn_activate(c);
    conn_unref(c);
}

/* --- what a handler may ask --------------------------------------------------------------------------------------- */

const char *http_method(const struct http_exchange *x)
{
    return x->method;
}

const char *http_path(const struct http_exchange *x)
{
    return x->path;
}

const char *http_target(const struct http_exchange *x)
{
    return x->target;
}

/* libmicrohttpd's tables are gone with its request. */
static const char *lookup(const struct http_exchange *x, enum MHD_ValueKind kind, const char *name)
{
    const char *value = NULL;
    size_t len = 0;

    if (!x->mhd || x->gone)
        return NULL;
    if (MHD_lookup_connection_value_n(x->mhd, kind, name, strlen(name), &value, &len) != MHD_YES)
        return NULL;
    return value ? value : "";
}

const char *http_query(const struct http_exchange *x, const char *name)
{
    return lookup(x, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    return lookup(x, MHD_HEADER_KIND, name);
}

struct each {
    void (*each)(void *data, const char *name, const char *value);
    void *data;
};

static enum MHD_Result on_each(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct each *e = cls;

    (void)kind;
    e->each(e->data, name, value ? value : "");
    return MHD_YES;
}

static void walk(const struct http_exchange *x, enum MHD_ValueKind kind, struct each e)
{
    if (x->mhd && !x->gone)
        MHD_get_connection_values(x->mhd, kind, on_each, &e);
}

void http_each_query(const struct http_exchange *x, void (*each)(void *data, const char *name, const char *value),
                     void *data)
{
    walk(x, MHD_GET_ARGUMENT_KIND, (struct each){each, data});
}

void http_each_header(const struct http_exchange *x, void (*each)(void *data, const char *name, const char *value),
                      void *data)
{
    walk(x, MHD_HEADER_KIND, (struct each){each, data});
}

const char *http_body(const struct http_exchange *x, size_t *len)
{
    if (len)
        *len = x->body.len;
    return buf_str(&x->body);
}

const char *http_remote(const struct http_exchange *x)
{
    return x->remote;
}

bool http_is_local(const struct http_exchange *x)
{
    return x->is_local;
}

int http_refusal(const struct http_exchange *x)
{
    return x->refusal;
}

bool http_announces_body(const struct http_exchange *x)
{
    return x->bodied;
}

void http_limit_body(struct http_exchange *x, int64_t bytes)
{
    if (bytes < 0 || bytes >= x->limit)
        return;
    x->limit = bytes;
    /* A body whose end nobody knows is cut by the gate as soon as it is longer. The gate may be at a later request already. */
    if (x->c && x->c->gate.requests == x->c->answered + 1)
        gate_limit_body(&x->c->gate, bytes);
}

void http_set_data(struct http_exchange *x, void *data, void (*gone)(struct http_exchange *x))
{
    x->data = data;
    x->on_gone = gone;
}

void http_when_sent(struct http_exchange *x, void (*done)(void *data, bool went), void *data)
{
    x->sent = done;
    x->sent_data = data;
}

void *http_data(const struct http_exchange *x)
{
    return x->data;
}

/* --- and answer --------------------------------------------------------------------------------------------------- */

static bool add_headers(struct MHD_Response *response, const char *content_type,
                        const struct http_header_pair *headers, size_t count)
{
    bool has_sniff = false;
    bool has_cache = false;
    bool ok = true;

    for (size_t i = 0; i < count; i++) {
        has_sniff = has_sniff || strcasecmp(headers[i].name, "X-Content-Type-Options") == 0;
        has_cache = has_cache || strcasecmp(headers[i].name, "Cache-Control") == 0;
        ok = MHD_add_response_header(response, headers[i].name, headers[i].value) == MHD_YES && ok;
    }
    if (content_type)
        ok = MHD_add_response_header(response, "Content-Type", content_type) == MHD_YES && ok;
    if (!has_sniff)
        ok = MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES && ok;
    if (!has_cache)
        ok = MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES && ok;
    return ok;
}

/* Ends the exchange with a response that may be NULL (no memory). */
static void respond(struct http_exchange *x, unsigned status, struct MHD_Response *response, const char *content_type,
                    const struct http_header_pair *headers, size_t count)
{
    if (response && !add_headers(response, content_type, headers, count)) {
        /* A header that cannot be sent (a line break in a name from outside) must not be left out in silence. */
        MHD_destroy_response(response);
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        status = 500;
    }
    x->responded = true;
    x->response = response;
    x->status = status;
    resume(x);
    if (!x->mhd)
        exchange_free(x);
}

void http_respond(struct http_exchange *x, unsigned status, const char *content_type, const void *body, size_t len,
                  const struct http_header_pair *headers, size_t header_count)
{
    /* The buffer is copied; libmicrohttpd only lacks the const. */
    union { const void *in; void *out; } bytes = {body};

    respond(x, status, MHD_create_response_from_buffer(len, bytes.out, MHD_RESPMEM_MUST_COPY), content_type, headers,
            header_count);
}

void http_respond_error(struct http_exchange *x, unsigned status, const char *code, const char *format, ...)
{
    json_t *root = json_object();
    json_t *error = json_object();
    struct buf message = {0};
    char *text = NULL;
    va_list ap;

    va_start(ap, format);
    buf_vaddf(&message, format, ap);
    va_end(ap);
    json_put(error, "code", code);
    json_put(error, "message", buf_str(&message));
    buf_close(&message);
    if (json_object_set_new(root, "error", error) == 0)
        text = json_text(root);
    json_decref(root);
    http_respond(x, status, "application/json", text ? text : "{}", text ? strlen(text) : 2, NULL, 0);
    free(text);
}

void http_respond_file(struct http_exchange *x, unsigned status, const char *content_type, int fd, int64_t offset,
                       int64_t len, const struct http_header_pair *headers, size_t header_count)
{
    struct MHD_Response *response;

    response = MHD_create_response_from_fd_at_offset64((uint64_t)len, fd, (uint64_t)offset);
    if (!response)
        close(fd);
    respond(x, status, response, content_type, headers, header_count);
}
