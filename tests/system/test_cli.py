"""The command line: what it prints, and its exit codes."""
import json
import os
import pty
import subprocess
import urllib.parse

import pytest

from conftest import BUILD, bearer, until

CONFIG = """
[process good]
workspace = here
command = sh -c "echo hello; echo art > output/a.txt"
[process bad]
workspace = here
command = false
[process slow]
workspace = here
command = sleep 60
[schedule nightly]
process = good
cron = 30 2 * * *
timezone = Europe/Berlin
[webhook nightly]
process = good
verify = none
"""


@pytest.fixture
def cli(daemon):
    daemon.start(CONFIG)
    return daemon


def test_run_and_wait(cli):
    done = cli.cli("run", "good", "--input", '{"a": 1}', "--wait", "--json")
    record = json.loads(done.stdout)
    assert record["state"] == "completed" and record["work_items"]["input"][0]["payload"] == {"a": 1}
    assert json.loads(cli.cli("show", record["id"], "--json").stdout) == record
    assert json.loads(cli.cli("--json", "runs").stdout) == [record]
    failed = cli.cli("run", "bad", "--wait", check=False)
    assert failed.returncode == 1 and "failed" in failed.stdout and "exit code   1" in failed.stdout
    run_id = cli.cli("run", "good").stdout.strip()
    assert cli.ended(run_id)["state"] == "completed"


def test_input_from_a_file_and_files(cli, tmp_path):
    (tmp_path / "in.json").write_text("[1, 2]")
    (tmp_path / "f").write_text("f")
    record = json.loads(cli.cli("run", "good", "--input", f"@{tmp_path}/in.json", "--file", str(tmp_path / "f"), "--wait", "--json").stdout)
    assert [i["payload"] for i in record["work_items"]["input"]] == [1, 2]
    assert record["event"]["file"]["path"] == str(tmp_path / "f")
    assert cli.cli("run", "good", "--input", "{", check=False).returncode == 2
    assert cli.cli("run", "good", "--file", "/nonexistent", check=False).returncode == 1


def test_parts_of_an_id(cli):
    record = cli.run_and_wait("good")
    for word in (record["id"], record["id"][-8:], record["id"][:20]):
        assert record["id"] in cli.cli("show", word).stdout
    assert cli.cli("logs", record["id"][-8:]).stdout == "hello\n"
    assert cli.cli("show", "abc", check=False).returncode == 2
    assert cli.cli("show", "00000000-0000-7000-8000-000000000000", check=False).returncode == 1


def test_artifacts(cli, tmp_path):
    record = cli.run_and_wait("good")
    assert "a.txt" in cli.cli("artifacts", record["id"]).stdout
    for _ in range(2):
        cli.cli("artifacts", record["id"], "--get", str(tmp_path / "got"))
    assert sorted(p.name for p in (tmp_path / "got").iterdir()) == ["a-2.txt", "a.txt"]
    assert (tmp_path / "got" / "a-2.txt").read_text() == "art\n"


def test_artifacts_are_called_what_the_run_has_called_them(daemon, tmp_path):
    daemon.start('''
[process names]
workspace = here
shell = yes
command = cd output; echo 1 > -dash; echo 2 > per%cent; mkdir a b; echo 3 > a/two.json; echo 4 > b/two.json
''')
    record = daemon.run_and_wait("names")
    assert [(a["name"], a["path"].rsplit("/", 1)[1]) for a in record["artifacts"]] == [
        ("-dash", "%2Ddash"), ("two.json", "two.json"), ("two.json", "two-2.json"), ("per%cent", "per%25cent")]
    headers = bearer(daemon.add_key()["key"])
    step = record["steps"][0]["id"]
    found = daemon.tcp("GET", f"/api/v1/workspaces/here/step-runs/{step}/artifacts", headers=headers).json["data"]
    assert [a["name"] for a in found] == ["-dash", "per%cent", "two.json", "two.json"] and len({a["id"] for a in found}) == 4
    old = "/process-v1/workspaces/here/processes/names/runs/%s/robotRuns/%s/artifacts" % (record["id"], step)
    for one, content in zip(daemon.tcp("GET", old, headers=headers).json, "1342"):
        link = daemon.tcp("GET", f"{old}/{one['id']}/{urllib.parse.quote(one['fileName'])}", headers=headers).json
        assert daemon.tcp("GET", link.split(str(daemon.address()[1]), 1)[1]).body.decode() == content + "\n"
    listed = daemon.cli("artifacts", record["id"]).stdout
    assert " -dash " in listed and "per%cent" in listed and "two-2.json" not in listed and "%2Ddash" in daemon.cli("show", record["id"]).stdout
    daemon.cli("artifacts", record["id"], "--get", str(tmp_path / "got"))
    got = {p.name: p.read_text().strip() for p in (tmp_path / "got").iterdir()}
    assert got == {"%2Ddash": "1", "per%25cent": "2", "two.json": "3", "two-2.json": "4"}


