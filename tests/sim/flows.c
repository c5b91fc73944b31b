/*
 * flows: seeds of a smaller simulated world, of one run's work items: the real flow and the real registry of flows above a store that
 * loses what was not synced, below a backend and robots that are killed, whose answers are lost and whose requests come twice, beside
 * a person who has items tried again.
 *
 * What it holds the flow to:
 *   what was answered is on disk;
 *   no two robots work on one item, and none is done twice;
 *   an output that was answered is there once, unless its item was tried again;
 *   the run ends, and what a daemon reads back says the same of its end;
 *   when nothing fails any more, a run that is tried again is completed: every item is done.
 *
 * `flows` for 5,000, `flows --seeds N` for more, `flows --seed N` repeats one, loudly.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "belfry/base/text.h"
#include "belfry/core/flows.h"

#define RUN "0190d5a0-0000-7000-8000-000000000001"
#define STORM 600                  /* moves, while things go wrong */
#define CALM 20000                 /* and how many they may take to come right */
#define ROBOTS 400
#define PAYLOAD_SIZE 160

/* A crash drops what was on its way, as a process that dies does: no leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

enum want { WANT_ITEM, WANT_OUTPUT, WANT_RELEASE, WANT_LATE_OUTPUT /* of an item that it has failed */, WANT_END };

/* A process that a step run is: it outlives the daemon. */
struct robot {
    char id[ID_SIZE];              /* the step run's */
    int step;
    bool alive, seen_off;          /* its end has been taken note of, in this life of the daemon */
    bool speaks, list;
    enum want want;
    char item[ITEM_ID_SIZE];       /* that it works on; "": none */
    bool release_sent;
    bool asking;                   /* a request is under way */
    unsigned made, to_make;
    bool fails_item;
    int exit_code;
};

struct stored_item {
    struct item_record r;
    unsigned done;                 /* releases as done that were answered */
    bool tried_again;
    UT_hash_handle hh;
};

struct stored_run {
    struct step_record r;
    UT_hash_handle hh;
};

/* What happened to an item, whatever the flow knows of it. */
struct mark {
    char id[ITEM_ID_SIZE];
    bool released;                 /* as done */
    bool wished;                   /* tried again by a person */
    UT_hash_handle hh;
};

struct answered_output {
    char payload[PAYLOAD_SIZE];
    char parent[ITEM_ID_SIZE];
    UT_hash_handle hh;
};

struct sim {
    uint64_t dice;
    struct flow_step steps[4];
    size_t step_count;
    struct flows *flows;
    unsigned life, attempt, tries;
    struct commit *pending, **tail;
    struct stored_item *items;
    struct stored_run *runs;
    struct answered_output *outputs;
    struct mark *marks;
    struct robot robots[ROBOTS];
    size_t robot_count;
    unsigned ids;
    int64_t now_ms;
    bool storm;
    enum { RUN_IS_OVER, RUN_WAITS, RUN_GOES_ON } run;   /* on disk */
    bool stopping;                 /* on disk, with the run */
    bool ending, reopening;
    struct run_end end;
    char words[256];
    unsigned crashes, moves;
    bool loud;
    char fault[256];
};

/* --- small helps -------------------------------------------------------------------------------------------------- */

static uint64_t dice(struct sim *s)
{
    s->dice ^= s->dice << 13;
    s->dice ^= s->dice >> 7;
    s->dice ^= s->dice << 17;
    return s->dice * UINT64_C(0x2545F4914F6CDD1D);
}

static bool chance(struct sim *s, unsigned percent)
{
    return (dice(s) >> 33) % 100 < percent;
}

static unsigned below(struct sim *s, unsigned n)
{
    return (unsigned)((dice(s) >> 33) % n);
}

static void fault(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct sim *s, const char *format, ...)
{
    va_list ap;

    if (s->fault[0] != '\0')
        return;
    va_start(ap, format);
    (void)vsnprintf(s->fault, sizeof s->fault, format, ap);
    va_end(ap);
}

