/* belfry next: due times, of the daemon's schedules or of an expression. */
#include <stdio.h>
#include <string.h>

#include "belfry/base/time.h"
#include "belfry/calendar/schedule.h"
#include "cli.h"

const struct cli_option next_options[] = {
    { "cron", '\0', "EXPR", "an expression, instead of the daemon's schedules" },
    { "timezone", '\0', "TZ", "the zone of --cron (default: the machine's)" },
    { "count", 'n', "N", "how many (default: 5)" },
    { "from", '\0', "TIME", "after that time, as in 2026-01-05T02:30:00Z (default: now)" },
    { .name = NULL },
};

static json_t *due_json(const struct timing *timing, int64_t due_ms)
{
    json_t *o = json_object();
    char local[TIME_TEXT_SIZE];

    time_format_offset(due_ms, zone_offset_at(timing->zone, due_ms / 1000), local);
    (void)json_put_time(o, "due", due_ms);
    (void)json_put(o, "local", local);
    return o;
}

static int compute(const char *expression, const char *zone, int64_t from_ms, int64_t count, json_t **list)
{
    struct timing timing = { 0 };
    struct error err;
    int64_t due_ms = from_ms;

    if (cron_parse(expression, NULL, &timing.cron, &err) != 0)
        return cli_fail(CLI_USAGE, "--cron: %s", err.text);
    if (zone_get(zone, &timing.zone, &err) != 0)
        return cli_fail(CLI_USAGE, "--timezone: %s", err.text);
    *list = json_array();
    while (count-- > 0 && (due_ms = timing_next(&timing, due_ms)) != INT64_MAX)
        (void)json_array_append_new(*list, due_json(&timing, due_ms));
    zone_put(timing.zone);
    return CLI_DONE;
}

static int ask(struct cli *cli, int64_t from_ms, int64_t count, json_t **list)
{
    struct buf path = { 0 };
    char from[TIME_TEXT_SIZE];
    int code;

    time_format(from_ms, from);
    buf_addf(&path, "/belfry/v1/next?n=%lld&from=", (long long)count);
    cli_percent(&path, from);
    if (cli->word_count > 0) {
        buf_adds(&path, "&schedule=");
        cli_percent(&path, cli->words[0]);
    }
    code = cli_get(cli, buf_str(&path), list);
    buf_close(&path);
    return code;
}

static void print_table(const struct cli *cli, const json_t *list)
{
    static const char *const titles[] = { "DUE", "IN", "SCHEDULE" };
    struct cli_table table;
    const json_t *one;
    size_t i;

    if (json_array_size(list) == 0) {
        (void)puts("never");
        return;
    }
    cli_table_init(&table, titles, cli->word_count == 0 && cli_option(cli, "cron") == NULL ? 3 : 2);
    json_array_foreach(list, i, one) {
        int64_t due_ms = 0, now_ms = time_wall_ms();
        char in[32] = "-";

        if (time_parse(json_str(one, "due"), &due_ms) == 0 && due_ms >= now_ms)
            cli_duration(in, due_ms - now_ms);
        cli_table_add(&table, (const char *const[]) { json_str(one, "local"), in, json_str(one, "schedule") }, NULL);
    }
    cli_table_print(cli, &table);
}

int command_next(struct cli *cli)
{
    const char *expression = cli_option(cli, "cron"), *zone = cli_option(cli, "timezone"), *from = cli_option(cli, "from");
    int64_t count, from_ms = time_wall_ms();
    json_t *list = NULL;
    int code;

    if (!cli_option_int(cli, "count", 1, 1000, 5, &count))
        return CLI_USAGE;
    if (from != NULL && time_parse(from, &from_ms) != 0)
        return cli_fail(CLI_USAGE, "--from: \"%s\" is no time: write 2026-01-05T02:30:00Z", from);
    if (expression != NULL && cli->word_count > 0)
        return cli_fail(CLI_USAGE, "either a schedule or --cron");
    if (zone != NULL && expression == NULL)
        return cli_fail(CLI_USAGE, "--timezone goes with --cron");
    code = expression != NULL ? compute(expression, zone, from_ms, count, &list) : ask(cli, from_ms, count, &list);
    if (code == CLI_DONE && cli->json)
        (void)cli_print_json(cli, list);
    else if (code == CLI_DONE)
        print_table(cli, list);
    json_decref(list);
    return code;
}
