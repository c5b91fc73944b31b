/*
 * Inside the webhooks: webhook.c keeps the hooks; webhook_head.c judges a request before its body; webhook_event.c makes
 * the event of it; webhook_answer.c rings and answers.
 */
#ifndef BELFRY_TRIGGERS_WEBHOOK_INTERNAL_H
#define BELFRY_TRIGGERS_WEBHOOK_INTERNAL_H

#include <sys/queue.h>
#include <uthash.h>

#include "belfry/base/heap.h"
#include "belfry/triggers/webhook.h"

#define ADDRESS_SIZE 64

struct bucket {
    double tokens;                         /* of `rate` */
    int64_t at_ms;
};

/* One name; it stays until the room closes, so that a reload keeps its counters and requests under way keep it. */
struct hook {
    char *name;
    const struct webhook_config *config;   /* NULL: no longer configured */
    bool word;                             /* a person has said whether it is paused */
    bool paused;
    struct bucket rung, unsigned_ones;     /* who has no secret takes nothing from who has */
    int64_t refusal_said_ms;               /* monotonic: the last time that a refusal went to the log */
    uint64_t refusals_unsaid;
    uint64_t accepted, repeated, refused;
    const char *last_word;
    UT_hash_handle by_name;
    UT_hash_handle by_path;
};

struct hook_call;
TAILQ_HEAD(hook_call_list, hook_call);

struct webhook_room {
    uv_loop_t *loop;
    struct journal *journal;
    struct bell bell;
    struct webhook_host host;
    struct config *config;
    struct hook *names;
    struct hook *paths;
    struct hook_call_list waiting;         /* for a run's end */
    struct heap deadlines;                 /* of those */
    uv_timer_t timer;
    bool stopping;
    bool closing;
    size_t open;                           /* calls, and the timer */
    void (*closed)(void *data);
    void *closed_data;
};

/* --- webhook.c --- */
struct hook *hook_at(const struct webhook_room *room, const char *path);
void webhook_let_go(struct webhook_room *room);
/* Refuses: counts it, and says so in the log at most once a minute for a hook. */
void hook_refuse(struct hook *hook, struct http_exchange *x, unsigned status, const char *code, const char *why);

/* --- webhook_head.c --- */
/* The sender's address. */
void hook_sender(const struct http_exchange *x, char out[ADDRESS_SIZE]);
bool hook_lets_in(const struct webhook_config *config, const struct http_exchange *x, const char *sender);
/* Takes a token of the hook's rate: false when there is none. */
bool hook_take_token(const struct hook *hook, struct bucket *bucket, int64_t mono_ms);

/* --- webhook_event.c --- */
/* The request as the event shows it; NULL with *err filled when the body is not what its type says. */
json_t *hook_request_json(const struct webhook_config *config, const struct http_exchange *x, struct error *err);

/* --- webhook_answer.c --- */
void hook_timer(uv_timer_t *timer);
void hook_answer_all(struct webhook_room *room);   /* those who wait */

#endif
