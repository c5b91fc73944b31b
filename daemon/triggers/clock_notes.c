/* The clock's own records: cursors that no firing carries. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "clock_internal.h"

#define TIMING_KIND "schedule-timing"
#define CURSOR_KIND "schedule"

struct clock_note {
    struct clock_note *next;
    enum record_kind kind;
    const char *scope;
    int64_t value;
    char name[];
};

struct clock_commit {
    struct commit commit;
    struct clock_room *room;
    struct clock_note *notes;
    struct record records[];
};

static int add_note(struct clock_room *room, enum record_kind kind, const char *scope, const char *name, int64_t value)
{
    size_t size = strlen(name) + 1;
    struct clock_note *note = malloc(sizeof *note + size);

    if (note == NULL)
        return BF_ENOMEM;
    *note = (struct clock_note) { .next = room->notes, .kind = kind, .scope = scope, .value = value };
    memcpy(note->name, name, size);
    room->notes = note;
    return 0;
}

int clock_note_cursor(struct clock_room *room, const char *name, int64_t value)
{
    return add_note(room, RECORD_CURSOR, CURSOR_KIND, name, value);
}

int clock_note_timing(struct clock_room *room, const char *name, uint64_t timing)
{
    return add_note(room, RECORD_CURSOR, TIMING_KIND, name, (int64_t)timing);
}

int clock_note_drop(struct clock_room *room, const char *name)
{
    int rc = add_note(room, RECORD_CURSOR_DROP, CURSOR_KIND, name, 0);

    return rc != 0 ? rc : add_note(room, RECORD_CURSOR_DROP, TIMING_KIND, name, 0);
}

static void free_notes(struct clock_note *notes)
{
    while (notes != NULL) {
        struct clock_note *next = notes->next;

        free(notes);
        notes = next;
    }
}

void clock_notes_free(struct clock_room *room)
{
    free_notes(room->notes);
    room->notes = NULL;
}

static void notes_written(struct commit *commit, int status)
{
    struct clock_commit *c = commit->data;
    struct clock_room *room = c->room;

    if (status != 0 && status != BF_ESHUTDOWN)
        log_error("clock: the cursors of %zu schedules could not be written down: %s", commit->count, error_name(status));
    free_notes(c->notes);
    free(c);
    clock_let_go(room);
}

void clock_notes_write(struct clock_room *room)
{
    struct clock_commit *c;
    size_t count = 0;

    for (struct clock_note *n = room->notes; n != NULL; n = n->next)
        count++;
    if (count == 0)
        return;
    c = calloc(1, sizeof *c + count * sizeof c->records[0]);
    if (c == NULL)
        return;   /* the notes stay, and go with the next */
    c->commit = (struct commit) { .records = c->records, .count = count, .must = true, .cb = notes_written, .data = c };
    c->room = room;
    c->notes = room->notes;
    room->notes = NULL;
    for (struct clock_note *n = c->notes; n != NULL; n = n->next)   /* the newest note is the first of the list */
        c->records[--count] = (struct record) { .kind = n->kind, .scope = n->scope, .key = n->name, .value = n->value };
    room->open++;
    journal_commit(room->journal, &c->commit);
}
