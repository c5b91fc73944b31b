/* The finished configuration: looking things up in it, and letting it go. */
#include "belfry/config/config.h"

#include <stdlib.h>
#include <string.h>

#include "loader.h"

const char *config_default_path(void)
{
    return BELFRY_SYSCONFDIR "/belfry/belfry.conf";
}

struct config *config_hold(struct config *config)
{
    config->refs++;
    return config;
}

void config_release(struct config *config)
{
    if (config != NULL && --config->refs == 0)
        config_free(config);
}

const struct process_config *config_process(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->process_count; i++) {
        if (strcmp(config->processes[i]->name, name) == 0)
            return config->processes[i];
    }
    return NULL;
}

bool config_has_flow(const struct process_config *process)
{
    return process->step_names.count > 0 || process->work_items == WORK_ITEMS_API || process->secrets.count > 0;
}

size_t config_steps(const struct process_config *process)
{
    return process->step_names.count > 0 ? process->step_names.count : 1;
}

const struct process_config *config_step(const struct process_config *process, size_t step)
{
    return process->step_names.count > 0 ? process->steps[step] : process;
}

const struct process_config *config_step_named(const struct process_config *process, const char *name)
{
    for (size_t i = 0; process != NULL && i < config_steps(process); i++) {
        if (strcmp(config_step_name(config_step(process, i)), name) == 0)
            return config_step(process, i);
    }
    return NULL;
}

bool config_may_read_secret(const struct process_config *step, const char *secret)
{
    for (size_t i = 0; i < step->secrets.count; i++) {
        if (strcmp(step->secrets.items[i], secret) == 0)
            return true;
    }
    return false;
}

const char *config_step_name(const struct process_config *step)
{
    return step->step != NULL ? step->step : "main";
}

const struct workspace_config *config_workspace(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->workspace_count; i++) {
        if (strcmp(config->workspaces[i]->name, name) == 0)
            return config->workspaces[i];
    }
    return NULL;
}

const struct secret_config *config_secret(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->secret_count; i++) {
        if (strcmp(config->secrets[i]->name, name) == 0)
            return config->secrets[i];
    }
    return NULL;
}

static void free_workspace(struct workspace_config *w)
{
    free(w->name);
    free(w->id);
    free(w->api_url);
    secret_close(&w->api_key);
    free(w->ca_file);
    free(w->proxy);
    free(w->callback_url);
    free(w);
}

static void free_secret(struct secret_config *s)
{
    free(s->name);
    free(s->description);
    free(s->file);
    secret_close(&s->value);
    free(s);
}

static void free_process(struct process_config *p)
{
    for (size_t i = 0; p->steps != NULL && i < p->step_names.count; i++) {
        if (p->steps[i] != NULL)
            free_process(p->steps[i]);
    }
    free(p->steps);
    words_close(&p->step_names);
    free(p->step);
    free(p->name);
    free(p->process_id);
    free(p->process_name);
    words_close(&p->command);
    free(p->command_text);
    free(p->cwd);
    free(p->user);
    words_close(&p->env);
    words_close(&p->secrets);
    words_close(&p->artifacts);
    free(p->input);
    free(p);
}

static void free_schedule(struct schedule_config *s)
{
    free(s->name);
    free(s->cron_text);
    zone_put(s->timing.zone);
    free((void *)(uintptr_t)s->timing.skip);
    free((void *)(uintptr_t)s->timing.only);
    free(s->input);
}

static void free_watch(struct watch_config *w)
{
    free(w->name);
    free(w->path);
    words_close(&w->include);
    words_close(&w->exclude);
    free(w->marker);
    free(w->success.dir);
    free(w->failure.dir);
    free(w->input);
    free(w);
}

static void free_webhook(struct webhook_config *w)
{
    free(w->name);
    free(w->path);
    words_close(&w->methods);
    free(w->verify.header);
    free(w->verify.prefix);
    for (size_t i = 0; i < w->secret_count; i++)
        secret_close(&w->secrets[i]);
    free(w->secrets);
    free(w->allow_from);
    free(w->when);
    free(w->key);
    free(w->input);
    free(w);
}

static void free_calendar(struct calendar_config *c)
{
    free(c->name);
    days_close(&c->days);
    free(c);
}

#define FREE_LIST(list, count, free_one) \
    do { \
        for (size_t i = 0; i < (count); i++) \
            free_one((list)[i]); \
        free(list); \
    } while (0)

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->schedule_count; i++)
        free_schedule(&config->schedules[i]);
    free(config->schedules);
    FREE_LIST(config->watches, config->watch_count, free_watch);
    FREE_LIST(config->webhooks, config->webhook_count, free_webhook);
    FREE_LIST(config->processes, config->process_count, free_process);
    FREE_LIST(config->steps, config->step_count, free_process);
    FREE_LIST(config->workspaces, config->workspace_count, free_workspace);
    FREE_LIST(config->secrets, config->secret_count, free_secret);
    FREE_LIST(config->calendars, config->calendar_count, free_calendar);
    free(config->daemon.state_dir);
    free(config->daemon.results_dir);
    free(config->daemon.socket);
    words_close(&config->http.listen);
    free(config->http.tls_cert);
    free(config->http.tls_key);
    words_close(&config->syslog.targets);
    free(config->syslog.tag);
    free(config->path);
    free(config);
}
