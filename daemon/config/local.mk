libbelfry_a_SOURCES += \
	daemon/config/check.c \
	daemon/config/config.c \
	daemon/config/custom.c \
	daemon/config/custom_trigger.c \
	daemon/config/ini.c \
	daemon/config/load.c \
	daemon/config/loader.h \
	daemon/config/permission.c \
	daemon/config/schema.c \
	daemon/config/steps.c \
	daemon/config/value.c
noinst_HEADERS += \
	include/belfry/config/config.h \
	include/belfry/config/ini.h \
	include/belfry/config/permission.h \
	include/belfry/config/schema.h
