/* Where the house can be reached: the socket, the TCP addresses. A request is a webhook's, or the API's. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "belfry/net/address.h"
#include "house.h"

#define SOCKET_MODE 0660
#define UPLOAD_MAX (INT64_C(1) << 41)   /* a work item's file and its form; everything else has a limit of its own */

static void refuse_stopping(struct http_exchange *x)
{
    static const char body[] = "{\"error\":{\"code\":\"stopping\",\"message\":\"belfryd is stopping\"}}";

    http_respond(x, 503, "application/json", body, sizeof body - 1, &(struct http_header_pair) { "Retry-After", "10" }, 1);
}

/* Once the house is taken down, the rooms that answer may be gone: kept connections are told so here. */
static void on_head(void *data, struct http_exchange *x)
{
    struct house *h = data;

    if (h->stopping)
        refuse_stopping(x);
    else if (webhook_owns(h->webhooks, http_path(x)))
        webhook_head(h->webhooks, x);
    else
        serve_head(h->serve, x, h->config->http.max_body);
}

static void on_request(void *data, struct http_exchange *x)
{
    struct house *h = data;

    if (h->stopping)
        refuse_stopping(x);
    else if (webhook_owns(h->webhooks, http_path(x)))
        webhook_request(h->webhooks, x);
    else
        serve_request(h->serve, x);
}

static int open_socket(struct house *h, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash != NULL && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;
    int status = dir != NULL ? file_make_dirs(dir, 0755, err) : 0;

    free(dir);
    if (status == 0)
        status = http_server_listen_unix(h->server, path, SOCKET_MODE, err);
    return status;
}

static int open_address(struct house *h, const char *address, struct error *err)
{
    const char *colon = strrchr(address, ':');
    struct buf bound = { 0 };
    int port, status = http_server_listen_tcp(h->server, address, &port, err);

    if (status != 0)
        return status;
    buf_addf(&bound, "%.*s:%d", (int)(colon - address), address, port);
    log_notice("listening on http://%s", buf_str(&bound));
    h->addresses[h->address_count++] = buf_take(&bound);
    return 0;
}

int house_open_doors(struct house *h, struct error *err)
{
    const struct config *c = h->config;
    struct http_server_options options = { .max_body = UPLOAD_MAX, .max_connections = c->http.max_connections,
        .idle_timeout_ms = c->http.idle_timeout_ms };
    int status = http_server_new(h->loop, &options, on_head, on_request, h, &h->server, err);

    if (status == 0)
        status = open_socket(h, c->daemon.socket, err);
    if (status != 0)
        return status;
    h->addresses = calloc(c->http.listen.count + 1, sizeof *h->addresses);
    if (h->addresses == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    for (size_t i = 0; i < c->http.listen.count && status == 0; i++)
        status = open_address(h, c->http.listen.items[i], err);
    if (status == 0 && h->address_count > 0) {
        struct buf url = { 0 };

        buf_addf(&url, "http://%s", h->addresses[0]);
        h->api_url = buf_take(&url);
    }
    return status;
}

const char *house_refuses(void *house, const struct sockaddr *address)
{
    const struct house *h = house;

    if (h->server != NULL && http_server_owns(h->server, address))
        return "it is an address of Belfry's own";
    return address_is_link_local(address) ? "it is a link-local address" : NULL;
}
