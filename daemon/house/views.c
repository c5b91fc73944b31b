/* What the house shows of itself. */
#include <stdlib.h>
#include <string.h>

#include "belfry/results/folder.h"
#include "house.h"

#define NEXT_MAX 1000

/* --- status ------------------------------------------------------------------------------------------------------- */

static json_t *counts(const struct engine_stats *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "queued", (json_int_t)s->queued, "starting", (json_int_t)s->starting,
                     "running", (json_int_t)s->running, "collecting", (json_int_t)s->collecting, "unconfirmed",
                     (json_int_t)s->unconfirmed, "held_up", (json_int_t)s->held_up);
}

static json_t *totals(const struct engine_stats *s)
{
    json_t *ended = json_object();

    for (unsigned i = RUN_COMPLETED; i < RUN_SKIPPED; i++)
        (void)json_put_int(ended, run_state_name((enum run_state)i), (int64_t)s->ended[i]);
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "admitted", (json_int_t)s->admitted, "skipped", (json_int_t)s->skipped,
                     "duplicates", (json_int_t)s->duplicates, "start_failures", (json_int_t)s->start_failures, "ended", ended);
}

static json_t *journal_view(struct house *h)
{
    struct journal_health health;
    json_t *o = json_object();

    journal_health(h->journal, &health);
    (void)json_object_set_new(o, "writable", json_boolean(health.writable));
    if (!health.writable)
        (void)json_put(o, "problem", health.problem);
    (void)json_put_int(o, "waiting", (int64_t)health.waiting);
    (void)json_put_int(o, "commits", (int64_t)health.commits);
    (void)json_put_int(o, "transactions", (int64_t)health.transactions);
    return o;
}

static void add_trouble(void *data, const char *target, const char *why, size_t waiting)
{
    json_t *o = json_object();

    (void)json_put(o, "target", target);
    (void)json_put(o, "why", why);
    (void)json_put_int(o, "waiting", (int64_t)waiting);
    (void)json_array_append_new(data, o);
}

static json_t *workspaces(struct house *h)
{
    json_t *list = json_array();

    for (size_t i = 0; i < h->home_count; i++) {
        json_t *o = json_object();

        (void)json_put(o, "name", h->homes[i].workspace);
        (void)json_put(o, "type", h->homes[i].type == WORKSPACE_LOCAL ? "local" : "robocorp");
        (void)json_put(o, "trouble", h->homes[i].backend->ops->trouble(h->homes[i].backend));
        (void)json_array_append_new(list, o);
    }
    return list;
}

struct trouble_list {
    struct house *house;
    json_t *list;
};

#define TROUBLES_MAX 50

static void add_run_trouble(void *data, const struct run_record *run)
{
    struct trouble_list *t = data;
    const char *why = engine_trouble(t->house->engine, run->id);
    struct buf text = { 0 };

    if ((why == NULL && !run->unconfirmed) || json_array_size(t->list) >= TROUBLES_MAX)
        return;
    buf_addf(&text, "run %s of %s is %s%s: %s", run->id, run->process, run_state_name(run->state),
             run->unconfirmed ? " and unconfirmed" : "", why != NULL ? why : "its start got no answer");
    (void)json_array_append_new(t->list, json_string(buf_str(&text)));
    buf_close(&text);
}

struct soonest {
    const char *name;
    int64_t due_ms;
};

static void find_soonest(void *data, const struct clock_view *view)
{
    struct soonest *s = data;

    if (view->paused || view->next_due_ms >= s->due_ms)
        return;
    s->due_ms = view->next_due_ms;
    s->name = view->name;
}

static json_t *next_due(struct house *h)
{
    struct soonest s = { .due_ms = INT64_MAX };
    json_t *o;

    clock_each(h->clock, find_soonest, &s);
    if (s.name == NULL)
        return json_null();
    o = json_object();
    (void)json_put(o, "schedule", s.name);
    (void)json_put_time(o, "due", s.due_ms);
    return o;
}

