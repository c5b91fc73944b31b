/* jansson, with Belfry's limits. */
#include "belfry/base/json.h"

#include <math.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"

/* Depth and brackets in strings: jansson's own limit (2048) is far above what is meant. */
static bool too_deep(const char *bytes, size_t len, size_t most)
{
    bool in_string = false;
    size_t depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > most)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *json_parse_within(const char *bytes, size_t len, size_t depth, struct error *err)
{
    json_error_t why;
    json_t *value;

    if (too_deep(bytes, len, depth)) {
        error_set(err, BF_EINVAL, "JSON nests deeper than %zu", depth);
        return NULL;
    }
    value = json_loadb(bytes, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (value == NULL) {
        struct buf shown = { 0 };

        text_printable(why.text, strlen(why.text), &shown);
        error_set(err, BF_EINVAL, "not JSON, line %d: %s", why.line, buf_str(&shown));
        buf_close(&shown);
    }
    return value;
}

json_t *json_parse(const char *bytes, size_t len, struct error *err)
{
    return json_parse_within(bytes, len, JSON_DEPTH, err);
}

json_t *json_stored(const char *text)
{
    return text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
}

char *json_text(const json_t *value)
{
    return value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : strdup("null");
}

char *json_text_sorted(const json_t *value)
{
    return value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : strdup("null");
}

const char *json_str(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

int64_t json_int(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(object, name);
    double real;

    if (json_is_integer(value))
        return json_integer_value(value);
    if (!json_is_real(value))
        return otherwise;
    real = json_real_value(value);
    return real > -9e15 && real < 9e15 && real >= floor(real) && real <= floor(real) ? (int64_t)real : otherwise;
}

bool json_flag(const json_t *object, const char *name, bool otherwise)
{
    const json_t *value = json_object_get(object, name);

    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

int json_put(json_t *object, const char *name, const char *text)
{
    struct buf shown = { 0 };
    json_t *value;
    int status;

    if (text == NULL)
        return json_object_set_new(object, name, json_null()) == 0 ? 0 : BF_ENOMEM;
    value = json_string(text);
    if (value == NULL) {
        text_printable(text, strlen(text), &shown);
        value = json_string(buf_str(&shown));
        buf_close(&shown);
    }
    status = json_object_set_new(object, name, value);
    return status == 0 ? 0 : BF_ENOMEM;
}

int json_put_int(json_t *object, const char *name, int64_t value)
{
    return json_object_set_new(object, name, json_integer(value)) == 0 ? 0 : BF_ENOMEM;
}

int json_put_time(json_t *object, const char *name, int64_t wall_ms)
{
    char text[TIME_TEXT_SIZE];

    if (wall_ms == 0)
        return 0;
    time_format(wall_ms, text);
    return json_put(object, name, text);
}
