/* Names from outside, made safe. */
#include <stdio.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/file.h"
#include "belfry/base/text.h"

/* Cuts text to at most max bytes before its extension, never within a character or an escape. */
static void cut(const char *text, size_t len, char out[FILE_NAME_MAX + 1])
{
    const char *dot = memrchr(text, '.', len);
    size_t tail = dot != NULL && dot != text && (size_t)(text + len - dot) <= 32 ? (size_t)(text + len - dot) : 0;
    size_t head = len - tail;

    if (len > FILE_NAME_MAX) {
        head = FILE_NAME_MAX - tail;
        while (head > 0 && ((unsigned char)text[head] & 0xC0) == 0x80)
            head--;
        if (head > 0 && text[head - 1] == '%')
            head--;
        else if (head > 1 && text[head - 2] == '%')
            head -= 2;
    }
    memcpy(out, text, head);
    memcpy(out + head, text + len - tail, tail);
    out[head + tail] = '\0';
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
        if (plain(name + i, i) && (utf8 || ((unsigned char)name[i] & 0x80) == 0))
            buf_addc(&safe, name[i]);
        else
            buf_addf(&safe, "%%%02X", (unsigned char)name[i]);
    }
    if (buf_failed(&safe) || safe.len == 0)
        (void)snprintf(out, FILE_NAME_MAX + 1, "unnamed");
    else
        cut(safe.data, safe.len, out);
    buf_close(&safe);
}

void file_numbered_name(const char *name, unsigned k, char out[FILE_NAME_MAX + 1])
{
    const char *dot = strrchr(name, '.');
    struct buf numbered = { 0 };
    size_t stem = dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name);
    size_t room = FILE_NAME_MAX - 16;

    buf_add(&numbered, name, stem > room ? room : stem);
    buf_addf(&numbered, "-%u%.*s", k, (int)(strlen(name + stem) > 5 && stem > room ? 5 : 180), name + stem);
    if (buf_failed(&numbered))
        (void)snprintf(out, FILE_NAME_MAX + 1, "unnamed-%u", k);
    else
        cut(numbered.data, numbered.len, out);
    buf_close(&numbered);
}
