"""Who wants to be told of runs: webhooks and callbacks, signed, retried, at least once."""
import contextlib
import hashlib
import hmac
import http.server
import json
import socket
import sqlite3
import threading
import uuid

import pytest

from conftest import bearer, serving, until

CONFIG = """
[process good]
workspace = here
command = true
overlap = allow_all
max_parallel = 4
[process bad]
workspace = here
shell = yes
command = test -e {folder}/mended
[process other]
workspace = here
command = true
[workspace there]
type = local
[process far]
workspace = there
command = true
[webhook ring]
process = far
verify = none
allow_from = 127.0.0.0/8
"""


@contextlib.contextmanager
def receiver():
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with Handler.lock:
                Handler.got.append((self.path, dict(self.headers), body))
                status = Handler.answers.pop(0) if Handler.answers else 200
            if status is None:   # no answer at all
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
    Handler.got, Handler.answers, Handler.lock = [], [], threading.Lock()
    with serving(Handler):
        yield Handler


@pytest.fixture
def hooks(daemon):
    daemon.start(CONFIG.format(folder=daemon.folder))
    headers = {}
    for workspace in ("here", "there"):
        headers[workspace] = bearer(daemon.add_key(workspace=workspace)["key"])

    def call(method, path, body=None, status=200, workspace="here"):
        answer = daemon.tcp(method, f"/api/v1/workspaces/{workspace}{path}", body, headers[workspace])
        assert answer.status == status, (method, path, answer.status, answer.body)
        return answer.json
    call.daemon, call.headers = daemon, headers
    call.processes = {p["name"]: p["id"] for w in ("here", "there") for p in call("GET", "/processes", workspace=w)["data"]}
    with receiver() as call.receiver:
        yield call


def messages(hooks, count, secret):
    got = until(lambda: (lambda g: g if len(g) >= count else None)(list(hooks.receiver.got)), f"{count} messages")
    found = []
    for path, headers, body in got:
        headers = {k.lower(): v for k, v in headers.items()}
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        assert headers["x-rc-signature"] == signed and headers["content-type"] == "application/json"
        found.append((path, json.loads(body)))
    assert len(found) == count
    return found


def make_hook(hooks, process="good", events=("process_run.started", "process_run.completed", "process_run.unresolved"), path="/hook"):
    return hooks("POST", "/webhooks", {"endpoint": hooks.receiver.url + path, "enabled_events": list(events),
                                       "process": {"id": hooks.processes[process]}})


def test_webhooks_are_made_listed_shown_deleted(hooks):
    assert hooks("GET", "/webhooks") == {"next": None, "has_more": False, "data": []}
    made = [make_hook(hooks), make_hook(hooks, "bad", ["process_run.unresolved"])]
    assert set(made[0]) == {"id", "process", "enabled_events", "secret", "endpoint"} and len(made[0]["secret"]) == 64
    assert made[0]["secret"] != made[1]["secret"]
    assert hooks("GET", f"/webhooks/{made[0]['id']}") == made[0]
    page = hooks("GET", "/webhooks?limit=1")
    assert page["has_more"] and page["data"] == [{k: v for k, v in made[0].items() if k != "secret"}]
    rest = hooks("GET", "/webhooks" + page["next"].split("/webhooks", 1)[1])
    assert not rest["has_more"] and [h["id"] for h in rest["data"]] == [made[1]["id"]]
    hooks("GET", f"/webhooks/{made[0]['id']}", status=404, workspace="there")
    hooks("DELETE", f"/webhooks/{made[0]['id']}", status=404, workspace="there")
    good = {"endpoint": "https://example.org/", "enabled_events": ["process_run.started"], "process": {"id": hooks.processes["good"]}}
    for change in ({"endpoint": "ftp://example.org/"}, {"endpoint": "https://me@example.org/"}, {"endpoint": "https://"}, {"endpoint": None},
                   {"endpoint": "http://:80/"}, {"endpoint": "http://h:99999999/"}, {"endpoint": "http://[::1/"},
                   {"endpoint": "https://example.org/\n"}, {"enabled_events": []}, {"enabled_events": ["process_run.begun"]},
                   {"enabled_events": None}, {"process": None}, {"process": {"id": hooks.processes["far"]}}):
        hooks("POST", "/webhooks", dict(good, **change), status=400)
    hooks.daemon.stop()
    hooks.daemon.start()
    assert hooks("GET", f"/webhooks/{made[0]['id']}") == made[0]
    assert hooks("DELETE", f"/webhooks/{made[0]['id']}") == {"id": made[0]["id"], "deleted": True}
    hooks("GET", f"/webhooks/{made[0]['id']}", status=404)
    hooks("DELETE", f"/webhooks/{uuid.uuid4()}", status=404)


