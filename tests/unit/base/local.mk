check_PROGRAMS += tests/unit/base/text_test tests/unit/base/file_test tests/unit/base/time_test
TESTS += tests/unit/base/text_test tests/unit/base/file_test tests/unit/base/time_test
tests_unit_base_text_test_SOURCES = tests/unit/base/text_test.c
tests_unit_base_text_test_LDADD = $(UNIT_LIBS)
tests_unit_base_file_test_SOURCES = tests/unit/base/file_test.c
tests_unit_base_file_test_LDADD = $(UNIT_LIBS)
tests_unit_base_time_test_SOURCES = tests/unit/base/time_test.c
tests_unit_base_time_test_LDADD = $(UNIT_LIBS)

# One subject a file
BASE_TESTS = \
	tests/unit/base/units_edge_test \
	tests/unit/base/file_edge_test \
	tests/unit/base/buf_test \
	tests/unit/base/file_copy_test \
	tests/unit/base/file_name_test \
	tests/unit/base/form_test \
	tests/unit/base/heap_test \
	tests/unit/base/id_test \
	tests/unit/base/json_test \
	tests/unit/base/secret_test \
	tests/unit/base/text_code_test \
	tests/unit/base/transit_test \
	tests/unit/base/vault_test
check_PROGRAMS += $(BASE_TESTS)
TESTS += $(BASE_TESTS)
tests_unit_base_buf_test_SOURCES = tests/unit/base/buf_test.c
tests_unit_base_buf_test_LDADD = $(UNIT_LIBS)
tests_unit_base_file_copy_test_SOURCES = tests/unit/base/file_copy_test.c
tests_unit_base_file_copy_test_LDADD = $(UNIT_LIBS)
tests_unit_base_file_name_test_SOURCES = tests/unit/base/file_name_test.c
tests_unit_base_file_name_test_LDADD = $(UNIT_LIBS)
tests_unit_base_form_test_SOURCES = tests/unit/base/form_test.c
tests_unit_base_form_test_LDADD = $(UNIT_LIBS)
tests_unit_base_heap_test_SOURCES = tests/unit/base/heap_test.c
tests_unit_base_heap_test_LDADD = $(UNIT_LIBS)
tests_unit_base_id_test_SOURCES = tests/unit/base/id_test.c
tests_unit_base_id_test_LDADD = $(UNIT_LIBS)
tests_unit_base_json_test_SOURCES = tests/unit/base/json_test.c
tests_unit_base_json_test_LDADD = $(UNIT_LIBS)
tests_unit_base_secret_test_SOURCES = tests/unit/base/secret_test.c
tests_unit_base_secret_test_LDADD = $(UNIT_LIBS)
tests_unit_base_text_code_test_SOURCES = tests/unit/base/text_code_test.c
tests_unit_base_text_code_test_LDADD = $(UNIT_LIBS)
tests_unit_base_file_edge_test_SOURCES = tests/unit/base/file_edge_test.c
tests_unit_base_file_edge_test_LDADD = $(UNIT_LIBS)
tests_unit_base_units_edge_test_SOURCES = tests/unit/base/units_edge_test.c
tests_unit_base_units_edge_test_LDADD = $(UNIT_LIBS)
tests_unit_base_transit_test_SOURCES = tests/unit/base/transit_test.c
tests_unit_base_transit_test_LDADD = $(UNIT_LIBS)
tests_unit_base_vault_test_SOURCES = tests/unit/base/vault_test.c
tests_unit_base_vault_test_LDADD = $(UNIT_LIBS)
