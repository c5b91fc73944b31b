/*
 * The gate's judgement: follows the bytes of one connection and says where requests begin and end, and what is wrong
 * with them. Pure: bytes in, verdict out; no sockets, no clock.
 */
#ifndef BELFRY_NET_HTTP_GATE_H
#define BELFRY_NET_HTTP_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_HEAD_MAX 16384    /* request line and headers */
#define GATE_TARGET_MAX 8192
#define GATE_HEADERS_MAX 100

enum gate_phase { GATE_HEAD, GATE_BODY, GATE_CHUNKS, GATE_REFUSED };

struct gate {
    enum gate_phase phase;
    int64_t body_left;          /* GATE_BODY; in GATE_CHUNKS of this chunk */
    int64_t body_seen;
    int64_t body_max;           /* of any request */
    int64_t body_limit;         /* of this one: body_max, or less */
    int chunk_step;
    uint64_t chunk_size;
    size_t chunk_line;
    unsigned status;            /* GATE_REFUSED: what to answer */
    const char *why;            /* and in words */
    uint64_t requests;          /* whole heads let through */
    bool expect_continue;
};

void gate_init(struct gate *gate, int64_t body_max);
/* The request whose body comes may have no more than that; the next one may again. */
void gate_limit_body(struct gate *gate, int64_t bytes);
/* Looks at the next bytes. Returns how many of them may be handed on now (a head is handed on only when it is whole and
 * sound; 0: wait for more bytes, or refused). `len` bytes are all that is buffered and not yet handed on. */
size_t gate_pass(struct gate *gate, const char *bytes, size_t len);

#endif
