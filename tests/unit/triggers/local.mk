# unit tests of triggers

check_PROGRAMS += tests/unit/triggers/eval_test
TESTS += tests/unit/triggers/eval_test
tests_unit_triggers_eval_test_SOURCES = tests/unit/triggers/eval_test.c
tests_unit_triggers_eval_test_CPPFLAGS = $(AM_CPPFLAGS) -DEVAL_FOLDER='"$(abs_top_builddir)"'
tests_unit_triggers_eval_test_LDADD = $(UNIT_LIBS)
EXTRA_tests_unit_triggers_eval_test_DEPENDENCIES = belfry-eval

check_PROGRAMS += tests/unit/triggers/clock_test
TESTS += tests/unit/triggers/clock_test
tests_unit_triggers_clock_test_SOURCES = tests/unit/triggers/clock_test.c tests/unit/triggers/fakes.c
tests_unit_triggers_clock_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir) -DTESTS_DIR='"$(abs_top_srcdir)/tests"'
tests_unit_triggers_clock_test_LDADD = $(UNIT_LIBS)
noinst_HEADERS += tests/unit/triggers/fakes.h
EXTRA_DIST += tests/vectors/missed.json

check_PROGRAMS += tests/unit/triggers/settle_test tests/unit/triggers/signature_test
TESTS += tests/unit/triggers/settle_test tests/unit/triggers/signature_test
tests_unit_triggers_settle_test_SOURCES = tests/unit/triggers/settle_test.c
tests_unit_triggers_settle_test_LDADD = $(UNIT_LIBS)
tests_unit_triggers_signature_test_SOURCES = tests/unit/triggers/signature_test.c
tests_unit_triggers_signature_test_CPPFLAGS = $(AM_CPPFLAGS) -DTESTS_DIR='"$(abs_top_srcdir)/tests"'
tests_unit_triggers_signature_test_LDADD = $(UNIT_LIBS)
EXTRA_DIST += tests/vectors/hmac.json

WATCH_TESTS = tests/unit/triggers/watch_see_test tests/unit/triggers/watch_life_test
check_PROGRAMS += $(WATCH_TESTS)
TESTS += $(WATCH_TESTS)
noinst_HEADERS += tests/unit/triggers/watch_fixture.h
tests_unit_triggers_watch_see_test_SOURCES = tests/unit/triggers/watch_see_test.c tests/unit/triggers/watch_fixture.c \
	tests/unit/triggers/fakes.c
tests_unit_triggers_watch_see_test_LDADD = $(UNIT_LIBS)
tests_unit_triggers_watch_life_test_SOURCES = tests/unit/triggers/watch_life_test.c tests/unit/triggers/watch_fixture.c \
	tests/unit/triggers/fakes.c
tests_unit_triggers_watch_life_test_LDADD = $(UNIT_LIBS)
