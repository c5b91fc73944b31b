# One subject a file
STORE_TESTS = \
	tests/unit/store/journal_commit_test \
	tests/unit/store/journal_flow_test \
	tests/unit/store/journal_full_test \
	tests/unit/store/journal_open_test \
	tests/unit/store/journal_read_test
check_PROGRAMS += $(STORE_TESTS)
TESTS += $(STORE_TESTS)
STORE_FIXTURE = tests/unit/store/journal_fixture.c tests/unit/store/journal_fixture.h
tests_unit_store_journal_commit_test_SOURCES = tests/unit/store/journal_commit_test.c $(STORE_FIXTURE)
tests_unit_store_journal_commit_test_LDADD = $(UNIT_LIBS)
tests_unit_store_journal_full_test_SOURCES = tests/unit/store/journal_full_test.c $(STORE_FIXTURE)
tests_unit_store_journal_full_test_LDADD = $(UNIT_LIBS)
tests_unit_store_journal_open_test_SOURCES = tests/unit/store/journal_open_test.c $(STORE_FIXTURE)
tests_unit_store_journal_open_test_LDADD = $(UNIT_LIBS)
tests_unit_store_journal_read_test_SOURCES = tests/unit/store/journal_read_test.c $(STORE_FIXTURE)
tests_unit_store_journal_read_test_LDADD = $(UNIT_LIBS)
tests_unit_store_journal_flow_test_SOURCES = tests/unit/store/journal_flow_test.c $(STORE_FIXTURE)
tests_unit_store_journal_flow_test_LDADD = $(UNIT_LIBS)
