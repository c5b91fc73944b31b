libbelfry_a_SOURCES += \
	daemon/net/http_client.c \
	daemon/net/http_transfer.c \
	daemon/net/http_client_words.c \
	daemon/net/http_url.c \
	daemon/net/address.c \
	daemon/net/client_internal.h \
	daemon/net/http_gate.c \
	daemon/net/http_server.c \
	daemon/net/http_listen.c \
	daemon/net/http_conn.c \
	daemon/net/http_pump.c \
	daemon/net/http_exchange.c \
	daemon/net/server_internal.h \
	daemon/net/later.c
noinst_HEADERS += \
	include/belfry/net/address.h \
	include/belfry/net/http_client.h \
	include/belfry/net/http_server.h \
	include/belfry/net/http_gate.h \
	include/belfry/net/later.h
