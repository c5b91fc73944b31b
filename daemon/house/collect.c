/* Bringing a run's outputs home: a staging folder, the backend's part, run.json, the rename. Each step that touches the
 * disk is on the thread pool; a crash at any point leaves a staging folder that the next try clears. Of local runs only so many
 * are brought home at once, the others wait for their turn: what a robot left may take long to copy. When the house is taken
 * down, what was begun is dropped: the run is collecting in the journal, and the next daemon begins it anew. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/buf.h"
#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "belfry/core/event.h"
#include "belfry/results/folder.h"
#include "house.h"

#define COLLECTIONS_MAX 2   /* at local backends: each has a thread of the pool, which has four in all */

struct job {
    uv_work_t work;
    struct house *house;
    struct journal_read read;
    struct run_record run;
    char *results_dir;
    char *staging, *place;
    json_t *event, *input;
    struct collection collected;
    json_t *result;            /* for the record: what run.json says of results, and where they lie */
    const char *backend;
    json_t *before;            /* the record's, of a run that had ended before: this is a revision of it */
    unsigned revision;         /* its number; 0: none */
    bool takes_turn;           /* it is one of COLLECTIONS_MAX */
    bool afterthought;         /* nobody took the run up again: it was completed where it ran (revise.c) */
    bool as_it_was;            /* what failed was settled by hand: the results are those of before */
    int status;
    struct error error;
    struct job *next;
};

static void job_free(struct job *j)
{
    run_record_close(&j->run);
    free(j->results_dir);
    free(j->staging);
    free(j->place);
    json_decref(j->event);
    json_decref(j->input);
    json_decref(j->collected.steps);
    json_decref(j->collected.work_items);
    json_decref(j->collected.artifacts);
    json_decref(j->collected.notes);
    json_decref(j->result);
    json_decref(j->before);
    free(j);
}

/* What could not be brought home is said where an operator looks, too. */
static void say_notes(const struct job *j)
{
    const json_t *note;
    size_t i;

    json_array_foreach(j->collected.notes, i, note)
        log_warning("run %s of %s: %s", j->run.id, j->run.process, json_string_value(note));
}

static void finish(struct job *j)
{
    struct house *h = j->house;
    char *result = j->status == 0 ? json_text(j->result) : NULL;

    if (j->status == 0)
        say_notes(j);
    if (j->afterthought) {
        revise_published(h, j->run.id, j->status, &j->error, result, j->run.backend_state);
        free(result);
        job_free(j);
        return;
    }
    if (j->status != 0)
        log_warning("run %s of %s: its results wait: %s", j->run.id, j->run.process, j->error.text);
    engine_collected(h->engine, time_now(), j->run.id, j->status, &j->error, result);
    free(result);
    job_free(j);
}

/* --- publishing --------------------------------------------------------------------------------------------------- */

/* The revision's own files lie in a folder of it. */
static void move_paths(json_t *value, const char *revision)
{
    json_t *path = json_object_get(value, "path"), *member;
    const char *name;
    struct buf moved = { 0 };
    size_t i;

    if (json_is_string(path)) {
        buf_addf(&moved, "%s/%s", revision, json_string_value(path));
        (void)json_object_set_new(value, "path", json_string(buf_str(&moved)));
        buf_close(&moved);
    }
    json_object_foreach(value, name, member) {
        if (strcmp(name, "payload") != 0)
            move_paths(member, revision);
    }
    json_array_foreach(value, i, member)
        move_paths(member, revision);
}

static json_t *with_id(json_t *list, const char *id)
{
    json_t *one;
    size_t i;

    json_array_foreach(list, i, one) {
        if (id != NULL && json_str(one, "id") != NULL && strcmp(json_str(one, "id"), id) == 0)
            return one;
    }
    return NULL;
}

/* What earlier attempts left, and this one has not again: their step runs' consoles and artifacts. */
static void keep_earlier(struct job *j)
{
    json_t *steps = json_object_get(j->result, "steps"), *earlier = json_object_get(j->before, "steps");
    json_t *artifacts = json_object_get(j->result, "artifacts"), *old = json_array(), *step, *artifact, *known;
    size_t i;

    json_array_foreach(steps, i, step) {
        known = with_id(earlier, json_str(step, "id"));
        if (known != NULL && json_object_get(step, "console") == NULL && json_object_get(known, "console") != NULL)
            (void)json_object_set(step, "console", json_object_get(known, "console"));
    }
    json_array_foreach(json_object_get(j->before, "artifacts"), i, artifact) {
        known = with_id(steps, json_str(artifact, "step_run"));
        if (known != NULL)
            (void)json_array_append(old, artifact);
    }
    (void)json_array_extend(old, artifacts);
    (void)json_object_set_new(j->result, "artifacts", old);
}

