/*
 * A journal in a folder of its own on a loop of its own, for tests that wait for each answer.
 */
#ifndef BELFRY_TESTS_JOURNAL_FIXTURE_H
#define BELFRY_TESTS_JOURNAL_FIXTURE_H

#include "belfry/store/journal.h"

extern char journal_folder[64];
extern uv_loop_t journal_loop;
extern struct journal *journal;

/* For cmocka: a fresh folder with an open journal; and its end. */
int journal_setup(void **state);
int journal_teardown(void **state);
void open_journal(void);
/* Closes and runs the loop until it is gone. */
void close_journal(void);

/* A commit that knows what became of it. */
struct told {
    struct commit commit;
    int status;
    int calls;
    int order;      /* of all callbacks so far */
};

extern int told_so_far;

void give(struct told *t, struct record *records, size_t count, bool must);
void wait_until_told(struct told *t);
/* Gives and waits: the status. */
int commit_now(struct record *records, size_t count);

/* Run number n: an id that sorts as n does, and strings that are not the heap's. */
struct run_record plain_run(unsigned n);
/* Admits it, as it is. */
void add_run(const struct run_record *run, const char *event, const char *input);

/* Reads and waits; *read is as journal.h has it, but its rows are kept until the next call. */
int read_now(struct journal_read *read);
/* Prunes and waits: the count. */
size_t prune_now(int64_t until_ms, size_t limit);

#endif
