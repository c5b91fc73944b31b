/* Events as JSON, byte for byte, and the payload that a run gets when nobody says otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "belfry/core/event.h"

#define ID "019b8dcb-0000-7000-8000-000000000000"

static void check_json(json_t *value, const char *wanted)
{
    char *text = json_text_sorted(value);

    assert_string_equal(text, wanted);
    free(text);
}

static void an_event_has_what_the_firing_has(void **state)
{
    json_t *event = event_new(ID, TRIGGER_SCHEDULE, "nightly", 1767607263250, 1767607260000, NULL);

    (void)state;
    check_json(event, "{\"due\":\"2026-01-05T10:01:00.000Z\",\"id\":\"" ID "\",\"time\":\"2026-01-05T10:01:03.250Z\","
               "\"trigger\":{\"kind\":\"schedule\",\"name\":\"nightly\"}}");
    json_decref(event);
    event = event_new(ID, TRIGGER_MANUAL, "cli", 1767607263250, 0, "Jörg");
    check_json(event, "{\"by\":\"Jörg\",\"id\":\"" ID "\",\"time\":\"2026-01-05T10:01:03.250Z\","
               "\"trigger\":{\"kind\":\"manual\",\"name\":\"cli\"}}");
    json_decref(event);
}

static void every_kind_has_its_word(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < TRIGGER_KINDS; kind++) {
        json_t *event = event_new(ID, (enum trigger_kind)kind, "x", 1, 0, NULL);

        assert_string_equal(json_str(json_object_get(event, "trigger"), "kind"), trigger_kind_name((enum trigger_kind)kind));
        json_decref(event);
    }
}

static void the_default_payload_is_the_event(void **state)
{
    json_t *event = event_new(ID, TRIGGER_WATCH, "in", 1767607263250, 0, NULL), *payload;

    (void)state;
    json_object_set_new(event, "file", json_pack("{s:s, s:{s:s}}", "path", "/in/a", "headers", "x", "kept"));
    payload = event_default_payload(event);
    assert_true(json_equal(event, payload));
    assert_ptr_not_equal(event, payload);
    json_object_del(payload, "file");
    assert_non_null(json_object_get(event, "file"));
    json_decref(payload);
    json_decref(event);
}

/* Headers hold tokens: they stay with the event and go to no run by themselves. */
static void the_default_payload_has_no_headers(void **state)
{
    json_t *event = event_new(ID, TRIGGER_WEBHOOK, "h", 1767607263250, 0, NULL), *payload;

    (void)state;
    json_object_set_new(event, "request", json_pack("{s:s, s:{s:s}, s:{s:{s:i}}}", "method", "POST", "headers", "authorization",
                                                    "Bearer hunter2", "body", "headers", "own", 1));
    payload = event_default_payload(event);
    check_json(json_object_get(payload, "request"), "{\"body\":{\"headers\":{\"own\":1}},\"method\":\"POST\"}");
    assert_string_equal(json_str(json_object_get(json_object_get(event, "request"), "headers"), "authorization"), "Bearer hunter2");
    json_decref(payload);
    json_decref(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_has_what_the_firing_has),
        cmocka_unit_test(every_kind_has_its_word),
        cmocka_unit_test(the_default_payload_is_the_event),
        cmocka_unit_test(the_default_payload_has_no_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
