/* belfry run: starts a run, and waits for it when asked to. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/time.h"
#include "cli.h"

#define INPUT_MAX (64 << 20)
#define TRIES 5
#define AWAY_MAX_MS 120000      /* a daemon that is restarted comes back within that */

const struct cli_option run_options[] = {
    { "input", '\0', "JSON|@FILE", "the work item's payload; an array gives one work item for each element" },
    { "file", '\0', "FILE", "a file that travels with it; may be given again" },
    { "wait", '\0', NULL, "wait until it has ended" },
    { .name = NULL },
};

static int read_input(const char *text, json_t **input)
{
    struct buf bytes = { 0 };
    struct error err;
    int code = CLI_DONE;

    if (text[0] != '@')
        buf_adds(&bytes, text);
    else if (file_read(text + 1, INPUT_MAX, &bytes, &err) != 0)
        code = cli_fail(CLI_FAILED, "--input: %s", err.text);
    if (code == CLI_DONE) {
        *input = json_parse(buf_str(&bytes), bytes.len, &err);
        if (*input == NULL)
            code = cli_fail(CLI_USAGE, "--input: %s", err.text);
    }
    buf_close(&bytes);
    return code;
}

static int add_files(const struct cli *cli, json_t *body)
{
    json_t *files = json_array();

    for (size_t i = 0; i < cli->given_count; i++) {
        char *path;

        if (strcmp(cli->given[i].option->name, "file") != 0)
            continue;
        path = realpath(cli->given[i].value, NULL);
        if (path == NULL) {
            json_decref(files);
            return cli_fail(CLI_FAILED, "--file: %s: %s", cli->given[i].value, strerror(errno));
        }
        (void)json_array_append_new(files, json_string(path));
        free(path);
    }
    if (json_array_size(files) > 0)
        (void)json_object_set(body, "files", files);
    json_decref(files);
    return CLI_DONE;
}

static int make_body(const struct cli *cli, json_t **body)
{
    const char *input = cli_option(cli, "input");
    const struct passwd *me = getpwuid(getuid());
    json_t *value = NULL;
    int code = input != NULL ? read_input(input, &value) : CLI_DONE;

    *body = json_object();
    if (value != NULL)
        (void)json_object_set_new(*body, "input", value);
    if (me != NULL)
        (void)json_put(*body, "by", me->pw_name);
    return code == CLI_DONE ? add_files(cli, *body) : code;
}

/* An answer may be lost: the key makes a repetition harmless. */
static int start(struct cli *cli, json_t *body, json_t **answer)
{
    struct cli_question q = { .method = "POST", .body = body, .timeout_ms = 60000 };
    struct buf path = { 0 }, header = { 0 };
    char key[ID_SIZE];
    int code = CLI_NO_DAEMON;

    id_new(time_wall_ms(), key);
    buf_addf(&header, "Idempotency-Key: %s", key);
    buf_adds(&path, "/belfry/v1/processes/");
    cli_percent(&path, cli->words[0]);
    buf_adds(&path, "/runs");
    q.path = buf_str(&path);
    q.header = buf_str(&header);
    for (int try = 1; try <= TRIES && code == CLI_NO_DAEMON; try++) {
        q.quiet = false;
        if (try > 1)
            (void)usleep(500000);
        code = cli_ask(cli, &q);
        if (code == CLI_NO_DAEMON && try == 1 && access(cli->socket, F_OK) != 0)
            break;   /* there is none: not one that went in mid-answer */
    }
    *answer = q.answer;
    buf_close(&path);
    buf_close(&header);
    return code;
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

static void show_progress(const struct cli *cli, const json_t *record, int64_t since_ms)
{
    char elapsed[32];

    if (!cli->terminal || cli->json)
        return;
    cli_duration(elapsed, time_mono_ms() - since_ms);
    (void)fprintf(stderr, "\r\033[K%s, %s", json_str(record, "state") != NULL ? json_str(record, "state") : "waiting", elapsed);
}

static bool has_ended(const json_t *record)
{
    static const char *const open[] = { "queued", "starting", "running", "collecting" };
    const char *state = json_str(record, "state");

    for (size_t i = 0; state != NULL && i < sizeof open / sizeof *open; i++) {
        if (strcmp(state, open[i]) == 0)
            return false;
    }
    return true;
}

static int wait_for_end(struct cli *cli, const char *run_id, json_t **record)
{
    int64_t since_ms = time_mono_ms(), heard_ms = since_ms;
    struct buf path = { 0 };
    int code;

    buf_addf(&path, "/belfry/v1/runs/%s?wait_ms=%d", run_id, cli->terminal ? 1000 : 20000);
    for (;;) {
        struct cli_question q = { .method = "GET", .path = buf_str(&path), .quiet = true };

        code = cli_ask(cli, &q);
        *record = q.answer;
        if (code == CLI_NO_DAEMON && time_mono_ms() - heard_ms < AWAY_MAX_MS) {
            (void)usleep(500000);
            continue;
        }
        heard_ms = time_mono_ms();
        if (code != CLI_DONE || has_ended(*record))
            break;
        show_progress(cli, *record, since_ms);
        json_decref(*record);
    }
    if (cli->terminal && !cli->json)
        (void)fprintf(stderr, "\r\033[K");
    buf_close(&path);
    return code == CLI_DONE ? CLI_DONE : cli_fail(code, "run %s goes on, but the daemon does not tell of it", run_id);
}

int command_run(struct cli *cli)
{
    json_t *body, *answer = NULL, *record = NULL;
    int code = make_body(cli, &body);

    if (code == CLI_DONE)
        code = start(cli, body, &answer);
    json_decref(body);
    if (code != CLI_DONE)
        return code;
    if (cli_option(cli, "wait") == NULL) {
        if (cli->json)
            (void)cli_print_json(cli, answer);
        else
            (void)printf("%s\n", json_str(answer, "run_id"));
        json_decref(answer);
        return CLI_DONE;
    }
    code = wait_for_end(cli, json_str(answer, "run_id"), &record);
    if (code == CLI_DONE && cli->json)
        (void)cli_print_json(cli, record);
    else if (code == CLI_DONE)
        cli_print_record(cli, record);
    if (code == CLI_DONE && (json_str(record, "state") == NULL || strcmp(json_str(record, "state"), "completed") != 0))
        code = CLI_FAILED;
    json_decref(record);
    json_decref(answer);
    return code;
}
