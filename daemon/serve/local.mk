libbelfry_a_SOURCES += \
	daemon/serve/admin.c \
	daemon/serve/begin.c \
	daemon/serve/files.c \
	daemon/serve/runs.c \
	daemon/serve/serve.c \
	daemon/serve/serve_internal.h
noinst_HEADERS += include/belfry/serve/serve.h
