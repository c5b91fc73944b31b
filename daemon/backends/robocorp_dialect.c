/* What the dialects have in common is code in the other files; what tells them apart is here. */
#include <string.h>
#include <strings.h>

#include "belfry/base/time.h"
#include "belfry/config/config.h"
#include "robocorp_dialect.h"
#include "robocorp_internal.h"

const struct dialect dialects[] = {
    [ROBOCORP_V1] = {
        .key_header = "Authorization: RC-WSKEY ",
        .start_form = START_ITEMS_V1,
        .processes = "/processes?limit=100",
        .items_new = "/work-items?process_id={p}&state=new&limit=100",
        .item_create = "/work-items",
        .item = "/work-items/{w}",
        .item_file = "/work-items/{w}/files",
        .start = "/processes/{p}/process-runs",
        .runs = "/process-runs?limit=100",
        .runs_of = "/process-runs?process_id={p}&limit=100",
        .run = "/process-runs/{r}",
        .run_items = "/work-items?process_run_id={r}&limit=100",
        .run_failed = "/work-items?process_run_id={r}&state=failed&limit=10",
        .stop = "/process-runs/{r}/stop",
        .steps = "/step-runs?process_run_id={r}&limit=100",
        .artifacts = "/step-runs/{s}/artifacts?limit=100",
        .artifact = "/step-runs/{s}/artifacts/{a}",
        .console = "/step-runs/{s}/console-messages",
        .events = "/step-runs/{s}/events?limit=100",
        .outputs = "/outputs?process_run_id={r}&limit=100",
        .outputs_before = "/process-runs/{r}/outputs?limit=100",
        .started_id = "id",
        .run_process = "process.id",
        .run_created = "created_at",
        .run_ended = "ended_at",
        .item_run = "process_run.id",
        .item_created = "created_at",
        .item_step_run = "step_run.id",
        .file_form = "upload",
    },
    [ROBOCORP_PROCESS_V1] = {
        .key_header = "Authorization: RC-WSKEY ",
        .start_form = START_ITEMS_OLD,
        .processes = "/processes",
        .items_new = "/processes/{p}/work-items?includeData=true",
        .item_create = "/processes/{p}/work-items",
        .item = "/processes/{p}/work-items/{w}?includeData=true",
        .item_file = "/processes/{p}/work-items/{w}/files/upload",
        .start = "/processes/{p}/run-request",
        .runs = "/pruns?limit=500",
        .runs_of = "/processes/{p}/runs?limit=500",
        .run = "/processes/{p}/runs/{r}?embed=robotRuns",
        .run_items = "/processes/{p}/runs/{r}/work-items?includeData=true&sortBy=createTs&sortOrder=desc",
        .run_failed = "/processes/{p}/runs/{r}/work-items?includeData=false&sortBy=createTs&sortOrder=desc",
        .steps = "/processes/{p}/runs/{r}/robotRuns?limit=1000",
        .artifacts = "/processes/{p}/runs/{r}/robotRuns/{s}/artifacts",
        .artifact = "/processes/{p}/runs/{r}/robotRuns/{s}/artifacts/{a}/{n}",
        .console = "/processes/{p}/runs/{r}/robotRuns/{s}/messages?limit=100000",
        .events = "/processes/{p}/runs/{r}/robotRuns/{s}/events",
        .outputs = "/processes/{p}/runs/{r}/work-items?includeData=true&sortBy=createTs&sortOrder=desc",
        .started_id = "id",
        .run_process = "processId",
        .run_created = "createTs|createdTs|createTime",
        .run_ended = "endTs|endTime",
        .item_run = "processRunId",
        .item_created = "createTs",
        .item_step_run = "activityRunId",
    },
    [ROBOCORP_PROCESS_SECRET] = {
        .key_header = "robocloud-process-secret: ",
        .start_form = START_PAYLOAD,
        .start = "/processes/{p}/runs",
        .run = "/processes/{p}/runs/{r}",
        .steps = "/processes/{p}/runs/{r}/robotRuns",
        .artifacts = "/processes/{p}/runs/{r}/robotRuns/{s}/artifacts",
        .artifact = "/processes/{p}/runs/{r}/robotRuns/{s}/artifacts/{a}/{n}",
        .started_id = "processRunId|id",
        .run_process = "processId",
        .run_created = "createTs",
        .run_ended = "endTs",
    },
};

