/*
 * A start: the work items first, then their files, then the start itself with the items' ids, on a connection of its own.
 * What is needed to find the start again is on disk before it is sent: the memo {"process": id, "items": [id …],
 * "start": true, …}. The oldest API has no work items: there the payload is the start.
 *
 *   begin ─▶ look at items of an earlier attempt ─▶ process id ─▶ memo ─▶ create items ─▶ memo ─▶ files ─▶ memo ─▶ start
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/time.h"
#include "belfry/core/pace.h"
#include "robocorp_start.h"

#define DENIED_BASE_MS 5000
#define DENIED_CAP_MS 600000
#define DENIED_PROBE_MS 30000
#define REFUSED_TRIES 3         /* a start that is refused after one that got no answer is looked for so often */

static void starting_free(struct starting *s)
{
    TAILQ_REMOVE(&s->b->startings, s, link);
    ask_close(&s->ask);
    pages_close(&s->pages);
    free(s->process_name);
    free(s->process_id);
    memo_close(&s->memo);
    json_decref(s->payloads);
    json_decref(s->made_before);
    json_decref(s->files);
    json_decref(s->there);
    json_decref(s->upload_answer);
    free(s->upload_path);
    free(s->form);
    free(s);
}

static const struct backend_reports *reports(const struct starting *s)
{
    return s->b->base.reports;
}

void start_not_done(struct starting *s, const struct error *why, bool again, int64_t retry_after_ms)
{
    if (!s->b->closing)
        reports(s)->not_started(reports(s)->data, s->run_id, why, again, retry_after_ms);
    starting_free(s);
}

/* A key that is not accepted pauses all starts of the workspace. */
void start_give_up(struct starting *s, const struct ask *ask)
{
    struct error why = ask->error;
    int64_t wait_ms = ask->retry_after_ms;
    uint64_t dice;

    if (ask->outcome == ASKED_DENIED) {
        id_random(&dice, sizeof dice);
        wait_ms = pace_backoff(DENIED_BASE_MS, DENIED_CAP_MS, ++s->b->denials, dice);
        s->b->denied_until_ms = time_mono_ms() + wait_ms;
    }
    start_not_done(s, &why, ask->outcome != ASKED_REFUSED, wait_ms);
}

/* --- a pause ------------------------------------------------------------------------------------------------------ */

static void tell_paused(void *data)
{
    struct starting *s = data;
    struct robocorp *b = s->b;
    int64_t wait_ms = b->denied_until_ms - time_mono_ms();
    struct error why;

    error_set(&why, BF_EAGAIN, "starts of workspace %s wait: %s", b->set->name, b->trouble);
    start_not_done(s, &why, true, wait_ms > 0 ? wait_ms : 0);
    robocorp_done(b);
}

/* True when starts pause; the first that comes after the pause is the one that tries. */
static bool is_paused(struct robocorp *b)
{
    int64_t now_ms = time_mono_ms();

    if (b->denials == 0)
        return false;
    if (now_ms < b->denied_until_ms)
        return true;
    b->denied_until_ms = now_ms + DENIED_PROBE_MS;
    return false;
}

static void unknown(struct starting *s, const struct error *why)
{
    reports(s)->start_unknown(reports(s)->data, s->run_id, why);
    starting_free(s);
}

/* --- the start itself --------------------------------------------------------------------------------------------- */

static void start_answered(struct ask *ask)
{
    struct starting *s = ask->data;
    const json_t *started = json_object_get(ask->answer, "started");
    const char *id;

    if (ask->outcome == ASKED_GOOD && json_is_false(started)) {
        error_set(&ask->error, BF_EPROTO, "the Control Room answered that it started nothing");
        start_not_done(s, &ask->error, false, 0);
        return;
    }
    id = ask->outcome == ASKED_GOOD ? dialect_text(ask->answer, s->b->dialect->started_id) : NULL;
    if (ask->outcome == ASKED_GOOD && (id == NULL || id[0] == '\0')) {
        ask->outcome = ASKED_UNKNOWN;
        error_set(&ask->error, BF_EPROTO, "POST %s: the answer names no process run", buf_str(&ask->url));
    }
    if (ask->outcome == ASKED_GOOD) {
        s->b->denials = 0;
        reports(s)->started(reports(s)->data, s->run_id, id, NULL, "new", 0);
        starting_free(s);
        return;
    }
    /* Refused, where an earlier attempt may have been taken: it may be just that which is in the way. */
    if (ask->outcome == ASKED_UNKNOWN || (ask->outcome == ASKED_REFUSED && s->was_sent && s->attempt <= REFUSED_TRIES)) {
        unknown(s, &ask->error);
        return;
    }
    if (ask->status == 404 && s->process_name != NULL) {
        /* The process may have been made anew under its name. */
        process_forget_id(s->b, s->process_name);
        start_not_done(s, &ask->error, true, 0);
        return;
    }
    start_give_up(s, ask);
}

static void send_start(struct starting *s)
{
    const struct dialect *d = s->b->dialect;
    const char *base = s->b->set->callback_url;
    struct buf url = { 0 };
    char secret[65] = "";

    if (base != NULL) {
        buf_addf(&url, "%s%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/", s->run_id);
        reports(s)->callback_secret(reports(s)->data, s->run_id, secret);
    }
    ask_close(&s->ask);
    ask_route(s->b, &s->ask, "POST", d->start, &(struct path_words) { .process = s->memo.process },
              dialect_start_body(d, s->memo.items, s->payloads, base != NULL ? buf_str(&url) : NULL, secret), 1, true, start_answered, s);
    explicit_bzero(secret, sizeof secret);
    buf_close(&url);
}

