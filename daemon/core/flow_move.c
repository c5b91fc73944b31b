/* How a flow's items and step runs move. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/error.h"
#include "flow_internal.h"

static void set_text(char **at, const char *text)
{
    free(*at);
    *at = text != NULL ? strdup(text) : NULL;   /* a message that there is no memory for is missed, nothing more */
}

/* An item's next place; its exception goes. */
static void move(struct flow *f, struct flow_item *item, int step, enum item_state state, int64_t now_ms)
{
    flow_unplace(f, item);
    item->r.step = step;
    item->r.state = state;
    item->r.updated_ms = now_ms;
    item->r.exception = EXCEPTION_NONE;
    set_text(&item->r.exception_code, NULL);
    set_text(&item->r.exception_message, NULL);
    flow_item_changed(f, item);
    flow_place(f, item);
}

static void fail(struct flow *f, struct flow_item *item, int64_t now_ms, enum exception_type type, const char *code, const char *message)
{
    move(f, item, item->r.step, ITEM_FAILED, now_ms);
    item->r.exception = type;
    set_text(&item->r.exception_code, code);
    set_text(&item->r.exception_message, message);
}

static void hold(struct flow *f, struct flow_item *item, const struct flow_run *run, int64_t now_ms)
{
    flow_told(f, item->r.id);   /* whoever made it has gone */
    flow_unplace(f, item);
    memcpy(item->r.step_run, run->r.id, sizeof item->r.step_run);
    item->r.state = ITEM_IN_PROGRESS;
    item->r.updated_ms = now_ms;
    flow_item_changed(f, item);
    flow_place(f, item);
}

/* --- what is next ------------------------------------------------------------------------------------------------- */

/* The step whose turn it is: the first that has something to do. As many as there are steps: none. */
static size_t turn(const struct flow *f)
{
    size_t step = 0;

    while (step < f->count && TAILQ_EMPTY(&f->places[step].waiting) && f->places[step].in_progress == 0 && f->places[step].active == 0)
        step++;
    return step;
}

static struct flow_run *make_run(struct flow *f, size_t step, const char *id, int64_t now_ms)
{
    struct flow_place *p = &f->places[step];
    struct flow_run *run = calloc(1, sizeof *run);

    if (run == NULL || (run->r.name = strdup(p->name)) == NULL)
        abort();
    (void)snprintf(run->r.id, sizeof run->r.id, "%s", id);
    memcpy(run->r.run_id, f->run_id, sizeof run->r.run_id);
    run->r.step = (int)step;
    run->r.created_ms = now_ms;
    run->r.attempt = f->attempt;
    TAILQ_INIT(&run->held);
    HASH_ADD_STR(f->runs, r.id, run);
    flow_run_changed(f, run);
    p->active++;
    f->active++;
    do
        hold(f, TAILQ_FIRST(&p->waiting), run, now_ms);
    while (p->list && !p->each && !TAILQ_EMPTY(&p->waiting));
    return run;
}

enum flow_do flow_next(struct flow *f, int64_t now_ms, const char *id, const struct step_record **run)
{
    size_t step = turn(f);
    const struct flow_place *p = &f->places[step];

    if (f->halted || step == f->count)
        return f->active > 0 ? FLOW_WAIT : FLOW_OVER;
    if (TAILQ_EMPTY(&p->waiting) || p->active >= p->max_parallel)
        return FLOW_WAIT;
    *run = &make_run(f, step, id, now_ms)->r;
    return FLOW_START;
}

void flow_halt(struct flow *f)
{
    f->halted = true;
}

void flow_close(struct flow *f)
{
    f->closed = true;
}

static size_t failed_items(const struct flow *f, const struct flow_item **first, size_t *all)
{
    size_t failed = 0;

    *first = NULL;
    *all = 0;
    for (const struct flow_item *item = f->items; item != NULL; item = item->hh.next) {
        if (item->dropped || (size_t)item->r.step >= f->count)
            continue;
        ++*all;
        if (item->r.state != ITEM_FAILED)
            continue;
        if (failed++ == 0)
            *first = item;
    }
    return failed;
}

static const struct flow_run *last_failed_run(const struct flow *f)
{
    const struct flow_run *last = NULL;

    for (const struct flow_run *run = f->runs; run != NULL; run = run->hh.next) {
        if (!run->dropped && run->r.state == STEP_FAILED && !run->r.forgiven)
            last = run;
    }
    return last;
}

