/*
 * An event: one firing of a trigger (SPEC §4), however it came about.
 */
#ifndef BELFRY_CORE_EVENT_H
#define BELFRY_CORE_EVENT_H

#include <stdint.h>

#include "belfry/base/id.h"
#include "belfry/base/json.h"
#include "belfry/core/run.h"

/* {"id", "trigger": {"kind", "name"}, "time", "due"?, "by"?}; the caller adds "file", "files" or "request". due_ms 0 and
 * by NULL leave their member out. A new reference, or NULL when out of memory. */
json_t *event_new(const char *id, enum trigger_kind kind, const char *name, int64_t time_ms, int64_t due_ms,
                  const char *by);

/* What a run gets when no `input` program says otherwise: the event without its request's headers. A new reference. */
json_t *event_default_payload(const json_t *event);
/* The array of payloads that a run gets: `input_text`, or the event's default payload when that is NULL. A new reference, or
 * NULL with *err filled (err may be NULL). */
json_t *event_input(const json_t *event, const char *input_text, struct error *err);

#endif
