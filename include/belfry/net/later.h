/*
 * Things to do in the next turn of the loop: how a call that must not call back from within keeps that promise.
 */
#ifndef BELFRY_NET_LATER_H
#define BELFRY_NET_LATER_H

#include <stddef.h>
#include <uv.h>

struct later_job {
    void (*call)(void *data);
    void *data;
};

struct later {
    uv_timer_t timer;
    struct later_job *jobs;
    size_t count, cap;
    void (*closed)(void *data);
    void *closed_data;
};

void later_init(struct later *later, uv_loop_t *loop);
/* In the order given. Aborts when out of memory: what was promised could not be kept. */
void later_do(struct later *later, void (*call)(void *data), void *data);
/* What was not done yet is done first; then closed(data). */
void later_close(struct later *later, void (*closed)(void *data), void *data);

#endif
