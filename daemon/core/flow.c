/* A flow: its items and step runs, and what of them has to be written down. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/error.h"
#include "flow_internal.h"

int flow_new(const char *run_id, const char *workspace_id, const char *process, const struct flow_step *steps, size_t count,
             struct flow **flow)
{
    struct flow *f = calloc(1, sizeof *f);

    if (f == NULL || (f->places = calloc(count + 1, sizeof *f->places)) == NULL) {
        free(f);
        return BF_ENOMEM;
    }
    f->count = count;
    STAILQ_INIT(&f->changed_items);
    STAILQ_INIT(&f->changed_runs);
    (void)snprintf(f->run_id, sizeof f->run_id, "%s", run_id);
    f->workspace = strdup(workspace_id);
    f->process = strdup(process);
    for (size_t i = 0; i <= count; i++) {
        struct flow_place *p = &f->places[i];

        TAILQ_INIT(&p->waiting);
        if (i == count)
            break;
        p->name = strdup(steps[i].name);
        p->max_parallel = steps[i].max_parallel > 0 ? steps[i].max_parallel : 1;
        p->each = steps[i].each;
        p->list = steps[i].list;
        if (p->name == NULL) {
            flow_free(f);
            return BF_ENOMEM;
        }
    }
    if (f->workspace == NULL || f->process == NULL) {
        flow_free(f);
        return BF_ENOMEM;
    }
    *flow = f;
    return 0;
}

static void unlink_output(struct flow_item *item)
{
    LIST_REMOVE(item, next_output);
    item->output = false;
}

static void free_item(struct flow *f, struct flow_item *item)
{
    while (!LIST_EMPTY(&item->outputs))
        unlink_output(LIST_FIRST(&item->outputs));
    if (item->output)
        unlink_output(item);
    HASH_DEL(f->items, item);
    item_record_close(&item->r);
    free(item);
}

static void free_run(struct flow *f, struct flow_run *run)
{
    HASH_DEL(f->runs, run);
    step_record_close(&run->r);
    free(run);
}

void flow_free(struct flow *f)
{
    struct flow_item *item, *next_item;
    struct flow_run *run, *next_run;

    if (f == NULL)
        return;
    HASH_ITER(hh, f->items, item, next_item)
        free_item(f, item);
    HASH_ITER(hh, f->runs, run, next_run)
        free_run(f, run);
    for (size_t i = 0; i < f->count; i++)
        free(f->places[i].name);
    free(f->places);
    free(f->workspace);
    free(f->process);
    free(f);
}

const char *flow_run_id(const struct flow *f)
{
    return f->run_id;
}

size_t flow_steps(const struct flow *f)
{
    return f->count;
}

const char *flow_step_name(const struct flow *f, size_t step)
{
    return step < f->count ? f->places[step].name : "output";
}

struct flow_item *flow_item_find(const struct flow *f, const char *id)
{
    struct flow_item *item;

    HASH_FIND_STR(f->items, id, item);
    return item != NULL && !item->dropped ? item : NULL;
}

struct flow_run *flow_run_find(const struct flow *f, const char *id)
{
    struct flow_run *run;

    HASH_FIND_STR(f->runs, id, run);
    return run != NULL && !run->dropped ? run : NULL;
}

void flow_item_link(struct flow *f, struct flow_item *item)
{
    struct flow_item *parent = item->r.parent[0] != '\0' ? flow_item_find(f, item->r.parent) : NULL;

    item->output = parent != NULL;
    if (parent != NULL)
        LIST_INSERT_HEAD(&parent->outputs, item, next_output);
}

void flow_item_changed(struct flow *f, struct flow_item *item)
{
    if (!item->listed)
        STAILQ_INSERT_TAIL(&f->changed_items, item, next_changed);
    item->listed = true;
}

void flow_run_changed(struct flow *f, struct flow_run *run)
{
    if (!run->listed)
        STAILQ_INSERT_TAIL(&f->changed_runs, run, next_changed);
    run->listed = true;
}

/* --- where an item is --------------------------------------------------------------------------------------------- */

static struct flow_items *queue_of(struct flow *f, const struct flow_item *item)
{
    struct flow_run *run;

    if (item->r.state == ITEM_NEW)
        return &f->places[item->r.step].waiting;
    run = item->r.state == ITEM_IN_PROGRESS ? flow_run_find(f, item->r.step_run) : NULL;
    return run != NULL ? &run->held : NULL;
}

