/* An asset: a named value of a workspace, which robots and clients share; and the uploads that give it its bytes. */
#ifndef BELFRY_CORE_ASSET_H
#define BELFRY_CORE_ASSET_H

#include <stdbool.h>
#include <stdint.h>

#include "belfry/base/id.h"

struct asset_record {
    char id[ID_SIZE];
    char *workspace;              /* its id */
    char *name;
    char file[ID_SIZE];           /* the upload whose bytes it has; "": it is empty */
    char *content_type;           /* NULL as long as it is empty */
    int64_t created_ms;
};

enum upload_state { UPLOAD_PENDING, UPLOAD_COMPLETED, UPLOAD_FAILED };

struct asset_upload {
    char id[ID_SIZE];             /* of the file, too: state_dir/items/ID */
    char asset[ID_SIZE];
    char *content_type;
    enum upload_state state;
    int64_t created_ms;
};

int asset_record_copy(struct asset_record *to, const struct asset_record *from);
void asset_record_close(struct asset_record *record);
int asset_upload_copy(struct asset_upload *to, const struct asset_upload *from);
void asset_upload_close(struct asset_upload *upload);

#endif
