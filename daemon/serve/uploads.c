/*
 * Uploads of work items' files, and of assets: a link that holds a signature, the file's length and when it ends takes the bytes, as a form with
 * the field "file" last (as S3 takes them) or as they are by PUT. They are streamed to a file beside the store, and become the
 * file of that id when they are whole: synced, judged, renamed, written down, then acknowledged.
 *
 * What has come once stays: the same bytes once more (from a sender that has lost the answer) are acknowledged and forgotten, others are
 * refused. The first ones are taken as long as whoever asked for the link may change the item: a client until a run has taken it,
 * a step run as long as it lives and the item is its own. The journal refuses the record if that has changed since.
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
    TAILQ_ENTRY(upload) link;      /* while its body comes, or it is being put in place */
    bool coming, landing;
    char id[ID_SIZE];
    char step_run[ID_SIZE];        /* that asked for the link; "": a client did */
    const struct kind *kind;
    char *part, *place;
    int fd;
    int64_t size, got;
    bool file_seen;
    bool raw;                      /* the body is the file: it may be empty */
    struct journal_read read;
    struct item_file file;
    struct item_record item;       /* whose file it is */
    struct asset_upload asset;
    bool same;                     /* the bytes are those that came before */
    struct record record;
    struct commit commit;
    int status;
    struct error error;
};

/* --- links -------------------------------------------------------------------------------------------------------- */

static void sign(const struct serve_room *room, const char *what, const char *id, const char *step_run, int64_t size, int64_t expires_s,
                 char hex[2 * VAULT_MAC_SIZE + 1])
{
    unsigned char mac[VAULT_MAC_SIZE];
    struct buf text = { 0 };

    buf_addf(&text, "%s\n%s\n%lld\n%lld", what, id, (long long)size, (long long)expires_s);
    if (step_run[0] != '\0')
        buf_addf(&text, "\n%s", step_run);
    vault_derive(room->host.vault, "item file", buf_str(&text), text.len, mac);
    text_hex(mac, sizeof mac, hex);
    buf_close(&text);
}

static void link_to(const struct serve_room *room, const char *what, const char *id, const char *step_run, int64_t size, struct buf *url)
{
    int64_t expires_s = time_wall_ms() / 1000 + LINK_LIVES_S;
    char hex[2 * VAULT_MAC_SIZE + 1];

    sign(room, what, id, step_run, size, expires_s, hex);
    buf_addf(url, "/%s/%s?size=%lld&expires=%lld", what, id, (long long)size, (long long)expires_s);
    if (step_run[0] != '\0')
        buf_addf(url, "&step_run=%s", step_run);
    buf_addf(url, "&signature=%s", hex);
}

void serve_upload_link(const struct serve_room *room, const char *file_id, const char *step_run, int64_t size, struct buf *url)
{
    link_to(room, "uploads", file_id, step_run, size, url);
}

void serve_asset_upload_link(const struct serve_room *room, const char *upload_id, struct buf *url)
{
    link_to(room, "asset-uploads", upload_id, "", ASSET_SIZE_MAX, url);
}

void serve_item_file_link(const struct serve_room *room, const char *file_id, struct buf *url)
{
    link_to(room, "item-files", file_id, "", 0, url);
}

static bool link_is_good(const struct serve_room *room, const struct http_exchange *x, const char *what, const char *id, int64_t *size)
{
    const char *signature = http_query(x, "signature"), *expires = http_query(x, "expires"), *length = http_query(x, "size");
    const char *step_run = http_query(x, "step_run");
    char hex[2 * VAULT_MAC_SIZE + 1];
    int64_t expires_s;

    if (signature == NULL || expires == NULL || length == NULL || strlen(signature) != sizeof hex - 1 || !id_is_uuid(id) ||
        text_int(expires, 0, INT64_MAX, &expires_s) != 0 || text_int(length, 0, INT64_MAX, size) != 0)
        return false;
    sign(room, what, id, step_run != NULL ? step_run : "", *size, expires_s, hex);
    return text_equal_constant_time(signature, hex, sizeof hex - 1) && time_wall_ms() / 1000 < expires_s;
}

/* --- the bytes come ----------------------------------------------------------------------------------------------- */

static void leave(struct upload *u);

