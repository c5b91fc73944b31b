/*
 * The Control Room backend's inside. See include/belfry/backends/backend.h; the contract is the vendor's API v1
 * (https://robocorp.com/docs/control-room/api).
 *
 *   robocorp.c          the operations, access to the workspace, closing
 *   robocorp_dialect.c  where the APIs differ
 *   robocorp_ask.c      one request to the API: rate, flights, what its outcome means
 *   robocorp_pages.c    lists, page after page
 *   robocorp_start.c    the start (robocorp_items.c: its work items, robocorp_upload.c: their files)
 *   robocorp_find.c     finding a start that got no answer
 *   robocorp_memo.c     what a run's record keeps of a start
 *   robocorp_process.c  a process's id by its name
 *   robocorp_follow.c   polling, stopping
 *   robocorp_rounds.c   polling many runs by lists
 *   robocorp_check.c    a look at a run that ended unresolved
 *   robocorp_collect.c  bringing home what a run left behind, piece by piece (robocorp_pieces.c: the kinds)
 *   robocorp_fetch.c    one file brought home
 */
#ifndef BELFRY_BACKENDS_ROBOCORP_INTERNAL_H
#define BELFRY_BACKENDS_ROBOCORP_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <uthash.h>

#include "belfry/backends/backend.h"
#include "belfry/base/buf.h"
#include "belfry/base/heap.h"
#include "belfry/net/http_client.h"
#include "belfry/net/later.h"
#include "robocorp_dialect.h"

/* How requests reach the workspace: kept as long as one of them needs it, over a reload too. */
struct access {
    int refs;
    char *root;               /* "https://host/api/v1/workspaces/ID" */
    char *origin;             /* "https://host:443" */
    char *ca_file;
    char *proxy;
    char *authorization;      /* secret */
    const char *headers[4];
};

/* What an answer, or its absence, means for a request that must not be made twice. */
enum asked {
    ASKED_GOOD,               /* 2xx, and JSON */
    ASKED_NOT_SENT,           /* nothing left this machine */
    ASKED_BUSY,               /* 429: not done, later */
    ASKED_DENIED,             /* 401, 403: not done */
    ASKED_REFUSED,            /* 400, 404, 409, 410, 413, 422: not done */
    ASKED_UNKNOWN,            /* it may have been done: no answer, half of one, 5xx, nonsense */
    ASKED_CANCELED,           /* the backend closes */
};

struct robocorp;

/* One request. Zeroed, filled by ask_send, given back through cb, once, from the loop. */
struct ask {
    struct robocorp *b;
    struct access *access;
    struct http_request request;
    struct buf url;
    char *body;
    unsigned tries_left;      /* a GET may be repeated */
    unsigned tries;
    struct heap_node again;   /* waits for its next try */
    int64_t queued_ms;        /* monotonic: since when it waits for its turn */
    bool flying;
    void (*cb)(struct ask *ask);
    void *data;
    TAILQ_ENTRY(ask) link;
    /* the outcome */
    enum asked outcome;
    long status;
    json_t *answer;           /* the ask's until ask_close */
    int64_t retry_after_ms;   /* 0: not said */
    struct error error;
};
TAILQ_HEAD(ask_queue, ask);

/* A transfer of a file, without the key: so that a close can end it. */
struct transfer {
    struct http_request request;
    TAILQ_ENTRY(transfer) link;
};
TAILQ_HEAD(transfer_list, transfer);

struct finding;
TAILQ_HEAD(finding_list, finding);

struct inspected;
struct starting;
TAILQ_HEAD(starting_list, starting);

struct follow;
struct round;
struct named_process;

struct robocorp {
    struct backend base;
    uv_loop_t *loop;
    struct http_client *client;
    const struct workspace_config *set;
    const struct dialect *dialect;
    struct access *access;
    struct later later;
    struct ask_queue urgent;  /* wait for a token or a flight: what starts and stops runs */
    struct ask_queue queue;   /* and what looks at them */
    unsigned turn;            /* of those two */
    struct ask_queue flights;
    struct transfer_list transfers;
    struct starting_list startings;
    struct finding_list findings; /* that wait for their turn with the list of runs */
    struct finding *finding;  /* whose turn it is */
    struct inspected *inspected;
    int64_t skew_ms;          /* the Control Room's clock less ours, as its last answer had it */
    struct heap again;        /* asks that wait for their next try */
    size_t flying;
    double tokens;
    int64_t tokens_ms;
    int64_t quiet_until_ms;   /* 429: the whole key rests */
    unsigned breaks;          /* requests in a row that got no good answer: from some number on the circuit is open */
    int64_t broken_until_ms;  /* and then one request probes */
    unsigned denials;         /* starts in a row that the key was refused for: starts pause */
    int64_t denied_until_ms;
    uv_timer_t pace;
    struct follow *follows;
    struct follow *by_remote; /* the same, by the id at the Control Room */
    struct heap polls;
    uv_timer_t poll;
    struct round *round;      /* a list of runs is being read; or NULL */
    int64_t no_list_until_ms; /* the key may not list runs: they are asked for one by one */
    struct named_process *names;
    char trouble[512];
    bool trouble_said;        /* in the log */
    unsigned faults;          /* in a row */
    size_t busy;              /* asks, fetches, jobs on the thread pool, memos: a close waits for them */
    atomic_bool closing;      /* read on the thread pool, too */
    int handles;
    void (*closed)(void *data);
    void *closed_data;
};

