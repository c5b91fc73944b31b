/*
 * A growable byte buffer that is always followed by a NUL, so its data can be read as a string.
 *
 * An allocation that fails is remembered: later additions do nothing and buf_failed() is true, so a text is built
 * without a check a line and checked once at the end. Zeroed memory is an empty buffer.
 */
#ifndef BELFRY_BASE_BUF_H
#define BELFRY_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;   /* NULL while empty and never used */
    size_t len;
    size_t cap;
    bool failed;
};

void buf_init(struct buf *b);
void buf_close(struct buf *b);                       /* frees; b is empty and usable again */
void buf_reset(struct buf *b);                       /* empties, keeps the memory */
int buf_reserve(struct buf *b, size_t more);         /* room for `more` bytes; 0 or BF_ENOMEM */
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_adds(struct buf *b, const char *text);      /* a C string */
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));
bool buf_failed(const struct buf *b);
const char *buf_str(const struct buf *b);            /* never NULL */
char *buf_take(struct buf *b);                       /* hands the string over (free() it); NULL when it failed */

#endif
