/* A run as run.json, the API and the command line show it. */
#include <stdlib.h>
#include <string.h>

#include "belfry/results/folder.h"

static json_t *describe_trigger(const struct run_record *run)
{
    json_t *trigger = json_object();

    (void)json_put(trigger, "kind", trigger_kind_name(run->trigger_kind));
    (void)json_put(trigger, "name", run->trigger_name);
    return trigger;
}

static void put_remote(json_t *o, const struct run_record *run)
{
    json_t *remote;

    if (run->remote_id == NULL)
        return;
    remote = json_object();
    (void)json_put(remote, "run_id", run->remote_id);
    (void)json_put(remote, "url", run->remote_url);
    (void)json_object_set_new(o, "remote", remote);
}

static void put_error(json_t *o, const struct run_record *run)
{
    json_t *error;

    if (run->error_code == NULL)
        return;
    error = json_object();
    (void)json_put(error, "code", run->error_code);
    (void)json_put(error, "message", run->error_message != NULL ? run->error_message : run->reason);
    (void)json_object_set_new(o, "error", error);
}

static void put_member(json_t *o, const json_t *from, const char *name, const char *otherwise)
{
    json_t *value = json_object_get(from, name);

    if (value != NULL)
        (void)json_object_set(o, name, value);
    else if (otherwise != NULL)
        (void)json_object_set_new(o, name, json_loads(otherwise, 0, NULL));
}

json_t *run_json(const struct run_record *run, const char *backend, const json_t *event, const json_t *result)
{
    enum run_state shown = run->state == RUN_COLLECTING && run->outcome != RUN_QUEUED && result != NULL ? run->outcome : run->state;
    json_t *o = json_object();

    if (o == NULL)
        return NULL;
    (void)json_put(o, "id", run->id);
    (void)json_put(o, "process", run->process);
    (void)json_put(o, "workspace", run->workspace);
    (void)json_put(o, "backend", backend);
    (void)json_object_set_new(o, "trigger", describe_trigger(run));
    if (event != NULL)
        (void)json_object_set(o, "event", (json_t *)(uintptr_t)event);
    (void)json_put(o, "state", run_state_name(shown));
    (void)json_put(o, "backend_state", run->backend_state);
    put_remote(o, run);
    (void)json_put_int(o, "attempt", run->attempt);
    (void)json_put_time(o, "accepted", run->accepted_ms);
    (void)json_put_time(o, "due", run->due_ms);
    (void)json_put_time(o, "started", run->started_ms);
    (void)json_put_time(o, "ended", run->ended_ms);
    if (run->started_ms != 0 && run->ended_ms != 0)
        (void)json_put_int(o, "duration_ms", run->ended_ms > run->started_ms ? run->ended_ms - run->started_ms : 0);
    if (run->has_exit_code)
        (void)json_put_int(o, "exit_code", run->exit_code);
    put_error(o, run);
    if (run->reason != NULL)
        (void)json_put(o, "reason", run->reason);
    if (run->unconfirmed)
        (void)json_object_set_new(o, "unconfirmed", json_true());
    if (result != NULL) {
        put_member(o, result, "steps", "[]");
        put_member(o, result, "work_items", "{\"input\": [], \"output\": []}");
        put_member(o, result, "artifacts", "[]");
        put_member(o, result, "notes", NULL);
        put_member(o, result, "results", NULL);
        put_member(o, result, "revision", NULL);
        put_member(o, result, "revised", NULL);
        put_member(o, result, "settled", NULL);
    }
    return o;
}
