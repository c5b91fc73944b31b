/*
 * Assets: named values that robots and clients share. Small ones come with the request, others by a link (uploads.c); what an asset
 * has is the file of its last upload. Source: the vendor's client robocorp-storage, and API v1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"

#define NAME_LEN_MAX 255
#define TYPE_LEN_MAX 255
#define INLINE_MAX 5000000             /* bytes of base64: more goes by a link */

struct asset_ask {
    uv_work_t work;
    struct api_call call;
    struct journal_read read;
    void (*done)(struct asset_ask *ask, const struct asset_record *asset);
    struct asset_record asset;
    struct asset_upload upload;
    char *path;                        /* where the bytes go */
    unsigned char *bytes;
    size_t len;
    struct record records[2];
    struct commit commit;
    int status;
    struct error error;
};

static struct asset_ask *ask_new(const struct api_call *call)
{
    struct asset_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL)
        abort();
    ask->call = *call;
    ask->commit = (struct commit) { .records = ask->records, .count = 1, .data = ask };
    call->room->open++;
    return ask;
}

static void ask_free(struct asset_ask *ask)
{
    struct serve_room *room = ask->call.room;

    asset_record_close(&ask->asset);
    asset_upload_close(&ask->upload);
    free(ask->path);
    free(ask->bytes);
    free(ask);
    serve_let_go(room);
}

static void read_assets(struct asset_ask *ask, struct journal_read read, journal_read_cb cb)
{
    ask->read = read;
    ask->read.kind = READ_ASSETS;
    ask->read.state = -1;
    ask->read.workspace = ask->call.workspace->id;
    ask->read.cb = cb;
    ask->read.data = ask;
    journal_read(ask->call.room->host.journal, &ask->read);
}

/* The asset in the path: by its id, or by "name:…". */
static void found(struct journal_read *read, int status)
{
    struct asset_ask *ask = read->data;

    if (status != 0) {
        api_refuse(ask->call.x, 503, "the journal cannot be read: %s", read->error.text);
        ask_free(ask);
    } else if (read->count == 0) {
        api_refuse(ask->call.x, 404, "Asset not found");
        ask_free(ask);
    } else {
        ask->done(ask, &read->rows[0].asset);   /* which frees it, now or later */
    }
}

/* The word behind "…/assets/", from the raw target: on its way through the routes an escaped slash stays escaped, and looks like an
 * escaped escape. It has as many segments as the routes saw. */
static int read_word(const struct api_call *call, struct buf *word)
{
    const char *at = http_target(call->x), *end;

    for (int slashes = 0; slashes < 6 && at != NULL; slashes++) {
        at = strchr(at, '/');
        at += at != NULL;
    }
    if (at == NULL)
        return BF_EINVAL;
    end = at + strcspn(at, "/?");
    for (const char *more = strchr(call->args.at[0], '/'); more != NULL && *end == '/'; more = strchr(more + 1, '/'))
        end += 1 + strcspn(end + 1, "/?");
    return text_unescape(at, (size_t)(end - at), word);
}

static void find(const struct api_call *call, void (*done)(struct asset_ask *ask, const struct asset_record *asset))
{
    struct journal_read read = { .limit = 1 };
    struct buf word = { 0 };
    struct asset_ask *ask;

    if (read_word(call, &word) == 0 && strncmp(buf_str(&word), "name:", 5) == 0)
        read.name = buf_str(&word) + 5;
    else if (id_is_uuid(buf_str(&word)))
        memcpy(read.id, buf_str(&word), sizeof read.id);
    if (read.name == NULL && read.id[0] == '\0') {
        api_refuse(call->x, 404, "Asset not found");
    } else {
        ask = ask_new(call);
        ask->done = done;
        read_assets(ask, read, found);
    }
    buf_close(&word);
}

/* --- shapes ------------------------------------------------------------------------------------------------------- */

static json_t *shape_asset(const struct api_call *call, const struct asset_record *asset)
{
    json_t *o = json_pack("{s:s, s:s}", "id", asset->id, "name", asset->name);
    struct buf url = { 0 };

    if (asset->file[0] == '\0') {
        (void)json_object_set_new(o, "payload", json_pack("{s:s}", "type", "empty"));
        return o;
    }
    api_base_url(call->x, &url);
    serve_item_file_link(call->room, asset->file, &url);
    (void)json_object_set_new(o, "payload", json_pack("{s:s, s:s, s:s}", "type", "url", "content_type", asset->content_type, "url",
                                                      buf_str(&url)));
    buf_close(&url);
    return o;
}

