/* How work items go through the steps of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "belfry/base/error.h"
#include "belfry/core/flow.h"

#define RUN "0190d5a0-0000-7000-8000-000000000001"

static const struct flow_step two[] = { { .name = "fetch", .max_parallel = 1 }, { .name = "post", .max_parallel = 2 } };

struct world {
    struct flow *flow;
    unsigned ids;
};

static const char *new_id(struct world *w, char id[ID_SIZE])
{
    (void)snprintf(id, ID_SIZE, "0190d5a0-0000-7000-9000-%012u", ++w->ids);
    return id;
}

static void begin(struct world *w, const struct flow_step *steps, size_t count, int inputs)
{
    char id[ITEM_ID_SIZE];

    *w = (struct world) { 0 };
    assert_int_equal(flow_new(RUN, "ws", "orders", steps, count, &w->flow), 0);
    for (int i = 0; i < inputs; i++) {
        item_input_id(RUN, (size_t)i, id);
        assert_int_equal(flow_add_input(w->flow, 1000, id, "{}", false), 0);
    }
}

/* The step run that is to be started, or NULL; `what` gets what the flow said. */
static const struct step_record *next(struct world *w, enum flow_do *what)
{
    const struct step_record *run = NULL;
    char id[ID_SIZE];

    *what = flow_next(w->flow, 1000, new_id(w, id), &run);
    return run;
}

static const char *start(struct world *w, char id[ID_SIZE])
{
    enum flow_do what;
    const struct step_record *run = next(w, &what);

    assert_int_equal(what, FLOW_START);
    memcpy(id, run->id, ID_SIZE);
    flow_began(w->flow, id, 1100);
    return id;
}

static void end_run(struct world *w, const char *id, int exit_code)
{
    struct run_end end = { .outcome = exit_code == 0 ? RUN_COMPLETED : RUN_FAILED, .ended_ms = 2000, .has_exit_code = true,
        .exit_code = exit_code, .error_code = exit_code == 0 ? NULL : "exit_code", .error_message = exit_code == 0 ? NULL : "it failed" };

    flow_ended(w->flow, id, &end);
}

static enum flow_do what_now(struct world *w)
{
    enum flow_do what;

    (void)next(w, &what);
    return what;
}

static enum run_state outcome(const struct world *w, const char **code)
{
    static char words[256];
    struct run_end end;

    flow_outcome(w->flow, &end, words);
    *code = end.error_code;
    return end.outcome;
}

static char *reserve(struct world *w, const char *step_run, char id[ITEM_ID_SIZE])
{
    const struct item_record *item;

    assert_int_equal(flow_reserve(w->flow, step_run, 1500, &item), 0);
    if (item == NULL)
        return NULL;
    memcpy(id, item->id, ITEM_ID_SIZE);
    return id;
}

static void release(struct world *w, const char *step_run, const char *item, enum item_state state)
{
    assert_int_equal(flow_release(w->flow, step_run, item, 1600, state, EXCEPTION_BUSINESS, "BAD", "bad order"), 0);
}

static void put_out(struct world *w, const char *step_run, const char *parent, const char *payload, char made[ITEM_ID_SIZE])
{
    const struct item_record *item;
    char id[ID_SIZE];

    assert_int_equal(flow_output(w->flow, step_run, parent, 1700, new_id(w, id), payload, &item), 0);
    memcpy(made, item->id, ITEM_ID_SIZE);
    flow_told(w->flow, made);
}

static void scripts_hand_on_what_they_were_given(void **state)
{
    char a[ID_SIZE], b[ID_SIZE];
    const char *code;
    struct world w;

    (void)state;
    begin(&w, two, 2, 1);
    assert_string_equal(flow_step_run(w.flow, start(&w, a))->name, "fetch");
    assert_int_equal(what_now(&w), FLOW_WAIT);
    end_run(&w, a, 0);
    assert_string_equal(flow_step_run(w.flow, start(&w, b))->name, "post");
    end_run(&w, b, 0);
    assert_int_equal(what_now(&w), FLOW_OVER);
    assert_int_equal(outcome(&w, &code), RUN_COMPLETED);
    flow_free(w.flow);
}

