# unit tests of backends

LOCAL_TESTS = tests/unit/backends/local_test tests/unit/backends/local_collect_test \
	tests/unit/backends/local_pool_test tests/unit/backends/supervisor_test
check_PROGRAMS += $(LOCAL_TESTS)
TESTS += $(LOCAL_TESTS)
noinst_HEADERS += tests/unit/backends/local_fixture.h
tests_unit_backends_local_test_SOURCES = tests/unit/backends/local_test.c tests/unit/backends/local_fixture.c
tests_unit_backends_local_test_CPPFLAGS = $(AM_CPPFLAGS) -DPROGRAMS='"$(abs_top_builddir)"'
tests_unit_backends_local_test_LDADD = $(UNIT_LIBS)
EXTRA_tests_unit_backends_local_test_DEPENDENCIES = belfry-run
tests_unit_backends_local_collect_test_SOURCES = tests/unit/backends/local_collect_test.c \
	tests/unit/backends/local_fixture.c
tests_unit_backends_local_collect_test_CPPFLAGS = $(AM_CPPFLAGS) -DPROGRAMS='"$(abs_top_builddir)"'
tests_unit_backends_local_collect_test_LDADD = $(UNIT_LIBS)
EXTRA_tests_unit_backends_local_collect_test_DEPENDENCIES = belfry-run
tests_unit_backends_local_pool_test_SOURCES = tests/unit/backends/local_pool_test.c tests/unit/backends/local_fixture.c
tests_unit_backends_local_pool_test_CPPFLAGS = $(AM_CPPFLAGS) -DPROGRAMS='"$(abs_top_builddir)"'
tests_unit_backends_local_pool_test_LDADD = $(UNIT_LIBS)
EXTRA_tests_unit_backends_local_pool_test_DEPENDENCIES = belfry-run
tests_unit_backends_supervisor_test_SOURCES = tests/unit/backends/supervisor_test.c
tests_unit_backends_supervisor_test_CPPFLAGS = $(AM_CPPFLAGS) -DPROGRAMS='"$(abs_top_builddir)"'
tests_unit_backends_supervisor_test_LDADD = $(UNIT_LIBS)
EXTRA_tests_unit_backends_supervisor_test_DEPENDENCIES = belfry-run
