/* A step run's input: the payloads and files of the items that it holds, in the shape in which a run gets its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/file.h"
#include "steps_internal.h"

struct loading {
    struct flow_read read;
    struct steps_run *run;
    char id[ID_SIZE];                    /* the step run's */
    json_t *ids;
};

static void add_id(void *data, const struct item_record *item)
{
    (void)json_array_append_new(data, json_string(item->id));
}

static json_t *payload_of(const struct flow_read *read, const char *id)
{
    for (size_t i = 0; i < read->item_count; i++) {
        if (strcmp(read->items[i].id, id) == 0 && read->items[i].payload != NULL)
            return json_stored(read->items[i].payload);
    }
    return NULL;
}

static void add_files(const struct flow_read *read, const char *dir, const char *id, size_t index, json_t *files)
{
    for (size_t i = 0; i < read->file_count; i++) {
        const struct item_file *file = &read->files[i];
        char *path;

        if (!file->there || strcmp(file->item, id) != 0 || (path = file_join(dir, file->id)) == NULL)
            continue;
        (void)json_array_append_new(files, json_pack("{s:s, s:s, s:I, s:I}", "path", path, "name", file->name, "size",
                                                     (json_int_t)file->size, "item", (json_int_t)index));
        free(path);
    }
}

static void hand_over(struct steps_task *task, const struct loading *l)
{
    struct steps *s = task->run->steps;
    json_t *payloads = json_array(), *files = json_array(), *event = json_pack("{s:O}", "files", files), *payload;
    const char *dir = flows_world(s->flows)->files_dir;

    for (size_t i = 0; i < json_array_size(l->ids); i++) {
        const char *id = json_string_value(json_array_get(l->ids, i));

        payload = payload_of(&l->read, id);
        (void)json_array_append_new(payloads, payload != NULL ? payload : json_null());
        add_files(&l->read, dir, id, i, files);
    }
    local_start(&s->inner->base, &task->record, task->process, event, payloads);
    json_decref(event);
    json_decref(files);
    json_decref(payloads);
}

static void loaded(struct flow_read *read, int status)
{
    struct loading *l = read->data;
    struct steps *s = l->run->steps;
    struct steps_task *task = steps_task_find(s, l->id);
    const struct backend_reports *r = &s->inner_reports;

    if (task != NULL && !s->closing && !l->run->dropped) {
        if (status != 0)
            r->not_started(s, l->id, &read->error, true, 0);
        else
            hand_over(task, l);
    }
    (void)steps_run_release(l->run);
    json_decref(l->ids);
    free(l);
}

void steps_launch(struct steps_task *task)
{
    const struct flows_world *world = flows_world(task->run->steps->flows);
    struct loading *l = calloc(1, sizeof *l);
    struct error why;
    char *text;

    if (steps_stopping(task->run)) {
        error_set(&why, BF_ECANCELED, "the run was stopped before the step began");
        task->run->steps->inner_reports.not_started(task->run->steps, task->id, &why, false, 0);
        free(l);
        return;
    }
    if (l == NULL || (l->ids = json_array()) == NULL)
        abort();
    flow_each_held(steps_flow(task->run), task->id, add_id, l->ids);
    text = json_text(l->ids);
    if (text == NULL)
        abort();
    l->run = task->run;
    memcpy(l->id, task->id, sizeof l->id);
    l->read = (struct flow_read) { .ids = text, .cb = loaded, .data = l };
    steps_run_hold(task->run);
    world->read(world->data, &l->read);
    free(text);
}
