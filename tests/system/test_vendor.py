"""Every operation of the Control Room API, its success and each of its errors, against the schemas that the reference has."""
import json
import re
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest

from conftest import until

CONFIG = """
[process good]
workspace = here
shell = yes
command = echo hello; echo out > output/out.txt; printf '%s' '[{{"payload": {{"a": 1}}}}]' > "$$RC_WORKITEM_OUTPUT_PATH"
overlap = allow_all
max_parallel = 8
[process long]
workspace = here
command = sleep 600
overlap = allow_all
max_parallel = 8
[process full]
workspace = here
command = sleep 600
queue_limit = 1
[process flow]
workspace = here
steps = only
[step only]
shell = yes
command = test -e {folder}/mended
"""


# --- as much of JSON Schema as the reference uses ---------------------------------------------------------------------------

def check(schema, value, whole, at="$"):
    if "$ref" in schema:
        return check(whole["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], value, whole, at)
    unknown = set(schema) - {"type", "properties", "required", "items", "enum", "nullable", "format", "description"}
    assert not unknown, f"{at}: a schema with {unknown}"
    if value is None and schema.get("nullable"):
        return
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float), "integer": int}
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]) and (schema["type"] == "boolean" or not isinstance(value, bool)), f"{at}: {value!r} is no {schema['type']}"
    assert "enum" not in schema or value in schema["enum"], f"{at}: {value!r}"
    if schema.get("format") == "date-time":
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value), f"{at}: {value!r}"
    if schema.get("format") == "uri":
        assert urllib.parse.urlsplit(value).scheme in ("http", "https"), f"{at}: {value!r}"
    for name in schema.get("required", ()):
        assert name in value, f"{at}: {name} is missing in {value}"
    assert "properties" not in schema or set(value) <= set(schema["properties"]), f"{at}: more in {value} than is told of"
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            check(inner, value[name], whole, f"{at}.{name}")
    for i, element in enumerate(value if "items" in schema else ()):
        check(schema["items"], element, whole, f"{at}[{i}]")


class Client:
    """Calls operations by their names, and keeps in mind what came of it."""

    def __init__(self, daemon, key):
        self.daemon, self.key = daemon, key
        self.reference = daemon.tcp("GET", "/api/v1/openapi.json").json
        self.operations = {o["operationId"]: (method.upper(), path, o)
                           for path, item in self.reference["paths"].items() for method, o in item.items()}
        self.seen = set()

    def __call__(self, operation, *path, status=200, body=None, **query):
        method, pattern, about = self.operations[operation]
        values = iter(["here", *path])
        where = "/api/v1" + re.sub(r"\{\w+\}", lambda _: urllib.parse.quote(str(next(values)), safe=""), pattern)
        if query:
            where += "?" + urllib.parse.urlencode(query)
        if body is not None and status == 200:
            check(about["requestBody"]["content"]["application/json"]["schema"], body, self.reference)
        answer = self.daemon.tcp(method, where, None if body is None else json.dumps(body), {"Authorization": f"RC-WSKEY {self.key}"})
        assert answer.status == status, (operation, answer.status, answer.body)
        declared = about["responses"][str(status)]
        check(declared["content"]["application/json"]["schema"], answer.json, self.reference)
        self.seen.add((operation, status))
        return answer.json


@pytest.fixture
def client(daemon):
    daemon.start(CONFIG.format(folder=daemon.folder))
    key = daemon.add_key()["key"]
    return Client(daemon, key)


def send(url, content):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, content, method="PUT")).status
    except urllib.error.HTTPError as refused:
        return refused.code


def ended(client, run):
    def look():
        found = client("getProcessRun", run)
        return found if found["state"] in ("completed", "unresolved") else None
    return until(look, "the run ends")


