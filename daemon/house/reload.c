/* The configuration goes into the rooms: at the start, and again at each reload. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "belfry/base/systemd.h"
#include "house.h"

static enum log_level level_of(const struct config *c)
{
    return (enum log_level)c->daemon.log_level;
}

static void configure_log(const struct config *c)
{
    static const enum log_sink sinks[] = { [LOG_TO_STDERR] = LOG_SINK_STDERR, [LOG_TO_SYSLOG] = LOG_SINK_SYSLOG,
        [LOG_TO_JOURNAL] = LOG_SINK_JOURNAL };

    log_open(sinks[c->daemon.log_to], level_of(c), "belfryd");
}

static int configure_engine(struct house *h, const struct config *c)
{
    struct lane_settings *lanes = calloc(c->process_count + 1, sizeof *lanes);
    const char *const *targets;
    size_t target_count;
    int status;

    if (lanes == NULL)
        return BF_ENOMEM;
    for (size_t i = 0; i < c->process_count; i++) {
        const struct process_config *p = c->processes[i];

        lanes[i] = (struct lane_settings) { .process = p->name, .workspace = p->workspace->name,
            .max_parallel = (size_t)p->max_parallel, .queue_limit = (size_t)p->queue_limit, .retries = (unsigned)p->retries,
            .retry_delay_ms = p->retry_delay_ms, .retry_on = p->retry_on, .timeout_ms = p->timeout_ms,
            .memo_lasts = p->workspace->type == WORKSPACE_LOCAL,
            .backend_times_out = p->workspace->type == WORKSPACE_LOCAL && !config_has_flow(p) };
    }
    targets = syslog_targets(h->syslog, &target_count);
    status = engine_configure(h->engine, (size_t)c->daemon.max_runs, lanes, c->process_count, targets, target_count);
    free(lanes);
    return status;
}

int house_configure(struct house *h, struct config *config, struct error *err)
{
    struct config *before = h->config;
    size_t homes = h->home_count;
    int status = syslog_configure(h->syslog, &config->syslog, config->daemon.results_dir, err);

    if (status == 0)
        status = homes_configure(h, config, err);
    if (status != 0)
        return status;
    if (configure_engine(h, config) != 0)
        return error_set(err, BF_ENOMEM, "out of memory");
    h->config = config_hold(config);
    for (size_t i = homes; i < h->home_count; i++)   /* one that was gone may have left runs */
        engine_take_up(h->engine, time_now(), h->homes[i].workspace);
    status = clock_configure(h->clock, config, err);
    if (status == 0)
        status = watch_configure(h->watches, config, err);
    if (status == 0)
        status = webhook_configure(h->webhooks, config, err);
    configure_log(config);
    config_release(before);
    return status;
}

void house_hide_keys(struct house *h)
{
    for (size_t i = 0; i < h->config->workspace_count; i++) {
        const struct workspace_config *w = h->config->workspaces[i];

        if (w->type == WORKSPACE_LOCAL && !w->viewable_keys)
            keyring_hide(h->keyring, w->id);
    }
}

static bool same_words(const struct words *a, const struct words *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

/* What only a restart can change is said, not passed over. */
static void note_restart(const struct config *now, const struct config *next, struct buf *report)
{
    if (strcmp(now->daemon.state_dir, next->daemon.state_dir) != 0)
        buf_adds(report, "[daemon] state_dir: the new value needs a restart\n");
    if (strcmp(now->daemon.socket, next->daemon.socket) != 0)
        buf_adds(report, "[daemon] socket: the new value needs a restart\n");
    if (!same_words(&now->http.listen, &next->http.listen))
        buf_adds(report, "[http] listen: the new value needs a restart\n");
    if (now->http.max_body != next->http.max_body || now->http.max_connections != next->http.max_connections ||
        now->http.idle_timeout_ms != next->http.idle_timeout_ms)
        buf_adds(report, "[http]: the new limits need a restart\n");
}

/* Who shortens what is kept wants the room now, not at the day's end. */
static bool keeps_less(const struct daemon_config *now, const struct daemon_config *next)
{
    return next->keep_runs_ms < now->keep_runs_ms || next->keep_results_ms < now->keep_results_ms;
}

int house_reload(void *house, struct buf *report)
{
    struct house *h = house;
    bool clean = false;
    struct instant now = time_now();
    struct eval_checker *checker = NULL;
    struct config *config = NULL;
    struct error err = { 0 };
    int status;

    systemd_notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(uv_hrtime() / 1000));
    status = eval_checker_new(&checker, &err);
    if (status == 0) {
        status = config_load(h->config->path, eval_check, checker, &config, report);
        eval_checker_free(checker);
    } else {
        buf_addf(report, "%s\n", err.text);
    }
    if (status == 0) {
        note_restart(h->config, config, report);
        clean = keeps_less(&h->config->daemon, &config->daemon);
        status = house_configure(h, config, &err);
        if (status != 0)
            buf_addf(report, "%s\n", err.text);
    }
    config_release(config);
    if (status == 0) {
        log_notice("the configuration was read again in %lld ms", (long long)(time_mono_ms() - now.mono_ms));
        house_hide_keys(h);
        clock_start(h->clock);
        watch_start(h->watches);
        house_tidy_soon(h);
        if (clean)
            house_clean(h);
    } else {
        log_error("the configuration stays as it was: the new one is not good:\n%s", buf_str(report));
    }
    systemd_notify("READY=1");
    return status;
}
