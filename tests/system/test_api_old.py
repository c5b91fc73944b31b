"""The two older APIs of local workspaces, as their clients use them."""
import json
import pathlib
import time
import urllib.parse
import uuid

import pytest

from conftest import Daemon, bearer, free_port, until

CONFIG = """
[process good]
workspace = here
shell = yes
overlap = allow_all
max_parallel = 4
command = echo one; echo two; cp "$$BELFRY_INPUT" output/in.json; printf '[{{"payload": {{"n": 1}}}}]' > "$$RC_WORKITEM_OUTPUT_PATH"
[process bad]
workspace = here
command = false
[process turns]
workspace = here
shell = yes
command = test -e {folder}/mended
[process breaks]
workspace = here
steps = break
overlap = buffer_all
[step break]
shell = yes
command = while [ -e {folder}/hold ]; do sleep 0.05; done; test -e {folder}/mended
[process lines]
workspace = here
overlap = allow_all
max_parallel = 12
command = seq -f %0120.0f 1 12000
[process both]
workspace = here
steps = echo again
[step echo]
command = echo
[step again]
command = echo
[process waits]
workspace = here
overlap = buffer_all
shell = yes
command = while [ ! -e {folder}/go ]; do sleep 0.05; done
[process steps]
workspace = here
steps = wait
overlap = buffer_all
[step wait]
shell = yes
command = touch {folder}/runs.$$BELFRY_RUN_ID; while [ ! -e {folder}/go ]; do sleep 0.05; done
"""


@pytest.fixture
def old(daemon):
    daemon.start(CONFIG.format(folder=daemon.folder))
    key = daemon.add_key()["key"]

    def call(method, path, body=None, status=200, headers=None, prefix="process-v1"):
        answer = daemon.tcp(method, f"/{prefix}/workspaces/here{path}", body, bearer(key) if headers is None else headers)
        assert answer.status == status, (method, path, answer.status, answer.body)
        return json.loads(answer.body)
    call.key, call.daemon = key, daemon
    call.processes = {p["name"]: p["id"] for p in call("GET", "/processes")["data"]}
    return call


def finished(old, process, run_id):
    return until(lambda: (lambda r: r if r["state"] in ("COMPL", "PENDING") else None)(
        old("GET", f"/processes/{process}/runs/{run_id}?embed=robotRuns")), "the run ends")


def payloads(old, run_id):
    return [i["payload"] for i in old.daemon.run(run_id)["work_items"]["input"]]


def test_a_run_with_its_robot_runs(old):
    good, bad = old.processes["good"], old.processes["bad"]
    begun = old("POST", f"/processes/{good}/runs", {"variables": {"a": 1}})
    assert set(begun) == {"id", "workItemIds"} and len(begun["workItemIds"]) == 1
    run = finished(old, good, begun["id"])
    assert (run["state"], run["result"], run["errorCode"], run["processId"], run["processName"]) == ("COMPL", "success", None, good, "good")
    assert payloads(old, begun["id"]) == [{"variables": {"a": 1}}]
    step, = old("GET", f"/processes/{good}/runs/{run['id']}/robotRuns?limit=1000")
    assert run["robotRuns"] == [step] and old("GET", f"/processes/{good}/runs/{run['id']}/robotRuns/{step['id']}") == step
    at = f"/processes/{good}/runs/{run['id']}/robotRuns/{step['id']}"
    artifact, = old("GET", f"{at}/artifacts")
    assert artifact["fileName"] == "in.json" and artifact["fileSIze"] == artifact["fileSize"] > 0
    link = old("GET", f"{at}/artifacts/{artifact['id']}/in.json")
    assert isinstance(link, str)
    parts = urllib.parse.urlsplit(link)
    assert old.daemon.tcp("GET", f"{parts.path}?{parts.query}", headers=bearer(old.key)).json == {"variables": {"a": 1}}
    old("GET", f"{at}/artifacts/{artifact['id']}/other.json", status=404)
    messages = old("GET", f"{at}/messages?limit=100000")
    assert [(m["seqNo"], m["message"]) for m in messages] == [(1, "one"), (2, "two")]
    assert [e["seqNo"] for e in old("GET", f"{at}/events")] == ["1", "2", "3"]
    failed = old("POST", f"/processes/{bad}/runs")
    run = finished(old, bad, failed["id"])
    assert (run["state"], run["result"], run["errorCode"]) == ("PENDING", "error", "exit_code")
    assert [r["id"] for r in old("GET", "/pruns?limit=500")] == [failed["id"], begun["id"]]
    assert [r["id"] for r in old("GET", "/pruns?state=COMPL")] == [begun["id"]]
    assert [r["id"] for r in old("GET", f"/processes/{bad}/runs")["data"]] == [failed["id"]]
    for path in (f"/processes/{bad}/runs/{begun['id']}", f"/processes/{good}/runs/{uuid.uuid4()}", f"/processes/{uuid.uuid4()}/runs",
                 f"/processes/{good}/runs/{begun['id']}/robotRuns/{uuid.uuid4()}", f"/processes/{bad}/runs/{begun['id']}/work-items"):
        old("GET", path, status=404)
    old("GET", "/pruns?state=wat", status=400)


