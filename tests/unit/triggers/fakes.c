/* A journal and a bell in memory. */
#include "fakes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/config/config.h"

/* Configurations of tests live on their stacks. */
struct config *config_hold(struct config *config)
{
    config->refs++;
    return config;
}

void config_release(struct config *config)
{
    config->refs--;
}

static char *copy(const char *text)
{
    char *made = text != NULL ? strdup(text) : NULL;

    if (text != NULL)
        assert_non_null(made);
    return made;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static struct fake_row *find(const struct journal *j, enum record_kind kind, const char *scope, const char *key)
{
    for (size_t i = j->count; i-- > 0;) {
        struct fake_row *row = &j->rows[i];

        if (row->kind == kind && same(row->key, key) && same(row->scope, scope))
            return row;
    }
    return NULL;
}

const struct fake_row *fake_find(const struct journal *journal, enum record_kind kind, const char *scope, const char *key)
{
    return find(journal, kind, scope, key);
}

static void drop(struct journal *j, struct fake_row *row)
{
    free(row->scope);
    free(row->key);
    free(row->identity);
    *row = j->rows[--j->count];
}

static void put(struct journal *j, const struct record *r, const char *run_id)
{
    struct fake_row *row = r->kind == RECORD_CLAIM ? NULL : find(j, r->kind, r->scope, r->key);

    if (row != NULL)
        drop(j, row);
    if (j->count % 1024 == 0)
        j->rows = realloc(j->rows, (j->count + 1024) * sizeof *j->rows);
    assert_non_null(j->rows);
    row = &j->rows[j->count++];
    *row = (struct fake_row) { .kind = r->kind, .scope = copy(r->scope), .key = copy(r->key), .identity = copy(r->identity),
                               .value = r->value };
    if (run_id != NULL)
        memcpy(row->run_id, run_id, strnlen(run_id, ID_SIZE - 1));
}

static void apply(struct journal *j, const struct record *r)
{
    enum record_kind victim = r->kind == RECORD_CURSOR_DROP ? RECORD_CURSOR : RECORD_FILE;
    struct fake_row *row;

    if (r->kind != RECORD_CURSOR_DROP && r->kind != RECORD_FILE_DROP) {
        put(j, r, r->run_id);
        return;
    }
    if (r->kind == RECORD_FILE_DROP && r->key == NULL) {   /* all of the watch */
        for (size_t i = j->count; i-- > 0;) {
            if (j->rows[i].kind == RECORD_FILE && same(j->rows[i].scope, r->scope))
                drop(j, &j->rows[i]);
        }
        return;
    }
    row = find(j, victim, r->scope, r->key);
    if (row != NULL)
        drop(j, row);
}

static void answer_commits(uv_idle_t *idle)
{
    struct journal *j = idle->data;
    struct commit *c = j->first;

    uv_idle_stop(idle);
    j->first = j->last = NULL;
    while (c != NULL) {
        struct commit *next = c->next;

        for (size_t i = 0; i < c->count; i++)
            apply(j, &c->records[i]);
        j->commits++;
        c->cb(c, 0);
        c = next;
    }
}

void journal_commit(struct journal *j, struct commit *commit)
{
    commit->next = NULL;
    if (j->last != NULL)
        j->last->next = commit;
    else
        j->first = commit;
    j->last = commit;
    uv_idle_start(&j->idle, answer_commits);
}

int journal_each_cursor(struct journal *j, const char *kind, int (*each)(void *data, const char *name, int64_t value),
                        void *data, struct error *err)
{
    int rc = 0;

    (void)err;
    for (size_t i = 0; rc == 0 && i < j->count; i++) {
        if (j->rows[i].kind == RECORD_CURSOR && same(j->rows[i].scope, kind))
            rc = each(data, j->rows[i].key, j->rows[i].value);
    }
    return rc;
}

int journal_each_pause(struct journal *j, int (*each)(void *data, const char *kind, const char *name, int64_t value),
                       void *data, struct error *err)
{
    int rc = 0;

    (void)err;
    for (size_t i = 0; rc == 0 && i < j->count; i++) {
        if (j->rows[i].kind == RECORD_PAUSE)
            rc = each(data, j->rows[i].scope, j->rows[i].key, j->rows[i].value);
    }
    return rc;
}

int journal_each_file(struct journal *j, const char *watch,
                      int (*each)(void *data, const char *path, const char *identity, enum file_state state,
                                  const char *run_id, enum run_state run_state),
                      void *data, struct error *err)
{
    int rc = 0;

    (void)err;
    for (size_t i = 0; rc == 0 && i < j->count; i++) {
        const struct fake_row *row = &j->rows[i];

        if (row->kind == RECORD_FILE && same(row->scope, watch))
            rc = each(data, row->key, row->identity, (enum file_state)row->value, row->run_id, j->run_state);
    }
    return rc;
}

/* --- the bell ----------------------------------------------------------------------------------------------------- */

static int admit(struct fake_bell *fake, struct firing *f)
{
    struct record claim = { .kind = RECORD_CLAIM, .scope = f->claim_scope, .key = f->claim_key };
    const struct fake_row *claimed;

    if (fake->fail_with != 0 && fake->fail_times > 0 && f->skip_reason == NULL) {
        fake->fail_times--;
        error_set(&f->error, fake->fail_with, "the bell was told to fail");
        return fake->fail_with;
    }
    claimed = f->claim_scope != NULL ? find(fake->journal, RECORD_CLAIM, f->claim_scope, f->claim_key) : NULL;
    memcpy(f->run_id, claimed != NULL ? claimed->run_id : f->id, ID_SIZE);
    if (claimed != NULL)
        return BF_EEXIST;
    if (f->claim_scope != NULL)
        put(fake->journal, &claim, f->id);
    for (size_t i = 0; i < f->with_count; i++)
        put(fake->journal, &f->with[i], f->with[i].run_id);
    f->state = f->skip_reason != NULL ? RUN_SKIPPED : RUN_QUEUED;
    return 0;
}

static void note(struct fake_bell *fake, const struct firing *f, int status)
{
    struct fake_ring *ring;

    if (fake->count % 1024 == 0)
        fake->rings = realloc(fake->rings, (fake->count + 1024) * sizeof *fake->rings);
    assert_non_null(fake->rings);
    ring = &fake->rings[fake->count++];
    *ring = (struct fake_ring) { .name = copy(f->trigger_name), .event = json_incref(f->event), .due_ms = f->due_ms,
                                 .skip_reason = copy(f->skip_reason), .program = copy(f->program), .status = status };
    memcpy(ring->id, f->id, ID_SIZE);
}

static void answer_rings(uv_idle_t *idle)
{
    struct fake_bell *fake = idle->data;
    struct firing **waiting = fake->waiting;
    size_t count = fake->waiting_count;

    if (fake->silent)
        return;
    uv_idle_stop(idle);
    fake->waiting = NULL;
    fake->waiting_count = 0;
    for (size_t i = 0; i < count; i++) {
        int status = admit(fake, waiting[i]);

        note(fake, waiting[i], status);
        waiting[i]->cb(waiting[i], status);
    }
    free(waiting);
}

static void fake_ring(void *data, struct firing *firing)
{
    struct fake_bell *fake = data;

    if (fake->waiting_count % 1024 == 0)
        fake->waiting = realloc(fake->waiting, (fake->waiting_count + 1024) * sizeof *fake->waiting);
    assert_non_null(fake->waiting);
    assert_non_null(firing->event);
    assert_non_null(firing->process);
    fake->waiting[fake->waiting_count++] = firing;
    uv_idle_start(&fake->idle, answer_rings);
}

void fakes_open(uv_loop_t *loop, struct journal *journal, struct fake_bell *fake, struct bell *bell)
{
    *journal = (struct journal) { .loop = loop, .run_state = RUN_STATES };
    *fake = (struct fake_bell) { .loop = loop, .journal = journal };
    uv_idle_init(loop, &journal->idle);
    uv_idle_init(loop, &fake->idle);
    journal->idle.data = journal;
    fake->idle.data = fake;
    *bell = (struct bell) { .data = fake, .ring = fake_ring };
}

void fakes_close(uv_loop_t *loop, struct journal *journal, struct fake_bell *fake)
{
    uv_close((uv_handle_t *)&journal->idle, NULL);
    uv_close((uv_handle_t *)&fake->idle, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    while (journal->count > 0)
        drop(journal, &journal->rows[journal->count - 1]);
    free(journal->rows);
    for (size_t i = 0; i < fake->count; i++) {
        free(fake->rings[i].name);
        free(fake->rings[i].skip_reason);
        free(fake->rings[i].program);
        json_decref(fake->rings[i].event);
    }
    free(fake->rings);
    free(fake->waiting);
}

size_t fake_fired(const struct fake_bell *fake)
{
    size_t count = 0;

    for (size_t i = 0; i < fake->count; i++)
        count += fake->rings[i].status == 0 && fake->rings[i].skip_reason == NULL;
    return count;
}

static void too_late(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void run_until(uv_loop_t *loop, bool (*so)(void *data), void *data)
{
    bool late = false;
    uv_timer_t deadline;

    uv_timer_init(loop, &deadline);
    deadline.data = &late;
    uv_timer_start(&deadline, too_late, 60000, 0);
    while (!so(data) && !late)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    assert_false(late);
}

void run_idle(uv_loop_t *loop)
{
    for (int i = 0; i < 20; i++)
        uv_run(loop, UV_RUN_NOWAIT);
}
