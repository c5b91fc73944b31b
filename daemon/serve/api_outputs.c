/* What a run leaves behind: step runs, artifacts, console, events. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"

#define LINE_MAX_LEN (1 << 20)              /* of the console: longer ones are cut */
#define CONSOLE_PIECE (LINE_MAX_LEN + 1)   /* with what follows such a line */
#define CONSOLE_WHOLE (16 << 20)             /* where there are no pages */

/* --- step runs ---------------------------------------------------------------------------------------------------- */

static json_t *shape(const struct api_steps *s, const struct step_record *step)
{
    return shape_step_run(s->run.process, step, !s->flow && s->run.state == RUN_QUEUED);
}

/* The cursor is the last one's id: they sort as they were made. */
static void list_steps(struct api_steps *s)
{
    json_t *list = json_array();
    const char *cursor, *last = NULL;
    bool more = false;
    size_t limit;

    if (!api_page(s->call.x, &limit, &cursor)) {
        json_decref(list);
        return;
    }
    for (size_t i = 0; i < s->count && !more; i++) {
        if (cursor != NULL && strcmp(s->steps[i].id, cursor) <= 0)
            continue;
        more = json_array_size(list) == limit;
        if (more)
            break;
        (void)json_array_append_new(list, shape(s, &s->steps[i]));
        last = s->steps[i].id;
    }
    api_answer_page(s->call.x, list, more ? last : NULL);
}

void api_step_runs(const struct api_call *call)
{
    const char *run_id = http_query(call->x, "process_run_id");

    if (run_id == NULL)
        api_refuse(call->x, 400, "process_run_id is needed");
    else
        api_read_steps(call, run_id, list_steps);
}

void api_step_runs_of_run(const struct api_call *call)
{
    api_read_steps(call, call->args.at[0], list_steps);
}

static void show_step(struct api_steps *s)
{
    serve_json(s->call.x, 200, shape(s, &s->steps[0]));
}

void api_step_run(const struct api_call *call)
{
    api_read_step(call, call->args.at[0], show_step);
}

/* --- artifacts ---------------------------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    const json_t *const *left = a, *const *right = b;

    return strcmp(json_str(*left, "path"), json_str(*right, "path"));
}

/* By their paths, so that a list goes on when another attempt has left others: the cursor is the last one's. */
static void list_artifacts(struct api_steps *s)
{
    const char *cursor = http_query(s->call.x, "cursor");
    json_t *artifacts, *one, *list;
    const json_t **found;
    size_t limit, count = 0, i;

    if (!api_limit(s->call.x, &limit))
        return;
    artifacts = api_step_artifacts(s, &s->steps[0]);
    found = calloc(json_array_size(artifacts) + 1, sizeof *found);
    if (found == NULL)
        abort();
    json_array_foreach(artifacts, i, one) {
        if (cursor == NULL || strcmp(json_str(one, "path"), cursor) > 0)
            found[count++] = one;
    }
    qsort(found, count, sizeof *found, by_path);
    list = json_array();
    for (i = 0; i < count && i < limit; i++)
        (void)json_array_append_new(list, shape_artifact(&s->run, found[i]));
    api_answer_page(s->call.x, list, count > limit ? json_str(found[limit - 1], "path") : NULL);
    free(found);
    json_decref(artifacts);
}

void api_artifacts(const struct api_call *call)
{
    api_read_step(call, call->args.at[0], list_artifacts);
}

static void show_artifact(struct api_steps *s)
{
    json_t *artifacts = api_step_artifacts(s, &s->steps[0]), *one, *found = NULL;
    struct buf url = { 0 };
    char id[ID_SIZE];
    size_t i;

    json_array_foreach(artifacts, i, one) {
        artifact_id(s->run.id, json_str(one, "path"), id);
        if (strcmp(id, s->call.args.at[1]) == 0)
            found = one;
    }
    if (found == NULL) {
        api_refuse(s->call.x, 404, "Artifact not found");
    } else {
        json_t *o = shape_artifact(&s->run, found);

        api_base_url(s->call.x, &url);
        serve_link_to(s->call.room, s->run.id, json_str(found, "path"), &url);
        (void)json_put(o, "url", buf_str(&url));
        serve_json(s->call.x, 200, o);
    }
    buf_close(&url);
    json_decref(artifacts);
}

