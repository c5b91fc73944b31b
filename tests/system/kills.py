"""The daemon killed at random moments, again and again, while clocks, files and webhooks ring it for runs on this machine and
on a Control Room that loses answers: nothing that was acknowledged is lost, nothing runs twice, all results are whole."""
import hashlib
import http.client
import json
import pathlib
import random
import sys
import threading
import time

from conftest import ENDS, free_port, until

CONFIG = """
[workspace cloud]
type = robocorp
id = ws-1
api_url = {url}
api_key_env = CLOUD_KEY
poll_min = 100ms
poll_max = 500ms
rate = 2000
[process far]
workspace = cloud
process_name = Invoices
overlap = allow_all
max_parallel = 2000
[process near]
workspace = here
shell = yes
overlap = allow_all
max_parallel = 16
command = echo "$$BELFRY_RUN_ID" >> {path}/started; echo "$$BELFRY_RUN_ID" > output/id
[schedule far-clock]
process = far
cron = * * * * * *
[schedule near-clock]
process = near
cron = * * * * * *
[watch far-files]
process = far
path = far-files
settle = 100ms
[watch near-files]
process = near
path = near-files
settle = 100ms
[webhook far]
process = far
verify = none
[webhook near]
process = near
verify = none
"""

# A start that was lost before it arrived is looked for for two minutes: of those the kills make enough.
CHANCES = [{"route": "*", "kind": "500_after", "chance": 0.01}, {"route": "start_run", "kind": "reset_after", "chance": 0.03},
           {"route": "create_item", "kind": "reset_before", "chance": 0.02}, {"route": "create_item", "kind": "reset_after", "chance": 0.03},
           {"route": "create_item", "kind": "truncated", "chance": 0.02}, {"route": "get_run", "kind": "reset_before", "chance": 0.01},
           {"route": "list_runs", "kind": "html", "chance": 0.01}, {"route": "GET file", "kind": "truncated", "chance": 0.02}]


class Ringer(threading.Thread):
    """Rings the webhooks without a pause, and keeps what was acknowledged."""

    def __init__(self, port, pause):
        super().__init__(daemon=True)
        self.port, self.pause, self.acknowledged, self.over = port, pause, [], False

    def run(self):
        connection, n = None, 0
        while not self.over:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                n += 1
                connection.request("POST", "/hooks/" + ("far", "near")[n % 2], json.dumps({"n": n}),
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 202:
                    self.acknowledged.append(json.loads(body)["run_id"])
                time.sleep(self.pause)
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.01)


def all_runs(daemon):
    runs, before = [], ""
    while True:
        page = daemon.api("GET", f"/belfry/v1/runs?n=500{before}").json
        runs += page["data"]
        if not page["has_more"]:
            return runs
        before = f"&before={page['data'][-1]['id']}"


def open_runs(daemon):
    return [r for s in ("queued", "starting", "running", "collecting") for r in daemon.runs(state=s)]


def check_folder(run):
    where = pathlib.Path(run["results"])
    assert json.loads((where / "run.json").read_text())["id"] == run["id"]
    for artifact in run["artifacts"]:
        assert hashlib.sha256((where / artifact["path"]).read_bytes()).hexdigest() == artifact["sha256"], run["id"]
    assert [a["name"] for a in run["artifacts"]] == (["id"] if run["process"] == "near" else ["log.html"]), run
    if run["process"] == "far":
        output, = run["work_items"]["output"]
        assert (where / output["path"] / output["files"][0]).read_text() == "a;b\n"


