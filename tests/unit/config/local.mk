check_PROGRAMS += tests/unit/config/ini_test tests/unit/config/load_test
TESTS += tests/unit/config/ini_test tests/unit/config/load_test
tests_unit_config_ini_test_SOURCES = tests/unit/config/ini_test.c
tests_unit_config_ini_test_LDADD = $(UNIT_LIBS)
tests_unit_config_load_test_SOURCES = tests/unit/config/load_test.c
tests_unit_config_load_test_LDADD = $(UNIT_LIBS)
