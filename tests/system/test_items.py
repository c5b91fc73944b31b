"""Work items of runs that are one command: as the API has them before a run takes them, while it has them, and when it has ended."""
import json
import pathlib
import urllib.parse

import pytest

from conftest import bearer, until
from test_steps import pages, upload

CONFIG = """
[process hold]
workspace = here
shell = yes
command = cat work-items-in/* "$$BELFRY_FILE" > /dev/null 2>&1; touch {folder}/begun; while [ ! -e {folder}/go ]; do sleep 0.05; done
[process once]
workspace = here
shell = yes
command = echo "$$BELFRY_ATTEMPT" >> {folder}/attempts; echo said; echo kept > output/kept.txt; test -e {folder}/mended
"""
STOP = {"set_remaining_work_items_as_done": False, "terminate_ongoing_activity_runs": True}


@pytest.fixture
def api(daemon):
    daemon.start(CONFIG.format(folder=daemon.folder))
    headers = bearer(daemon.add_key()["key"])

    def call(method, path, body=None, status=200, base="/api/v1/workspaces/here"):
        answer = daemon.tcp(method, base + path, body, headers)
        assert answer.status == status, (method, path, answer.status, answer.body)
        return answer.json if answer.body else None
    call.daemon = daemon
    call.processes = {p["name"]: p["id"] for p in call("GET", "/processes")["data"]}
    return call


def make(api, process, payload=None, files=()):
    item = api("POST", "/work-items", {"process": {"id": api.processes[process]}, "payload": payload})
    for name, content in files:
        to = api("POST", f"/work-items/{item['id']}/files", {"file_name": name, "file_size": len(content)})["upload"]
        assert upload(to["url"], to["form_data"], content) == 204
    return api("GET", f"/work-items/{item['id']}")


def start(api, process, *items):
    body = {"type": "with_work_item_ids", "work_item_ids": [i["id"] for i in items]}
    return api("POST", f"/processes/{api.processes[process]}/process-runs", body)["id"]


def without_links(files):
    return [{k: v for k, v in f.items() if k != "download"} for f in files]


# --- files ------------------------------------------------------------------------------------------------------------------

FILES = [("a/b.txt", b"slash"), ("100%.txt", b"per cent"), ("-v.txt", b"dash"), ("long " + "n" * 295, b"long"), ("two", b"2")]


def files_are(api, item):
    """The item's files are what they were, and can be fetched."""
    found = api("GET", f"/work-items/{item['id']}")["files"]
    assert without_links(found) == without_links(item["files"])
    for file in found:
        link = urllib.parse.urlsplit(file["download"]["url"])
        assert api.daemon.tcp("GET", f"{link.path}?{link.query}").body == dict(FILES)[file["name"]]
    old, = [i for i in api("GET", f"/processes/hold/runs/{api.run}/work-items?includeData=true", base="/process-v1/workspaces/here")["data"]
            if i["id"] == item["id"]]
    assert [(f["id"], f["name"], f["size"]) for f in old["files"]] == [(f["id"], f["name"], f["size"]) for f in item["files"]]
    one = api("GET", f"/processes/hold/work-items/{item['id']}", base="/process-v1/workspaces/here")
    assert [f["id"] for f in one["files"]] == [f["id"] for f in item["files"]]


def test_files_of_an_item_stay_what_they_are_when_a_command_takes_it(api):
    item, other = make(api, "hold", 1, FILES), make(api, "hold", 2, FILES[:1])
    assert {f["name"] for f in item["files"]} == {name for name, _ in FILES}
    api.run = first = start(api, "hold", item, other)
    until(lambda: (api.daemon.folder / "begun").exists(), "the command runs")
    waiting = make(api, "hold", 3, FILES[:2])
    api.run = second = start(api, "hold", waiting)
    assert api("GET", f"/work-items/{waiting['id']}")["state"] == "pending"
    files_are(api, waiting)
    api("POST", f"/process-runs/{second}/stop", STOP)
    assert api.daemon.ended(second)["state"] == "canceled"
    files_are(api, waiting)
    api.run = first
    assert api("GET", f"/work-items/{item['id']}")["state"] == "in_progress"
    files_are(api, item)
    files_are(api, other)
    (api.daemon.folder / "go").touch()
    record = api.daemon.ended(first)
    assert record["state"] == "completed" and len(record["work_items"]["input"][0]["files"]) == 5
    assert api("GET", f"/work-items/{item['id']}")["state"] == "done"
    files_are(api, item)
    files_are(api, other)
    for path in ("-in-0", "-in-1", "-in-2"):   # it has one id
        api("GET", f"/work-items/{first}{path}", status=404)