static void a_robot_that_puts_nothing_out_ends_the_run(void **state)
{
    char a[ID_SIZE], item[ITEM_ID_SIZE];
    const char *code;
    struct world w;

    (void)state;
    begin(&w, two, 2, 1);
    start(&w, a);
    item_input_id(RUN, 0, item);
    release(&w, a, item, ITEM_DONE);
    assert_null(reserve(&w, a, item));
    end_run(&w, a, 0);
    assert_int_equal(what_now(&w), FLOW_OVER);
    assert_int_equal(outcome(&w, &code), RUN_COMPLETED);
    flow_free(w.flow);
}

static void a_producer_and_a_consumer(void **state)
{
    char a[ID_SIZE], b[ID_SIZE], c[ID_SIZE], first[ITEM_ID_SIZE], made[5][ITEM_ID_SIZE], got[ITEM_ID_SIZE];
    const char *code;
    struct world w;

    (void)state;
    begin(&w, two, 2, 1);
    start(&w, a);
    item_input_id(RUN, 0, first);
    assert_string_equal(reserve(&w, a, got), first);   /* the one that it has, as long as it is not released */
    for (int i = 0; i < 5; i++)
        put_out(&w, a, first, "{}", made[i]);
    assert_int_equal(what_now(&w), FLOW_WAIT);         /* the next step begins when this one is over */
    release(&w, a, first, ITEM_DONE);
    assert_int_equal(what_now(&w), FLOW_WAIT);
    end_run(&w, a, 0);
    start(&w, b);
    start(&w, c);
    assert_int_equal(what_now(&w), FLOW_WAIT);         /* two at once */
    assert_string_equal(reserve(&w, b, got), made[0]);
    release(&w, b, made[0], ITEM_DONE);
    assert_string_equal(reserve(&w, c, got), made[1]);
    release(&w, c, made[1], ITEM_FAILED);
    assert_string_equal(reserve(&w, c, got), made[2]);
    end_run(&w, c, 1);                                 /* the third goes down with it */
    assert_string_equal(reserve(&w, b, got), made[3]);
    release(&w, b, made[3], ITEM_DONE);
    end_run(&w, b, 0);
    start(&w, b);                                      /* one is left: another step run */
    assert_string_equal(reserve(&w, b, got), made[4]);
    end_run(&w, b, 0);
    assert_int_equal(what_now(&w), FLOW_OVER);
    assert_int_equal(outcome(&w, &code), RUN_FAILED);
    assert_string_equal(code, "unresolved");
    /* A person has the failed ones tried again. */
    flow_begin_attempt(w.flow, 2, 3000);
    start(&w, b);
    assert_string_equal(reserve(&w, b, got), made[1]);
    release(&w, b, made[1], ITEM_DONE);
    assert_string_equal(reserve(&w, b, got), made[2]);
    release(&w, b, made[2], ITEM_DONE);
    assert_null(reserve(&w, b, got));
    end_run(&w, b, 0);
    assert_int_equal(what_now(&w), FLOW_OVER);
    assert_int_equal(outcome(&w, &code), RUN_COMPLETED);
    flow_free(w.flow);
}

