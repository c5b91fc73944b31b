/* The command: started in a process group of its own, with its output on a pipe. */
#ifndef BELFRY_BACKENDS_RUN_COMMAND_H
#define BELFRY_BACKENDS_RUN_COMMAND_H

#include <sys/types.h>

#include "order.h"

struct command {
    pid_t pid;
    int output_fd;       /* its standard output and error; non-blocking */
};

/* 0, or an errno with *what (what was tried). */
int command_start(const struct order *order, struct command *command, const char **what);

#endif
