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
