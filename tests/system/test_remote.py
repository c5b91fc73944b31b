"""Runs on a Control Room: the stand-in with its script of faults."""
import hashlib
import hmac
import json
import pathlib

import pytest

from conftest import until

CONFIG = """
[workspace cloud]
type = robocorp
id = ws-1
api_url = {url}
api_key_env = CLOUD_KEY
poll_min = 100ms
poll_max = 300ms
rate = 1000
[process invoices]
workspace = cloud
process_name = Invoices
{more}
"""


@pytest.fixture
def cloud(daemon, room):
    daemon.env["CLOUD_KEY"] = "test-key"

    def start(more=""):
        return daemon.start(CONFIG.format(url=room.url, more=more))
    daemon.cloud = start
    return daemon


def folder(record):
    return pathlib.Path(record["results"])


def test_outputs_come_home(cloud, room):
    room.script(steps=[
        {"name": "producer", "artifacts": [{"name": "log.html", "content": "<html>1</html>"},
                                           {"name": "log.html", "content": "<html>two</html>"},
                                           {"name": "../../etc/passwd", "content": "x" * 70000}], "console": ["a", "b", "c"],
         "events": ["one", "two", "three"]},
        {"name": "/abs/../name", "artifacts": [{"name": "\x1b[31m.txt", "content": "c"}], "console": ["d\n"]}],
        outputs=[{"payload": {"n": 1}, "files": []}, {"payload": [1, "zwei"], "files": [{"name": "payload.json", "content": "p"}]},
                 {"payload": None, "files": [{"name": "r.csv", "content": "a;b\n"}]}])
    cloud.cloud()
    record = cloud.run_and_wait("invoices", input=[{"order": 1}, {"order": 2}])
    assert record["state"] == "completed", record
    assert record["backend"] == "robocorp" and record["backend_state"] == "completed"
    where = folder(record)
    assert json.loads((where / "run.json").read_text())["id"] == record["id"]
    assert [s["name"] for s in record["steps"]] == ["producer", "/abs/../name"]
    contents = {}
    for artifact in record["artifacts"]:
        data = (where / artifact["path"]).read_bytes()
        assert len(data) == artifact["size"] and hashlib.sha256(data).hexdigest() == artifact["sha256"]
        contents[artifact["path"]] = data
    assert sorted(a["name"] for a in record["artifacts"]) == ["\x1b[31m.txt", "../../etc/passwd", "log.html", "log.html"]   # as they are there
    assert sorted(contents.values()) == sorted([b"<html>1</html>", b"<html>two</html>", b"x" * 70000, b"c"])
    assert "artifacts/producer/log.html" in contents and "artifacts/producer/log-2.html" in contents
    lines = (where / "console.log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["a", "b", "c", "d"]
    outputs = record["work_items"]["output"]
    assert [o["payload"] for o in outputs] == [{"n": 1}, [1, "zwei"], None]
    assert (where / outputs[1]["path"] / outputs[1]["files"][0]).read_bytes() == b"p"
    assert json.loads((where / outputs[1]["path"] / "payload.json").read_text()) == [1, "zwei"]
    assert [i["payload"] for i in record["work_items"]["input"]] == [{"order": 1}, {"order": 2}]
    everything = sorted(p.relative_to(where).parts[0] for p in where.rglob("*"))
    assert set(everything) == {"run.json", "console.log", "events.jsonl", "artifacts", "work-items"}
    events = [json.loads(line) for line in (where / "events.jsonl").read_text().splitlines()]
    assert [e["event"]["event_type"] for e in events] == ["one", "two", "three"]
    assert {e["step_run_id"] for e in events} == {record["steps"][0]["id"]}
    state = room.state()
    assert len(state["runs"]) == 1 and state["complaints"] == []
    assert [i["payload"] for i in state["work_items"]] == [{"order": 1}, {"order": 2}]
    assert "test-key" not in cloud.log_text() and "test-key" not in json.dumps(record)


def test_a_file_travels_as_a_work_item_file(cloud, room, tmp_path):
    (tmp_path / "in.csv").write_text("1;2;3\n")
    cloud.cloud()
    record = cloud.run_and_wait("invoices", input={"a": 1}, files=[str(tmp_path / "in.csv")])
    assert record["state"] == "completed", record
    state = room.state()
    assert [(f["name"], f["content"]) for f in state["work_items"][0]["files"]] == [("in.csv", "1;2;3\n")]
    assert state["complaints"] == []


# Each fault on each request that leads to a start ends in one process run at the Control Room, and one completed run here.
FAULTS = ["reset_before", "reset_after", "500_before", "500_after", "429", "html", "truncated", "wrong_types", "duplicate_keys"]


@pytest.mark.parametrize("route", ["processes", "create_item", "start_run", "get_run", "step_runs", "artifact", "outputs"])
def test_one_start_for_each_firing_whatever_fails(cloud, room, route):
    cloud.cloud()
    # A start that was lost on its way is looked for, for two minutes, before it is sent again: the simulated world has those.
    for kind in [k for k in FAULTS if route != "start_run" or not k.endswith("_before")]:
        room.script(faults=[{"route": route, "kind": kind, "times": 1}])
        before = len(room.state()["runs"])
        record = cloud.run_and_wait("invoices", input={"fault": kind})
        assert record["state"] == "completed", (kind, record)
        state = room.state()
        assert len(state["runs"]) == before + 1, (kind, state["requests"])
        started = [i for i in state["work_items"] if i["payload"] == {"fault": kind} and i["process_run"]]
        assert len(started) == 1, kind
        if kind != "wrong_types":
            assert len(record["artifacts"]) == 1 and record["artifacts"][0]["sha256"], (kind, record)
        cloud_requests = state["requests"]
        assert cloud_requests


@pytest.mark.parametrize("kind", ["reset_after", "500_after", "truncated"])
def test_a_kill_after_a_start_without_answer_starts_once(cloud, room, kind):
    cloud.cloud()
    room.script(faults=[{"route": "start_run", "kind": kind, "times": 1}, {"route": "get_item", "kind": "500_before", "times": 2}])
    run_id = cloud.begin("invoices", input={"once": True})
    until(lambda: room.state()["requests"].get("start_run"), "the start was sent")
    cloud.kill()
    cloud.start()
    assert cloud.ended(run_id)["state"] == "completed"
    assert len(room.state()["runs"]) == 1


@pytest.mark.parametrize("items", ["silent", "vanish"])
def test_a_start_is_found_by_the_list_of_runs(cloud, room, items):
    cloud.cloud()
    assert cloud.run_and_wait("invoices", input={"n": 0})["state"] == "completed"
    room.script(items=items, faults=[{"route": "start_run", "kind": "reset_after", "times": 1}])
    record = cloud.run_and_wait("invoices", input={"n": 1})
    assert record["state"] == "completed"
    state = room.state()
    assert len(state["runs"]) == 2 and record["remote"]["run_id"] == state["runs"][1]["id"]


@pytest.mark.parametrize("kind", ["reset_after", "500_after", "truncated", "html"])
def test_a_lost_work_item_is_found_before_another_is_made(cloud, room, kind):
    cloud.cloud()
    room.script(faults=[{"route": "create_item", "kind": kind, "times": 1}])
    assert cloud.run_and_wait("invoices", input=[{"same": 1}, {"same": 1}, {"n": 2}])["state"] == "completed"
    state = room.state()
    assert [i["payload"] for i in state["work_items"]] == [{"same": 1}, {"same": 1}, {"n": 2}]
    assert [len(r["work_items"]) for r in state["runs"]] == [3] and len(set(state["runs"][0]["work_items"])) == 3


def test_equal_work_items_of_two_runs_stay_apart(cloud, room):
    cloud.cloud("overlap = allow_all\nmax_parallel = 8")
    room.script(faults=[{"route": "create_item", "kind": "reset_after", "times": 6}])
    runs = [cloud.begin("invoices", input={"equal": True}) for _ in range(8)]
    for run_id in runs:
        assert cloud.ended(run_id)["state"] == "completed"
    started = [i for r in room.state()["runs"] for i in r["work_items"]]
    assert len(started) == len(set(started)) == 8


def test_a_kill_while_work_items_are_made_leaves_none_behind(cloud, room):
    cloud.cloud()
    room.script(faults=[{"route": "create_item", "kind": "slow", "seconds": 30, "times": 1}])
    run_id = cloud.begin("invoices", input=[{"n": 1}, {"n": 2}])
    until(lambda: room.state()["work_items"], "the first item is made")
    cloud.kill()
    cloud.start()
    assert cloud.ended(run_id)["state"] == "completed"
    assert [i["payload"] for i in room.state()["work_items"]] == [{"n": 1}, {"n": 2}]


def test_refused_for_good(cloud, room):
    room.script(processes=[{"id": "other", "name": "Other"}])
    cloud.cloud()
    record = cloud.run_and_wait("invoices")
    assert record["state"] == "failed" and record["error"]["code"] == "start_failed"
    assert 'no process named "Invoices"' in record["error"]["message"]
    assert room.state()["runs"] == []
    assert json.loads((folder(record) / "run.json").read_text())["state"] == "failed"


def test_a_bad_key_holds_runs_and_is_said(cloud, room):
    cloud.env["CLOUD_KEY"] = "not-the-secret"
    cloud.cloud()
    run_id = cloud.begin("invoices")
    trouble = until(lambda: cloud.status()["workspaces"][1]["trouble"], "the trouble shows")
    assert "does not accept the key" in trouble and "not-the-secret" not in trouble
    assert cloud.run(run_id)["state"] in ("queued", "starting")
    cloud.api("POST", f"/belfry/v1/runs/{run_id}/cancel", {})
    assert cloud.ended(run_id)["state"] == "canceled"


def test_a_refused_key_pauses_the_starts_and_is_said_once(cloud, room):
    cloud.env["CLOUD_KEY"] = "not-the-secret"
    cloud.cloud("overlap = allow_all\ntimeout = 2s")
    runs = [cloud.begin("invoices", input={"n": n}) for n in range(5)]
    records = [cloud.ended(run_id) for run_id in runs]
    assert [r["state"] for r in records] == ["failed"] * 5, "not before their timeout, and then they do end"
    assert all("not accept" in r["error"]["message"] or "FORBIDDEN" in r["error"]["message"] for r in records)
    assert sum(room.state()["requests"].values()) <= 6, "one start tries, the others wait"
    assert cloud.log_text().count("does not accept the key, or the key") == 1


def test_a_silent_room_is_left_in_peace(cloud, room):
    room.script(faults=[{"route": "processes", "kind": "reset_before", "times": 7}])
    cloud.cloud("overlap = allow_all")
    runs = [cloud.begin("invoices", input={"n": n}) for n in range(8)]
    for run_id in runs:
        assert cloud.ended(run_id)["state"] == "completed"
    assert len(room.state()["runs"]) == 8


def test_many_runs_are_followed_by_lists(cloud, room):
    room.script(polls=10000, page_size=50)
    cloud.cloud("overlap = allow_all")
    runs = [cloud.begin("invoices", input={"n": n}) for n in range(60)]
    until(lambda: all(cloud.run(r)["state"] == "running" for r in runs), "they run")
    until(lambda: room.state()["requests"].get("list_runs", 0) > 10, "lists are read")
    before = room.state()["requests"]
    until(lambda: room.state()["requests"]["list_runs"] > before["list_runs"] + 20, "more lists are read")
    after = room.state()["requests"]
    assert after.get("get_run", 0) - before.get("get_run", 0) <= after["list_runs"] - before["list_runs"], "not one by one"
    room.script(polls=1)
    assert all(cloud.ended(r)["state"] == "completed" for r in runs)


def test_a_key_that_may_not_list_runs_follows_them_one_by_one(cloud, room):
    room.script(faults=[{"route": "list_runs", "kind": "403", "times": 1000}], polls=5)
    cloud.cloud("overlap = allow_all")
    for run_id in [cloud.begin("invoices", input={"n": n}) for n in range(5)]:
        assert cloud.ended(run_id)["state"] == "completed"
    assert room.state()["requests"].get("list_runs", 0) <= 1


def test_unresolved_is_failed_with_its_reason(cloud, room):
    room.script(result="unresolved")
    cloud.cloud()
    record = cloud.run_and_wait("invoices")
    assert record["state"] == "failed" and record["backend_state"] == "unresolved"
    assert record["error"] == {"code": "unresolved", "message": "a work item failed: INVALID_ORDER: no such order"}
    assert record["artifacts"], "what it left behind comes home all the same"


def test_retries_start_a_run_of_their_own(cloud, room):
    room.script(result="unresolved")
    cloud.cloud("retries = 1\nretry_delay = 100ms")
    run_id = cloud.begin("invoices", input={"again": 1})
    until(lambda: len(room.state()["runs"]) == 1 and room.state()["runs"][0]["state"] == "unresolved", "the first attempt fails")
    room.script(result="completed")
    record = cloud.ended(run_id)
    assert record["state"] == "completed" and record["attempt"] == 2
    assert len(room.state()["runs"]) == 2


def test_stop(cloud, room):
    room.script(polls=10000)
    cloud.cloud()
    run_id = cloud.begin("invoices")
    until(lambda: cloud.run(run_id)["state"] == "running", "it runs")
    room.script(polls=2)
    room.object.runs[next(iter(room.object.runs))]["polls"] = -10000
    assert cloud.api("POST", f"/belfry/v1/runs/{run_id}/cancel", {"reason": "enough"}).status == 202
    record = cloud.ended(run_id)
    assert record["state"] == "canceled" and record["reason"] == "enough"
    assert room.state()["runs"][0]["stop"]["set_remaining_work_items_as_done"] is True


def test_timeout_stops_the_remote_run(cloud, room):
    room.script(polls=10000)
    cloud.cloud("timeout = 1s")
    run_id = cloud.begin("invoices")
    until(lambda: room.state()["runs"] and room.state()["runs"][0]["stop"], "it is stopped")
    room.script(polls=1)
    assert cloud.ended(run_id)["state"] == "timed_out"


def test_a_next_link_to_another_host_is_not_followed(cloud, room):
    room.script(next_host="127.0.0.2:1", processes=[{"id": f"p{n}", "name": f"P{n}"} for n in range(5)])
    cloud.cloud()
    run_id = cloud.begin("invoices")
    trouble = until(lambda: cloud.status()["troubles"], "the trouble shows")
    assert "another host" in trouble[0]
    assert room.state()["runs"] == []
    cloud.api("POST", f"/belfry/v1/runs/{run_id}/cancel", {})
    cloud.ended(run_id)


def test_an_artifact_that_is_gone_is_a_note(cloud, room):
    room.script(steps=[{"name": "main", "console": [], "artifacts": [
        {"name": "good.txt", "content": "good"}, {"name": "far.txt", "content": "far", "url": "http://127.0.0.2:1/far"},
        {"name": "short.txt", "content": "short", "size": 99}]}])
    cloud.cloud()
    record = cloud.run_and_wait("invoices")
    assert record["state"] == "completed"
    assert [a["name"] for a in record["artifacts"]] == ["good.txt"]
    assert len(record["notes"]) == 2, record["notes"]
    assert sorted(p.name for p in (folder(record) / "artifacts" / "main").iterdir()) == ["good.txt"]


def test_an_expired_link_is_asked_for_again(cloud, room):
    room.script(faults=[{"route": "GET file", "kind": "404", "times": 1}], outputs=[])
    cloud.cloud()
    record = cloud.run_and_wait("invoices")
    assert [a["name"] for a in record["artifacts"]] == ["log.html"] and "notes" not in record


def test_an_expired_link_of_an_output_is_asked_for_again(cloud, room):
    room.script(faults=[{"route": "GET file", "kind": "404", "times": 1}], steps=[])
    cloud.cloud()
    record = cloud.run_and_wait("invoices")
    output = record["work_items"]["output"][0]
    assert output["files"] == ["r.csv"] and "notes" not in record, record
    assert (folder(record) / output["path"] / "r.csv").read_text() == "a;b\n"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_it_was(cloud, room, ranges):
    content = "".join(f"{n:07d}\n" for n in range(100000))
    room.script(ranges=ranges, faults=[{"route": "GET file", "kind": "truncated", "times": 1}],
                steps=[{"name": "main", "console": [], "artifacts": [{"name": "big.txt", "content": content}]}], outputs=[])
    cloud.cloud()
    record = cloud.run_and_wait("invoices")
    assert (folder(record) / record["artifacts"][0]["path"]).read_text() == content
    assert record["artifacts"][0]["sha256"] == hashlib.sha256(content.encode()).hexdigest()
    assert room.state()["requests"].get("ranges", 0) == (1 if ranges else 0)


def test_cut_downloads_are_repeated(cloud, room):
    room.script(faults=[{"route": "GET file", "kind": "truncated", "times": 1}, {"route": "GET file", "kind": "500_before", "times": 1}])
    cloud.cloud()
    record = cloud.run_and_wait("invoices")
    assert (folder(record) / record["artifacts"][0]["path"]).read_text() == "<html>log</html>"


def sign(callback, body):
    return {"x-rc-signature": hmac.new(callback["secret"].encode(), body, "sha256").hexdigest()}


def test_a_callback_tells_of_an_end_at_once(cloud, room):
    room.script(polls=1)
    config = CONFIG.replace("poll_min = 100ms", "poll_min = 10m\ncallback_url = https://belfry.example/callbacks")
    cloud.start(config.replace("poll_max = 300ms", "poll_max = 20m").format(url=room.url, more="overlap = allow_all"))
    one, two = cloud.begin("invoices"), cloud.begin("invoices")
    until(lambda: cloud.run(one)["state"] == cloud.run(two)["state"] == "running", "both run")
    callbacks = {r["callback"]["url"].rpartition("/")[2]: r["callback"] for r in room.state()["runs"]}
    assert callbacks[one]["url"] == f"https://belfry.example/callbacks/{one}"
    assert set(callbacks[one]["callback_events"]) == {"completed", "unresolved"}
    assert callbacks[one]["secret"] != callbacks[two]["secret"]
    body = json.dumps({"id": "evt-1", "event": "process_run", "payload": {"state": "COMPL"}}).encode()
    for headers in ({}, {"x-rc-signature": "0" * 64}, {"x-rc-signature": ""}, sign(callbacks[two], body)):
        assert cloud.tcp("POST", f"/callbacks/{one}", body, headers).status == 401
    assert cloud.tcp("POST", "/callbacks/" + "x" * 36, body, sign(callbacks[one], body)).status == 401
    assert "get_run" not in room.state()["requests"]
    assert cloud.tcp("POST", f"/callbacks/{one}", body, sign(callbacks[one], body)).status == 200
    assert cloud.ended(one)["state"] == "completed"
    assert cloud.run(two)["state"] == "running"
    assert cloud.tcp("POST", f"/callbacks/{one}", body, sign(callbacks[one], body)).status == 200   # once more: no harm
    assert callbacks[one]["secret"] not in cloud.log_text()
    cloud.stop()
    cloud.start()
    assert cloud.tcp("POST", f"/callbacks/{two}", body, sign(callbacks[two], body)).status == 200   # of before the restart
    assert cloud.ended(two)["state"] == "completed"


@pytest.mark.parametrize("restart", [False, True])
def test_an_unresolved_run_that_is_completed_later_gets_a_second_revision(cloud, room, restart):
    room.script(result="unresolved", outputs=[])
    cloud.cloud()
    record = cloud.run_and_wait("invoices", input={"order": 1})
    assert record["state"] == "failed" and record["error"]["code"] == "unresolved"
    where = folder(record)
    first = (where / "run.json").read_text()
    if restart:
        cloud.stop()
    with room.object.lock:
        run = room.object.runs[record["remote"]["run_id"]]
        run.update(state="completed")
        room.object.script["outputs"] = [{"payload": {"total": 7}, "files": [{"name": "r.csv", "content": "late\n"}]}]
    if restart:
        cloud.start()
    until(lambda: cloud.run(record["id"]).get("revision") == 2, "the second revision")
    second = json.loads((where / "run.json").read_text())
    assert (where / "run.1.json").read_text() == first
    assert second["state"] == "completed" and second["revision"] == 2 and "error" not in second
    output = second["work_items"]["output"][0]
    assert (where / output["path"] / output["files"][0]).read_text() == "late\n"
    for artifact in second["artifacts"]:
        assert hashlib.sha256((where / artifact["path"]).read_bytes()).hexdigest() == artifact["sha256"]
    shown = cloud.run(record["id"])
    assert shown["state"] == "failed" and shown["revised"]["state"] == "completed"
    assert "was completed at the Control Room after it had failed" in cloud.log_text()
    assert len(room.state()["runs"]) == 1
    assert shown["error"]["code"] == "unresolved_then_completed"   # settled: it is not looked at again
