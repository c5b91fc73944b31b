/* The results of a run of steps: all of its step runs', and the items that went in and came out. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "steps_internal.h"

struct collecting {
    struct flow_read read;
    struct steps_run *run;
    char *dir;
    struct local_part *parts;
    size_t count;
    json_t *steps;
};

static json_t *shape_step(const struct step_record *record)
{
    json_t *step = json_pack("{s:s, s:s, s:s}", "id", record->id, "name", record->name, "state", step_state_name(record->state));

    (void)json_put_time(step, "started", record->started_ms);
    (void)json_put_time(step, "ended", record->ended_ms);
    if (record->has_exit_code)
        (void)json_put_int(step, "exit_code", record->exit_code);
    if (record->error_code != NULL) {
        json_t *error = json_object();

        (void)json_put(error, "code", record->error_code);
        (void)json_put(error, "message", record->error_message);
        (void)json_object_set_new(step, "error", error);
    }
    return step;
}

static void add_part(void *data, const struct step_record *record)
{
    struct collecting *c = data;
    struct steps *s = c->run->steps;
    struct local_part *part = &c->parts[c->count];
    char *folder = local_folder(s->plain, c->run->id), *own = folder != NULL ? file_join(folder, record->id) : NULL;

    (void)json_array_append_new(c->steps, shape_step(record));
    free(folder);
    if (own == NULL)
        abort();
    if (access(own, F_OK) != 0) {   /* of an attempt whose results are published already */
        free(own);
        return;
    }
    part->folder = own;
    part->step = strdup(record->name);
    if (part->step == NULL)
        abort();
    memcpy(part->id, record->id, sizeof part->id);
    local_copy_globs(&part->globs, config_step_named(c->run->process, record->name));
    c->count++;
}

static void count_one(void *data, const struct step_record *record)
{
    (void)record;
    ++*(size_t *)data;
}

static json_t *shape_item(const struct flow_read *read, const struct item_record *item, const char *dir)
{
    json_t *payload = json_stored(item->payload), *files = json_array();
    json_t *o = json_pack("{s:s, s:o, s:o}", "id", item->id, "payload", payload != NULL ? payload : json_null(), "files", files);

    for (size_t i = 0; i < read->file_count; i++) {
        const struct item_file *file = &read->files[i];
        char *from = file->there && strcmp(file->item, item->id) == 0 ? file_join(dir, file->id) : NULL;

        if (from != NULL)
            (void)json_array_append_new(files, json_pack("{s:s, s:s}", "name", file->name, "from", from));
        free(from);
    }
    return o;
}

static json_t *shape_items(struct collecting *c, const struct flow_read *read)
{
    const struct flow *flow = steps_flow(c->run);
    const char *dir = flows_world(c->run->steps->flows)->files_dir;
    json_t *input = json_array(), *output = json_array();

    for (size_t i = 0; i < read->item_count; i++) {
        const struct item_record *item = &read->items[i];

        if (item->parent[0] == '\0')
            (void)json_array_append_new(input, shape_item(read, item, dir));
        else if ((size_t)item->step == flow_steps(flow))
            (void)json_array_append_new(output, shape_item(read, item, dir));
    }
    return json_pack("{s:o, s:o}", "input", input, "output", output);
}

static void came(struct flow_read *read, int status)
{
    struct collecting *c = read->data;
    struct steps_run *run = c->run;
    struct steps *s = run->steps;
    const struct backend_reports *r = s->base.reports;
    struct flow *flow = steps_flow(run);
    bool wanted = flow != NULL && !s->closing && !run->dropped;
    char id[ID_SIZE], *folder;
    size_t count = 0;

    memcpy(id, run->id, sizeof id);
    if (wanted && status == 0) {
        flow_each_step_run(flow, count_one, &count);
        c->parts = calloc(count + 1, sizeof *c->parts);
        folder = local_folder(s->plain, id);
        if (c->parts == NULL || folder == NULL)
            abort();
        c->steps = json_array();
        flow_each_step_run(flow, add_part, c);
        local_gather(s->plain, id, c->parts, c->count, file_join(folder, "console.log"), shape_items(c, read), c->steps,
                     run->process, c->dir);
        free(folder);
    }
    if (steps_run_release(run) && status != 0)
        r->collected(r->data, id, status, &read->error, NULL);
    free(c->dir);
    free(c);
}

void steps_collect(struct steps_run *run, const char *dir)
{
    const struct flows_world *world = flows_world(run->steps->flows);
    struct collecting *c = calloc(1, sizeof *c);

    if (c == NULL || (c->dir = strdup(dir)) == NULL)
        abort();
    c->run = run;
    c->read = (struct flow_read) { .run_id = run->id, .cb = came, .data = c };
    steps_run_hold(run);
    world->read(world->data, &c->read);
}
