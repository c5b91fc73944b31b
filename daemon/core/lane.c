/* Lanes: which queued run may start next. Overlap binds a process, max_runs the whole machine; who waits longest goes
 * first within a process, and processes take turns. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct lane *lane_find(struct engine *e, const char *process)
{
    struct lane *lane;

    HASH_FIND_STR(e->lanes, process, lane);
    return lane;
}

struct lane *lane_make(struct engine *e, const char *process, const char *workspace)
{
    struct lane *lane = engine_alloc(sizeof *lane);

    lane->process = engine_strdup(process);
    lane->workspace = engine_strdup(workspace);
    lane->set.process = lane->process;
    lane->set.workspace = lane->workspace;
    lane->set.queue_limit = SIZE_MAX;
    TAILQ_INIT(&lane->line);
    HASH_ADD_KEYPTR(hh, e->lanes, lane->process, strlen(lane->process), lane);
    return lane;
}

void lane_free(struct lane *lane)
{
    free(lane->process);
    free(lane->workspace);
    free(lane);
}

bool lane_free_for(const struct engine *e, const struct lane *lane, enum overlap policy)
{
    return !e->held && e->active < e->max_runs && lane->active < overlap_width(policy, lane->set.max_parallel);
}

/* Whether the lane stands in the engine's list is a matter of its own width alone: max_runs and holding are seen when
 * the list is walked. */
static void lane_update(struct engine *e, struct lane *lane)
{
    struct open_run *first = TAILQ_FIRST(&lane->line);
    bool ready = first != NULL && lane->active < overlap_width(first->rec.overlap, lane->set.max_parallel);

    if (ready == lane->in_ready)
        return;
    if (ready)
        TAILQ_INSERT_TAIL(&e->ready, lane, ready);
    else
        TAILQ_REMOVE(&e->ready, lane, ready);
    lane->in_ready = ready;
}

void lane_count(struct open_run *run)
{
    if (!run->counted)
        run->lane->waiting++;
    run->counted = true;
}

void lane_uncount(struct open_run *run)
{
    if (run->counted)
        run->lane->waiting--;
    run->counted = false;
}

void lane_line_up(struct engine *e, struct open_run *run)
{
    if (run->in_line)
        return;
    TAILQ_INSERT_TAIL(&run->lane->line, run, waiting);
    run->in_line = true;
    lane_update(e, run->lane);
}

void lane_leave_line(struct engine *e, struct open_run *run)
{
    if (!run->in_line)
        return;
    TAILQ_REMOVE(&run->lane->line, run, waiting);
    run->in_line = false;
    lane_update(e, run->lane);
}

void lane_take(struct engine *e, struct open_run *run)
{
    if (run->active)
        return;
    run->active = true;
    run->lane->active++;
    e->active++;
    lane_update(e, run->lane);
}

void lane_give_back(struct engine *e, struct open_run *run)
{
    if (!run->active)
        return;
    run->active = false;
    run->lane->active--;
    e->active--;
    lane_update(e, run->lane);
}

void lanes_pump(struct engine *e, struct instant now)
{
    struct lane *lane;

    (void)now;
    while (!e->held && e->active < e->max_runs && (lane = TAILQ_FIRST(&e->ready)) != NULL) {
        struct open_run *run = TAILQ_FIRST(&lane->line);

        /* To the end of the list: processes take turns at the machine's places. */
        TAILQ_REMOVE(&e->ready, lane, ready);
        TAILQ_INSERT_TAIL(&e->ready, lane, ready);
        lane_leave_line(e, run);
        lane_uncount(run);
        run_begin(e, run);
    }
}
