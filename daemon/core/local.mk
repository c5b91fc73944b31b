libbelfry_a_SOURCES += \
	daemon/core/overlap.c \
	daemon/core/run.c \
	daemon/core/pace.c \
	daemon/core/event.c \
	daemon/core/engine.c \
	daemon/core/asset.c \
	daemon/core/hook.c \
	daemon/core/item.c \
	daemon/core/key.c \
	daemon/core/flow.c \
	daemon/core/flow_move.c \
	daemon/core/flows.c \
	daemon/core/flow_internal.h \
	daemon/core/lane.c \
	daemon/core/admit.c \
	daemon/core/move.c \
	daemon/core/report.c \
	daemon/core/recover.c \
	daemon/core/reopen.c \
	daemon/core/internal.h
noinst_HEADERS += \
	include/belfry/core/overlap.h \
	include/belfry/core/run.h \
	include/belfry/core/record.h \
	include/belfry/core/pace.h \
	include/belfry/core/event.h \
	include/belfry/core/firing.h \
	include/belfry/core/asset.h \
	include/belfry/core/hook.h \
	include/belfry/core/item.h \
	include/belfry/core/flow.h \
	include/belfry/core/flows.h \
	include/belfry/core/key.h \
	include/belfry/core/engine.h
