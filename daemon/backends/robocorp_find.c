/*
 * Finding a start that got no answer: the run's work item tells in which process run it is; when it does not, the process's
 * runs since the intent are gone through for one that holds the item. What cannot be looked at proves nothing.
 *
 * After a crash many starts may be looked for at once. They go through the runs one after the other, and what a process run
 * was started with is asked once: it does not change.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/time.h"
#include "robocorp_follow.h"
#include "robocorp_start.h"

#define CANDIDATES_MAX 1000
#define INSPECTED_MAX 10000
#define GONE_PROVES_MS 600000    /* an item that is gone later than that may have been in a run that is gone, too */

struct finding {
    struct robocorp *b;
    struct ask ask;
    struct pages pages;
    char run_id[ID_SIZE];
    struct memo memo;
    json_t *candidates;          /* ids of process runs */
    size_t next;
    bool past;                   /* the list has come to older runs */
    bool doubt;                  /* the item has been in a run, or may have been */
    json_t *shown;               /* items of the candidate */
    TAILQ_ENTRY(finding) link;   /* waits for its turn with the list */
};

/* What a process run was started with. */
struct inspected {
    json_t *items;
    UT_hash_handle hh;
    char run_id[];
};

static void next_turn(struct robocorp *b);

static void tell(struct finding *f, enum found found, const char *remote_id)
{
    const struct backend_reports *r = f->b->base.reports;
    struct robocorp *b = f->b;

    if (!b->closing)
        r->found(r->data, f->run_id, found, remote_id, NULL, 0);
    if (b->finding == f)
        b->finding = NULL;
    json_decref(f->shown);
    ask_close(&f->ask);
    pages_close(&f->pages);
    memo_close(&f->memo);
    json_decref(f->candidates);
    free(f);
    next_turn(b);
}

static void tell_not_seen(struct finding *f)
{
    tell(f, f->doubt ? FOUND_UNKNOWN : FOUND_NOT_SEEN, NULL);
}

/* --- the list of runs --------------------------------------------------------------------------------------------- */

static void next_candidate(struct finding *f);

static void each_item(void *data, const json_t *item)
{
    struct finding *f = data;
    const char *id = json_str(item, "id");

    if (id != NULL)
        (void)json_array_append_new(f->shown, json_string(id));
}

static bool is_ours(const struct finding *f, const json_t *items)
{
    const json_t *ours, *item;
    size_t i, k;

    json_array_foreach(items, i, item) {
        json_array_foreach(f->memo.items, k, ours) {
            if (json_equal(item, ours))
                return true;
        }
    }
    return false;
}

void find_forget_all(struct robocorp *b)
{
    struct inspected *one, *next;

    HASH_ITER(hh, b->inspected, one, next) {
        HASH_DEL(b->inspected, one);
        json_decref(one->items);
        free(one);
    }
}

static void remember(struct robocorp *b, const char *run_id, json_t *items)
{
    size_t len = strlen(run_id);
    struct inspected *one = calloc(1, sizeof *one + len + 1);

    if (one == NULL)
        abort();
    if (HASH_COUNT(b->inspected) >= INSPECTED_MAX)
        find_forget_all(b);
    memcpy(one->run_id, run_id, len + 1);
    one->items = json_incref(items);
    HASH_ADD_KEYPTR(hh, b->inspected, one->run_id, len, one);
}

static void items_listed(struct pages *pages, int status)
{
    struct finding *f = pages->data;
    const char *id = json_string_value(json_array_get(f->candidates, f->next));

    if (status != 0 && status != BF_ENOENT) {
        tell(f, FOUND_UNKNOWN, NULL);
        return;
    }
    /* A run that was started this instant may get its items a little later. */
    if (json_array_size(f->shown) > 0)
        remember(f->b, id, f->shown);
    if (is_ours(f, f->shown)) {
        tell(f, FOUND_STARTED, id);
        return;
    }
    f->next++;
    next_candidate(f);
}