def test_pause_resume_and_ambiguity(cli):
    both = cli.cli("pause", "nightly", check=False)
    assert both.returncode == 1 and "schedule/nightly" in both.stderr and "webhook/nightly" in both.stderr
    assert "is paused" in cli.cli("pause", "schedule/nightly").stdout
    assert "paused" in cli.cli("triggers").stdout
    cli.cli("resume", "schedule/nightly")
    assert cli.cli("pause", "nope", check=False).returncode == 1


def test_next(cli):
    due = json.loads(cli.cli("next", "--json", "-n", "1", "--from", "2026-03-28T23:00:00Z").stdout)
    assert due == [{"schedule": "nightly", "due": "2026-03-29T01:00:00.000Z", "local": "2026-03-29T03:00:00+02:00"}]
    local = json.loads(cli.cli("next", "--cron", "0 9 * * MON-FRI", "--timezone", "America/New_York", "-n", "2", "--from",
                               "2026-01-02T00:00:00Z", "--json").stdout)
    assert [d["local"] for d in local] == ["2026-01-02T09:00:00-05:00", "2026-01-05T09:00:00-05:00"]
    assert cli.cli("next", "--cron", "61 * * * *", check=False).returncode == 2
    assert cli.cli("next", "nope", check=False).returncode == 1


def test_cancel(cli):
    run_id = cli.begin("slow")
    until(lambda: cli.run(run_id)["state"] == "running", "it runs")
    cli.cli("cancel", run_id, "--reason", "enough")
    assert cli.ended(run_id)["reason"] == "enough"
    assert cli.cli("cancel", run_id, check=False).returncode == 1


def test_follow(cli):
    cli.config.write_text(cli.config.read_text().replace("sleep 60", "sh -c 'for i in 1 2 3; do echo $$i; sleep 0.2; done'"))
    cli.cli("reload")
    assert cli.cli("logs", "-f", cli.begin("slow")).stdout == "1\n2\n3\n"


def test_reload_and_check(cli):
    assert cli.cli("check").returncode == 0
    cli.config.write_text(cli.config.read_text() + "[process x]\nworkspace = nope\n")
    done = cli.cli("reload", check=False)
    assert done.returncode == 78 and "belfry.conf:" in done.stderr
    assert cli.cli("check", check=False).returncode == 78
    assert json.loads(cli.cli("check", "--json", check=False).stdout)["good"] is False


def test_status(cli):
    status = json.loads(cli.cli("status", "--json").stdout)
    assert status["triggers"] == {"schedules": 1, "watches": 0, "webhooks": 1}
    assert "trouble     none" in cli.cli("status").stdout


@pytest.mark.parametrize("words, code, said", [
    ([], 2, ""), (["rnu"], 2, "do you mean run"), (["runs", "--stat", "x"], 2, "do you mean state"), (["show"], 2, "RUN has to follow"),
    (["show", "a", "b"], 2, "too many"), (["run"], 2, "PROCESS"), (["runs", "-n", "0"], 2, "no number"), (["runs", "-n"], 2, "has to follow"),
    (["run", "nope"], 1, "no process nope"), (["runs", "--since", "x"], 2, "no time"), (["status", "--json=1"], 2, "no value"),
    (["runs", "--state", "bogus"], 2, "no such state"),
])
def test_misuse(cli, words, code, said):
    done = cli.cli(*words, check=False)
    assert done.returncode == code and said in done.stderr, done


def test_nobody_there(cli, tmp_path):
    cli.stop()
    assert cli.cli("status", check=False).returncode == 69
    env = dict(os.environ, BELFRY_SOCKET=str(tmp_path / "none"))
    done = subprocess.run([str(BUILD / "belfry"), "status"], env=env, capture_output=True, text=True)
    assert done.returncode == 69 and str(tmp_path / "none") in done.stderr
    assert cli.cli("-c", str(tmp_path / "no.conf"), "status", check=False).returncode == 78


def test_help():
    for words in (["help"], ["--help"], ["help", "run"], ["run", "--help"], ["--version"]):
        done = subprocess.run([str(BUILD / "belfry"), *words], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout and not done.stderr


def test_a_terminal_gets_no_escapes_of_others(cli):
    cli.config.write_text(cli.config.read_text().replace("echo hello;", "printf '\\\\033]0;owned\\\\007x\\\\n';"))
    cli.cli("reload")
    record = cli.run_and_wait("good")
    main, side = pty.openpty()
    process = subprocess.Popen([str(BUILD / "belfry"), "-c", str(cli.config), "logs", record["id"]], stdout=side, env=cli.env)
    process.wait(timeout=20)
    os.close(side)
    shown = os.read(main, 10000)
    os.close(main)
    assert b"owned" in shown and b"\x1b" not in shown and b"\x07" not in shown
    assert cli.cli("logs", record["id"]).stdout == "\x1b]0;owned\x07x\n", "a pipe gets the bytes"


def test_columns(cli):
    cli.run_and_wait("bad")
    wide = cli.cli("runs", env={"COLUMNS": "200"}).stdout.splitlines()
    narrow = cli.cli("runs", env={"COLUMNS": "60"}).stdout.splitlines()
    assert "the command ended with exit code 1" in wide[1]
    assert all(len(line) <= 60 for line in narrow) and narrow[1].endswith("…")
