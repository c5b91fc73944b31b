# calendar: when a schedule is due
libbelfry_a_SOURCES += \
	daemon/calendar/cron_parse.c \
	daemon/calendar/cron_next.c \
	daemon/calendar/days.c \
	daemon/calendar/days_ical.c \
	daemon/calendar/timing.c \
	daemon/calendar/zone.c \
	daemon/calendar/zone_local.c \
	daemon/calendar/zone_rule.c \
	daemon/calendar/zone_table.c
noinst_HEADERS += \
	include/belfry/calendar/cron.h \
	include/belfry/calendar/days.h \
	include/belfry/calendar/schedule.h \
	include/belfry/calendar/zone.h \
	daemon/calendar/days_set.h \
	daemon/calendar/zone_rule.h \
	daemon/calendar/zone_table.h
