/*
 * The rule in the footer of a TZif file (POSIX.1 TZ, with the extensions of RFC 9636 §3.3.1): how the clock goes on after
 * the table ends. Within the room only.
 */
#ifndef BELFRY_CALENDAR_ZONE_RULE_H
#define BELFRY_CALENDAR_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/base/error.h"

enum rule_day { RULE_DAY_MONTH_WEEK, RULE_DAY_JULIAN, RULE_DAY_ZERO_BASED };

struct rule_date {
    enum rule_day kind;
    int month;       /* Mm.w.d */
    int week;        /* 1–5; 5 is the last */
    int day;         /* weekday of Mm.w.d, or the day of the year of Jn and n */
    int32_t time_s;  /* after midnight, may be negative or more than a day */
};

struct zone_rule {
    int32_t standard_s;  /* seconds east of UTC */
    int32_t summer_s;    /* the same as standard_s where there is no summer time */
    bool has_summer;
    struct rule_date start;
    struct rule_date end;
};

/* 0 or BF_EINVAL. */
int rule_parse(const char *text, size_t len, struct zone_rule *rule);
int32_t rule_offset_at(const struct zone_rule *rule, int64_t utc_s);
/* The first instant after utc_s, before the year 2500, at which the offset changes; false when there is none. */
bool rule_next_change(const struct zone_rule *rule, int64_t utc_s, int64_t *at_s, int *before_s, int *after_s);

#endif
