/* Waiting times: whatever the dice and however often, within their bounds and never beyond what an int64 holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <cmocka.h>

#include "belfry/core/pace.h"

static const uint64_t dice[] = { 0, 1, 2, 999, UINT32_MAX, INT64_MAX, UINT64_C(0x9E3779B97F4A7C15), UINT64_MAX - 1, UINT64_MAX };
static const unsigned counts[] = { 0, 1, 2, 3, 10, 31, 32, 62, 63, 64, 65, 1000, UINT_MAX };

#define EACH(list) (sizeof (list) / sizeof *(list))

static void backing_off_stays_between_base_and_cap(void **state)
{
    static const int64_t bases[] = { 0, 1, 1000, 60000, INT64_MAX / 2 }, caps[] = { 1, 1000, 60000, 3600000, INT64_MAX };

    (void)state;
    for (size_t b = 0; b < EACH(bases); b++) {
        for (size_t c = 0; c < EACH(caps); c++) {
            for (size_t n = 0; n < EACH(counts); n++) {
                for (size_t d = 0; d < EACH(dice); d++) {
                    int64_t wait = pace_backoff(bases[b], caps[c], counts[n], dice[d]);
                    int64_t low = bases[b] < caps[c] ? bases[b] : caps[c];

                    assert_true(wait >= low && wait <= caps[c]);
                    if (counts[n] <= 1)
                        assert_true(wait == low);
                }
            }
        }
    }
}

/* The whole span is used: the largest die gives the top, the smallest the base. */
static void backing_off_uses_its_whole_span(void **state)
{
    (void)state;
    for (unsigned tries = 1; tries <= 6; tries++) {
        int64_t top = INT64_C(1000) << (tries - 1);

        assert_true(pace_backoff(1000, 3600000, tries, 0) == 1000);
        assert_true(pace_backoff(1000, 3600000, tries, (uint64_t)(top - 1000)) == top);
        assert_true(pace_backoff(1000, 3600000, tries, (uint64_t)(top - 1000 + 1)) == 1000);
    }
}

static void retries_double_up_to_a_day_with_a_tenth_of_jitter(void **state)
{
    static const int64_t bases[] = { 0, 1, 30000, 86400000 };

    (void)state;
    for (size_t b = 0; b < EACH(bases); b++) {
        int64_t wanted = bases[b];

        for (unsigned n = 1; n < 100; n++) {
            for (size_t d = 0; d < EACH(dice); d++) {
                int64_t wait = pace_retry(bases[b], n, dice[d]);

                assert_true(wait >= wanted && wait <= wanted + wanted / 10);
            }
            wanted = wanted * 2 < 86400000 ? wanted * 2 : wanted == 0 ? 0 : 86400000;
        }
    }
    assert_true(pace_retry(30000, UINT_MAX, 0) == 86400000);
    assert_true(pace_retry(30000, 0, 0) == 30000);
}

static void looks_come_ever_more_seldom(void **state)
{
    static const int64_t wanted[] = { 2000, 2000, 5000, 15000, 30000, 60000, 60000, 60000 };

    (void)state;
    for (unsigned look = 0; look < EACH(wanted); look++)
        assert_true(pace_look(look) == wanted[look]);
    assert_true(pace_look(UINT_MAX) == 60000);
}

static void polls_grow_with_the_age_of_a_run(void **state)
{
    static const int64_t ages[] = { INT64_MIN, -1, 0, 1, 5000, 10000, 10001, 300000, 300001, 86400000, INT64_MAX };
    int64_t before = 0;

    (void)state;
    for (size_t a = 0; a < EACH(ages); a++) {
        for (size_t d = 0; d < EACH(dice); d++) {
            int64_t wait = pace_poll(1000, 30000, ages[a], dice[d]);

            assert_true(wait >= 1000 && wait <= 33000);
        }
        assert_true(pace_poll(1000, 30000, ages[a], 0) >= before);
        before = pace_poll(1000, 30000, ages[a], 0);
        assert_true(pace_poll(2000, 2000, ages[a], 0) == 2000);
    }
    assert_true(pace_poll(1000, 30000, 50000, 0) == 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backing_off_stays_between_base_and_cap),
        cmocka_unit_test(backing_off_uses_its_whole_span),
        cmocka_unit_test(retries_double_up_to_a_day_with_a_tenth_of_jitter),
        cmocka_unit_test(looks_come_ever_more_seldom),
        cmocka_unit_test(polls_grow_with_the_age_of_a_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
