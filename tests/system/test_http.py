"""The server's manners: framing, deadlines, doors."""
import json
import select
import socket
import time
import urllib.parse

import pytest

from conftest import bearer, until

CONFIG = """
[process p]
workspace = here
command = true
[webhook hook]
process = p
verify = none
"""


@pytest.fixture
def raw(daemon):
    daemon.start(CONFIG)
    address = daemon.address()

    def send(data, patience=20):
        with socket.create_connection(address, timeout=patience) as connection:
            connection.sendall(data)
            got = b""
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return got
                got += piece
    daemon.raw = send
    return daemon


HOOK = b"POST /hooks/hook HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("request_bytes", [
    HOOK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    HOOK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    HOOK + b"Content-Length: 2, 2\r\n\r\n{}", HOOK + b"Content-Length: +2\r\n\r\n{}", HOOK + b"Content-Length: 0x2\r\n\r\n{}",
    HOOK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    HOOK.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n{}", b"POST /hooks/hook HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    HOOK + b"Host: y\r\nContent-Length: 2\r\n\r\n{}", HOOK + b"Bad Header: 1\r\n\r\n", HOOK + b" folded: 1\r\n\r\n",
    HOOK + b"X: a\x00b\r\n\r\n", b"POST  /hooks/hook HTTP/1.1\r\nHost: x\r\n\r\n", b"NONSENSE\r\n\r\n",
    b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /hooks/%2e%2e/x HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
])
def test_bad_framing_is_refused_and_closed(raw, request_bytes):
    answer = raw.raw(request_bytes + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1, "nothing behind it is answered"
    assert raw.runs() == []


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20000 + b"\r\n\r\n", b"431"),
    (HOOK + b"Content-Length: 99999999999\r\n\r\n", b"413"), (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", b"505"),
    (HOOK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", b"501"),
])
def test_limits(raw, request_bytes, status):
    assert raw.raw(request_bytes).startswith(b"HTTP/1.1 " + status)


def test_a_client_that_dribbles(raw):
    """A head has ten seconds, however alive its sender looks."""
    with socket.create_connection(raw.address()) as connection:
        connection.settimeout(0.2)
        begun, got = time.monotonic(), b""
        for byte in b"GET /healthz HTTP/1.1\r\nHost: " + b"x" * 1000:
            try:
                connection.sendall(bytes([byte]))
                got = connection.recv(1000)
                break
            except TimeoutError:
                continue
            except OSError:
                break
            finally:
                assert time.monotonic() - begun < 60
        assert got == b"" or got.startswith(b"HTTP/1.1 408")


