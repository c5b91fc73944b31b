/* Overlap policies: who waits, who is skipped, who gives way. */
#include "belfry/core/overlap.h"

#include <stdint.h>
#include <string.h>

static const char *const names[] = {
    [OVERLAP_SKIP] = "skip",
    [OVERLAP_BUFFER_ONE] = "buffer_one",
    [OVERLAP_BUFFER_ALL] = "buffer_all",
    [OVERLAP_CANCEL_OTHER] = "cancel_other",
    [OVERLAP_TERMINATE_OTHER] = "terminate_other",
    [OVERLAP_ALLOW_ALL] = "allow_all",
};

const char *overlap_name(enum overlap policy)
{
    return names[policy];
}

enum overlap overlap_from_name(const char *name)
{
    for (size_t i = 1; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0)
            return (enum overlap)i;
    }
    return OVERLAP_UNSET;
}

size_t overlap_width(enum overlap policy, size_t max_parallel)
{
    if (max_parallel > 0)
        return max_parallel;
    return policy == OVERLAP_ALLOW_ALL ? SIZE_MAX : 1;
}

enum overlap_verdict overlap_decide(enum overlap policy, const struct lane_load *load)
{
    size_t width = overlap_width(policy, load->max_parallel);

    switch (policy) {
    case OVERLAP_SKIP:
        if (load->active + load->waiting >= width)
            return VERDICT_SKIP_OVERLAP;
        break;
    case OVERLAP_BUFFER_ONE:
        if (load->waiting > 0 && load->active + load->waiting > width)
            return VERDICT_SKIP_OVERLAP;
        break;
    case OVERLAP_CANCEL_OTHER:
    case OVERLAP_TERMINATE_OTHER:
        return load->active + load->waiting > 0 ? VERDICT_REPLACE : VERDICT_QUEUE;
    case OVERLAP_UNSET:
    case OVERLAP_BUFFER_ALL:
    case OVERLAP_ALLOW_ALL:
        break;
    }
    return load->waiting >= load->queue_limit ? VERDICT_SKIP_FULL : VERDICT_QUEUE;
}
