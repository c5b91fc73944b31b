#include "belfry/core/item.h"

#include <stdlib.h>
#include <string.h>

#include "belfry/base/error.h"

int item_record_copy(struct item_record *to, const struct item_record *from)
{
    *to = *from;
    to->workspace = from->workspace != NULL ? strdup(from->workspace) : NULL;
    to->process = from->process != NULL ? strdup(from->process) : NULL;
    to->payload = from->payload != NULL ? strdup(from->payload) : NULL;
    if ((from->workspace == NULL || to->workspace != NULL) && (from->process == NULL || to->process != NULL) &&
        (from->payload == NULL || to->payload != NULL))
        return 0;
    item_record_close(to);
    return BF_ENOMEM;
}

void item_record_close(struct item_record *record)
{
    free(record->workspace);
    free(record->process);
    free(record->payload);
    *record = (struct item_record) { .id = "" };
}
