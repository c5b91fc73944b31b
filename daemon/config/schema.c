/* The configuration's one table. */
#include "belfry/config/schema.h"

#include "belfry/config/config.h"

#define STATE_DIR BELFRY_LOCALSTATEDIR "/lib/belfry"

static const struct key_row daemon_keys[] = {
    { "state_dir", KEY_PATH, offsetof(struct daemon_config, state_dir), STATE_DIR, NULL, 0, 0,
      "Folder of the database, of the folders of local runs and of what is spooled. Made when it is not there." },
    { "results_dir", KEY_PATH, offsetof(struct daemon_config, results_dir), STATE_DIR "/results", NULL, 0, 0,
      "Folder below which result folders are made: PROCESS/YYYY-MM-DD/RUN-ID." },
    { "socket", KEY_PATH, offsetof(struct daemon_config, socket), "/run/belfry/belfry.sock", NULL, 0, 0,
      "The Unix socket that the command line talks to. Its mode, 0660, is its lock." },
    { "max_runs", KEY_INT, offsetof(struct daemon_config, max_runs), "64", NULL, 1, 1000000,
      "How many runs may be starting or running at once, over all processes." },
    { "log_level", KEY_CHOICE, offsetof(struct daemon_config, log_level), "info",
      "- - - error warning notice info debug", 0, 0,
      "How much Belfry says of itself." },
    { "log_to", KEY_CHOICE, offsetof(struct daemon_config, log_to), "stderr", "stderr syslog journal", 0, 0,
      "Where it says so. Result lines of runs go where [syslog] says." },
    { "keep_runs", KEY_DURATION, offsetof(struct daemon_config, keep_runs_ms), "90d", NULL, 0, 0,
      "How long the records of ended runs are kept, and work items that were marked as done before a run took them. What is older"
      " goes once a day, and when a reload makes this or keep_results shorter." },
    { "keep_results", KEY_DURATION, offsetof(struct daemon_config, keep_results_ms), "90d", NULL, 0, 0,
      "How long result folders are kept after their runs have ended. A process may say otherwise." },
    { .name = NULL },
};

static const struct key_row http_keys[] = {
    { "listen", KEY_CUSTOM, offsetof(struct http_config, listen), "127.0.0.1:8750", NULL, 0, 0,
      "Addresses to listen on, separated by white space: HOST:PORT, or [HOST]:PORT for IPv6; none for no TCP. "
      "An address other than the loopback is refused: put a reverse proxy with TLS in front." },
    { "tls_cert", KEY_PATH, offsetof(struct http_config, tls_cert), NULL, NULL, 0, 0,
      "Not supported by this version: put a reverse proxy with TLS in front." },
    { "tls_key", KEY_PATH, offsetof(struct http_config, tls_key), NULL, NULL, 0, 0,
      "Not supported by this version: put a reverse proxy with TLS in front." },
    { "max_body", KEY_SIZE, offsetof(struct http_config, max_body), "1M", NULL, 1, INT64_C(4294967296),
      "The largest body of a request. A webhook may say otherwise." },
    { "max_connections", KEY_INT, offsetof(struct http_config, max_connections), "512", NULL, 1, 100000,
      "TCP connections at once; one more is answered 503. The socket has as many of its own." },
    { "idle_timeout", KEY_DURATION, offsetof(struct http_config, idle_timeout_ms), "30s", NULL, 100, 86400000,
      "How long a kept connection may be idle between requests, and a body may rest before its next piece comes." },
    { .name = NULL },
};

static const struct key_row syslog_keys[] = {
    { "target", KEY_CUSTOM, offsetof(struct syslog_config, targets), "local", NULL, 0, 0,
      "Targets, separated by white space: local (/dev/log), local:/PATH, udp://HOST:514, tcp://HOST:601, "
      "journal, none." },
    { "facility", KEY_CHOICE, offsetof(struct syslog_config, facility), "daemon",
      "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp "
      "- - - - local0 local1 local2 local3 local4 local5 local6 local7", 0, 0,
      "The syslog facility." },
    { "tag", KEY_STRING, offsetof(struct syslog_config, tag), "belfry", NULL, 0, 0,
      "The lines' tag (APP-NAME)." },
    { .name = NULL },
};

