/*
 * What a key may do. The names are those of Control Room's API v1 ("Processes.read_runs"); the older ones ("read_runs") are
 * taken for them. Source: robocorp.com/docs/control-room/api, the permissions that each operation names.
 */
#ifndef BELFRY_CONFIG_PERMISSION_H
#define BELFRY_CONFIG_PERMISSION_H

#include <stdint.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"
#include "belfry/base/json.h"

enum permission {
    MAY_READ_PROCESSES, MAY_READ_RUNS, MAY_TRIGGER_PROCESSES, MAY_READ_WORK_ITEMS, MAY_WRITE_WORK_ITEMS, MAY_READ_RUN_OUTPUTS,
    MAY_READ_TASK_PACKAGES, MAY_WRITE_TASK_PACKAGES, MAY_READ_ASSETS, MAY_WRITE_ASSETS, MAY_READ_WEBHOOKS, MAY_WRITE_WEBHOOKS,
    MAY_READ_WORKERS, MAY_WRITE_WORKERS, MAY_READ_ASSISTANTS, MAY_WRITE_ASSISTANTS,
    PERMISSIONS
};

/* A set is its bits, 1 << permission. */
#define PERMISSIONS_ALL ((UINT32_C(1) << PERMISSIONS) - 1)

const char *permission_name(enum permission permission);
/* What it allows, for people. */
const char *permission_about(enum permission permission);
/* Names separated by commas or white space; "all" is all of them. 0, or BF_EINVAL with the nearest name in *err. */
int permissions_parse(const char *text, uint32_t *set, struct error *err);
/* The names, in order, separated by spaces. */
void permissions_text(uint32_t set, struct buf *text);
json_t *permissions_json(uint32_t set);

#endif
