/* Any text as an expression: what is taken gives due times that rise, in a zone with changes, whatever is chosen. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/calendar/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zone *zone_of(uint8_t choice)
{
    static const char *const names[] = { "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "UTC" };
    static struct zone *zones[4];

    choice %= 4;
    if (zones[choice] == NULL && zone_get(names[choice], &zones[choice], NULL) != 0)
        abort();
    return zones[choice];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    struct timing timing = { 0 };
    struct error err;
    int64_t due_ms;

    if (size < 6 || size - 6 >= sizeof text)
        return 0;
    memcpy(text, data + 6, size - 6);
    text[size - 6] = '\0';
    if (cron_parse(text, "seed", &timing.cron, &err) != 0)
        return 0;
    timing.zone = zone_of(data[4]);
    timing.gap = (enum dst_gap)(data[5] % 4);
    timing.repeat = (enum dst_repeat)(data[5] / 4 % 4);
    due_ms = ((int64_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3]) * 1000;
    for (int i = 0; i < 8 && due_ms != INT64_MAX; i++) {
        int64_t next_ms = timing_next(&timing, due_ms);

        if (next_ms <= due_ms || timing_next(&timing, next_ms - 1) != next_ms)
            abort();
        due_ms = next_ms;
    }
    return 0;
}
