/*
 * jansson as Belfry uses it: input is refused when it is not one well-formed value, when a member comes twice, or when
 * it nests deeper than JSON_DEPTH; output is compact, sorted where it is compared. What was let in once is wrapped in records, and
 * is read back however deep it lies by then.
 */
#ifndef BELFRY_BASE_JSON_H
#define BELFRY_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/base/error.h"

#define JSON_DEPTH 64
#define JSON_DEPTH_WRAPPED (JSON_DEPTH + 8)   /* of what has others' values in it: lists of work items, answers of a Control Room */

/* One JSON value (any kind) from bytes. NULL with *err filled ("line 3: …"); the caller owns what is returned. */
json_t *json_parse(const char *bytes, size_t len, struct error *err);
json_t *json_parse_within(const char *bytes, size_t len, size_t depth, struct error *err);
/* The value of a text that Belfry itself wrote (the journal's, its own API's); NULL for NULL, or when it cannot be read. */
json_t *json_stored(const char *text);
/* Compact text, free() it; NULL when out of memory. `value` may be NULL ("null"). */
char *json_text(const json_t *value);
/* Compact with sorted members: equal values give equal texts. */
char *json_text_sorted(const json_t *value);
/* The string member `name`, or NULL when it is not there or is no string. Lent by the object. */
const char *json_str(const json_t *object, const char *name);
/* The integer member, or `otherwise`. A real with no fraction counts. */
int64_t json_int(const json_t *object, const char *name, int64_t otherwise);
bool json_flag(const json_t *object, const char *name, bool otherwise);
/* Sets a member to a string, or to null when text is NULL; a text that is not UTF-8 is made printable first. 0 or
 * BF_ENOMEM. */
int json_put(json_t *object, const char *name, const char *text);
int json_put_int(json_t *object, const char *name, int64_t value);
/* Sets a member to RFC 3339, or leaves it out when wall_ms is 0. */
int json_put_time(json_t *object, const char *name, int64_t wall_ms);

#endif
