/* Step runs as the older APIs have them, which call them robot runs: their events, messages, artifacts. */
#include <stdio.h>
#include <string.h>

#include "api.h"

#define MESSAGES_MAX 10000

static void show_steps(struct api_steps *s)
{
    json_t *list;
    size_t limit;

    if (!api_old_is_of_process(&s->call, &s->run) || !api_limit_within(s->call.x, SIZE_MAX, API_LIMIT_MAX, &limit))
        return;
    list = json_array();
    for (size_t i = 0; i < s->count && i < limit; i++)
        (void)json_array_append_new(list, api_old_shape_step(&s->steps[i]));
    serve_json(s->call.x, 200, list);
}

void api_old_robot_runs(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_steps);
}

/* The step run in the path, of the run and the process there; NULL after it was refused. */
static const struct step_record *step_of_path(const struct api_steps *s)
{
    if (!api_old_is_of_process(&s->call, &s->run))
        return NULL;
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->steps[i].id, s->call.args.at[2]) == 0)
            return &s->steps[i];
    }
    api_refuse(s->call.x, 404, "Robot run not found");
    return NULL;
}

static void show_step(struct api_steps *s)
{
    const struct step_record *step = step_of_path(s);

    if (step != NULL)
        serve_json(s->call.x, 200, api_old_shape_step(step));
}

void api_old_robot_run(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_step);
}

static void show_events(struct api_steps *s)
{
    const struct step_record *step = step_of_path(s);
    json_t *list;
    char number[8];

    if (step == NULL)
        return;
    list = json_array();
    for (int i = 0; i < 3; i++) {
        int64_t at_ms = i == 0 ? step->created_ms : i == 1 ? step->started_ms : step->ended_ms;
        json_t *o;

        if (at_ms == 0)
            continue;
        (void)snprintf(number, sizeof number, "%d", i + 1);
        o = json_pack("{s:s, s:i, s:{}}", "seqNo", number, "eventType", i + 1, "data");
        (void)json_put_time(o, "timestamp", at_ms);
        (void)json_array_append_new(list, o);
    }
    serve_json(s->call.x, 200, list);
}

void api_old_robot_events(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_events);
}

static void show_messages(struct api_steps *s)
{
    const struct step_record *step = step_of_path(s);
    json_t *lines, *line, *list;
    size_t limit, i;

    if (step == NULL || !api_limit_within(s->call.x, MESSAGES_MAX, MESSAGES_MAX, &limit))
        return;
    lines = api_console_lines(s, step, limit);
    list = json_array();
    json_array_foreach(lines, i, line)
        (void)json_array_append_new(list, json_pack("{s:I, s:O, s:O}", "seqNo", (json_int_t)i + 1, "message", json_object_get(line, "message"),
                                                    "timestamp", json_object_get(line, "timestamp")));
    json_decref(lines);
    serve_json(s->call.x, 200, list);
}

void api_old_robot_messages(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_messages);
}

static void show_artifacts(struct api_steps *s)
{
    const struct step_record *step = step_of_path(s);
    json_t *artifacts, *one, *list, *o;
    size_t i;

    if (step == NULL)
        return;
    artifacts = api_step_artifacts(s, step);
    list = json_array();
    json_array_foreach(artifacts, i, one) {
        json_t *shape = shape_artifact(&s->run, one);

        o = json_pack("{s:O, s:O, s:O, s:O}", "id", json_object_get(shape, "id"), "fileName", json_object_get(shape, "name"), "fileSize",
                      json_object_get(shape, "size"), "fileSIze", json_object_get(shape, "size"));   /* both spellings are in use */
        (void)json_array_append_new(list, o);
        json_decref(shape);
    }
    json_decref(artifacts);
    serve_json(s->call.x, 200, list);
}

void api_old_robot_artifacts(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_artifacts);
}

static void show_link(struct api_steps *s)
{
    const struct step_record *step = step_of_path(s);
    json_t *artifacts, *one, *found = NULL;
    struct buf url = { 0 };
    char id[ID_SIZE];
    size_t i;

    if (step == NULL)
        return;
    artifacts = api_step_artifacts(s, step);
    json_array_foreach(artifacts, i, one) {
        artifact_id(s->run.id, json_str(one, "path"), id);
        if (strcmp(id, s->call.args.at[3]) == 0 && json_str(one, "name") != NULL && strcmp(json_str(one, "name"), s->call.args.at[4]) == 0)
            found = one;
    }
    if (found != NULL) {
        api_base_url(s->call.x, &url);
        serve_link_to(s->call.room, s->run.id, json_str(found, "path"), &url);
        serve_json(s->call.x, 200, json_string(buf_str(&url)));
    } else {
        api_refuse(s->call.x, 404, "Artifact not found");
    }
    buf_close(&url);
    json_decref(artifacts);
}

void api_old_robot_artifact(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_link);
}
