/*
 * What Belfry says of itself, one line each: to stderr (with <N> prefixes when it is a journal's stream), syslog's local
 * socket or the journal. Result lines of runs go another way (results/syslog.h). Any thread. Never blocks for long: a
 * local socket that is full loses the line and counts it.
 */
#ifndef BELFRY_BASE_LOG_H
#define BELFRY_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };
enum log_sink { LOG_SINK_STDERR, LOG_SINK_SYSLOG, LOG_SINK_JOURNAL };

/* May be called again (reload). `tag` is copied. */
void log_open(enum log_sink sink, enum log_level level, const char *tag);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Lines that could not be written since the start. */
uint64_t log_dropped(void);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
