"""A full disk delays; it loses nothing, and says so."""
import json
import os
import subprocess
import sys

import pytest

from conftest import until

CONFIG = """
[process p]
workspace = here
command = sh -c "echo $$BELFRY_RUN_ID >> {out}/started; head -c 100000 /dev/zero > output/zeros"
[webhook hook]
process = p
verify = none
"""


@pytest.fixture
def small_disk(daemon, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)],
                                                   capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("a small file system cannot be mounted here")
    daemon.folder = disk
    yield daemon
    daemon.end()
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(folder, leave=0):
    with open(folder / "ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            ballast.truncate(ballast.tell() - leave)


def test_a_full_disk(small_disk, tmp_path):
    daemon = small_disk
    daemon.start(CONFIG.format(out=tmp_path))
    first = daemon.tcp("POST", "/hooks/hook", {"n": 0})
    daemon.ended(first.json["run_id"])
    address = daemon.address()
    fill(daemon.folder)
    refused = 0
    accepted = [first.json["run_id"]]
    for n in range(1, 200):
        answer = daemon.tcp("POST", "/hooks/hook", {"n": n, "pad": "x" * 3000})
        assert answer.status in (202, 503), answer.body
        if answer.status == 202:
            accepted.append(answer.json["run_id"])
        else:
            refused += 1
            assert answer.headers["Retry-After"] and "error" in answer.json
            if refused == 3:
                break
    assert refused == 3
    status = until(lambda: not daemon.status()["journal"]["writable"] and daemon.status(), "the trouble shows")
    assert status["journal"]["problem"]
    assert daemon.api("GET", "/readyz").status == 503
    assert address
    (daemon.folder / "ballast").unlink()
    for run_id in accepted:
        assert daemon.ended(run_id)["state"] == "completed"
    until(lambda: daemon.tcp("POST", "/hooks/hook", {"again": True}).status == 202, "webhooks are taken again")
    until(lambda: daemon.api("GET", "/readyz").status == 200, "it is ready again")
    until(lambda: not [r for r in daemon.runs() if "ended" not in r], "all end")
    started = (tmp_path / "started").read_text().split()
    assert len(started) == len(set(started)) and set(started) == {r["id"] for r in daemon.runs()}
    for run in daemon.runs():
        assert json.loads(open(run["results"] + "/run.json").read())["id"] == run["id"]


def test_results_that_cannot_be_written_wait(small_disk, tmp_path):
    daemon = small_disk
    daemon.configure(CONFIG.format(out=tmp_path))
    text = daemon.config.read_text().replace("state_dir = state", f"state_dir = {tmp_path}/state")
    daemon.config.write_text(text)
    daemon.start()
    fill(daemon.folder)
    run_id = daemon.begin("p")
    trouble = until(lambda: daemon.status()["troubles"], "the trouble shows")[0]
    assert "collecting" in trouble and ("space" in trouble.lower())
    (daemon.folder / "ballast").unlink()
    record = daemon.ended(run_id)
    assert record["state"] == "completed" and record["artifacts"][0]["size"] == 100000


def test_a_start_that_has_no_room_takes_none(small_disk, tmp_path):
    daemon = small_disk
    files = [tmp_path / f"in{n}" for n in range(3)]
    for file in files:
        file.write_bytes(b"x" * 1000000)
    daemon.start("[process p]\nworkspace = here\nsteps = one\nresults = log\n[step one]\ncommand = /bin/true\n")
    fill(daemon.folder, leave=2500000)
    run_id = daemon.begin("p", files=[str(file) for file in files])
    until(lambda: any("space" in t.lower() for t in daemon.status()["troubles"]), "the trouble shows")
    until(lambda: list((daemon.folder / "state" / "items").iterdir()) == [], "what had been brought is gone")
    (daemon.folder / "ballast").unlink()
    assert daemon.ended(run_id)["state"] == "completed"


def test_a_command_whose_files_have_no_room_takes_none(small_disk, tmp_path):
    daemon = small_disk
    files = [tmp_path / f"in{n}" for n in range(3)]
    for file in files:
        file.write_bytes(b"x" * 1000000)
    daemon.start("[process p]\nworkspace = here\nresults = log\ncommand = /bin/true\n")
    fill(daemon.folder, leave=2500000)
    run_id = daemon.begin("p", files=[str(file) for file in files])
    until(lambda: any("space" in t.lower() for t in daemon.status()["troubles"]), "the trouble shows")
    until(lambda: list((daemon.folder / "state" / "runs").rglob("in?")) == [], "what had been copied is gone")
    (daemon.folder / "ballast").unlink()
    assert daemon.ended(run_id)["state"] == "completed"


def test_outputs_that_have_no_room_take_none(small_disk, tmp_path):
    daemon = small_disk
    out = tmp_path / "out.py"
    out.write_text(f"""
import json, os, pathlib, time
folder = pathlib.Path(os.environ["RC_WORKITEM_OUTPUT_PATH"]).parent
names = [f"f{{n}}" for n in range(3)]
for name in names:
    (folder / name).write_bytes(b"x" * 1000000)
(folder / "workitems.json").write_text(json.dumps([{{"payload": 1, "files": {{n: n for n in names}}}}]))
pathlib.Path("{tmp_path}/up").touch()
while not os.path.exists("{tmp_path}/go"):
    time.sleep(0.05)
""")
    daemon.start(f"[process p]\nworkspace = here\nsteps = one\nresults = log\n"
                 f"[step one]\nwork_items = file\ncommand = {sys.executable} {out}\n")
    run_id = daemon.begin("p")
    until((tmp_path / "up").exists, "its outputs lie there")
    fill(daemon.folder, leave=2500000)
    (tmp_path / "go").touch()
    until(lambda: "outputs are taken in later" in daemon.log_text(), "they cannot be taken")
    until(lambda: list((daemon.folder / "state" / "items").iterdir()) == [], "what had been taken is gone")
    (daemon.folder / "ballast").unlink()
    assert daemon.ended(run_id)["state"] == "completed"
    assert len(list((daemon.folder / "state" / "items").iterdir())) == 3
