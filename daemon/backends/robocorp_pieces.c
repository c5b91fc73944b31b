/*
 * The kinds of pieces that a run leaves behind.
 *
 *   steps ─▶ for each: artifacts ─▶ for each: its link ─▶ its bytes;   console messages, step after step
 *   outputs ─▶ payloads, and for each file: its bytes
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "robocorp_collect.h"

#define TRIES 4

/* Out of its list: nothing in run.json says that it is there. */
static void leave_out(struct piece *p, const char *why)
{
    size_t i;
    json_t *one;

    gather_note(p->g, "%s could not be brought home: %s", p->shown, why);
    json_array_foreach(p->list, i, one) {
        if (one == p->entry) {
            (void)json_array_remove(p->list, i);
            return;
        }
    }
}

/* What came of an ask or a list: 0 to go on, else the piece is done with (or the whole is). */
static int weigh(struct piece *p, const struct ask *ask, const char *what)
{
    if (ask->outcome == ASKED_GOOD)
        return 0;
    if (ask->outcome == ASKED_REFUSED)
        gather_note(p->g, "%s could not be read: %s", what, ask->error.text);
    else
        gather_fail(p->g, ask->outcome == ASKED_CANCELED ? BF_ECANCELED : BF_ENET, &ask->error);
    return -1;
}

