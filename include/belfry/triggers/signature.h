/*
 * Who sent it: the schemes of `verify`, one row each. Pure: headers and body in, verdict out; constant-time comparison.
 */
#ifndef BELFRY_TRIGGERS_SIGNATURE_H
#define BELFRY_TRIGGERS_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/config/config.h"

enum signature_verdict { SIGNATURE_GOOD, SIGNATURE_MISSING, SIGNATURE_MALFORMED, SIGNATURE_WRONG, SIGNATURE_STALE };

/* header(data, name) gives a request's header or NULL. On GOOD, `replay` (room for 200 bytes) is what makes the message
 * one of a kind: the sender's id of the delivery where that is signed (standard), else the signature of what was signed,
 * by the first secret whichever matched; for gitlab its delivery's id, if it sent one; "" when the scheme signs nothing
 * (bearer, basic, none): such a message may come twice. */
enum signature_verdict signature_check(const struct verify_config *verify, const struct secret *secrets, size_t count,
                                       const char *(*header)(void *data, const char *name), void *data, const char *body,
                                       size_t body_len, int64_t now_ms, int64_t tolerance_ms, char replay[200]);
const char *signature_verdict_text(enum signature_verdict verdict);

#endif