def test_files_of_other_items_are_those_of_the_results(api):
    (api.daemon.folder / "in.csv").write_text("1;2")
    (api.daemon.folder / "go").touch()
    record = api.daemon.run_and_wait("hold", input=[1, 2], files=[str(api.daemon.folder / "in.csv")])
    file, = api("GET", f"/work-items/{record['id']}-in-0")["files"]
    assert (file["name"], file["size"]) == ("in.csv", 3) and api("GET", f"/work-items/{record['id']}-in-1")["files"] == []


# --- settled by hand --------------------------------------------------------------------------------------------------------

def batch(api, operation, *ids, status=200):
    return api("POST", "/work-items/batch", {"batch_operation": operation, "work_item_ids": list(ids)}, status)


def completes(api, run):
    until(lambda: api("GET", f"/process-runs/{run}")["state"] == "completed", "the run is completed by that")
    return api.daemon.run(run)


@pytest.mark.parametrize("operation, made", [("mark_as_done", False), ("mark_as_done", True), ("delete", False), ("delete", True)])
def test_the_items_of_a_command_that_failed_are_settled_by_hand(api, operation, made):
    if made:
        items = [make(api, "once", n, [("in.txt", b"in")]) for n in range(2)]
        run = start(api, "once", *items)
        ids = [i["id"] for i in items]
    else:
        run = api.daemon.begin("once", input=[1, 2])
        ids = [f"{run}-in-0", f"{run}-in-1"]
    before = api.daemon.ended(run)
    assert before["state"] == "failed" and api("GET", f"/process-runs/{run}")["state"] == "unresolved"
    assert [i["id"] for i in api("GET", f"/work-items?process_run_id={run}&state=failed")["data"]] == ids
    batch(api, operation, ids[0], status=409)   # the command ran once over both of them
    batch(api, operation, ids[1], ids[1], status=409)
    batch(api, operation, *ids, f"{run}-in-2", status=404)
    batch(api, operation, *ids)
    record = completes(api, run)
    assert record["state"] == "completed" and record["revision"] == 2 and record["attempt"] == 1 and "error" not in record and "exit_code" not in record
    assert (api.daemon.folder / "attempts").read_text() == "1\n"   # nothing was started for that
    assert record["steps"][0]["error"]["code"] == "exit_code" and record["steps"][0]["state"] == "failed"
    for member in ("work_items", "artifacts", "results"):
        assert record[member] == before[member]
    folder = pathlib.Path(record["results"])
    assert json.loads((folder / "run.1.json").read_text())["state"] == "failed"
    assert json.loads((folder / "run.json").read_text())["state"] == "completed"
    assert record["reason"] in api.daemon.cli("show", run).stdout and api.daemon.cli("logs", run).stdout == "said\n"
    step, = api("GET", f"/step-runs?process_run_id={run}")["data"]
    assert step["state"] == "failed" and step["error"] == {"code": "exit_code"} and step["ended_at"] == record["steps"][0]["ended"]
    assert [a["name"] for a in api("GET", f"/step-runs/{step['id']}/artifacts")["data"]] == ["kept.txt"]
    found = api("GET", f"/work-items?process_run_id={run}")["data"]
    if operation == "delete":
        assert found == []
        for item in ids:
            api("GET", f"/work-items/{item}", status=404)
        assert [i["id"] for i in pages(api, "/work-items?state=done")] == []
    else:
        assert [(i["id"], i["state"], i["exception"]) for i in found] == [(item, "done", None) for item in ids]
        assert found[0]["state_updated_at"] == record["ended"] > record["steps"][0]["ended"]
    for word in ("retry", operation):
        batch(api, word, *ids, status=409)
    api.daemon.kill()
    api.daemon.start()
    assert api.daemon.run(run) == record


