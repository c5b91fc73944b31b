/* What is next in a run of steps, and what its step runs report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "belfry/core/pace.h"
#include "steps_internal.h"

#define AGAIN_BASE_MS 1000
#define AGAIN_CAP_MS 60000

/* --- the end ------------------------------------------------------------------------------------------------------ */

struct ending {
    struct steps_run *run;
    struct run_end end;
    char words[256];
};

static void end_saved(void *data, int status)
{
    struct ending *e = data;
    const struct backend_reports *r = e->run->steps->base.reports;
    char id[ID_SIZE];
    bool told;

    memcpy(id, e->run->id, sizeof id);
    told = e->run->told;
    e->run->told = true;
    if (steps_run_release(e->run) && status == 0) {
        if (!told)   /* there was nothing to start: what had failed was settled by a person */
            r->started(r->data, id, NULL, NULL, "running", e->end.ended_ms);
        r->ended(r->data, id, &e->end);
    }
    free(e);
}

static void finish(struct steps_run *run)
{
    struct ending *e = calloc(1, sizeof *e);

    if (e == NULL)
        abort();
    run->over = true;
    e->run = run;
    flow_close(steps_flow(run));
    flow_outcome(steps_flow(run), &e->end, e->words);
    e->end.ended_ms = time_wall_ms();
    if (run->stop_as != RUN_QUEUED && e->end.outcome != RUN_COMPLETED) {
        e->end.backend_state = run_state_name(run->stop_as);
        e->end.error_code = run->stop_as == RUN_TIMED_OUT ? "timeout" : "canceled";
    }
    steps_run_hold(run);
    flows_save(run->steps->flows, steps_flow(run), NULL, 0, end_saved, e);
}

/* --- written down ------------------------------------------------------------------------------------------------- */

struct news {
    struct steps_run *run;
    enum { NEWS_NONE, NEWS_STARTED, NEWS_NOT_STARTED, NEWS_ABSENT } kind;
    int64_t started_ms;
    struct error why;
    bool again;
    int64_t retry_after_ms;
};

static void news_saved(void *data, int status)
{
    struct news *n = data;
    struct steps_run *run = n->run;
    const struct backend_reports *r = run->steps->base.reports;
    char id[ID_SIZE];

    memcpy(id, run->id, sizeof id);
    if (steps_run_release(run) && status == 0) {
        if (n->kind == NEWS_STARTED)
            r->started(r->data, id, NULL, NULL, "running", n->started_ms);
        else if (n->kind == NEWS_NOT_STARTED)
            r->not_started(r->data, id, &n->why, n->again, n->retry_after_ms);
        else if (n->kind == NEWS_ABSENT)
            r->found(r->data, id, FOUND_ABSENT, NULL, NULL, 0);
        else if (run->told)   /* else it is begun when that is ordered, which may never be */
            steps_go(run);
    }
    free(n);
}

static void save(struct steps_run *run, const struct news *news)
{
    struct news *n = calloc(1, sizeof *n);

    if (n == NULL)
        abort();
    *n = *news;
    n->run = run;
    steps_run_hold(run);
    flows_save(run->steps->flows, steps_flow(run), NULL, 0, news_saved, n);
}

/* --- what is next ------------------------------------------------------------------------------------------------- */

struct launch {
    struct steps_run *run;
    char id[ID_SIZE];
};

static void intent_saved(void *data, int status)
{
    struct launch *l = data;
    struct steps *s = l->run->steps;
    struct steps_task *task;

    if (steps_run_release(l->run) && status == 0 && (task = steps_task_find(s, l->id)) != NULL)
        steps_launch(task);
    free(l);
}

/* Its step is no longer configured. */
static void refuse(struct steps_run *run, const struct step_record *record)
{
    struct news news = { .kind = NEWS_NOT_STARTED };

    error_set(&news.why, BF_ENOENT, "the step %s is no longer in the configuration", record->name);
    if (run->told) {
        steps_task_failed(run, record->id, "no_step", news.why.text);
        return;
    }
    flow_not_begun(steps_flow(run), record->id, time_wall_ms());
    run->over = true;   /* until it is started again */
    save(run, &news);
}

static void start_next(struct steps_run *run, const struct step_record *record)
{
    struct steps_task *task = steps_task_open(run, record);
    struct launch *l;

    if (task == NULL) {
        refuse(run, record);
        return;
    }
    l = calloc(1, sizeof *l);
    if (l == NULL)
        abort();
    l->run = run;
    memcpy(l->id, record->id, sizeof l->id);
    steps_run_hold(run);
    flows_save(run->steps->flows, steps_flow(run), NULL, 0, intent_saved, l);
}

