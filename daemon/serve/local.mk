libbelfry_a_SOURCES += \
	daemon/serve/admin.c \
	daemon/serve/api.c \
	daemon/serve/api.h \
	daemon/serve/api_input.c \
	daemon/serve/api_assets.c \
	daemon/serve/api_files.c \
	daemon/serve/api_flow.c \
	daemon/serve/api_hooks.c \
	daemon/serve/api_items.c \
	daemon/serve/api_robot.c \
	daemon/serve/uploads.c \
	daemon/serve/web.c \
	daemon/serve/wishes.c \
	daemon/serve/api_old.c \
	daemon/serve/api_old_items.c \
	daemon/serve/api_old_steps.c \
	daemon/serve/api_outputs.c \
	daemon/serve/api_reference.c \
	daemon/serve/api_runs.c \
	daemon/serve/api_schemas.c \
	daemon/serve/api_secrets.c \
	daemon/serve/api_shape.c \
	daemon/serve/api_start.c \
	daemon/serve/api_steps.c \
	daemon/serve/api_workers.c \
	daemon/serve/begin.c \
	daemon/serve/files.c \
	daemon/serve/gate.c \
	daemon/serve/key_value.c \
	daemon/serve/keyring.c \
	daemon/serve/keys.c \
	daemon/serve/links.c \
	daemon/serve/runs.c \
	daemon/serve/serve.c \
	daemon/serve/serve_internal.h
noinst_HEADERS += include/belfry/serve/keyring.h include/belfry/serve/serve.h

# Pages become strings of the daemon's.
EXTRA_DIST += daemon/serve/web/api.html
BUILT_SOURCES += daemon/serve/web/api_html.c
CLEANFILES += daemon/serve/web/api_html.c
nodist_libbelfry_a_SOURCES = daemon/serve/web/api_html.c
daemon/serve/web/api_html.c: daemon/serve/web/api.html
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN){ echo 'extern const char web_api_html[];'; echo 'const char web_api_html[] ='; \
		sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$/\\n"/' $(srcdir)/daemon/serve/web/api.html; echo '    ;'; } > $@.tmp && mv $@.tmp $@
