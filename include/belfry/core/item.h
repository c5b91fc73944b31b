/* A work item that a client made: it waits in its process's input until a run takes it. */
#ifndef BELFRY_CORE_ITEM_H
#define BELFRY_CORE_ITEM_H

#include <stdint.h>

#include "belfry/base/id.h"

struct item_record {
    char id[ID_SIZE];
    char *workspace;          /* its id */
    char *process;            /* its name */
    char run_id[ID_SIZE];     /* that took it; "": none has */
    int64_t created_ms;
    int64_t updated_ms;
    char *payload;            /* JSON */
};

/* Deep copy: 0 or BF_ENOMEM (then *to is empty). */
int item_record_copy(struct item_record *to, const struct item_record *from);
void item_record_close(struct item_record *record);

#endif
