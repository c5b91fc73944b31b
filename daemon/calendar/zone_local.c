/* Between instants and clocks on the wall. */
#include "zone_table.h"

#define DAY_S INT64_C(86400)
/* More than the largest offset either way: no local time is farther from its instant. */
#define REACH_S (2 * DAY_S)
/* Instants beyond are taken for this one: the arithmetic stays far from overflow. */
#define TIME_MAX_S (INT64_C(1) << 60)

static int64_t clamp(int64_t time_s)
{
    return time_s < -TIME_MAX_S ? -TIME_MAX_S : time_s > TIME_MAX_S ? TIME_MAX_S : time_s;
}

/* How many of the table's changes are at or before utc_s. */
static size_t changes_until(const struct zone *zone, int64_t utc_s)
{
    size_t low = 0;
    size_t high = zone->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zone->changes[middle].at_s <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int32_t offset_before(const struct zone *zone, size_t index)
{
    return index == 0 ? zone->first_offset_s : zone->changes[index - 1].offset_s;
}

int zone_offset_at(const struct zone *zone, int64_t utc_s)
{
    utc_s = clamp(utc_s);
    if (zone->has_rule && utc_s >= zone->rule_from_s)
        return rule_offset_at(&zone->rule, utc_s);
    return offset_before(zone, changes_until(zone, utc_s));
}

bool zone_next_change(const struct zone *zone, int64_t utc_s, int64_t *at_s, int *before_s, int *after_s)
{
    size_t index;

    utc_s = clamp(utc_s);
    index = changes_until(zone, utc_s);
    if (index < zone->count) {
        *at_s = zone->changes[index].at_s;
        *before_s = offset_before(zone, index);
        *after_s = zone->changes[index].offset_s;
        return true;
    }
    if (!zone->has_rule)
        return false;
    return rule_next_change(&zone->rule, utc_s > zone->rule_from_s ? utc_s : clamp(zone->rule_from_s), at_s, before_s, after_s);
}

void zone_from_local(const struct zone *zone, int64_t local_s, struct zone_instants *out)
{
    int64_t from_s;
    int offset_s;
    int found = 0;
    bool in_gap = false;

    local_s = clamp(local_s);
    from_s = local_s - REACH_S;
    offset_s = zone_offset_at(zone, from_s);
    *out = (struct zone_instants){ ZONE_UNIQUE, local_s - offset_s, local_s - offset_s };
    for (;;) {   /* each stretch of one offset that could hold it: one, where no change is near */
        int64_t instant_s = local_s - offset_s;
        int64_t change_s = INT64_MAX;
        int before_s = offset_s;
        int after_s = offset_s;
        bool changes = zone_next_change(zone, from_s, &change_s, &before_s, &after_s);

        if (instant_s >= from_s && instant_s < change_s) {
            if (found++ == 0)
                out->first_s = instant_s;
            out->second_s = instant_s;
        } else if (changes && found == 0 && !in_gap && local_s >= change_s + before_s && local_s < change_s + after_s) {
            in_gap = true;
            out->first_s = change_s;
            out->second_s = local_s - before_s;
        }
        if (!changes || change_s > local_s + REACH_S)
            break;
        from_s = change_s;
        offset_s = after_s;
    }
    if (found > 1)
        out->kind = ZONE_REPEATED;
    else if (found == 0 && in_gap)
        out->kind = ZONE_GAP;
}
