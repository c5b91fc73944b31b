"""What a run leaves behind is anything at all: it is brought home as far as it may be, and holds up nobody."""
import os
import pathlib

from conftest import ENDS, until


def processes(**scripts):
    more = {name: script if isinstance(script, tuple) else (script, "") for name, script in scripts.items()}
    return "".join(f"[process {name}]\nworkspace = here\noverlap = allow_all\nshell = yes\n{keys}\ncommand = {script}\n"
                   for name, (script, keys) in more.items())


def collecting(daemon, *runs):
    return all(daemon.run(run)["state"] == "collecting" for run in runs)


def test_a_file_that_is_too_big_is_left_out_and_holds_up_nobody(daemon):
    daemon.start(processes(big="truncate -s 2T output/big; echo small > output/small", other="true"))
    big = [daemon.begin("big") for _ in range(4)]
    assert daemon.run_and_wait("other")["state"] == "completed"
    for run in big:
        record = daemon.ended(run)
        assert record["state"] == "completed" and [a["name"] for a in record["artifacts"]] == ["small"], record
        assert len(record["notes"]) == 1 and "big is too big" in record["notes"][0] and "artifacts_max" in record["notes"][0]


def test_what_a_run_leaves_is_bounded_together(daemon):
    script = "cd output; for f in a b c d; do head -c 400 /dev/zero > $$f; done; cd ../../work-items-out; head -c 400 /dev/zero > f;" \
        """ echo '[{"payload": 1, "files": {"f": "f"}}, {"payload": 2}]' > workitems.json"""
    daemon.start(processes(much=(script, "artifacts_max = 1000"), all=(script, "artifacts_max = 0")))
    record = daemon.run_and_wait("much")
    assert [a["name"] for a in record["artifacts"]] == ["a", "b"]
    assert len(record["notes"]) == 3, record["notes"]
    assert [(i["payload"], i["files"]) for i in record["work_items"]["output"]] == [(1, []), (2, [])]
    everything = daemon.run_and_wait("all")
    assert len(everything["artifacts"]) == 4 and everything["work_items"]["output"][0]["files"] == ["f"] and "notes" not in everything


def test_a_step_whose_files_are_too_big_hands_nothing_on(daemon):
    daemon.start(f"""
[process lists]
workspace = here
steps = writes after
artifacts_max = 1G
[step writes]
shell = yes
work_items = file
command = cd "$$(dirname "$$RC_WORKITEM_OUTPUT_PATH")"; truncate -s 2T f; echo '[{{"payload": 1, "files": {{"f": "f"}}}}]' > workitems.json
[step after]
command = touch {daemon.folder}/after
""")
    record = daemon.run_and_wait("lists")
    error = record["steps"][0]["error"]
    assert record["state"] == "failed" and error["code"] == "bad_outputs" and "artifacts_max" in error["message"], record
    assert not (daemon.folder / "after").exists() and list((daemon.folder / "state" / "items").iterdir()) == []


def test_a_stop_does_not_wait_for_what_a_run_left(daemon):
    """The next daemon begins again; two are read at once, others wait, and neither hinders an end."""
    daemon.start(processes(big=("truncate -s 1T output/big", "artifacts_max = 2T"), other="touch output/x"))
    big = [daemon.begin("big") for _ in range(4)]
    until(lambda: collecting(daemon, *big), "they are brought home")
    daemon.stop()
    daemon.start()
    assert collecting(daemon, *big)
    other = daemon.begin("other")   # it is started, and waits for its turn
    until(lambda: collecting(daemon, other), "another is started and has ended")
    daemon.stop()
    daemon.configure(processes(big=("true", "artifacts_max = 1G"), other="true"))
    daemon.start()
    for run in (*big, other):
        assert daemon.ended(run)["state"] == "completed"


def test_notes_are_not_as_many_as_a_run_likes(daemon):
    daemon.start(processes(links="cd output; i=0; while [ $$i -lt 5000 ]; do ln -s x link-$$i; i=$$((i+1)); done; echo x > kept"))
    record = daemon.run_and_wait("links")
    assert [a["name"] for a in record["artifacts"]] == ["kept"]
    assert len(record["notes"]) == 101 and record["notes"][-1] == "4900 more like these", record["notes"][-3:]


def test_a_retried_run_that_left_deep_folders_is_started_again(daemon):
    deep = "import os\nfor _ in range(700): os.mkdir('d'); os.chdir('d')"
    daemon.wrap = ["/bin/sh", "-c", 'ulimit -n 300; exec "$@"', "sh"]
    (daemon.folder / "deep.py").write_text(deep)
    daemon.start(processes(deep=(f"/usr/bin/python3 {daemon.folder}/deep.py; [ $$BELFRY_ATTEMPT = 2 ]", "retries = 1\nretry_delay = 100ms")))
    record = daemon.run_and_wait("deep")
    assert record["state"] == "completed" and record["attempt"] == 2, record
    runs = daemon.folder / "state" / "runs"
    until(lambda: list(runs.iterdir()) == [], "its folder is removed")
