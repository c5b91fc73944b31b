"""The older APIs of Control Rooms, spoken to the stand-in."""
import json
import pathlib

import pytest

from conftest import until

CONFIG = """
[workspace cloud]
type = robocorp
id = ws-1
api = {api}
api_url = {url}
api_key_env = CLOUD_KEY
poll_min = 100ms
poll_max = 300ms
rate = 1000
[process invoices]
workspace = cloud
{process}
{more}
"""


@pytest.fixture
def old(daemon, room):
    daemon.env["CLOUD_KEY"] = "test-key"

    def start(api, process="process_id = proc-1", more=""):
        base = {"process-v1": "process-v1", "process-secret": "workspace-v1"}[api]
        return daemon.start(CONFIG.format(api=api, url=f"http://127.0.0.1:{room.port}/{base}", process=process, more=more))
    daemon.old = start
    return daemon


def contents(record):
    where = pathlib.Path(record["results"])
    return {a["name"]: (where / a["path"]).read_text() for a in record["artifacts"]}


def test_the_workspace_api_by_name(old, room, tmp_path):
    room.script(steps=[{"name": "main", "console": ["hello", "bye"],
                        "artifacts": [{"name": "log.html", "content": "<html>"}, {"name": "a b/c.txt", "content": "odd"}]}],
                outputs=[{"payload": {"total": 3}, "files": []}])
    (tmp_path / "in.csv").write_text("1;2\n")
    old.old("process-v1", "process_name = Invoices")
    record = old.run_and_wait("invoices", input=[{"order": 1}, {"order": 2}], files=[str(tmp_path / "in.csv")])
    assert record["state"] == "completed" and record["backend_state"] == "COMPL", record
    assert contents(record) == {"log.html": "<html>", "a b/c.txt": "odd"}
    lines = (pathlib.Path(record["results"]) / "console.log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["hello", "bye"]
    assert [o["payload"] for o in record["work_items"]["output"]] == [{"total": 3}], "not the inputs once more"
    state = room.state()
    assert len(state["runs"]) == 1 and state["complaints"] == []
    assert [i["payload"] for i in state["work_items"]] == [{"order": 1}, {"order": 2}]
    assert [f["name"] for f in state["work_items"][0]["files"]] == ["in.csv"]


def test_the_workspace_api_tells_why_a_run_failed(old, room):
    room.script(result="unresolved")
    old.old("process-v1")
    record = old.run_and_wait("invoices")
    assert record["state"] == "failed" and record["backend_state"] == "PENDING"
    assert record["error"]["message"] == "a work item failed: INVALID_ORDER: no such order"


@pytest.mark.parametrize("kind", ["reset_after", "500_after", "html", "truncated", "429", "wrong_types"])
@pytest.mark.parametrize("route", ["old_create_item", "old_start", "old_run", "old_artifact"])
def test_one_start_whatever_fails(old, room, route, kind):
    old.old("process-v1")
    room.script(faults=[{"route": route, "kind": kind, "times": 1}])
    record = old.run_and_wait("invoices", input={"fault": kind})
    assert record["state"] == "completed", record
    assert len(room.state()["runs"]) == 1


def test_a_run_that_cannot_be_stopped_is_followed_to_its_end(old, room):
    room.script(polls=10000)
    old.old("process-v1")
    run_id = old.begin("invoices")
    until(lambda: old.run(run_id)["state"] == "running", "it runs")
    assert old.api("POST", f"/belfry/v1/runs/{run_id}/cancel", {}).status == 202
    until(lambda: "no way to stop a run" in old.log_text(), "it is said")
    assert old.run(run_id)["state"] == "running"
    room.script(polls=1)
    assert old.ended(run_id)["state"] == "completed"


def test_the_process_secret(old, room):
    old.old("process-secret")
    record = old.run_and_wait("invoices", input={"order": 7})
    assert record["state"] == "completed", record
    assert contents(record) == {"log.html": "<html>log</html>"}
    assert [i["payload"] for i in room.state()["work_items"]] == [{"order": 7}]
    assert "test-key" not in old.log_text() and "test-key" not in json.dumps(record)


def test_the_process_secret_takes_one_payload(old, room):
    old.old("process-secret")
    record = old.run_and_wait("invoices", input=[1, 2])
    assert record["state"] == "failed" and "one work item" in record["error"]["message"]
    assert room.state()["runs"] == []


def test_a_start_that_nobody_can_look_up_is_not_repeated(old, room):
    old.old("process-secret")
    room.script(faults=[{"route": "oldest_start", "kind": "reset_after", "times": 1}])
    run_id = old.begin("invoices")
    until(lambda: room.state()["runs"], "it was started")
    until(lambda: old.status()["troubles"], "the trouble shows")
    old.kill()
    old.start()
    assert old.run(run_id)["state"] == "starting"
    assert len(room.state()["runs"]) == 1
