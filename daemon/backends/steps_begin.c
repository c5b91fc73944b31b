/* A flow begins: which steps it has is noted with the run, the files of the event go into the store of work items, then the flow
 * is written down as a whole. A crash before that leaves files that nobody names, which are swept away. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "steps_internal.h"

struct bringing {
    char *from;
    struct item_file file;
};

struct begin {
    uv_work_t work;
    struct steps_run *run;
    json_t *event, *input;
    struct flow *flow;                   /* until it is handed over */
    struct bringing *files;
    size_t file_count;
    struct record *records;
    const char *dir;                     /* of the store: the world's */
    int status;
    struct error error;
};

/* --- the flow ----------------------------------------------------------------------------------------------------- */

static json_t *names_of(const char *memo, const struct process_config *process)
{
    json_t *noted = json_stored(memo);
    json_t *names = json_incref(json_object_get(noted, "steps"));

    json_decref(noted);
    if (json_is_array(names) && json_array_size(names) > 0)
        return names;
    json_decref(names);
    names = json_array();
    for (size_t i = 0; process != NULL && i < config_steps(process); i++)
        (void)json_array_append_new(names, json_string(config_step_name(config_step(process, i))));
    return names;
}

int steps_flow_new(const char *run_id, const char *memo, const struct workspace_config *workspace,
                   const struct process_config *process, const char *process_name, struct flow **flow)
{
    json_t *names = names_of(memo, process);
    size_t count = json_array_size(names);
    struct flow_step *steps = calloc(count + 1, sizeof *steps);
    int status = steps != NULL ? 0 : BF_ENOMEM;

    for (size_t i = 0; i < count && status == 0; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const struct process_config *step = name != NULL ? config_step_named(process, name) : NULL;

        steps[i] = (struct flow_step) { .name = name != NULL ? name : "", .max_parallel = 1 };
        if (step == NULL)
            continue;
        steps[i].max_parallel = step->step != NULL && step->max_parallel > 0 ? (size_t)step->max_parallel : 1;
        steps[i].each = step->each;
        steps[i].list = step->work_items == WORK_ITEMS_FILE;
    }
    if (status == 0)
        status = flow_new(run_id, workspace != NULL ? workspace->id : "", process_name, steps, count, flow);
    free(steps);
    json_decref(names);
    return status;
}

