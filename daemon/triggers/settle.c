/* When a file is finished. */
#include "belfry/triggers/settle.h"

#include <stdio.h>
#include <string.h>

static bool same(const struct sighting *a, const struct sighting *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->inode == b->inode && a->device == b->device;
}

enum settle_verdict settle_look(struct settling *s, const struct sighting *now_seen, int64_t mono_ms, int64_t settle_ms,
                                bool closed_now, bool marker_wanted, bool marker_there, int64_t *wait_ms)
{
    int64_t left_ms;

    if (!same(&s->seen, now_seen)) {
        s->seen = *now_seen;
        s->since_ms = mono_ms;
        s->closed = false;
    }
    if (closed_now) {   /* the time to settle begins at the close */
        s->since_ms = mono_ms;
        s->closed = true;
    }
    *wait_ms = 0;
    if (marker_wanted) {
        *wait_ms = marker_there ? 0 : INT64_MAX;
        return marker_there ? SETTLE_READY : SETTLE_WAIT;
    }
    left_ms = s->since_ms + settle_ms - mono_ms;
    if (left_ms <= 0)
        return SETTLE_READY;
    *wait_ms = left_ms;
    return SETTLE_WAIT;
}

void settle_identity(const struct sighting *s, const char *sha256, char out[128])
{
    if (sha256 != NULL)
        (void)snprintf(out, 128, "sha256:%s", sha256);
    else
        (void)snprintf(out, 128, "%lld-%lld-%llu-%llu", (long long)s->size, (long long)s->mtime_ns,
                       (unsigned long long)s->inode, (unsigned long long)s->device);
}
