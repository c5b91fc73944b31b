"""Runs on this machine: what a command finds, how it ends, what comes home."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import time

import pytest

from conftest import until

PROCESS = """
[process p]
workspace = here
shell = yes
{more}
command = {command}
"""


def start(daemon, command, more=""):
    return daemon.start(PROCESS.format(command=command.replace("\n", "\n  "), more=more))


def folder(record):
    return pathlib.Path(record["results"])


def console(record):
    return (folder(record) / "console.log").read_text()


def test_a_run_as_run_json_has_it(daemon):
    start(daemon, "echo out; echo err >&2; echo done > output/r.txt; exit 0")
    record = daemon.run_and_wait("p", input={"order": 7})
    on_disk = json.loads((folder(record) / "run.json").read_text())
    assert on_disk == record
    for member in ("id", "process", "workspace", "backend", "trigger", "event", "state", "backend_state", "attempt", "accepted",
                   "started", "ended", "duration_ms", "exit_code", "steps", "work_items", "artifacts"):
        assert member in record, member
    assert record["state"] == "completed" and record["exit_code"] == 0 and record["attempt"] == 1
    assert console(record) == "out\nerr\n"
    assert record["artifacts"] == [{"step": "main", "name": "r.txt", "path": "artifacts/main/r.txt", "size": 5,
                                    "sha256": hashlib.sha256(b"done\n").hexdigest()}]
    assert str(folder(record)).endswith(f"/results/p/{record['accepted'][:10]}/{record['id']}")
    assert record["work_items"]["input"][0]["payload"] == {"order": 7}


def test_exit_codes_and_signals(daemon):
    start(daemon, 'eval "$(cat "$BELFRY_INPUT" | tr -d \'\\042\')"')
    seven = daemon.run_and_wait("p", input="exit 7")
    assert (seven["state"], seven["exit_code"], seven["error"]["code"]) == ("failed", 7, "exit_code")
    killed = daemon.run_and_wait("p", input="kill -9 $$")
    assert killed["state"] == "failed" and killed["error"]["code"] == "signal" and "exit_code" not in killed


def test_a_command_that_is_not_there(daemon):
    daemon.start("[process p]\nworkspace = here\ncommand = /nonexistent/program --flag\n")
    record = daemon.run_and_wait("p")
    assert record["state"] == "failed" and record["error"]["code"] == "start_failed"
    assert "/nonexistent/program" in record["error"]["message"]


def test_the_environment_of_a_step(daemon, tmp_path):
    (tmp_path / "in.txt").write_text("content of the file")
    daemon.env["BELFRY_TEST_SECRET"] = "not for robots"
    start(daemon, 'env; echo "file: $(cat "$BELFRY_FILE")"; pwd; ls', more="env = GREETING=hello")
    record = daemon.run_and_wait("p", input={"a": [1, 2]}, files=[str(tmp_path / "in.txt")])
    text = console(record)
    env = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert "not for robots" not in text
    assert env["GREETING"] == "hello" and env["BELFRY_RUN_ID"] == record["id"]
    for name in ("RC_WORKSPACE_ID", "RC_PROCESS_ID", "RC_PROCESS_RUN_ID", "RC_STEP_RUN_ID", "ROBOT_ARTIFACTS", "PATH", "HOME"):
        assert env.get(name), name
    assert env["RC_PROCESS_RUN_ID"] == record["id"] and env["ROBOT_ARTIFACTS"].endswith("/output")
    assert "file: content of the file" in text
    assert text.splitlines()[-1] == "output"


def test_the_file_adapter_of_work_items(daemon, tmp_path):
    (tmp_path / "robot.py").write_text("""
import json, os, pathlib
read = json.load(open(os.environ["RC_WORKITEM_INPUT_PATH"]))
assert os.environ["RPA_INPUT_WORKITEM_PATH"] == os.environ["RC_WORKITEM_INPUT_PATH"]
folder = pathlib.Path(os.environ["RC_WORKITEM_OUTPUT_PATH"]).parent
(folder / "r.csv").write_text("x;y")
json.dump([{"payload": {"of": item["payload"]}, "files": {"r.csv": "r.csv"} if n == 0 else {}} for n, item in enumerate(read)],
          open(os.environ["RC_WORKITEM_OUTPUT_PATH"], "w"))
