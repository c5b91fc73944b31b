#include "belfry/core/hook.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/error.h"

static const char *const names[] = { "process_run.started", "process_run.completed", "process_run.unresolved" };

const char *hook_event_name(unsigned event)
{
    return event == HOOK_STARTED ? names[0] : event == HOOK_COMPLETED ? names[1] : event == HOOK_UNRESOLVED ? names[2] : NULL;
}

unsigned hook_event_from_name(const char *name)
{
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0 || strcmp(name, strchr(names[i], '.') + 1) == 0)
            return 1u << i;
    }
    return 0;
}

unsigned hook_event_of(enum run_state state)
{
    return state == RUN_COMPLETED || state == RUN_CANCELED ? HOOK_COMPLETED : HOOK_UNRESOLVED;
}

static bool copy(char **to, const char *from)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

static bool copy_bytes(unsigned char **to, const unsigned char *from, size_t len)
{
    *to = from != NULL ? malloc(len + 1) : NULL;
    if (*to != NULL)
        memcpy(*to, from, len);
    return from == NULL || *to != NULL;
}

int hook_record_copy(struct hook_record *to, const struct hook_record *from)
{
    bool good;

    *to = *from;
    good = copy(&to->workspace, from->workspace);
    good = copy(&to->process, from->process) && good;
    good = copy(&to->endpoint, from->endpoint) && good;
    if (good)
        return 0;
    hook_record_close(to);
    return BF_ENOMEM;
}

void hook_record_close(struct hook_record *record)
{
    free(record->workspace);
    free(record->process);
    free(record->endpoint);
    *record = (struct hook_record) { .id = "" };
}

int callback_record_copy(struct callback_record *to, const struct callback_record *from)
{
    bool good;

    *to = *from;
    good = copy(&to->url, from->url);
    good = copy_bytes(&to->sealed, from->sealed, from->sealed_len) && good;
    if (good)
        return 0;
    callback_record_close(to);
    return BF_ENOMEM;
}

void callback_record_close(struct callback_record *record)
{
    free(record->url);
    free(record->sealed);
    *record = (struct callback_record) { .run_id = "" };
}

int delivery_record_copy(struct delivery_record *to, const struct delivery_record *from)
{
    bool good;

    *to = *from;
    good = copy(&to->url, from->url);
    good = copy(&to->body, from->body) && good;
    good = copy_bytes(&to->sealed, from->sealed, from->sealed_len) && good;
    if (good)
        return 0;
    delivery_record_close(to);
    return BF_ENOMEM;
}

void delivery_record_close(struct delivery_record *record)
{
    free(record->url);
    free(record->body);
    free(record->sealed);
    *record = (struct delivery_record) { .id = "" };
}
