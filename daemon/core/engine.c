/* The engine: birth, settings, and what can be seen of it. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

void *engine_alloc(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL)
        abort();
    return memory;
}

char *engine_strdup(const char *text)
{
    char *copy = NULL;

    if (text != NULL && (copy = strdup(text)) == NULL)
        abort();
    return copy;
}

void engine_set_text(char **field, const char *text)
{
    char *copy = engine_strdup(text);

    free(*field);
    *field = copy;
}

uint64_t engine_dice(struct engine *e)
{
    uint64_t dice;

    e->world.random(e->world.data, &dice, sizeof dice);
    return dice;
}

int engine_new(const struct engine_world *world, struct engine **engine)
{
    struct engine *e = calloc(1, sizeof *e);

    if (e == NULL)
        return BF_ENOMEM;
    e->world = *world;
    e->wake_at_ms = INT64_MAX;
    TAILQ_INIT(&e->ready);
    heap_init(&e->wakes);
    *engine = e;
    return 0;
}

static void forget_targets(struct engine *e)
{
    for (size_t i = 0; i < e->target_count; i++)
        free(e->targets[i]);
    free(e->targets);
    e->targets = NULL;
    e->target_count = 0;
}

void engine_free(struct engine *engine)
{
    struct open_run *run, *next_run;
    struct lane *lane, *next_lane;

    if (engine == NULL)
        return;
    HASH_ITER(hh, engine->runs, run, next_run)
        run_drop(engine, run);
    HASH_ITER(hh, engine->lanes, lane, next_lane) {
        HASH_DEL(engine->lanes, lane);
        lane_free(lane);
    }
    forget_targets(engine);
    heap_close(&engine->wakes);
    free(engine);
}

static void configure_lane(struct engine *e, const struct lane_settings *set)
{
    struct lane *lane = lane_find(e, set->process);

    if (lane == NULL)
        lane = lane_make(e, set->process, set->workspace);
    engine_set_text(&lane->workspace, set->workspace);
    lane->set = *set;
    lane->set.process = lane->process;
    lane->set.workspace = lane->workspace;
    lane->configured = true;
}

int engine_configure(struct engine *engine, size_t max_runs, const struct lane_settings *lanes, size_t count,
                     const char *const *line_targets, size_t target_count)
{
    struct lane *lane, *next;

    HASH_ITER(hh, engine->lanes, lane, next)
        lane->configured = false;
    for (size_t i = 0; i < count; i++)
        configure_lane(engine, &lanes[i]);
    HASH_ITER(hh, engine->lanes, lane, next) {
        if (lane->configured || lane->active > 0 || lane->waiting > 0)
            continue;
        HASH_DEL(engine->lanes, lane);
        lane_free(lane);
    }
    engine->max_runs = max_runs;
    forget_targets(engine);
    engine->targets = engine_alloc((target_count + 1) * sizeof *engine->targets);
    for (size_t i = 0; i < target_count; i++)
        engine->targets[i] = engine_strdup(line_targets[i]);
    engine->target_count = target_count;
    return 0;
}

void engine_stats(const struct engine *engine, struct engine_stats *stats)
{
    const struct open_run *run;

    *stats = engine->totals;
    for (run = engine->runs; run != NULL; run = run->hh.next) {
        stats->queued += run->rec.state == RUN_QUEUED;
        stats->starting += run->rec.state == RUN_STARTING;
        stats->running += run->rec.state == RUN_RUNNING;
        stats->collecting += run->rec.state == RUN_COLLECTING;
        stats->unconfirmed += run->rec.unconfirmed;
        stats->held_up += run->trouble != NULL;
    }
}

const struct run_record *engine_run(const struct engine *engine, const char *run_id)
{
    struct open_run *run = run_find(engine, run_id);

    return run != NULL ? &run->rec : NULL;
}

const char *engine_trouble(const struct engine *engine, const char *run_id)
{
    struct open_run *run = run_find(engine, run_id);

    return run != NULL ? run->trouble : NULL;
}

void engine_each_run(const struct engine *engine, void (*each)(void *data, const struct run_record *run), void *data)
{
    const struct open_run *run, *next;

    for (run = engine->runs; run != NULL; run = next) {
        next = run->hh.next;
        each(data, &run->rec);
    }
}
