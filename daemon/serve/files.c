/* A run's console and the files of its results. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "serve_internal.h"

struct file_ask {
    struct serve_room *room;
    struct http_exchange *x;
    struct journal_read read;
    int64_t offset;
    char path[ARG_SIZE];     /* below the results; "" for the console */
    char limit[LIMIT_SIZE];  /* of who asks */
};

static void ask_free(struct file_ask *ask)
{
    struct serve_room *room = ask->room;

    free(ask);
    serve_let_go(room);
}

/* The folder of a run's results, as its record has it; NULL before they are there. Lent by *result. */
static const char *results_of(const struct run_record *run, json_t **result)
{
    *result = json_stored(run->result);
    return json_str(*result, "results");
}

static int open_in(const char *folder, const char *path)
{
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = dir >= 0 ? file_open_below(dir, path) : -1;

    if (dir >= 0)
        (void)close(dir);
    return fd;
}

void serve_send_file(struct http_exchange *x, int fd, const char *type, int64_t offset, int64_t most)
{
    struct stat st;
    int64_t len;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        http_respond_error(x, 404, "not_found", "there is no such file");
        return;
    }
    len = st.st_size > offset ? st.st_size - offset : 0;
    if (len == 0) {
        (void)close(fd);
        http_respond(x, 200, type, "", 0, NULL, 0);
        return;
    }
    http_respond_file(x, 200, type, fd, offset, len < most ? len : most, NULL, 0);
}

/* That of the last revision that has one. */
static int open_latest(const char *folder, int revision, const char *name)
{
    struct buf path = { 0 };
    int fd = -1;

    for (; revision > 1 && fd < 0; revision--) {
        buf_reset(&path);
        buf_addf(&path, "revision-%d/%s", revision, name);
        fd = open_in(folder, buf_str(&path));
    }
    buf_close(&path);
    return fd >= 0 ? fd : open_in(folder, name);
}

int serve_open_console(const struct serve_room *room, const struct run_record *run)
{
    char *live = NULL;
    json_t *result;
    const char *dir = results_of(run, &result);
    int fd;

    if (!run_state_is_end(run->state))
        dir = NULL;   /* what is there is of an earlier end */
    fd = dir != NULL ? open_latest(dir, (int)json_int(result, "revision", 1), "console.log") : -1;

    if (dir == NULL)
        live = room->host.console(room->host.data, run, NULL);
    if (live != NULL)
        fd = open(live, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    free(live);
    json_decref(result);
    return fd;
}

static int open_result(struct file_ask *ask, const struct run_record *run)
{
    json_t *result;
    const char *dir = results_of(run, &result);
    int fd = dir != NULL ? open_in(dir, ask->path) : -1;

    json_decref(result);
    return fd;
}

static void run_read(struct journal_read *read, int status)
{
    struct file_ask *ask = read->data;
    const struct run_record *run = status == 0 && !gate_hides(ask->limit, read->rows[0].run.workspace) ? &read->rows[0].run : NULL;
    bool console = ask->path[0] == '\0';
    int fd;

    if (run == NULL) {
        if (status == 0)
            status = BF_ENOENT;
        http_respond_error(ask->x, status == BF_ENOENT ? 404 : 503, status == BF_ENOENT ? "not_found" : "unavailable",
                           "run %s cannot be read: %s", read->id, error_name(status));
        ask_free(ask);
        return;
    }
    fd = console ? serve_open_console(ask->room, run) : open_result(ask, run);
    if (fd >= 0)
        serve_send_file(ask->x, fd, console ? "text/plain; charset=utf-8" : "application/octet-stream", ask->offset,
                  console ? SERVE_LOG_PIECE : INT64_MAX);
    else if (console)   /* none yet, or none at all: an empty log is what there is */
        http_respond(ask->x, 200, "text/plain; charset=utf-8", "", 0, NULL, 0);
    else
        http_respond_error(ask->x, 404, "not_found", "there is no such file in the results of run %s", read->id);
    ask_free(ask);
}

static void ask_for(struct serve_room *room, struct http_exchange *x, const struct route_args *args, const char *path, int64_t offset)
{
    const char *id = args->at[0];
    struct file_ask *ask;

    if (!id_is_uuid(id)) {
        http_respond_error(x, 404, "not_found", "there is no run with that id");
        return;
    }
    ask = calloc(1, sizeof *ask);
    if (ask == NULL) {
        http_respond_error(x, 503, "unavailable", "out of memory");
        return;
    }
    *ask = (struct file_ask) { .room = room, .x = x, .offset = offset };
    memcpy(ask->path, path, strlen(path) + 1);
    if (args->workspace != NULL)
        (void)snprintf(ask->limit, sizeof ask->limit, "%s", args->workspace);
    ask->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = run_read, .data = ask };
    memcpy(ask->read.id, id, sizeof ask->read.id);
    room->open++;
    journal_read(room->host.journal, &ask->read);
}

void serve_log(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    int64_t offset;

    if (serve_query_int(x, "offset", 0, INT64_MAX, 0, &offset))
        ask_for(room, x, args, "", offset);
}

void serve_file(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    ask_for(room, x, args, args->at[1], 0);
}
