/* Following runs to their end: each is looked at soon after its start and then less often; a stop that was asked for is
 * sent, and sent again until the Control Room has taken it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/log.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "belfry/core/pace.h"
#include "robocorp_follow.h"

#define FAULT_BASE_MS 2000
#define FAULT_CAP_MS 60000
#define MISSING_LOOKS 3
#define MISSING_MS 120000        /* a run that the Control Room does not know for that long is lost */

static void send_stop(struct follow *f);

static void follow_free(struct follow *f)
{
    ask_close(&f->ask);
    pages_close(&f->pages);
    free(f->remote_id);
    free(f->process_id);
    free(f);
}

static void follow_drop(struct follow *f)
{
    round_forget(f);
    HASH_DEL(f->b->follows, f);
    HASH_DELETE(hh_remote, f->b->by_remote, f);
    heap_remove(&f->b->polls, &f->due);
    if (f->asking)
        f->dropped = true;
    else
        follow_free(f);
}

/* --- when to look again ------------------------------------------------------------------------------------------- */

void follow_set_timer(struct robocorp *b)
{
    struct heap_node *first = heap_first(&b->polls);
    int64_t wait_ms;

    /* A round looks at what is due by itself. */
    if (first == NULL || b->closing || b->round != NULL) {
        (void)uv_timer_stop(&b->poll);
        return;
    }
    wait_ms = first->due_ms - time_mono_ms();
    (void)uv_timer_start(&b->poll, follow_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void look_in(struct follow *f, int64_t wait_ms)
{
    if (heap_set(&f->b->polls, &f->due, time_mono_ms() + wait_ms) != 0)
        abort();
    follow_set_timer(f->b);
}

static uint64_t dice(void)
{
    uint64_t bytes;

    id_random(&bytes, sizeof bytes);
    return bytes;
}

static void look_later(struct follow *f)
{
    const struct workspace_config *set = f->b->set;

    f->faults = 0;
    look_in(f, pace_poll(set->poll_min_ms, set->poll_max_ms, time_mono_ms() - f->since_ms, dice()));
}

void follow_fault(struct follow *f)
{
    look_in(f, pace_backoff(FAULT_BASE_MS, FAULT_CAP_MS, ++f->faults, dice()));
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void tell_end(struct follow *f, enum run_state outcome, const char *code, const char *message)
{
    const struct backend_reports *r = f->b->base.reports;
    struct run_end end = { .outcome = outcome, .backend_state = f->state, .ended_ms = f->ended_ms, .error_code = code,
        .error_message = message };
    char run_id[ID_SIZE];

    memcpy(run_id, f->run_id, sizeof run_id);
    r->ended(r->data, run_id, &end);
    /* The engine forgets it when its end is on disk; until then nothing more is asked. */
    heap_remove(&f->b->polls, &f->due);
    follow_set_timer(f->b);
}

static bool begin_answer(struct follow *f)
{
    f->asking = false;
    if (f->dropped || f->b->closing) {
        if (f->dropped)
            follow_free(f);
        return false;
    }
    return true;
}

static struct path_words words_of(const struct follow *f)
{
    return (struct path_words) { .process = f->process_id, .run = f->remote_id };
}

static void each_step(void *data, const json_t *step)
{
    struct follow *f = data;
    const char *state = json_str(step, "state");

    f->steps++;
    if (state != NULL && strcmp(state, "completed") == 0)
        f->steps_completed++;
}

/* A run that was asked to stop may have completed all the same: its steps tell. */
static void steps_seen(struct pages *pages, int status)
{
    struct follow *f = pages->data;

    if (!begin_answer(f))
        return;
    if (status != 0 && status != BF_ENOENT && status != BF_EPROTO) {
        follow_fault(f);
        return;
    }
    if (f->steps > 0 && f->steps_completed == f->steps && strcmp(f->state, "completed") == 0)
        tell_end(f, RUN_COMPLETED, NULL, NULL);
    else
        tell_end(f, RUN_CANCELED, NULL, NULL);
}

static void each_failure(void *data, const json_t *item)
{
    struct follow *f = data;
    const json_t *exception = json_object_get(item, "exception");
    const char *code = json_str(exception, "code"), *message = json_str(exception, "message"), *state = json_str(item, "state");
    struct buf text = { 0 };

    if (state != NULL && strcasecmp(state, "failed") != 0)
        return;   /* the older API lists them all */
    if (f->failure[0] != '\0' || !json_is_object(exception))
        return;
    if (code != NULL)
        text_printable(code, strnlen(code, 100), &text);
    if (message != NULL) {
        buf_adds(&text, code != NULL ? ": " : "");
        text_printable(message, strnlen(message, 250), &text);
    }
    (void)snprintf(f->failure, sizeof f->failure, "a work item failed: %s", buf_str(&text));
    buf_close(&text);
}

static void failures_seen(struct pages *pages, int status)
{
    struct follow *f = pages->data;

    if (!begin_answer(f))
        return;
    /* Why it is unresolved is good to know, not needed: a fault here delays no end. */
    (void)status;
    tell_end(f, RUN_FAILED, "unresolved", f->failure[0] != '\0' ? f->failure : "work items failed, or were left over");
}

static void read_list(struct follow *f, const char *route, void (*each)(void *data, const json_t *e),
                      void (*done)(struct pages *pages, int status))
{
    struct path_words words = words_of(f);

    f->asking = true;
    pages_close(&f->pages);
    pages_route(f->b, &f->pages, route, &words, each, done, f);
}

static void has_ended(struct follow *f, bool completed)
{
    const struct dialect *d = f->b->dialect;

    f->failure[0] = '\0';
    if (f->stopped && d->stop != NULL) {
        f->steps = f->steps_completed = 0;
        read_list(f, d->steps, each_step, steps_seen);
    } else if (completed) {
        tell_end(f, RUN_COMPLETED, NULL, NULL);
    } else if (d->run_failed != NULL) {
        read_list(f, d->run_failed, each_failure, failures_seen);
    } else {
        tell_end(f, RUN_FAILED, "unresolved", "the Control Room calls the run failed");
    }
}

/* --- a look ------------------------------------------------------------------------------------------------------- */

static void not_known(struct follow *f)
{
    int64_t now_ms = time_mono_ms();

    if (f->missing++ == 0)
        f->missing_since_ms = now_ms;
    if (f->missing >= MISSING_LOOKS && now_ms - f->missing_since_ms >= MISSING_MS) {
        tell_end(f, RUN_LOST, "lost", "the Control Room no longer knows this run");
        return;
    }
    follow_fault(f);
}

void follow_shown(struct follow *f, const struct room_run *run)
{
    f->missing = 0;
    (void)snprintf(f->state, sizeof f->state, "%s", run->state);
    f->ended_ms = run->ended_ms;
    if (run->meaning != ROOM_OPEN)
        has_ended(f, run->meaning == ROOM_COMPLETED);
    else if (f->stop_wanted)
        send_stop(f);
    else
        look_later(f);
}

static void seen(struct ask *ask)
{
    struct follow *f = ask->data;
    struct room_run run;

    if (!begin_answer(f))
        return;
    if (ask->status == 404) {
        not_known(f);
        return;
    }
    if (ask->outcome != ASKED_GOOD || !dialect_run(f->b->dialect, ask->answer, &run)) {
        follow_fault(f);
        return;
    }
    follow_shown(f, &run);
}

void follow_look(struct follow *f)
{
    struct path_words words = words_of(f);

    f->asking = true;
    heap_remove(&f->b->polls, &f->due);
    ask_close(&f->ask);
    ask_route(f->b, &f->ask, "GET", f->b->dialect->run, &words, NULL, 1, false, seen, f);
}

void follow_timer(uv_timer_t *timer)
{
    struct robocorp *b = timer->data;

    round_begin(b);
}

/* --- stopping ----------------------------------------------------------------------------------------------------- */

static void stop_answered(struct ask *ask)
{
    struct follow *f = ask->data;

    if (!begin_answer(f))
        return;
    if (ask->outcome == ASKED_GOOD) {
        f->stop_wanted = false;
        look_in(f, f->b->set->poll_min_ms);
    } else if (ask->outcome == ASKED_REFUSED) {
        /* It may just have ended: the next look tells. */
        log_warning("run %s: the Control Room does not stop it: %s", f->run_id, ask->error.text);
        f->stop_wanted = false;
        look_in(f, f->b->set->poll_min_ms);
    } else {
        follow_fault(f);
    }
}

static void send_stop(struct follow *f)
{
    struct path_words words = words_of(f);
    json_t *body;

    if (f->b->dialect->stop == NULL) {
        log_warning("run %s cannot be stopped: this API has no way to stop a run; it is followed until it ends", f->run_id);
        f->stop_wanted = false;
        look_later(f);
        return;
    }
    /* However it is stopped: left to themselves, the activity runs would go on as long as they like. */
    body = json_pack("{s:b, s:b, s:s}", "set_remaining_work_items_as_done", 1, "terminate_ongoing_activity_runs", 1, "reason",
                     "stopped by Belfry");

    f->asking = true;
    ask_close(&f->ask);
    /* Stopping twice is no harm. */
    ask_route(f->b, &f->ask, "POST", f->b->dialect->stop, &words, body, 1, false, stop_answered, f);
}

/* --- orders ------------------------------------------------------------------------------------------------------- */

static struct follow *find_follow(const struct robocorp *b, const char *run_id)
{
    struct follow *f;

    HASH_FIND_STR(b->follows, run_id, f);
    return f;
}

void robocorp_follow(struct backend *base, const struct run_record *run, const struct process_config *process)
{
    struct robocorp *b = (struct robocorp *)base;
    struct follow *f = find_follow(b, run->id);
    int64_t age_ms = run->started_ms > 0 ? time_wall_ms() - run->started_ms : 0;

    if (f != NULL && run->remote_id != NULL && strcmp(f->remote_id, run->remote_id) == 0)
        return;
    if (f != NULL)
        follow_drop(f);   /* an earlier attempt */
    f = calloc(1, sizeof *f);
    if (f == NULL || (f->remote_id = strdup(run->remote_id != NULL ? run->remote_id : "")) == NULL)
        abort();
    f->b = b;
    memcpy(f->run_id, run->id, sizeof f->run_id);
    f->process_id = memo_process(run->memo);
    if (f->process_id == NULL && process != NULL && process->process_id != NULL)
        f->process_id = strdup(process->process_id);
    heap_node_init(&f->due);
    f->since_ms = time_mono_ms() - (age_ms > 0 ? age_ms : 0);
    f->stopped = run->stop_as != RUN_QUEUED;
    HASH_ADD_STR(b->follows, run_id, f);
    HASH_ADD_KEYPTR(hh_remote, b->by_remote, f->remote_id, strlen(f->remote_id), f);
    look_in(f, age_ms > 0 && age_ms < b->set->poll_min_ms ? b->set->poll_min_ms - age_ms : b->set->poll_min_ms / 2);
}

/* A round under way may be a long one: it is not waited for. */
static void look_now(struct follow *f)
{
    if (!f->asking && f->b->round != NULL)
        follow_look(f);
    else if (!f->asking)
        look_in(f, 0);
}

void robocorp_stop(struct backend *base, const struct run_record *run, const struct process_config *process, enum stop_how how)
{
    struct robocorp *b = (struct robocorp *)base;
    struct follow *f = find_follow(b, run->id);

    if (how == STOP_BEGINNING)
        return;   /* what the Control Room begins of the one run is its own */
    if (f == NULL)
        robocorp_follow(base, run, process);
    f = find_follow(b, run->id);
    f->stop_wanted = true;
    f->stopped = true;
    /* The next look sends it: a run that has ended by then is left in peace. */
    look_now(f);
}

void robocorp_look(struct backend *base, const char *run_id)
{
    struct follow *f = find_follow((struct robocorp *)base, run_id);

    /* One whose end was told is looked at no more. */
    if (f != NULL && f->due.index != HEAP_NOT_IN)
        look_now(f);
}

void robocorp_forget(struct backend *base, const char *run_id)
{
    struct follow *f = find_follow((struct robocorp *)base, run_id);

    if (f != NULL)
        follow_drop(f);
}

void follow_drop_all(struct robocorp *b)
{
    struct follow *f, *next;

    HASH_ITER(hh, b->follows, f, next)
        follow_drop(f);
}
