/* belfry runs, show, cancel, retry. */
#include <stdio.h>
#include <string.h>

#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "cli.h"

#define SHORT_ID 8

const struct cli_option runs_options[] = {
    { "process", '\0', "PROCESS", "only of that process" },
    { "state", '\0', "STATE", "only in that state" },
    { "since", '\0', "T", "accepted since a time, or a duration ago (2h)" },
    { "count", 'n', "N", "how many at most (default: 20)" },
    { .name = NULL },
};

const struct cli_option cancel_options[] = {
    { "reason", '\0', "TEXT", "why: it stands in the record" },
    { .name = NULL },
};

/* --- runs --------------------------------------------------------------------------------------------------------- */

static int read_since(const char *text, char since[TIME_TEXT_SIZE])
{
    int64_t wall_ms, ago_ms;

    if (text_duration_ms(text, &ago_ms) == 0)
        wall_ms = time_wall_ms() - ago_ms;
    else if (time_parse(text, &wall_ms) != 0)
        return cli_fail(CLI_USAGE, "--since: \"%s\" is no time (2026-01-05T02:30:00Z) and no duration (2h)", text);
    time_format(wall_ms, since);
    return CLI_DONE;
}

static int filters(const struct cli *cli, struct buf *query)
{
    static const char *const names[] = { "process", "state" };
    const char *since = cli_option(cli, "since");
    char since_text[TIME_TEXT_SIZE];

    for (size_t i = 0; i < 2; i++) {
        if (cli_option(cli, names[i]) == NULL)
            continue;
        buf_addf(query, "&%s=", names[i]);
        cli_percent(query, cli_option(cli, names[i]));
    }
    if (since == NULL)
        return CLI_DONE;
    if (read_since(since, since_text) != CLI_DONE)
        return CLI_USAGE;
    buf_adds(query, "&since=");
    cli_percent(query, since_text);
    return CLI_DONE;
}

static void add_run(const struct cli *cli, struct cli_table *table, const json_t *run, int64_t now_ms)
{
    const char *id = json_str(run, "id"), *state = json_str(run, "state");
    const json_t *trigger = json_object_get(run, "trigger"), *error = json_object_get(run, "error");
    const char *why = json_str(error, "message") != NULL ? json_str(error, "message") : json_str(run, "reason");
    struct buf rung = { 0 };
    char accepted[32], took[32] = "-";

    buf_addf(&rung, "%s/%s", json_str(trigger, "kind"), json_str(trigger, "name"));
    cli_time(accepted, json_str(run, "accepted"), now_ms);
    if (json_object_get(run, "duration_ms") != NULL)
        cli_duration(took, json_int(run, "duration_ms", 0));
    cli_table_add(table, (const char *const[]) { id != NULL && strlen(id) > SHORT_ID ? id + strlen(id) - SHORT_ID : id,
                                                 json_str(run, "process"), buf_str(&rung), state, accepted, took, why },
                  (const char *const[]) { NULL, NULL, NULL, cli_color_of_state(cli, state), NULL, NULL, NULL });
    buf_close(&rung);
}

int command_runs(struct cli *cli)
{
    static const char *const titles[] = { "RUN", "PROCESS", "RUNG BY", "STATE", "ACCEPTED", "TOOK", "WHY" };
    struct cli_table table;
    json_t *runs = json_array();
    struct buf query = { 0 };
    const json_t *run;
    int64_t count;
    size_t i;
    int code;

    if (!cli_option_int(cli, "count", 1, 1000000, 20, &count)) {
        json_decref(runs);
        return CLI_USAGE;
    }
    code = filters(cli, &query);
    if (code == CLI_DONE)
        code = cli_get_runs(cli, buf_str(&query), count, runs);
    if (code == CLI_DONE && cli->json) {
        (void)cli_print_json(cli, runs);
    } else if (code == CLI_DONE && json_array_size(runs) == 0) {
        (void)puts("no runs");
    } else if (code == CLI_DONE) {
        cli_table_init(&table, titles, 7);
        json_array_foreach(runs, i, run)
            add_run(cli, &table, run, time_wall_ms());
        cli_table_print(cli, &table);
    }
    buf_close(&query);
    json_decref(runs);
    return code;
}

/* --- show --------------------------------------------------------------------------------------------------------- */

int command_show(struct cli *cli)
{
    struct buf path = { 0 };
    char id[ID_SIZE];
    json_t *record;
    int code = cli_run_id(cli, cli->words[0], id);

    if (code != CLI_DONE)
        return code;
    buf_addf(&path, "/belfry/v1/runs/%s", id);
    code = cli_get(cli, buf_str(&path), &record);
    buf_close(&path);
    if (code == CLI_DONE && cli->json)
        (void)cli_print_json(cli, record);
    else if (code == CLI_DONE)
        cli_print_record(cli, record);
    json_decref(record);
    return code;
}

/* --- cancel ------------------------------------------------------------------------------------------------------- */

/* Asks for something to be done with a run; takes the body. */
static int ask_of_run(struct cli *cli, const char *verb, json_t *body, const char *done)
{
    struct cli_question q = { .method = "POST", .body = body };
    struct buf path = { 0 };
    char id[ID_SIZE];
    int code = cli_run_id(cli, cli->words[0], id);

    if (code == CLI_DONE) {
        buf_addf(&path, "/belfry/v1/runs/%s/%s", id, verb);
        q.path = buf_str(&path);
        code = cli_ask(cli, &q);
        if (code == CLI_DONE && cli->json)
            (void)cli_print_json(cli, q.answer);
        else if (code == CLI_DONE)
            (void)printf("run %s %s\n", id, done);
    }
    json_decref(q.answer);
    json_decref(body);
    buf_close(&path);
    return code;
}

int command_cancel(struct cli *cli)
{
    const char *reason = cli_option(cli, "reason");
    json_t *body = json_object();

    if (reason != NULL)
        (void)json_put(body, "reason", reason);
    return ask_of_run(cli, "cancel", body, "is asked to end");
}

/* --- retry -------------------------------------------------------------------------------------------------------- */

int command_retry(struct cli *cli)
{
    return ask_of_run(cli, "retry", json_object(), "is tried again");
}
