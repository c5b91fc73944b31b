/*
 * Reads lines "ZONE INSTANT…" and writes "ZONE INSTANT OFFSET LOCAL-KIND FIRST SECOND" for each instant, where the last
 * three are what the local time shown then is read back as. For zone_oracle.py.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/calendar/zone.h"

static int dump_line(char *line)
{
    char *rest = line;
    const char *name = strsep(&rest, " \n");
    struct zone *zone;
    struct error err;
    const char *word;

    if (zone_get(name, &zone, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    while ((word = strsep(&rest, " \n")) != NULL) {
        int64_t utc_s = strtoll(word, NULL, 10);
        struct zone_instants read_back;
        int offset_s;

        if (word[0] == '\0')
            continue;
        offset_s = zone_offset_at(zone, utc_s);
        zone_from_local(zone, utc_s + offset_s, &read_back);
        printf("%s %" PRId64 " %d %d %" PRId64 " %" PRId64 "\n", name, utc_s, offset_s, (int)read_back.kind, read_back.first_s,
               read_back.second_s);
    }
    zone_put(zone);
    return 0;
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    int failed = 0;

    while (getline(&line, &size, stdin) > 0)
        failed |= dump_line(line) != 0;
    free(line);
    return failed;
}
