# The house is the daemon's own: no other program takes from it.
sbin_PROGRAMS += belfryd
belfryd_SOURCES = daemon/belfryd.c daemon/house/build.c daemon/house/collect.c daemon/house/door.c daemon/house/flows.c daemon/house/house.h \
	daemon/house/metrics.c daemon/house/reload.c daemon/house/retention.c daemon/house/retry.c daemon/house/revise.c daemon/house/ring.c daemon/house/stored.c daemon/house/views.c \
	daemon/house/world.c
belfryd_LDADD = $(BELFRY_LIBS)
