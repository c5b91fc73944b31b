/* What keys say together. */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/text.h"
#include "loader.h"

static bool has(const struct section *s, const char *key)
{
    return setting_of(s, key) != NULL;
}

/* Any of the keys that belong to the other kind of workspace or process. */
static void none_of(struct loader *l, const struct section *s, const char *const keys[], const char *why)
{
    for (; *keys != NULL; keys++) {
        if (has(s, *keys))
            complain(l, s, setting_of(s, *keys), "%s", why);
    }
}

static void check_http(struct loader *l, struct section *s)
{
    static const char *const tls[] = { "tls_cert", "tls_key", NULL };

    none_of(l, s, tls, "TLS is not served by this version: put a reverse proxy in front");
}

static bool is_loopback_url(const char *url)
{
    char host[64];
    size_t len;

    if (strncmp(url, "http://", 7) != 0)
        return false;
    url += 7;
    len = *url == '[' ? strcspn(url, "]") + 1 : strcspn(url, ":/?#@");
    if (len >= sizeof host || (url[len] != '\0' && strchr(":/", url[len]) == NULL))
        return false;
    memcpy(host, url, len);
    host[len] = '\0';
    return is_loopback(host);
}

/* Each dialect was served at a place of its own. */
static void set_api_url(struct workspace_config *w)
{
    static const char *const urls[] = { [ROBOCORP_V1] = "https://cloud.robocorp.com/api/v1",
        [ROBOCORP_PROCESS_V1] = "https://api.eu1.robocorp.com/process-v1",
        [ROBOCORP_PROCESS_SECRET] = "https://api.eu1.robocloud.eu/workspace-v1" };
    char *url = strdup(urls[w->api]);

    if (url == NULL)
        abort();
    free(w->api_url);
    w->api_url = url;
}

static void check_workspace(struct loader *l, struct section *s)
{
    static const char *const local[] = { "viewable_keys", NULL };
    static const char *const remote[] = { "api_url", "api", "api_key", "ca_file", "proxy", "callback_url", "rate", "poll_min",
        "poll_max", NULL };
    struct workspace_config *w = s->target;

    if (!has(s, "type")) {
        complain(l, s, NULL, "type is missing: robocorp or local");
        return;
    }
    if (strcmp(setting_of(s, "type")->value, "robocorp") != 0 && strcmp(setting_of(s, "type")->value, "local") != 0)
        return;   /* what else it should have depends on that */
    if (w->type == WORKSPACE_LOCAL) {
        none_of(l, s, remote, "a local workspace has no such key");
        if (w->id == NULL && (w->id = calloc(1, ID_SIZE)) != NULL)
            id_from_name("workspace", w->name, w->id);
        return;
    }
    none_of(l, s, local, "a workspace of a Control Room has no such key: its API keys are made there");
    if (w->id == NULL)
        complain(l, s, NULL, "id is missing: the workspace's id at the Control Room");
    if (!has(s, "api_key"))
        complain(l, s, NULL, "the API key is missing: api_key_file, api_key_env or api_key_credential");
    if (!has(s, "api_url"))
        set_api_url(w);
    if (strncmp(w->api_url, "https://", 8) != 0 && !is_loopback_url(w->api_url))
        complain(l, s, setting_of(s, "api_url"), "the URL has to begin with https:// (http:// is for loopback addresses): the key"
                 " would travel for all to read");
    if (w->callback_url != NULL && w->api != ROBOCORP_V1)
        complain(l, s, setting_of(s, "callback_url"), "only api = v1 takes a callback with a start");
    else if (w->callback_url != NULL && strncmp(w->callback_url, "https://", 8) != 0 && strncmp(w->callback_url, "http://", 7) != 0)
        complain(l, s, setting_of(s, "callback_url"), "this is no URL: https://HOST/callbacks");
    if (w->poll_min_ms > w->poll_max_ms)
        complain(l, s, setting_of(s, "poll_min"), "poll_min is longer than poll_max");
}

static void check_user(struct loader *l, const struct section *s, const struct process_config *p)
{
    const struct passwd *pw = getpwnam(p->user);

    if (pw == NULL)
        complain(l, s, setting_of(s, "user"), "there is no user %s", p->user);
    else if (geteuid() != 0 && pw->pw_uid != geteuid())
        complain(l, s, setting_of(s, "user"), "only a daemon that runs as root can run a command as %s", p->user);
}

static void check_secret(struct loader *l, struct section *s)
{
    const struct secret_config *c = s->target;

    if (!has(s, "value"))
        complain(l, s, NULL, "the secret is missing: value_file, value_env or value_credential");
    else if (c->writable && strcmp(setting_of(s, "value")->key, "value_file") != 0)
        complain(l, s, setting_of(s, "writable"), "only what lies in a value_file can be written");
    if (strcmp(c->name, "publicKey") == 0)
        complain(l, s, NULL, "the vault's own key has that name: choose another");
}

static void check_step(struct loader *l, struct section *s)
{
    const struct process_config *p = s->target;

    if (!has(s, "command"))
        complain(l, s, NULL, "command is missing");
    if (p->user != NULL)
        check_user(l, s, p);
}

