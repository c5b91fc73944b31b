/* The names of permissions. */
#include "belfry/serve/permission.h"

#include <string.h>

#include "belfry/base/text.h"

static const char *const names[PERMISSIONS + 1] = {
    [MAY_READ_PROCESSES] = "Processes.read_processes",
    [MAY_READ_RUNS] = "Processes.read_runs",
    [MAY_TRIGGER_PROCESSES] = "Processes.trigger_processes",
    [MAY_READ_WORK_ITEMS] = "Processes.read_work_items",
    [MAY_WRITE_WORK_ITEMS] = "Processes.write_work_items",
    [MAY_READ_RUN_OUTPUTS] = "Processes.read_run_outputs",
    [MAY_READ_TASK_PACKAGES] = "Tasks.read_task_packages",
    [MAY_WRITE_TASK_PACKAGES] = "Tasks.write_task_packages",
    [MAY_READ_ASSETS] = "Assets.read_asset_storage_assets",
    [MAY_WRITE_ASSETS] = "Assets.write_asset_storage_assets",
    [MAY_READ_WEBHOOKS] = "Webhooks.read_webhooks",
    [MAY_WRITE_WEBHOOKS] = "Webhooks.write_webhooks",
    [MAY_READ_WORKERS] = "Workers.read_workers",
    [MAY_WRITE_WORKERS] = "Workers.write_workers",
    [MAY_READ_ASSISTANTS] = "Assistants.read_assistants",
    [MAY_WRITE_ASSISTANTS] = "Assistants.write_assistants",
};

const char *permission_name(enum permission permission)
{
    return names[permission];
}

static int find(const char *word)
{
    for (int i = 0; i < PERMISSIONS; i++) {
        if (strcmp(word, names[i]) == 0 || strcmp(word, strchr(names[i], '.') + 1) == 0)
            return i;
    }
    return -1;
}

/* Among the names, whole or without the part before the dot. */
static const char *nearest_to(const char *word)
{
    const char *short_names[PERMISSIONS + 1] = { NULL };
    const char *nearest = text_nearest(word, names);

    for (int i = 0; i < PERMISSIONS; i++)
        short_names[i] = strchr(names[i], '.') + 1;
    return nearest != NULL ? nearest : text_nearest(word, short_names);
}

int permissions_parse(const char *text, uint32_t *set, struct error *err)
{
    char word[64];

    *set = 0;
    while (*(text += strspn(text, ", \t\n")) != '\0') {
        size_t len = strcspn(text, ", \t\n");
        int which;

        if (len >= sizeof word)
            return error_set(err, BF_EINVAL, "a permission's name is too long");
        memcpy(word, text, len);
        word[len] = '\0';
        text += len;
        which = find(word);
        if (strcmp(word, "all") == 0) {
            *set = PERMISSIONS_ALL;
        } else if (which >= 0) {
            *set |= UINT32_C(1) << which;
        } else {
            const char *nearest = nearest_to(word);

            if (nearest != NULL)
                return error_set(err, BF_EINVAL, "there is no permission %s; do you mean %s?", word, nearest);
            return error_set(err, BF_EINVAL, "there is no permission %s: they are named as in Processes.read_runs", word);
        }
    }
    return 0;
}

void permissions_text(uint32_t set, struct buf *text)
{
    bool first = true;

    for (int i = 0; i < PERMISSIONS; i++) {
        if ((set & (UINT32_C(1) << i)) == 0)
            continue;
        buf_addf(text, "%s%s", first ? "" : " ", names[i]);
        first = false;
    }
}

json_t *permissions_json(uint32_t set)
{
    json_t *list = json_array();

    for (int i = 0; i < PERMISSIONS; i++) {
        if ((set & (UINT32_C(1) << i)) != 0)
            (void)json_array_append_new(list, json_string(names[i]));
    }
    return list;
}
