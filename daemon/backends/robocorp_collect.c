/*
 * Bringing a run's outputs home. A list of pieces: each list of the API adds pieces, each piece is done by one of a few
 * hands at once; when there are none left all is home. A fault that may pass ends the whole, to be ordered again; what can
 * never be had is a note.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "robocorp_collect.h"

#define HANDS 4
#define NAMES_MAX 100000

static void pump(struct gathering *g);

/* --- pieces ------------------------------------------------------------------------------------------------------- */

char *gather_copy(const char *text)
{
    char *to = text != NULL ? strdup(text) : NULL;

    if (text != NULL && to == NULL)
        abort();
    return to;
}

struct piece *piece_new(struct gathering *g, enum piece_kind kind)
{
    struct piece *p = calloc(1, sizeof *p);

    if (p == NULL)
        abort();
    p->g = g;
    p->kind = kind;
    p->size = -1;
    STAILQ_INSERT_TAIL(&g->pieces, p, next);
    return p;
}

static void piece_free(struct piece *p)
{
    pages_close(&p->pages);
    ask_close(&p->ask);
    json_decref(p->entry);
    free(p->id);
    free(p->step_id);
    free(p->url);
    free(p->item);
    free(p->path);
    free(p->shown);
    free(p->name);
    free(p);
}

void gather_note(struct gathering *g, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    collection_note(&g->collected, format, ap);
    va_end(ap);
}

void gather_fail(struct gathering *g, int status, const struct error *why)
{
    if (g->status != 0)
        return;
    g->status = status;
    g->error = *why;
}

