/* Any bytes as a file of days (dates or iCalendar): refused with a reason, or a calendar that is sorted. */
#include <stdint.h>
#include <stdlib.h>

#include "belfry/calendar/days.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct days days;
    struct error err = { 0 };

    days_init(&days);
    if (days_add_file(&days, (const char *)data, size, &err) != 0 && err.text[0] == '\0')
        abort();
    for (size_t i = 0; i < days.count; i++) {
        if ((i > 0 && days.dates[i - 1] >= days.dates[i]) || !days_contain(&days, days.dates[i]))
            abort();
    }
    for (size_t i = 1; i < days.yearly_count; i++) {
        if (days.yearly[i - 1] >= days.yearly[i])
            abort();
    }
    days_close(&days);
    return 0;
}
