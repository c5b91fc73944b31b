"""Processes of several steps, and what their runs ask of the work item API from inside."""
import json
import os
import pathlib
import random
import socket
import textwrap
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import bearer, free_port, until

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


# --- the API's view ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def api(steps):
    headers = bearer(steps.add_key()["key"])

    def call(method, path, body=None, status=200, base="/api/v1/workspaces/here"):
        answer = steps.tcp(method, base + path, body, headers)
        assert answer.status == status, (method, path, answer.status, answer.body)
        return answer.json if answer.body else None

    def get(url):
        with urllib.request.urlopen(url) as answer:
            return answer.read()
    call.get, call.daemon = get, steps
    call.processes = {p["name"]: p["id"] for p in call("GET", "/processes")["data"]}
    return call


def pages(api, path):
    page, found = api("GET", path), []
    while True:
        found += page["data"]
        if not page["has_more"]:
            assert page["next"] is None
            return found
        page = api("GET", page["next"].split("/api/v1/workspaces/here", 1)[1])


def unresolved(api):
    run = api.daemon.run_and_wait("orders", input={"orders": 4})
    assert run["backend_state"] == "unresolved"
    return run["id"]


def failed_items(api, run):
    return api("GET", f"/work-items?process_run_id={run}&state=failed")["data"]


def test_a_run_of_steps_as_the_api_has_it(api):
    run = unresolved(api)
    assert api("GET", f"/process-runs/{run}")["state"] == "unresolved"
    steps = pages(api, f"/step-runs?process_run_id={run}&limit=1")
    assert [s["step"]["name"] for s in steps][0] == "fetch" and {s["step"]["name"] for s in steps} == {"fetch", "send"}
    assert all(s["state"] == "completed" and s["duration"] is not None and s["error"] is None for s in steps)
    assert len({s["step"]["id"] for s in steps}) == 2
    assert api("GET", f"/step-runs/{steps[1]['id']}") == steps[1]
    lines = [line["message"] for s in steps[1:] for line in pages(api, f"/step-runs/{s['id']}/console-messages?limit=1")]
    assert sorted(lines) == [f"order {n} order {n}" for n in range(4)]
    assert api("GET", f"/step-runs/{steps[0]['id']}/console-messages")["data"] == []
    assert [e["event_type"] for e in api("GET", f"/step-runs/{steps[0]['id']}/events")["data"]] == ["created", "started", "completed"]
    items = pages(api, f"/work-items?process_run_id={run}&limit=2")
    assert [i["state"] for i in items].count("done") == 7 and len(items) == 8
    failed, = failed_items(api, run)
    assert failed["exception"] == {"type": "business", "code": "BAD", "message": "no such article"}
    assert failed["step"]["id"] == steps[1]["step"]["id"] and failed["step_run"]["id"] in [s["id"] for s in steps]
    whole = api("GET", f"/work-items/{failed['id']}")
    assert whole["payload"] == {"n": 2} and whole["files"][0]["name"] == "order.txt" and whole["files"][0]["size"] == 7
    assert api.get(whole["files"][0]["download"]["url"]) == b"order 2"
    assert "payload" not in failed and "files" not in failed
    outputs = pages(api, f"/outputs?process_run_id={run}&limit=2")
    assert sorted(o["payload"]["sent"] for o in outputs) == [0, 1, 3]
    first = api("GET", f"/work-items/{run}-in-0")
    assert first["payload"] == {"orders": 4} and first["state"] == "done"


def test_the_outputs_of_a_run_stay_outputs_when_its_process_gets_another_step(api):
    run = unresolved(api)
    states = [(i["id"], i["state"]) for i in pages(api, f"/work-items?process_run_id={run}")]
    outputs = api("GET", f"/outputs?process_run_id={run}")
    assert len(outputs["data"]) == 3
    api.daemon.configure(CONFIG.format(folder=api.daemon.folder).replace("steps = fetch send", "steps = fetch send more")
                         + "[step more]\ncommand = /bin/true\n")
    assert api.daemon.api("POST", "/belfry/v1/reload").status == 200
    assert [o["id"] for o in api("GET", f"/outputs?process_run_id={run}")["data"]] == [o["id"] for o in outputs["data"]]
    assert [(i["id"], i["state"]) for i in pages(api, f"/work-items?process_run_id={run}")] == states


def test_a_failed_item_is_mended_and_tried_again(api):
    run = unresolved(api)
    failed, = failed_items(api, run)
    assert api("POST", f"/work-items/{failed['id']}/payload", {"payload": {"n": 7}}) == {"payload": {"n": 7}}
    assert api("POST", "/work-items/batch", {"batch_operation": "retry", "work_item_ids": [failed["id"]]}) == {"accepted": True}
    until(lambda: api("GET", f"/process-runs/{run}")["state"] == "completed", "the run is completed after all")
    record = api.daemon.run(run)
    assert record["state"] == "completed" and record["attempt"] == 2 and record["revision"] == 2
    assert sorted(i["payload"]["sent"] for i in record["work_items"]["output"]) == [0, 1, 3, 7]
    folder = pathlib.Path(record["results"])
    assert json.loads((folder / "run.1.json").read_text())["state"] == "failed"
    assert json.loads((folder / "run.json").read_text())["state"] == "completed"
    steps = pages(api, f"/step-runs?process_run_id={run}")
    lines = [line["message"] for s in steps for line in pages(api, f"/step-runs/{s['id']}/console-messages")]
    assert sorted(lines) == [f"order {n} order {n}" for n in range(4)] + ["order 7 order 2"]
    api("POST", "/work-items/batch", {"batch_operation": "retry", "work_item_ids": [failed["id"]]}, status=409)
    api("POST", f"/work-items/{failed['id']}/payload", {"payload": {}}, status=409)


