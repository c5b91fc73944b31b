"""The Control Room API of local workspaces: who may do what, and each operation as the vendor's clients use it."""
import json
import pathlib
import threading
import time
import urllib.parse
import uuid

import pytest

from conftest import bearer, until

CONFIG = """
[process good]
workspace = here
shell = yes
command = echo one; echo two; cat "$$BELFRY_INPUT" > output/in.json; printf 'a;b' > 'output/x y.csv'
overlap = allow_all
max_parallel = 4
[process bad]
workspace = here
command = false
[process long]
workspace = here
command = sleep 600
overlap = allow_all
max_parallel = 2
[process single]
workspace = here
command = sleep 600
overlap = skip
[workspace there]
type = local
[process other]
workspace = there
command = true
"""


@pytest.fixture
def api(daemon):
    daemon.start(CONFIG)
    key = daemon.add_key()["key"]

    def call(method, path, body=None, headers=None, status=200, workspace="here"):
        answer = daemon.tcp(method, f"/api/v1/workspaces/{workspace}{path}", body, dict(bearer(key), **(headers or {})))
        assert answer.status == status, (method, path, answer.status, answer.body)
        return answer.json
    call.key, call.daemon = key, daemon
    call.processes = {p["name"]: p["id"] for p in call("GET", "/processes")["data"]}
    return call


def start(api, process, body=None):
    answer = api("POST", f"/processes/{api.processes[process]}/process-runs", body)
    assert answer["started"] is True
    return answer["id"]


def finished(api, run_id):
    return until(lambda: (lambda r: r if r["state"] in ("completed", "unresolved") else None)(api("GET", f"/process-runs/{run_id}")),
                 "the run ends")


# --- the gate -------------------------------------------------------------------------------------------------------------

def all_operations(daemon):
    reference = daemon.tcp("GET", "/api/v1/openapi.json").json
    assert reference["openapi"].startswith("3.")
    for path, item in reference["paths"].items():
        for method, operation in item.items():
            filled = path
            for parameter in operation["parameters"]:
                filled = filled.replace("{%s}" % parameter["name"], str(uuid.uuid4()))
                if parameter["in"] == "path":
                    assert "{%s}" % parameter["name"] in path
            assert "{}" not in path and path.startswith("/workspaces/{workspace_id}")
            yield method.upper(), path.replace("{workspace_id}", "here"), filled[len("/workspaces/") + 36:], operation


def test_every_route_with_every_permission(daemon):
    daemon.start(CONFIG)
    names = daemon.add_key()["permissions"]
    assert len(names) == 16
    keys = {name: daemon.add_key([name])["key"] for name in names}
    nothing = daemon.add_key([])["key"]
    elsewhere = daemon.add_key(["all"], "there")["key"]
    deleted = daemon.add_key()
    assert daemon.api("DELETE", f"/belfry/v1/keys/{deleted['id']}").status == 200
    everything = daemon.add_key()["key"]
    count = 0
    for method, _, path, operation in all_operations(daemon):
        def status(workspace, headers):
            answer = daemon.tcp(method, f"/api/v1/workspaces/{workspace}{path}", headers=headers)
            if answer.status >= 400:
                assert set(answer.json["error"]) == {"code", "message"}
            return answer.status
        wanted = operation.get("x-permission")
        for name, key in keys.items():
            got = status("here", bearer(key))
            assert (got == 403) == (wanted is not None and name != wanted), (method, path, name, got)
            assert got != 401
            count += 1
        assert (status("here", bearer(nothing)) == 403) == (wanted is not None)
        assert status("here", {}) == 401
        assert status("here", {"Authorization": f"Basic {everything}"}) == 401
        assert status("here", bearer(deleted["key"])) == 401
        assert status("here", bearer(everything[:-1] + ("a" if everything[-1] != "a" else "b"))) == 401
        assert status("here", bearer(elsewhere)) == 403
        assert status("there", bearer(everything)) == 403
        assert status("nowhere", bearer(everything)) == 403
        served = "501" not in operation["responses"]
        got = status("here", bearer(everything))
        assert (got == 501) == (not served)
    assert count >= 30 * 16
    assert daemon.tcp("GET", "/api/v1/workspaces/here/nothing", headers=bearer(everything)).status == 404
    assert daemon.tcp("GET", "/api/v1/workspaces/here/nothing").status == 401
    for method, path, allow in (("POST", "processes", "GET"), ("PUT", "assets/x", "GET, DELETE"), ("PATCH", "work-items/x/payload", "POST, PUT"),
                                ("PUT", "work-items", "GET, POST")):
        wrong = daemon.tcp(method, f"/api/v1/workspaces/here/{path}", headers=bearer(everything))
        assert wrong.status == 405 and wrong.headers["Allow"] == allow and wrong.json["error"]["code"] == "METHOD_NOT_ALLOWED"
    wrong = daemon.tcp("DELETE", f"/uploads/{uuid.uuid4()}")
    assert wrong.status == 405 and wrong.headers["Allow"] == "POST, PUT"


