/*
 * Polling many runs at once. When runs are due, the list of process runs is read, newest first, until it has shown them
 * all: the requests of a round grow with its pages, not with the runs. What the list does not show, and a run that is due
 * alone, is asked for by itself. A page that shows none that is wanted costs as much as asking for one: as many such pages
 * are read as runs are still wanted.
 */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/time.h"
#include "robocorp_follow.h"

#define NO_LIST_MS 600000        /* until a list that was refused is tried again */

struct round {
    struct robocorp *b;
    struct pages pages;
    size_t wanted;
    size_t shown_here;           /* by the page that is being read */
    size_t fruitless;            /* pages */
};

static void end(struct round *r)
{
    struct robocorp *b = r->b;

    pages_close(&r->pages);
    free(r);
    b->round = NULL;
    follow_set_timer(b);
}

static void each_run(void *data, const json_t *element)
{
    struct round *r = data;
    struct room_run run;
    struct follow *f;

    if (!dialect_run(r->b->dialect, element, &run))
        return;
    HASH_FIND(hh_remote, r->b->by_remote, run.id, strlen(run.id), f);
    if (f == NULL || f->asking || f->due.index == HEAP_NOT_IN)
        return;
    if (f->wanted) {
        f->wanted = false;
        r->wanted--;
        r->shown_here++;
    }
    heap_remove(&r->b->polls, &f->due);
    follow_shown(f, &run);
}

static bool enough(void *data)
{
    struct round *r = data;

    r->fruitless += r->shown_here == 0;
    r->shown_here = 0;
    return r->wanted == 0 || r->fruitless >= r->wanted;
}

/* What is still wanted is asked for by itself; or, after a fault, later. */
static void rest_of(struct round *r, bool fault)
{
    struct follow *f, *next;

    HASH_ITER(hh, r->b->follows, f, next) {
        if (!f->wanted)
            continue;
        f->wanted = false;
        if (!f->asking && fault)
            follow_fault(f);
        else if (!f->asking)
            follow_look(f);
    }
}

static void list_read(struct pages *pages, int status)
{
    struct round *r = pages->data;
    struct robocorp *b = r->b;

    if (b->closing) {
        end(r);
        return;
    }
    if (status == BF_ENOENT || status == BF_EACCES)
        b->no_list_until_ms = time_mono_ms() + NO_LIST_MS;
    rest_of(r, status != 0 && status != BF_ENOENT && status != BF_EACCES && status != BF_EPROTO);
    end(r);
}

void round_forget(struct follow *f)
{
    if (f->wanted && f->b->round != NULL)
        f->b->round->wanted--;
    f->wanted = false;
}

/* A quarter of its pace before its time: a run that would be due just after the round is looked at with it. */
static bool is_due_soon(const struct follow *f, int64_t now_ms)
{
    const struct workspace_config *set = f->b->set;
    int64_t pace_ms = (now_ms - f->since_ms) / 10;

    if (pace_ms > set->poll_max_ms)
        pace_ms = set->poll_max_ms;
    return !f->asking && f->due.index != HEAP_NOT_IN && f->due.due_ms <= now_ms + pace_ms / 4;
}

static void look_one_by_one(struct robocorp *b, int64_t now_ms)
{
    struct heap_node *first;

    while ((first = heap_first(&b->polls)) != NULL && first->due_ms <= now_ms) {
        struct follow *f = HEAP_ENTRY(first, struct follow, due);

        heap_remove(&b->polls, first);
        if (!f->asking)
            follow_look(f);
    }
    follow_set_timer(b);
}

static void read_list(struct robocorp *b, size_t wanted, const char *process)
{
    struct round *r = calloc(1, sizeof *r);
    struct path_words words = { .process = process };

    if (r == NULL)
        abort();
    r->b = b;
    r->wanted = wanted;
    r->pages.enough = enough;
    b->round = r;
    pages_route(b, &r->pages, process != NULL ? b->dialect->runs_of : b->dialect->runs, &words, each_run, list_read, r);
}

void round_begin(struct robocorp *b)
{
    int64_t now_ms = time_mono_ms();
    bool lists = b->dialect->runs != NULL && now_ms >= b->no_list_until_ms, one_process = true;
    const char *process = NULL;
    struct follow *f, *next;
    size_t wanted = 0;

    HASH_ITER(hh, b->follows, f, next) {
        f->wanted = lists && is_due_soon(f, now_ms);
        if (!f->wanted)
            continue;
        one_process &= f->process_id != NULL && (wanted == 0 || (process != NULL && strcmp(process, f->process_id) == 0));
        process = f->process_id;
        wanted++;
    }
    if (wanted > 1) {
        read_list(b, wanted, one_process ? process : NULL);
        return;
    }
    HASH_ITER(hh, b->follows, f, next)
        f->wanted = false;
    look_one_by_one(b, now_ms);
}