static void put_paths(json_t *o, const struct house *h)
{
    json_t *listen = json_array();

    for (size_t i = 0; i < h->address_count; i++)
        (void)json_array_append_new(listen, json_string(h->addresses[i]));
    (void)json_put(o, "config", h->config->path);
    (void)json_put(o, "state_dir", h->config->daemon.state_dir);
    (void)json_put(o, "results_dir", h->config->daemon.results_dir);
    (void)json_put(o, "socket", h->config->daemon.socket);
    (void)json_object_set_new(o, "listen", listen);
}

static void add_deliver_trouble(struct house *h, json_t *list)
{
    struct buf text = { 0 };
    const char *why;
    size_t waiting = deliver_trouble(h->deliver, &why);

    if (waiting == 0)
        return;
    buf_addf(&text, "%zu messages to webhooks or callbacks are not taken by their receivers, and are sent again%s%s", waiting,
             why[0] != '\0' ? ": " : "", why);
    (void)json_array_append_new(list, json_string(buf_str(&text)));
    buf_close(&text);
}

json_t *house_status(void *house)
{
    struct house *h = house;
    struct trouble_list troubles = { .house = h, .list = json_array() };
    json_t *o = json_object(), *syslog = json_array();
    struct engine_stats stats;

    engine_stats(h->engine, &stats);
    engine_each_run(h->engine, add_run_trouble, &troubles);
    add_deliver_trouble(h, troubles.list);
    syslog_each_trouble(h->syslog, add_trouble, syslog);
    (void)json_put(o, "version", BELFRY_VERSION);
    (void)json_put_int(o, "pid", (int64_t)uv_os_getpid());
    (void)json_put_time(o, "started", h->born.wall_ms);
    (void)json_put_int(o, "uptime_ms", time_mono_ms() - h->born.mono_ms);
    put_paths(o, h);
    (void)json_object_set_new(o, "runs", counts(&stats));
    (void)json_object_set_new(o, "totals", totals(&stats));
    (void)json_object_set_new(o, "journal", journal_view(h));
    (void)json_object_set_new(o, "syslog", syslog);
    (void)json_object_set_new(o, "workspaces", workspaces(h));
    (void)json_object_set_new(o, "troubles", troubles.list);
    (void)json_object_set_new(o, "triggers", json_pack("{s:I, s:I, s:I}", "schedules", (json_int_t)h->config->schedule_count,
                                                       "watches", (json_int_t)h->config->watch_count, "webhooks",
                                                       (json_int_t)h->config->webhook_count));
    (void)json_object_set_new(o, "next", next_due(h));
    return o;
}

/* --- triggers ----------------------------------------------------------------------------------------------------- */

static json_t *trigger(const char *kind, const char *name, const char *process, bool paused, const char *word)
{
    json_t *o = json_object();

    (void)json_put(o, "kind", kind);
    (void)json_put(o, "name", name);
    (void)json_put(o, "process", process);
    (void)json_object_set_new(o, "paused", json_boolean(paused));
    (void)json_put(o, "word", word);
    return o;
}

struct trigger_list {
    struct house *house;
    const char *workspace;   /* NULL: of all */
    json_t *list;
    size_t index;
};

static bool is_of(const char *workspace, const struct process_config *process)
{
    return workspace == NULL || (process != NULL && strcmp(process->workspace->name, workspace) == 0);
}

static void add_schedule(void *data, const struct clock_view *view)
{
    struct trigger_list *t = data;
    const struct config *c = t->house->config;
    const struct schedule_config *s = t->index < c->schedule_count ? &c->schedules[t->index] : NULL;
    json_t *o;

    t->index++;   /* views come in the configuration's order */
    if (s != NULL && strcmp(s->name, view->name) != 0)
        s = NULL;
    if (!is_of(t->workspace, s != NULL ? s->process : config_process(c, view->process)))
        return;
    o = trigger("schedule", view->name, view->process, view->paused, view->last_word);
    (void)json_put_time(o, "last", view->last_due_ms);
    if (view->next_due_ms != INT64_MAX && !view->paused)
        (void)json_put_time(o, "next", view->next_due_ms);
    if (s != NULL && s->cron_text != NULL)
        (void)json_put(o, "cron", s->cron_text);
    else if (s != NULL)
        (void)json_put_int(o, "every_ms", s->timing.every_ms);
    (void)json_array_append_new(t->list, o);
}

