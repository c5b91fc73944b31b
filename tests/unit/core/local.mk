check_PROGRAMS += tests/unit/core/decide_test
TESTS += tests/unit/core/decide_test
tests_unit_core_decide_test_SOURCES = tests/unit/core/decide_test.c
tests_unit_core_decide_test_LDADD = $(UNIT_LIBS)
