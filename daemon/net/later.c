/* The next turn of the loop. */
#include "belfry/net/later.h"

#include <stdlib.h>

void later_init(struct later *later, uv_loop_t *loop)
{
    *later = (struct later) { 0 };
    (void)uv_timer_init(loop, &later->timer);
    later->timer.data = later;
}

static void run_all(struct later *later)
{
    struct later_job *jobs = later->jobs;
    size_t count = later->count;

    /* Jobs given meanwhile are the next turn's. */
    later->jobs = NULL;
    later->count = later->cap = 0;
    for (size_t i = 0; i < count; i++)
        jobs[i].call(jobs[i].data);
    free(jobs);
}

static void on_timer(uv_timer_t *timer)
{
    run_all(timer->data);
}

void later_do(struct later *later, void (*call)(void *data), void *data)
{
    if (later->count == later->cap) {
        later->cap = later->cap == 0 ? 8 : later->cap * 2;
        later->jobs = reallocarray(later->jobs, later->cap, sizeof *later->jobs);
        if (later->jobs == NULL)
            abort();
    }
    later->jobs[later->count++] = (struct later_job) { .call = call, .data = data };
    if (later->count == 1)
        (void)uv_timer_start(&later->timer, on_timer, 0, 0);
}

static void on_closed(uv_handle_t *handle)
{
    struct later *later = handle->data;

    later->closed(later->closed_data);
}

void later_close(struct later *later, void (*closed)(void *data), void *data)
{
    while (later->count > 0)
        run_all(later);
    later->closed = closed;
    later->closed_data = data;
    uv_close((uv_handle_t *)&later->timer, on_closed);
}
