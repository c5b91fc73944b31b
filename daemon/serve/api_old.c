/*
 * The two older APIs, over the same runs: the workspace API (process-v1) and the oldest, with a process's secret. Their state
 * words, their lists without pages, their spellings. Sources: the vendor's public swagger of the Process API, and the clients
 * that are still in use (rpaframework, the trigger action).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"

#define LIST_DEFAULT 10
#define LIST_MAX 1000

/* --- shapes ------------------------------------------------------------------------------------------------------- */

static const char *old_state(const struct run_record *run)
{
    const char *word = shape_word(run);

    return strcmp(word, "new") == 0 ? "INI" : strcmp(word, "completed") == 0 ? "COMPL" : strcmp(word, "unresolved") == 0 ? "PENDING" : "IP";
}

static void put_or_null(json_t *o, const char *name, const char *text)
{
    (void)json_object_set_new(o, name, json_null());
    if (text != NULL)
        (void)json_put(o, name, text);
}

static json_t *old_run(const struct api_call *call, const struct run_record *run)
{
    const char *state = old_state(run);
    bool ended = run_state_is_end(run->state);
    json_t *o = json_object();
    char id[ID_SIZE];

    (void)json_put(o, "id", run->id);
    (void)json_put(o, "state", state);
    put_or_null(o, "result", strcmp(state, "COMPL") == 0 ? "success" : strcmp(state, "PENDING") == 0 ? "error" : NULL);
    put_or_null(o, "errorCode", ended ? run->error_code : NULL);
    (void)json_put(o, "workspaceId", call->workspace->id);
    id_from_name("process", run->process, id);
    (void)json_put(o, "processId", id);
    (void)json_put(o, "processName", run->process);
    (void)json_put_time(o, "createTs", run->accepted_ms);
    (void)json_put_time(o, "startTs", run->started_ms);
    if (ended)
        (void)json_put_time(o, "endTs", run->ended_ms);
    if (ended && run->started_ms != 0)
        (void)json_put_int(o, "duration", (run->ended_ms - run->started_ms) / 1000);
    return o;
}

/* With its step runs: clients read them without `embed`, too. */
static json_t *old_run_with_steps(const struct api_steps *s)
{
    json_t *o = old_run(&s->call, &s->run), *list = json_array();

    for (size_t i = 0; i < s->count; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:s}", "id", s->steps[i].id, "state", step_state_name(s->steps[i].state)));
    (void)json_object_set_new(o, "robotRuns", list);
    return o;
}

static json_t *old_item(const struct api_call *call, const json_t *item, bool data)
{
    const char *state = json_str(item, "state"), *type;
    json_t *o = json_object(), *exception = json_object_get(item, "exception"), *file, *files = json_array();
    size_t i;

    (void)json_put(o, "id", json_str(item, "id"));
    (void)json_put(o, "state", strcmp(state, "done") == 0 ? "COMPLETED" : strcmp(state, "new") == 0 ? "NEW" : strcmp(state, "failed") == 0
                               ? "FAILED" : strcmp(state, "pending") == 0 ? "PENDING" : "IN_PROGRESS");
    (void)json_object_set(o, "createTs", json_object_get(item, "created_at"));
    (void)json_object_set(o, "stateTs", json_object_get(item, "state_updated_at"));
    (void)json_put(o, "workspaceId", call->workspace->id);
    (void)json_object_set(o, "processId", json_object_get(json_object_get(item, "process"), "id"));
    put_or_null(o, "processRunId", json_str(json_object_get(item, "process_run"), "id"));
    put_or_null(o, "activityRunId", json_str(json_object_get(item, "step_run"), "id"));
    if (json_is_object(exception)) {
        type = json_str(exception, "type");
        exception = json_copy(exception);
        (void)json_put(exception, "type", type != NULL && strcmp(type, "business") == 0 ? "BUSINESS" : "APPLICATION");
        (void)json_object_set_new(o, "exception", exception);
    }
    if (!data)
        return o;
    (void)json_object_set(o, "payload", json_object_get(item, "payload"));
    json_array_foreach(json_object_get(item, "files"), i, file)
        (void)json_array_append_new(files, json_pack("{s:O, s:O, s:O, s:O, s:O}", "id", json_object_get(file, "id"), "name",
                                                     json_object_get(file, "name"), "fileName", json_object_get(file, "name"), "size",
                                                     json_object_get(file, "size"), "download", json_object_get(file, "download")));
    (void)json_object_set_new(o, "files", files);
    return o;
}

static bool with_data(const struct http_exchange *x)
{
    const char *word = http_query(x, "includeData");

    return word != NULL && strcasecmp(word, "true") == 0;
}

