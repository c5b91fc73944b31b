/* Files of work items: announced with a name and a length, answered with a link that takes the bytes (uploads.c). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "belfry/base/time.h"
#include "belfry/core/flows.h"

#define FILE_SIZE_MAX (INT64_C(1) << 40)
#define NAME_LEN_MAX 1024
#define FILES_MAX 10000                /* of one item */
#define AGAIN_WITHIN_MS (60 * 60 * INT64_C(1000))   /* as long as its first link was good; after a day it is forgotten */

struct file_write {
    struct api_call call;
    struct item_file file;
    struct record record;
    struct commit commit;
    json_t *(*shape)(const char *url, json_t *form);
};

static void write_free(struct file_write *w)
{
    struct serve_room *room = w->call.room;

    item_file_close(&w->file);
    free(w);
    serve_let_go(room);
}

json_t *api_upload_flat(const char *url, json_t *form)
{
    return json_pack("{s:s, s:O, s:o}", "url", url, "fields", form, "form_data", form);
}

json_t *api_upload_nested(const char *url, json_t *form)
{
    return json_pack("{s:{s:s, s:o}}", "upload", "url", url, "form_data", form);
}

static void announced(struct commit *commit, int status)
{
    struct file_write *w = commit->data;
    struct buf url = { 0 };

    if (status != 0) {
        api_refuse(w->call.x, 503, "the file could not be written down: %s", error_name(status));
    } else {
        api_base_url(w->call.x, &url);
        serve_upload_link(w->call.room, w->file.id, w->call.step_run, w->file.size, &url);
        serve_json(w->call.x, 200, w->shape(buf_str(&url), json_pack("{s:s}", "key", w->file.id)));
    }
    buf_close(&url);
    write_free(w);
}

/* "file_name" or "fileName", a text; and the length, a whole number (a float will do). */
static bool read_announcement(const json_t *body, const char **name, int64_t *size)
{
    const json_t *length = json_object_get(body, "file_size");
    double value;

    *name = json_str(body, "file_name");
    if (*name == NULL)
        *name = json_str(body, "fileName");
    if (length == NULL)
        length = json_object_get(body, "fileSize");
    value = json_number_value(length);
    *size = (int64_t)value;
    return *name != NULL && (*name)[0] != '\0' && strlen(*name) <= NAME_LEN_MAX && json_is_number(length) && value >= 0 &&
           value <= (double)FILE_SIZE_MAX && floor(value) >= value;
}

void api_file_announce(const struct api_call *call, const char *item_id, const struct item_file *files, size_t count,
                       json_t *(*shape)(const char *url, json_t *form))
{
    struct file_write *w;
    char oldest[ID_SIZE];
    const char *name;
    int64_t size;
    json_t *body;

    if (!api_body(call->x, &body))
        return;
    if (!read_announcement(body, &name, &size) || count >= FILES_MAX) {
        api_refuse(call->x, 400, count >= FILES_MAX ? "the work item has too many files" : "a file's name (1 to %d bytes) and its size are needed",
                   NAME_LEN_MAX);
        json_decref(body);
        return;
    }
    w = calloc(1, sizeof *w);
    if (w == NULL || (w->file.name = strdup(name)) == NULL)
        abort();
    w->call = *call;
    w->shape = shape;
    w->file.size = size;
    (void)snprintf(w->file.item, sizeof w->file.item, "%s", item_id);
    id_new(time_wall_ms(), w->file.id);
    id_make(time_wall_ms() - AGAIN_WITHIN_MS, (const uint8_t[10]) { 0 }, oldest);
    /* One that was announced a while ago and has not come is the same one. */
    for (size_t i = 0; i < count; i++) {
        if (!files[i].there && strcmp(files[i].name, name) == 0 && strcmp(files[i].id, oldest) > 0)
            memcpy(w->file.id, files[i].id, sizeof w->file.id);
    }
    w->record = (struct record) { .kind = RECORD_ITEM_FILE, .item_file = &w->file };
    w->commit = (struct commit) { .records = &w->record, .count = 1, .cb = announced, .data = w };
    json_decref(body);
    call->room->open++;
    journal_commit(call->room->host.journal, &w->commit);
}

/* --- and goes ----------------------------------------------------------------------------------------------------- */

static void dropped(struct commit *commit, int status)
{
    struct file_write *w = commit->data;

    if (status != 0)
        api_refuse(w->call.x, 503, "the file could not be removed: %s", error_name(status));
    else
        http_respond(w->call.x, 204, NULL, "", 0, NULL, 0);
    write_free(w);
}

void api_file_drop(const struct api_call *call, const char *file_id)
{
    struct file_write *w = calloc(1, sizeof *w);

    if (w == NULL)
        abort();
    w->call = *call;
    memcpy(w->file.id, file_id, sizeof w->file.id);
    w->record = (struct record) { .kind = RECORD_ITEM_FILE_DROP, .key = w->file.id };
    w->commit = (struct commit) { .records = &w->record, .count = 1, .cb = dropped, .data = w };
    call->room->open++;
    journal_commit(call->room->host.journal, &w->commit);
}

json_t *api_shape_files(const struct api_call *call, const char *item_id, const struct item_file *files, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        struct buf url = { 0 };

        if (!files[i].there || strcmp(files[i].item, item_id) != 0)
            continue;
        api_base_url(call->x, &url);
        serve_item_file_link(call->room, files[i].id, &url);
        (void)json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:{s:s}}", "id", files[i].id, "size", (json_int_t)files[i].size,
                                                    "name", files[i].name, "download", "url", buf_str(&url)));
        buf_close(&url);
    }
    return list;
}
