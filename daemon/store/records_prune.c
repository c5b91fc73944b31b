/* What is over is forgotten, in bites. */
#include "belfry/base/id.h"
#include "internal.h"

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))

size_t records_prune(struct journal *j, const struct prune *p)
{
    int rc = records_run(j, ST_BEGIN);
    char day_old[ID_SIZE];
    size_t count = 0;

    id_make(p->now_ms - DAY_MS, (const uint8_t[10]) { 0 }, day_old);
    for (enum statement i = ST_PRUNE_RUNS; i <= ST_PRUNE_UPLOADS && rc == SQLITE_DONE; i++) {
        sqlite3_stmt *st = j->statements[i];

        (void)sqlite3_bind_int64(st, 1, (sqlite3_int64)p->limit);   /* each takes what it knows */
        (void)sqlite3_bind_int64(st, 2, p->until_ms);
        (void)sqlite3_bind_int64(st, 3, p->now_ms);
        records_text(st, 4, day_old);
        rc = records_run(j, i);
        if (rc == SQLITE_DONE && (size_t)sqlite3_changes(j->db) > count)
            count = (size_t)sqlite3_changes(j->db);
    }
    if (rc == SQLITE_DONE && records_run(j, ST_COMMIT) == SQLITE_DONE)
        return count;
    if (sqlite3_get_autocommit(j->db) == 0)
        (void)records_run(j, ST_ROLLBACK);
    return 0;
}
