/* The engine by itself, on a clock of the test's: a start that nobody answers, and what becomes of it. The simulated world
 * (tests/sim) has all the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "belfry/core/engine.h"

static struct engine *engine;
static struct instant now;
static struct commit *waiting, **waiting_tail = &waiting;
static unsigned starts, finds, follows, collects, lines, drops, stops[3];
static struct run_record ended_as;
static const char *wants;
static char note[512];
static unsigned notes;
static int64_t wake_ms;
static struct admission admission;

static void commit(void *data, struct commit *c)
{
    (void)data;
    for (size_t i = 0; i < c->count; i++)
        lines += c->records[i].kind == RECORD_LINE_ADD;
    c->next = NULL;
    *waiting_tail = c;
    waiting_tail = &c->next;
}

static void settle_as(int status)
{
    while (waiting != NULL) {
        struct commit *c = waiting;

        waiting = c->next;
        if (waiting == NULL)
            waiting_tail = &waiting;
        c->cb(c, status);
    }
}

/* All that was written down is durable. */
static void settle(void)
{
    settle_as(0);
}

static void start(void *data, const struct run_record *run, const char *event, const char *input)
{
    (void)data, (void)run, (void)event, (void)input;
    starts++;
}

static void find(void *data, const struct run_record *run)
{
    (void)data, (void)run;
    finds++;
}

static void follow(void *data, const struct run_record *run)
{
    (void)data, (void)run;
    follows++;
}

static void stop(void *data, const struct run_record *run, enum stop_how how)
{
    (void)data, (void)run;
    stops[how]++;
}

static void ended(void *data, const struct run_record *run)
{
    (void)data;
    run_record_close(&ended_as);
    assert_int_equal(run_record_copy(&ended_as, run), 0);
}

static void dropped(void *data, const struct run_record *run)
{
    (void)data;
    assert_string_equal(run->id, admission.run_id);
    drops++;
}

/* Somebody wants to be told. */
static const char *line(void *data, const struct run_record *run)
{
    (void)data, (void)run;
    return wants;
}

static void collect(void *data, const struct run_record *run)
{
    (void)data, (void)run;
    collects++;
}

static void take_note(void *data, const struct run_record *run, const char *text)
{
    (void)data, (void)run;
    notes += text != NULL;
    if (text != NULL)
        (void)snprintf(note, sizeof note, "%s", text);
}

static void wake_at(void *data, int64_t mono_ms)
{
    (void)data;
    wake_ms = mono_ms;
}

static void random_bytes(void *data, void *bytes, size_t len)
{
    (void)data;
    memset(bytes, 7, len);
}

static void admitted(struct admission *a, int status)
{
    (void)a;
    assert_int_equal(status, 0);
}

/* A run whose start has been sent. */
static int begin(void **state)
{
    static const struct lane_settings lane = { .process = "p", .workspace = "w", .max_parallel = 1, .queue_limit = 10 };
    const struct engine_world world = { .commit = commit, .start = start, .find = find, .follow = follow, .stop = stop,
        .collect = collect, .ended = ended, .dropped = dropped, .line = line, .note = take_note, .wake_at = wake_at, .random = random_bytes };

    (void)state;
    starts = finds = follows = collects = notes = lines = drops = 0;
    memset(stops, 0, sizeof stops);
    wants = NULL;
    now = (struct instant) { .wall_ms = 1767225600000, .mono_ms = 1000 };
    if (engine_new(&world, &engine) != 0 || engine_configure(engine, 10, &lane, 1, NULL, 0) != 0)
        return -1;
    admission = (struct admission) { .process = "p", .kind = TRIGGER_MANUAL, .trigger_name = "me", .event = "{}", .cb = admitted };
    if (engine_admit(engine, now, &admission) != 0)
        return -1;
    settle();
    return starts == 1 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    settle();
    engine_free(engine);
    run_record_close(&ended_as);
    return 0;
}

/* Goes on to the next time that the engine asked for. */
static void pass(void)
{
    assert_int_not_equal(wake_ms, INT64_MAX);
    now.wall_ms += wake_ms - now.mono_ms;
    now.mono_ms = wake_ms;
    engine_wake(engine, now);
    settle();
}

static void lose_the_answer(void)
{
    struct error why;

    error_set(&why, BF_ENET, "the connection broke");
    engine_start_unknown(engine, now, admission.run_id, &why);
    settle();
}

static struct engine_stats stats(void)
{
    struct engine_stats s;

