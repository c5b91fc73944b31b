/*
 * INI text through libinih.
 *
 * The system's libinih cuts lines at 200 bytes, names and sections at 50, and ends a value at " ;". So it is handed lines
 * that are all shorter and hold nothing of the kind: a section as its number, a value in pieces of a few dozen bytes,
 * each byte that is not plainly a letter or digit written as %XX, the key repeated for each piece. The pieces are put
 * together again when libinih hands them back.
 */
#include "belfry/config/ini.h"

#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/text.h"

#define PIECE 40
#define KEY_MAX 40
#define SECTION_MAX 200

struct reader {
    const char *at, *end;
    unsigned line;                 /* of what is at `at` */
    /* the value that is being handed out */
    const char *piece, *piece_end;
    bool first_piece;
    bool continues;                /* it goes on from the line before: a line break stands before it */
    char key[KEY_MAX + 1];
    bool in_value;                 /* an indented line goes on with it */
    bool announce;                 /* a section's own entry is next */
    char section[SECTION_MAX + 1];
    unsigned sections;
    /* the entry that is being put together */
    bool have;
    struct buf value;
    char have_key[KEY_MAX + 1];
    char have_section[SECTION_MAX + 1];
    unsigned have_line;
    int (*entry)(void *data, const struct ini_entry *e);
    void (*problem)(void *data, unsigned line, const char *what);
    void *data;
    int status;
};

/* --- giving out --------------------------------------------------------------------------------------------------- */

