/* What a run leaves behind: step runs, artifacts, console, events. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"

#define CONSOLE_PIECE (1 << 20)
#define CONSOLE_LINES 1000

/* The run of a step run in the path. */
static void read_run_of_step(const struct api_call *call, void (*done)(struct api_read *read, const struct run_record *run))
{
    char id[ID_SIZE];

    if (run_of_step(call->args.at[0], id))
        api_read_run(call, id, done);
    else
        api_refuse(call->x, 404, "Step run not found");
}

/* --- step runs ---------------------------------------------------------------------------------------------------- */

static void list_steps(struct api_read *r, const struct run_record *run)
{
    api_answer_page(r->call.x, json_pack("[o]", shape_step_run(run)), NULL);
}

static void step_runs_of(const struct api_call *call, const char *run_id)
{
    const char *cursor;
    size_t limit;

    if (api_page(call->x, &limit, &cursor))
        api_read_run(call, run_id, list_steps);
}

void api_step_runs(const struct api_call *call)
{
    const char *run_id = http_query(call->x, "process_run_id");

    if (run_id == NULL)
        api_refuse(call->x, 400, "process_run_id is needed");
    else
        step_runs_of(call, run_id);
}

void api_step_runs_of_run(const struct api_call *call)
{
    step_runs_of(call, call->args.at[0]);
}

static void show_step(struct api_read *r, const struct run_record *run)
{
    serve_json(r->call.x, 200, shape_step_run(run));
}

void api_step_run(const struct api_call *call)
{
    read_run_of_step(call, show_step);
}

/* --- artifacts ---------------------------------------------------------------------------------------------------- */

json_t *api_artifacts_of(const struct run_record *run, json_t **result)
{
    *result = run->result != NULL ? json_parse(run->result, strlen(run->result), NULL) : NULL;
    return json_object_get(*result, "artifacts");
}

json_t *api_artifact_named(const struct run_record *run, const char *id, json_t **result)
{
    json_t *artifacts = api_artifacts_of(run, result), *one;
    char is[ID_SIZE];
    size_t i;

    json_array_foreach(artifacts, i, one) {
        const char *path = json_str(one, "path");

        artifact_id(run->id, path != NULL ? path : "", is);
        if (path != NULL && strcmp(is, id) == 0)
            return one;
    }
    return NULL;
}

static void list_artifacts(struct api_read *r, const struct run_record *run)
{
    json_t *result, *artifacts = api_artifacts_of(run, &result), *one, *list;
    char id[ID_SIZE], last[ID_SIZE] = "";
    const char *cursor;
    bool skip, more = false;
    size_t limit, i;

    if (!api_page(r->call.x, &limit, &cursor)) {
        json_decref(result);
        return;
    }
    skip = cursor != NULL;
    list = json_array();
    json_array_foreach(artifacts, i, one) {
        const char *path = json_str(one, "path");

        artifact_id(run->id, path != NULL ? path : "", id);
        if (skip) {
            skip = strcmp(id, cursor) != 0;
            continue;
        }
        more = json_array_size(list) == limit;
        if (more)
            break;
        (void)json_array_append_new(list, shape_artifact(run, one));
        memcpy(last, id, sizeof last);
    }
    api_answer_page(r->call.x, list, more ? last : NULL);
    json_decref(result);
}

void api_artifacts(const struct api_call *call)
{
    read_run_of_step(call, list_artifacts);
}

static void show_artifact(struct api_read *r, const struct run_record *run)
{
    json_t *result, *one = api_artifact_named(run, r->call.args.at[1], &result), *o;
    struct buf url = { 0 };

    if (one == NULL) {
        api_refuse(r->call.x, 404, "Artifact not found");
    } else {
        o = shape_artifact(run, one);
        api_base_url(r->call.x, &url);
        serve_link_to(r->call.room, run->id, json_str(one, "path"), &url);
        (void)json_put(o, "url", buf_str(&url));
        serve_json(r->call.x, 200, o);
    }
    buf_close(&url);
    json_decref(result);
}

void api_artifact(const struct api_call *call)
{
    read_run_of_step(call, show_artifact);
}

/* --- console ------------------------------------------------------------------------------------------------------ */

