"""The real programs, from outside: a daemon in a folder of its own, and what a test needs to ring and watch it."""
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import control_room  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BELFRY_BUILD", ".")).resolve()
PATIENCE = float(os.environ.get("BELFRY_PATIENCE", "30"))


def until(condition, what, patience=PATIENCE):
    """Waits for a condition, and gives back what it gave."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {patience} s in vain: {what}")


def bearer(key):
    return {"Authorization": f"RC-WSKEY {key}"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(handler):
    """An HTTP server on the loopback; handler.url says where."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_address[1]}"
    handler.log_message = lambda *words: None
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("belfry", timeout=PATIENCE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Daemon:
    BASE = """
[daemon]
state_dir = state
results_dir = results
socket = belfry.sock
log_level = debug
{daemon}
[http]
listen = 127.0.0.1:0
{http}
[syslog]
target = {syslog}
[workspace here]
type = local
"""

    def __init__(self, folder, env=None, wrap=()):
        self.folder = pathlib.Path(folder)
        self.env = dict(os.environ, BELFRY_LIBEXEC=str(BUILD), **(env or {}))
        self.wrap = list(wrap)
        self.process = None
        self.daemon = self.http = ""
        self.syslog = "none"

    @property
    def config(self):
        return self.folder / "belfry.conf"

    @property
    def results(self):
        return self.folder / "results"

    def configure(self, text):
        base = self.BASE.format(daemon=self.daemon, http=self.http, syslog=self.syslog)
        self.config.write_text(base + text)

    def start(self, text=None, wait=True):
        if text is not None:
            self.configure(text)
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([*self.wrap, str(BUILD / "belfryd"), "-c", str(self.config)], env=self.env,
                                        stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        if wait:
            until(self.is_ready, "the daemon is ready:\n" + self.log_text()[-3000:])
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("the daemon has gone:\n" + self.log_text()[-3000:])
        try:
            return self.api("GET", "/readyz").status == 200
        except OSError:
            return False

    def log_text(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=PATIENCE)
        self.log.close()
        assert code == 0, self.log_text()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()

    # --- asking ---------------------------------------------------------------------------------------------------

    def api(self, method, path, body=None, headers=None):
        connection = UnixConnection(self.folder / "belfry.sock")
        return self.exchange(connection, method, path, body, headers)

    def tcp(self, method, path, body=None, headers=None):
        host, port = self.address()
        return self.exchange(http.client.HTTPConnection(host, port, timeout=PATIENCE), method, path, body, headers)

    @staticmethod
    def exchange(connection, method, path, body, headers):
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        try:
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def address(self):
        host, _, port = self.api("GET", "/belfry/v1/status").json["listen"][0].rpartition(":")
        return host, int(port)

    def status(self):
        return self.api("GET", "/belfry/v1/status").json

    def runs(self, **query):
        text = "&".join(f"{k}={v}" for k, v in dict({"n": 1000}, **query).items())
        answer = self.api("GET", "/belfry/v1/runs?" + text)
        assert answer.status == 200, answer.body
        return answer.json["data"]

    def run(self, run_id):
        return self.api("GET", f"/belfry/v1/runs/{run_id}").json

    def begin(self, process, **body):
        answer = self.api("POST", f"/belfry/v1/processes/{process}/runs", body)
        assert answer.status == 202, answer.body
        return answer.json["run_id"]

    def ended(self, run_id, patience=PATIENCE):
        """The run's record once it has ended."""
        def look():
            record = self.run(run_id)
            return record if record["state"] in ENDS else None
        return until(look, f"run {run_id} ends", patience)

    def run_and_wait(self, process, **body):
        return self.ended(self.begin(process, **body))

    def add_key(self, permissions=("all",), workspace="here", **more):
        """A key of the workspace, as it is shown once."""
        answer = self.api("POST", f"/belfry/v1/workspaces/{workspace}/keys", dict({"name": "test", "permissions": list(permissions)}, **more))
        assert answer.status == 200, answer.body
        return answer.json

    def cli(self, *words, check=True, env=None):
        done = subprocess.run([str(BUILD / "belfry"), "-c", str(self.config), *words], env=dict(self.env, **(env or {})),
                              capture_output=True, text=True, timeout=PATIENCE * 2)
        if check:
            assert done.returncode == 0, done.stderr
        return done


ENDS = ("completed", "failed", "canceled", "timed_out", "lost", "skipped")


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path)
    yield made
    made.end()


@contextlib.contextmanager
def stand_in():
    """A stand-in Control Room; `room.script(...)` and `room.state()`."""
    server = control_room.serve()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    class Handle:
        port = server.server_address[1]
        url = f"http://127.0.0.1:{port}/api/v1"
        object = server.RequestHandlerClass.room

        @staticmethod
        def script(**members):
            with Handle.object.lock:
                Handle.object.script.update(members)

        @staticmethod
        def state():
            with Handle.object.lock:
                return json.loads(json.dumps({"requests": Handle.object.requests, "complaints": Handle.object.complaints,
                                              "runs": list(Handle.object.runs.values()),
                                              "work_items": list(Handle.object.items.values())}))
    try:
        yield Handle
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def room():
    with stand_in() as handle:
        yield handle


def pytest_configure(config):
    for program in ("belfryd", "belfry-run", "belfry-eval"):
        if not (BUILD / program).exists():
            pytest.exit(f"{BUILD / program} is not built: set BELFRY_BUILD to the build folder", returncode=2)
