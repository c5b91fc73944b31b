/* What a step finds in its environment: what a Control Room worker gives a robot, and Belfry's own words. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "belfry/base/time.h"
#include "local_internal.h"

static void put(struct buf *order, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_addf(order, "env=%s=%s", name, value);
    buf_addc(order, '\0');
}

static void put_in_folder(struct buf *order, const char *name, const char *folder, const char *rest)
{
    buf_addf(order, "env=%s=%s/%s", name, folder, rest);
    buf_addc(order, '\0');
}

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

static void person(struct buf *order, const struct process_config *process)
{
    const struct passwd *pw = process->user != NULL ? getpwnam(process->user) : getpwuid(geteuid());

    if (!named(process, "PATH"))
        put(order, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    if (!named(process, "LANG"))
        put(order, "LANG", getenv("LANG"));
    if (!named(process, "TZ"))
        put(order, "TZ", getenv("TZ"));
    if (pw == NULL)
        return;
    if (!named(process, "HOME"))
        put(order, "HOME", pw->pw_dir);
    if (!named(process, "USER"))
        put(order, "USER", pw->pw_name);
    if (!named(process, "LOGNAME"))
        put(order, "LOGNAME", pw->pw_name);
    if (!named(process, "SHELL"))
        put(order, "SHELL", pw->pw_shell);
}

static void control_room(struct buf *order, const struct local *b, const struct run_record *run,
                         const struct process_config *process, const char *folder)
{
    char step[ID_SIZE];

    id_from_name("step run", run->id, step);
    put(order, "RC_WORKSPACE_ID", b->workspace->id);
    put(order, "RC_PROCESS_ID", process->id);
    put(order, "RC_PROCESS_RUN_ID", run->id);
    put(order, "RC_STEP_RUN_ID", step);
    put(order, "RC_ACTIVITY_RUN_ID", step);
    put(order, "RC_WORKITEM_ADAPTER", "FileAdapter");
    put(order, "RPA_WORKITEMS_ADAPTER", "RPA.Robocorp.WorkItems.FileAdapter");
    put_in_folder(order, "RC_WORKITEM_INPUT_PATH", folder, "work-items-in/workitems.json");
    put_in_folder(order, "RC_WORKITEM_OUTPUT_PATH", folder, "work-items-out/workitems.json");
    put_in_folder(order, "RPA_INPUT_WORKITEM_PATH", folder, "work-items-in/workitems.json");
    put_in_folder(order, "RPA_OUTPUT_WORKITEM_PATH", folder, "work-items-out/workitems.json");
    put_in_folder(order, "ROBOT_ROOT", folder, "work");
    put_in_folder(order, "ROBOT_ARTIFACTS", folder, "work/output");
}

void local_environment(struct buf *order, const struct local *b, const struct run_record *run,
                       const struct process_config *process, const char *folder, const char *file_path)
{
    char due[TIME_TEXT_SIZE];

    person(order, process);
    control_room(order, b, run, process, folder);
    put(order, "BELFRY_RUN_ID", run->id);
    put(order, "BELFRY_PROCESS", process->name);
    buf_addf(order, "env=BELFRY_TRIGGER=%s/%s", trigger_kind_name(run->trigger_kind), run->trigger_name);
    buf_addc(order, '\0');
    buf_addf(order, "env=BELFRY_ATTEMPT=%u", run->attempt);
    buf_addc(order, '\0');
    if (run->due_ms != 0) {
        time_format(run->due_ms, due);
        put(order, "BELFRY_DUE", due);
    }
    put_in_folder(order, "BELFRY_INPUT", folder, "input.json");
    put(order, "BELFRY_FILE", file_path);
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
