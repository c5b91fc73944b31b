/*
 * Who wants to be told of runs: webhooks, which the API keeps for a workspace or a process, and the callback that a start may
 * carry for its own run; and deliveries, messages to them that wait.
 */
#ifndef BELFRY_CORE_HOOK_H
#define BELFRY_CORE_HOOK_H

#include <stdint.h>

#include "belfry/base/id.h"
#include "belfry/core/run.h"

enum { HOOK_STARTED = 1, HOOK_COMPLETED = 2, HOOK_UNRESOLVED = 4 };

struct hook_record {
    char id[ID_SIZE];
    char *workspace;              /* its name */
    char *process;                /* its name; NULL: all */
    unsigned events;              /* HOOK_… bits */
    char *endpoint;
    int64_t created_ms;
};

struct callback_record {
    char run_id[ID_SIZE];
    char *url;
    unsigned events;
    unsigned char *sealed;        /* its secret; as base/vault seals it under the run's id */
    size_t sealed_len;
};

struct delivery_record {
    char id[ID_SIZE];
    char hook_id[ID_SIZE];        /* "": it is the callback of the run */
    char run_id[ID_SIZE];
    char *url;
    char *body;                   /* JSON */
    int64_t created_ms;
    int64_t next_ms;              /* wall: when it is sent (again) */
    unsigned tries;
    unsigned char *sealed;        /* of the callback; NULL: none */
    size_t sealed_len;
};

/* "process_run.started" …; NULL for no single event. And back: 0 when unknown; the short forms of callbacks ("started") too. */
const char *hook_event_name(unsigned event);
unsigned hook_event_from_name(const char *name);
/* What an end is to those who are told: HOOK_COMPLETED or HOOK_UNRESOLVED. */
unsigned hook_event_of(enum run_state state);

int hook_record_copy(struct hook_record *to, const struct hook_record *from);
void hook_record_close(struct hook_record *record);
int callback_record_copy(struct callback_record *to, const struct callback_record *from);
void callback_record_close(struct callback_record *record);
int delivery_record_copy(struct delivery_record *to, const struct delivery_record *from);
void delivery_record_close(struct delivery_record *record);

#endif
