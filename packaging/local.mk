EXTRA_DIST += packaging/check packaging/demo packaging/dependencies packaging/systemd/belfryd.service.in

if HAVE_SYSTEMD_UNITS
systemdsystemunit_DATA = packaging/systemd/belfryd.service
endif
CLEANFILES += packaging/systemd/belfryd.service

packaging/systemd/belfryd.service: packaging/systemd/belfryd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging/systemd && \
	  sed 's|[@]sbindir[@]|$(sbindir)|g' $(srcdir)/packaging/systemd/belfryd.service.in > $@.tmp && mv $@.tmp $@

# Manual pages; belfry.conf(5) is made of the table that reads the configuration.
dist_man_MANS += packaging/man/belfry.1 packaging/man/belfryd.8
man_MANS += packaging/man/belfry.conf.5
noinst_PROGRAMS += packaging/man/conf_page
packaging_man_conf_page_SOURCES = packaging/man/conf_page.c
packaging_man_conf_page_LDADD = $(BELFRY_LIBS)
CLEANFILES += packaging/man/belfry.conf.5

packaging/man/belfry.conf.5: packaging/man/conf_page$(EXEEXT)
	$(AM_V_GEN)packaging/man/conf_page$(EXEEXT) | sed 's/^\.Dd .*/.Dd November 25, 2026/' > $@.tmp && mv $@.tmp $@

# Completion goes where bash looks for it below the prefix.
completionsdir = $(datadir)/bash-completion/completions
dist_completions_DATA = packaging/completions/belfry
