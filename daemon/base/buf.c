/* Growable buffers. */
#include "belfry/base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/error.h"

void buf_init(struct buf *b)
{
    *b = (struct buf) { 0 };
}

void buf_close(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data != NULL)
        b->data[0] = '\0';
}

int buf_reserve(struct buf *b, size_t more)
{
    size_t need, cap;
    char *grown;

    if (b->failed || more > SIZE_MAX / 2 - b->len - 1)
        goto fail;
    need = b->len + more + 1;
    if (need <= b->cap)
        return 0;
    cap = b->cap < 32 ? 32 : b->cap;
    while (cap < need)
        cap *= 2;
    grown = realloc(b->data, cap);
    if (grown == NULL)
        goto fail;
    b->data = grown;
    b->cap = cap;
    b->data[b->len] = '\0';
    return 0;
fail:
    b->failed = true;
    return BF_ENOMEM;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
    if (buf_reserve(b, len) != 0)
        return;
    if (len > 0)
        memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_addc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_vaddf(struct buf *b, const char *format, va_list ap)
{
    va_list again;
    int need;

    va_copy(again, ap);
    need = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (need < 0) {
        b->failed = true;
        return;
    }
    if (buf_reserve(b, (size_t)need) != 0)
        return;
    (void)vsnprintf(b->data + b->len, (size_t)need + 1, format, ap);
    b->len += (size_t)need;
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    buf_vaddf(b, format, ap);
    va_end(ap);
}

bool buf_failed(const struct buf *b)
{
    return b->failed;
}

const char *buf_str(const struct buf *b)
{
    return b->data != NULL ? b->data : "";
}

char *buf_take(struct buf *b)
{
    char *text = NULL;

    if (buf_reserve(b, 0) == 0) {
        text = b->data;
        buf_init(b);
    } else {
        buf_close(b);
    }
    return text;
}