def test_every_form_of_a_start(old):
    good = old.processes["good"]
    for body, seen in (([1, {"b": 2}], [[1, {"b": 2}]]), ([], [[]]), ("text", ["text"])):
        begun = old("POST", f"/processes/{good}/runs", json.dumps(body))
        finished(old, good, begun["id"])
        assert payloads(old, begun["id"]) == seen
    begun = old("POST", f"/processes/{good}/runs-batch", [1, {"b": 2}])
    finished(old, good, begun["id"])
    assert payloads(old, begun["id"]) == [1, {"b": 2}] and len(begun["workItemIds"]) == 2
    begun = old("POST", f"/processes/{good}/runs-qs-authorization?token={old.key}", {"x": 1}, headers={})
    finished(old, good, begun["id"])
    assert payloads(old, begun["id"]) == [{"x": 1}]
    old("POST", f"/processes/{good}/runs?token={old.key}", {"x": 1}, headers={}, status=401)
    begun = old("POST", f"/processes/{good}/run-request", {"type": "default"})
    finished(old, good, begun["id"])
    assert payloads(old, begun["id"]) == [{}]
    for body, status in (({}, 400), ({"type": "x"}, 400), ({"type": "workItemIds"}, 400), ({"type": "workItemIds", "workItemIds": ["x"]}, 400),
                         ({"type": "storages", "storages": ["failed"]}, 501), ({"type": "storages", "storages": []}, 501), ([], 400)):
        old("POST", f"/processes/{good}/run-request", body, status=status)
    old("POST", f"/processes/{good}/runs-batch", {}, status=400)
    old("POST", f"/processes/{uuid.uuid4()}/runs", {}, status=404)


def test_runs_carry_what_clients_read_of_them(old):
    good, bad, both, steps = (old.processes[name] for name in ("good", "bad", "both", "steps"))
    begun = [old("POST", f"/processes/{process}/runs-batch", [1, 2])["id"] for process in (good, bad, both)]
    for process, run_id in zip((good, bad, both), begun):
        finished(old, process, run_id)
    begun += [old("POST", f"/processes/{steps}/runs")["id"] for _ in range(2)]
    until(lambda: old("GET", f"/processes/{steps}/runs/{begun[3]}")["state"] == "IP", "the first one of steps runs")
    runs = old("GET", "/pruns")
    assert [r["id"] for r in runs] == begun[::-1]
    for run in runs:
        one = old("GET", f"/processes/{run['processId']}/runs/{run['id']}")
        assert run == one and old("GET", f"/processes/{run['processId']}/runs/{run['id']}/robotRuns") == run["robotRuns"]
        assert run in old("GET", f"/processes/{run['processId']}/runs")["data"]
    assert [len(r["robotRuns"]) for r in runs] == [0, 1, 4, 1, 1]
    assert [r.get("workItemStats") for r in runs] == [None, None, None, {"totalCount": 2, "failedCount": 2, "succeededCount": 0},
                                                      {"totalCount": 2, "failedCount": 0, "succeededCount": 2}]
    (old.daemon.folder / "go").touch()


