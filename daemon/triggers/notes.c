/* Records of a trigger's own. */
#include "notes.h"

#include <stdlib.h>
#include <string.h>

#include "belfry/base/error.h"

struct note {
    struct note *next;
    struct record record;   /* its strings lie in text */
    char text[];
};

struct notes_commit {
    struct commit commit;
    struct notes notes;
    void (*written)(void *data, int status);
    void *data;
    struct record records[];
};

static size_t room_for(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static const char *put(char **at, const char *text)
{
    size_t size = room_for(text);
    char *copy = *at;

    if (text == NULL)
        return NULL;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

int notes_add(struct notes *notes, const struct record *record)
{
    struct note *note = calloc(1, sizeof *note + room_for(record->scope) + room_for(record->key) +
                                      room_for(record->identity) + room_for(record->run_id));
    char *at;

    if (note == NULL)
        return BF_ENOMEM;
    at = note->text;
    note->record = (struct record) { .kind = record->kind, .value = record->value };
    note->record.scope = put(&at, record->scope);
    note->record.key = put(&at, record->key);
    note->record.identity = put(&at, record->identity);
    note->record.run_id = put(&at, record->run_id);
    if (notes->last != NULL)
        notes->last->next = note;
    else
        notes->first = note;
    notes->last = note;
    notes->count++;
    return 0;
}

void notes_free(struct notes *notes)
{
    while (notes->first != NULL) {
        struct note *next = notes->first->next;

        free(notes->first);
        notes->first = next;
    }
    *notes = (struct notes) { 0 };
}

static void commit_done(struct commit *commit, int status)
{
    struct notes_commit *c = commit->data;
    void (*written)(void *data, int status) = c->written;
    void *data = c->data;

    notes_free(&c->notes);
    free(c);
    written(data, status);
}

bool notes_write(struct notes *notes, struct journal *journal, void (*written)(void *data, int status), void *data)
{
    struct notes_commit *c;
    size_t i = 0;

    if (notes->count == 0)
        return false;
    c = calloc(1, sizeof *c + notes->count * sizeof c->records[0]);
    if (c == NULL)
        return false;
    c->commit = (struct commit) { .records = c->records, .count = notes->count, .must = true, .cb = commit_done, .data = c };
    c->notes = *notes;
    c->written = written;
    c->data = data;
    *notes = (struct notes) { 0 };
    for (struct note *n = c->notes.first; n != NULL; n = n->next)
        c->records[i++] = n->record;
    journal_commit(journal, &c->commit);
    return true;
}