@pytest.mark.parametrize("operation", ["mark_as_done", "delete"])
def test_a_failed_item_is_settled_by_hand(api, operation):
    run = unresolved(api)
    failed, = failed_items(api, run)
    assert api("POST", "/work-items/batch", {"batch_operation": operation, "work_item_ids": [failed["id"]]}) == {"accepted": True}
    until(lambda: api("GET", f"/process-runs/{run}")["state"] == "completed", "the run is completed by that")
    assert len(failed_items(api, run)) == 0
    api("GET", f"/work-items/{failed['id']}", status=200 if operation == "mark_as_done" else 404)
    assert len(pages(api, f"/step-runs?process_run_id={run}")) == len(api.daemon.run(run)["steps"])


def test_the_items_of_a_run_are_listed_to_the_end_while_they_are_settled(api):
    run = api.daemon.run_and_wait("orders", input={"orders": 15})["id"]
    failed = [i["id"] for i in failed_items(api, run)]
    assert len(failed) == 5
    page, seen = api("GET", f"/process-runs/{run}/work-items?state=failed&limit=2"), []
    while True:
        seen += [i["id"] for i in page["data"]]
        api("POST", "/work-items/batch", {"batch_operation": "delete", "work_item_ids": [i["id"] for i in page["data"]]})
        if not page["has_more"]:
            break
        page = api("GET", page["next"].split("/api/v1/workspaces/here", 1)[1])
    assert seen == failed
    for cursor in ("x", "-1", "1.5"):
        api("GET", f"/process-runs/{run}/work-items?cursor={cursor}", status=400)


def test_retry_by_command(api):
    run = unresolved(api)
    assert api.daemon.cli("retry", run).stdout == f"run {run} is tried again\n"
    record = until(lambda: (lambda r: r if r["attempt"] == 2 and r["state"] == "failed" else None)(api.daemon.run(run)), "it fails again")
    assert record["revision"] == 2 and record["backend_state"] == "unresolved"
    (api.daemon.folder / "mended").touch()
    api.daemon.cli("retry", run)
    record = until(lambda: (lambda r: r if r["state"] == "completed" else None)(api.daemon.run(run)), "it completes")
    assert record["revision"] == 3 and sorted(p.name for p in pathlib.Path(record["results"]).glob("run*.json")) == [
        "run.1.json", "run.2.json", "run.json"]
    refused = api.daemon.cli("retry", run, check=False)
    assert refused.returncode == 1 and "completed" in refused.stderr


def test_a_command_is_tried_again_as_a_whole(daemon):
    daemon.start(f"""
[process once]
workspace = here
shell = yes
command = echo "$$BELFRY_ATTEMPT" >> {daemon.folder}/attempts; cat "$$BELFRY_INPUT"; test -e {daemon.folder}/mended
""")
    record = daemon.run_and_wait("once", input={"a": 1})
    assert record["state"] == "failed"
    (daemon.folder / "mended").touch()
    daemon.cli("retry", record["id"])
    record = until(lambda: (lambda r: r if r["state"] == "completed" else None)(daemon.run(record["id"])), "it completes")
    assert (daemon.folder / "attempts").read_text() == "1\n2\n" and record["revision"] == 2
    assert daemon.api("GET", f"/belfry/v1/runs/{record['id']}/log").body.endswith(b'{"a":1}')


