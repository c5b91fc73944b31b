/*
 * The simulated world: a clock, a store that loses what was not synced, a backend that cuts, delays and repeats answers,
 * a disk that fills, a syslog that goes away; all from one seed. The engine in it is the real one.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "belfry/base/heap.h"
#include "belfry/core/engine.h"

#define SIM_LANES 4
#define SIM_TARGETS 2

/* A process run at the simulated backend: what really happened, whatever the engine was told. */
struct process_run {
    char run_id[ID_SIZE];
    unsigned attempt;
    enum run_state outcome;
    int64_t ends_ms;
    int64_t visible_ms;        /* a start without an answer shows in look-ups only then */
    bool over;
    struct process_run *next;
};

/* A run as the ledger of the outside knows it. */
struct firing {
    char run_id[ID_SIZE];
    char key[32];              /* claim */
    unsigned lane;
    bool acknowledged;
    bool canceled;
    unsigned starts;           /* process runs that really began */
    unsigned failed_ends;      /* of which ended otherwise than completed */
    unsigned active;           /* of which go on */
    unsigned folders;          /* times that a folder was published anew */
    enum run_state folder_outcome;
    unsigned lines[SIM_TARGETS];
    unsigned lines_again[SIM_TARGETS];
    struct process_run *processes;
    UT_hash_handle hh;
};

/* The store's durable side. */
struct stored_run {
    char id[ID_SIZE];
    struct run_record record;
    bool line_waits[SIM_TARGETS];
    UT_hash_handle hh;
};

struct stored_claim {
    char key[32];
    char run_id[ID_SIZE];
    UT_hash_handle hh;
};

enum sim_event_kind { EV_FIRE, EV_FLUSH, EV_START, EV_FIND, EV_FOLLOW, EV_PROCESS_ENDS, EV_COLLECT, EV_WAKE, EV_LINE,
    EV_CANCEL, EV_REPEAT_REPORT };

struct sim_event {
    struct heap_node node;
    enum sim_event_kind kind;
    unsigned life;             /* of the daemon that asked: news for a dead one is no news */
    char run_id[ID_SIZE];
    unsigned attempt;
    unsigned target;
};

struct sim {
    uint64_t dice;
    uint64_t seed;
    int64_t mono_ms, wall_ms;
    unsigned life;
    bool calm;                 /* no more firings, faults and crashes: everything has to settle */
    struct heap events;
    struct engine *engine;
    struct engine_world world;
    /* the store */
    struct commit *pending, **pending_tail;
    bool flushing;
    bool disk_full;
    struct stored_run *stored;
    struct stored_claim *claims;
    /* outside */
    struct firing *firings;
    unsigned fired;
    unsigned crashes;
    unsigned line_lives[SIM_TARGETS];
    uint64_t steps;
    char fault[512];           /* the first broken promise */
    bool loud;
};

/* --- world.c --- */
uint64_t sim_dice(struct sim *s);
bool sim_chance(struct sim *s, unsigned percent);
int64_t sim_between(struct sim *s, int64_t low, int64_t high);
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct sim_event *sim_later(struct sim *s, int64_t wait_ms, enum sim_event_kind kind, const char *run_id);
struct firing *sim_firing(struct sim *s, const char *run_id);
struct instant sim_now(const struct sim *s);
void sim_boot(struct sim *s);
void sim_crash(struct sim *s);
void sim_act(struct sim *s, struct sim_event *ev);

/* --- store.c --- */
void store_commit(void *data, struct commit *commit);
void store_flush(struct sim *s);
void store_lose(struct sim *s, bool keep_some);
struct stored_run *store_find(struct sim *s, const char *run_id);

/* --- check.c --- */
void check_all(struct sim *s);
void sim_free(struct sim *s);

#endif