def test_what_is_settled_stays_so_when_the_daemon_is_killed(api):
    run = api.daemon.run_and_wait("once")["id"]
    batch(api, "mark_as_done", f"{run}-in-0")
    api.daemon.kill()
    api.daemon.start()
    assert completes(api, run)["state"] == "completed"
    assert (api.daemon.folder / "attempts").read_text() == "1\n"


def test_a_command_that_failed_twice_is_settled_with_its_last_results(api):
    run = api.daemon.run_and_wait("once")["id"]
    batch(api, "retry", f"{run}-in-0")
    until(lambda: api.daemon.run(run).get("revision") == 2, "it fails again")
    batch(api, "mark_as_done", f"{run}-in-0")
    record = completes(api, run)
    assert record["revision"] == 3 and record["attempt"] == 2 and [a["path"] for a in record["artifacts"]] == ["revision-2/artifacts/main/kept.txt"]
    step, = api("GET", f"/step-runs?process_run_id={run}")["data"]
    assert [m["message"] for m in api("GET", f"/step-runs/{step['id']}/console-messages")["data"]] == ["said"]


def test_what_a_command_was_given_is_not_changed(api):
    item = make(api, "once", 1)
    run = start(api, "once", item)
    api.daemon.ended(run)
    other = api.daemon.run_and_wait("once")["id"]
    for known in (item["id"], f"{other}-in-0"):
        refused = api("POST", f"/work-items/{known}/payload", {"payload": 2}, status=409)
        assert "not changed any more" in refused["error"]["message"]
        api("POST", f"/work-items/{known}/files", {"file_name": "a", "file_size": 1}, status=409)
    for unknown in (f"{other}-in-1", f"{other}-out-0", f"{run}-in-0"):
        api("POST", f"/work-items/{unknown}/payload", {"payload": 2}, status=404)


def test_an_item_that_waits_and_is_done_is_not_tried_again(api):
    waits, done = make(api, "once", 1)["id"], make(api, "once", 2)["id"]
    batch(api, "mark_as_done", done)
    batch(api, "retry", waits, done, status=409)
    assert api("GET", f"/work-items/{done}")["state"] == "done" and api("GET", f"/work-items/{waits}")["state"] == "new"
    batch(api, "retry", waits)   # it waits for its first try


def test_a_run_of_steps_that_never_began_is_tried_again_or_settled(api):
    command = api.daemon.folder / "command"
    api.daemon.configure(CONFIG.format(folder=api.daemon.folder) + f"[process flow]\nworkspace = here\nsteps = only\n[step only]\ncommand = {command}\n")
    api.daemon.cli("reload")
    again, done = (api.daemon.run_and_wait("flow") for _ in range(2))
    for run in (again, done):
        assert run["state"] == "failed" and run["error"]["code"] == "start_failed"
        item, = api("GET", f"/work-items?process_run_id={run['id']}")["data"]
        assert item["state"] == "failed" and item["exception"]["type"] == "orchestrator" and item["exception"]["code"] == "start_failed"
    batch(api, "mark_as_done", f"{done['id']}-in-0")
    assert completes(api, done["id"])["state"] == "completed"
    assert api("GET", f"/work-items/{done['id']}-in-0")["state"] == "done"
    command.write_text("#!/bin/sh\necho ran\n")
    command.chmod(0o755)
    api.daemon.cli("retry", again["id"])
    assert completes(api, again["id"])["attempt"] == 2 and api.daemon.cli("logs", again["id"]).stdout == "ran\n"


# --- runs between two tries ---------------------------------------------------------------------------------------------------