def test_a_form_is_a_payload_where_the_whole_body_is_one(old):
    good, form = old.processes["good"], "a=1&b=two+words&c=%C3%A4"
    seen = {"a": "1", "b": "two words", "c": "\u00e4"}
    json_type = {"Content-Type": "application/json"}
    for path, prefix in ((f"/processes/{good}/runs", "process-v1"), (f"/processes/{good}/runs-qs-authorization?token={old.key}", "process-v1"),
                         (f"/processes/{good}/runs", "workspace-v1")):
        for headers in (bearer(old.key), {**bearer(old.key), **json_type}):
            begun = old("POST", path, form, prefix=prefix, headers=headers)
            run = old.daemon.ended(begun.get("id") or begun["processRunId"])
            assert [i["payload"] for i in run["work_items"]["input"]] == [seen]
    item = old("POST", f"/processes/{good}/work-items?bodyAsPayload=true", form)["id"]
    polled = old.daemon.tcp("GET", f"/process-v1/workspaces/here/processes/{good}/work-items/{item}", form, {**bearer(old.key), **json_type})
    assert polled.status == 200 and polled.json["payload"] == seen
    for body in ("a", '{"a": "x?b=1"', "a=%zz", "a b=1"):
        old("POST", f"/processes/{good}/runs", body, status=400)
    for path in ("runs-batch", "run-request", "work-items"):
        old("POST", f"/processes/{good}/{path}", form, status=400)
    v1 = f"/api/v1/workspaces/here/processes/{good}"
    for path in (f"{v1}/process-runs", f"{v1}/process-runs-integrations?token={old.key}"):
        assert old.daemon.tcp("POST", path, form, bearer(old.key)).status == 400


def test_limits(old):
    lines = old.processes["lines"]
    runs = [old("POST", f"/processes/{lines}/runs")["id"] for _ in range(12)]
    for run_id in runs:
        step, = finished(old, lines, run_id)["robotRuns"]
    at = f"/processes/{lines}/runs/{runs[-1]}/robotRuns"
    numbers = [int(m["message"]) for m in old("GET", f"{at}/{step['id']}/messages")]
    assert numbers == list(range(1, 10001))   # of 12000, in more than a page of v1 takes
    assert len(old("GET", f"{at}/{step['id']}/messages?limit=1500.0")) == 1500
    assert len(old("GET", f"{at}/{step['id']}/messages?limit=100000")) == 10000
    assert len(old("GET", "/pruns")) == 12 and len(old("GET", "/pruns?limit=11.0")) == 11
    assert len(old("GET", f"/processes/{lines}/runs")["data"]) == 10 and len(old("GET", f"/processes/{lines}/runs?limit=2")["data"]) == 2
    both = old.processes["both"]
    run_id = old("POST", f"/processes/{both}/runs")["id"]
    begun = finished(old, both, run_id)["robotRuns"]
    assert len(begun) == 2
    assert old("GET", f"/processes/{both}/runs/{run_id}/robotRuns?limit=1") == begun[:1]
    assert old("GET", f"/processes/{both}/runs/{run_id}/robotRuns") == begun
    for path in (f"{at}/{step['id']}/messages", "/pruns", f"/processes/{lines}/runs", at):
        for bad in ("0", "-1", "1.5", "ten", ""):
            old("GET", f"{path}?limit={bad}", status=400)


def test_step_runs_of_a_run_that_has_not_begun(old):
    steps, v1 = old.processes["steps"], "/api/v1/workspaces/here"
    first, second = (old("POST", f"/processes/{steps}/runs", {"n": n})["id"] for n in (1, 2))
    until(lambda: (old.daemon.folder / f"runs.{first}").exists(), "the first runs")
    assert old.daemon.run(second)["state"] == "queued"
    assert old("GET", f"/processes/{steps}/runs/{second}/robotRuns") == [] == old("GET", f"/processes/{steps}/runs/{second}")["robotRuns"]
    assert old.daemon.api("GET", f"{v1}/step-runs?process_run_id={second}").json["data"] == []
    invented = second[:14] + "8" + second[15:]
    old("GET", f"/processes/{steps}/runs/{second}/robotRuns/{invented}", status=404)
    assert old.daemon.api("GET", f"{v1}/step-runs/{invented}").status == 404
    (old.daemon.folder / "go").touch()
    assert finished(old, steps, second)["state"] == "COMPL"
    assert [s["step"]["name"] for s in old.daemon.api("GET", f"{v1}/step-runs?process_run_id={second}").json["data"]] == ["wait"]
    assert len(old("GET", f"/processes/{steps}/runs/{second}/robotRuns")) == 1