void flow_outcome(const struct flow *f, struct run_end *end, char words[256])
{
    const struct flow_run *run = last_failed_run(f);
    const struct flow_item *first;
    size_t all, failed = failed_items(f, &first, &all);
    const char *why = first != NULL ? first->r.exception_message : NULL;

    *end = (struct run_end) { .outcome = RUN_COMPLETED, .backend_state = "completed" };
    if (run != NULL && run->r.has_exit_code) {
        end->has_exit_code = true;
        end->exit_code = run->r.exit_code;
    }
    if (failed > 0) {
        end->outcome = RUN_FAILED;
        end->backend_state = "unresolved";
        end->error_code = "unresolved";
        (void)snprintf(words, 256, "%zu of %zu work items failed; the first, in step %s%s%.150s", failed, all,
                       f->places[first->r.step].name, why != NULL ? ": " : "", why != NULL ? why : "");
        end->error_message = words;
    } else if (run != NULL) {
        end->outcome = RUN_FAILED;
        end->backend_state = "failed";
        end->error_code = run->r.error_code != NULL ? run->r.error_code : "failed";
        (void)snprintf(words, 256, "step %s failed after it had released its work items%s%.150s", run->r.name,
                       run->r.error_message != NULL ? ": " : "", run->r.error_message != NULL ? run->r.error_message : "");
        end->error_message = words;
    }
}

/* --- another attempt ---------------------------------------------------------------------------------------------- */

static void forget_item(struct flow *f, struct flow_item *item)
{
    struct flow_run *maker = flow_run_find(f, item->r.step_run);

    if (maker != NULL && maker->untold == item)
        maker->untold = NULL;
    flow_unplace(f, item);
    item->dropped = true;
    flow_item_changed(f, item);
}

/* It waits, or has failed because the run was stopped before anybody took it: what made it is all that it knows of. */
static bool is_untaken(const struct flow *f, const struct flow_item *item)
{
    const struct flow_run *last = flow_run_find(f, item->r.step_run);

    return item->r.state == ITEM_NEW || (item->r.state == ITEM_FAILED && last != NULL && last->r.step < item->r.step);
}

static void drop_outputs(struct flow *f, const struct flow_item *of)
{
    struct flow_item *item;

    LIST_FOREACH(item, &of->outputs, next_output) {
        if (!item->dropped && item->r.step > of->r.step && is_untaken(f, item))
            forget_item(f, item);
    }
}

/* The step runs that failed are told of no more: what they failed at is tried again, or was settled. */
void flow_forgive(struct flow *f)
{
    for (struct flow_run *run = f->runs; run != NULL; run = run->hh.next) {
        if (run->r.state == STEP_FAILED && !run->r.forgiven) {
            run->r.forgiven = true;
            flow_run_changed(f, run);
        }
    }
}

size_t flow_retry_failed(struct flow *f, int64_t now_ms)
{
    size_t count = 0;

    for (struct flow_item *item = f->items; item != NULL; item = item->hh.next)
        count += item->r.state == ITEM_FAILED && flow_wish(f, item->r.id, WISH_RETRY, now_ms);
    return count;
}

void flow_begin_attempt(struct flow *f, unsigned attempt, int64_t now_ms)
{
    f->attempt = attempt;
    f->closed = false;
    if (flow_waiting(f) == 0)
        (void)flow_retry_failed(f, now_ms);
    /* With nothing to be tried again what failed is not made good by another attempt: a person may have settled it (flow_forgive). */
    if (flow_waiting(f) > 0)
        flow_forgive(f);
    f->halted = false;
}

bool flow_may(const struct flow *f, const char *item_id, enum item_wish wish)
{
    const struct flow_item *item = !f->closed ? flow_item_find(f, item_id) : NULL;

    return item != NULL && (size_t)item->r.step < f->count && (item->r.state == ITEM_FAILED || (item->r.state == ITEM_NEW && wish != WISH_RETRY));
}

