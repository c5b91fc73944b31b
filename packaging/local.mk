EXTRA_DIST += packaging/check packaging/demo packaging/dependencies packaging/systemd/belfryd.service.in

if HAVE_SYSTEMD_UNITS
systemdsystemunit_DATA = packaging/systemd/belfryd.service
endif
CLEANFILES += packaging/systemd/belfryd.service

packaging/systemd/belfryd.service: packaging/systemd/belfryd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging/systemd && \
	  sed 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/packaging/systemd/belfryd.service.in > $@.tmp && mv $@.tmp $@
