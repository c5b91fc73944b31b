/* Work items of a local run, kept with its results: payloads, and the files that go with them. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local_collect.h"

static void write_json(struct gathering *g, const char *dir, const char *name, const json_t *value)
{
    char *text = json_text(value), *path = file_join(dir, name);

    g->put++;
    if (text == NULL || path == NULL)
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    else
        g->status = (local_sync_each(g) ? file_write_atomic : file_write_unsynced)(path, text, strlen(text), 0640, &g->error);
    free(text);
    free(path);
}

/* The files of an item: named in its list, lying beside it. */
static void keep_item_files(struct gathering *g, const char *list, const json_t *files, const char *dir, json_t *names)
{
    char *path = file_join(g->part->folder, list);
    int beside = path != NULL ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    const char *name;
    json_t *where;

    json_object_foreach((json_t *)(uintptr_t)files, name, where) {
        const char *relative = json_string_value(where);
        char safe[FILE_NAME_MAX + 1], *to;
        struct stat st;
        int fd;

        if (relative == NULL || local_given_up(g))
            continue;
        fd = beside >= 0 ? file_open_below(beside, relative) : -1;
        if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
            local_note(g, "the work item's file %s is no file in %s: it is left out", name, list);
        } else if ((to = local_free_name(g, dir, name, safe)) != NULL) {
            if (local_keep_file(g, fd, name, to))
                (void)json_array_append_new(names, json_string(safe));
            free(to);
        }
        if (fd >= 0)
            (void)close(fd);
    }
    if (beside >= 0)
        (void)close(beside);
    free(path);
}

/* The files of an item of a flow: [{"name", "from"}], in the store of work items. */
static void keep_stored_files(struct gathering *g, const json_t *files, const char *dir, json_t *names)
{
    char safe[FILE_NAME_MAX + 1], *to;
    const json_t *file;
    size_t i;

    json_array_foreach(files, i, file) {
        const char *name = json_str(file, "name"), *from = json_str(file, "from");
        int fd = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (g->status == 0 && fd < 0)
            local_note(g, "the work item's file %s is not there any more", name);
        else if (g->status == 0 && (to = local_free_name(g, dir, name, safe)) != NULL) {
            if (local_keep_file(g, fd, name, to))
                (void)json_array_append_new(names, json_string(safe));
            free(to);
        }
        if (fd >= 0)
            (void)close(fd);
    }
}

static void keep_item(struct gathering *g, const char *kind, size_t index, const json_t *payload, const json_t *files)
{
    json_t *names = json_array(), *entry;
    struct buf relative = { 0 };
    char *dir;

    buf_addf(&relative, "work-items/%s/%zu", kind, index + 1);
    dir = file_join(g->dir, buf_str(&relative));
    g->status = dir == NULL ? error_set(&g->error, BF_ENOMEM, "out of memory") : file_make_dirs(dir, 0750, &g->error);
    if (g->status == 0)
        write_json(g, dir, "payload.json", payload);
    if (g->status == 0 && g->items != NULL)
        keep_stored_files(g, files, dir, names);
    else if (g->status == 0)
        keep_item_files(g, strcmp(kind, "input") == 0 ? "work-items-in" : "work-items-out", files, dir, names);
    entry = json_pack("{s:s, s:O?, s:O}", "path", buf_str(&relative), "payload", payload, "files", names);
    if (entry == NULL || json_array_append_new(json_object_get(g->collected.work_items, kind), entry) != 0)
        g->status = error_set(&g->error, BF_ENOMEM, "out of memory");
    json_decref(names);
    buf_close(&relative);
    free(dir);
}

void local_keep_outputs(struct gathering *g)
{
    json_t *items = local_read_list(g->part->folder, "work-items-out", g->collected.notes), *item;
    size_t i;

    if (json_array_size(items) > ITEMS_MAX)
        local_note(g, "it put out %zu work items: the first %d are kept", json_array_size(items), ITEMS_MAX);
    json_array_foreach(items, i, item) {
        if (g->status == 0 && i < ITEMS_MAX)
            keep_item(g, "output", i, json_object_get(item, "payload"), json_object_get(item, "files"));
    }
    json_decref(items);
}

void local_keep_inputs(struct gathering *g)
{
    json_t *items = local_read_list(g->part->folder, "work-items-in", g->collected.notes), *payload;
    size_t i;

    json_array_foreach(g->input, i, payload) {
        if (g->status == 0)
            keep_item(g, "input", i, payload, json_object_get(json_array_get(items, i), "files"));
    }
    json_decref(items);
}

void local_keep_flow_items(struct gathering *g)
{
    static const char *const kinds[] = { "input", "output" };
    const json_t *item;
    size_t i;

    for (int k = 0; k < 2; k++) {
        json_array_foreach(json_object_get(g->items, kinds[k]), i, item) {
            if (g->status == 0)
                keep_item(g, kinds[k], i, json_object_get(item, "payload"), json_object_get(item, "files"));
        }
    }
}