def test_work_items(old):
    good = old.processes["good"]
    first = old("POST", f"/processes/{good}/work-items", {"payload": {"n": 1}})
    second = old("POST", f"/processes/{good}/work-items?bodyAsPayload=true", {"payload": {"n": 2}})
    assert set(first) == {"id"}
    waiting = old("GET", f"/processes/{good}/work-items?includeData=true")["data"]
    assert [(i["id"], i["state"], i["payload"], i["processRunId"]) for i in waiting] == [
        (second["id"], "NEW", {"payload": {"n": 2}}, None), (first["id"], "NEW", {"n": 1}, None)]
    assert all("payload" not in i for i in old("GET", f"/processes/{good}/work-items?includeData=false")["data"])
    assert old("GET", f"/processes/{good}/work-items/{first['id']}?includeData=true")["payload"] == {"n": 1}
    body = {"type": "workItemIds", "workItemIds": [first["id"], second["id"]]}
    begun = old("POST", f"/processes/{good}/run-request", json.dumps(body))   # clients send it without a type
    assert begun["workItemIds"] == body["workItemIds"]
    finished(old, good, begun["id"])
    item = old("GET", f"/processes/{good}/work-items/{first['id']}?includeData=true")
    assert (item["state"], item["processRunId"], item["payload"]) == ("COMPLETED", begun["id"], {"n": 1})
    items = old("GET", f"/processes/{good}/runs/{begun['id']}/work-items?includeData=true&sortBy=createTs&sortOrder=desc")["data"]
    assert [i["payload"] for i in items] == [{"n": 1}, {"payload": {"n": 2}}, {"n": 1}]
    assert [i["activityRunId"] is None for i in items] == [True, False, False]   # the output is the newest
    for query in ("", "?sortBy=createTs&sortOrder=asc", "?sortBy=createTs", "?sortOrder=ASC"):
        assert old("GET", f"/processes/{good}/runs/{begun['id']}/work-items{query}")["data"] == [
            {k: v for k, v in i.items() if k not in ("payload", "files")} for i in reversed(items)], query
    for query in ("sortBy=state", "sortOrder=up"):
        old("GET", f"/processes/{good}/runs/{begun['id']}/work-items?{query}", status=400)
    old("POST", f"/processes/{good}/run-request", body, status=409)
    old("POST", f"/processes/{good}/work-items", {}, status=400)
    old("GET", f"/processes/{good}/work-items/{uuid.uuid4()}", status=404)
    third = old("POST", f"/processes/{good}/work-items", {"payload": {"n": 3}})
    for item in (first, third, {"id": f"{begun['id']}-out-0"}):
        old("GET", f"/processes/{good}/work-items/{item['id']}")
        old("GET", f"/processes/{old.processes['bad']}/work-items/{item['id']}", status=404)
        old("GET", f"/processes/{uuid.uuid4()}/work-items/{item['id']}", status=404)
    whole = {"type": "storages", "storages": ["input"]}
    assert old("POST", f"/processes/{good}/run-request", whole)["workItemIds"] == [third["id"]]
    nothing = old("POST", f"/processes/{good}/run-request", whole, status=409)
    assert set(nothing) == {"error"} and "no work item waits" in nothing["error"]["message"]
    old("POST", f"/processes/{good}/work-items/{first['id']}/retry", status=409)   # it has not failed


def test_work_items_of_steps_are_sorted_too(old):
    both = old.processes["both"]
    begun = old("POST", f"/processes/{both}/runs-batch", [1, 2])
    finished(old, both, begun["id"])
    items = old("GET", f"/processes/{both}/runs/{begun['id']}/work-items?sortBy=createTs&sortOrder=desc")["data"]
    assert len(items) == 2 and [i["id"] for i in items[-2:]] == begun["workItemIds"][::-1]
    made = [i["createTs"] for i in items]
    assert made == sorted(made, reverse=True)
    assert old("GET", f"/processes/{both}/runs/{begun['id']}/work-items")["data"] == items[::-1]


