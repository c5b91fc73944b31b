check_PROGRAMS += tests/unit/config/ini_test tests/unit/config/load_test
TESTS += tests/unit/config/ini_test tests/unit/config/load_test
tests_unit_config_ini_test_SOURCES = tests/unit/config/ini_test.c
tests_unit_config_ini_test_LDADD = $(UNIT_LIBS)
tests_unit_config_load_test_SOURCES = tests/unit/config/load_test.c
tests_unit_config_load_test_LDADD = $(UNIT_LIBS)

CONFIG_TESTS = tests/unit/config/files_test tests/unit/config/ini_edge_test tests/unit/config/report_test \
	tests/unit/config/schema_test
check_PROGRAMS += $(CONFIG_TESTS)
TESTS += $(CONFIG_TESTS)
CONFIG_FIXTURE = tests/unit/config/config_fixture.c tests/unit/config/config_fixture.h
tests_unit_config_files_test_SOURCES = tests/unit/config/files_test.c $(CONFIG_FIXTURE)
tests_unit_config_files_test_LDADD = $(UNIT_LIBS)
tests_unit_config_ini_edge_test_SOURCES = tests/unit/config/ini_edge_test.c
tests_unit_config_ini_edge_test_LDADD = $(UNIT_LIBS)
tests_unit_config_report_test_SOURCES = tests/unit/config/report_test.c $(CONFIG_FIXTURE)
tests_unit_config_report_test_LDADD = $(UNIT_LIBS)
tests_unit_config_schema_test_SOURCES = tests/unit/config/schema_test.c $(CONFIG_FIXTURE)
tests_unit_config_schema_test_LDADD = $(UNIT_LIBS)
