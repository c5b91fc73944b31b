/* The clock's room: its schedules, what the journal knows of them, and the timer that all share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <uthash.h>

#include "belfry/base/log.h"
#include "belfry/base/time.h"
#include "clock_internal.h"

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))

/* What is known by name alone: read from the journal at the start; afterwards only the words of persons stay. */
struct clock_memory {
    UT_hash_handle hh;
    int64_t cursor_ms;
    uint64_t timing;
    bool has_cursor, has_timing, has_word, paused, wanted;
    char name[];
};

/* --- the real hands ----------------------------------------------------------------------------------------------- */

static int64_t real_wall(void *data)
{
    (void)data;
    return time_wall_ms();
}

static int real_open(void *data)
{
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

    (void)data;
    return fd >= 0 ? fd : -errno;
}

static int real_arm(void *data, int fd, int64_t wall_ms)
{
    struct itimerspec at = { 0 };

    (void)data;
    if (wall_ms < 1)
        wall_ms = 1;   /* 0 would disarm it */
    if (wall_ms != INT64_MAX) {
        at.it_value.tv_sec = wall_ms / 1000;
        at.it_value.tv_nsec = wall_ms % 1000 * 1000000;
    }
    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL) == 0 ? 0 : -errno;
}

static int real_read(void *data, int fd)
{
    uint64_t times;

    (void)data;
    return read(fd, &times, sizeof times) == (ssize_t)sizeof times ? 0 : -errno;
}

static const struct clock_hands real_hands = { .wall_ms = real_wall, .open = real_open, .arm = real_arm, .read = real_read };

/* --- the room ----------------------------------------------------------------------------------------------------- */

/* Nothing is repeated after a clock was set back, which has a price when it had been years ahead. */
static void warn_of_far_cursors(const struct clock_room *room)
{
    int64_t now_ms = room->hands.wall_ms(room->hands.data);
    char until[TIME_TEXT_SIZE];

    for (size_t i = 0; i < room->count; i++) {
        const struct clock_schedule *s = &room->schedules[i];

        if (s->paused || s->cursor_ms <= now_ms + DAY_MS)
            continue;
        time_format(s->cursor_ms, until);
        log_warning("schedule %s has fired up to %s and fires again only after that: the clock was set back. To let it begin "
                    "from now on, pause and resume it", s->config->name, until);
    }
}

static void timer_is_readable(uv_poll_t *poll, int status, int events)
{
    struct clock_room *room = poll->data;
    int rc = room->hands.read(room->hands.data, room->fd);

    (void)status;
    (void)events;
    if (rc == -EAGAIN)
        return;
    room->armed_ms = INT64_MIN;
    if (rc == -ECANCELED) {
        log_notice("clock: the time was set; looking at all schedules again");
        warn_of_far_cursors(room);
    } else if (rc != 0) {
        log_error("clock: cannot read the timer: %s", strerror(-rc));
    }
    clock_look(room);
}

int clock_new_with(uv_loop_t *loop, struct journal *journal, const struct bell *bell, const struct clock_hands *hands,
                   struct clock_room **room, struct error *err)
{
    struct clock_room *r = calloc(1, sizeof *r);
    int rc;

    *room = NULL;
    if (r == NULL)
        return error_set(err, BF_ENOMEM, "cannot start the clock: out of memory");
    *r = (struct clock_room) { .loop = loop, .journal = journal, .bell = *bell, .hands = *hands, .armed_ms = INT64_MIN };
    heap_init(&r->heap);
    r->fd = hands->open(hands->data);
    if (r->fd < 0) {
        rc = error_errno(err, -r->fd, "cannot make a timer");
        goto no_timer;
    }
    rc = uv_poll_init(loop, &r->poll, r->fd);
    if (rc != 0) {
        rc = error_set(err, BF_EIO, "cannot wait for a timer: %s", uv_strerror(rc));
        goto no_poll;
    }
    uv_timer_init(loop, &r->retry);
    r->poll.data = r->retry.data = r;
    r->open = 2;
    *room = r;
    return 0;
no_poll:
    close(r->fd);
no_timer:
    free(r);
    return rc;
}

int clock_new(uv_loop_t *loop, struct journal *journal, const struct bell *bell, struct clock_room **room,
              struct error *err)
{
    return clock_new_with(loop, journal, bell, &real_hands, room, err);
}

static void free_memory(struct clock_memory **memory, struct clock_memory *m)
{
    HASH_DEL(*memory, m);
    free(m);
}

static void room_free(struct clock_room *room)
{
    struct clock_memory *m, *next;

    HASH_ITER(hh, room->memory, m, next)
        free_memory(&room->memory, m);
    notes_free(&room->notes);
    heap_close(&room->heap);
    free(room->schedules);
    if (room->config != NULL)
        config_release(room->config);
    free(room);
}

