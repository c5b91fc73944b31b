/* belfry keys. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "belfry/config/permission.h"
#include "cli.h"

const struct cli_option keys_options[] = {
    { "workspace", 'w', "W", "list, add: the local workspace" },
    { "name", 'n', "NAME", "add, edit: what the key is called" },
    { "permissions", 'p', "P,P…", "add, edit: what it may do, of the names below; all" },
    { "expires", '\0', "TIME", "add, edit: until when it is good: a time, a date, how long from now (30d); never" },
    { .name = NULL },
};

void keys_print_permissions(void)
{
    (void)printf("\nPermissions, also without the word before the dot:\n");
    for (int i = 0; i < PERMISSIONS; i++)
        (void)printf("  %-34s %s\n", permission_name((enum permission)i), permission_about((enum permission)i));
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

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
    char used[32], uses[24];
    struct buf permissions = { 0 };

    if (json_array_size(json_object_get(key, "permissions")) == PERMISSIONS)
        buf_adds(&permissions, "all");
    else
        join(json_object_get(key, "permissions"), &permissions);
    cli_time(used, json_str(key, "last_used_at"), time_wall_ms());
    (void)snprintf(uses, sizeof uses, "%lld", (long long)json_int(key, "uses", 0));
    cli_table_add(table, (const char *const[]) { json_str(key, "id"), json_str(key, "name"), json_str(key, "workspace"), used, uses,
                  buf_str(&permissions) }, NULL);
    buf_close(&permissions);
}

static int list(struct cli *cli)
{
    static const char *const titles[] = { "ID", "NAME", "WORKSPACE", "LAST USED", "USES", "MAY" };
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
        table.whole = 1u << 0;
        table.yielding = 1u << 5;
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
    if (json_str(key, "last_used_at") != NULL)
        cli_label(cli, "uses", "%lld, the last one %s", (long long)json_int(key, "uses", 0), time);
    else
        cli_label(cli, "uses", "never used");
    if (json_str(key, "key") != NULL)
        cli_label(cli, "key", "%s", json_str(key, "key"));
    else if (json_object_get(key, "key") != NULL)
        cli_label(cli, "key", "%s", json_str(key, "note") != NULL ? json_str(key, "note") : "not kept: its hash is all there is");
    buf_close(&permissions);
}

/* --- changing ----------------------------------------------------------------------------------------------------- */

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
    return q.status == 400 ? CLI_USAGE : code;
}

/* "2027-01-01": when that day begins where the person is. */
static bool read_date(const char *text, int64_t *wall_ms)
{
    struct buf whole = { 0 };
    struct tm day = { .tm_isdst = -1 };
    bool good;

    buf_addf(&whole, "%sT00:00:00Z", text);
    good = time_parse(buf_str(&whole), wall_ms) == 0 && strptime(text, "%Y-%m-%d", &day) != NULL;
    if (good)
        *wall_ms = (int64_t)mktime(&day) * 1000;
    buf_close(&whole);
    return good;
}

static int read_expires(const char *text, char until[TIME_TEXT_SIZE])
{
    int64_t now_ms = time_wall_ms(), wall_ms, from_now_ms;

    if (text_duration_ms(text, &from_now_ms) == 0)
        wall_ms = from_now_ms < INT64_MAX - now_ms ? now_ms + from_now_ms : INT64_MAX;
    else if (time_parse(text, &wall_ms) != 0 && !read_date(text, &wall_ms))
        return cli_fail(CLI_USAGE, "--expires: \"%s\" is no time (2027-01-01T00:00:00Z), no date (2027-01-01), no duration from now (30d), and"
                                   " not never", text);
    if (wall_ms <= now_ms)
        return cli_fail(CLI_USAGE, "--expires: %s is over already", text);
    time_format(wall_ms, until);
    return until[0] != '-' ? CLI_DONE : cli_fail(CLI_USAGE, "--expires: %s is beyond all calendars; never is a word for it", text);
}

static int check_permissions(const char *text)
{
    struct error err;
    uint32_t set;

    if (permissions_parse(text, &set, &err) != 0)
        return cli_fail(CLI_USAGE, "--permissions: %s", err.text);
    return set != 0 ? CLI_DONE : cli_fail(CLI_USAGE, "--permissions: a key needs one at least; see belfry help keys");
}

/* What the options say, as the daemon is told it. */
static int make_body(const struct cli *cli, json_t *body)
{
    const char *name = cli_option(cli, "name"), *permissions = cli_option(cli, "permissions"), *expires = cli_option(cli, "expires");
    bool never = expires != NULL && strcmp(expires, "never") == 0;
    char until[TIME_TEXT_SIZE];

    if (permissions != NULL && check_permissions(permissions) != CLI_DONE)
        return CLI_USAGE;
    if (expires != NULL && !never && read_expires(expires, until) != CLI_DONE)
        return CLI_USAGE;
    if (name != NULL)
        (void)json_put(body, "name", name);
    if (permissions != NULL)
        (void)json_put(body, "permissions", permissions);
    if (expires != NULL)
        (void)json_put(body, "expires_at", never ? NULL : until);
    return CLI_DONE;
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
    json_t *body;
    int code;

    if (workspace == NULL || cli_option(cli, "name") == NULL || cli_option(cli, "permissions") == NULL)
        return cli_fail(CLI_USAGE, "keys add: --workspace, --name and --permissions are needed; see belfry help keys");
    buf_adds(&path, "/belfry/v1/workspaces/");
    cli_percent(&path, workspace);
    buf_adds(&path, "/keys");
    body = json_object();
    code = make_body(cli, body);
    if (code == CLI_DONE)
        code = ask(cli, "POST", buf_str(&path), body, print_value);
    json_decref(body);
    buf_close(&path);
    return code;
}