def check(daemon, room, acknowledged, dropped):
    runs = all_runs(daemon)
    by_id = {r["id"]: r for r in runs}
    assert len(by_id) == len(runs)
    assert set(acknowledged) <= set(by_id), "an acknowledged firing has no run"
    for run in runs:
        assert run["state"] in ENDS
        assert run["state"] == "completed", run
        check_folder(run)
    started = (daemon.folder / "started").read_text().split()
    assert len(started) == len(set(started)), "a run was started twice on this machine"
    assert set(started) == {r["id"] for r in runs if r["process"] == "near"}
    far = {r["remote"]["run_id"]: r for r in runs if r["process"] == "far"}
    assert len(far) == len([r for r in runs if r["process"] == "far"])
    state = room.state()
    assert {r["id"] for r in state["runs"]} == set(far), "a process run of the Control Room is nobody's, or is missing"
    events = [i["payload"]["id"] for i in state["work_items"] if i["process_run"]]
    assert len(events) == len(set(events)) == len(far), "a firing was started twice at the Control Room"
    assert state["complaints"] == []
    for kind in ("far", "near"):
        due = [r["due"] for r in runs if r["trigger"] == {"kind": "schedule", "name": kind + "-clock"}]
        assert len(due) == len(set(due)), "a due time fired twice"
        files = sorted(r["event"]["file"]["name"] for r in map(daemon.run, [
            r["id"] for r in runs if r["trigger"] == {"kind": "watch", "name": kind + "-files"}]))
        assert files == sorted(dropped[kind]), "a file was lost, or rang twice"
    assert list((daemon.folder / "results").rglob(".staging-*")) == []
    return len(runs), len([i for i in state["work_items"] if not i["process_run"]])


def rampage(daemon, room, kills, seed, say=lambda text: None):
    """Kills the daemon so often; gives the number of runs that came of it all."""
    dice = random.Random(seed)
    port = free_port()
    room.script(polls=2, page_size=100, chances=CHANCES)
    daemon.env["CLOUD_KEY"] = "test-key"
    for kind in ("far", "near"):
        (daemon.folder / (kind + "-files")).mkdir()
    daemon.daemon = "max_runs = 2000"   # starts that are looked for hold their places
    daemon.configure(CONFIG.format(path=daemon.folder, url=room.url))
    daemon.config.write_text(daemon.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}").replace("log_level = debug", ""))
    daemon.start()
    ringer = Ringer(port, 0.2)
    ringer.start()
    dropped = {"far": [], "near": []}
    for n in range(kills):
        time.sleep(dice.uniform(0, 0.5))
        if dice.random() < 0.3:
            kind = dice.choice(("far", "near"))
            dropped[kind].append(f"f{n}")
            (daemon.folder / (kind + "-files") / dropped[kind][-1]).write_text("content")
        daemon.kill()
        # Now and then in the middle of its own start.
        daemon.start(wait=dice.random() < 0.8)
        if n % 300 == 299:   # those that are looked for get the time for it
            until(daemon.is_ready, "the daemon is ready")
            waiting = {r["id"] for r in daemon.runs(state="starting")}
            until(lambda: not waiting & {r["id"] for r in daemon.runs(state="starting")}, "the starts are found", 300)
        if n % 100 == 99:
            say(f"{n + 1} kills, {len(ringer.acknowledged)} acknowledged webhooks, {len(room.state()['runs'])} process runs")
    ringer.over = True
    ringer.join()
    until(daemon.is_ready, "the daemon is ready")
    for kind in ("far", "near"):
        daemon.api("POST", f"/belfry/v1/triggers/schedule/{kind}-clock/pause")
    files = len(dropped["far"]) + len(dropped["near"])
    until(lambda: len([r for r in all_runs(daemon) if r["trigger"]["kind"] == "watch"]) >= files, "all files have rung")
    room.script(chances=[])
    until(lambda: not open_runs(daemon), "all runs end", 300)
    return check(daemon, room, ringer.acknowledged, dropped)


def main(arguments):
    import argparse
    import tempfile

    import conftest
    parser = argparse.ArgumentParser(description="Kills belfryd at random moments; 0 lost, 0 doubled is the claim.")
    parser.add_argument("--kills", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="belfry-kills-") as folder, conftest.stand_in() as room:
        daemon = conftest.Daemon(folder)
        began = time.monotonic()
        try:
            runs, strays = rampage(daemon, room, options.kills, options.seed, lambda text: print(text, flush=True))
        finally:
            daemon.end()
        print(f"{options.kills} kills, {runs} runs, {strays} work items that started nothing: 0 lost, 0 doubled; "
              f"{time.monotonic() - began:.0f} s, seed {options.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
