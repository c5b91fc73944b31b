/*
 * Inside starting: robocorp_start.c leads the way, robocorp_items.c makes work items (and finds those whose creation got no
 * answer), robocorp_upload.c hands over files, robocorp_find.c looks for a start that got no answer.
 */
#ifndef BELFRY_BACKENDS_ROBOCORP_START_H
#define BELFRY_BACKENDS_ROBOCORP_START_H

#include "robocorp_internal.h"

#define START_TRIES 3            /* of a request before the start that may be repeated */
#define NOT_BEFORE_SLACK_MS 60000   /* how far two clocks may still be apart once their difference is known */

/* What a run's memo keeps: {"process": id, "items": [id …], "start": true, "since": ms, "since_there": ms}. */
struct memo {
    char *process;
    json_t *items;            /* ids; an empty array when it has none, or when any of them is no text */
    bool start;               /* the start may have been sent */
    int64_t since_ms;         /* wall clock: nothing of this run is older at the Control Room; 0: nothing was made */
    int64_t since_there_ms;   /* the same by the Control Room's clock, as far as it was known then */
};
void memo_read(struct memo *memo, const char *text);
char *memo_text(const struct memo *memo);
void memo_close(struct memo *memo);
/* The earliest time, by the Control Room's clock, at which anything of the run can have been made there. Of two estimates
 * the earlier: either clock may have been set since. */
int64_t memo_not_before(const struct memo *memo, const struct robocorp *b);

struct starting {
    struct robocorp *b;
    struct ask ask;
    struct pages pages;
    char run_id[ID_SIZE];
    unsigned attempt;
    char *process_name;       /* when it goes by name */
    char *process_id;         /* when it does not */
    json_t *payloads;
    struct memo memo;         /* its items: one for each payload, null as long as it is not made */
    bool was_sent;            /* by an earlier attempt, perhaps */
    json_t *files;            /* that travel with the first item */
    json_t *there;            /* those that it has already */
    size_t next_file;
    json_t *made_before;      /* ids of items that may be of an earlier attempt */
    size_t next_made;
    struct transfer upload;
    char *upload_path;
    struct http_form_field *form;
    size_t form_count;
    json_t *upload_answer;    /* the form's texts lie in it */
    TAILQ_ENTRY(starting) link;
};

/* --- robocorp_start.c --- */
void start_not_done(struct starting *s, const struct error *why, bool again, int64_t retry_after_ms);
/* A request before the start went wrong, or the start was refused: surely nothing runs. */
void start_give_up(struct starting *s, const struct ask *ask);
/* Writes the memo, then goes on with what is still to be done. */
void start_write_memo(struct starting *s);

/* --- robocorp_items.c --- */
bool items_complete(const struct starting *s);
void items_make(struct starting *s);

/* --- robocorp_upload.c --- */
void upload_files(struct starting *s);

#endif
