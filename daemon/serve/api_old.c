/*
 * The two older APIs, over the same runs: the workspace API (process-v1) and the oldest, with a process's secret. Their state
 * words, their lists without pages, their spellings. Sources: the vendor's public swagger of the Process API, and the clients
 * that are still in use (rpaframework, the trigger action).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api.h"
#include "belfry/base/form.h"
#include "belfry/base/time.h"

#define RUNS_DEFAULT 10            /* of a process, as its client has it */
#define STEPS_LISTED 10000         /* of all runs of a list together */

/* --- shapes ------------------------------------------------------------------------------------------------------- */

static const char *old_state(const struct run_record *run)
{
    const char *word = shape_word(run);

    return strcmp(word, "new") == 0 ? "INI" : strcmp(word, "completed") == 0 ? "COMPL" : strcmp(word, "unresolved") == 0 ? "PENDING" : "IP";
}

void api_old_put(json_t *o, const char *name, const char *text)
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
    api_old_put(o, "result", strcmp(state, "COMPL") == 0 ? "success" : strcmp(state, "PENDING") == 0 ? "error" : NULL);
    api_old_put(o, "errorCode", ended ? run->error_code : NULL);
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

/* How its work items fared, of a run that is a command: all alike. Not of what its result does not tell. */
static void put_stats(json_t *o, const struct run_record *run, const json_t *result)
{
    json_int_t count = (json_int_t)json_array_size(json_object_get(json_object_get(result, "work_items"), "input"));
    bool good = strcmp(shape_word(run), "completed") == 0;

    if (count > 0 && run_state_is_end(run->state))
        (void)json_object_set_new(o, "workItemStats", json_pack("{s:I, s:I, s:I}", "totalCount", count, "failedCount", good ? 0 : count,
                                                                "succeededCount", good ? count : 0));
}

json_t *api_old_shape_step(const struct step_record *step)
{
    return json_pack("{s:s, s:s}", "id", step->id, "state", step_state_name(step->state));
}

/* With its step runs: clients read them without `embed`, too. */
static json_t *old_run_with_steps(const struct api_steps *s)
{
    json_t *o = old_run(&s->call, &s->run), *list = json_array();

    if (!s->flow)
        put_stats(o, &s->run, s->result);
    for (size_t i = 0; i < s->count; i++)
        (void)json_array_append_new(list, api_old_shape_step(&s->steps[i]));
    (void)json_object_set_new(o, "robotRuns", list);
    return o;
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

struct list_ask {
    struct api_call call;
    struct journal_read read;
    json_t *runs;
    bool bare;
};

/* A run that has step runs in the journal has these; what was said of it as of a command was a guess. */
static void put_steps(struct list_ask *ask)
{
    json_t *steps = json_object(), *run;
    size_t i;

    for (size_t k = 0; k < ask->read.count; k++) {
        const struct step_record *step = &ask->read.rows[k].step_run;

        if (json_object_get(steps, step->run_id) == NULL)
            (void)json_object_set_new(steps, step->run_id, json_array());
        (void)json_array_append_new(json_object_get(steps, step->run_id), api_old_shape_step(step));
    }
    json_array_foreach(ask->runs, i, run) {
        json_t *its = json_object_get(steps, json_str(run, "id"));

        if (its == NULL && !ask->read.more)
            continue;
        (void)json_object_del(run, "workItemStats");
        (void)json_object_del(run, "robotRuns");
        if (!ask->read.more)   /* else some are not known, of whichever run */
            (void)json_object_set(run, "robotRuns", its);
    }
    json_decref(steps);
}

static void list_steps_came(struct journal_read *read, int status)
{
    struct list_ask *ask = read->data;
    struct serve_room *room = ask->call.room;

    if (status != 0) {
        api_refuse(ask->call.x, 503, "the journal cannot be read: %s", read->error.text);
    } else {
        put_steps(ask);
        serve_json(ask->call.x, 200, ask->bare ? json_incref(ask->runs) : json_pack("{s:O}", "data", ask->runs));
    }
    json_decref(ask->runs);
    free(ask);
    serve_let_go(room);
}

static json_t *run_of_list(const struct api_read *r, const struct run_record *run)
{
    json_t *o = old_run(&r->call, run), *list = json_array(), *result;
    struct step_record step;

    (void)json_object_set_new(o, "robotRuns", list);
    if (api_run_has_flow(r->config, run))
        return o;
    result = json_stored(run->result);
    put_stats(o, run, result);
    api_derive_step(run, config_process(r->config, run->process), result, &step);
    json_decref(result);
    (void)json_array_append_new(list, api_old_shape_step(&step));
    step_record_close(&step);
    return o;
}

static void list_with_steps(struct api_read *r, bool bare)
{
    struct list_ask *ask = calloc(1, sizeof *ask);
    json_t *ids = json_array();
    char *text;

    if (ask == NULL)
        abort();
    ask->call = r->call;
    ask->bare = bare;
    ask->runs = json_array();
    for (size_t i = 0; i < r->read.count; i++) {
        (void)json_array_append_new(ask->runs, run_of_list(r, &r->read.rows[i].run));
        (void)json_array_append_new(ids, json_string(r->read.rows[i].run.id));
    }
    text = json_text(ids);
    if (text == NULL)
        abort();
    ask->call.room->open++;
    ask->read = (struct journal_read) { .kind = READ_STEP_RUNS, .state = -1, .ids = text, .limit = STEPS_LISTED, .cb = list_steps_came, .data = ask };
    journal_read(ask->call.room->host.journal, &ask->read);
    free(text);
    json_decref(ids);
}

static void runs_bare(struct api_read *r, const struct run_record *none)
{
    (void)none;
    list_with_steps(r, true);
}

static void runs_as_data(struct api_read *r, const struct run_record *none)
{
    (void)none;
    list_with_steps(r, false);
}

static void pruns(const struct api_call *call)
{
    static const struct {
        const char *word, *v1;
    } words[] = { { "INI", "new" }, { "IND", "new" }, { "IP", "in_progress" }, { "COMPL", "completed" }, { "PENDING", "unresolved" } };
    const char *state = http_query(call->x, "state"), *v1 = NULL;
    size_t limit;

    for (size_t i = 0; state != NULL && i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(words[i].word, state) == 0)
            v1 = words[i].v1;
    }
    if (state != NULL && v1 == NULL)
        api_refuse(call->x, 400, "state has to be INI, IP, COMPL or PENDING");
    else if (api_limit(call->x, &limit))
        api_list_runs(call, NULL, v1, limit, runs_bare);
}

