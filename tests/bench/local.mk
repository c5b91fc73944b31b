# Figures beside other tools: tests/bench/run.
noinst_PROGRAMS += tests/bench/load tests/bench/stamp
tests_bench_load_SOURCES = tests/bench/load.c
tests_bench_load_LDADD = $(BELFRY_LIBS)
tests_bench_stamp_SOURCES = tests/bench/stamp.c
tests_bench_stamp_CFLAGS = -std=gnu11 $(WARN_CFLAGS) $(HARDEN_CFLAGS) $(PIE_CFLAGS)
tests_bench_stamp_LDFLAGS = $(HARDEN_LDFLAGS) $(STATIC_LDFLAGS)
EXTRA_DIST += tests/bench/run
