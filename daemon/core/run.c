/* Runs: their states, the moves between them, their records. */
#include "belfry/core/run.h"

#include <stdlib.h>
#include <string.h>

#include "belfry/base/error.h"

static const char *const state_names[RUN_STATES] = {
    [RUN_QUEUED] = "queued",
    [RUN_STARTING] = "starting",
    [RUN_RUNNING] = "running",
    [RUN_COLLECTING] = "collecting",
    [RUN_COMPLETED] = "completed",
    [RUN_FAILED] = "failed",
    [RUN_CANCELED] = "canceled",
    [RUN_TIMED_OUT] = "timed_out",
    [RUN_LOST] = "lost",
    [RUN_SKIPPED] = "skipped",
};

static const char *const kind_names[TRIGGER_KINDS] = {
    [TRIGGER_SCHEDULE] = "schedule",
    [TRIGGER_WATCH] = "watch",
    [TRIGGER_WEBHOOK] = "webhook",
    [TRIGGER_MANUAL] = "manual",
    [TRIGGER_API] = "api",
};

#define TO(state) (1u << (state))

/* Row: from; bits: to. The picture of this table is in the header. */
static const unsigned moves[RUN_STATES] = {
    [RUN_QUEUED] = TO(RUN_STARTING) | TO(RUN_COLLECTING),
    [RUN_STARTING] = TO(RUN_STARTING) | TO(RUN_RUNNING) | TO(RUN_QUEUED) | TO(RUN_COLLECTING),
    [RUN_RUNNING] = TO(RUN_RUNNING) | TO(RUN_QUEUED) | TO(RUN_COLLECTING),
    [RUN_FAILED] = TO(RUN_QUEUED) | TO(RUN_COLLECTING),
    [RUN_CANCELED] = TO(RUN_QUEUED) | TO(RUN_COLLECTING),
    [RUN_TIMED_OUT] = TO(RUN_QUEUED) | TO(RUN_COLLECTING),
    [RUN_LOST] = TO(RUN_QUEUED) | TO(RUN_COLLECTING),
    [RUN_COLLECTING] = TO(RUN_COMPLETED) | TO(RUN_FAILED) | TO(RUN_CANCELED) | TO(RUN_TIMED_OUT) | TO(RUN_LOST),
};

bool run_state_is_end(enum run_state state)
{
    return state >= RUN_COMPLETED && state < RUN_STATES;
}

bool run_move_allowed(enum run_state from, enum run_state to)
{
    return from < RUN_STATES && to < RUN_STATES && (moves[from] & TO(to)) != 0;
}

bool run_is_stopping(const struct run_record *run)
{
    return run->stop_as != RUN_QUEUED || run->drain != DRAIN_NO;
}

const char *run_state_name(enum run_state state)
{
    return state < RUN_STATES ? state_names[state] : "unknown";
}

enum run_state run_state_from_name(const char *name)
{
    unsigned i = 0;

    while (i < RUN_STATES && strcmp(state_names[i], name) != 0)
        i++;
    return (enum run_state)i;
}

const char *trigger_kind_name(enum trigger_kind kind)
{
    return kind < TRIGGER_KINDS ? kind_names[kind] : "unknown";
}

enum trigger_kind trigger_kind_from_name(const char *name)
{
    unsigned i = 0;

    while (i < TRIGGER_KINDS && strcmp(kind_names[i], name) != 0)
        i++;
    return (enum trigger_kind)i;
}

#define VERSION_AT 14   /* of a UUID as text */

void run_step_id(const char *run_id, char step_run_id[ID_SIZE])
{
    memcpy(step_run_id, run_id, ID_SIZE);
    step_run_id[VERSION_AT] = '8';
}

bool run_of_step(const char *step_run_id, char run_id[ID_SIZE])
{
    if (!id_is_uuid(step_run_id) || step_run_id[VERSION_AT] != '8')
        return false;
    memcpy(run_id, step_run_id, ID_SIZE);
    run_id[VERSION_AT] = '7';
    return true;
}

/* The members that are heap strings, once: copying and freeing walk the same list. */
static char **string_of(struct run_record *r, unsigned i)
{
    char **const strings[] = {
        &r->process, &r->workspace, &r->trigger_name, &r->backend_state, &r->error_code, &r->error_message,
        &r->memo, &r->remote_id, &r->remote_url, &r->reason, &r->result,
    };

    return i < sizeof strings / sizeof *strings ? strings[i] : NULL;
}

void run_record_close(struct run_record *record)
{
    char **s;

    for (unsigned i = 0; (s = string_of(record, i)) != NULL; i++) {
        free(*s);
        *s = NULL;
    }
}

int run_record_copy(struct run_record *to, const struct run_record *from)
{
    bool complete = true;
    char **s;

    *to = *from;
    for (unsigned i = 0; (s = string_of(to, i)) != NULL; i++) {
        if (*s == NULL)
            continue;
        *s = strdup(*s);
        complete = complete && *s != NULL;
    }
    if (complete)
        return 0;
    run_record_close(to);
    memset(to, 0, sizeof *to);
    return BF_ENOMEM;
}
