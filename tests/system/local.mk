# The real programs, from outside: `BELFRY_BUILD=… python3 -m pytest tests/system` (packaging/check system).
EXTRA_DIST += tests/system/conftest.py tests/system/control_room.py tests/system/test_remote.py
