libbelfry_a_SOURCES += \
	daemon/store/internal.h \
	daemon/store/journal.c \
	daemon/store/read.c \
	daemon/store/records.c \
	daemon/store/records_prune.c \
	daemon/store/records_refuse.c \
	daemon/store/rows.c \
	daemon/store/schema.c \
	daemon/store/write.c
noinst_HEADERS += include/belfry/store/journal.h
