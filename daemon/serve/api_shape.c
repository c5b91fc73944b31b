/* What a Control Room's things look like, made of Belfry's. Pure. Source: the vendor's API v1. */
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "belfry/base/time.h"

#define COMMAND_STEP "main"           /* what the one step of a run is called that is a command */

static void put_time_or_null(json_t *o, const char *name, int64_t wall_ms)
{
    (void)json_object_set_new(o, name, json_null());
    (void)json_put_time(o, name, wall_ms);
}

/* v1 has no word for a run that failed for good: it needs attention, as one whose work items failed does. A run that was
 * stopped has completed there. One that waits for its next try has begun. */
const char *shape_word(const struct run_record *run)
{
    switch (run->state) {
    case RUN_QUEUED: case RUN_STARTING: case RUN_RUNNING: case RUN_COLLECTING:
        return run_is_stopping(run) ? "stopping" : run->started_ms != 0 ? "in_progress" : "new";
    case RUN_COMPLETED: case RUN_CANCELED: case RUN_SKIPPED:
        return "completed";
    default:
        return "unresolved";
    }
}

#define OPEN (1u << RUN_QUEUED | 1u << RUN_STARTING | 1u << RUN_RUNNING | 1u << RUN_COLLECTING)

const struct run_filter *runs_of_word(const char *word)
{
    static const struct run_filter filters[] = {
        { "new", OPEN, 0, 0 },
        { "in_progress", OPEN, 0, 1 },
        { "stopping", OPEN, 1, -1 },
        { "completed", 1u << RUN_COMPLETED | 1u << RUN_CANCELED, -1, -1 },
        { "unresolved", 1u << RUN_FAILED | 1u << RUN_TIMED_OUT | 1u << RUN_LOST, -1, -1 },
        { NULL, ((1u << RUN_STATES) - 1) & ~(1u << RUN_SKIPPED), -1, -1 },   /* a firing that was skipped is no process run */
    };
    size_t i = 0;

    while (filters[i].word != NULL && (word == NULL || strcmp(filters[i].word, word) != 0))
        i++;
    return word == NULL || filters[i].word != NULL ? &filters[i] : NULL;
}

json_t *shape_process(const struct process_config *process)
{
    json_t *o = json_pack("{s:s}", "id", process->id);

    (void)json_put(o, "name", process->name);
    return o;
}

/* --- a run, as text: a list of them is what clients ask for most ------------------------------------------------- */

static void write_string(struct buf *out, const char *text)
{
    bool plain = true;
    json_t *value;
    char *quoted;

    for (const char *c = text; plain && *c != '\0'; c++)
        plain = *c >= ' ' && *c < 0x7f && *c != '"' && *c != '\\';
    if (plain) {
        buf_addc(out, '"');
        buf_adds(out, text);
        buf_addc(out, '"');
        return;
    }
    value = json_object();
    (void)json_put(value, "s", text);   /* what is not UTF-8 is made printable */
    quoted = json_dumps(json_object_get(value, "s"), JSON_ENCODE_ANY);
    buf_adds(out, quoted != NULL ? quoted : "\"\"");
    free(quoted);
    json_decref(value);
}

static void write_time(struct buf *out, int64_t wall_ms)
{
    char text[TIME_TEXT_SIZE];

    if (wall_ms == 0) {
        buf_adds(out, "null");
        return;
    }
    time_format(wall_ms, text);
    buf_addc(out, '"');
    buf_adds(out, text);
    buf_addc(out, '"');
}