    engine_stats(engine, &s);
    return s;
}

static void what_cannot_be_looked_up_is_shown_and_still_looked_for(void **state)
{
    int64_t since_ms = now.mono_ms, shown_ms = 0;

    (void)state;
    lose_the_answer();
    for (unsigned i = 1; i <= 20; i++) {
        pass();
        assert_int_equal(finds, i);
        engine_found(engine, now, admission.run_id, FOUND_UNKNOWN, NULL, NULL, 0);
        settle();
        if (shown_ms == 0 && stats().unconfirmed == 1)
            shown_ms = now.mono_ms;
        assert_int_equal(stats().unconfirmed, now.mono_ms - since_ms >= 120000 ? 1 : 0);
    }
    assert_true(shown_ms - since_ms <= 240000);
    assert_int_equal(notes, 1);   /* said once */
    assert_non_null(strstr(note, "unconfirmed"));
    assert_true(engine_run(engine, admission.run_id)->unconfirmed);
    assert_int_equal(starts, 1);   /* and never sent again */
    pass();
    engine_found(engine, now, admission.run_id, FOUND_STARTED, "remote-1", NULL, 0);
    settle();
    assert_int_equal(stats().unconfirmed, 0);
    assert_int_equal(follows, 1);
    assert_int_equal(engine_run(engine, admission.run_id)->state, RUN_RUNNING);
}

static void what_is_not_seen_for_two_minutes_is_sent_again(void **state)
{
    int64_t since_ms = now.mono_ms;

    (void)state;
    lose_the_answer();
    while (starts == 1) {
        pass();
        engine_found(engine, now, admission.run_id, FOUND_NOT_SEEN, NULL, NULL, 0);
        settle();
    }
    assert_in_range(now.mono_ms - since_ms, 100000, 130000);
    assert_int_equal(engine_run(engine, admission.run_id)->attempt, 2);
    assert_int_equal(starts, 2);
}

static void one_look_that_fails_is_no_proof(void **state)
{
    (void)state;
    lose_the_answer();
    for (int i = 0; i < 4; i++) {
        pass();
        engine_found(engine, now, admission.run_id, i % 2 == 0 ? FOUND_NOT_SEEN : FOUND_UNKNOWN, NULL, NULL, 0);
        settle();
    }
    assert_int_equal(starts, 1);
    pass();
    engine_found(engine, now, admission.run_id, FOUND_STARTED, "remote-1", NULL, 0);
    settle();
    assert_int_equal(starts, 1);
    assert_int_equal(follows, 1);
}

/* --- taken up again ----------------------------------------------------------------------------------------------- */

static int reopened = 1;

static void on_reopened(void *data, int status)
{
    (void)data;
    reopened = status;
}

/* The run goes through to that end. */
static void run_through(enum run_state outcome)
{
    struct run_end over = { .outcome = outcome, .error_code = outcome == RUN_COMPLETED ? NULL : "exit_code", .error_message = "it failed" };

    engine_started(engine, now, admission.run_id, NULL, NULL, "running", 0);
    settle();
    engine_ended(engine, now, admission.run_id, &over);
    settle();
    engine_collected(engine, now, admission.run_id, 0, NULL, "{\"revision\": 1}");
    settle();
    assert_null(engine_run(engine, admission.run_id));
    assert_int_equal(ended_as.state, outcome);
}

static void a_run_that_failed_is_taken_up_again(void **state)
{
    struct run_record failed;
    struct record with = { .kind = RECORD_PAUSE };

    (void)state;
    run_through(RUN_FAILED);
    assert_int_equal(run_record_copy(&failed, &ended_as), 0);
    assert_int_equal(engine_reopen(engine, now, &failed, &with, 1, on_reopened, NULL), 0);
    assert_int_equal(engine_reopen(engine, now, &failed, NULL, 0, on_reopened, NULL), BF_EEXIST);   /* it is open by now */
    assert_int_equal(waiting->count, 2);   /* one commit for both */
    assert_int_equal(starts, 1);           /* nothing before it is durable */
    settle();
    assert_int_equal(reopened, 0);
    assert_int_equal(starts, 2);
    assert_int_equal(engine_run(engine, failed.id)->attempt, 2);
    assert_null(engine_run(engine, failed.id)->error_code);
    assert_string_equal(engine_run(engine, failed.id)->result, "{\"revision\": 1}");   /* what is there already */
    run_through(RUN_COMPLETED);
    assert_int_equal(ended_as.attempt, 2);
    assert_int_equal(engine_reopen(engine, now, &ended_as, NULL, 0, on_reopened, NULL), BF_EINVAL);
    run_record_close(&failed);
}

