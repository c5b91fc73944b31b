#include "belfry/core/item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/error.h"

static const char *const item_states[] = { "new", "in_progress", "done", "failed" };
static const char *const exceptions[] = { NULL, "application", "business", "orchestrator", "unspecified" };
static const char *const step_states[] = { "new", "in_progress", "completed", "failed" };

const char *item_state_name(enum item_state state)
{
    return item_states[state];
}

enum item_state item_state_from_name(const char *name)
{
    int i = 0;

    while (i < ITEM_STATES && strcasecmp(item_states[i], name) != 0)
        i++;
    return (enum item_state)i;
}

const char *exception_type_name(enum exception_type type)
{
    return exceptions[type];
}

enum exception_type exception_type_from_name(const char *name)
{
    int i = 1;

    while (i < EXCEPTIONS && strcasecmp(exceptions[i], name) != 0)
        i++;
    return (enum exception_type)i;
}

bool item_may_be_changed(const struct item_record *item, bool open)
{
    return item->run_id[0] == '\0' ? item->state == ITEM_NEW : !open && item->state == ITEM_FAILED;
}

void item_input_id(const char *run_id, size_t index, char id[ITEM_ID_SIZE])
{
    (void)snprintf(id, ITEM_ID_SIZE, "%s-in-%zu", run_id, index);
}

/* Sets *to to a copy of the text; false when there is no memory. */
static bool copy(char **to, const char *from)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

int item_record_copy(struct item_record *to, const struct item_record *from)
{
    bool good;

    *to = *from;
    good = copy(&to->workspace, from->workspace);
    good = copy(&to->process, from->process) && good;
    good = copy(&to->payload, from->payload) && good;
    good = copy(&to->exception_code, from->exception_code) && good;
    good = copy(&to->exception_message, from->exception_message) && good;
    if (good)
        return 0;
    item_record_close(to);
    return BF_ENOMEM;
}

void item_record_close(struct item_record *record)
{
    free(record->workspace);
    free(record->process);
    free(record->payload);
    free(record->exception_code);
    free(record->exception_message);
    *record = (struct item_record) { .id = "" };
}

int item_file_copy(struct item_file *to, const struct item_file *from)
{
    *to = *from;
    return copy(&to->name, from->name) ? 0 : BF_ENOMEM;
}

void item_file_close(struct item_file *file)
{
    free(file->name);
    *file = (struct item_file) { .id = "" };
}

const char *step_state_name(enum step_state state)
{
    return step_states[state];
}

int step_record_copy(struct step_record *to, const struct step_record *from)
{
    bool good;

    *to = *from;
    good = copy(&to->name, from->name);
    good = copy(&to->error_code, from->error_code) && good;
    good = copy(&to->error_message, from->error_message) && good;
    if (good)
        return 0;
    step_record_close(to);
    return BF_ENOMEM;
}

void step_record_close(struct step_record *record)
{
    free(record->name);
    free(record->error_code);
    free(record->error_message);
    *record = (struct step_record) { .id = "" };
}
