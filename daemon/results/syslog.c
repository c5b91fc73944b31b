/*
 * Which line goes next, and where. Each target is a small machine of its own:
 *
 *     idle ──▶ resolving ──▶ reading ──▶ sending ──▶ idle        (no line waits any more)
 *                  │             │           │
 *                  └─────────────┴───────────┴──▶ waiting ──▶    (a fault, or a target that is not ready)
 *
 * A line is marked as sent in the journal after it went. One whose sending a crash cut off goes again, and says so.
 */
#include "belfry/results/syslog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/log.h"
#include "belfry/base/time.h"
#include "belfry/core/pace.h"
#include "belfry/base/id.h"
#include "belfry/results/folder.h"
#include "syslog_internal.h"

#define LINES_AT_ONCE 100
#define WAIT_BASE_MS 250
#define WAIT_CAP_MS 60000

enum target_state { TARGET_IDLE, TARGET_RESOLVING, TARGET_READING, TARGET_WAITING };

struct target {
    struct syslog_room *room;
    char *name;
    struct wire wire;
    enum target_state state;
    bool more;                 /* lines came while it was busy */
    bool old_lines;            /* what the journal held at the start may have gone already */
    int64_t last_line;         /* the newest that is known to have gone, or to be given up */
    int64_t last_old_line;     /* up to here lines may have gone before the start */
    unsigned tries;
    char why[256];
    size_t waiting;            /* lines, while the target is in trouble */
    struct journal_read read;
    uv_getaddrinfo_t resolve;
    uv_timer_t timer;
    bool closing;
    int busy;                  /* journal reads and look-ups under way */
};

struct syslog_room {
    uv_loop_t *loop;
    struct journal *journal;
    struct target **targets;
    const char **names;
    size_t count;
    int64_t facility;
    char *tag;
    char *results_dir;
    char host[256];
    size_t open;               /* targets that are not yet closed, marks under way */
    uint64_t notes_lost;
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
};

static void pump(struct target *t);

static void format(const struct syslog_room *room, const struct target *t, struct buf *into, const struct run_record *run,
                   const char *text, bool again)
{
    char *results = run_state_is_end(run->state) ? folder_path(room->results_dir, run) : NULL;

    if (t->wire.kind == TARGET_JOURNAL)
        syslog_format_journal(into, run, text, results, room->tag, again);
    else if (t->wire.kind == TARGET_LOCAL)
        syslog_format_local(into, run, text, results, (int)room->facility, room->tag, time_wall_ms(), again);
    else
        syslog_format_5424(into, run, text, results, (int)room->facility, room->tag, room->host, time_wall_ms(), again);
    free(results);
}

/* --- marking ------------------------------------------------------------------------------------------------------ */

struct mark {
    struct commit commit;
    struct record record;
    struct syslog_room *room;
    char run_id[ID_SIZE];
    char target[];
};

static void maybe_closed(struct syslog_room *room);

static void marked(struct commit *commit, int status)
{
    struct mark *m = commit->data;
    struct syslog_room *room = m->room;

    (void)status;   /* not marked: the store is ending, and the line goes again, marked as such, after the next start */
    free(m);
    room->open--;
    maybe_closed(room);
}

static void mark(struct syslog_room *room, const char *target, const char *run_id)
{
    size_t len = strlen(target) + 1;
    struct mark *m = calloc(1, sizeof *m + len);

    if (m == NULL)
        abort();
    m->room = room;
    memcpy(m->target, target, len);
    (void)snprintf(m->run_id, sizeof m->run_id, "%s", run_id);
    m->record = (struct record) { .kind = RECORD_LINE_SENT, .scope = m->target, .run_id = m->run_id };
    m->commit = (struct commit) { .records = &m->record, .count = 1, .must = true, .cb = marked, .data = m };
    room->open++;
    journal_commit(room->journal, &m->commit);
}

