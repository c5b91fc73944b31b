/* Events: one firing as a JSON object. */
#include "belfry/core/event.h"

#include <string.h>

json_t *event_new(const char *id, enum trigger_kind kind, const char *name, int64_t time_ms, int64_t due_ms, const char *by)
{
    json_t *event = json_object();
    json_t *trigger = json_object();

    if (event == NULL || trigger == NULL || json_put(trigger, "kind", trigger_kind_name(kind)) != 0 ||
        json_put(trigger, "name", name) != 0 || json_put(event, "id", id) != 0 ||
        json_object_set(event, "trigger", trigger) != 0 || json_put_time(event, "time", time_ms) != 0 ||
        json_put_time(event, "due", due_ms) != 0 || (by != NULL && json_put(event, "by", by) != 0)) {
        json_decref(trigger);
        json_decref(event);
        return NULL;
    }
    json_decref(trigger);
    return event;
}

json_t *event_default_payload(const json_t *event)
{
    json_t *payload = json_copy((json_t *)(uintptr_t)event);
    json_t *request = json_object_get(payload, "request");

    if (request == NULL)
        return payload;
    request = json_copy(request);
    if (request == NULL || json_object_set_new(payload, "request", request) != 0) {
        json_decref(payload);
        return NULL;
    }
    json_object_del(request, "headers");
    return payload;
}

json_t *event_input(const json_t *event, const char *input_text, struct error *err)
{
    json_t *input = input_text != NULL ? json_stored(input_text) : json_pack("[o]", event_default_payload(event));

    if (input == NULL)
        error_set(err, BF_ENOMEM, "the input of the event cannot be read");
    return input;
}