static void replays_change_nothing(void **state)
{
    char a[ID_SIZE], first[ITEM_ID_SIZE], made[ITEM_ID_SIZE], id[ID_SIZE];
    const struct item_record *item;
    struct world w;

    (void)state;
    begin(&w, two, 2, 2);
    start(&w, a);
    item_input_id(RUN, 0, first);
    assert_int_equal(flow_output(w.flow, a, first, 1, new_id(&w, id), "{\"n\":1}", &item), 0);
    memcpy(made, item->id, sizeof made);
    /* The answer was lost: the same again is the same. */
    assert_int_equal(flow_output(w.flow, a, first, 2, new_id(&w, id), "{\"n\":1}", &item), 0);
    assert_string_equal(item->id, made);
    flow_told(w.flow, made);
    /* It knows of it: this is another one. */
    assert_int_equal(flow_output(w.flow, a, first, 3, new_id(&w, id), "{\"n\":1}", &item), 0);
    assert_string_not_equal(item->id, made);
    release(&w, a, first, ITEM_DONE);
    release(&w, a, first, ITEM_DONE);
    assert_int_equal(flow_release(w.flow, a, first, 4, ITEM_FAILED, EXCEPTION_BUSINESS, NULL, NULL), BF_EEXIST);
    assert_string_equal(reserve(&w, a, first), reserve(&w, a, made));
    flow_free(w.flow);
}

static void nobody_touches_what_is_not_theirs(void **state)
{
    static const struct flow_step one[] = { { .name = "work", .max_parallel = 2 } };
    char a[ID_SIZE], b[ID_SIZE], first[ITEM_ID_SIZE], id[ID_SIZE];
    const struct item_record *item;
    struct world w;

    (void)state;
    begin(&w, one, 1, 3);
    start(&w, a);
    start(&w, b);
    item_input_id(RUN, 0, first);
    assert_int_equal(flow_release(w.flow, b, first, 1, ITEM_DONE, EXCEPTION_NONE, NULL, NULL), BF_ENOENT);
    assert_int_equal(flow_output(w.flow, b, first, 1, new_id(&w, id), "{}", &item), BF_ENOENT);
    assert_null(flow_item_of(w.flow, b, first));
    assert_non_null(flow_item_of(w.flow, a, first));
    end_run(&w, a, 0);
    assert_int_equal(flow_reserve(w.flow, a, 1, &item), BF_ENOENT);   /* it has ended */
    assert_int_equal(flow_reserve(w.flow, "none", 1, &item), BF_ENOENT);
    flow_free(w.flow);
}

static void one_each_and_lists(void **state)
{
    static const struct flow_step each[] = { { .name = "work", .max_parallel = 2, .each = true } };
    static const struct flow_step list[] = { { .name = "work", .max_parallel = 2, .list = true } };
    char a[ID_SIZE], b[ID_SIZE], got[ITEM_ID_SIZE];
    struct world w;

    (void)state;
    begin(&w, each, 1, 3);
    start(&w, a);
    start(&w, b);
    assert_int_equal(what_now(&w), FLOW_WAIT);
    assert_non_null(reserve(&w, a, got));
    release(&w, a, got, ITEM_DONE);
    assert_null(reserve(&w, a, got));
    end_run(&w, a, 0);
    start(&w, a);
    flow_free(w.flow);
    begin(&w, list, 1, 3);
    start(&w, a);
    assert_int_equal(what_now(&w), FLOW_WAIT);
    end_run(&w, a, 0);
    assert_int_equal(what_now(&w), FLOW_OVER);
    flow_free(w.flow);
}

static void a_start_that_failed_for_now_never_was(void **state)
{
    const struct step_record *run;
    char a[ID_SIZE], first[ID_SIZE];
    enum flow_do what;
    struct world w;

    (void)state;
    begin(&w, two, 2, 1);
    run = next(&w, &what);
    memcpy(first, run->id, sizeof first);
    flow_not_begun(w.flow, first, 1200);
    assert_null(flow_step_run(w.flow, first));
    assert_int_equal(flow_active(w.flow), 0);
    assert_string_not_equal(start(&w, a), first);
    flow_free(w.flow);
}

static void drop_and_save(void *data, const struct step_record *run)
{
    struct world *w = data;
    struct flow_changes changes;

    w->ids++;
    flow_not_begun(w->flow, run->id, 1200);
    assert_int_equal(flow_take_changes(w->flow, &changes), 0);
    flow_changes_close(&changes);
}

