/* What decides: overlap, pace, the table of moves, events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "belfry/core/event.h"
#include "belfry/core/overlap.h"
#include "belfry/core/pace.h"
#include "belfry/core/run.h"

static void overlap(void **state)
{
    static const struct {
        enum overlap policy;
        size_t active, waiting;
        enum overlap_verdict verdict;
    } cases[] = {
        { OVERLAP_SKIP, 0, 0, VERDICT_QUEUE }, { OVERLAP_SKIP, 1, 0, VERDICT_SKIP_OVERLAP }, { OVERLAP_SKIP, 0, 1, VERDICT_SKIP_OVERLAP },
        { OVERLAP_BUFFER_ONE, 0, 0, VERDICT_QUEUE }, { OVERLAP_BUFFER_ONE, 1, 0, VERDICT_QUEUE },
        { OVERLAP_BUFFER_ONE, 1, 1, VERDICT_SKIP_OVERLAP }, { OVERLAP_BUFFER_ALL, 1, 5, VERDICT_QUEUE },
        { OVERLAP_CANCEL_OTHER, 0, 0, VERDICT_QUEUE }, { OVERLAP_CANCEL_OTHER, 1, 0, VERDICT_REPLACE },
        { OVERLAP_CANCEL_OTHER, 1, 1, VERDICT_REPLACE }, { OVERLAP_TERMINATE_OTHER, 1, 0, VERDICT_REPLACE },
        { OVERLAP_ALLOW_ALL, 50, 5, VERDICT_QUEUE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lane_load load = { .active = cases[i].active, .waiting = cases[i].waiting, .max_parallel = 0, .queue_limit = 100 };

        if (overlap_decide(cases[i].policy, &load) != cases[i].verdict)
            fail_msg("%s with %zu active and %zu waiting", overlap_name(cases[i].policy), cases[i].active, cases[i].waiting);
    }
    for (enum overlap p = OVERLAP_SKIP; p <= OVERLAP_ALLOW_ALL; p++)
        assert_int_equal(overlap_from_name(overlap_name(p)), p);
    assert_int_equal(overlap_from_name("sometimes"), OVERLAP_UNSET);
    assert_null(overlap_name(OVERLAP_UNSET));
}

static void a_full_queue(void **state)
{
    struct lane_load load = { .active = 1, .waiting = 3, .queue_limit = 3 };

    (void)state;
    assert_int_equal(overlap_decide(OVERLAP_BUFFER_ALL, &load), VERDICT_SKIP_FULL);
    assert_int_equal(overlap_decide(OVERLAP_ALLOW_ALL, &load), VERDICT_SKIP_FULL);
    assert_int_equal(overlap_decide(OVERLAP_CANCEL_OTHER, &load), VERDICT_REPLACE);
}

static void width(void **state)
{
    (void)state;
    assert_int_equal(overlap_width(OVERLAP_SKIP, 0), 1);
    assert_int_equal(overlap_width(OVERLAP_BUFFER_ALL, 0), 1);
    assert_int_equal(overlap_width(OVERLAP_BUFFER_ALL, 4), 4);
    assert_true(overlap_width(OVERLAP_ALLOW_ALL, 0) == SIZE_MAX);
    assert_int_equal(overlap_width(OVERLAP_ALLOW_ALL, 3), 3);
}

static void pace(void **state)
{
    static const int64_t looks[] = { 2000, 5000, 15000, 30000, 60000, 60000, 60000 };

    (void)state;
    for (unsigned look = 1; look <= 7; look++)
        assert_int_equal(pace_look(look), looks[look - 1]);
    for (uint64_t dice = 0; dice < 1000; dice++) {
        uint64_t die = dice * UINT64_C(0x9e3779b97f4a7c15);

        for (unsigned tries = 1; tries < 80; tries++) {
            int64_t wait = pace_backoff(1000, 60000, tries, die);

            assert_in_range(wait, 1000, 60000);
            assert_true(tries > 1 || wait <= 1000);
        }
        assert_in_range(pace_retry(30000, 1, die), 30000, 33000);
        assert_in_range(pace_retry(30000, 3, die), 120000, 132000);
        assert_true(pace_retry(30000, 60, die) <= INT64_C(86400000) * 11 / 10);
        assert_in_range(pace_poll(1000, 30000, 0, die), 1000, 1100);
        assert_in_range(pace_poll(1000, 30000, INT64_C(86400000), die), 30000, 33000);
    }
    for (int64_t age = 0, before = 0; age < 3600000; age += 1000) {
        int64_t wait = pace_poll(1000, 30000, age, 0);

        assert_true(wait >= before);
        before = wait;
    }
}

static void moves(void **state)
{
    static const enum run_state table[][2] = {
        { RUN_QUEUED, RUN_STARTING }, { RUN_QUEUED, RUN_COLLECTING }, { RUN_STARTING, RUN_RUNNING }, { RUN_STARTING, RUN_QUEUED },
        { RUN_STARTING, RUN_COLLECTING }, { RUN_RUNNING, RUN_COLLECTING }, { RUN_RUNNING, RUN_QUEUED },
        { RUN_COLLECTING, RUN_COMPLETED }, { RUN_COLLECTING, RUN_FAILED }, { RUN_COLLECTING, RUN_CANCELED },
        { RUN_COLLECTING, RUN_TIMED_OUT }, { RUN_COLLECTING, RUN_LOST },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!run_move_allowed(table[i][0], table[i][1]))
            fail_msg("%s to %s", run_state_name(table[i][0]), run_state_name(table[i][1]));
    }
    for (unsigned from = 0; from < RUN_STATES; from++) {
        assert_int_equal(run_state_from_name(run_state_name((enum run_state)from)), from);
        for (unsigned to = 0; to < RUN_STATES && run_state_is_end((enum run_state)from); to++)
            assert_false(run_move_allowed((enum run_state)from, (enum run_state)to));
    }
    assert_false(run_move_allowed(RUN_RUNNING, RUN_COMPLETED));
    assert_false(run_move_allowed(RUN_RUNNING, RUN_STARTING));
    assert_int_equal(run_state_from_name("happy"), RUN_STATES);
}

static void records_are_copied_deep(void **state)
{
    struct run_record a = { .id = "x", .process = (char *)(uintptr_t)"p", .workspace = (char *)(uintptr_t)"w",
        .trigger_name = (char *)(uintptr_t)"t", .error_message = (char *)(uintptr_t)"e", .exit_code = 3, .has_exit_code = true };
    struct run_record b;

    (void)state;
    assert_int_equal(run_record_copy(&b, &a), 0);
    assert_string_equal(b.process, "p");
    assert_ptr_not_equal(b.process, a.process);
    assert_null(b.memo);
    assert_int_equal(b.exit_code, 3);
    run_record_close(&b);
}

static void events(void **state)
{
    json_t *event = event_new("019b8dcb-0000-7000-8000-000000000000", TRIGGER_WEBHOOK, "w", 1767607263250, 0, NULL);
    json_t *payload;

    (void)state;
    assert_string_equal(json_str(event, "time"), "2026-01-05T10:01:03.250Z");
    assert_string_equal(json_str(json_object_get(event, "trigger"), "kind"), "webhook");
    assert_null(json_object_get(event, "due"));
    assert_null(json_object_get(event, "by"));
    (void)json_object_set_new(event, "request", json_pack("{s:{s:s}, s:i}", "headers", "x", "y", "body", 1));
    payload = event_default_payload(event);
    assert_null(json_object_get(json_object_get(payload, "request"), "headers"));
    assert_int_equal(json_int(json_object_get(payload, "request"), "body", 0), 1);
    assert_non_null(json_object_get(json_object_get(event, "request"), "headers"));
    json_decref(payload);
    json_decref(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlap), cmocka_unit_test(a_full_queue), cmocka_unit_test(width), cmocka_unit_test(pace),
        cmocka_unit_test(moves), cmocka_unit_test(records_are_copied_deep), cmocka_unit_test(events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
