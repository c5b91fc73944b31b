check_PROGRAMS += tests/unit/results/format_test
TESTS += tests/unit/results/format_test
tests_unit_results_format_test_SOURCES = tests/unit/results/format_test.c
tests_unit_results_format_test_LDADD = $(UNIT_LIBS)
