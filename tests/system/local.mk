# The real programs, from outside: `BELFRY_BUILD=… python3 -m pytest tests/system` (packaging/check system).
EXTRA_DIST += \
	tests/soak/kill \
	tests/system/conftest.py \
	tests/system/control_room.py \
	tests/system/kills.py \
	tests/system/test_api.py \
	tests/system/test_api_old.py \
	tests/system/test_between.py \
	tests/system/test_cli.py \
	tests/system/test_config.py \
	tests/system/test_crash.py \
	tests/system/test_dialects.py \
	tests/system/test_disk.py \
	tests/system/test_exit.py \
	tests/system/test_gate.py \
	tests/system/test_hooks.py \
	tests/system/test_http.py \
	tests/system/test_items.py \
	tests/system/test_keys.py \
	tests/system/test_kill.py \
	tests/system/test_local.py \
	tests/system/test_matrix.py \
	tests/system/test_outputs.py \
	tests/system/test_page.py \
	tests/system/test_lists.py \
	tests/system/test_remote.py \
	tests/system/test_schedule.py \
	tests/system/test_steps.py \
	tests/system/test_syslog.py \
	tests/system/test_tls.py \
	tests/system/test_uploads.py \
	tests/system/test_vault.py \
	tests/system/test_vendor.py \
	tests/system/test_watch.py \
	tests/system/test_webhook.py
