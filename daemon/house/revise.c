/*
 * Second thoughts: a run that ended `unresolved` at a Control Room has failed, but a person may retry its work items there.
 * Such runs of the last week are looked at now and then; one that is completed after all gets a second revision of its
 * run.json. Its result line stays: the run failed when it ended.
 */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "house.h"

#define WEEK_MS (7 * 24 * 60 * 60 * INT64_C(1000))
#define LONGEST_MS (6 * 60 * 60 * INT64_C(1000))
#define POLLS_BEFORE_FIRST 10       /* the first look comes after so many of the workspace's poll_max; then twice that … */
#define REVISITS_MAX 1000           /* the newest; each look is a request */
#define READ_AT_ONCE 500

struct revisit {
    char run_id[ID_SIZE];
    struct house *house;
    struct heap_node due;
    int64_t wait_ms;
    struct journal_read read;
    struct run_record run;          /* while it is being looked at */
    struct commit commit;
    struct record record;
    bool busy;
    bool overtaken;                 /* it has ended anew meanwhile, which is noted by itself */
    struct revisit *next;
};

static void drop(struct revisit *r)
{
    struct revisit **at = &r->house->revisits;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    r->house->revisit_count--;
    heap_remove(&r->house->revisit_heap, &r->due);
    run_record_close(&r->run);
    free(r);
}

