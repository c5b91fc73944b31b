# The rooms, from the ground up (see include/belfry/). One library holds them all; the programs take what they need.
noinst_LIBRARIES += libbelfry.a
libbelfry_a_SOURCES =

BELFRY_LIBS = libbelfry.a $(UV_LIBS) $(CURL_LIBS) $(JANSSON_LIBS) $(INIH_LIBS) $(SQLITE_LIBS) $(MHD_LIBS) $(CRYPTO_LIBS)

include daemon/base/local.mk
include daemon/calendar/local.mk
include daemon/config/local.mk
include daemon/core/local.mk
include daemon/store/local.mk
include daemon/net/local.mk
include daemon/triggers/local.mk
include daemon/backends/local.mk
include daemon/results/local.mk
include daemon/serve/local.mk
include daemon/cli/local.mk

include daemon/house/local.mk