static void what_is_looked_at_may_go(void **state)
{
    static const struct flow_step wide = { .name = "wide", .max_parallel = 3 };
    enum flow_do what;
    struct world w;

    (void)state;
    begin(&w, &wide, 1, 3);
    for (int i = 0; i < 3; i++)
        assert_non_null(next(&w, &what));
    w.ids = 0;
    flow_each_step_run(w.flow, drop_and_save, &w);
    assert_int_equal(w.ids, 3);
    assert_int_equal(flow_active(w.flow), 0);
    assert_int_equal(flow_waiting(w.flow), 3);
    flow_free(w.flow);
}

static void a_halted_flow_ends_with_its_step_runs(void **state)
{
    char a[ID_SIZE];
    const char *code;
    struct world w;

    (void)state;
    begin(&w, two, 2, 2);
    start(&w, a);
    flow_halt(w.flow);
    flow_settle_waiting(w.flow, 1, true, NULL, NULL);
    assert_int_equal(what_now(&w), FLOW_WAIT);
    end_run(&w, a, 0);
    assert_int_equal(what_now(&w), FLOW_OVER);
    assert_int_equal(outcome(&w, &code), RUN_COMPLETED);
    flow_free(w.flow);
}

static void a_robot_that_fails_after_its_release_fails_the_run(void **state)
{
    char a[ID_SIZE], first[ITEM_ID_SIZE];
    const char *code;
    struct world w;

    (void)state;
    begin(&w, two, 1, 1);
    start(&w, a);
    item_input_id(RUN, 0, first);
    release(&w, a, first, ITEM_DONE);
    end_run(&w, a, 3);
    assert_int_equal(what_now(&w), FLOW_OVER);
    assert_int_equal(outcome(&w, &code), RUN_FAILED);
    assert_string_equal(code, "exit_code");
    flow_free(w.flow);
}

static void a_retry_drops_what_had_been_put_out(void **state)
{
    char a[ID_SIZE], first[ITEM_ID_SIZE], made[ITEM_ID_SIZE];
    struct flow_changes changes;
    bool dropped = false;
    struct world w;

    (void)state;
    begin(&w, two, 1, 1);
    start(&w, a);
    item_input_id(RUN, 0, first);
    put_out(&w, a, first, "1", made);
    end_run(&w, a, 1);
    assert_int_equal(flow_take_changes(w.flow, &changes), 0);
    flow_changes_close(&changes);
    flow_begin_attempt(w.flow, 2, 3000);
    assert_int_equal(flow_take_changes(w.flow, &changes), 0);
    for (size_t i = 0; i < changes.count; i++)
        dropped |= changes.records[i].kind == RECORD_ITEM_DROP && strcmp(changes.records[i].item->id, made) == 0;
    assert_true(dropped);
    flow_changes_close(&changes);
    flow_free(w.flow);
}

/* The run was stopped before anybody took it. */
static void a_retry_drops_what_failed_untaken(void **state)
{
    char a[ID_SIZE], first[ITEM_ID_SIZE], made[ITEM_ID_SIZE];
    struct flow_changes changes;
    size_t dropped = 0;
    struct world w;

    (void)state;
    begin(&w, two, 2, 1);
    start(&w, a);
    item_input_id(RUN, 0, first);
    put_out(&w, a, first, "1", made);
    flow_halt(w.flow);
    flow_settle_waiting(w.flow, 1900, false, "canceled", "stopped");
    end_run(&w, a, 1);
    assert_int_equal(flow_failed(w.flow), 2);
    assert_int_equal(flow_take_changes(w.flow, &changes), 0);
    flow_changes_close(&changes);
    flow_begin_attempt(w.flow, 2, 3000);
    assert_int_equal(flow_waiting(w.flow), 1);
    assert_int_equal(flow_take_changes(w.flow, &changes), 0);
    for (size_t i = 0; i < changes.count; i++)
        dropped += changes.records[i].kind == RECORD_ITEM_DROP;
    assert_int_equal(dropped, 1);
    flow_changes_close(&changes);
    flow_free(w.flow);
}