void piece_done(struct piece *p)
{
    struct gathering *g = p->g;

    if (p->kind == PIECE_CONSOLE || p->kind == PIECE_EVENTS)
        g->console_busy = false;
    piece_free(p);
    g->hands--;
    pump(g);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

bool gather_take(struct gathering *g, const char *path)
{
    size_t size = strlen(path) + 1;
    struct taken *t;

    HASH_FIND_STR(g->taken, path, t);
    if (t != NULL)
        return false;
    t = calloc(1, sizeof *t + size);
    if (t == NULL)
        abort();
    memcpy(t->path, path, size);
    HASH_ADD_STR(g->taken, path, t);
    return true;
}

char *gather_free_path(struct gathering *g, const char *folder, const char *name, char safe[FILE_NAME_MAX + 1])
{
    char first[FILE_NAME_MAX + 1];
    struct buf path = { 0 };

    file_safe_name(name, strlen(name), first);
    memcpy(safe, first, sizeof first);
    for (unsigned k = 2; k < NAMES_MAX; k++) {
        buf_reset(&path);
        buf_addf(&path, "%s/%s", folder, safe);
        if (gather_take(g, buf_str(&path)))
            break;
        file_numbered_name(first, k, safe);
    }
    if (buf_failed(&path))
        abort();
    return buf_take(&path);
}

int gather_folder(struct gathering *g, const char *relative)
{
    char *path = file_join(g->dir, relative);
    struct error why;
    int status = path != NULL ? file_make_dirs(path, 0750, &why) : error_set(&why, BF_ENOMEM, "out of memory");

    if (status != 0)
        gather_fail(g, status, &why);
    free(path);
    return status;
}

/* --- what is written at once -------------------------------------------------------------------------------------- */

void gather_payload(struct gathering *g, const char *folder, const json_t *payload)
{
    struct buf path = { 0 };
    char *text = json_text(payload);
    struct error why;
    int status;

    if (gather_folder(g, folder) == 0) {
        buf_addf(&path, "%s/%s/payload.json", g->dir, folder);
        status = text != NULL ? file_write_atomic(buf_str(&path), text, strlen(text), 0640, &why)
                              : error_set(&why, BF_ENOMEM, "out of memory");
        if (status != 0)
            gather_fail(g, status, &why);
    }
    buf_close(&path);
    free(text);
}

int gather_open(struct gathering *g, const char *name, int *fd)
{
    char *path = file_join(g->dir, name);
    struct error why;
    int status = 0;

    *fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640) : -1;
    if (*fd < 0) {
        status = error_errno(&why, errno, "cannot write %s/%s", g->dir, name);
        gather_fail(g, status, &why);
    }
    free(path);
    return status;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static void drop_pieces(struct gathering *g)
{
    struct piece *p;

    while ((p = STAILQ_FIRST(&g->pieces)) != NULL) {
        STAILQ_REMOVE_HEAD(&g->pieces, next);
        piece_free(p);
    }
    while ((p = STAILQ_FIRST(&g->console)) != NULL) {
        STAILQ_REMOVE_HEAD(&g->console, next);
        piece_free(p);
    }
}

static void finish(struct gathering *g)
{
    const struct backend_reports *r = g->b->base.reports;
    struct taken *t, *next;

    if (g->console_fd >= 0 && close(g->console_fd) != 0 && g->status == 0)
        g->status = error_errno(&g->error, errno, "cannot write console.log");
    if (g->events_fd >= 0 && close(g->events_fd) != 0 && g->status == 0)
        g->status = error_errno(&g->error, errno, "cannot write events.jsonl");
    if (g->b->closing && g->status == 0)
        g->status = BF_ECANCELED;
    if (g->status != 0) {
        json_decref(g->collected.steps);
        json_decref(g->collected.work_items);
        json_decref(g->collected.artifacts);
        json_decref(g->collected.notes);
        g->collected = (struct collection) { 0 };
    }
    if (g->status != BF_ECANCELED)
        r->collected(r->data, g->run_id, g->status, &g->error, &g->collected);
    HASH_ITER(hh, g->taken, t, next) {
        HASH_DEL(g->taken, t);
        free(t);
    }
    json_decref(g->payloads);
    json_decref(g->items);
    free(g->remote_id);
    free(g->process_id);
    free(g->dir);
    free(g);
}

static void pump(struct gathering *g)
{
    struct robocorp *b = g->b;
    struct piece *p;

    if (g->status != 0)
        drop_pieces(g);
    while (g->hands < HANDS && (p = STAILQ_FIRST(&g->pieces)) != NULL) {
        STAILQ_REMOVE_HEAD(&g->pieces, next);
        g->hands++;
        piece_begin(p);
    }
    if (g->hands < HANDS && !g->console_busy && (p = STAILQ_FIRST(&g->console)) != NULL) {
        STAILQ_REMOVE_HEAD(&g->console, next);
        g->hands++;
        g->console_busy = true;
        piece_begin(p);
    }
    if (g->hands > 0)
        return;
    finish(g);
    robocorp_done(b);
}

/* What the run was given: the payloads as they were admitted, with the ids of their items. */
static void keep_inputs(struct gathering *g)
{
    json_t *list = json_object_get(g->collected.work_items, "input"), *payload;
    size_t i;

    json_array_foreach(g->payloads, i, payload) {
        struct buf folder = { 0 };

        buf_addf(&folder, "work-items/input/%zu", i + 1);
        (void)json_array_append_new(list, json_pack("{s:s?, s:s, s:O}", "id", json_string_value(json_array_get(g->items, i)),
                                                    "path", buf_str(&folder), "payload", payload));
        gather_payload(g, buf_str(&folder), payload);
        buf_close(&folder);
    }
}

static void begin(void *data)
{
    struct gathering *g = data;

    g->hands = 0;
    pump(g);
}

void robocorp_collect(struct backend *base, const struct run_record *run, const struct process_config *process,
                      const json_t *input, const char *dir)
{
    struct gathering *g = calloc(1, sizeof *g);
    json_t *memo = json_stored(run->memo);

    if (g == NULL)
        abort();
    g->b = (struct robocorp *)base;
    memcpy(g->run_id, run->id, sizeof g->run_id);
    g->remote_id = gather_copy(run->remote_id);
    g->process_id = memo_process(run->memo);
    if (g->process_id == NULL && process != NULL)
        g->process_id = gather_copy(process->process_id);
    g->dir = gather_copy(dir);
    g->results = process != NULL ? process->results : RESULTS_ALL;
    g->payloads = json_incref((json_t *)(uintptr_t)input);
    g->items = json_incref(json_object_get(memo, "items"));
    g->collected = (struct collection) { .steps = json_array(), .work_items = json_pack("{s:[], s:[]}", "input", "output"),
        .artifacts = json_array(), .notes = json_array() };
    g->console_fd = g->events_fd = -1;
    STAILQ_INIT(&g->pieces);
    STAILQ_INIT(&g->console);
    json_decref(memo);
    (void)piece_new(g, PIECE_STEPS);
    if ((g->results & RESULTS_WORK_ITEMS) != 0) {
        if (g->b->dialect->outputs != NULL)
            (void)piece_new(g, PIECE_OUTPUTS);
        keep_inputs(g);
    }
    if ((g->results & RESULTS_LOG) != 0)
        (void)gather_open(g, "console.log", &g->console_fd);
    robocorp_begin(g->b);
    later_do(&g->b->later, begin, g);
}
