/* What a run's record keeps for this backend. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/time.h"
#include "robocorp_start.h"

void memo_read(struct memo *memo, const char *text)
{
    json_t *value = json_stored(text);
    json_t *items = json_object_get(value, "items"), *item;
    const char *process = json_str(value, "process");
    bool good = json_is_array(items);
    size_t i;

    json_array_foreach(items, i, item)
        good &= json_is_string(item);
    *memo = (struct memo) { .process = process != NULL ? strdup(process) : NULL,
        .items = good ? json_incref(items) : json_array(), .start = json_flag(value, "start", false),
        .since_ms = json_int(value, "since", 0), .since_there_ms = json_int(value, "since_there", 0) };
    json_decref(value);
    if (memo->items == NULL || (process != NULL && memo->process == NULL))
        abort();
}

static bool is_whole(const json_t *items)
{
    const json_t *item;
    size_t i;

    json_array_foreach(items, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return true;
}

char *memo_text(const struct memo *memo)
{
    json_t *value = json_pack("{s:s?, s:o, s:b, s:I, s:I}", "process", memo->process, "items",
                              is_whole(memo->items) ? json_incref(memo->items) : json_array(), "start", (int)memo->start,
                              "since", (json_int_t)memo->since_ms, "since_there", (json_int_t)memo->since_there_ms);
    char *text = json_text(value);

    json_decref(value);
    if (text == NULL)
        abort();
    return text;
}

void memo_close(struct memo *memo)
{
    free(memo->process);
    json_decref(memo->items);
    *memo = (struct memo) { 0 };
}

int64_t memo_not_before(const struct memo *memo, const struct robocorp *b)
{
    int64_t here_ms = memo->since_ms + b->skew_ms;

    return (here_ms < memo->since_there_ms ? here_ms : memo->since_there_ms) - NOT_BEFORE_SLACK_MS;
}

char *memo_process(const char *text)
{
    struct memo memo;
    char *process;

    memo_read(&memo, text);
    process = memo.process;
    memo.process = NULL;
    memo_close(&memo);
    return process;
}
