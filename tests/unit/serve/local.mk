check_PROGRAMS += tests/unit/serve/key_test
TESTS += tests/unit/serve/key_test
tests_unit_serve_key_test_SOURCES = tests/unit/serve/key_test.c
tests_unit_serve_key_test_LDADD = $(UNIT_LIBS)