def upload(url, form, content, field="file"):
    lines = []
    for key, value in form.items():
        lines += [b"--frontier", f'Content-Disposition: form-data; name="{key}"'.encode(), b"", value.encode()]
    lines += [b"--frontier", f'Content-Disposition: form-data; name="{field}"; filename="x"'.encode(), b"", content, b"--frontier--", b""]
    request = urllib.request.Request(url, b"\r\n".join(lines), {"Content-Type": "multipart/form-data; boundary=frontier"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_files_of_work_items_that_clients_make(api):
    process = api.processes["scripts"]
    item = api("POST", "/work-items", {"process": {"id": process}, "payload": {"k": 1}})
    big = os.urandom(3 << 20)   # more than any other request may have
    to = api("POST", f"/work-items/{item['id']}/files", {"file_name": "../ä b.bin", "file_size": float(len(big))})["upload"]
    assert upload(to["url"], to["form_data"], big[:-1]) == 400
    assert upload(to["url"], to["form_data"], big + b"x") == 400
    assert upload(to["url"], to["form_data"], big, field="data") == 400
    assert upload(to["url"].replace("size=3", "size=4"), to["form_data"], big) == 403
    assert upload(to["url"][:-1] + ("1" if to["url"].endswith("0") else "0"), to["form_data"], big) == 403
    assert api("GET", f"/work-items/{item['id']}")["files"] == []
    assert upload(to["url"], to["form_data"], big) == 204
    file, = api("GET", f"/work-items/{item['id']}")["files"]
    assert (file["name"], file["size"]) == ("../ä b.bin", len(big)) and api.get(file["download"]["url"]) == big
    flat = api("POST", f"/work-items/{item['id']}/files/upload", {"file_name": "two", "file_size": 3})
    assert urllib.request.urlopen(urllib.request.Request(flat["url"], b"raw", method="PUT")).status == 204
    old = api("POST", f"/processes/{process}/work-items/{item['id']}/files/upload", {"fileName": "three", "fileSize": 0},
              base="/process-v1/workspaces/here")
    assert upload(old["url"], old["fields"], b"") == 204
    for body in ({}, {"file_name": "", "file_size": 1}, {"file_name": "a", "file_size": -1}, {"file_name": "a", "file_size": 1.5}):
        api("POST", f"/work-items/{item['id']}/files", body, status=400)
    run = api("POST", f"/processes/{process}/process-runs", {"type": "with_work_item_ids", "work_item_ids": [item["id"]]})["id"]
    api("POST", f"/work-items/{item['id']}/files", {"file_name": "late", "file_size": 1}, status=409)
    record = api.daemon.ended(run)
    assert sorted(record["work_items"]["input"][0]["files"]) == sorted(["two", "three", "ä b.bin"]) or \
        len(record["work_items"]["input"][0]["files"]) == 3
    leftovers = [p for p in (api.daemon.folder / "state" / "items").iterdir() if p.name.endswith(".part")]
    assert leftovers == []


def test_a_command_gets_the_files_of_its_items(daemon):
    daemon.start("""
[process cat]
workspace = here
shell = yes
command = cat "$$BELFRY_FILE"; ls work-items-in/.. > /dev/null
""")
    headers = bearer(daemon.add_key()["key"])
    process = daemon.tcp("GET", "/api/v1/workspaces/here/processes", headers=headers).json["data"][0]["id"]
    item = daemon.tcp("POST", "/api/v1/workspaces/here/work-items", {"process": {"id": process}, "payload": 1}, headers).json["id"]
    to = daemon.tcp("POST", f"/api/v1/workspaces/here/work-items/{item}/files", {"file_name": "in.txt", "file_size": 5}, headers).json["upload"]
    assert upload(to["url"], to["form_data"], b"hello") == 204
    run = daemon.tcp("POST", f"/api/v1/workspaces/here/processes/{process}/process-runs",
                     {"type": "with_work_item_ids", "work_item_ids": [item]}, headers).json["id"]
    record = daemon.ended(run)
    assert record["work_items"]["input"][0]["files"] == ["in.txt"]
    assert (pathlib.Path(record["results"]) / "console.log").read_text().startswith("hello")


# --- tokens of runs ---------------------------------------------------------------------------------------------------------

def test_a_token_is_good_for_its_step_run_alone(daemon):
    daemon.start(f"""
[process two]
workspace = here
steps = hold
overlap = allow_all
max_parallel = 2
[step hold]
shell = yes
command = env > {daemon.folder}/env.$$BELFRY_RUN_ID.part; mv {daemon.folder}/env.$$BELFRY_RUN_ID.part {daemon.folder}/env.$$BELFRY_RUN_ID; while [ ! -e {daemon.folder}/go ]; do sleep 0.05; done
""")
    runs = [daemon.begin("two", input=[{"n": 1}, {"n": 2}]) for _ in range(2)]
    environments = []
    for run in runs:
        path = daemon.folder / f"env.{run}"
        until(path.exists, "the step runs")
        environments.append(dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line))
    mine, other = environments
    assert mine["RC_API_WORKITEM_TOKEN"] != other["RC_API_WORKITEM_TOKEN"] and "RC_WORKITEM_ADAPTER" not in mine
    item = mine["RC_WORKITEM_ID"]
    items = f"/json-v1/workspaces/{mine['RC_WORKSPACE_ID']}/workitems/"
    steps = "/process-v1/workspaces/{RC_WORKSPACE_ID}/processes/{RC_PROCESS_ID}/runs/{RC_PROCESS_RUN_ID}/robotRuns/{RC_ACTIVITY_RUN_ID}/"

    def ask(token, method, path, body=None):
        return daemon.tcp(method, path, body, {"Authorization": f"Bearer {token}"})
    token = mine["RC_API_WORKITEM_TOKEN"]
    assert ask(token, "GET", items + item + "/data").json == {"n": 1}
    assert ask(token, "GET", items + other["RC_WORKITEM_ID"] + "/data").status == 404
    assert ask(other["RC_API_WORKITEM_TOKEN"], "GET", items + item + "/data").status == 404
    assert ask(token[:-1] + ("0" if token[-1] != "0" else "1"), "GET", items + item + "/data").status == 401
    assert ask("", "GET", items + item + "/data").status == 401
    key = bearer(daemon.add_key()["key"])
    assert daemon.tcp("GET", items + item + "/data", headers=key).status == 401
    assert daemon.tcp("GET", "/api/v1/workspaces/here/processes", headers={"Authorization": f"Bearer {token}"}).status == 401
    # Assets are shared by v1 itself, inside a run too.
    v1 = mine["RC_API_URL_V1"].split("/", 3)[3]
    asset = ask(mine["RC_API_TOKEN_V1"], "POST", f"/{v1}/workspaces/here/assets/", {"name": "shared"})
    assert asset.status == 200
    large = {"content_type": "text/plain", "data": "QUFB" * 500_000}
    assert ask(token, "POST", f"/{v1}/workspaces/here/assets/{asset.json['id']}/uploads/", large).json["status"] == "completed"
    assert ask(other["RC_API_TOKEN_V1"], "GET", f"/{v1}/workspaces/here/assets/name%3Ashared").json["payload"]["content_type"] == "text/plain"
    assert ask(token, "POST", steps.format(**other) + "reserve-next-work-item").status == 403
    # Whatever comes twice is the same once.
    for _ in range(2):
        assert ask(token, "POST", steps.format(**mine) + "reserve-next-work-item").json == {"workItemId": item}
    assert ask(token, "PUT", items + item + "/data", {"n": 9}).status == 200
    assert ask(token, "GET", items + item + "/data").json == {"n": 9}
    for _ in range(2):
        assert ask(token, "POST", steps.format(**mine) + "release-work-item", {"workItemId": item, "state": "COMPLETED"}).status == 200
    assert ask(token, "POST", steps.format(**mine) + "release-work-item", {"workItemId": item, "state": "FAILED"}).status == 409
    for bad in ({}, {"workItemId": item, "state": "DOING"}, {"workItemId": item, "state": "FAILED", "exception": {"type": "BAD"}}):
        assert ask(token, "POST", steps.format(**mine) + "release-work-item", bad).status == 400
    second = ask(token, "POST", steps.format(**mine) + "reserve-next-work-item").json["workItemId"]
    assert second == f"{runs[0]}-in-1"
    process = "/process-v1/workspaces/{RC_WORKSPACE_ID}/processes/{RC_PROCESS_ID}".format(**mine)
    made = [ask(token, "POST", f"{process}/work-items/{second}/output", {"payload": {}}).json["id"] for _ in range(3)]
    assert len(set(made)) == 3   # each was answered: they are three
    # A daemon that is killed knows what it has answered.
    daemon.kill()
    daemon.start()
    assert ask(token, "GET", items + second + "/data").status in (200, 401)
    (daemon.folder / "go").touch()
    for run in runs:
        assert daemon.ended(run)["state"] == "completed"
    assert len(daemon.run(runs[0])["work_items"]["output"]) == 3
    assert ask(token, "GET", items + item + "/data").status == 401
    for text in (daemon.log_text(), json.dumps(daemon.runs()), json.dumps(daemon.run(runs[0]))):
        assert token not in text and token.rsplit(".", 1)[1] not in text


# --- kills ------------------------------------------------------------------------------------------------------------------

# As the vendor's clients do: again on whatever is no answer.
PATIENT = ROBOT.replace('''    with urllib.request.urlopen(request) as answer:
        text = answer.read()
''', '''    for n in range(200):
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                text = answer.read()
            break
        except urllib.error.HTTPError as refused:
            if refused.code < 500:
                raise
        except OSError:
            pass
        import time; time.sleep(0.05)
''')


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_item_goes_through_once_whatever_is_killed(daemon, seed):
    folder = daemon.folder
    (folder / "produce.py").write_text(PATIENT + '''
for item, payload in items():
    for n in range(30):
        output(item, {"n": n})
    release(item)
''')
    (folder / "consume.py").write_text(PATIENT + '''
for item, payload in items():
    output(item, {"seen": payload["n"]})
    release(item)
''')
    daemon.configure(f"""
[process flow]
workspace = here
steps = produce consume
[step produce]
command = /usr/bin/python3 {folder}/produce.py
[step consume]
command = /usr/bin/python3 {folder}/consume.py
max_parallel = 2
""")
    daemon.config.write_text(daemon.config.read_text().replace("listen = 127.0.0.1:0", f"listen = 127.0.0.1:{free_port()}"))
    daemon.start()
    run = daemon.begin("flow")
    dice = random.Random(seed)
    for _ in range(8):
        time.sleep(dice.uniform(0.005, 0.12))
        daemon.kill()
        daemon.start()
    record = daemon.ended(run)
    assert record["state"] == "completed", record
    assert sorted(i["payload"]["seen"] for i in record["work_items"]["output"]) == list(range(30))


# --- time, retries, stops ---------------------------------------------------------------------------------------------------

def test_a_step_and_a_run_have_their_time(daemon):
    daemon.start("""
[process step]
workspace = here
steps = brief after
[step brief]
shell = yes
command = sleep 600
timeout = 300ms
[step after]
command = true
[process run]
workspace = here
steps = endless
timeout = 300ms
[step endless]
command = sleep 600
""")
    record = daemon.run_and_wait("step")
    assert record["state"] == "failed" and record["backend_state"] == "unresolved" and "timeout" in record["error"]["message"], record
    assert [s["name"] for s in record["steps"]] == ["brief"] and record["steps"][0]["error"]["code"] == "timeout"
    record = daemon.run_and_wait("run")
    assert record["state"] == "timed_out", record


def test_a_retry_goes_on_where_it_failed(daemon):
    daemon.start(f"""
[process again]
workspace = here
steps = first second
retries = 3
retry_delay = 50ms
[step first]
shell = yes
command = echo first >> {daemon.folder}/ran
[step second]
shell = yes
command = echo second >> {daemon.folder}/ran; test $$(grep -c second {daemon.folder}/ran) -ge 3
""")
    record = daemon.run_and_wait("again")
    assert record["state"] == "completed" and record["attempt"] == 3, record
    assert (daemon.folder / "ran").read_text().split() == ["first", "second", "second", "second"]


def test_a_command_that_is_not_there(daemon):
    daemon.start("""
[process none]
workspace = here
steps = gone
[step gone]
command = /nonexistent/command
[process later]
workspace = here
steps = fine gone
[step fine]
command = true
""")
    record = daemon.run_and_wait("none")
    assert record["state"] == "failed" and record["error"]["code"] == "start_failed" and "/nonexistent/command" in record["error"]["message"]
    record = daemon.run_and_wait("later")
    assert record["backend_state"] == "unresolved" and "/nonexistent/command" in record["error"]["message"], record


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("as_done, rest", [(True, "done"), (False, "failed")])
def test_an_api_stop_lets_what_runs_end_and_begins_nothing_more(api, as_done, rest, killed):
    run = api.daemon.begin("slow", input=[1, 2])
    until(lambda: (api.daemon.folder / "begun").exists(), "the step runs")
    assert api("POST", f"/process-runs/{run}/stop", {"set_remaining_work_items_as_done": as_done, "terminate_ongoing_activity_runs": False})["accepted"]
    assert api("GET", f"/process-runs/{run}")["state"] == "stopping"
    assert [r["id"] for r in api("GET", "/process-runs?state=stopping")["data"]] == [run]
    assert not api("GET", "/process-runs?state=in_progress")["data"]
    until(lambda: [i["state"] for i in pages(api, f"/work-items?process_run_id={run}")] == ["in_progress", rest], "what waited is settled")
    if killed:
        api.daemon.kill()
        api.daemon.start()
    (api.daemon.folder / "go").touch()
    record = api.daemon.ended(run)
    assert [s["name"] for s in record["steps"]] == ["slow"] and not (api.daemon.folder / "after").exists(), record
    assert record["state"] == ("completed" if as_done else "failed")
    items = [api("GET", f"/work-items/{i['id']}") for i in pages(api, f"/work-items?process_run_id={run}")]
    assert [i["state"] for i in items] == [rest, rest]
    assert [i["exception"] and i["exception"]["code"] for i in items] == [None if as_done else "stopped"] * 2


def test_an_api_stop_begins_no_further_attempt(daemon):
    daemon.start("""
[process again]
workspace = here
shell = yes
retries = 3
retry_delay = 10ms
command = echo begun >> {0}/begun; while [ ! -e {0}/go ]; do sleep 0.05; done; false
""".format(daemon.folder))
    run = daemon.begin("again")
    until(lambda: (daemon.folder / "begun").exists(), "it runs")
    path = f"/api/v1/workspaces/here/process-runs/{run}"
    assert daemon.api("POST", path + "/stop", {"set_remaining_work_items_as_done": False, "terminate_ongoing_activity_runs": False}).status == 200
    assert daemon.api("GET", path).json["state"] == "stopping"
    (daemon.folder / "go").touch()
    record = daemon.ended(run)
    assert (record["state"], record["attempt"]) == ("failed", 1) and (daemon.folder / "begun").read_text() == "begun\n"


def test_what_was_made_before_a_cancel_is_not_made_twice_by_a_retry(daemon):
    (daemon.folder / "make.py").write_text(textwrap.dedent(ROBOT + """
import time
for item, payload in items():
    output(item, "made")
    open("{0}/made", "a").write("x")
    while not os.path.exists("{0}/go"):
        time.sleep(0.02)
    release(item)
""".replace("{0}", str(daemon.folder))))
    daemon.start("""
[process both]
workspace = here
steps = make take
[step make]
command = /usr/bin/python3 {0}/make.py
[step take]
shell = yes
command = echo taken >> {0}/taken
items = each
""".format(daemon.folder))
    run = daemon.begin("both")
    until(lambda: (daemon.folder / "made").exists(), "an output is there")
    daemon.cli("cancel", run)
    assert daemon.ended(run)["state"] == "canceled"
    (daemon.folder / "go").touch()
    daemon.cli("retry", run)
    until(lambda: daemon.run(run)["state"] == "completed", "it is completed")
    assert (daemon.folder / "made").read_text() == "xx" and (daemon.folder / "taken").read_text() == "taken\n"


def test_a_retry_of_what_could_not_be_begun(daemon):
    tool = daemon.folder / "tool"
    daemon.start(f"""
[process p]
workspace = here
steps = one
[step one]
command = {tool}
""")
    run = daemon.begin("p", input=[1, 2])
    assert daemon.ended(run)["error"]["code"] == "start_failed"
    tool.write_text("#!/bin/sh\ncat $BELFRY_INPUT\n")
    tool.chmod(0o755)
    daemon.cli("retry", run)
    until(lambda: daemon.run(run)["state"] == "completed", "it is completed")
    assert [i["payload"] for i in daemon.run(run)["work_items"]["input"]] == [1, 2]


def test_a_retry_that_was_canceled_in_the_queue_can_be_tried_again(daemon):
    daemon.start("""
[process p]
workspace = here
steps = one
overlap = buffer_all
[step one]
shell = yes
command = [ -e {0}/mended ] || {{ while [ -e {0}/busy ]; do sleep 0.02; done; false; }}
""".format(daemon.folder))
    run = daemon.run_and_wait("p")["id"]
    (daemon.folder / "busy").touch()
    other = daemon.begin("p")
    until(lambda: daemon.run(other)["state"] == "running", "the lane is taken")
    daemon.cli("retry", run)
    assert daemon.run(run)["state"] == "queued"
    daemon.cli("cancel", run)
    assert daemon.ended(run)["state"] == "canceled"
    (daemon.folder / "busy").unlink()
    daemon.ended(other)
    (daemon.folder / "mended").touch()
    daemon.cli("retry", run)
    until(lambda: daemon.run(run)["state"] == "completed", "it is completed")


def test_a_queued_retry_keeps_the_steps_it_began_with(daemon):
    config = """
[process p]
workspace = here
steps = {0}
overlap = buffer_all
[step one]
shell = yes
command = [ -e {1}/mended ] || {{ while [ -e {1}/busy ]; do sleep 0.02; done; false; }}
[step two]
shell = yes
command = echo two >> {1}/two
"""
    daemon.start(config.format("one two", daemon.folder))
    run = daemon.run_and_wait("p")["id"]
    (daemon.folder / "busy").touch()
    other = daemon.begin("p")
    until(lambda: daemon.run(other)["state"] == "running", "the lane is taken")
    daemon.cli("retry", run)
    daemon.kill()
    (daemon.folder / "busy").unlink()
    (daemon.folder / "mended").touch()
    daemon.start(config.format("two one", daemon.folder))
    record = until(lambda: (r := daemon.run(run))["state"] == "completed" and r, "it is completed")
    assert [s["name"] for s in record["steps"]][-2:] == ["one", "two"], record["steps"]


def test_a_stop_that_was_accepted_is_kept_by_a_daemon_that_is_killed(api):
    first = api.daemon.begin("slow", input=[1, 2])
    until(lambda: (api.daemon.folder / "begun").exists(), "the step runs")
    assert api("POST", f"/process-runs/{first}/stop", {"set_remaining_work_items_as_done": True, "terminate_ongoing_activity_runs": True})["accepted"]
    api.daemon.kill()
    (api.daemon.folder / "go").touch()   # what was told to end may end well meanwhile
    api.daemon.start()
    assert api.daemon.ended(first)["state"] in ("canceled", "completed")
    assert {i["state"] for i in pages(api, f"/work-items?process_run_id={first}")} <= {"done", "failed"}
    assert not (api.daemon.folder / "after").exists() or api.daemon.run(first)["state"] == "completed"


def test_a_batch_with_one_item_that_cannot_be_had_changes_nothing(api):
    run = unresolved(api)
    failed = failed_items(api, run)
    done = next(i["id"] for i in pages(api, f"/work-items?process_run_id={run}") if i["state"] == "done")
    for bad in (done, f"{run}-in-99"):
        for operation in ("retry", "mark_as_done", "delete"):
            api("POST", "/work-items/batch", {"batch_operation": operation, "work_item_ids": [*(i["id"] for i in failed), bad]}, 409)
    assert failed_items(api, run) == failed and api.daemon.run(run)["state"] == "failed"


def test_a_workspace_that_comes_back_takes_its_runs_up(daemon):
    away = """
[workspace two]
type = local
[process far]
workspace = two
shell = yes
command = echo begun > {0}/begun; while [ ! -e {0}/go ]; do sleep 0.05; done
""".format(daemon.folder)
    near = "[process near]\nworkspace = here\ncommand = true\n"
    daemon.start(away + near)
    run = daemon.begin("far")
    until(lambda: daemon.run(run)["state"] == "running", "it runs")
    daemon.stop()
    daemon.start(near)
    (daemon.folder / "go").touch()
    assert daemon.run(run)["state"] == "running"
    daemon.configure(away + near)
    assert daemon.api("POST", "/belfry/v1/reload").status == 200
    assert daemon.ended(run)["state"] == "completed"


def test_a_reason_looks_like_nothing_else(steps):
    run = steps.begin("slow")
    until(lambda: (steps.folder / "begun").exists(), "it runs")
    assert steps.api("POST", f"/belfry/v1/runs/{run}/cancel", {"reason": "enough\nstate     completed\x1b[31m"}).status == 202
    steps.ended(run)
    shown = steps.cli("show", run).stdout
    assert "enough" in shown and "\nstate     completed" not in shown and "\x1b[31m" not in shown


def test_a_batch_over_several_runs_is_done_whole_or_not_at_all(api):
    runs = [unresolved(api) for _ in range(2)]
    items = [failed_items(api, run)[0]["id"] for run in runs]
    whole = api.daemon.run_and_wait("orders", input={"orders": 1})
    done = f"{whole['id']}-in-0"
    waits = api("POST", "/work-items", {"process": {"id": api.processes["orders"]}, "payload": 1})["id"]
    for operation in ("retry", "mark_as_done", "delete"):
        api("POST", "/work-items/batch", {"batch_operation": operation, "work_item_ids": [waits, *items, done]}, 409)
    assert all(api.daemon.run(run)["attempt"] == 1 and failed_items(api, run) for run in runs)
    assert api("GET", f"/work-items/{waits}")["state"] == "new"
    api("POST", "/work-items/batch", {"batch_operation": "mark_as_done", "work_item_ids": [waits, *items]})
    for run in runs:
        until(lambda: api("GET", f"/process-runs/{run}")["state"] == "completed", "it is settled")
    assert api("GET", f"/work-items/{waits}")["state"] == "done"


def test_a_waiting_item_is_taken_or_deleted_but_not_both(api):
    for n in range(12):
        item = api("POST", "/work-items", {"process": {"id": api.processes["scripts"]}, "payload": n})["id"]
        path = f"/api/v1/workspaces/here/processes/{api.processes['scripts']}/process-runs"
        answers = {}

        def ask(name, *words):
            answers[name] = api.daemon.api("POST", *words)
        threads = [threading.Thread(target=ask, args=words) for words in (
            ("start", path, {"type": "with_work_item_ids", "work_item_ids": [item]}),
            ("batch", "/api/v1/workspaces/here/work-items/batch", {"batch_operation": "delete" if n % 2 else "mark_as_done", "work_item_ids": [item]}))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [a.status for a in answers.values()].count(200) == 1, {k: a.body for k, a in answers.items()}


def test_another_attempt_does_not_make_good_what_nobody_tries_again(daemon):
    (daemon.folder / "robot.py").write_text(ROBOT + "open('%s/ran', 'a').write('x')\nfor item, payload in items():\n    release(item)\nsys.exit(3)\n" % daemon.folder)
    daemon.start(f"""
[process p]
workspace = here
steps = one
retries = 2
retry_delay = 10ms
[step one]
command = /usr/bin/python3 {daemon.folder}/robot.py
""")
    record = daemon.run_and_wait("p", input=[1, 2])
    assert record["state"] == "failed" and (daemon.folder / "ran").read_text() == "x", record


def test_a_run_whose_time_was_over_is_tried_again_as_it_is_told_to(daemon):
    daemon.start("""
[process p]
workspace = here
steps = one
timeout = 300ms
retries = 1
retry_delay = 10ms
retry_on = timed_out
[step one]
shell = yes
command = echo x >> {0}/ran; [ -e {0}/once ] || {{ touch {0}/once; sleep 30; }}
""".format(daemon.folder))
    record = daemon.run_and_wait("p")
    assert (record["state"], record["attempt"]) == ("completed", 2) and (daemon.folder / "ran").read_text() == "x\nx\n", record


@pytest.mark.parametrize("content", ["[", "{}", "7", "[1]", '[{"payload": 1, "files": 3}]', '[{"payload": 1, "files": {"a": "workitems.json", "b": "gone"}}]', '[{"payload": 1, "files": {"a": "../../../etc/passwd"}}]'])
def test_a_list_of_outputs_that_cannot_be_read_fails_the_step_run(daemon, content):
    daemon.start(f"""
[process lists]
workspace = here
steps = writes after
[step writes]
shell = yes
work_items = file
command = printf '%s' '{content}' > "$$RC_WORKITEM_OUTPUT_PATH"
[step after]
command = touch {daemon.folder}/after
""")
    record = daemon.run_and_wait("lists")
    assert record["state"] == "failed" and record["steps"][0]["error"]["code"] == "bad_outputs", record
    assert not (daemon.folder / "after").exists() and list((daemon.folder / "state" / "items").iterdir()) == []


def test_a_list_that_comes_after_a_restart_has_its_items(daemon):
    (daemon.folder / "robot.py").write_text(ROBOT + """
import time
release(E["RC_WORKITEM_ID"])
open("FOLDER/released", "w").close()
while not os.path.exists("FOLDER/go"):
    time.sleep(0.02)
out = E["RC_WORKITEM_OUTPUT_PATH"]
open(os.path.join(os.path.dirname(out), "f.txt"), "w").write("kept")
json.dump([{"payload": {"n": 1}, "files": {"f.txt": "f.txt"}}, {"payload": 2}], open(out, "w"))
""".replace("FOLDER", str(daemon.folder)))
    daemon.start(f"""
[process late]
workspace = here
steps = robot
[step robot]
command = /usr/bin/python3 {daemon.folder}/robot.py
""")
    run = daemon.begin("late")
    until(lambda: (daemon.folder / "released").exists(), "its item is released")
    daemon.kill()
    daemon.start()
    (daemon.folder / "go").touch()
    record = daemon.ended(run)
    assert record["state"] == "completed", record
    first, second = record["work_items"]["output"]
    assert first["payload"] == {"n": 1} and second["payload"] == 2
    assert (pathlib.Path(record["results"]) / first["path"] / "f.txt").read_text() == "kept"


def test_more_work_items_than_are_taken_are_refused_whole(daemon):
    daemon.start("""
[process many]
workspace = here
steps = writes after
[step writes]
command = /usr/bin/python3 -c 'import json, os; json.dump([{}] * 10001, open(os.environ["RC_WORKITEM_OUTPUT_PATH"], "w"))'
[step after]
command = touch %s/after
""" % daemon.folder)
    record = daemon.run_and_wait("many")
    assert record["state"] == "failed" and record["steps"][0]["error"]["code"] == "bad_outputs" and "10000" in record["steps"][0]["error"]["message"]
    assert not (daemon.folder / "after").exists() and record["work_items"]["output"] == []
    answer = daemon.api("POST", "/belfry/v1/processes/many/runs", {"input": [0] * 10001})
    assert answer.status == 422 and "10000" in answer.json["error"]["message"], answer.body
    assert daemon.begin("many", input=[0] * 10)


@pytest.mark.parametrize("command", ["true", "false"])
def test_every_step_run_that_ends_at_once_has_an_end(daemon, command):
    daemon.start(f"""
[process quick]
workspace = here
steps = quick
overlap = allow_all
max_parallel = 4
[step quick]
command = {command}
items = each
max_parallel = 3
""")
    runs = [daemon.begin("quick", input=list(range(40))) for _ in range(4)]
    for run in runs:
        record = daemon.ended(run)
        assert len(record["steps"]) == 40 and record["state"] == ("completed" if command == "true" else "failed")


def test_a_daemon_stops_while_runs_begin_and_end(daemon):
    config = """
[process plain]
workspace = here
shell = yes
overlap = allow_all
max_parallel = 6
command = sleep 0.02
[process flow]
workspace = here
steps = one two
overlap = allow_all
max_parallel = 6
[step one]
shell = yes
work_items = file
command = cp $$RC_WORKITEM_INPUT_PATH $$RC_WORKITEM_OUTPUT_PATH; sleep 0.01
[step two]
command = true
max_parallel = 2
"""
    dice = random.Random(27)
    runs = []
    for _ in range(12):
        daemon.start(config)
        runs += [daemon.begin(name, input=[1, 2]) for name in ("plain", "flow") * 3]
        time.sleep(dice.uniform(0, 0.1))   # wherever they are by then
        daemon.stop()
    daemon.start()
    for run in runs:
        assert daemon.ended(run)["state"] == "completed"


def test_a_daemon_stops_in_the_middle_of_an_upload(api):
    item = api("POST", "/work-items", {"process": {"id": api.processes["scripts"]}, "payload": 1})
    to = urllib.parse.urlsplit(api("POST", f"/work-items/{item['id']}/files", {"file_name": "a", "file_size": 1000})["upload"]["url"])
    with socket.create_connection((to.hostname, to.port)) as client:
        client.sendall(f"PUT {to.path}?{to.query} HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Length: 1000\r\n\r\n".encode() + b"x" * 500)
        store = api.daemon.folder / "state" / "items"
        until(lambda: [p for p in store.iterdir() if p.name.endswith(".part")], "the bytes come")
        api.daemon.stop()
    assert list(store.iterdir()) == []
    api.daemon.start()
    assert api("GET", f"/work-items/{item['id']}")["files"] == []


def test_files_that_nobody_names_go_and_others_stay(api):
    store = api.daemon.folder / "state" / "items"
    run = unresolved(api)   # its items have files
    kept = {p.name for p in store.iterdir()}
    assert kept
    for name in ("01890000-0000-7000-8000-000000000000", "01890000-0000-7000-8000-000000000001.01890000-0000-7000-8000-000000000002.part", "young"):
        (store / name).write_text("of nobody")
    for path in store.iterdir():
        if path.name != "young":
            os.utime(path, (1, 1))
    daemon = api.daemon
    daemon.config.write_text(daemon.config.read_text().replace("[daemon]", "[daemon]\nkeep_results = 80d", 1))
    daemon.cli("reload")
    until(lambda: {p.name for p in store.iterdir()} == kept | {"young"}, "what is old and of nobody goes")
    for item in pages(api, f"/work-items?process_run_id={run}"):
        for file in api("GET", f"/work-items/{item['id']}")["files"]:
            assert api.get(file["download"]["url"]).startswith(b"order ")
    daemon.config.write_text(daemon.config.read_text().replace("[daemon]", "[daemon]\nkeep_runs = 1ms", 1))
    daemon.cli("reload")   # with the run the names of its files are forgotten
    until(lambda: daemon.runs() == [], "the run is forgotten")
    daemon.config.write_text(daemon.config.read_text().replace("keep_results = 80d", "keep_results = 79d", 1))
    daemon.cli("reload")
    until(lambda: {p.name for p in store.iterdir()} == {"young"}, "its files go")


def test_a_deleted_run_takes_all_that_it_had_with_it(api):
    store = api.daemon.folder / "state" / "items"
    kept = unresolved(api)
    left = pages(api, "/work-items"), {p.name for p in store.iterdir()}
    assert left[1]
    run = unresolved(api)
    items, steps = (pages(api, f"/{what}?process_run_id={run}") for what in ("work-items", "step-runs"))
    files = [f for i in items for f in api("GET", f"/work-items/{i['id']}")["files"]]
    assert files and steps and {f["id"] for f in files} == {p.name for p in store.iterdir()} - left[1]
    api("DELETE", f"/process-runs/{run}")
    for path in (*(f"/{what}?process_run_id={run}" for what in ("outputs", "work-items", "step-runs")),
                 *(f"/work-items/{i['id']}" for i in items), *(f"/step-runs/{s['id']}" for s in steps)):
        api("GET", path, status=404)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        api.get(files[0]["download"]["url"])
    assert (pages(api, "/work-items"), {p.name for p in store.iterdir()}) == left
    assert len(pages(api, f"/outputs?process_run_id={kept}")) == 3


def test_a_run_of_steps_as_a_person_sees_it(api):
    run = unresolved(api)
    shown = api.daemon.cli("show", run).stdout
    lines = [line for line in shown.splitlines() if " completed, " in line]
    assert len(lines) == len(api.daemon.run(run)["steps"]) >= 2 and lines[0].startswith("steps ") and "fetch completed, " in lines[0]
    api.daemon.cli("retry", run)
    until(lambda: "revision    2" in api.daemon.cli("show", run).stdout, "it has failed again")


def test_a_batch_may_name_the_item_of_a_command(daemon):
    daemon.start(f"""
[process once]
workspace = here
shell = yes
command = test -e {daemon.folder}/mended
""")
    headers = bearer(daemon.add_key()["key"])
    record = daemon.run_and_wait("once")
    item = f"{record['id']}-in-0"

    def batch(operation, ids=(item,)):
        return daemon.tcp("POST", "/api/v1/workspaces/here/work-items/batch", {"batch_operation": operation, "work_item_ids": list(ids)}, headers).status
    (daemon.folder / "mended").touch()
    assert batch("retry") == 200
    until(lambda: daemon.run(record["id"])["state"] == "completed", "it completes")
    assert batch("retry") == 409
    assert batch("retry", [f"{record['id'][:-1]}{'0' if record['id'][-1] != '0' else '1'}-in-0"]) == 404
