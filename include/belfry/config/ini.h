/*
 * INI text as SPEC §3 has it, read by libinih: comments are whole lines only, values go on over indented lines, and may
 * be 64 KiB long. (The system's libinih is built to cut lines at 200 bytes and to eat what follows " ;": the text is
 * prepared so that neither can happen, and given to ini_parse_stream in pieces that fit.)
 */
#ifndef BELFRY_CONFIG_INI_H
#define BELFRY_CONFIG_INI_H

#include <stddef.h>

#include "belfry/base/error.h"

#define INI_VALUE_MAX 65536

struct ini_entry {
    const char *section;   /* "schedule nightly"; "" before the first */
    const char *key;       /* NULL for a section's own line */
    const char *value;     /* with its line breaks; leading and trailing white space of the whole gone */
    unsigned line;         /* where the section or key stands, from 1 */
};

/* Calls entry for each section line and each key in order. entry returns 0 to go on. Text that is no INI (a line with no
 * '=', a section without ']', a NUL, a value over the limit, bytes that are not UTF-8) is given to problem with its line
 * and does not end the reading. Returns 0, or BF_ENOMEM, or what entry returned. */
int ini_read(const char *text, size_t len, int (*entry)(void *data, const struct ini_entry *e),
             void (*problem)(void *data, unsigned line, const char *what), void *data);

#endif