def test_a_run_that_has_not_ended_is_not_tried_again(old):
    begun = old("POST", f"/processes/{old.processes['waits']}/runs")
    until(lambda: old.daemon.run(begun["id"])["state"] == "running", "it runs")
    refused = old("POST", f"/processes/{old.processes['waits']}/work-items/{begun['workItemIds'][0]}/retry", status=409)
    assert "has not ended" in refused["error"]["message"]
    (old.daemon.folder / "go").touch()


def test_failed_items_of_a_command_are_listed_and_tried_again(old):
    turns = old.processes["turns"]
    waits = old("POST", f"/processes/{turns}/work-items", {"payload": "waits"})["id"]
    made = old("POST", f"/processes/{turns}/work-items", {"payload": "made"})["id"]
    runs = [old("POST", f"/processes/{turns}/run-request", {"type": "workItemIds", "workItemIds": [made]})["id"]]
    assert finished(old, turns, runs[0])["state"] == "PENDING"
    begun = old("POST", f"/processes/{turns}/runs-batch", ["one", "two"])
    runs.append(begun["id"])
    assert finished(old, turns, runs[1])["state"] == "PENDING"
    items = old("GET", f"/processes/{turns}/work-items?includeData=true")["data"]
    assert [(i["id"], i["state"], i["payload"], i["processRunId"]) for i in items] == [
        (begun["workItemIds"][1], "FAILED", "two", runs[1]), (begun["workItemIds"][0], "FAILED", "one", runs[1]), (made, "FAILED", "made", runs[0]),
        (waits, "NEW", "waits", None)]
    assert all("payload" not in i for i in old("GET", f"/processes/{turns}/work-items")["data"])
    assert old("GET", f"/processes/{old.processes['bad']}/work-items")["data"] == []
    (old.daemon.folder / "mended").touch()
    for item in items:
        if item["state"] == "FAILED" and item["id"] != begun["workItemIds"][1]:
            old("POST", f"/processes/{turns}/work-items/{item['id']}/retry")
    for run_id in runs:
        assert old.daemon.ended(run_id)["state"] == "completed"
    until(lambda: [i["state"] for i in old("GET", f"/processes/{turns}/work-items")["data"]] == ["COMPLETED"] * 3 + ["NEW"], "all but one are done")


def test_an_item_is_in_progress_as_soon_as_its_run_is_started(old):
    for process in (old.processes["steps"], old.processes["waits"]):
        first, second = (old("POST", f"/processes/{process}/runs-batch", [1, 2]) for _ in range(2))
        until(lambda: old.daemon.run(first["id"])["state"] == "running", "the first runs")
        assert old.daemon.run(second["id"])["state"] == "queued"
        for begun in (first, second):
            for item in begun["workItemIds"]:
                assert old("GET", f"/processes/{process}/work-items/{item}")["state"] == "IN_PROGRESS"
            assert [i["state"] for i in old("GET", f"/processes/{process}/runs/{begun['id']}/work-items")["data"]] == ["IN_PROGRESS"] * 2
        items = old("GET", f"/processes/{process}/work-items")["data"]
        assert [i["state"] for i in items] == ["IN_PROGRESS"] * 4
        waiting = old("POST", f"/processes/{process}/work-items", {"payload": 1})["id"]
        assert old("GET", f"/processes/{process}/work-items/{waiting}")["state"] == "NEW"
        words = {i["state"] for i in old.daemon.api("GET", f"/api/v1/workspaces/here/work-items?process_run_id={second['id']}").json["data"]}
        assert words == {"pending"}
    words = [i["state"] for i in old.daemon.api("GET", "/api/v1/workspaces/here/processes/steps/work-items").json["data"]]
    assert sorted(words) == ["in_progress", "new", "new"]
    (old.daemon.folder / "go").touch()
    for process in (old.processes["steps"], old.processes["waits"]):
        until(lambda: sorted(i["state"] for i in old("GET", f"/processes/{process}/work-items")["data"]) == ["COMPLETED"] * 4 + ["NEW"],
              "all are done")


