/* belfry status. */
#include <stdio.h>

#include "belfry/base/time.h"
#include "cli.h"

static long long number(const json_t *object, const char *name)
{
    return (long long)json_int(object, name, 0);
}

static void print_paths(const struct cli *cli, const json_t *status)
{
    const json_t *address;
    size_t i;

    cli_label(cli, "config", "%s", json_str(status, "config"));
    cli_label(cli, "state", "%s", json_str(status, "state_dir"));
    cli_label(cli, "results", "%s", json_str(status, "results_dir"));
    cli_label(cli, "socket", "%s", json_str(status, "socket"));
    json_array_foreach(json_object_get(status, "listen"), i, address)
        cli_label(cli, i == 0 ? "listening" : "", "http://%s", json_string_value(address));
}

static void print_triggers(const struct cli *cli, const json_t *status)
{
    const json_t *t = json_object_get(status, "triggers"), *next = json_object_get(status, "next");
    char due[32];

    cli_label(cli, "triggers", "schedules %lld, watches %lld, webhooks %lld", number(t, "schedules"), number(t, "watches"),
              number(t, "webhooks"));
    if (!json_is_object(next))
        return;
    cli_time(due, json_str(next, "due"), time_wall_ms());
    cli_label(cli, "next", "%s at %s", json_str(next, "schedule"), due);
}

static void print_runs(const struct cli *cli, const json_t *status)
{
    const json_t *runs = json_object_get(status, "runs"), *totals = json_object_get(status, "totals");
    const json_t *ended = json_object_get(totals, "ended");

    cli_label(cli, "runs", "queued %lld, starting %lld, running %lld, collecting %lld", number(runs, "queued"),
              number(runs, "starting"), number(runs, "running"), number(runs, "collecting"));
    cli_label(cli, "so far", "rung %lld, skipped %lld, completed %lld, failed %lld, canceled %lld, timed out %lld, lost %lld",
              number(totals, "admitted"), number(totals, "skipped"), number(ended, "completed"), number(ended, "failed"),
              number(ended, "canceled"), number(ended, "timed_out"), number(ended, "lost"));
}

static size_t trouble(const struct cli *cli, const char *what, const char *text)
{
    struct buf shown = { 0 };

    cli_text(&shown, text);
    (void)printf("%s%-11s%s %s%s\n", cli->color ? "\033[1;31m" : "", "TROUBLE", cli->color ? "\033[0m" : "", what, buf_str(&shown));
    buf_close(&shown);
    return 1;
}

static size_t print_troubles(const struct cli *cli, const json_t *status)
{
    const json_t *journal = json_object_get(status, "journal"), *one;
    size_t i, found = 0;
    struct buf line = { 0 };

    if (!json_flag(journal, "writable", true))
        found += trouble(cli, "the journal cannot be written: ", json_str(journal, "problem"));
    json_array_foreach(json_object_get(status, "syslog"), i, one) {
        buf_reset(&line);
        buf_addf(&line, "%s: %s (%lld lines wait)", json_str(one, "target"), json_str(one, "why"), number(one, "waiting"));
        found += trouble(cli, "syslog ", buf_str(&line));
    }
    json_array_foreach(json_object_get(status, "workspaces"), i, one) {
        if (json_str(one, "trouble") == NULL)
            continue;
        buf_reset(&line);
        buf_addf(&line, "%s: %s", json_str(one, "name"), json_str(one, "trouble"));
        found += trouble(cli, "workspace ", buf_str(&line));
    }
    json_array_foreach(json_object_get(status, "troubles"), i, one)
        found += trouble(cli, "", json_string_value(one));
    buf_close(&line);
    return found;
}

int command_status(struct cli *cli)
{
    json_t *status;
    char up[32];
    int code = cli_get(cli, "/belfry/v1/status", &status);

    if (code != CLI_DONE)
        return code;
    if (cli->json) {
        (void)cli_print_json(cli, status);
    } else {
        cli_duration(up, json_int(status, "uptime_ms", 0));
        cli_label(cli, "belfryd", "%s, up %s, process %lld", json_str(status, "version"), up, number(status, "pid"));
        print_paths(cli, status);
        print_triggers(cli, status);
        print_runs(cli, status);
        if (print_troubles(cli, status) == 0)
            cli_label(cli, "trouble", "none");
    }
    json_decref(status);
    return CLI_DONE;
}
