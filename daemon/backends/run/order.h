/*
 * The order that belfryd gives to belfry-run, read and checked; and what belfry-run keeps of the run in its folder. See
 * include/belfry/backends/supervisor.h. belfry-run stands on libc alone: it is started for every run, and has to be small.
 */
#ifndef BELFRY_BACKENDS_RUN_ORDER_H
#define BELFRY_BACKENDS_RUN_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define ORDER_ITEMS_MAX 4096

struct order {
    char *bytes;             /* the texts below lie in them */
    char *folder;
    char *cwd;
    char *log;               /* NULL: none */
    bool other_user;         /* then: */
    uid_t uid;
    gid_t gid;
    gid_t groups[64];
    size_t group_count;
    int64_t attempt;
    int64_t timeout_ms;
    int64_t kill_grace_ms;
    int64_t console_max;
    char *argv[ORDER_ITEMS_MAX + 1];
    size_t argc;
    char *env[ORDER_ITEMS_MAX + 1];
    size_t envc;
};

/* Reads descriptor fd to its end. False with *why when the order is not one. The texts live as long as the process. */
bool order_read(int fd, struct order *order, const char **why);

enum ending { ENDING_EXITED, ENDING_SIGNALED, ENDING_TIMED_OUT, ENDING_CANCELED, ENDING_FAILED };

struct outcome {
    enum ending ending;
    int exit_code;           /* ENDING_EXITED, or what a stopped command gave */
    int signal;
    int64_t started_ms;
    int64_t ended_ms;
    const char *error;       /* ENDING_FAILED */
    bool console_cut;
    struct rusage usage;
};

/* Makes claim.N and locks it. 0; or an errno: EEXIST when somebody else owns the attempt. The descriptor stays open for
 * the life of the process: its lock says that we live. */
int record_claim(int folder_fd, const struct order *order, int64_t now_ms);
/* Writes exit.N whole: temporary name, fsync, rename, fsync of the folder. 0 or an errno. */
int record_exit(int folder_fd, const struct order *order, const struct outcome *outcome);

#endif