static int weigh_list(struct piece *p, int status, const char *what)
{
    if (status == 0)
        return 0;
    if (status == BF_ENOENT || status == BF_EPROTO)
        gather_note(p->g, "%s could not be read: %s", what, p->pages.ask.error.text);
    else
        gather_fail(p->g, status, &p->pages.ask.error);
    return -1;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void ask_for_link(struct piece *p);
static void ask_for_item(struct piece *p);

static void fetched(struct fetch *f)
{
    struct piece *p = f->data;
    struct gathering *g = p->g;

    switch (f->outcome) {
    case FETCHED:
        if (p->kind == PIECE_ARTIFACT) {
            (void)json_put_int(p->entry, "size", f->got);
            (void)json_put(p->entry, "sha256", f->sha256);
        }
        break;
    case FETCH_AGAIN:
        gather_fail(g, f->error.code != 0 ? f->error.code : BF_ENET, &f->error);
        break;
    case FETCH_EXPIRED:
        if (p->kind == PIECE_ARTIFACT && !p->link_again) {
            p->link_again = true;
            ask_close(&p->ask);
            ask_for_link(p);
            return;
        }
        if (p->kind == PIECE_FILE && !p->link_again && p->item != NULL) {
            p->link_again = true;
            ask_for_item(p);
            return;
        }
        leave_out(p, f->error.text);
        break;
    case FETCH_NEVER:
        leave_out(p, f->error.text);
        break;
    case FETCH_CANCELED:
        gather_fail(g, BF_ECANCELED, &f->error);
        break;
    }
    piece_done(p);
}

static void fetch_piece(struct piece *p, const char *url)
{
    char *path = file_join(p->g->dir, p->path);

    if (path == NULL)
        abort();
    fetch_begin(p->g->b, &p->fetch, url, path, p->size, fetched, p);
    free(path);
}

/* --- artifacts ---------------------------------------------------------------------------------------------------- */

static struct path_words words_of(const struct piece *p)
{
    return (struct path_words) { .process = p->g->process_id, .run = p->g->remote_id, .step = p->step_id != NULL ? p->step_id : p->id,
        .artifact = p->id, .name = p->name };
}

static void link_came(struct ask *ask)
{
    struct piece *p = ask->data;
    /* The older APIs answer with the link alone. */
    const char *url = json_string_value(ask->answer);

    if (ask->outcome == ASKED_GOOD && (url != NULL || (url = ask_string(ask, ask->answer, "url")) != NULL)) {
        fetch_piece(p, url);
        return;
    }
    if (ask->outcome == ASKED_REFUSED || ask->outcome == ASKED_GOOD || ask->error.code == BF_EPROTO)
        leave_out(p, ask->error.text);
    else
        (void)weigh(p, ask, p->shown);
    piece_done(p);
}

static void ask_for_link(struct piece *p)
{
    struct path_words words = words_of(p);

    ask_route(p->g->b, &p->ask, "GET", p->g->b->dialect->artifact, &words, NULL, TRIES, false, link_came, p);
}

static void each_artifact(void *data, const json_t *artifact)
{
    struct piece *of = data, *p;
    struct gathering *g = of->g;
    const char *id = json_str(artifact, "id"), *name = dialect_text(artifact, "name|fileName");
    const json_t *size = dialect_member(artifact, "size|fileSize|fileSIze");
    struct buf folder = { 0 };
    char safe[FILE_NAME_MAX + 1];

    if (id == NULL || id[0] == '\0' || name == NULL) {
        gather_note(g, "an artifact of step %s has no id or no name: it is left out", of->shown);
        return;
    }
    buf_addf(&folder, "artifacts/%s", of->path);
    p = piece_new(g, PIECE_ARTIFACT);
    p->id = gather_copy(id);
    p->step_id = gather_copy(of->id);
    p->name = gather_copy(name);
    p->size = json_is_number(size) ? (int64_t)json_number_value(size) : -1;
    p->path = gather_free_path(g, buf_str(&folder), name, safe);
    p->shown = gather_copy(p->path);
    p->list = g->collected.artifacts;
    p->entry = json_pack("{s:s, s:s, s:s, s:I, s:n}", "step", of->path, "name", name, "path", p->path, "size",
                         (json_int_t)p->size, "sha256");
    (void)json_array_append(p->list, p->entry);
    (void)gather_folder(g, buf_str(&folder));   /* a fault ends the whole */
    buf_close(&folder);
}

static void artifacts_read(struct pages *pages, int status)
{
    struct piece *p = pages->data;

    (void)weigh_list(p, status, "the artifacts of a step");
    piece_done(p);
}

/* --- console ------------------------------------------------------------------------------------------------------ */

static void write_line(struct gathering *g, int fd, const struct buf *line)
{
    const char *at = buf_str(line);
    size_t left = line->len;

    while (left > 0) {
        ssize_t n = write(fd, at, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            struct error why;
            int code = error_errno(&why, errno, "cannot write to %s", g->dir);

            gather_fail(g, code, &why);
            break;
        }
        at += n;
        left -= (size_t)n;
    }
}

static void each_message(void *data, const json_t *message)
{
    struct piece *p = data;
    struct gathering *g = p->g;
    const char *time = json_str(message, "timestamp"), *text = json_str(message, "message");
    struct buf line = { 0 };

    if (text == NULL || g->status != 0)
        return;
    buf_addf(&line, "%s%s%s", time != NULL ? time : "", time != NULL ? " " : "", text);
    if (line.len == 0 || line.data[line.len - 1] != '\n')
        buf_addc(&line, '\n');
    write_line(g, g->console_fd, &line);
    buf_close(&line);
}

/* One object a line, as the Control Room gives it, with the step run that it is of. */
static void each_event(void *data, const json_t *event)
{
    struct piece *p = data;
    struct gathering *g = p->g;
    json_t *whole = json_pack("{s:s, s:O}", "step_run_id", p->id, "event", event);
    char *text = json_text(whole);
    struct buf line = { 0 };

    if (text == NULL)
        abort();
    buf_addf(&line, "%s\n", text);
    if (g->status == 0 && (g->events_fd >= 0 || gather_open(g, "events.jsonl", &g->events_fd) == 0))
        write_line(g, g->events_fd, &line);
    json_decref(whole);
    free(text);
    buf_close(&line);
}

static void events_read(struct pages *pages, int status)
{
    struct piece *p = pages->data;

    if (status != BF_ENOENT)   /* a server may have none */
        (void)weigh_list(p, status, "the events of a step");
    piece_done(p);
}

static void console_read(struct pages *pages, int status)
{
    struct piece *p = pages->data;

    (void)weigh_list(p, status, "the console of a step");
    piece_done(p);
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static json_t *step_entry(const json_t *step, const char *id, const char *name)
{
    static const struct {
        const char *from, *to;
    } members[] = { { "state", "state" }, { "started_at", "started" }, { "ended_at", "ended" }, { "error", "error" } };
    json_t *entry = json_pack("{s:s, s:s}", "id", id, "name", name);

    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *value = json_object_get(step, members[i].from);

        if (value != NULL && !json_is_null(value))
            (void)json_object_set(entry, members[i].to, value);
    }
    return entry;
}

static void each_step(void *data, const json_t *step)
{
    struct piece *of = data, *p;
    struct gathering *g = of->g;
    const char *id = json_str(step, "id"), *name = dialect_text(step, "step.name|activityName|name");
    char safe[FILE_NAME_MAX + 1];

    if (id == NULL || id[0] == '\0') {
        gather_note(g, "a step run has no id: it is left out");
        return;
    }
    name = name != NULL ? name : "step";
    (void)json_array_append_new(g->collected.steps, step_entry(step, id, name));
    if ((g->results & RESULTS_ARTIFACTS) != 0) {
        p = piece_new(g, PIECE_ARTIFACTS);
        p->id = gather_copy(id);
        p->shown = gather_copy(name);
        /* The same step may have run for several work items: each has a folder of its own. */
        free(gather_free_path(g, "artifacts", name, safe));
        p->path = gather_copy(safe);
    }
    if ((g->results & RESULTS_LOG) != 0 && g->b->dialect->console != NULL) {
        p = piece_new(g, PIECE_CONSOLE);
        STAILQ_REMOVE(&g->pieces, p, piece, next);
        p->id = gather_copy(id);
        STAILQ_INSERT_TAIL(&g->console, p, next);
    }
    if ((g->results & RESULTS_LOG) != 0 && g->b->dialect->events != NULL) {
        p = piece_new(g, PIECE_EVENTS);
        STAILQ_REMOVE(&g->pieces, p, piece, next);
        p->id = gather_copy(id);
        STAILQ_INSERT_TAIL(&g->console, p, next);
    }
}

static void steps_read(struct pages *pages, int status)
{
    struct piece *p = pages->data;

    (void)weigh_list(p, status, "the list of steps");
    piece_done(p);
}

/* --- outputs ------------------------------------------------------------------------------------------------------ */

/* The links of a work item's files live for an hour: the item has new ones. */
static void item_came(struct ask *ask)
{
    struct piece *p = ask->data;
    const json_t *file;
    size_t i;

    json_array_foreach(json_object_get(ask->answer, "files"), i, file) {
        const char *name = dialect_text(file, "name|fileName"), *url = dialect_text(file, "download.url|url");

        if (name != NULL && url != NULL && strcmp(name, p->name) == 0) {
            fetch_piece(p, url);
            return;
        }
    }
    if (ask->outcome == ASKED_GOOD || ask->outcome == ASKED_REFUSED)
        leave_out(p, "its link has expired, and there is no new one");
    else
        (void)weigh(p, ask, p->shown);
    piece_done(p);
}

static void ask_for_item(struct piece *p)
{
    struct path_words words = { .process = p->g->process_id, .item = p->item };

    ask_route(p->g->b, &p->ask, "GET", p->g->b->dialect->item, &words, NULL, TRIES, false, item_came, p);
}

static void add_file(struct gathering *g, const char *folder, const char *item, const json_t *file, json_t *names)
{
    const char *name = dialect_text(file, "name|fileName"), *url = dialect_text(file, "download.url|url");
    const json_t *size = dialect_member(file, "size|fileSize");
    char safe[FILE_NAME_MAX + 1];
    struct piece *p;

    if (name == NULL || url == NULL) {
        gather_note(g, "a file of %s has no name or no link: it is left out", folder);
        return;
    }
    p = piece_new(g, PIECE_FILE);
    p->url = gather_copy(url);
    p->item = gather_copy(item);
    p->name = gather_copy(name);
    p->size = json_is_number(size) ? (int64_t)json_number_value(size) : -1;
    p->path = gather_free_path(g, folder, name, safe);
    p->shown = gather_copy(p->path);
    p->list = names;
    p->entry = json_string(safe);
    (void)json_array_append(names, p->entry);
}

static void each_output(void *data, const json_t *item)
{
    struct piece *of = data;
    struct gathering *g = of->g;
    json_t *list = json_object_get(g->collected.work_items, "output"), *names = json_array(), *payload, *entry;
    const json_t *files = json_object_get(item, "files"), *file;
    struct buf folder = { 0 };
    size_t i;

    if (!dialect_is_output(g->b->dialect, item, g->items)) {
        json_decref(names);
        return;
    }
    buf_addf(&folder, "work-items/output/%zu", json_array_size(list) + 1);
    payload = json_object_get(item, "payload");
    entry = json_pack("{s:s?, s:s, s:O?, s:O}", "id", json_str(item, "id"), "path", buf_str(&folder), "payload", payload, "files",
                      names);
    (void)json_array_append_new(list, entry);
    gather_payload(g, buf_str(&folder), payload);
    buf_adds(&folder, "/payload.json");
    (void)gather_take(g, buf_str(&folder));
    folder.data[folder.len - strlen("/payload.json")] = '\0';
    json_array_foreach(files, i, file)
        add_file(g, buf_str(&folder), json_str(item, "id"), file, names);
    json_decref(names);
    buf_close(&folder);
}

static void read_outputs(struct piece *p);

static void outputs_read(struct pages *pages, int status)
{
    struct piece *p = pages->data;

    if (status == BF_ENOENT && !p->g->outputs_old && p->g->b->dialect->outputs_before != NULL) {
        p->g->outputs_old = true;
        pages_close(&p->pages);
        read_outputs(p);
        return;
    }
    (void)weigh_list(p, status, "the output work items");
    piece_done(p);
}

/* --- reading lists ------------------------------------------------------------------------------------------------ */

static void read_list(struct piece *p, const char *route, void (*each)(void *data, const json_t *element),
                      void (*done)(struct pages *pages, int status))
{
    struct path_words words = words_of(p);

    pages_route(p->g->b, &p->pages, route, &words, each, done, p);
}

static void read_outputs(struct piece *p)
{
    const struct dialect *d = p->g->b->dialect;

    read_list(p, p->g->outputs_old ? d->outputs_before : d->outputs, each_output, outputs_read);
}

void piece_begin(struct piece *p)
{
    const struct dialect *d = p->g->b->dialect;

    switch (p->kind) {
    case PIECE_STEPS:
        read_list(p, d->steps, each_step, steps_read);
        break;
    case PIECE_ARTIFACTS:
        read_list(p, d->artifacts, each_artifact, artifacts_read);
        break;
    case PIECE_ARTIFACT:
        ask_for_link(p);
        break;
    case PIECE_CONSOLE:
        read_list(p, d->console, each_message, console_read);
        break;
    case PIECE_EVENTS:
        read_list(p, d->events, each_event, events_read);
        break;
    case PIECE_OUTPUTS:
        read_outputs(p);
        break;
    case PIECE_FILE:
        fetch_piece(p, p->url);
        break;
    }
}
