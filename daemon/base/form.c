#include "belfry/base/form.h"

#include <stdlib.h>
#include <string.h>

#include "belfry/base/text.h"

void form_add(json_t *object, const char *name, json_t *value)
{
    json_t *before = json_object_get(object, name);

    if (before == NULL)
        (void)json_object_set_new(object, name, value);
    else if (json_is_array(before))
        (void)json_array_append_new(before, value);
    else
        (void)json_object_set_new(object, name, json_pack("[O, o]", before, value));
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One part of a form, decoded: NULL when it is not well formed, not UTF-8, or holds a NUL. */
static char *form_decode(const char *text, size_t len)
{
    char *out = malloc(len + 1);
    size_t n = 0;

    for (size_t i = 0; out != NULL && i < len; i++) {
        if (text[i] != '%') {
            out[n++] = (char)(text[i] == '+' ? ' ' : text[i]);
            continue;
        }
        if (i + 2 >= len || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
            goto bad;
        out[n++] = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
        i += 2;
    }
    if (out == NULL || !text_is_utf8(out, n))
        goto bad;
    out[n] = '\0';
    return out;
bad:
    free(out);
    return NULL;
}

json_t *form_parse(const char *bytes, size_t len, struct error *err)
{
    json_t *object = json_object();
    const char *end = bytes + len;

    while (bytes < end) {
        const char *stop = memchr(bytes, '&', (size_t)(end - bytes));
        const char *equals;
        char *name, *value;

        stop = stop != NULL ? stop : end;
        equals = memchr(bytes, '=', (size_t)(stop - bytes));
        equals = equals != NULL ? equals : stop;
        name = form_decode(bytes, (size_t)(equals - bytes));
        value = equals < stop ? form_decode(equals + 1, (size_t)(stop - equals - 1)) : strdup("");
        if (name != NULL && value != NULL && stop > bytes)
            form_add(object, name, json_string(value));
        if (name == NULL || value == NULL) {
            error_set(err, BF_EINVAL, "the body is not a well-formed form");
            json_decref(object);
            object = NULL;
        }
        free(name);
        free(value);
        if (object == NULL)
            return NULL;
        bytes = stop + 1;
    }
    return object;
}

bool form_is_plain(const char *bytes, size_t len)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~*+%&=!'(),;:@/?$";
    const char *end = bytes + len;
    size_t pairs = 0;

    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\0' || strchr(alphabet, bytes[i]) == NULL)
            return false;
    }
    while (bytes < end) {
        const char *stop = memchr(bytes, '&', (size_t)(end - bytes));
        const char *equals;

        stop = stop != NULL ? stop : end;
        equals = memchr(bytes, '=', (size_t)(stop - bytes));
        if (stop > bytes && (equals == NULL || equals == bytes))
            return false;
        pairs += stop > bytes;
        bytes = stop + 1;
    }
    return pairs > 0;
}
