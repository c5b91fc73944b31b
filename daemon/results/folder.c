/* Result folders: built beside their place, synced, renamed into it. */
#include "belfry/results/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/buf.h"
#include "belfry/base/file.h"
#include "belfry/base/time.h"

/* RESULTS/PROCESS/YYYY-MM-DD[/NAME] */
static char *day_path(const char *results_dir, const struct run_record *run, const char *prefix, const char *name)
{
    char day[TIME_TEXT_SIZE], process[FILE_NAME_MAX + 1];
    struct buf path = { 0 };

    time_format(run->accepted_ms, day);
    file_safe_name(run->process, strlen(run->process), process);
    buf_addf(&path, "%s/%s/%.10s", results_dir, process, day);
    if (name != NULL)
        buf_addf(&path, "/%s%s", prefix, name);
    return buf_take(&path);
}

char *folder_path(const char *results_dir, const struct run_record *run)
{
    return day_path(results_dir, run, "", run->id);
}

int folder_stage(const char *results_dir, const struct run_record *run, char **staging, struct error *err)
{
    char *day = day_path(results_dir, run, "", NULL);
    char *path = day_path(results_dir, run, ".staging-", run->id);
    int status = 0;

    if (day == NULL || path == NULL)
        status = error_set(err, BF_ENOMEM, "out of memory");
    if (status == 0)
        status = file_make_dirs(day, 0750, err);
    if (status == 0)
        status = file_remove_tree(path, err);
    if (status == 0 && mkdir(path, 0750) != 0)
        status = error_errno(err, errno, "cannot make the folder %s", path);
    free(day);
    if (status != 0) {
        free(path);
        path = NULL;
    }
    *staging = path;
    return status;
}

static bool is_there(const char *place, const char *name)
{
    char *path = file_join(place, name);
    bool there = path != NULL && access(path, F_OK) == 0;

    free(path);
    return there;
}

static int sync_parents(const char *place, struct error *err)
{
    char *path = strdup(place), *slash;
    int status = 0;

    if (path == NULL)
        return error_set(err, BF_ENOMEM, "out of memory");
    /* The day's folder and the process's may be new as well. */
    for (int i = 0; i < 3 && status == 0 && (slash = strrchr(path, '/')) != NULL && slash != path; i++) {
        *slash = '\0';
        status = file_sync_dir(path, err);
    }
    free(path);
    return status;
}

int folder_publish(const char *staging, const char *place, const json_t *run_json_value, int *existing, struct error *err)
{
    char *text = json_dumps(run_json_value, JSON_INDENT(2)), *path = file_join(staging, "run.json");
    int status = 0;

    *existing = is_there(place, "run.json");
    if (text == NULL || path == NULL)
        status = error_set(err, BF_ENOMEM, "out of memory");
    else if (!*existing)
        status = file_write_atomic(path, text, strlen(text), 0640, err);
    if (status == 0 && !*existing && rename(staging, place) != 0)
        status = error_errno(err, errno, "cannot rename %s to %s", staging, place);
    if (status == 0 && !*existing)
        status = sync_parents(place, err);
    if (*existing)
        (void)file_remove_tree(staging, NULL);
    free(text);
    free(path);
    return status;
}

static int keep_before(const char *run_json_path, const char *first_path, struct error *err)
{
    if (link(run_json_path, first_path) != 0 && errno != EEXIST && errno != ENOENT)   /* a person may have taken it away */
        return error_errno(err, errno, "cannot keep %s as %s", run_json_path, first_path);
    return 0;
}

void folder_revision_name(unsigned number, char name[FOLDER_REVISION_SIZE])
{
    (void)snprintf(name, FOLDER_REVISION_SIZE, "revision-%u", number);
}

/* run.json as number - 1 is kept as it. */
static void name_before(unsigned number, char name[FOLDER_REVISION_SIZE])
{
    (void)snprintf(name, FOLDER_REVISION_SIZE, "run.%u.json", number - 1);
}

static int64_t revision_of(const char *place)
{
    char *path = file_join(place, "run.json");
    struct buf text = { 0 };
    json_t *value = NULL;
    int64_t revision;

    if (path != NULL && file_read(path, SIZE_MAX, &text, NULL) == 0)
        value = json_stored(buf_str(&text));
    revision = value != NULL ? json_int(value, "revision", 1) : 0;
    json_decref(value);
    buf_close(&text);
    free(path);
    return revision;
}

bool folder_is_first(const char *place, unsigned number)
{
    char revision[FOLDER_REVISION_SIZE], before[FOLDER_REVISION_SIZE];

    folder_revision_name(number, revision);
    name_before(number, before);
    if (access(place, F_OK) != 0)
        return errno == ENOENT;
    return !is_there(place, revision) && !is_there(place, before) && revision_of(place) == number;
}

int folder_revise(const char *staging, const char *place, unsigned number, const json_t *run_json_value, struct error *err)
{
    char *text = json_dumps(run_json_value, JSON_INDENT(2)), *path = file_join(place, "run.json"), *first, *revision;
    char name[FOLDER_REVISION_SIZE], before[FOLDER_REVISION_SIZE];
    int status = 0;

    folder_revision_name(number, name);
    name_before(number, before);
    first = file_join(place, before);
    revision = file_join(place, name);

    if (text == NULL || path == NULL || first == NULL || revision == NULL)
        status = error_set(err, BF_ENOMEM, "out of memory");
    else if (access(place, F_OK) != 0 && errno == ENOENT)
        status = error_set(err, BF_ENOENT, "the results %s are not there any more", place);
    else if ((status = file_remove_tree(revision, err)) == 0) {
        if (rename(staging, revision) != 0)
            status = error_errno(err, errno, "cannot rename %s to %s", staging, revision);
        if (status == 0)
            status = keep_before(path, first, err);
        if (status == 0)
            status = file_write_atomic(path, text, strlen(text), 0640, err);
    }
    free(text);
    free(path);
    free(first);
    free(revision);
    return status;
}