/* --- the memo ----------------------------------------------------------------------------------------------------- */

static void go_on(struct starting *s)
{
    if (s->memo.start)
        send_start(s);
    else if (items_complete(s))
        upload_files(s);
    else
        items_make(s);
}

static void memo_written(void *data, int status)
{
    struct starting *s = data;
    struct robocorp *b = s->b;

    if (status != 0 || b->closing)
        starting_free(s);
    else
        go_on(s);
    robocorp_done(b);
}

void start_write_memo(struct starting *s)
{
    char *text = memo_text(&s->memo);

    robocorp_begin(s->b);
    reports(s)->write_memo(reports(s)->data, s->run_id, text, memo_written, s);
    free(text);
}

/* --- the way in --------------------------------------------------------------------------------------------------- */

/* The oldest API starts with the payload itself: one, and no files. */
static void start_with_payload(struct starting *s)
{
    struct error why;

    if (json_array_size(s->payloads) != 1 || json_array_size(s->files) > 0) {
        error_set(&why, BF_ENOTSUP, "api = process-secret takes one work item without files a run: %zu payloads and %zu files cannot"
                  " be handed over (give one payload, and attach = no)", json_array_size(s->payloads), json_array_size(s->files));
        start_not_done(s, &why, false, 0);
        return;
    }
    s->memo.start = true;
    start_write_memo(s);
}

/* One place for each payload, null as long as its item is not made. */
static void empty_items(struct starting *s)
{
    (void)json_array_clear(s->memo.items);
    for (size_t i = 0; i < json_array_size(s->payloads); i++)
        (void)json_array_append_new(s->memo.items, json_null());
}

static void process_known(void *data, const char *id, const struct ask *why)
{
    struct starting *s = data;

    if (id == NULL) {
        start_give_up(s, why);
        return;
    }
    if (s->memo.process != NULL && strcmp(s->memo.process, id) != 0)
        empty_items(s);   /* made anew under its name: the items were of the one that is gone */
    free(s->memo.process);
    s->memo.process = strdup(id);
    if (s->memo.process == NULL)
        abort();
    if (s->b->dialect->item_create == NULL)
        start_with_payload(s);
    else
        go_on(s);
}

/* Lookups read the configuration at once; what comes later goes by the copies in `s`. */
static void find_process(struct starting *s)
{
    struct process_config process = { .process_id = s->process_id, .process_name = s->process_name };

    process_find_id(s->b, &process, process_known, s);
}

static void earlier_seen(struct ask *ask)
{
    struct starting *s = ask->data;
    const char *id = dialect_text(ask->answer, s->b->dialect->item_run), *state = json_str(ask->answer, "state");

    if (ask->outcome == ASKED_GOOD && id != NULL) {
        reports(s)->started(reports(s)->data, s->run_id, id, NULL, NULL, 0);
        starting_free(s);
        return;
    }
    if (ask->outcome == ASKED_GOOD && s->was_sent && state != NULL && strcasecmp(state, "new") != 0) {
        error_set(&ask->error, BF_EAGAIN, "its work item is %s already, and does not tell in which run", state);
        unknown(s, &ask->error);
        return;
    }
    if (ask->outcome == ASKED_GOOD) {
        s->there = json_incref(json_object_get(ask->answer, "files"));
    } else if (ask->status == 404) {
        empty_items(s);
    } else {
        start_give_up(s, ask);
        return;
    }
    find_process(s);
}

static void look_at_earlier(struct starting *s)
{
    ask_route(s->b, &s->ask, "GET", s->b->dialect->item,
              &(struct path_words) { .process = s->memo.process, .item = json_string_value(json_array_get(s->memo.items, 0)) }, NULL,
              START_TRIES, false, earlier_seen, s);
}

static json_t *files_of(const json_t *event)
{
    json_t *files = json_object_get(event, "files"), *file = json_object_get(event, "file");

    if (!json_flag(event, "attach", true))
        return json_array();
    if (json_is_array(files))
        return json_incref(files);
    return json_is_object(file) ? json_pack("[O]", file) : json_array();
}

void robocorp_start(struct backend *base, const struct run_record *run, const struct process_config *process,
                    const json_t *event, const json_t *input)
{
    struct starting *s = calloc(1, sizeof *s);
    bool goes_by_name = process->process_id == NULL;

    if (s == NULL)
        abort();
    s->b = (struct robocorp *)base;
    TAILQ_INSERT_TAIL(&s->b->startings, s, link);
    memcpy(s->run_id, run->id, sizeof s->run_id);
    s->attempt = run->attempt;
    *(goes_by_name ? &s->process_name : &s->process_id) = strdup(goes_by_name ? process->process_name : process->process_id);
    s->payloads = json_array_size(input) > 0 ? json_copy((json_t *)(uintptr_t)input) : json_pack("[{}]");
    s->files = files_of(event);
    memo_read(&s->memo, run->memo);
    s->was_sent = s->memo.start;
    s->memo.start = false;
    if (is_paused(s->b)) {
        robocorp_begin(s->b);
        later_do(&s->b->later, tell_paused, s);
    } else if (s->b->dialect->item != NULL && json_array_size(s->memo.items) == json_array_size(s->payloads)) {
        look_at_earlier(s);
    } else {
        empty_items(s);
        find_process(s);
    }
}
