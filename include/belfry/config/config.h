/*
 * The configuration: typed, checked, and never changed once it is loaded. A reload makes a new one; whoever still needs
 * the old one holds a reference.
 */
#ifndef BELFRY_CONFIG_CONFIG_H
#define BELFRY_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "belfry/base/buf.h"
#include "belfry/base/error.h"
#include "belfry/base/id.h"
#include "belfry/base/secret.h"
#include "belfry/calendar/schedule.h"
#include "belfry/core/overlap.h"

/* A list of words on the heap. */
struct words {
    char **items;
    size_t count;
};

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_JOURNAL };

struct daemon_config {
    char *state_dir;
    char *results_dir;
    char *socket;
    int64_t max_runs;
    int64_t log_level;          /* enum log_level of base/log.h */
    int64_t log_to;             /* enum log_target */
    int64_t keep_runs_ms;
    int64_t keep_results_ms;
};

struct http_config {
    struct words listen;        /* "127.0.0.1:8750", "[::1]:8750"; empty for none */
    char *tls_cert;             /* NULL when not set */
    char *tls_key;
    int64_t max_body;
    int64_t max_connections;
    int64_t idle_timeout_ms;
};

struct syslog_config {
    struct words targets;       /* each well formed: "local", "local:/PATH", "udp://HOST:PORT", "tcp://HOST:PORT", "journal" */
    int64_t facility;           /* RFC 5424 number, 0–23 */
    char *tag;
};

enum workspace_type { WORKSPACE_ROBOCORP, WORKSPACE_LOCAL };
enum robocorp_api { ROBOCORP_V1, ROBOCORP_PROCESS_V1, ROBOCORP_PROCESS_SECRET };

struct workspace_config {
    char *name;
    int64_t type;               /* enum workspace_type */
    char *id;                   /* local: never NULL (made of the name when not set) */
    char *api_url;
    int64_t api;                /* enum robocorp_api */
    struct secret api_key;
    char *ca_file;
    char *proxy;
    bool viewable_keys;         /* local: the values of keys are kept, sealed; else their hashes alone */
    char *callback_url;         /* robocorp v1: where this daemon's /callbacks can be reached, or NULL */
    int64_t rate;               /* requests a second */
    int64_t poll_min_ms;
    int64_t poll_max_ms;
};

/* Which results are brought home: bits. */
#define ARTIFACTS_MAX (INT64_C(10) << 30)   /* artifacts_max, where nothing says otherwise */

enum { RESULTS_ARTIFACTS = 1, RESULTS_WORK_ITEMS = 2, RESULTS_LOG = 4, RESULTS_ALL = 7 };

enum work_items { WORK_ITEMS_UNSET, WORK_ITEMS_API, WORK_ITEMS_FILE };

#define SECRET_TEXT_MAX 65536

/* What runs may be given from the vault: a JSON object. */
struct secret_config {
    char *name;
    char *description;          /* NULL: none */
    char *file;                 /* that holds it, and is read anew each time; or NULL: */
    struct secret value;
    bool writable;              /* runs may put another value into the file */
};

/* A process; and a step of one, which is all that a process with a command is. */
struct process_config {
    char *name;                 /* the process's, for its steps too; of a [step …] as it is written, the step's */
    char *step;                 /* the step's name; NULL: this is a process */
    struct config *config;      /* that it lies in: hold it to keep the process */
    char id[ID_SIZE];           /* the process's id for the API: of the name, stable */
    const struct workspace_config *workspace;
    char *process_id;           /* remote: one of these two */
    char *process_name;
    struct words command;       /* local: argv, split at configuration time (quotes as a shell has them, nothing expanded) */
    char *command_text;         /* local: the value as written, given to `sh -c` when shell is yes */
    bool shell;
    char *cwd;                  /* NULL: the step's own folder */
    char *user;                 /* NULL: the daemon's */
    struct words env;           /* NAME=VALUE each */
    struct words secrets;       /* local: names of [secret …]: what its runs may read from the vault */
    int64_t timeout_ms;         /* 0: none */
    int64_t kill_grace_ms;
    struct words artifacts;     /* globs relative to the step's folder */
    int64_t artifacts_max;      /* bytes of all files of a run; 0: no limit */
    int64_t overlap;            /* enum overlap; OVERLAP_UNSET when not set */
    int64_t max_parallel;       /* 0: what the overlap policy says */
    int64_t queue_limit;
    int64_t retries;
    int64_t retry_delay_ms;
    unsigned retry_on;          /* bits of core/run.h's end states, 1 << RUN_FAILED … */
    char *input;                /* jq program, or NULL */
    struct words step_names;    /* local: as written, or none: it has a command */
    struct process_config **steps;   /* of its own, with what they have of the process; as many as there are names */
    int64_t work_items;         /* enum work_items; of a process with steps perhaps WORK_ITEMS_UNSET: the API */
    bool each;                  /* of a step: a step run for each work item */
    unsigned results;           /* RESULTS_… bits */
    int64_t keep_results_ms;
};

struct calendar_config {
    char *name;
    struct days days;
};

enum catchup { CATCHUP_LAST, CATCHUP_NONE, CATCHUP_ALL };

struct schedule_config {
    char *name;
    const struct process_config *process;
    char *cron_text;            /* NULL when `every` */
    struct timing timing;       /* zone held by the config */
    int64_t jitter_ms;
    int64_t overlap;
    int64_t catchup;            /* enum catchup */
    int64_t catchup_window_ms;
    char *input;
    bool paused;
};

