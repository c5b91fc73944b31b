/* Keys, their journal under them: what is acknowledged is there, in memory and after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "belfry/serve/keyring.h"
#include "tests/unit/store/journal_fixture.h"

static struct vault *vault;
static struct keyring *ring;

static void open_ring(void)
{
    struct error err;

    if (vault_open(journal_folder, &vault, &err) != 0 || keyring_new(&journal_loop, journal, vault, &ring, &err) != 0)
        fail_msg("%s", err.text);
}

static void on_closed(void *data)
{
    *(bool *)data = true;
}

static void close_ring(void)
{
    bool closed = false;

    keyring_close(ring, on_closed, &closed);
    while (!closed)
        uv_run(&journal_loop, UV_RUN_ONCE);
    vault_close(vault);
}

static void reopen(void)
{
    close_ring();
    close_journal();
    open_journal();
    open_ring();
}

static int ring_setup(void **state)
{
    if (journal_setup(state) != 0)
        return -1;
    open_ring();
    return 0;
}

static int ring_teardown(void **state)
{
    close_ring();
    return journal_teardown(state);
}

static int told;

static void on_changed(struct key_change *change, int status)
{
    *(int *)change->data = status;
    told++;
}

/* Gives them all before any is written, and waits. */
static void change(struct key_change *changes, int *statuses, int count)
{
    told = 0;
    for (int i = 0; i < count; i++) {
        changes[i].cb = on_changed;
        changes[i].data = &statuses[i];
        changes[i].now_ms = 1000;
        keyring_change(ring, &changes[i]);
    }
    while (told < count)
        uv_run(&journal_loop, UV_RUN_ONCE);
}

/* Its id stays in the change, and its value. */
static void add(struct key_change *made)
{
    int status;

    *made = (struct key_change) { .kind = KEY_ADD, .name = "first", .workspace = "w", .permissions = PERMISSIONS_ALL, .viewable = true };
    change(made, &status, 1);
    assert_int_equal(status, 0);
}

static struct key_change edit_of(const struct key_change *made)
{
    struct key_change edit = { .kind = KEY_EDIT };

    memcpy(edit.id, made->id, sizeof edit.id);
    return edit;
}

static void check(const char *id, const char *name, uint32_t permissions, int64_t expires_ms)
{
    const struct api_key *key = keyring_find(ring, id);

    assert_non_null(key);
    assert_string_equal(key->name, name);
    assert_int_equal(key->permissions, permissions);
    assert_int_equal(key->expires_ms, expires_ms);
    assert_string_equal(key->workspace, "w");
    assert_int_equal(key->created_ms, 1000);
}

static void edits_at_once_undo_nothing(void **state)
{
    struct key_change made, edits[4];
    int statuses[4];

    (void)state;
    add(&made);
    for (size_t i = 0; i < 4; i++)
        edits[i] = edit_of(&made);
    edits[0].set_permissions = true;
    edits[0].permissions = 1u << MAY_READ_RUNS;
    edits[1].name = "second";
    edits[2].set_expires = true;
    edits[2].expires_ms = 5000;
    edits[3].name = "third";
    change(edits, statuses, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(statuses[i], 0);
    check(made.id, "third", 1u << MAY_READ_RUNS, 5000);
    assert_non_null(keyring_check(ring, made.value.bytes, 2000));
    reopen();
    check(made.id, "third", 1u << MAY_READ_RUNS, 5000);
    assert_int_equal(keyring_find(ring, made.id)->uses, 1);
    assert_true(keyring_knows(ring, made.value.bytes, 2000));
    assert_false(keyring_knows(ring, made.value.bytes, 6000));
    /* An end that is taken away is said, too. */
    edits[0] = edit_of(&made);
    edits[0].set_expires = true;
    change(edits, statuses, 1);
    reopen();
    check(made.id, "third", 1u << MAY_READ_RUNS, 0);
    secret_close(&made.value);
}

static void an_edit_brings_no_key_back(void **state)
{
    struct key_change made, changes[2];
    int statuses[2];

    (void)state;
    add(&made);
    changes[0] = edit_of(&made);
    changes[0].kind = KEY_REMOVE;
    changes[1] = edit_of(&made);
    changes[1].name = "back";
    change(changes, statuses, 2);
    assert_int_equal(statuses[0], 0);
    assert_int_equal(statuses[1], BF_ENOENT);
    assert_null(keyring_find(ring, made.id));
    assert_false(keyring_knows(ring, made.value.bytes, 2000));
    reopen();
    assert_null(keyring_find(ring, made.id));
    secret_close(&made.value);
}

static void hidden_values_are_gone(void **state)
{
    struct secret value = { 0 };
    struct key_change made;

    (void)state;
    add(&made);
    keyring_hide(ring, "another");
    assert_int_equal(keyring_view(ring, made.id, &value), 0);
    assert_string_equal(value.bytes, made.value.bytes);
    secret_close(&value);
    for (int i = 0; i < 2; i++) {
        keyring_hide(ring, "w");
        assert_int_equal(keyring_view(ring, made.id, &value), BF_ENOENT);
        assert_false(keyring_find(ring, made.id)->viewable);
        assert_true(keyring_knows(ring, made.value.bytes, 2000));
        check(made.id, "first", PERMISSIONS_ALL, 0);
    }
    reopen();
    assert_int_equal(keyring_view(ring, made.id, &value), BF_ENOENT);
    assert_true(keyring_knows(ring, made.value.bytes, 2000));
    secret_close(&made.value);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ring_setup, ring_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(edits_at_once_undo_nothing),
        TEST(an_edit_brings_no_key_back),
        TEST(hidden_values_are_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
