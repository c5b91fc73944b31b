check_PROGRAMS += tests/unit/results/syslog_test
TESTS += tests/unit/results/syslog_test
tests_unit_results_syslog_test_SOURCES = tests/unit/results/syslog_test.c tests/unit/store/journal_fixture.c \
	tests/unit/store/journal_fixture.h
tests_unit_results_syslog_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)
tests_unit_results_syslog_test_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/results/folder_test tests/unit/results/syslog_format_test
TESTS += tests/unit/results/folder_test tests/unit/results/syslog_format_test
tests_unit_results_folder_test_SOURCES = tests/unit/results/folder_test.c
tests_unit_results_folder_test_LDADD = $(UNIT_LIBS)
tests_unit_results_syslog_format_test_SOURCES = tests/unit/results/syslog_format_test.c
tests_unit_results_syslog_format_test_LDADD = $(UNIT_LIBS)
