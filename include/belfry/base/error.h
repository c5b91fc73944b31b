/*
 * Errors: a code for the program, a sentence for the person at 3 a.m.
 *
 * A call that can fail returns 0 or one of the negative codes below. Where a person will read the reason, its last
 * argument is a struct error, filled with what was tried, on what, why it failed and, where that is not plain, what to
 * do. Only the one who gives up logs it.
 */
#ifndef BELFRY_BASE_ERROR_H
#define BELFRY_BASE_ERROR_H

#include <stddef.h>

enum {
    BF_OK = 0,
    BF_EINVAL = -1,       /* what was given is not well formed */
    BF_ENOMEM = -2,       /* out of memory */
    BF_ENOENT = -3,       /* no such thing */
    BF_EEXIST = -4,       /* it is there already */
    BF_EAGAIN = -5,       /* not now: a limit is reached; later may do */
    BF_EIO = -6,          /* a device or file failed */
    BF_ENOSPC = -7,       /* the disk (or quota) is full */
    BF_EACCES = -8,       /* not allowed */
    BF_ETIMEDOUT = -9,    /* it took too long */
    BF_ECANCELED = -10,   /* taken back by the caller */
    BF_ENET = -11,        /* the network or the other side failed */
    BF_EPROTO = -12,      /* the other side's answer makes no sense */
    BF_ETOOBIG = -13,     /* larger than the limit */
    BF_ENOTSUP = -14,     /* this version cannot do that */
    BF_ESHUTDOWN = -15,   /* the daemon is stopping */
};

#define ERROR_TEXT_SIZE 1024

struct error {
    int code;                    /* a BF_E…, or 0 */
    char text[ERROR_TEXT_SIZE];  /* one or more lines, no newline at the end */
};

/* Fills *err (may be NULL) and returns code. A text that does not fit is cut at a character's border. */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and the words for errnum at the end; the code is made from errnum (ENOSPC → BF_ENOSPC …). */
int error_errno(struct error *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "format: " before what *err says already; its code stays. Returns the code. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The nearest BF_E… to an errno value. */
int error_code_of_errno(int errnum);

/* A short name for a code ("no space", "not found"): for logs where no struct error is at hand. */
const char *error_name(int code);

#endif
