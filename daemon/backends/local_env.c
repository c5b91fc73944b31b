/* What a step finds in its environment: what a Control Room worker gives a robot, and Belfry's own words. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/time.h"
#include "local_internal.h"

struct naming {
    struct buf *order;
    const struct process_config *process;
};

/* Named by the process itself: it wins over what Belfry would say. */
static bool named(const struct process_config *process, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < process->env.count; i++) {
        if (strncmp(process->env.items[i], name, len) == 0 && process->env.items[i][len] == '=')
            return true;
    }
    return false;
}

static void put(const struct naming *n, const char *name, const char *value)
{
    if (value == NULL || named(n->process, name))
        return;
    buf_addf(n->order, "env=%s=%s", name, value);
    buf_addc(n->order, '\0');
}

static void put_in_folder(const struct naming *n, const char *name, const char *folder, const char *rest)
{
    struct buf path = { 0 };

    buf_addf(&path, "%s/%s", folder, rest);
    put(n, name, buf_str(&path));
    buf_close(&path);
}

static void person(const struct naming *n)
{
    const struct passwd *pw = n->process->user != NULL ? getpwnam(n->process->user) : getpwuid(geteuid());

    put(n, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    put(n, "LANG", getenv("LANG"));
    put(n, "TZ", getenv("TZ"));
    if (pw == NULL)
        return;
    put(n, "HOME", pw->pw_dir);
    put(n, "USER", pw->pw_name);
    put(n, "LOGNAME", pw->pw_name);
    put(n, "SHELL", pw->pw_shell);
}

/* The lists of the file adapter. */
static void item_lists(const struct naming *n, const char *folder, const struct local_task *task)
{
    if (task == NULL || !task->api) {
        put(n, "RC_WORKITEM_ADAPTER", "FileAdapter");
        put(n, "RPA_WORKITEMS_ADAPTER", "RPA.Robocorp.WorkItems.FileAdapter");
    }
    put_in_folder(n, "RC_WORKITEM_INPUT_PATH", folder, "work-items-in/workitems.json");
    put_in_folder(n, "RC_WORKITEM_OUTPUT_PATH", folder, "work-items-out/workitems.json");
    put_in_folder(n, "RPA_INPUT_WORKITEM_PATH", folder, "work-items-in/workitems.json");
    put_in_folder(n, "RPA_OUTPUT_WORKITEM_PATH", folder, "work-items-out/workitems.json");
}

static void item_api(const struct naming *n, const struct local_task *task)
{
    struct buf v1 = { 0 };

    buf_addf(&v1, "%s/api/v1", task->api_url);
    put(n, "RC_WORKITEM_ID", task->item_id);
    put(n, "RC_API_WORKITEM_HOST", task->api_url);
    put(n, "RC_API_WORKITEM_TOKEN", task->token);
    put(n, "RC_API_PROCESS_HOST", task->api_url);
    put(n, "RC_API_PROCESS_TOKEN", task->token);
    put(n, "RC_API_URL_V1", buf_str(&v1));
    put(n, "RC_API_TOKEN_V1", task->token);
    buf_close(&v1);
}

static void vault(const struct naming *n, const struct local_task *task)
{
    put(n, "RC_API_SECRET_HOST", task->api_url);
    put(n, "RC_API_SECRET_TOKEN", task->token);
}

static void control_room(const struct naming *n, const struct local *b, const struct run_record *run, const struct local_task *task,
                         const char *folder)
{
    char step[ID_SIZE];

    if (task != NULL)
        memcpy(step, run->id, sizeof step);
    else
        run_step_id(run->id, step);
    put(n, "RC_ORGANIZATION_ID", "belfry");
    put(n, "RC_WORKSPACE_ID", b->workspace->id);
    put(n, "RC_PROCESS_ID", n->process->id);
    put(n, "RC_PROCESS_RUN_ID", task != NULL ? task->run_id : run->id);
    put(n, "RC_STEP_RUN_ID", step);
    put(n, "RC_ACTIVITY_RUN_ID", step);
    item_lists(n, folder, task);
    if (task != NULL && task->api)
        item_api(n, task);
    if (task != NULL && n->process->secrets.count > 0)
        vault(n, task);
    put_in_folder(n, "ROBOT_ROOT", folder, "work");
    put_in_folder(n, "ROBOT_ARTIFACTS", folder, "work/output");
}

static void belfry(const struct naming *n, const struct run_record *run, const struct local_task *task, const char *folder,
                   const char *file_path)
{
    struct buf trigger = { 0 };
    char due[TIME_TEXT_SIZE], attempt[16];

    buf_addf(&trigger, "%s/%s", trigger_kind_name(run->trigger_kind), run->trigger_name);
    (void)snprintf(attempt, sizeof attempt, "%u", task != NULL ? task->attempt : run->attempt);
    put(n, "BELFRY_RUN_ID", task != NULL ? task->run_id : run->id);
    put(n, "BELFRY_PROCESS", n->process->name);
    put(n, "BELFRY_STEP", config_step_name(n->process));
    put(n, "BELFRY_TRIGGER", buf_str(&trigger));
    put(n, "BELFRY_ATTEMPT", attempt);
    if (run->due_ms != 0) {
        time_format(run->due_ms, due);
        put(n, "BELFRY_DUE", due);
    }
    put_in_folder(n, "BELFRY_INPUT", folder, "input.json");
    put(n, "BELFRY_FILE", file_path);
    buf_close(&trigger);
}

void local_environment(struct buf *order, const struct local *b, const struct run_record *run,
                       const struct process_config *process, const struct local_task *task, const char *folder, const char *file_path)
{
    const struct naming n = { .order = order, .process = process };

    person(&n);
    control_room(&n, b, run, task, folder);
    belfry(&n, run, task, folder, file_path);
    for (size_t i = 0; i < process->env.count; i++) {
        buf_addf(order, "env=%s", process->env.items[i]);
        buf_addc(order, '\0');
    }
}

int local_identity(struct buf *order, const struct process_config *process, struct error *err)
{
    gid_t groups[64];
    int count = (int)(sizeof groups / sizeof *groups);
    struct passwd *pw;

    if (process->user == NULL)
        return 0;
    errno = 0;
    pw = getpwnam(process->user);
    if (pw == NULL)
        return error_set(err, BF_ENOENT, "there is no user %s (process %s)", process->user, process->name);
    if (pw->pw_uid == geteuid())
        return 0;
    if (getgrouplist(process->user, pw->pw_gid, groups, &count) < 0)
        return error_set(err, BF_ETOOBIG, "the user %s is in more than 64 groups (process %s)", process->user, process->name);
    buf_addf(order, "uid=%u", (unsigned)pw->pw_uid);
    buf_addc(order, '\0');
    buf_addf(order, "gid=%u", (unsigned)pw->pw_gid);
    buf_addc(order, '\0');
    for (int i = 0; i < count; i++) {
        buf_addf(order, "group=%u", (unsigned)groups[i]);
        buf_addc(order, '\0');
    }
    return 0;
}