static const struct key_row workspace_keys[] = {
    { "type", KEY_CHOICE, offsetof(struct workspace_config, type), NULL, "robocorp local", 0, 0,
      "robocorp, a workspace of a Control Room; local, this machine." },
    { "id", KEY_STRING, offsetof(struct workspace_config, id), NULL, NULL, 0, 0,
      "The workspace's id at the Control Room. A local one has an id made of its name unless it is given one." },
    { "api_url", KEY_STRING, offsetof(struct workspace_config, api_url), "https://cloud.robocorp.com/api/v1",
      NULL, 0, 0,
      "robocorp: the API's base URL. The default is that of v1; process-v1 has https://api.eu1.robocorp.com/process-v1,"
      " process-secret https://api.eu1.robocloud.eu/workspace-v1." },
    { "api", KEY_CHOICE, offsetof(struct workspace_config, api), "v1", "v1 process-v1 process-secret", 0, 0,
      "robocorp: the dialect. process-v1 is the older workspace API: it cannot stop a run. process-secret is the oldest: the"
      " key is the process's secret, a run takes one payload and no files, and a start without an answer cannot be looked up:"
      " it stays unconfirmed until a person cancels it." },
    { "api_key", KEY_SECRET, offsetof(struct workspace_config, api_key), NULL, NULL, 0, 0,
      "robocorp: the API key." },
    { "ca_file", KEY_PATH, offsetof(struct workspace_config, ca_file), NULL, NULL, 0, 0,
      "robocorp: certificates to trust instead of the system's." },
    { "proxy", KEY_STRING, offsetof(struct workspace_config, proxy), NULL, NULL, 0, 0,
      "robocorp: an HTTP proxy, http://HOST:PORT. The environment's proxies are not used." },
    { "viewable_keys", KEY_BOOL, offsetof(struct workspace_config, viewable_keys), "yes", NULL, 0, 0,
      "local: an API key's value is kept, sealed under the master key, so that belfry keys show can show it. With no, a hash is"
      " kept alone: the value is shown once, when the key is made; and the values of keys that are there already are forgotten." },
    { "callback_url", KEY_STRING, offsetof(struct workspace_config, callback_url), NULL, NULL, 0, 0,
      "robocorp with api = v1: the URL under which the Control Room reaches this daemon's /callbacks, as"
      " https://HOST/callbacks. Each start then carries a callback with a secret of its own, and the end of a run is known at"
      " once; runs are polled all the same." },
    { "rate", KEY_INT, offsetof(struct workspace_config, rate), "10", NULL, 1, 10000,
      "robocorp: requests a second, at most, over all that is done with this workspace." },
    { "poll_min", KEY_DURATION, offsetof(struct workspace_config, poll_min_ms), "1s", NULL, 100, 3600000,
      "robocorp: how soon a run is looked at after its start." },
    { "poll_max", KEY_DURATION, offsetof(struct workspace_config, poll_max_ms), "30s", NULL, 100, 86400000,
      "robocorp: how seldom a long run is looked at." },
    { .name = NULL },
};

