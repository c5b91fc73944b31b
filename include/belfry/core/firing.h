/*
 * How a trigger rings: what it hands to the house, which evaluates `when`, `key` and `input`, admits the firing and says
 * what became of it. One way for every trigger, the command line and the API.
 */
#ifndef BELFRY_CORE_FIRING_H
#define BELFRY_CORE_FIRING_H

#include <stdbool.h>
#include <stdint.h>

#include "belfry/base/error.h"
#include "belfry/base/json.h"
#include "belfry/config/config.h"
#include "belfry/core/engine.h"

struct firing;
/* status as in engine.h's admission_cb, or BF_EINVAL: the event's own error (a program failed on it), with `error`
 * filled; `passed_over` is set when `when` was not true (status 0, no run). Called once, never before ring has returned. */
typedef void (*firing_cb)(struct firing *firing, int status);

/* Owned by the trigger until the callback. */
struct firing {
    enum trigger_kind kind;
    const char *trigger_name;
    const struct process_config *process;
    enum overlap overlap;
    char id[ID_SIZE];                 /* of event and run; made by the trigger with id_new */
    json_t *event;                    /* owned: freed by the trigger after the callback */
    json_t *input;                    /* not NULL: the array of payloads, no program is run */
    const char *when, *key, *program; /* jq programs or NULL; `program` makes the input */
    const char *claim_scope;          /* a claim of the trigger's own (a signature seen before); NULL: none */
    const char *claim_key;
    int64_t claim_until_ms;
    int64_t due_ms;
    const struct record *with;
    size_t with_count;
    bool refuse_when_full;
    const char *skip_reason;
    firing_cb cb;
    void *data;
    /* the answer */
    char run_id[ID_SIZE];
    enum run_state state;
    bool passed_over;
    struct error error;
    void *pending;                    /* the house's */
};

/* The house's side of it, given to every trigger. */
struct bell {
    void *data;
    void (*ring)(void *data, struct firing *firing);
};

#endif
