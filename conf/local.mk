# The sample becomes the configuration where there is none yet; a configuration that was changed stays at uninstall.
confdir = $(sysconfdir)/belfry
dist_doc_DATA = conf/belfry.conf
EXTRA_DIST += conf/demo/belfry.conf conf/demo/report.sh

install-data-local:
	$(MKDIR_P) "$(DESTDIR)$(confdir)/conf.d"
	test -e "$(DESTDIR)$(confdir)/belfry.conf" || \
	  $(INSTALL_DATA) $(srcdir)/conf/belfry.conf "$(DESTDIR)$(confdir)/belfry.conf"

uninstall-local:
	! cmp -s $(srcdir)/conf/belfry.conf "$(DESTDIR)$(confdir)/belfry.conf" || rm -f "$(DESTDIR)$(confdir)/belfry.conf"
	-rmdir "$(DESTDIR)$(confdir)/conf.d" "$(DESTDIR)$(confdir)" 2>/dev/null
