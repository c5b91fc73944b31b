/* The simulated store: commits become durable in order, after a while, and a crash loses those that had not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct stored_run *store_find(struct sim *s, const char *run_id)
{
    struct stored_run *run;

    HASH_FIND_STR(s->stored, run_id, run);
    return run;
}

static void put_run(struct sim *s, const struct run_record *record)
{
    struct stored_run *run = store_find(s, record->id);

    if (run == NULL) {
        run = calloc(1, sizeof *run);
        memcpy(run->id, record->id, sizeof run->id);
        HASH_ADD_STR(s->stored, id, run);
    } else {
        if (run->record.state != record->state && !run_move_allowed(run->record.state, record->state))
            sim_fail(s, "the record of %s moved from %s to %s", record->id, run_state_name(run->record.state),
                     run_state_name(record->state));
        run_record_close(&run->record);
    }
    if (run_record_copy(&run->record, record) != 0)
        abort();
}

static void apply(struct sim *s, const struct record *r)
{
    struct stored_claim *claim;
    struct stored_run *run;

    switch (r->kind) {
    case RECORD_RUN_ADD:
        if (store_find(s, r->run->id) != NULL)
            sim_fail(s, "the run %s was added twice", r->run->id);
        put_run(s, r->run);
        return;
    case RECORD_RUN_SET:
        if (store_find(s, r->run->id) == NULL)
            sim_fail(s, "the run %s was changed on disk before it was there", r->run->id);
        put_run(s, r->run);
        return;
    case RECORD_CLAIM:
        claim = calloc(1, sizeof *claim);
        snprintf(claim->key, sizeof claim->key, "%s", r->key);
        snprintf(claim->run_id, sizeof claim->run_id, "%s", r->run_id);
        HASH_ADD_STR(s->claims, key, claim);
        return;
    case RECORD_LINE_ADD:
    case RECORD_LINE_SENT:
        run = store_find(s, r->run_id);
        if (run == NULL)
            sim_fail(s, "a line for a run that is not in the store: %s", r->run_id);
        else
            run->line_waits[r->scope[0] - '0'] = r->kind == RECORD_LINE_ADD;
        return;
    default:
        return;
    }
}

/* A claim that lives refuses the whole commit. */
static const char *claimed(struct sim *s, const struct commit *commit)
{
    struct stored_claim *claim;

    for (size_t i = 0; i < commit->count; i++) {
        if (commit->records[i].kind != RECORD_CLAIM)
            continue;
        HASH_FIND_STR(s->claims, commit->records[i].key, claim);
        if (claim != NULL)
            return claim->run_id;
    }
    return NULL;
}

static void schedule_flush(struct sim *s)
{
    if (s->flushing || s->pending == NULL)
        return;
    s->flushing = true;
    sim_later(s, sim_between(s, 0, 6), EV_FLUSH, NULL);
}

void store_commit(void *data, struct commit *commit)
{
    struct sim *s = data;

    commit->next = NULL;
    *s->pending_tail = commit;
    s->pending_tail = &commit->next;
    schedule_flush(s);
}

static void take_all(struct sim *s, struct commit **list)
{
    *list = s->pending;
    s->pending = NULL;
    s->pending_tail = &s->pending;
}

static void judge(struct sim *s, struct commit *c)
{
    const char *earlier = claimed(s, c);

    if (earlier != NULL) {
        snprintf(c->existing, sizeof c->existing, "%s", earlier);
        c->status = BF_EEXIST;
        return;
    }
    c->status = 0;
    for (size_t i = 0; i < c->count; i++)
        apply(s, &c->records[i]);
}

/* One group commit. On a full disk `must` commits wait, in order, and the others are told. */
void store_flush(struct sim *s)
{
    struct commit *list, *c, *next, *waiting = NULL, **tail = &waiting;

    s->flushing = false;
    take_all(s, &list);
    for (c = list; c != NULL; c = c->next) {
        c->status = s->disk_full ? BF_ENOSPC : 0;
        if (!s->disk_full)
            judge(s, c);
    }
    for (c = list; c != NULL; c = next) {
        next = c->next;
        if (c->status == BF_ENOSPC && c->must) {
            c->next = NULL;
            *tail = c;
            tail = &c->next;
            continue;
        }
        c->cb(c, c->status);
    }
    if (waiting != NULL) {
        *tail = s->pending;
        if (s->pending == NULL)
            s->pending_tail = tail;
        s->pending = waiting;
    }
    if (s->pending != NULL && !s->flushing) {
        s->flushing = true;
        sim_later(s, s->disk_full ? 1000 : 1, EV_FLUSH, NULL);
    }
}

/* A crash: a first part of what waited may have become durable all the same, with nobody left to be told. The commits'
 * memory is the dead daemon's. */
void store_lose(struct sim *s, bool keep_some)
{
    struct commit *list, *c;

    take_all(s, &list);
    for (c = list; c != NULL && keep_some && !s->disk_full && sim_chance(s, 60); c = c->next)
        judge(s, c);
    s->flushing = false;
}
