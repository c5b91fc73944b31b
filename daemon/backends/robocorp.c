/* The operations, the way to the workspace, closing. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "robocorp_internal.h"

/* --- access ------------------------------------------------------------------------------------------------------- */

void robocorp_percent(struct buf *url, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~";

    for (; *text != '\0'; text++) {
        /* A lone dot would be a segment of its own meaning: dots are always written out. */
        if (strchr(plain, *text) != NULL)
            buf_addc(url, *text);
        else
            buf_addf(url, "%%%02X", (unsigned char)*text);
    }
}

char *robocorp_origin(const char *url)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    struct buf origin = { 0 };
    CURLU *parts = curl_url();

    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        for (char *c = host; *c != '\0'; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
        buf_addf(&origin, "%s://%s:%s", scheme, host, port);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return buf_take(&origin);
}

static char *copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

static struct access *access_new(const struct workspace_config *set)
{
    struct access *a = calloc(1, sizeof *a);
    struct buf root = { 0 }, line = { 0 };
    size_t len = strlen(set->api_url);

    if (a == NULL)
        return NULL;
    while (len > 0 && set->api_url[len - 1] == '/')
        len--;
    buf_addf(&root, "%.*s/workspaces/", (int)len, set->api_url);
    robocorp_percent(&root, set->id);
    buf_adds(&line, dialects[set->api].key_header);
    buf_add(&line, set->api_key.bytes, set->api_key.len);
    a->refs = 1;
    a->root = buf_take(&root);
    a->authorization = buf_take(&line);
    a->origin = a->root != NULL ? robocorp_origin(a->root) : NULL;
    a->ca_file = copy(set->ca_file);
    a->proxy = copy(set->proxy);
    a->headers[0] = a->authorization;
    a->headers[1] = "Accept: application/json";
    a->headers[2] = "Content-Type: application/json";
    if (a->root != NULL && a->authorization != NULL && a->origin != NULL && (set->ca_file == NULL || a->ca_file != NULL) &&
        (set->proxy == NULL || a->proxy != NULL))
        return a;
    access_release(a);
    return NULL;
}

struct access *access_hold(struct access *access)
{
    access->refs++;
    return access;
}

void access_release(struct access *a)
{
    if (a == NULL || --a->refs > 0)
        return;
    if (a->authorization != NULL)
        explicit_bzero(a->authorization, strlen(a->authorization));
    free(a->authorization);
    free(a->root);
    free(a->origin);
    free(a->ca_file);
    free(a->proxy);
    free(a);
}

/* --- transfers ---------------------------------------------------------------------------------------------------- */

bool robocorp_may_transfer(const struct access *access, const char *url)
{
    char *origin = robocorp_origin(url);
    bool may = origin != NULL && (strncmp(origin, "https://", 8) == 0 || strcmp(origin, access->origin) == 0);

    free(origin);
    return may;
}

void transfer_send(struct robocorp *b, struct transfer *transfer)
{
    TAILQ_INSERT_TAIL(&b->transfers, transfer, link);
    http_client_send(b->client, &transfer->request);
}

void transfer_over(struct robocorp *b, struct transfer *transfer)
{
    TAILQ_REMOVE(&b->transfers, transfer, link);
}

/* --- the operations ----------------------------------------------------------------------------------------------- */

static char *console(struct backend *base, const char *run_id)
{
    (void)base;
    (void)run_id;
    return NULL;   /* it is at the Control Room until the run has ended */
}

static const char *trouble(struct backend *base)
{
    struct robocorp *b = (struct robocorp *)base;

    return b->trouble[0] != '\0' ? b->trouble : NULL;
}

static void configure(struct backend *base, const struct workspace_config *set)
{
    struct robocorp *b = (struct robocorp *)base;
    struct access *before = b->access, *now = access_new(set);

    b->set = set;
    b->dialect = &dialects[set->api];
    if (now == NULL) {
        log_error("workspace %s: its new settings could not be taken over: out of memory", set->name);
        return;
    }
    b->access = now;
    b->denials = 0;   /* the key may be another */
    access_release(before);
    process_forget_all(b);
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

static void all_closed(void *data)
{
    struct robocorp *b = data;
    void (*closed)(void *data) = b->closed;
    void *closed_data = b->closed_data;

    access_release(b->access);
    process_forget_all(b);
    find_forget_all(b);
    heap_close(&b->again);
    heap_close(&b->polls);
    free(b);
    closed(closed_data);
}

static void handle_closed(uv_handle_t *handle)
{
    struct robocorp *b = handle->data;

    if (--b->handles == 0)
        later_close(&b->later, all_closed, b);
}

static void maybe_close(struct robocorp *b)
{
    if (!b->closing || b->busy > 0 || uv_is_closing((uv_handle_t *)&b->pace))
        return;
    b->handles = 2;
    uv_close((uv_handle_t *)&b->pace, handle_closed);
    uv_close((uv_handle_t *)&b->poll, handle_closed);
}

void robocorp_begin(struct robocorp *b)
{
    b->busy++;
}

void robocorp_done(struct robocorp *b)
{
    b->busy--;
    maybe_close(b);
}

static void close_backend(struct backend *base, void (*closed)(void *data), void *data)
{
    struct robocorp *b = (struct robocorp *)base;
    struct transfer *transfer;

    b->closing = true;
    b->closed = closed;
    b->closed_data = data;
    robocorp_begin(b);   /* so that it does not end under our feet */
    ask_cancel_all(b);
    TAILQ_FOREACH(transfer, &b->transfers, link)
        http_client_cancel(b->client, &transfer->request);
    follow_drop_all(b);
    robocorp_done(b);
}

static const struct backend_ops ops = { .start = robocorp_start, .find = robocorp_find, .follow = robocorp_follow,
    .stop = robocorp_stop, .look = robocorp_look, .check = robocorp_check, .collect = robocorp_collect, .forget = robocorp_forget, .console = console, .trouble = trouble,
    .configure = configure, .close = close_backend };

int backend_robocorp_new(uv_loop_t *loop, struct http_client *client, const struct workspace_config *workspace,
                         const struct backend_reports *reports, struct backend **backend, struct error *err)
{
    struct robocorp *b = calloc(1, sizeof *b);

    *backend = NULL;
    if (b == NULL || (b->access = access_new(workspace)) == NULL) {
        free(b);
        return error_set(err, BF_EINVAL, "api_url %s is no URL, or out of memory", workspace->api_url);
    }
    b->base.ops = &ops;
    b->base.reports = reports;
    b->loop = loop;
    b->client = client;
    b->set = workspace;
    b->dialect = &dialects[workspace->api];
    b->tokens = (double)workspace->rate;
    b->tokens_ms = time_mono_ms();
    TAILQ_INIT(&b->urgent);
    TAILQ_INIT(&b->queue);
    TAILQ_INIT(&b->flights);
    TAILQ_INIT(&b->transfers);
    TAILQ_INIT(&b->startings);
    TAILQ_INIT(&b->findings);
    heap_init(&b->again);
    heap_init(&b->polls);
    later_init(&b->later, loop);
    (void)uv_timer_init(loop, &b->pace);
    (void)uv_timer_init(loop, &b->poll);
    b->pace.data = b->poll.data = b;
    *backend = &b->base;
    return 0;
}
