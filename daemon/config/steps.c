/* The steps of a process: each gets what its [step …] says, and what it has of its process. */
#include <stdlib.h>
#include <string.h>

#include "loader.h"

static char *copy(const char *text)
{
    char *to = text != NULL ? strdup(text) : NULL;

    if (text != NULL && to == NULL)
        abort();
    return to;
}

static void copy_words(struct words *to, const struct words *from)
{
    for (size_t i = 0; i < from->count; i++) {
        if (words_add(to, from->items[i], strlen(from->items[i])) != 0)
            abort();
    }
}

static bool names_it(const struct words *env, const char *entry)
{
    size_t len = (size_t)(strchr(entry, '=') - entry) + 1;

    for (size_t i = 0; i < env->count; i++) {
        if (strncmp(env->items[i], entry, len) == 0)
            return true;
    }
    return false;
}

/* The process's words but for those that the step says otherwise, then the step's. */
static void merge_env(struct words *to, const struct words *process, const struct words *step)
{
    for (size_t i = 0; i < process->count; i++) {
        if (strchr(process->items[i], '=') != NULL && !names_it(step, process->items[i]) &&
            words_add(to, process->items[i], strlen(process->items[i])) != 0)
            abort();
    }
    copy_words(to, step);
}

static struct process_config *instance(const struct process_config *process, const struct section *s)
{
    const struct process_config *step = s->target;
    struct process_config *made = calloc(1, sizeof *made);

    if (made == NULL)
        abort();
    made->name = copy(process->name);
    made->step = copy(step->name);
    memcpy(made->id, process->id, sizeof made->id);
    made->workspace = process->workspace;
    copy_words(&made->command, &step->command);
    made->command_text = copy(step->command_text);
    made->shell = step->shell;
    made->cwd = copy(setting_of(s, "cwd") != NULL ? step->cwd : process->cwd);
    made->user = copy(step->user != NULL ? step->user : process->user);
    merge_env(&made->env, &process->env, &step->env);
    copy_words(&made->secrets, setting_of(s, "secrets") != NULL ? &step->secrets : &process->secrets);
    made->timeout_ms = step->timeout_ms;
    made->kill_grace_ms = setting_of(s, "kill_grace") != NULL ? step->kill_grace_ms : process->kill_grace_ms;
    copy_words(&made->artifacts, setting_of(s, "artifacts") != NULL ? &step->artifacts : &process->artifacts);
    made->artifacts_max = process->artifacts_max;
    made->max_parallel = step->max_parallel;
    made->each = step->each;
    made->work_items = step->work_items != WORK_ITEMS_UNSET ? step->work_items
        : process->work_items != WORK_ITEMS_UNSET ? process->work_items : WORK_ITEMS_API;
    made->results = process->results;
    return made;
}

void steps_of_process(const struct loader *l, struct process_config *process)
{
    size_t count = process->step_names.count;

    if (count == 0)
        return;
    process->steps = calloc(count, sizeof *process->steps);
    if (process->steps == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        const struct section *s = section_find(l, "step", process->step_names.items[i]);

        if (s != NULL)   /* else it has been complained of */
            process->steps[i] = instance(process, s);
    }
}

static bool asks_us(const struct process_config *process)
{
    for (size_t i = 0; i < config_steps(process); i++) {
        const struct process_config *step = config_step(process, i);

        if (step != NULL && (step->work_items == WORK_ITEMS_API || step->secrets.count > 0))
            return true;
    }
    return false;
}

void check_steps_reach_us(struct loader *l)
{
    for (struct section *s = l->first; s != NULL; s = s->next) {
        const struct process_config *p = s->target;

        if (strcmp(s->row->kind, "process") == 0 && l->config->http.listen.count == 0 && p->workspace != NULL &&
            p->workspace->type == WORKSPACE_LOCAL && asks_us(p))
            complain(l, s, NULL, "its runs use the work item API or the vault, and [http] listen = none: listen on 127.0.0.1, or write"
                     " work_items = file and no secrets");
    }
}
