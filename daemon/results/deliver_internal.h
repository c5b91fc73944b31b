/*
 * Inside the room that tells of runs. See include/belfry/results/deliver.h.
 *
 *   deliver.c       who wants to be told; lines of runs become messages     deliver_send.c    messages go, and go again
 */
#ifndef BELFRY_RESULTS_DELIVER_INTERNAL_H
#define BELFRY_RESULTS_DELIVER_INTERNAL_H

#include <uthash.h>

#include "belfry/results/deliver.h"

struct hook {
    struct hook_record r;
    struct hook *next;
};

struct callback {
    struct callback_record r;
    UT_hash_handle hh;
};

struct sending {
    struct deliver_room *room;
    struct delivery_record r;
    struct http_request request;
    char signature[96];
    const char *headers[4];
    struct record record;
    struct commit commit;
    bool settled;                      /* and a read that may have missed it is still to come */
    struct sending *next;
};

struct deliver_room {
    uv_loop_t *loop;
    struct journal *journal;
    struct http_client *client;
    const struct vault *vault;
    struct deliver_host host;
    struct hook *hooks;
    struct callback *callbacks;        /* of runs that have not ended */
    struct journal_read lines, due;
    bool reading_lines, reading_due;
    bool more_lines, more_due;
    int64_t asked_ms, rest_until_ms;   /* when the read of what is due began; not before is there another. The loop's time */
    int64_t last_line[2];              /* of each kind, that was made messages of */
    int kind;                          /* whose lines are being read: 0 started, 1 ended */
    struct sending *sendings;
    size_t under_way;
    uv_timer_t timer;
    size_t troubled;
    char why[256];
    size_t open;                       /* reads, commits, requests, the timer */
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
};

/* One of what the room waits for has come. */
void deliver_let_go(struct deliver_room *room);
/* Sends what is due, as many at once as may be; what is not yet due says when to look again. */
void deliver_send_due(struct deliver_room *room);

#endif
