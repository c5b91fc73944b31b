/* Runs of steps: the operations. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "steps_internal.h"

/* --- runs and tasks ----------------------------------------------------------------------------------------------- */

struct steps_run *steps_run_find(const struct steps *s, const char *run_id)
{
    struct steps_run *run;

    HASH_FIND_STR(s->runs, run_id, run);
    return run;
}

static void set_process(struct steps_run *run, const struct process_config *process)
{
    config_release(run->config);
    run->config = process != NULL && process->config != NULL ? config_hold(process->config) : NULL;
    run->process = process;
}

struct steps_run *steps_run_open(struct steps *s, const struct run_record *record, const struct process_config *process)
{
    struct steps_run *run = steps_run_find(s, record->id);

    if (run == NULL) {
        run = calloc(1, sizeof *run);
        if (run == NULL)
            abort();
        memcpy(run->id, record->id, sizeof run->id);
        run->steps = s;
        HASH_ADD_STR(s->runs, id, run);
    }
    run_record_close(&run->record);
    if (run_record_copy(&run->record, record) != 0)
        abort();
    run->stop_as = record->stop_as;
    run->drain = record->drain;
    if (process != NULL && run->tasks == 0)   /* step runs go on with the settings that they were started with */
        set_process(run, process);
    return run;
}

static void maybe_closed(struct steps *s);

static void run_free(struct steps_run *run)
{
    struct steps *s = run->steps;
    struct steps_task *task, *next;

    HASH_ITER(hh, s->tasks, task, next) {
        if (task->run == run)
            steps_task_close(task);
    }
    run_record_close(&run->record);
    config_release(run->config);
    free(run);
}

static void run_drop(struct steps_run *run)
{
    HASH_DEL(run->steps->runs, run);
    run->dropped = true;
    if (run->uses == 0)
        run_free(run);
}

void steps_run_hold(struct steps_run *run)
{
    run->uses++;
    run->steps->working++;
}

bool steps_run_release(struct steps_run *run)
{
    struct steps *s = run->steps;
    bool wanted = !run->dropped && !s->closing;

    if (--run->uses == 0 && run->dropped)
        run_free(run);
    s->working--;
    maybe_closed(s);
    return wanted;
}

struct flow *steps_flow(const struct steps_run *run)
{
    return flows_find(run->steps->flows, run->id);
}

bool steps_stopping(const struct steps_run *run)
{
    return run->stop_as != RUN_QUEUED || run->drain != DRAIN_NO;
}

struct steps_task *steps_task_find(const struct steps *s, const char *step_run_id)
{
    struct steps_task *task;

    HASH_FIND_STR(s->tasks, step_run_id, task);
    return task;
}

static void note_item(void *data, const struct item_record *item)
{
    struct steps_task *task = data;

    if (task->task.item_id[0] == '\0')
        memcpy(task->task.item_id, item->id, sizeof task->task.item_id);
}

struct steps_task *steps_task_open(struct steps_run *run, const struct step_record *record)
{
    const struct flows_world *world = flows_world(run->steps->flows);
    const struct process_config *process = config_step_named(run->process, record->name);
    struct steps_task *task;

    if (process == NULL && record->state == STEP_NEW)
        return NULL;
    task = calloc(1, sizeof *task);
    if (task == NULL || run_record_copy(&task->record, &run->record) != 0)
        abort();
    memcpy(task->id, record->id, sizeof task->id);
    memcpy(task->record.id, record->id, sizeof task->record.id);
    task->record.attempt = 1;
    task->run = run;
    task->process = process;
    memcpy(task->task.run_id, run->id, sizeof task->task.run_id);
    task->task.attempt = run->record.attempt;
    task->task.api = process != NULL && process->work_items == WORK_ITEMS_API;
    task->task.api_url = world->api_url(world->data);
    world->token(world->data, run->id, record->id, task->task.token);
    flow_each_held(steps_flow(run), record->id, note_item, task);
    HASH_ADD_STR(run->steps->tasks, id, task);
    run->tasks++;
    return task;
}

void steps_task_close(struct steps_task *task)
{
    HASH_DEL(task->run->steps->tasks, task);
    task->run->tasks--;
    explicit_bzero(task->task.token, sizeof task->task.token);
    for (int i = 0; i < 3; i++)
        free(task->end_words[i]);
    run_record_close(&task->record);
    free(task);
}

