/*
 * Records of a trigger's own, gathered and committed together: `must`, as no firing waits for them.
 */
#ifndef BELFRY_TRIGGERS_NOTES_H
#define BELFRY_TRIGGERS_NOTES_H

#include "belfry/store/journal.h"

struct note;

/* Zeroed memory is an empty list. */
struct notes {
    struct note *first;
    struct note *last;
    size_t count;
};

/* Copies a CURSOR, CURSOR_DROP, FILE or FILE_DROP record. 0 or BF_ENOMEM. */
int notes_add(struct notes *notes, const struct record *record);
void notes_free(struct notes *notes);
/* Commits all and empties the list: true, and written(data, status) follows on the loop; false when there was nothing, or
 * no memory (then they stay, for the next time). */
bool notes_write(struct notes *notes, struct journal *journal, void (*written)(void *data, int status), void *data);

#endif
