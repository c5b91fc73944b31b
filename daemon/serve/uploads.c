/*
 * Uploads of work items' files, and of assets: a link that holds a signature, the file's length and when it ends takes the bytes, as a form with
 * the field "file" last (as S3 takes them) or as they are by PUT. They are streamed to a file beside the store, and become the
 * file of that id when they are whole: synced, renamed, written down, then acknowledged.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "belfry/core/flows.h"
#include "serve_internal.h"

#define LINK_LIVES_S 3600
#define ASSET_SIZE_MAX (INT64_C(1) << 40)

/* What a link may take. */
static const struct kind {
    const char *prefix;            /* of its path */
    const char *what;              /* in its signature */
    bool exact;                    /* as long as was said, not only as long at most */
} kinds[] = { { "/uploads/", "uploads", true }, { "/asset-uploads/", "asset-uploads", false } };

struct upload {
    uv_work_t work;
    struct serve_room *room;
    struct http_exchange *x;
    TAILQ_ENTRY(upload) link;      /* while its body comes */
    bool coming;
    char id[ID_SIZE];
    const struct kind *kind;
    char *part, *place;
    int fd;
    int64_t size, got;
    bool file_seen;
    bool raw;                      /* the body is the file: it may be empty */
    struct journal_read read;
    struct item_file file;
    struct asset_upload asset;
    struct record records[2];
    struct commit commit;
    int status;
    struct error error;
};

/* --- links -------------------------------------------------------------------------------------------------------- */

static void sign(const struct serve_room *room, const char *what, const char *id, int64_t size, int64_t expires_s,
                 char hex[2 * VAULT_MAC_SIZE + 1])
{
    unsigned char mac[VAULT_MAC_SIZE];
    struct buf text = { 0 };

    buf_addf(&text, "%s\n%s\n%lld\n%lld", what, id, (long long)size, (long long)expires_s);
    vault_derive(room->host.vault, "item file", buf_str(&text), text.len, mac);
    text_hex(mac, sizeof mac, hex);
    buf_close(&text);
}

static void link_to(const struct serve_room *room, const char *what, const char *id, int64_t size, struct buf *url)
{
    int64_t expires_s = time_wall_ms() / 1000 + LINK_LIVES_S;
    char hex[2 * VAULT_MAC_SIZE + 1];

    sign(room, what, id, size, expires_s, hex);
    buf_addf(url, "/%s/%s?size=%lld&expires=%lld&signature=%s", what, id, (long long)size, (long long)expires_s, hex);
}

void serve_upload_link(const struct serve_room *room, const char *file_id, int64_t size, struct buf *url)
{
    link_to(room, "uploads", file_id, size, url);
}

void serve_asset_upload_link(const struct serve_room *room, const char *upload_id, struct buf *url)
{
    link_to(room, "asset-uploads", upload_id, ASSET_SIZE_MAX, url);
}

void serve_item_file_link(const struct serve_room *room, const char *file_id, struct buf *url)
{
    link_to(room, "item-files", file_id, 0, url);
}

static bool link_is_good(const struct serve_room *room, const struct http_exchange *x, const char *what, const char *id, int64_t *size)
{
    const char *signature = http_query(x, "signature"), *expires = http_query(x, "expires"), *length = http_query(x, "size");
    char hex[2 * VAULT_MAC_SIZE + 1];
    int64_t expires_s;

    if (signature == NULL || expires == NULL || length == NULL || strlen(signature) != sizeof hex - 1 || !id_is_uuid(id) ||
        text_int(expires, 0, INT64_MAX, &expires_s) != 0 || text_int(length, 0, INT64_MAX, size) != 0)
        return false;
    sign(room, what, id, *size, expires_s, hex);
    return text_equal_constant_time(signature, hex, sizeof hex - 1) && time_wall_ms() / 1000 < expires_s;
}

/* --- the bytes come ----------------------------------------------------------------------------------------------- */

static void upload_free(struct upload *u)
{
    struct serve_room *room = u->room;

    if (u->coming)
        TAILQ_REMOVE(&room->uploads, u, link);
    if (u->fd >= 0)
        (void)close(u->fd);
    if (u->part != NULL)
        (void)unlink(u->part);   /* gone already when it was renamed */
    free(u->part);
    free(u->place);
    item_file_close(&u->file);
    asset_upload_close(&u->asset);
    free(u);
    serve_let_go(room);
}