static void tell(const struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(const struct sim *s, const char *format, ...)
{
    va_list ap;

    if (!s->loud)
        return;
    printf("%5u  life %-3u ", s->moves, s->life);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
}

static void new_id(struct sim *s, char id[ID_SIZE])
{
    (void)snprintf(id, ID_SIZE, "0190d5a0-0000-7000-9000-%012u", ++s->ids);
}

static struct flow *flow_of(const struct sim *s)
{
    return flows_find(s->flows, RUN);
}

static struct robot *robot_of(struct sim *s, const char *id)
{
    for (size_t i = 0; i < s->robot_count; i++) {
        if (strcmp(s->robots[i].id, id) == 0)
            return &s->robots[i];
    }
    return NULL;
}

static struct mark *mark_of(struct sim *s, const char *item)
{
    struct mark *m;

    HASH_FIND_STR(s->marks, item, m);
    if (m == NULL) {
        m = calloc(1, sizeof *m);
        (void)snprintf(m->id, sizeof m->id, "%s", item);
        HASH_ADD_STR(s->marks, id, m);
    }
    return m;
}

/* --- the store ---------------------------------------------------------------------------------------------------- */

static void store_item(struct sim *s, const struct record *r)
{
    struct stored_item *item;
    char *payload = NULL;

    HASH_FIND_STR(s->items, r->item->id, item);
    if (r->kind == RECORD_ITEM_ADD ? item != NULL : item == NULL && r->kind != RECORD_ITEM_DROP)
        fault(s, "the item %s is %s", r->item->id, item != NULL ? "added twice" : "moved before it is there");
    if (r->kind == RECORD_ITEM_DROP) {
        if (item != NULL) {
            HASH_DEL(s->items, item);
            item_record_close(&item->r);
            free(item);
        }
        return;
    }
    if (item == NULL) {
        item = calloc(1, sizeof *item);
        memcpy(item->r.id, r->item->id, sizeof item->r.id);
        HASH_ADD_STR(s->items, r.id, item);
        payload = r->item->payload != NULL ? strdup(r->item->payload) : NULL;
        if (payload == NULL)
            fault(s, "the item %s is added without a payload", r->item->id);
    } else {
        payload = item->r.payload != NULL ? strdup(item->r.payload) : NULL;
        if (item->r.state == ITEM_DONE && r->item->state != ITEM_DONE)
            fault(s, "the item %s was done, and is %s", r->item->id, item_state_name(r->item->state));
        if (item->r.state == ITEM_FAILED && r->item->state != ITEM_FAILED)
            item->tried_again = true;
        item_record_close(&item->r);
    }
    if (item_record_copy(&item->r, r->item) != 0)
        abort();
    free(item->r.payload);   /* a move does not write it */
    item->r.payload = payload;
}

static void store_run(struct sim *s, const struct record *r)
{
    struct stored_run *run;

    HASH_FIND_STR(s->runs, r->step_run->id, run);
    if (run != NULL) {
        HASH_DEL(s->runs, run);
        step_record_close(&run->r);
        free(run);
    }
    if (r->kind == RECORD_STEP_RUN_DROP)
        return;
    run = calloc(1, sizeof *run);
    if (run == NULL || step_record_copy(&run->r, r->step_run) != 0)
        abort();
    HASH_ADD_STR(s->runs, r.id, run);
}

static void apply(struct sim *s, const struct commit *commit)
{
    for (size_t i = 0; i < commit->count; i++) {
        const struct record *r = &commit->records[i];

        if (r->kind == RECORD_RUN_SET) {
            s->attempt += r->value == RUN_WAITS;
            s->run = (unsigned)r->value;
        } else if (r->kind == RECORD_STEP_RUN || r->kind == RECORD_STEP_RUN_DROP)
            store_run(s, r);
        else
            store_item(s, r);
    }
}

static void store_commit(void *data, struct commit *commit)
{
    struct sim *s = data;

    commit->next = NULL;
    *s->tail = commit;
    s->tail = &commit->next;
}

static struct commit *take(struct sim *s)
{
    struct commit *commit = s->pending;

    s->pending = commit->next;
    if (s->pending == NULL)
        s->tail = &s->pending;
    return commit;
}

/* Commits become durable in their order, several at once; then who waits is told. */
static void flush(struct sim *s)
{
    struct commit *batch[8];
    size_t count = 0, most = 1 + below(s, 8);

    while (s->pending != NULL && count < most)
        batch[count++] = take(s);
    for (size_t i = 0; i < count; i++)
        apply(s, batch[i]);
    for (size_t i = 0; i < count; i++)
        batch[i]->cb(batch[i], 0);
}

/* --- the daemon: a backend as small as can be ---------------------------------------------------------------------- */

struct note {
    struct sim *s;
    char id[ID_SIZE];
};

static struct note *note_new(struct sim *s, const char *id)
{
    struct note *n = calloc(1, sizeof *n);

    if (n == NULL)
        abort();
    n->s = s;
    memcpy(n->id, id, sizeof n->id);
    return n;
}

static void go(struct sim *s);

static const struct record run_waits = { .kind = RECORD_RUN_SET, .value = RUN_WAITS }, run_goes_on = { .kind = RECORD_RUN_SET,
    .value = RUN_GOES_ON };

static void saved_then_go(void *data, int status)
{
    (void)status;
    go(data);
}

static void save(struct sim *s)
{
    flows_save(s->flows, flow_of(s), NULL, 0, saved_then_go, s);
}

static void first_item(void *data, const struct item_record *item)
{
    struct robot *r = data;

    if (r->item[0] == '\0')
        memcpy(r->item, item->id, sizeof r->item);
}

static void check_alone(struct sim *s, const struct robot *r)
{
    for (size_t i = 0; i < s->robot_count; i++) {
        const struct robot *other = &s->robots[i];

        if (other != r && other->alive && !other->list && !other->release_sent && strcmp(other->item, r->item) == 0)
            fault(s, "two robots work on %s: %s and %s", r->item, other->id, r->id);
    }
}

static void begin_item(struct sim *s, struct robot *r)
{
    r->made = 0;
    r->to_make = below(s, 4);
    r->fails_item = s->storm && chance(s, 15);
    r->release_sent = false;
    r->want = r->to_make > 0 ? WANT_OUTPUT : WANT_RELEASE;
    check_alone(s, r);
}

static void launch(struct sim *s, const struct step_record *record)
{
    struct robot *r = &s->robots[s->robot_count];

    if (s->robot_count == ROBOTS) {
        fault(s, "there is no end of step runs");
        return;
    }
    if (robot_of(s, record->id) != NULL)
        fault(s, "the step run %s was started twice", record->id);
    s->robot_count++;
    *r = (struct robot) { .step = record->step, .alive = true, .list = s->steps[record->step].list };
    memcpy(r->id, record->id, sizeof r->id);
    r->speaks = !r->list && chance(s, 80);
    r->want = WANT_END;
    if (r->speaks) {
        flow_each_held(flow_of(s), r->id, first_item, r);
        begin_item(s, r);
    }
    tell(s, "start %s of step %d with %s", r->id, r->step, r->item);
    flow_began(flow_of(s), r->id, s->now_ms);
    save(s);
}

static void intent_saved(void *data, int status)
{
    struct note *n = data;
    struct sim *s = n->s;
    const struct step_record *record = flow_step_run(flow_of(s), n->id);

    (void)status;
    if (record != NULL && record->state == STEP_NEW && s->storm && chance(s, 10)) {
        tell(s, "%s cannot be started", n->id);
        flow_not_begun(flow_of(s), n->id, s->now_ms);
        save(s);
    } else if (record != NULL && record->state == STEP_NEW) {
        launch(s, record);
    }
    free(n);
}

static void end_saved(void *data, int status)
{
    struct sim *s = data;

    (void)status;
    tell(s, "the run is over: %s", s->end.backend_state);
    s->run = RUN_IS_OVER;
    s->stopping = false;
    s->ending = false;
    flows_drop(s->flows, RUN);
}

static void go(struct sim *s)
{
    const struct step_record *record;
    char id[ID_SIZE];

    if (s->run != RUN_GOES_ON || s->ending || flow_of(s) == NULL)
        return;
    if (s->stopping) {
        flow_halt(flow_of(s));
        if (flow_active(flow_of(s)) == 0)
            flow_settle_waiting(flow_of(s), s->now_ms, false, "canceled", "stopped");
    }
    for (;;) {
        new_id(s, id);
        switch (flow_next(flow_of(s), s->now_ms, id, &record)) {
        case FLOW_WAIT:
            return;
        case FLOW_START:
            flows_save(s->flows, flow_of(s), NULL, 0, intent_saved, note_new(s, record->id));
            continue;
        case FLOW_OVER:
            s->ending = true;
            flow_outcome(flow_of(s), &s->end, s->words);
            flows_save(s->flows, flow_of(s), NULL, 0, end_saved, s);
            return;
        }
    }
}

/* What a list of outputs becomes, with the end, in one commit. */
static void take_list(struct sim *s, const struct robot *r)
{
    char id[ID_SIZE], payload[PAYLOAD_SIZE];
    const struct item_record *made;
    struct robot first = { .item = "" };
    unsigned count = below(s, 3);

    flow_each_held(flow_of(s), r->id, first_item, &first);
    for (unsigned i = 0; i < count; i++) {
        new_id(s, id);
        (void)snprintf(payload, sizeof payload, "\"%s list %u\"", r->id, i);
        if (flow_output(flow_of(s), r->id, first.item, s->now_ms, id, payload, &made) == 0)
            flow_told(flow_of(s), made->id);
    }
    flow_spoke(flow_of(s), r->id);
}

static void robot_ended(struct sim *s, struct robot *r)
{
    struct run_end end = { .outcome = r->exit_code == 0 ? RUN_COMPLETED : RUN_FAILED, .ended_ms = s->now_ms, .has_exit_code = true,
        .exit_code = r->exit_code, .error_code = r->exit_code == 0 ? NULL : "exit_code" };

    r->seen_off = true;
    tell(s, "%s has ended with %d", r->id, r->exit_code);
    if (r->list && chance(s, 70))
        take_list(s, r);
    flow_ended(flow_of(s), r->id, &end);
    save(s);
}

static void begin_attempt(struct sim *s)
{
    flow_begin_attempt(flow_of(s), s->attempt, s->now_ms);
    flows_save(s->flows, flow_of(s), &run_goes_on, 1, saved_then_go, s);
}

static struct flow *read_flow(const struct sim *s)
{
    const struct stored_run *run, *next_run;
    const struct stored_item *item, *next_item;
    struct flow *flow;

    if (flow_new(RUN, "ws", "orders", s->steps, s->step_count, &flow) != 0)
        abort();
    HASH_ITER(hh, s->runs, run, next_run) {
        if (flow_put_step_run(flow, &run->r) != 0)
            abort();
    }
    HASH_ITER(hh, s->items, item, next_item) {
        if (flow_put_item(flow, &item->r) != 0)
            abort();
    }
    flow_set_attempt(flow, s->attempt);
    return flow;
}

static void take_up(void *data, const struct step_record *record)
{
    struct sim *s = data;
    const struct robot *r = robot_of(s, record->id);

    if (record->state == STEP_NEW && r == NULL)
        flow_not_begun(flow_of(s), record->id, s->now_ms);
    else if (record->state == STEP_NEW)
        flow_began(flow_of(s), record->id, s->now_ms);
    else if (record->state == STEP_RUNNING && r == NULL)
        fault(s, "the step run %s runs, and was never started", record->id);
}

static void boot(struct sim *s)
{
    const struct flows_world world = { .data = s, .commit = store_commit };

    if (flows_new(&world, &s->flows) != 0)
        abort();
    s->life++;
    s->ending = s->reopening = false;
    if (s->run == RUN_IS_OVER)
        return;
    flows_add(s->flows, read_flow(s));
    flow_each_step_run(flow_of(s), take_up, s);
    for (size_t i = 0; i < s->robot_count; i++)
        s->robots[i].seen_off = flow_step_run(flow_of(s), s->robots[i].id) == NULL || flow_step_run(flow_of(s), s->robots[i].id)->state > STEP_RUNNING;
    if (s->run == RUN_WAITS)
        begin_attempt(s);
    else
        save(s);
}

/* Some of what was on its way had reached the disk, and nobody was told. */
static void crash(struct sim *s)
{
    tell(s, "the daemon is killed");
    s->crashes++;
    while (s->pending != NULL && chance(s, 50))
        apply(s, take(s));
    s->pending = NULL;
    s->tail = &s->pending;
    for (size_t i = 0; i < s->robot_count; i++)
        s->robots[i].asking = false;   /* they ask again */
    flows_free(s->flows);
    boot(s);
}

/* --- robots ------------------------------------------------------------------------------------------------------- */

struct request {
    struct sim *s;
    char robot[ID_SIZE];
    enum want want;
    char item[ITEM_ID_SIZE];       /* asked for, or made, or got */
    char payload[PAYLOAD_SIZE];
    bool none;                     /* no item waits */
};

static void answer_output(struct sim *s, struct robot *r, const struct request *q)
{
    struct answered_output *output;
    struct stored_item *item;

    HASH_FIND_STR(s->items, q->item, item);
    if (item == NULL && flow_step_run(flow_of(s), r->id) != NULL) {
        struct stored_item *parent;

        HASH_FIND_STR(s->items, r->item, parent);
        if (parent != NULL && !parent->tried_again)
            fault(s, "the output %s was answered and is not on disk", q->item);
    }
    HASH_FIND_STR(s->outputs, q->payload, output);
    if (output == NULL) {
        output = calloc(1, sizeof *output);
        memcpy(output->payload, q->payload, sizeof output->payload);
        memcpy(output->parent, r->item, sizeof output->parent);
        HASH_ADD_STR(s->outputs, payload, output);
    }
    flow_told(flow_of(s), q->item);
    flows_save(s->flows, flow_of(s), NULL, 0, NULL, NULL);
    if (++r->made == r->to_make)
        r->want = WANT_RELEASE;
}

static void answer_release(struct sim *s, struct robot *r)
{
    struct stored_item *item;

    HASH_FIND_STR(s->items, r->item, item);
    if (item == NULL)
        fault(s, "the item %s is gone", r->item);
    else if (!r->fails_item && item->r.state != ITEM_DONE)
        fault(s, "the release of %s was answered and is not on disk", r->item);
    else if (!r->fails_item && ++item->done > 1)
        fault(s, "the item %s was done twice", r->item);
    r->want = r->fails_item && chance(s, 30) ? WANT_LATE_OUTPUT : WANT_ITEM;
    if (r->want == WANT_ITEM)
        r->item[0] = '\0';
}

static void answer_item(struct sim *s, struct robot *r, const struct request *q)
{
    if (q->none) {
        r->want = WANT_END;
        return;
    }
    memcpy(r->item, q->item, sizeof r->item);
    begin_item(s, r);
}

static void answered(void *data, int status)
{
    struct request *q = data;
    struct sim *s = q->s;
    struct robot *r = robot_of(s, q->robot);

    (void)status;
    r->asking = false;
    if (!r->alive || (s->storm && chance(s, 20)))
        tell(s, "an answer to %s is lost", q->robot);
    else if (q->want == WANT_OUTPUT)
        answer_output(s, r, q);
    else if (q->want == WANT_RELEASE)
        answer_release(s, r);
    else if (q->want == WANT_LATE_OUTPUT)
        r->want = WANT_ITEM;
    else
        answer_item(s, r, q);
    free(q);
}

/* What it asked for cannot be had: it was taken from it, and it gives up, as the vendor's libraries do on a 404. */
static void refused(struct sim *s, struct robot *r)
{
    tell(s, "%s is refused", r->id);
    if (r->want == WANT_ITEM || !mark_of(s, r->item)->wished)
        fault(s, "the robot %s is refused its request (%d) for %s", r->id, (int)r->want, r->item);
    r->alive = false;
    r->exit_code = 1;
}

static void ask(struct sim *s, struct robot *r)
{
    struct request *q = calloc(1, sizeof *q);
    const struct item_record *item = NULL;
    struct flow *flow = flow_of(s);
    char id[ID_SIZE];
    int status = BF_ENOENT;

    if (q == NULL)
        abort();
    q->s = s;
    q->want = r->want;
    memcpy(q->robot, r->id, sizeof q->robot);
    if (flow != NULL && r->want == WANT_ITEM) {
        status = flow_reserve(flow, r->id, s->now_ms, &item);
        q->none = item == NULL;
    } else if (flow != NULL && (r->want == WANT_OUTPUT || r->want == WANT_LATE_OUTPUT)) {
        (void)snprintf(q->payload, sizeof q->payload, "\"%s %s %u%s\"", r->id, r->item, r->made, r->want == WANT_OUTPUT ? "" : " late");
        new_id(s, id);
        status = flow_output(flow, r->id, r->item, s->now_ms, id, q->payload, &item);
    } else if (flow != NULL) {
        r->release_sent = true;
        status = flow_release(flow, r->id, r->item, s->now_ms, r->fails_item ? ITEM_FAILED : ITEM_DONE, EXCEPTION_BUSINESS, "BAD", "bad");
    }
    if (status != 0) {
        free(q);
        refused(s, r);
        return;
    }
    if (item != NULL)
        memcpy(q->item, item->id, sizeof q->item);
    if (r->want == WANT_RELEASE && !r->fails_item)
        mark_of(s, r->item)->released = true;
    tell(s, "%s asks (%d): %s", r->id, (int)r->want, item != NULL ? item->id : r->item);
    r->asking = true;
    flows_save(s->flows, flow, NULL, 0, answered, q);
}

static void robot_moves(struct sim *s)
{
    struct robot *r = &s->robots[below(s, (unsigned)s->robot_count)];

    if (!r->alive) {
        if (!r->seen_off && flow_of(s) != NULL && !s->ending)
            robot_ended(s, r);
        return;
    }
    if (s->storm && chance(s, 3)) {
        tell(s, "%s dies", r->id);
        r->alive = false;
        r->exit_code = 1;
    } else if (r->want == WANT_END) {
        r->alive = false;
    } else if (!r->asking) {
        ask(s, r);
    }
}

/* --- a person ----------------------------------------------------------------------------------------------------- */

static void reopened(void *data, int status)
{
    struct sim *s = data;

    (void)status;
    tell(s, "the run goes on");
    s->reopening = false;
    begin_attempt(s);
}

static void person(struct sim *s)
{
    const struct stored_item *item, *next;
    struct flow *flow;

    if (s->reopening || s->ending)
        return;
    if (s->run == RUN_GOES_ON) {
        if (chance(s, 10)) {
            tell(s, "a person stops the run");
            s->stopping = true;
            save(s);
            return;
        }
        HASH_ITER(hh, s->items, item, next) {
            if (chance(s, 50) && flow_wish(flow_of(s), item->r.id, WISH_RETRY, s->now_ms)) {
                tell(s, "a person has %s tried again", item->r.id);
                mark_of(s, item->r.id)->wished = true;
                save(s);
                return;
            }
        }
        return;
    }
    if (s->run == RUN_WAITS)
        return;
    flow = read_flow(s);
    if (flow_retry_failed(flow, s->now_ms) == 0) {
        flow_free(flow);
        return;
    }
    tell(s, "a person has the run tried again");
    s->tries++;
    s->reopening = true;
    flows_add(s->flows, flow);
    flows_save(s->flows, flow, &run_waits, 1, reopened, s);
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static void check_end(struct sim *s)
{
    struct flow *flow = read_flow(s);
    const struct answered_output *output, *next_output;
    const struct stored_item *item, *next;
    struct run_end end;
    char words[256];

    flow_outcome(flow, &end, words);
    if (end.outcome != s->end.outcome)
        fault(s, "the run ended %s, and what is on disk says %s", s->end.backend_state, end.backend_state);
    if (flow_active(flow) > 0 || flow_waiting(flow) > 0)
        fault(s, "the run is over, and something is still to be done");
    HASH_ITER(hh, s->items, item, next) {
        if (end.outcome == RUN_COMPLETED && (size_t)item->r.step < s->step_count && item->r.state != ITEM_DONE)
            fault(s, "the run is completed, and the item %s is %s", item->r.id, item_state_name(item->r.state));
        if ((size_t)item->r.step < s->step_count && item->r.state == ITEM_DONE && !mark_of(s, item->r.id)->released &&
            robot_of(s, item->r.step_run) != NULL && robot_of(s, item->r.step_run)->speaks)
            fault(s, "the item %s is done, and nobody did it", item->r.id);
        if ((size_t)item->r.step == s->step_count && item->r.state != ITEM_NEW)
            fault(s, "the output %s is %s", item->r.id, item_state_name(item->r.state));
    }
    HASH_ITER(hh, s->outputs, output, next_output) {
        const struct stored_item *parent;
        unsigned count = 0;

        HASH_ITER(hh, s->items, item, next)
            count += strcmp(item->r.payload, output->payload) == 0;
        HASH_FIND_STR(s->items, output->parent, parent);
        if (count > 1 || (count == 0 && parent != NULL && !parent->tried_again))
            fault(s, "the output %s is there %u times", output->payload, count);
    }
    flow_free(flow);
}

static bool at_rest(const struct sim *s)
{
    if (s->pending != NULL || s->run != RUN_IS_OVER)
        return false;
    for (size_t i = 0; i < s->robot_count; i++) {
        if (s->robots[i].alive)
            return false;
    }
    return true;
}

static void move(struct sim *s)
{
    s->moves++;
    s->now_ms++;
    if (s->storm && chance(s, 2))
        crash(s);
    else if (s->storm && chance(s, 2))
        person(s);
    else if (s->pending != NULL && chance(s, 50))
        flush(s);
    else if (s->robot_count > 0)
        robot_moves(s);
}

static void begin(struct sim *s)
{
    static const char *const names[] = { "one", "two", "three" };
    unsigned inputs = 1 + below(s, 12);
    struct flow *flow;

    s->step_count = 1 + below(s, 3);
    for (size_t i = 0; i < s->step_count; i++)
        s->steps[i] = (struct flow_step) { .name = names[i], .max_parallel = 1 + below(s, 3), .each = chance(s, 30), .list = chance(s, 25) };
    s->attempt = 1;
    boot(s);
    s->run = RUN_GOES_ON;
    if (flow_new(RUN, "ws", "orders", s->steps, s->step_count, &flow) != 0)
        abort();
    for (unsigned i = 0; i < inputs; i++) {
        char id[ITEM_ID_SIZE];

        item_input_id(RUN, i, id);
        if (flow_add_input(flow, s->now_ms, id, "{}", false) != 0)
            abort();
    }
    flow_set_attempt(flow, 1);
    flows_add(s->flows, flow);
    save(s);
    while (s->pending != NULL)   /* the run is there: what follows may go wrong */
        flush(s);
}

static void come_to_rest(struct sim *s)
{
    for (unsigned i = 0; i < CALM && s->fault[0] == '\0' && !at_rest(s); i++)
        move(s);
    if (s->fault[0] == '\0' && !at_rest(s))
        fault(s, "something still moves, or waits, long after all was calm");
    if (s->fault[0] == '\0')
        check_end(s);
}

#define FREE_ALL(list, close) \
    HASH_ITER(hh, list, at, next) { \
        HASH_DEL(list, at); \
        close; \
        free(at); \
    }

static void sim_free(struct sim *s)
{
    {
        struct stored_item *at, *next;
        FREE_ALL(s->items, item_record_close(&at->r))
    }
    {
        struct stored_run *at, *next;
        FREE_ALL(s->runs, step_record_close(&at->r))
    }
    {
        struct answered_output *at, *next;
        FREE_ALL(s->outputs, )
    }
    {
        struct mark *at, *next;
        FREE_ALL(s->marks, )
    }
    flows_free(s->flows);
    free(s);
}

static bool run_seed(uint64_t seed, bool loud)
{
    struct sim *s = calloc(1, sizeof *s);
    bool good;

    if (s == NULL)
        abort();
    s->dice = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    s->now_ms = 1000;
    s->tail = &s->pending;
    s->loud = loud;
    begin(s);
    s->storm = true;
    while (s->moves < STORM && s->fault[0] == '\0')
        move(s);
    s->storm = false;
    come_to_rest(s);
    /* What failed in the storm is tried again in the calm. */
    if (s->fault[0] == '\0' && s->end.outcome != RUN_COMPLETED) {
        person(s);
        if (s->reopening) {
            come_to_rest(s);
            if (s->end.outcome != RUN_COMPLETED)
                fault(s, "nothing fails any more, and the run ended %s", s->end.backend_state);
        }
    }
    good = s->fault[0] == '\0';
    if (!good)
        printf("seed %llu: %s (life %u, %u moves)\n", (unsigned long long)seed, s->fault, s->life, s->moves);
    else if (loud)
        printf("seed %llu: %zu step runs, %u crashes, %u attempts, all promises kept\n", (unsigned long long)seed, s->robot_count, s->crashes,
               s->attempt);
    sim_free(s);
    return good;
}

int main(int argc, char **argv)
{
    int64_t count = 5000, first = 1;
    unsigned failed = 0;

    if (argc == 3 && strcmp(argv[1], "--seed") == 0 && text_int(argv[2], 0, INT64_MAX, &first) == 0)
        return run_seed((uint64_t)first, true) ? 0 : 1;
    if (!(argc == 1 || (argc == 3 && strcmp(argv[1], "--seeds") == 0 && text_int(argv[2], 1, INT64_MAX, &count) == 0))) {
        fprintf(stderr, "usage: flows [--seed N | --seeds COUNT]\n");
        return 2;
    }
    for (int64_t i = 0; i < count; i++)
        failed += !run_seed((uint64_t)(first + i), false);
    printf("%lld passed, %u failed\n", (long long)count - failed, failed);
    return failed > 0;
}
