/* The flows' world: the journal, the store of work items' files, and where a run finds the work item API. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "belfry/base/file.h"
#include "belfry/base/text.h"
#include "house.h"

/* --- reading items with their files ------------------------------------------------------------------------------- */

struct item_read {
    struct journal_read items, files;
    struct house *house;
    struct flow_read *read;
    struct item_record *found;           /* lent of `items`' rows: copies of their own */
    size_t count;
};

static void done(struct item_read *r, int status, const struct error *why)
{
    struct flow_read *read = r->read;
    struct house *h = r->house;

    if (status != 0)
        read->error = *why;
    read->items = r->found;
    read->item_count = r->count;
    read->cb(read, status);
    for (size_t i = 0; i < r->count; i++)
        item_record_close(&r->found[i]);
    free(r->found);
    free(r);
    h->working--;
    house_settle(h);
}

static void files_came(struct journal_read *files, int status)
{
    struct item_read *r = files->data;
    struct item_file *lent = calloc(files->count + 1, sizeof *lent);

    if (lent == NULL)
        abort();
    for (size_t i = 0; i < files->count; i++)
        lent[i] = files->rows[i].file;
    r->read->files = lent;
    r->read->file_count = files->count;
    done(r, status, &files->error);
    free(lent);
}

static void items_came(struct journal_read *items, int status)
{
    struct item_read *r = items->data;
    json_t *ids;
    char *text;

    if (status != 0) {
        done(r, status, &items->error);
        return;
    }
    r->found = calloc(items->count + 1, sizeof *r->found);
    ids = json_array();
    if (r->found == NULL || ids == NULL)
        abort();
    for (size_t i = 0; i < items->count; i++) {
        if (item_record_copy(&r->found[r->count++], &items->rows[i].item) != 0)
            abort();
        (void)json_array_append_new(ids, json_string(items->rows[i].item.id));
    }
    text = json_text(ids);
    if (text == NULL)
        abort();
    r->files = (struct journal_read) { .kind = READ_ITEM_FILES, .state = -1, .ids = text, .limit = SIZE_MAX / 4, .cb = files_came, .data = r };
    journal_read(r->house->journal, &r->files);
    free(text);
    json_decref(ids);
}

static void read_items(void *data, struct flow_read *read)
{
    struct house *h = data;
    struct item_read *r = calloc(1, sizeof *r);

    if (r == NULL)
        abort();
    r->house = h;
    r->read = read;
    r->items = (struct journal_read) { .kind = READ_ITEMS, .state = -1, .ids = read->ids, .run_id = read->run_id, .limit = SIZE_MAX / 4,
        .cb = items_came, .data = r };
    h->working++;
    journal_read(h->journal, &r->items);
}

/* --- the others --------------------------------------------------------------------------------------------------- */

static void commit(void *data, struct commit *c)
{
    journal_commit(((struct house *)data)->journal, c);
}

static const char *api_url(void *data)
{
    const struct house *h = data;

    return h->api_url != NULL ? h->api_url : "";
}

/* "RUN.STEP-RUN.MAC": it tells whose it is, and nobody else can make one. */
static void token(void *data, const char *run_id, const char *step_run_id, char text[RUN_TOKEN_SIZE])
{
    const struct house *h = data;
    unsigned char derived[VAULT_MAC_SIZE];
    char about[2 * ID_SIZE], hex[65];

    (void)snprintf(about, sizeof about, "%s.%s", run_id, step_run_id);
    vault_derive(h->vault, "run token", about, strlen(about), derived);
    text_hex(derived, sizeof derived, hex);
    (void)snprintf(text, RUN_TOKEN_SIZE, "%s.%s", about, hex);
    explicit_bzero(derived, sizeof derived);
    explicit_bzero(hex, sizeof hex);
}

int house_open_flows(struct house *h, const char *state_dir, struct error *err)
{
    struct flows_world world = { .data = h, .commit = commit, .read = read_items, .api_url = api_url, .token = token };
    int status;

    h->items_dir = file_join(state_dir, "items");
    if (h->items_dir == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    status = file_make_dirs(h->items_dir, 0700, err);
    world.files_dir = h->items_dir;
    if (status == 0 && flows_new(&world, &h->flows) != 0)
        status = error_set(err, BF_ENOMEM, "out of memory");
    return status;
}

/* --- at start ----------------------------------------------------------------------------------------------------- */

static struct flow *flow_of(struct house *h, const char *run_id)
{
    struct flow *flow = flows_find(h->flows, run_id);
    const struct run_record *run = engine_run(h->engine, run_id);

    if (flow != NULL || run == NULL)
        return flow;
    if (backend_local_flow(run, config_workspace(h->config, run->workspace), config_process(h->config, run->process), &flow) != 0)
        return NULL;
    flows_add(h->flows, flow);
    return flow;
}

static int take_step_run(void *data, const struct step_record *run)
{
    struct flow *flow = flow_of(data, run->run_id);

    return flow != NULL ? flow_put_step_run(flow, run) : BF_ENOMEM;
}

static int take_item(void *data, const struct item_record *item)
{
    struct flow *flow = flow_of(data, item->run_id);

    return flow != NULL ? flow_put_item(flow, item) : BF_ENOMEM;
}

int house_recover_flows(struct house *h, struct error *err)
{
    struct flow_reader reader = { .data = h, .step_run = take_step_run, .item = take_item };
    int status = journal_each_flow(h->journal, &reader, err);

    return status == 0 ? 0 : error_prefix(err, "cannot take up the work items in the journal");
}
