/*
 * Lines of runs to syslog targets: one for a start, a failure to start, an end (SPEC §9). End lines are in the journal
 * until they went: a target that cannot be reached gets them when it can, in order.
 */
#ifndef BELFRY_RESULTS_SYSLOG_H
#define BELFRY_RESULTS_SYSLOG_H

#include <stddef.h>
#include <uv.h>

#include "belfry/config/config.h"
#include "belfry/core/run.h"
#include "belfry/store/journal.h"

struct syslog_room;

/* Opens nothing yet: a target is connected when there is a line for it. */
int syslog_new(uv_loop_t *loop, struct journal *journal, const struct syslog_config *config, const char *results_dir,
               struct syslog_room **room, struct error *err);
int syslog_configure(struct syslog_room *room, const struct syslog_config *config, const char *results_dir,
                     struct error *err);
/* The names under which end lines are to be put into the journal (LINE_ADD's scope): the targets as configured. Lent. */
const char *const *syslog_targets(const struct syslog_room *room, size_t *count);
/* Lines may be waiting: after a start, and after each end. */
void syslog_pump(struct syslog_room *room);
/* A start (text NULL) or a failure to start: sent at once or lost, and counted. */
void syslog_note(struct syslog_room *room, const struct run_record *run, const char *text);
/* A target that cannot be reached, for status: its name, why, and how many lines wait. */
void syslog_each_trouble(const struct syslog_room *room,
                         void (*each)(void *data, const char *target, const char *why, size_t waiting), void *data);
void syslog_close(struct syslog_room *room, void (*closed)(void *data), void *data);

/* --- formats, pure ------------------------------------------------------------------------------------------------ */

struct buf;
/* RFC 5424 with structured data [belfry@32473 …]; facility 0–23. `again` is set on a line that may have gone before a
 * crash: it carries again="maybe". */
void syslog_format_5424(struct buf *into, const struct run_record *run, const char *text, const char *results, int facility,
                        const char *tag, const char *host, int64_t now_ms, bool again);
/* The same words as key=value for a local socket (RFC 3164 framing, as syslog(3) sends). */
void syslog_format_local(struct buf *into, const struct run_record *run, const char *text, const char *results, int facility,
                         const char *tag, int64_t now_ms, bool again);
/* systemd's native journal protocol with BELFRY_RUN= and so on. */
void syslog_format_journal(struct buf *into, const struct run_record *run, const char *text, const char *results,
                           const char *tag, bool again);

#endif
