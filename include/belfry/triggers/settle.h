/*
 * When a file is finished: pure. A watch tells what it saw and when; settle says what to do next.
 */
#ifndef BELFRY_TRIGGERS_SETTLE_H
#define BELFRY_TRIGGERS_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

struct sighting {
    int64_t size;
    int64_t mtime_ns;
    uint64_t inode;
    uint64_t device;
};

struct settling {
    struct sighting seen;
    int64_t since_ms;      /* monotonic: it has looked like this since then */
    bool closed;           /* a writer closed it, or it was moved in, since it last changed */
};

enum settle_verdict { SETTLE_WAIT, SETTLE_READY };

/* A look at the file. With a marker configured, marker_there decides. wait_ms says when to look again (SETTLE_WAIT);
 * INT64_MAX: only when something happens. s is zeroed before the first look. READY with s->closed false means that it has
 * kept still for settle_ms, and nobody has seen it closed: whether a writer still holds it is the caller's to find out. */
enum settle_verdict settle_look(struct settling *s, const struct sighting *now_seen, int64_t mono_ms, int64_t settle_ms,
                                bool closed_now, bool marker_wanted, bool marker_there, int64_t *wait_ms);
/* The text that tells versions of a file apart: "SIZE-MTIME-INODE-DEVICE", or "sha256:…". */
void settle_identity(const struct sighting *s, const char *sha256, char out[128]);

#endif
