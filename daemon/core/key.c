#include "belfry/core/key.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/error.h"

static bool copy_text(char **to, const char *from)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

int key_record_copy(struct key_record *to, const struct key_record *from)
{
    bool complete;

    *to = *from;
    to->sealed = from->sealed != NULL ? malloc(from->sealed_len + 1) : NULL;
    complete = from->sealed == NULL || to->sealed != NULL;
    if (to->sealed != NULL)
        memcpy(to->sealed, from->sealed, from->sealed_len);
    complete = copy_text(&to->name, from->name) && complete;
    complete = copy_text(&to->workspace, from->workspace) && complete;
    complete = copy_text(&to->permissions, from->permissions) && complete;
    if (complete)
        return 0;
    key_record_close(to);
    return BF_ENOMEM;
}

void key_record_close(struct key_record *record)
{
    free(record->name);
    free(record->workspace);
    free(record->permissions);
    free(record->sealed);
    *record = (struct key_record) { 0 };
}