def test_both_schemes_and_a_key_that_expires(daemon):
    daemon.start(CONFIG)
    key = daemon.add_key([])
    for scheme in ("RC-WSKEY", "Bearer", "rc-wskey", "BEARER"):
        assert daemon.tcp("GET", "/api/v1/workspaces/here", headers={"Authorization": f"{scheme} {key['key']}"}).status == 200
        assert daemon.tcp("GET", "/api/v1/workspaces/here", headers={"Authorization": f"{scheme}  {key['key']} \t "}).status == 200
        assert daemon.tcp("GET", "/api/v1/workspaces/here", headers={"Authorization": f"{scheme} {key['key']} x"}).status == 401
        assert daemon.tcp("GET", "/api/v1/workspaces/here", headers={"Authorization": f"{scheme} {key['key'] * 40}"}).status == 401
    uses = json.loads(daemon.cli("--json", "keys", "show", key["id"]).stdout)
    assert uses["uses"] == 8 and uses["last_used_at"]
    daemon.stop()
    daemon.start()
    assert json.loads(daemon.cli("--json", "keys", "show", key["id"]).stdout)["uses"] == 8
    from datetime import datetime, timedelta, timezone
    soon = (datetime.now(timezone.utc) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.999Z")
    short = daemon.add_key([], expires_at=soon)["key"]
    until(lambda: daemon.tcp("GET", "/api/v1/workspaces/here", headers=bearer(short)).status == 401, "the key expires")
    # Two keys live side by side: rotation takes none of the other's time.
    assert daemon.tcp("GET", "/api/v1/workspaces/here", headers=bearer(key["key"])).status == 200


# --- operations -----------------------------------------------------------------------------------------------------------

def test_the_workspace_and_its_processes(api):
    workspace = api("GET", "")
    assert set(workspace) == {"id", "name", "organization"} and workspace["name"] == "here"
    assert api("GET", "", workspace=workspace["id"]) == workspace
    assert set(api.processes) == {"good", "bad", "long", "single"}
    page, seen = api("GET", "/processes/?limit=1.0"), []
    while True:
        assert set(page) == {"next", "has_more", "data"}
        seen += [p["name"] for p in page["data"]]
        if not page["has_more"]:
            break
        parts = urllib.parse.urlsplit(page["next"])
        assert page["next"].startswith(f"http://127.0.0.1:{api.daemon.address()[1]}/api/v1/workspaces/here/processes")
        page = api("GET", "/processes?" + parts.query + "&limit=1.0")   # clients send their own arguments again
    assert page["next"] is None and seen == ["bad", "good", "long", "single"]


def test_a_run_from_start_to_download(api):
    run_id = start(api, "good", {"type": "with_payloads", "payloads": [{"a": 1}]})
    run = finished(api, run_id)
    assert run["state"] == "completed" and run["process"] == {"id": api.processes["good"], "name": "good"}
    assert set(run) == {"id", "state", "created_at", "started_at", "ended_at", "process", "started_by", "duration"}
    assert run["started_by"] == {"type": "api", "details": None} and isinstance(run["duration"], float)
    step, = api("GET", f"/step-runs?process_run_id={run_id}")["data"]
    assert api("GET", f"/process-runs/{run_id}/step-runs")["data"] == [step] and api("GET", f"/step-runs/{step['id']}") == step
    assert step["state"] == "completed" and step["error"] is None and step["step"]["name"] == "main"
    assert api.daemon.run(run_id)["steps"][0]["id"] == step["id"]
    artifacts = {a["name"]: a for a in api("GET", f"/step-runs/{step['id']}/artifacts")["data"]}
    assert set(artifacts) == {"in.json", "x y.csv"} and artifacts["x y.csv"]["size"] == 3
    first = api("GET", f"/step-runs/{step['id']}/artifacts?limit=1")
    assert first["has_more"]
    rest = api("GET", f"/step-runs/{step['id']}/artifacts?" + urllib.parse.urlsplit(first["next"]).query)
    assert {a["name"] for a in first["data"] + rest["data"]} == set(artifacts) and not rest["has_more"]
    one = api("GET", f"/step-runs/{step['id']}/artifacts/{artifacts['x y.csv']['id']}")
    assert dict(one, url=None) == dict(artifacts["x y.csv"], url=None)
    link = urllib.parse.urlsplit(one["url"])
    assert api.daemon.tcp("GET", f"{link.path}?{link.query}").body == b"a;b"
    for path, query in ((link.path, link.query[:-1] + ("0" if link.query[-1] != "0" else "1")), (link.path, ""),
                        (link.path.replace("x%20y.csv", "in.json"), link.query), (link.path, link.query.replace("expires=", "expires=9")),
                        (link.path + "/../../run.json", link.query)):
        assert api.daemon.tcp("GET", f"{path}?{query}").status in (400, 403, 404)
    lines = api("GET", f"/step-runs/{step['id']}/console-messages")["data"]
    assert [line["message"] for line in lines] == ["one", "two"]
    assert api("GET", f"/step-runs/{step['id']}/console-messages?limit=5000.0")["data"] == lines
    piece = api("GET", f"/step-runs/{step['id']}/console-messages?limit=1")
    assert [line["message"] for line in piece["data"]] == ["one"] and piece["has_more"]
    assert [e["event_type"] for e in api("GET", f"/step-runs/{step['id']}/events")["data"]] == ["created", "started", "completed"]
    page = api("GET", f"/step-runs/{step['id']}/events?limit=2")
    assert [e["event_type"] for e in page["data"]] == ["created", "started"] and page["has_more"]
    page = api("GET", f"/step-runs/{step['id']}/events?" + urllib.parse.urlsplit(page["next"]).query)
    assert [e["event_type"] for e in page["data"]] == ["completed"] and not page["has_more"]


def test_every_form_of_a_start(api):
    daemon, process = api.daemon, api.processes["good"]
    path = f"/api/v1/workspaces/here/processes/{process}/process-runs"
    json_header = dict(bearer(api.key), **{"Content-Type": "application/json"})
    for body in (None, "", "null", "{}", '{"workItems": [{"x": 1}]}', '{"type": null, "callback": null}'):
        answer = daemon.tcp("POST", path, body, dict(json_header, **{"Content-Type": "application/json' : '"}))
        assert answer.status == 200 and answer.json["started"] is True, (body, answer.body)
        assert finished(api, answer.json["id"])["state"] == "completed"
        assert [i["payload"] for i in daemon.run(answer.json["id"])["work_items"]["input"]] == [{}]
    run_id = start(api, "good", {"type": "with_payloads", "payloads": [{"a": 1}, "text", [1, 2], None]})
    finished(api, run_id)
    assert [i["payload"] for i in daemon.run(run_id)["work_items"]["input"]] == [{"a": 1}, "text", [1, 2], None]
    for body, status in (("{", 400), ("[]", 400), ('"x"', 400), ('{"type": "wat"}', 400), ('{"type": 1}', 400),
                         ('{"type": "with_payloads"}', 400), ('{"type": "with_payloads", "payloads": []}', 400),
                         ('{"type": "with_payloads", "payloads": {}}', 400), ('{"a": 1, "a": 2}', 400),
                         ('{"type": "with_work_item_ids"}', 400), ('{"type": "with_work_item_ids", "work_item_ids": []}', 400),
                         ('{"type": "with_work_item_ids", "work_item_ids": [1]}', 400),
                         ('{"type": "with_work_item_ids", "work_item_ids": ["x", "x"]}', 400),
                         ('{"type": "with_work_item_ids", "work_item_ids": ["x"]}', 400),
                         ('{"callback": {"url": "https://x", "secret": "s", "callback_events": []}}', 400)):
        assert daemon.tcp("POST", path, body, json_header).status == status, body
    api("POST", f"/processes/{uuid.uuid4()}/process-runs", status=404)
    api("POST", f"/processes/{api.processes['good']}x/process-runs", status=404)


def test_a_start_by_token(api):
    path = f"/api/v1/workspaces/here/processes/{api.processes['good']}/process-runs-integrations"
    for body in ({"events": [1]}, [1], "text", 7):
        answer = api.daemon.tcp("POST", f"{path}?token={api.key}", json.dumps(body))
        assert answer.status == 200, answer.body
        finished(api, answer.json["id"])
        assert [i["payload"] for i in api.daemon.run(answer.json["id"])["work_items"]["input"]] == [body]
    assert api.daemon.tcp("POST", path, "{}", bearer(api.key)).status == 200
    assert api.daemon.tcp("POST", f"{path}?token=x", "{}").status == 401
    assert api.daemon.tcp("POST", f"/api/v1/workspaces/here/processes/{api.processes['good']}/process-runs?token={api.key}", "{}").status == 401
    before = len(api("GET", "/process-runs")["data"])
    shake = api.daemon.tcp("POST", f"{path}?token={api.key}&with_handshake=asana", "{}", {"X-Hook-Secret": "abc"})
    assert shake.status == 200 and shake.headers["X-Hook-Secret"] == "abc"
    assert len(api("GET", "/process-runs")["data"]) == before
    assert api.daemon.tcp("POST", f"{path}?token={api.key}&with_handshake=asana", "{}").json["started"] is True
    assert api.daemon.tcp("POST", f"{path}?token={api.key}&with_handshake=other", "{}").status == 400


@pytest.mark.parametrize("depth", [61, 62, 64])
def test_what_nests_as_deep_as_is_let_in_comes_home(api, depth):
    deep = "[" * depth + "]" * depth
    path = f"/api/v1/workspaces/here/processes/{api.processes['good']}/process-runs-integrations"
    run_id = api.daemon.tcp("POST", f"{path}?token={api.key}", deep).json["id"]
    assert finished(api, run_id)["state"] == "completed"
    step, = api("GET", f"/step-runs?process_run_id={run_id}")["data"]
    assert {a["name"] for a in api("GET", f"/step-runs/{step['id']}/artifacts")["data"]} == {"in.json", "x y.csv"}
    assert len(api("GET", f"/step-runs/{step['id']}/console-messages")["data"]) == 2
    item, = api("GET", f"/work-items?process_run_id={run_id}")["data"]
    assert api("GET", f"/work-items/{item['id']}")["payload"] == json.loads(deep)
    assert json.loads(api.daemon.cli("show", run_id, "--json").stdout)["work_items"]["input"][0]["payload"] == json.loads(deep)
    assert api.daemon.tcp("POST", f"{path}?token={api.key}", f"[{deep}]").status == (400 if depth == 64 else 200)


def test_requests_go_on_over_reloads(api):
    """What a request points into is the configuration that was in force when it came."""
    over = threading.Event()

    def reload():
        while not over.is_set():
            api.daemon.configure(CONFIG + f"# {time.monotonic()}\n")
            assert api.daemon.api("POST", "/belfry/v1/reload").status == 200
    thread = threading.Thread(target=reload)
    thread.start()
    try:
        for n in range(15):
            item = api("POST", "/work-items", {"process": {"id": api.processes["bad"]}, "payload": n})["id"]
            run_id = start(api, "bad", {"type": "with_inputs"})
            assert finished(api, run_id)["state"] == "unresolved"
            assert api("POST", "/work-items/batch", {"batch_operation": "retry", "work_item_ids": [item]}) == {"accepted": True}
            until(lambda: api.daemon.run(run_id)["attempt"] == 2 and api.daemon.run(run_id)["state"] == "failed", "it is tried again")
    finally:
        over.set()
        thread.join()


def test_lists_of_runs(api):
    runs = [start(api, "good") for _ in range(5)]
    failed = start(api, "bad")
    for run_id in runs:
        finished(api, run_id)
    assert finished(api, failed)["state"] == "unresolved"
    waiting = [start(api, "long") for _ in range(4)]
    until(lambda: len(api("GET", "/process-runs?state=in_progress")["data"]) == 2, "two of them run")
    everything = api("GET", "/process-runs?limit=500")
    assert [r["id"] for r in everything["data"]] == (runs + [failed] + waiting)[::-1] and not everything["has_more"]
    page, seen = api("GET", "/process-runs?limit=3"), []
    while True:
        seen += [r["id"] for r in page["data"]]
        if not page["has_more"]:
            break
        page = api("GET", "/process-runs?" + urllib.parse.urlsplit(page["next"]).query)
    assert seen == [r["id"] for r in everything["data"]]
    ids = lambda query: [r["id"] for r in api("GET", f"/process-runs?{query}")["data"]]  # noqa: E731
    assert ids("state=completed") == runs[::-1] and ids("state=unresolved") == [failed] and ids("state=new") == waiting[:1:-1]
    assert ids(f"process_id={api.processes['bad']}") == [failed] and ids("process_id=bad&state=completed") == []
    assert ids(f"process_id={uuid.uuid4()}") == []
    assert [r["id"] for r in api("GET", f"/processes/{api.processes['bad']}/process-runs")["data"]] == [failed]
    for query in ("state=failed", "limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=nan", "cursor=x"):
        api("GET", f"/process-runs?{query}", status=400)
    assert len(ids("limit=1e9")) == 10
    for run_id in waiting:
        api("POST", f"/process-runs/{run_id}/stop", {"set_remaining_work_items_as_done": True, "terminate_ongoing_activity_runs": True})
    for run_id in waiting:
        assert finished(api, run_id)["state"] == "completed"
        assert api.daemon.run(run_id)["state"] == "canceled"


def test_stop(api):
    run_id = start(api, "long")
    until(lambda: api("GET", f"/process-runs/{run_id}")["state"] == "in_progress", "it runs")
    for body in (None, {}, {"set_remaining_work_items_as_done": True}, {"set_remaining_work_items_as_done": 1, "terminate_ongoing_activity_runs": 1}):
        api("POST", f"/process-runs/{run_id}/stop", body, status=400)
    body = {"set_remaining_work_items_as_done": True, "terminate_ongoing_activity_runs": False, "reason?": "x"}
    assert api("POST", f"/process-runs/{run_id}/stop", body) == {"accepted": True}
    assert api("GET", f"/process-runs/{run_id}")["state"] == "stopping"   # its one command may end by itself
    api("DELETE", f"/process-runs/{run_id}", status=409)
    body["terminate_ongoing_activity_runs"] = True
    assert api("POST", f"/process-runs/{run_id}/stop", body) == {"accepted": True}
    assert finished(api, run_id)["state"] == "completed"
    step, = api("GET", f"/step-runs?process_run_id={run_id}")["data"]
    assert step["state"] == "failed"
    api("POST", f"/process-runs/{run_id}/stop", body)   # it has ended: no harm
    api("POST", f"/process-runs/{uuid.uuid4()}/stop", body, status=404)
    results = api.daemon.run(run_id)["results"]
    assert api("DELETE", f"/process-runs/{run_id}") == {"id": run_id, "deleted": True}
    api("GET", f"/process-runs/{run_id}", status=404)
    api("DELETE", f"/process-runs/{run_id}", status=404)
    assert (pathlib.Path(results) / "run.json").exists()   # the results are the operator's


def test_a_run_is_deleted_with_its_work_items(api):
    item = api("POST", "/work-items", {"process": {"id": api.processes["good"]}, "payload": 1})["id"]
    body = {"type": "with_work_item_ids", "work_item_ids": [item]}
    run_id = start(api, "good", body)
    finished(api, run_id)
    api("DELETE", f"/process-runs/{run_id}")
    api("GET", f"/work-items/{item}", status=404)
    api("POST", f"/processes/{api.processes['good']}/process-runs", body, status=400)
    assert api("GET", "/work-items?state=new")["data"] == []


def test_a_key_starts_once_though_its_run_is_deleted(api):
    def begin():
        return api.daemon.api("POST", "/belfry/v1/processes/good/runs", {}, {"Idempotency-Key": "k"})
    run_id = begin().json["run_id"]
    finished(api, run_id)
    api("DELETE", f"/process-runs/{run_id}")
    again = begin()
    assert again.status == 409 and again.json["error"]["code"] == "run_deleted" and run_id in again.json["error"]["message"]
    assert api("GET", "/process-runs")["data"] == []


def test_the_machine_is_one_worker(api):
    worker, = api("GET", "/workers")["data"]
    assert set(worker) == {"id", "name", "state"} and worker["state"] == "idle"
    assert api("GET", f"/workers/{worker['id']}") == worker
    run_id = start(api, "long")
    until(lambda: api("GET", f"/workers/{worker['id']}")["state"] == "busy", "it works")
    api("POST", f"/process-runs/{run_id}/stop", {"set_remaining_work_items_as_done": True, "terminate_ongoing_activity_runs": True})
    for path in (f"/workers/{uuid.uuid4()}", f"/worker-groups/{uuid.uuid4()}", f"/assistants/{uuid.uuid4()}", f"/assistant-runs/{uuid.uuid4()}",
                 f"/task-packages/{uuid.uuid4()}"):
        api("GET", path, status=404)
    for path in ("/worker-groups", "/assistants", "/assistant-runs"):
        assert api("GET", path) == {"next": None, "has_more": False, "data": []}


def test_an_overlap_policy_that_refuses_says_so(api):
    first = start(api, "single")
    until(lambda: api("GET", f"/process-runs/{first}")["state"] == "in_progress", "it runs")
    api("POST", f"/processes/{api.processes['single']}/process-runs", status=409)
    assert len(api("GET", "/process-runs?process_id=single")["data"]) == 1   # what was skipped is no process run
    api("POST", f"/process-runs/{first}/stop", {"set_remaining_work_items_as_done": True, "terminate_ongoing_activity_runs": True})


def test_another_workspace_is_not_seen(api):
    run_id = api.daemon.run_and_wait("other")["id"]
    api("GET", f"/process-runs/{run_id}", status=404)
    step = run_id[:14] + "8" + run_id[15:]
    for path in (f"/step-runs?process_run_id={run_id}", f"/step-runs/{step}", f"/step-runs/{step}/artifacts", f"/step-runs/{step}/console-messages"):
        api("GET", path, status=404)
    assert api("GET", "/process-runs")["data"] == []
    api("POST", f"/processes/other/process-runs", status=404)


def test_over_the_socket_no_key_is_needed(api):
    assert api.daemon.api("GET", "/api/v1/workspaces/here").status == 200
    assert api.daemon.api("GET", "/api/v1/workspaces/nowhere").status == 404


def test_the_work_items_of_a_run(daemon):
    producer = """
[process produce]
workspace = here
shell = yes
command = cp "$$BELFRY_FILE" "$$(dirname "$$RC_WORKITEM_OUTPUT_PATH")/copy.csv"; printf '%s' '[{{"payload": {{"n": 1}}, "files": {{"copy.csv": "copy.csv"}}}}, {{"payload": [2]}}]' > "$$RC_WORKITEM_OUTPUT_PATH"
[process fails]
workspace = here
command = false
[process slow]
workspace = here
command = sleep 600
""".replace("{{", "{").replace("}}", "}")
    daemon.start(producer)
    key = daemon.add_key()["key"]

    def api(path, status=200):
        answer = daemon.tcp("GET", f"/api/v1/workspaces/here{path}", headers=bearer(key))
        assert answer.status == status, (path, answer.body)
        return answer.json
    (daemon.folder / "in.csv").write_text("1;2\n")
    run = daemon.run_and_wait("produce", input=[{"a": 1}, "b"], files=[str(daemon.folder / "in.csv")])
    assert run["state"] == "completed" and len(run["work_items"]["output"]) == 2, run
    one, two = api(f"/outputs?process_run_id={run['id']}")["data"]
    assert set(one) == {"id", "created_at", "process", "process_run", "payload", "files"}
    assert one["payload"] == {"n": 1} and two["payload"] == [2] and two["files"] == [] and one["process_run"] == {"id": run["id"]}
    assert api(f"/process-runs/{run['id']}/outputs")["data"][1] == two
    file, = one["files"]
    assert (file["name"], file["size"]) == ("copy.csv", 4)
    link = urllib.parse.urlsplit(file["download"]["url"])
    assert daemon.tcp("GET", f"{link.path}?{link.query}").body == b"1;2\n"
    page = api(f"/outputs?process_run_id={run['id']}&limit=1")
    assert [o["id"] for o in page["data"]] == [one["id"]] and page["has_more"]
    page = api("/outputs?" + urllib.parse.urlsplit(page["next"]).query)
    assert [o["id"] for o in page["data"]] == [two["id"]] and not page["has_more"]
    items = api(f"/work-items?process_run_id={run['id']}")["data"]
    assert [(i["state"], i["id"]) for i in items] == [("done", f"{run['id']}-in-0"), ("done", f"{run['id']}-in-1"), ("done", one["id"]), ("done", two["id"])]
    assert all("payload" not in i and "files" not in i for i in items)
    assert api(f"/process-runs/{run['id']}/work-items?state=done&limit=1")["data"] == items[:1]
    first = api(f"/work-items/{items[0]['id']}")
    assert first["payload"] == {"a": 1} and [f["name"] for f in first["files"]] == ["in.csv"] and first["exception"] is None
    assert first["step_run"]["id"] == run["steps"][0]["id"]
    assert api(f"/work-items/{one['id']}")["files"][0]["name"] == "copy.csv"
    failed = daemon.run_and_wait("fails", input={"x": 1})
    item, = api(f"/work-items?process_run_id={failed['id']}")["data"]
    assert item["state"] == "failed" and item["exception"]["type"] == "application" and item["exception"]["code"] == "exit_code"
    running = daemon.begin("slow", input={"now": True})
    until(lambda: daemon.run(running)["state"] == "running", "it runs")
    item, = api(f"/work-items?process_run_id={running}")["data"]
    assert item["state"] == "in_progress" and api(f"/work-items/{item['id']}")["payload"] == {"now": True}
    assert api(f"/outputs?process_run_id={running}")["data"] == []
    for path in ("/work-items/x", f"/work-items/{run['id']}", f"/work-items/{run['id']}-in-2", f"/work-items/{run['id']}-in--1",
                 f"/work-items/{run['id']}-out-x", f"/work-items/{uuid.uuid4()}-in-0", f"/outputs?process_run_id={uuid.uuid4()}"):
        api(path, 404)
    for path in ("/outputs", f"/outputs?process_run_id={run['id']}&cursor=x", f"/work-items?process_run_id={run['id']}&state=old"):
        api(path, 400)
    run_process = next(p["id"] for p in api("/processes")["data"] if p["name"] == "produce")
    made = daemon.tcp("POST", "/api/v1/workspaces/here/work-items", {"process": {"id": run_process}, "payload": 5}, bearer(key)).json
    ids = [i["id"] for i in api(f"/work-items?process_run_id={run['id']}")["data"]]
    for query, wanted in (("", [made["id"], f"{running}-in-0", f"{failed['id']}-in-0", *ids]), (f"&process_id={run_process}", [made["id"], *ids]),
                          ("&state=done", ids), ("&state=new", [made["id"]])):
        page, found = api("/work-items?limit=1" + query), []
        while True:
            found += [i["id"] for i in page["data"]]
            if not page["has_more"]:
                break
            page = api("/work-items?" + urllib.parse.urlsplit(page["next"]).query)
        assert found == wanted
    api("/work-items?state=wat", 400)
    for cursor in ("wat", "w", "w0", "w-1", "zat", "rat"):
        api(f"/work-items?cursor={cursor}", 400)
    daemon.cli("cancel", running)
    daemon.ended(running)


def test_work_items_that_a_client_makes(api):
    good, bad = api.processes["good"], api.processes["bad"]
    make = lambda payload, process=good: api("POST", "/work-items", {"process": {"id": process}, "payload": payload})  # noqa: E731
    one = make({"order": 1})
    assert one["state"] == "new" and one["payload"] == {"order": 1} and one["files"] == [] and one["process_run"] is None
    assert set(one) == {"id", "created_at", "state", "state_updated_at", "process", "process_run", "step", "step_run", "payload", "files", "exception"}
    assert api("GET", f"/work-items/{one['id']}") == one
    for method in ("POST", "PUT"):
        assert api(method, f"/work-items/{one['id']}/payload", {"payload": [method]}) == {"payload": [method]}
    changed = api("GET", f"/work-items/{one['id']}")
    assert changed["payload"] == ["PUT"] and changed["state_updated_at"] is None   # its state is what it was
    two, other = make(None), make("elsewhere", bad)
    listed = lambda query: [i["id"] for i in api("GET", f"/work-items?state=new&{query}")["data"]]  # noqa: E731
    assert listed(f"process_id={good}") == [two["id"], one["id"]] and listed("") == [other["id"], two["id"], one["id"]]
    assert [i["id"] for i in api("GET", f"/processes/{bad}/work-items?state=new")["data"]] == [other["id"]]
    page = api("GET", "/work-items?state=new&limit=2")
    assert page["has_more"] and "payload" not in page["data"][0]
    assert [i["id"] for i in api("GET", "/work-items?" + urllib.parse.urlsplit(page["next"]).query)["data"]] == [one["id"]]
    api.daemon.kill()
    api.daemon.start()
    body = {"type": "with_work_item_ids", "work_item_ids": [two["id"], one["id"]]}
    run_id = start(api, "good", body)
    assert finished(api, run_id)["state"] == "completed"
    assert [i["payload"] for i in api.daemon.run(run_id)["work_items"]["input"]] == [None, ["PUT"]]
    taken = api("GET", f"/work-items/{one['id']}")
    assert taken["process_run"] == {"id": run_id} and taken["state"] == "done" and taken["payload"] == ["PUT"]
    assert [i["id"] for i in api("GET", f"/work-items?process_run_id={run_id}")["data"]] == [two["id"], one["id"]]
    assert listed("") == [other["id"]]
    api("POST", f"/processes/{good}/process-runs", body, status=409)
    api("PUT", f"/work-items/{one['id']}/payload", {"payload": 1}, status=409)
    api("POST", f"/processes/{good}/process-runs", {"type": "with_work_item_ids", "work_item_ids": [other["id"]]}, status=400)
    assert api("POST", f"/processes/{good}/process-runs", {"type": "with_inputs"}) == {"started": False}
    rest = [make({"n": n})["id"] for n in range(3)]
    run_id = start(api, "good", {"type": "with_inputs"})
    finished(api, run_id)
    assert [i["id"] for i in api("GET", f"/work-items?process_run_id={run_id}")["data"]] == rest
    for body in ({}, {"payload": 1}, {"process": {"id": good}}, {"process": good, "payload": 1}, {"process": {"id": "x"}, "payload": 1}, "x"):
        api("POST", "/work-items", body if body != "x" else '"x"', status=400)
    api("POST", f"/work-items/{other['id']}/payload", {}, status=400)
    api("GET", f"/work-items/{uuid.uuid4()}", status=404)
    api("POST", f"/work-items/{uuid.uuid4()}/payload", {"payload": 1}, status=404)


def test_a_skipped_start_takes_no_work_item(api):
    single = api.processes["single"]
    first = start(api, "single")
    until(lambda: api("GET", f"/process-runs/{first}")["state"] == "in_progress", "it runs")
    item = api("POST", "/work-items", {"process": {"id": single}, "payload": 1})
    api("POST", f"/processes/{single}/process-runs", {"type": "with_work_item_ids", "work_item_ids": [item["id"]]}, status=409)
    assert api("GET", f"/work-items/{item['id']}") == item
    stop_it = {"set_remaining_work_items_as_done": True, "terminate_ongoing_activity_runs": True}
    api("POST", f"/process-runs/{first}/stop", stop_it)
    finished(api, first)
    second = start(api, "single", {"type": "with_work_item_ids", "work_item_ids": [item["id"]]})
    assert api("GET", f"/work-items/{item['id']}")["process_run"] == {"id": second}
    api("POST", f"/process-runs/{second}/stop", stop_it)
    finished(api, second)


def test_one_work_item_starts_once_whoever_asks(api):
    import concurrent.futures
    path = f"/api/v1/workspaces/here/processes/{api.processes['good']}/process-runs"
    for _ in range(5):
        item = api("POST", "/work-items", {"process": {"id": api.processes["good"]}, "payload": 1})
        body = {"type": "with_work_item_ids", "work_item_ids": [item["id"]]}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: api.daemon.tcp("POST", path, body, bearer(api.key)), range(8)))
        assert sorted(a.status for a in answers) == [200] + [409] * 7
    assert len(api("GET", "/process-runs")["data"]) == 5


