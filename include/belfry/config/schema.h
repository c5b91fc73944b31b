/*
 * One row a key: parsing, checking, defaults, `belfry check`'s hints and the man page belfry.conf(5) are made of this
 * table.
 */
#ifndef BELFRY_CONFIG_SCHEMA_H
#define BELFRY_CONFIG_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

enum key_type {
    KEY_STRING, KEY_PATH, KEY_BOOL, KEY_INT, KEY_DURATION, KEY_SIZE, KEY_CHOICE, KEY_WORDS, KEY_LIST_OF_PATHS,
    KEY_REF,        /* the name of a section of another kind */
    KEY_PROGRAM,    /* a jq program */
    KEY_SECRET,     /* the stem of three keys: …_file, …_env, …_credential */
    KEY_CUSTOM,     /* a function of its own reads it */
};

struct key_row {
    const char *name;
    enum key_type type;
    size_t offset;              /* of the field in the section's struct */
    const char *otherwise;      /* the default, as it would be written; NULL: none */
    const char *detail;         /* choices "a b c", the kind referred to, or NULL */
    int64_t low, high;          /* bounds of KEY_INT, KEY_DURATION (ms), KEY_SIZE; 0, 0: none */
    const char *about;          /* the paragraph of the man page */
};

struct section_row {
    const char *kind;
    int named;                  /* [kind name], else [kind] */
    size_t size;                /* of the section's struct */
    const struct key_row *keys; /* ends with a NULL name */
    const char *about;
};

extern const struct section_row config_sections[];   /* ends with a NULL kind */

#endif
