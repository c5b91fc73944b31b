/*
 * What belfryd and belfry-run say to each other.
 *
 * belfryd starts one belfry-run for each attempt of a local run. The order comes on descriptor 3 (a sealed memfd): a
 * sequence of NUL-ended texts "key=value", in any order; unknown keys are refused. belfry-run writes one line on
 * descriptor 4 (a pipe) when the command runs, "started MS" (wall clock), or "failed CODE TEXT" when it could not, and
 * closes it.
 *
 *     version=1          folder=/…/runs/RUN-ID     attempt=1
 *     argv=… (each)      env=NAME=VALUE (each)     cwd=/…   uid= gid= group= (each; when another user)
 *     timeout_ms=0       kill_grace_ms=10000       console_max=BYTES         log=/…/console.log (gets it all, too)
 *
 * In the folder belfry-run keeps, for every attempt N:
 *
 *     claim.N   made with O_EXCL before anything is started, holding "PID BOOT-ID START-MS\n", and locked (flock) as
 *               long as belfry-run lives. Who makes it owns the attempt: a restarted daemon that finds none makes one
 *               itself ("void\n"), and a late belfry-run then starts nothing.
 *     exit.N    how it ended (JSON), written to a temporary name, synced, renamed: {"outcome": "exited|signaled|timed_out|
 *               canceled|failed", "exit_code"?, "signal"?, "started_ms", "ended_ms", "error"?, "max_rss_kib", "user_ms",
 *               "system_ms", "console_truncated"}
 *     console.log   standard output and error in the order in which they came
 *     work/         the step's folder (cwd when the process names none), with output/ in it
 *
 * SIGTERM to belfry-run ends the run gently (SIGTERM to the whole group, SIGKILL after kill_grace), SIGUSR1 at once.
 */
#ifndef BELFRY_BACKENDS_SUPERVISOR_H
#define BELFRY_BACKENDS_SUPERVISOR_H

#define SUPERVISOR_VERSION "1"
#define SUPERVISOR_ORDER_FD 3
#define SUPERVISOR_REPORT_FD 4

#endif
