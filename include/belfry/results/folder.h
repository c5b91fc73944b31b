/*
 * Result folders: RESULTS/PROCESS/YYYY-MM-DD/RUN-ID/ (SPEC §9). A folder is built under a temporary name beside its
 * place, synced, given its run.json last, and renamed into place: it is whole or not there.
 */
#ifndef BELFRY_RESULTS_FOLDER_H
#define BELFRY_RESULTS_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "belfry/base/error.h"
#include "belfry/base/json.h"
#include "belfry/core/run.h"

/* The place of a run's results, on the heap (the date is the firing's, in UTC). */
char *folder_path(const char *results_dir, const struct run_record *run);
/* An empty staging folder for the run beside that place, on the heap; what a crash left there is removed. Blocking
 * (thread pool). */
int folder_stage(const char *results_dir, const struct run_record *run, char **staging, struct error *err);
/* Writes run.json into the staging folder and renames it into place; a folder that is there already and has its
 * run.json is left as it is (a crash came between publishing and the record) and *existing is set. Blocking. */
int folder_publish(const char *staging, const char *place, const json_t *run_json, int *existing, struct error *err);

#define FOLDER_REVISION_SIZE 24
/* "revision-2" … */
void folder_revision_name(unsigned number, char name[FOLDER_REVISION_SIZE]);

/* Whether revision `number` is the first that the place has, as what was published before it is gone (old results are deleted). It may
 * have been published there already (a crash came before the record). Blocking. */
bool folder_is_first(const char *place, unsigned number);
/* Revision `number` (from 2) of what was published: the staging folder becomes place/revision-N, run.json is kept as run.(N-1).json,
 * and the new one takes its place, last. May be repeated after a crash. BF_ENOENT when the place is gone. Blocking. */
int folder_revise(const char *staging, const char *place, unsigned number, const json_t *run_json, struct error *err);

/* The record as SPEC §9 shows it. `event` may be NULL; `result` is {"steps", "work_items", "artifacts", "notes"?, "dir"}
 * or NULL. A new reference. Also what the API and the command line show of a run. */
json_t *run_json(const struct run_record *run, const char *backend, const json_t *event, const json_t *result);

#endif
