/* Forms as HTML sends them (application/x-www-form-urlencoded), as JSON. Pure. */
#ifndef BELFRY_BASE_FORM_H
#define BELFRY_BASE_FORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "belfry/base/error.h"

/* An object of strings; a name that comes again has a list of them. NULL with *err filled when it is not well formed, not UTF-8, or
 * holds a NUL. */
json_t *form_parse(const char *bytes, size_t len, struct error *err);
/* Whether the bytes, of which nobody has said what they are, can only be a form: name=value pairs in its alphabet. */
bool form_is_plain(const char *bytes, size_t len);
/* Adds a member (takes the value); one that is there already becomes a list. */
void form_add(json_t *object, const char *name, json_t *value);

#endif
