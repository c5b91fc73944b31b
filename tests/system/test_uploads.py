"""Assets' names; and links that take the bytes of work items' files, and of assets: until when, and what comes twice."""
import concurrent.futures
import socket
import urllib.parse

import pytest

from conftest import bearer, until

CONFIG = """
[process slow]
workspace = here
steps = hold after
[step hold]
shell = yes
command = env > {folder}/env.part; mv {folder}/env.part {folder}/env; while [ ! -e {folder}/go ]; do sleep 0.05; done
[step after]
command = /bin/true
[process fails]
workspace = here
steps = fails
[step fails]
command = /bin/false
[process plain]
workspace = here
command = /bin/true
"""


@pytest.fixture
def api(daemon):
    daemon.start(CONFIG.format(folder=daemon.folder))
    headers = bearer(daemon.add_key()["key"])

    def call(method, path, body=None, status=200):
        answer = daemon.tcp(method, "/api/v1/workspaces/here" + path, body, headers)
        assert answer.status == status, (method, path, answer.status, answer.body)
        return answer.json if answer.body else None
    call.daemon = daemon
    call.processes = {p["name"]: p["id"] for p in call("GET", "/processes")["data"]}
    return call


def make(api, process):
    return api("POST", "/work-items", {"process": {"id": api.processes[process]}, "payload": 1})["id"]


def announce(api, item, name, size):
    return api("POST", f"/work-items/{item}/files", {"file_name": name, "file_size": size})["upload"]["url"]


def target(url):
    parts = urllib.parse.urlsplit(url)
    return f"{parts.path}?{parts.query}"


def put(api, url, content):
    return api.daemon.tcp("PUT", target(url), content).status


def files(api, item):
    return {f["name"]: api.daemon.tcp("GET", target(f["download"]["url"])).body for f in api("GET", f"/work-items/{item}")["files"]}


def start(api, process, item):
    return api("POST", f"/processes/{api.processes[process]}/process-runs", {"type": "with_work_item_ids", "work_item_ids": [item]})["id"]


def robot(api):
    """What a step run asks with its token: ask(method, path of the work item API, body)."""
    path = api.daemon.folder / "env"
    until(path.exists, "the step runs")
    env = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)

    def ask(method, path, body=None):
        return api.daemon.tcp(method, f"/json-v1/workspaces/{env['RC_WORKSPACE_ID']}/workitems" + path, body,
                              {"Authorization": f"Bearer {env['RC_API_WORKITEM_TOKEN']}"})

    def output(parent):
        path = "/process-v1/workspaces/{RC_WORKSPACE_ID}/processes/{RC_PROCESS_ID}".format(**env) + f"/work-items/{parent}/output"
        return api.daemon.tcp("POST", path, {"payload": {}}, {"Authorization": f"Bearer {env['RC_API_WORKITEM_TOKEN']}"}).json["id"]
    ask.output = output
    return ask


def no_parts(api):
    return [p.name for p in (api.daemon.folder / "state" / "items").iterdir() if p.name.endswith(".part")] == []


def test_a_link_is_good_as_long_as_the_item_may_be_changed(api):
    item = make(api, "slow")
    link, late = announce(api, item, "f", 3), announce(api, item, "late", 4)
    for _ in range(3):   # a sender that has lost the answer sends again
        assert put(api, link, b"abc") == 204
    assert put(api, link, b"EVL") == 409 and files(api, item) == {"f": b"abc"}
    again = announce(api, item, "f", 3)   # announced once more, it is another file
    assert put(api, again, b"def") == 204 and put(api, link, b"abc") == 404 and files(api, item) == {"f": b"def"}
    run = start(api, "slow", item)
    until((api.daemon.folder / "env").exists, "the step runs")
    assert put(api, again, b"EVL") == 409 and put(api, late, b"late") == 409
    assert put(api, again, b"def") == 204 and files(api, item) == {"f": b"def"}
    (api.daemon.folder / "go").touch()
    assert api.daemon.ended(run)["state"] == "completed"
    assert put(api, again, b"EVL") == 409 and put(api, late, b"late") == 409
    assert put(api, again, b"def") == 204 and files(api, item) == {"f": b"def"}
    assert no_parts(api)


def test_a_link_is_judged_when_the_bytes_are_there(api):
    item = make(api, "slow")
    to = urllib.parse.urlsplit(announce(api, item, "f", 1000))
    with socket.create_connection((to.hostname, to.port)) as client:
        client.sendall(f"PUT {to.path}?{to.query} HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Length: 1000\r\n\r\n".encode() + b"x" * 500)
        until(lambda: not no_parts(api), "the bytes come")
        run = start(api, "slow", item)
        client.sendall(b"x" * 500)
        assert client.recv(1000).startswith(b"HTTP/1.1 409 ")
    (api.daemon.folder / "go").touch()
    api.daemon.ended(run)
    assert files(api, item) == {} and no_parts(api)


def test_a_plain_command_has_its_item_for_good(api):
    item = make(api, "plain")
    link, late = announce(api, item, "f", 3), announce(api, item, "late", 3)
    assert put(api, link, b"abc") == 204
    api.daemon.ended(start(api, "plain", item))
    assert put(api, link, b"EVL") == 409 and put(api, late, b"abc") == 409