bool flow_wish(struct flow *f, const char *item_id, enum item_wish wish, int64_t now_ms)
{
    struct flow_item *item = flow_item_find(f, item_id);

    if (!flow_may(f, item_id, wish))
        return false;
    switch (wish) {
    case WISH_RETRY:
        drop_outputs(f, item);
        move(f, item, item->r.step, ITEM_NEW, now_ms);
        item->r.step_run[0] = '\0';   /* whoever failed at it has nothing to say to it any more */
        break;
    case WISH_DONE:
        move(f, item, item->r.step, ITEM_DONE, now_ms);
        break;
    case WISH_DROP:
        forget_item(f, item);
        break;
    }
    return true;
}

size_t flow_failed(const struct flow *f)
{
    size_t failed = 0;

    for (size_t i = 0; i < f->count; i++)
        failed += f->places[i].failed;
    return failed;
}

size_t flow_waiting(const struct flow *f)
{
    const struct flow_item *item;
    size_t waiting = 0;

    for (size_t i = 0; i < f->count; i++) {
        TAILQ_FOREACH(item, &f->places[i].waiting, next)
            waiting++;
    }
    return waiting;
}

void flow_settle_waiting(struct flow *f, int64_t now_ms, bool as_done, const char *code, const char *why)
{
    for (struct flow_item *item = f->items; item != NULL; item = item->hh.next) {
        if (item->dropped || item->r.state != ITEM_NEW || (size_t)item->r.step >= f->count)
            continue;
        if (as_done)
            move(f, item, item->r.step, ITEM_DONE, now_ms);
        else
            fail(f, item, now_ms, EXCEPTION_ORCHESTRATOR, code, why);
    }
}

/* --- step runs ---------------------------------------------------------------------------------------------------- */

void flow_began(struct flow *f, const char *step_run_id, int64_t started_ms)
{
    struct flow_run *run = flow_run_find(f, step_run_id);

    if (run == NULL || run->r.state != STEP_NEW)
        return;
    run->r.state = STEP_RUNNING;
    run->r.started_ms = started_ms;
    flow_run_changed(f, run);
}

static void retire(struct flow *f, const struct flow_run *run)
{
    f->active--;
    f->places[run->r.step].active--;
}

void flow_not_begun(struct flow *f, const char *step_run_id, int64_t now_ms)
{
    struct flow_run *run = flow_run_find(f, step_run_id);
    struct flow_item *item;

    if (run == NULL || run->r.state != STEP_NEW)
        return;
    while ((item = TAILQ_FIRST(&run->held)) != NULL) {
        move(f, item, item->r.step, ITEM_NEW, now_ms);
        item->r.step_run[0] = '\0';
    }
    retire(f, run);
    run->dropped = true;
    flow_run_changed(f, run);
}

static void let_go(struct flow *f, struct flow_run *run, const struct run_end *end)
{
    bool hands_on = !run->r.spoke && (size_t)run->r.step + 1 < f->count;
    struct flow_item *item;

    while ((item = TAILQ_FIRST(&run->held)) != NULL) {
        if (end->outcome != RUN_COMPLETED)
            fail(f, item, end->ended_ms, end->outcome == RUN_FAILED ? EXCEPTION_APPLICATION : EXCEPTION_ORCHESTRATOR, end->error_code,
                 end->error_message);
        else if (hands_on)
            move(f, item, item->r.step + 1, ITEM_NEW, end->ended_ms);
        else
            move(f, item, item->r.step, ITEM_DONE, end->ended_ms);
    }
}

void flow_ended(struct flow *f, const char *step_run_id, const struct run_end *end)
{
    struct flow_run *run = flow_run_find(f, step_run_id);

    if (run == NULL || run->r.state == STEP_COMPLETED || run->r.state == STEP_FAILED)
        return;
    let_go(f, run, end);
    retire(f, run);
    run->r.state = end->outcome == RUN_COMPLETED ? STEP_COMPLETED : STEP_FAILED;
    run->r.ended_ms = end->ended_ms;
    run->r.has_exit_code = end->has_exit_code;
    run->r.exit_code = end->exit_code;
    set_text(&run->r.error_code, end->error_code);
    set_text(&run->r.error_message, end->error_message);
    flow_run_changed(f, run);
}

void flow_spoke(struct flow *f, const char *step_run_id)
{
    struct flow_run *run = flow_run_find(f, step_run_id);

    if (run == NULL || run->r.spoke)
        return;
    run->r.spoke = true;
    flow_run_changed(f, run);
}

/* --- what a step run asks for ------------------------------------------------------------------------------------- */