static void runs_of_process(const struct api_call *call)
{
    const struct process_config *process = api_start_process(call);
    size_t limit;

    if (process != NULL && api_limit_or(call->x, RUNS_DEFAULT, &limit))
        api_list_runs(call, process, NULL, limit, runs_as_data);
}

bool api_old_is_of_process(const struct api_call *call, const struct run_record *run)
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
    if (api_old_is_of_process(&s->call, &s->run))
        serve_json(s->call.x, 200, old_run_with_steps(s));
}

static void run(const struct api_call *call)
{
    api_read_steps(call, call->args.at[1], show_run);
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

/* JSON, or a form: there is a client that sends one and calls it JSON. */
bool api_old_payload(struct http_exchange *x, json_t **payload)
{
    size_t len;
    const char *bytes = http_body(x, &len);

    *payload = form_is_plain(bytes, len) ? form_parse(bytes, len, NULL) : NULL;
    return *payload != NULL || api_body(x, payload);
}

/* The body is the payload, whatever it is. */
static void start_with_body(const struct api_call *call, start_shape shape)
{
    const struct process_config *process = api_start_process(call);
    json_t *body;

    if (process != NULL && api_old_payload(call->x, &body))
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
    { "GET", RUN "/robotRuns", "listRobotRuns", SEES_RUNS, api_old_robot_runs, "limit", false },
    { "GET", STEP, "getRobotRun", MAY_READ_RUNS, api_old_robot_run, NULL, false },
    { "GET", STEP "/events", "listRobotRunEvents", MAY_READ_RUN_OUTPUTS, api_old_robot_events, NULL, false },
    { "GET", STEP "/messages", "listRobotRunMessages", MAY_READ_RUN_OUTPUTS, api_old_robot_messages, "limit", false },
    { "GET", STEP "/artifacts", "listRobotRunArtifacts", MAY_READ_RUN_OUTPUTS, api_old_robot_artifacts, NULL, false },
    { "GET", STEP "/artifacts/{}/{}", "getRobotRunArtifact", MAY_READ_RUN_OUTPUTS, api_old_robot_artifact, NULL, false },
    { "POST", "/processes/{}/work-items", "createWorkItem", MAY_WRITE_WORK_ITEMS, api_old_item_make, "bodyAsPayload", false },
    { "GET", "/processes/{}/work-items", "listWorkItems", MAY_READ_WORK_ITEMS, api_old_items_of_process, "includeData", false },
    { "GET", RUN "/work-items", "listRunWorkItems", MAY_READ_WORK_ITEMS, api_old_items_of_run, "includeData sortBy sortOrder", false },
    { "GET", "/processes/{}/work-items/{}", "getWorkItem", MAY_READ_WORK_ITEMS, api_old_item, "includeData", false },
    { "POST", "/processes/{}/work-items/{}/retry", "retryWorkItem", MAY_WRITE_WORK_ITEMS, api_old_retry, NULL, false },
    { "POST", STEP "/reserve-next-work-item", "reserveNextWorkItem", RUN_TOKEN, robot_reserve, NULL, false },
    { "POST", STEP "/release-work-item", "releaseWorkItem", RUN_TOKEN, robot_release, NULL, false },
    { "POST", "/processes/{}/work-items/{}/output", "createOutputWorkItem", RUN_TOKEN, robot_output, NULL, false },
    { "POST", "/processes/{}/work-items/{}/files/upload", "createWorkItemFile", MAY_WRITE_WORK_ITEMS, api_old_item_file, NULL, false },
};
const size_t process_v1_count = sizeof process_v1_operations / sizeof *process_v1_operations;

const struct operation process_secret_operations[] = {
    { "POST", "/processes/{}/runs", "startRun", MAY_TRIGGER_PROCESSES, start_by_secret, "token secret", true },
    { "GET", RUN, "getRun", SEES_RUNS, run, NULL, false },
    { "GET", RUN "/robotRuns", "listRobotRuns", SEES_RUNS, api_old_robot_runs, NULL, false },
    { "GET", STEP "/artifacts", "listRobotRunArtifacts", MAY_READ_RUN_OUTPUTS, api_old_robot_artifacts, NULL, false },
    { "GET", STEP "/artifacts/{}/{}", "getRobotRunArtifact", MAY_READ_RUN_OUTPUTS, api_old_robot_artifact, NULL, false },
};
const size_t process_secret_count = sizeof process_secret_operations / sizeof *process_secret_operations;
