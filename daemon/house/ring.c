/* Every firing, whatever rang, goes this way: when, key, input, then the engine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/core/event.h"
#include "belfry/core/item.h"
#include "house.h"

#define KEY_LIVES_MS (24 * 60 * 60 * INT64_C(1000))

enum question { ASK_WHEN, ASK_KEY, ASK_INPUT, ASK_NOTHING };

struct ringing {
    struct house *house;
    struct firing *firing;
    enum question question;
    struct evaluation evaluation;
    struct admission admission;
    struct record *with;          /* the firing's own, and the claim of its key */
    char *event, *input, *key;
    char key_scope[160];
    json_t *items;                /* the array of payloads; NULL: the event's default one */
    int status;
};

static void finish(void *data)
{
    struct ringing *r = data;
    struct firing *f = r->firing;
    int status = r->status;

    free(r->event);
    free(r->input);
    free(r->key);
    free(r->with);
    json_decref(r->items);
    free(r);
    f->pending = NULL;
    f->cb(f, status);
}

static void finish_later(struct ringing *r, int status)
{
    r->status = status;
    later_do(&r->house->later, finish, r);
}

/* --- admission ---------------------------------------------------------------------------------------------------- */

static void admitted(struct admission *a, int status)
{
    struct ringing *r = a->data;

    memcpy(r->firing->run_id, a->run_id, sizeof r->firing->run_id);
    r->firing->state = a->state;
    r->status = status;
    if (status != 0 && status != BF_EEXIST)
        error_set(&r->firing->error, status, "the firing could not be written down: %s", error_name(status));
    finish(r);
}

static bool gather_records(struct ringing *r, int64_t now_ms)
{
    const struct firing *f = r->firing;
    size_t n = f->with_count;

    r->with = calloc(n + 1, sizeof *r->with);
    if (r->with == NULL)
        return false;
    if (n > 0)
        memcpy(r->with, f->with, n * sizeof *r->with);
    if (r->key != NULL)
        r->with[n++] = (struct record) { .kind = RECORD_CLAIM, .scope = r->key_scope, .key = r->key,
            .value = now_ms + KEY_LIVES_MS, .now_ms = now_ms };
    r->admission.with = r->with;
    r->admission.with_count = n;
    return true;
}

static void admit(struct ringing *r)
{
    struct firing *f = r->firing;
    struct admission *a = &r->admission;
    struct instant now = time_now();
    int status;

    if (r->items == NULL && f->input != NULL)
        r->items = json_incref(f->input);
    if (json_array_size(r->items) > ITEMS_MAX) {
        error_set(&f->error, BF_EINVAL, "the input has %zu work items: a run takes %d at most", json_array_size(r->items), ITEMS_MAX);
        finish_later(r, BF_EINVAL);
        return;
    }
    r->event = json_text(f->event);
    r->input = r->items != NULL ? json_text(r->items) : NULL;
    if (r->event == NULL || (r->items != NULL && r->input == NULL) || !gather_records(r, now.wall_ms)) {
        error_set(&f->error, BF_ENOMEM, "out of memory");
        finish_later(r, BF_ENOMEM);
        return;
    }
    a->process = f->process->name;
    a->kind = f->kind;
    a->trigger_name = f->trigger_name;
    a->overlap = f->overlap != OVERLAP_UNSET ? f->overlap : (enum overlap)f->process->overlap;
    memcpy(a->id, f->id, sizeof a->id);
    a->event = r->event;
    a->input = r->input;
    a->due_ms = f->due_ms;
    a->claim_scope = f->claim_scope;
    a->claim_key = f->claim_key;
    a->claim_until_ms = f->claim_until_ms;
    a->refuse_when_full = f->refuse_when_full;
    a->skip_reason = f->skip_reason;
    a->cb = admitted;
    a->data = r;
    status = engine_admit(r->house->engine, now, a);
    if (status == 0)
        return;
    if (status == BF_ENOENT)
        error_set(&f->error, status, "the process %s is no longer in the configuration", f->process->name);
    else if (status == BF_EAGAIN)
        error_set(&f->error, status, "the queue of process %s is full (queue_limit)", f->process->name);
    else
        error_set(&f->error, status, "out of memory");
    finish_later(r, status);
}

/* --- programs ----------------------------------------------------------------------------------------------------- */

static const char *program_for(const struct ringing *r, enum question question)
{
    const struct firing *f = r->firing;

    switch (question) {
    case ASK_WHEN:
        return f->when;
    case ASK_KEY:
        return f->key;
    case ASK_INPUT:
        return f->input != NULL || f->skip_reason != NULL ? NULL : f->program != NULL ? f->program : f->process->input;
    case ASK_NOTHING:
        break;
    }
    return NULL;
}

static void ask_next(struct ringing *r);

static void take_key(struct ringing *r, const json_t *result)
{
    r->key = json_is_string(result) ? strdup(json_string_value(result)) : json_text_sorted(result);
    (void)snprintf(r->key_scope, sizeof r->key_scope, "key/%s/%s", trigger_kind_name(r->firing->kind),
                   r->firing->trigger_name);
}

static void answered(struct evaluation *e, int status)
{
    static const char *const names[] = { "when", "key", "input" };
    struct ringing *r = e->data;
    json_t *result = e->result;

    if (status != 0) {
        r->firing->error = e->error;
        error_prefix(&r->firing->error, "%s", names[r->question]);
        r->status = status == BF_ECANCELED ? BF_ESHUTDOWN : BF_EINVAL;
        finish(r);
        return;
    }
    if (r->question == ASK_WHEN && !json_is_true(result)) {
        r->firing->passed_over = true;
        json_decref(result);
        r->status = 0;
        finish(r);
        return;
    }
    if (r->question == ASK_KEY)
        take_key(r, result);
    if (r->question == ASK_INPUT)
        r->items = json_is_array(result) ? json_incref(result) : json_pack("[O]", result);
    json_decref(result);
    r->question++;
    ask_next(r);
}

static void ask_next(struct ringing *r)
{
    const char *program = NULL;

    while (r->question < ASK_NOTHING && (program = program_for(r, r->question)) == NULL)
        r->question++;
    if (program == NULL) {
        admit(r);
        return;
    }
    memset(&r->evaluation, 0, sizeof r->evaluation);
    r->evaluation.program = program;
    r->evaluation.value = r->firing->event;
    r->evaluation.cb = answered;
    r->evaluation.data = r;
    evaluator_run(r->house->evaluator, &r->evaluation);
}

void house_ring(void *house, struct firing *firing)
{
    struct ringing *r = calloc(1, sizeof *r);

    if (r == NULL)
        abort();
    r->house = house;
    r->firing = firing;
    firing->passed_over = false;
    firing->error.code = 0;
    firing->pending = r;
    if (r->house->stopping) {
        error_set(&firing->error, BF_ESHUTDOWN, "belfryd is stopping");
        finish_later(r, BF_ESHUTDOWN);
        return;
    }
    ask_next(r);
}
