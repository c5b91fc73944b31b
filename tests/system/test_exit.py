"""A clean end: nothing leaked, nothing lost, and the second word is obeyed at once."""
import hashlib
import hmac
import shutil
import signal

import pytest

from conftest import BUILD, Daemon, until

CONFIG = """
[workspace cloud]
type = robocorp
id = ws-1
api_url = {url}
api_key_env = CLOUD_KEY
poll_min = 100ms
poll_max = 200ms
rate = 1000
[process p]
workspace = cloud
process_name = Invoices
overlap = allow_all
[schedule s]
process = p
cron = * * * * * *
[watch w]
process = p
path = inbox
settle = 100ms
[webhook hook]
process = p
verify = hmac X-Sig hex
secret_env = HOOK_SECRET
"""


def sanitized():
    return b"__asan_init" in (BUILD / "belfryd").read_bytes()


@pytest.mark.skipif(shutil.which("valgrind") is None or sanitized(), reason="valgrind is not here, or not alone")
def test_valgrind(tmp_path, room):
    """With runs on a Control Room: Debian 12's valgrind knows no pidfd_open, which runs on this machine need."""
    daemon = Daemon(tmp_path, env={"HOOK_SECRET": "k", "CLOUD_KEY": "test-key"}, wrap=[
        "valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite", "--fair-sched=yes"])
    (tmp_path / "inbox").mkdir()
    try:
        daemon.start(CONFIG.format(url=room.url))
        (tmp_path / "inbox" / "a").write_text("1")
        sign = hmac.new(b"k", b'{"a": 1}', hashlib.sha256).hexdigest()
        assert daemon.tcp("POST", "/hooks/hook", b'{"a": 1}', {"X-Sig": sign, "Content-Type": "application/json"}).status == 202
        until(lambda: {r["trigger"]["kind"] for r in daemon.runs(state="completed")} == {"schedule", "watch", "webhook"}, "all ring", 120)
        assert daemon.api("POST", "/belfry/v1/reload").status == 200
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(timeout=120) == 0, daemon.log_text()
        assert "ERROR SUMMARY" not in daemon.log_text() and "definitely lost" not in daemon.log_text()
    finally:
        daemon.end()


def test_a_stop_leaves_runs_alone(daemon, tmp_path):
    go = tmp_path / "go"
    daemon.start(f"[process p]\nworkspace = here\ncommand = sh -c 'touch {tmp_path}/up; while [ ! -e {go} ]; do sleep 0.05; done; exit 4'\n")
    run_id = daemon.begin("p")
    until((tmp_path / "up").exists, "it runs")
    daemon.stop()
    assert "stopped" in daemon.log_text()
    go.touch()
    daemon.start()
    assert daemon.ended(run_id)["exit_code"] == 4


def test_a_stop_does_not_wait_for_kept_connections(daemon):
    import socket
    daemon.start("[process p]\nworkspace = here\ncommand = true\n")
    connections = [socket.create_connection(daemon.address()) for _ in range(5)]
    connections[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    connections[1].sendall(b"GET /hea")
    assert connections[0].recv(100)
    daemon.stop()
    for connection in connections:
        connection.close()


def test_the_socket_of_a_dead_daemon_is_in_nobodys_way(daemon):
    daemon.start("[process p]\nworkspace = here\ncommand = true\n")
    daemon.kill()
    assert (daemon.folder / "belfry.sock").exists()
    daemon.start()
    assert oct((daemon.folder / "belfry.sock").stat().st_mode & 0o777) == "0o660"
    daemon.stop()
    assert not (daemon.folder / "belfry.sock").exists()
