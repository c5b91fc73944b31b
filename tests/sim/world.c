/* The simulated world: firings, the backend, results, lines, crashes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* --- dice and time ------------------------------------------------------------------------------------------------ */

uint64_t sim_dice(struct sim *s)
{
    /* splitmix64 */
    uint64_t z = s->dice += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

bool sim_chance(struct sim *s, unsigned percent)
{
    return sim_dice(s) % 100 < percent;
}

int64_t sim_between(struct sim *s, int64_t low, int64_t high)
{
    return low + (int64_t)(sim_dice(s) % (uint64_t)(high - low + 1));
}

struct instant sim_now(const struct sim *s)
{
    return (struct instant) { .wall_ms = s->wall_ms, .mono_ms = s->mono_ms };
}

void sim_fail(struct sim *s, const char *format, ...)
{
    va_list ap;

    if (s->fault[0] != '\0')
        return;
    va_start(ap, format);
    vsnprintf(s->fault, sizeof s->fault, format, ap);
    va_end(ap);
}

struct sim_event *sim_later(struct sim *s, int64_t wait_ms, enum sim_event_kind kind, const char *run_id)
{
    struct sim_event *ev = calloc(1, sizeof *ev);

    ev->kind = kind;
    ev->life = s->life;
    if (run_id != NULL)
        snprintf(ev->run_id, sizeof ev->run_id, "%s", run_id);
    heap_node_init(&ev->node);
    if (heap_set(&s->events, &ev->node, s->mono_ms + wait_ms) != 0)
        abort();
    return ev;
}

struct firing *sim_firing(struct sim *s, const char *run_id)
{
    struct firing *f;

    HASH_FIND_STR(s->firings, run_id, f);
    return f;
}

static int64_t answer_time(struct sim *s)
{
    return s->calm ? 20 : sim_chance(s, 5) ? sim_between(s, 1000, 30000) : sim_between(s, 1, 200);
}

/* --- orders from the engine: each checks that its record came first ----------------------------------------------- */

static void expect(struct sim *s, const struct run_record *run, enum run_state state, const char *order)
{
    const struct stored_run *stored = store_find(s, run->id);

    if (stored == NULL || stored->record.state != state || stored->record.attempt != run->attempt)
        sim_fail(s, "%s was ordered for %s attempt %u, but on disk it is %s attempt %u", order, run->id, run->attempt,
                 stored != NULL ? run_state_name(stored->record.state) : "absent", stored != NULL ? stored->record.attempt : 0);
}

static void start(void *data, const struct run_record *run, const char *event, const char *input)
{
    struct sim *s = data;

    (void)event;
    (void)input;
    expect(s, run, RUN_STARTING, "a start");
    sim_later(s, sim_between(s, 0, 50), EV_START, run->id)->attempt = run->attempt;
}

static void find(void *data, const struct run_record *run)
{
    struct sim *s = data;

    expect(s, run, RUN_STARTING, "a look-up");
    sim_later(s, answer_time(s), EV_FIND, run->id)->attempt = run->attempt;
}

static void follow(void *data, const struct run_record *run)
{
    struct sim *s = data;

    expect(s, run, RUN_RUNNING, "following");
    sim_later(s, sim_between(s, 1, 100), EV_FOLLOW, run->id);
}

static void stop(void *data, const struct run_record *run, enum stop_how how)
{
    struct sim *s = data;
    struct firing *f = sim_firing(s, run->id);

    if (!s->calm && sim_chance(s, 20))
        return;   /* lost on its way */
    for (struct process_run *p = f->processes; p != NULL; p = p->next) {
        int64_t soon = s->mono_ms + (how == STOP_AT_ONCE ? 1 : sim_between(s, 1, 5000));

        if (p->over || p->ends_ms <= soon)
            continue;
        p->ends_ms = soon;
        p->outcome = RUN_CANCELED;
        sim_later(s, soon - s->mono_ms, EV_PROCESS_ENDS, run->id)->life = 0;
    }
}

static void collect(void *data, const struct run_record *run)
{
    struct sim *s = data;

    expect(s, run, RUN_COLLECTING, "collecting");
    sim_later(s, answer_time(s), EV_COLLECT, run->id);
}

static void send_lines(struct sim *s, const char *run_id)
{
    for (unsigned t = 0; t < SIM_TARGETS; t++)
        sim_later(s, sim_between(s, 0, 20), EV_LINE, run_id)->target = t;
}

static void ended(void *data, const struct run_record *run)
{
    struct sim *s = data;

    expect(s, run, run->state, "an end");
    if (run->state != RUN_SKIPPED)
        send_lines(s, run->id);
}

static void note(void *data, const struct run_record *run, const char *text)
{
    (void)data;
    (void)run;
    (void)text;
}

static void wake_at(void *data, int64_t mono_ms)
{
    struct sim *s = data;

    if (mono_ms != INT64_MAX)
        sim_later(s, mono_ms > s->mono_ms ? mono_ms - s->mono_ms : 0, EV_WAKE, NULL);
}

static void random_bytes(void *data, void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)sim_dice(data);
}

