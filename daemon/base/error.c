/* Errors: filling, prefixing, and what errno values mean. */
#include "belfry/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut must not end within a UTF-8 character. */
static void mend_end(char *text, size_t size)
{
    size_t end = size - 1;

    if (memchr(text, '\0', size - 1) != NULL)
        return;
    while (end > 0 && ((unsigned char)text[end - 1] & 0xC0) == 0x80)
        end--;
    if (end > 0 && ((unsigned char)text[end - 1] & 0x80) != 0)
        end--;
    text[end] = '\0';
}

int error_set(struct error *err, int code, const char *format, ...)
{
    va_list ap;

    if (err == NULL)
        return code;
    err->code = code;
    va_start(ap, format);
    (void)vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    mend_end(err->text, sizeof err->text);
    return code;
}

int error_code_of_errno(int errnum)
{
    switch (errnum) {
    case 0:
        return BF_OK;
    case EINVAL: case ENAMETOOLONG: case ENOTDIR: case EISDIR: case ELOOP: case EBADF:
        return BF_EINVAL;
    case ENOMEM:
        return BF_ENOMEM;
    case ENOENT: case ESRCH:
        return BF_ENOENT;
    case EEXIST: case ENOTEMPTY: case EADDRINUSE:
        return BF_EEXIST;
    case EAGAIN: case EMFILE: case ENFILE: case EBUSY: case ETXTBSY:
        return BF_EAGAIN;
    case ENOSPC: case EDQUOT: case EFBIG:
        return BF_ENOSPC;
    case EACCES: case EPERM: case EROFS:
        return BF_EACCES;
    case ETIMEDOUT:
        return BF_ETIMEDOUT;
    case ECANCELED:
        return BF_ECANCELED;
    case ECONNREFUSED: case ECONNRESET: case ECONNABORTED: case EPIPE: case EHOSTUNREACH: case ENETUNREACH: case ENETDOWN:
    case ENOTCONN: case EADDRNOTAVAIL:
        return BF_ENET;
    case EMSGSIZE: case E2BIG: case EOVERFLOW:
        return BF_ETOOBIG;
    case ENOSYS: case EOPNOTSUPP: case EAFNOSUPPORT:
        return BF_ENOTSUP;
    default:
        return BF_EIO;
    }
}

/* What to do about it, where errno's words do not say. */
static const char *advice(int errnum)
{
    switch (errnum) {
    case ENOSPC: case EDQUOT:
        return "; free some space there";
    case EMFILE: case ENFILE:
        return "; raise the limit of open files (ulimit -n, LimitNOFILE=)";
    case EROFS:
        return "; the file system is mounted read-only";
    default:
        return "";
    }
}

int error_errno(struct error *err, int errnum, const char *format, ...)
{
    char words[128];
    va_list ap;
    int used;

    if (err == NULL)
        return error_code_of_errno(errnum);
    err->code = error_code_of_errno(errnum);
    va_start(ap, format);
    used = vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    if (used >= 0 && (size_t)used < sizeof err->text)
        (void)snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s%s",
                       strerror_r(errnum, words, sizeof words), advice(errnum));
    mend_end(err->text, sizeof err->text);
    return err->code;
}

int error_prefix(struct error *err, const char *format, ...)
{
    char before[ERROR_TEXT_SIZE / 2];
    va_list ap;
    size_t len;

    if (err == NULL)
        return BF_EINVAL;
    va_start(ap, format);
    (void)vsnprintf(before, sizeof before - 2, format, ap);
    va_end(ap);
    len = strlen(before);
    before[len++] = ':';
    before[len++] = ' ';
    memmove(err->text + len, err->text, sizeof err->text - len);
    memcpy(err->text, before, len);
    mend_end(err->text, sizeof err->text);
    return err->code;
}

const char *error_name(int code)
{
    static const char *const names[] = { "ok", "not well formed", "out of memory", "not found", "there already", "not now",
        "input/output error", "no space", "not allowed", "timed out", "canceled", "network failure", "nonsense answer",
        "too large", "not supported", "stopping" };

    if (code > 0 || -code >= (int)(sizeof names / sizeof *names))
        return "unknown error";
    return names[-code];
}
