/* What a zone is made of. Within the room only. */
#ifndef BELFRY_CALENDAR_ZONE_TABLE_H
#define BELFRY_CALENDAR_ZONE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "belfry/calendar/zone.h"
#include "zone_rule.h"

struct zone_change {
    int64_t at_s;
    int32_t offset_s;   /* from at_s on */
};

struct zone {
    char *name;
    unsigned refs;
    struct zone_change *changes;   /* of the offset alone, sorted; NULL when there are none */
    size_t count;
    int32_t first_offset_s;        /* before the first change */
    bool has_rule;
    int64_t rule_from_s;           /* the rule holds from here on */
    struct zone_rule rule;

    /* In the cache: the key it was asked for by, and the file it came from, to see when tzdata has been updated. */
    bool cached;
    char *key;
    struct stat file;
    LIST_ENTRY(zone) entry;
};

/* Fills changes, count, first_offset_s and the rule of a zeroed zone from the bytes of a TZif file. On failure changes
 * is NULL. */
int zone_table_read(struct zone *zone, const void *bytes, size_t len, struct error *err);

#endif