def test_pipelining_and_keep_alive(raw):
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = raw.raw(one * 3 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.count(b"HTTP/1.1 200") == 4


def test_a_chunked_body(raw):
    answer = raw.raw(HOOK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 202")
    record = until(lambda: raw.runs(state="completed"), "it ends")[0]
    assert record["event"]["request"]["body"] == [1, 2]


@pytest.mark.parametrize("path", ["/hooks/hook", "/api/v1/workspaces/here/work-items", "/belfry/v1/runs", "/nothing"])
def test_a_body_without_end_is_cut(raw, path):
    key = raw.add_key()["key"]
    with socket.create_connection(raw.address(), timeout=20) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: RC-WSKEY {key}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        sent, chunk = 0, b"10000\r\n" + b"x" * 65536 + b"\r\n"
        while not select.select([connection], [], [], 0)[0]:   # the answer comes before the end, which never comes
            assert sent < 256 << 20
            connection.sendall(chunk)
            sent += 65536
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert raw.api("GET", "/readyz").status == 200


@pytest.mark.parametrize("path", ["/belfry/v1/reload", "/belfry/v1/processes/p/runs", "/api/v1/workspaces/here/work-items", "/nothing",
                                  "/api/v1/workspaces/here/assets/a/uploads", "/json-v1/workspaces/here/workitems/a/output"])
@pytest.mark.parametrize("length", ["Content-Length: 1048576", "Content-Length: 2", "Transfer-Encoding: chunked"])
def test_no_body_is_taken_of_who_has_no_key(raw, path, length):
    for key in ("", f"Authorization: RC-WSKEY belfry_{'a' * 38}\r\n"):
        answer = raw.raw(f"POST {path} HTTP/1.1\r\nHost: x\r\n{key}{length}\r\n\r\n".encode())   # to the end of the connection
        assert answer.startswith(b"HTTP/1.1 401 ") and answer.count(b"HTTP/1.1 ") == 1


def test_who_is_asked_for_no_key_sends_little(raw):
    for path in ("/callbacks/x", "/healthz", "/hooks/none"):
        assert raw.raw(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".encode()).startswith(b"HTTP/1.1 413 ")


def test_a_key_is_counted_once_a_request(raw):
    key = raw.add_key()
    for n, (method, path, body) in enumerate([("POST", "/belfry/v1/processes/p/runs", {}), ("GET", "/belfry/v1/runs", None),
                                              ("POST", "/api/v1/workspaces/here/processes/p/process-runs", {})]):
        assert raw.tcp(method, path, body, bearer(key["key"])).status in (200, 202)
        assert raw.api("GET", f"/belfry/v1/keys/{key['id']}").json["uses"] == n + 1


def test_clients_over_tcp_do_not_lock_out_the_operator(daemon):
    daemon.http = "max_connections = 3\nidle_timeout = 1s"
    daemon.start(CONFIG)
    address = daemon.address()
    held = [socket.create_connection(address, timeout=20) for _ in range(3)]
    for connection in held:
        connection.sendall(HOOK + b"Content-Length: 1000000\r\n\r\n" + b"x" * 900000)
    until(lambda: daemon.tcp("GET", "/healthz").status == 503, "all places are taken")
    assert daemon.is_ready()
    for connection in held:   # and their places are free again once nothing more comes of them
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
        connection.close()
    assert until(lambda: daemon.tcp("GET", "/healthz").status == 200, "there is room")


def test_the_doors(raw):
    for path in ("/belfry/v1/status", "/belfry/v1/runs", "/metrics", "/belfry/v1/nothing", "/nothing", "/api/v1/workspaces/x"):
        answer = raw.tcp("GET", path)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"], path
    assert raw.tcp("POST", "/belfry/v1/reload").status == 401
    assert raw.tcp("GET", "/healthz").status == raw.tcp("GET", "/readyz").status == 200
    assert raw.tcp("GET", "/hooks/nothing").status == 404
    assert raw.api("GET", "/belfry/v1/nothing").status == 404
    wrong = raw.api("DELETE", "/belfry/v1/runs")
    assert wrong.status == 405 and wrong.headers["Allow"] == "GET"
    wrong = raw.api("PUT", "/belfry/v1/keys/x")
    assert wrong.status == 405 and wrong.headers["Allow"] == "GET, POST, DELETE"
    for path in ("/belfry/v1/runs?n=x", "/belfry/v1/runs?since=yesterday", "/belfry/v1/runs?state=happy", "/belfry/v1/runs?before=1"):
        assert raw.api("GET", path).status == 400, path
    for body in ("{", "[]", '{"inptu": 1}', '{"files": "x"}', '{"files": ["relative"]}', '{"files": ["/nonexistent"]}', '{"files": ["/"]}'):
        assert raw.api("POST", "/belfry/v1/processes/p/runs", body).status in (400, 422), body
    assert raw.api("POST", "/belfry/v1/processes/nope/runs", {}).status == 404
    assert raw.runs() == []


def test_metrics(raw):
    lines = raw.api("GET", "/metrics").body.decode().splitlines()
    names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    described = {line.split(" ")[2] for line in lines if line.startswith("# TYPE")}
    assert names == described and "belfry_firings_admitted_total" in names


def test_runs_are_paged(raw):
    ids = [raw.begin("p") for _ in range(7)]
    for run_id in ids:
        raw.ended(run_id)
    page = raw.api("GET", "/belfry/v1/runs?n=4").json
    rest = raw.api("GET", f"/belfry/v1/runs?n=4&before={page['data'][-1]['id']}").json
    assert page["has_more"] is True and rest["has_more"] is False
    assert [r["id"] for r in page["data"] + rest["data"]] == sorted(ids, reverse=True)
    assert len(raw.runs(state="completed", process="p")) == 7 and raw.runs(state="failed") == []


def test_pages_of_great_runs_are_no_greater(daemon):
    """As many runs as fit, and then the next page: by the admin API, the CLI and the Control Room API, of items too."""
    daemon.start("""
[process p]
workspace = here
command = true
overlap = allow_all
[process stepped]
workspace = here
command = true
work_items = api
overlap = allow_all
""")
    ids = [daemon.begin(process, input={"n": n, "fill": "x" * 990_000}) for n in range(12) for process in ("p", "stepped")]
    for run_id in ids:
        daemon.ended(run_id)
    newest = sorted(ids, reverse=True)
    found, before = [], ""
    while True:
        answer = daemon.api("GET", "/belfry/v1/runs?n=1000" + before)
        assert len(answer.body) < 30_000_000 and len(answer.json["data"]) < len(ids)   # input, event and work items have it each
        found += [r["id"] for r in answer.json["data"]]
        if not answer.json["has_more"]:
            break
        before = f"&before={found[-1]}"
    assert found == newest
    assert [r["id"] for r in json.loads(daemon.cli("--json", "runs", "-n", "1000").stdout)] == newest
    assert [r["id"] for r in json.loads(daemon.cli("--json", "runs", "-n", "13").stdout)] == newest[:13]
    assert json.loads(daemon.cli("--json", "show", newest[-1][-12:]).stdout)["id"] == newest[-1]
    key, runs, path = daemon.add_key()["key"], [], "/work-items?limit=1000"
    while path:
        page = daemon.tcp("GET", "/api/v1/workspaces/here" + path, None, bearer(key)).json
        assert len(page["data"]) < 12
        runs += [item["process_run"]["id"] for item in page["data"]]
        path = page["has_more"] and "/work-items?" + urllib.parse.urlsplit(page["next"]).query
    assert sorted(runs, reverse=True) == newest


def test_waiting_for_an_end(daemon):
    daemon.start(CONFIG.replace("command = true", "command = sleep 0.5"))
    run_id = daemon.begin("p")
    assert daemon.api("GET", f"/belfry/v1/runs/{run_id}?wait_ms=1").json["state"] in ("queued", "starting", "running")
    assert daemon.api("GET", f"/belfry/v1/runs/{run_id}?wait_ms=20000").json["state"] == "completed"