static json_t *shape_upload(const struct api_call *call, const struct asset_upload *upload)
{
    static const char *const words[] = { "pending", "completed", "failed" };
    json_t *o = json_pack("{s:s, s:s, s:s}", "id", upload->id, "status", words[upload->state], "content_type", upload->content_type);
    struct buf url = { 0 };

    if (upload->state == UPLOAD_PENDING) {
        api_base_url(call->x, &url);
        serve_asset_upload_link(call->room, upload->id, &url);
        (void)json_put(o, "upload_url", buf_str(&url));
        buf_close(&url);
    } else if (upload->state == UPLOAD_FAILED) {
        (void)json_put(o, "reason", "the bytes did not come whole");
    }
    return o;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void page_came(struct journal_read *read, int status)
{
    struct asset_ask *ask = read->data;
    json_t *list = json_array();

    for (size_t i = 0; status == 0 && i < read->count; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:s}", "id", read->rows[i].asset.id, "name", read->rows[i].asset.name));
    if (status == 0) {
        api_answer_page(ask->call.x, list, read->more ? read->rows[read->count - 1].asset.id : NULL);
    } else {
        json_decref(list);
        api_refuse(ask->call.x, 503, "the journal cannot be read: %s", read->error.text);
    }
    ask_free(ask);
}

void api_assets(const struct api_call *call)
{
    const char *cursor;
    size_t limit;

    if (api_page(call->x, &limit, &cursor))
        read_assets(ask_new(call), (struct journal_read) { .before_id = cursor, .limit = limit }, page_came);
}

static void show(struct asset_ask *ask, const struct asset_record *asset)
{
    serve_json(ask->call.x, 200, shape_asset(&ask->call, asset));
    ask_free(ask);
}

void api_asset(const struct api_call *call)
{
    find(call, show);
}

/* --- making, deleting --------------------------------------------------------------------------------------------- */

static void refuse_unwritten(struct asset_ask *ask, int status)
{
    api_refuse(ask->call.x, 503, "it could not be written down: %s", error_name(status));
    ask_free(ask);
}

static void made(struct commit *commit, int status)
{
    struct asset_ask *ask = commit->data;

    if (status == BF_EEXIST) {
        api_refuse(ask->call.x, 400, "there is an asset named %s already", ask->asset.name);
        ask_free(ask);
    } else if (status != 0) {
        refuse_unwritten(ask, status);
    } else {
        show(ask, &ask->asset);
    }
}

/* One that can stand in a path. */
static bool is_name(const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return false;
    }
    return len > 0 && len <= NAME_LEN_MAX;
}

void api_asset_make(const struct api_call *call)
{
    struct asset_ask *ask;
    const char *name;
    json_t *body;

    if (!api_body(call->x, &body))
        return;
    name = json_str(body, "name");
    if (!is_name(name)) {
        api_refuse(call->x, 400, "name has to be a text of 1 to %d bytes, without control characters", NAME_LEN_MAX);
        json_decref(body);
        return;
    }
    ask = ask_new(call);
    ask->asset = (struct asset_record) { .workspace = strdup(call->workspace->id), .name = strdup(name), .created_ms = time_wall_ms() };
    json_decref(body);
    if (ask->asset.workspace == NULL || ask->asset.name == NULL)
        abort();
    id_new(ask->asset.created_ms, ask->asset.id);
    ask->records[0] = (struct record) { .kind = RECORD_ASSET_ADD, .asset = &ask->asset };
    ask->commit.cb = made;
    journal_commit(call->room->host.journal, &ask->commit);
}

static void deleted(struct commit *commit, int status)
{
    struct asset_ask *ask = commit->data;

    if (status != 0) {
        refuse_unwritten(ask, status);
        return;
    }
    serve_json(ask->call.x, 200, json_pack("{s:s, s:b}", "id", ask->asset.id, "deleted", 1));
    ask_free(ask);
}

static void delete(struct asset_ask *ask, const struct asset_record *asset)
{
    memcpy(ask->asset.id, asset->id, sizeof ask->asset.id);
    ask->records[0] = (struct record) { .kind = RECORD_ASSET_DROP, .key = ask->asset.id };
    ask->commit.cb = deleted;
    journal_commit(ask->call.room->host.journal, &ask->commit);
}

void api_asset_delete(const struct api_call *call)
{
    find(call, delete);
}

/* --- uploads ------------------------------------------------------------------------------------------------------ */

static void upload_written(struct commit *commit, int status)
{
    struct asset_ask *ask = commit->data;

    if (status != 0) {
        refuse_unwritten(ask, status);
        return;
    }
    serve_json(ask->call.x, 200, shape_upload(&ask->call, &ask->upload));
    ask_free(ask);
}