void clock_let_go(struct clock_room *room)
{
    void (*closed)(void *data) = room->closed;
    void *data = room->closed_data;

    if (--room->open > 0)
        return;
    room_free(room);
    closed(data);
}

static void handle_closed(uv_handle_t *handle)
{
    struct clock_room *room = handle->data;

    if (handle == (uv_handle_t *)&room->poll)
        close(room->fd);
    clock_let_go(room);
}

void clock_close(struct clock_room *room, void (*closed)(void *data), void *data)
{
    int64_t now_ms = room->hands.wall_ms(room->hands.data);

    room->closing = true;
    room->closed = closed;
    room->closed_data = data;
    /* What passes by a paused schedule is not missed, not even when it is no longer paused at the next start. */
    for (size_t i = 0; i < room->count && room->started; i++) {
        struct clock_schedule *s = &room->schedules[i];

        if (s->paused && s->cursor_ms < now_ms && clock_note_cursor(room, s->config->name, now_ms) != 0)
            log_error("clock: no memory to write down that schedule %s is paused", s->config->name);
    }
    clock_notes_write(room);
    uv_close((uv_handle_t *)&room->poll, handle_closed);
    uv_close((uv_handle_t *)&room->retry, handle_closed);
}

/* --- what the journal knows --------------------------------------------------------------------------------------- */

static struct clock_memory *find_memory(const struct clock_room *room, const char *name)
{
    struct clock_memory *m;

    HASH_FIND_STR(room->memory, name, m);
    return m;
}

static struct clock_memory *need_memory(struct clock_room *room, const char *name)
{
    struct clock_memory *m = find_memory(room, name);
    size_t size = strlen(name) + 1;

    if (m != NULL)
        return m;
    m = calloc(1, sizeof *m + size);
    if (m == NULL)
        return NULL;
    memcpy(m->name, name, size);
    HASH_ADD_KEYPTR(hh, room->memory, m->name, size - 1, m);
    return m;
}

static int take_cursor(void *data, const char *name, int64_t value)
{
    struct clock_memory *m = need_memory(data, name);

    if (m == NULL)
        return BF_ENOMEM;
    m->has_cursor = true;
    m->cursor_ms = value;
    return 0;
}

static int take_timing(void *data, const char *name, int64_t value)
{
    struct clock_memory *m = need_memory(data, name);

    if (m == NULL)
        return BF_ENOMEM;
    m->has_timing = true;
    m->timing = (uint64_t)value;
    return 0;
}

static int take_word(void *data, const char *kind, const char *name, int64_t value)
{
    struct clock_memory *m;

    if (strcmp(kind, "schedule") != 0)
        return 0;
    m = need_memory(data, name);
    if (m == NULL)
        return BF_ENOMEM;
    m->has_word = true;
    m->paused = value != 0;
    return 0;
}

static int remember(struct clock_room *room, struct error *err)
{
    int rc = journal_each_cursor(room->journal, "schedule", take_cursor, room, err);

    if (rc == 0)
        rc = journal_each_cursor(room->journal, "schedule-timing", take_timing, room, err);
    if (rc == 0)
        rc = journal_each_pause(room->journal, take_word, room, err);
    return rc;
}

/* --- a configuration ---------------------------------------------------------------------------------------------- */

static void mix(uint64_t *hash, const void *bytes, size_t len)
{
    for (const unsigned char *b = bytes; len > 0; b++, len--)
        *hash = (*hash ^ *b) * UINT64_C(0x100000001b3);
}

static void mix_int(uint64_t *hash, int64_t value)
{
    mix(hash, &value, sizeof value);
}

static void mix_days(uint64_t *hash, const struct days *const *days, size_t count)
{
    mix_int(hash, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        mix_int(hash, days[i]->weekdays);
        mix(hash, days[i]->dates, days[i]->count * sizeof *days[i]->dates);
        mix(hash, days[i]->yearly, days[i]->yearly_count * sizeof *days[i]->yearly);
    }
}

/* Equal while a schedule is due at the same times. */
static uint64_t timing_hash(const struct schedule_config *c)
{
    const struct timing *t = &c->timing;
    const char *zone = t->zone != NULL ? zone_name(t->zone) : "";
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    if (c->cron_text != NULL)
        mix(&hash, c->cron_text, strlen(c->cron_text) + 1);
    mix(&hash, zone, strlen(zone) + 1);
    mix_int(&hash, t->every_ms);
    mix_int(&hash, t->start_ms);
    mix_int(&hash, t->end_ms);
    mix_int(&hash, (int64_t)t->gap);
    mix_int(&hash, (int64_t)t->repeat);
    mix_days(&hash, t->skip, t->skip_count);
    mix_days(&hash, t->only, t->only_count);
    return hash;
}

