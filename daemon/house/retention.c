/* What is old goes: records of ended runs after keep_runs, result folders after keep_results. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "belfry/base/file.h"
#include "belfry/base/log.h"
#include "house.h"

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))
#define ROWS_AT_ONCE 1000

/* --- records ------------------------------------------------------------------------------------------------------ */

static void pruned(void *data, size_t count)
{
    struct house *h = data;

    /* In small bites, so that commits of runs come in between. */
    if (count == ROWS_AT_ONCE && !h->stopping)
        journal_prune(h->journal, time_wall_ms() - h->config->daemon.keep_runs_ms, ROWS_AT_ONCE, pruned, h);
}

/* --- result folders ----------------------------------------------------------------------------------------------- */

struct keep_rule {
    char *process;
    int64_t keep_ms;
};

struct sweep {
    uv_work_t work;
    struct house *house;
    char *results_dir;
    int64_t now_ms;
    int64_t keep_ms;
    struct keep_rule *rules;
    size_t rule_count;
};

static int64_t keep_of(const struct sweep *s, const char *process)
{
    for (size_t i = 0; i < s->rule_count; i++) {
        if (strcmp(s->rules[i].process, process) == 0)
            return s->rules[i].keep_ms;
    }
    return s->keep_ms;
}

/* A day's folder is "2026-01-05", nothing else is touched; what is in it is looked at when the day's end is old. */
static bool is_old_day(const char *name, int64_t before_ms)
{
    struct buf text = { 0 };
    int64_t start_ms;
    bool old;

    buf_addf(&text, "%sT00:00:00Z", name);
    old = strlen(name) == 10 && time_parse(buf_str(&text), &start_ms) == 0 && start_ms + DAY_MS < before_ms;
    buf_close(&text);
    return old;
}

/* When what is under a day was last published: a revision comes days later, and its run.json last. What has none (a crash left it, or a
 * collection is under way) is as old as it says itself. */
