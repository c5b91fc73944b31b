/*
 * Small things about text: units as configuration files write them, nearest known words, hex and base64, what may be
 * printed to a terminal or a log.
 */
#ifndef BELFRY_BASE_TEXT_H
#define BELFRY_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* "500ms" "90s" "5m" "2h" "1d", or several together ("1h30m", largest first not required) → milliseconds ≥ 0.
 * A bare number is refused, but "0". 0 or BF_EINVAL (also on overflow of int64). */
int text_duration_ms(const char *text, int64_t *ms);
/* The shortest such text for ms, e.g. "1h30m"; at most 32 bytes with the NUL. */
void text_from_duration(int64_t ms, char out[32]);
/* "10" "64k" "10M" "1G" (powers of 1024) → bytes. 0 or BF_EINVAL. */
int text_size(const char *text, int64_t *bytes);
/* "yes" or "no". 0 or BF_EINVAL. */
int text_bool(const char *text, bool *value);
/* A decimal integer within [low, high], nothing around it. 0 or BF_EINVAL. */
int text_int(const char *text, int64_t low, int64_t high, int64_t *value);

/* The word of `words` (NULL at the end) that is nearest to `word`, or NULL when none is near (more than a third of the
 * letters differ, at most 3). */
const char *text_nearest(const char *word, const char *const words[]);

/* Lower-case hex; out has 2 * len + 1 bytes. */
void text_hex(const void *bytes, size_t len, char *out);
/* The reverse; *len is the room in out at the call and what was written after it. 0 or BF_EINVAL. */
int text_unhex(const char *hex, size_t hex_len, void *out, size_t *len);
/* RFC 4648 base64 with padding, appended to b. */
void text_base64(const void *bytes, size_t len, struct buf *b);
/* The reverse, strict (padding required, no white space). *len as in text_unhex. 0 or BF_EINVAL. */
int text_unbase64(const char *text, size_t text_len, void *out, size_t *len);

/* Appends a part of a URL's path with its escapes undone, once. 0 or BF_EINVAL (a % that is no escape, or stands for NUL). */
int text_unescape(const char *text, size_t len, struct buf *b);

/* True for well-formed UTF-8 (no surrogates, no overlong forms) without NUL. */
bool text_is_utf8(const char *bytes, size_t len);
/* Appends bytes as UTF-8 that may be shown: control characters and bytes that are not UTF-8 become \xNN. */
void text_printable(const char *bytes, size_t len, struct buf *b);
/* Compares in a time that depends on len alone. */
bool text_equal_constant_time(const void *a, const void *b, size_t len);
/* fnmatch-like match of a file name against a glob with * ? [...]; never crosses nothing: a name has no '/'. */
bool text_glob(const char *pattern, const char *name);

#endif