static int compare_names(const void *a, const void *b)
{
    const struct clock_schedule *const *x = a;
    const struct clock_schedule *const *y = b;

    return strcmp((*x)->config->name, (*y)->config->name);
}

struct old_schedules {
    struct clock_schedule **by_name;
    size_t count;
};

static int sort_old(const struct clock_room *room, struct old_schedules *old)
{
    old->count = room->count;
    old->by_name = calloc(room->count + 1, sizeof *old->by_name);
    if (old->by_name == NULL)
        return BF_ENOMEM;
    for (size_t i = 0; i < room->count; i++)
        old->by_name[i] = &room->schedules[i];
    qsort(old->by_name, old->count, sizeof *old->by_name, compare_names);
    return 0;
}

static struct clock_schedule *find_old(const struct old_schedules *old, const struct clock_schedule *s)
{
    struct clock_schedule **found = bsearch(&s, old->by_name, old->count, sizeof *old->by_name, compare_names);

    return found != NULL ? *found : NULL;
}

/* How far a schedule has come: as before, or up to now when it is new, was changed, or was paused until now. */
static int place_cursor(struct clock_room *room, struct clock_schedule *s, const struct clock_schedule *old,
                        const struct clock_memory *m, int64_t now_ms)
{
    bool known = old != NULL || (m != NULL && m->has_cursor);
    uint64_t timing = timing_hash(s->config);
    uint64_t timing_before = old != NULL ? timing_hash(old->config) : m != NULL && m->has_timing ? m->timing : timing;
    bool was_paused = old != NULL && old->paused && !s->paused;
    int64_t before_ms = old != NULL ? old->cursor_ms : known ? m->cursor_ms : 0;
    int rc = 0;

    s->cursor_ms = before_ms;
    if (!known || timing_before != timing || was_paused) {
        s->cursor_ms = before_ms > now_ms ? before_ms : now_ms;
        s->seen_ms = 0;
        rc = clock_note_cursor(room, s->config->name, s->cursor_ms);
    }
    if (rc == 0 && (!known || timing_before != timing || (old == NULL && !m->has_timing)))
        rc = clock_note_timing(room, s->config->name, timing);
    return rc;
}

static int take_schedule(struct clock_room *room, struct clock_schedule *s, const struct schedule_config *c,
                         const struct old_schedules *old_ones, int64_t now_ms)
{
    struct clock_memory *m = find_memory(room, c->name);
    const struct clock_schedule *old;

    s->config = c;
    heap_node_init(&s->node);
    old = find_old(old_ones, s);
    if (m != NULL)
        m->wanted = true;
    if (old != NULL) {
        s->seen_ms = old->seen_ms;
        s->firing = old->firing;
        s->last_word = old->last_word;
        s->held = old->held;
    }
    s->paused = m != NULL && m->has_word ? m->paused : c->paused;
    if (s->paused)
        s->held = false;
    return place_cursor(room, s, old, m, now_ms);
}

/* Those that are gone leave nothing behind: named again one day, they begin anew. */
static void forget_old(struct clock_room *room, const struct clock_schedule *schedules, size_t count)
{
    struct clock_room fresh = { .schedules = (struct clock_schedule *)(uintptr_t)schedules, .count = count };
    struct old_schedules kept;

    if (sort_old(&fresh, &kept) != 0)
        return;
    for (size_t i = 0; i < room->count; i++) {
        struct clock_schedule *old = &room->schedules[i];
        struct clock_schedule *now = find_old(&kept, old);

        if (old->firing != NULL)
            clock_firing_moved(old->firing, now);
        if (now == NULL && clock_note_drop(room, old->config->name) != 0)
            log_warning("clock: no memory to forget schedule %s", old->config->name);
    }
    free(kept.by_name);
}

/* After the first configuration only what persons said is kept by name. */
static void trim_memory(struct clock_room *room)
{
    struct clock_memory *m, *next;

    HASH_ITER(hh, room->memory, m, next) {
        if (m->has_cursor && !m->wanted && clock_note_drop(room, m->name) != 0)
            log_warning("clock: no memory to forget schedule %s", m->name);
        m->has_cursor = m->has_timing = false;
        if (!m->has_word)
            free_memory(&room->memory, m);
    }
}