/* --- the backend -------------------------------------------------------------------------------------------------- */

static void begin(struct sim *s, struct firing *f, unsigned attempt)
{
    struct process_run *p = calloc(1, sizeof *p);

    snprintf(p->run_id, sizeof p->run_id, "%s", f->run_id);
    p->attempt = attempt;
    p->outcome = !s->calm && sim_chance(s, 25) ? RUN_FAILED : RUN_COMPLETED;
    p->ends_ms = s->mono_ms + sim_between(s, 10, 60000);
    p->visible_ms = s->mono_ms + (sim_chance(s, 20) ? sim_between(s, 0, 50000) : 0);
    p->next = f->processes;
    f->processes = p;
    f->starts++;
    f->active++;
    if (f->starts > 1 + f->failed_ends)
        sim_fail(s, "the firing %s started %u process runs, of which only %u had failed", f->run_id, f->starts, f->failed_ends);
    sim_later(s, p->ends_ms - s->mono_ms, EV_PROCESS_ENDS, f->run_id)->life = 0;
}

/* A start request arrives (or not), is carried out (or not), is answered (or not). */
static void on_start(struct sim *s, const struct sim_event *ev)
{
    struct firing *f = sim_firing(s, ev->run_id);
    struct error why = { .code = BF_ENET, .text = "no answer" };
    unsigned d = s->calm ? 0 : (unsigned)(sim_dice(s) % 100);

    if (d < 70) {
        begin(s, f, ev->attempt);
        if (d < 60 && ev->life == s->life)
            engine_started(s->engine, sim_now(s), ev->run_id, "remote", NULL, "in_progress", s->wall_ms);
        else if (ev->life == s->life)
            engine_start_unknown(s->engine, sim_now(s), ev->run_id, &why);
        if (d < 5)
            sim_later(s, sim_between(s, 1, 5000), EV_REPEAT_REPORT, ev->run_id)->attempt = ev->attempt;
    } else if (ev->life != s->life) {
        return;
    } else if (d < 80) {
        engine_start_unknown(s->engine, sim_now(s), ev->run_id, &why);
    } else {
        engine_not_started(s->engine, sim_now(s), ev->run_id, &why, d < 97, d % 7 == 0 ? 5000 : 0);
    }
}

static void on_find(struct sim *s, const struct sim_event *ev)
{
    struct firing *f = sim_firing(s, ev->run_id);
    enum found found = f->lane % 2 == 0 ? FOUND_NOT_SEEN : FOUND_ABSENT;
    bool doubt = false;

    if (!s->calm && sim_chance(s, 15)) {
        engine_found(s->engine, sim_now(s), ev->run_id, FOUND_UNKNOWN, NULL, NULL, 0);
        return;
    }
    for (struct process_run *p = f->processes; p != NULL; p = p->next) {
        if (p->attempt != ev->attempt)
            continue;
        if (p->visible_ms <= s->mono_ms || found == FOUND_ABSENT) {
            engine_found(s->engine, sim_now(s), ev->run_id, FOUND_STARTED, "remote", NULL, s->wall_ms);
            return;
        }
        doubt = true;
    }
    engine_found(s->engine, sim_now(s), ev->run_id, doubt ? FOUND_NOT_SEEN : found, NULL, NULL, 0);
}

static void tell_end(struct sim *s, const struct process_run *p)
{
    struct run_end end = { .outcome = p->outcome, .backend_state = "over", .ended_ms = s->wall_ms,
        .error_code = p->outcome == RUN_COMPLETED ? NULL : "exit_code", .error_message = "it failed" };

    engine_ended(s->engine, sim_now(s), p->run_id, &end);
}

/* The latest attempt's process: the one that the engine follows. */
static void on_follow(struct sim *s, const struct sim_event *ev)
{
    const struct run_record *run = engine_run(s->engine, ev->run_id);
    struct firing *f = sim_firing(s, ev->run_id);

    if (run == NULL || run->state != RUN_RUNNING)
        return;
    for (struct process_run *p = f->processes; p != NULL; p = p->next) {
        if (p->attempt != run->attempt)
            continue;
        if (p->over)
            tell_end(s, p);
        else
            sim_later(s, p->ends_ms > s->mono_ms ? p->ends_ms - s->mono_ms + 1 : 1, EV_FOLLOW, ev->run_id);
        return;
    }
    sim_fail(s, "the run %s is followed, but attempt %u never started", ev->run_id, run->attempt);
}

