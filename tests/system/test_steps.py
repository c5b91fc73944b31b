"""Processes of several steps, and what their runs ask of the work item API from inside."""
import json
import os
import pathlib
import signal
import textwrap
import urllib.request

import pytest

from conftest import until

# A robot as the vendor's libraries behave: 20 lines of the work item API.
ROBOT = '''
import json, os, sys, urllib.error, urllib.request
E = os.environ
RUN = f"{E['RC_API_PROCESS_HOST']}/process-v1/workspaces/{E['RC_WORKSPACE_ID']}/processes/{E['RC_PROCESS_ID']}"
ITEMS = f"{E['RC_API_WORKITEM_HOST']}/json-v1/workspaces/{E['RC_WORKSPACE_ID']}/workitems"
STEP = f"{RUN}/runs/{E['RC_PROCESS_RUN_ID']}/robotRuns/{E['RC_ACTIVITY_RUN_ID']}"
def ask(method, url, body=None, token=E["RC_API_WORKITEM_TOKEN"], raw=False):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {token}"} if token else {}, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return text if raw else json.loads(text) if text else None
def items():
    item = E["RC_WORKITEM_ID"]
    while item:
        yield item, ask("GET", f"{ITEMS}/{item}/data")
        item = ask("POST", f"{STEP}/reserve-next-work-item")["workItemId"]
def release(item, state="COMPLETED", **exception):
    ask("POST", f"{STEP}/release-work-item", {"workItemId": item, "state": state, **({"exception": exception} if exception else {})})
def output(parent, payload):
    return ask("POST", f"{RUN}/work-items/{parent}/output", {"payload": payload})["id"]
def add_file(item, name, content):
    to = ask("POST", f"{ITEMS}/{item}/files", {"fileName": name, "fileSize": len(content)})
    lines = [b"--boundary"]
    for key, value in to["fields"].items():
        lines += [f'Content-Disposition: form-data; name="{key}"'.encode(), b"", value.encode(), b"--boundary"]
    lines += [f'Content-Disposition: form-data; name="file"; filename="{name}"'.encode(), b"", content, b"--boundary--", b""]
    request = urllib.request.Request(to["url"], b"\\r\\n".join(lines), {"Content-Type": "multipart/form-data; boundary=boundary"})
    try:
        urllib.request.urlopen(request).read()
    except urllib.error.HTTPError as e:
        sys.exit(e.read().decode())
def files(item):
    return {f["fileName"]: ask("GET", ask("GET", f"{ITEMS}/{item}/files/{f['fileId']}")["url"], token=None, raw=True)
            for f in ask("GET", f"{ITEMS}/{item}/files")}
'''

PRODUCER = ROBOT + '''
for item, payload in items():
    for n in range(payload["orders"]):
        made = output(item, {"n": n})
        add_file(made, "order.txt", b"order %d" % n)
    release(item)
'''

CONSUMER = ROBOT + '''
for item, payload in items():
    print("order", payload["n"], files(item)["order.txt"].decode())
    if payload["n"] % 3 == 2 and not os.path.exists(os.environ["MENDED"]):
        release(item, "FAILED", type="BUSINESS", code="BAD", message="no such article")
        continue
    output(item, {"sent": payload["n"]})
    release(item)
'''

CONFIG = """
[process orders]
workspace = here
steps = fetch send
env = MENDED={folder}/mended
[step fetch]
command = /usr/bin/python3 {folder}/producer.py
[step send]
command = /usr/bin/python3 {folder}/consumer.py
max_parallel = 2
[process scripts]
workspace = here
steps = one two three
[step one]
shell = yes
command = echo one; cat "$$BELFRY_INPUT"; echo made > output/one.txt
[step two]
shell = yes
command = echo; echo two; printf '%s' '[{{"payload": {{"a": 1}}, "files": {{"f.txt": "f.txt"}}}}, {{"payload": {{"a": 2}}}}]' > "$$RC_WORKITEM_OUTPUT_PATH"; echo text > work-items-out/f.txt 2>/dev/null || echo text > "$$(dirname "$$RC_WORKITEM_OUTPUT_PATH")/f.txt"
work_items = file
[step three]
shell = yes
command = echo three "$$(cat "$$BELFRY_INPUT")" "$$(cat "$$BELFRY_FILE" 2>/dev/null)"
items = each
[process slow]
workspace = here
steps = slow after
[step slow]
shell = yes
command = echo begun > {folder}/begun; while [ ! -e {folder}/go ]; do sleep 0.05; done
[step after]
shell = yes
command = echo after >> {folder}/after
"""


@pytest.fixture
def steps(daemon):
    folder = daemon.folder
    (folder / "producer.py").write_text(textwrap.dedent(PRODUCER))
    (folder / "consumer.py").write_text(textwrap.dedent(CONSUMER))
    daemon.start(CONFIG.format(folder=folder))
    return daemon


def console(daemon, record):
    return (pathlib.Path(record["results"]) / "console.log").read_text()


def test_a_producer_and_a_consumer(steps):
    (steps.folder / "mended").touch()
    record = steps.run_and_wait("orders", input={"orders": 5})
    assert record["state"] == "completed", record
    assert {s["name"] for s in record["steps"]} == {"fetch", "send"}
    outputs = sorted(item["payload"]["sent"] for item in record["work_items"]["output"])
    assert outputs == [0, 1, 2, 3, 4]
    assert record["work_items"]["input"][0]["payload"] == {"orders": 5}
    lines = [line for line in console(steps, record).splitlines() if line.startswith("order ")]
    assert sorted(lines) == [f"order {n} order {n}" for n in range(5)]


def test_scripts_hand_on_and_lists_become_items(steps):
    record = steps.run_and_wait("scripts", input={"x": 1})
    assert record["state"] == "completed", record
    text = console(steps, record)
    assert 'one\n{"x":1}' in text and "two" in text
    assert 'three {"a":1} text' in text and 'three {"a":2}' in text
    assert [a["path"] for a in record["artifacts"]] == ["artifacts/one/one.txt"]
    assert [s["name"] for s in record["steps"]] == ["one", "two", "three", "three"]


def test_failed_items_leave_the_run_unresolved(steps):
    record = steps.run_and_wait("orders", input={"orders": 4})
    assert record["state"] == "failed" and record["backend_state"] == "unresolved", record
    assert record["error"]["code"] == "unresolved" and "1 of 5 work items failed" in record["error"]["message"]
    assert "no such article" in record["error"]["message"]


def test_a_daemon_that_is_killed_goes_on_where_it_was(steps):
    run = steps.begin("slow")
    until(lambda: (steps.folder / "begun").exists(), "the step runs")
    steps.kill()
    steps.start()
    assert steps.run(run)["state"] == "running"
    (steps.folder / "go").touch()
    record = steps.ended(run)
    assert record["state"] == "completed", record
    assert (steps.folder / "after").read_text() == "after\n"
    assert len(record["steps"]) == 2


def test_a_canceled_run_starts_no_further_step(steps):
    run = steps.begin("slow")
    until(lambda: (steps.folder / "begun").exists(), "the step runs")
    assert steps.api("POST", f"/belfry/v1/runs/{run}/cancel").status == 202
    assert steps.ended(run)["state"] == "canceled"
    assert not (steps.folder / "after").exists()
