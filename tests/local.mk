# Unit tests mirror the rooms; what needs cmocka is left out where it is missing.
UNIT_LIBS = $(BELFRY_LIBS) $(CMOCKA_LIBS)

if HAVE_CMOCKA
include tests/unit/base/local.mk
include tests/unit/calendar/local.mk
include tests/unit/config/local.mk
include tests/unit/core/local.mk
include tests/unit/store/local.mk
include tests/unit/net/local.mk
include tests/unit/triggers/local.mk
include tests/unit/backends/local.mk
include tests/unit/results/local.mk
include tests/unit/serve/local.mk
endif
include tests/sim/local.mk
include tests/system/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
