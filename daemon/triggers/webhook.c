/* The hooks: by path, over reloads; their pauses; how the room opens and closes. */
#include "belfry/triggers/webhook.h"

#include <stdlib.h>
#include <string.h>

#include "belfry/base/log.h"
#include "webhook_internal.h"

#define SAY_REFUSALS_EVERY_MS 60000

static struct hook *hook_named(const struct webhook_room *room, const char *name)
{
    struct hook *hook;

    HASH_FIND(by_name, room->names, name, strlen(name), hook);
    return hook;
}

static struct hook *need_hook(struct webhook_room *room, const char *name)
{
    struct hook *hook = hook_named(room, name);

    if (hook != NULL)
        return hook;
    hook = calloc(1, sizeof *hook);
    if (hook == NULL || (hook->name = strdup(name)) == NULL) {
        free(hook);
        return NULL;
    }
    HASH_ADD_KEYPTR(by_name, room->names, hook->name, strlen(hook->name), hook);
    return hook;
}

struct hook *hook_at(const struct webhook_room *room, const char *path)
{
    struct hook *hook;

    HASH_FIND(by_path, room->paths, path, strlen(path), hook);
    return hook;
}

bool webhook_owns(const struct webhook_room *room, const char *path)
{
    return hook_at(room, path) != NULL;
}

void hook_refuse(struct hook *hook, struct http_exchange *x, unsigned status, const char *code, const char *why)
{
    int64_t now_ms = time_mono_ms();
    char sender[ADDRESS_SIZE];

    hook_sender(x, sender);
    hook->refused++;
    hook->last_word = code;
    if (hook->refusal_said_ms == 0 || now_ms - hook->refusal_said_ms >= SAY_REFUSALS_EVERY_MS) {
        if (hook->refusals_unsaid > 0)
            log_notice("webhook %s refused %llu more requests", hook->name, (unsigned long long)hook->refusals_unsaid);
        log_notice("webhook %s refused a request from %s: %u, %s", hook->name, sender[0] != '\0' ? sender : "the socket",
                   status, why);
        hook->refusal_said_ms = now_ms;
        hook->refusals_unsaid = 0;
    } else {
        hook->refusals_unsaid++;
    }
    http_respond_error(x, status, code, "%s", why);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int take_word(void *data, const char *kind, const char *name, int64_t value)
{
    struct hook *hook;

    if (strcmp(kind, "webhook") != 0)
        return 0;
    hook = need_hook(data, name);
    if (hook == NULL)
        return BF_ENOMEM;
    hook->word = true;
    hook->paused = value != 0;
    return 0;
}

static void room_free(struct webhook_room *room)
{
    struct hook *hook, *next;

    HASH_CLEAR(by_path, room->paths);
    HASH_ITER(by_name, room->names, hook, next) {
        HASH_DELETE(by_name, room->names, hook);
        free(hook->name);
        free(hook);
    }
    heap_close(&room->deadlines);
    config_release(room->config);
    free(room);
}

int webhook_new(uv_loop_t *loop, struct journal *journal, const struct bell *bell, const struct webhook_host *host,
                struct webhook_room **room, struct error *err)
{
    struct webhook_room *r = calloc(1, sizeof *r);
    int status;

    *room = NULL;
    if (r == NULL)
        return error_set(err, BF_ENOMEM, "cannot prepare the webhooks: out of memory");
    *r = (struct webhook_room) { .loop = loop, .journal = journal, .bell = *bell, .host = *host, .open = 1 };
    TAILQ_INIT(&r->waiting);
    heap_init(&r->deadlines);
    status = journal_each_pause(journal, take_word, r, err);
    if (status != 0) {
        room_free(r);
        return status;
    }
    (void)uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    *room = r;
    return 0;
}

/* --- a configuration ---------------------------------------------------------------------------------------------- */

int webhook_configure(struct webhook_room *room, struct config *config, struct error *err)
{
    struct config *before = room->config;
    struct hook *hook, *next;

    for (size_t i = 0; i < config->webhook_count; i++) {
        if (need_hook(room, config->webhooks[i]->name) == NULL)
            return error_set(err, BF_ENOMEM, "cannot prepare the webhooks: out of memory");
    }
    HASH_CLEAR(by_path, room->paths);
    HASH_ITER(by_name, room->names, hook, next)
        hook->config = NULL;
    for (size_t i = 0; i < config->webhook_count; i++) {
        const struct webhook_config *w = config->webhooks[i];

        hook = hook_named(room, w->name);
        hook->config = w;
        hook->rung.tokens = hook->unsigned_ones.tokens = (double)w->rate;
        HASH_ADD_KEYPTR(by_path, room->paths, w->path, strlen(w->path), hook);
    }
    room->config = config_hold(config);
    config_release(before);
    return 0;
}

static bool hook_paused(const struct hook *hook)
{
    return hook->word ? hook->paused : hook->config->paused;
}

int webhook_pause(struct webhook_room *room, const char *name, bool paused)
{
    struct hook *hook = hook_named(room, name);

    if (hook == NULL || hook->config == NULL)
        return BF_ENOENT;
    hook->word = true;
    hook->paused = paused;
    return 0;
}

void webhook_each(const struct webhook_room *room, void (*each)(void *data, const struct webhook_view *view), void *data)
{
    for (size_t i = 0; room->config != NULL && i < room->config->webhook_count; i++) {
        const struct webhook_config *w = room->config->webhooks[i];
        const struct hook *hook = hook_named(room, w->name);
        struct webhook_view view = { .name = w->name, .process = w->process->name, .path = w->path,
            .paused = hook_paused(hook), .accepted = hook->accepted, .repeated = hook->repeated, .refused = hook->refused,
            .last_word = hook->last_word };

        each(data, &view);
    }
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

void webhook_stop(struct webhook_room *room)
{
    room->stopping = true;
    hook_answer_all(room);
}

void webhook_let_go(struct webhook_room *room)
{
    void (*closed)(void *data) = room->closed;
    void *data = room->closed_data;

    if (--room->open > 0)
        return;
    room_free(room);
    closed(data);
}

static void timer_closed(uv_handle_t *handle)
{
    webhook_let_go(handle->data);
}

void webhook_close(struct webhook_room *room, void (*closed)(void *data), void *data)
{
    room->closed = closed;
    room->closed_data = data;
    room->closing = true;
    webhook_stop(room);
    uv_close((uv_handle_t *)&room->timer, timer_closed);
}