static void number_revision(struct job *j)
{
    char name[FOLDER_REVISION_SIZE];

    folder_revision_name(j->revision, name);
    move_paths(json_object_get(j->result, "steps"), name);
    move_paths(json_object_get(j->result, "work_items"), name);
    move_paths(json_object_get(j->result, "artifacts"), name);
    keep_earlier(j);
    if (!j->afterthought)
        return;
    (void)json_object_set_new(j->result, "revised", json_object());
    (void)json_put(json_object_get(j->result, "revised"), "state", run_state_name(j->run.state));
    (void)json_put_time(json_object_get(j->result, "revised"), "ended", j->run.ended_ms);
}

/* A retry's results are all that there is when the earlier ones are gone meanwhile. */
static bool is_revision(const struct job *j)
{
    return j->revision > 0 && (j->afterthought || !folder_is_first(j->place, j->revision));
}

static void publish(uv_work_t *work)
{
    struct job *j = work->data;
    bool revision = is_revision(j);
    int existing = 0;
    json_t *whole;

    if (j->revision > 0)
        (void)json_put_int(j->result, "revision", j->revision);
    if (revision && !j->as_it_was)
        number_revision(j);
    whole = run_json(&j->run, j->backend, j->event, j->result);
    if (whole == NULL)
        j->status = error_set(&j->error, BF_ENOMEM, "out of memory");
    else if (revision)
        j->status = folder_revise(j->staging, j->place, j->revision, whole, &j->error);
    else
        j->status = folder_publish(j->staging, j->place, whole, &existing, &j->error);
    /* Whoever deleted the results of a run that had ended does not get them back for a second thought. */
    if (j->afterthought && j->status == BF_ENOENT)
        j->status = file_remove_tree(j->staging, &j->error);
    json_decref(whole);
}

static void came_back(struct house *h)
{
    h->working--;
    house_settle(h);
}

static void published(uv_work_t *work, int status)
{
    struct job *j = work->data;
    struct house *h = j->house;

    (void)status;
    finish(j);
    came_back(h);
}

static void put(json_t *result, const char *name, json_t *value)
{
    if (value != NULL)
        (void)json_object_set(result, name, value);
}

static void begin_work(struct job *j)
{
    j->house->working++;
    if (uv_queue_work(j->house->loop, &j->work, publish, published) != 0)
        abort();
}

/* Notes that there were too many of. */
static void count_notes(struct collection *c)
{
    struct buf text = { 0 };

    if (c->notes_over == 0)
        return;
    buf_addf(&text, "%zu more like these", c->notes_over);
    (void)json_array_append_new(c->notes, json_string(buf_str(&text)));
    buf_close(&text);
}

static void begin_publish(struct job *j)
{
    count_notes(&j->collected);
    j->result = json_object();
    put(j->result, "steps", j->collected.steps);
    put(j->result, "work_items", j->collected.work_items);
    put(j->result, "artifacts", j->collected.artifacts);
    if (json_array_size(j->collected.notes) > 0)
        put(j->result, "notes", j->collected.notes);
    (void)json_put(j->result, "results", j->place);
    begin_work(j);
}

/* A person has settled what failed (retry.c): nothing has run since, and what was brought home stays what it is. */
static void publish_as_it_was(struct job *j)
{
    j->as_it_was = true;
    j->result = json_incref(j->before);
    (void)json_put(j->result, "results", j->place);
    begin_work(j);
}

/* --- the backend's part ------------------------------------------------------------------------------------------- */

/* A run that never reached a backend, or whose workspace is gone, brings nothing home but its record. */
static void collect_nothing(struct job *j, const char *note)
{
    j->collected.steps = json_array();
    j->collected.work_items = json_pack("{s:[], s:[]}", "input", "output");
    j->collected.artifacts = json_array();
    j->collected.notes = json_array();
    if (note != NULL)
        (void)json_array_append_new(j->collected.notes, json_string(note));
    begin_publish(j);
}

static void to_backend(struct job *j, struct home *home)
{
    struct house *h = j->house;

    j->next = h->at_backend;
    h->at_backend = j;
    home->backend->ops->collect(home->backend, &j->run, config_process(h->config, j->run.process), j->input, j->staging);
}

