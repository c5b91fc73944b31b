/*
 * The clock: rings schedules at their due times. One timerfd on CLOCK_REALTIME for the earliest of all, with
 * TFD_TIMER_CANCEL_ON_SET, so that a clock that is set is noticed at once; nothing wakes while nothing is due.
 */
#ifndef BELFRY_TRIGGERS_CLOCK_H
#define BELFRY_TRIGGERS_CLOCK_H

#include <uv.h>

#include "belfry/store/journal.h"
#include "belfry/core/firing.h"

struct clock_room;

int clock_new(uv_loop_t *loop, struct journal *journal, const struct bell *bell, struct clock_room **room,
              struct error *err);
/* Takes the schedules of a configuration (held until the next call): a schedule keeps its cursor by its name. */
int clock_configure(struct clock_room *room, struct config *config, struct error *err);
/* Begins to ring: first what was missed, as `catchup` says. */
void clock_start(struct clock_room *room);
/* A person's word: paused or not. BF_ENOENT when there is no such schedule. */
int clock_pause(struct clock_room *room, const char *name, bool paused);
struct clock_view {
    const char *name;
    const char *process;
    bool paused;
    int64_t last_due_ms;   /* 0: never */
    int64_t next_due_ms;   /* INT64_MAX: never */
    const char *last_word; /* what became of the last firing */
};
void clock_each(const struct clock_room *room, void (*each)(void *data, const struct clock_view *view), void *data);
void clock_close(struct clock_room *room, void (*closed)(void *data), void *data);

#endif