static struct flow_run *living(struct flow *f, const char *step_run_id)
{
    struct flow_run *run = flow_run_find(f, step_run_id);

    return run != NULL && (run->r.state == STEP_NEW || run->r.state == STEP_RUNNING) ? run : NULL;
}

/* One that asks for something else knows of what it has made. */
static struct flow_run *asks(struct flow *f, const char *step_run_id)
{
    struct flow_run *run = living(f, step_run_id);

    if (run != NULL && run->untold != NULL)
        flow_told(f, run->untold->r.id);
    return run;
}

int flow_reserve(struct flow *f, const char *step_run_id, int64_t now_ms, const struct item_record **got)
{
    struct flow_run *run = asks(f, step_run_id);
    struct flow_place *p;
    struct flow_item *item;

    *got = NULL;
    if (run == NULL)
        return BF_ENOENT;
    flow_spoke(f, step_run_id);
    p = &f->places[run->r.step];
    item = TAILQ_FIRST(&run->held);
    /* Out of its turn (an earlier step was taken up again) it gets none: what waits there may still be in the making. */
    if (item == NULL && !p->each && !p->list && !f->halted && turn(f) == (size_t)run->r.step && (item = TAILQ_FIRST(&p->waiting)) != NULL)
        hold(f, item, run, now_ms);
    if (item != NULL)
        *got = &item->r;
    return 0;
}

int flow_release(struct flow *f, const char *step_run_id, const char *item_id, int64_t now_ms, enum item_state state,
                 enum exception_type type, const char *code, const char *message)
{
    struct flow_run *run = asks(f, step_run_id);
    struct flow_item *item = flow_item_find(f, item_id);

    if (run == NULL || item == NULL || strcmp(item->r.step_run, step_run_id) != 0 || item->r.step != run->r.step)
        return BF_ENOENT;
    flow_spoke(f, step_run_id);
    if (item->r.state != ITEM_IN_PROGRESS)
        return item->r.state == state ? 0 : BF_EEXIST;
    if (state == ITEM_DONE)
        move(f, item, item->r.step, ITEM_DONE, now_ms);
    else
        fail(f, item, now_ms, type, code, message);
    return 0;
}

bool flow_has_room(const struct flow *f, size_t outputs)
{
    size_t has = HASH_COUNT(f->items);

    return has < FLOW_ITEMS_MAX && outputs <= FLOW_ITEMS_MAX - has;
}

int flow_output(struct flow *f, const char *step_run_id, const char *parent, int64_t now_ms, const char *new_id, const char *payload,
                const struct item_record **made)
{
    struct flow_run *run = living(f, step_run_id);
    const struct flow_item *of = flow_item_find(f, parent);
    struct flow_item *item;

    *made = NULL;
    if (run == NULL || of == NULL || strcmp(of->r.step_run, step_run_id) != 0 || of->r.step != run->r.step)
        return BF_ENOENT;
    if (!flow_has_room(f, 1))
        return BF_ETOOBIG;
    flow_spoke(f, step_run_id);
    item = run->untold;
    if (item != NULL && strcmp(item->r.parent, parent) == 0 && strcmp(item->r.payload, payload) == 0) {
        *made = &item->r;
        return 0;
    }
    (void)asks(f, step_run_id);
    item = flow_item_new(f, new_id, run->r.step + 1, now_ms);
    if (item == NULL || (item->r.payload = strdup(payload)) == NULL)
        abort();
    memcpy(item->r.step_run, run->r.id, sizeof item->r.step_run);
    (void)snprintf(item->r.parent, sizeof item->r.parent, "%s", parent);
    flow_item_link(f, item);
    item->r.told = false;
    item->added = true;
    run->untold = item;
    flow_item_changed(f, item);
    flow_place(f, item);
    *made = &item->r;
    return 0;
}

void flow_told(struct flow *f, const char *item_id)
{
    struct flow_item *item = flow_item_find(f, item_id);
    struct flow_run *run = item != NULL ? flow_run_find(f, item->r.step_run) : NULL;

    if (item == NULL || item->r.told)
        return;
    item->r.told = true;
    flow_item_changed(f, item);
    if (run != NULL && run->untold == item)
        run->untold = NULL;
    if (!item->added) {
        free(item->r.payload);
        item->r.payload = NULL;
    }
}
