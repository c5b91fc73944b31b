/* Outputs that a step run left as a list, for the file adapter: they become work items of the flow, their files go into the store.
 * What a step run left is hostile: names are texts, only regular files beside the list are taken, links are not followed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "belfry/base/text.h"
#include "steps_internal.h"

#define LIST "work-items-out"
#define LIST_AGAIN_MS 10000

struct listed {
    struct item_file file;
    size_t output;                       /* whose it is */
};

struct reading {
    uv_work_t work;
    struct steps_run *run;
    char id[ID_SIZE];
    char *folder;
    const char *dir;                     /* of the store */
    json_t *list;
    json_t *notes;
    struct listed *files;
    size_t file_count, cap;
    struct record *records;
    int64_t max, left;                   /* bytes that its files may have, and those that may still come */
    int status;                          /* the store's */
    struct error error;
    struct buf bad;                      /* what is wrong with the list; "": nothing */
    STAILQ_ENTRY(reading) next;
};

/* Of all workspaces, for libuv's pool is one, too: the first is read, the others wait. What a step run left may take long to copy. */
static STAILQ_HEAD(, reading) readings = STAILQ_HEAD_INITIALIZER(readings);

/* The last one that was taken. */
static void drop_file(struct reading *r)
{
    struct item_file *file = &r->files[--r->file_count].file;
    char *path = file_join(r->dir, file->id);

    if (path != NULL)
        (void)unlink(path);
    free(path);
    item_file_close(file);
}

/* --- on the thread pool ------------------------------------------------------------------------------------------- */

static void take_file(struct reading *r, int beside, size_t output, const char *name, const char *relative)
{
    const struct file_bounds bounds = { .max = r->left, .stop = &r->run->steps->closing };
    struct listed *grown, *one;
    uint8_t dice[10];
    int fd = relative != NULL ? file_open_below(beside, relative) : -1;
    struct stat st;
    char *to;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        buf_adds(&r->bad, LIST "/workitems.json names the file ");
        text_printable(name, strlen(name), &r->bad);
        buf_adds(&r->bad, ", which is no file beside it");
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    if (r->file_count == r->cap) {
        r->cap = r->cap > 0 ? 2 * r->cap : 16;
        grown = reallocarray(r->files, r->cap, sizeof *grown);
        if (grown == NULL)
            abort();
        r->files = grown;
    }
    one = &r->files[r->file_count];
    *one = (struct listed) { .output = output };
    if ((one->file.name = strdup(name)) == NULL)
        abort();
    r->file_count++;
    id_random(dice, sizeof dice);
    id_make(time_wall_ms(), dice, one->file.id);   /* id_new is the loop's */
    to = file_join(r->dir, one->file.id);
    r->status = to != NULL ? file_copy_fd(fd, name, to, 0640, &bounds, &r->error) : error_set(&r->error, BF_ENOMEM, "out of memory");
    if (r->status == 0 && stat(to, &st) != 0)
        r->status = error_errno(&r->error, errno, "cannot read %s", to);
    one->file.size = st.st_size;
    one->file.there = true;
    free(to);
    (void)close(fd);
    if (r->status == 0)
        r->left -= st.st_size;
    if (r->status != BF_ETOOBIG)
        return;
    r->status = 0;
    buf_addf(&r->bad, "the files of " LIST "/workitems.json have more than %lld bytes together (artifacts_max)", (long long)r->max);
}

static void take_item(struct reading *r, int beside, size_t index, json_t *item)
{
    json_t *files = json_object_get(item, "files"), *where;
    const char *name;

    if (!json_is_object(item) || (files != NULL && !json_is_null(files) && !json_is_object(files))) {
        buf_addf(&r->bad, LIST "/workitems.json: item %zu is not {\"payload\": …, \"files\": {name: path}}", index + 1);
        return;
    }
    json_object_foreach(files, name, where) {
        if (r->status == 0 && r->bad.len == 0)
            take_file(r, beside, index, name, json_string_value(where));
    }
}

static void read_list(uv_work_t *work)
{
    struct reading *r = work->data;
    char *path = file_join(r->folder, LIST);
    int beside = path != NULL ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    json_t *item;
    size_t i;

    r->list = local_read_list(r->folder, LIST, r->notes);
    if (r->list == NULL)
        buf_adds(&r->bad, json_array_size(r->notes) > 0 ? json_string_value(json_array_get(r->notes, 0)) : "its list of outputs cannot be read");
    if (json_array_size(r->list) > ITEMS_MAX)
        buf_addf(&r->bad, LIST "/workitems.json has %zu items: %d are taken at most", json_array_size(r->list), ITEMS_MAX);
    json_array_foreach(r->list, i, item) {
        if (r->status == 0 && r->bad.len == 0)
            take_item(r, beside, i, item);
    }
    if (beside >= 0)
        (void)close(beside);
    free(path);
}

/* --- on the loop -------------------------------------------------------------------------------------------------- */

static void reading_free(struct reading *r)
{
    for (size_t i = 0; i < r->file_count; i++)
        item_file_close(&r->files[i].file);
    free(r->files);
    free(r->records);
    free(r->folder);
    buf_close(&r->bad);
    json_decref(r->list);
    json_decref(r->notes);
    free(r);
}

static void written(void *data, int status)
{
    struct reading *r = data;
    struct steps_run *run = r->run;

    (void)status;
    reading_free(r);
    (void)steps_run_release(run);
}