static void append_line(json_t *list, const char *line, size_t len, const char *timestamp)
{
    struct buf text = { 0 };
    json_t *o = json_object();

    if (text_is_utf8(line, len))
        buf_add(&text, line, len);
    else
        text_printable(line, len, &text);
    (void)json_put(o, "timestamp", timestamp);
    (void)json_put(o, "message", buf_str(&text));
    (void)json_array_append_new(list, o);
    buf_close(&text);
}

/* Lines of a piece of the console, at most `limit`; gives how many bytes they take. A line that goes on after the piece is
 * left for the next, unless it fills the piece or nothing more will come. */
static size_t take_lines(json_t *list, const char *piece, size_t len, size_t limit, bool last, const char *timestamp)
{
    size_t at = 0;

    while (at < len && json_array_size(list) < limit) {
        const char *end = memchr(piece + at, '\n', len - at);
        size_t line = end != NULL ? (size_t)(end - piece) - at : len - at;

        if (end == NULL && !last && at > 0)
            break;
        append_line(list, piece + at, line, timestamp);
        at += line + (end != NULL ? 1 : 0);
    }
    return at;
}

/* Lines from an offset on; *next is where they go on, 0 when there are no more. */
static json_t *read_console(const struct api_call *call, const struct run_record *run, int64_t offset, size_t limit, int64_t *next)
{
    char *piece = malloc(CONSOLE_PIECE), timestamp[TIME_TEXT_SIZE];
    int fd = serve_open_console(call->room, run);
    ssize_t got = fd >= 0 && piece != NULL ? pread(fd, piece, CONSOLE_PIECE, offset) : 0;
    size_t len = got > 0 ? (size_t)got : 0, taken;
    json_t *list = json_array();

    /* The console keeps the order of what was written, not its times: they are all the run's start. */
    time_format(run->started_ms, timestamp);
    taken = take_lines(list, piece, len, limit, run_state_is_end(run->state) && len < CONSOLE_PIECE, timestamp);
    *next = taken > 0 && (taken < len || len == CONSOLE_PIECE) ? offset + (int64_t)taken : 0;
    if (fd >= 0)
        (void)close(fd);
    free(piece);
    return list;
}

json_t *api_console_lines(const struct api_call *call, const struct run_record *run, size_t limit)
{
    int64_t next;

    return read_console(call, run, 0, limit, &next);
}

static void show_console(struct api_read *r, const struct run_record *run)
{
    const char *cursor = http_query(r->call.x, "cursor"), *text = http_query(r->call.x, "limit");
    int64_t offset = 0, limit = CONSOLE_LINES, next;
    char follows[32];
    json_t *list;

    if ((cursor != NULL && text_int(cursor, 0, INT64_MAX, &offset) != 0) ||
        (text != NULL && text_int(text, 1, CONSOLE_LINES, &limit) != 0)) {
        api_refuse(r->call.x, 400, "limit has to be from 1 to %d, and a cursor is followed as it is", CONSOLE_LINES);
        return;
    }
    list = read_console(&r->call, run, offset, (size_t)limit, &next);
    (void)snprintf(follows, sizeof follows, "%lld", (long long)next);
    api_answer_page(r->call.x, list, next != 0 ? follows : NULL);
}

void api_console(const struct api_call *call)
{
    read_run_of_step(call, show_console);
}

/* --- events ------------------------------------------------------------------------------------------------------- */

/* What happened to the step run, as far as the run's record knows. */
static void list_events(struct api_read *r, const struct run_record *run)
{
    const struct {
        const char *type;
        int64_t at_ms;
    } known[] = { { "created", run->accepted_ms }, { "started", run->started_ms },
                  { run->state == RUN_COMPLETED ? "completed" : "failed", run_state_is_end(run->state) ? run->ended_ms : 0 } };
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        json_t *o;

        if (known[i].at_ms == 0)
            continue;
        o = json_object();
        (void)json_put_time(o, "timestamp", known[i].at_ms);
        (void)json_put(o, "event_type", known[i].type);
        (void)json_array_append_new(list, o);
    }
    api_answer_page(r->call.x, list, NULL);
}

void api_events(const struct api_call *call)
{
    const char *cursor;
    size_t limit;

    if (api_page(call->x, &limit, &cursor))
        read_run_of_step(call, list_events);
}