/* --- one ---------------------------------------------------------------------------------------------------------- */

static int choose(const char *word, const json_t *keys, char id[ID_SIZE])
{
    struct buf candidates = { 0 }, shown = { 0 };
    const json_t *key;
    size_t found = 0, i;
    int code = CLI_DONE;

    json_array_foreach(keys, i, key) {
        const char *one = json_str(key, "id"), *name = json_str(key, "name");

        if (one == NULL || name == NULL || !id_is_uuid(one) || (strcmp(word, name) != 0 && !cli_is_part_of(word, one)))
            continue;
        if (found++ < 10)
            buf_addf(&candidates, "\n  %s  %s", one, name);
        memcpy(id, one, ID_SIZE);
    }
    cli_text(&shown, buf_str(&candidates));
    if (found == 0)
        code = cli_fail(CLI_FAILED, "no key is named \"%s\", or has an id that begins or ends so", word);
    else if (found > 1)
        code = cli_fail(CLI_FAILED, "%zu keys are named \"%s\", or have an id that begins or ends so:%s", found, word, buf_str(&shown));
    buf_close(&candidates);
    buf_close(&shown);
    return code;
}

/* The id of a key that is named by all, the beginning or the end of it, or by its name. */
static int key_id(struct cli *cli, const char *word, char id[ID_SIZE])
{
    json_t *answer;
    int code;

    if (id_is_uuid(word)) {
        memcpy(id, word, ID_SIZE);
        return CLI_DONE;
    }
    code = cli_get(cli, "/belfry/v1/keys", &answer);
    if (code == CLI_DONE)
        code = choose(word, json_object_get(answer, "data"), id);
    json_decref(answer);
    return code;
}

static int one(struct cli *cli, const char *method, json_t *body, void (*print)(const struct cli *cli, const json_t *key))
{
    struct buf path = { 0 };
    char id[ID_SIZE];
    int code = key_id(cli, cli->words[1], id);

    if (code != CLI_DONE)
        return code;
    buf_addf(&path, "/belfry/v1/keys/%s", id);
    code = ask(cli, method, buf_str(&path), body, print);
    buf_close(&path);
    return code;
}

static int show(struct cli *cli)
{
    return one(cli, "GET", NULL, print_key);
}

static int edit(struct cli *cli)
{
    json_t *body = json_object();
    int code = make_body(cli, body);

    if (code == CLI_DONE && json_object_size(body) == 0)
        code = cli_fail(CLI_USAGE, "keys edit: --name, --permissions or --expires has to say what changes");
    if (code == CLI_DONE)
        code = one(cli, "POST", body, print_key);
    json_decref(body);
    return code;
}

static void print_removed(const struct cli *cli, const json_t *answer)
{
    (void)cli;
    (void)printf("the key %s is removed\n", json_str(answer, "id"));
}

static int remove_key(struct cli *cli)
{
    return one(cli, "DELETE", NULL, print_removed);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static const struct verb {
    const char *name;
    size_t words;                 /* itself, and the key */
    const char *options[5];       /* those of the command that are its own */
    int (*run)(struct cli *cli);
} verbs[] = {
    { "list", 1, { "workspace" }, list },
    { "add", 1, { "workspace", "name", "permissions", "expires" }, add },
    { "show", 2, { NULL }, show },
    { "edit", 2, { "name", "permissions", "expires" }, edit },
    { "remove", 2, { NULL }, remove_key },
};

static bool is_among(const char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* The option that was given and is another verb's, or NULL. */
static const char *stray_option(const struct cli *cli, const struct verb *verb)
{
    for (const struct cli_option *o = keys_options; o->name != NULL; o++) {
        if (cli_option(cli, o->name) != NULL && !is_among(verb->options, o->name))
            return o->name;
    }
    return NULL;
}

int command_keys(struct cli *cli)
{
    const char *stray;

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, cli->words[0]) != 0 || verbs[i].words != cli->word_count)
            continue;
        stray = stray_option(cli, &verbs[i]);
        return stray == NULL ? verbs[i].run(cli) : cli_fail(CLI_USAGE, "keys %s takes no --%s; see belfry help keys", verbs[i].name, stray);
    }
    return cli_fail(CLI_USAGE, "keys: it is list, add, show ID, edit ID or remove ID; see belfry help keys");
}