/* --- a target's machine ------------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct target *t = timer->data;

    t->state = TARGET_IDLE;
    pump(t);
}

static void wait_a_while(struct target *t, const struct error *why)
{
    uint64_t dice;

    if (t->tries == 3 || (t->tries > 3 && t->why[0] == '\0'))
        log_warning("syslog target %s: %s; its lines wait", t->name, why->text);
    t->tries++;
    (void)snprintf(t->why, sizeof t->why, "%.255s", why->text);
    id_random(&dice, sizeof dice);
    t->state = TARGET_WAITING;
    (void)uv_timer_start(&t->timer, on_timer, (uint64_t)pace_backoff(WAIT_BASE_MS, WAIT_CAP_MS, t->tries, dice), 0);
}

static void went_well(struct target *t)
{
    if (t->tries > 3)
        log_notice("syslog target %s takes lines again", t->name);
    t->tries = 0;
    t->why[0] = '\0';
}

static void close_target(struct target *t);

/* Sends rows in order; 0, or why it had to stop. */
static int send_rows(struct target *t, const struct journal_read *read, struct error *err)
{
    int status = 0;

    for (size_t i = 0; i < read->count && status == 0; i++) {
        const struct journal_row *row = &read->rows[i];
        struct buf line = { 0 };

        format(t->room, t, &line, &row->run, NULL, row->line <= t->last_old_line);
        status = buf_failed(&line) ? error_set(err, BF_ENOMEM, "out of memory") : wire_send(&t->wire, line.data, line.len, err);
        buf_close(&line);
        if (status != 0)
            break;
        t->last_line = row->line;
        mark(t->room, t->name, row->run.id);
    }
    return status;
}

static void on_lines(struct journal_read *read, int status)
{
    struct target *t = read->data;
    struct error why = { 0 };

    t->busy--;
    if (t->closing) {
        close_target(t);
        return;
    }
    t->state = TARGET_IDLE;
    if (t->old_lines && status == 0) {
        /* The first look: what waits now was put there by an earlier life, up to the newest of them. */
        t->old_lines = false;
        t->last_old_line = read->count > 0 && !read->more ? read->rows[read->count - 1].line : read->count > 0 ? INT64_MAX : 0;
    }
    if (status == 0)
        status = send_rows(t, read, &why);
    else
        why = read->error;
    if (status != 0) {
        if (!read->more || t->waiting < read->count)
            t->waiting = read->count;
        wait_a_while(t, &why);
        return;
    }
    went_well(t);
    if (t->last_old_line == INT64_MAX && !read->more)
        t->last_old_line = t->last_line;
    t->waiting = 0;
    if (read->more || t->more)
        pump(t);
}

static void read_lines(struct target *t)
{
    t->more = false;
    t->state = TARGET_READING;
    t->read = (struct journal_read) { .kind = READ_LINES, .target = t->name, .after_line = t->last_line,
        .limit = LINES_AT_ONCE, .state = -1, .cb = on_lines, .data = t };
    t->busy++;
    journal_read(t->room->journal, &t->read);
}

/* The addresses of a name take turns: the first may be one that nobody listens at. */
static void take_address(struct wire *w, const struct addrinfo *list)
{
    const struct addrinfo *one = list;
    unsigned count = 0;

    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
        count++;
    for (unsigned i = 0; count > 0 && i < w->turn % count; i++)
        one = one->ai_next;
    if (one == NULL || one->ai_addrlen > sizeof w->address)
        return;
    memcpy(&w->address, one->ai_addr, one->ai_addrlen);
    w->address_len = one->ai_addrlen;
}

static void on_address(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct target *t = request->data;
    struct error why;

    t->busy--;
    if (status == 0)
        take_address(&t->wire, list);
    uv_freeaddrinfo(list);
    if (t->closing) {
        close_target(t);
        return;
    }
    t->state = TARGET_IDLE;
    if (t->wire.address_len > 0) {
        pump(t);
        return;
    }
    error_set(&why, BF_ENET, "cannot find %s: %s", t->wire.host, status != 0 ? uv_strerror(status) : "no address");
    wait_a_while(t, &why);
}

static void look_up(struct target *t)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = t->wire.stream ? SOCK_STREAM : SOCK_DGRAM };
    struct error why;
    int status;

    t->resolve.data = t;
    status = uv_getaddrinfo(t->room->loop, &t->resolve, on_address, t->wire.host, t->wire.port, &hints);
    if (status != 0) {
        error_set(&why, BF_ENET, "cannot look up %s: %s", t->wire.host, uv_strerror(status));
        wait_a_while(t, &why);
        return;
    }
    t->busy++;
    t->state = TARGET_RESOLVING;
}

static void pump(struct target *t)
{
    if (t->closing)
        return;
    if (t->state != TARGET_IDLE) {
        t->more = true;
        return;
    }
    if (wire_needs_address(&t->wire))
        look_up(t);
    else
        read_lines(t);
}

/* --- targets come and go ------------------------------------------------------------------------------------------ */

static void target_closed(uv_handle_t *handle)
{
    struct target *t = handle->data;
    struct syslog_room *room = t->room;

    wire_close(&t->wire);
    free(t->name);
    free(t);
    room->open--;
    maybe_closed(room);
}

static void close_target(struct target *t)
{
    t->closing = true;
    if (t->busy > 0) {
        (void)uv_cancel((uv_req_t *)&t->resolve);
        return;
    }
    if (!uv_is_closing((uv_handle_t *)&t->timer))
        uv_close((uv_handle_t *)&t->timer, target_closed);
}

