/* The house is built from the ground up, and taken down from the roof. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "belfry/base/systemd.h"
#include "house.h"

#define FIRST_CLEANING_MS (5 * 60 * UINT64_C(1000))
#define TIDY_AFTER_MS 1000
#define CLEANING_EVERY_MS (24 * 60 * 60 * UINT64_C(1000))

/* --- building ----------------------------------------------------------------------------------------------------- */

static void on_daily(uv_timer_t *timer)
{
    house_clean(timer->data);
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    systemd_notify("WATCHDOG=1");
}

/* First the journal's thread, then the heap that it gave back to. */
static void on_tidy(uv_timer_t *timer)
{
    struct house *h = timer->data;

    if (h->rested) {
        (void)malloc_trim(0);
        return;
    }
    h->rested = true;
    journal_rest(h->journal);
    (void)uv_timer_start(&h->tidy, on_tidy, TIDY_AFTER_MS, 0);
}

void house_tidy_soon(struct house *h)
{
    h->rested = false;
    (void)uv_timer_start(&h->tidy, on_tidy, TIDY_AFTER_MS, 0);
}

static void start_timers(struct house *h)
{
    int64_t watchdog_ms = systemd_watchdog_ms();

    (void)uv_timer_start(&h->daily, on_daily, FIRST_CLEANING_MS, CLEANING_EVERY_MS);
    if (watchdog_ms > 0)
        (void)uv_timer_start(&h->watchdog, on_watchdog, 0, (uint64_t)watchdog_ms);
}

static struct config *config_of(void *house)
{
    return ((struct house *)house)->config;
}

static void introduce(struct house *h)
{
    h->bell = (struct bell) { .data = h, .ring = house_ring };
    h->host = (struct serve_host) { .data = h, .journal = h->journal, .engine = h->engine, .keyring = h->keyring, .flows = h->flows, .vault = h->vault, .bell = &h->bell,
        .config = config_of, .record = house_record, .status = house_status, .triggers = house_triggers, .next = house_next,
        .pause = house_pause, .reload = house_reload, .console = house_console, .ready = house_ready,
        .callback = house_callback, .wish = house_wish,
        .metrics = house_metrics };
}

/* Only those of local workspaces: a Control Room tells of its own. */
static bool ids_of_run(void *house, const struct run_record *run, const char **workspace_id, const char **process_id)
{
    const struct house *h = house;
    const struct workspace_config *w = config_workspace(h->config, run->workspace);
    const struct process_config *p = config_process(h->config, run->process);

    if (w == NULL || w->type != WORKSPACE_LOCAL)
        return false;
    *workspace_id = w->id;
    *process_id = p != NULL ? p->id : "";
    return true;
}

static int open_rooms(struct house *h, const struct config *c, struct error *err)
{
    struct webhook_host webhook_host = { .data = h, .record = house_record };
    struct deliver_host deliver_host = { .data = h, .ids = ids_of_run };
    struct engine_world world;
    int status = journal_open(h->loop, c->daemon.state_dir, &h->journal, err);

    if (status == 0)   /* a second daemon is kept out by now */
        status = vault_open(c->daemon.state_dir, &h->vault, err);
    if (status == 0)
        status = keyring_new(h->loop, h->journal, h->vault, &h->keyring, err);
    if (status != 0)
        return status;
    status = house_open_flows(h, c->daemon.state_dir, err);
    if (status != 0)
        return status;
    world_init(h, &world);
    if (engine_new(&world, &h->engine) != 0)
        return error_set(err, BF_ENOMEM, "out of memory");
    introduce(h);
    if ((status = evaluator_new(h->loop, &h->evaluator, err)) != 0 ||
        (status = http_client_new(h->loop, "belfry/" BELFRY_VERSION, &h->client, err)) != 0 ||
        (status = http_client_new(h->loop, "belfry/" BELFRY_VERSION, &h->messenger, err)) != 0 ||
        (status = syslog_new(h->loop, h->journal, &c->syslog, c->daemon.results_dir, &h->syslog, err)) != 0 ||
        (status = deliver_new(h->loop, h->journal, h->messenger, h->vault, &deliver_host, &h->deliver, err)) != 0 ||
        (status = clock_new(h->loop, h->journal, &h->bell, &h->clock, err)) != 0 ||
        (status = watch_new(h->loop, h->journal, &h->bell, &h->watches, err)) != 0 ||
        (status = webhook_new(h->loop, h->journal, &h->bell, &webhook_host, &h->webhooks, err)) != 0)
        return status;
    http_client_guard(h->messenger, house_refuses, h);
    h->host.deliver = h->deliver;
    return serve_new(h->loop, &h->host, &h->serve, err);
}

static int take_run(void *data, const struct run_record *run)
{
    struct house *h = data;

    return engine_recover(h->engine, run);
}

