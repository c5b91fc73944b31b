/* The request as its event shows it (SPEC §4). */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/form.h"
#include "belfry/base/text.h"
#include "webhook_internal.h"

/* Headers that carry a secret or prove one, and say nothing that a robot needs. */
static bool is_private(const struct webhook_config *config, const char *name)
{
    static const char *const names[] = { "authorization", "cookie", "proxy-authorization", "x-hub-signature",
        "x-hub-signature-256", "x-gitlab-token", "x-slack-signature", "stripe-signature", "webhook-signature" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(names[i], name) == 0)
            return true;
    }
    return config->verify.header != NULL && strcasecmp(config->verify.header, name) == 0;
}

static json_t *text_json(const char *text)
{
    size_t len = strlen(text);
    struct buf shown = { 0 };
    json_t *value;

    if (text_is_utf8(text, len))
        return json_stringn_nocheck(text, len);
    text_printable(text, len, &shown);
    value = json_string(buf_str(&shown));
    buf_close(&shown);
    return value;
}

struct pairs {
    const struct webhook_config *config;
    json_t *object;
};

static void add_header(void *data, const char *name, const char *value)
{
    struct pairs *p = data;
    char lower[128];
    size_t len = strlen(name);
    const char *before;
    struct buf both = { 0 };

    if (len >= sizeof lower || is_private(p->config, name))
        return;
    for (size_t i = 0; i <= len; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    before = json_str(p->object, lower);
    if (before == NULL) {
        (void)json_object_set_new(p->object, lower, text_json(value));
        return;
    }
    buf_addf(&both, "%s, %s", before, value);
    (void)json_object_set_new(p->object, lower, text_json(buf_str(&both)));
    buf_close(&both);
}

static void add_query(void *data, const char *name, const char *value)
{
    struct pairs *p = data;

    if (text_is_utf8(name, strlen(name)))
        form_add(p->object, name, text_json(value != NULL ? value : ""));
}

/* --- the body ----------------------------------------------------------------------------------------------------- */

static bool type_is(const char *type, const char *word)
{
    size_t len = strlen(word);

    return strncasecmp(type, word, len) == 0 && strchr("; \t", type[len]) != NULL;
}

static bool type_is_json(const char *type)
{
    const char *plus = strstr(type, "+json");

    return type_is(type, "application/json") || (plus != NULL && strchr("; \t", plus[5]) != NULL);
}

static json_t *body_json(const char *type, const char *body, size_t len, struct error *err)
{
    struct buf text = { 0 };
    json_t *value = NULL;

    if (len == 0)
        return json_null();
    if (type_is_json(type)) {
        value = json_parse(body, len, err);
        if (value == NULL)
            error_prefix(err, "the body is not good JSON");
        return value;
    }
    /* What says nothing of itself, or is sent as a form by a client that knows no better (curl -d), but is JSON. */
    if ((type[0] == '\0' || type_is(type, "application/x-www-form-urlencoded")) && (body[0] == '{' || body[0] == '['))
        value = json_parse(body, len, NULL);
    if (value != NULL)
        return value;
    if (type_is(type, "application/x-www-form-urlencoded"))
        return form_parse(body, len, err);
    if (text_is_utf8(body, len))
        return json_stringn_nocheck(body, len);
    text_base64(body, len, &text);
    value = json_string(buf_str(&text));
    buf_close(&text);
    return value;
}

json_t *hook_request_json(const struct webhook_config *config, const struct http_exchange *x, struct error *err)
{
    struct pairs headers = { .config = config, .object = json_object() };
    struct pairs query = { .config = config, .object = json_object() };
    const char *type = http_header(x, "Content-Type"), *bytes;
    char sender[ADDRESS_SIZE];
    json_t *body, *request = NULL;
    size_t len;

    bytes = http_body(x, &len);
    body = body_json(type != NULL ? type : "", bytes, len, err);
    if (body == NULL)
        goto out;
    http_each_header(x, add_header, &headers);
    http_each_query(x, add_query, &query);
    hook_sender(x, sender);
    request = json_object();
    (void)json_put(request, "method", http_method(x));
    (void)json_object_set_new(request, "path", text_json(http_path(x)));
    (void)json_object_set(request, "query", query.object);
    (void)json_object_set(request, "headers", headers.object);
    (void)json_object_set_new(request, "body", body);
    (void)json_put(request, "remote", sender);
out:
    json_decref(headers.object);
    json_decref(query.object);
    return request;
}