static size_t limit_of(const struct http_exchange *x)
{
    const char *text = http_query(x, "limit");
    int64_t limit;

    if (text == NULL || text_int(text, 1, INT32_MAX, &limit) != 0)
        return LIST_DEFAULT;
    return limit < LIST_MAX ? (size_t)limit : LIST_MAX;
}

/* --- processes and runs ------------------------------------------------------------------------------------------- */

static void processes(const struct api_call *call)
{
    const struct config *c = call->config;
    json_t *list = json_array();

    for (size_t i = 0; i < c->process_count; i++) {
        if (c->processes[i]->workspace == call->workspace)
            (void)json_array_append_new(list, shape_process(c->processes[i]));
    }
    serve_json(call->x, 200, json_pack("{s:o}", "data", list));
}

static json_t *runs_as_list(struct api_read *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->read.count; i++)
        (void)json_array_append_new(list, old_run(&r->call, &r->read.rows[i].run));
    return list;
}

static void runs_bare(struct api_read *r, const struct run_record *first)
{
    (void)first;
    serve_json(r->call.x, 200, runs_as_list(r));
}

static void runs_as_data(struct api_read *r, const struct run_record *first)
{
    (void)first;
    serve_json(r->call.x, 200, json_pack("{s:o}", "data", runs_as_list(r)));
}

static void pruns(const struct api_call *call)
{
    static const struct {
        const char *word, *v1;
    } words[] = { { "INI", "new" }, { "IND", "new" }, { "IP", "in_progress" }, { "COMPL", "completed" }, { "PENDING", "unresolved" } };
    const char *state = http_query(call->x, "state"), *v1 = NULL;

    for (size_t i = 0; state != NULL && i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(words[i].word, state) == 0)
            v1 = words[i].v1;
    }
    if (state != NULL && v1 == NULL)
        api_refuse(call->x, 400, "state has to be INI, IP, COMPL or PENDING");
    else
        api_list_runs(call, NULL, v1, limit_of(call->x), runs_bare);
}

static void runs_of_process(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);

    if (process != NULL)
        api_list_runs(call, process, NULL, limit_of(call->x), runs_as_data);
}

/* True when the run is of the process in the path; it was refused when not. */
static bool is_of_process(const struct api_call *call, const struct run_record *run)
{
    char id[ID_SIZE];

    id_from_name("process", run->process, id);
    if (strcmp(id, call->args.at[0]) == 0 || strcmp(run->process, call->args.at[0]) == 0)
        return true;
    api_refuse(call->x, 404, "Process run not found");
    return false;
}

static void show_run(struct api_steps *s)
{
    if (is_of_process(&s->call, &s->run))
        serve_json(s->call.x, 200, old_run_with_steps(s));
}

static void run(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_run);
}

/* --- step runs ---------------------------------------------------------------------------------------------------- */

static void show_steps(struct api_steps *s)
{
    json_t *list;

    if (!is_of_process(&s->call, &s->run))
        return;
    list = json_array();
    for (size_t i = 0; i < s->count; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:s}", "id", s->steps[i].id, "state", step_state_name(s->steps[i].state)));
    serve_json(s->call.x, 200, list);
}

static void robot_runs(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_steps);
}

/* The step run in the path, of the run and the process there; NULL after it was refused. */
static const struct step_record *step_of_path(const struct api_steps *s)
{
    if (!is_of_process(&s->call, &s->run))
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
        serve_json(s->call.x, 200, json_pack("{s:s, s:s}", "id", step->id, "state", step_state_name(step->state)));
}

static void robot_run(const struct api_call *call)
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

static void robot_events(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_events);
}

static void show_messages(struct api_steps *s)
{
    const struct step_record *step = step_of_path(s);
    json_t *lines, *line, *list;
    size_t i;

    if (step == NULL)
        return;
    lines = api_console_lines(s, step, limit_of(s->call.x));
    list = json_array();
    json_array_foreach(lines, i, line)
        (void)json_array_append_new(list, json_pack("{s:I, s:O, s:O}", "seqNo", (json_int_t)i + 1, "message", json_object_get(line, "message"),
                                                    "timestamp", json_object_get(line, "timestamp")));
    json_decref(lines);
    serve_json(s->call.x, 200, list);
}

static void robot_messages(const struct api_call *call)
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

static void robot_artifacts(const struct api_call *call)
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

static void robot_artifact(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_link);
}

/* --- starts ------------------------------------------------------------------------------------------------------- */

static json_t *started(const struct api_call *call, const struct process_config *process, const char *run_id, const json_t *ids,
                       size_t payloads)
{
    json_t *list = ids != NULL ? json_copy((json_t *)(uintptr_t)ids) : json_array();
    char id[64];

    (void)call;
    (void)process;
    for (size_t i = 0; ids == NULL && i < payloads; i++) {
        (void)snprintf(id, sizeof id, "%s-in-%zu", run_id, i);
        (void)json_array_append_new(list, json_string(id));
    }
    return json_pack("{s:s, s:o}", "id", run_id, "workItemIds", list);
}

