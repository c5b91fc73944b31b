"""Schedules: each due time once, overlap, catching up, pausing."""
import datetime
import pathlib
import time

from conftest import until

PROCESS = """
[process p]
workspace = here
shell = yes
command = echo "$BELFRY_RUN_ID" >> {path}/started; {command}
{process}
[schedule s]
process = p
{schedule}
"""


def start(daemon, schedule, command="true", process=""):
    return daemon.start(PROCESS.format(path=daemon.folder, command=command, process=process, schedule=schedule))


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_each_second_once(daemon):
    start(daemon, "cron = * * * * * *\noverlap = allow_all")
    until(lambda: len(daemon.runs(state="completed")) >= 4, "four runs")
    daemon.stop()
    daemon.start()
    until(lambda: len(daemon.runs(state="completed")) >= 7, "three more")
    runs = daemon.runs()
    due = [seconds(r["due"]) for r in reversed(runs)]
    assert due == [due[0] + n for n in range(len(due))], due
    for run in runs:
        if run["state"] == "completed":
            assert (pathlib.Path(run["results"]) / "run.json").exists()
            assert run["trigger"] == {"kind": "schedule", "name": "s"}
            assert seconds(run["started"]) >= seconds(run["due"])
    started = (daemon.folder / "started").read_text().split()
    assert len(started) == len(set(started))


def overlap(daemon, policy, until_there):
    start(daemon, f"cron = * * * * * *\noverlap = {policy}",
          command=f"while [ ! -e {daemon.folder}/go ]; do sleep 0.05; done")
    runs = until(lambda: until_there(daemon.runs()) and daemon.runs(), f"overlap {policy}")
    daemon.api("POST", "/belfry/v1/triggers/schedule/s/pause")
    (daemon.folder / "go").touch()
    return runs


def states(runs):
    return [r["state"] for r in reversed(runs)]


def test_overlap_skip(daemon):
    runs = overlap(daemon, "skip", lambda r: len(r) >= 4)
    assert states(runs)[0] == "running" and set(states(runs)[1:]) == {"skipped"}
    assert all(r["reason"] for r in runs if r["state"] == "skipped")


def test_overlap_buffer_one(daemon):
    runs = overlap(daemon, "buffer_one", lambda r: len(r) >= 4)
    assert states(runs)[:2] == ["running", "queued"] and set(states(runs)[2:]) == {"skipped"}
    for run in runs:
        assert daemon.ended(run["id"])["state"] in ("completed", "skipped")


def test_overlap_buffer_all(daemon):
    runs = overlap(daemon, "buffer_all", lambda r: len(r) >= 4)
    assert states(runs)[0] == "running" and set(states(runs)[1:]) == {"queued"}
    for run in runs:
        assert daemon.ended(run["id"])["state"] == "completed"
    assert (daemon.folder / "started").read_text().split()[:len(runs)] == [r["id"] for r in reversed(runs)]


def test_overlap_allow_all(daemon):
    runs = overlap(daemon, "allow_all", lambda r: len(r) >= 3 and set(states(r)) == {"running"})
    assert len(runs) >= 3


def test_overlap_cancel_other(daemon):
    runs = overlap(daemon, "cancel_other", lambda r: len([x for x in r if x["state"] == "canceled"]) >= 2)
    assert states(runs)[-1] in ("running", "starting", "queued")


def test_missed_times(daemon):
    """While it is down, due times pass: `last` makes one run of them, `all` each, `none` no run."""
    text = """
[process p]
workspace = here
command = true
[schedule last]
process = p
cron = * * * * * *
overlap = allow_all
[schedule all]
process = p
cron = * * * * * *
catchup = all
overlap = allow_all
[schedule none]
process = p
cron = * * * * * *
catchup = none
overlap = allow_all
"""
    daemon.start(text)
    until(lambda: {r["trigger"]["name"] for r in daemon.runs(state="completed")} == {"last", "all", "none"}, "all have rung")
    daemon.kill()
    time.sleep(8)   # beyond the grace within which a daemon is merely slow
    daemon.start()
    begun = seconds(daemon.status()["started"])
    until(lambda: len([r for r in daemon.runs() if seconds(r["due"]) > begun + 1]) >= 6, "it rings again")
    missed = {}
    for run in daemon.runs():
        if begun - 6.5 < seconds(run["due"]) < begun - 0.5:
            missed.setdefault(run["trigger"]["name"], []).append(seconds(run["due"]))
    assert len(missed["all"]) >= 5
    assert len(missed.get("last", [])) <= 1 and len(missed.get("none", [])) <= 1


def test_pause_holds_over_a_restart(daemon):
    start(daemon, "cron = * * * * * *\noverlap = allow_all")
    until(lambda: daemon.runs(), "it rings")
    assert daemon.api("POST", "/belfry/v1/triggers/schedule/s/pause").json == {"paused": True}
    daemon.stop()
    daemon.start()
    view = daemon.api("GET", "/belfry/v1/triggers").json[0]
    assert view["paused"] and "next" not in view
    count = len(daemon.runs())
    assert daemon.api("POST", "/belfry/v1/triggers/schedule/s/resume").json == {"paused": False}
    until(lambda: len(daemon.runs()) > count, "it rings again")
    assert daemon.api("POST", "/belfry/v1/triggers/schedule/nope/pause").status == 404


def test_next(daemon):
    start(daemon, "cron = 30 2 * * *\ntimezone = Europe/Berlin")
    due = daemon.api("GET", "/belfry/v1/next?n=3&from=2026-03-28T00:00:00Z").json
    assert [d["local"] for d in due] == ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    assert due[0] == {"schedule": "s", "due": "2026-03-28T01:30:00.000Z", "local": "2026-03-28T02:30:00+01:00"}
    assert daemon.api("GET", "/belfry/v1/next?schedule=nope").status == 404
    assert daemon.api("GET", "/belfry/v1/next?n=0").status == 400
