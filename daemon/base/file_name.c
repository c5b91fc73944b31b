/* Names from outside, made safe. */
#include <stdio.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/file.h"
#include "belfry/base/text.h"

#define EXTENSION_MAX 32

/* How many bytes at the end are the extension with its dot; 0 when there is none, or none as short as extensions are. */
static size_t extension(const char *text, size_t len)
{
    const char *dot = memrchr(text, '.', len);

    return dot != NULL && dot != text && (size_t)(text + len - dot) <= EXTENSION_MAX ? (size_t)(text + len - dot) : 0;
}

/* The most of the first `len` bytes that ends neither within a character nor within an escape. */
static size_t whole(const char *text, size_t len)
{
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    if (len > 0 && text[len - 1] == '%')
        return len - 1;
    return len > 1 && text[len - 2] == '%' ? len - 2 : len;
}

/* The text with `more` put in before its extension, cut there to what a name may have. */
static void compose(const char *text, size_t len, const char *more, char out[FILE_NAME_MAX + 1])
{
    size_t tail = extension(text, len), head = len - tail, room = FILE_NAME_MAX - tail - strlen(more);

    if (head > room)
        head = whole(text, room);
    (void)snprintf(out, FILE_NAME_MAX + 1, "%.*s%s%.*s", (int)head, text, more, (int)tail, text + len - tail);
}

/* The control characters of Latin-1 (U+0080 to U+009F), in UTF-8. */
static bool starts_control(const char *at, size_t left)
{
    return left > 1 && (unsigned char)at[0] == 0xC2 && ((unsigned char)at[1] & 0xE0) == 0x80;
}

static bool plain(const char *at, size_t index)
{
    unsigned char c = (unsigned char)*at;

    if (index == 0 && (c == '.' || c == '-'))
        return false;
    return c >= 0x20 && c != 0x7F && c != '/' && c != '\\' && c != '%';
}

void file_safe_name(const char *name, size_t len, char out[FILE_NAME_MAX + 1])
{
    struct buf safe = { 0 };
    bool utf8 = text_is_utf8(name, len);

    for (size_t i = 0; i < len; i++) {
        bool control = starts_control(name + i, len - i) || (i > 0 && starts_control(name + i - 1, len - i + 1));

        if (plain(name + i, i) && !control && (utf8 || ((unsigned char)name[i] & 0x80) == 0))
            buf_addc(&safe, name[i]);
        else
            buf_addf(&safe, "%%%02X", (unsigned char)name[i]);
    }
    if (buf_failed(&safe) || safe.len == 0)
        (void)snprintf(out, FILE_NAME_MAX + 1, "unnamed");
    else
        compose(safe.data, safe.len, "", out);
    buf_close(&safe);
}

void file_numbered_name(const char *name, unsigned k, char out[FILE_NAME_MAX + 1])
{
    char number[16];

    (void)snprintf(number, sizeof number, "-%u", k);
    compose(name, strlen(name), number, out);
}
