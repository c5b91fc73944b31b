/*
 * What the daemon serves over HTTP, but for webhooks: health, metrics and Belfry's own API (SPEC §11), one table of
 * routes. The room reaches the house through serve_host and starts a run by the same bell as a cron line does.
 *
 *   GET  /healthz  /readyz  /metrics
 *   POST /callbacks/RUN                  a Control Room, with x-rc-signature: the run has come further   {"accepted"}
 *   GET  /belfry/v1/status  /triggers  /next?schedule=&n=&from=
 *   POST /belfry/v1/triggers/KIND/NAME/pause  …/resume                    {"paused"}
 *   POST /belfry/v1/reload                                                {"reloaded", "warnings"}
 *   GET  /belfry/v1/runs?process=&state=&since=&before=&n=                {"data": [record …], "has_more"}
 *   GET  /belfry/v1/runs/ID?wait_ms=                                      record; waits for the end that long
 *   GET  /belfry/v1/runs/ID/log?offset=                                   text, SERVE_LOG_PIECE bytes at most
 *   GET  /belfry/v1/runs/ID/files/PATH                                    a file of the results
 *   POST /belfry/v1/runs/ID/cancel {"reason"?}                            202 {"accepted"}; 409 when it has ended
 *   POST /belfry/v1/runs/ID/retry {"work_item_ids"?}                      202 {"accepted"}; 409 when nothing has failed
 *   GET  /belfry/v1/keys  /workspaces/W/keys                              {"data": [key …]}
 *   POST /belfry/v1/workspaces/W/keys {"name", "permissions", "expires_at"?}   key, with its value in "key"
 *   GET, POST, DELETE /belfry/v1/keys/ID  /workspaces/W/keys/ID           a key with its value; edited; removed
 *   POST /belfry/v1/processes/NAME/runs {"input"?, "files"?: [path …]}    202 {"run_id", "state"}; Idempotency-Key: the
 *                                        same run again for 7 days, 409 when it was deleted since
 *
 *   *    /api/v1/workspaces/…                the Control Room API of local workspaces; /api/v1/openapi.json; /api/: a page, to which / leads
 *   *    /process-v1/…  /workspace-v1/…      its older forms;  /json-v1/…  what runs use from inside, with a token of their own
 *   POST, PUT /uploads/FILE?size=&expires=&signature=   a work item's file, by a link that the API gave; GET /item-files/FILE
 *                                            204, of the same bytes again, too; 409 once a run has taken the item, or for other bytes
 *   GET  /files/RUN/PATH?expires=&signature= a file of the results, by a link that the API gave
 *
 * The socket needs no key: its file mode is the lock. TCP answers 401 but for health, callbacks, links, and the
 * Control Room API, which takes keys.
 */
#ifndef BELFRY_SERVE_SERVE_H
#define BELFRY_SERVE_SERVE_H

#include <stdbool.h>

#include "belfry/base/buf.h"
#include "belfry/base/json.h"
#include "belfry/config/config.h"
#include "belfry/core/engine.h"
#include "belfry/core/flows.h"
#include "belfry/net/http_server.h"
#include "belfry/results/deliver.h"
#include "belfry/serve/keyring.h"
#include "belfry/store/journal.h"
#include "belfry/core/firing.h"

struct serve_host {
    void *data;
    struct journal *journal;
    struct engine *engine;
    struct keyring *keyring;
    struct flows *flows;
    struct deliver_room *deliver;
    const struct vault *vault;
    const struct bell *bell;
    /* The configuration in force; hold it when it is needed beyond the call. */
    struct config *(*config)(void *data);
    /* New references; a run's record is as SPEC §9 shows it. */
    json_t *(*record)(void *data, const struct journal_row *row);
    json_t *(*status)(void *data);
    /* `workspace` NULL: of all. */
    json_t *(*triggers)(void *data, const char *workspace);
    json_t *(*next)(void *data, const char *workspace, const char *schedule, int64_t from_ms, size_t count, struct error *err);
    /* Writes the person's word down and acts on it: 0, or BF_ENOENT. */
    int (*pause)(void *data, const char *workspace, const char *kind, const char *name, bool paused);
    int (*reload)(void *data, struct buf *report);
    /* Path of a run's console while it goes on (or of a step run's of it; NULL: the whole), on the heap; NULL when there is none. */
    char *(*console)(void *data, const struct run_record *run, const char *step_run_id);
    /* A Control Room's word of a run: false when the signature is not good. */
    bool (*callback)(void *data, const char *run_id, const char *signature, const void *body, size_t len);
    /* What a person wants done with work items of a run (of that workspace; NULL: any), or a run as a whole (ids NULL); then done, perhaps within the call: 0,
     * BF_ENOENT, BF_EAGAIN (it is not where that can be done: a conflict), or why it could not be written down. `ask`: nothing is
     * done, only said whether it could be. */
    void (*wish)(void *data, const char *workspace, const char *run_id, enum item_wish what, bool ask, const json_t *ids,
                 void (*done)(void *data, int status, const struct error *why), void *done_data);
    bool (*ready)(void *data, const char **why);
    /* Prometheus text. */
    void (*metrics)(void *data, const char *workspace, struct buf *text);
};

#define SERVE_LOG_PIECE (1 << 20)

struct serve_room;

int serve_new(uv_loop_t *loop, const struct serve_host *host, struct serve_room **room, struct error *err);
/* A head has come. Who needs a key and has no good one is refused, so that no body is kept of who is not known; else the body is to
 * be streamed (an upload), or may be `usual` bytes long: more for an asset's inline upload, less where nobody is asked for a key. */
void serve_head(struct serve_room *room, struct http_exchange *x, int64_t usual);
/* Answers the exchange, now or later. */
void serve_request(struct serve_room *room, struct http_exchange *x);
/* A run has ended (durable): answers those who wait for it. */
void serve_run_ended(struct serve_room *room, const struct run_record *run);
/* Who still waits gets its answer now. */
void serve_stop(struct serve_room *room);
void serve_close(struct serve_room *room, void (*closed)(void *data), void *data);

#endif