static int64_t changed_ms(int day, const char *name)
{
    char run_json[NAME_MAX + sizeof "/run.json"];
    struct stat st;

    (void)snprintf(run_json, sizeof run_json, "%s/run.json", name);
    if (fstatat(day, run_json, &st, AT_SYMLINK_NOFOLLOW) != 0 && fstatat(day, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return INT64_MAX;
    return (int64_t)st.st_mtim.tv_sec * 1000;
}

/* It goes from its place at once, so that no late revision comes to lie in what is half removed. */
static int remove_results(const char *path, bool aside, struct error *why)
{
    char *left;
    int status;

    if (aside)
        return file_remove_tree(path, why);
    status = file_set_aside(path, &left, why);
    if (status == 0 && left != NULL)
        status = file_remove_tree(left, why);
    free(left);
    return status;
}

static void sweep_day(const char *path, int64_t before_ms)
{
    DIR *runs = opendir(path);
    struct dirent *run;
    struct error why;

    while (runs != NULL && (run = readdir(runs)) != NULL) {
        bool aside = file_is_aside(run->d_name);
        char *results;

        if (strcmp(run->d_name, ".") == 0 || strcmp(run->d_name, "..") == 0 ||
            (!aside && changed_ms(dirfd(runs), run->d_name) >= before_ms) || (results = file_join(path, run->d_name)) == NULL)
            continue;
        if (remove_results(results, aside, &why) != 0)
            log_warning("old results stay: %s", why.text);
        free(results);
    }
    if (runs != NULL)
        (void)closedir(runs);
    (void)rmdir(path);   /* unless something is in it still */
}

static void sweep_process(const struct sweep *s, const char *process)
{
    int64_t before_ms = s->now_ms - keep_of(s, process);
    char *dir = file_join(s->results_dir, process);
    DIR *days = dir != NULL ? opendir(dir) : NULL;
    struct dirent *day;

    while (days != NULL && (day = readdir(days)) != NULL) {
        char *path;

        if (!is_old_day(day->d_name, before_ms) || (path = file_join(dir, day->d_name)) == NULL)
            continue;
        sweep_day(path, before_ms);
        free(path);
    }
    if (days != NULL)
        (void)closedir(days);
    free(dir);
}

static void sweep_all(uv_work_t *work)
{
    const struct sweep *s = work->data;
    DIR *processes = opendir(s->results_dir);
    struct dirent *process;

    while (processes != NULL && (process = readdir(processes)) != NULL) {
        if (process->d_name[0] != '.')
            sweep_process(s, process->d_name);
    }
    if (processes != NULL)
        (void)closedir(processes);
}

static void swept(uv_work_t *work, int status)
{
    struct sweep *s = work->data;
    struct house *h = s->house;

    (void)status;
    for (size_t i = 0; i < s->rule_count; i++)
        free(s->rules[i].process);
    free(s->rules);
    free(s->results_dir);
    free(s);
    h->working--;
    house_settle(h);
}

static struct sweep *sweep_new(struct house *h)
{
    const struct config *c = h->config;
    struct sweep *s = calloc(1, sizeof *s);

    if (s == NULL || (s->results_dir = strdup(c->daemon.results_dir)) == NULL ||
        (s->rules = calloc(c->process_count + 1, sizeof *s->rules)) == NULL)
        abort();
    s->house = h;
    s->now_ms = time_wall_ms();
    s->keep_ms = c->daemon.keep_results_ms;
    for (size_t i = 0; i < c->process_count; i++) {
        char safe[FILE_NAME_MAX + 1];

        if (c->processes[i]->keep_results_ms == 0)
            continue;
        file_safe_name(c->processes[i]->name, strlen(c->processes[i]->name), safe);
        s->rules[s->rule_count].process = strdup(safe);
        s->rules[s->rule_count++].keep_ms = c->processes[i]->keep_results_ms;
    }
    return s;
}

void house_clean(struct house *h)
{
    struct sweep *s = sweep_new(h);

    journal_prune(h->journal, time_wall_ms() - h->config->daemon.keep_runs_ms, ROWS_AT_ONCE, pruned, h);
    s->work.data = s;
    h->working++;
    if (uv_queue_work(h->loop, &s->work, sweep_all, swept) != 0)
        abort();
    house_sweep_items(h);
}

/* --- folders of runs that a daemon left behind -------------------------------------------------------------------- */

struct leftovers {
    uv_work_t work;
    struct house *house;
    struct words paths;
};

static void remove_leftovers(uv_work_t *work)
{
    const struct leftovers *l = work->data;
    struct error why;

    for (size_t i = 0; i < l->paths.count; i++) {
        if (file_remove_tree(l->paths.items[i], &why) != 0)
            log_warning("a run's old folder stays: %s", why.text);
    }
}

static void leftovers_free(struct leftovers *l)
{
    for (size_t i = 0; i < l->paths.count; i++)
        free(l->paths.items[i]);
    free(l->paths.items);
    free(l);
}

static void leftovers_removed(uv_work_t *work, int status)
{
    struct leftovers *l = work->data;
    struct house *h = l->house;

    (void)status;
    leftovers_free(l);
    h->working--;
    house_settle(h);
}

/* One that is somebody's name still is freed of it at once, lest a retry make its folder in what is being removed. Takes path. */
static void note_leftover(struct leftovers *l, char *path, bool aside)
{
    char **grown = reallocarray(l->paths.items, l->paths.count + 1, sizeof *grown), *left = path;
    struct error why;

    if (grown == NULL || path == NULL)
        abort();
    l->paths.items = grown;
    if (!aside && file_set_aside(path, &left, &why) != 0)
        log_warning("a run's old folder stays: %s", why.text);
    if (left != path)
        free(path);
    if (left != NULL)
        grown[l->paths.count++] = left;
}

void house_sweep_runs(struct house *h)
{
    char *runs_dir = file_join(h->config->daemon.state_dir, "runs");
    struct leftovers *l = calloc(1, sizeof *l);
    struct dirent *entry;
    DIR *dir;

    if (l == NULL || runs_dir == NULL)
        abort();
    dir = opendir(runs_dir);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        bool aside = file_is_aside(entry->d_name);

        if (aside || (id_is_uuid(entry->d_name) && engine_run(h->engine, entry->d_name) == NULL))
            note_leftover(l, file_join(runs_dir, entry->d_name), aside);
    }
    if (dir != NULL)
        (void)closedir(dir);
    free(runs_dir);
    if (l->paths.count == 0) {   /* the pool's threads cost memory: not for nothing */
        leftovers_free(l);
        return;
    }
    l->house = h;
    l->work.data = l;
    h->working++;
    if (uv_queue_work(h->loop, &l->work, remove_leftovers, leftovers_removed) != 0)
        abort();
}