static void name_files(struct reading *r, size_t output, const char *item_id, size_t *at)
{
    for (; *at < r->file_count && r->files[*at].output == output; ++*at) {
        memcpy(r->files[*at].file.item, item_id, strlen(item_id) + 1);
        r->records[*at] = (struct record) { .kind = RECORD_ITEM_FILE, .item_file = &r->files[*at].file };
    }
}

/* The outputs come with the end of the step run, in one commit: either all of it is known, or it is read again. `given`: an item of
 * the step run. */
static void put_out(struct reading *r, struct steps_task *task, const char *given)
{
    struct steps_run *run = r->run;
    struct flow *flow = steps_flow(run);
    const struct item_record *made;
    char id[ID_SIZE], step_run[ID_SIZE], parent[ITEM_ID_SIZE];
    size_t count = json_array_size(r->list), files = 0;

    memcpy(step_run, task->id, sizeof step_run);
    (void)snprintf(parent, sizeof parent, "%s", given);
    r->records = calloc(r->file_count + 1, sizeof *r->records);
    if (r->records == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        char *text = json_text(json_object_get(json_array_get(r->list, i), "payload"));

        id_new(time_wall_ms(), id);
        if (text == NULL || flow_output(flow, step_run, parent, time_wall_ms(), id, text, &made) != 0)
            abort();   /* whether it may was seen before */
        name_files(r, i, made->id, &files);
        flow_told(flow, made->id);
        free(text);
    }
    flow_spoke(flow, step_run);
    if (task->end.ended_ms == 0)
        task->end.ended_ms = time_wall_ms();
    flow_ended(flow, step_run, &task->end);
    steps_run_hold(run);
    flows_save(run->steps->flows, flow, r->records, r->file_count, written, r);
    steps_task_ended(task);
}

/* A full disk: the outputs stay where they are until there is room for them, which copies of some would only take. */
static void try_again(struct reading *r)
{
    struct steps_task *task = steps_task_find(r->run->steps, r->id);

    log_warning("step run %s: its outputs are taken in later: %s", r->id, r->error.text);
    task->list_again_ms = time_mono_ms() + LIST_AGAIN_MS;
    steps_set_again(task->run->steps);
    while (r->file_count > 0)
        drop_file(r);
    reading_free(r);
}

/* There is a list, and not all of it can be had: whatever the command said, what it made is not known. Nothing of it goes on. */
static void refuse_list(struct steps_task *task, struct reading *r)
{
    const char *why = buf_str(&r->bad);

    log_warning("step run %s: %s", r->id, why);
    json_decref(r->list);
    r->list = NULL;
    while (r->file_count > 0)
        drop_file(r);
    if (task->end.outcome != RUN_COMPLETED)
        return;
    task->end.outcome = RUN_FAILED;
    free(task->end_words[0]);
    free(task->end_words[1]);
    task->end.error_code = task->end_words[0] = strdup("bad_outputs");
    task->end.error_message = task->end_words[1] = strdup(why);
}

/* Outputs are an item's: its step run has one, unless a person has had all that it was given tried again meanwhile. */
static void check_room(struct reading *r, const struct flow *flow, const struct item_record *given)
{
    size_t count = json_array_size(r->list);

    if (given == NULL && count > 0)
        buf_adds(&r->bad, "its outputs come too late: its work items are tried again by now");
    else if (count > 0 && !flow_has_room(flow, count))
        buf_addf(&r->bad, "it put out %zu work items: no more than %d go through one run", count, FLOW_ITEMS_MAX);
}

static void read_first(uv_loop_t *loop);

static void list_read(uv_work_t *work, int status)
{
    struct reading *r = work->data;
    struct steps_run *run = r->run;
    struct steps_task *task = steps_task_find(run->steps, r->id);
    const struct item_record *given;

    (void)status;
    STAILQ_REMOVE_HEAD(&readings, next);
    read_first(run->steps->loop);
    if (task == NULL || run->dropped || run->steps->closing) {
        reading_free(r);
    } else if (r->status != 0) {
        try_again(r);
    } else {
        given = flow_given(steps_flow(run), r->id);
        if (r->bad.len == 0)
            check_room(r, steps_flow(run), given);
        if (r->bad.len > 0)
            refuse_list(task, r);
        put_out(r, task, given != NULL ? given->id : "");
    }
    (void)steps_run_release(run);
}

static void read_first(uv_loop_t *loop)
{
    struct reading *r = STAILQ_FIRST(&readings);

    if (r != NULL && uv_queue_work(loop, &r->work, read_list, list_read) != 0)
        abort();
}

static void queue(struct steps_task *task)
{
    struct steps *s = task->run->steps;
    struct reading *r = calloc(1, sizeof *r);

    if (r == NULL || (r->folder = local_folder(s->inner, task->id)) == NULL || (r->notes = json_array()) == NULL)
        abort();
    r->run = task->run;
    memcpy(r->id, task->id, sizeof r->id);
    r->dir = flows_world(s->flows)->files_dir;
    r->max = r->left = local_artifacts_max(task->run->process);
    r->work.data = r;
    steps_run_hold(task->run);
    STAILQ_INSERT_TAIL(&readings, r, next);
    if (STAILQ_FIRST(&readings) == r)
        read_first(s->loop);
}

void steps_read_list(struct steps_task *task)
{
    char *folder = local_folder(task->run->steps->inner, task->id), *path = folder != NULL ? file_join(folder, LIST "/workitems.json") : NULL;

    if (path == NULL)
        abort();
    if (access(path, F_OK) == 0)
        queue(task);
    else
        steps_task_ended(task);
    free(path);
    free(folder);
}