static void add_watch(void *data, const struct watch_view *view)
{
    struct trigger_list *t = data;
    json_t *o;

    if (!is_of(t->workspace, config_process(t->house->config, view->process)))
        return;
    o = trigger("watch", view->name, view->process, view->paused, view->last_word);
    (void)json_put(o, "path", view->path);
    (void)json_object_set_new(o, "there", json_boolean(view->there));
    (void)json_object_set_new(o, "polling", json_boolean(view->polling));
    (void)json_put_int(o, "fired", (int64_t)view->fired);
    (void)json_put_int(o, "settling", (int64_t)view->settling);
    (void)json_put_int(o, "overflows", (int64_t)view->overflows);
    (void)json_array_append_new(t->list, o);
}

static void add_webhook(void *data, const struct webhook_view *view)
{
    struct trigger_list *t = data;
    json_t *o;

    if (!is_of(t->workspace, config_process(t->house->config, view->process)))
        return;
    o = trigger("webhook", view->name, view->process, view->paused, view->last_word);
    (void)json_put(o, "path", view->path);
    (void)json_put_int(o, "accepted", (int64_t)view->accepted);
    (void)json_put_int(o, "repeated", (int64_t)view->repeated);
    (void)json_put_int(o, "refused", (int64_t)view->refused);
    (void)json_array_append_new(t->list, o);
}

json_t *house_triggers(void *house, const char *workspace)
{
    struct house *h = house;
    struct trigger_list t = { .house = h, .workspace = workspace, .list = json_array() };

    clock_each(h->clock, add_schedule, &t);
    watch_each(h->watches, add_watch, &t);
    webhook_each(h->webhooks, add_webhook, &t);
    return t.list;
}

/* --- pausing ------------------------------------------------------------------------------------------------------ */

struct pause_word {
    struct commit commit;
    struct record record;
    char kind[16];
    char name[];
};

static void pause_written(struct commit *commit, int status)
{
    (void)status;   /* `must`: only a store that ends gives it back */
    free(commit->data);
}

/* What a trigger of the configuration rings; NULL: there is no such trigger. */
static const struct process_config *process_of(const struct config *c, const char *kind, const char *name)
{
    for (size_t i = 0; strcmp(kind, "schedule") == 0 && i < c->schedule_count; i++) {
        if (strcmp(c->schedules[i].name, name) == 0)
            return c->schedules[i].process;
    }
    for (size_t i = 0; strcmp(kind, "watch") == 0 && i < c->watch_count; i++) {
        if (strcmp(c->watches[i]->name, name) == 0)
            return c->watches[i]->process;
    }
    for (size_t i = 0; strcmp(kind, "webhook") == 0 && i < c->webhook_count; i++) {
        if (strcmp(c->webhooks[i]->name, name) == 0)
            return c->webhooks[i]->process;
    }
    return NULL;
}

int house_pause(void *house, const char *workspace, const char *kind, const char *name, bool paused)
{
    struct house *h = house;
    size_t len = strlen(name) + 1;
    struct pause_word *p;
    int status = BF_ENOENT;

    if (!is_of(workspace, process_of(h->config, kind, name)))
        return BF_ENOENT;
    if (strcmp(kind, "schedule") == 0)
        status = clock_pause(h->clock, name, paused);
    else if (strcmp(kind, "watch") == 0)
        status = watch_pause(h->watches, name, paused);
    else if (strcmp(kind, "webhook") == 0)
        status = webhook_pause(h->webhooks, name, paused);
    if (status != 0)
        return status;
    p = calloc(1, sizeof *p + len);
    if (p == NULL)
        return BF_ENOMEM;
    memcpy(p->name, name, len);
    memcpy(p->kind, kind, strlen(kind) + 1);
    p->record = (struct record) { .kind = RECORD_PAUSE, .scope = p->kind, .key = p->name, .value = paused };
    p->commit = (struct commit) { .records = &p->record, .count = 1, .must = true, .cb = pause_written, .data = p };
    journal_commit(h->journal, &p->commit);
    return 0;
}

