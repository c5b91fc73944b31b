/* The clock's own records: cursors that no firing carries. */
#include "belfry/base/log.h"
#include "clock_internal.h"

#define TIMING_KIND "schedule-timing"
#define CURSOR_KIND "schedule"

int clock_note_cursor(struct clock_room *room, const char *name, int64_t value)
{
    return notes_add(&room->notes, &(struct record) { .kind = RECORD_CURSOR, .scope = CURSOR_KIND, .key = name,
                                                      .value = value });
}

int clock_note_timing(struct clock_room *room, const char *name, uint64_t timing)
{
    return notes_add(&room->notes, &(struct record) { .kind = RECORD_CURSOR, .scope = TIMING_KIND, .key = name,
                                                      .value = (int64_t)timing });
}

int clock_note_drop(struct clock_room *room, const char *name)
{
    int rc = notes_add(&room->notes, &(struct record) { .kind = RECORD_CURSOR_DROP, .scope = CURSOR_KIND, .key = name });

    if (rc != 0)
        return rc;
    return notes_add(&room->notes, &(struct record) { .kind = RECORD_CURSOR_DROP, .scope = TIMING_KIND, .key = name });
}

static void notes_written(void *data, int status)
{
    struct clock_room *room = data;

    if (status != 0 && status != BF_ESHUTDOWN)
        log_error("clock: how far schedules have come could not be written down: %s", error_name(status));
    clock_let_go(room);
}

void clock_notes_write(struct clock_room *room)
{
    if (notes_write(&room->notes, room->journal, notes_written, room))
        room->open++;
}