""")
    start(daemon, f"/usr/bin/python3 {tmp_path}/robot.py")
    record = daemon.run_and_wait("p", input=[{"n": 1}, {"n": 2}])
    assert record["state"] == "completed", console(record)
    outputs = record["work_items"]["output"]
    assert [o["payload"] for o in outputs] == [{"of": {"n": 1}}, {"of": {"n": 2}}]
    assert (folder(record) / outputs[0]["path"] / "r.csv").read_text() == "x;y"


def test_hostile_outputs_stay_inside(daemon, tmp_path):
    (tmp_path / "secret").write_text("secret")
    start(daemon, f"""cd output
ln -s {tmp_path}/secret link
ln -s {tmp_path} dir
mkdir -p a/b && echo 1 > a/b/same && echo 2 > same
printf x > "$(printf 'n\\\\033[31m\\\\nme')"
mkfifo pipe
echo '[{{"payload": 1, "files": {{"s": "../../secret", "t": "d/secret"}}}}]' > "$RC_WORKITEM_OUTPUT_PATH"
ln -s {tmp_path} "$(dirname "$RC_WORKITEM_OUTPUT_PATH")/d" """)
    record = daemon.run_and_wait("p")
    assert record["state"] == "completed", console(record)
    paths = {a["path"]: a["name"] for a in record["artifacts"]}
    assert len(paths) == 3 and paths["artifacts/main/same"] == paths["artifacts/main/same-2"] == "same"
    for path in folder(record).rglob("*"):
        assert not path.is_symlink()
        assert path.is_dir() or b"secret" not in path.read_bytes() or path.name in ("run.json", "console.log")
        assert all(ord(c) >= 32 for c in path.name)
    assert len(record["notes"]) >= 4


@pytest.mark.parametrize("content, why", [("[1", "not JSON"), ("{}", "it is no list"), ("[" * 80 + "]" * 80, "deep")])
def test_what_could_not_be_brought_home_is_said(daemon, content, why):
    start(daemon, f"""printf '%s' '{content}' > "$RC_WORKITEM_OUTPUT_PATH"; cd output; ln -s x link""")
    record = daemon.run_and_wait("p")
    assert record["state"] == "completed" and record["work_items"]["output"] == [] and len(record["notes"]) == 2
    assert any("work-items-out/workitems.json cannot be read" in note and why in note for note in record["notes"]), record["notes"]
    shown = daemon.cli("show", record["id"]).stdout
    for note in record["notes"]:
        assert note in shown
        assert [line for line in daemon.log_text().splitlines() if note in line] == [f"belfryd: warning: run {record['id']} of p: {note}"]
    daemon.stop()
    daemon.start()
    assert daemon.run(record["id"]) == record and daemon.log_text().count(record["notes"][0]) == 1


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_timeout_ends_the_whole_group(daemon, tmp_path):
    start(daemon, f"""trap '' TERM
