/*
 * A local backend with the real belfry-run, in folders of the test's own; its reports are kept as they come. Waiting is
 * done on the loop, for what is to happen, never for a time.
 */
#ifndef BELFRY_TESTS_BACKENDS_LOCAL_FIXTURE_H
#define BELFRY_TESTS_BACKENDS_LOCAL_FIXTURE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "belfry/backends/backend.h"

struct told {
    unsigned started, not_started, unknown, found, ended, collected;   /* how often */
    int64_t started_ms;
    struct error why;
    bool again;
    enum found what;
    struct run_end end;             /* its texts are below */
    char backend_state[32], error_code[32], error_message[256];
    int status;                     /* of the collection */
    struct collection collection;   /* references of the test's */
};

struct shop {
    uv_loop_t loop;
    struct flows *flows;
    struct backend *backend;        /* NULL: closed */
    struct backend_reports reports;
    struct workspace_config workspace;
    struct process_config process;  /* a test changes it before it starts a run */
    struct run_record run;
    struct told told;
    bool follow_at_once;            /* from within the report of its start */
    char base[64];                  /* of the test: base/state is the daemon's, base/out where results are collected */
    char state[80], out[80], folder[PATH_MAX];   /* folder: the run's */
};

int shop_setup(void **state);
int shop_teardown(void **state);
void shop_open(struct shop *s);
void shop_close(struct shop *s);    /* as a daemon that stops, or is upgraded */

/* The process is a shell script. Lent until the next one. */
void shop_script(struct shop *s, const char *script);
/* Orders. event and input are JSON; NULL for {} and [null]. */
void shop_start(struct shop *s, const char *event, const char *input);
void shop_find(struct shop *s);
void shop_follow(struct shop *s);
void shop_stop(struct shop *s, enum stop_how how);
void shop_collect(struct shop *s, const char *input);

/* Waits until the supervisor has ended, without a turn of the loop. */
void shop_let_it_end(void);
void shop_wait_started(struct shop *s);
void shop_wait_found(struct shop *s);
void shop_wait_refused(struct shop *s);   /* not_started or start_unknown */
void shop_wait_ended(struct shop *s);
/* Starts, follows, waits for the end. */
void shop_run(struct shop *s, const char *event, const char *input);
/* Waits for a file below the run's folder. */
void shop_wait_file(struct shop *s, const char *path);

/* Files below base. */
bool shop_has(const struct shop *s, const char *path);
char *shop_read(const struct shop *s, const char *path);          /* on the heap; fails the test when it is not there */
void shop_write(const struct shop *s, const char *path, const char *text);
void shop_write_run(const struct shop *s, const char *path, const char *text);   /* below the run's folder, which is made */
char *shop_read_run(const struct shop *s, const char *path);
long shop_number(const struct shop *s, const char *path);         /* of a file below the run's folder */

/* The artifact of that name, or NULL. */
const json_t *shop_artifact(const struct shop *s, const char *name);
bool shop_notes(const struct shop *s, const char *words);         /* one of the notes has these words */

#endif