static void no_wish_comes_after_the_end(void **state)
{
    char a[ID_SIZE], first[ITEM_ID_SIZE];
    struct world w;

    (void)state;
    begin(&w, two, 1, 1);
    start(&w, a);
    end_run(&w, a, 1);
    item_input_id(RUN, 0, first);
    assert_true(flow_may(w.flow, first, WISH_RETRY));
    flow_close(w.flow);
    assert_false(flow_wish(w.flow, first, WISH_RETRY, 3000));
    assert_int_equal(flow_retry_failed(w.flow, 3000), 0);
    flow_begin_attempt(w.flow, 2, 3000);
    assert_int_equal(flow_waiting(w.flow), 1);
    flow_free(w.flow);
}

/* A robot goes on making outputs of an item that it has failed, while a person has that item tried again. */
static void a_retry_under_the_eyes_of_the_robot(void **state)
{
    char a[ID_SIZE], b[ID_SIZE], first[ITEM_ID_SIZE], made[ITEM_ID_SIZE], id[ID_SIZE];
    const struct item_record *item;
    struct flow_changes changes;
    struct world w;

    (void)state;
    begin(&w, (struct flow_step[]) { { .name = "one", .max_parallel = 2 }, { .name = "two", .max_parallel = 1 } }, 2, 1);
    start(&w, a);
    item_input_id(RUN, 0, first);
    release(&w, a, first, ITEM_FAILED);
    assert_int_equal(flow_output(w.flow, a, first, 2, new_id(&w, id), "1", &item), 0);   /* and its answer is lost */
    memcpy(made, item->id, sizeof made);
    assert_true(flow_wish(w.flow, first, WISH_RETRY, 3));
    assert_int_equal(flow_take_changes(w.flow, &changes), 0);
    flow_changes_close(&changes);
    assert_null(flow_item_of(w.flow, a, made));
    assert_null(flow_item_of(w.flow, a, first));
    assert_int_equal(flow_output(w.flow, a, first, 4, new_id(&w, id), "1", &item), BF_ENOENT);
    assert_int_equal(flow_release(w.flow, a, first, 4, ITEM_DONE, EXCEPTION_NONE, NULL, NULL), BF_ENOENT);
    start(&w, b);
    assert_string_equal(reserve(&w, b, first), first);
    assert_null(reserve(&w, a, NULL));
    end_run(&w, a, 0);
    end_run(&w, b, 0);
    flow_free(w.flow);
}

/* A person asks for something in vain: it leaves everything as it is, what is known of step runs that failed, too. */
static void a_wish_that_cannot_be_had_changes_nothing(void **state)
{
    char a[ID_SIZE], first[ITEM_ID_SIZE];
    struct flow_changes changes;
    const char *code;
    struct world w;

    (void)state;
    begin(&w, two, 1, 1);
    start(&w, a);
    item_input_id(RUN, 0, first);
    release(&w, a, first, ITEM_DONE);
    end_run(&w, a, 3);
    assert_int_equal(flow_take_changes(w.flow, &changes), 0);
    flow_changes_close(&changes);
    assert_int_equal(flow_retry_failed(w.flow, 3000), 0);
    for (int wish = WISH_RETRY; wish <= WISH_DROP; wish++) {
        assert_false(flow_may(w.flow, first, (enum item_wish)wish));
        assert_false(flow_wish(w.flow, first, (enum item_wish)wish, 3000));
        assert_false(flow_wish(w.flow, "none", (enum item_wish)wish, 3000));
    }
    assert_int_equal(flow_take_changes(w.flow, &changes), 0);
    assert_int_equal(changes.count, 0);
    assert_int_equal(outcome(&w, &code), RUN_FAILED);
    flow_free(w.flow);
}