# --- Belfry at both ends ---------------------------------------------------------------------------------------------------

def test_a_belfry_follows_runs_of_a_belfry(daemon, tmp_path_factory):
    from conftest import Daemon
    from kills import free_port
    port = free_port()
    near = Daemon(tmp_path_factory.mktemp("near"))
    daemon.configure(f"""
[process work]
workspace = here
shell = yes
overlap = allow_all
max_parallel = 4
command = echo "$$BELFRY_RUN_ID" >> {daemon.folder}/started; cp "$$BELFRY_INPUT" output/in.json; echo said
""")
    daemon.config.write_text(daemon.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    daemon.start()
    key = daemon.add_key()
    near.env["FAR_KEY"] = key["key"]
    workspace = daemon.api("GET", "/api/v1/workspaces/here").json["id"]
    near.start(f"""
[workspace far]
type = robocorp
id = {workspace}
api_url = http://127.0.0.1:{port}/api/v1
api_key_env = FAR_KEY
poll_min = 100ms
poll_max = 300ms
rate = 1000
[process p]
workspace = far
process_name = work
overlap = allow_all
max_parallel = 20
""")
    try:
        runs = [near.begin("p", input={"n": n}) for n in range(20)]
        for _ in range(4):
            time.sleep(0.2)
            daemon.kill()
            daemon.start()
        for n, run_id in enumerate(runs):
            record = near.ended(run_id, 200)
            assert record["state"] == "completed", record
            where = record["results"]
            artifact, = record["artifacts"]
            assert json.loads(open(f"{where}/{artifact['path']}").read()) == {"n": n}
            assert open(f"{where}/console.log").read().rstrip().endswith("said")
        started = (daemon.folder / "started").read_text().split()
        assert len(started) == len(set(started)) == 20
        assert {near.run(r)["remote"]["run_id"] for r in runs} == set(started)
    finally:
        near.end()


def test_a_name_that_would_break_json_does_not(api):
    for by in ('a"b\\c', "tab\there", "Zoë \u2028 \U0001F514", "\x7f"):
        run = api.daemon.api("POST", "/belfry/v1/processes/good/runs", {"by": by}).json["run_id"]
        assert api("GET", f"/process-runs/{run}")["started_by"] == {"type": "user", "details": {"id": by, "first_name": by, "last_name": ""}}
        assert api("GET", "/process-runs?limit=1")["data"][0]["started_by"]["details"]["id"] == by
        finished(api, run)


# --- assets ---------------------------------------------------------------------------------------------------------------

def fetch(api, url):
    parts = urllib.parse.urlsplit(url)
    return api.daemon.tcp("GET", f"{parts.path}?{parts.query}")


def put(api, url, content, method="PUT"):
    parts = urllib.parse.urlsplit(url)
    return api.daemon.tcp(method, f"{parts.path}?{parts.query}", content).status


def test_assets_as_the_storage_client_uses_them(api):
    api("GET", "/assets/name%3Amy%20cfg", status=404)
    asset = api("POST", "/assets/", {"name": "my cfg"})
    assert asset == {"id": asset["id"], "name": "my cfg", "payload": {"type": "empty"}}
    api("POST", "/assets", {"name": "my cfg"}, status=400)
    api("POST", "/assets", {"name": ""}, status=400)
    assert api("GET", "/assets/name%3Amy%20cfg") == asset == api("GET", f"/assets/{asset['id']}")
    assert api("GET", "/assets/?limit=1") == {"next": None, "has_more": False, "data": [{"id": asset["id"], "name": "my cfg"}]}
    small = api("POST", f"/assets/{asset['id']}/uploads/", {"content_type": "text/plain", "data": "aGVsbG8="})
    assert small["status"] == "completed" and small["content_type"] == "text/plain" and "upload_url" not in small
    assert api("GET", f"/assets/{asset['id']}/uploads/{small['id']}/") == small
    now = api("GET", "/assets/name%3Amy%20cfg")["payload"]
    assert (now["type"], now["content_type"]) == ("url", "text/plain") and fetch(api, now["url"]).body == b"hello"
    # More than any other request may have, with the request; and more still, by a link.
    import base64
    middle = bytes(3_700_000)
    done = api("POST", f"/assets/{asset['id']}/uploads", {"content_type": "application/octet-stream", "data": base64.b64encode(middle).decode()})
    assert done["status"] == "completed" and fetch(api, api("GET", f"/assets/{asset['id']}")["payload"]["url"]).body == middle
    large = bytes(range(256)) * (6 << 12)
    pending = api("POST", f"/assets/{asset['id']}/uploads", {"content_type": "application/json", "data": None})
    assert pending["status"] == "pending" and api("GET", f"/assets/{asset['id']}/uploads/{pending['id']}") ["status"] == "pending"
    assert put(api, pending["upload_url"].replace("signature=", "signature=0"), large) == 403
    assert put(api, pending["upload_url"], large) == 204
    assert api("GET", f"/assets/{asset['id']}/uploads/{pending['id']}")["status"] == "completed"
    assert fetch(api, api("GET", f"/assets/{asset['id']}")["payload"]["url"]).body == large
    for body in ({}, {"content_type": ""}, {"content_type": "text/plain", "data": "no base64!"}, {"content_type": "text/plain", "data": 5}):
        api("POST", f"/assets/{asset['id']}/uploads", body, status=400)
    api("GET", f"/assets/{asset['id']}/uploads/{uuid.uuid4()}", status=404)
    api("GET", f"/assets/{asset['id']}/uploads/wat", status=404)
    there = api.daemon.add_key(["all"], "there")["key"]
    for method, path in (("GET", f"/assets/{asset['id']}"), ("DELETE", f"/assets/{asset['id']}"), ("GET", "/assets/name%3Amy%20cfg")):
        assert api.daemon.tcp(method, "/api/v1/workspaces/there" + path, headers=bearer(there)).status == 404
    assert api.daemon.tcp("GET", "/api/v1/workspaces/there/assets", headers=bearer(there)).json["data"] == []
    api.daemon.kill()
    api.daemon.start()
    assert fetch(api, api("GET", f"/assets/{asset['id']}")["payload"]["url"]).body == large
    assert api("DELETE", f"/assets/{asset['id']}") == {"id": asset["id"], "deleted": True}
    api("GET", f"/assets/{asset['id']}", status=404)
    names = [api("POST", "/assets", {"name": f"a{i}"})["name"] for i in range(5)]
    page, found = api("GET", "/assets?limit=2"), []
    while True:
        found += [a["name"] for a in page["data"]]
        if not page["has_more"]:
            break
        page = api("GET", "/assets" + page["next"].split("/assets", 1)[1])
    assert found == names


def test_an_asset_whose_name_holds_a_slash(api):
    asset = api("POST", "/assets", {"name": "config/prod/uploads"})
    for spelling in ("name%3Aconfig%2Fprod%2Fuploads", "name:config/prod/uploads"):
        assert api("GET", f"/assets/{spelling}") == asset
    api("GET", "/assets/config/prod/uploads", status=404)
    assert api("DELETE", "/assets/name%3Aconfig%2Fprod%2Fuploads") == {"id": asset["id"], "deleted": True}
    reader = bearer(api.daemon.add_key(["read_processes"])["key"])
    assert api.daemon.tcp("GET", "/api/v1/workspaces/here/assets/name%3Aconfig%2Fprod", headers=reader).status == 403


def test_a_large_body_needs_a_key_or_is_refused(api):
    body = json.dumps({"content_type": "text/plain", "data": "A" * 2_000_000})
    path = f"/api/v1/workspaces/here/assets/{uuid.uuid4()}/uploads"
    assert api.daemon.tcp("POST", path, body).status == 401
    assert api.daemon.tcp("POST", path, body, bearer(api.key)).status == 404
    assert api.daemon.tcp("POST", "/api/v1/workspaces/here/assets", body, bearer(api.key)).status == 413
