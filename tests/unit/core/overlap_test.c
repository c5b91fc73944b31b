/*
 * Overlap, exhaustively: every policy with every load that a small lane can have, against the policies as Temporal words
 * them, said a second time in another way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/core/overlap.h"

#define MOST 6

/*
 * A lane of `width` places holds what is active and what waits; who waits beyond the free places is really waiting.
 *   skip        only who finds a place free at once may come
 *   buffer_one  or who would be the only one to wait
 *   buffer_all, allow_all   whoever the queue has room for
 *   cancel_other, terminate_other   whoever comes, in the place of all that are there
 */
static enum overlap_verdict as_worded(enum overlap policy, const struct lane_load *load)
{
    size_t width = load->max_parallel > 0 ? load->max_parallel : policy == OVERLAP_ALLOW_ALL ? SIZE_MAX : 1;
    size_t all = load->active + load->waiting;
    size_t must_wait = all > width ? all - width : 0;   /* of those that wait, who has no place yet */
    bool place_free = all < width;

    if (must_wait > load->waiting)
        must_wait = load->waiting;
    if (policy == OVERLAP_SKIP && !place_free)
        return VERDICT_SKIP_OVERLAP;
    if (policy == OVERLAP_BUFFER_ONE && !place_free && must_wait > 0)
        return VERDICT_SKIP_OVERLAP;
    if (policy == OVERLAP_CANCEL_OTHER || policy == OVERLAP_TERMINATE_OTHER)
        return all == 0 ? VERDICT_QUEUE : VERDICT_REPLACE;
    return load->waiting < load->queue_limit ? VERDICT_QUEUE : VERDICT_SKIP_FULL;
}

static void every_load_is_judged_as_worded(void **state)
{
    (void)state;
    for (unsigned policy = OVERLAP_UNSET; policy <= OVERLAP_ALLOW_ALL; policy++) {
        for (unsigned i = 0; i < MOST * MOST * MOST * MOST; i++) {
            struct lane_load load = { .active = i % MOST, .waiting = i / MOST % MOST, .max_parallel = i / MOST / MOST % MOST,
                .queue_limit = 1 + i / MOST / MOST / MOST };
            enum overlap_verdict got = overlap_decide((enum overlap)policy, &load);

            if (got != as_worded((enum overlap)policy, &load))
                fail_msg("policy %u, active %zu, waiting %zu, parallel %zu, limit %zu: %d", policy, load.active, load.waiting,
                         load.max_parallel, load.queue_limit, (int)got);
        }
    }
}

/* One firing after the other into an empty lane that never frees a place: what is left in it. */
static void a_burst_leaves_what_the_policy_says(void **state)
{
    static const struct {
        enum overlap policy;
        size_t max_parallel, active, waiting;
    } cases[] = {
        { OVERLAP_SKIP, 0, 1, 0 }, { OVERLAP_SKIP, 3, 3, 0 }, { OVERLAP_BUFFER_ONE, 0, 1, 1 }, { OVERLAP_BUFFER_ONE, 3, 3, 1 },
        { OVERLAP_BUFFER_ALL, 0, 1, 9 }, { OVERLAP_BUFFER_ALL, 4, 4, 6 }, { OVERLAP_ALLOW_ALL, 0, 10, 0 },
        { OVERLAP_ALLOW_ALL, 4, 4, 6 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lane_load load = { .max_parallel = cases[i].max_parallel, .queue_limit = 100 };

        for (int firing = 0; firing < 10; firing++) {
            if (overlap_decide(cases[i].policy, &load) != VERDICT_QUEUE)
                continue;
            load.waiting++;
            if (load.active < overlap_width(cases[i].policy, load.max_parallel)) {
                load.waiting--;
                load.active++;
            }
        }
        assert_int_equal(load.active, cases[i].active);
        assert_int_equal(load.waiting, cases[i].waiting);
    }
}

/* A thousand firings at one instant, none of which has started yet, are judged as if those before had. */
static void what_is_still_being_written_counts(void **state)
{
    struct lane_load load = { .queue_limit = 100 };

    (void)state;
    assert_int_equal(overlap_decide(OVERLAP_SKIP, &load), VERDICT_QUEUE);
    load.waiting = 1;
    assert_int_equal(overlap_decide(OVERLAP_SKIP, &load), VERDICT_SKIP_OVERLAP);
    assert_int_equal(overlap_decide(OVERLAP_BUFFER_ONE, &load), VERDICT_QUEUE);
    load.waiting = 2;
    assert_int_equal(overlap_decide(OVERLAP_BUFFER_ONE, &load), VERDICT_SKIP_OVERLAP);
}

static void policies_have_their_names(void **state)
{
    static const char *const names[] = { "skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all" };

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        assert_string_equal(overlap_name((enum overlap)(i + 1)), names[i]);
        assert_int_equal(overlap_from_name(names[i]), i + 1);
    }
    assert_null(overlap_name(OVERLAP_UNSET));
    assert_int_equal(overlap_from_name(""), OVERLAP_UNSET);
    assert_int_equal(overlap_from_name("Skip"), OVERLAP_UNSET);
    assert_int_equal(overlap_from_name("skip "), OVERLAP_UNSET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_load_is_judged_as_worded),
        cmocka_unit_test(a_burst_leaves_what_the_policy_says),
        cmocka_unit_test(what_is_still_being_written_counts),
        cmocka_unit_test(policies_have_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