static void on_process_ends(struct sim *s, const struct sim_event *ev)
{
    struct firing *f = sim_firing(s, ev->run_id);

    for (struct process_run *p = f->processes; p != NULL; p = p->next) {
        if (p->over || p->ends_ms > s->mono_ms)
            continue;
        p->over = true;
        f->active--;
        f->failed_ends += p->outcome != RUN_COMPLETED;
    }
}

/* --- results ------------------------------------------------------------------------------------------------------ */

static void on_collect(struct sim *s, const struct sim_event *ev)
{
    const struct run_record *run = engine_run(s->engine, ev->run_id);
    struct firing *f = sim_firing(s, ev->run_id);
    struct error why = { .code = BF_ENOSPC, .text = "no space left" };

    if (run == NULL || run->state != RUN_COLLECTING)
        return;
    if (s->disk_full || (!s->calm && sim_chance(s, 10))) {
        engine_collected(s->engine, sim_now(s), ev->run_id, BF_ENOSPC, &why, NULL);
        return;
    }
    if (f->folders == 0) {
        f->folders = 1;
        f->folder_outcome = run->outcome;
    } else if (f->folder_outcome != run->outcome) {
        sim_fail(s, "the folder of %s says %s, and its record %s", ev->run_id, run_state_name(f->folder_outcome),
                 run_state_name(run->outcome));
    }
    engine_collected(s->engine, sim_now(s), ev->run_id, 0, NULL, "{}");
}

struct line_mark {
    struct commit commit;
    struct record record;
    char target[2];
    char run_id[ID_SIZE];
};

static void marked(struct commit *commit, int status)
{
    (void)status;
    free(commit->data);
}

/* A line that is in the journal goes out, and is then marked: a crash in between sends it again, and it says so. */
static void on_line(struct sim *s, const struct sim_event *ev)
{
    struct stored_run *run = store_find(s, ev->run_id);
    struct firing *f = sim_firing(s, ev->run_id);
    struct line_mark *m;

    if (run == NULL || !run->line_waits[ev->target])
        return;
    if (!s->calm && sim_chance(s, 20)) {
        struct sim_event *later = sim_later(s, 1000, EV_LINE, ev->run_id);

        later->target = ev->target;
        later->attempt = ev->attempt;
        return;
    }
    if (ev->attempt > 0)
        f->lines_again[ev->target]++;
    else
        f->lines[ev->target]++;
    m = calloc(1, sizeof *m);
    snprintf(m->run_id, sizeof m->run_id, "%s", ev->run_id);
    m->target[0] = (char)('0' + ev->target);
    m->record = (struct record) { .kind = RECORD_LINE_SENT, .scope = m->target, .run_id = m->run_id };
    m->commit = (struct commit) { .records = &m->record, .count = 1, .must = true, .cb = marked, .data = m };
    store_commit(s, &m->commit);
}

/* --- firings ------------------------------------------------------------------------------------------------------ */

struct bell_pull {
    struct admission admission;
    struct sim *sim;
    struct firing *firing;
    char process[8];
};

static void acknowledged(struct admission *a, int status)
{
    struct bell_pull *pull = a->data;
    struct sim *s = pull->sim;

    if (status == 0)
        pull->firing->acknowledged = true;
    else if (status == BF_EEXIST && store_find(s, a->run_id) == NULL)
        sim_fail(s, "a repeated firing was answered with the run %s, which is not on disk", a->run_id);
    free(pull);
}

static void on_fire(struct sim *s)
{
    struct bell_pull *pull = calloc(1, sizeof *pull);
    struct firing *f = calloc(1, sizeof *f);
    struct admission *a = &pull->admission;
    uint8_t rand[10];

    random_bytes(s, rand, sizeof rand);
    id_make(s->wall_ms, rand, f->run_id);
    f->lane = (unsigned)(sim_dice(s) % SIM_LANES);
    /* Some firings come twice: the earlier one's key. */
    snprintf(f->key, sizeof f->key, "k%u", sim_chance(s, 15) && s->fired > 0 ? s->fired - 1 : s->fired);
    s->fired++;
    HASH_ADD_STR(s->firings, run_id, f);
    snprintf(pull->process, sizeof pull->process, "p%u", f->lane);
    pull->sim = s;
    pull->firing = f;
    *a = (struct admission) { .process = pull->process, .kind = TRIGGER_WEBHOOK, .trigger_name = "sim", .event = "{}",
        .input = "[{}]", .claim_scope = "sim", .claim_key = f->key, .claim_until_ms = INT64_MAX, .cb = acknowledged,
        .data = pull };
    a->overlap = f->lane == 0 ? OVERLAP_BUFFER_ONE : f->lane == 1 ? OVERLAP_BUFFER_ALL : f->lane == 2 ? OVERLAP_ALLOW_ALL :
        sim_chance(s, 50) ? OVERLAP_CANCEL_OTHER : OVERLAP_TERMINATE_OTHER;
    memcpy(a->id, f->run_id, sizeof a->id);
    if (engine_admit(s->engine, sim_now(s), a) != 0)
        free(pull);
    if (sim_chance(s, 8))
        sim_later(s, sim_between(s, 1, 60000), EV_CANCEL, f->run_id);
}

