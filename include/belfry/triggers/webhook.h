/*
 * Webhooks: requests that ring. The routes and answers of SPEC §7 under the paths of `[webhook …]`.
 *
 * A sender's address is its connection's; as Belfry listens on the loopback, behind a proxy, a connection from there is
 * taken at the last address of its X-Forwarded-For, which is the one that the proxy itself has seen.
 */
#ifndef BELFRY_TRIGGERS_WEBHOOK_H
#define BELFRY_TRIGGERS_WEBHOOK_H

#include <uv.h>

#include "belfry/core/run.h"
#include "belfry/net/http_server.h"
#include "belfry/store/journal.h"
#include "belfry/core/firing.h"

struct webhook_room;

/* A run's record as SPEC §9 shows it, for `respond = result`: a new reference. */
struct webhook_host {
    void *data;
    json_t *(*record)(void *data, const struct journal_row *row);
};

int webhook_new(uv_loop_t *loop, struct journal *journal, const struct bell *bell, const struct webhook_host *host,
                struct webhook_room **room, struct error *err);
int webhook_configure(struct webhook_room *room, struct config *config, struct error *err);
int webhook_pause(struct webhook_room *room, const char *name, bool paused);
/* True when a hook has that path. The head callback: refuses early (method, size, address) or lowers the body's limit. */
bool webhook_owns(const struct webhook_room *room, const char *path);
void webhook_head(struct webhook_room *room, struct http_exchange *x);
/* Answers the exchange, now or later. */
void webhook_request(struct webhook_room *room, struct http_exchange *x);
/* For `respond = result`: a run has ended (durable): those who wait for it are answered. */
void webhook_run_ended(struct webhook_room *room, const struct run_record *run);
/* From now on 503; who waits for a run's end is told how far it is. */
void webhook_stop(struct webhook_room *room);
struct webhook_view {
    const char *name;
    const char *process;
    const char *path;
    bool paused;
    uint64_t accepted;
    uint64_t repeated;
    uint64_t refused;
    const char *last_word;
};
void webhook_each(const struct webhook_room *room, void (*each)(void *data, const struct webhook_view *view), void *data);
void webhook_close(struct webhook_room *room, void (*closed)(void *data), void *data);

#endif
