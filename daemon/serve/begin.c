/* A person or a client starts a run: the same bell as a cron line's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "belfry/core/event.h"
#include "serve_internal.h"

#define KEY_LIVES_MS (7 * 24 * 60 * 60 * INT64_C(1000))
#define KEY_MAX 255
#define BY_MAX 200

struct begin {
    struct serve_room *room;
    struct http_exchange *x;
    struct config *config;       /* held: the firing points into it */
    struct firing firing;
    struct journal_read read;
    char by[BY_MAX + 1];
    char scope[160];
    char key[KEY_MAX + 1];
};

static void begin_free(struct begin *b)
{
    struct serve_room *room = b->room;

    json_decref(b->firing.event);
    json_decref(b->firing.input);
    config_release(b->config);
    free(b);
    serve_let_go(room);
}

static void answer(struct begin *b, enum run_state state)
{
    serve_json(b->x, 202, json_pack("{s:s, s:s}", "run_id", b->firing.run_id, "state", run_state_name(state)));
    begin_free(b);
}

/* The same key was used before: the run that it started, as it is now. One that was deleted since is not started once more. */
static void earlier_read(struct journal_read *read, int status)
{
    struct begin *b = read->data;

    if (status != BF_ENOENT) {
        answer(b, status == 0 ? read->rows[0].run.state : RUN_QUEUED);
        return;
    }
    http_respond_error(b->x, 409, "run_deleted", "run %s, which this Idempotency-Key started, was deleted: take another key to start one",
                       b->firing.run_id);
    begin_free(b);
}

static void read_earlier(struct begin *b)
{
    b->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = earlier_read, .data = b };
    memcpy(b->read.id, b->firing.run_id, sizeof b->read.id);
    journal_read(b->room->host.journal, &b->read);
}

static void rung(struct firing *f, int status)
{
    struct begin *b = f->data;

    if (status == 0) {
        answer(b, f->state);
        return;
    }
    if (status == BF_EEXIST) {
        read_earlier(b);
        return;
    }
    if (status == BF_EINVAL)
        http_respond_error(b->x, 422, "event_error", "%s", f->error.text);
    else if (status == BF_EAGAIN)
        http_respond_error(b->x, 429, "queue_full", "%s", f->error.text);
    else
        http_respond_error(b->x, 503, status == BF_ESHUTDOWN ? "stopping" : "unavailable", "%s", f->error.text);
    begin_free(b);
}

/* --- the request -------------------------------------------------------------------------------------------------- */

/* A file that travels with the run, as an event shows it (SPEC §4). */
static json_t *describe_file(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char mtime[TIME_TEXT_SIZE];
    struct stat st;
    json_t *file;
    int fd;

    if (path[0] != '/' || slash[1] == '\0') {
        error_set(err, BF_EINVAL, "\"%s\" is no absolute path of a file", path);
        return NULL;
    }
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        error_errno(err, errno, "belfryd cannot read %s", path);
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    (void)close(fd);
    if (!S_ISREG(st.st_mode)) {
        error_set(err, BF_EINVAL, "%s is not a regular file", path);
        return NULL;
    }
    time_format(st.st_mtim.tv_sec * INT64_C(1000) + st.st_mtim.tv_nsec / 1000000, mtime);
    file = json_pack("{s:s, s:s, s:s%, s:I, s:s}", "path", path, "name", slash + 1, "dir", path,
                     slash == path ? (size_t)1 : (size_t)(slash - path), "size", (json_int_t)st.st_size, "mtime", mtime);
    if (file == NULL)
        error_set(err, BF_EINVAL, "the name of a file is not UTF-8");
    return file;
}

static json_t *describe_files(const json_t *paths, struct error *err)
{
    json_t *files = json_array(), *path, *file;
    size_t i;

    if (!json_is_array(paths)) {
        error_set(err, BF_EINVAL, "\"files\" has to be an array of paths");
        goto bad;
    }
    json_array_foreach(paths, i, path) {
        if (!json_is_string(path)) {
            error_set(err, BF_EINVAL, "\"files\" has to be an array of paths");
            goto bad;
        }
        file = describe_file(json_string_value(path), err);
        if (file == NULL || json_array_append_new(files, file) != 0)
            goto bad;
    }
    return files;
bad:
    json_decref(files);
    return NULL;
}