void steps_settle_waiting(struct steps_run *run)
{
    struct flow *flow = steps_flow(run);
    const struct run_record *record = &run->record;
    const char *code = run->stop_as == RUN_TIMED_OUT ? "timeout" : run->stop_as == RUN_CANCELED ? "canceled" : "stopped";
    const char *why = "the run was stopped before it came to this work item";

    flow_halt(flow);
    if (flow_waiting(flow) == 0)
        return;
    if (!steps_stopping(run) && record->error_code != NULL) {   /* it could not be begun */
        code = record->error_code;
        why = record->error_message;
    }
    flow_settle_waiting(flow, time_wall_ms(), run->drain == DRAIN_DONE, code, why);
    flows_save(run->steps->flows, flow, NULL, 0, NULL, NULL);
}

void steps_go(struct steps_run *run)
{
    struct flow *flow = steps_flow(run);
    const struct step_record *record;
    char id[ID_SIZE];

    if (run->over || flow == NULL || run->dropped || run->steps->closing)
        return;
    if (steps_stopping(run))
        steps_settle_waiting(run);
    for (;;) {
        /* Until the first one has begun the run has not: no second one. */
        if ((!run->told && flow_active(flow) > 0) || run->again_ms != 0)
            return;
        id_new(time_wall_ms(), id);
        switch (flow_next(flow, time_wall_ms(), id, &record)) {
        case FLOW_WAIT:
            return;
        case FLOW_START:
            start_next(run, record);
            if (run->over)
                return;
            continue;
        case FLOW_OVER:
            finish(run);
            return;
        }
    }
}

static void end_task(struct steps_run *run, const char *step_run_id, const struct run_end *end)
{
    struct steps_task *task = steps_task_find(run->steps, step_run_id);

    flow_ended(steps_flow(run), step_run_id, end);
    if (task != NULL)
        steps_task_close(task);
    save(run, &(struct news) { .kind = NEWS_NONE });
}

void steps_task_ended(struct steps_task *task)
{
    struct run_end end = task->end;
    struct steps_run *run = task->run;
    char id[ID_SIZE];

    if (end.ended_ms == 0)
        end.ended_ms = time_wall_ms();
    memcpy(id, task->id, sizeof id);
    end_task(run, id, &end);
}

void steps_task_failed(struct steps_run *run, const char *step_run_id, const char *code, const char *message)
{
    struct run_end end = { .outcome = RUN_LOST, .error_code = code, .error_message = message, .ended_ms = time_wall_ms() };
    char id[ID_SIZE];

    memcpy(id, step_run_id, sizeof id);
    end_task(run, id, &end);
}

/* --- reports of step runs ----------------------------------------------------------------------------------------- */

static void began(struct steps_task *task, int64_t started_ms)
{
    struct steps_run *run = task->run;
    struct steps *s = run->steps;
    struct news news = { .kind = run->told || run->finding ? NEWS_NONE : NEWS_STARTED, .started_ms = started_ms };

    flow_began(steps_flow(run), task->id, started_ms != 0 ? started_ms : time_wall_ms());
    run->tries = 0;
    if (news.kind == NEWS_STARTED)
        run->told = true;
    local_follow(&s->inner->base, &task->record, task->process);
    if (run->stop_as != RUN_QUEUED)
        local_stop(&s->inner->base, &task->record, task->process, STOP_GENTLY);
    save(run, &news);
}

/* Whose report it is; NULL: nobody waits for it any more, and the next daemon finds it out. */
static struct steps_task *task_told(const struct steps *s, const char *step_run_id)
{
    return s->closing ? NULL : steps_task_find(s, step_run_id);
}

static void on_started(void *data, const char *step_run_id, const char *remote_id, const char *remote_url,
                       const char *backend_state, int64_t started_ms)
{
    struct steps_task *task = task_told(data, step_run_id);

    (void)remote_id;
    (void)remote_url;
    (void)backend_state;
    if (task != NULL)
        began(task, started_ms);
}

static void not_begun(struct steps_task *task)
{
    struct steps_run *run = task->run;

    flow_not_begun(steps_flow(run), task->id, time_wall_ms());
    steps_task_close(task);
}

void steps_set_again(struct steps *s)
{
    if (!uv_is_active((uv_handle_t *)&s->again) && !s->closing)
        (void)uv_timer_start(&s->again, steps_again, 500, 500);
}

void steps_again(uv_timer_t *timer)
{
    struct steps *s = timer->data;
    struct steps_run *run, *next;
    struct steps_task *task, *next_task;
    bool more = false;

    HASH_ITER(hh, s->tasks, task, next_task) {
        if (task->list_again_ms != 0 && task->list_again_ms <= time_mono_ms()) {
            task->list_again_ms = 0;
            steps_read_list(task);
            more = true;   /* the tasks may be others by now */
            break;
        }
        more = more || task->list_again_ms != 0;
    }
    HASH_ITER(hh, s->runs, run, next) {
        if (run->again_ms != 0 && run->again_ms <= time_mono_ms()) {
            run->again_ms = 0;
            steps_go(run);
        }
        more = more || run->again_ms != 0;
    }
    if (!more)
        (void)uv_timer_stop(timer);
}

