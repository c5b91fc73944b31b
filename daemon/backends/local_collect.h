/*
 * Inside collecting a local run: local_collect.c has the job, the artifacts and the consoles; local_items.c the work items;
 * local_keep.c puts one file of the run's into the staging folder. All of it is on the thread pool. What the command left as a list
 * is read by local_list.c.
 */
#ifndef BELFRY_BACKENDS_LOCAL_COLLECT_H
#define BELFRY_BACKENDS_LOCAL_COLLECT_H

#include "belfry/base/file.h"
#include "local_internal.h"

struct gathering {
    uv_work_t work;
    struct local *backend;
    char id[ID_SIZE];
    struct local_part *parts;     /* one a command */
    size_t part_count;
    const struct local_part *part;    /* that is being gathered */
    char *dir;                    /* the staging folder */
    char *console;                /* of the whole run; NULL: that of its one part */
    unsigned results;
    json_t *input;                /* payloads, of a run whose items travel as lists */
    json_t *items;                /* or the items themselves, with paths of their files; NULL: as lists */
    struct collection collected;
    size_t files, put;            /* artifacts; and with all else */
    json_t *numbers;              /* of names that were taken: {path: the number to go on with} */
    int64_t max, left;            /* bytes that its files may have, and those that may still come */
    int status;
    struct error error;
};

/* --- local_keep.c --- */
void local_note(struct gathering *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A free name in dir for a name from outside: a meeting gets a number. The path, on the heap; NULL, and g->status says why. */
char *local_free_name(struct gathering *g, const char *dir, const char *name, char safe[FILE_NAME_MAX + 1]);
/* Of so many files each is synced by itself; with more of them all are at once, at the end. */
bool local_sync_each(const struct gathering *g);
/* Puts an open file at `to`, as long as it is within the bounds. 0 or BF_E…. */
int local_put_file(struct gathering *g, int fd, const char *from, const char *to, const struct file_bounds *bounds);
/* The same out of what is left for the run. False when it is not there: g->status says why, or it is too big, which is noted. */
bool local_keep_file(struct gathering *g, int fd, const char *shown, const char *to);
/* … and with its hash, where that is wanted. */
bool local_keep_hashed(struct gathering *g, int fd, const char *shown, const char *to, char hex[65], int64_t *size);
/* Nothing more of it is wanted: the daemon stops. g->status says so. */
bool local_given_up(struct gathering *g);

/* --- local_items.c --- */
/* Of one part: the payloads as they were admitted, with the files as the run found them; and the list that it put out. */
void local_keep_inputs(struct gathering *g);
void local_keep_outputs(struct gathering *g);
/* Those of a flow, as it has them. */
void local_keep_flow_items(struct gathering *g);

#endif
