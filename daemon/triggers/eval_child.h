/*
 * A belfry-eval process and what is said to it: shared by the evaluator, which waits for nothing, and the checker, which
 * waits.
 */
#ifndef BELFRY_TRIGGERS_EVAL_CHILD_H
#define BELFRY_TRIGGERS_EVAL_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"
#include "belfry/base/json.h"
#include "eval_wire.h"

struct eval_child {
    pid_t pid;
    int pidfd;      /* readable once it has ended */
    int fd;         /* the daemon's end of the socket, blocking at birth */
};

/* How it ended: waitid's si_code and si_status. */
struct eval_end {
    int code;
    int status;
};

/* Starts $BELFRY_LIBEXEC/belfry-eval, or the installed one. */
int eval_child_spawn(struct eval_child *child, struct error *err);
void eval_child_kill(const struct eval_child *child);
/* Reaps one that has ended or was killed, waiting for that if need be, and closes its descriptors (fd too, when it is
 * not -1). *end says how it ended. */
void eval_child_reap(struct eval_child *child, struct eval_end *end);
/* Why it ended, for people: "used more than 128 MiB" … True when that is a request's doing; false when the child did not
 * work at all. */
bool eval_child_reason(const struct eval_end *end, struct error *err);

/* Appends a request's frame. BF_ETOOBIG or BF_ENOMEM. */
int eval_put_request(struct buf *out, uint32_t id, enum eval_op op, const char *program, const char *value,
                     struct error *err);
/* The size of the answer's frame that begins `bytes`, 0 while its head is not whole, or BF_EPROTO. It may be longer than
 * what is there so far. */
int64_t eval_answer_size(const char *bytes, size_t len);
/* Reads a whole frame: *id, and 0 with *result (when result is not NULL), or BF_EINVAL with the reason. */
int eval_get_answer(const char *frame, const char *program, uint32_t *id, json_t **result, struct error *err);
/* "jq program '…': reason" in *err. Returns code. */
int eval_blame(struct error *err, int code, const char *program, const char *reason, size_t len);

#endif
