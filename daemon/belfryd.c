/*
 * belfryd: the daemon. Builds the house, runs the loop, takes the house down.
 *
 *   SIGHUP           reads the configuration again (all or nothing)
 *   SIGTERM, SIGINT  stops: what was acknowledged is on disk, runs go on without it. The second one stops at once.
 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "belfry/base/log.h"
#include "belfry/base/systemd.h"
#include "house/house.h"

/* As sysexits.h has them. */
enum { EXIT_USAGE = 2, EXIT_CONFIG = 78 };

static const char usage[] =
    "usage: belfryd [-c FILE] [-t] [-V]\n"
    "\n"
    "Runs in the foreground. Clocks, dropped files and webhooks ring it; each ring starts a process run.\n"
    "\n"
    "  -c FILE   the configuration (default: %s)\n"
    "  -t        check the configuration, say what is wrong with it, and exit (78 when something is)\n"
    "  -V        print the version and exit\n"
    "  -h        print this and exit\n"
    "\n"
    "See belfryd(8), belfry.conf(5) and belfry(1).\n";

struct daemon {
    uv_loop_t loop;
    struct house house;
    uv_signal_t hup, term, interrupt;
};

/* --- the configuration -------------------------------------------------------------------------------------------- */

static int load(const char *path, struct config **config, struct buf *report)
{
    struct eval_checker *checker;
    struct error err;
    int status = eval_checker_new(&checker, &err);

    if (status != 0) {
        buf_addf(report, "%s\n", err.text);
        return status;
    }
    status = config_load(path, eval_check, checker, config, report);
    eval_checker_free(checker);
    return status;
}

static int check(const char *path)
{
    struct config *config = NULL;
    struct buf report = { 0 };
    int status = load(path, &config, &report);

    (void)fputs(buf_str(&report), stderr);
    if (status == 0)
        (void)printf("%s: good: workspaces %zu, processes %zu, schedules %zu, watches %zu, webhooks %zu\n", config->path,
                     config->workspace_count, config->process_count, config->schedule_count, config->watch_count,
                     config->webhook_count);
    buf_close(&report);
    config_release(config);
    return status == 0 ? EXIT_SUCCESS : EXIT_CONFIG;
}

static void say_warnings(struct buf *report)
{
    for (char *line = report->data, *end; line != NULL && *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        if (end == NULL)
            end = line + strlen(line) - 1;
        log_warning("%.*s", (int)(end - line), line);
    }
}

/* --- signals ------------------------------------------------------------------------------------------------------ */

static void on_hangup(uv_signal_t *signal, int number)
{
    struct daemon *d = signal->data;
    struct buf report = { 0 };

    (void)number;
    if (!d->house.stopping && house_reload(&d->house, &report) == 0)
        say_warnings(&report);
    buf_close(&report);
}

static void on_stop(uv_signal_t *signal, int number)
{
    struct daemon *d = signal->data;

    if (d->house.stopping) {
        log_warning("stopping at once: the second %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
        _exit(EXIT_SUCCESS);   /* whatever was acknowledged is on disk */
    }
    log_notice("stopping: runs go on, and are taken up at the next start");
    systemd_notify("STOPPING=1");
    house_take_down(&d->house);
    uv_close((uv_handle_t *)&d->hup, NULL);
    /* The loop ends when all else is closed. */
    uv_unref((uv_handle_t *)&d->term);
    uv_unref((uv_handle_t *)&d->interrupt);
}

static void listen_to_signals(struct daemon *d)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)uv_signal_init(&d->loop, &d->hup);
    (void)uv_signal_init(&d->loop, &d->term);
    (void)uv_signal_init(&d->loop, &d->interrupt);
    d->hup.data = d->term.data = d->interrupt.data = d;
    (void)uv_signal_start(&d->hup, on_hangup, SIGHUP);
    (void)uv_signal_start(&d->term, on_stop, SIGTERM);
    (void)uv_signal_start(&d->interrupt, on_stop, SIGINT);
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

/* A connection takes three descriptors, a run two. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve(struct daemon *d, struct config *config)
{
    struct error err;

    if (uv_loop_init(&d->loop) != 0) {
        log_error("cannot make an event loop");
        return EXIT_FAILURE;
    }
    listen_to_signals(d);
    if (house_build(&d->house, &d->loop, config, &err) != 0) {
        log_error("cannot start: %s", err.text);
        /* Who starts it by hand sees why, wherever the log goes. */
        if (config->daemon.log_to != LOG_TO_STDERR)
            (void)fprintf(stderr, "belfryd: cannot start: %s\n", err.text);
        return EXIT_FAILURE;
    }
    log_notice("belfryd %s is up: processes %zu, schedules %zu, watches %zu, webhooks %zu; socket %s", BELFRY_VERSION,
               config->process_count, config->schedule_count, config->watch_count, config->webhook_count, config->daemon.socket);
    systemd_notify("READY=1\nSTATUS=schedules %zu, watches %zu, webhooks %zu", config->schedule_count, config->watch_count,
                   config->webhook_count);
    config_release(config);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&d->term, NULL);
    uv_close((uv_handle_t *)&d->interrupt, NULL);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    house_free(&d->house);
    (void)uv_loop_close(&d->loop);
    log_notice("stopped");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct daemon daemon;
    const char *path = config_default_path();
    struct config *config = NULL;
    struct buf report = { 0 };
    bool only_check = false;
    int option, status;

    while ((option = getopt(argc, argv, "c:tVh")) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 't':
            only_check = true;
            break;
        case 'V':
            (void)printf("belfryd %s\n", BELFRY_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            (void)printf(usage, config_default_path());
            return EXIT_SUCCESS;
        default:
            (void)fprintf(stderr, usage, config_default_path());
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "belfryd: \"%s\" is one word too many\n", argv[optind]);
        (void)fprintf(stderr, usage, config_default_path());
        return EXIT_USAGE;
    }
    /* One arena: the threads allocate little, and memory given back is given back. */
    (void)mallopt(M_ARENA_MAX, 1);
    if (only_check)
        return check(path);
    log_open(LOG_SINK_STDERR, LOG_LEVEL_INFO, "belfryd");
    if (load(path, &config, &report) != 0) {
        (void)fputs(buf_str(&report), stderr);
        buf_close(&report);
        return EXIT_CONFIG;
    }
    say_warnings(&report);
    buf_close(&report);
    raise_limits();
    status = serve(&daemon, config);
    return status;
}
