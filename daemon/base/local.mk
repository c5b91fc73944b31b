libbelfry_a_SOURCES += \
	daemon/base/buf.c \
	daemon/base/error.c \
	daemon/base/file.c \
	daemon/base/file_name.c \
	daemon/base/form.c \
	daemon/base/heap.c \
	daemon/base/id.c \
	daemon/base/json.c \
	daemon/base/log.c \
	daemon/base/secret.c \
	daemon/base/systemd.c \
	daemon/base/text.c \
	daemon/base/text_code.c \
	daemon/base/time.c \
	daemon/base/transit.c \
	daemon/base/vault.c
noinst_HEADERS += \
	include/belfry/base/buf.h \
	include/belfry/base/error.h \
	include/belfry/base/file.h \
	include/belfry/base/form.h \
	include/belfry/base/heap.h \
	include/belfry/base/id.h \
	include/belfry/base/json.h \
	include/belfry/base/log.h \
	include/belfry/base/secret.h \
	include/belfry/base/systemd.h \
	include/belfry/base/text.h \
	include/belfry/base/time.h \
	include/belfry/base/transit.h \
	include/belfry/base/vault.h