/* --- next due times ----------------------------------------------------------------------------------------------- */

static void add_due(json_t *list, const struct schedule_config *s, int64_t due_ms)
{
    json_t *o = json_object();
    char local[TIME_TEXT_SIZE];

    time_format_offset(due_ms, zone_offset_at(s->timing.zone, due_ms / 1000), local);
    (void)json_put(o, "schedule", s->name);
    (void)json_put_time(o, "due", due_ms);
    (void)json_put(o, "local", local);
    (void)json_array_append_new(list, o);
}

static int by_due(const void *a, const void *b)
{
    return strcmp(json_str(*(json_t *const *)a, "due"), json_str(*(json_t *const *)b, "due"));
}

/* The nearest count of all schedules together, in the order of time. */
static json_t *sorted(json_t *all, size_t count)
{
    size_t n = json_array_size(all);
    json_t **items = calloc(n + 1, sizeof *items), *list = json_array();

    for (size_t i = 0; i < n && items != NULL; i++)
        items[i] = json_array_get(all, i);
    if (items != NULL && n > 0)
        qsort(items, n, sizeof(json_t *), by_due);
    for (size_t i = 0; i < n && i < count && items != NULL; i++)
        (void)json_array_append(list, items[i]);
    free(items);
    json_decref(all);
    return list;
}

json_t *house_next(void *house, const char *workspace, const char *schedule, int64_t from_ms, size_t count, struct error *err)
{
    const struct config *c = ((struct house *)house)->config;
    json_t *list = json_array();
    bool found = schedule == NULL;

    if (count > NEXT_MAX)
        count = NEXT_MAX;
    for (size_t i = 0; i < c->schedule_count; i++) {
        const struct schedule_config *s = &c->schedules[i];
        int64_t due_ms = from_ms;

        if ((schedule != NULL && strcmp(schedule, s->name) != 0) || !is_of(workspace, s->process))
            continue;
        found = true;
        for (size_t k = 0; k < count && (due_ms = timing_next(&s->timing, due_ms)) != INT64_MAX; k++)
            add_due(list, s, due_ms);
    }
    if (!found) {
        error_set(err, BF_ENOENT, "there is no schedule %s", schedule);
        json_decref(list);
        return NULL;
    }
    return sorted(list, count);
}

/* --- runs --------------------------------------------------------------------------------------------------------- */

json_t *house_record(void *house, const struct journal_row *row)
{
    const struct home *home = home_find(house, row->run.workspace);
    json_t *event = json_stored(row->event);
    /* Those of a run that was taken up again are of an earlier end. */
    json_t *result = run_state_is_end(row->run.state) ? json_stored(row->run.result) : NULL;
    json_t *record = run_json(&row->run, home != NULL && home->type == WORKSPACE_ROBOCORP ? "robocorp" : "local", event, result);

    json_decref(event);
    json_decref(result);
    return record;
}

char *house_console(void *house, const struct run_record *run, const char *step_run_id)
{
    struct home *home = home_find(house, run->workspace);

    return home != NULL ? home->backend->ops->console(home->backend, step_run_id != NULL ? step_run_id : run->id) : NULL;
}

bool house_ready(void *house, const char **why)
{
    struct house *h = house;
    struct journal_health health;

    journal_health(h->journal, &health);
    *why = h->stopping ? "belfryd is stopping" : !health.writable ? "the journal cannot be written" : NULL;
    return *why == NULL;
}
