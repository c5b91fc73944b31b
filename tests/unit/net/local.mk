check_PROGRAMS += \
	tests/unit/net/gate_test \
	tests/unit/net/server_test \
	tests/unit/net/server_refuse_test \
	tests/unit/net/client_test \
	tests/unit/net/url_test \
	tests/unit/net/address_test
TESTS += \
	tests/unit/net/gate_test \
	tests/unit/net/server_test \
	tests/unit/net/server_refuse_test \
	tests/unit/net/client_test \
	tests/unit/net/url_test \
	tests/unit/net/address_test
tests_unit_net_gate_test_SOURCES = tests/unit/net/gate_test.c
tests_unit_net_gate_test_LDADD = $(UNIT_LIBS)
tests_unit_net_server_test_SOURCES = tests/unit/net/server_test.c tests/unit/net/server_fixture.c \
	tests/unit/net/server_fixture.h
tests_unit_net_server_test_LDADD = $(UNIT_LIBS)
tests_unit_net_server_refuse_test_SOURCES = tests/unit/net/server_refuse_test.c tests/unit/net/server_fixture.c \
	tests/unit/net/server_fixture.h
tests_unit_net_server_refuse_test_LDADD = $(UNIT_LIBS)
tests_unit_net_client_test_SOURCES = tests/unit/net/client_test.c tests/unit/net/raw_server.c tests/unit/net/raw_server.h
tests_unit_net_client_test_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/daemon/net
tests_unit_net_client_test_LDADD = $(UNIT_LIBS)
tests_unit_net_url_test_SOURCES = tests/unit/net/url_test.c
tests_unit_net_url_test_LDADD = $(UNIT_LIBS)
tests_unit_net_address_test_SOURCES = tests/unit/net/address_test.c
tests_unit_net_address_test_LDADD = $(UNIT_LIBS)