void api_artifact(const struct api_call *call)
{
    api_read_step(call, call->args.at[0], show_artifact);
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

/* Lines of a piece of the console, at most `limit`; gives how many bytes they take. */
static size_t take_lines(json_t *list, const char *piece, size_t len, size_t limit, bool last, const char *timestamp)
{
    size_t at = 0, line, taken;

    while (at < len && json_array_size(list) < limit) {
        taken = shape_console_line(piece + at, len - at, LINE_MAX_LEN, last, &line);
        if (taken == 0)
            break;
        append_line(list, piece + at, line, timestamp);
        at += taken;
    }
    return at;
}

/* Lines from an offset on, of `most` bytes; *next is where they go on, 0 when there are no more. */
static json_t *read_console(const struct api_steps *s, const struct step_record *step, int64_t offset, size_t most, size_t limit, int64_t *next)
{
    char *piece = malloc(most), timestamp[TIME_TEXT_SIZE];
    int fd = api_open_console(s, step);
    ssize_t got = fd >= 0 && piece != NULL ? pread(fd, piece, most, offset) : 0;
    size_t len = got > 0 ? (size_t)got : 0, taken;
    json_t *list = json_array();

    /* The console keeps the order of what was written, not its times: they are all the step run's start. */
    time_format(step->started_ms, timestamp);
    taken = take_lines(list, piece, len, limit, step->state > STEP_RUNNING && len < most, timestamp);
    *next = taken > 0 && (taken < len || len == most) ? offset + (int64_t)taken : 0;
    if (fd >= 0)
        (void)close(fd);
    free(piece);
    return list;
}

json_t *api_console_lines(const struct api_steps *s, const struct step_record *step, size_t limit)
{
    int64_t next;

    return read_console(s, step, 0, CONSOLE_WHOLE, limit, &next);
}

static void show_console(struct api_steps *s)
{
    int64_t offset, next;
    char follows[32];
    json_t *list;
    size_t limit;

    if (!api_offset(s->call.x, &offset) || !api_limit_or(s->call.x, API_LIMIT_MAX, &limit))
        return;
    list = read_console(s, &s->steps[0], offset, CONSOLE_PIECE, limit, &next);
    (void)snprintf(follows, sizeof follows, "%lld", (long long)next);
    api_answer_page(s->call.x, list, next != 0 ? follows : NULL);
}

void api_console(const struct api_call *call)
{
    api_read_step(call, call->args.at[0], show_console);
}

/* --- events ------------------------------------------------------------------------------------------------------- */

/* What happened to the step run, as far as its record knows. */
static void list_events(struct api_steps *s)
{
    const struct step_record *step = &s->steps[0];
    const struct {
        const char *type;
        int64_t at_ms;
    } known[] = { { "created", step->created_ms }, { "started", step->started_ms },
                  { step->state == STEP_COMPLETED ? "completed" : "failed", step->ended_ms } };
    int64_t first, at = 0;
    char follows[32];
    json_t *list, *o;
    size_t limit;

    if (!api_offset(s->call.x, &first) || !api_limit(s->call.x, &limit))
        return;
    list = json_array();
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].at_ms == 0 || at++ < first || json_array_size(list) == limit)
            continue;
        o = json_object();
        (void)json_put_time(o, "timestamp", known[i].at_ms);
        (void)json_put(o, "event_type", known[i].type);
        (void)json_array_append_new(list, o);
    }
    (void)snprintf(follows, sizeof follows, "%lld", (long long)first + (long long)limit);
    api_answer_page(s->call.x, list, at > first + (int64_t)limit ? follows : NULL);
}

void api_events(const struct api_call *call)
{
    api_read_step(call, call->args.at[0], list_events);
}