static struct target *target_new(struct syslog_room *room, const char *name, struct error *err)
{
    struct target *t = calloc(1, sizeof *t);

    if (t == NULL || (t->name = strdup(name)) == NULL) {
        free(t);
        error_set(err, BF_ENOMEM, "out of memory");
        return NULL;
    }
    if (wire_init(&t->wire, name, err) != 0) {
        free(t->name);
        free(t);
        return NULL;
    }
    t->room = room;
    t->old_lines = true;
    (void)uv_timer_init(room->loop, &t->timer);
    t->timer.data = t;
    room->open++;
    return t;
}

/* Lines for a target that is no longer configured are given up. */
static struct target *take_old(struct syslog_room *room, const char *name)
{
    for (size_t i = 0; i < room->count; i++) {
        struct target *t = room->targets[i];

        if (t != NULL && strcmp(t->name, name) == 0) {
            room->targets[i] = NULL;
            return t;
        }
    }
    return NULL;
}

int syslog_configure(struct syslog_room *room, const struct syslog_config *config, const char *results_dir, struct error *err)
{
    size_t n = config->targets.count;
    struct target **targets = calloc(n + 1, sizeof *targets);
    const char **names = calloc(n + 1, sizeof *names);
    char *tag = strdup(config->tag), *results = strdup(results_dir);

    if (targets == NULL || names == NULL || tag == NULL || results == NULL) {
        free(targets);
        free(names);
        free(tag);
        free(results);
        return error_set(err, BF_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        targets[i] = take_old(room, config->targets.items[i]);
        if (targets[i] == NULL && (targets[i] = target_new(room, config->targets.items[i], err)) == NULL)
            abort();   /* out of memory: targets were checked with the configuration */
        names[i] = targets[i]->name;
    }
    for (size_t i = 0; i < room->count; i++) {
        if (room->targets[i] != NULL)
            close_target(room->targets[i]);
    }
    free(room->targets);
    free(room->names);
    free(room->tag);
    free(room->results_dir);
    room->targets = targets;
    room->names = names;
    room->count = n;
    room->facility = config->facility;
    room->tag = tag;
    room->results_dir = results;
    return 0;
}

int syslog_new(uv_loop_t *loop, struct journal *journal, const struct syslog_config *config, const char *results_dir,
               struct syslog_room **room, struct error *err)
{
    struct syslog_room *r = calloc(1, sizeof *r);
    int status;

    if (r == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    r->loop = loop;
    r->journal = journal;
    if (gethostname(r->host, sizeof r->host - 1) != 0)
        r->host[0] = '\0';
    status = syslog_configure(r, config, results_dir, err);
    if (status != 0) {
        free(r);
        return status;
    }
    *room = r;
    return 0;
}

const char *const *syslog_targets(const struct syslog_room *room, size_t *count)
{
    *count = room->count;
    return room->names;
}

void syslog_pump(struct syslog_room *room)
{
    for (size_t i = 0; i < room->count; i++) {
        struct target *t = room->targets[i];

        if (t->state == TARGET_WAITING)
            t->waiting++;
        pump(t);
    }
}

void syslog_note(struct syslog_room *room, const struct run_record *run, const char *text)
{
    for (size_t i = 0; i < room->count; i++) {
        struct target *t = room->targets[i];
        struct buf line = { 0 };
        struct error why;

        format(room, t, &line, run, text, false);
        if (buf_failed(&line) || wire_needs_address(&t->wire) || wire_send(&t->wire, line.data, line.len, &why) != 0)
            room->notes_lost++;
        buf_close(&line);
    }
}

void syslog_each_trouble(const struct syslog_room *room,
                         void (*each)(void *data, const char *target, const char *why, size_t waiting), void *data)
{
    for (size_t i = 0; i < room->count; i++) {
        if (room->targets[i]->why[0] != '\0')
            each(data, room->targets[i]->name, room->targets[i]->why, room->targets[i]->waiting);
    }
}

static void maybe_closed(struct syslog_room *room)
{
    if (!room->closing || room->open > 0)
        return;
    room->closing = false;
    free(room->targets);
    free(room->names);
    free(room->tag);
    free(room->results_dir);
    room->closed(room->closed_data);
    free(room);
}

void syslog_close(struct syslog_room *room, void (*closed)(void *data), void *data)
{
    room->closed = closed;
    room->closed_data = data;
    room->closing = true;
    room->open++;
    for (size_t i = 0; i < room->count; i++)
        close_target(room->targets[i]);
    room->count = 0;
    room->open--;
    maybe_closed(room);
}