static void flush(struct reader *r)
{
    struct ini_entry e = { .section = r->have_section, .key = r->have_key, .line = r->have_line };
    size_t len = r->value.len;

    if (!r->have)
        return;
    r->have = false;
    while (len > 0 && strchr(" \t\r\n", r->value.data[len - 1]) != NULL)
        r->value.data[--len] = '\0';
    if (buf_failed(&r->value))
        r->status = BF_ENOMEM;
    e.value = buf_str(&r->value);
    len -= strspn(e.value, " \t\r\n");
    e.value += strspn(e.value, " \t\r\n");
    if (len > INI_VALUE_MAX)
        r->problem(r->data, r->have_line, "the value is longer than 64 KiB");
    if (r->status == 0 && len <= INI_VALUE_MAX)
        r->status = r->entry(r->data, &e);
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* What libinih hands back: ".", a section's own entry; else a piece of a value: 'b' begins it, 'c' goes on with it. */
static int on_entry(void *user, const char *section, const char *name, const char *value)
{
    struct reader *r = user;

    (void)section;
    if (name[0] == '.') {
        struct ini_entry e = { .section = r->section, .line = r->line - 1 };

        flush(r);
        if (r->status == 0)
            r->status = r->entry(r->data, &e);
        return 1;
    }
    if (value[0] == 'b') {
        flush(r);
        r->have = true;
        r->have_line = r->line - 1;
        (void)snprintf(r->have_key, sizeof r->have_key, "%s", r->key);
        (void)snprintf(r->have_section, sizeof r->have_section, "%s", r->section);
        buf_reset(&r->value);
    }
    for (const char *at = value + 1; *at != '\0'; at++) {
        if (*at == '%') {
            buf_addc(&r->value, (char)(digit(at[1]) << 4 | digit(at[2])));
            at += 2;
        } else {
            buf_addc(&r->value, *at);
        }
    }
    return 1;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **from, const char **to)
{
    while (*from < *to && blank(**from))
        (*from)++;
    while (*to > *from && blank((*to)[-1]))
        (*to)--;
}

static void take_section(struct reader *r, const char *from, const char *to)
{
    const char *wrong = to[-1] != ']' || to - from < 3 ? "a section is written [kind] or [kind name]" :
        to - from - 2 > SECTION_MAX ? "the section's name is longer than 200 bytes" : NULL;

    if (wrong != NULL) {
        r->problem(r->data, r->line, wrong);
        /* What follows belongs to no section that is known: it must not fall to the one before. */
        from = "[?]";
        to = from + 3;
    }
    from++;
    to--;
    trim(&from, &to);
    (void)snprintf(r->section, sizeof r->section, "%.*s", (int)(to - from), from);
    r->sections++;
    r->announce = true;
    r->in_value = false;
}

static void take_key(struct reader *r, const char *from, const char *to)
{
    const char *equals = memchr(from, '=', (size_t)(to - from)), *key_end = equals;

    r->in_value = false;
    if (equals == NULL || equals == from) {
        r->problem(r->data, r->line, "neither a section, a comment nor key = value");
        return;
    }
    trim(&from, &key_end);
    if (key_end - from > KEY_MAX) {
        r->problem(r->data, r->line, "no key is as long as this");
        return;
    }
    (void)snprintf(r->key, sizeof r->key, "%.*s", (int)(key_end - from), from);
    r->piece = equals + 1;
    r->piece_end = to;
    trim(&r->piece, &r->piece_end);
    r->first_piece = true;
    r->continues = false;
    r->in_value = true;
}

/* The next line of the text: sets up what is handed out for it. */
static void take_line(struct reader *r)
{
    const char *from = r->at, *to = memchr(from, '\n', (size_t)(r->end - from));
    bool indented = blank(*from);

    if (to == NULL)
        to = r->end;
    r->at = to < r->end ? to + 1 : to;
    trim(&from, &to);
    if (from == to && !r->in_value) {
        /* an empty line */
    } else if (memchr(from, '\0', (size_t)(to - from)) != NULL || !text_is_utf8(from, (size_t)(to - from))) {
        r->problem(r->data, r->line, "the line has bytes that are not UTF-8 text");
        r->in_value = false;
    } else if (r->in_value && (indented || from == to)) {
        /* Empty lines within a value are the value's; behind it they are trimmed. */
        r->piece = from;
        r->piece_end = to;
        r->first_piece = false;
        r->continues = true;
    } else if (*from == '#' || *from == ';') {
        /* a comment */
    } else if (*from == '[') {
        take_section(r, from, to);
    } else {
        take_key(r, from, to);
    }
    r->line++;
}

static char *hand_piece(struct reader *r, char *str, int num)
{
    static const char digits[] = "0123456789ABCDEF";
    char coded[3 * PIECE + 8], *to = coded;
    int n = 0;

    if (r->continues) {
        memcpy(to, "%0A", 3);
        to += 3;
        r->continues = false;
    }
    for (; r->piece < r->piece_end && n < PIECE; r->piece++, n++) {
        unsigned char c = (unsigned char)*r->piece;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    *to = '\0';
    if (r->piece == r->piece_end)
        r->piece = NULL;
    (void)snprintf(str, (size_t)num, "k=%c%s\n", r->first_piece ? 'b' : 'c', coded);
    r->first_piece = false;
    return str;
}

static char *hand_line(char *str, int num, void *stream)
{
    struct reader *r = stream;

    if (r->status != 0)
        return NULL;
    if (r->piece != NULL)
        return hand_piece(r, str, num);
    while (r->at < r->end) {
        take_line(r);
        if (r->announce) {
            r->announce = false;
            (void)snprintf(str, (size_t)num, ".=s\n");
            return str;
        }
        if (r->piece != NULL)
            return hand_piece(r, str, num);
    }
    return NULL;
}

int ini_read(const char *text, size_t len, int (*entry)(void *data, const struct ini_entry *e),
             void (*problem)(void *data, unsigned line, const char *what), void *data)
{
    struct reader r = { .at = text, .end = text + len, .line = 1, .entry = entry, .problem = problem, .data = data };

    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        r.at += 3;
    if (ini_parse_stream(hand_line, &r, on_entry, &r) < 0)
        r.status = BF_ENOMEM;
    if (r.status == 0)
        flush(&r);
    buf_close(&r.value);
    return r.status;
}