static json_t *started_by_secret(const struct api_call *call, const struct process_config *process, const char *run_id, const json_t *ids,
                                 size_t payloads)
{
    (void)ids;
    (void)payloads;
    return json_pack("{s:s, s:s, s:s, s:s}", "message", "OK", "workspaceId", call->workspace->id, "processId", process->id,
                     "processRunId", run_id);
}

/* The body is the payload, whatever it is. */
static void start_with_body(const struct api_call *call, start_shape shape)
{
    const struct process_config *process = api_start_process(call);
    json_t *body;

    if (process != NULL && api_body(call->x, &body))
        api_start_as(call, process, json_pack("[o]", body), shape);
}

static void start(const struct api_call *call)
{
    start_with_body(call, started);
}

static void start_by_secret(const struct api_call *call)
{
    start_with_body(call, started_by_secret);
}

static void start_batch(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);
    json_t *body;

    if (process == NULL || !api_body(call->x, &body))
        return;
    if (json_is_array(body) && json_array_size(body) > 0) {
        api_start_as(call, process, body, started);
        return;
    }
    json_decref(body);
    api_refuse(call->x, 400, "the body has to be an array of payloads");
}

static bool is_input_alone(const json_t *storages)
{
    const char *word = json_string_value(json_array_get(storages, 0));

    return json_array_size(storages) == 1 && word != NULL && strcmp(word, "input") == 0;
}

static void run_request(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);
    struct api_call shaped = *call;
    const char *type;
    json_t *body, *ids;

    if (process == NULL || !api_body(call->x, &body))
        return;
    shaped.shape = started;
    type = json_str(body, "type");
    ids = json_object_get(body, "workItemIds");
    if (type != NULL && strcmp(type, "default") == 0)
        api_start_as(call, process, NULL, started);
    else if (type != NULL && strcmp(type, "workItemIds") == 0 && json_array_size(ids) > 0 && json_array_size(ids) <= API_ITEMS_MAX)
        api_start_named_items(&shaped, ids);
    else if (type != NULL && strcmp(type, "storages") == 0 && is_input_alone(json_object_get(body, "storages")))
        api_start_inputs(&shaped, process);
    else if (type != NULL && strcmp(type, "storages") == 0)
        api_refuse(call->x, 501, "a start takes the input's work items alone: those that failed or were put out are no queue here");
    else
        api_refuse(call->x, 400, "type has to be default, or workItemIds with 1 to %d of them", API_ITEMS_MAX);
    json_decref(body);
}

/* --- work items --------------------------------------------------------------------------------------------------- */

static json_t *only_id(json_t *item)
{
    json_t *o = json_pack("{s:O}", "id", json_object_get(item, "id"));

    json_decref(item);
    return o;
}

static void make_item(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);
    const char *whole = http_query(call->x, "bodyAsPayload");
    json_t *body, *payload;

    if (process == NULL || !api_body(call->x, &body))
        return;
    payload = whole != NULL && strcasecmp(whole, "true") == 0 ? body : json_object_get(body, "payload");
    if (payload != NULL)
        api_item_make_as(call, process, payload, only_id);
    else
        api_refuse(call->x, 400, "payload is needed");
    json_decref(body);
}

static void answer_items(const struct api_call *call, json_t *items)
{
    json_t *list = json_array(), *item;
    size_t i;

    json_array_foreach(items, i, item)
        (void)json_array_append_new(list, old_item(call, item, with_data(call->x)));
    json_decref(items);
    serve_json(call->x, 200, json_pack("{s:o}", "data", list));
}

static void answer_item(const struct api_call *call, json_t *items)
{
    serve_json(call->x, 200, old_item(call, json_array_get(items, 0), true));
    json_decref(items);
}

/* Those that wait, and those that go through the steps of runs; what a run without steps has taken is listed with it. */
static void process_items(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);
    struct api_call shaped = *call;

    shaped.items = answer_items;
    if (process != NULL)
        api_all_rows(&shaped, process, 0, LIST_MAX);
}

static void item(const struct api_call *call)
{
    struct api_call shaped = *call;

    shaped.items = answer_item;
    shaped.item_at = 1;
    api_item(&shaped);
}

/* Those of a run of the process in the path. */
static void answer_run_items(const struct api_call *call, json_t *items)
{
    const char *of = json_str(json_object_get(json_array_get(items, 0), "process"), "id");
    const struct process_config *process = api_process(call, call->args.at[0]);

    if (of != NULL && strcmp(of, process != NULL ? process->id : call->args.at[0]) != 0) {
        json_decref(items);
        api_refuse(call->x, 404, "Process run not found");
        return;
    }
    answer_items(call, items);
}