static void check_local_process(struct loader *l, struct section *s, struct process_config *p)
{
    static const char *const of_command[] = { "shell", NULL };

    if (!has(s, "command") && !has(s, "steps"))
        complain(l, s, NULL, "command is missing, or steps");
    else if (has(s, "command") && has(s, "steps"))
        complain(l, s, setting_of(s, "steps"), "one of command and steps has to be there, and not both");
    else if (has(s, "steps"))
        none_of(l, s, of_command, "that is for each [step …] to say");
    else if (p->work_items == WORK_ITEMS_UNSET)
        p->work_items = WORK_ITEMS_FILE;
    if (p->user != NULL)
        check_user(l, s, p);
    steps_of_process(l, p);
}

static void check_process(struct loader *l, struct section *s)
{
    static const char *const remote[] = { "process_id", "process_name", NULL };
    static const char *const local[] = { "command", "steps", "work_items", "shell", "cwd", "user", "env", "secrets", "artifacts",
        "artifacts_max", "kill_grace", NULL };
    struct process_config *p = s->target;

    id_from_name("process", p->name, p->id);
    if (!has(s, "workspace")) {
        complain(l, s, NULL, "workspace is missing: the [workspace …] that it lives in");
        return;
    }
    if (p->workspace == NULL)
        return;
    if (p->workspace->type == WORKSPACE_LOCAL) {
        none_of(l, s, remote, "a process of a local workspace has no such key");
        check_local_process(l, s, p);
        return;
    }
    none_of(l, s, local, "a process of a Control Room has no such key");
    if (has(s, "process_id") == has(s, "process_name"))
        complain(l, s, NULL, "one of process_id and process_name has to be there, and not both");
    else if (p->workspace->api == ROBOCORP_PROCESS_SECRET && has(s, "process_name"))
        complain(l, s, setting_of(s, "process_name"), "api = process-secret cannot look a process up: give its process_id");
}

static void needs_process(struct loader *l, const struct section *s)
{
    if (!has(s, "process"))
        complain(l, s, NULL, "process is missing: the [process …] to run");
}

static void check_schedule(struct loader *l, struct section *s)
{
    struct schedule_config *c = s->target;

    needs_process(l, s);
    if (has(s, "cron") == has(s, "every"))
        complain(l, s, NULL, "one of cron and every has to be there, and not both");
    if (c->timing.start_ms != 0 && c->timing.end_ms != 0 && c->timing.end_ms < c->timing.start_ms)
        complain(l, s, setting_of(s, "end"), "the end lies before the start");
}

static void check_watch(struct loader *l, struct section *s)
{
    needs_process(l, s);
    if (!has(s, "path"))
        complain(l, s, NULL, "path is missing: the folder to watch");
}

static void check_webhook(struct loader *l, struct section *s)
{
    struct webhook_config *w = s->target;
    struct buf path = { 0 };

    needs_process(l, s);
    if (w->path == NULL) {
        buf_addf(&path, "/hooks/%s", w->name);
        w->path = buf_take(&path);
    } else if (w->path[0] != '/' || strstr(w->path, "//") != NULL || strstr(w->path, "/.") != NULL ||
               strpbrk(w->path, "?#% \t") != NULL) {
        complain(l, s, setting_of(s, "path"), "\"%s\" is no plain path: write /hooks/name", w->path);
    } else if (strncmp(w->path, "/api/", 5) == 0 || strncmp(w->path, "/belfry/", 8) == 0 || strcmp(w->path, "/") == 0 ||
               strcmp(w->path, "/metrics") == 0 || strcmp(w->path, "/healthz") == 0 || strcmp(w->path, "/readyz") == 0) {
        complain(l, s, setting_of(s, "path"), "\"%s\" belongs to Belfry itself: write /hooks/name", w->path);
    }
    if (!has(s, "verify"))
        complain(l, s, NULL, "verify is missing: how a sender is known (none, if anybody may ring)");
    else if (w->verify.scheme != VERIFY_NONE && !has(s, "secret"))
        complain(l, s, setting_of(s, "verify"), "the secret is missing: secret_file, secret_env or secret_credential");
    else if (w->verify.scheme == VERIFY_NONE && has(s, "secret"))
        complain(l, s, setting_of(s, "secret"), "verify = none uses no secret");
}

struct check_row {
    const char *kind;
    void (*check)(struct loader *l, struct section *s);
};

static const struct check_row checks[] = {
    { "http", check_http },
    { "workspace", check_workspace },
    { "secret", check_secret },
    { "step", check_step },
    { "process", check_process },
    { "schedule", check_schedule },
    { "watch", check_watch },
    { "webhook", check_webhook },
};

void check_section(struct loader *l, struct section *s)
{
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (strcmp(checks[i].kind, s->row->kind) == 0)
            checks[i].check(l, s);
    }
}

/* Two webhooks must not share a path. */
void check_all(struct loader *l)
{
    check_steps_reach_us(l);
    for (struct section *s = l->first; s != NULL; s = s->next) {
        const struct webhook_config *w = s->target;

        if (strcmp(s->row->kind, "webhook") != 0 || w->path == NULL)
            continue;
        for (const struct section *o = l->first; o != s; o = o->next) {
            if (strcmp(o->row->kind, "webhook") == 0 && strcmp(((struct webhook_config *)o->target)->path, w->path) == 0)
                complain(l, s, setting_of(s, "path"), "the path %s is taken by [%s]", w->path, o->title);
        }
    }
}