static const struct key_row process_keys[] = {
    { "workspace", KEY_REF, offsetof(struct process_config, workspace), NULL, "workspace", 0, 0,
      "The workspace that it lives in." },
    { "process_id", KEY_STRING, offsetof(struct process_config, process_id), NULL, NULL, 0, 0,
      "remote: the process's id." },
    { "process_name", KEY_STRING, offsetof(struct process_config, process_name), NULL, NULL, 0, 0,
      "remote: or its name, which is looked up." },
    { "command", KEY_CUSTOM, offsetof(struct process_config, command), NULL, NULL, 0, 0,
      "local: the command with its arguments, split as a shell splits words (quotes and backslashes), with "
      "nothing expanded but the ${VAR} of this file." },
    { "steps", KEY_CUSTOM, offsetof(struct process_config, step_names), NULL, NULL, 0, 0,
      "local: or several commands, one after the other: names of [step …] sections. What a step puts out as work items is the"
      " input of the next; a step that used no work items hands on what it was given." },
    { "work_items", KEY_CHOICE, offsetof(struct process_config, work_items), NULL, "- api file", 0, 0,
      "local: how the command gets its work items: file, as the lists that the file adapter of robocorp-workitems and rpaframework"
      " reads and writes; api, by the work item API, with the files beside it. Unset, file for a command, api for steps." },
    { "shell", KEY_BOOL, offsetof(struct process_config, shell), "no", NULL, 0, 0,
      "local: give the command to /bin/sh -c as it is written." },
    { "cwd", KEY_PATH, offsetof(struct process_config, cwd), NULL, NULL, 0, 0,
      "local: the folder that the command starts in; unset, a fresh one of the run's own." },
    { "user", KEY_STRING, offsetof(struct process_config, user), NULL, NULL, 0, 0,
      "local: the user who runs the command. Needs a daemon that runs as root." },
    { "env", KEY_CUSTOM, offsetof(struct process_config, env), NULL, NULL, 0, 0,
      "local: NAME=VALUE words that the command finds in its environment." },
    { "secrets", KEY_CUSTOM, offsetof(struct process_config, secrets), NULL, NULL, 0, 0,
      "local: names of [secret …] sections: what its runs may read from the vault, by the vendor's libraries for robots or by the"
      " request that they make. Nothing else is shown to them." },
    { "timeout", KEY_DURATION, offsetof(struct process_config, timeout_ms), "0", NULL, 0, 0,
      "How long a run may take; 0, as long as it likes. A run that cannot be started gives up after this time "
      "too." },
    { "kill_grace", KEY_DURATION, offsetof(struct process_config, kill_grace_ms), "10s", NULL, 0, 86400000,
      "local: the time between SIGTERM and SIGKILL." },
    { "artifacts", KEY_WORDS, offsetof(struct process_config, artifacts), "output/*", NULL, 0, 0,
      "local: globs of what is kept, relative to the run's folder. A folder is kept with all in it." },
    { "artifacts_max", KEY_SIZE, offsetof(struct process_config, artifacts_max), "10G", NULL, 0, 0,
      "local: how much the files of one run may have together that are kept of it, artifacts and files of work items: one that is"
      " more than is left of it is left out with a note in run.json, and of a step's work items none goes on whose files are more;"
      " 0, as much as they like. It is the size that counts, of files with holes too." },
    { "overlap", KEY_CHOICE, offsetof(struct process_config, overlap), NULL,
      "- skip buffer_one buffer_all cancel_other terminate_other allow_all", 0, 0,
      "What becomes of a firing while runs of the process have not ended, for triggers that do not say it "
      "themselves." },
    { "max_parallel", KEY_INT, offsetof(struct process_config, max_parallel), "0", NULL, 0, 1000000,
      "How many runs of the process may be active at once; 0, one, or with allow_all as many as come." },
    { "queue_limit", KEY_INT, offsetof(struct process_config, queue_limit), "100000", NULL, 1, 100000000,
      "How many runs may wait. A firing beyond is skipped, a webhook is answered 429." },
    { "retries", KEY_INT, offsetof(struct process_config, retries), "0", NULL, 0, 1000,
      "How many more times a run is tried that ended as retry_on says." },
    { "retry_delay", KEY_DURATION, offsetof(struct process_config, retry_delay_ms), "30s", NULL, 0, 86400000,
      "The wait before the first retry; doubled each time, with a tenth of jitter." },
    { "retry_on", KEY_CUSTOM, offsetof(struct process_config, retry_on), "failed lost", NULL, 0, 0,
      "The ends that are tried again: failed, timed_out, lost." },
    { "input", KEY_PROGRAM, offsetof(struct process_config, input), NULL, NULL, 0, 0,
      "A jq program that makes the work item payload of the event; an array gives one work item for each "
      "element." },
    { "results", KEY_CUSTOM, offsetof(struct process_config, results), "yes", NULL, 0, 0,
      "What is brought home: yes for all, or which of artifacts, work_items, log." },
    { "keep_results", KEY_DURATION, offsetof(struct process_config, keep_results_ms), "0", NULL, 0, 0,
      "How long result folders of this process are kept after their runs have ended; 0, as [daemon] says." },
    { .name = NULL },
};

