#include "belfry/core/flows.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct entry {
    char run_id[ID_SIZE];
    struct flow *flow;
    UT_hash_handle hh;
};

struct flows {
    struct flows_world world;
    struct entry *entries;
};

int flows_new(const struct flows_world *world, struct flows **flows)
{
    struct flows *f = calloc(1, sizeof *f);

    if (f == NULL)
        return BF_ENOMEM;
    f->world = *world;
    *flows = f;
    return 0;
}

static void drop(struct flows *f, struct entry *e)
{
    HASH_DEL(f->entries, e);
    flow_free(e->flow);
    free(e);
}

void flows_free(struct flows *f)
{
    struct entry *e, *next;

    if (f == NULL)
        return;
    HASH_ITER(hh, f->entries, e, next)
        drop(f, e);
    free(f);
}

const struct flows_world *flows_world(const struct flows *f)
{
    return &f->world;
}

static struct entry *entry_find(const struct flows *f, const char *run_id)
{
    struct entry *e;

    HASH_FIND_STR(f->entries, run_id, e);
    return e;
}

struct flow *flows_find(const struct flows *f, const char *run_id)
{
    const struct entry *e = entry_find(f, run_id);

    return e != NULL ? e->flow : NULL;
}

void flows_add(struct flows *f, struct flow *flow)
{
    struct entry *e = calloc(1, sizeof *e);

    if (e == NULL)
        abort();
    memcpy(e->run_id, flow_run_id(flow), sizeof e->run_id);
    e->flow = flow;
    HASH_ADD_STR(f->entries, run_id, e);
}

void flows_drop(struct flows *f, const char *run_id)
{
    struct entry *e = entry_find(f, run_id);

    if (e != NULL)
        drop(f, e);
}

/* --- writing down ------------------------------------------------------------------------------------------------- */

struct saving {
    struct flow_changes changes;
    struct record *all;
    struct commit commit;
    void (*done)(void *data, int status);
    void *data;
};

static void saved(struct commit *commit, int status)
{
    struct saving *s = commit->data;

    if (s->done != NULL)
        s->done(s->data, status);
    flow_changes_close(&s->changes);
    free(s->all);
    free(s);
}

void flows_save(struct flows *f, struct flow *flow, const struct record *with, size_t count,
                void (*done)(void *data, int status), void *data)
{
    struct saving *s = calloc(1, sizeof *s);

    if (s == NULL || flow_take_changes(flow, &s->changes) != 0 ||
        (s->all = calloc(s->changes.count + count + 1, sizeof *s->all)) == NULL)
        abort();
    if (s->changes.count > 0)
        memcpy(s->all, s->changes.records, s->changes.count * sizeof *s->all);
    for (size_t i = 0; i < count; i++)
        s->all[s->changes.count + i] = with[i];
    s->done = done;
    s->data = data;
    s->commit = (struct commit) { .records = s->all, .count = s->changes.count + count, .must = true, .cb = saved, .data = s };
    f->world.commit(f->world.data, &s->commit);
}