static void dropped(void *data, const struct run_record *run)
{
    sim_fail(data, "the run %s was dropped, and is in the store", run->id);
}

/* --- life and death of the daemon --------------------------------------------------------------------------------- */

void sim_boot(struct sim *s)
{
    static const char *const targets[SIM_TARGETS] = { "0", "1" };
    struct lane_settings lanes[SIM_LANES];
    static const char *const names[SIM_LANES] = { "p0", "p1", "p2", "p3" };
    struct stored_run *run, *next;

    s->life++;
    s->world = (struct engine_world) { .data = s, .commit = store_commit, .start = start, .find = find, .follow = follow,
        .stop = stop, .collect = collect, .ended = ended, .dropped = dropped, .note = note, .wake_at = wake_at, .random = random_bytes };
    if (engine_new(&s->world, &s->engine) != 0)
        abort();
    for (unsigned i = 0; i < SIM_LANES; i++)
        lanes[i] = (struct lane_settings) { .process = names[i], .workspace = "w", .queue_limit = 50, .retries = i % 3,
            .retry_delay_ms = 1000, .retry_on = 1u << RUN_FAILED | 1u << RUN_LOST, .timeout_ms = i == 1 ? 30000 : 0,
            .max_parallel = i == 2 ? 3 : 0 };
    engine_configure(s->engine, 5, lanes, SIM_LANES, targets, SIM_TARGETS);
    HASH_ITER(hh, s->stored, run, next) {
        if (!run_state_is_end(run->record.state))
            engine_recover(s->engine, &run->record);
        for (unsigned t = 0; t < SIM_TARGETS; t++) {
            if (run->line_waits[t]) {
                struct sim_event *ev = sim_later(s, 10, EV_LINE, run->id);

                ev->target = t;
                ev->attempt = 1;   /* it may have gone before: it says so */
            }
        }
    }
    engine_resume(s->engine, sim_now(s));
}

/* What the dead daemon had in memory is gone; what it had asked of the world goes on without it. */
void sim_crash(struct sim *s)
{
    s->crashes++;
    store_lose(s, true);
    engine_free(s->engine);
    s->engine = NULL;
    s->mono_ms += sim_between(s, 1, 20000);
    s->wall_ms += sim_between(s, -3000, 20000);
    sim_boot(s);
}

void sim_act(struct sim *s, struct sim_event *ev)
{
    bool dead = ev->life != 0 && ev->life != s->life;

    /* A start request that is under way reaches the backend though the daemon died. */
    if (dead && ev->kind != EV_START && ev->kind != EV_FIRE)
        return;
    switch (ev->kind) {
    case EV_FIRE:
        on_fire(s);
        return;
    case EV_FLUSH:
        store_flush(s);
        return;
    case EV_START:
        on_start(s, ev);
        return;
    case EV_FIND:
        on_find(s, ev);
        return;
    case EV_FOLLOW:
        on_follow(s, ev);
        return;
    case EV_PROCESS_ENDS:
        on_process_ends(s, ev);
        return;
    case EV_COLLECT:
        on_collect(s, ev);
        return;
    case EV_WAKE:
        engine_wake(s->engine, sim_now(s));
        return;
    case EV_LINE:
        on_line(s, ev);
        return;
    case EV_CANCEL:
        engine_cancel(s->engine, sim_now(s), ev->run_id, RUN_CANCELED, "a person asked");
        return;
    case EV_REPEAT_REPORT:
        /* Old news of an attempt reaches the engine only while that attempt is the run's. */
        if (engine_run(s->engine, ev->run_id) != NULL && engine_run(s->engine, ev->run_id)->attempt == ev->attempt)
            engine_started(s->engine, sim_now(s), ev->run_id, "remote", NULL, "in_progress", s->wall_ms);
        return;
    }
}