static void upload_free(struct upload *u)
{
    struct serve_room *room = u->room;

    if (u->coming)
        TAILQ_REMOVE(&room->uploads, u, link);
    if (u->landing)
        leave(u);
    if (u->fd >= 0)
        (void)close(u->fd);
    if (u->part != NULL)
        (void)unlink(u->part);   /* gone already when it was renamed */
    free(u->part);
    free(u->place);
    item_file_close(&u->file);
    item_record_close(&u->item);
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
    u->fd = open(u->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
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

bool serve_upload_head(struct serve_room *room, struct http_exchange *x)
{
    const char *path = http_path(x), *method = http_method(x), *id, *step_run = http_query(x, "step_run");
    bool put = strcmp(method, "PUT") == 0;
    const struct kind *kind = kind_of(path);
    struct upload *u;
    int64_t size;

    if (kind == NULL)
        return false;
    id = path + strlen(kind->prefix);
    if (!put && strcmp(method, "POST") != 0) {
        serve_refuse_method(x, "METHOD_NOT_ALLOWED", "POST, PUT");
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
    (void)snprintf(u->step_run, sizeof u->step_run, "%s", step_run != NULL ? step_run : "");
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

/* --- they are there: one of an id lands at a time ------------------------------------------------------------------ */

static void look_up(struct upload *u);

static struct upload *landing_of(const struct serve_room *room, const char *id)
{
    struct upload *u;

    TAILQ_FOREACH(u, &room->landing, link) {
        if (strcmp(u->id, id) == 0)
            return u;
    }
    return NULL;
}

static void leave(struct upload *u)
{
    struct upload *next;

    TAILQ_REMOVE(&u->room->landing, u, link);
    next = landing_of(u->room, u->id);
    if (next != NULL)
        look_up(next);
}

static void refuse(struct upload *u, unsigned status, const char *code, const char *why)
{
    http_respond_error(u->x, status, code, "%s", why);
    upload_free(u);
}

static void acknowledge(struct upload *u)
{
    http_respond(u->x, 204, NULL, "", 0, NULL, 0);
    upload_free(u);
}

static void do_work(struct upload *u, uv_work_cb work, uv_after_work_cb done)
{
    u->work.data = u;
    if (uv_queue_work(u->room->loop, &u->work, work, done) != 0)
        abort();
}

static void refuse_late(struct upload *u)
{
    refuse(u, 409, "CONFLICT", u->kind->exact ? "the work item was taken, or has gone on, since this link was given: its files are not changed any more"
                                              : "this upload is awaited no more");
}

static void written(struct commit *commit, int status)
{
    struct upload *u = commit->data;

    if (status == BF_EEXIST) {
        (void)unlink(u->place);   /* nobody was told of it */
        refuse_late(u);
    } else if (status != 0) {
        refuse(u, 503, "UNAVAILABLE", "the file could not be written down");
    } else {
        acknowledge(u);
    }
}

static void put_in_place(uv_work_t *work)
{
    struct upload *u = work->data;
    struct buf dir = { 0 };

    if (rename(u->part, u->place) != 0)
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
        u->record = (struct record) { .kind = RECORD_ITEM_FILE_CAME, .item_file = &u->file, .item = &u->item, .value = u->step_run[0] != '\0' };
    } else {
        u->asset.state = UPLOAD_COMPLETED;
        u->record = (struct record) { .kind = RECORD_ASSET_CAME, .upload = &u->asset };
    }
    u->commit = (struct commit) { .records = &u->record, .count = 1, .cb = written, .data = u };
    journal_commit(u->room->host.journal, &u->commit);
}

/* --- they came before ----------------------------------------------------------------------------------------------- */

static bool same_bytes(int a, int b)
{
    char left[16384], right[16384];
    off_t at = 0;

    for (;;) {
        ssize_t got = pread(a, left, sizeof left, at);

        if (got < 0 || pread(b, right, sizeof right, at) != got || memcmp(left, right, (size_t)got) != 0)
            return false;
        if (got == 0)
            return true;
        at += got;
    }
}

static void compare(uv_work_t *work)
{
    struct upload *u = work->data;
    int there = open(u->place, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    u->same = there >= 0 && same_bytes(u->fd, there);
    if (there >= 0)
        (void)close(there);
}

static void compared(uv_work_t *work, int status)
{
    struct upload *u = work->data;

    (void)status;
    if (u->same)
        acknowledge(u);
    else
        refuse(u, 409, "CONFLICT", "this link has taken its file, and takes no other: ask for another link");
}

/* --- may they be kept? ---------------------------------------------------------------------------------------------- */

static bool may_be_put(struct upload *u)
{
    const struct serve_host *host = &u->room->host;
    const struct flow *flow = flows_find(host->flows, u->item.run_id);
    const struct step_record *step_run = flow != NULL ? flow_step_run(flow, u->step_run) : NULL;

    if (u->step_run[0] == '\0')
        return item_may_be_changed(&u->item, engine_run(host->engine, u->item.run_id) != NULL);
    memcpy(u->item.step_run, u->step_run, sizeof u->item.step_run);
    return step_run != NULL && step_run->state <= STEP_RUNNING && flow_item_of(flow, u->step_run, u->item.id) != NULL;
}

static void ask(struct upload *u, enum journal_read_kind kind, const char *id, journal_read_cb cb)
{
    json_t *ids = json_pack("[s]", id);
    char *text = json_text(ids);

    if (text == NULL)
        abort();
    /* The files by their own ids: that is how an asset's is found. */
    u->read = (struct journal_read) { .kind = kind, .state = -1, .ids = text, .whole = kind == READ_ITEM_FILES, .limit = 1, .cb = cb, .data = u };
    journal_read(u->room->host.journal, &u->read);
    free(text);
    json_decref(ids);
}

static bool is_known(struct upload *u, const struct journal_read *read, int status)
{
    if (status == 0 && read->count > 0)
        return true;
    refuse(u, status != 0 ? 503 : 404, status != 0 ? "UNAVAILABLE" : "NOT_FOUND", "there is no such file to be uploaded");
    return false;
}

static void item_came(struct journal_read *read, int status)
{
    struct upload *u = read->data;

    if (!is_known(u, read, status))
        return;
    if (item_record_copy(&u->item, &read->rows[0].item) != 0)
        abort();
    if (may_be_put(u))
        do_work(u, put_in_place, placed);
    else
        refuse_late(u);
}

static void file_came(struct journal_read *read, int status)
{
    struct upload *u = read->data;

    if (!is_known(u, read, status))
        return;
    if (item_file_copy(&u->file, &read->rows[0].file) != 0)
        abort();
    if (u->file.there)
        do_work(u, compare, compared);
    else
        ask(u, READ_ITEMS, u->file.item, item_came);
}

/* Whether an asset has it still. */
static void asset_came(struct journal_read *read, int status)
{
    struct upload *u = read->data;

    if (status == 0 && read->count == 0)
        refuse_late(u);
    else if (is_known(u, read, status))
        do_work(u, compare, compared);
}

static void upload_came(struct journal_read *read, int status)
{
    struct upload *u = read->data;

    if (!is_known(u, read, status))
        return;
    if (asset_upload_copy(&u->asset, &read->rows[0].upload) != 0)
        abort();
    if (u->asset.state == UPLOAD_PENDING)
        do_work(u, put_in_place, placed);
    else
        ask(u, READ_ITEM_FILES, u->id, asset_came);
}

static void look_up(struct upload *u)
{
    u->read = (struct journal_read) { .kind = u->kind->exact ? READ_ITEM_FILES : READ_UPLOADS, .state = -1, .limit = 1,
        .cb = u->kind->exact ? file_came : upload_came, .data = u };
    memcpy(u->read.id, u->id, sizeof u->read.id);
    journal_read(u->room->host.journal, &u->read);
}

/* --- they are whole ------------------------------------------------------------------------------------------------- */

static void sync_bytes(uv_work_t *work)
{
    struct upload *u = work->data;

    if (fsync(u->fd) != 0)
        u->status = error_errno(&u->error, errno, "cannot keep %s", u->part);
}

static void synced(uv_work_t *work, int status)
{
    struct upload *u = work->data;
    bool first = landing_of(u->room, u->id) == NULL;

    (void)status;
    if (u->status != 0) {
        refuse(u, 503, "UNAVAILABLE", u->error.text);
        return;
    }
    u->landing = true;
    TAILQ_INSERT_TAIL(&u->room->landing, u, link);
    if (first)
        look_up(u);
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
    else
        do_work(u, sync_bytes, synced);
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
