/* The writing thread. All that waits is one transaction; who is refused takes nobody along. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "internal.h"

#define RETRY_S 1

int store_code(int sqlite_code)
{
    switch (sqlite_code & 0xFF) {
    case SQLITE_OK: case SQLITE_DONE: case SQLITE_ROW:
        return BF_OK;
    case SQLITE_NOTFOUND:   /* records.c's: the row is gone */
        return BF_ENOENT;
    case SQLITE_FULL:
        return BF_ENOSPC;
    case SQLITE_NOMEM:
        return BF_ENOMEM;
    case SQLITE_TOOBIG:
        return BF_ETOOBIG;
    case SQLITE_CONSTRAINT:
        return BF_EINVAL;
    case SQLITE_PERM: case SQLITE_READONLY: case SQLITE_AUTH:
        return BF_EACCES;
    default:
        return BF_EIO;
    }
}

/* One commit within the open transaction: SQLITE_DONE when it is in, or refused by a claim; else the failure. */
static int put_in(struct journal *j, struct commit *c)
{
    int rc;

    if (records_claimed(j, c, &rc)) {
        c->status = BF_EEXIST;
        return SQLITE_DONE;
    }
    if (rc == SQLITE_DONE)
        rc = records_apply(j, c);
    c->status = store_code(rc);
    return rc;
}

/* The list as one transaction: SQLITE_DONE, or the first failure with nothing of it done. */
static int write_group(struct journal *j, struct commit *list)
{
    int rc = records_run(j, ST_BEGIN);

    for (struct commit *c = list; c != NULL && rc == SQLITE_DONE; c = c->next)
        rc = put_in(j, c);
    if (rc == SQLITE_DONE)
        rc = records_run(j, ST_COMMIT);
    if (rc != SQLITE_DONE && sqlite3_get_autocommit(j->db) == 0)
        (void)records_run(j, ST_ROLLBACK);
    return rc;
}

/* A group that failed is tried one by one, so that a commit that is at fault itself is alone with its failure. The disk's
 * faults stay with all of them. */
static int write_one(struct journal *j, struct commit *c)
{
    struct commit *next = c->next;
    int rc;

    c->next = NULL;
    rc = write_group(j, c);
    c->next = next;
    if (rc != SQLITE_DONE)
        c->status = store_code(rc);
    return rc;
}

static bool of_the_disk(int status)
{
    return status == BF_ENOSPC || status == BF_EIO || status == BF_EACCES || status == BF_ENOMEM;
}

static void note_health(struct journal *j, int rc, size_t durable)
{
    pthread_mutex_lock(&j->mutex);
    j->health.writable = rc == SQLITE_DONE;
    if (rc != SQLITE_DONE)
        (void)snprintf(j->health.problem, sizeof j->health.problem, "cannot write %s: %s", j->path, sqlite3_errstr(rc));
    j->health.commits += durable;
    j->health.transactions += durable > 0;
    pthread_mutex_unlock(&j->mutex);
}

struct queue {
    struct commit *first, **tail;
};

static void push(struct queue *q, struct commit *c)
{
    c->next = NULL;
    *q->tail = c;
    q->tail = &c->next;
}

/* Writes what was taken. What must be durable and is not yet goes to `again`, in its order; the rest to `done`. */
static void write_list(struct journal *j, struct commit *list, struct queue *done, struct queue *again)
{
    struct commit *c, *next;
    int rc = write_group(j, list), fault = SQLITE_DONE;
    size_t durable = 0;

    for (c = list; c != NULL; c = next) {
        next = c->next;
        if (rc != SQLITE_DONE) {
            int one = fault != SQLITE_DONE ? fault : write_one(j, c);

            c->status = one == SQLITE_DONE ? c->status : store_code(one);
            /* The disk's faults are everybody's: those behind are not even tried, so the order of `must` is kept. */
            fault = of_the_disk(store_code(one)) ? one : SQLITE_DONE;
            if (fault != SQLITE_DONE && c->must) {
                push(again, c);
                continue;
            }
        }
        durable += c->status == 0;
        push(done, c);
    }
    note_health(j, fault, durable);
}

static void hand_back(struct journal *j, struct queue *done, struct queue *again)
{
    pthread_mutex_lock(&j->mutex);
    if (done->first != NULL) {
        *j->done_tail = done->first;
        j->done_tail = done->tail;
    }
    if (again->first != NULL) {
        *again->tail = j->waiting;
        if (j->waiting == NULL)
            j->waiting_tail = again->tail;
        j->waiting = again->first;
    }
    pthread_mutex_unlock(&j->mutex);
    if (done->first != NULL)
        (void)uv_async_send(&j->async);
}

static void do_prunes(struct journal *j, struct prune *list)
{
    struct prune *next;

    for (struct prune *p = list; p != NULL; p = next) {
        next = p->next;
        p->count = records_prune(j, p);
        pthread_mutex_lock(&j->mutex);
        p->next = j->pruned;
        j->pruned = p;
        pthread_mutex_unlock(&j->mutex);
        (void)uv_async_send(&j->async);
    }
}

/* Those that cannot be written any more are given back when the store ends. */
static void give_up(struct queue *done, struct queue *again)
{
    struct commit *next;

    for (struct commit *c = again->first; c != NULL; c = next) {
        next = c->next;
        c->status = BF_ESHUTDOWN;
        push(done, c);
    }
    *again = (struct queue) { .tail = &again->first };
}

/* Until there is something to write; a retry waits its second out, whatever comes. False when all is over. */
static bool wait_for_work(struct journal *j, bool retry)
{
    struct timespec until;
    bool quit;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_S;
    pthread_mutex_lock(&j->mutex);
    while (!j->quit && !(retry && j->ending) && !j->rest && (retry || (j->waiting == NULL && j->prunes == NULL))) {
        if (!retry)
            (void)pthread_cond_wait(&j->wake, &j->mutex);
        else if (pthread_cond_timedwait(&j->wake, &j->mutex, &until) == ETIMEDOUT)
            break;
    }
    quit = j->quit;
    pthread_mutex_unlock(&j->mutex);
    return !quit;
}

void *writer_main(void *journal)
{
    struct journal *j = journal;
    bool retry = false, ending, rest;

    while (wait_for_work(j, retry)) {
        struct queue done = { .tail = &done.first }, again = { .tail = &again.first };
        struct commit *list;
        struct prune *prunes;

        pthread_mutex_lock(&j->mutex);
        list = j->waiting;
        j->waiting = NULL;
        j->waiting_tail = &j->waiting;
        prunes = j->prunes;
        j->prunes = NULL;
        ending = j->ending;
        rest = j->rest;
        j->rest = false;
        pthread_mutex_unlock(&j->mutex);

        if (list != NULL)
            write_list(j, list, &done, &again);
        if (ending)
            give_up(&done, &again);
        retry = again.first != NULL;
        hand_back(j, &done, &again);
        do_prunes(j, prunes);
        if (rest)
            (void)sqlite3_db_release_memory(j->db);
    }
    return NULL;
}
