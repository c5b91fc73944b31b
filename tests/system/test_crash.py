"""Killed at any moment: whatever was acknowledged becomes one run that ends, started once, with a whole result."""
import hashlib
import http.client
import json
import pathlib
import random
import threading
import time

import pytest

from conftest import until

CONFIG = """
[process p]
workspace = here
shell = yes
overlap = allow_all
command = echo "$$BELFRY_RUN_ID" >> {path}/started; echo "$$BELFRY_RUN_ID" > output/id
[schedule s]
process = p
cron = * * * * * *
[watch w]
process = p
path = inbox
settle = 100ms
[webhook hook]
process = p
verify = none
"""


class Ringer(threading.Thread):
    """Rings the webhook without a pause, and keeps what was acknowledged."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.target, self.acknowledged, self.over = daemon, [], False

    def run(self):
        connection, n = None, 0
        while not self.over:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.target.port, timeout=5)
                n += 1
                connection.request("POST", "/hooks/hook", json.dumps({"n": n}), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 202:
                    self.acknowledged.append(json.loads(body)["run_id"])
                time.sleep(0.02)
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.01)


def check(daemon, acknowledged, dropped):
    until(lambda: not [r for s in ("queued", "starting", "running", "collecting") for r in daemon.runs(state=s)], "all runs end")
    runs = []
    before = ""
    while True:
        page = daemon.api("GET", f"/belfry/v1/runs?n=500{before}").json
        runs += page["data"]
        if not page["has_more"]:
            break
        before = f"&before={page['data'][-1]['id']}"
    by_id = {r["id"]: r for r in runs}
    assert len(by_id) == len(runs)
    assert set(acknowledged) <= set(by_id), "each acknowledged firing has its run"
    started = (daemon.folder / "started").read_text().split()
    assert len(started) == len(set(started)), "no run was started twice"
    for run in runs:
        assert run["state"] == "completed", run
        where = pathlib.Path(run["results"])
        assert json.loads((where / "run.json").read_text())["state"] == "completed"
        for artifact in run["artifacts"]:
            assert hashlib.sha256((where / artifact["path"]).read_bytes()).hexdigest() == artifact["sha256"]
        assert [a["name"] for a in run["artifacts"]] == ["id"]
    assert set(started) == set(by_id)
    due = [r["due"] for r in runs if r["trigger"]["kind"] == "schedule"]
    assert len(due) == len(set(due)), "each due time once"
    files = sorted(r["event"]["file"]["name"] for r in runs if r["trigger"]["kind"] == "watch")
    assert files == sorted(dropped), "each file once"
    leftover = [p for p in (daemon.folder / "results").rglob(".staging-*")]
    assert leftover == []


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments(daemon, seed):
    dice = random.Random(seed)
    (daemon.folder / "inbox").mkdir()
    with __import__("socket").socket() as probe:
        probe.bind(("127.0.0.1", 0))
        daemon.port = probe.getsockname()[1]
    daemon.configure(CONFIG.format(path=daemon.folder))
    daemon.config.write_text(daemon.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{daemon.port}"))
    daemon.start()
    ringer = Ringer(daemon)
    ringer.start()
    dropped = []
    for n in range(12):
        time.sleep(dice.uniform(0.02, 0.5))
        for k in range(dice.randrange(4)):
            dropped.append(f"f{n}-{k}")
            (daemon.folder / "inbox" / dropped[-1]).write_text("content")
        daemon.kill()
        daemon.start()
    ringer.over = True
    ringer.join()
    assert len(ringer.acknowledged) > 12
    until(lambda: sorted(r["event"]["file"]["name"] for r in daemon.runs() if r["trigger"]["kind"] == "watch") == sorted(dropped),
          "all files have rung")
    daemon.api("POST", "/belfry/v1/triggers/schedule/s/pause")
    check(daemon, ringer.acknowledged, dropped)


def test_a_second_daemon_is_kept_out(daemon):
    daemon.start(CONFIG.format(path=daemon.folder))
    from conftest import Daemon
    other = Daemon(daemon.folder)
    other.start(wait=False)
    assert other.process.wait(timeout=20) == 1
    other.log.close()
    assert "another belfryd" in daemon.log_text()
    assert daemon.api("GET", "/readyz").status == 200