static void write_upload(struct asset_ask *ask)
{
    ask->records[0] = (struct record) { .kind = RECORD_ASSET_UPLOAD, .upload = &ask->upload };
    ask->records[1] = (struct record) { .kind = RECORD_ASSET_FILE, .upload = &ask->upload };
    ask->commit.count = ask->upload.state == UPLOAD_COMPLETED ? 2 : 1;
    ask->commit.cb = upload_written;
    journal_commit(ask->call.room->host.journal, &ask->commit);
}

static void keep_bytes(uv_work_t *work)
{
    struct asset_ask *ask = work->data;

    ask->status = file_write_atomic(ask->path, ask->bytes, ask->len, 0640, &ask->error);
}

static void bytes_kept(uv_work_t *work, int status)
{
    struct asset_ask *ask = work->data;

    (void)status;
    if (ask->status != 0) {
        api_refuse(ask->call.x, 503, "the asset cannot be kept: %s", ask->error.text);
        ask_free(ask);
        return;
    }
    ask->upload.state = UPLOAD_COMPLETED;
    write_upload(ask);
}

/* Without data: a link takes the bytes. False when it was refused. */
static bool read_upload(struct asset_ask *ask, const json_t *body)
{
    const char *type = json_str(body, "content_type"), *data = json_str(body, "data");
    const json_t *said = json_object_get(body, "data");
    size_t len = data != NULL ? strlen(data) : 0;

    if (type == NULL || type[0] == '\0' || strlen(type) > TYPE_LEN_MAX) {
        api_refuse(ask->call.x, 400, "content_type is needed");
        return false;
    }
    if (data == NULL && said != NULL && !json_is_null(said)) {
        api_refuse(ask->call.x, 400, "data has to be a text of base64");
        return false;
    }
    ask->upload.content_type = strdup(type);
    ask->bytes = data != NULL ? malloc(len + 4) : NULL;
    if (ask->upload.content_type == NULL || (data != NULL && ask->bytes == NULL))
        abort();
    ask->len = len + 4;
    if (data != NULL && (len > INLINE_MAX || text_unbase64(data, len, ask->bytes, &ask->len) != 0)) {
        api_refuse(ask->call.x, 400, len > INLINE_MAX ? "data is too long: leave it out, and send the bytes to upload_url" : "data is not base64");
        return false;
    }
    return true;
}

static void begin_upload(struct asset_ask *ask, const struct asset_record *asset)
{
    json_t *body;
    bool good;

    if (!api_body(ask->call.x, &body)) {
        ask_free(ask);
        return;
    }
    ask->upload.created_ms = time_wall_ms();
    id_new(ask->upload.created_ms, ask->upload.id);
    memcpy(ask->upload.asset, asset->id, sizeof ask->upload.asset);
    good = read_upload(ask, body);
    json_decref(body);
    if (!good) {
        ask_free(ask);
    } else if (ask->bytes == NULL) {
        write_upload(ask);
    } else {
        ask->path = file_join(flows_world(ask->call.room->host.flows)->files_dir, ask->upload.id);
        ask->work.data = ask;
        if (ask->path == NULL || uv_queue_work(ask->call.room->loop, &ask->work, keep_bytes, bytes_kept) != 0)
            abort();
    }
}

void api_asset_upload(const struct api_call *call)
{
    find(call, begin_upload);
}

static void upload_came(struct journal_read *read, int status)
{
    struct asset_ask *ask = read->data;

    if (status != 0)
        api_refuse(ask->call.x, 503, "the journal cannot be read: %s", read->error.text);
    else if (read->count == 0 || strcmp(read->rows[0].upload.asset, ask->asset.id) != 0)
        api_refuse(ask->call.x, 404, "Upload not found");
    else
        serve_json(ask->call.x, 200, shape_upload(&ask->call, &read->rows[0].upload));
    ask_free(ask);
}

static void find_upload(struct asset_ask *ask, const struct asset_record *asset)
{
    const char *id = ask->call.args.at[1];

    memcpy(ask->asset.id, asset->id, sizeof ask->asset.id);
    if (!id_is_uuid(id)) {
        api_refuse(ask->call.x, 404, "Upload not found");
        ask_free(ask);
        return;
    }
    ask->read = (struct journal_read) { .kind = READ_UPLOADS, .state = -1, .limit = 1, .cb = upload_came, .data = ask };
    memcpy(ask->read.id, id, sizeof ask->read.id);
    journal_read(ask->call.room->host.journal, &ask->read);
}

void api_asset_upload_state(const struct api_call *call)
{
    find(call, find_upload);
}