/* --- robocorp.c --- */
struct access *access_hold(struct access *access);
void access_release(struct access *access);
void robocorp_begin(struct robocorp *b);       /* one more to wait for */
void robocorp_done(struct robocorp *b);        /* one less */
/* Sends a transfer (its `request` is filled); transfer_over is called first in its callback. */
void transfer_send(struct robocorp *b, struct transfer *transfer);
void transfer_over(struct robocorp *b, struct transfer *transfer);
/* True when a link to a file may be used: https, or the API's own host. */
bool robocorp_may_transfer(const struct access *access, const char *url);
/* Appends text as one segment of a path. */
void robocorp_percent(struct buf *url, const char *text);
/* "scheme://host:port" of a URL on the heap; NULL when it is none. */
char *robocorp_origin(const char *url);

/* --- robocorp_ask.c --- */
/* Sends method to root + path (or to `path` itself when it is a whole URL). body is taken (NULL: none). `once`: at most
 * one try, on a connection of its own; else up to `tries` tries. */
void ask_send(struct robocorp *b, struct ask *ask, const char *method, const char *path, json_t *body, unsigned tries, bool once,
              void (*cb)(struct ask *ask), void *data);
/* The same by a route of the dialect. */
void ask_route(struct robocorp *b, struct ask *ask, const char *method, const char *route, const struct path_words *words,
               json_t *body, unsigned tries, bool once, void (*cb)(struct ask *ask), void *data);
void ask_close(struct ask *ask);               /* frees what the answer holds; the ask may be used again */
/* A string member that has to be there; NULL with ask->error filled and outcome ASKED_UNKNOWN. */
const char *ask_string(struct ask *ask, const json_t *object, const char *member);
void ask_pump(struct robocorp *b);
void ask_timer(uv_timer_t *timer);
void ask_cancel_all(struct robocorp *b);

/* --- robocorp_pages.c --- */
struct pages {
    struct ask ask;
    struct robocorp *b;
    size_t count;
    char *last;               /* the link that led to this page */
    void (*each)(void *data, const json_t *element);
    bool (*enough)(void *data);   /* may be NULL: asked after each page, true ends the list */
    void (*done)(struct pages *pages, int status);   /* 0, BF_ENOENT (404), BF_ECANCELED, or a fault with ask.error filled */
    void *data;
};
/* Zeroed at first. Everything of a list, in order; `path` as in ask_send. */
void pages_read(struct robocorp *b, struct pages *pages, const char *path, void (*each)(void *data, const json_t *element),
                void (*done)(struct pages *pages, int status), void *data);
void pages_route(struct robocorp *b, struct pages *pages, const char *route, const struct path_words *words,
                 void (*each)(void *data, const json_t *element), void (*done)(struct pages *pages, int status), void *data);
void pages_close(struct pages *pages);

/* --- robocorp_process.c --- */
/* The id of a process by its configuration; looked up when it goes by name. done(data, id or NULL, ask): id is lent; on
 * NULL the ask tells why (ASKED_REFUSED when there is no such process). Called later, from the loop. */
void process_find_id(struct robocorp *b, const struct process_config *process,
                     void (*done)(void *data, const char *id, const struct ask *why), void *data);
void process_forget_id(struct robocorp *b, const char *name);
void process_forget_all(struct robocorp *b);

/* --- robocorp_memo.c --- */
/* The process id that a run's memo tells; NULL when it does not. On the heap. */
char *memo_process(const char *text);

/* --- robocorp_start.c --- */
void robocorp_start(struct backend *b, const struct run_record *run, const struct process_config *process,
                    const json_t *event, const json_t *input);

/* --- robocorp_find.c --- */
void find_forget_all(struct robocorp *b);
void robocorp_find(struct backend *b, const struct run_record *run, const struct process_config *process);

/* --- robocorp_follow.c --- */
void robocorp_follow(struct backend *b, const struct run_record *run, const struct process_config *process);
void robocorp_stop(struct backend *b, const struct run_record *run, const struct process_config *process, enum stop_how how);
void robocorp_look(struct backend *b, const char *run_id);
void robocorp_forget(struct backend *b, const char *run_id);
void follow_timer(uv_timer_t *timer);
void follow_drop_all(struct robocorp *b);

/* --- robocorp_check.c --- */
void robocorp_check(struct backend *b, const struct run_record *run, const struct process_config *process);

/* --- robocorp_collect.c --- */
void robocorp_collect(struct backend *b, const struct run_record *run, const struct process_config *process,
                      const json_t *input, const char *dir);

/* --- robocorp_fetch.c --- */
enum fetched { FETCHED, FETCH_AGAIN /* a fault that may pass */, FETCH_EXPIRED /* 4xx: the link is not good */,
    FETCH_NEVER /* it is refused here, or is not what was announced */, FETCH_CANCELED };

struct fetch {
    struct robocorp *b;
    struct access *access;
    struct transfer transfer;
    char *url;
    char *path;               /* where it goes */
    char *part;               /* and its temporary name */
    int64_t size;             /* as announced; -1: not */
    int fd;
    unsigned tries;
    uv_timer_t wait;
    uv_work_t work;
    char sha256[65];
    int64_t got;
    enum fetched outcome;
    struct error error;
    void (*cb)(struct fetch *fetch);
    void *data;
};
/* Downloads url to path (temporary name, size checked, synced, renamed), without the key. Strings are copied. */
void fetch_begin(struct robocorp *b, struct fetch *fetch, const char *url, const char *path, int64_t size,
                 void (*cb)(struct fetch *fetch), void *data);

#endif
