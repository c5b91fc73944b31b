libbelfry_a_SOURCES += \
	daemon/results/deliver.c \
	daemon/results/deliver_internal.h \
	daemon/results/deliver_send.c \
	daemon/results/folder.c \
	daemon/results/run_json.c \
	daemon/results/syslog.c \
	daemon/results/syslog_format.c \
	daemon/results/syslog_target.c \
	daemon/results/syslog_internal.h
noinst_HEADERS += \
	include/belfry/results/deliver.h \
	include/belfry/results/folder.h \
	include/belfry/results/syslog.h
