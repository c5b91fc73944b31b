/* The names of permissions. */
#include "belfry/config/permission.h"

#include <string.h>

#include "belfry/base/text.h"

static const struct {
    const char *name, *about;
} permissions[PERMISSIONS] = {
    [MAY_READ_PROCESSES] = { "Processes.read_processes", "list processes and triggers; show a run, list its step runs" },
    [MAY_READ_RUNS] = { "Processes.read_runs", "list runs; show a step run; read the metrics" },
    [MAY_TRIGGER_PROCESSES] = { "Processes.trigger_processes", "start, stop and delete runs; pause and resume triggers" },
    [MAY_READ_WORK_ITEMS] = { "Processes.read_work_items", "list and show work items, and what runs have put out" },
    [MAY_WRITE_WORK_ITEMS] = { "Processes.write_work_items", "make and change work items; try them again, take them as done, delete them" },
    [MAY_READ_RUN_OUTPUTS] = { "Processes.read_run_outputs", "read the files, the console and the events of step runs" },
    [MAY_READ_TASK_PACKAGES] = { "Tasks.read_task_packages", "read task packages, of which a machine has none" },
    [MAY_WRITE_TASK_PACKAGES] = { "Tasks.write_task_packages", "make and delete them" },
    [MAY_READ_ASSETS] = { "Assets.read_asset_storage_assets", "list and read assets" },
    [MAY_WRITE_ASSETS] = { "Assets.write_asset_storage_assets", "make, write and delete assets" },
    [MAY_READ_WEBHOOKS] = { "Webhooks.read_webhooks", "list webhooks, and show them with their secrets" },
    [MAY_WRITE_WEBHOOKS] = { "Webhooks.write_webhooks", "make and delete webhooks" },
    [MAY_READ_WORKERS] = { "Workers.read_workers", "list and show workers: the machine is one" },
    [MAY_WRITE_WORKERS] = { "Workers.write_workers", "change workers and their groups, which a machine does not" },
    [MAY_READ_ASSISTANTS] = { "Assistants.read_assistants", "read assistants and their runs, of which a machine has none" },
    [MAY_WRITE_ASSISTANTS] = { "Assistants.write_assistants", "make them" },
};

const char *permission_name(enum permission permission)
{
    return permissions[permission].name;
}

const char *permission_about(enum permission permission)
{
    return permissions[permission].about;
}

static const char *short_name(int permission)
{
    return strchr(permissions[permission].name, '.') + 1;
}

static int find(const char *word)
{
    for (int i = 0; i < PERMISSIONS; i++) {
        if (strcmp(word, permissions[i].name) == 0 || strcmp(word, short_name(i)) == 0)
            return i;
    }
    return -1;
}

/* Among the names, whole or without the part before the dot. */
static const char *nearest_to(const char *word)
{
    const char *names[PERMISSIONS + 1] = { NULL }, *short_names[PERMISSIONS + 1] = { NULL }, *nearest;

    for (int i = 0; i < PERMISSIONS; i++) {
        names[i] = permissions[i].name;
        short_names[i] = short_name(i);
    }
    nearest = text_nearest(word, names);
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
        buf_addf(text, "%s%s", first ? "" : " ", permissions[i].name);
        first = false;
    }
}

json_t *permissions_json(uint32_t set)
{
    json_t *list = json_array();

    for (int i = 0; i < PERMISSIONS; i++) {
        if ((set & (UINT32_C(1) << i)) != 0)
            (void)json_array_append_new(list, json_string(permissions[i].name));
    }
    return list;
}