static void count_item(struct flow *f, const struct flow_item *item, bool in)
{
    struct flow_place *p = &f->places[item->r.step];

    if (item->r.state == ITEM_IN_PROGRESS)
        p->in_progress += in ? 1 : (size_t)-1;
    else if (item->r.state == ITEM_FAILED)
        p->failed += in ? 1 : (size_t)-1;
}

void flow_unplace(struct flow *f, struct flow_item *item)
{
    struct flow_items *queue = item->queued ? queue_of(f, item) : NULL;

    if (queue != NULL)
        TAILQ_REMOVE(queue, item, next);
    item->queued = false;
    count_item(f, item, false);
}

void flow_place(struct flow *f, struct flow_item *item)
{
    struct flow_items *queue = queue_of(f, item);

    if (queue != NULL) {
        TAILQ_INSERT_TAIL(queue, item, next);
        item->queued = true;
    }
    count_item(f, item, true);
}

/* --- filling it --------------------------------------------------------------------------------------------------- */

struct flow_item *flow_item_new(struct flow *f, const char *id, int step, int64_t now_ms)
{
    struct flow_item *item = calloc(1, sizeof *item);

    if (item == NULL)
        return NULL;
    (void)snprintf(item->r.id, sizeof item->r.id, "%s", id);
    memcpy(item->r.run_id, f->run_id, sizeof item->r.run_id);
    item->r.workspace = strdup(f->workspace);
    item->r.process = strdup(f->process);
    item->r.created_ms = item->r.updated_ms = now_ms;
    item->r.step = step;
    item->r.state = ITEM_NEW;
    item->r.told = true;
    if (item->r.workspace == NULL || item->r.process == NULL) {
        item_record_close(&item->r);
        free(item);
        return NULL;
    }
    HASH_ADD_STR(f->items, r.id, item);
    return item;
}

int flow_put_item(struct flow *f, const struct item_record *record)
{
    struct flow_item *item;
    struct flow_run *run;

    if (record->step < 0 || (size_t)record->step > f->count || flow_item_find(f, record->id) != NULL)
        return 0;   /* none of this flow's */
    item = calloc(1, sizeof *item);
    if (item == NULL || item_record_copy(&item->r, record) != 0) {
        free(item);
        return BF_ENOMEM;
    }
    if (record->told) {
        free(item->r.payload);
        item->r.payload = NULL;
    }
    HASH_ADD_STR(f->items, r.id, item);
    flow_item_link(f, item);
    flow_place(f, item);
    run = !record->told ? flow_run_find(f, record->step_run) : NULL;
    if (run != NULL)
        run->untold = item;
    return 0;
}

int flow_put_step_run(struct flow *f, const struct step_record *record)
{
    struct flow_run *run;

    if (record->step < 0 || (size_t)record->step >= f->count || flow_run_find(f, record->id) != NULL)
        return 0;
    run = calloc(1, sizeof *run);
    if (run == NULL || step_record_copy(&run->r, record) != 0) {
        free(run);
        return BF_ENOMEM;
    }
    TAILQ_INIT(&run->held);
    HASH_ADD_STR(f->runs, r.id, run);
    if (record->state == STEP_NEW || record->state == STEP_RUNNING) {
        f->active++;
        f->places[record->step].active++;
    }
    return 0;
}

int flow_add_input(struct flow *f, int64_t now_ms, const char *id, const char *payload, bool made)
{
    struct flow_item *item = flow_item_new(f, id, 0, now_ms);

    if (item == NULL || (!made && (item->r.payload = strdup(payload)) == NULL))
        return BF_ENOMEM;
    item->added = !made;
    flow_item_changed(f, item);
    flow_place(f, item);
    return 0;
}

/* --- looking at it ------------------------------------------------------------------------------------------------ */

const struct step_record *flow_step_run(const struct flow *f, const char *step_run_id)
{
    const struct flow_run *run = flow_run_find(f, step_run_id);

    return run != NULL ? &run->r : NULL;
}

/* `each` may change the flow, and what it drops is freed with the next save: one is found anew after the other. */
void flow_each_step_run(const struct flow *f, void (*each)(void *data, const struct step_record *run), void *data)
{
    char (*ids)[ID_SIZE] = calloc(HASH_COUNT(f->runs) + 1, sizeof *ids);
    const struct flow_run *run;
    size_t count = 0;

    if (ids == NULL)
        abort();
    for (run = f->runs; run != NULL; run = run->hh.next)
        memcpy(ids[count++], run->r.id, sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        run = flow_run_find(f, ids[i]);
        if (run != NULL)
            each(data, &run->r);
    }
    free(ids);
}