static int recover(struct house *h, struct error *err)
{
    struct engine_stats stats;
    int status = journal_each_open_run(h->journal, take_run, h, err);

    if (status != 0)
        return error_prefix(err, "cannot take up the runs in the journal");
    engine_stats(h->engine, &stats);
    if (stats.queued + stats.starting + stats.running + stats.collecting > 0)
        log_notice("taking up %zu queued, %zu starting, %zu running and %zu collecting runs", stats.queued, stats.starting,
                   stats.running, stats.collecting);
    return 0;
}

int house_build(struct house *h, uv_loop_t *loop, struct config *config, struct error *err)
{
    int status;

    *h = (struct house) { .loop = loop, .born = time_now() };
    later_init(&h->later, loop);
    (void)uv_timer_init(loop, &h->wake);
    (void)uv_timer_init(loop, &h->daily);
    (void)uv_timer_init(loop, &h->watchdog);
    (void)uv_timer_init(loop, &h->tidy);
    (void)uv_timer_init(loop, &h->revisit);
    heap_init(&h->revisit_heap);
    h->wake.data = h->daily.data = h->watchdog.data = h->tidy.data = h->revisit.data = h;
    if ((status = file_make_dirs(config->daemon.state_dir, 0711, err)) != 0 ||
        (status = file_make_dirs(config->daemon.results_dir, 0750, err)) != 0 ||
        (status = open_rooms(h, config, err)) != 0 || (status = house_configure(h, config, err)) != 0 ||
        (status = recover(h, err)) != 0 || (status = house_recover_flows(h, err)) != 0 ||
        (status = house_open_doors(h, err)) != 0)
        return status;
    house_sweep_runs(h);
    revise_recall(h);
    house_hide_keys(h);
    engine_resume(h->engine, time_now());
    clock_start(h->clock);
    watch_start(h->watches);
    syslog_pump(h->syslog);
    start_timers(h);
    house_tidy_soon(h);
    return 0;
}

/* --- taking down -------------------------------------------------------------------------------------------------- */

static void close_rest(struct house *h);

/* Each storey is closed when the one above is. */
static void storey_closed(void *data)
{
    struct house *h = data;

    if (--h->closing > 0)
        return;
    if (h->storey == STOREY_TRIGGERS)
        house_settle(h);
    else if (h->storey == STOREY_HANDS)
        close_rest(h);
}

static void timer_closed(uv_handle_t *handle)
{
    (void)handle;
}

static void rest_closed(void *data)
{
    struct house *h = data;

    uv_close((uv_handle_t *)&h->wake, timer_closed);
    uv_close((uv_handle_t *)&h->daily, timer_closed);
    uv_close((uv_handle_t *)&h->watchdog, timer_closed);
    uv_close((uv_handle_t *)&h->tidy, timer_closed);
    uv_close((uv_handle_t *)&h->revisit, timer_closed);
}

static void journal_closed(void *data)
{
    struct house *h = data;

    later_close(&h->later, rest_closed, h);
}

static void close_rest(struct house *h)
{
    collect_drop(h);
    h->storey = STOREY_JOURNAL;
    journal_close(h->journal, journal_closed, h);
}

static void close_doors(struct house *h)
{
    h->storey = STOREY_HANDS;
    h->closing = 6 + h->home_count;
    deliver_close(h->deliver, storey_closed, h);
    keyring_close(h->keyring, storey_closed, h);
    http_server_close(h->server, storey_closed, h);
    syslog_close(h->syslog, storey_closed, h);
    for (size_t i = 0; i < h->home_count; i++)
        h->homes[i].backend->ops->close(h->homes[i].backend, storey_closed, h);
    http_client_close(h->client, storey_closed, h);
    http_client_close(h->messenger, storey_closed, h);
}

void house_settle(struct house *h)
{
    if (h->stopping && h->storey == STOREY_TRIGGERS && h->closing == 0 && h->working == 0)
        close_doors(h);
}

void house_take_down(struct house *h)
{
    h->stopping = true;
    h->storey = STOREY_TRIGGERS;
    http_server_stop_listening(h->server);
    engine_hold(h->engine, true);
    (void)uv_timer_stop(&h->daily);
    (void)uv_timer_stop(&h->watchdog);
    (void)uv_timer_stop(&h->tidy);
    (void)uv_timer_stop(&h->revisit);
    h->closing = 5;
    clock_close(h->clock, storey_closed, h);
    watch_close(h->watches, storey_closed, h);
    evaluator_close(h->evaluator, storey_closed, h);
    webhook_close(h->webhooks, storey_closed, h);
    serve_close(h->serve, storey_closed, h);
}

void house_free(struct house *h)
{
    for (size_t i = 0; i < h->home_count; i++) {
        free(h->homes[i].workspace);
        config_release(h->homes[i].config);
    }
    for (size_t i = 0; i < h->address_count; i++)
        free(h->addresses[i]);
    free(h->addresses);
    free(h->api_url);
    free(h->homes);
    revise_free(h);
    deliver_free(h->deliver);
    flows_free(h->flows);
    free(h->items_dir);
    engine_free(h->engine);
    vault_close(h->vault);
    config_release(h->config);
}
