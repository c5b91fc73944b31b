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
noinst_HEADERS += daemon/triggers/clock_internal.h daemon/triggers/notes.h include/belfry/triggers/catchup.h include/belfry/triggers/clock.h \
	include/belfry/triggers/firing.h
