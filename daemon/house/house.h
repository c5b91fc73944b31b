/*
 * The house: all rooms under one roof. belfryd.c builds it; world.c carries out the engine's orders; ring.c takes every
 * firing to the engine; reload.c changes the configuration under it.
 */
#ifndef BELFRY_HOUSE_HOUSE_H
#define BELFRY_HOUSE_HOUSE_H

#include <uv.h>

#include "belfry/backends/backend.h"
#include "belfry/base/heap.h"
#include "belfry/base/vault.h"
#include "belfry/config/config.h"
#include "belfry/core/engine.h"
#include "belfry/net/http_client.h"
#include "belfry/net/http_server.h"
#include "belfry/net/later.h"
#include "belfry/results/deliver.h"
#include "belfry/results/syslog.h"
#include "belfry/serve/serve.h"
#include "belfry/store/journal.h"
#include "belfry/triggers/clock.h"
#include "belfry/triggers/eval.h"
#include "belfry/triggers/watch.h"
#include "belfry/triggers/webhook.h"

/* A workspace's backend; it stays when a reload takes the workspace away, for the runs that it still has. */
struct home {
    char *workspace;
    int64_t type;                /* enum workspace_type */
    struct backend *backend;
    struct config *config;       /* held: the workspace's settings lie in it */
};

/* How far it is taken down: triggers and API, then doors, backends and lines, then the journal. */
enum storey { STOREY_ALL, STOREY_TRIGGERS, STOREY_HANDS, STOREY_JOURNAL };

struct house {
    uv_loop_t *loop;
    struct config *config;
    struct vault *vault;
    struct journal *journal;
    struct engine *engine;
    struct flows *flows;         /* of local runs that go through steps */
    char *items_dir;             /* files of work items */
    struct http_client *client;
    struct http_client *messenger;   /* to where API clients want messages; see house_refuses */
    struct http_server *server;
    struct evaluator *evaluator;
    struct clock_room *clock;
    struct watch_room *watches;
    struct webhook_room *webhooks;
    struct syslog_room *syslog;
    struct deliver_room *deliver;
    struct serve_room *serve;
    struct keyring *keyring;
    struct later later;
    uv_timer_t wake;             /* the engine's */
    uv_timer_t daily;            /* old runs and results */
    uv_timer_t watchdog;
    uv_timer_t revisit;          /* runs that ended unresolved */
    struct revisit *revisits;
    size_t revisit_count;
    struct heap revisit_heap;
    uv_timer_t tidy;             /* once, a while after a configuration was taken in */
    bool rested;
    struct home *homes;
    size_t home_count;
    struct backend_reports reports;
    struct bell bell;
    struct serve_host host;
    struct instant born;
    struct job *at_backend;      /* collections that a backend works on */
    struct job *turns;           /* those that wait for a local one, in order */
    struct job **turns_end;
    size_t collecting;           /* that a local one works on */
    size_t working;              /* journal reads and jobs on the thread pool that want to come back */
    char **addresses;            /* the TCP addresses as bound */
    size_t address_count;
    char *api_url;               /* under which runs reach the work item API: of the first address */
    bool stopping;
    enum storey storey;
    size_t closing;              /* rooms of the storey that are still to close */
};

/* --- world.c --- */
void world_init(struct house *h, struct engine_world *world);
struct home *home_find(struct house *h, const char *workspace);
/* Makes backends for workspaces that have none, and tells the others of their settings. */
int homes_configure(struct house *h, struct config *config, struct error *err);
void on_wake_timer(uv_timer_t *timer);

/* A Control Room says that a run has come further. False when the signature is not good. */
bool house_callback(void *house, const char *run_id, const char *signature, const void *body, size_t len);

/* --- collect.c --- */
void world_collect(struct house *h, const struct run_record *run);
/* The house is taken down: collections that a backend had under way are forgotten (a restart begins them anew). */
void collect_drop(struct house *h);
void world_collected(struct house *h, const char *run_id, int status, const struct error *why, struct collection *collection);

/* A second revision of a run's results: `run` as it is now at its backend. → revise_published */
void collect_revision(struct house *h, const struct run_record *run);

/* --- revise.c --- */
/* At start: the runs of the last days that ended unresolved. */
void revise_recall(struct house *h);
/* A run has ended: it is kept in mind when it may be completed later. */
void revise_note(struct house *h, const struct run_record *run);
void revise_checked(struct house *h, const char *run_id, enum checked checked, const char *backend_state, int64_t ended_ms);
void revise_published(struct house *h, const char *run_id, int status, const struct error *why, const char *result,
                      const char *backend_state);
void revise_timer(uv_timer_t *timer);
void revise_free(struct house *h);

/* --- flows.c --- */
int house_open_flows(struct house *h, const char *state_dir, struct error *err);
/* The flows of the runs that the engine has taken up. */
int house_recover_flows(struct house *h, struct error *err);

/* --- retry.c --- */
/* Carries out what a person wants done with work items (in that workspace; NULL: any) (ids: a JSON array; NULL: all that failed are tried again) of a run, or with
 * a run that has no flow; then done: 0, BF_ENOENT (no such run), BF_EAGAIN (not in that state), BF_E… (not written down). It may be
 * called within the call. */
void house_wish(void *house, const char *workspace, const char *run_id, enum item_wish what, bool ask, const json_t *ids,
                void (*done)(void *data, int status, const struct error *why), void *data);

/* --- ring.c --- */
void house_ring(void *house, struct firing *firing);

/* --- build.c --- */
/* A configuration of ten thousand schedules leaves memory behind that nobody needs again: it is given back soon. */
void house_tidy_soon(struct house *h);

/* --- reload.c --- */
/* Reads the configuration anew. All or nothing; *report gets what is wrong (or the warnings). 0 or BF_E…. */
int house_reload(void *house, struct buf *report);
int house_configure(struct house *h, struct config *config, struct error *err);
/* Keys made when their values were still kept: no longer, where the configuration says so. */
void house_hide_keys(struct house *h);

/* --- views.c --- */
json_t *house_status(void *house);
json_t *house_triggers(void *house, const char *workspace);
int house_pause(void *house, const char *workspace, const char *kind, const char *name, bool paused);
json_t *house_next(void *house, const char *workspace, const char *schedule, int64_t from_ms, size_t count, struct error *err);
char *house_console(void *house, const struct run_record *run, const char *step_run_id);
json_t *house_record(void *house, const struct journal_row *row);
bool house_ready(void *house, const char **why);

/* --- metrics.c --- */
void house_metrics(void *house, const char *workspace, struct buf *text);

/* --- retention.c --- */
void house_clean(struct house *h);
/* At start, once the open runs are known: folders of local runs that have ended. */
void house_sweep_runs(struct house *h);

/* --- stored.c --- */
void house_sweep_items(struct house *h);

/* --- door.c --- */
/* Opens the socket and the TCP addresses. */
int house_open_doors(struct house *h, struct error *err);
/* Why no message may go to that address: a key would reach further by it than it may itself. NULL: it may. */
const char *house_refuses(void *house, const struct sockaddr *address);

/* --- build.c --- */
/* Builds all rooms, takes in what the journal knows, and rings for the first time. `config` is held. */
int house_build(struct house *h, uv_loop_t *loop, struct config *config, struct error *err);
/* Takes the house down: no ring is taken any more, what was acknowledged is on disk; runs go on without it. The loop ends
 * when all rooms are closed. */
void house_take_down(struct house *h);
/* Something came back: goes on with taking down when it was the last. */
void house_settle(struct house *h);
/* After the loop. */
void house_free(struct house *h);

#endif