/* What a daemon that is killed after every move reads back leads to the same end. */
static void what_is_written_down_is_all_there_is(void **state)
{
    struct item_record items[16];
    struct step_record steps[16];
    size_t item_count = 0, step_count = 0;
    char a[ID_SIZE], first[ITEM_ID_SIZE], made[ITEM_ID_SIZE], id[ID_SIZE];
    const struct item_record *again;
    struct flow_changes c;
    struct world w;
    size_t k;

    (void)state;
    begin(&w, two, 2, 2);
    start(&w, a);
    item_input_id(RUN, 0, first);
    assert_int_equal(flow_output(w.flow, a, first, 1, new_id(&w, id), "7", &again), 0);
    memcpy(made, again->id, sizeof made);
    assert_int_equal(flow_take_changes(w.flow, &c), 0);
    for (size_t i = 0; i < c.count; i++) {
        if (c.records[i].item != NULL) {
            for (k = 0; k < item_count && strcmp(items[k].id, c.records[i].item->id) != 0; k++)
                ;
            assert_int_equal(item_record_copy(&items[k], c.records[i].item), 0);
            item_count += k == item_count;
        } else {
            assert_int_equal(step_record_copy(&steps[step_count++], c.records[i].step_run), 0);
        }
    }
    flow_changes_close(&c);
    assert_int_equal(flow_take_changes(w.flow, &c), 0);
    assert_int_equal(c.count, 0);
    flow_free(w.flow);
    assert_int_equal(item_count, 3);
    assert_int_equal(step_count, 1);
    assert_int_equal(flow_new(RUN, "ws", "orders", two, 2, &w.flow), 0);
    for (size_t i = 0; i < step_count; i++)
        assert_int_equal(flow_put_step_run(w.flow, &steps[i]), 0);
    for (size_t i = 0; i < item_count; i++)
        assert_int_equal(flow_put_item(w.flow, &items[i]), 0);
    assert_int_equal(flow_active(w.flow), 1);
    assert_int_equal(what_now(&w), FLOW_WAIT);
    assert_int_equal(flow_output(w.flow, a, first, 2, new_id(&w, id), "7", &again), 0);   /* its answer was lost */
    assert_string_equal(again->id, made);
    release(&w, a, first, ITEM_DONE);
    assert_non_null(reserve(&w, a, first));
    end_run(&w, a, 0);
    start(&w, a);
    assert_string_equal(reserve(&w, a, first), made);
    end_run(&w, a, 0);
    assert_int_equal(what_now(&w), FLOW_OVER);
    flow_free(w.flow);
    for (size_t i = 0; i < item_count; i++)
        item_record_close(&items[i]);
    for (size_t i = 0; i < step_count; i++)
        step_record_close(&steps[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts_hand_on_what_they_were_given),
        cmocka_unit_test(a_robot_that_puts_nothing_out_ends_the_run),
        cmocka_unit_test(a_producer_and_a_consumer),
        cmocka_unit_test(replays_change_nothing),
        cmocka_unit_test(nobody_touches_what_is_not_theirs),
        cmocka_unit_test(one_each_and_lists),
        cmocka_unit_test(a_start_that_failed_for_now_never_was),
        cmocka_unit_test(what_is_looked_at_may_go),
        cmocka_unit_test(a_halted_flow_ends_with_its_step_runs),
        cmocka_unit_test(a_robot_that_fails_after_its_release_fails_the_run),
        cmocka_unit_test(a_retry_drops_what_had_been_put_out),
        cmocka_unit_test(a_retry_drops_what_failed_untaken),
        cmocka_unit_test(no_wish_comes_after_the_end),
        cmocka_unit_test(a_retry_under_the_eyes_of_the_robot),
        cmocka_unit_test(a_wish_that_cannot_be_had_changes_nothing),
        cmocka_unit_test(what_is_written_down_is_all_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