static const struct key_row step_keys[] = {
    { "command", KEY_CUSTOM, offsetof(struct process_config, command), NULL, NULL, 0, 0,
      "The command with its arguments, as in a process." },
    { "shell", KEY_BOOL, offsetof(struct process_config, shell), "no", NULL, 0, 0,
      "Give the command to /bin/sh -c as it is written." },
    { "work_items", KEY_CHOICE, offsetof(struct process_config, work_items), NULL, "- api file", 0, 0,
      "As in a process, and instead of it; unset there, too: api." },
    { "items", KEY_CUSTOM, offsetof(struct process_config, each), "all", NULL, 0, 0,
      "all: a step run may take all work items that wait, reserving one after the other, or as one list. each: each has a step run"
      " of its own." },
    { "max_parallel", KEY_INT, offsetof(struct process_config, max_parallel), "1", NULL, 1, 1000,
      "How many step runs of this step may be active at once in a run." },
    { "timeout", KEY_DURATION, offsetof(struct process_config, timeout_ms), "0", NULL, 0, 0,
      "How long a step run may take; 0, as long as it likes. A process's timeout is that of the whole run." },
    { "cwd", KEY_PATH, offsetof(struct process_config, cwd), NULL, NULL, 0, 0,
      "As in a process; unset, as it has it." },
    { "user", KEY_STRING, offsetof(struct process_config, user), NULL, NULL, 0, 0,
      "As in a process; unset, as it has it." },
    { "env", KEY_CUSTOM, offsetof(struct process_config, env), NULL, NULL, 0, 0,
      "NAME=VALUE words, beside those of the process and over them." },
    { "secrets", KEY_CUSTOM, offsetof(struct process_config, secrets), NULL, NULL, 0, 0,
      "As in a process; unset, as it has it." },
    { "kill_grace", KEY_DURATION, offsetof(struct process_config, kill_grace_ms), NULL, NULL, 0, 86400000,
      "As in a process; unset, as it has it." },
    { "artifacts", KEY_WORDS, offsetof(struct process_config, artifacts), NULL, NULL, 0, 0,
      "As in a process; unset, as it has it." },
    { .name = NULL },
};