static const struct local_task *task_of(void *owner, const char *step_run_id)
{
    const struct steps_task *task = steps_task_find(owner, step_run_id);

    return task != NULL ? &task->task : NULL;
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static bool flows_by(const struct steps *s, const struct run_record *run, const struct process_config *process)
{
    return flows_find(s->flows, run->id) != NULL || (process != NULL && config_has_flow(process));
}

static void start(struct backend *base, const struct run_record *record, const struct process_config *process,
                  const json_t *event, const json_t *input)
{
    struct steps *s = (struct steps *)base;
    struct steps_run *run;

    if (!flows_by(s, record, process)) {
        s->plain->base.ops->start(&s->plain->base, record, process, event, input);
        return;
    }
    run = steps_run_open(s, record, process);
    run->told = run->over = run->finding = false;
    steps_begin(run, event, input);
}

struct finding {
    struct steps_run *run;
    size_t new_ones;
    bool began;
    int64_t started_ms;
};

static void see_step_run(void *data, const struct step_record *record)
{
    struct finding *f = data;

    /* One of an earlier attempt that has not ended is as good as one of this. */
    if (record->attempt != f->run->record.attempt && record->state > STEP_RUNNING)
        return;
    if (record->state != STEP_NEW && !f->began) {
        f->began = true;
        f->started_ms = record->started_ms;
    }
    f->new_ones += record->state == STEP_NEW;
}

static void look_for_new(void *data, const struct step_record *record)
{
    struct steps_run *run = data;

    if (record->state == STEP_NEW)
        steps_look_for(run, record);
}

struct answer {
    struct steps *steps;
    char id[ID_SIZE];
    enum found found;
    int64_t started_ms;
};

static void tell_found(void *data)
{
    struct answer *a = data;
    const struct backend_reports *r = a->steps->base.reports;

    r->found(r->data, a->id, a->found, NULL, NULL, a->started_ms);
    free(a);
}

static void answer_found(struct steps *s, const char *run_id, enum found found, int64_t started_ms)
{
    struct answer *a = calloc(1, sizeof *a);

    if (a == NULL)
        abort();
    *a = (struct answer) { .steps = s, .found = found, .started_ms = started_ms };
    memcpy(a->id, run_id, sizeof a->id);
    later_do(&s->later, tell_found, a);
}

static void find(struct backend *base, const struct run_record *record, const struct process_config *process)
{
    struct steps *s = (struct steps *)base;
    struct flow *flow = flows_find(s->flows, record->id);
    struct finding f = { 0 };

    /* Without a flow on disk no step was begun; a plain command may have been, whatever the process is configured as now. */
    if (flow == NULL) {
        s->plain->base.ops->find(&s->plain->base, record, process);
        return;
    }
    f.run = steps_run_open(s, record, process);
    if (f.run->finding)
        return;
    flow_set_attempt(flow, record->attempt);
    flow_each_step_run(flow, see_step_run, &f);
    if (f.began || f.new_ones == 0) {
        answer_found(s, record->id, f.began ? FOUND_STARTED : FOUND_ABSENT, f.started_ms);
        return;
    }
    f.run->finding = true;
    f.run->looks = f.new_ones;
    flow_each_step_run(flow, look_for_new, f.run);
}

/* A step run of which this daemon knows nothing yet. */
static void take_up(void *data, const struct step_record *record)
{
    struct steps_run *run = data;
    struct steps *s = run->steps;
    struct steps_task *task;

    if (record->state > STEP_RUNNING || steps_task_find(s, record->id) != NULL)
        return;
    if (record->state == STEP_NEW) {
        steps_look_for(run, record);
        return;
    }
    task = steps_task_open(run, record);
    local_follow(&s->inner->base, &task->record, task->process);
}

static void follow(struct backend *base, const struct run_record *record, const struct process_config *process)
{
    struct steps *s = (struct steps *)base;
    struct flow *flow = flows_find(s->flows, record->id);
    struct steps_run *run;

    if (flow == NULL) {
        s->plain->base.ops->follow(&s->plain->base, record, process);
        return;
    }
    run = steps_run_open(s, record, process);
    run->told = true;
    flow_set_attempt(flow, record->attempt);
    flow_each_step_run(flow, take_up, run);
    steps_go(run);
}

struct stopping {
    struct steps_run *run;
    enum stop_how how;
};

static void stop_step_run(void *data, const struct step_record *record)
{
    struct stopping *st = data;
    struct steps *s = st->run->steps;
    struct steps_task *task = record->state <= STEP_RUNNING ? steps_task_find(s, record->id) : NULL;

    if (task != NULL)
        local_stop(&s->inner->base, &task->record, task->process, st->how);
}

static void stop(struct backend *base, const struct run_record *record, const struct process_config *process, enum stop_how how)
{
    struct steps *s = (struct steps *)base;
    struct steps_run *run = steps_run_find(s, record->id);
    struct flow *flow = flows_find(s->flows, record->id);

    if (flow == NULL && run == NULL) {
        s->plain->base.ops->stop(&s->plain->base, record, process, how);
        return;
    }
    if (run == NULL || run->over)
        return;
    run->stop_as = record->stop_as;
    run->drain = record->drain;
    run->again_ms = 0;   /* what could not be started is not tried again */
    if (run->stop_as == RUN_TIMED_OUT)
        how = STOP_GENTLY;   /* each command has its own kill_grace after that */
    if (flow == NULL)
        return;   /* it is still being prepared: steps_go will see */
    flow_halt(flow);
    if (how != STOP_BEGINNING)
        flow_each_step_run(flow, stop_step_run, &(struct stopping) { run, how });
    steps_go(run);
}

static void collect(struct backend *base, const struct run_record *record, const struct process_config *process,
                    const json_t *input, const char *dir)
{
    struct steps *s = (struct steps *)base;
    struct flow *flow = flows_find(s->flows, record->id);
    struct steps_run *run;

    if (flow == NULL) {
        local_collect(&s->plain->base, record, process, input, dir);
        return;
    }
    run = steps_run_open(s, record, process);
    steps_settle_waiting(run);   /* it was given up, perhaps, before it came to them */
    steps_collect(run, dir);
}

static void forget(struct backend *base, const char *run_id)
{
    struct steps *s = (struct steps *)base;
    struct steps_run *run = steps_run_find(s, run_id);

    if (run != NULL)
        run_drop(run);
    flows_drop(s->flows, run_id);
    s->plain->base.ops->forget(&s->plain->base, run_id);
}

/* The API has changed what waits. */
static void look(struct backend *base, const char *run_id)
{
    struct steps_run *run = steps_run_find((struct steps *)base, run_id);

    if (run != NULL && run->told)
        steps_go(run);
}

static char *console(struct backend *base, const char *run_id)
{
    const struct steps *s = (struct steps *)base;
    char step_run_path[2 * ID_SIZE + 1];
    const struct steps_task *task = steps_task_find(s, run_id);

    /* A step run's has a file of its own, as long as the run is open. */
    if (task != NULL)
        (void)snprintf(step_run_path, sizeof step_run_path, "%s/%s", task->run->id, run_id);
    return s->plain->base.ops->console(&s->plain->base, task != NULL ? step_run_path : run_id);
}

static const char *trouble(struct backend *base)
{
    (void)base;
    return NULL;
}

static void configure(struct backend *base, const struct workspace_config *workspace)
{
    struct steps *s = (struct steps *)base;

    s->workspace = s->plain->workspace = s->inner->workspace = workspace;
}

/* --- opening, closing --------------------------------------------------------------------------------------------- */

static void part_closed(void *data)
{
    struct steps *s = data;
    void (*closed)(void *data) = s->closed;
    void *closed_data = s->closed_data;
    struct steps_run *run, *next;

    if (--s->open > 0)
        return;
    HASH_ITER(hh, s->runs, run, next)
        run_drop(run);
    free(s);
    closed(closed_data);
}

static void timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

static void maybe_closed(struct steps *s)
{
    if (!s->closing || s->working > 0 || s->open > 0)
        return;
    s->open = 4;
    s->plain->base.ops->close(&s->plain->base, part_closed, s);
    s->inner->base.ops->close(&s->inner->base, part_closed, s);
    later_close(&s->later, part_closed, s);
    uv_close((uv_handle_t *)&s->again, timer_closed);
}

static void close_backend(struct backend *base, void (*closed)(void *data), void *data)
{
    struct steps *s = (struct steps *)base;

    s->closed = closed;
    s->closed_data = data;
    s->closing = true;
    (void)uv_timer_stop(&s->again);
    maybe_closed(s);
}

static const struct backend_ops steps_ops = {
    .start = start,
    .find = find,
    .follow = follow,
    .stop = stop,
    .look = look,
    .collect = collect,
    .forget = forget,
    .console = console,
    .trouble = trouble,
    .configure = configure,
    .close = close_backend,
};

static int check_program(const char *program, struct error *err)
{
    if (access(program, X_OK) == 0)
        return 0;
    return error_errno(err, errno, "cannot use the supervisor %s (install it, or name its folder in BELFRY_LIBEXEC)", program);
}

int backend_local_flow(const struct run_record *run, const struct workspace_config *workspace, const struct process_config *process,
                       struct flow **flow)
{
    return steps_flow_new(run->id, run->memo, workspace, process, run->process, flow);
}

int backend_local_new(uv_loop_t *loop, const char *state_dir, const struct workspace_config *workspace, struct flows *flows,
                      const struct backend_reports *reports, struct backend **backend, struct error *err)
{
    const char *libexec = getenv("BELFRY_LIBEXEC");
    char *runs_dir = file_join(state_dir, "runs"), *program = file_join(libexec != NULL ? libexec : BELFRY_LIBEXECDIR, "belfry-run");
    struct steps *s = calloc(1, sizeof *s);
    int status = s != NULL && runs_dir != NULL && program != NULL ? 0 : error_set(err, BF_ENOMEM, "out of memory");

    if (status == 0 && (status = check_program(program, err)) == 0)
        status = file_make_dirs(runs_dir, 0711, err);   /* steps of other users have to pass */
    if (status == 0) {
        s->base.ops = &steps_ops;
        s->base.reports = reports;
        s->loop = loop;
        s->workspace = workspace;
        s->flows = flows;
        steps_reports_init(s);
        s->plain = local_new(loop, runs_dir, program, workspace, reports);
        s->inner = local_new(loop, runs_dir, program, workspace, &s->inner_reports);
        if (s->plain == NULL || s->inner == NULL)
            abort();
        s->inner->task = task_of;
        s->inner->owner = s;
        later_init(&s->later, loop);
        (void)uv_timer_init(loop, &s->again);
        s->again.data = s;
        *backend = &s->base;
    } else {
        free(s);
    }
    free(runs_dir);
    free(program);
    return status;
}
