/* How texts, times and records look. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "cli.h"

#define LABEL_WIDTH 11

int cli_print_json(const struct cli *cli, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | (cli->terminal ? JSON_INDENT(2) : JSON_COMPACT));

    if (text == NULL)
        return cli_fail(CLI_FAILED, "out of memory");
    (void)puts(text);
    free(text);
    return CLI_DONE;
}

void cli_text(struct buf *out, const char *text)
{
    const char *line = text != NULL ? text : "";

    /* Line breaks stay; all other control characters are shown, not obeyed. */
    for (;;) {
        size_t len = strcspn(line, "\n");

        text_printable(line, len, out);
        if (line[len] == '\0')
            return;
        buf_addc(out, '\n');
        line += len + 1;
    }
}

void cli_time(char out[32], const char *rfc3339, int64_t now_ms)
{
    int64_t wall_ms;
    struct tm then, today;
    time_t s, now_s = (time_t)(now_ms / 1000);

    if (rfc3339 == NULL || time_parse(rfc3339, &wall_ms) != 0) {
        (void)snprintf(out, 32, "-");
        return;
    }
    s = (time_t)(wall_ms / 1000);
    (void)localtime_r(&s, &then);
    (void)localtime_r(&now_s, &today);
    (void)strftime(out, 32, then.tm_year == today.tm_year && then.tm_yday == today.tm_yday ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &then);
}

void cli_duration(char out[32], int64_t ms)
{
    long long s = (long long)(ms / 1000);

    if (ms < 1000)
        (void)snprintf(out, 32, "%lld ms", (long long)ms);
    else if (s < 60)
        (void)snprintf(out, 32, "%lld.%lld s", s, (long long)(ms % 1000 / 100));
    else if (s < 3600)
        (void)snprintf(out, 32, "%lld min %lld s", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(out, 32, "%lld h %lld min", s / 3600, s % 3600 / 60);
    else
        (void)snprintf(out, 32, "%lld d %lld h", s / 86400, s % 86400 / 3600);
}

const char *cli_color_of_state(const struct cli *cli, const char *state)
{
    static const struct {
        const char *state, *color;
    } colors[] = {
        { "completed", "\033[32m" }, { "failed", "\033[31m" }, { "timed_out", "\033[31m" }, { "lost", "\033[31m" },
        { "running", "\033[36m" }, { "collecting", "\033[36m" }, { "starting", "\033[36m" }, { "queued", "\033[33m" },
        { "canceled", "\033[2m" }, { "skipped", "\033[2m" },
    };

    for (size_t i = 0; cli->color && state != NULL && i < sizeof colors / sizeof *colors; i++) {
        if (strcmp(colors[i].state, state) == 0)
            return colors[i].color;
    }
    return "";
}

void cli_label(const struct cli *cli, const char *label, const char *format, ...)
{
    struct buf text = { 0 }, shown = { 0 };
    va_list ap;

    va_start(ap, format);
    buf_vaddf(&text, format, ap);
    va_end(ap);
    text_printable(buf_str(&text), text.len, &shown);   /* in one line: what comes from outside looks like none of ours */
    (void)printf("%s%-*s%s %s\n", cli->color ? "\033[1m" : "", LABEL_WIDTH, label, cli->color ? "\033[0m" : "", buf_str(&shown));
    buf_close(&text);
    buf_close(&shown);
}

/* --- a record ----------------------------------------------------------------------------------------------------- */

static void print_times(const struct cli *cli, const json_t *record)
{
    static const char *const names[] = { "accepted", "due", "started", "ended" };
    int64_t now_ms = time_wall_ms(), then_ms;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *when = json_str(record, names[i]);
        char shown[32], ago[32];

        if (when == NULL || time_parse(when, &then_ms) != 0)
            continue;
        cli_time(shown, when, now_ms);
        cli_duration(ago, now_ms > then_ms ? now_ms - then_ms : 0);
        cli_label(cli, names[i], "%s (%s ago)", shown, ago);
    }
    if (json_object_get(record, "duration_ms") != NULL) {
        char shown[32];

        cli_duration(shown, json_int(record, "duration_ms", 0));
        cli_label(cli, "duration", "%s", shown);
    }
}