static const struct key_row schedule_keys[] = {
    { "process", KEY_REF, offsetof(struct schedule_config, process), NULL, "process", 0, 0,
      "The process to run." },
    { "cron", KEY_CUSTOM, offsetof(struct schedule_config, cron_text), NULL, NULL, 0, 0,
      "Five fields, or six with seconds first; or @hourly, @daily, @weekly, @monthly, @yearly. They take names, ranges, steps and"
      " lists. A day of the month may also be L (the last), L-3 (three before it), LW (the last weekday) or 15W (the weekday nearest"
      " to the 15th); a weekday 5L (the last Friday) or fri#2 (the second); any field H, a value that is hashed from the schedule's"
      " name. With both day fields given, either may match." },
    { "every", KEY_DURATION, offsetof(struct schedule_config, timing.every_ms), NULL, NULL, 1000, 0,
      "Or an interval, counted from the epoch, or from start." },
    { "timezone", KEY_CUSTOM, offsetof(struct schedule_config, timing.zone), "", NULL, 0, 0,
      "The time zone, Europe/Berlin; unset, the machine's." },
    { "jitter", KEY_DURATION, offsetof(struct schedule_config, jitter_ms), "0", NULL, 0, 86400000,
      "Firings are moved by up to so much, always by the same for a name and a due time." },
    { "start", KEY_CUSTOM, offsetof(struct schedule_config, timing.start_ms), NULL, NULL, 0, 0,
      "Not before this time (RFC 3339)." },
    { "end", KEY_CUSTOM, offsetof(struct schedule_config, timing.end_ms), NULL, NULL, 0, 0,
      "Not after this time (RFC 3339)." },
    { "skip", KEY_CUSTOM, offsetof(struct schedule_config, timing.skip), NULL, "calendar", 0, 0,
      "Calendars whose days are left out." },
    { "only", KEY_CUSTOM, offsetof(struct schedule_config, timing.only), NULL, "calendar", 0, 0,
      "Calendars to whose days it keeps." },
    { "overlap", KEY_CHOICE, offsetof(struct schedule_config, overlap), NULL,
      "- skip buffer_one buffer_all cancel_other terminate_other allow_all", 0, 0,
      "What becomes of a firing while runs of the process have not ended; unset, the process's word, else "
      "buffer_one." },
    { "catchup", KEY_CHOICE, offsetof(struct schedule_config, catchup), "last", "last none all", 0, 0,
      "What becomes of due times that were missed." },
    { "catchup_window", KEY_DURATION, offsetof(struct schedule_config, catchup_window_ms), "1d", NULL, 0, 0,
      "Due times missed longer ago than this are dropped." },
    { "dst_gap", KEY_CUSTOM, offsetof(struct schedule_config, timing.gap), NULL, "- after skip shift", 0, 0,
      "after, skip or shift: a local time that a clock change skips fires at the first instant after the gap, not at all, or as"
      " late as the gap is long. Unset, after; a schedule whose minute or hour begins with * follows elapsed time." },
    { "dst_repeat", KEY_CUSTOM, offsetof(struct schedule_config, timing.repeat), NULL, "- first last both", 0, 0,
      "first, last or both: when a local time fires that comes twice. Unset, first; a schedule whose minute or hour begins with *"
      " follows elapsed time." },
    { "input", KEY_PROGRAM, offsetof(struct schedule_config, input), NULL, NULL, 0, 0,
      "As in the process, and instead of it." },
    { "paused", KEY_BOOL, offsetof(struct schedule_config, paused), "no", NULL, 0, 0,
      "Begin paused. belfry pause and resume say otherwise later." },
    { .name = NULL },
};

static const struct key_row secret_keys[] = {
    { "value", KEY_SECRET, offsetof(struct secret_config, value), NULL, NULL, 0, 0,
      "The secret: one JSON object, {\"user\": \"robot\", \"password\": \"…\"}. A file is read anew each time." },
    { "description", KEY_STRING, offsetof(struct secret_config, description), NULL, NULL, 0, 0,
      "What it is for; runs are told." },
    { "writable", KEY_BOOL, offsetof(struct secret_config, writable), "no", NULL, 0, 0,
      "Runs that may read it may put another value in its place: value_file is written anew. For what has to be renewed by the run"
      " that uses it, as tokens are." },
    { .name = NULL },
};

static const struct key_row calendar_keys[] = {
    { "file", KEY_CUSTOM, offsetof(struct calendar_config, days), NULL, NULL, 0, 0,
      "A file with one date a line, or iCalendar." },
    { "days", KEY_CUSTOM, offsetof(struct calendar_config, days), NULL, NULL, 0, 0,
      "Weekdays and dates: sat sun 12-25 2026-05-01 2026-12-24..2027-01-06." },
    { "timezone", KEY_CUSTOM, offsetof(struct calendar_config, days), NULL, NULL, 0, 0,
      "Not supported by this version: a calendar's days are the schedule's." },
    { .name = NULL },
};

