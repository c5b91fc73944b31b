/* A process's id by its name: looked up through all pages once, and again when it turned out to be gone. */
#include <stdlib.h>
#include <string.h>

#include "robocorp_internal.h"

struct named_process {
    char *id;
    UT_hash_handle hh;
    char name[];
};

struct lookup {
    struct robocorp *b;
    struct pages pages;
    char *name;
    char *id;
    bool twice;
    struct ask known;         /* stands for the answer when none was needed */
    void (*done)(void *data, const char *id, const struct ask *why);
    void *data;
};

static void lookup_free(struct lookup *l)
{
    pages_close(&l->pages);
    free(l->name);
    free(l->id);
    free(l);
}

static void remember(struct robocorp *b, const char *name, const char *id)
{
    size_t size = strlen(name) + 1;
    struct named_process *n = calloc(1, sizeof *n + size);

    if (n == NULL || (n->id = strdup(id)) == NULL) {
        free(n);
        return;
    }
    memcpy(n->name, name, size);
    HASH_ADD_STR(b->names, name, n);
}

static void drop(struct robocorp *b, struct named_process *n)
{
    HASH_DEL(b->names, n);
    free(n->id);
    free(n);
}

void process_forget_id(struct robocorp *b, const char *name)
{
    struct named_process *n;

    HASH_FIND_STR(b->names, name, n);
    if (n != NULL)
        drop(b, n);
}

void process_forget_all(struct robocorp *b)
{
    struct named_process *n, *next;

    HASH_ITER(hh, b->names, n, next)
        drop(b, n);
}

static void each_process(void *data, const json_t *element)
{
    struct lookup *l = data;
    const char *name = json_str(element, "name"), *id = json_str(element, "id");

    if (name == NULL || id == NULL || strcmp(name, l->name) != 0)
        return;
    l->twice = l->id != NULL;
    if (l->id == NULL)
        l->id = strdup(id);
}

static void all_seen(struct pages *pages, int status)
{
    struct lookup *l = pages->data;
    struct ask *ask = &pages->ask;

    if (status == 0 && l->id != NULL && !l->twice) {
        remember(l->b, l->name, l->id);
        l->done(l->data, l->id, ask);
    } else {
        if (status == 0) {
            ask->outcome = ASKED_REFUSED;
            error_set(&ask->error, BF_ENOENT, l->twice ? "the workspace has several processes named \"%s\": give its process_id"
                                                       : "the workspace has no process named \"%s\" that the key may see", l->name);
        } else if (status == BF_EPROTO) {
            ask->outcome = ASKED_UNKNOWN;
        }
        l->done(l->data, NULL, ask);
    }
    lookup_free(l);
}

static void tell_known(void *data)
{
    struct lookup *l = data;
    struct robocorp *b = l->b;

    if (b->closing)
        l->known.outcome = ASKED_CANCELED;
    l->done(l->data, b->closing ? NULL : l->id, &l->known);
    lookup_free(l);
    robocorp_done(b);
}

void process_find_id(struct robocorp *b, const struct process_config *process,
                     void (*done)(void *data, const char *id, const struct ask *why), void *data)
{
    struct lookup *l = calloc(1, sizeof *l);
    struct named_process *n = NULL;

    if (l == NULL)
        abort();
    l->b = b;
    l->done = done;
    l->data = data;
    if (process->process_id == NULL)
        HASH_FIND_STR(b->names, process->process_name, n);
    if (process->process_id != NULL || n != NULL) {
        l->id = strdup(n != NULL ? n->id : process->process_id);
        robocorp_begin(b);
        later_do(&b->later, tell_known, l);
        return;
    }
    l->name = strdup(process->process_name);
    if (l->name == NULL)
        abort();
    pages_read(b, &l->pages, b->dialect->processes, each_process, all_seen, l);
}
