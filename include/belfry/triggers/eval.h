/*
 * jq programs over events, run by belfry-eval: one confined child (seccomp, no files, no network, bounded memory and
 * time), never in the daemon (SPEC §4). The child is started when it is first needed and again when it died; a request
 * that killed it, or took over a second, is that request's error and nobody else's.
 */
#ifndef BELFRY_TRIGGERS_EVAL_H
#define BELFRY_TRIGGERS_EVAL_H

#include <uv.h>

#include "belfry/base/error.h"
#include "belfry/base/json.h"

#define EVAL_TIME_MAX_MS 1000
#define EVAL_MEMORY_MAX (128 << 20)
#define EVAL_ANSWER_MAX (4 << 20)

struct evaluator;
struct evaluation;

/* status 0: `result` is the program's one result (a program that gives none or several: an array of them for `input`'s
 * sake is not made; it is BF_EINVAL with the reason). Called once, never before evaluator_run has returned. */
typedef void (*evaluation_cb)(struct evaluation *evaluation, int status);

/* Owned by the caller until the callback. */
struct evaluation {
    const char *program;
    const json_t *value;
    evaluation_cb cb;
    void *data;
    json_t *result;        /* a new reference, the caller's; NULL unless status is 0 */
    struct error error;
    void *pending;         /* the evaluator's */
};

int evaluator_new(uv_loop_t *loop, struct evaluator **evaluator, struct error *err);
void evaluator_run(struct evaluator *evaluator, struct evaluation *evaluation);
/* What is under way gets BF_ECANCELED; then closed(data). */
void evaluator_close(struct evaluator *evaluator, void (*closed)(void *data), void *data);

/* Compiles a program in a child of its own, waiting for it: 0, or BF_EINVAL with jq's words. Fits config_load's check;
 * `data` is a struct eval_checker (one child serves many programs) or NULL. */
struct eval_checker;
int eval_checker_new(struct eval_checker **checker, struct error *err);
int eval_check(void *data, const char *program, struct error *err);
void eval_checker_free(struct eval_checker *checker);

#endif
