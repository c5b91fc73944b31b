/*
 * Inside the clock: what its parts share, and the hands by which it holds on to the world (real ones in clock.c, a test's
 * own in tests).
 */
#ifndef BELFRY_TRIGGERS_CLOCK_INTERNAL_H
#define BELFRY_TRIGGERS_CLOCK_INTERNAL_H

#include "belfry/base/heap.h"
#include "belfry/triggers/catchup.h"
#include "belfry/triggers/clock.h"
#include "notes.h"

struct clock_hands {
    void *data;
    int64_t (*wall_ms)(void *data);
    int (*open)(void *data);                              /* a descriptor that becomes readable, or -errno */
    int (*arm)(void *data, int fd, int64_t wall_ms);      /* INT64_MAX: never. 0 or -errno; -ECANCELED: the clock was set */
    int (*read)(void *data, int fd);                      /* the same; -EAGAIN: nothing */
};

struct clock_firing;

/* Ten thousand of them are normal: kept small. */
struct clock_schedule {
    struct heap_node node;                  /* due at next_ms with its jitter */
    const struct schedule_config *config;
    int64_t cursor_ms;
    int64_t next_ms;                        /* the due time that the node stands for */
    int64_t seen_ms;                        /* see catchup.h */
    struct clock_firing *firing;            /* under way: one at a time */
    const char *last_word;
    bool paused;
    bool held;                              /* its last firing could not be written down: waits for the retry timer */
    bool fresh;
};

struct clock_room {
    uv_loop_t *loop;
    struct journal *journal;
    struct bell bell;
    struct clock_hands hands;
    int fd;
    uv_poll_t poll;
    uv_timer_t retry;                       /* runs only while a schedule is held */
    unsigned tries;
    struct heap heap;
    int64_t armed_ms;                       /* what the descriptor stands at; INT64_MIN: unknown */
    struct config *config;
    struct clock_schedule *schedules;       /* as in config */
    size_t count;
    struct clock_memory *memory;            /* what the journal knew at the start, by name; later only words of persons */
    struct notes notes;                     /* cursors to be written; before clock_start they wait for it */
    bool configured;
    bool started;
    bool closing;
    size_t open;                            /* handles, firings and commits that a close waits for */
    void (*closed)(void *data);
    void *closed_data;
};

int clock_new_with(uv_loop_t *loop, struct journal *journal, const struct bell *bell, const struct clock_hands *hands,
                   struct clock_room **room, struct error *err);

/* clock_notes.c: commits of cursors. Each note is copied. */
int clock_note_cursor(struct clock_room *room, const char *name, int64_t value);
int clock_note_timing(struct clock_room *room, const char *name, uint64_t timing);
int clock_note_drop(struct clock_room *room, const char *name);
void clock_notes_write(struct clock_room *room);

/* clock_fire.c */
void clock_rule(const struct clock_schedule *s, struct catchup_rule *rule);
/* Puts a schedule where its cursor says (out of the heap while paused). */
int clock_place(struct clock_room *room, struct heap *heap, struct clock_schedule *s);
/* Deals with all that is due and sets the timer for the next. */
void clock_look(struct clock_room *room);
void clock_retry(uv_timer_t *timer);
/* A firing belongs to the schedule of a new configuration now (NULL: to none). */
void clock_firing_moved(struct clock_firing *firing, struct clock_schedule *s);
/* One thing less that a close waits for. */
void clock_let_go(struct clock_room *room);

#endif