void dialect_path(struct buf *path, const char *route, const struct path_words *words)
{
    for (const char *c = route; *c != '\0'; c++) {
        const char *word = NULL;

        if (*c != '{') {
            buf_addc(path, *c);
            continue;
        }
        switch (c[1]) {
        case 'p': word = words->process; break;
        case 'r': word = words->run; break;
        case 's': word = words->step; break;
        case 'a': word = words->artifact; break;
        case 'n': word = words->name; break;
        case 'w': word = words->item; break;
        }
        robocorp_percent(path, word != NULL ? word : "");
        c += 2;
    }
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* One name without '|'. */
static json_t *walk(const json_t *object, const char *name, size_t len)
{
    while (len > 0) {
        const char *dot = memchr(name, '.', len);
        size_t part = dot != NULL ? (size_t)(dot - name) : len;

        object = json_object_getn(object, name, part);
        name += part + (dot != NULL ? 1 : 0);
        len -= part + (dot != NULL ? 1 : 0);
    }
    return (json_t *)(uintptr_t)object;
}

json_t *dialect_member(const json_t *object, const char *name)
{
    while (name != NULL && *name != '\0') {
        size_t len = strcspn(name, "|");
        json_t *value = walk(object, name, len);

        if (value != NULL && !json_is_null(value))
            return value;
        name += len + (name[len] == '|' ? 1 : 0);
    }
    return NULL;
}

const char *dialect_text(const json_t *object, const char *name)
{
    return json_string_value(dialect_member(object, name));
}

static int64_t time_of(const json_t *object, const char *name)
{
    const char *text = dialect_text(object, name);
    int64_t ms;

    return text != NULL && time_parse(text, &ms) == 0 ? ms : 0;
}

static bool is_one_of(const char *word, const char *const words[])
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcasecmp(word, words[i]) == 0)
            return true;
    }
    return false;
}

/* The older APIs say COMPL for every end and put its kind into `result`; PENDING is a run whose items failed, and PEND
 * (of the oldest) one that waits. */
static enum room_state meaning_of(const char *state, const char *result)
{
    static const char *const good[] = { "completed", "compl", NULL };
    static const char *const unresolved[] = { "unresolved", "pending", NULL };
    static const char *const bad_results[] = { "error", "err", "timeout", "failed", "unresolved", NULL };

    if (is_one_of(state, unresolved))
        return ROOM_UNRESOLVED;
    if (!is_one_of(state, good))
        return ROOM_OPEN;
    return result != NULL && is_one_of(result, bad_results) ? ROOM_UNRESOLVED : ROOM_COMPLETED;
}

bool dialect_run(const struct dialect *d, const json_t *object, struct room_run *run)
{
    *run = (struct room_run) { .id = dialect_text(object, "id|processRunId"), .state = json_str(object, "state"),
        .process = dialect_text(object, d->run_process), .created_ms = time_of(object, d->run_created),
        .ended_ms = time_of(object, d->run_ended) };
    if (run->id == NULL || run->state == NULL)
        return false;
    run->meaning = meaning_of(run->state, json_str(object, "result"));
    return true;
}

bool dialect_is_output(const struct dialect *d, const json_t *item, const json_t *inputs)
{
    const char *id = json_str(item, "id");
    const json_t *input;
    size_t i;

    if (d->start_form == START_ITEMS_V1)
        return true;   /* it has a list of them */
    json_array_foreach(inputs, i, input) {
        if (id != NULL && json_is_string(input) && strcmp(json_string_value(input), id) == 0)
            return false;
    }
    return dialect_text(item, d->item_step_run) == NULL;
}

/* --- bodies ------------------------------------------------------------------------------------------------------- */

json_t *dialect_item_body(const struct dialect *d, const char *process, json_t *payload)
{
    if (d->start_form == START_ITEMS_V1)
        return json_pack("{s:{s:s}, s:O}", "process", "id", process, "payload", payload);
    return json_pack("{s:O}", "payload", payload);
}

json_t *dialect_file_body(const struct dialect *d, const char *name, int64_t size)
{
    bool v1 = d->start_form == START_ITEMS_V1;

    return json_pack("{s:s, s:I}", v1 ? "file_name" : "fileName", name, v1 ? "file_size" : "fileSize", (json_int_t)size);
}

json_t *dialect_start_body(const struct dialect *d, json_t *items, json_t *payloads, const char *callback_url, const char *secret)
{
    json_t *body;

    switch (d->start_form) {
    case START_ITEMS_V1:
        body = json_pack("{s:s, s:O}", "type", "with_work_item_ids", "work_item_ids", items);
        if (callback_url != NULL)
            (void)json_object_set_new(body, "callback", json_pack("{s:s, s:s, s:[s, s]}", "url", callback_url, "secret", secret,
                                                                  "callback_events", "completed", "unresolved"));
        return body;
    case START_ITEMS_OLD:
        return json_pack("{s:s, s:O}", "type", "workItemIds", "workItemIds", items);
    default:
        return json_incref(json_array_get(payloads, 0));
    }
}