def test_every_operation_its_success_and_its_errors(client):
    nobody = str(uuid.uuid4())
    stop = {"set_remaining_work_items_as_done": True, "terminate_ongoing_activity_runs": True}
    client("getWorkspace")
    process = {p["name"]: p["id"] for p in client("listProcesses")["data"]}
    client("listProcesses", limit=1)
    client("listProcesses", status=400, limit="x")
    good, long, full, flow = (process[n] for n in ("good", "long", "full", "flow"))

    # Starts, in all their forms.
    run = client("startProcessRun", good)["id"]
    client("startProcessRun", good, body={"type": "with_payloads", "payloads": [{"a": 1}, "b", [1]]})
    assert client("startProcessRun", good, body={"type": "with_inputs"}) == {"started": False}
    client("startProcessRun", nobody, status=404)
    client("startProcessRun", good, status=400, body={"type": "with_payloads", "payloads": []})
    client("startProcessRunQsAuth", good, body={"any": ["thing"]}, token=client.key)
    client("startProcessRunQsAuth", nobody, status=404, token=client.key)
    client("startProcessRunQsAuth", good, status=400, token=client.key, with_handshake="other")
    client("startProcessRun", full)
    client("startProcessRun", full)
    client("startProcessRun", full, status=429)
    client("startProcessRunQsAuth", full, status=429, token=client.key)

    # Runs.
    ended(client, run)
    client("getProcessRun", nobody, status=404)
    for operation, path in (("listProcessRuns", ()), ("listProcessRunsOfProcess", (good,))):
        client(operation, *path, state="completed", limit=1)
        client(operation, *path, status=400, state="wat")
    going = client("startProcessRun", long)["id"]
    until(lambda: client("getProcessRun", going)["state"] == "in_progress", "it runs")
    client("deleteProcessRun", going, status=409)
    client("stopProcessRun", going, status=400, body={})
    client("stopProcessRun", nobody, status=404, body=stop)
    client("stopProcessRun", going, body=stop)
    ended(client, going)
    client("deleteProcessRun", going)
    client("deleteProcessRun", going, status=404)

    # What they leave.
    step = client("listStepRuns", process_run_id=run)["data"][0]["id"]
    client("listStepRuns", status=400)
    for operation in ("listStepRuns", "listProcessRunOutputs"):
        assert {p["name"] for p in client.operations[operation][2]["parameters"] if p["required"]} == {"workspace_id", "process_run_id"}
    assert not [p for p in client.operations["listWorkItems"][2]["parameters"] if p["required"] and p["in"] == "query"]
    waiting, = (client("listStepRuns", process_run_id=r["id"])["data"] for r in client("listProcessRuns", process_id=full, state="new")["data"])
    assert waiting[0]["state"] == "awaiting_worker" and waiting[0]["state_updated_at"]
    client("listStepRuns", status=404, process_run_id=nobody)
    client("listStepRunsOfProcessRun", run)
    client("listStepRunsOfProcessRun", run, status=400, limit="x")
    client("listStepRunsOfProcessRun", nobody, status=404)
    client("getStepRun", step)
    client("getStepRun", nobody, status=404)
    artifact = client("listStepRunArtifacts", step)["data"][0]["id"]
    client("listStepRunArtifacts", step, status=400, limit=0)
    client("listStepRunArtifacts", nobody, status=404)
    client("getStepRunArtifact", step, artifact)
    client("getStepRunArtifact", step, nobody, status=404)
    for operation in ("listStepRunConsoleMessages", "listStepRunEvents"):
        assert client(operation, step)["data"]
        client(operation, step, status=400, limit="x")
        client(operation, nobody, status=404)
    assert client("listProcessRunOutputs", process_run_id=run)["data"]
    client("listProcessRunOutputs", status=400)
    client("listProcessRunOutputs", status=404, process_run_id=nobody)
    client("listOutputsOfProcessRun", run)
    client("listOutputsOfProcessRun", run, status=400, cursor="x")
    client("listOutputsOfProcessRun", nobody, status=404)

    # Work items.
    item = client("createWorkItem", body={"process": {"id": good}, "payload": {"order": 7}})["id"]
    client("createWorkItem", status=400, body={"payload": 1})
    client("getWorkItem", item)
    client("getWorkItem", nobody, status=404)
    for operation in ("updateWorkItemPayload", "updateWorkItemPayloadByPut"):
        client(operation, item, body={"payload": [8]})
        client(operation, item, status=400, body={})
        client(operation, nobody, status=404, body={"payload": 1})
    upload = client("createWorkItemFile", item, body={"file_name": "a", "file_size": 2})["upload"]
    assert send(upload["url"], b"ab") == 204
    client("createWorkItemFileUpload", item, body={"file_name": "b", "file_size": 2})
    assert client("getWorkItem", item)["files"]
    for operation in ("createWorkItemFile", "createWorkItemFileUpload"):
        client(operation, item, status=400, body={"file_name": "a"})
        client(operation, nobody, status=404, body={"file_name": "a", "file_size": 1})
    client("startProcessRun", good, body={"type": "with_work_item_ids", "work_item_ids": [item]})
    client("startProcessRun", good, status=409, body={"type": "with_work_item_ids", "work_item_ids": [item]})
    for operation in ("updateWorkItemPayload", "updateWorkItemPayloadByPut"):
        client(operation, item, status=409, body={"payload": 1})
    for operation in ("createWorkItemFile", "createWorkItemFileUpload"):
        client(operation, item, status=409, body={"file_name": "a", "file_size": 1})
    for operation, path in (("listWorkItems", ()), ("listWorkItemsOfProcess", (good,))):
        client(operation, *path, limit=2)
        client(operation, *path, status=400, state="wat")
    client("listWorkItems", process_run_id=run, state="done")
    client("listWorkItems", status=404, process_run_id=nobody)
    client("listWorkItemsOfProcessRun", run)
    client("listWorkItemsOfProcessRun", run, status=400, state="wat")
    client("listWorkItemsOfProcessRun", nobody, status=404)

    # A run of steps, whose item fails and is tried again.
    failing = client("startProcessRun", flow, body={"type": "with_payloads", "payloads": [1]})["id"]
    assert ended(client, failing)["state"] == "unresolved"
    failed = client("listWorkItems", process_run_id=failing, state="failed")["data"][0]["id"]
    assert client("listStepRuns", process_run_id=failing)["data"][0]["error"]["code"] == "exit_code"
    assert client("getWorkItem", failed)["exception"]["type"] == "application"
    (client.daemon.folder / "mended").touch()
    client("runWorkItemBatchOperation", body={"batch_operation": "retry", "work_item_ids": [failed]})
    until(lambda: client("getProcessRun", failing)["state"] == "completed", "it completes")
    client("runWorkItemBatchOperation", status=409, body={"batch_operation": "retry", "work_item_ids": [failed]})
    client("runWorkItemBatchOperation", status=404, body={"batch_operation": "retry", "work_item_ids": [nobody]})
    client("runWorkItemBatchOperation", status=400, body={"batch_operation": "burn", "work_item_ids": [failed]})

    # Assets.
    asset = client("createAsset", body={"name": "cfg"})["id"]
    client("createAsset", status=400, body={})
    client("getAsset", "name:cfg")
    small = client("createAssetUpload", asset, body={"content_type": "text/plain", "data": "aGk="})["id"]
    client("createAssetUpload", asset, body={"content_type": "text/plain"})
    client("createAssetUpload", asset, status=400, body={})
    client("createAssetUpload", nobody, status=404, body={"content_type": "text/plain"})
    client("getAssetUpload", asset, small)
    client("getAssetUpload", asset, nobody, status=404)
    assert client("getAsset", asset)["payload"]["type"] == "url"
    client("getAsset", nobody, status=404)
    client("listAssets")
    client("listAssets", status=400, cursor="x")
    client("deleteAsset", asset)
    client("deleteAsset", asset, status=404)

    # Webhooks, workers, and what a machine has none of.
    hook = client("createWebhook", body={"endpoint": "https://example.org/", "enabled_events": ["process_run.completed"], "process": {"id": good}})["id"]
    client("createWebhook", status=400, body={})
    client("getWebhook", hook)
    client("getWebhook", nobody, status=404)
    client("listWebhooks")
    client("listWebhooks", status=400, limit="x")
    client("deleteWebhook", hook)
    client("deleteWebhook", hook, status=404)
    client("getWorker", client("listWorkers")["data"][0]["id"])
    client("getWorker", nobody, status=404)
    for operation in ("listWorkers", "listWorkerGroups", "listAssistants", "listAssistantRuns"):
        client(operation)
        client(operation, status=400, limit="x")

    # And nothing else is declared.
    for name, (_, path, about) in client.operations.items():
        for status in about["responses"]:
            if status == "501" or ("200" not in about["responses"] and status == "404"):
                client(name, *[nobody] * (path.count("{") - 1), status=int(status))
    declared = {(name, int(status)) for name, (_, _, about) in client.operations.items() for status in about["responses"]} - \
               {(name, status) for name in client.operations for status in (401, 403)}
    missed = declared - client.seen
    assert not {m for m in missed if m[1] not in (409,)} and {m for m in missed if m[1] == 409} <= {("startProcessRunQsAuth", 409)}, missed


