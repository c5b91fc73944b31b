/* Text: units, nearest words, globs, what may be shown. */
#include "belfry/base/text.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"

struct unit {
    const char *name;
    int64_t worth;
};

/* Longest names first where one begins with another. */
static const struct unit times[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at *at, moved on. */
static bool number(const char **at, int64_t *value)
{
    if (!is_digit(**at))
        return false;
    for (*value = 0; is_digit(**at); (*at)++) {
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, **at - '0', value))
            return false;
    }
    return true;
}

static bool time_unit(const char **at, int64_t *worth)
{
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        size_t len = strlen(times[i].name);

        if (strncmp(*at, times[i].name, len) == 0 && (is_digit((*at)[len]) || (*at)[len] == '\0')) {
            *at += len;
            *worth = times[i].worth;
            return true;
        }
    }
    return false;
}

int text_duration_ms(const char *text, int64_t *ms)
{
    const char *at = text;
    int64_t total = 0, n, worth;

    if (strcmp(text, "0") == 0) {
        *ms = 0;
        return 0;
    }
    do {
        if (!number(&at, &n) || !time_unit(&at, &worth) || __builtin_mul_overflow(n, worth, &n) ||
            __builtin_add_overflow(total, n, &total))
            return BF_EINVAL;
    } while (*at != '\0');
    *ms = total;
    return 0;
}

void text_from_duration(int64_t ms, char out[32])
{
    size_t used = 0;

    (void)snprintf(out, 32, "0");
    for (size_t i = sizeof times / sizeof *times; i-- > 0 && ms > 0 && used < 32;) {
        int64_t n = ms / times[i].worth;

        if (n == 0)
            continue;
        used += (size_t)snprintf(out + used, 32 - used, "%lld%s", (long long)n, times[i].name);
        ms -= n * times[i].worth;
    }
}

int text_size(const char *text, int64_t *bytes)
{
    static const char units[] = "kMGT";
    const char *at = text, *unit;
    int64_t n;

    if (!number(&at, &n))
        return BF_EINVAL;
    if (*at != '\0') {
        unit = strchr(units, *at == 'K' ? 'k' : *at);
        if (unit == NULL || at[1] != '\0')
            return BF_EINVAL;
        if (__builtin_mul_overflow(n, INT64_C(1) << (10 * (unit - units + 1)), &n))
            return BF_EINVAL;
    }
    *bytes = n;
    return 0;
}

int text_bool(const char *text, bool *value)
{
    *value = strcmp(text, "yes") == 0;
    return *value || strcmp(text, "no") == 0 ? 0 : BF_EINVAL;
}

int text_int(const char *text, int64_t low, int64_t high, int64_t *value)
{
    const char *at = text[0] == '-' ? text + 1 : text;
    int64_t n;

    if (!number(&at, &n) || *at != '\0')
        return BF_EINVAL;
    n = text[0] == '-' ? -n : n;
    if (n < low || n > high)
        return BF_EINVAL;
    *value = n;
    return 0;
}

#define NEAREST_MAX 64

/* Letters to change, put in, take out, or exchange with their neighbour (Damerau, restricted). */
static size_t distance(const char *a, size_t la, const char *b, size_t lb)
{
    size_t rows[3][NEAREST_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2], *spare;

    for (size_t j = 0; j <= lb; j++)
        last[j] = j;
    for (size_t i = 1; i <= la; i++) {
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[lb];
}

const char *text_nearest(const char *word, const char *const words[])
{
    size_t len = strlen(word), best = SIZE_MAX;
    const char *nearest = NULL;

    if (len == 0 || len > NEAREST_MAX)
        return NULL;
    for (; *words != NULL; words++) {
        size_t other = strlen(*words), longer = other > len ? other : len, d;

        if (other > NEAREST_MAX)
            continue;
        d = distance(word, len, *words, other);
        if (d < best && d <= 3 && d * 3 <= longer + 1) {
            best = d;
            nearest = *words;
        }
    }
    return nearest;
}

/* The length of the well-formed UTF-8 character at bytes, and its code point; 0 when there is none. */
static size_t character(const unsigned char *at, size_t left, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = at[0] < 0x80 ? 1 : (at[0] & 0xE0) == 0xC0 ? 2 : (at[0] & 0xF0) == 0xE0 ? 3 : (at[0] & 0xF8) == 0xF0 ? 4 : 0;

    if (n == 0 || n > left)
        return 0;
    *code = n == 1 ? at[0] : at[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        *code = *code << 6 | (at[i] & 0x3F);
    }
    if (*code < least[n] || *code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF))
        return 0;
    return n;
}

bool text_is_utf8(const char *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    uint32_t code;

    while (len > 0) {
        size_t n = character(at, len, &code);

        if (n == 0 || code == 0)
            return false;
        at += n;
        len -= n;
    }
    return true;
}

void text_printable(const char *bytes, size_t len, struct buf *b)
{
    const unsigned char *at = (const unsigned char *)bytes;
    uint32_t code = 0;

    while (len > 0) {
        size_t n = character(at, len, &code);
        bool control = code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
                       (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);

        if (n > 0 && !control) {
            buf_add(b, at, n);
        } else {
            n = n > 0 ? n : 1;
            for (size_t i = 0; i < n; i++)
                buf_addf(b, "\\x%02X", at[i]);
        }
        at += n;
        len -= n;
    }
}

bool text_glob(const char *pattern, const char *name)
{
    return fnmatch(pattern, name, 0) == 0;
}