sh -c 'trap "" TERM; echo $$$$ > {tmp_path}/grandchild; while :; do sleep 1; done' &
while :; do sleep 1; done""", more="timeout = 500ms\nkill_grace = 300ms")
    record = daemon.run_and_wait("p")
    assert record["state"] == "timed_out", record
    pid = int((tmp_path / "grandchild").read_text())
    until(lambda: not alive(pid), "the grandchild has gone")


def test_cancel(daemon, tmp_path):
    start(daemon, f"trap 'echo stopped > output/s; exit 3' TERM; touch {tmp_path}/up; while :; do sleep 0.05; done")
    run_id = daemon.begin("p")
    until((tmp_path / "up").exists, "it runs")
    assert daemon.api("POST", f"/belfry/v1/runs/{run_id}/cancel", {"reason": "by me"}).status == 202
    record = daemon.ended(run_id)
    assert record["state"] == "canceled" and record["reason"] == "by me"
    assert [a["name"] for a in record["artifacts"]] == ["s"]
    assert daemon.api("POST", f"/belfry/v1/runs/{run_id}/cancel", {}).status == 409
    assert daemon.api("POST", "/belfry/v1/runs/00000000-0000-7000-8000-000000000000/cancel", {}).status == 404


def test_a_run_outlives_the_daemon(daemon, tmp_path):
    start(daemon, f"touch {tmp_path}/up; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo late; exit 5")
    run_id = daemon.begin("p")
    until((tmp_path / "up").exists, "it runs")
    daemon.kill()
    daemon.start()
    assert daemon.run(run_id)["state"] == "running"
    daemon.kill()
    (tmp_path / "go").touch()
    time.sleep(0.3)   # it may end while nobody is there: either way its exit code is kept
    daemon.start()
    record = daemon.ended(run_id)
    assert (record["state"], record["exit_code"]) == ("failed", 5) and console(record) == "late\n"


def test_a_supervisor_that_is_killed(daemon, tmp_path):
    start(daemon, f"echo $PPID > {tmp_path}/pid; sleep 60")
    run_id = daemon.begin("p")
    pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "it runs")
    os.kill(int(pid), signal.SIGKILL)
    record = daemon.ended(run_id)
    assert record["state"] == "lost", record


def test_retries(daemon, tmp_path):
    start(daemon, f"echo x >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) -ge 3 ]", more="retries = 3\nretry_delay = 100ms")
    record = daemon.run_and_wait("p")
    assert record["state"] == "completed" and record["attempt"] == 3


def test_folders_that_a_daemon_left_behind_go(daemon, tmp_path):
    start(daemon, f"touch {tmp_path}/up; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
    run_id = daemon.begin("p")
    until((tmp_path / "up").exists, "it runs")
    daemon.stop()
    runs = daemon.folder / "state" / "runs"
    for name in ("01890000-0000-7000-8000-000000000000", ".gone-01890000-0000-7000-8000-000000000000-0123456789abcdef"):
        (runs / name / "work").mkdir(parents=True)
        (runs / name / "work" / "file").write_text("of a run that has ended")
    daemon.start()
    until(lambda: {p.name for p in runs.iterdir()} == {run_id}, "what no open run has goes")
    (tmp_path / "go").touch()
    assert daemon.ended(run_id)["state"] == "completed"
    until(lambda: list(runs.iterdir()) == [], "and that of the run when it has ended")


def test_a_retry_whose_earlier_results_are_gone(daemon, tmp_path):
    start(daemon, f"echo attempt; [ -e {tmp_path}/mended ] || {{ touch {tmp_path}/mended; exit 1; }}; echo precious > output/o.txt")
    first = daemon.run_and_wait("p", input={"order": 7})
    assert first["state"] == "failed"
    shutil.rmtree(folder(first))
    assert daemon.api("POST", f"/belfry/v1/runs/{first['id']}/retry", {}).status == 202
    record = daemon.ended(first["id"])
    assert record["state"] == "completed" and record["revision"] == 2 and folder(record) == folder(first)
    assert json.loads((folder(record) / "run.json").read_text()) == record
    assert [a["path"] for a in record["artifacts"]] == ["artifacts/main/o.txt"]
    assert (folder(record) / record["artifacts"][0]["path"]).read_text() == "precious\n"
    assert console(record) == "attempt\n"
    assert [i["path"] for i in record["work_items"]["input"]] == ["work-items/input/1"]
    assert not (folder(record) / "run.1.json").exists() and not (folder(record) / "revision-2").exists()


def test_results_go_when_their_run_ended_long_ago(daemon):
    start(daemon, "true")
    record = daemon.run_and_wait("p")
    process = folder(record).parent.parent
    for name in ("old", "late", ".staging-old", ".gone-old-0123456789abcdef"):
        (process / "2020-01-01" / name).mkdir(parents=True)
        (process / "2020-01-01" / name / "console.log").touch()
    for name in ("old", "late"):   # the one was tried again yesterday
        (process / "2020-01-01" / name / "run.json").write_text("{}")
    for name in ("old/run.json", "late", ".staging-old"):
        os.utime(process / "2020-01-01" / name, (1577880000, 1577880000))
    (process / "2020-01-02").mkdir()
    (process / "notes").mkdir()

    def clean(keep):
        text = daemon.config.read_text()
        kept = "".join(line for line in text.splitlines(True) if not line.startswith("keep_results"))
        daemon.config.write_text(kept.replace("[daemon]", f"[daemon]\nkeep_results = {keep}", 1))
        daemon.cli("reload")

    clean("80d")
    until(lambda: [p.name for p in (process / "2020-01-01").iterdir()] == ["late"], "the old ones go")
    until(lambda: not (process / "2020-01-02").exists(), "an empty day goes")
    assert (process / "2020-01-01/late/console.log").exists() and (process / "notes").exists()
    os.utime(process / "2020-01-01/late/run.json", (1577880000, 1577880000))
    clean("79d")
    until(lambda: not (process / "2020-01-01").exists(), "the last one goes, and its day")
    assert (folder(record) / "run.json").exists()


def test_a_run_that_the_journal_has_forgotten_is_dropped(daemon, tmp_path):
    start(daemon, f"echo $$ > {tmp_path}/pid; sleep 60")
    run_id = daemon.begin("p")
    pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "it runs")
    until(lambda: daemon.run(run_id)["state"] == "running", "its start is known")
    with contextlib.closing(sqlite3.connect(daemon.folder / "state" / "belfry.db", timeout=30)) as journal:
        journal.execute("DELETE FROM runs")
        journal.commit()
    assert [r["id"] for r in daemon.runs()] == []
    daemon.api("POST", f"/belfry/v1/runs/{run_id}/cancel", {})
    until(lambda: "has no record of it any more" in daemon.log_text(), "it is said")
    until(lambda: not os.path.exists(f"/proc/{pid}"), "its command is ended")
    until(lambda: list((daemon.folder / "state" / "runs").iterdir()) == [], "its folder goes")
    assert daemon.status()["runs"]["running"] == 0
    assert daemon.api("GET", f"/belfry/v1/runs/{run_id}").status == 404


def test_an_idempotency_key(daemon):
    start(daemon, "true")
    first = daemon.api("POST", "/belfry/v1/processes/p/runs", {"input": 1}, {"Idempotency-Key": "k-1"})
    again = daemon.api("POST", "/belfry/v1/processes/p/runs", {"input": 1}, {"Idempotency-Key": "k-1"})
    other = daemon.api("POST", "/belfry/v1/processes/p/runs", {"input": 1}, {"Idempotency-Key": "k-2"})
    assert first.status == again.status == other.status == 202
    assert first.json["run_id"] == again.json["run_id"] != other.json["run_id"]
    assert len(daemon.runs()) == 2
    for run in daemon.runs():
        daemon.ended(run["id"])


def test_the_console_while_it_runs(daemon, tmp_path):
    start(daemon, f"echo first; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo second")
    run_id = daemon.begin("p")
    until(lambda: daemon.api("GET", f"/belfry/v1/runs/{run_id}/log").body == b"first\n", "the first line shows")
    (tmp_path / "go").touch()
    daemon.ended(run_id)
    assert daemon.api("GET", f"/belfry/v1/runs/{run_id}/log").body == b"first\nsecond\n"
    assert daemon.api("GET", f"/belfry/v1/runs/{run_id}/log?offset=6").body == b"second\n"


def test_files_of_a_run_by_the_api(daemon):
    start(daemon, "mkdir output/d; echo content > output/d/f")
    record = daemon.run_and_wait("p")
    base = f"/belfry/v1/runs/{record['id']}/files/"
    assert daemon.api("GET", base + record["artifacts"][0]["path"]).body == b"content\n"
    assert json.loads(daemon.api("GET", base + "run.json").body)["id"] == record["id"]
    for path in ("../run.json", "%2e%2e/%2e%2e/x", "artifacts", "nothing", "artifacts%2fmain"):
        assert daemon.api("GET", base + path).status in (400, 404), path
