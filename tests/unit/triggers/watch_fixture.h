/*
 * A watched folder in a folder of the test's own, with a journal and a bell that outlive the room as they outlive the
 * daemon. What has to be waited for is waited for on the loop; what must not happen is held against a sentinel: a file
 * that comes later and fires.
 */
#ifndef BELFRY_TESTS_TRIGGERS_WATCH_FIXTURE_H
#define BELFRY_TESTS_TRIGGERS_WATCH_FIXTURE_H

#include <limits.h>

#include "belfry/config/config.h"
#include "belfry/triggers/watch.h"
#include "fakes.h"

struct yard {
    uv_loop_t loop;
    struct journal journal;
    struct fake_bell fake;
    struct bell bell;
    struct process_config process;
    struct watch_config watch;      /* a test changes it before it opens the room */
    struct watch_config *list[1];
    struct config config;
    struct watch_room *room;        /* NULL: closed */
    char base[64];                  /* of the test; the watched folder is "in" below it */
    char in[80];
    unsigned sentinels;
};

int yard_setup(void **state);       /* makes base and base/in; opens nothing */
int yard_teardown(void **state);
void yard_open(struct yard *y);     /* a daemon's start */
void yard_close(struct yard *y);    /* and its end */

/* Paths are below base. */
void yard_write(const struct yard *y, const char *path, const char *text);
int yard_hold(const struct yard *y, const char *path, const char *text);   /* stays open for writing */
void yard_folder(const struct yard *y, const char *path);
void yard_move(const struct yard *y, const char *from, const char *to);
void yard_remove(const struct yard *y, const char *path);                  /* a file, or a folder with all below */
bool yard_has(const struct yard *y, const char *path, const char *text);   /* text NULL: whatever is in it */

/* Waits until count files in all have fired. */
void yard_wait(struct yard *y, size_t count);
/* A sentinel fires: everything that had settled before has fired, too. It does not count in yard_wait's sum. */
void yard_sentinel(struct yard *y);
/* How often a file of that name fired (not skipped); it may be one of a batch. */
size_t yard_fired(const struct yard *y, const char *name);
/* The id of the run that its last firing started. */
const char *yard_run_of(const struct yard *y, const char *name);
/* Tells the room that the run has ended, and waits until the journal's record of `path` (below base) is so; -1: gone. */
void yard_end(struct yard *y, const char *run_id, enum run_state end);
void yard_wait_record(struct yard *y, const char *path, int state);
/* What the room says of the watch. */
struct watch_view yard_view(const struct yard *y);

#endif
