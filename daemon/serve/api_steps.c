/*
 * A run with its step runs. One that is a single command, and has no flow, has one step run, which is made of its record: its id is
 * of the run's (core/run.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "belfry/base/file.h"
#include "belfry/base/time.h"

static void steps_free(struct api_steps *s)
{
    struct serve_room *room = s->call.room;

    for (size_t i = 0; i < s->count; i++)
        step_record_close(&s->steps[i]);
    free(s->steps);
    run_record_close(&s->run);
    json_decref(s->result);
    config_release(s->config);
    free(s);
    serve_let_go(room);
}

/* A person has settled what the command failed at (house/retry.c): the run has completed, its step run ended as it did. */
static void derive_settled(struct step_record *step, const json_t *kept)
{
    const char *ended = json_str(kept, "ended"), *code = json_str(json_object_get(kept, "error"), "code");

    step->state = STEP_FAILED;
    if (ended != NULL)
        (void)time_parse(ended, &step->ended_ms);
    step->error_code = code != NULL ? strdup(code) : NULL;
}

void api_derive_step(const struct run_record *run, const struct process_config *process, const json_t *result, struct step_record *step)
{
    *step = (struct step_record) { .name = strdup(shape_first_step(run, process)), .created_ms = run->accepted_ms, .started_ms = run->started_ms };
    run_step_id(run->id, step->id);
    memcpy(step->run_id, run->id, sizeof step->run_id);
    if (run_state_is_end(run->state)) {
        step->state = run->state == RUN_COMPLETED ? STEP_COMPLETED : STEP_FAILED;
        step->ended_ms = run->ended_ms;
        step->error_code = run->error_code != NULL ? strdup(run->error_code) : NULL;
    } else if (run->state == RUN_RUNNING || run->state == RUN_COLLECTING) {
        step->state = STEP_RUNNING;
    }
    if (run->state == RUN_COMPLETED && json_object_get(result, "settled") != NULL)
        derive_settled(step, json_array_get(json_object_get(result, "steps"), 0));
}

/* One that has not begun is what its process is configured as: its step runs are made when it does. */
bool api_run_has_flow(const struct config *config, const struct run_record *run)
{
    const struct process_config *process = config_process(config, run->process);

    return run->memo != NULL || (run->started_ms == 0 && process != NULL && config_has_flow(process));
}

static void finish(struct api_steps *s)
{
    s->done(s);
    steps_free(s);
}

static void steps_came(struct journal_read *read, int status)
{
    struct api_steps *s = read->data;

    if (status != 0) {
        api_refuse(s->call.x, 503, "the journal cannot be read: %s", read->error.text);
        steps_free(s);
        return;
    }
    s->flow = read->count > 0 || api_run_has_flow(s->config, &s->run);
    s->steps = calloc(read->count + 1, sizeof *s->steps);
    if (s->steps == NULL)
        abort();
    if (!s->flow)
        api_derive_step(&s->run, config_process(s->config, s->run.process), s->result, &s->steps[s->count++]);
    for (size_t i = 0; i < read->count; i++) {
        const struct step_record *step = &read->rows[i].step_run;

        if (s->only[0] != '\0' && strcmp(step->id, s->only) != 0)
            continue;
        if (step_record_copy(&s->steps[s->count++], step) != 0)
            abort();
    }
    if (s->count > 0 || s->only[0] == '\0') {
        finish(s);
        return;
    }
    api_refuse(s->call.x, 404, "Step run not found");
    steps_free(s);
}

static void run_came(struct journal_read *read, int status)
{
    struct api_steps *s = read->data;
    const struct run_record *run = status == 0 ? &read->rows[0].run : NULL;

    if (status != 0 && status != BF_ENOENT) {
        api_refuse(s->call.x, 503, "the journal cannot be read: %s", read->error.text);
        steps_free(s);
        return;
    }
    if (run == NULL || strcmp(run->workspace, s->call.workspace->name) != 0 || run->state == RUN_SKIPPED) {
        api_refuse(s->call.x, 404, s->only[0] != '\0' ? "Step run not found" : "Process run not found");
        steps_free(s);
        return;
    }
    if (run_record_copy(&s->run, run) != 0)
        abort();
    s->result = json_stored(run->result);
    s->read = (struct journal_read) { .kind = READ_STEP_RUNS, .state = -1, .run_id = s->run.id, .limit = SIZE_MAX / 4, .cb = steps_came, .data = s };
    journal_read(s->call.room->host.journal, &s->read);
}