def test_a_retried_run_of_steps_lists_its_items_once(old):
    breaks = old.processes["breaks"]
    hold = old("POST", f"/processes/{breaks}/runs", {"n": 1})["id"]
    assert finished(old, breaks, hold)["state"] == "PENDING"
    begun = old("POST", f"/processes/{breaks}/runs", {"n": 2})
    assert finished(old, breaks, begun["id"])["state"] == "PENDING"
    (old.daemon.folder / "hold").touch()
    for run_id in (hold, begun["id"]):
        old.daemon.cli("retry", run_id)
    until(lambda: old.daemon.run(begun["id"])["state"] == "queued", "the second waits for the first")
    assert [i["processRunId"] for i in old("GET", f"/processes/{breaks}/work-items")["data"]] == [begun["id"], hold]
    (old.daemon.folder / "hold").unlink()
    (old.daemon.folder / "mended").touch()
    for run_id in (hold, begun["id"]):
        assert old.daemon.ended(run_id)["state"] == "completed"


def test_the_gate_stands_before_them_too(old):
    good = old.processes["good"]
    reader = old.daemon.add_key(["read_processes"])["key"]
    elsewhere = old.daemon.add_key([])["key"]
    for prefix in ("process-v1", "workspace-v1"):
        path = f"/processes/{good}/runs"
        old("POST", path, {}, prefix=prefix, headers={}, status=401)
        old("POST", path, {}, prefix=prefix, headers=bearer("x"), status=401)
        old("POST", path, {}, prefix=prefix, headers=bearer(reader), status=403)
        old("POST", path, {}, prefix=prefix, headers=bearer(elsewhere), status=403)
        old("GET", f"{path}/{uuid.uuid4()}", prefix=prefix, headers=bearer(reader), status=404)
    old("GET", "/processes", headers={"robocloud-process-secret": old.key}, status=401)


STEP = "/processes/P/runs/R/robotRuns/S"
ANY_OF = {   # who asks needs one of them
    "process-v1": [
        ("GET", "/processes", ["read_processes"]), ("GET", "/pruns", ["read_runs"]), ("GET", "/processes/P/runs", ["read_runs"]),
        ("POST", "/processes/P/runs", ["trigger_processes"]), ("POST", "/processes/P/runs-batch", ["trigger_processes"]),
        ("POST", "/processes/P/run-request", ["trigger_processes"]), ("POST", "/processes/P/runs-qs-authorization", ["trigger_processes"]),
        ("GET", "/processes/P/runs/R", ["read_runs", "read_processes"]), ("GET", "/processes/P/runs/R/robotRuns", ["read_runs", "read_processes"]),
        ("GET", STEP, ["read_runs"]), ("GET", f"{STEP}/events", ["read_run_outputs"]), ("GET", f"{STEP}/messages", ["read_run_outputs"]),
        ("GET", f"{STEP}/artifacts", ["read_run_outputs"]), ("GET", f"{STEP}/artifacts/A/a", ["read_run_outputs"]),
        ("POST", "/processes/P/work-items", ["write_work_items"]), ("GET", "/processes/P/work-items", ["read_work_items"]),
        ("GET", "/processes/P/runs/R/work-items", ["read_work_items"]), ("GET", "/processes/P/work-items/I", ["read_work_items"]),
        ("POST", "/processes/P/work-items/I/retry", ["write_work_items"]), ("POST", "/processes/P/work-items/I/files/upload", ["write_work_items"])],
    "workspace-v1": [
        ("POST", "/processes/P/runs", ["trigger_processes"]), ("GET", "/processes/P/runs/R", ["read_runs", "read_processes"]),
        ("GET", "/processes/P/runs/R/robotRuns", ["read_runs", "read_processes"]),
        ("GET", f"{STEP}/artifacts", ["read_run_outputs"]), ("GET", f"{STEP}/artifacts/A/a", ["read_run_outputs"])]}


@pytest.mark.parametrize("prefix", ANY_OF)
def test_every_old_route_with_every_permission(old, prefix):
    daemon = old.daemon
    names = [n.partition(".")[2] for n in daemon.add_key()["permissions"]]
    keys = {name: bearer(daemon.add_key([name])["key"]) for name in names}
    for method, path, wanted in ANY_OF[prefix]:
        for name, key in keys.items():
            status = daemon.tcp(method, f"/{prefix}/workspaces/here{path}", headers=key).status
            assert (status == 403) == (name not in wanted) and status != 401, (method, path, name, status)


