bin_PROGRAMS += belfry
belfry_SOURCES = daemon/cli/artifacts.c daemon/cli/ask.c daemon/cli/check.c daemon/cli/cli.h daemon/cli/keys.c daemon/cli/logs.c \
	daemon/cli/main.c daemon/cli/next.c daemon/cli/reload.c daemon/cli/run.c daemon/cli/runs.c daemon/cli/show.c \
	daemon/cli/status.c daemon/cli/table.c daemon/cli/triggers.c
belfry_LDADD = $(BELFRY_LIBS)
