/* What refuses a commit as a whole: a claim that lives, an item that is taken, a run that somebody has still to be told of. */
#include <stdio.h>

#include "internal.h"

/* The query whose row refuses the record; NULL: nothing does. */
static sqlite3_stmt *refusal_of(struct journal *j, const struct record *r)
{
    sqlite3_stmt *st;

    switch (r->kind) {
    case RECORD_CLAIM:
        st = j->statements[ST_CLAIM_GET];
        records_bind_claim(st, r);
        (void)sqlite3_bind_int64(st, 2, r->now_ms);
        return st;
    case RECORD_RUN_DROP:
        st = j->statements[ST_RUN_UNTOLD];
        records_text(st, 1, r->key);
        return st;
    case RECORD_ITEM_TAKE:
        st = j->statements[ST_ITEM_TAKEN];
        records_text(st, 1, r->key);
        (void)sqlite3_bind_int(st, 2, 0);
        return st;
    case RECORD_ITEM_MOVE:
    case RECORD_ITEM_DROP:
        if (r->item->step != ITEM_WAITS)   /* its flow knows where it is */
            return NULL;
        st = j->statements[ST_ITEM_TAKEN];
        records_text(st, 1, r->item->id);
        (void)sqlite3_bind_int(st, 2, 1);
        return st;
    case RECORD_ITEM_FILE_CAME:
        st = j->statements[ST_ITEM_FILE_AWAITED];
        records_text(st, 1, r->item_file->id);
        records_text(st, 2, r->item->run_id[0] != '\0' ? r->item->run_id : NULL);
        (void)sqlite3_bind_int64(st, 3, r->value);
        records_text(st, 4, r->item->step_run);
        (void)sqlite3_bind_int(st, 5, (int)r->item->state);
        return st;
    case RECORD_ASSET_ADD:
        st = j->statements[ST_ASSET_GET];
        records_text(st, 1, r->asset->workspace);
        records_text(st, 2, r->asset->name);
        return st;
    case RECORD_ASSET_CAME:
        st = j->statements[ST_ASSET_AWAITED];
        records_text(st, 1, r->upload->id);
        return st;
    default:
        return NULL;
    }
}

bool records_claimed(struct journal *j, struct commit *commit, int *sqlite_code)
{
    bool claimed = false;

    *sqlite_code = SQLITE_DONE;
    for (size_t i = 0; i < commit->count && !claimed; i++) {
        sqlite3_stmt *st = refusal_of(j, &commit->records[i]);

        if (st == NULL)
            continue;
        *sqlite_code = sqlite3_step(st);
        if (*sqlite_code == SQLITE_ROW) {
            const char *id = (const char *)sqlite3_column_text(st, 0);

            (void)snprintf(commit->existing, sizeof commit->existing, "%s", id != NULL ? id : "");
            *sqlite_code = SQLITE_DONE;
            claimed = true;
        }
        (void)sqlite3_reset(st);
        if (*sqlite_code != SQLITE_DONE)
            return false;
    }
    return claimed;
}