static void run_items(const struct api_call *call)
{
    struct api_call shaped = *call;

    shaped.items = answer_run_items;
    api_run_items(&shaped, call->args.at[1]);
}

static void item_file(const struct api_call *call)
{
    struct api_call shaped = *call;

    shaped.item_at = 1;
    api_item_file_flat(&shaped);
}

/* --- the tables --------------------------------------------------------------------------------------------------- */

#define RUN "/processes/{}/runs/{}"
#define STEP RUN "/robotRuns/{}"

const struct operation process_v1_operations[] = {
    { "GET", "/processes", "listProcesses", MAY_READ_PROCESSES, processes, NULL, false },
    { "GET", "/pruns", "listRuns", MAY_READ_RUNS, pruns, "state limit", false },
    { "POST", "/processes/{}/runs", "startRun", MAY_TRIGGER_PROCESSES, start, NULL, false },
    { "POST", "/processes/{}/runs-qs-authorization", "startRunByToken", MAY_TRIGGER_PROCESSES, start, "token", true },
    { "POST", "/processes/{}/runs-batch", "startRunBatch", MAY_TRIGGER_PROCESSES, start_batch, NULL, false },
    { "POST", "/processes/{}/run-request", "requestRun", MAY_TRIGGER_PROCESSES, run_request, NULL, false },
    { "GET", "/processes/{}/runs", "listRunsOfProcess", MAY_READ_RUNS, runs_of_process, "limit", false },
    { "GET", RUN, "getRun", SEES_RUNS, run, "embed", false },
    { "GET", RUN "/robotRuns", "listRobotRuns", SEES_RUNS, robot_runs, "limit", false },
    { "GET", STEP, "getRobotRun", MAY_READ_RUNS, robot_run, NULL, false },
    { "GET", STEP "/events", "listRobotRunEvents", MAY_READ_RUN_OUTPUTS, robot_events, NULL, false },
    { "GET", STEP "/messages", "listRobotRunMessages", MAY_READ_RUN_OUTPUTS, robot_messages, "limit", false },
    { "GET", STEP "/artifacts", "listRobotRunArtifacts", MAY_READ_RUN_OUTPUTS, robot_artifacts, NULL, false },
    { "GET", STEP "/artifacts/{}/{}", "getRobotRunArtifact", MAY_READ_RUN_OUTPUTS, robot_artifact, NULL, false },
    { "POST", "/processes/{}/work-items", "createWorkItem", MAY_WRITE_WORK_ITEMS, make_item, "bodyAsPayload", false },
    { "GET", "/processes/{}/work-items", "listWorkItems", MAY_READ_WORK_ITEMS, process_items, "includeData", false },
    { "GET", RUN "/work-items", "listRunWorkItems", MAY_READ_WORK_ITEMS, run_items, "includeData sortBy sortOrder", false },
    { "GET", "/processes/{}/work-items/{}", "getWorkItem", MAY_READ_WORK_ITEMS, item, "includeData", false },
    { "POST", "/processes/{}/work-items/{}/retry", "retryWorkItem", MAY_WRITE_WORK_ITEMS, api_old_retry, NULL, false },
    { "POST", STEP "/reserve-next-work-item", "reserveNextWorkItem", RUN_TOKEN, robot_reserve, NULL, false },
    { "POST", STEP "/release-work-item", "releaseWorkItem", RUN_TOKEN, robot_release, NULL, false },
    { "POST", "/processes/{}/work-items/{}/output", "createOutputWorkItem", RUN_TOKEN, robot_output, NULL, false },
    { "POST", "/processes/{}/work-items/{}/files/upload", "createWorkItemFile", MAY_WRITE_WORK_ITEMS, item_file, NULL, false },
};
const size_t process_v1_count = sizeof process_v1_operations / sizeof *process_v1_operations;

const struct operation process_secret_operations[] = {
    { "POST", "/processes/{}/runs", "startRun", MAY_TRIGGER_PROCESSES, start_by_secret, NULL, false },
    { "GET", RUN, "getRun", SEES_RUNS, run, NULL, false },
    { "GET", RUN "/robotRuns", "listRobotRuns", SEES_RUNS, robot_runs, NULL, false },
    { "GET", STEP "/artifacts", "listRobotRunArtifacts", MAY_READ_RUN_OUTPUTS, robot_artifacts, NULL, false },
    { "GET", STEP "/artifacts/{}/{}", "getRobotRunArtifact", MAY_READ_RUN_OUTPUTS, robot_artifact, NULL, false },
};
const size_t process_secret_count = sizeof process_secret_operations / sizeof *process_secret_operations;
