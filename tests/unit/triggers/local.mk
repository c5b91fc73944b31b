# unit tests of triggers

check_PROGRAMS += tests/unit/triggers/eval_test
TESTS += tests/unit/triggers/eval_test
tests_unit_triggers_eval_test_SOURCES = tests/unit/triggers/eval_test.c
tests_unit_triggers_eval_test_CPPFLAGS = $(AM_CPPFLAGS) -DEVAL_FOLDER='"$(abs_top_builddir)"'
tests_unit_triggers_eval_test_LDADD = $(UNIT_LIBS)
EXTRA_tests_unit_triggers_eval_test_DEPENDENCIES = belfry-eval
