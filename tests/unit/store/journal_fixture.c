/* A journal in a folder of its own. */
#include "journal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/base/file.h"

char journal_folder[64];
uv_loop_t journal_loop;
struct journal *journal;
int told_so_far;

static struct journal_row *kept;
static size_t kept_count;

static void drop_kept(void)
{
    for (size_t i = 0; i < kept_count; i++) {
        run_record_close(&kept[i].run);
        item_record_close(&kept[i].item);
        step_record_close(&kept[i].step_run);
        item_file_close(&kept[i].file);
        delivery_record_close(&kept[i].delivery);
        asset_record_close(&kept[i].asset);
        free(kept[i].event);
        free(kept[i].input);
    }
    free(kept);
    kept = NULL;
    kept_count = 0;
}

void open_journal(void)
{
    struct error err;

    if (journal_open(&journal_loop, journal_folder, &journal, &err) != 0)
        fail_msg("%s", err.text);
}

static void on_closed(void *data)
{
    *(bool *)data = true;
}

void close_journal(void)
{
    bool closed = false;

    journal_close(journal, on_closed, &closed);
    assert_false(closed);
    while (!closed)
        uv_run(&journal_loop, UV_RUN_ONCE);
    journal = NULL;
}

int journal_setup(void **state)
{
    (void)state;
    (void)snprintf(journal_folder, sizeof journal_folder, "/tmp/belfry-journal.XXXXXX");
    if (mkdtemp(journal_folder) == NULL || uv_loop_init(&journal_loop) != 0)
        return -1;
    told_so_far = 0;
    open_journal();
    return 0;
}

int journal_teardown(void **state)
{
    (void)state;
    if (journal != NULL)
        close_journal();
    drop_kept();
    uv_run(&journal_loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&journal_loop), 0);
    return file_remove_tree(journal_folder, NULL);
}

static void on_told(struct commit *commit, int status)
{
    struct told *t = commit->data;

    t->status = status;
    t->calls++;
    t->order = told_so_far++;
}

void give(struct told *t, struct record *records, size_t count, bool must)
{
    int before;

    memset(t, 0, sizeof *t);
    t->commit = (struct commit) { .records = records, .count = count, .must = must, .cb = on_told, .data = t };
    before = told_so_far;
    journal_commit(journal, &t->commit);
    assert_int_equal(told_so_far, before);
}

void wait_until_told(struct told *t)
{
    while (t->calls == 0)
        uv_run(&journal_loop, UV_RUN_ONCE);
    assert_int_equal(t->calls, 1);
}

int commit_now(struct record *records, size_t count)
{
    struct told t;

    give(&t, records, count, false);
    wait_until_told(&t);
    return t.status;
}

/* Not to be changed through these: the records only lend them. */
static char *lent(const char *text)
{
    return (char *)(uintptr_t)text;
}

struct run_record plain_run(unsigned n)
{
    struct run_record run = { .process = lent("p"), .workspace = lent("w"), .trigger_kind = TRIGGER_MANUAL,
        .trigger_name = lent("somebody"), .overlap = OVERLAP_BUFFER_ALL, .accepted_ms = 1000 + n };

    (void)snprintf(run.id, sizeof run.id, "%08x-0000-7000-8000-000000000000", n);
    return run;
}

void add_run(const struct run_record *run, const char *event, const char *input)
{
    struct record r = { .kind = RECORD_RUN_ADD, .run = run, .event = event, .input = input };

    assert_int_equal(commit_now(&r, 1), 0);
}

struct answer {
    int status;
    int calls;
};

static void on_read(struct journal_read *read, int status)
{
    struct answer *a = read->data;

    a->status = status;
    a->calls++;
    drop_kept();
    kept = calloc(read->count + 1, sizeof *kept);
    assert_non_null(kept);
    for (size_t i = 0; i < read->count; i++) {
        assert_int_equal(run_record_copy(&kept[i].run, &read->rows[i].run), 0);
        kept[i].event = read->rows[i].event != NULL ? strdup(read->rows[i].event) : NULL;
        kept[i].input = read->rows[i].input != NULL ? strdup(read->rows[i].input) : NULL;
        kept[i].line = read->rows[i].line;
        assert_int_equal(item_record_copy(&kept[i].item, &read->rows[i].item), 0);
        assert_int_equal(step_record_copy(&kept[i].step_run, &read->rows[i].step_run), 0);
        assert_int_equal(item_file_copy(&kept[i].file, &read->rows[i].file), 0);
        assert_int_equal(delivery_record_copy(&kept[i].delivery, &read->rows[i].delivery), 0);
        assert_int_equal(asset_record_copy(&kept[i].asset, &read->rows[i].asset), 0);
        kept_count++;
    }
}

int read_now(struct journal_read *read)
{
    struct answer a = { 0 };

    read->cb = on_read;
    read->data = &a;
    journal_read(journal, read);
    assert_int_equal(a.calls, 0);
    while (a.calls == 0)
        uv_run(&journal_loop, UV_RUN_ONCE);
    assert_int_equal(a.calls, 1);
    read->rows = kept;
    return a.status;
}

static void on_pruned(void *data, size_t count)
{
    *(size_t *)data = count;
}

size_t prune_now(int64_t until_ms, size_t limit)
{
    size_t count = SIZE_MAX;

    journal_prune(journal, until_ms, limit, on_pruned, &count);
    assert_true(count == SIZE_MAX);
    while (count == SIZE_MAX)
        uv_run(&journal_loop, UV_RUN_ONCE);
    return count;
}