static void print_state(const struct cli *cli, const json_t *record)
{
    const char *state = json_str(record, "state"), *color = cli_color_of_state(cli, state);
    const char *word = json_str(record, "backend_state");
    struct buf shown = { 0 };

    cli_text(&shown, word);
    (void)printf("%s%-*s%s %s%s%s", cli->color ? "\033[1m" : "", LABEL_WIDTH, "state", cli->color ? "\033[0m" : "", color,
                 state != NULL ? state : "-", color[0] != '\0' ? "\033[0m" : "");
    if (word != NULL)
        (void)printf(" (%s)", buf_str(&shown));
    (void)putchar('\n');
    buf_close(&shown);
}

/* Of a run that has more than one. */
static void print_steps(const struct cli *cli, const json_t *record)
{
    const json_t *steps = json_object_get(record, "steps"), *step;
    size_t i;

    if (json_array_size(steps) < 2)
        return;
    json_array_foreach(steps, i, step) {
        const char *name = json_str(step, "name"), *state = json_str(step, "state"), *why = json_str(json_object_get(step, "error"), "message");
        int64_t started_ms = 0, ended_ms = 0;
        char took[32] = "";

        if (json_str(step, "started") != NULL && json_str(step, "ended") != NULL && time_parse(json_str(step, "started"), &started_ms) == 0 &&
            time_parse(json_str(step, "ended"), &ended_ms) == 0)
            cli_duration(took, ended_ms > started_ms ? ended_ms - started_ms : 0);
        cli_label(cli, i == 0 ? "steps" : "", "%s %s%s%s%s%s", name != NULL ? name : "-", state != NULL ? state : "-", took[0] != '\0' ? ", " : "",
                  took, why != NULL ? ": " : "", why != NULL ? why : "");
    }
}

static void print_artifacts(const struct cli *cli, const json_t *record)
{
    const json_t *artifact;
    size_t i;

    json_array_foreach(json_object_get(record, "artifacts"), i, artifact) {
        cli_label(cli, i == 0 ? "artifacts" : "", "%s (%lld bytes)", json_str(artifact, "path") != NULL ? json_str(artifact, "path")
                  : json_str(artifact, "name"), (long long)json_int(artifact, "size", 0));
    }
}

void cli_print_record(const struct cli *cli, const json_t *record)
{
    const json_t *trigger = json_object_get(record, "trigger"), *remote = json_object_get(record, "remote");
    const json_t *error = json_object_get(record, "error"), *note;
    size_t i;

    cli_label(cli, "run", "%s", json_str(record, "id"));
    cli_label(cli, "process", "%s (workspace %s, %s)", json_str(record, "process"), json_str(record, "workspace"),
              json_str(record, "backend"));
    cli_label(cli, "rung by", "%s/%s", json_str(trigger, "kind"), json_str(trigger, "name"));
    print_state(cli, record);
    if (error != NULL)
        cli_label(cli, "error", "%s: %s", json_str(error, "code"), json_str(error, "message") != NULL ? json_str(error, "message") : "");
    if (json_str(record, "reason") != NULL)
        cli_label(cli, "reason", "%s", json_str(record, "reason"));
    if (json_flag(record, "unconfirmed", false))
        cli_label(cli, "unconfirmed", "its start got no answer, and goes on being looked for");
    if (remote != NULL)
        cli_label(cli, "remote", "%s %s", json_str(remote, "run_id"), json_str(remote, "url") != NULL ? json_str(remote, "url") : "");
    if (json_int(record, "attempt", 0) > 1)
        cli_label(cli, "attempt", "%lld", (long long)json_int(record, "attempt", 0));
    print_times(cli, record);
    if (json_object_get(record, "exit_code") != NULL)
        cli_label(cli, "exit code", "%lld", (long long)json_int(record, "exit_code", 0));
    print_steps(cli, record);
    print_artifacts(cli, record);
    json_array_foreach(json_object_get(record, "notes"), i, note)
        cli_label(cli, i == 0 ? "notes" : "", "%s", json_string_value(note));
    if (json_int(record, "revision", 1) > 1)
        cli_label(cli, "revision", "%lld", (long long)json_int(record, "revision", 1));
    if (json_str(record, "results") != NULL)
        cli_label(cli, "results", "%s", json_str(record, "results"));
}
