/* sim: runs seeds of the simulated world. `sim --seeds 1000` for many, `sim --seed N` repeats one, loudly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/text.h"
#include "sim.h"

#define FIRINGS 60
#define STORM_MS (10 * 60 * 1000)         /* how long things go wrong */
#define SETTLE_MS (6 * 60 * 60 * 1000)    /* and how long they may take to come right */

/* A crash drops the engine in mid-flight and what it had on its way, as a process that dies does: no leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void tell(const struct sim *s, const struct sim_event *ev)
{
    static const char *const names[] = { "fire", "flush", "start", "find", "follow", "process ends", "collect", "wake", "line",
        "cancel", "repeated report" };

    printf("%10lld ms  life %u  %-15s %s\n", (long long)s->mono_ms, s->life, names[ev->kind], ev->run_id);
}

static void step(struct sim *s)
{
    struct heap_node *node = heap_first(&s->events);
    struct sim_event *ev = HEAP_ENTRY(node, struct sim_event, node);

    heap_remove(&s->events, node);
    if (node->due_ms > s->mono_ms) {
        s->wall_ms += node->due_ms - s->mono_ms;
        s->mono_ms = node->due_ms;
    }
    if (s->loud)
        tell(s, ev);
    sim_act(s, ev);
    free(ev);
    s->steps++;
    if (s->calm)
        return;
    if (sim_chance(s, 1))
        sim_crash(s);
    if (sim_dice(s) % 400 == 0)
        s->disk_full = !s->disk_full;
    if (sim_dice(s) % 500 == 0)
        s->wall_ms += sim_between(s, -7200000, 7200000);   /* somebody sets the clock */
}

static bool run_seed(uint64_t seed, bool loud)
{
    struct sim s = { .dice = seed * 2 + 1, .seed = seed, .mono_ms = 1000, .wall_ms = INT64_C(1767225600000), .loud = loud };

    heap_init(&s.events);
    s.pending_tail = &s.pending;
    sim_boot(&s);
    for (unsigned i = 0; i < FIRINGS; i++)
        sim_later(&s, sim_between(&s, 0, STORM_MS), EV_FIRE, NULL);
    while (heap_first(&s.events) != NULL && s.fault[0] == '\0') {
        if (!s.calm && heap_first(&s.events)->due_ms > STORM_MS) {
            s.calm = true;
            s.disk_full = false;
        }
        if (heap_first(&s.events)->due_ms > STORM_MS + SETTLE_MS) {
            sim_fail(&s, "something still moves six hours after all was calm");
            break;
        }
        step(&s);
    }
    if (s.fault[0] == '\0')
        check_all(&s);
    if (s.fault[0] != '\0')
        printf("seed %llu: %s (life %u, %llu steps)\n", (unsigned long long)seed, s.fault, s.life, (unsigned long long)s.steps);
    else if (loud)
        printf("seed %llu: %u firings, %u crashes, %llu steps, all promises kept\n", (unsigned long long)seed, s.fired,
               s.crashes, (unsigned long long)s.steps);
    sim_free(&s);
    return s.fault[0] == '\0';
}

int main(int argc, char **argv)
{
    int64_t count = 1000, first = 1;
    unsigned failed = 0;

    if (argc == 3 && strcmp(argv[1], "--seed") == 0 && text_int(argv[2], 0, INT64_MAX, &first) == 0)
        return run_seed((uint64_t)first, true) ? 0 : 1;
    if (!(argc == 1 || (argc == 3 && strcmp(argv[1], "--seeds") == 0 && text_int(argv[2], 1, INT64_MAX, &count) == 0))) {
        fprintf(stderr, "usage: sim [--seed N | --seeds COUNT]\n");
        return 2;
    }
    for (int64_t i = 0; i < count; i++)
        failed += !run_seed((uint64_t)(first + i), false);
    printf("%lld passed, %u failed\n", (long long)count - failed, failed);
    return failed > 0;
}