static void read_run(struct api_steps *s, const char *run_id)
{
    s->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = run_came, .data = s };
    memcpy(s->read.id, run_id, sizeof s->read.id);
    journal_read(s->call.room->host.journal, &s->read);
}

static struct api_steps *steps_new(const struct api_call *call, void (*done)(struct api_steps *s))
{
    struct api_steps *s = calloc(1, sizeof *s);

    if (s == NULL)
        abort();
    s->call = *call;
    s->config = config_hold(call->config);
    s->done = done;
    call->room->open++;
    return s;
}

void api_read_steps(const struct api_call *call, const char *run_id, void (*done)(struct api_steps *s))
{
    if (id_is_uuid(run_id))
        read_run(steps_new(call, done), run_id);
    else
        api_refuse(call->x, 404, "Process run not found");
}

static void step_came(struct journal_read *read, int status)
{
    struct api_steps *s = read->data;
    char run_id[ID_SIZE];

    if (status == 0 && read->count > 0) {
        memcpy(run_id, read->rows[0].step_run.run_id, sizeof run_id);
        read_run(s, run_id);
        return;
    }
    api_refuse(s->call.x, status != 0 ? 503 : 404, status != 0 ? "the journal cannot be read" : "Step run not found");
    steps_free(s);
}

void api_read_step(const struct api_call *call, const char *step_run_id, void (*done)(struct api_steps *s))
{
    struct api_steps *s;
    char run_id[ID_SIZE];

    if (!id_is_uuid(step_run_id)) {
        api_refuse(call->x, 404, "Step run not found");
        return;
    }
    s = steps_new(call, done);
    memcpy(s->only, step_run_id, sizeof s->only);
    if (run_of_step(step_run_id, run_id)) {
        read_run(s, run_id);
        return;
    }
    s->read = (struct journal_read) { .kind = READ_STEP_RUNS, .state = -1, .limit = 1, .cb = step_came, .data = s };
    memcpy(s->read.id, step_run_id, sizeof s->read.id);
    journal_read(call->room->host.journal, &s->read);
}

/* --- what they left ----------------------------------------------------------------------------------------------- */

json_t *api_step_artifacts(const struct api_steps *s, const struct step_record *step)
{
    json_t *all = json_object_get(s->result, "artifacts"), *list = json_array(), *one;
    size_t i;

    json_array_foreach(all, i, one) {
        const char *of = json_str(one, "step_run");

        if (json_str(one, "path") != NULL && (!s->flow || (of != NULL && strcmp(of, step->id) == 0)))
            (void)json_array_append(list, one);
    }
    return list;
}

static int open_kept(const struct api_steps *s, const struct step_record *step)
{
    const char *dir = json_str(s->result, "results"), *path;
    int folder = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, fd = -1;
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(s->result, "steps"), i, one) {
        path = json_str(json_object_get(one, "console"), "path");
        if (folder >= 0 && fd < 0 && path != NULL && json_str(one, "id") != NULL && strcmp(json_str(one, "id"), step->id) == 0)
            fd = file_open_below(folder, path);
    }
    if (folder >= 0)
        (void)close(folder);
    return fd;
}

int api_open_console(const struct api_steps *s, const struct step_record *step)
{
    char *live;
    int fd;

    if (!s->flow)
        return serve_open_console(s->call.room, &s->run);
    fd = open_kept(s, step);
    if (fd >= 0 || run_state_is_end(s->run.state))
        return fd;
    live = s->call.room->host.console(s->call.room->host.data, &s->run, step->id);
    fd = live != NULL ? open(live, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    free(live);
    return fd;
}
