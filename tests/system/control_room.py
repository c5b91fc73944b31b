#!/usr/bin/env python3
"""A stand-in Control Room: API v1 as its documentation has it, with a script of faults.

    control_room.py [--port N]      prints "listening PORT"

The older APIs (/process-v1/workspaces/WS/..., and /workspace-v1/workspaces/WS/... with a process's secret) stand beside it,
over the same runs. It has a side door for tests:

    POST /_/script   {"polls", "result", "steps", "outputs", "page_size", "faults", "processes", "next_host", "items"}
    GET  /_/requests {route: count, "open_runs"}
    GET  /_/state    {"requests": {route: count}, "runs": [...], "work_items": [...], "complaints": [...]}

`chances` are faults with {"chance": 0.01} instead of "times"; their route may be "*".
A fault is {"route": "POST process-runs", "kind": KIND, "times": N}; KIND is one of
reset_before, reset_after, 500_before, 500_after, 429, 401, 403, 404, html, truncated, wrong_types, duplicate_keys, slow.
"after" means that the request was carried out before the fault. `items` = "silent" shows no process run of a work item,
"vanish" hides an item that is in one.
"""
import argparse
import json
import random
import re
import socket
import struct
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "RC-WSKEY test-key"
SECRET = "test-key"
WORKSPACE = "ws-1"


class Room:
    def __init__(self):
        self.lock = threading.RLock()
        self.reset()

    def reset(self):
        self.dice = random.Random(1)
        self.requests = {}
        self.complaints = []
        self.runs = {}
        self.items = {}
        self.files = {}
        self.script = {
            "polls": 2, "result": "completed", "page_size": 2, "faults": [], "next_host": None,
            "processes": [{"id": "proc-1", "name": "Invoices"}],
            "steps": [{"name": "main", "artifacts": [{"name": "log.html", "content": "<html>log</html>"}],
                       "console": ["hello", "bye"]}],
            "outputs": [{"payload": {"total": 3}, "files": [{"name": "r.csv", "content": "a;b\n"}]}],
        }

    def fault(self, route):
        with self.lock:
            for fault in self.script["faults"]:
                if fault["route"] == route and fault.get("times", 1) > 0:
                    fault["times"] = fault.get("times", 1) - 1
                    return fault["kind"], fault
            for fault in self.script.get("chances", []):
                if fault["route"] in (route, "*") and self.dice.random() < fault["chance"]:
                    return fault["kind"], fault
        return None, None


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".000Z"