static void set_timer(struct house *h)
{
    struct heap_node *first = heap_first(&h->revisit_heap);
    int64_t wait_ms = first != NULL ? first->due_ms - time_mono_ms() : 0;

    if (first == NULL || h->stopping)
        (void)uv_timer_stop(&h->revisit);
    else
        (void)uv_timer_start(&h->revisit, revise_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

/* Not before its next turn. */
static void wait_again(struct revisit *r)
{
    r->busy = false;
    run_record_close(&r->run);
    r->run = (struct run_record) { 0 };
    if (heap_set(&r->house->revisit_heap, &r->due, time_mono_ms() + r->wait_ms) != 0)
        abort();
    r->wait_ms = r->wait_ms * 2 < LONGEST_MS ? r->wait_ms * 2 : LONGEST_MS;
    set_timer(r->house);
}

static bool is_wanted(const struct run_record *run)
{
    return run->state == RUN_FAILED && run->remote_id != NULL && run->error_code != NULL &&
           strcmp(run->error_code, "unresolved") == 0 && time_wall_ms() - run->ended_ms < WEEK_MS;
}

/* What is known of an earlier end is old. */
static void overtake(struct house *h, const char *run_id)
{
    struct revisit *r, *next;

    for (r = h->revisits; r != NULL; r = next) {
        next = r->next;
        if (strcmp(r->run_id, run_id) != 0)
            continue;
        r->overtaken = true;
        if (!r->busy)
            drop(r);
    }
}

/* A person has had it tried again: it goes on, or has gone on. */
static bool is_over(const struct revisit *r)
{
    return r->overtaken || engine_run(r->house->engine, r->run_id) != NULL;
}

void revise_note(struct house *h, const struct run_record *run)
{
    const struct workspace_config *w = config_workspace(h->config, run->workspace);
    struct revisit *r;

    overtake(h, run->id);
    if (!is_wanted(run) || w == NULL || h->stopping || h->revisit_count >= REVISITS_MAX)
        return;
    r = calloc(1, sizeof *r);
    if (r == NULL)
        abort();
    memcpy(r->run_id, run->id, sizeof r->run_id);
    r->house = h;
    r->wait_ms = POLLS_BEFORE_FIRST * w->poll_max_ms;
    heap_node_init(&r->due);
    r->next = h->revisits;
    h->revisits = r;
    h->revisit_count++;
    wait_again(r);
}

/* --- at start ----------------------------------------------------------------------------------------------------- */

struct recalling {
    struct journal_read read;
    struct house *house;
    char last_id[ID_SIZE];
};

static void ask_for_failed(struct recalling *c);

static void failed_read(struct journal_read *read, int status)
{
    struct recalling *c = read->data;
    struct house *h = c->house;

    for (size_t i = 0; status == 0 && i < read->count; i++)
        revise_note(h, &read->rows[i].run);
    h->working--;
    if (status != 0 || !read->more || h->stopping || h->revisit_count >= REVISITS_MAX) {
        free(c);
        house_settle(h);
        return;
    }
    memcpy(c->last_id, read->rows[read->count - 1].run.id, sizeof c->last_id);
    ask_for_failed(c);
}

static void ask_for_failed(struct recalling *c)
{
    c->read = (struct journal_read) { .kind = READ_RUNS, .state = RUN_FAILED, .since_ms = time_wall_ms() - WEEK_MS,
        .limit = READ_AT_ONCE, .before_id = c->last_id[0] != '\0' ? c->last_id : NULL, .cb = failed_read, .data = c };
    c->house->working++;
    journal_read(c->house->journal, &c->read);
}

void revise_recall(struct house *h)
{
    struct recalling *c = calloc(1, sizeof *c);
    bool remote = false;

    for (size_t i = 0; i < h->home_count; i++)
        remote |= h->homes[i].type == WORKSPACE_ROBOCORP;
    if (c == NULL)
        abort();
    c->house = h;
    if (remote)
        ask_for_failed(c);
    else
        free(c);
}

/* --- a look ------------------------------------------------------------------------------------------------------- */

static void loaded(struct journal_read *read, int status)
{
    struct revisit *r = read->data;
    struct house *h = r->house;
    const struct run_record *run = status == 0 ? &read->rows[0].run : NULL;
    struct home *home = run != NULL ? home_find(h, run->workspace) : NULL;

    h->working--;
    if (h->stopping) {
        house_settle(h);
    } else if (status == BF_ENOENT || is_over(r) || (run != NULL && (!is_wanted(run) || home == NULL || home->backend->ops->check == NULL))) {
        drop(r);
    } else if (status != 0 || run_record_copy(&r->run, run) != 0) {
        wait_again(r);
    } else {
        home->backend->ops->check(home->backend, &r->run, config_process(h->config, run->process));
    }
}

void revise_timer(uv_timer_t *timer)
{
    struct house *h = timer->data;
    struct heap_node *first;

    while ((first = heap_first(&h->revisit_heap)) != NULL && first->due_ms <= time_mono_ms()) {
        struct revisit *r = HEAP_ENTRY(first, struct revisit, due);

        heap_remove(&h->revisit_heap, first);
        r->busy = true;
        r->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = loaded, .data = r };
        memcpy(r->read.id, r->run_id, sizeof r->read.id);
        h->working++;
        journal_read(h->journal, &r->read);
    }
    set_timer(h);
}

static struct revisit *revisit_find(const struct house *h, const char *run_id)
{
    struct revisit *r = h->revisits;

    while (r != NULL && (strcmp(r->run_id, run_id) != 0 || !r->busy))
        r = r->next;
    return r;
}

void revise_checked(struct house *h, const char *run_id, enum checked checked, const char *backend_state, int64_t ended_ms)
{
    struct revisit *r = revisit_find(h, run_id);
    struct run_record run;

    if (r == NULL || h->stopping)
        return;
    if (checked == CHECKED_GONE || is_over(r)) {
        drop(r);
        return;
    }
    if (checked != CHECKED_COMPLETED || run_record_copy(&run, &r->run) != 0) {
        wait_again(r);
        return;
    }
    run.state = RUN_COMPLETED;
    run.ended_ms = ended_ms != 0 ? ended_ms : time_wall_ms();
    free(run.backend_state);
    free(run.error_code);
    free(run.error_message);
    run.backend_state = strdup(backend_state);
    run.error_code = run.error_message = NULL;
    if (run.backend_state == NULL)
        abort();
    collect_revision(h, &run);
    run_record_close(&run);
}

/* --- written down ------------------------------------------------------------------------------------------------- */

static void written(struct commit *commit, int status)
{
    struct revisit *r = commit->data;
    struct house *h = r->house;

    h->working--;
    if (h->stopping)
        house_settle(h);
    else if (status != 0 && !is_over(r))
        wait_again(r);
    else
        drop(r);
}

void revise_published(struct house *h, const char *run_id, int status, const struct error *why, const char *result,
                      const char *backend_state)
{
    struct revisit *r = revisit_find(h, run_id);

    if (r == NULL || h->stopping)
        return;
    if (is_over(r)) {
        drop(r);
        return;
    }
    if (status != 0) {
        log_warning("run %s of %s was completed at the Control Room after it had failed; its new results wait: %s", run_id,
                    r->run.process, why->text);
        wait_again(r);
        return;
    }
    log_notice("run %s of %s was completed at the Control Room after it had failed: its run.json has a second revision", run_id,
               r->run.process);
    free(r->run.result);
    free(r->run.backend_state);
    free(r->run.error_code);
    r->run.result = strdup(result);
    r->run.backend_state = strdup(backend_state);
    r->run.error_code = strdup("unresolved_then_completed");
    if (r->run.result == NULL || r->run.backend_state == NULL || r->run.error_code == NULL)
        abort();
    r->record = (struct record) { .kind = RECORD_RUN_SET, .run = &r->run };
    r->commit = (struct commit) { .records = &r->record, .count = 1, .cb = written, .data = r };
    h->working++;
    journal_commit(h->journal, &r->commit);
}

void revise_free(struct house *h)
{
    while (h->revisits != NULL)
        drop(h->revisits);
    heap_close(&h->revisit_heap);
}