static void client_gone(struct http_exchange *x)
{
    struct upload *u = http_data(x);

    if (u != NULL && u->coming)   /* it has not come to the handler, and never will */
        upload_free(u);
}

void serve_drop_uploads(struct serve_room *room)
{
    struct upload *u;

    while ((u = TAILQ_FIRST(&room->uploads)) != NULL) {
        http_set_data(u->x, NULL, NULL);
        upload_free(u);
    }
}

static int keep(struct upload *u, const char *bytes, size_t len)
{
    if (u->got + (int64_t)len > u->size)
        return 400;
    while (len > 0) {
        ssize_t put = write(u->fd, bytes, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return 503;
        u->got += put;
        bytes += put;
        len -= (size_t)put;
    }
    return 0;
}

static int take_raw(struct http_exchange *x, const char *bytes, size_t len)
{
    struct upload *u = http_data(x);

    if (u == NULL)
        return 503;   /* the room is closing */
    u->file_seen = true;
    return keep(u, bytes, len);
}

static int take_field(struct http_exchange *x, const char *field, const char *name, uint64_t offset, const char *bytes, size_t len)
{
    struct upload *u = http_data(x);

    (void)name;
    if (u == NULL)
        return 503;
    if (strcmp(field, "file") != 0)
        return 0;
    if (offset == 0 && u->file_seen && u->got > 0)
        return 400;   /* one file */
    u->file_seen = true;
    return keep(u, bytes, len);
}

static int open_part(struct upload *u)
{
    struct buf part = { 0 };
    char dice[ID_SIZE];

    id_new(time_wall_ms(), dice);
    u->place = file_join(flows_world(u->room->host.flows)->files_dir, u->id);
    buf_addf(&part, "%s.%s.part", u->place != NULL ? u->place : "", dice);
    u->part = buf_take(&part);
    if (u->place == NULL || u->part == NULL)
        return BF_ENOMEM;
    u->fd = open(u->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    return u->fd >= 0 ? 0 : error_code_of_errno(errno);
}

static const struct kind *kind_of(const char *path)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strncmp(path, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return &kinds[i];
    }
    return NULL;
}

bool serve_head(struct serve_room *room, struct http_exchange *x)
{
    const char *path = http_path(x), *method = http_method(x), *id;
    bool put = strcmp(method, "PUT") == 0;
    const struct kind *kind = kind_of(path);
    struct upload *u;
    int64_t size;

    if (kind == NULL)
        return false;
    id = path + strlen(kind->prefix);
    if (!put && strcmp(method, "POST") != 0) {
        http_respond_error(x, 405, "METHOD_NOT_ALLOWED", "this path takes POST and PUT");
        return true;
    }
    if (!link_is_good(room, x, kind->what, id, &size)) {
        http_respond_error(x, 403, "FORBIDDEN", "this link is not good, or no longer: ask for it again");
        return true;
    }
    u = calloc(1, sizeof *u);
    if (u == NULL)
        abort();
    u->room = room;
    u->fd = -1;
    u->size = size;
    u->kind = kind;
    memcpy(u->id, id, sizeof u->id);
    room->open++;
    if (open_part(u) != 0) {
        http_respond_error(x, 503, "UNAVAILABLE", "the file cannot be kept: %s", strerror(errno));
        upload_free(u);
        return true;
    }
    http_set_data(x, u, client_gone);
    u->x = x;
    u->coming = true;
    TAILQ_INSERT_TAIL(&room->uploads, u, link);
    u->raw = put;
    if (put) {
        http_stream_body(x, take_raw);
    } else if (!http_stream_form(x, take_field)) {
        http_set_data(x, NULL, NULL);
        http_respond_error(x, 400, "BAD_REQUEST", "the body has to be multipart/form-data");
        upload_free(u);
    }
    return true;
}

/* --- they are there ----------------------------------------------------------------------------------------------- */

static void refuse(struct upload *u, unsigned status, const char *code, const char *why)
{
    http_respond_error(u->x, status, code, "%s", why);
    upload_free(u);
}

static void written(struct commit *commit, int status)
{
    struct upload *u = commit->data;

    if (status != 0) {
        refuse(u, 503, "UNAVAILABLE", "the file could not be written down");
        return;
    }
    http_respond(u->x, 204, NULL, "", 0, NULL, 0);
    upload_free(u);
}

static void put_in_place(uv_work_t *work)
{
    struct upload *u = work->data;
    struct buf dir = { 0 };

    if (fsync(u->fd) != 0 || rename(u->part, u->place) != 0)
        u->status = error_errno(&u->error, errno, "cannot keep %s", u->place);
    buf_add(&dir, u->place, strlen(u->place) - strlen(u->id) - 1);
    if (u->status == 0)
        u->status = file_sync_dir(buf_str(&dir), &u->error);
    buf_close(&dir);
}

static void placed(uv_work_t *work, int status)
{
    struct upload *u = work->data;

    (void)status;
    if (u->status != 0) {
        refuse(u, 503, "UNAVAILABLE", u->error.text);
        return;
    }
    if (u->kind->exact) {
        u->file.size = u->got;
        u->file.there = true;
        u->records[0] = (struct record) { .kind = RECORD_ITEM_FILE, .item_file = &u->file };
    } else {
        u->asset.state = UPLOAD_COMPLETED;
        u->records[0] = (struct record) { .kind = RECORD_ASSET_UPLOAD, .upload = &u->asset };
        u->records[1] = (struct record) { .kind = RECORD_ASSET_FILE, .upload = &u->asset };
    }
    u->commit = (struct commit) { .records = u->records, .count = u->kind->exact ? 1 : 2, .cb = written, .data = u };
    journal_commit(u->room->host.journal, &u->commit);
}

static void known(struct journal_read *read, int status)
{
    struct upload *u = read->data;

    if (status != 0 || read->count == 0) {
        refuse(u, status != 0 ? 503 : 404, status != 0 ? "UNAVAILABLE" : "NOT_FOUND", "there is no such file to be uploaded");
        return;
    }
    if (u->kind->exact ? item_file_copy(&u->file, &read->rows[0].file) != 0 : asset_upload_copy(&u->asset, &read->rows[0].upload) != 0)
        abort();
    u->work.data = u;
    if (uv_queue_work(u->room->loop, &u->work, put_in_place, placed) != 0)
        abort();
}

/* The head has been judged, and the body streamed. */
void serve_upload(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    struct upload *u = http_data(x);
    int refusal = http_refusal(x);

    (void)args;
    if (u == NULL) {
        http_respond_error(x, 503, "UNAVAILABLE", "belfryd is stopping");
        return;
    }
    u->coming = false;
    TAILQ_REMOVE(&room->uploads, u, link);
    if (refusal == 503)
        refuse(u, 503, "UNAVAILABLE", "the file cannot be kept: the disk is full, or fails");
    else if (refusal != 0 || (!u->file_seen && !u->raw))
        refuse(u, 400, "BAD_REQUEST", refusal != 0 ? "the file is longer than was said, or the form is not good" : "the field \"file\" is missing");
    else if (u->kind->exact && u->got != u->size)
        refuse(u, 400, "BAD_REQUEST", "the file is shorter than was said");
    else {
        u->read = (struct journal_read) { .kind = u->kind->exact ? READ_ITEM_FILES : READ_UPLOADS, .state = -1, .limit = 1, .cb = known, .data = u };
        memcpy(u->read.id, u->id, sizeof u->read.id);
        journal_read(u->room->host.journal, &u->read);
    }
}

/* --- downloads ---------------------------------------------------------------------------------------------------- */

void serve_item_file(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    char *path;
    int64_t size;
    int fd;

    if (!link_is_good(room, x, "item-files", args->at[0], &size)) {
        http_respond_error(x, 403, "FORBIDDEN", "this link is not good, or no longer: ask for it again");
        return;
    }
    path = file_join(flows_world(room->host.flows)->files_dir, args->at[0]);
    fd = path != NULL ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    free(path);
    if (fd >= 0)
        serve_send_file(x, fd, "application/octet-stream", 0, INT64_MAX);
    else
        http_respond_error(x, 404, "NOT_FOUND", "there is no such file any more");
}
