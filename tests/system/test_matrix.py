"""Every route that a run needs, every fault: before the request is carried out, in the answer, after it. One start for each firing,
and all outputs byte for byte."""
import hashlib
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
overlap = allow_all
max_parallel = 100
"""

KINDS = ["reset_before", "reset_after", "500_before", "500_after", "429", "html", "truncated", "duplicate_keys"]
# A start that never arrived is looked for for two minutes before it is sent again: the simulated world and the kills have those.
START_KINDS = ["reset_after", "500_after", "429", "html", "truncated", "duplicate_keys", "wrong_types"]
FILE_KINDS = ["reset_before", "500_before", "truncated"]
ROUTES = dict({route: KINDS for route in (
    "processes", "create_item", "create_file", "get_item", "get_run", "list_runs", "step_runs", "artifacts", "artifact", "console",
    "events", "outputs")}, **{"start_run": START_KINDS, "GET file": FILE_KINDS, "POST file": ["reset_before", "500_before"]})


@pytest.mark.parametrize("route", ROUTES)
def test_a_fault_of_each_kind(daemon, room, route):
    daemon.env["CLOUD_KEY"] = "test-key"
    log = "".join(f"<p>{n}</p>" for n in range(9000))
    faults = [{"route": route, "kind": kind, "times": 1} for kind in ROUTES[route]]
    if route == "get_item":   # an item is looked at after an answer was lost
        faults = faults + [{"route": "create_item", "kind": "reset_after", "times": 4}]
    room.script(page_size=2, faults=faults, steps=[
        {"name": "one", "artifacts": [{"name": "log.html", "content": log}, {"name": "b", "content": "bb"}, {"name": "c", "content": ""}],
         "console": ["a", "b", "c"], "events": ["x", "y", "z"]}], outputs=[
             {"payload": {"n": n}, "files": [{"name": "r.csv", "content": f"row {n}\n"}]} for n in range(3)])
    (daemon.folder / "in.csv").write_text("1;2;3\n")
    daemon.start(CONFIG.format(url=room.url))
    runs = [daemon.begin("invoices", input={"n": n}, files=[str(daemon.folder / "in.csv")]) for n in range(len(ROUTES[route]))]
    for run_id in runs:
        record = daemon.ended(run_id, 90)
        assert record["state"] == "completed", record
        where = pathlib.Path(record["results"])
        sums = {a["name"]: a["sha256"] for a in record["artifacts"]}
        assert sums == {name: hashlib.sha256(text.encode()).hexdigest() for name, text in (("log.html", log), ("b", "bb"), ("c", ""))}
        for artifact in record["artifacts"]:
            assert hashlib.sha256((where / artifact["path"]).read_bytes()).hexdigest() == artifact["sha256"]
        assert [(where / o["path"] / "r.csv").read_text() for o in record["work_items"]["output"]] == ["row 0\n", "row 1\n", "row 2\n"]
        assert [line.split(" ", 1)[1] for line in (where / "console.log").read_text().splitlines()] == ["a", "b", "c"]
        assert len((where / "events.jsonl").read_text().splitlines()) == 3
    assert route in ("processes", "list_runs", "get_item") or not [f for f in room.object.script["faults"] if f["times"] > 0]
    state = room.state()
    assert len(state["runs"]) == len(runs) and state["complaints"] == []
    started = [i for i in state["work_items"] if i["process_run"]]
    assert sorted(i["payload"]["n"] for i in started) == list(range(len(runs)))
    assert all({f["name"] for f in i["files"]} == {"in.csv"} for i in started)
    assert all(f["content"] == "1;2;3\n" for i in started for f in i["files"])
    assert len(state["work_items"]) == len(started), "a work item was made and forgotten"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_arrives(daemon, room, kind):
    daemon.env["CLOUD_KEY"] = "test-key"
    room.script(polls=1000000, faults=[{"route": "stop_run", "kind": kind, "times": 2}])
    daemon.start(CONFIG.format(url=room.url))
    run_id = daemon.begin("invoices")
    until(lambda: daemon.run(run_id)["state"] == "running", "it runs")
    daemon.cli("cancel", run_id)
    until(lambda: room.state()["runs"][0]["stop"], "the stop arrives")
    room.script(polls=1)
    assert daemon.ended(run_id)["state"] == "canceled"
    assert room.state()["runs"][0]["stop"]["set_remaining_work_items_as_done"] is True