def test_a_failed_item_may_get_a_file_until_it_is_tried_again(api):
    item = make(api, "fails")
    run = start(api, "fails", item)
    assert api.daemon.ended(run)["backend_state"] == "unresolved"
    link, late = announce(api, item, "f", 3), announce(api, item, "late", 3)
    assert put(api, link, b"abc") == 204 and files(api, item) == {"f": b"abc"}
    api("POST", "/work-items/batch", {"batch_operation": "mark_as_done", "work_item_ids": [item]})
    until(lambda: api("GET", f"/work-items/{item}")["state"] == "done", "it is done")
    assert put(api, late, b"abc") == 409 and files(api, item) == {"f": b"abc"}


def test_two_at_once_are_one_file(api):
    item = make(api, "slow")
    for n in range(5):
        link, sent = announce(api, item, f"f{n}", 1 << 20), [bytes([i]) * (1 << 20) for i in range(4)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda content: put(api, link, content), sent))
        assert sorted(answers) == [204, 409, 409, 409]
        assert files(api, item)[f"f{n}"] == sent[answers.index(204)]


def test_a_robots_link_is_good_as_long_as_its_step_run_has_the_item(api):
    item = make(api, "slow")
    clients = announce(api, item, "client", 3)
    run = start(api, "slow", item)
    ask = robot(api)
    mine = ask("POST", f"/{item}/files", {"fileName": "f", "fileSize": 3}).json["url"]
    late = ask("POST", f"/{item}/files", {"fileName": "late", "fileSize": 3}).json["url"]
    for _ in range(2):
        assert put(api, mine, b"abc") == 204
    assert put(api, mine.replace("step_run=", "step_run=0"), b"abc") == 403
    assert put(api, mine.replace("&step_run=", "&other="), b"abc") == 403
    assert put(api, mine, b"EVL") == 409 and put(api, clients, b"abc") == 409
    output = ask.output(item)
    made = ask("POST", f"/{output}/files", {"fileName": "o", "fileSize": 3}).json["url"]
    unmade = ask("POST", f"/{output}/files", {"fileName": "p", "fileSize": 3}).json["url"]
    assert put(api, made, b"abc") == 204
    # Of the same name, and not there yet: the client's link is still no robot's.
    same = ask("POST", f"/{item}/files", {"fileName": "client", "fileSize": 3}).json["url"]
    assert put(api, clients, b"abc") == 409 and put(api, same, b"abc") == 204
    (api.daemon.folder / "go").touch()
    assert api.daemon.ended(run)["state"] == "completed"
    assert put(api, late, b"abc") == 409 and put(api, unmade, b"abc") == 409 and put(api, mine, b"EVL") == 409
    assert put(api, mine, b"abc") == 204
    assert files(api, item) == {"f": b"abc", "client": b"abc"} and files(api, output) == {"o": b"abc"}


def test_an_assets_link_is_good_once(api):
    asset = api("POST", "/assets", {"name": "a"})["id"]
    begin = lambda: api("POST", f"/assets/{asset}/uploads", {"content_type": "text/plain"})  # noqa: E731
    content = lambda: api.daemon.tcp("GET", target(api("GET", f"/assets/{asset}")["payload"]["url"])).body  # noqa: E731
    first, second = begin()["upload_url"], begin()
    for _ in range(2):
        assert put(api, first, b"old") == 204
    assert put(api, first, b"EVL") == 409 and content() == b"old"
    assert put(api, second["upload_url"], b"newer") == 204
    assert put(api, first, b"old") == 409 and content() == b"newer"
    assert put(api, second["upload_url"], b"newer") == 204 and content() == b"newer"
    api("POST", f"/assets/{asset}/uploads", {"content_type": "text/plain", "data": "aGVsbG8="})
    assert put(api, second["upload_url"], b"newer") == 409 and content() == b"hello"
    assert api("GET", f"/assets/{asset}/uploads/{second['id']}")["status"] == "completed"
    pending = begin()["upload_url"]
    api("DELETE", f"/assets/{asset}")
    assert put(api, pending, b"gone") == 404 and no_parts(api)


def test_an_asset_is_found_by_its_very_name(api):
    names = ["a/b", "a%2Fb", "a%252Fb", "%", "/", "/" * 170, "/" * 255, "é" * 127, "a b?c#d&e=+", "a/", "..", "name:a", "uploads/x"]
    assets = {name: api("POST", "/assets", {"name": name}) for name in names}
    for name, asset in assets.items():
        path = "/assets/name%3A" + urllib.parse.quote(name, safe="")
        for ending in ("", "/"):
            assert api("GET", path + ending)["id"] == asset["id"]
            small = api("POST", f"{path}/uploads{ending}", {"content_type": "text/plain", "data": "aGVsbG8="})
            assert api("GET", f"{path}/uploads/{small['id']}{ending}") == small
        assert api.daemon.tcp("GET", target(api("GET", path)["payload"]["url"])).body == b"hello"
    for name in sorted(names):
        assert api("DELETE", "/assets/name%3A" + urllib.parse.quote(name, safe=""))["id"] == assets[name]["id"]
    assert api("GET", "/assets")["data"] == []
    for name in ("a\n", "\x01", "a\x7f", "x" * 256):
        api("POST", "/assets", {"name": name}, status=400)