def test_the_key_that_the_trigger_action_asks_for_starts_and_polls(old):
    good = old.processes["good"]
    key = {"headers": bearer(old.daemon.add_key(["read_runs", "trigger_processes"])["key"])}
    run_id = old("POST", f"/processes/{good}/runs", {"variables": {}}, **key)["id"]
    for prefix in ("process-v1", "workspace-v1"):
        run = until(lambda: (lambda r: r if r["state"] == "COMPL" else None)(
            old("GET", f"/processes/{good}/runs/{run_id}", prefix=prefix, **key)), "the run ends")
        assert [s["id"] for s in old("GET", f"/processes/{good}/runs/{run_id}/robotRuns", prefix=prefix, **key)] == [run["robotRuns"][0]["id"]]


def test_the_process_secret(old):
    good, secret = old.processes["good"], {"robocloud-process-secret": old.key}

    def ask(method, path, body=None, **more):
        return old(method, path, body, prefix="workspace-v1", headers=secret, **more)
    begun = ask("POST", f"/processes/{good}/runs", {"variables": {"v": 1}})
    assert begun["message"] == "OK" and begun["processId"] == good and set(begun) == {"message", "workspaceId", "processId", "processRunId"}
    run = until(lambda: (lambda r: r if r["state"] == "COMPL" else None)(ask("GET", f"/processes/{good}/runs/{begun['processRunId']}")), "it ends")
    step = run["robotRuns"][0]["id"]
    artifact, = ask("GET", f"/processes/{good}/runs/{run['id']}/robotRuns/{step}/artifacts")
    assert ask("GET", f"/processes/{good}/runs/{run['id']}/robotRuns/{step}/artifacts/{artifact['id']}/in.json").startswith("http://")
    ask("GET", "/processes", status=404)
    runs = f"/processes/{good}/runs"
    for name in ("token", "secret"):   # by who cannot set headers
        begun = old("POST", f"{runs}?{name}={old.key}", {"by": name}, prefix="workspace-v1", headers={})
        assert finished(old, good, begun["processRunId"])["state"] == "COMPL"
        old("POST", f"{runs}?{name}=belfry_nonsense", {}, prefix="workspace-v1", headers={}, status=401)
        old("GET", f"{runs}/{begun['processRunId']}?{name}={old.key}", prefix="workspace-v1", headers={}, status=401)
    for path in (runs, f"{runs}-qs-authorization"):
        old("POST", f"{path}?secret={old.key}", {}, headers={}, status=401)
    assert old.key not in old.daemon.log_text() + json.dumps([old.daemon.run(r["id"]) for r in old.daemon.runs()])


@pytest.mark.parametrize("dialect, prefix", [("process-v1", "process-v1"), ("process-secret", "workspace-v1")])
def test_a_belfry_speaks_them_to_a_belfry(daemon, tmp_path_factory, dialect, prefix):
    port = free_port()
    near = Daemon(tmp_path_factory.mktemp("near"))
    daemon.configure(CONFIG.format(folder=daemon.folder))
    daemon.config.write_text(daemon.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    daemon.start()
    near.env["FAR_KEY"] = daemon.add_key()["key"]
    process = next(p["id"] for p in daemon.api("GET", "/api/v1/workspaces/here/processes").json["data"] if p["name"] == "good")
    near.start(f"""
[workspace far]
type = robocorp
id = here
api = {dialect}
api_url = http://127.0.0.1:{port}/{prefix}
api_key_env = FAR_KEY
poll_min = 100ms
poll_max = 300ms
rate = 1000
[process p]
workspace = far
process_id = {process}
overlap = allow_all
max_parallel = 20
""")
    try:
        runs = [near.begin("p", input={"n": n}) for n in range(6)]
        time.sleep(0.1)
        if dialect == "process-v1":   # of the other a start without an answer waits for a person
            daemon.kill()
            daemon.start()
        for n, run_id in enumerate(runs):
            record = near.ended(run_id, 200)
            assert record["state"] == "completed", record
            where = pathlib.Path(record["results"])
            artifact, = record["artifacts"]
            assert json.loads((where / artifact["path"]).read_text()) == {"n": n}
            if dialect == "process-v1":
                assert [o["payload"] for o in record["work_items"]["output"]] == [{"n": 1}]
        assert {r["id"] for r in daemon.runs()} == {near.run(r)["remote"]["run_id"] for r in runs}
    finally:
        near.end()