static const struct key_row watch_keys[] = {
    { "process", KEY_REF, offsetof(struct watch_config, process), NULL, "process", 0, 0,
      "The process to run." },
    { "path", KEY_PATH, offsetof(struct watch_config, path), NULL, NULL, 0, 0,
      "The folder." },
    { "include", KEY_WORDS, offsetof(struct watch_config, include), NULL, NULL, 0, 0,
      "Globs of file names; unset, all but hidden files and editors' temporaries." },
    { "exclude", KEY_WORDS, offsetof(struct watch_config, exclude), NULL, NULL, 0, 0,
      "Globs of file names to leave out." },
    { "recursive", KEY_BOOL, offsetof(struct watch_config, recursive), "no", NULL, 0, 0,
      "Folders below it too." },
    { "mode", KEY_CHOICE, offsetof(struct watch_config, mode), "auto", "auto inotify poll", 0, 0,
      "auto polls where inotify cannot see (NFS, CIFS, FUSE)." },
    { "poll_interval", KEY_DURATION, offsetof(struct watch_config, poll_interval_ms), "10s", NULL, 100, 86400000,
      "How often a polled folder is read." },
    { "settle", KEY_DURATION, offsetof(struct watch_config, settle_ms), "2s", NULL, 0, 86400000,
      "A file counts when it has been closed or moved in and has then kept its size and time for so long." },
    { "marker", KEY_STRING, offsetof(struct watch_config, marker), NULL, NULL, 0, 0,
      "Or as soon as this file lies beside it: %f is the name, %f.done." },
    { "existing", KEY_CUSTOM, offsetof(struct watch_config, existing), "run", NULL, 0, 0,
      "Files that are there at the first start: run or ignore." },
    { "identity", KEY_CHOICE, offsetof(struct watch_config, identity), "stat", "stat sha256", 0, 0,
      "What tells one version of a file from the next." },
    { "batch", KEY_CUSTOM, offsetof(struct watch_config, batch), "1", NULL, 0, 0,
      "Files a run. This version fires once a file." },
    { "order", KEY_CHOICE, offsetof(struct watch_config, order), "name", "name mtime size", 0, 0,
      "Which comes first of several that are ready." },
    { "attach", KEY_BOOL, offsetof(struct watch_config, attach), "yes", NULL, 0, 0,
      "The file travels as a work item file." },
    { "success", KEY_CUSTOM, offsetof(struct watch_config, success), "keep", NULL, 0, 0,
      "What becomes of the file when its run completed: keep, delete, move DIR." },
    { "failure", KEY_CUSTOM, offsetof(struct watch_config, failure), "keep", NULL, 0, 0,
      "And when it ended otherwise." },
    { "overlap", KEY_CHOICE, offsetof(struct watch_config, overlap), NULL,
      "- skip buffer_one buffer_all cancel_other terminate_other allow_all", 0, 0,
      "As in a schedule; unset, the process's word, else buffer_all." },
    { "input", KEY_PROGRAM, offsetof(struct watch_config, input), NULL, NULL, 0, 0,
      "As in the process, and instead of it." },
    { "paused", KEY_BOOL, offsetof(struct watch_config, paused), "no", NULL, 0, 0,
      "Begin paused." },
    { .name = NULL },
};

