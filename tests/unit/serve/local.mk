check_PROGRAMS += tests/unit/serve/console_test tests/unit/serve/key_test
TESTS += tests/unit/serve/console_test tests/unit/serve/key_test
tests_unit_serve_console_test_SOURCES = tests/unit/serve/console_test.c
tests_unit_serve_console_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/daemon/serve
tests_unit_serve_console_test_LDADD = $(UNIT_LIBS)
tests_unit_serve_key_test_SOURCES = tests/unit/serve/key_test.c
tests_unit_serve_key_test_LDADD = $(UNIT_LIBS)
