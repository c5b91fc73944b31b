/* What can be said of a request before its body: the method, the sender's address, the size, the hook's pause. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "webhook_internal.h"

/* --- the sender --------------------------------------------------------------------------------------------------- */

/* IPv4 as ::ffff:a.b.c.d, as struct network has it. */
static bool parse_address(const char *text, uint8_t out[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (inet_pton(AF_INET6, text, out) == 1)
        return true;
    memcpy(out, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, out + 12) == 1;
}

static bool is_loopback(const uint8_t a[16])
{
    static const uint8_t v4[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };
    static const uint8_t v6[16] = { [15] = 1 };

    return memcmp(a, v4, sizeof v4) == 0 || memcmp(a, v6, sizeof v6) == 0;
}

/* The last address of the last X-Forwarded-For: earlier ones are the sender's word. */
static void last_forwarded(void *data, const char *name, const char *value)
{
    char *out = data;
    const char *last;
    size_t len;

    if (strcasecmp(name, "X-Forwarded-For") != 0)
        return;
    last = strrchr(value, ',');
    last = last != NULL ? last + 1 : value;
    last += strspn(last, " \t");
    len = strcspn(last, " \t");
    (void)snprintf(out, ADDRESS_SIZE, "%.*s", len < ADDRESS_SIZE ? (int)len : 0, last);
}

void hook_sender(const struct http_exchange *x, char out[ADDRESS_SIZE])
{
    char forwarded[ADDRESS_SIZE] = "";
    uint8_t address[16];

    (void)snprintf(out, ADDRESS_SIZE, "%s", http_remote(x));
    if (!parse_address(out, address) || !is_loopback(address))
        return;
    http_each_header(x, last_forwarded, forwarded);
    if (parse_address(forwarded, address))
        (void)snprintf(out, ADDRESS_SIZE, "%s", forwarded);
}

static bool within(const struct network *net, const uint8_t address[16])
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;

    if (memcmp(net->address, address, whole) != 0)
        return false;
    return rest == 0 || ((net->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

bool hook_lets_in(const struct webhook_config *config, const struct http_exchange *x, const char *sender)
{
    uint8_t address[16];

    /* The socket has its file mode for a lock. */
    if (config->allow_count == 0 || http_is_local(x))
        return true;
    if (!parse_address(sender, address))
        return false;
    for (size_t i = 0; i < config->allow_count; i++) {
        if (within(&config->allow_from[i], address))
            return true;
    }
    return false;
}

/* --- the rate ----------------------------------------------------------------------------------------------------- */

bool hook_take_token(const struct hook *hook, struct bucket *bucket, int64_t mono_ms)
{
    double rate = (double)hook->config->rate;

    if (hook->config->rate == 0)
        return true;
    bucket->tokens += rate * (double)(mono_ms - bucket->at_ms) / 1000.0;
    bucket->at_ms = mono_ms;
    if (bucket->tokens > rate)
        bucket->tokens = rate;
    if (bucket->tokens < 1.0)
        return false;
    bucket->tokens -= 1.0;
    return true;
}

/* --- the head ----------------------------------------------------------------------------------------------------- */

static bool takes_method(const struct webhook_config *config, const char *method)
{
    for (size_t i = 0; i < config->methods.count; i++) {
        if (strcmp(config->methods.items[i], method) == 0)
            return true;
    }
    return false;
}

static void refuse_method(struct hook *hook, struct http_exchange *x)
{
    static const char body[] = "{\"error\":{\"code\":\"method_not_allowed\",\"message\":\"this webhook does not take that method\"}}";
    const struct words *methods = &hook->config->methods;
    struct buf allow = { 0 };

    for (size_t i = 0; i < methods->count; i++)
        buf_addf(&allow, "%s%s", i > 0 ? ", " : "", methods->items[i]);
    hook->refused++;
    hook->last_word = "method_not_allowed";
    http_respond(x, 405, "application/json", body, sizeof body - 1,
                 &(struct http_header_pair) { "Allow", buf_str(&allow) }, 1);
    buf_close(&allow);
}

void webhook_head(struct webhook_room *room, struct http_exchange *x)
{
    struct hook *hook = hook_at(room, http_path(x));
    char sender[ADDRESS_SIZE];

    if (hook == NULL)
        return;
    if (!takes_method(hook->config, http_method(x))) {
        refuse_method(hook, x);
        return;
    }
    hook_sender(x, sender);
    if (!hook_lets_in(hook->config, x, sender)) {
        hook_refuse(hook, x, 403, "forbidden", "this webhook takes no requests from that address");
        return;
    }
    http_limit_body(x, hook->config->max_body > 0 ? hook->config->max_body : room->config->http.max_body);
}
