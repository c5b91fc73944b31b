/*
 * What systemd asks of a service, without its library: readiness, reloading, watchdog and sockets handed over
 * (sd_notify(3), sd_listen_fds(3)). Every call is quiet where no systemd is.
 */
#ifndef BELFRY_BASE_SYSTEMD_H
#define BELFRY_BASE_SYSTEMD_H

#include <stdint.h>

/* Sends lines like "READY=1\nSTATUS=…" to $NOTIFY_SOCKET. */
void systemd_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Half of $WATCHDOG_USEC in ms when the watchdog is meant for this process, else 0. */
int64_t systemd_watchdog_ms(void);

#endif
