/* belfry triggers, pause, resume. */
#include <stdio.h>
#include <string.h>

#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "cli.h"

/* --- triggers ----------------------------------------------------------------------------------------------------- */

static void describe(const json_t *t, struct buf *rings)
{
    char every[32];

    if (json_str(t, "cron") != NULL) {
        buf_adds(rings, json_str(t, "cron"));
    } else if (json_object_get(t, "every_ms") != NULL) {
        text_from_duration(json_int(t, "every_ms", 0), every);
        buf_addf(rings, "every %s", every);
    } else if (json_str(t, "path") != NULL) {
        buf_adds(rings, json_str(t, "path"));
        if (!json_flag(t, "there", true))
            buf_adds(rings, " (not there)");
    }
}

static void add_trigger(const struct cli *cli, struct cli_table *table, const json_t *t, int64_t now_ms)
{
    bool paused = json_flag(t, "paused", false);
    struct buf rings = { 0 }, name = { 0 };
    char next[32];

    buf_addf(&name, "%s/%s", json_str(t, "kind"), json_str(t, "name"));
    describe(t, &rings);
    cli_time(next, json_str(t, "next"), now_ms);
    cli_table_add(table, (const char *const[]) { buf_str(&name), json_str(t, "process"), buf_str(&rings),
                                                 paused ? "paused" : next, json_str(t, "word") },
                  (const char *const[]) { NULL, NULL, NULL, paused && cli->color ? "\033[33m" : NULL, NULL });
    buf_close(&rings);
    buf_close(&name);
}

int command_triggers(struct cli *cli)
{
    static const char *const titles[] = { "TRIGGER", "PROCESS", "RINGS ON", "NEXT", "LAST" };
    struct cli_table table;
    json_t *list;
    const json_t *t;
    size_t i;
    int code = cli_get(cli, "/belfry/v1/triggers", &list);

    if (code != CLI_DONE)
        return code;
    if (cli->json) {
        (void)cli_print_json(cli, list);
    } else if (json_array_size(list) == 0) {
        (void)puts("no triggers are configured");
    } else {
        cli_table_init(&table, titles, 5);
        json_array_foreach(list, i, t)
            add_trigger(cli, &table, t, time_wall_ms());
        cli_table_print(cli, &table);
    }
    json_decref(list);
    return CLI_DONE;
}

/* --- pause and resume --------------------------------------------------------------------------------------------- */

static bool is_named(const json_t *t, const char *word)
{
    const char *kind = json_str(t, "kind"), *name = json_str(t, "name"), *slash = strchr(word, '/');

    if (kind == NULL || name == NULL)
        return false;
    if (slash == NULL)
        return strcmp(name, word) == 0;
    return strlen(kind) == (size_t)(slash - word) && strncmp(kind, word, strlen(kind)) == 0 && strcmp(name, slash + 1) == 0;
}

/* The one trigger of that name; NULL after it was said why not. */
static const json_t *find_trigger(const json_t *list, const char *word)
{
    const json_t *t, *found = NULL;
    size_t i;

    json_array_foreach(list, i, t) {
        if (!is_named(t, word))
            continue;
        if (found != NULL) {
            (void)cli_fail(CLI_FAILED, "%s/%s and %s/%s have that name: say which", json_str(found, "kind"),
                           json_str(found, "name"), json_str(t, "kind"), json_str(t, "name"));
            return NULL;
        }
        found = t;
    }
    if (found == NULL)
        (void)cli_fail(CLI_FAILED, "there is no trigger %s; see belfry triggers", word);
    return found;
}

static int set_pause(struct cli *cli, const char *verb)
{
    struct cli_question q = { .method = "POST" };
    struct buf path = { 0 };
    const json_t *t;
    json_t *list;
    int code = cli_get(cli, "/belfry/v1/triggers", &list);

    if (code != CLI_DONE)
        return code;
    t = find_trigger(list, cli->words[0]);
    if (t == NULL) {
        json_decref(list);
        return CLI_FAILED;
    }
    buf_addf(&path, "/belfry/v1/triggers/%s/", json_str(t, "kind"));
    cli_percent(&path, json_str(t, "name"));
    buf_addf(&path, "/%s", verb);
    q.path = buf_str(&path);
    code = cli_ask(cli, &q);
    if (code == CLI_DONE && cli->json)
        (void)cli_print_json(cli, q.answer);
    else if (code == CLI_DONE)
        (void)printf("%s/%s is %s\n", json_str(t, "kind"), json_str(t, "name"),
                     json_flag(q.answer, "paused", false) ? "paused" : "no longer paused");
    json_decref(q.answer);
    json_decref(list);
    buf_close(&path);
    return code;
}

int command_pause(struct cli *cli)
{
    return set_pause(cli, "pause");
}

int command_resume(struct cli *cli)
{
    return set_pause(cli, "resume");
}
