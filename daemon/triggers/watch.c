/* The room of the watches: configurations, persons, time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "belfry/base/log.h"
#include "watch_internal.h"

#define LOOKS_MAX 2000   /* in one turn of the loop */
#define NOTES_MAX 1000   /* in one commit */

/* --- small services ----------------------------------------------------------------------------------------------- */

bool watch_is_idle(const struct watch *w)
{
    return w->gone || w->room->closing || !w->room->started;
}

bool watch_full_path(const struct watch *w, const char *path, char out[PATH_MAX])
{
    const char *between = path[0] == '\0' || w->root[1] == '\0' ? "" : "/";

    return snprintf(out, PATH_MAX, "%s%s%s", w->root, between, path) < PATH_MAX;
}

static void notes_written(void *data, int status)
{
    if (status != 0 && status != BF_ESHUTDOWN)
        log_error("watches: what became of files could not be written down: %s", error_name(status));
    watch_let_go(data);
}

void watch_write(struct watch_room *room)
{
    if (notes_write(&room->notes, room->journal, notes_written, room))
        room->open++;
}

static void note(struct watch_room *room, const struct record *record)
{
    if (notes_add(&room->notes, record) != 0)
        log_error("watch %s: no memory to write down what became of %s", record->scope, record->key);
    if (room->notes.count >= NOTES_MAX && room->started)
        watch_write(room);
}

void watch_note_file(struct watch *w, const char *path, const char *identity, const char *run_id, uint8_t state)
{
    char full[PATH_MAX];

    if (!watch_full_path(w, path, full))
        return;
    note(w->room, &(struct record) { .kind = state == FILE_NEW ? RECORD_FILE_DROP : RECORD_FILE, .scope = w->config->name,
                                     .key = full, .identity = state == FILE_NEW ? NULL : identity, .run_id = run_id,
                                     .value = state == FILE_NEW ? 0 : state });
}

static int64_t root_hash(const char *root)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (const char *c = root; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    return (int64_t)(hash >> 1);
}

