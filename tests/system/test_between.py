"""A Belfry that drives another one's local workspace as its Control Room, with faults on the way: each route, each kind."""
import contextlib
import hashlib
import http.client
import http.server
import json
import pathlib
import re
import socket
import threading

import pytest

from conftest import Daemon, serving, until

FAR = """
[process work]
workspace = here
shell = yes
command = echo a; echo b; cd output; seq 60000 > log.html; printf bb > b; : > c; cp "$$BELFRY_FILE" given; cd "$$(dirname "$$RC_WORKITEM_OUTPUT_PATH")"; for n in 0 1 2; do echo "row $$n" > r$$n.csv; done; printf '%s' '[{"payload": {"n": 0}, "files": {"r.csv": "r0.csv"}}, {"payload": {"n": 1}, "files": {"r.csv": "r1.csv"}}, {"payload": {"n": 2}, "files": {"r.csv": "r2.csv"}}]' > workitems.json
overlap = allow_all
max_parallel = 100
[process long]
workspace = here
command = sleep 600
"""

NEAR = """
[workspace far]
type = robocorp
id = here
api_url = {url}/api/v1
api_key_env = FAR_KEY
poll_min = 100ms
poll_max = 300ms
rate = 1000
[process work]
workspace = far
process_name = work
overlap = allow_all
max_parallel = 100
[process long]
workspace = far
process_name = long
"""

ROUTES = {
    "processes": r"GET \S+/processes(\?|$)",
    "create_item": r"POST \S+/work-items$",
    "create_file": r"POST \S+/work-items/[^/]+/files$",
    "upload": r"POST \S*/uploads/",
    "start_run": r"POST \S+/processes/[^/]+/process-runs$",
    "get_run": r"GET \S+/process-runs/[^/?]+$",
    "list_runs": r"GET \S+/process-runs\?",
    "step_runs": r"GET \S+/step-runs\?",
    "artifacts": r"GET \S+/step-runs/[^/]+/artifacts(\?|$)",
    "artifact": r"GET \S+/step-runs/[^/]+/artifacts/[^/?]+$",
    "console": r"GET \S+/console-messages",
    "events": r"GET \S+/events",
    "outputs": r"GET \S+/outputs\?",
    "download": r"GET /(item-)?files/",
    "stop_run": r"POST \S+/stop$",
}
KINDS = ["reset_before", "reset_after", "500_before", "500_after", "429", "html", "truncated", "duplicate_keys"]
START_KINDS = ["reset_after", "500_after", "429", "html", "truncated", "duplicate_keys"]
FILE_KINDS = ["reset_before", "500_before", "truncated"]
WHICH = dict({route: KINDS for route in ROUTES if route != "stop_run"}, start_run=START_KINDS, download=FILE_KINDS,
             upload=["reset_before", "500_before"])


@contextlib.contextmanager
def proxy(port):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def fault(self):
            line = f"{self.command} {self.path}"
            with Handler.lock:
                for fault in Handler.faults:
                    if fault["times"] > 0 and re.match(ROUTES[fault["route"]], line):
                        fault["times"] -= 1
                        return fault["kind"]
            return None

        def answer(self, status, body, headers=(), length=None):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def cut(self):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = self.fault()
            if kind == "reset_before":
                return self.cut()
            if kind == "500_before":
                return self.answer(500, b"{}")
            if kind == "429":
                return self.answer(429, b"{}", [("Retry-After", "1")])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                connection.request(self.command, self.path, body or None, {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "expect")})
                real = connection.getresponse()
                content = real.read()
            except OSError:
                return self.cut()
            finally:
                connection.close()
            headers = [(k, v) for k, v in real.getheaders() if k.lower() in ("content-type", "date", "retry-after")]
            if kind == "reset_after":
                return self.cut()
            if kind == "500_after":
                return self.answer(500, b"{}")
            if kind == "html":
                return self.answer(real.status, b"<html>nice</html>", [("Content-Type", "text/html")])
            if kind == "truncated":
                self.answer(real.status, content[:len(content) // 2], headers, len(content))
                return self.cut()
            if kind == "duplicate_keys":
                content = b'{"data": [], "data": [], "id": "1", "id": "2"}'
            if real.status == 204:
                self.send_response(204)
                return self.end_headers()
            return self.answer(real.status, content, headers)
        do_GET = do_POST = do_PUT = do_DELETE = forward
    Handler.faults, Handler.lock = [], threading.Lock()
    with serving(Handler):
        yield Handler


@pytest.fixture
def pair(daemon, tmp_path_factory):
    """The far one, the near one, and the proxy between them."""
    daemon.start(FAR)
    key = daemon.add_key()["key"]
    near = Daemon(tmp_path_factory.mktemp("near"), env={"FAR_KEY": key})
    with proxy(daemon.address()[1]) as between:
        near.start(NEAR.format(url=between.url))
        try:
            yield daemon, near, between
        finally:
            near.end()


@pytest.mark.parametrize("route", WHICH)
def test_a_fault_of_each_kind_between_two(pair, route):
    far, near, between = pair
    kinds = WHICH[route]
    (near.folder / "in.csv").write_text("1;2;3\n")
    between.faults[:] = [{"route": route, "kind": kind, "times": 1} for kind in kinds]
    runs = [near.begin("work", input={"n": n}, files=[str(near.folder / "in.csv")]) for n in range(len(kinds))]
    log = "".join(f"{n}\n" for n in range(1, 60001)).encode()
    wanted = {name: hashlib.sha256(content).hexdigest() for name, content in (("log.html", log), ("b", b"bb"), ("c", b""), ("given", b"1;2;3\n"))}
    for run in runs:
        record = near.ended(run, 120)
        assert record["state"] == "completed", record
        where = pathlib.Path(record["results"])
        assert {a["name"]: a["sha256"] for a in record["artifacts"]} == wanted
        for artifact in record["artifacts"]:
            assert hashlib.sha256((where / artifact["path"]).read_bytes()).hexdigest() == artifact["sha256"]
        assert [(where / o["path"] / "r.csv").read_text() for o in record["work_items"]["output"]] == ["row 0\n", "row 1\n", "row 2\n"]
        assert [line.split(" ", 1)[1] for line in (where / "console.log").read_text().splitlines()] == ["a", "b"]
    assert route in ("processes", "list_runs", "get_run") or not [f for f in between.faults if f["times"] > 0]
    theirs = far.runs()
    assert len(theirs) == len(runs) and {r["id"] for r in theirs} == {near.run(r)["remote"]["run_id"] for r in runs}
    assert sorted(r["work_items"]["input"][0]["payload"]["n"] for r in theirs) == list(range(len(runs)))
    key = {"Authorization": "RC-WSKEY " + near.env["FAR_KEY"]}
    waiting = far.tcp("GET", "/api/v1/workspaces/here/work-items?state=new", headers=key).json["data"]
    assert waiting == [], "a work item was made and forgotten"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_arrives_at_the_other(pair, kind):
    far, near, between = pair
    between.faults[:] = [{"route": "stop_run", "kind": kind, "times": 2}]
    run = near.begin("long")
    until(lambda: near.run(run)["state"] == "running", "it runs")
    near.cli("cancel", run)
    assert near.ended(run, 60)["state"] == "canceled"
    assert far.run(near.run(run)["remote"]["run_id"])["state"] == "canceled"
    assert json.dumps(between.faults).count('"times": 0') == 1 or kind in ("reset_after", "500_after", "html", "truncated", "duplicate_keys")
