libbelfry_a_SOURCES += \
	daemon/backends/collection.c \
	daemon/backends/local.c \
	daemon/backends/local_collect.c \
	daemon/backends/local_collect.h \
	daemon/backends/local_env.c \
	daemon/backends/local_follow.c \
	daemon/backends/local_internal.h \
	daemon/backends/local_items.c \
	daemon/backends/local_keep.c \
	daemon/backends/local_list.c \
	daemon/backends/local_start.c \
	daemon/backends/steps.c \
	daemon/backends/steps_begin.c \
	daemon/backends/steps_collect.c \
	daemon/backends/steps_internal.h \
	daemon/backends/steps_lists.c \
	daemon/backends/steps_run.c \
	daemon/backends/steps_start.c
libbelfry_a_SOURCES += \
	daemon/backends/robocorp.c \
	daemon/backends/robocorp_ask.c \
	daemon/backends/robocorp_check.c \
	daemon/backends/robocorp_collect.c \
	daemon/backends/robocorp_dialect.c \
	daemon/backends/robocorp_dialect.h \
	daemon/backends/robocorp_fetch.c \
	daemon/backends/robocorp_find.c \
	daemon/backends/robocorp_follow.c \
	daemon/backends/robocorp_follow.h \
	daemon/backends/robocorp_internal.h \
	daemon/backends/robocorp_collect.h \
	daemon/backends/robocorp_items.c \
	daemon/backends/robocorp_memo.c \
	daemon/backends/robocorp_pages.c \
	daemon/backends/robocorp_pieces.c \
	daemon/backends/robocorp_process.c \
	daemon/backends/robocorp_rounds.c \
	daemon/backends/robocorp_start.c \
	daemon/backends/robocorp_start.h \
	daemon/backends/robocorp_upload.c
noinst_HEADERS += \
	include/belfry/backends/backend.h \
	include/belfry/backends/supervisor.h

# The supervisor stands on libc alone and is linked statically where that can be: it is started for every run.
pkglibexec_PROGRAMS += belfry-run
belfry_run_SOURCES = \
	daemon/backends/run/command.c \
	daemon/backends/run/command.h \
	daemon/backends/run/main.c \
	daemon/backends/run/order.c \
	daemon/backends/run/order.h \
	daemon/backends/run/record.c
belfry_run_CFLAGS = -std=gnu11 $(WARN_CFLAGS) $(HARDEN_CFLAGS) $(SAN_CFLAGS) $(PIE_CFLAGS)
belfry_run_LDFLAGS = $(HARDEN_LDFLAGS) $(SAN_CFLAGS) $(STATIC_LDFLAGS)
