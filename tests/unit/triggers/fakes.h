/*
 * A house for triggers under test: a journal in memory that answers on the loop, and a bell that admits what rings (or
 * not, when told so) and keeps what it saw. Both outlive the trigger, as the disk outlives the daemon.
 */
#ifndef BELFRY_TESTS_TRIGGERS_FAKES_H
#define BELFRY_TESTS_TRIGGERS_FAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "belfry/store/journal.h"
#include "belfry/core/firing.h"

struct fake_row {                 /* a cursor, a pause, a file or a claim */
    enum record_kind kind;
    char *scope, *key, *identity;
    char run_id[ID_SIZE];
    int64_t value;
};

struct fake_ring {
    char *name;
    json_t *event;
    char *skip_reason;
    char *program;
    int64_t due_ms;
    char id[ID_SIZE];
    int status;                   /* what it was answered */
};

struct journal {
    uv_loop_t *loop;
    uv_idle_t idle;
    struct fake_row *rows;
    size_t count;
    struct commit *first, *last;  /* taken, not answered */
    size_t commits;
    enum run_state run_state;     /* of every file's run */
};

struct fake_bell {
    uv_loop_t *loop;
    uv_idle_t idle;
    struct journal *journal;
    struct firing **waiting;
    size_t waiting_count;
    struct fake_ring *rings;      /* answered, in order */
    size_t count;
    int fail_with;                /* not 0: answers that, and writes nothing */
    size_t fail_times;            /* so many times */
    bool silent;                  /* answers nothing for now */
};

void fakes_open(uv_loop_t *loop, struct journal *journal, struct fake_bell *fake, struct bell *bell);
void fakes_close(uv_loop_t *loop, struct journal *journal, struct fake_bell *fake);
/* The row, or NULL. */
const struct fake_row *fake_find(const struct journal *journal, enum record_kind kind, const char *scope, const char *key);
/* Runs the loop until it is so; fails the test after a generous while. */
void run_until(uv_loop_t *loop, bool (*so)(void *data), void *data);
/* Runs the loop until nothing is left to do at once, a few times over. */
void run_idle(uv_loop_t *loop);
/* How many rings with status 0 were not skipped. */
size_t fake_fired(const struct fake_bell *fake);

#endif