class Refusal(Exception):
    def __init__(self, status, code, message):
        self.status, self.code, self.message = status, code, message


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    room = None
    scheme = "http"

    def log_message(self, *args):
        pass

    # --- answers ---------------------------------------------------------------------------------------------------

    def answer(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def broken(self, kind, fault, body):
        text = json.dumps(body)
        if kind == "html":
            self.answer(200, b"<html><body>sign in</body></html>")
        elif kind == "wrong_types":
            self.answer(200, {name: [value] for name, value in body.items()} if isinstance(body, dict) else {})
        elif kind == "duplicate_keys":
            self.answer(200, (text[:-1] + ', "id": "other"}').encode())
        elif kind == "truncated":
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[: len(text) // 2].encode())
            self.close_connection = True
        else:
            time.sleep(fault.get("seconds", 1))
            self.answer(200, body)

    # --- the way in ------------------------------------------------------------------------------------------------

    def do_GET(self):
        self.handle_request("GET")

    def do_POST(self):
        self.handle_request("POST")

    def handle_request(self, method):
        self.method = method
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        parts = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        path = parts.path
        try:
            if path.startswith("/_/"):
                self.side_door(path)
            elif path.startswith("/files/"):
                self.files(path)
            elif path.startswith(f"/api/v1/workspaces/{WORKSPACE}"):
                self.api([urllib.parse.unquote(p) for p in path.split("/")[5:]], self.ROUTES, "Authorization", KEY)
            elif path.startswith(f"/process-v1/workspaces/{WORKSPACE}"):
                self.api([urllib.parse.unquote(p) for p in path.split("/")[4:]], self.OLD_ROUTES, "Authorization", KEY)
            elif path.startswith(f"/workspace-v1/workspaces/{WORKSPACE}"):
                self.api([urllib.parse.unquote(p) for p in path.split("/")[4:]], self.OLDEST_ROUTES, "robocloud-process-secret",
                         SECRET)
            else:
                raise Refusal(404, "NOT_FOUND", f"no such path {path}")
        except Refusal as refusal:
            self.answer(refusal.status, {"error": {"code": refusal.code, "message": refusal.message}})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def side_door(self, path):
        room = self.room
        with room.lock:
            if path == "/_/script":
                room.script.update(json.loads(self.body))
                self.answer(200, {})
            elif path == "/_/reset":
                room.reset()
                self.answer(200, {})
            elif path == "/_/requests":
                self.answer(200, dict(room.requests, open_runs=len(room.runs)))
            else:
                self.answer(200, {"requests": room.requests, "complaints": room.complaints,
                                  "runs": list(room.runs.values()),
                                  "work_items": [{k: v for k, v in i.items()} for i in room.items.values()]})

    # --- files: no key is wanted here, and one that comes is complained of ------------------------------------------

    def files(self, path):
        room = self.room
        if self.headers.get("Authorization"):
            room.complaints.append(f"the key came to {path}")
        kind, fault = room.fault("GET file" if self.method == "GET" else "POST file")
        if kind == "404":
            raise Refusal(404, "GONE", "the link has expired")
        if kind in ("500_before", "500_after"):
            raise Refusal(500, "ERROR", "storage is down")
        if kind == "reset_before":
            return self.reset()
        name = path[len("/files/"):]
        if self.method == "POST":
            match = re.search(rb'name="file"; filename="([^"]*)"\r\n(?:[^\r\n]+\r\n)*\r\n(.*)\r\n--', self.body, re.S)
            with room.lock:
                item = room.items[name]
                if not match or b'name="policy"' not in self.body.split(b'name="file"')[0]:
                    room.complaints.append("an upload without its fields, or with them behind the file")
                    raise Refusal(400, "BAD", "no file")
                item["files"].append({"name": match.group(1).decode(), "size": len(match.group(2)),
                                      "content": match.group(2).decode("latin-1")})
            return self.answer(204, b"")
        data = room.files[name]
        if kind == "truncated":
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return None
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and room.script.get("ranges", True):
            first = int(asked.group(1))
            room.requests["ranges"] = room.requests.get("ranges", 0) + 1
            return self.answer(206, data[first:], [("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")])
        return self.answer(200, data)

    def link(self, content):
        name = str(uuid.uuid4())
        self.room.files[name] = content.encode("latin-1") if isinstance(content, str) else content
        return f"{self.scheme}://{self.headers['Host']}/files/{name}"

    # --- the API ----------------------------------------------------------------------------------------------------

    ROUTES = [
        ("GET", r"processes", "processes"),
        ("GET", r"process-runs", "list_runs"),
        ("GET", r"process-runs/([^/]+)", "get_run"),
        ("POST", r"process-runs/([^/]+)/stop", "stop_run"),
        ("POST", r"processes/([^/]+)/process-runs", "start_run"),
        ("GET", r"step-runs", "step_runs"),
        ("GET", r"step-runs/([^/]+)/artifacts", "artifacts"),
        ("GET", r"step-runs/([^/]+)/artifacts/([^/]+)", "artifact"),
        ("GET", r"step-runs/([^/]+)/console-messages", "console"),
        ("GET", r"step-runs/([^/]+)/events", "events"),
        ("GET", r"outputs", "outputs"),
        ("GET", r"work-items", "list_items"),
        ("POST", r"work-items", "create_item"),
        ("GET", r"work-items/([^/]+)", "get_item"),
        ("POST", r"work-items/([^/]+)/files", "create_file"),
    ]

    OLD_ROUTES = [
        ("GET", r"processes", "old_processes"),
        ("GET", r"pruns", "old_runs"),
        ("GET", r"processes/([^/]+)/runs", "old_runs"),
        ("POST", r"processes/([^/]+)/run-request", "old_start"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)", "old_run"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)/robotRuns", "old_steps"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)/robotRuns/([^/]+)/artifacts", "old_artifacts"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)/robotRuns/([^/]+)/artifacts/([^/]+)/(.+)", "old_artifact"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)/robotRuns/([^/]+)/messages", "old_console"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)/robotRuns/([^/]+)/events", "old_events"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)/work-items", "old_run_items"),
        ("GET", r"processes/([^/]+)/work-items", "old_new_items"),
        ("POST", r"processes/([^/]+)/work-items", "old_create_item"),
        ("GET", r"processes/([^/]+)/work-items/([^/]+)", "old_item"),
        ("POST", r"processes/([^/]+)/work-items/([^/]+)/files/upload", "old_create_file"),
    ]
    OLDEST_ROUTES = [
        ("POST", r"processes/([^/]+)/runs", "oldest_start"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)", "old_run"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)/robotRuns", "old_steps"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)/robotRuns/([^/]+)/artifacts", "old_artifacts"),
        ("GET", r"processes/([^/]+)/runs/([^/]+)/robotRuns/([^/]+)/artifacts/([^/]+)/(.+)", "old_artifact"),
    ]

    def api(self, segments, routes, header, key):
        room = self.room
        path = "/".join(segments)
        for method, pattern, name in routes:
            match = re.fullmatch(pattern, path)
            if method == self.method and match:
                break
        else:
            raise Refusal(404, "NOT_FOUND", f"no operation {self.method} {path}")
        with room.lock:
            room.requests[name] = room.requests.get(name, 0) + 1
        if self.headers.get(header) != key:
            raise Refusal(403, "FORBIDDEN", "wrong key")
        kind, fault = room.fault(name)
        if kind == "reset_before":
            return self.reset()
        if kind == "500_before":
            raise Refusal(500, "ERROR", "something went wrong")
        if kind == "429":
            return self.answer(429, {"error": {"code": "RATE", "message": "slow down"}},
                               [("Retry-After", str(fault.get("retry_after", 1)))])
        if kind in ("401", "403", "404"):
            raise Refusal(int(kind), "REFUSED", "the script says so")
        with room.lock:
            body = getattr(self, name)(*match.groups())
        if kind == "reset_after":
            return self.reset()
        if kind == "500_after":
            raise Refusal(502, "ERROR", "the answer was lost")
        if kind:
            return self.broken(kind, fault, body)
        return self.answer(200, body)

    def page(self, elements):
        size = self.room.script["page_size"]
        start = int(self.query.get("cursor", 0))
        data = elements[start:start + size]
        more = start + size < len(elements)
        host = self.room.script["next_host"] or self.headers["Host"]
        query = {k: v for k, v in self.query.items() if k != "cursor"}
        query["cursor"] = start + size
        path = urllib.parse.urlsplit(self.path).path
        return {"next": f"{self.scheme}://{host}{path}?{urllib.parse.urlencode(query)}" if more else None, "has_more": more,
                "data": data}

    def processes(self):
        return self.page([dict(p, created_at=now()) for p in self.room.script["processes"]])

    def run_or_404(self, run_id):
        if run_id not in self.room.runs:
            raise Refusal(404, "NOT_FOUND", "Process run not found")
        return self.room.runs[run_id]

    def list_runs(self):
        runs = [r for r in self.room.runs.values() if self.query.get("process_id") in (None, r["process"]["id"])]
        page = self.page(runs[::-1])
        page["data"] = [self.get_run(r["id"]) for r in page["data"]]
        return page

    def get_run(self, run_id):
        run = self.run_or_404(run_id)
        run["polls"] += 1
        if run["polls"] >= self.room.script["polls"] and run["state"] in ("new", "in_progress", "stopping"):
            run["state"] = "completed" if run["stop"] else self.room.script["result"]
            run["ended_at"] = now()
        elif run["state"] == "new":
            run["state"] = "in_progress"
        return {k: run[k] for k in ("id", "state", "created_at", "started_at", "ended_at", "process", "started_by", "duration")}

    def stop_run(self, run_id):
        run = self.run_or_404(run_id)
        body = json.loads(self.body)
        for member in ("set_remaining_work_items_as_done", "terminate_ongoing_activity_runs"):
            if not isinstance(body.get(member), bool):
                raise Refusal(400, "BAD_REQUEST", f"{member} is required")
        run["stop"] = body
        run["state"] = "stopping"
        run["polls"] = 0
        return {"accepted": True}

    def start_run(self, process_id):
        if process_id not in [p["id"] for p in self.room.script["processes"]]:
            raise Refusal(404, "NOT_FOUND", "Process not found")
        body = json.loads(self.body)
        if body.get("type") != "with_work_item_ids" or not body.get("work_item_ids"):
            raise Refusal(400, "BAD_REQUEST", "work_item_ids is required")
        items = [self.room.items[i] for i in body["work_item_ids"] if i in self.room.items]
        if len(items) != len(body["work_item_ids"]) or any(i["process_run"] for i in items):
            raise Refusal(409, "CONFLICT", "a work item is not there, or is in a run already")
        run_id = str(uuid.uuid4())
        self.room.runs[run_id] = {
            "id": run_id, "state": "new", "created_at": now(), "started_at": now(), "ended_at": None, "polls": 0,
            "process": {"id": process_id, "name": "Invoices"}, "started_by": {"type": "api", "details": None},
            "duration": None, "stop": None, "callback": body.get("callback"), "work_items": body["work_item_ids"],
            "steps": [dict(s, id=str(uuid.uuid4())) for s in self.room.script["steps"]]}
        for item in items:
            item["process_run"] = {"id": run_id}
            item["state"] = "pending"
        return {"started": True, "id": run_id}

    def step_runs(self):
        run = self.run_or_404(self.query.get("process_run_id", ""))
        state = "failed" if run["stop"] or run["state"] == "unresolved" else "completed"
        return self.page([{"id": s["id"], "state": s.get("state", state), "state_updated_at": now(), "error": None,
                           "started_at": now(), "ended_at": now(), "duration": 1,
                           "step": {"id": "step-" + s["name"], "name": s["name"]}} for s in run["steps"]])

    def step(self, step_id):
        for run in self.room.runs.values():
            for step in run["steps"]:
                if step["id"] == step_id:
                    return step
        raise Refusal(404, "NOT_FOUND", "Step run not found")

    def artifacts(self, step_id):
        return self.page([{"id": f"art-{n}", "name": a["name"], "size": a.get("size", len(a["content"]))}
                          for n, a in enumerate(self.step(step_id)["artifacts"])])

    def artifact(self, step_id, artifact_id):
        artifact = self.step(step_id)["artifacts"][int(artifact_id[4:])]
        return {"id": artifact_id, "name": artifact["name"], "size": artifact.get("size", len(artifact["content"])),
                "url": artifact.get("url") or self.link(artifact["content"])}

    def console(self, step_id):
        return self.page([{"timestamp": f"2026-01-05T10:00:{n:02d}.000Z", "message": m}
                          for n, m in enumerate(self.step(step_id)["console"])])

    def events(self, step_id):
        return self.page([{"timestamp": "2026-01-05T10:00:00.000Z", "event_type": kind}
                          for kind in self.step(step_id).get("events", [])])

    def outputs(self):
        run = self.run_or_404(self.query.get("process_run_id", ""))
        return self.page([{"id": f"out-{n}", "created_at": now(), "process": run["process"], "process_run": {"id": run["id"]},
                           "payload": o["payload"],
                           "files": [{"id": f"f-{k}", "name": f["name"], "size": len(f["content"]),
                                      "download": {"url": self.link(f["content"])}} for k, f in enumerate(o["files"])]}
                          for n, o in enumerate(self.room.script["outputs"])])

    def list_items(self):
        items = [i for i in self.room.items.values() if all([
            self.query.get("process_run_id") in (None, (i["process_run"] or {}).get("id")),
            self.query.get("process_id") in (None, i["process"]["id"]),
            self.query.get("state") != "new" or i["state"] == "new"])]
        if self.query.get("state") == "failed":
            items = [dict(i, state="failed", exception={"code": "INVALID_ORDER", "type": "business", "message": "no such order"})
                     for i in items]
        return self.page([{k: v for k, v in i.items() if k not in ("payload", "files")} for i in items])

    def create_item(self):
        body = json.loads(self.body)
        if "payload" not in body or not isinstance(body.get("process", {}).get("id"), str):
            raise Refusal(400, "BAD_REQUEST", "process.id and payload are required")
        item_id = str(uuid.uuid4())
        self.room.items[item_id] = {
            "id": item_id, "created_at": now(), "state": "new", "state_updated_at": None, "process": body["process"],
            "process_run": None, "step": None, "step_run": None, "payload": body["payload"], "files": [], "exception": None}
        return self.room.items[item_id]

    def get_item(self, item_id):
        if item_id.startswith("out-"):
            output = self.room.script["outputs"][int(item_id[4:])]
            return {"id": item_id, "state": "new", "payload": output["payload"],
                    "files": [{"id": f"f-{k}", "name": f["name"], "size": len(f["content"]),
                               "download": {"url": self.link(f["content"])}} for k, f in enumerate(output["files"])]}
        if item_id not in self.room.items:
            raise Refusal(404, "NOT_FOUND", "Work item not found")
        if self.room.script.get("items") == "vanish" and self.room.items[item_id]["process_run"]:
            raise Refusal(404, "NOT_FOUND", "Work item not found")
        if self.room.script.get("items") == "silent":
            return dict(self.room.items[item_id], process_run=None, state="new")
        return self.room.items[item_id]

    def create_file(self, item_id):
        self.get_item(item_id)
        body = json.loads(self.body)
        if not isinstance(body.get("file_name"), str) or not isinstance(body.get("file_size"), int):
            raise Refusal(400, "BAD_REQUEST", "file_name and file_size are required")
        return {"upload": {"url": f"{self.scheme}://{self.headers['Host']}/files/{item_id}", "form_data": {"key": "k", "policy": "p"}}}

    # --- the older APIs, over the same runs --------------------------------------------------------------------------

    STATES = {"new": "INI", "in_progress": "IP", "stopping": "IP", "completed": "COMPL", "unresolved": "PENDING"}

    def old_processes(self):
        return {"data": self.room.script["processes"]}

    def old_form(self, run):
        return {"id": run["id"], "state": self.STATES[run["state"]], "result": "success" if run["state"] == "completed" else None,
                "errorCode": None, "workspaceId": WORKSPACE, "processId": run["process"]["id"], "runNo": 1,
                "robotRuns": [{"id": s["id"]} for s in run["steps"]]}

    def old_run(self, process_id, run_id):
        self.get_run(run_id)
        if self.room.runs[run_id]["process"]["id"] != process_id:
            raise Refusal(404, "NOT_FOUND", "no such run of this process")
        return self.old_form(self.room.runs[run_id])

    def old_runs(self, process_id=None):
        runs = [self.old_form(r) for r in self.room.runs.values() if process_id in (None, r["process"]["id"])]
        runs = runs[::-1][:int(self.query.get("limit", 10))]
        return {"data": runs} if process_id else runs

    def old_start(self, process_id):
        body = json.loads(self.body)
        if body.get("type") != "workItemIds":
            raise Refusal(400, "BAD_REQUEST", "type is wrong")
        self.body = json.dumps({"type": "with_work_item_ids", "work_item_ids": body["workItemIds"]})
        return {"id": self.start_run(process_id)["id"], "workItemIds": body["workItemIds"]}

    def oldest_start(self, process_id):
        item = {"process": {"id": process_id}, "payload": json.loads(self.body)}
        self.body = json.dumps(item)
        made = self.create_item()
        self.body = json.dumps({"type": "with_work_item_ids", "work_item_ids": [made["id"]]})
        return {"message": "OK", "workspaceId": WORKSPACE, "processId": process_id, "processRunId": self.start_run(process_id)["id"]}

    def old_steps(self, process_id, run_id):
        return [{"id": s["id"]} for s in self.run_or_404(run_id)["steps"]]

    def old_artifacts(self, process_id, run_id, step_id):
        return [{"id": f"art-{n}", "fileName": a["name"], "fileSIze": len(a["content"])}
                for n, a in enumerate(self.step(step_id)["artifacts"])]

    def old_artifact(self, process_id, run_id, step_id, artifact_id, name):
        artifact = self.step(step_id)["artifacts"][int(artifact_id[4:])]
        if artifact["name"] != name:
            raise Refusal(404, "NOT_FOUND", "no such file")
        return self.link(artifact["content"])

    def old_console(self, process_id, run_id, step_id):
        return [{"seqNo": n, "message": m, "timestamp": f"2026-01-05T10:00:{n:02d}Z"}
                for n, m in enumerate(self.step(step_id)["console"])]

    def old_events(self, process_id, run_id, step_id):
        return [{"seqNo": "1", "timestamp": "2026-01-05T10:00:05Z", "eventType": 1, "data": {}}]

    def old_item_form(self, item):
        return {"id": item["id"], "state": item["state"].upper(), "createTs": item["created_at"], "payload": item["payload"],
                "processRunId": (item["process_run"] or {}).get("id"), "activityRunId": item.get("activity"), "files": item["files"]}

    def old_create_item(self, process_id):
        self.body = json.dumps({"process": {"id": process_id}, "payload": json.loads(self.body)["payload"]})
        return {"id": self.create_item()["id"]}

    def old_new_items(self, process_id):
        return {"data": [self.old_item_form(i) for i in self.room.items.values() if i["process"]["id"] == process_id]}

    def old_item(self, process_id, item_id):
        return self.old_item_form(self.get_item(item_id))

    def old_run_items(self, process_id, run_id):
        run = self.run_or_404(run_id)
        inputs = [self.old_item_form(i) for i in self.room.items.values() if (i["process_run"] or {}).get("id") == run_id]
        for item in inputs:
            item["activityRunId"] = run["steps"][0]["id"]
            if run["state"] == "unresolved":
                item.update(state="FAILED", exception={"code": "INVALID_ORDER", "type": "BUSINESS", "message": "no such order"})
        outputs = [{"id": f"out-{n}", "state": "NEW", "processRunId": run_id, "payload": o["payload"], "files": []}
                   for n, o in enumerate(self.room.script["outputs"])]
        return {"data": outputs + inputs}

    def old_create_file(self, process_id, item_id):
        body = json.loads(self.body)
        self.body = json.dumps({"file_name": body["fileName"], "file_size": body["fileSize"]})
        upload = self.create_file(item_id)["upload"]
        return {"url": upload["url"], "fields": upload["form_data"]}


def serve(port=0):
    handler = type("BoundHandler", (Handler,), {"room": Room()})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    server.handle_error = lambda request, address: None   # clients that are killed are what this is for
    return server


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    server = serve(parser.parse_args().port)
    print("listening", server.server_address[1], flush=True)
    server.serve_forever()
