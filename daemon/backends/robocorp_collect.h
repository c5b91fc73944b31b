/*
 * Inside collecting: robocorp_collect.c keeps the list of pieces and hands them out; robocorp_pieces.c does each kind.
 */
#ifndef BELFRY_BACKENDS_ROBOCORP_COLLECT_H
#define BELFRY_BACKENDS_ROBOCORP_COLLECT_H

#include "belfry/base/file.h"
#include "robocorp_internal.h"

enum piece_kind { PIECE_STEPS, PIECE_ARTIFACTS, PIECE_ARTIFACT, PIECE_CONSOLE, PIECE_EVENTS, PIECE_OUTPUTS, PIECE_FILE };

struct gathering;

struct piece {
    struct gathering *g;
    enum piece_kind kind;
    char *id;                 /* the step run's, the artifact's */
    char *step_id;
    char *url;                /* PIECE_FILE */
    char *item;               /* the work item that it is of; NULL: it has no id */
    char *path;               /* where a file goes */
    char *shown;              /* its name, for notes */
    char *name;               /* as the Control Room has it */
    int64_t size;
    json_t *entry;            /* of run.json: gets what comes of it */
    json_t *list;             /* the list that the entry is taken out of when it cannot be had */
    bool link_again;          /* an expired link was asked for anew */
    struct pages pages;
    struct ask ask;
    struct fetch fetch;
    STAILQ_ENTRY(piece) next;
};

/* A path that is taken. */
struct taken {
    UT_hash_handle hh;
    char path[];
};

struct gathering {
    struct robocorp *b;
    char run_id[ID_SIZE];
    char *remote_id;
    char *process_id;
    char *dir;
    unsigned results;
    struct collection collected;
    json_t *payloads;
    json_t *items;            /* ids, of the memo */
    struct taken *taken;
    STAILQ_HEAD(, piece) pieces;
    STAILQ_HEAD(, piece) console;   /* the steps' consoles, one after the other */
    bool console_busy;
    size_t hands;
    int console_fd;
    int events_fd;            /* made when there is an event */
    bool outputs_old;         /* the older route of outputs is tried */
    int status;
    struct error error;
};


/* --- robocorp_collect.c --- */
char *gather_copy(const char *text);           /* aborts when out of memory; NULL stays NULL */
struct piece *piece_new(struct gathering *g, enum piece_kind kind);
void piece_done(struct piece *p);
void gather_note(struct gathering *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gather_fail(struct gathering *g, int status, const struct error *why);
/* Reserves a path below the folder: false when it is taken. */
bool gather_take(struct gathering *g, const char *path);
/* A free path "folder/NAME" for a name from outside, on the heap; two names that would meet get a number. `safe` gets the
 * name. */
char *gather_free_path(struct gathering *g, const char *folder, const char *name, char safe[FILE_NAME_MAX + 1]);
/* A new file of the folder; a fault ends the whole. */
int gather_open(struct gathering *g, const char *name, int *fd);
int gather_folder(struct gathering *g, const char *relative);
void gather_payload(struct gathering *g, const char *folder, const json_t *payload);

/* --- robocorp_pieces.c --- */
void piece_begin(struct piece *p);

#endif
