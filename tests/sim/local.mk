# The simulated world: the engine against a seed. `tests/sim/sim --seed N` repeats one.
check_PROGRAMS += tests/sim/sim
TESTS += tests/sim/sim
tests_sim_sim_SOURCES = \
	tests/sim/check.c \
	tests/sim/main.c \
	tests/sim/sim.h \
	tests/sim/store.c \
	tests/sim/world.c
tests_sim_sim_LDADD = $(BELFRY_LIBS)