static void next_candidate(struct finding *f)
{
    struct robocorp *b = f->b;
    struct inspected *known;
    const char *id;

    for (; (id = json_string_value(json_array_get(f->candidates, f->next))) != NULL; f->next++) {
        HASH_FIND_STR(b->inspected, id, known);
        if (known == NULL)
            break;
        if (is_ours(f, known->items)) {
            tell(f, FOUND_STARTED, id);
            return;
        }
    }
    if (id == NULL) {
        tell_not_seen(f);
        return;
    }
    json_decref(f->shown);
    f->shown = json_array();
    pages_close(&f->pages);
    pages_route(b, &f->pages, b->dialect->run_items, &(struct path_words) { .process = f->memo.process, .run = id }, each_item,
                items_listed, f);
}

static void each_run(void *data, const json_t *element)
{
    struct finding *f = data;
    struct room_run run;
    struct follow *known;

    if (!dialect_run(f->b->dialect, element, &run))
        return;
    if (run.created_ms != 0 && run.created_ms < memo_not_before(&f->memo, f->b)) {
        f->past = true;
        return;
    }
    HASH_FIND(hh_remote, f->b->by_remote, run.id, strlen(run.id), known);
    if (known == NULL)
        (void)json_array_append_new(f->candidates, json_string(run.id));
}

static bool enough(void *data)
{
    struct finding *f = data;

    return f->past || json_array_size(f->candidates) >= CANDIDATES_MAX;
}

static void runs_listed(struct pages *pages, int status)
{
    struct finding *f = pages->data;

    if (status == BF_ENOENT || status == BF_EACCES)
        tell_not_seen(f);   /* this API, or this key, shows no lists: the item alone has to tell */
    else if (status != 0)
        tell(f, FOUND_UNKNOWN, NULL);
    else
        next_candidate(f);
}

static void next_turn(struct robocorp *b)
{
    struct finding *f = TAILQ_FIRST(&b->findings);

    if (f == NULL || b->finding != NULL)
        return;
    TAILQ_REMOVE(&b->findings, f, link);
    b->finding = f;
    f->pages.enough = enough;
    pages_route(b, &f->pages, b->dialect->runs_of, &(struct path_words) { .process = f->memo.process }, each_run, runs_listed, f);
}

/* --- the item ----------------------------------------------------------------------------------------------------- */

static void item_seen(struct ask *ask)
{
    struct finding *f = ask->data;
    const struct dialect *d = f->b->dialect;
    const char *id = dialect_text(ask->answer, d->item_run), *state = json_str(ask->answer, "state");

    if (ask->outcome == ASKED_GOOD && id != NULL) {
        tell(f, FOUND_STARTED, id);
        return;
    }
    if (ask->outcome != ASKED_GOOD && ask->status != 404) {
        tell(f, FOUND_UNKNOWN, NULL);
        return;
    }
    if (ask->outcome == ASKED_GOOD)
        f->doubt = state != NULL && strcasecmp(state, "new") != 0;
    else
        f->doubt = f->memo.since_ms == 0 || time_wall_ms() - f->memo.since_ms > GONE_PROVES_MS;
    TAILQ_INSERT_TAIL(&f->b->findings, f, link);
    next_turn(f->b);
}

/* --- the way in --------------------------------------------------------------------------------------------------- */

static void tell_at_once(void *data)
{
    struct finding *f = data;
    struct robocorp *b = f->b;

    /* Nothing left this machine; or it did, and this API shows nothing to know the run by: a person has to look. */
    tell(f, f->memo.start ? FOUND_UNKNOWN : FOUND_ABSENT, NULL);
    robocorp_done(b);
}

void robocorp_find(struct backend *base, const struct run_record *run, const struct process_config *process)
{
    struct finding *f = calloc(1, sizeof *f);

    (void)process;
    if (f == NULL)
        abort();
    f->b = (struct robocorp *)base;
    f->candidates = json_array();
    memcpy(f->run_id, run->id, sizeof f->run_id);
    memo_read(&f->memo, run->memo);
    if (!f->memo.start || json_array_size(f->memo.items) == 0) {
        robocorp_begin(f->b);
        later_do(&f->b->later, tell_at_once, f);
        return;
    }
    ask_route(f->b, &f->ask, "GET", f->b->dialect->item,
              &(struct path_words) { .process = f->memo.process, .item = json_string_value(json_array_get(f->memo.items, 0)) }, NULL, 1,
              false, item_seen, f);
}