static void what_cannot_be_written_down_is_not_taken_up(void **state)
{
    struct run_record failed;
    struct commit *c;

    (void)state;
    run_through(RUN_FAILED);
    assert_int_equal(run_record_copy(&failed, &ended_as), 0);
    assert_int_equal(engine_reopen(engine, now, &failed, NULL, 0, on_reopened, NULL), 0);
    c = waiting;
    waiting = NULL;
    waiting_tail = &waiting;
    c->cb(c, BF_ENOSPC);
    assert_int_equal(reopened, BF_ENOSPC);
    assert_null(engine_run(engine, failed.id));
    assert_int_equal(starts, 1);
    run_record_close(&failed);
}

static void a_canceled_retry_does_not_start(void **state)
{
    struct run_record failed;

    (void)state;
    run_through(RUN_FAILED);
    assert_int_equal(run_record_copy(&failed, &ended_as), 0);
    assert_int_equal(engine_reopen(engine, now, &failed, NULL, 0, on_reopened, NULL), 0);
    assert_int_equal(engine_cancel(engine, now, failed.id, RUN_CANCELED, "never mind"), 0);
    settle();
    assert_int_equal(starts, 1);
    engine_collected(engine, now, failed.id, 0, NULL, "{}");
    settle();
    assert_int_equal(ended_as.state, RUN_CANCELED);
    run_record_close(&failed);
}

static void a_run_that_failed_is_settled_without_a_start(void **state)
{
    struct run_record failed;
    const struct run_record *run;

    (void)state;
    run_through(RUN_FAILED);
    assert_int_equal(run_record_copy(&failed, &ended_as), 0);
    now.wall_ms += 5;
    assert_int_equal(engine_settle(engine, now, &failed, "all is well", on_reopened, NULL), 0);
    assert_int_equal(engine_settle(engine, now, &failed, "all is well", on_reopened, NULL), BF_EEXIST);
    assert_int_equal(waiting->records[0].run->state, RUN_COLLECTING);   /* whoever reads it after a crash starts nothing */
    assert_int_equal(waiting->records[0].run->outcome, RUN_COMPLETED);
    assert_int_equal(engine_cancel(engine, now, failed.id, RUN_CANCELED, "too late"), 0);
    assert_int_equal(collects, 1);
    settle();
    assert_int_equal(reopened, 0);
    assert_int_equal(collects, 2);
    run = engine_run(engine, failed.id);
    assert_int_equal(run->attempt, 1);
    assert_null(run->error_code);
    assert_string_equal(run->reason, "all is well");
    assert_int_equal(run->ended_ms, now.wall_ms);
    engine_collected(engine, now, failed.id, 0, NULL, "{\"revision\": 2}");
    settle();
    assert_int_equal(ended_as.state, RUN_COMPLETED);
    assert_int_equal(starts, 1);
    assert_int_equal(engine_settle(engine, now, &ended_as, "once more", on_reopened, NULL), BF_EINVAL);
    run_record_close(&failed);
}

/* --- drained ------------------------------------------------------------------------------------------------------ */

static const struct lane_settings patient = { .process = "p", .workspace = "w", .max_parallel = 1, .queue_limit = 10, .retries = 5,
    .retry_delay_ms = 10, .retry_on = 1u << RUN_FAILED };

static void a_drained_run_has_no_further_attempt(void **state)
{
    struct run_end over = { .outcome = RUN_FAILED, .error_code = "exit_code", .error_message = "it failed" };

    (void)state;
    assert_int_equal(engine_configure(engine, 10, &patient, 1, NULL, 0), 0);
    engine_started(engine, now, admission.run_id, NULL, NULL, "running", 0);
    settle();
    assert_int_equal(engine_drain(engine, now, admission.run_id, DRAIN_FAIL, "enough"), 0);
    assert_int_equal(stops[STOP_BEGINNING], 0);   /* nothing before it is durable */
    settle();
    assert_int_equal(stops[STOP_BEGINNING], 1);
    assert_true(run_is_stopping(engine_run(engine, admission.run_id)));
    engine_ended(engine, now, admission.run_id, &over);
    settle();
    engine_collected(engine, now, admission.run_id, 0, NULL, "{}");
    settle();
    assert_int_equal(ended_as.state, RUN_FAILED);   /* its own end: nobody stopped it */
    assert_int_equal(ended_as.attempt, 1);
    assert_int_equal(stops[STOP_GENTLY] + stops[STOP_AT_ONCE], 0);
}

