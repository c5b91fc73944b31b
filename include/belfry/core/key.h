/* An API key as the journal keeps it. */
#ifndef BELFRY_CORE_KEY_H
#define BELFRY_CORE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "belfry/base/id.h"

#define KEY_DIGEST_SIZE 32
#define KEY_EXPIRES_STAYS (-1)   /* in an edit: it says nothing of it */

struct key_record {
    char id[ID_SIZE];
    char *name;
    char *workspace;               /* its id */
    char *permissions;             /* names, separated by spaces */
    unsigned char digest[KEY_DIGEST_SIZE];   /* what its value is found by */
    unsigned char *sealed;         /* its value, sealed; NULL: only the digest is kept */
    size_t sealed_len;
    int64_t created_ms;
    int64_t expires_ms;            /* 0: never */
    int64_t last_used_ms;          /* 0: never */
    uint64_t uses;
};

/* Deep copy: 0 or BF_ENOMEM (then *to is empty). */
int key_record_copy(struct key_record *to, const struct key_record *from);
void key_record_close(struct key_record *record);

#endif