static void on_not_started(void *data, const char *step_run_id, const struct error *why, bool again, int64_t retry_after_ms)
{
    struct steps_task *task = task_told(data, step_run_id);
    struct steps_run *run = task != NULL ? task->run : NULL;
    struct news news = { .kind = NEWS_NOT_STARTED, .why = *why, .again = again, .retry_after_ms = retry_after_ms };
    uint64_t dice;

    if (run == NULL)
        return;
    if (!run->told) {
        not_begun(task);
        save(run, &news);
    } else if (steps_stopping(run)) {
        not_begun(task);
        save(run, &(struct news) { .kind = NEWS_NONE });
    } else if (again) {
        log_warning("run %s: step %s cannot be started, and is tried again: %s", run->id, config_step_name(task->process), why->text);
        id_random(&dice, sizeof dice);
        run->tries++;
        run->again_ms = time_mono_ms() + pace_backoff(AGAIN_BASE_MS, AGAIN_CAP_MS, run->tries, dice);
        not_begun(task);
        save(run, &(struct news) { .kind = NEWS_NONE });
        steps_set_again(run->steps);
    } else {
        log_warning("run %s: step %s cannot be started: %s", run->id, config_step_name(task->process), why->text);
        steps_task_failed(run, step_run_id, "start_failed", why->text);
    }
}

static void on_unknown(void *data, const char *step_run_id, const struct error *why)
{
    struct steps *s = data;
    struct steps_task *task = task_told(s, step_run_id);

    (void)why;
    if (task != NULL)
        local_find(&s->inner->base, &task->record, task->process);
}

void steps_look_for(struct steps_run *run, const struct step_record *record)
{
    struct steps_task *task = steps_task_find(run->steps, record->id);

    if (task == NULL)
        task = steps_task_open(run, record);
    if (task != NULL) {
        local_find(&run->steps->inner->base, &task->record, task->process);
        return;
    }
    /* Its step is gone: it was not started by us, and will not be. */
    flow_not_begun(steps_flow(run), record->id, time_wall_ms());
    save(run, &(struct news) { .kind = run->finding && --run->looks == 0 ? NEWS_ABSENT : NEWS_NONE });
    run->finding = run->finding && run->looks > 0;
}

static void on_found(void *data, const char *step_run_id, enum found found, const char *remote_id, const char *remote_url,
                     int64_t started_ms)
{
    struct steps *s = data;
    struct steps_task *task = task_told(s, step_run_id);
    struct steps_run *run = task != NULL ? task->run : NULL;
    const struct backend_reports *r = s->base.reports;

    (void)remote_id;
    (void)remote_url;
    if (run == NULL)
        return;
    if (found == FOUND_STARTED) {
        began(task, started_ms);
    } else if (found == FOUND_DIED) {
        flow_began(steps_flow(run), step_run_id, started_ms != 0 ? started_ms : time_wall_ms());
        steps_task_failed(run, step_run_id, "lost", "the step run had begun, and ended without leaving its outcome");
        found = FOUND_STARTED;   /* the run had begun */
    } else {
        not_begun(task);
        save(run, &(struct news) { .kind = NEWS_NONE });
    }
    if (run->finding && (found == FOUND_STARTED || --run->looks == 0)) {
        run->finding = false;
        run->told = found == FOUND_STARTED;
        r->found(r->data, run->id, found == FOUND_STARTED ? FOUND_STARTED : FOUND_ABSENT, NULL, NULL, started_ms);
    }
}

static void copy_end(struct steps_task *task, const struct run_end *end)
{
    const char *const words[] = { end->error_code, end->error_message, end->backend_state };

    task->end = *end;
    for (int i = 0; i < 3; i++) {
        free(task->end_words[i]);
        task->end_words[i] = words[i] != NULL ? strdup(words[i]) : NULL;
    }
    task->end.error_code = task->end_words[0];
    task->end.error_message = task->end_words[1];
    task->end.backend_state = task->end_words[2];
}

static void on_ended(void *data, const char *step_run_id, const struct run_end *end)
{
    struct steps_task *task = task_told(data, step_run_id);

    if (task == NULL)
        return;
    copy_end(task, end);
    steps_read_list(task);
}

void steps_reports_init(struct steps *s)
{
    s->inner_reports = (struct backend_reports) { .data = s, .started = on_started, .not_started = on_not_started,
        .start_unknown = on_unknown, .found = on_found, .ended = on_ended };
}
