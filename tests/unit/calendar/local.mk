# unit tests of calendar
CALENDAR_TEST_CPPFLAGS = $(AM_CPPFLAGS) -DTESTS_DIR='"$(abs_top_srcdir)/tests"'
CALENDAR_TESTS = \
	tests/unit/calendar/cron_test \
	tests/unit/calendar/days_test \
	tests/unit/calendar/timing_test \
	tests/unit/calendar/vectors_test \
	tests/unit/calendar/zone_test
check_PROGRAMS += $(CALENDAR_TESTS)
TESTS += $(CALENDAR_TESTS)
tests_unit_calendar_cron_test_SOURCES = tests/unit/calendar/cron_test.c
tests_unit_calendar_cron_test_LDADD = $(UNIT_LIBS)
tests_unit_calendar_days_test_SOURCES = tests/unit/calendar/days_test.c
tests_unit_calendar_days_test_LDADD = $(UNIT_LIBS)
tests_unit_calendar_timing_test_SOURCES = tests/unit/calendar/timing_test.c
tests_unit_calendar_timing_test_LDADD = $(UNIT_LIBS)
tests_unit_calendar_vectors_test_SOURCES = tests/unit/calendar/vectors_test.c
tests_unit_calendar_vectors_test_CPPFLAGS = $(CALENDAR_TEST_CPPFLAGS)
tests_unit_calendar_vectors_test_LDADD = $(UNIT_LIBS)
tests_unit_calendar_zone_test_SOURCES = tests/unit/calendar/zone_test.c
tests_unit_calendar_zone_test_LDADD = $(UNIT_LIBS)
# What all zones of the system come to, for zone_oracle.py to compare.
check_PROGRAMS += tests/unit/calendar/zone_dump
tests_unit_calendar_zone_dump_SOURCES = tests/unit/calendar/zone_dump.c
tests_unit_calendar_zone_dump_LDADD = $(BELFRY_LIBS)
EXTRA_DIST += \
	tests/proofs/zones \
	tests/unit/calendar/zone_oracle.py \
	tests/vectors/select.py \
	tests/vectors/cron-equal.json \
	tests/vectors/cron-match.json \
	tests/vectors/cron-next.json \
	tests/vectors/cron-parse.json