/* Its start has been sent, and may have taken effect. */
static void a_run_is_drained_while_it_starts(void **state)
{
    struct error why;

    assert_int_equal(engine_drain(engine, now, admission.run_id, DRAIN_DONE, "enough"), 0);
    settle();
    engine_started(engine, now, admission.run_id, NULL, NULL, "running", 0);
    settle();
    assert_int_equal(stops[STOP_BEGINNING], 1);
    assert_int_equal(stops[STOP_GENTLY], 0);
    (void)end(state);
    assert_int_equal(begin(state), 0);
    assert_int_equal(engine_drain(engine, now, admission.run_id, DRAIN_DONE, "enough"), 0);
    settle();
    error_set(&why, BF_ENOSPC, "no room");
    engine_not_started(engine, now, admission.run_id, &why, true, 0);
    settle();
    assert_int_equal(engine_run(engine, admission.run_id)->outcome, RUN_CANCELED);
    assert_int_equal(engine_drain(engine, now, "0190d5a0-0000-7000-8000-000000000000", DRAIN_DONE, "enough"), BF_ENOENT);
}

static void a_drained_run_is_drained_after_a_restart(void **state)
{
    struct run_record run;

    engine_started(engine, now, admission.run_id, NULL, NULL, "running", 0);
    assert_int_equal(engine_drain(engine, now, admission.run_id, DRAIN_DONE, "enough"), 0);
    settle();
    assert_int_equal(run_record_copy(&run, engine_run(engine, admission.run_id)), 0);
    (void)end(state);
    assert_int_equal(begin(state), 0);
    run.id[0] = 'f';   /* the engine of this test has one of its own by now */
    assert_int_equal(engine_recover(engine, &run), 0);
    engine_resume(engine, now);
    assert_int_equal(stops[STOP_BEGINNING], 1);
    run_record_close(&run);
}

static void who_wants_to_be_told_has_a_line_in_the_same_write(void **state)
{
    (void)state;
    run_through(RUN_COMPLETED);
    assert_int_equal(lines, 0);
    (void)end(NULL);
    assert_int_equal(begin(NULL), 0);
    wants = "told";
    run_through(RUN_COMPLETED);
    assert_int_equal(lines, 2);   /* that it began, that it ended */
}

/* Somebody has deleted it in the journal: nothing follows, and its place is free. */
static void a_run_without_a_record_is_dropped(void **state)
{
    struct run_end over = { .outcome = RUN_COMPLETED };

    (void)state;
    engine_started(engine, now, admission.run_id, NULL, NULL, "running", 0);
    settle_as(BF_ENOENT);
    assert_int_equal(drops, 1);
    assert_int_equal(follows, 0);
    assert_null(engine_run(engine, admission.run_id));
    engine_ended(engine, now, admission.run_id, &over);   /* its backend may still speak of it */
    assert_null(waiting);
    admission.run_id[0] = '\0';
    assert_int_equal(engine_admit(engine, now, &admission), 0);
    settle();
    assert_int_equal(starts, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_cannot_be_looked_up_is_shown_and_still_looked_for, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_seen_for_two_minutes_is_sent_again, begin, end),
        cmocka_unit_test_setup_teardown(one_look_that_fails_is_no_proof, begin, end),
        cmocka_unit_test_setup_teardown(a_run_that_failed_is_taken_up_again, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_down_is_not_taken_up, begin, end),
        cmocka_unit_test_setup_teardown(a_canceled_retry_does_not_start, begin, end),
        cmocka_unit_test_setup_teardown(a_run_that_failed_is_settled_without_a_start, begin, end),
        cmocka_unit_test_setup_teardown(a_drained_run_has_no_further_attempt, begin, end),
        cmocka_unit_test_setup_teardown(a_run_is_drained_while_it_starts, begin, end),
        cmocka_unit_test_setup_teardown(a_drained_run_is_drained_after_a_restart, begin, end),
        cmocka_unit_test_setup_teardown(who_wants_to_be_told_has_a_line_in_the_same_write, begin, end),
        cmocka_unit_test_setup_teardown(a_run_without_a_record_is_dropped, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
