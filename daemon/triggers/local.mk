# triggers

# jq programs, run by a confined child
libbelfry_a_SOURCES += daemon/triggers/eval.c daemon/triggers/eval_check.c daemon/triggers/eval_child.c
noinst_HEADERS += daemon/triggers/eval_child.h daemon/triggers/eval_wire.h include/belfry/triggers/eval.h
pkglibexec_PROGRAMS += belfry-eval
belfry_eval_SOURCES = daemon/triggers/belfry_eval.c
belfry_eval_LDADD = $(JQ_LIBS) $(SECCOMP_LIBS)

# the clock
libbelfry_a_SOURCES += daemon/triggers/catchup.c daemon/triggers/clock.c daemon/triggers/clock_fire.c \
	daemon/triggers/clock_notes.c daemon/triggers/notes.c
noinst_HEADERS += daemon/triggers/clock_internal.h daemon/triggers/notes.h include/belfry/triggers/catchup.h \
	include/belfry/triggers/clock.h

# watches
libbelfry_a_SOURCES += daemon/triggers/settle.c daemon/triggers/watch.c daemon/triggers/watch_after.c \
	daemon/triggers/watch_dirs.c daemon/triggers/watch_files.c daemon/triggers/watch_hash.c \
	daemon/triggers/watch_names.c daemon/triggers/watch_recall.c daemon/triggers/watch_ring.c \
	daemon/triggers/watch_scan.c
noinst_HEADERS += daemon/triggers/watch_internal.h include/belfry/triggers/settle.h include/belfry/triggers/watch.h

# webhooks
libbelfry_a_SOURCES += daemon/triggers/signature.c daemon/triggers/webhook.c daemon/triggers/webhook_answer.c \
	daemon/triggers/webhook_event.c daemon/triggers/webhook_head.c
noinst_HEADERS += daemon/triggers/webhook_internal.h include/belfry/triggers/signature.h include/belfry/triggers/webhook.h