static void add_inputs(struct begin *b)
{
    const json_t *made = json_object_get(b->event, "work_items");
    size_t count = json_array_size(b->input);

    for (size_t i = 0; i < count || i == 0; i++) {
        const char *id = json_string_value(json_array_get(made, i));
        char *payload = json_text(json_array_get(b->input, i));
        char own[ITEM_ID_SIZE];

        item_input_id(b->run->id, i, own);
        if (payload == NULL || flow_add_input(b->flow, time_wall_ms(), id != NULL ? id : own, payload, id != NULL) != 0)
            abort();
        free(payload);
    }
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void add_file(struct begin *b, const json_t *file)
{
    const char *from = json_str(file, "path"), *name = json_str(file, "name");
    struct bringing *one = &b->files[b->file_count];
    const json_t *made = json_object_get(b->event, "work_items");
    const char *id = json_string_value(json_array_get(made, 0));

    if (from == NULL || name == NULL)
        return;
    one->from = strdup(from);
    one->file.name = strdup(name);
    if (one->from == NULL || one->file.name == NULL)
        abort();
    id_new(time_wall_ms(), one->file.id);
    if (id != NULL)
        (void)snprintf(one->file.item, sizeof one->file.item, "%s", id);
    else
        item_input_id(b->run->id, 0, one->file.item);
    b->file_count++;
}

static void name_files(struct begin *b)
{
    const json_t *list = json_object_get(b->event, "files"), *one = json_object_get(b->event, "file");
    size_t i;

    b->files = calloc(json_array_size(list) + 1, sizeof *b->files);
    if (b->files == NULL)
        abort();
    if (!json_flag(b->event, "attach", true))
        return;
    json_array_foreach(list, i, one)
        add_file(b, one);
    if (!json_is_array(list) && json_object_get(b->event, "file") != NULL)
        add_file(b, json_object_get(b->event, "file"));
}

/* Two of the same name get a number: an item has a name once. */
static void tell_apart(struct begin *b)
{
    for (size_t i = 1; i < b->file_count; i++) {
        char safe[FILE_NAME_MAX + 1], first[FILE_NAME_MAX + 1];
        unsigned k = 2;

        (void)snprintf(first, sizeof first, "%s", b->files[i].file.name);
        for (size_t o = 0; o < i; o++) {
            if (strcmp(b->files[o].file.name, b->files[i].file.name) != 0)
                continue;
            file_numbered_name(first, k++, safe);
            free(b->files[i].file.name);
            if ((b->files[i].file.name = strdup(safe)) == NULL)
                abort();
            o = (size_t)-1;   /* from the first again */
        }
    }
}

/* What was brought so far is nobody's: a full disk is not to stay full of it. */
static void take_back(struct begin *b)
{
    for (size_t i = 0; i < b->file_count; i++) {
        char *path = b->files[i].file.there ? file_join(b->dir, b->files[i].file.id) : NULL;

        if (path != NULL)
            (void)unlink(path);
        free(path);
        b->files[i].file.there = false;
    }
}

static void bring(uv_work_t *work)
{
    struct begin *b = work->data;
    const struct file_bounds bounds = { .max = INT64_MAX, .stop = &b->run->steps->closing };

    for (size_t i = 0; i < b->file_count && b->status == 0; i++) {
        struct item_file *file = &b->files[i].file;
        char *to = file_join(b->dir, file->id);
        struct stat st = { 0 };

        b->status = to != NULL ? file_copy_within(b->files[i].from, to, 0640, &bounds, &b->error) :
            error_set(&b->error, BF_ENOMEM, "out of memory");
        file->there = b->status == 0;
        if (b->status == 0 && stat(to, &st) != 0)
            b->status = error_errno(&b->error, errno, "cannot read %s", to);
        file->size = st.st_size;
        free(to);
    }
    if (b->status != 0)
        take_back(b);
}

/* --- the way through ---------------------------------------------------------------------------------------------- */

static void begin_free(struct begin *b)
{
    for (size_t i = 0; i < b->file_count; i++) {
        free(b->files[i].from);
        item_file_close(&b->files[i].file);
    }
    free(b->files);
    free(b->records);
    flow_free(b->flow);
    json_decref(b->event);
    json_decref(b->input);
    free(b);
}

static void refuse(struct begin *b)
{
    const struct backend_reports *r = b->run->steps->base.reports;
    struct error why = b->error;
    struct steps_run *run = b->run;
    int code = why.code;
    char id[ID_SIZE];

    memcpy(id, run->id, sizeof id);
    take_back(b);
    begin_free(b);
    if (steps_run_release(run))
        r->not_started(r->data, id, &why, code == BF_ENOSPC || code == BF_ENOMEM || code == BF_EAGAIN || code == BF_EIO, 0);
}

static void written(void *data, int status)
{
    struct begin *b = data;
    struct steps_run *run = b->run;

    if (status != 0 && status != BF_ESHUTDOWN) {   /* the journal has something else of that name: no try will change that */
        flows_drop(run->steps->flows, run->id);
        error_set(&b->error, BF_EINVAL, "its work items could not be written down: %s", error_name(status));
        refuse(b);
        return;
    }
    begin_free(b);
    if (steps_run_release(run) && status == 0)
        steps_go(run);
}

static void brought(uv_work_t *work, int status)
{
    struct begin *b = work->data;
    struct steps_run *run = b->run;
    struct flows *flows = run->steps->flows;
    struct flow *flow = b->flow;

    (void)status;
    if (b->status != 0 || run->dropped || run->steps->closing) {
        refuse(b);
        return;
    }
    add_inputs(b);
    b->records = calloc(b->file_count + 1, sizeof *b->records);
    if (b->records == NULL)
        abort();
    for (size_t i = 0; i < b->file_count; i++)
        b->records[i] = (struct record) { .kind = RECORD_ITEM_FILE, .item_file = &b->files[i].file };
    b->flow = NULL;
    flows_add(flows, flow);
    flow_set_attempt(flow, run->record.attempt);
    flows_save(flows, flow, b->records, b->file_count, written, b);
}

static void noted(void *data, int status)
{
    struct begin *b = data;

    if (status != 0 || b->run->dropped || b->run->steps->closing) {
        /* It was given up meanwhile. */
        error_set(&b->error, BF_ECANCELED, "the run was stopped before it began");
        refuse(b);
        return;
    }
    b->work.data = b;
    if (b->file_count == 0)
        brought(&b->work, 0);
    else if (uv_queue_work(b->run->steps->loop, &b->work, bring, brought) != 0)
        abort();
}

/* Notes with the run which steps it has: another configuration may have others. Takes the names. */
static void note_steps(struct steps_run *run, json_t *names, void (*done)(void *data, int status), void *data)
{
    const struct backend_reports *r = run->steps->base.reports;
    json_t *memo = json_pack("{s:o}", "steps", names);
    char *text = json_text(memo);

    if (text == NULL)
        abort();
    r->write_memo(r->data, run->id, text, done, data);
    free(text);
    json_decref(memo);
}

static void noted_again(void *data, int status)
{
    struct steps_run *run = data;
    const struct backend_reports *r = run->steps->base.reports;
    struct error why;
    char id[ID_SIZE];

    memcpy(id, run->id, sizeof id);
    if (!steps_run_release(run))
        return;
    if (status == 0) {
        steps_go(run);
        return;
    }
    error_set(&why, BF_ECANCELED, "the run was stopped before it began");
    r->not_started(r->data, id, &why, false, 0);
}

/* Another attempt: it goes on where the last one failed. */
static void go_on(struct steps_run *run, struct flow *flow)
{
    json_t *names = json_array();

    for (size_t i = 0; i < flow_steps(flow); i++)
        (void)json_array_append_new(names, json_string(flow_step_name(flow, i)));
    flow_begin_attempt(flow, run->record.attempt, time_wall_ms());
    flows_save(run->steps->flows, flow, NULL, 0, NULL, NULL);
    note_steps(run, names, noted_again, run);
}

void steps_begin(struct steps_run *run, const json_t *event, const json_t *input)
{
    struct flow *flow = steps_flow(run);
    struct begin *b;

    steps_run_hold(run);
    if (flow != NULL) {
        go_on(run, flow);
        return;
    }
    b = calloc(1, sizeof *b);
    if (b == NULL || steps_flow_new(run->id, NULL, run->steps->workspace, run->process, run->record.process, &b->flow) != 0)
        abort();
    b->run = run;
    b->dir = flows_world(run->steps->flows)->files_dir;
    b->event = json_incref((json_t *)(uintptr_t)event);
    b->input = json_incref((json_t *)(uintptr_t)input);
    name_files(b);
    tell_apart(b);
    note_steps(run, names_of(NULL, run->process), noted, b);
}