static const struct key_row webhook_keys[] = {
    { "process", KEY_REF, offsetof(struct webhook_config, process), NULL, "process", 0, 0,
      "The process to run." },
    { "path", KEY_STRING, offsetof(struct webhook_config, path), NULL, NULL, 0, 0,
      "The path; unset, /hooks/NAME." },
    { "methods", KEY_CUSTOM, offsetof(struct webhook_config, methods), "POST", NULL, 0, 0,
      "Methods that ring." },
    { "verify", KEY_CUSTOM, offsetof(struct webhook_config, verify), NULL, NULL, 0, 0,
      "Who sent it: none, bearer, basic, github, gitlab, slack, stripe, standard, or hmac HEADER [PREFIX] "
      "[hex|base64]. It has to be written out." },
    { "secret", KEY_SECRET, offsetof(struct webhook_config, secrets), NULL, NULL, 0, 0,
      "The shared secret; several, separated by white space: any one may match." },
    { "tolerance", KEY_DURATION, offsetof(struct webhook_config, tolerance_ms), "5m", NULL, 0, 86400000,
      "How old a signed time may be." },
    { "allow_from", KEY_CUSTOM, offsetof(struct webhook_config, allow_from), NULL, NULL, 0, 0,
      "Networks (CIDR) that may ring; unset, all." },
    { "when", KEY_PROGRAM, offsetof(struct webhook_config, when), NULL, NULL, 0, 0,
      "A jq program that must give true for the firing to count." },
    { "key", KEY_PROGRAM, offsetof(struct webhook_config, key), NULL, NULL, 0, 0,
      "A jq program that names the firing: the same name within 24 h starts nothing again." },
    { "input", KEY_PROGRAM, offsetof(struct webhook_config, input), NULL, NULL, 0, 0,
      "As in the process, and instead of it." },
    { "rate", KEY_INT, offsetof(struct webhook_config, rate), "0", NULL, 0, 1000000,
      "Requests a second; 0, as many as come." },
    { "max_body", KEY_SIZE, offsetof(struct webhook_config, max_body), "0", NULL, 0, INT64_C(4294967296),
      "The largest body; 0, as [http] says." },
    { "respond", KEY_CUSTOM, offsetof(struct webhook_config, respond_result), "accepted", NULL, 0, 0,
      "accepted answers as soon as the firing is on disk; result waits for the end of the run." },
    { "wait", KEY_DURATION, offsetof(struct webhook_config, wait_ms), "30s", NULL, 0, 3600000,
      "How long respond = result waits." },
    { "overlap", KEY_CHOICE, offsetof(struct webhook_config, overlap), NULL,
      "- skip buffer_one buffer_all cancel_other terminate_other allow_all", 0, 0,
      "As in a schedule; unset, the process's word, else buffer_all." },
    { "paused", KEY_BOOL, offsetof(struct webhook_config, paused), "no", NULL, 0, 0,
      "Begin paused: requests are answered 409." },
    { .name = NULL },
};

const struct section_row config_sections[] = {
    { "daemon", 0, sizeof(struct daemon_config), daemon_keys, "The daemon as a whole." },
    { "http", 0, sizeof(struct http_config), http_keys, "The HTTP server." },
    { "syslog", 0, sizeof(struct syslog_config), syslog_keys, "Where the lines of runs go: one for a start, one for a failure to start, one for an end." },
    { "workspace", 1, sizeof(struct workspace_config), workspace_keys, "Where processes live: a remote Control Room workspace, or a local one." },
    { "secret", 1, sizeof(struct secret_config), secret_keys, "What runs of a local process may be given: the vault of a Control Room." },
    { "step", 1, sizeof(struct process_config), step_keys, "One of the commands of a local process that has several." },
    { "process", 1, sizeof(struct process_config), process_keys, "What can be run: a remote process, or a local command." },
    { "schedule", 1, sizeof(struct schedule_config), schedule_keys, "A clock that rings." },
    { "calendar", 1, sizeof(struct calendar_config), calendar_keys, "Days that schedules skip or keep to." },
    { "watch", 1, sizeof(struct watch_config), watch_keys, "A folder whose files ring." },
    { "webhook", 1, sizeof(struct webhook_config), webhook_keys, "A request that rings." },
    { .kind = NULL },
};