static void write_duration(struct buf *out, const struct run_record *run)
{
    int64_t ms = run->ended_ms > run->started_ms ? run->ended_ms - run->started_ms : 0;

    if (run->started_ms == 0 || run->ended_ms == 0)
        buf_adds(out, "null");
    else
        buf_addf(out, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
}

static void write_starter(struct buf *out, const struct run_record *run)
{
    if (run->trigger_kind == TRIGGER_MANUAL) {
        buf_adds(out, "{\"type\":\"user\",\"details\":{\"id\":");
        write_string(out, run->trigger_name);
        buf_adds(out, ",\"first_name\":");
        write_string(out, run->trigger_name);
        buf_adds(out, ",\"last_name\":\"\"}}");
    } else {
        buf_addf(out, "{\"type\":\"%s\",\"details\":null}", run->trigger_kind == TRIGGER_SCHEDULE ? "schedule" : "api");
    }
}

void shape_run_text(struct buf *out, const struct run_record *run, const struct process_config *process)
{
    char id[ID_SIZE];

    if (process == NULL)   /* it is no longer configured */
        id_from_name("process", run->process, id);
    buf_adds(out, "{\"id\":\"");
    buf_adds(out, run->id);
    buf_adds(out, "\",\"state\":\"");
    buf_adds(out, shape_word(run));
    buf_adds(out, "\",\"created_at\":");
    write_time(out, run->accepted_ms);
    buf_adds(out, ",\"started_at\":");
    write_time(out, run->started_ms);
    buf_adds(out, ",\"ended_at\":");
    write_time(out, run_state_is_end(run->state) ? run->ended_ms : 0);
    buf_adds(out, ",\"process\":{\"id\":\"");
    buf_adds(out, process != NULL ? process->id : id);
    buf_adds(out, "\",\"name\":");
    write_string(out, run->process);
    buf_adds(out, "},\"started_by\":");
    write_starter(out, run);
    buf_adds(out, ",\"duration\":");
    write_duration(out, run);
    buf_addc(out, '}');
}

void shape_step_id(const char *process, const char *step, char id[ID_SIZE])
{
    struct buf name = { 0 };

    buf_addf(&name, "%s/%s", process, step);
    id_from_name("step", buf_str(&name), id);
    buf_close(&name);
}

const char *shape_first_step(const struct run_record *run, const struct process_config *process)
{
    return run->started_ms == 0 && process != NULL ? config_step_name(config_step(process, 0)) : COMMAND_STEP;
}

json_t *shape_step_run(const char *process, const struct step_record *run, bool awaiting)
{
    json_t *o = json_object();
    char id[ID_SIZE];

    (void)json_put(o, "id", run->id);
    (void)json_put(o, "state", awaiting ? "awaiting_worker" : step_state_name(run->state));
    (void)json_put_time(o, "state_updated_at", run->ended_ms != 0 ? run->ended_ms : run->started_ms != 0 ? run->started_ms : run->created_ms);
    (void)json_object_set_new(o, "error", json_null());
    if (run->error_code != NULL) {
        (void)json_object_set_new(o, "error", json_object());
        (void)json_put(json_object_get(o, "error"), "code", run->error_code);
    }
    put_time_or_null(o, "started_at", run->started_ms);
    put_time_or_null(o, "ended_at", run->ended_ms);
    (void)json_object_set_new(o, "duration", json_null());
    if (run->ended_ms != 0 && run->started_ms != 0)
        (void)json_object_set_new(o, "duration", json_real((double)(run->ended_ms - run->started_ms) / 1000));
    shape_step_id(process, run->name, id);
    (void)json_object_set_new(o, "step", json_pack("{s:s, s:s}", "id", id, "name", run->name));
    return o;
}

void artifact_id(const char *run_id, const char *path, char id[ID_SIZE])
{
    struct buf name = { 0 };

    buf_addf(&name, "%s/%s", run_id, path);
    id_from_name("artifact", buf_str(&name), id);
    buf_close(&name);
}

json_t *shape_artifact(const struct run_record *run, const json_t *artifact)
{
    const char *path = json_str(artifact, "path");
    json_t *o = json_object();
    char id[ID_SIZE];

    artifact_id(run->id, path != NULL ? path : "", id);
    (void)json_put(o, "id", id);
    (void)json_put(o, "name", json_str(artifact, "name"));
    (void)json_put_int(o, "size", json_int(artifact, "size", 0));
    return o;
}

/* --- a console's lines ---------------------------------------------------------------------------------------------- */

static bool is_inside(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* Where to cut at `most`, or before it when a character stands across that. Bytes that are no UTF-8 are cut anywhere. */
static size_t cut(const char *bytes, size_t most)
{
    size_t at = most;

    while (at > 0 && most - at < 3 && is_inside(bytes[at]))
        at--;
    return at > 0 && !is_inside(bytes[at]) ? at : most;
}

size_t shape_console_line(const char *bytes, size_t len, size_t most, bool last, size_t *line)
{
    const char *end = memchr(bytes, '\n', len <= most ? len : most + 1);

    if (end != NULL)
        *line = (size_t)(end - bytes);
    else if (len > most)
        *line = cut(bytes, most);
    else
        *line = last ? len : 0;
    return *line + (end != NULL);
}
