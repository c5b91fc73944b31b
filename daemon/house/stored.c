/* Files of work items and assets that nobody names any more: those of runs that are forgotten, of items and assets that were deleted,
 * of uploads and starts that a crash cut off. Only what is an hour old is looked at: younger ones may be on their way. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "house.h"

#define OLD_MS (60 * 60 * INT64_C(1000))
#define AT_ONCE 500

struct stored {
    uv_work_t work;
    struct house *house;
    char *dir;
    char **names;                    /* found; NULL once they are known to be named */
    size_t count, first, at;         /* those from first up to at are being asked for */
    struct journal_read read;
};

static bool is_old(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           time_wall_ms() - (int64_t)st.st_mtim.tv_sec * 1000 > OLD_MS;
}

static void find_old(uv_work_t *work)
{
    struct stored *s = work->data;
    DIR *dir = opendir(s->dir);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char **grown;

        if (entry->d_name[0] == '.' || !is_old(dirfd(dir), entry->d_name))
            continue;
        grown = reallocarray(s->names, s->count + 1, sizeof *grown);
        if (grown == NULL)
            abort();
        s->names = grown;
        if ((grown[s->count++] = strdup(entry->d_name)) == NULL)
            abort();
    }
    if (dir != NULL)
        (void)closedir(dir);
}

static void remove_unnamed(uv_work_t *work)
{
    struct stored *s = work->data;

    for (size_t i = 0; i < s->count; i++) {
        char *path = s->names[i] != NULL ? file_join(s->dir, s->names[i]) : NULL;

        if (path != NULL && unlink(path) != 0 && errno != ENOENT)
            log_warning("an old file of a work item stays: %s", path);
        free(path);
    }
}

static void finish(struct stored *s)
{
    struct house *h = s->house;

    for (size_t i = 0; i < s->count; i++)
        free(s->names[i]);
    free(s->names);
    free(s->dir);
    free(s);
    h->working--;
    house_settle(h);
}

static void removed(uv_work_t *work, int status)
{
    (void)status;
    finish(work->data);
}

static void ask(struct stored *s);

static void named_came(struct journal_read *read, int status)
{
    struct stored *s = read->data;

    if (status != 0 || s->house->stopping) {   /* what is not known to be nobody's stays */
        finish(s);
        return;
    }
    for (size_t i = 0; i < read->count; i++) {
        for (size_t k = s->first; k < s->at; k++) {
            if (s->names[k] != NULL && strcmp(s->names[k], read->rows[i].file.id) == 0) {
                free(s->names[k]);
                s->names[k] = NULL;
            }
        }
    }
    ask(s);
}

static void ask(struct stored *s)
{
    json_t *ids = json_array();
    char *text;

    s->first = s->at;
    for (size_t i = 0; i < AT_ONCE && s->at < s->count; i++)
        (void)json_array_append_new(ids, json_string(s->names[s->at++]));
    text = json_text(ids);
    if (text == NULL)
        abort();
    if (json_array_size(ids) > 0) {
        s->read = (struct journal_read) { .kind = READ_ITEM_FILES, .state = -1, .whole = true, .ids = text, .limit = 2 * AT_ONCE, .cb = named_came,
            .data = s };
        journal_read(s->house->journal, &s->read);
    } else if (uv_queue_work(s->house->loop, &s->work, remove_unnamed, removed) != 0) {
        abort();
    }
    free(text);
    json_decref(ids);
}

static void found(uv_work_t *work, int status)
{
    struct stored *s = work->data;

    (void)status;
    if (s->house->stopping || s->count == 0)
        finish(s);
    else
        ask(s);
}

void house_sweep_items(struct house *h)
{
    struct stored *s = calloc(1, sizeof *s);

    if (s == NULL || (s->dir = strdup(h->items_dir)) == NULL)
        abort();
    s->house = h;
    s->work.data = s;
    h->working++;
    if (uv_queue_work(h->loop, &s->work, find_old, found) != 0)
        abort();
}
