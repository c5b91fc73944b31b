/* What the journal knows of watches: read once, at the start. */
#include <stdlib.h>
#include <string.h>

#include "watch_internal.h"

static int take_cursor(void *data, const char *name, int64_t value)
{
    struct watch_memory **list = data;
    size_t size = strlen(name) + 1;
    struct watch_memory *m = calloc(1, sizeof *m + size);

    if (m == NULL)
        return BF_ENOMEM;
    m->next = *list;
    m->root = value;
    memcpy(m->name, name, size);
    *list = m;
    return 0;
}

int watch_set_word(struct watch_room *room, const char *name, bool paused)
{
    size_t size = strlen(name) + 1;
    struct watch_word *word;

    HASH_FIND_STR(room->words, name, word);
    if (word == NULL) {
        word = calloc(1, sizeof *word + size);
        if (word == NULL)
            return BF_ENOMEM;
        memcpy(word->name, name, size);
        HASH_ADD_KEYPTR(hh, room->words, word->name, size - 1, word);
    }
    word->paused = paused;
    return 0;
}

static int take_word(void *data, const char *kind, const char *name, int64_t value)
{
    return strcmp(kind, "watch") == 0 ? watch_set_word(data, name, value != 0) : 0;
}

static int take_file(void *data, const char *full, const char *identity, enum file_state state, const char *run_id,
                     enum run_state run_state)
{
    struct watch *w = data;
    size_t root = w->root[1] == '\0' ? 0 : strlen(w->root);
    struct watch_file *file;
    int rc;

    if (strncmp(full, w->root, root) != 0 || full[root] != '/')   /* of another folder that it had once */
        return 0;
    file = watch_file_need(w, full + root + 1);
    if (file == NULL)
        return BF_ENOMEM;
    rc = watch_file_record(file, (uint8_t)state, identity, 0);
    if (rc != 0 || state != FILE_FIRED)
        return rc;
    if (run_id == NULL || run_state == RUN_STATES) {   /* its run is forgotten: nothing tells what to do */
        file->state = FILE_DONE;
        return 0;
    }
    return watch_run_add(w, run_id, file->path, identity, run_state);
}

int watch_recall(struct watch_room *room, struct watch_memory **memory, struct error *err)
{
    int rc = journal_each_cursor(room->journal, "watch", take_cursor, memory, err);

    return rc == 0 ? journal_each_pause(room->journal, take_word, room, err) : rc;
}

int watch_recall_files(struct watch *w, struct error *err)
{
    return journal_each_file(w->room->journal, w->config->name, take_file, w, err);
}