enum watch_mode { WATCH_AUTO, WATCH_INOTIFY, WATCH_POLL };
enum watch_identity { WATCH_BY_STAT, WATCH_BY_SHA256 };
enum watch_order { WATCH_BY_NAME, WATCH_BY_MTIME, WATCH_BY_SIZE };
enum after_kind { AFTER_KEEP, AFTER_DELETE, AFTER_MOVE };

struct after_config {
    int64_t kind;               /* enum after_kind */
    char *dir;                  /* AFTER_MOVE */
};

struct watch_config {
    char *name;
    const struct process_config *process;
    char *path;
    struct words include;       /* globs on file names; empty: all but hidden files and editors' temporaries */
    struct words exclude;
    bool recursive;
    int64_t mode;               /* enum watch_mode */
    int64_t poll_interval_ms;
    int64_t settle_ms;
    char *marker;               /* "%f.done"; NULL: none */
    bool existing;              /* files that are there at the first start: run (true) or ignore */
    int64_t identity;           /* enum watch_identity */
    int64_t batch;              /* 0: all */
    int64_t order;              /* enum watch_order */
    bool attach;
    struct after_config success;
    struct after_config failure;
    int64_t overlap;
    char *input;
    bool paused;
};

enum verify_scheme { VERIFY_NONE, VERIFY_BEARER, VERIFY_BASIC, VERIFY_GITHUB, VERIFY_GITLAB, VERIFY_SLACK, VERIFY_STRIPE,
    VERIFY_STANDARD, VERIFY_HMAC };

struct verify_config {
    int64_t scheme;             /* enum verify_scheme */
    char *header;               /* VERIFY_HMAC */
    char *prefix;               /* "" when none */
    bool base64;                /* else hex */
};

struct network {
    uint8_t address[16];        /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;               /* 0–128 */
};

struct webhook_config {
    char *name;
    const struct process_config *process;
    char *path;
    struct words methods;
    struct verify_config verify;
    struct secret *secrets;     /* any one may match */
    size_t secret_count;
    int64_t tolerance_ms;
    struct network *allow_from; /* none: everybody */
    size_t allow_count;
    char *when;                 /* jq programs or NULL */
    char *key;
    char *input;
    int64_t rate;               /* requests a second, 0: no limit */
    int64_t max_body;
    bool respond_result;
    int64_t wait_ms;
    int64_t overlap;
    bool paused;
};

struct notify_config {
    char *name;
    unsigned on;                /* bits of end states */
    struct words processes;     /* empty: all */
    struct words command;
    char *url;
    struct secret secret;
};

struct config {
    char *path;                 /* the main file, absolute */
    struct daemon_config daemon;
    struct http_config http;
    struct syslog_config syslog;
    struct workspace_config **workspaces;   size_t workspace_count;
    struct process_config **processes;      size_t process_count;
    struct process_config **steps;          size_t step_count;       /* as they are written */
    struct secret_config **secrets;         size_t secret_count;
    struct calendar_config **calendars;     size_t calendar_count;
    struct schedule_config *schedules;      size_t schedule_count;   /* one block: ten thousand are normal */
    struct watch_config **watches;          size_t watch_count;
    struct webhook_config **webhooks;       size_t webhook_count;
    struct notify_config **notifies;        size_t notify_count;
    int refs;
};

/* Checks a jq program (compiles it): 0, or BF_EINVAL with jq's words in *err. Given from outside, so that this room needs
 * no child process; NULL checks nothing. */
typedef int (*config_check_program)(void *data, const char *program, struct error *err);

/* Reads FILE and conf.d/'s *.conf files beside it, expands, checks everything. On success *config is set (refs 1) and
 * `report` holds the warnings, one a line. On failure BF_EINVAL (or BF_ENOENT, BF_EACCES, BF_EIO for the main file):
 * `report` holds every problem as "FILE:LINE: [section] key: what is wrong", in file and line order, and *config is
 * NULL. */
int config_load(const char *path, config_check_program check, void *check_data, struct config **config,
                struct buf *report);
struct config *config_hold(struct config *config);
void config_release(struct config *config);

/* By name; NULL when there is none. */
const struct process_config *config_process(const struct config *config, const char *name);
const struct workspace_config *config_workspace(const struct config *config, const char *name);
const struct secret_config *config_secret(const struct config *config, const char *name);
/* The step of that name; NULL when there is none, or no process. */
const struct process_config *config_step_named(const struct process_config *process, const char *name);
/* True when runs of the step (or process with a command) may read that secret. */
bool config_may_read_secret(const struct process_config *step, const char *secret);

/* True when its runs go through steps, or use what is served to runs: they have a flow (core/flow.h). */
bool config_has_flow(const struct process_config *process);
/* How many steps it has (at least one), and one of them: of a process with a command, the process itself. */
size_t config_steps(const struct process_config *process);
const struct process_config *config_step(const struct process_config *process, size_t step);
/* "main" for the one step of a process with a command. */
const char *config_step_name(const struct process_config *step);

/* The path used when none is given: $sysconfdir/belfry/belfry.conf. */
const char *config_default_path(void);
/* Only [daemon] socket of a configuration, for the command line: 0 with *socket on the heap, or a BF_E…. Other problems
 * in the file do not matter. */
int config_socket(const char *path, char **socket, struct error *err);

#endif
