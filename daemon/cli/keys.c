/* belfry keys. */
#include <stdio.h>
#include <string.h>

#include "belfry/base/time.h"
#include "cli.h"

const struct cli_option keys_options[] = {
    { "workspace", 'w', "W", "list, add: the local workspace" },
    { "name", 'n', "NAME", "add, edit: what the key is called" },
    { "permissions", 'p', "P,P…", "add, edit: what it may do, as in Processes.read_runs; all" },
    { "expires", '\0', "TIME", "add, edit: until when it is good, as in 2027-01-01T00:00:00Z; never" },
    { .name = NULL },
};

/* "Processes.read_runs, …" of a list. */
static void join(const json_t *list, struct buf *out)
{
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
        buf_addf(out, "%s%s", i > 0 ? ", " : "", json_is_string(one) ? json_string_value(one) : "");
}

static void add_row(struct cli_table *table, const json_t *key)
{
    char created[32], used[32], uses[24];
    struct buf permissions = { 0 };

    join(json_object_get(key, "permissions"), &permissions);
    cli_time(created, json_str(key, "created_at"), time_wall_ms());
    cli_time(used, json_str(key, "last_used_at"), time_wall_ms());
    (void)snprintf(uses, sizeof uses, "%lld", (long long)json_int(key, "uses", 0));
    cli_table_add(table, (const char *const[]) { json_str(key, "id"), json_str(key, "name"), json_str(key, "workspace"), created, used,
                  uses, buf_str(&permissions) }, NULL);
    buf_close(&permissions);
}

static int list(struct cli *cli)
{
    static const char *const titles[] = { "ID", "NAME", "WORKSPACE", "CREATED", "LAST USED", "USES", "PERMISSIONS" };
    const char *workspace = cli_option(cli, "workspace");
    struct buf path = { 0 };
    struct cli_table table;
    json_t *answer, *keys, *key;
    size_t i;
    int code;

    buf_adds(&path, "/belfry/v1");
    if (workspace != NULL) {
        buf_adds(&path, "/workspaces/");
        cli_percent(&path, workspace);
    }
    buf_adds(&path, "/keys");
    code = cli_get(cli, buf_str(&path), &answer);
    buf_close(&path);
    if (code != CLI_DONE)
        return code;
    keys = json_object_get(answer, "data");
    if (cli->json) {
        (void)cli_print_json(cli, keys);
    } else if (json_array_size(keys) == 0) {
        (void)printf("there are no keys; see belfry help keys\n");
    } else {
        cli_table_init(&table, titles, sizeof titles / sizeof *titles);
        json_array_foreach(keys, i, key)
            add_row(&table, key);
        cli_table_print(cli, &table);
    }
    json_decref(answer);
    return CLI_DONE;
}

static void print_key(const struct cli *cli, const json_t *key)
{
    struct buf permissions = { 0 };
    char time[32];

    join(json_object_get(key, "permissions"), &permissions);
    cli_label(cli, "id", "%s", json_str(key, "id"));
    cli_label(cli, "name", "%s", json_str(key, "name"));
    cli_label(cli, "workspace", "%s", json_str(key, "workspace"));
    cli_label(cli, "permissions", "%s", permissions.len > 0 ? buf_str(&permissions) : "none");
    cli_time(time, json_str(key, "created_at"), time_wall_ms());
    cli_label(cli, "created", "%s", time);
    cli_time(time, json_str(key, "expires_at"), time_wall_ms());
    cli_label(cli, "expires", "%s", json_str(key, "expires_at") != NULL ? time : "never");
    cli_time(time, json_str(key, "last_used_at"), time_wall_ms());
    cli_label(cli, "used", "%lld times, the last time %s", (long long)json_int(key, "uses", 0), time);
    if (json_str(key, "key") != NULL)
        cli_label(cli, "key", "%s", json_str(key, "key"));
    else if (json_object_get(key, "key") != NULL)
        cli_label(cli, "key", "%s", json_str(key, "note") != NULL ? json_str(key, "note") : "not kept: its hash is all there is");
    buf_close(&permissions);
}

/* Asks, and prints what came: the whole as JSON, else as `print` does. */
static int ask(struct cli *cli, const char *method, const char *path, json_t *body, void (*print)(const struct cli *cli, const json_t *key))
{
    struct cli_question q = { .method = method, .path = path, .body = body };
    int code = cli_ask(cli, &q);

    if (code == CLI_DONE && cli->json)
        (void)cli_print_json(cli, q.answer);
    else if (code == CLI_DONE)
        print(cli, q.answer);
    json_decref(q.answer);
    json_decref(body);
    return code;
}

static json_t *body_of(const struct cli *cli)
{
    const char *expires = cli_option(cli, "expires");
    json_t *body = json_object();

    if (cli_option(cli, "name") != NULL)
        (void)json_put(body, "name", cli_option(cli, "name"));
    if (cli_option(cli, "permissions") != NULL)
        (void)json_put(body, "permissions", cli_option(cli, "permissions"));
    if (expires != NULL)
        (void)json_put(body, "expires_at", strcmp(expires, "never") == 0 ? NULL : expires);
    return body;
}

/* The value alone, so that $(belfry keys add …) is it. */
static void print_value(const struct cli *cli, const json_t *key)
{
    const char *id = json_str(key, "id"), *value = json_str(key, "key");

    (void)cli;
    (void)fprintf(stderr, "key %s\n", id != NULL ? id : "");
    (void)printf("%s\n", value != NULL ? value : "");
}

static int add(struct cli *cli)
{
    const char *workspace = cli_option(cli, "workspace");
    struct buf path = { 0 };
    int code;

    if (workspace == NULL || cli_option(cli, "name") == NULL || cli_option(cli, "permissions") == NULL)
        return cli_fail(CLI_USAGE, "keys add: --workspace, --name and --permissions are needed; see belfry help keys");
    buf_adds(&path, "/belfry/v1/workspaces/");
    cli_percent(&path, workspace);
    buf_adds(&path, "/keys");
    code = ask(cli, "POST", buf_str(&path), body_of(cli), print_value);
    buf_close(&path);
    return code;
}

static void print_removed(const struct cli *cli, const json_t *answer)
{
    (void)cli;
    (void)printf("the key %s is removed\n", json_str(answer, "id"));
}

static int one(struct cli *cli, const char *method, json_t *body, void (*print)(const struct cli *cli, const json_t *key))
{
    struct buf path = { 0 };
    int code;

    buf_adds(&path, "/belfry/v1/keys/");
    cli_percent(&path, cli->words[1]);
    code = ask(cli, method, buf_str(&path), body, print);
    buf_close(&path);
    return code;
}

int command_keys(struct cli *cli)
{
    const char *verb = cli->words[0];
    bool with_id = cli->word_count == 2;

    if (strcmp(verb, "list") == 0 && !with_id)
        return list(cli);
    if (strcmp(verb, "add") == 0 && !with_id)
        return add(cli);
    if (strcmp(verb, "show") == 0 && with_id)
        return one(cli, "GET", NULL, print_key);
    if (strcmp(verb, "edit") == 0 && with_id)
        return one(cli, "POST", body_of(cli), print_key);
    if (strcmp(verb, "remove") == 0 && with_id)
        return one(cli, "DELETE", NULL, print_removed);
    return cli_fail(CLI_USAGE, "keys: it is list, add, show ID, edit ID or remove ID; see belfry help keys");
}
