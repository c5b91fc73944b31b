/* A machine is one worker, in no group; it has no assistants, and its processes are commands, not packages. */
#include <string.h>
#include <unistd.h>

#include "api.h"

void api_no_elements(const struct api_call *call)
{
    const char *cursor;
    size_t limit;

    if (api_page(call->x, &limit, &cursor))
        api_answer_page(call->x, json_array(), NULL);
}

void api_no_such_element(const struct api_call *call)
{
    api_refuse(call->x, 404, "there is none: this workspace is a machine, its processes are commands");
}

struct business {
    const char *workspace;
    bool busy;
};

static void see_run(void *data, const struct run_record *run)
{
    struct business *b = data;

    b->busy |= run->state == RUN_RUNNING && strcmp(run->workspace, b->workspace) == 0;
}

static json_t *shape_worker(const struct api_call *call)
{
    struct business b = { .workspace = call->workspace->name };
    char id[ID_SIZE], host[256] = "";

    engine_each_run(call->room->host.engine, see_run, &b);
    id_from_name("worker", call->workspace->id, id);
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
        memcpy(host, "belfry", 7);
    return json_pack("{s:s, s:s, s:s}", "id", id, "name", host, "state", b.busy ? "busy" : "idle");
}

void api_workers(const struct api_call *call)
{
    const char *cursor;
    size_t limit;

    if (api_page(call->x, &limit, &cursor))
        api_answer_page(call->x, json_pack("[o]", shape_worker(call)), NULL);
}

void api_worker(const struct api_call *call)
{
    char id[ID_SIZE];

    id_from_name("worker", call->workspace->id, id);
    if (strcmp(call->args.at[0], id) == 0)
        serve_json(call->x, 200, shape_worker(call));
    else
        api_refuse(call->x, 404, "Worker not found");
}
