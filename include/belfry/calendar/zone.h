/*
 * Time zones from the system's tz database (TZif, RFC 9636, with the POSIX rule of its footer for the years after the
 * table). A zone is immutable once loaded and shared by all who name it.
 */
#ifndef BELFRY_CALENDAR_ZONE_H
#define BELFRY_CALENDAR_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/base/error.h"

struct zone;

/* "Europe/Berlin", "UTC", "Etc/GMT-3"; NULL or "" is the machine's own (/etc/localtime, UTC where there is none). Read
 * from $TZDIR or /usr/share/zoneinfo; a name with "..", a leading '/', or anything but [A-Za-z0-9._+/-] is refused. A
 * zone is loaded once and counted: each zone_get wants a zone_put. 0, BF_ENOENT (with the nearest known zone in *err),
 * BF_EINVAL (a file that is no TZif). Loop thread only. */
int zone_get(const char *name, struct zone **zone, struct error *err);
void zone_put(struct zone *zone);   /* NULL is fine */
const char *zone_name(const struct zone *zone);

/* From the bytes of a TZif file: for tests and fuzzing. Hostile bytes are an error, never a fault. */
int zone_from_bytes(const char *name, const void *bytes, size_t len, struct zone **zone, struct error *err);

/* Seconds east of UTC at an instant (seconds since the epoch). */
int zone_offset_at(const struct zone *zone, int64_t utc_s);

/* The first instant after utc_s at which the offset changes: true, with the instant and the offsets before and at it;
 * false when it never changes again (or not before the year 2500). */
bool zone_next_change(const struct zone *zone, int64_t utc_s, int64_t *at_s, int *before_s, int *after_s);

/* What a local time (seconds since 1970-01-01T00:00 of that clock on the wall) is in UTC. */
enum zone_local { ZONE_UNIQUE, ZONE_GAP, ZONE_REPEATED };
struct zone_instants {
    enum zone_local kind;
    int64_t first_s;    /* UNIQUE: the instant. REPEATED: the first. GAP: the first instant after the gap */
    int64_t second_s;   /* REPEATED: the second. GAP: the local time read with the offset before the gap ("shift"). Else = first_s */
};
void zone_from_local(const struct zone *zone, int64_t local_s, struct zone_instants *out);

#endif
