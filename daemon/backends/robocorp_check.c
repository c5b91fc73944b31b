/* One look at a run that ended unresolved: it may be completed by now. */
#include <stdlib.h>
#include <string.h>

#include "robocorp_internal.h"

struct check {
    struct ask ask;
    char run_id[ID_SIZE];
};

static void seen(struct ask *ask)
{
    struct check *c = ask->data;
    const struct backend_reports *r = ask->b->base.reports;
    bool closing = ask->b->closing;
    struct room_run run = { 0 };
    enum checked checked = CHECKED_SAME;

    if (ask->status == 404)
        checked = CHECKED_GONE;
    else if (ask->outcome == ASKED_GOOD && dialect_run(ask->b->dialect, ask->answer, &run) && run.meaning == ROOM_COMPLETED)
        checked = CHECKED_COMPLETED;
    if (!closing)
        r->checked(r->data, c->run_id, checked, run.state, run.ended_ms);
    ask_close(ask);
    free(c);
}

void robocorp_check(struct backend *base, const struct run_record *run, const struct process_config *process)
{
    struct robocorp *b = (struct robocorp *)base;
    struct check *c = calloc(1, sizeof *c);
    char *process_id = memo_process(run->memo);

    if (c == NULL)
        abort();
    if (process_id == NULL && process != NULL && process->process_id != NULL)
        process_id = strdup(process->process_id);
    memcpy(c->run_id, run->id, sizeof c->run_id);
    ask_route(b, &c->ask, "GET", b->dialect->run, &(struct path_words) { .process = process_id, .run = run->remote_id }, NULL, 1,
              false, seen, c);
    free(process_id);
}
