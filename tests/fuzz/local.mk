# fuzz

# fuzz of calendar
if ENABLE_FUZZERS
noinst_PROGRAMS += tests/fuzz/cron_fuzz tests/fuzz/tzif_fuzz tests/fuzz/ical_fuzz
tests_fuzz_cron_fuzz_SOURCES = tests/fuzz/cron_fuzz.c
tests_fuzz_cron_fuzz_LDADD = $(BELFRY_LIBS)
tests_fuzz_cron_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_tzif_fuzz_SOURCES = tests/fuzz/tzif_fuzz.c
tests_fuzz_tzif_fuzz_LDADD = $(BELFRY_LIBS)
tests_fuzz_tzif_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_ical_fuzz_SOURCES = tests/fuzz/ical_fuzz.c
tests_fuzz_ical_fuzz_LDADD = $(BELFRY_LIBS)
tests_fuzz_ical_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

# fuzz of net
if ENABLE_FUZZERS
noinst_PROGRAMS += tests/fuzz/gate_fuzz
tests_fuzz_gate_fuzz_SOURCES = tests/fuzz/gate_fuzz.c
tests_fuzz_gate_fuzz_LDADD = $(BELFRY_LIBS)
tests_fuzz_gate_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
