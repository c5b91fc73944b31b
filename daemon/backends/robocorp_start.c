/*
 * A start: the work items first, then their files, then the start itself with the items' ids, on a connection of its own.
 * What is needed to find the start again is on disk before it is sent: the memo {"process": id, "items": [id …],
 * "start": true}. The oldest API has no work items: there the payload is the start.
 *
 *   begin ─▶ look at items of an earlier attempt ─▶ process id ─▶ create items ─▶ memo ─▶ files ─▶ memo ─▶ start
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "belfry/base/time.h"
#include "belfry/core/pace.h"
#include "robocorp_internal.h"

#define TRIES 3
#define DENIED_BASE_MS 5000
#define DENIED_CAP_MS 600000
#define DENIED_PROBE_MS 30000

struct starting {
    struct robocorp *b;
    struct ask ask;
    char run_id[ID_SIZE];
    char *process_name;       /* when it goes by name */
    char *process_id;
    char *memo_process;       /* that of an earlier attempt */
    json_t *payloads;
    json_t *items;            /* ids, as far as they are made */
    json_t *files;            /* that travel with the first item */
    json_t *there;            /* those that it has already */
    size_t next_file;
    bool ready;               /* the memo says so: the start may be sent */
    struct transfer upload;
    char *upload_path;
    struct http_form_field *form;
    size_t form_count;
    json_t *upload_answer;    /* the form's texts lie in it */
};

