/*
 * Watches: folders whose files ring. An inotify event is only a hint; a scan is the truth. A file counts when it has been
 * closed or moved in and has then kept its size and mtime for `settle`, or as soon as its marker is there; each version
 * of it fires once, over restarts, over a lost queue of events, over a folder that went and came back (SPEC §6).
 */
#ifndef BELFRY_TRIGGERS_WATCH_H
#define BELFRY_TRIGGERS_WATCH_H

#include <uv.h>

#include "belfry/store/journal.h"
#include "belfry/core/firing.h"

struct watch_room;

int watch_new(uv_loop_t *loop, struct journal *journal, const struct bell *bell, struct watch_room **room,
              struct error *err);
/* Takes the watches of a configuration (held until the next call): one whose settings did not change keeps its state. A
 * folder that is not there is no error: it is waited for. */
int watch_configure(struct watch_room *room, struct config *config, struct error *err);
void watch_start(struct watch_room *room);
int watch_pause(struct watch_room *room, const char *name, bool paused);
/* A run of a watched file has ended: `success` or `failure` acts. Safe to repeat. */
void watch_run_ended(struct watch_room *room, const struct run_record *run);
struct watch_view {
    const char *name;
    const char *process;
    const char *path;
    bool paused;
    bool polling;
    bool there;            /* the folder can be read */
    uint64_t fired;
    uint64_t overflows;
    size_t settling;
    const char *last_word;
};
void watch_each(const struct watch_room *room, void (*each)(void *data, const struct watch_view *view), void *data);
void watch_close(struct watch_room *room, void (*closed)(void *data), void *data);

#endif
