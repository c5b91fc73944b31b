/* Waiting times. */
#include "belfry/core/pace.h"

#define RETRY_CAP_MS (24 * 60 * 60 * INT64_C(1000))

static int64_t doubled(int64_t base_ms, int64_t cap_ms, unsigned times)
{
    int64_t wait = base_ms;

    while (times-- > 0 && wait > 0 && wait < cap_ms)
        wait = wait > cap_ms / 2 ? cap_ms : wait * 2;
    return wait < cap_ms ? wait : cap_ms;
}

int64_t pace_backoff(int64_t base_ms, int64_t cap_ms, unsigned tries, uint64_t dice)
{
    int64_t top = doubled(base_ms, cap_ms, tries > 0 ? tries - 1 : 0);

    if (top <= base_ms)
        return top;
    return base_ms + (int64_t)(dice % (uint64_t)(top - base_ms + 1));
}

int64_t pace_retry(int64_t base_ms, unsigned n, uint64_t dice)
{
    int64_t wait = doubled(base_ms, RETRY_CAP_MS, n > 0 ? n - 1 : 0);

    return wait + (int64_t)(dice % (uint64_t)(wait / 10 + 1));
}

int64_t pace_look(unsigned look)
{
    static const int64_t waits_ms[] = { 2000, 5000, 15000, 30000, 60000 };
    unsigned last = sizeof waits_ms / sizeof *waits_ms;

    return waits_ms[look < 1 ? 0 : look > last ? last - 1 : look - 1];
}

int64_t pace_poll(int64_t min_ms, int64_t max_ms, int64_t age_ms, uint64_t dice)
{
    /* A tenth of the age: a run of ten seconds is looked at each second, one of five minutes each half minute. */
    int64_t wait = age_ms / 10;

    if (wait > max_ms)
        wait = max_ms;
    if (wait < min_ms)
        wait = min_ms;
    return wait + (int64_t)(dice % (uint64_t)(wait / 10 + 1));
}
