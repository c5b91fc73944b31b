/*
 * Messages to those who want to be told of runs of local workspaces: webhooks and callbacks. What is to be sent is in the journal
 * with the record that it tells of (a line of the run), and stays until it was taken (2xx): at least once, each on its own, with
 * back-off from 5 s to an hour, for two days (one whose turn never came: a week). Signed as a Control Room signs: x-rc-signature,
 * hex HMAC-SHA-256 of the body under the secret. Redirects are not followed, answers not read.
 */
#ifndef BELFRY_RESULTS_DELIVER_H
#define BELFRY_RESULTS_DELIVER_H

#include <stdbool.h>
#include <uv.h>

#include "belfry/base/vault.h"
#include "belfry/core/hook.h"
#include "belfry/net/http_client.h"
#include "belfry/store/journal.h"

struct deliver_room;

struct deliver_host {
    void *data;
    /* The id of the workspace of a run, and that of its process; false when the workspace is not a local one. */
    bool (*ids)(void *data, const struct run_record *run, const char **workspace_id, const char **process_id);
};

/* Reads what the journal knows of webhooks and callbacks: blocking, at start. */
int deliver_new(uv_loop_t *loop, struct journal *journal, struct http_client *client, const struct vault *vault,
                const struct deliver_host *host, struct deliver_room **room, struct error *err);
/* Sends nothing more. Who wants to know of what is known until deliver_free: the ends of runs are written down to the last. */
void deliver_close(struct deliver_room *room, void (*closed)(void *data), void *data);
void deliver_free(struct deliver_room *room);

/* The line that a write of the run has to carry (LINE_ADD's scope), or NULL when nobody wants to know. */
const char *deliver_line(const struct deliver_room *room, const struct run_record *run);
/* Lines may be waiting. */
void deliver_pump(struct deliver_room *room);
/* How many of the messages that are due next were not taken before (of each workspace at most some), and the last reason; "": none
 * is known since the start. */
size_t deliver_trouble(const struct deliver_room *room, const char **why);

/* --- webhooks ----------------------------------------------------------------------------------------------------- */

void deliver_each_hook(const struct deliver_room *room, void (*each)(void *data, const struct hook_record *hook), void *data);
const struct hook_record *deliver_hook(const struct deliver_room *room, const char *id);
/* 64 hex digits, made of its id. */
void deliver_hook_secret(const struct deliver_room *room, const char *id, char secret[65]);
/* After it was written down. */
void deliver_hook_added(struct deliver_room *room, const struct hook_record *hook);
void deliver_hook_dropped(struct deliver_room *room, const char *id);

/* --- callbacks ---------------------------------------------------------------------------------------------------- */

/* Fills the record of a run's callback (heap; the caller's): 0 or BF_ENOMEM. deliver_callback_added before the run is admitted. */
int deliver_callback_make(const struct deliver_room *room, const char *run_id, const char *url, const char *secret, unsigned events,
                          struct callback_record *callback);
void deliver_callback_added(struct deliver_room *room, const struct callback_record *callback);
/* Its run was not admitted, or is over. */
void deliver_callback_dropped(struct deliver_room *room, const char *run_id);

#endif