void watch_note_first(struct watch *w)
{
    note(w->room, &(struct record) { .kind = RECORD_CURSOR, .scope = "watch", .key = w->config->name,
                                     .value = root_hash(w->root) });
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static void time_is_up(uv_timer_t *timer);

static void set_timer(struct watch_room *room)
{
    struct heap_node *first = heap_first(&room->heap);
    int64_t at_ms = first != NULL ? first->due_ms : INT64_MAX;
    int64_t now_ms;

    if (room->closing || at_ms == room->timer_at_ms)
        return;
    room->timer_at_ms = at_ms;
    if (at_ms == INT64_MAX) {
        uv_timer_stop(&room->timer);
        return;
    }
    now_ms = time_mono_ms();
    uv_update_time(room->loop);
    uv_timer_start(&room->timer, time_is_up, at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0, 0);
}

static void time_is_up(uv_timer_t *timer)
{
    struct watch_room *room = timer->data;
    int64_t now_ms = time_mono_ms();
    struct watch *w;

    room->timer_at_ms = INT64_MIN;
    for (int i = 0; i < LOOKS_MAX; i++) {
        struct heap_node *node = heap_first(&room->heap);
        struct timed *timed = (struct timed *)(void *)node;

        if (node == NULL || node->due_ms > now_ms)
            break;
        heap_remove(&room->heap, node);
        timed->run(timed);
    }
    LIST_FOREACH(w, &room->watches, of_room)
        watch_ring_all(w);
    watch_write(room);
    set_timer(room);
}

void watch_timed_at(struct timed *timed, int64_t mono_ms)
{
    struct watch_room *room = timed->watch->room;

    if (mono_ms == INT64_MAX)
        heap_remove(&room->heap, &timed->node);
    else if (heap_set(&room->heap, &timed->node, mono_ms) != 0)
        log_error("watch %s: out of memory: something waits for the next scan", timed->watch->config->name);
    else
        set_timer(room);
}

static void poll_is_due(struct timed *timed)
{
    struct watch *w = timed->watch;

    if (watch_is_idle(w) || w->paused)
        return;
    if (w->polling && w->there)
        watch_scan(w);
    else
        watch_root_open(w);
}

static void retry_is_due(struct timed *timed)
{
    watch_ring_all(timed->watch);
}

/* --- the room ----------------------------------------------------------------------------------------------------- */

/* Follows mounts where the kernel tells of them (proc(5), mountinfo). */
static void open_mounts(struct watch_room *room)
{
    room->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (room->mounts_fd < 0)
        return;
    if (uv_poll_init(room->loop, &room->mounts, room->mounts_fd) != 0) {
        (void)close(room->mounts_fd);
        room->mounts_fd = -1;
        return;
    }
    room->mounts.data = room;
    room->open++;
}

int watch_new(uv_loop_t *loop, struct journal *journal, const struct bell *bell, struct watch_room **room,
              struct error *err)
{
    struct watch_room *r = calloc(1, sizeof *r);
    int rc;

    *room = NULL;
    if (r == NULL)
        return error_set(err, BF_ENOMEM, "cannot start the watches: out of memory");
    *r = (struct watch_room) { .loop = loop, .journal = journal, .bell = *bell, .timer_at_ms = INT64_MAX };
    LIST_INIT(&r->watches);
    heap_init(&r->heap);
    r->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (r->fd < 0) {
        rc = error_errno(err, errno, "cannot use inotify (the limit is fs.inotify.max_user_instances)");
        goto no_inotify;
    }
    rc = uv_poll_init(loop, &r->poll, r->fd);
    if (rc != 0) {
        rc = error_set(err, BF_EIO, "cannot wait for inotify: %s", uv_strerror(rc));
        goto no_poll;
    }
    uv_timer_init(loop, &r->timer);
    uv_idle_init(loop, &r->idle);
    r->poll.data = r->timer.data = r->idle.data = r;
    r->open = 3;
    open_mounts(r);
    *room = r;
    return 0;
no_poll:
    (void)close(r->fd);
no_inotify:
    free(r);
    return rc;
}

static void room_free(struct watch_room *room)
{
    struct wd_entry *entry, *next_entry;
    struct watch_word *word, *next_word;

    HASH_ITER(hh, room->wds, entry, next_entry) {
        HASH_DEL(room->wds, entry);
        free(entry);
    }
    HASH_ITER(hh, room->words, word, next_word) {
        HASH_DEL(room->words, word);
        free(word);
    }
    notes_free(&room->notes);
    heap_close(&room->heap);
    (void)close(room->fd);
    if (room->mounts_fd >= 0)
        (void)close(room->mounts_fd);
    free(room);
}

void watch_let_go(struct watch_room *room)
{
    void (*closed)(void *data) = room->closed;
    void *data = room->closed_data;

    if (--room->open > 0)
        return;
    room_free(room);
    closed(data);
}

void watch_unref(struct watch *w)
{
    if (--w->refs > 0)
        return;
    watch_files_free(w);
    free(w->ready);
    free(w->root);
    if (w->config_held != NULL)
        config_release(w->config_held);
    free(w);
}

static void free_runs(struct watch_room *room, const struct watch *of)
{
    struct watch_run *run, *next;

    HASH_ITER(hh, room->runs, run, next) {
        if (of == NULL || run->watch == of)
            watch_run_free(run);
    }
}

static void watch_remove(struct watch *w)
{
    w->gone = true;
    watch_root_close(w);
    watch_timed_at(&w->poll, INT64_MAX);
    watch_timed_at(&w->retry, INT64_MAX);
    free_runs(w->room, w);
    LIST_REMOVE(w, of_room);
    watch_unref(w);
}

static void handle_closed(uv_handle_t *handle)
{
    watch_let_go(handle->data);
}

/* Tries that wait would be the only ones to hold the room open. */
static void free_waiting_acts(struct watch_room *room)
{
    struct heap_node *node;

    while ((node = heap_first(&room->heap)) != NULL) {
        struct timed *timed = (struct timed *)(void *)node;

        heap_remove(&room->heap, node);
        if (timed->run == watch_act_retry)
            watch_act_free(timed);
    }
}

void watch_close(struct watch_room *room, void (*closed)(void *data), void *data)
{
    room->closing = true;
    room->closed = closed;
    room->closed_data = data;
    watch_write(room);
    watch_results_free(room);
    free_waiting_acts(room);
    while (!LIST_EMPTY(&room->watches))
        watch_remove(LIST_FIRST(&room->watches));
    uv_close((uv_handle_t *)&room->timer, handle_closed);
    uv_close((uv_handle_t *)&room->idle, handle_closed);
    if (room->mounts_fd >= 0)
        uv_close((uv_handle_t *)&room->mounts, handle_closed);
    uv_close((uv_handle_t *)&room->poll, handle_closed);
}

/* --- configurations ----------------------------------------------------------------------------------------------- */

static struct watch *find_watch(const struct watch_room *room, const char *name)
{
    struct watch *w;

    LIST_FOREACH(w, &room->watches, of_room) {
        if (strcmp(w->config->name, name) == 0)
            return w;
    }
    return NULL;
}

static struct watch *watch_make(struct watch_room *room, struct config *config, const struct watch_config *c)
{
    struct watch *w = calloc(1, sizeof *w);
    size_t len = strlen(c->path);

    if (w == NULL)
        return NULL;
    while (len > 1 && c->path[len - 1] == '/')
        len--;
    w->root = strndup(c->path, len);
    if (w->root == NULL) {
        free(w);
        return NULL;
    }
    w->room = room;
    w->refs = 1;
    w->first = true;
    w->config = c;
    w->config_held = config_hold(config);
    w->poll.watch = w->retry.watch = w;
    w->poll.run = poll_is_due;
    w->retry.run = retry_is_due;
    heap_node_init(&w->poll.node);
    heap_node_init(&w->retry.node);
    LIST_INIT(&w->dirs);
    LIST_INSERT_HEAD(&room->watches, w, of_room);
    return w;
}

static void apply_pause(struct watch *w)
{
    struct watch_word *word;

    HASH_FIND_STR(w->room->words, w->config->name, word);
    w->paused = word != NULL ? word->paused : w->config->paused;
}

static bool same_root(const struct watch *w, const char *path)
{
    size_t len = strlen(w->root);

    return strncmp(w->root, path, len) == 0 && strspn(path + len, "/") == strlen(path + len);
}

/* Nothing of it is kept: named again, it begins anew. */
static void forget_watch(struct watch_room *room, const char *name)
{
    note(room, &(struct record) { .kind = RECORD_FILE_DROP, .scope = name });
    note(room, &(struct record) { .kind = RECORD_CURSOR_DROP, .scope = "watch", .key = name });
}

static int first_configure(struct watch_room *room, struct config *config, struct watch_memory **memory, struct error *err)
{
    int rc = watch_recall(room, memory, err);

    for (size_t i = 0; rc == 0 && i < config->watch_count; i++) {
        const struct watch_config *c = config->watches[i];
        struct watch *w = watch_make(room, config, c);

        if (w == NULL)
            return error_set(err, BF_ENOMEM, "cannot take watch %s: out of memory", c->name);
        apply_pause(w);
        for (struct watch_memory *m = *memory; m != NULL; m = m->next) {
            if (strcmp(m->name, c->name) != 0)
                continue;
            m->used = true;
            w->first = m->root != root_hash(w->root);
        }
        rc = watch_recall_files(w, err);
    }
    return rc;
}

static int configure_first(struct watch_room *room, struct config *config, struct error *err)
{
    struct watch_memory *memory = NULL;
    int rc = first_configure(room, config, &memory, err);

    while (memory != NULL) {
        struct watch_memory *next = memory->next;

        if (rc == 0 && !memory->used)
            forget_watch(room, memory->name);
        free(memory);
        memory = next;
    }
    while (rc != 0 && !LIST_EMPTY(&room->watches))
        watch_remove(LIST_FIRST(&room->watches));
    return rc;
}

static int take_again(struct watch_room *room, struct config *config, const struct watch_config *c)
{
    struct watch *w = find_watch(room, c->name);

    if (w != NULL && !same_root(w, c->path)) {
        forget_watch(room, c->name);
        watch_remove(w);
        w = NULL;
    }
    if (w == NULL) {
        w = watch_make(room, config, c);
        if (w == NULL)
            return BF_ENOMEM;
    } else {
        config_hold(config);
        config_release(w->config_held);
        w->config_held = config;
        w->config = c;
    }
    w->wanted = true;
    apply_pause(w);
    return 0;
}

static int configure_again(struct watch_room *room, struct config *config, struct error *err)
{
    struct watch *w, *next;
    int rc = 0;

    LIST_FOREACH(w, &room->watches, of_room)
        w->wanted = false;
    for (size_t i = 0; rc == 0 && i < config->watch_count; i++)
        rc = take_again(room, config, config->watches[i]);
    if (rc != 0)
        return error_set(err, rc, "cannot take %zu watches: out of memory", config->watch_count);
    for (w = LIST_FIRST(&room->watches); w != NULL; w = next) {
        next = LIST_NEXT(w, of_room);
        if (!w->wanted) {
            forget_watch(room, w->config->name);
            watch_remove(w);
        } else if (room->started) {
            watch_root_open(w);
        }
    }
    if (room->started)
        watch_write(room);
    return 0;
}

int watch_configure(struct watch_room *room, struct config *config, struct error *err)
{
    int rc = room->configured ? configure_again(room, config, err) : configure_first(room, config, err);

    if (rc == 0)
        room->configured = true;
    return rc;
}

void watch_start(struct watch_room *room)
{
    struct watch_run *run, *next;
    struct watch *w;
    int rc;

    room->started = true;
    watch_write(room);
    rc = uv_poll_start(&room->poll, UV_READABLE, watch_inotify_read);
    if (rc != 0)
        log_error("watches: cannot wait for inotify: %s", uv_strerror(rc));
    if (room->mounts_fd >= 0)
        (void)uv_poll_start(&room->mounts, UV_PRIORITIZED, watch_mounts_changed);
    HASH_ITER(hh, room->runs, run, next) {   /* ended, and their end was not acted upon any more */
        if (run_state_is_end(run->known))
            watch_run_act(run, run->known);
    }
    LIST_FOREACH(w, &room->watches, of_room)
        watch_root_open(w);
    set_timer(room);
}

/* --- persons ------------------------------------------------------------------------------------------------------ */

int watch_pause(struct watch_room *room, const char *name, bool paused)
{
    struct watch *w = find_watch(room, name);

    if (w == NULL)
        return BF_ENOENT;
    if (watch_set_word(room, name, paused) != 0)
        return BF_ENOMEM;
    if (w->paused == paused)
        return 0;
    w->paused = paused;
    if (room->started)
        watch_root_open(w);   /* closes it while paused; what came meanwhile is found by the scan */
    return 0;
}

void watch_each(const struct watch_room *room, void (*each)(void *data, const struct watch_view *view), void *data)
{
    const struct watch *w;

    LIST_FOREACH(w, &room->watches, of_room) {
        struct watch_view view = { .name = w->config->name, .process = w->config->process->name, .path = w->root,
                                   .paused = w->paused, .polling = w->polling, .there = w->there, .fired = w->fired,
                                   .overflows = w->overflows, .settling = w->looks, .last_word = w->last_word };

        each(data, &view);
    }
}
