/* Any bytes as a time zone file: refused, or a zone whose answers agree with each other. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/calendar/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct zone *zone, int64_t from_s)
{
    int64_t at_s;
    int before_s;
    int after_s;
    struct zone_instants instants;

    for (int i = 0; i < 64 && zone_next_change(zone, from_s, &at_s, &before_s, &after_s); i++) {
        if (at_s <= from_s || before_s == after_s || zone_offset_at(zone, at_s) != after_s ||
            zone_offset_at(zone, at_s - 1) != before_s)
            abort();
        zone_from_local(zone, at_s + before_s, &instants);
        if (instants.kind == ZONE_REPEATED && instants.first_s >= instants.second_s)
            abort();
        from_s = at_s;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct timing timing = { 0 };
    struct error err;
    int64_t due_ms = INT64_C(1700000000000);

    if (zone_from_bytes("fuzz", data, size, &timing.zone, &err) != 0) {
        if (timing.zone != NULL || err.text[0] == '\0')
            abort();
        return 0;
    }
    walk(timing.zone, INT64_MIN);
    walk(timing.zone, 0);
    walk(timing.zone, INT64_C(4000000000));
    if (cron_parse("30 2 * * *", NULL, &timing.cron, &err) != 0)
        abort();
    timing.gap = (enum dst_gap)(size % 4);
    timing.repeat = (enum dst_repeat)(size / 4 % 4);
    for (int i = 0; i < 8 && due_ms != INT64_MAX; i++) {
        int64_t next_ms = timing_next(&timing, due_ms);

        if (next_ms <= due_ms)
            abort();
        due_ms = next_ms;
    }
    zone_put(timing.zone);
    return 0;
}
