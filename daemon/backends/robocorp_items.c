/*
 * Work items for a start, one for each payload. A creation that got no answer may have taken effect: before another is made,
 * the process's new items are looked through for one that holds the payload, is not older than the run's first try, and
 * is not another run's. The payload is the mark: by itself it holds the event's id; where `input` leaves nothing in it
 * that tells two firings apart, an item of the one is as good as that of the other, and each is taken once.
 */
#include <string.h>
#include <strings.h>

#include "belfry/base/time.h"
#include "robocorp_start.h"

static void look_at_next(struct starting *s);

static bool is_made(const struct starting *s, size_t i)
{
    return json_is_string(json_array_get(s->memo.items, i));
}

static size_t first_missing(const struct starting *s)
{
    size_t i = 0;

    while (i < json_array_size(s->payloads) && is_made(s, i))
        i++;
    return i;
}

bool items_complete(const struct starting *s)
{
    return first_missing(s) == json_array_size(s->payloads);
}

static bool has_item(const json_t *items, const char *id)
{
    const json_t *item;
    size_t i;

    json_array_foreach(items, i, item) {
        if (json_is_string(item) && strcmp(json_string_value(item), id) == 0)
            return true;
    }
    return false;
}

/* Taken by a run: this one or another. */
static bool is_taken(const struct starting *s, const char *id)
{
    const struct backend_reports *r = s->b->base.reports;
    const struct starting *other;

    TAILQ_FOREACH(other, &s->b->startings, link) {
        if (has_item(other->memo.items, id))
            return true;
    }
    return r->is_named(r->data, s->run_id, id);
}

static void take(struct starting *s, size_t i, const char *id)
{
    (void)json_array_set_new(s->memo.items, i, json_string(id));
}

/* --- making ------------------------------------------------------------------------------------------------------- */

static void make_next(struct starting *s);

static void item_made(struct ask *ask)
{
    struct starting *s = ask->data;
    const char *id;

    if (ask->outcome != ASKED_GOOD || (id = ask_string(ask, ask->answer, "id")) == NULL) {
        start_give_up(s, ask);
        return;
    }
    /* Another run that looked for a lost item of its own may have been faster: then one more is made. */
    if (!is_taken(s, id))
        take(s, first_missing(s), id);
    make_next(s);
}

static void make_next(struct starting *s)
{
    const struct dialect *d = s->b->dialect;
    json_t *payload = json_array_get(s->payloads, first_missing(s));

    if (payload == NULL) {
        start_write_memo(s);
        return;
    }
    ask_close(&s->ask);
    ask_route(s->b, &s->ask, "POST", d->item_create, &(struct path_words) { .process = s->memo.process },
              dialect_item_body(d, s->memo.process, payload), 1, true, item_made, s);
}

/* --- looking for what an earlier attempt made --------------------------------------------------------------------- */

static void maybe_made(void *data, const json_t *item)
{
    struct starting *s = data;
    struct robocorp *b = s->b;
    const char *id = json_str(item, "id"), *created = dialect_text(item, b->dialect->item_created);
    const char *state = json_str(item, "state");
    int64_t created_ms;

    if (id == NULL || dialect_text(item, b->dialect->item_run) != NULL || (state != NULL && strcasecmp(state, "new") != 0))
        return;
    if (created != NULL && time_parse(created, &created_ms) == 0 && created_ms < memo_not_before(&s->memo, b))
        return;
    (void)json_array_append_new(s->made_before, json_string(id));
}

static void item_shown(struct ask *ask)
{
    struct starting *s = ask->data;
    const json_t *payload = json_object_get(ask->answer, "payload");
    const char *id = json_string_value(json_array_get(s->made_before, s->next_made++));

    if (ask->outcome != ASKED_GOOD && ask->status != 404) {
        start_give_up(s, ask);
        return;
    }
    for (size_t i = 0; ask->outcome == ASKED_GOOD && i < json_array_size(s->payloads); i++) {
        if (is_made(s, i) || !json_equal(payload, json_array_get(s->payloads, i)) || is_taken(s, id))
            continue;
        take(s, i, id);
        if (i == 0) {
            json_decref(s->there);
            s->there = json_incref(json_object_get(ask->answer, "files"));
        }
        break;
    }
    look_at_next(s);
}

static void look_at_next(struct starting *s)
{
    const char *id = NULL;

    while (!items_complete(s) && (id = json_string_value(json_array_get(s->made_before, s->next_made))) != NULL && is_taken(s, id))
        s->next_made++;
    if (items_complete(s) || id == NULL) {
        make_next(s);
        return;
    }
    ask_close(&s->ask);
    ask_route(s->b, &s->ask, "GET", s->b->dialect->item, &(struct path_words) { .process = s->memo.process, .item = id }, NULL,
              START_TRIES, false, item_shown, s);
}

static void new_items_listed(struct pages *pages, int status)
{
    struct starting *s = pages->data;

    /* A key that may make items and not list them: one too many starts nothing. */
    if (status == 0 || status == BF_ENOENT || status == BF_EACCES)
        look_at_next(s);
    else
        start_give_up(s, &pages->ask);
}

void items_make(struct starting *s)
{
    const struct dialect *d = s->b->dialect;

    if (s->memo.since_ms == 0) {
        s->memo.since_ms = time_wall_ms();
        s->memo.since_there_ms = s->memo.since_ms + s->b->skew_ms;
        start_write_memo(s);
        return;
    }
    if (s->made_before != NULL || s->attempt <= 1) {
        make_next(s);
        return;
    }
    s->made_before = json_array();
    pages_route(s->b, &s->pages, d->items_new, &(struct path_words) { .process = s->memo.process }, maybe_made, new_items_listed, s);
}
