/* The promises of SPEC §8, checked on what really happened. */
#include <stdlib.h>

#include "sim.h"

static void check_acknowledged(struct sim *s, const struct firing *f)
{
    const struct stored_run *run = store_find(s, f->run_id);

    if (f->acknowledged && run == NULL)
        sim_fail(s, "promise 1: the firing %s was acknowledged and is not on disk", f->run_id);
    else if (run != NULL && !run_state_is_end(run->record.state))
        sim_fail(s, "promise 1: the run %s never ended: it is %s", f->run_id, run_state_name(run->record.state));
    if (f->starts > 1 + f->failed_ends)
        sim_fail(s, "promise 2: the firing %s started %u process runs", f->run_id, f->starts);
    if (f->active > 0)
        sim_fail(s, "promise 1: a process run of %s goes on, though everything has settled", f->run_id);
    if (f->starts > 0 && run == NULL)
        sim_fail(s, "promise 2: the firing %s started a process run and is not on disk", f->run_id);
    if (run != NULL && run->record.state == RUN_COMPLETED && f->starts == 0)
        sim_fail(s, "the run %s completed and never started", f->run_id);
}

static void check_results(struct sim *s, const struct stored_run *run)
{
    const struct firing *f = sim_firing(s, run->id);
    bool has_results = run->record.state != RUN_SKIPPED;

    if (f->folders != has_results)
        sim_fail(s, "promise 3: the run %s is %s and has %u result folders", run->id, run_state_name(run->record.state), f->folders);
    if (has_results && f->folder_outcome != run->record.state)
        sim_fail(s, "promise 3: the folder of %s lies about its end", run->id);
    for (unsigned t = 0; t < SIM_TARGETS; t++) {
        unsigned all = f->lines[t] + f->lines_again[t];

        if (!has_results ? all > 0 : f->lines[t] > 1 || all < 1)
            sim_fail(s, "promise 4: the run %s (%s) has %u lines and %u marked as repeated at target %u", run->id,
                     run_state_name(run->record.state), f->lines[t], f->lines_again[t], t);
    }
}

void check_all(struct sim *s)
{
    struct stored_run *run;
    struct firing *f;

    for (f = s->firings; f != NULL; f = f->hh.next)
        check_acknowledged(s, f);
    for (run = s->stored; run != NULL; run = run->hh.next)
        check_results(s, run);
}

void sim_free(struct sim *s)
{
    struct stored_claim *claim, *next_claim;
    struct stored_run *run, *next_run;
    struct firing *f, *next_firing;
    struct heap_node *node;

    engine_free(s->engine);
    HASH_ITER(hh, s->firings, f, next_firing) {
        while (f->processes != NULL) {
            struct process_run *p = f->processes;

            f->processes = p->next;
            free(p);
        }
        HASH_DEL(s->firings, f);
        free(f);
    }
    HASH_ITER(hh, s->stored, run, next_run) {
        HASH_DEL(s->stored, run);
        run_record_close(&run->record);
        free(run);
    }
    HASH_ITER(hh, s->claims, claim, next_claim) {
        HASH_DEL(s->claims, claim);
        free(claim);
    }
    while ((node = heap_first(&s->events)) != NULL) {
        heap_remove(&s->events, node);
        free(HEAP_ENTRY(node, struct sim_event, node));
    }
    heap_close(&s->events);
}