void flow_each_held(const struct flow *f, const char *step_run_id, void (*each)(void *data, const struct item_record *item), void *data)
{
    const struct flow_run *run = flow_run_find(f, step_run_id);
    const struct flow_item *item;

    if (run == NULL)
        return;
    TAILQ_FOREACH(item, &run->held, next)
        each(data, &item->r);
}

size_t flow_active(const struct flow *f)
{
    return f->active;
}

void flow_set_attempt(struct flow *f, unsigned attempt)
{
    f->attempt = attempt;
}

const struct item_record *flow_given(const struct flow *f, const char *step_run_id)
{
    const struct flow_run *run = flow_run_find(f, step_run_id);

    for (const struct flow_item *item = run != NULL ? f->items : NULL; item != NULL; item = item->hh.next) {
        if (!item->dropped && item->r.step == run->r.step && strcmp(item->r.step_run, step_run_id) == 0)
            return &item->r;
    }
    return NULL;
}

const struct item_record *flow_item_of(const struct flow *f, const char *step_run_id, const char *item_id)
{
    const struct flow_item *item = flow_item_find(f, item_id);

    return item != NULL && strcmp(item->r.step_run, step_run_id) == 0 ? &item->r : NULL;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

static int take_item(struct flow *f, struct flow_changes *c, struct flow_item *item)
{
    struct record *record = &c->records[c->count];

    if (item_record_copy(&c->items[c->item_count], &item->r) != 0)
        return BF_ENOMEM;
    *record = (struct record) { .kind = item->dropped ? RECORD_ITEM_DROP : item->added ? RECORD_ITEM_ADD : RECORD_ITEM_MOVE,
        .item = &c->items[c->item_count++] };
    c->count++;
    item->added = false;
    if (item->r.told) {
        free(item->r.payload);
        item->r.payload = NULL;
    }
    if (item->dropped)
        free_item(f, item);
    return 0;
}

static int take_run(struct flow *f, struct flow_changes *c, struct flow_run *run)
{
    if (step_record_copy(&c->steps[c->step_count], &run->r) != 0)
        return BF_ENOMEM;
    c->records[c->count++] = (struct record) { .kind = run->dropped ? RECORD_STEP_RUN_DROP : RECORD_STEP_RUN,
        .step_run = &c->steps[c->step_count++] };
    if (run->dropped)
        free_run(f, run);
    return 0;
}

int flow_take_changes(struct flow *f, struct flow_changes *c)
{
    size_t items = 0, steps = 0;
    struct flow_item *item;
    struct flow_run *run;
    int status = 0;

    *c = (struct flow_changes) { 0 };
    STAILQ_FOREACH(item, &f->changed_items, next_changed)
        items++;
    STAILQ_FOREACH(run, &f->changed_runs, next_changed)
        steps++;
    if (items + steps == 0)
        return 0;
    c->records = calloc(items + steps, sizeof *c->records);
    c->items = calloc(items + 1, sizeof *c->items);
    c->steps = calloc(steps + 1, sizeof *c->steps);
    if (c->records == NULL || c->items == NULL || c->steps == NULL)
        status = BF_ENOMEM;
    while (status == 0 && (item = STAILQ_FIRST(&f->changed_items)) != NULL) {
        STAILQ_REMOVE_HEAD(&f->changed_items, next_changed);
        item->listed = false;
        status = take_item(f, c, item);
    }
    while (status == 0 && (run = STAILQ_FIRST(&f->changed_runs)) != NULL) {
        STAILQ_REMOVE_HEAD(&f->changed_runs, next_changed);
        run->listed = false;
        status = take_run(f, c, run);
    }
    if (status != 0)
        flow_changes_close(c);
    return status;
}

void flow_changes_close(struct flow_changes *c)
{
    for (size_t i = 0; i < c->item_count; i++)
        item_record_close(&c->items[i]);
    for (size_t i = 0; i < c->step_count; i++)
        step_record_close(&c->steps[i]);
    free(c->items);
    free(c->steps);
    free(c->records);
    *c = (struct flow_changes) { 0 };
}
