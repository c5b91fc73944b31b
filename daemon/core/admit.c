/* Admission: every firing, whatever rang, comes in here. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct entry {
    struct commit commit;
    struct engine *engine;
    struct admission *admission;
    struct run_record record;
    bool replaces;
    struct record records[];
};

static void entry_free(struct entry *entry)
{
    run_record_close(&entry->record);
    free(entry);
}

static enum overlap policy_of(const struct admission *a)
{
    if (a->overlap != OVERLAP_UNSET)
        return a->overlap;
    return a->kind == TRIGGER_SCHEDULE ? OVERLAP_BUFFER_ONE : OVERLAP_BUFFER_ALL;
}

/* The firing is refused after all: it leaves no trace. */
static void withdraw(struct engine *e, const char *id, struct instant now)
{
    struct open_run *run = run_find(e, id);

    if (run == NULL)
        return;
    run_drop(e, run);
    lanes_pump(e, now);
}

/* What waits gives way to the new firing, and what is active is stopped. */
static void give_way(struct engine *e, const struct open_run *to, struct instant now)
{
    enum then stop = to->rec.overlap == OVERLAP_TERMINATE_OTHER ? THEN_STOP_AT_ONCE : THEN_STOP_GENTLY;
    static const char why[] = "a newer firing took its place";
    struct open_run *run, *next;

    HASH_ITER(hh, e->runs, run, next) {
        if (run->lane != to->lane || run == to || run->rec.state == RUN_COLLECTING || run->rec.stop_as != RUN_QUEUED ||
            strcmp(run->rec.id, to->rec.id) > 0)
            continue;
        run_stop(e, run, now, RUN_CANCELED, why, stop);
    }
}

/* The firing is on disk. */
static void proceed(struct engine *e, const struct entry *entry)
{
    const struct admission *a = entry->admission;
    struct open_run *run = run_find(e, entry->record.id);

    e->totals.admitted++;
    if (entry->record.state == RUN_SKIPPED) {
        e->totals.skipped++;
        e->world.ended(e->world.data, &entry->record);
        return;
    }
    run->on_disk = true;
    if (run_is_stopping(&run->rec)) {
        run_collect_stopped(e, run, e->now);
        return;
    }
    if (entry->replaces)
        give_way(e, run, e->now);
    if (run->rec.state == RUN_STARTING) {
        e->world.start(e->world.data, &run->rec, a->event, a->input);
        return;
    }
    lane_line_up(e, run);
    lanes_pump(e, e->now);
}

static void admitted(struct commit *commit, int status)
{
    struct entry *entry = (struct entry *)commit->data;
    struct admission *a = entry->admission;
    struct engine *e = entry->engine;

    if (status == 0) {
        memcpy(a->run_id, entry->record.id, sizeof a->run_id);
        a->state = entry->record.state;
        proceed(e, entry);
    } else {
        if (status == BF_EEXIST) {
            memcpy(a->run_id, commit->existing, sizeof a->run_id);
            e->totals.duplicates++;
        }
        withdraw(e, entry->record.id, e->now);
    }
    entry_free(entry);
    a->cb(a, status);
}

static void fill(struct run_record *r, const struct engine *e, const struct lane *lane, const struct admission *a,
                 struct instant now)
{
    uint8_t dice[10];

    if (a->id[0] != '\0') {
        memcpy(r->id, a->id, sizeof r->id);
    } else {
        e->world.random(e->world.data, dice, sizeof dice);
        id_make(now.wall_ms, dice, r->id);
    }
    r->process = engine_strdup(a->process);
    r->workspace = engine_strdup(lane->workspace);
    r->trigger_kind = a->kind;
    r->trigger_name = engine_strdup(a->trigger_name);
    r->overlap = policy_of(a);
    r->accepted_ms = now.wall_ms;
    r->due_ms = a->due_ms;
    r->outcome = RUN_QUEUED;
    r->stop_as = RUN_QUEUED;
}

static void skip(struct run_record *r, struct instant now, const char *code, const char *reason)
{
    r->state = RUN_SKIPPED;
    r->ended_ms = now.wall_ms;
    r->error_code = engine_strdup(code != NULL ? code : "skipped");
    r->reason = engine_strdup(reason);
}

static const char skip_overlap[] = "an earlier run of the process has not ended and the overlap policy keeps no further one";
static const char skip_full[] = "the process's queue is full (queue_limit)";

/* Decides the new run's first state; false when the firing is refused. */
static bool judge(struct engine *e, struct lane *lane, const struct admission *a, struct run_record *r, struct instant now,
                  bool *replaces)
{
    struct lane_load load = { .active = lane->active, .waiting = lane->waiting, .max_parallel = lane->set.max_parallel,
        .queue_limit = lane->set.queue_limit };

    *replaces = false;
    if (a->skip_reason != NULL) {
        skip(r, now, a->skip_code, a->skip_reason);
        return true;
    }
    switch (overlap_decide(r->overlap, &load)) {
    case VERDICT_SKIP_OVERLAP:
        skip(r, now, "overlap", skip_overlap);
        return true;
    case VERDICT_SKIP_FULL:
        if (a->refuse_when_full)
            return false;
        skip(r, now, "queue_full", skip_full);
        return true;
    case VERDICT_REPLACE:
        *replaces = true;
        break;
    case VERDICT_QUEUE:
        break;
    }
    /* A free lane: the intent to start is written with the firing itself, one commit for both. */
    r->state = lane->waiting == 0 && lane_free_for(e, lane, r->overlap) ? RUN_STARTING : RUN_QUEUED;
    r->attempt = r->state == RUN_STARTING ? 1 : 0;
    return true;
}

static void take_place(struct engine *e, struct lane *lane, const struct run_record *record)
{
    struct open_run *run = run_add(e, lane, record->id);

    if (run_record_copy(&run->rec, record) != 0)
        abort();
    if (record->state == RUN_STARTING)
        lane_take(e, run);
    else
        lane_count(run);
}

int engine_admit(struct engine *engine, struct instant now, struct admission *admission)
{
    struct lane *lane = lane_find(engine, admission->process);
    struct entry *entry;
    size_t n = 0;

    if (lane == NULL || !lane->configured)
        return BF_ENOENT;
    entry = calloc(1, sizeof *entry + (admission->with_count + 2) * sizeof *entry->records);
    if (entry == NULL)
        return BF_ENOMEM;
    entry->engine = engine;
    entry->admission = admission;
    engine->now = now;
    fill(&entry->record, engine, lane, admission, now);
    if (!judge(engine, lane, admission, &entry->record, now, &entry->replaces)) {
        entry_free(entry);
        return BF_EAGAIN;
    }
    if (entry->record.state != RUN_SKIPPED)
        take_place(engine, lane, &entry->record);

    if (admission->claim_key != NULL)
        entry->records[n++] = (struct record) { .kind = RECORD_CLAIM, .scope = admission->claim_scope,
            .key = admission->claim_key, .run_id = entry->record.id, .value = admission->claim_until_ms,
            .now_ms = now.wall_ms };
    entry->records[n++] = (struct record) { .kind = RECORD_RUN_ADD, .run = &entry->record, .event = admission->event,
        .input = admission->input };
    for (size_t i = 0; i < admission->with_count; i++) {
        entry->records[n] = admission->with[i];
        if (entry->records[n].run_id == NULL)
            entry->records[n].run_id = entry->record.id;
        n++;
    }
    entry->commit = (struct commit) { .records = entry->records, .count = n, .cb = admitted, .data = entry };
    engine->world.commit(engine->world.data, &entry->commit);
    return 0;
}
