check_PROGRAMS += tests/unit/store/journal_test
TESTS += tests/unit/store/journal_test
tests_unit_store_journal_test_SOURCES = tests/unit/store/journal_test.c
tests_unit_store_journal_test_LDADD = $(UNIT_LIBS)
