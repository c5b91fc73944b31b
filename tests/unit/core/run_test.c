/* Runs: every pair of states against the picture in the header, names, and copies of records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/core/run.h"

/* Row: from; column: to; both in the order of enum run_state (queued … skipped). */
static const char *const table[RUN_STATES] = {
    [RUN_QUEUED]     = ".s.c......",
    [RUN_STARTING]   = "qsrc......",
    [RUN_RUNNING]    = "q.rc......",
    [RUN_COLLECTING] = "....xxxxx.",
    [RUN_COMPLETED]  = "..........",
    [RUN_FAILED]     = "q..c......",
    [RUN_CANCELED]   = "q..c......",
    [RUN_TIMED_OUT]  = "q..c......",
    [RUN_LOST]       = "q..c......",
    [RUN_SKIPPED]    = "..........",
};

static void every_pair_of_states_is_as_the_table_has_it(void **state)
{
    (void)state;
    for (unsigned from = 0; from < RUN_STATES; from++) {
        assert_int_equal(strlen(table[from]), RUN_STATES);
        for (unsigned to = 0; to < RUN_STATES; to++) {
            if (run_move_allowed((enum run_state)from, (enum run_state)to) != (table[from][to] != '.'))
                fail_msg("%s to %s", run_state_name((enum run_state)from), run_state_name((enum run_state)to));
        }
        assert_false(run_move_allowed((enum run_state)from, RUN_STATES));
        assert_false(run_move_allowed(RUN_STATES, (enum run_state)from));
    }
}

/* From wherever a run is, an end can be reached; from one that it completed with, or was skipped at, nothing can. */
static void every_run_can_end(void **state)
{
    (void)state;
    for (unsigned from = 0; from < RUN_STATES; from++) {
        bool reached[RUN_STATES] = { false }, ends = false;

        reached[from] = true;
        for (unsigned round = 0; round < RUN_STATES; round++) {
            for (unsigned a = 0; a < RUN_STATES; a++) {
                for (unsigned b = 0; b < RUN_STATES && reached[a]; b++)
                    reached[b] = reached[b] || run_move_allowed((enum run_state)a, (enum run_state)b);
            }
        }
        for (unsigned to = 0; to < RUN_STATES; to++) {
            ends = ends || (reached[to] && run_state_is_end((enum run_state)to));
            if (from == RUN_COMPLETED || from == RUN_SKIPPED)
                assert_int_equal(reached[to], to == from);
        }
        assert_true(ends);
    }
}

static void names_go_there_and_back(void **state)
{
    static const char *const states[RUN_STATES] = { "queued", "starting", "running", "collecting", "completed", "failed", "canceled",
        "timed_out", "lost", "skipped" };
    static const char *const kinds[TRIGGER_KINDS] = { "schedule", "watch", "webhook", "manual", "api" };

    (void)state;
    for (unsigned i = 0; i < RUN_STATES; i++) {
        assert_string_equal(run_state_name((enum run_state)i), states[i]);
        assert_int_equal(run_state_from_name(states[i]), i);
        assert_int_equal(run_state_is_end((enum run_state)i), i >= RUN_COMPLETED);
    }
    for (unsigned i = 0; i < TRIGGER_KINDS; i++) {
        assert_string_equal(trigger_kind_name((enum trigger_kind)i), kinds[i]);
        assert_int_equal(trigger_kind_from_name(kinds[i]), i);
    }
    assert_int_equal(run_state_from_name("Queued"), RUN_STATES);
    assert_int_equal(run_state_from_name(""), RUN_STATES);
    assert_int_equal(trigger_kind_from_name("cron"), TRIGGER_KINDS);
    assert_string_equal(run_state_name(RUN_STATES), "unknown");
    assert_string_equal(trigger_kind_name(TRIGGER_KINDS), "unknown");
    assert_false(run_state_is_end(RUN_STATES));
}

/* Each string in turn alone, so that one that is forgotten by the copying or the freeing is seen (by the sanitizer). */
static void every_string_is_copied(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= 11; i++) {
        struct run_record from = { .id = "abc", .attempt = 3, .exit_code = -1, .has_exit_code = true, .ended_ms = INT64_MAX }, to;
        char **const strings[] = { &from.process, &from.workspace, &from.trigger_name, &from.backend_state, &from.error_code,
            &from.error_message, &from.memo, &from.remote_id, &from.remote_url, &from.reason, &from.result };
        char **const copies[] = { &to.process, &to.workspace, &to.trigger_name, &to.backend_state, &to.error_code,
            &to.error_message, &to.memo, &to.remote_id, &to.remote_url, &to.reason, &to.result };

        for (unsigned k = 0; k < 11; k++) {
            if (i == k || i == 11)
                *strings[k] = strdup("text");
        }
        assert_int_equal(run_record_copy(&to, &from), 0);
        for (unsigned k = 0; k < 11; k++) {
            if (*strings[k] == NULL) {
                assert_null(*copies[k]);
                continue;
            }
            assert_string_equal(*copies[k], "text");
            assert_ptr_not_equal(*copies[k], *strings[k]);
        }
        assert_string_equal(to.id, "abc");
        assert_int_equal(to.attempt, 3);
        assert_true(to.ended_ms == INT64_MAX && to.has_exit_code && to.exit_code == -1);
        run_record_close(&from);
        run_record_close(&to);
        run_record_close(&to);
        assert_null(to.result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_states_is_as_the_table_has_it),
        cmocka_unit_test(every_run_can_end),
        cmocka_unit_test(names_go_there_and_back),
        cmocka_unit_test(every_string_is_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
