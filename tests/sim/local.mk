# The simulated world: the engine, and the flow of work items, against a seed. `tests/sim/sim --seed N` repeats one.
check_PROGRAMS += tests/sim/sim tests/sim/flows
TESTS += tests/sim/sim tests/sim/flows
tests_sim_flows_SOURCES = tests/sim/flows.c
tests_sim_flows_LDADD = $(BELFRY_LIBS)
tests_sim_sim_SOURCES = \
	tests/sim/check.c \
	tests/sim/main.c \
	tests/sim/sim.h \
	tests/sim/store.c \
	tests/sim/world.c
tests_sim_sim_LDADD = $(BELFRY_LIBS)
