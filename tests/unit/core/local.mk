# One subject a file
CORE_TESTS = \
	tests/unit/core/engine_test \
	tests/unit/core/event_test \
	tests/unit/core/flow_test \
	tests/unit/core/overlap_test \
	tests/unit/core/pace_test \
	tests/unit/core/run_test
check_PROGRAMS += $(CORE_TESTS)
TESTS += $(CORE_TESTS)
tests_unit_core_event_test_SOURCES = tests/unit/core/event_test.c
tests_unit_core_event_test_LDADD = $(UNIT_LIBS)
tests_unit_core_overlap_test_SOURCES = tests/unit/core/overlap_test.c
tests_unit_core_overlap_test_LDADD = $(UNIT_LIBS)
tests_unit_core_pace_test_SOURCES = tests/unit/core/pace_test.c
tests_unit_core_pace_test_LDADD = $(UNIT_LIBS)
tests_unit_core_run_test_SOURCES = tests/unit/core/run_test.c
tests_unit_core_run_test_LDADD = $(UNIT_LIBS)
tests_unit_core_engine_test_SOURCES = tests/unit/core/engine_test.c
tests_unit_core_engine_test_LDADD = $(UNIT_LIBS)
tests_unit_core_flow_test_SOURCES = tests/unit/core/flow_test.c
tests_unit_core_flow_test_LDADD = $(UNIT_LIBS)
