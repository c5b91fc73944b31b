/* Lists: {"next": URL or null, "has_more", "data": [...]}. The next page is only ever asked of the same host: the key goes
 * nowhere else. */
#include <stdlib.h>
#include <string.h>

#include "robocorp_internal.h"

#define PAGES_MAX 10000
#define TRIES 4

static void page_came(struct ask *ask);

static void ask_page(struct pages *p, const char *path)
{
    ask_send(p->b, &p->ask, "GET", path, NULL, TRIES, false, page_came, p);
}

static int bad_page(struct pages *p, const char *what)
{
    return error_set(&p->ask.error, BF_EPROTO, "GET %s: %s", buf_str(&p->ask.url), what);
}

/* The link to the next page, checked and taken: *next NULL at the end. */
static int next_link(struct pages *p, const json_t *answer, char **next)
{
    const json_t *link = json_object_get(answer, "next");
    char *origin;
    bool same;

    *next = NULL;
    if (link == NULL || json_is_null(link) || json_is_false(json_object_get(answer, "has_more")))
        return 0;
    if (!json_is_string(link))
        return bad_page(p, "\"next\" is no text");
    if (++p->count > PAGES_MAX || (p->last != NULL && strcmp(p->last, json_string_value(link)) == 0))
        return bad_page(p, "the pages of this list do not end");
    origin = robocorp_origin(json_string_value(link));
    same = origin != NULL && strcmp(origin, p->ask.access->origin) == 0;
    free(origin);
    if (!same)
        return bad_page(p, "\"next\" leads to another host: it is not followed");
    *next = strdup(json_string_value(link));
    return *next != NULL ? 0 : error_set(&p->ask.error, BF_ENOMEM, "out of memory");
}

static int take_page(struct pages *p, char **next)
{
    const json_t *answer = p->ask.answer;
    const json_t *data = json_is_array(answer) ? answer : json_object_get(answer, "data"), *element;
    size_t i;

    *next = NULL;
    if (!json_is_array(data))
        return bad_page(p, "\"data\" in the answer is missing, or no list");
    json_array_foreach(data, i, element) {
        if (!json_is_object(element))
            return bad_page(p, "an element of the list is no object");
        p->each(p->data, element);
    }
    return next_link(p, answer, next);
}

static void page_came(struct ask *ask)
{
    struct pages *p = ask->data;
    char *next = NULL;
    int status;

    if (ask->outcome == ASKED_GOOD)
        status = take_page(p, &next);
    else if (ask->outcome == ASKED_CANCELED)
        status = BF_ECANCELED;
    else if (ask->status == 404)
        status = BF_ENOENT;
    else
        status = ask->outcome == ASKED_DENIED ? BF_EACCES : BF_ENET;
    if (status == 0 && next != NULL && p->enough != NULL && p->enough(p->data)) {
        free(next);
        next = NULL;
    }
    if (status != 0 || next == NULL) {
        p->done(p, status);
        return;
    }
    ask_close(&p->ask);
    free(p->last);
    p->last = next;
    ask_page(p, p->last);
}

void pages_read(struct robocorp *b, struct pages *p, const char *path, void (*each)(void *data, const json_t *element),
                void (*done)(struct pages *pages, int status), void *data)
{
    p->b = b;
    p->each = each;
    p->done = done;
    p->data = data;
    p->count = 0;
    ask_page(p, path);
}

void pages_route(struct robocorp *b, struct pages *p, const char *route, const struct path_words *words,
                 void (*each)(void *data, const json_t *element), void (*done)(struct pages *pages, int status), void *data)
{
    struct buf path = { 0 };

    dialect_path(&path, route, words);
    pages_read(b, p, buf_str(&path), each, done, data);
    buf_close(&path);
}

void pages_close(struct pages *p)
{
    ask_close(&p->ask);
    free(p->last);
    p->last = NULL;
}
