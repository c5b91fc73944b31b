#include "belfry/core/asset.h"

#include <stdlib.h>
#include <string.h>

#include "belfry/base/error.h"

static bool copy(char **to, const char *from)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

int asset_record_copy(struct asset_record *to, const struct asset_record *from)
{
    bool good;

    *to = *from;
    good = copy(&to->workspace, from->workspace);
    good = copy(&to->name, from->name) && good;
    good = copy(&to->content_type, from->content_type) && good;
    if (good)
        return 0;
    asset_record_close(to);
    return BF_ENOMEM;
}

void asset_record_close(struct asset_record *record)
{
    free(record->workspace);
    free(record->name);
    free(record->content_type);
    *record = (struct asset_record) { .id = "" };
}

int asset_upload_copy(struct asset_upload *to, const struct asset_upload *from)
{
    *to = *from;
    return copy(&to->content_type, from->content_type) ? 0 : BF_ENOMEM;
}

void asset_upload_close(struct asset_upload *upload)
{
    free(upload->content_type);
    *upload = (struct asset_upload) { .id = "" };
}