static int build(struct clock_room *room, struct config *config, struct clock_schedule *schedules, struct heap *heap)
{
    int64_t now_ms = room->hands.wall_ms(room->hands.data);
    struct old_schedules old;
    int rc = sort_old(room, &old);

    for (size_t i = 0; rc == 0 && i < config->schedule_count; i++) {
        rc = take_schedule(room, &schedules[i], &config->schedules[i], &old, now_ms);
        if (rc == 0 && !schedules[i].held)
            rc = clock_place(room, heap, &schedules[i]);
    }
    free(old.by_name);
    return rc;
}

int clock_configure(struct clock_room *room, struct config *config, struct error *err)
{
    struct clock_schedule *schedules = calloc(config->schedule_count + 1, sizeof *schedules);
    struct heap heap;
    int rc;

    heap_init(&heap);
    if (schedules == NULL)
        return error_set(err, BF_ENOMEM, "cannot take %zu schedules: out of memory", config->schedule_count);
    rc = room->configured ? 0 : remember(room, err);
    if (rc != 0)
        goto failed;
    rc = build(room, config, schedules, &heap);
    if (rc != 0) {
        notes_free(&room->notes);
        error_set(err, rc, "cannot take %zu schedules: out of memory", config->schedule_count);
        goto failed;
    }
    forget_old(room, schedules, config->schedule_count);
    trim_memory(room);
    free(room->schedules);
    heap_close(&room->heap);
    room->heap = heap;
    room->schedules = schedules;
    room->count = config->schedule_count;
    config_hold(config);
    if (room->config != NULL)
        config_release(room->config);
    room->config = config;
    room->configured = true;
    if (room->started) {
        clock_notes_write(room);
        clock_look(room);
    }
    return 0;
failed:
    heap_close(&heap);
    free(schedules);
    return rc;
}

void clock_start(struct clock_room *room)
{
    int64_t now_ms = room->hands.wall_ms(room->hands.data);

    room->started = true;
    clock_notes_write(room);
    for (size_t i = 0; i < room->count; i++) {
        struct clock_schedule *s = &room->schedules[i];

        s->fresh = s->node.index != HEAP_NOT_IN && s->node.due_ms <= now_ms;
    }
    warn_of_far_cursors(room);
    uv_poll_start(&room->poll, UV_READABLE, timer_is_readable);
    clock_look(room);
}

/* --- persons ------------------------------------------------------------------------------------------------------ */

static struct clock_schedule *find_schedule(const struct clock_room *room, const char *name)
{
    for (size_t i = 0; i < room->count; i++) {
        if (strcmp(room->schedules[i].config->name, name) == 0)
            return &room->schedules[i];
    }
    return NULL;
}

/* From now on: what passed while it was paused is not caught up. A cursor left in a far future by a clock that was wrong
 * comes back here, and only here. */
static int resume(struct clock_room *room, struct clock_schedule *s)
{
    int64_t now_ms = room->hands.wall_ms(room->hands.data);

    if (s->cursor_ms < now_ms || s->cursor_ms > now_ms + DAY_MS)
        s->cursor_ms = now_ms;
    s->seen_ms = 0;
    if (clock_note_cursor(room, s->config->name, s->cursor_ms) != 0)
        return BF_ENOMEM;
    if (room->started)
        clock_notes_write(room);
    return clock_place(room, &room->heap, s);
}

int clock_pause(struct clock_room *room, const char *name, bool paused)
{
    struct clock_schedule *s = find_schedule(room, name);
    struct clock_memory *m;
    int rc = 0;

    if (s == NULL)
        return BF_ENOENT;
    m = need_memory(room, name);
    if (m == NULL)
        return BF_ENOMEM;
    m->has_word = true;
    m->paused = paused;
    if (s->paused == paused)
        return 0;
    s->paused = paused;
    if (paused) {
        s->held = false;
        heap_remove(&room->heap, &s->node);
    } else {
        rc = resume(room, s);
    }
    clock_look(room);
    return rc;
}

void clock_each(const struct clock_room *room, void (*each)(void *data, const struct clock_view *view), void *data)
{
    for (size_t i = 0; i < room->count; i++) {
        const struct clock_schedule *s = &room->schedules[i];
        const struct timing *timing = &s->config->timing;
        bool was_due = timing_next(timing, s->cursor_ms - 1) == s->cursor_ms;   /* else it is where it began */
        int64_t now_ms = room->hands.wall_ms(room->hands.data);
        struct clock_view view = {
            .name = s->config->name, .process = s->config->process->name, .paused = s->paused,
            .last_due_ms = was_due ? s->cursor_ms : 0,
            .next_due_ms = timing_next(timing, s->paused && s->cursor_ms < now_ms ? now_ms : s->cursor_ms),
            .last_word = s->last_word };

        each(data, &view);
    }
}