static void starting_free(struct starting *s)
{
    ask_close(&s->ask);
    free(s->process_name);
    free(s->process_id);
    free(s->memo_process);
    json_decref(s->payloads);
    json_decref(s->items);
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

static void not_started(struct starting *s, const struct error *why, bool again, int64_t retry_after_ms)
{
    if (!s->b->closing)
        reports(s)->not_started(reports(s)->data, s->run_id, why, again, retry_after_ms);
    starting_free(s);
}

/* A request before the start went wrong, or the start was refused: surely nothing runs. A key that is not accepted pauses all
 * starts of the workspace. */
static void give_up(struct starting *s, const struct ask *ask)
{
    struct error why = ask->error;
    int64_t wait_ms = ask->retry_after_ms;
    uint64_t dice;

    if (ask->outcome == ASKED_DENIED) {
        id_random(&dice, sizeof dice);
        wait_ms = pace_backoff(DENIED_BASE_MS, DENIED_CAP_MS, ++s->b->denials, dice);
        s->b->denied_until_ms = time_mono_ms() + wait_ms;
    }
    not_started(s, &why, ask->outcome != ASKED_REFUSED, wait_ms);
}

/* --- a pause ------------------------------------------------------------------------------------------------------ */

static void tell_paused(void *data)
{
    struct starting *s = data;
    struct robocorp *b = s->b;
    int64_t wait_ms = b->denied_until_ms - time_mono_ms();
    struct error why;

    error_set(&why, BF_EAGAIN, "starts of workspace %s wait: %s", b->set->name, b->trouble);
    not_started(s, &why, true, wait_ms > 0 ? wait_ms : 0);
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

/* --- the start itself --------------------------------------------------------------------------------------------- */

static void start_answered(struct ask *ask)
{
    struct starting *s = ask->data;
    const json_t *started = json_object_get(ask->answer, "started");
    const char *id;

    if (ask->outcome == ASKED_GOOD && json_is_false(started)) {
        error_set(&ask->error, BF_EPROTO, "the Control Room answered that it started nothing");
        not_started(s, &ask->error, false, 0);
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
    if (ask->outcome == ASKED_UNKNOWN) {
        reports(s)->start_unknown(reports(s)->data, s->run_id, &ask->error);
        starting_free(s);
        return;
    }
    if (ask->status == 404 && s->process_name != NULL) {
        /* The process may have been made anew under its name. */
        process_forget_id(s->b, s->process_name);
        not_started(s, &ask->error, true, 0);
        return;
    }
    give_up(s, ask);
}

static void send_start(struct starting *s)
{
    const struct dialect *d = s->b->dialect;

    ask_close(&s->ask);
    ask_route(s->b, &s->ask, "POST", d->start, &(struct path_words) { .process = s->process_id },
              dialect_start_body(d, s->items, s->payloads), 1, true, start_answered, s);
}

/* --- the memo ----------------------------------------------------------------------------------------------------- */

static void next_file(struct starting *s);

static void memo_written(void *data, int status)
{
    struct starting *s = data;
    struct robocorp *b = s->b;

    if (status != 0 || b->closing)
        starting_free(s);
    else if (s->ready)
        send_start(s);
    else
        next_file(s);
    robocorp_done(b);
}

static void write_memo(struct starting *s)
{
    json_t *memo = json_pack("{s:s, s:O, s:b}", "process", s->process_id, "items", s->items, "start", (int)s->ready);
    char *text = json_text(memo);

    json_decref(memo);
    if (text == NULL)
        abort();
    robocorp_begin(s->b);
    reports(s)->write_memo(reports(s)->data, s->run_id, text, memo_written, s);
    free(text);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void uploaded(struct http_request *request, int status)
{
    struct starting *s = request->data;
    struct robocorp *b = s->b;
    struct error why;

    transfer_over(b, &s->upload);
    if (status == 0 && request->http_status >= 200 && request->http_status < 300) {
        s->next_file++;
        next_file(s);
    } else {
        if (status == 0)
            error_set(&why, BF_ENET, "the upload of %s was answered %ld", s->upload_path, request->http_status);
        else
            why = request->error;
        not_started(s, &why, true, request->retry_after_ms > 0 ? request->retry_after_ms : 0);
    }
    robocorp_done(b);
}

/* {"upload": {"url", "form_data"}}, or flat, as older servers have it. */
static bool read_form(struct starting *s, const char **url)
{
    const json_t *upload = json_object_get(s->upload_answer, "upload");
    json_t *fields, *value;
    const char *name;
    size_t n = 0;

    if (!json_is_object(upload))
        upload = s->upload_answer;
    *url = ask_string(&s->ask, upload, "url");
    if (*url == NULL)
        return false;
    fields = json_object_get(upload, "form_data");
    if (fields == NULL)
        fields = json_object_get(upload, "fields");
    if (!robocorp_may_transfer(s->ask.access, *url)) {
        error_set(&s->ask.error, BF_EPROTO, "the link for the upload is neither https nor the Control Room's own: it is not used");
        return false;
    }
    free(s->form);
    s->form = calloc(json_object_size(fields) + 1, sizeof *s->form);
    if (s->form == NULL)
        abort();
    json_object_foreach(fields, name, value) {
        if (!json_is_string(value)) {
            error_set(&s->ask.error, BF_EPROTO, "a field of the upload's form is no text");
            return false;
        }
        s->form[n++] = (struct http_form_field) { name, json_string_value(value) };
    }
    s->form_count = n;
    return true;
}

static void file_made(struct ask *ask)
{
    struct starting *s = ask->data;
    const json_t *file = json_array_get(s->files, s->next_file);
    const char *url;

    if (ask->outcome != ASKED_GOOD) {
        give_up(s, ask);
        return;
    }
    json_decref(s->upload_answer);
    s->upload_answer = json_incref(ask->answer);
    if (!read_form(s, &url)) {
        not_started(s, &ask->error, true, 0);
        return;
    }
    free(s->upload_path);
    s->upload_path = strdup(json_str(file, "path"));
    s->upload.request = (struct http_request) { .method = "POST", .url = url, .form = s->form, .form_count = s->form_count,
        .upload_path = s->upload_path, .upload_name = json_str(file, "name"), .timeout_ms = -1, .once = true,
        .ca_file = s->ask.access->ca_file, .proxy = s->ask.access->proxy, .cb = uploaded, .data = s };
    robocorp_begin(s->b);
    transfer_send(s->b, &s->upload);
}

static bool is_there(const struct starting *s, const char *name, int64_t size)
{
    const json_t *one;
    size_t i;

    json_array_foreach(s->there, i, one) {
        const char *is = dialect_text(one, "name|fileName");
        const json_t *bytes = dialect_member(one, "size|fileSize");

        if (is != NULL && strcmp(is, name) == 0 && json_is_number(bytes) && json_number_value(bytes) == (double)size)
            return true;
    }
    return false;
}

static void next_file(struct starting *s)
{
    const struct dialect *d = s->b->dialect;
    const json_t *file;
    struct error why;
    struct stat st;

    for (; (file = json_array_get(s->files, s->next_file)) != NULL; s->next_file++) {
        if (stat(json_str(file, "path"), &st) != 0) {
            error_errno(&why, errno, "the file %s cannot travel with the run", json_str(file, "path"));
            not_started(s, &why, false, 0);
            return;
        }
        if (!is_there(s, json_str(file, "name"), st.st_size))
            break;
    }
    if (file == NULL) {
        s->ready = true;
        write_memo(s);
        return;
    }
    ask_close(&s->ask);
    ask_route(s->b, &s->ask, "POST", d->item_file,
              &(struct path_words) { .process = s->process_id, .item = json_string_value(json_array_get(s->items, 0)) },
              dialect_file_body(d, json_str(file, "name"), st.st_size), 1, true, file_made, s);
}

/* --- work items --------------------------------------------------------------------------------------------------- */

static void next_item(struct starting *s);

static void item_made(struct ask *ask)
{
    struct starting *s = ask->data;
    const char *id;

    if (ask->outcome != ASKED_GOOD || (id = ask_string(ask, ask->answer, "id")) == NULL) {
        /* An item that was made all the same starts nothing: it lies in the process's input. */
        give_up(s, ask);
        return;
    }
    (void)json_array_append_new(s->items, json_string(id));
    next_item(s);
}

static void next_item(struct starting *s)
{
    const struct dialect *d = s->b->dialect;
    json_t *payload = json_array_get(s->payloads, json_array_size(s->items));

    if (payload == NULL) {
        write_memo(s);
        return;
    }
    ask_close(&s->ask);
    ask_route(s->b, &s->ask, "POST", d->item_create, &(struct path_words) { .process = s->process_id },
              dialect_item_body(d, s->process_id, payload), 1, true, item_made, s);
}

/* The oldest API starts with the payload itself: one, and no files. */
static void start_with_payload(struct starting *s)
{
    struct error why;

    if (json_array_size(s->payloads) != 1 || json_array_size(s->files) > 0) {
        error_set(&why, BF_ENOTSUP, "api = process-secret takes one work item without files a run: %zu payloads and %zu files cannot"
                  " be handed over (give one payload, and attach = no)", json_array_size(s->payloads), json_array_size(s->files));
        not_started(s, &why, false, 0);
        return;
    }
    s->ready = true;
    write_memo(s);
}

static void process_known(void *data, const char *id, const struct ask *why)
{
    struct starting *s = data;

    if (id == NULL) {
        give_up(s, why);
        return;
    }
    s->process_id = strdup(id);
    if (s->process_id == NULL)
        abort();
    if (s->b->dialect->item_create == NULL)
        start_with_payload(s);
    else if (json_array_size(s->items) > 0)
        next_file(s);
    else
        next_item(s);
}

/* --- the way in --------------------------------------------------------------------------------------------------- */

/* Lookups read the configuration at once; what comes later goes by the copies in `s`. */
static void find_process(struct starting *s)
{
    struct process_config process = { .process_id = s->process_name == NULL ? s->process_id : NULL,
        .process_name = s->process_name };
    char *id = s->process_id;

    s->process_id = NULL;
    process_find_id(s->b, &process, process_known, s);
    free(id);
}

static void earlier_seen(struct ask *ask)
{
    struct starting *s = ask->data;
    const char *id = dialect_text(ask->answer, s->b->dialect->item_run);

    if (ask->outcome == ASKED_GOOD && id != NULL) {
        reports(s)->started(reports(s)->data, s->run_id, id, NULL, NULL, 0);
        starting_free(s);
        return;
    }
    if (ask->outcome == ASKED_GOOD) {
        s->there = json_incref(json_object_get(ask->answer, "files"));
    } else if (ask->status == 404) {
        (void)json_array_clear(s->items);
    } else {
        give_up(s, ask);
        return;
    }
    find_process(s);
}

static void look_at_earlier(struct starting *s)
{
    ask_route(s->b, &s->ask, "GET", s->b->dialect->item,
              &(struct path_words) { .process = s->memo_process, .item = json_string_value(json_array_get(s->items, 0)) }, NULL, TRIES,
              false, earlier_seen, s);
}

/* The ids of a memo; an empty list when it has none. */
static json_t *items_of(const char *memo, bool *start)
{
    json_t *value = memo != NULL ? json_parse(memo, strlen(memo), NULL) : NULL;
    json_t *items = json_object_get(value, "items"), *item;
    bool good = json_is_array(items) && json_array_size(items) > 0;
    size_t i;

    json_array_foreach(items, i, item)
        good &= json_is_string(item);
    *start = json_flag(value, "start", false);
    items = good ? json_incref(items) : json_array();
    json_decref(value);
    return items;
}

char *memo_process(const char *memo)
{
    json_t *value = memo != NULL ? json_parse(memo, strlen(memo), NULL) : NULL;
    const char *id = json_str(value, "process");
    char *copy = id != NULL ? strdup(id) : NULL;

    json_decref(value);
    return copy;
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
    bool sent;

    if (s == NULL)
        abort();
    s->b = (struct robocorp *)base;
    memcpy(s->run_id, run->id, sizeof s->run_id);
    s->process_name = process->process_id == NULL ? strdup(process->process_name) : NULL;
    s->process_id = process->process_id != NULL ? strdup(process->process_id) : NULL;
    s->payloads = json_array_size(input) > 0 ? json_copy((json_t *)(uintptr_t)input) : json_pack("[{}]");
    s->files = files_of(event);
    if (is_paused(s->b)) {
        robocorp_begin(s->b);
        later_do(&s->b->later, tell_paused, s);
        return;
    }
    s->items = items_of(run->memo, &sent);
    s->memo_process = memo_process(run->memo);
    if (s->b->dialect->item != NULL && json_array_size(s->items) == json_array_size(s->payloads)) {
        look_at_earlier(s);
    } else {
        (void)json_array_clear(s->items);
        find_process(s);
    }
}

/* --- finding a start that got no answer --------------------------------------------------------------------------- */

struct finding {
    struct robocorp *b;
    struct ask ask;
    char run_id[ID_SIZE];
};

static void tell(struct finding *f, enum found found, const char *remote_id)
{
    const struct backend_reports *r = f->b->base.reports;

    if (!f->b->closing)
        r->found(r->data, f->run_id, found, remote_id, NULL, 0);
    ask_close(&f->ask);
    free(f);
}

static void tell_absent(void *data)
{
    struct finding *f = data;
    struct robocorp *b = f->b;

    tell(f, FOUND_ABSENT, NULL);
    robocorp_done(b);
}

static void tell_unknown(void *data)
{
    struct finding *f = data;
    struct robocorp *b = f->b;

    tell(f, FOUND_UNKNOWN, NULL);
    robocorp_done(b);
}

static void item_seen(struct ask *ask)
{
    struct finding *f = ask->data;
    const char *id = dialect_text(ask->answer, f->b->dialect->item_run);

    if (ask->outcome == ASKED_GOOD && id != NULL)
        tell(f, FOUND_STARTED, id);
    else if (ask->outcome == ASKED_GOOD)
        tell(f, FOUND_NOT_SEEN, NULL);
    else
        /* An item that is gone may have had its run: that is no proof of absence. */
        tell(f, ask->status == 404 ? FOUND_NOT_SEEN : FOUND_UNKNOWN, NULL);
}

void robocorp_find(struct backend *base, const struct run_record *run, const struct process_config *process)
{
    struct finding *f = calloc(1, sizeof *f);
    char *process_id = memo_process(run->memo);
    json_t *items;
    bool sent;

    (void)process;
    if (f == NULL)
        abort();
    f->b = (struct robocorp *)base;
    memcpy(f->run_id, run->id, sizeof f->run_id);
    items = items_of(run->memo, &sent);
    if (!sent || json_array_size(items) == 0) {
        /* Nothing left this machine; or it did, and this API shows nothing to know the run by: a person has to look. */
        robocorp_begin(f->b);
        later_do(&f->b->later, sent ? tell_unknown : tell_absent, f);
    } else {
        ask_route(f->b, &f->ask, "GET", f->b->dialect->item,
                  &(struct path_words) { .process = process_id, .item = json_string_value(json_array_get(items, 0)) }, NULL, 1, false,
                  item_seen, f);
    }
    free(process_id);
    json_decref(items);
}
