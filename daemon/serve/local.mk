libbelfry_a_SOURCES += \
	daemon/serve/admin.c \
	daemon/serve/begin.c \
	daemon/serve/files.c \
	daemon/serve/key_value.c \
	daemon/serve/keyring.c \
	daemon/serve/keys.c \
	daemon/serve/permission.c \
	daemon/serve/runs.c \
	daemon/serve/serve.c \
	daemon/serve/serve_internal.h
noinst_HEADERS += include/belfry/serve/keyring.h include/belfry/serve/permission.h include/belfry/serve/serve.h