static int put_files(json_t *event, const json_t *body, struct error *err)
{
    const json_t *paths = json_object_get(body, "files");
    json_t *files;

    if (paths == NULL)
        return 0;
    files = describe_files(paths, err);
    if (files == NULL)
        return BF_EINVAL;
    if (json_array_size(files) == 1)
        (void)json_object_set(event, "file", json_array_get(files, 0));
    else if (json_array_size(files) > 1)
        (void)json_object_set(event, "files", files);
    json_decref(files);
    return 0;
}

static const char *unknown_member(json_t *body)
{
    static const char *const known[] = { "input", "files", "by", NULL };
    const char *name;
    json_t *value;

    json_object_foreach(body, name, value) {
        size_t i = 0;

        while (known[i] != NULL && strcmp(known[i], name) != 0)
            i++;
        if (known[i] == NULL)
            return name;
    }
    return NULL;
}

static int take_key(struct begin *b, int64_t now_ms, struct error *err)
{
    const char *key = http_header(b->x, "Idempotency-Key");

    if (key == NULL)
        return 0;
    if (key[0] == '\0' || strlen(key) > KEY_MAX)
        return error_set(err, BF_EINVAL, "the Idempotency-Key has to be of 1 to %d characters", KEY_MAX);
    (void)snprintf(b->key, sizeof b->key, "%s", key);
    (void)snprintf(b->scope, sizeof b->scope, "api/%s", b->firing.process->name);
    b->firing.claim_scope = b->scope;
    b->firing.claim_key = b->key;
    b->firing.claim_until_ms = now_ms + KEY_LIVES_MS;
    return 0;
}

/* A key is not to have the daemon read files of its machine, nor to say that somebody else asked. */
static int check_limited(const json_t *body, struct error *err)
{
    if (json_object_get(body, "files") != NULL || json_object_get(body, "by") != NULL)
        return error_set(err, BF_EINVAL, "\"files\" and \"by\" are taken over the socket alone: send files as those of a work item, by the"
                         " Control Room API");
    return 0;
}

static int fill(struct begin *b, json_t *body, const struct route_args *args, struct error *err)
{
    struct firing *f = &b->firing;
    const char *by = json_str(body, "by"), *unknown = unknown_member(body);
    json_t *input = json_object_get(body, "input");
    int64_t now_ms = time_wall_ms();
    int status = args->workspace != NULL ? check_limited(body, err) : 0;

    if (status != 0)
        return status;
    if (unknown != NULL)
        return error_set(err, BF_EINVAL, "\"%s\" is not known here: \"input\", \"files\" and \"by\" are", unknown);
    if (args->workspace != NULL)
        by = args->who;
    (void)snprintf(b->by, sizeof b->by, "%s", by != NULL && strlen(by) <= BY_MAX ? by : "socket");
    f->kind = args->workspace != NULL ? TRIGGER_API : TRIGGER_MANUAL;
    f->trigger_name = b->by;
    f->refuse_when_full = true;
    f->cb = rung;
    f->data = b;
    id_new(now_ms, f->id);
    f->event = event_new(f->id, f->kind, f->trigger_name, now_ms, 0, b->by);
    if (f->event == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    if (input != NULL)
        f->input = json_is_array(input) ? json_incref(input) : json_pack("[O]", input);
    status = put_files(f->event, body, err);
    return status != 0 ? status : take_key(b, now_ms, err);
}

void serve_begin(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    struct config *config = room->host.config(room->host.data);
    const struct process_config *process = config_process(config, args->at[0]);
    struct begin *b;
    struct error err;
    json_t *body;
    int status;

    if (process == NULL || gate_hides(args->workspace, process->workspace->name)) {
        http_respond_error(x, 404, "not_found", "there is no process %s", args->at[0]);
        return;
    }
    body = serve_body(x);
    if (body == NULL)
        return;
    b = calloc(1, sizeof *b);
    if (b == NULL) {
        json_decref(body);
        http_respond_error(x, 503, "unavailable", "out of memory");
        return;
    }
    b->room = room;
    b->x = x;
    b->config = config_hold(config);
    b->firing.process = process;
    room->open++;
    status = fill(b, body, args, &err);
    json_decref(body);
    if (status == 0) {
        room->host.bell->ring(room->host.bell->data, &b->firing);
        return;
    }
    http_respond_error(x, status == BF_ENOMEM ? 503 : 422, status == BF_ENOMEM ? "unavailable" : "bad_request", "%s", err.text);
    begin_free(b);
}