def test_a_receiver_that_is_silent_delays_nobody_else(hooks):
    """Neither another workspace, nor another place of the same."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        for events in (["process_run.started"], ["process_run.completed"]):
            hooks("POST", "/webhooks", {"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}/", "enabled_events": events,
                                        "process": {"id": hooks.processes["good"]}})
        for run in [hooks.daemon.begin("good") for _ in range(40)]:
            hooks.daemon.ended(run)
        make_hook(hooks, "other", ["process_run.completed"], "/same")
        hooks("POST", "/webhooks", {"endpoint": hooks.receiver.url + "/there", "enabled_events": ["process_run.completed"],
                                    "process": {"id": hooks.processes["far"]}}, workspace="there")
        runs = {hooks.daemon.run_and_wait(name)["id"] for name in ("other", "far")}
        # It takes half a minute to give up a receiver that says nothing.
        until(lambda: {json.loads(body)["payload"]["processRunId"] for _, _, body in hooks.receiver.got} == runs, "both are told", 20)


def test_webhooks_are_counted_by_workspace(hooks):
    new = {"endpoint": "https://example.org/", "enabled_events": ["process_run.started"], "process": {"id": hooks.processes["good"]}}
    for _ in range(100):
        hooks("POST", "/webhooks", new)
    assert "this workspace has 100 webhooks" in hooks("POST", "/webhooks", new, 400)["error"]["message"]
    hooks("POST", "/webhooks", dict(new, process={"id": hooks.processes["far"]}), workspace="there")


def test_a_run_is_told_of(hooks):
    hook = make_hook(hooks)
    make_hook(hooks, "other")
    run = hooks.daemon.run_and_wait("good")["id"]
    (_, started), (_, ended) = sorted(messages(hooks, 2, hook["secret"]), key=lambda m: m[1]["action"], reverse=True)
    assert (started["event"], started["action"]) == ("process_run", "process_run.started")
    assert started["payload"]["state"] == "IP" and started["payload"]["processRunId"] == run
    assert ended["action"] == "process_run.completed" and ended["payload"]["result"] == "success" and ended["payload"]["state"] == "COMPL"
    assert ended["payload"]["workspaceId"] == hooks("GET", "")["id"] and ended["payload"]["processId"] == hooks.processes["good"]
    assert started["id"] != ended["id"] and started["webhookEventTimestamp"] <= ended["webhookEventTimestamp"]


def test_a_message_goes_until_it_is_taken(hooks):
    hook = make_hook(hooks, events=["process_run.completed"])
    hooks.receiver.answers[:] = [500]
    hooks.daemon.run_and_wait("good")
    until(lambda: hooks.receiver.got, "a first try")
    # The next is due in seconds; a daemon that is killed meanwhile knows of it.
    hooks.daemon.kill()
    hooks.daemon.start()
    (_, first), (_, second) = messages(hooks, 2, hook["secret"])
    assert first == second
    hooks.daemon.run_and_wait("good")
    messages(hooks, 3, hook["secret"])


@pytest.mark.parametrize("tries, days, sent", [(1, 3, False), (0, 3, True), (0, 8, False)])
def test_a_message_is_given_up_in_the_end(hooks, tries, days, sent):
    make_hook(hooks, events=["process_run.completed"])
    hooks.receiver.answers[:] = [500]
    hooks.daemon.run_and_wait("good")
    until(lambda: any("webhooks" in t for t in hooks.daemon.status()["troubles"]), "a first try is written down")
    hooks.daemon.kill()
    hooks.receiver.got.clear()
    hooks.receiver.answers[:] = [500]
    with contextlib.closing(sqlite3.connect(hooks.daemon.folder / "state" / "belfry.db")) as db, db:
        db.execute("UPDATE deliveries SET tries = ?, next = 0, created = created - ? * 86400000", (tries, days))
    hooks.daemon.start()

    def waiting():
        with contextlib.closing(sqlite3.connect(hooks.daemon.folder / "state" / "belfry.db")) as db:
            return db.execute("SELECT count(*) FROM deliveries").fetchone()[0]
    until(lambda: waiting() == 0, "it is given up")
    assert len(hooks.receiver.got) == sent and "was given up" in hooks.daemon.log_text()


def test_a_run_is_deleted_when_all_were_told(hooks):
    make_hook(hooks, events=["process_run.completed"])
    hooks.receiver.answers[:] = [500]
    run = hooks.daemon.run_and_wait("good")["id"]
    until(lambda: hooks.receiver.got, "a first try")
    assert "told" in hooks("DELETE", f"/process-runs/{run}", status=409)["error"]["message"]
    hooks("GET", f"/process-runs/{run}")
    until(lambda: len(hooks.receiver.got) == 2, "it is taken")

    def delete():
        return hooks.daemon.tcp("DELETE", f"/api/v1/workspaces/here/process-runs/{run}", None, hooks.headers["here"]).status == 200
    until(delete, "the run goes")
    hooks("GET", f"/process-runs/{run}", status=404)


def test_what_is_taken_at_once_goes_once(hooks):
    make_hook(hooks)
    callback = {"url": hooks.receiver.url + "/callback", "secret": "s", "callback_events": ["started", "completed"]}

    def begin(count):
        for _ in range(count):
            hooks("POST", f"/processes/{hooks.processes['good']}/process-runs", {"callback": callback})

    def ids():
        return [json.loads(body)["id"] for _, _, body in list(hooks.receiver.got)]
    begin(60)
    until(lambda: len(set(ids())) == 240, "all are told of")
    begin(1)
    until(lambda: len(set(ids())) == 244, "a later one is told of, too")
    assert sorted(ids()) == sorted(set(ids()))


def test_what_is_not_taken_shows_in_the_status(hooks):
    make_hook(hooks, events=["process_run.completed"])
    hooks.receiver.answers[:] = [500]

    def troubles():
        return [t for t in hooks.daemon.status()["troubles"] if "webhooks" in t]
    assert troubles() == []
    hooks.daemon.run_and_wait("good")
    told, = until(troubles, "the status tells")
    assert told.startswith("1 messages") and "500" in told and told in hooks.daemon.cli("status").stdout.replace("\n            ", " ")
    until(lambda: len(hooks.receiver.got) == 2 and not troubles(), "it is taken")


def test_a_deleted_webhook_is_told_nothing_more(hooks):
    hook = make_hook(hooks, events=["process_run.completed"])
    hooks.receiver.answers[:] = [None]
    hooks.daemon.run_and_wait("good")
    until(lambda: hooks.receiver.got, "a first try")
    hooks("DELETE", f"/webhooks/{hook['id']}")
    other = make_hook(hooks, events=["process_run.completed"], path="/other")
    hooks.daemon.run_and_wait("good")
    got = until(lambda: (lambda g: g if len(g) == 2 else None)(list(hooks.receiver.got)), "the other is told")
    assert got[1][0] == "/other" and other["id"] != hook["id"]


@pytest.mark.parametrize("host, why", [("127.0.0.1", "Belfry's own"), ("0.0.0.0", "Belfry's own"), ("[::ffff:127.0.0.1]", "Belfry's own"),
                                       ("localhost", "Belfry's own"), ("2130706433", "Belfry's own"), ("169.254.169.254", "link-local"),
                                       ("[fe80::1]", "link-local")])
def test_no_message_goes_where_a_key_may_not_reach(hooks, host, why):
    port = hooks.daemon.address()[1]
    assert hooks.daemon.tcp("POST", "/hooks/ring", {}).status == 202
    url = f"http://{host}:{port}/hooks/ring"
    hooks("POST", "/webhooks", {"endpoint": url, "enabled_events": ["process_run.started"], "process": {"id": hooks.processes["good"]}})
    start = {"callback": {"url": url, "secret": "s", "callback_events": ["completed"]}}
    hooks.daemon.ended(hooks("POST", f"/processes/{hooks.processes['good']}/process-runs", start)["id"])
    told = until(lambda: [t for t in hooks.daemon.status()["troubles"] if t.startswith("2 messages")], "neither has gone")
    assert why in told[0]
    assert len(hooks.daemon.runs(process="far")) == 1


def test_a_start_may_carry_a_callback(hooks):
    def begin(process, **callback):
        return hooks("POST", f"/processes/{hooks.processes[process]}/process-runs", {"callback": callback})["id"]
    url = hooks.receiver.url + "/callback"
    run = begin("good", url=url, secret="s3 cret", callback_events=["started", "completed", "unresolved"])
    found = messages(hooks, 2, "s3 cret")
    assert {m["action"] for _, m in found} == {"process_run.started", "process_run.completed"}
    assert {m["payload"]["processRunId"] for _, m in found} == {run} and {p for p, _ in found} == {"/callback"}
    hooks.receiver.got.clear()
    run = begin("bad", url=url, secret="other", callback_events=["completed", "unresolved"])
    (_, message), = messages(hooks, 1, "other")
    assert message["action"] == "process_run.unresolved" and message["payload"]["result"] == "error"
    assert message["payload"]["errorCode"] == "exit_code"
    # It is tried again, and then completed: the same are told.
    (hooks.daemon.folder / "mended").touch()
    hooks.daemon.kill()
    hooks.daemon.start()
    hooks.daemon.cli("retry", run)
    _, (_, message) = messages(hooks, 2, "other")
    assert message["action"] == "process_run.completed" and message["payload"]["processRunId"] == run
    for bad in ({}, {"url": url}, {"url": url, "secret": "s"}, {"url": "file:///etc/passwd", "secret": "s", "callback_events": ["started"]},
                {"url": "http://:80/", "secret": "s", "callback_events": ["started"]}, {"url": "http://h:99999999/", "secret": "s", "callback_events": ["started"]},
                {"url": url, "secret": "s", "callback_events": ["ended"]}, {"url": url, "secret": 5, "callback_events": ["started"]}):
        hooks("POST", f"/processes/{hooks.processes['good']}/process-runs", {"callback": bad}, status=400)
    everything = hooks.daemon.log_text() + json.dumps(hooks.daemon.runs())
    assert "s3 cret" not in everything
    assert b"s3 cret" not in (hooks.daemon.folder / "state" / "belfry.db").read_bytes() + (hooks.daemon.folder / "state" / "belfry.db-wal").read_bytes()