def test_each_operation_is_described_as_it_is_answered(client):
    assert len(client.operations) == 70
    subjects = [tag["name"] for tag in client.reference["tags"]]
    assert len(set(subjects)) == len(subjects)
    for name, (_, _, about) in client.operations.items():
        assert about["summary"] and about["tags"] and set(about["tags"]) <= set(subjects), name
        answers = set(about["responses"]) - {"401", "403"}
        assert "200" in answers or answers in ({"501"}, {"404"}), name
        assert "200" not in answers or "400" in answers or "limit" not in [p["name"] for p in about["parameters"]], name
    assert {t for _, _, about in client.operations.values() for t in about["tags"]} == set(subjects)

    process = next(p["id"] for p in client("listProcesses")["data"] if p["name"] == "good")
    item = client("createWorkItem", body={"process": {"id": process}, "payload": 1})["id"]
    places = {"process_id": process, "work_item_id": item, "process_run_id": client("startProcessRun", process)["id"],
              "asset_id": client("createAsset", body={"name": "a"})["id"]}

    def call(name, status=200, **query):
        names = re.findall(r"\{(\w+)\}", client.operations[name][1])[1:]
        return client(name, *[places[n] for n in names], status=status, **query)

    ended(client, places["process_run_id"])
    chosen, needed = set(), set()
    for name, (_, _, about) in client.operations.items():
        token = {"token": client.key} if name == "startProcessRunQsAuth" else {}
        for parameter in about["parameters"]:
            for value in parameter["schema"].get("enum", ()):
                call(name, **{parameter["name"]: value}, **token)
                call(name, 400, **{parameter["name"]: value + "x"}, **token)
                chosen.add((name, parameter["name"]))
        if "requestBody" in about:
            required = about["requestBody"]["required"]
            call(name, 400 if required else 200, **token)
            needed |= {name} if required else set()
    assert chosen == {("startProcessRunQsAuth", "with_handshake"), *((name, "state") for name in client.operations if re.fullmatch(
        "list(ProcessRuns|ProcessRunsOfProcess|WorkItems|WorkItemsOfProcess|WorkItemsOfProcessRun)", name))}
    assert len(needed) == 10 and "stopProcessRun" in needed and "startProcessRun" not in needed
    data, = [p for p in client.operations["getWorkItem"][2]["parameters"] if p["in"] == "query"]
    assert data["name"] == "include_data" and data["schema"] == {"type": "boolean"} and not data["required"]
    assert [client("getWorkItem", item, include_data=word)["payload"] for word in ("true", "false")] == [1, 1]


def test_the_page_of_the_reference(client):
    there = client.daemon.tcp("GET", "/api")
    assert there.status == 308 and there.headers["Location"] == "/api/"
    root = client.daemon.tcp("GET", "/")   # no other page is there
    assert root.status == 302 and root.headers["Location"] == "/api/" and client.daemon.tcp("HEAD", "/").status == 302
    assert client.daemon.tcp("POST", "/").status == 405 and client.daemon.tcp("GET", "/index.html").status == 401
    first = client.daemon.tcp("GET", "/api/")
    assert first.status == 200 and first.headers["Content-Type"].startswith("text/html")
    policy = first.headers["Content-Security-Policy"]
    nonce, = set(re.findall(r"'nonce-(\w+)'", policy))
    assert "default-src 'none'" in policy and "unsafe" not in policy
    text = first.body.decode()
    assert "@NONCE@" not in text and set(re.findall(r'nonce="(\w+)"', text)) == {nonce}
    assert text.count("<script") == text.count("<script nonce=") and " onclick" not in text and "style=" not in text.replace("<style", "")
    assert nonce not in client.daemon.tcp("GET", "/api/").body.decode()   # each has its own
    assert not re.findall(r'(?:src|href)="(?!/)', text)   # nothing from elsewhere
