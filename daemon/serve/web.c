/* Pages. Each carries a nonce of its own, and nothing runs or is loaded that has not got it. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/text.h"
#include "serve_internal.h"

#define PLACE "@NONCE@"

/* The page as it is written, in pieces at the places of the nonce. */
static void fill_in(const char *page, const char *nonce, struct buf *out)
{
    const char *place;

    while ((place = strstr(page, PLACE)) != NULL) {
        buf_add(out, page, (size_t)(place - page));
        buf_adds(out, nonce);
        page = place + strlen(PLACE);
    }
    buf_adds(out, page);
}

static void serve_page(struct http_exchange *x, const char *page)
{
    struct buf text = { 0 }, policy = { 0 };
    unsigned char dice[16];
    char nonce[33];

    id_random(dice, sizeof dice);
    text_hex(dice, sizeof dice, nonce);
    fill_in(page, nonce, &text);
    buf_addf(&policy, "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; base-uri 'none'; form-action 'none';"
             " frame-ancestors 'none'", nonce, nonce);
    if (buf_failed(&text) || buf_failed(&policy)) {
        http_respond_error(x, 503, "unavailable", "out of memory");
    } else {
        const struct http_header_pair headers[] = { { "Content-Security-Policy", buf_str(&policy) }, { "Referrer-Policy", "no-referrer" } };

        http_respond(x, 200, "text/html; charset=utf-8", text.data, text.len, headers, 2);
    }
    buf_close(&text);
    buf_close(&policy);
}

static void lead_to_api_page(struct http_exchange *x, unsigned status)
{
    http_respond(x, status, "text/plain", "", 0, &(struct http_header_pair) { "Location", "/api/" }, 1);
}

/* It is the only page yet: not for good. */
void serve_root(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    (void)room;
    (void)args;
    lead_to_api_page(x, 302);
}

void serve_api_page_is_there(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    (void)room;
    (void)args;
    lead_to_api_page(x, 308);
}

void serve_api_page(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    (void)room;
    (void)args;
    serve_page(x, web_api_html);
}
