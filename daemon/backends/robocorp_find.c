/*
 * Finding a start that got no answer: the run's work item tells in which process run it is; when it does not, the process's
 * runs since the intent are gone through for one that holds the item. What cannot be looked at proves nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/time.h"
#include "robocorp_follow.h"
#include "robocorp_start.h"

#define CANDIDATES_MAX 1000
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
    bool held;                   /* the candidate has an item of ours */
};

static void tell(struct finding *f, enum found found, const char *remote_id)
{
    const struct backend_reports *r = f->b->base.reports;

    if (!f->b->closing)
        r->found(r->data, f->run_id, found, remote_id, NULL, 0);
    ask_close(&f->ask);
    pages_close(&f->pages);
    memo_close(&f->memo);
    json_decref(f->candidates);
    free(f);
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
    const json_t *ours;
    size_t i;

    json_array_foreach(f->memo.items, i, ours)
        f->held |= id != NULL && strcmp(id, json_string_value(ours)) == 0;
}

static void items_listed(struct pages *pages, int status)
{
    struct finding *f = pages->data;
    const char *id = json_string_value(json_array_get(f->candidates, f->next));

    if (f->held) {
        tell(f, FOUND_STARTED, id);
        return;
    }
    if (status != 0 && status != BF_ENOENT) {
        tell(f, FOUND_UNKNOWN, NULL);
        return;
    }
    f->next++;
    next_candidate(f);
}

static void next_candidate(struct finding *f)
{
    const char *id = json_string_value(json_array_get(f->candidates, f->next));

    if (id == NULL) {
        tell_not_seen(f);
        return;
    }
    pages_close(&f->pages);
    pages_route(f->b, &f->pages, f->b->dialect->run_items, &(struct path_words) { .process = f->memo.process, .run = id }, each_item,
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
    f->pages.enough = enough;
    pages_route(f->b, &f->pages, d->runs_of, &(struct path_words) { .process = f->memo.process }, each_run, runs_listed, f);
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
