/*
 * Secrets: bytes that are wiped when they go, never printed, and compared in constant time.
 */
#ifndef BELFRY_BASE_SECRET_H
#define BELFRY_BASE_SECRET_H

#include <stddef.h>

#include "belfry/base/error.h"

struct secret {
    char *bytes;   /* NUL behind; NULL when there is none */
    size_t len;
};

/* Copies bytes in. 0 or BF_ENOMEM. */
int secret_set(struct secret *s, const char *bytes, size_t len);
/* The first line of a file. BF_EACCES when the group or others may write it. *readable_by_others is set when they may
 * read it (the caller warns). Neither the error nor anything else shows the content. */
int secret_from_file(struct secret *s, const char *path, int *readable_by_others, struct error *err);
/* All of a file, at most max bytes (BF_ETOOBIG). */
int secret_from_whole_file(struct secret *s, const char *path, size_t max, int *readable_by_others, struct error *err);
/* From an environment variable. */
int secret_from_env(struct secret *s, const char *name, struct error *err);
/* From $CREDENTIALS_DIRECTORY/name (systemd's LoadCredential=). */
int secret_from_credential(struct secret *s, const char *name, struct error *err);
/* Where that credential lies, on the heap; NULL with *err set when it can lie nowhere. */
char *secret_credential_path(const char *name, struct error *err);
/* Wipes and frees. */
void secret_close(struct secret *s);

#endif