def test_a_run_that_waits_for_its_next_try_is_in_progress(api):
    api.daemon.configure(CONFIG.format(folder=api.daemon.folder).replace("[process once]", "[process once]\nretries = 2\nretry_delay = 1h\nqueue_limit = 1"))
    api.daemon.cli("reload")
    run, path = api.daemon.begin("once"), api.daemon.folder / "attempts"
    until(lambda: path.exists() and api.daemon.run(run)["state"] == "queued", "it has failed once")
    queued = api.daemon.begin("hold"), api.daemon.begin("hold")
    until(lambda: (api.daemon.folder / "begun").exists(), "the other one runs")
    until(lambda: api("GET", f"/process-runs/{queued[0]}")["state"] == "in_progress", "as the API has it, too")
    shown = api("GET", f"/process-runs/{run}")
    assert shown["state"] == "in_progress" and shown["started_at"] and shown["ended_at"] is None
    assert api("GET", f"/process-runs/{queued[1]}")["state"] == "new"
    words = ("new", "in_progress", "stopping", "completed", "unresolved")
    listed = {word: [r["id"] for r in api("GET", f"/process-runs?state={word}")["data"]] for word in words}
    assert listed == {"new": [queued[1]], "in_progress": [queued[0], run], "stopping": [], "completed": [], "unresolved": []}
    for word in words:
        assert {r["state"] for r in api("GET", f"/process-runs?state={word}")["data"]} <= {word}
    old = api("GET", "/pruns?state=IP", base="/process-v1/workspaces/here")
    assert [r["id"] for r in old] == listed["in_progress"] and {r["state"] for r in old} == {"IP"}
    for one in (run, *queued):
        api("POST", f"/process-runs/{one}/stop", STOP)
        api.daemon.ended(one)
        assert api("GET", f"/process-runs/{one}")["state"] == "completed"


# --- stopped, and which step they are in ------------------------------------------------------------------------------------

def test_items_of_a_command_that_was_stopped_have_failed(api):
    running = api.daemon.begin("hold", input=1)
    until(lambda: (api.daemon.folder / "begun").exists(), "the command runs")
    waiting = make(api, "hold", 2)
    queued = start(api, "hold", waiting)
    step, = api("GET", f"/step-runs?process_run_id={queued}")["data"]
    assert step["state"] == "awaiting_worker" and step["state_updated_at"] == api("GET", f"/process-runs/{queued}")["created_at"]
    for run in (queued, running):
        item, = api("GET", f"/work-items?process_run_id={run}")["data"]
        assert item["step"] == {"id": step["step"]["id"]}
    for run, message in ((queued, "no more of that"), (running, "the command was stopped")):
        api("POST", f"/process-runs/{run}/stop", dict(STOP, reason="no more of that"))
        assert api.daemon.ended(run)["state"] == "canceled" and api("GET", f"/process-runs/{run}")["state"] == "completed"
        item, = api("GET", f"/work-items?process_run_id={run}&state=failed")["data"]
        assert item["exception"] == {"type": "orchestrator", "code": "canceled", "message": message} and item["step"] == {"id": step["step"]["id"]}
        assert api("GET", f"/work-items?process_run_id={run}&state=done")["data"] == []
        assert run in [i["process_run"]["id"] for i in pages(api, "/work-items?state=failed")]
    assert api("GET", f"/step-runs?process_run_id={running}")["data"][0]["step"] == step["step"]
    batch(api, "mark_as_done", waiting["id"])
    until(lambda: api.daemon.run(queued)["state"] == "completed", "it is settled")
    assert api("GET", f"/work-items/{waiting['id']}")["state"] == "done" and api("GET", f"/work-items/{waiting['id']}")["exception"] is None


def test_items_that_wait_for_the_first_of_several_steps(api):
    api.daemon.configure(CONFIG.format(folder=api.daemon.folder) + f"""
[process two]
workspace = here
steps = first second
[step first]
shell = yes
command = while [ ! -e {api.daemon.folder}/go ]; do sleep 0.05; done
[step second]
command = true
""")
    api.daemon.cli("reload")
    api.processes = {p["name"]: p["id"] for p in api("GET", "/processes")["data"]}
    first, queued = api.daemon.begin("two"), start(api, "two", make(api, "two", 1))
    running = until(lambda: api("GET", f"/step-runs?process_run_id={first}")["data"], "the first step runs")[0]
    step = {"id": running["step"]["id"]}
    assert running["step"]["name"] == "first" and api("GET", f"/step-runs?process_run_id={queued}")["data"] == []
    assert api("GET", f"/work-items?process_run_id={queued}")["data"][0]["step"] == step
    api("POST", f"/process-runs/{queued}/stop", STOP)
    item, = until(lambda: api("GET", f"/work-items?process_run_id={queued}&state=failed")["data"], "its item has failed")
    assert item["exception"]["code"] == "canceled" and item["step"] == step
    (api.daemon.folder / "go").touch()
    api.daemon.ended(first)
