/* The house in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */
#include <string.h>

#include "house.h"

static void family(struct buf *t, const char *name, const char *type, const char *help)
{
    buf_addf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct buf *t, const char *name, const char *type, const char *help, uint64_t value)
{
    family(t, name, type, help);
    buf_addf(t, "%s %llu\n", name, (unsigned long long)value);
}

static void runs(struct buf *t, const struct engine_stats *s)
{
    family(t, "belfry_runs", "gauge", "Runs that have not ended, by state.");
    buf_addf(t, "belfry_runs{state=\"queued\"} %zu\nbelfry_runs{state=\"starting\"} %zu\nbelfry_runs{state=\"running\"} %zu\n"
                "belfry_runs{state=\"collecting\"} %zu\n", s->queued, s->starting, s->running, s->collecting);
    one(t, "belfry_runs_held_up", "gauge", "Runs that wait after a fault of a disk, a network or a backend.", s->held_up);
    one(t, "belfry_runs_unconfirmed", "gauge", "Starts without an answer that could not be looked up yet.", s->unconfirmed);
    family(t, "belfry_runs_ended_total", "counter", "Runs that ended since the start, by state.");
    for (unsigned i = RUN_COMPLETED; i < RUN_SKIPPED; i++)
        buf_addf(t, "belfry_runs_ended_total{state=\"%s\"} %llu\n", run_state_name((enum run_state)i),
                 (unsigned long long)s->ended[i]);
    one(t, "belfry_firings_admitted_total", "counter", "Firings that became a run.", s->admitted);
    one(t, "belfry_firings_skipped_total", "counter", "Firings that were skipped.", s->skipped);
    one(t, "belfry_firings_duplicate_total", "counter", "Firings that were seen before.", s->duplicates);
    one(t, "belfry_start_failures_total", "counter", "Starts of runs that failed.", s->start_failures);
}

static void journal(struct buf *t, struct journal *j)
{
    struct journal_health health;

    journal_health(j, &health);
    one(t, "belfry_journal_writable", "gauge", "1 when the last commit could be written.", health.writable);
    one(t, "belfry_journal_waiting", "gauge", "Commits that are not yet durable.", health.waiting);
    one(t, "belfry_journal_commits_total", "counter", "Commits made durable.", health.commits);
    one(t, "belfry_journal_transactions_total", "counter", "Transactions they were grouped into.", health.transactions);
}

static void server(struct buf *t, const struct http_server *s)
{
    struct http_server_stats stats;

    http_server_stats(s, &stats);
    one(t, "belfry_http_requests_total", "counter", "HTTP requests let through.", stats.requests);
    one(t, "belfry_http_connections", "gauge", "HTTP connections.", stats.connections);
    family(t, "belfry_http_refused_total", "counter", "HTTP requests and connections refused, by reason.");
    buf_addf(t, "belfry_http_refused_total{reason=\"framing\"} %llu\nbelfry_http_refused_total{reason=\"timeout\"} %llu\n"
                "belfry_http_refused_total{reason=\"connections\"} %llu\n", (unsigned long long)stats.refused_framing,
             (unsigned long long)stats.refused_timeout, (unsigned long long)stats.refused_connections);
}

/* What has a name is told of to who may see its workspace (NULL: all); the sums are the machine's. */
struct naming {
    struct buf *text;
    const struct config *config;
    const char *workspace;
};

static bool is_seen(const struct naming *n, const struct process_config *process)
{
    return n->workspace == NULL || (process != NULL && strcmp(process->workspace->name, n->workspace) == 0);
}

static const struct process_config *process_of_webhook(const struct naming *n, const char *name)
{
    for (size_t i = 0; i < n->config->webhook_count; i++) {
        if (strcmp(n->config->webhooks[i]->name, name) == 0)
            return n->config->webhooks[i]->process;
    }
    return NULL;
}

static const struct process_config *process_of_watch(const struct naming *n, const char *name)
{
    for (size_t i = 0; i < n->config->watch_count; i++) {
        if (strcmp(n->config->watches[i]->name, name) == 0)
            return n->config->watches[i]->process;
    }
    return NULL;
}

static void add_webhook(void *data, const struct webhook_view *view)
{
    const struct naming *n = data;

    if (!is_seen(n, process_of_webhook(n, view->name)))
        return;
    buf_addf(n->text, "belfry_webhook_requests_total{webhook=\"%s\",answer=\"accepted\"} %llu\n"
                   "belfry_webhook_requests_total{webhook=\"%s\",answer=\"repeated\"} %llu\n"
                   "belfry_webhook_requests_total{webhook=\"%s\",answer=\"refused\"} %llu\n",
             view->name, (unsigned long long)view->accepted, view->name, (unsigned long long)view->repeated, view->name,
             (unsigned long long)view->refused);
}

static void add_watch(void *data, const struct watch_view *view)
{
    const struct naming *n = data;

    if (is_seen(n, process_of_watch(n, view->name)))
        buf_addf(n->text, "belfry_watch_files_total{watch=\"%s\"} %llu\n", view->name, (unsigned long long)view->fired);
}

static void add_waiting(void *data, const char *target, const char *why, size_t waiting)
{
    (void)target;
    (void)why;
    *(size_t *)data += waiting;
}

void house_metrics(void *house, const char *workspace, struct buf *text)
{
    struct house *h = house;
    struct naming naming = { text, h->config, workspace };
    struct engine_stats stats;
    size_t waiting = 0;

    engine_stats(h->engine, &stats);
    family(text, "belfry_build_info", "gauge", "The version that runs.");
    buf_addf(text, "belfry_build_info{version=\"%s\"} 1\n", BELFRY_VERSION);
    family(text, "belfry_start_time_seconds", "gauge", "When the daemon started, in seconds since the epoch.");
    buf_addf(text, "belfry_start_time_seconds %lld.%03d\n", (long long)(h->born.wall_ms / 1000), (int)(h->born.wall_ms % 1000));
    runs(text, &stats);
    journal(text, h->journal);
    server(text, h->server);
    if (h->config->webhook_count > 0)
        family(text, "belfry_webhook_requests_total", "counter", "Requests to webhooks, by answer.");
    webhook_each(h->webhooks, add_webhook, &naming);
    if (h->config->watch_count > 0)
        family(text, "belfry_watch_files_total", "counter", "Files that rang, by watch.");
    watch_each(h->watches, add_watch, &naming);
    syslog_each_trouble(h->syslog, add_waiting, &waiting);
    one(text, "belfry_syslog_lines_waiting", "gauge", "Result lines that wait for a target that cannot be reached.", waiting);
}
