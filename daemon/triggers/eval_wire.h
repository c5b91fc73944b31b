/*
 * How the daemon and belfry-eval talk: frames over one stream socket, both ends on one machine and of one build, so the
 * numbers are in its byte order. A request is a header, the program, the value's JSON text; an answer is a header and a
 * text. Requests are answered in their order.
 */
#ifndef BELFRY_TRIGGERS_EVAL_WIRE_H
#define BELFRY_TRIGGERS_EVAL_WIRE_H

#include <stdint.h>

/* What a program and the value it is given may take together; the child has but EVAL_MEMORY_MAX to work with. */
#define EVAL_REQUEST_MAX (32u << 20)
/* Words of jq about a program or an event. */
#define EVAL_WORDS_MAX 2048u

enum eval_op { EVAL_COMPILE = 1, EVAL_RUN = 2 };

struct eval_request_head {
    uint32_t program_len;
    uint32_t value_len;
    uint32_t id;
    uint32_t op;           /* enum eval_op */
};

enum eval_status {
    EVAL_DONE,             /* the text is the result (run), or empty (compile) */
    EVAL_BAD_PROGRAM,      /* it does not compile: the text is jq's words */
    EVAL_FAILED,           /* it compiles and fails on this value: the text is the reason */
    EVAL_GAVE_NOTHING,
    EVAL_GAVE_SEVERAL,
    EVAL_HALTED,           /* halt, halt_error */
    EVAL_ANSWER_TOO_LONG,
    EVAL_STATUSES
};

struct eval_answer_head {
    uint32_t len;
    uint32_t id;
    uint32_t status;       /* enum eval_status */
};

/* How the child ends by itself. */
enum eval_exit {
    EVAL_EXIT_OVER = 0,        /* the daemon closed its end */
    EVAL_EXIT_PROTOCOL = 100,  /* a frame made no sense, or the socket failed */
    EVAL_EXIT_UNCONFINED = 101,/* it could not lock itself in */
    EVAL_EXIT_MEMORY = 102,    /* the request wanted more than EVAL_MEMORY_MAX */
    EVAL_EXIT_WORN = 103,      /* between two requests: too much memory is held, a fresh child does better */
};

#endif