static void take_turn(struct job *j, struct home *home)
{
    struct house *h = j->house;

    j->takes_turn = true;
    if (h->collecting < COLLECTIONS_MAX) {
        h->collecting++;
        to_backend(j, home);
        return;
    }
    if (h->turns == NULL)
        h->turns_end = &h->turns;
    *h->turns_end = j;
    h->turns_end = &j->next;
}

/* One has come back: the next may go. */
static void next_turn(struct house *h)
{
    struct job *j = h->stopping ? NULL : h->turns;

    h->collecting--;
    if (j == NULL)
        return;
    h->turns = j->next;
    h->collecting++;
    to_backend(j, home_find(h, j->run.workspace));
}

void world_collected(struct house *h, const char *run_id, int status, const struct error *why, struct collection *collection)
{
    struct job **at = &h->at_backend, *j;

    while (*at != NULL && strcmp((*at)->run.id, run_id) != 0)
        at = &(*at)->next;
    j = *at;
    if (j == NULL)
        return;
    *at = j->next;
    if (j->takes_turn)
        next_turn(h);
    if (h->stopping) {
        if (status == 0)
            j->collected = *collection;
        job_free(j);
        return;
    }
    if (status != 0) {
        j->status = status;
        j->error = *why;
        finish(j);
        return;
    }
    j->collected = *collection;
    begin_publish(j);
}

static void stage(uv_work_t *work)
{
    struct job *j = work->data;

    j->status = folder_stage(j->results_dir, &j->run, &j->staging, &j->error);
}

static void staged(uv_work_t *work, int status)
{
    struct job *j = work->data;
    struct house *h = j->house;
    struct home *home = home_find(h, j->run.workspace);

    (void)status;
    if (h->stopping) {
        job_free(j);
    } else if (j->status != 0) {
        finish(j);
    } else if (json_object_get(j->before, "settled") != NULL) {
        publish_as_it_was(j);
    } else if (home == NULL) {
        collect_nothing(j, "the workspace is no longer in the configuration: nothing could be brought home");
    } else if (j->run.attempt == 0 || (home->type == WORKSPACE_ROBOCORP && j->run.remote_id == NULL)) {
        collect_nothing(j, NULL);
    } else if (home->type == WORKSPACE_LOCAL) {
        take_turn(j, home);
    } else {
        to_backend(j, home);
    }
    came_back(h);
}

static void loaded(struct journal_read *read, int status)
{
    struct job *j = read->data;
    struct house *h = j->house;
    struct home *home = home_find(h, j->run.workspace);
    const struct journal_row *row = read->rows;

    if (h->stopping) {
        job_free(j);
        came_back(h);
        return;
    }
    if (status != 0 && (status != BF_ENOENT || j->afterthought)) {
        j->status = status;
        j->error = read->error;
        finish(j);
        came_back(h);
        return;
    }
    /* Without its record the run will be dropped, but not what it made. */
    j->event = status == 0 ? json_stored(row->event) : NULL;
    j->input = status == 0 ? event_input(j->event, row->input, NULL) : NULL;
    if (j->input == NULL)
        j->input = json_array();
    j->backend = home != NULL && home->type == WORKSPACE_ROBOCORP ? "robocorp" : "local";
    j->place = folder_path(j->results_dir, &j->run);
    j->work.data = j;
    if (j->place == NULL || uv_queue_work(j->house->loop, &j->work, stage, staged) != 0)
        abort();
}

static void drop_all(struct job **jobs)
{
    struct job *j;

    while ((j = *jobs) != NULL) {
        *jobs = j->next;
        job_free(j);
    }
}

void collect_drop(struct house *h)
{
    drop_all(&h->at_backend);
    drop_all(&h->turns);
}

static void collect_run(struct house *h, const struct run_record *run, bool afterthought)
{
    struct job *j = calloc(1, sizeof *j);

    if (j == NULL || run_record_copy(&j->run, run) != 0 || (j->results_dir = strdup(h->config->daemon.results_dir)) == NULL)
        abort();
    j->house = h;
    j->afterthought = afterthought;
    j->before = json_stored(run->result);
    if (j->before != NULL)
        j->revision = (unsigned)json_int(j->before, "revision", 1) + 1;
    j->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = loaded, .data = j };
    memcpy(j->read.id, run->id, sizeof j->read.id);
    h->working++;
    journal_read(h->journal, &j->read);
}

void world_collect(struct house *h, const struct run_record *run)
{
    collect_run(h, run, false);
}

void collect_revision(struct house *h, const struct run_record *run)
{
    collect_run(h, run, true);
}
