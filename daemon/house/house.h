/*
 * The house: all rooms under one roof. belfryd.c builds it; world.c carries out the engine's orders; ring.c takes every
 * firing to the engine; reload.c changes the configuration under it.
 */
#ifndef BELFRY_HOUSE_HOUSE_H
#define BELFRY_HOUSE_HOUSE_H

#include <uv.h>

#include "belfry/backends/backend.h"
#include "belfry/config/config.h"
#include "belfry/core/engine.h"
#include "belfry/net/http_client.h"
#include "belfry/net/http_server.h"
#include "belfry/net/later.h"
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

struct house {
    uv_loop_t *loop;
    struct config *config;
    struct journal *journal;
    struct engine *engine;
    struct http_client *client;
    struct http_server *server;
    struct evaluator *evaluator;
    struct clock_room *clock;
    struct watch_room *watches;
    struct webhook_room *webhooks;
    struct syslog_room *syslog;
    struct serve_room *serve;
    struct later later;
    uv_timer_t wake;             /* the engine's */
    uv_timer_t daily;            /* old runs and results */
    uv_timer_t watchdog;
    uv_signal_t signals[3];
    struct home *homes;
    size_t home_count;
    struct backend_reports reports;
    struct bell bell;
    struct serve_host host;
    struct instant born;
    struct job *at_backend;      /* collections that a backend works on */
    size_t collecting;           /* jobs on the thread pool or at a backend */
    size_t loading;              /* journal reads for starts and collections */
    bool stopping;
    int closing;                 /* rooms that are still to close */
    bool died;                   /* a close took too long */
    uv_timer_t patience;
};

/* --- world.c --- */
void world_init(struct house *h, struct engine_world *world);
struct home *home_find(struct house *h, const char *workspace);
/* Makes backends for workspaces that have none, and tells the others of their settings. */
int homes_configure(struct house *h, struct config *config, struct error *err);
void on_wake_timer(uv_timer_t *timer);

/* --- collect.c --- */
void world_collect(struct house *h, const struct run_record *run);
void world_collected(struct house *h, const char *run_id, int status, const struct error *why, struct collection *collection);

/* --- ring.c --- */
void house_ring(void *house, struct firing *firing);

/* --- reload.c --- */
/* Reads the configuration anew. All or nothing; *report gets what is wrong (or the warnings). 0 or BF_E…. */
int house_reload(struct house *h, struct buf *report);
int house_configure(struct house *h, struct config *config, struct error *err);

/* --- views.c --- */
json_t *house_status(void *house);
json_t *house_triggers(void *house);
int house_pause(void *house, const char *kind, const char *name, bool paused);
json_t *house_next(void *house, const char *schedule, int64_t from_ms, size_t count, struct error *err);
char *house_console(void *house, const struct run_record *run);

/* --- retention.c --- */
void house_clean(struct house *h);

#endif
