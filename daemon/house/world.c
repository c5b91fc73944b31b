/* The engine's orders, carried out: the journal, the backends, the syslog targets and the loop's timers stand behind
 * them. What the engine is told back always comes from the loop. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "belfry/base/text.h"
#include "belfry/core/event.h"
#include "house.h"

/* --- homes -------------------------------------------------------------------------------------------------------- */

struct home *home_find(struct house *h, const char *workspace)
{
    for (size_t i = 0; i < h->home_count; i++) {
        if (strcmp(h->homes[i].workspace, workspace) == 0)
            return &h->homes[i];
    }
    return NULL;
}

static int make_home(struct house *h, struct config *config, const struct workspace_config *w, struct error *err)
{
    struct home *grown = reallocarray(h->homes, h->home_count + 1, sizeof *grown);
    struct home *home;
    int status;

    if (grown == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    h->homes = grown;
    home = &grown[h->home_count];
    *home = (struct home) { .workspace = strdup(w->name), .type = w->type };
    if (home->workspace == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    if (w->type == WORKSPACE_LOCAL)
        status = backend_local_new(h->loop, config->daemon.state_dir, w, h->flows, &h->reports, &home->backend, err);
    else
        status = backend_robocorp_new(h->loop, h->client, w, &h->reports, &home->backend, err);
    if (status != 0) {
        free(home->workspace);
        return error_prefix(err, "[workspace %s]", w->name);
    }
    home->config = config_hold(config);
    h->home_count++;
    return 0;
}

int homes_configure(struct house *h, struct config *config, struct error *err)
{
    for (size_t i = 0; i < config->workspace_count; i++) {
        const struct workspace_config *w = config->workspaces[i];
        struct home *home = home_find(h, w->name);
        struct config *before;
        int status;

        if (home == NULL) {
            status = make_home(h, config, w, err);
            if (status != 0)
                return status;
            continue;
        }
        before = home->config;
        home->config = config_hold(config);
        home->backend->ops->configure(home->backend, w);
        config_release(before);
    }
    return 0;
}

/* The backends and targets are closed: what is ordered now is the next daemon's, which finds it in the journal. */
static bool hands_are_gone(const struct house *h)
{
    return h->storey > STOREY_TRIGGERS;
}

/* --- starts ------------------------------------------------------------------------------------------------------- */

static void report_not_started(void *data, const char *run_id, const struct error *why, bool again, int64_t retry_after_ms);

struct refusal {
    struct house *house;
    char run_id[ID_SIZE];
    struct error why;
    bool again;
};

static void refuse(void *data)
{
    struct refusal *r = data;

    report_not_started(r->house, r->run_id, &r->why, r->again, 0);
    free(r);
}

static void refuse_later(struct house *h, const char *run_id, const struct error *why, bool again)
{
    struct refusal *r = calloc(1, sizeof *r);

    if (r == NULL)
        abort();
    r->house = h;
    memcpy(r->run_id, run_id, strnlen(run_id, ID_SIZE - 1));
    r->why = *why;
    r->again = again;
    later_do(&h->later, refuse, r);
}

static void start_with(struct house *h, const struct run_record *run, const char *event_text, const char *input_text)
{
    const struct process_config *process = config_process(h->config, run->process);
    struct home *home = home_find(h, run->workspace);
    json_t *event, *input;
    struct error why;

    if (process == NULL || home == NULL) {
        error_set(&why, BF_ENOENT, "the process %s (workspace %s) is no longer in the configuration", run->process,
                  run->workspace);
        refuse_later(h, run->id, &why, false);
        return;
    }
    error_set(&why, BF_EIO, "the event of run %s cannot be read in the journal", run->id);
    event = json_stored(event_text);
    input = event != NULL ? event_input(event, input_text, &why) : NULL;
    if (input != NULL)
        home->backend->ops->start(home->backend, run, process, event, input);
    else
        refuse_later(h, run->id, &why, false);
    json_decref(event);
    json_decref(input);
}

struct loading {
    struct journal_read read;
    struct house *house;
    unsigned attempt;
};

static void loaded(struct journal_read *read, int status)
{
    struct loading *l = read->data;
    struct house *h = l->house;
    const struct run_record *run = engine_run(h->engine, read->id);

    h->working--;
    if (run == NULL || run->state != RUN_STARTING || run->attempt != l->attempt || h->stopping) {
        /* It was canceled meanwhile, or is the next daemon's. */
    } else if (status == 0 && read->rows[0].event != NULL) {
        start_with(h, run, read->rows[0].event, read->rows[0].input);
    } else {
        if (status == 0)
            error_set(&read->error, BF_EIO, "the journal has lost the event of run %s", read->id);
        refuse_later(h, read->id, &read->error, status != 0 && status != BF_ENOENT);
    }
    free(l);
    house_settle(h);
}

static void start(void *data, const struct run_record *run, const char *event, const char *input)
{
    struct house *h = data;
    struct loading *l;

    if (hands_are_gone(h))
        return;
    if (event != NULL) {
        start_with(h, run, event, input);
        return;
    }
    l = calloc(1, sizeof *l);
    if (l == NULL)
        abort();
    l->house = h;
    l->attempt = run->attempt;
    l->read = (struct journal_read) { .kind = READ_RUN, .state = -1, .cb = loaded, .data = l };
    memcpy(l->read.id, run->id, sizeof l->read.id);
    h->working++;
    journal_read(h->journal, &l->read);
}

/* --- the other orders --------------------------------------------------------------------------------------------- */

static void commit(void *data, struct commit *c)
{
    journal_commit(((struct house *)data)->journal, c);
}

/* A workspace that is gone from the configuration has no backend after a restart: its runs wait for it to come back. */
static struct home *home_of(struct house *h, const struct run_record *run)
{
    struct home *home = home_find(h, run->workspace);

    if (hands_are_gone(h))
        return NULL;
    if (home == NULL)
        log_warning("run %s of process %s waits: its workspace %s is no longer in the configuration", run->id, run->process,
                    run->workspace);
    return home;
}

static void find(void *data, const struct run_record *run)
{
    struct house *h = data;
    struct home *home = home_of(h, run);

    if (home != NULL)
        home->backend->ops->find(home->backend, run, config_process(h->config, run->process));
}

static void follow(void *data, const struct run_record *run)
{
    struct house *h = data;
    struct home *home = home_of(h, run);

    if (home != NULL)
        home->backend->ops->follow(home->backend, run, config_process(h->config, run->process));
}

static void stop(void *data, const struct run_record *run, enum stop_how how)
{
    struct house *h = data;
    struct home *home = home_of(h, run);

    if (home != NULL)
        home->backend->ops->stop(home->backend, run, config_process(h->config, run->process), how);
}

static void collect(void *data, const struct run_record *run)
{
    if (!hands_are_gone(data))
        world_collect(data, run);
}

static void ended(void *data, const struct run_record *run)
{
    struct house *h = data;
    struct home *home = home_find(h, run->workspace);

    if (home != NULL && run->state != RUN_SKIPPED && !hands_are_gone(h))
        home->backend->ops->forget(home->backend, run->id);
    if (run->state == RUN_SKIPPED)
        log_info("a firing of %s/%s was skipped: %s", trigger_kind_name(run->trigger_kind), run->trigger_name,
                 run->reason != NULL ? run->reason : "");
    else
        log_info("run %s of %s %s", run->id, run->process, run_state_name(run->state));
    revise_note(h, run);
    if (!h->stopping) {
        watch_run_ended(h->watches, run);
        webhook_run_ended(h->webhooks, run);
        serve_run_ended(h->serve, run);
    }
    if (run->state != RUN_SKIPPED && !hands_are_gone(h))
        syslog_pump(h->syslog);
    if (deliver_line(h->deliver, run) == NULL)
        deliver_callback_dropped(h->deliver, run->id);
    else if (!hands_are_gone(h))
        deliver_pump(h->deliver);
}

/* Somebody else has written in the journal. What runs of it would only make what nobody can write down. */
static void dropped(void *data, const struct run_record *run)
{
    struct house *h = data;
    struct home *home = home_find(h, run->workspace);

    log_error("run %s of %s is dropped: the journal has no record of it any more", run->id, run->process);
    if (home != NULL && !hands_are_gone(h)) {
        if (run->state == RUN_RUNNING)
            home->backend->ops->stop(home->backend, run, config_process(h->config, run->process), STOP_AT_ONCE);
        home->backend->ops->forget(home->backend, run->id);
    }
    if (!h->stopping)
        serve_run_ended(h->serve, run);
}

static const char *line(void *data, const struct run_record *run)
{
    const struct house *h = data;

    return deliver_line(h->deliver, run);
}

static void note(void *data, const struct run_record *run, const char *text)
{
    struct house *h = data;

    if (text != NULL)
        log_warning("run %s of %s: %s", run->id, run->process, text);
    else
        log_info("run %s of %s started", run->id, run->process);
    if (!hands_are_gone(h))
        syslog_note(h->syslog, run, text);
    if (!hands_are_gone(h) && text == NULL && deliver_line(h->deliver, run) != NULL)
        deliver_pump(h->deliver);
}

void on_wake_timer(uv_timer_t *timer)
{
    struct house *h = timer->data;

    engine_wake(h->engine, time_now());
}

static void wake_at(void *data, int64_t mono_ms)
{
    struct house *h = data;
    int64_t wait_ms = mono_ms - time_mono_ms();

    if (mono_ms == INT64_MAX || hands_are_gone(h))
        (void)uv_timer_stop(&h->wake);
    else
        (void)uv_timer_start(&h->wake, on_wake_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void random_bytes(void *data, void *bytes, size_t len)
{
    (void)data;
    id_random(bytes, len);
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

/* Once the journal is closed nothing can be written down: what is reported then is found out again by the next daemon. */
static struct engine *engine_of(void *house)
{
    const struct house *h = house;

    return h->storey < STOREY_JOURNAL ? h->engine : NULL;
}

struct late_memo {
    void (*done)(void *data, int status);
    void *data;
};

static void refuse_memo(void *data)
{
    struct late_memo late = *(struct late_memo *)data;

    free(data);
    late.done(late.data, BF_ECANCELED);
}

static void report_memo(void *data, const char *run_id, const char *memo, void (*done)(void *data, int status), void *done_data)
{
    struct house *h = data;
    const struct run_record *run = engine_run(h->engine, run_id);
    struct late_memo *late;

    if (run != NULL && run->state == RUN_STARTING) {
        engine_write_memo(h->engine, run_id, memo, done, done_data);
        return;
    }
    /* The run was given up while its backend prepared the start. */
    late = malloc(sizeof *late);
    if (late == NULL)
        abort();
    *late = (struct late_memo) { done, done_data };
    later_do(&h->later, refuse_memo, late);
}

struct naming {
    const char *run_id, *text;
    bool found;
};

static void look_into_memo(void *data, const struct run_record *run)
{
    struct naming *n = data;

    n->found |= run->memo != NULL && strcmp(run->id, n->run_id) != 0 && strstr(run->memo, n->text) != NULL;
}

static bool report_is_named(void *data, const char *run_id, const char *text)
{
    const struct house *h = data;
    struct naming n = { run_id, text, false };

    engine_each_run(h->engine, look_into_memo, &n);
    return n.found;
}

static void report_callback_secret(void *data, const char *run_id, char secret[65])
{
    const struct house *h = data;
    unsigned char derived[VAULT_MAC_SIZE];

    vault_derive(h->vault, "callback", run_id, strlen(run_id), derived);
    text_hex(derived, sizeof derived, secret);
    explicit_bzero(derived, sizeof derived);
}

/* Whether there is such a run is not told: the secret is made of its id. What the message says is not believed either, it is
 * looked up. */
bool house_callback(void *house, const char *run_id, const char *signature, const void *body, size_t len)
{
    struct house *h = house;
    const struct run_record *run = engine_run(h->engine, run_id);
    struct home *home = run != NULL ? home_find(h, run->workspace) : NULL;
    unsigned char mac[VAULT_MAC_SIZE];
    char secret[65], hex[65];

    report_callback_secret(h, run_id, secret);
    hmac_sha256(secret, strlen(secret), body, len, mac);
    explicit_bzero(secret, sizeof secret);
    text_hex(mac, sizeof mac, hex);
    if (signature == NULL || strlen(signature) != strlen(hex) || !text_equal_constant_time(signature, hex, strlen(hex)))
        return false;
    if (home != NULL && home->backend->ops->look != NULL)
        home->backend->ops->look(home->backend, run_id);
    return true;
}

static void report_started(void *data, const char *run_id, const char *remote_id, const char *remote_url,
                           const char *backend_state, int64_t started_ms)
{
    struct engine *engine = engine_of(data);

    if (engine != NULL)
        engine_started(engine, time_now(), run_id, remote_id, remote_url, backend_state, started_ms);
}

static void report_not_started(void *data, const char *run_id, const struct error *why, bool again, int64_t retry_after_ms)
{
    struct engine *engine = engine_of(data);

    if (engine != NULL)
        engine_not_started(engine, time_now(), run_id, why, again, retry_after_ms);
}

static void report_unknown(void *data, const char *run_id, const struct error *why)
{
    struct engine *engine = engine_of(data);

    if (engine != NULL)
        engine_start_unknown(engine, time_now(), run_id, why);
}

static void report_found(void *data, const char *run_id, enum found found, const char *remote_id, const char *remote_url,
                         int64_t started_ms)
{
    struct engine *engine = engine_of(data);

    if (engine != NULL)
        engine_found(engine, time_now(), run_id, found, remote_id, remote_url, started_ms);
}

static void report_ended(void *data, const char *run_id, const struct run_end *end)
{
    struct engine *engine = engine_of(data);

    if (engine != NULL)
        engine_ended(engine, time_now(), run_id, end);
}

static void report_checked(void *data, const char *run_id, enum checked checked, const char *backend_state, int64_t ended_ms)
{
    revise_checked(data, run_id, checked, backend_state, ended_ms);
}

static void report_collected(void *data, const char *run_id, int status, const struct error *why,
                             struct collection *collection)
{
    world_collected(data, run_id, status, why, collection);
}

void world_init(struct house *h, struct engine_world *world)
{
    *world = (struct engine_world) { .data = h, .commit = commit, .start = start, .find = find, .follow = follow,
        .stop = stop, .collect = collect, .ended = ended, .dropped = dropped, .note = note, .line = line, .wake_at = wake_at, .random = random_bytes };
    h->reports = (struct backend_reports) { .data = h, .write_memo = report_memo, .is_named = report_is_named,
        .callback_secret = report_callback_secret, .started = report_started,
        .not_started = report_not_started, .start_unknown = report_unknown, .found = report_found, .ended = report_ended,
        .checked = report_checked, .collected = report_collected };
}
