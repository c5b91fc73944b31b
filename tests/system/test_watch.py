"""Watches: each version of a file once, and never before it is whole."""
import os
import pathlib

from conftest import until

CONFIG = """
[process p]
workspace = here
shell = yes
overlap = allow_all
command = cp "$$BELFRY_FILE" output/copy 2>/dev/null; {command}
[watch w]
process = p
path = inbox
{watch}
"""


def start(daemon, watch="", command="true"):
    (daemon.folder / "inbox").mkdir(exist_ok=True)
    settle = "" if "settle" in watch else "settle = 200ms\n"
    return daemon.start(CONFIG.format(watch=settle + watch, command=command))


def drop(daemon, name, content):
    path = daemon.folder / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def names(daemon, **query):
    return sorted(r["event"]["file"]["name"] for r in daemon.runs(**query) if "file" in r["event"])


def settled(daemon, expected):
    until(lambda: names(daemon, state="completed") == sorted(expected), f"runs of {expected}, not {names(daemon)}")


def flush(daemon):
    """A file that is dropped after the others and has rung tells that theirs have been judged too."""
    drop(daemon, "zz-last", "x")
    until(lambda: "zz-last" in names(daemon, state="completed"), "the last one rings")


def test_a_dropped_file(daemon):
    start(daemon)
    drop(daemon, "a.csv", "1;2")
    record = until(lambda: daemon.runs(state="completed"), "it rings")[0]
    file = record["event"]["file"]
    assert file["path"] == str(daemon.folder / "inbox" / "a.csv") and file["dir"] == str(daemon.folder / "inbox")
    assert file["size"] == 3 and set(file) >= {"path", "name", "dir", "size", "mtime"}
    assert (pathlib.Path(record["results"]) / record["artifacts"][0]["path"]).read_text() == "1;2"
    drop(daemon, "a.csv", "a new version")
    settled(daemon, ["a.csv", "a.csv"])
    os.rename(drop(daemon, "../moved", "moved in"), daemon.folder / "inbox" / "b.csv")
    settled(daemon, ["a.csv", "a.csv", "b.csv"])


def test_a_file_that_is_still_written(daemon):
    start(daemon)
    with open(daemon.folder / "inbox" / "slow", "w") as out:
        out.write("first")
        out.flush()
        flush(daemon)
        assert names(daemon) == ["zz-last"]
        out.write(" second")
    record = until(lambda: [r for r in daemon.runs(state="completed") if r["event"]["file"]["name"] == "slow"], "it rings")[0]
    assert record["event"]["file"]["size"] == len("first second")


def test_three_hundred_at_once(daemon):
    start(daemon, "overlap = buffer_all\nsuccess = delete")
    for n in range(300):
        drop(daemon, f"f{n:03}", str(n))
    expected = sorted(f"f{n:03}" for n in range(300))
    until(lambda: names(daemon) == expected, "all have rung")
    until(lambda: not list((daemon.folder / "inbox").iterdir()), "all are done with")
    assert names(daemon) == expected


def test_a_restart_in_the_middle(daemon):
    start(daemon)
    drop(daemon, "before", "1")
    settled(daemon, ["before"])
    daemon.kill()
    drop(daemon, "meanwhile", "2")
    daemon.start()
    settled(daemon, ["before", "meanwhile"])
    daemon.stop()
    daemon.start()
    flush(daemon)
    assert names(daemon) == ["before", "meanwhile", "zz-last"]


def test_existing_files(daemon):
    (daemon.folder / "inbox").mkdir()
    drop(daemon, "old", "1")
    start(daemon, "existing = ignore")
    flush(daemon)
    assert names(daemon) == ["zz-last"]
    drop(daemon, "old", "changed")
    settled(daemon, ["old", "zz-last"])


def test_names(daemon):
    start(daemon, "include = *.csv *.txt\nexclude = no*")
    for name in ("a.csv", "no.csv", "b.pdf", ".hidden.csv", "c.txt~", "ä b.txt"):
        drop(daemon, name, "1")
    drop(daemon, "zz.txt", "x")
    until(lambda: "zz.txt" in names(daemon, state="completed"), "the last one rings")
    settled(daemon, ["a.csv", "zz.txt", "ä b.txt"])


def test_recursive(daemon):
    start(daemon, "recursive = yes")
    drop(daemon, "a", "1")
    drop(daemon, "new/deep/b", "2")
    settled(daemon, ["a", "b"])


def test_success_and_failure(daemon):
    (daemon.folder / "done").mkdir()
    (daemon.folder / "done" / "good").write_text("was there before")
    start(daemon, "success = move done\nfailure = move bad", command='! grep -q bad "$$BELFRY_FILE"')
    drop(daemon, "good", "good")
    drop(daemon, "evil", "bad")
    until(lambda: not list((daemon.folder / "inbox").iterdir()), "both are moved")
    assert (daemon.folder / "done" / "good").read_text() == "was there before"
    assert (daemon.folder / "done" / "good-2").read_text() == "good"
    assert (daemon.folder / "bad" / "evil").read_text() == "bad"


def test_the_move_survives_a_kill(daemon):
    start(daemon, "success = move done", command=f"while [ ! -e {daemon.folder}/go ]; do sleep 0.05; done")
    drop(daemon, "a", "1")
    until(lambda: daemon.runs(state="running"), "it runs")
    daemon.kill()
    (daemon.folder / "go").touch()
    daemon.start()
    until((daemon.folder / "done" / "a").exists, "it is moved")
    assert len(daemon.runs()) == 1


def test_a_marker(daemon):
    start(daemon, "marker = %f.done\nsettle = 1h")
    drop(daemon, "a", "1")
    drop(daemon, "b", "2")
    drop(daemon, "b.done", "")
    settled(daemon, ["b"])
    drop(daemon, "a.done", "")
    settled(daemon, ["a", "b"])


def test_the_folder_goes_and_comes_back(daemon):
    start(daemon)
    drop(daemon, "a", "1")
    settled(daemon, ["a"])
    os.rename(daemon.folder / "inbox", daemon.folder / "away")
    until(lambda: not daemon.api("GET", "/belfry/v1/triggers").json[0]["there"], "it is seen to be gone")
    (daemon.folder / "inbox").mkdir()
    drop(daemon, "b", "2")
    settled(daemon, ["a", "b"])


def test_a_folder_above_goes_and_comes_back(daemon):
    (daemon.folder / "a" / "b" / "in").mkdir(parents=True)
    daemon.start(CONFIG.format(watch="settle = 200ms", command="true").replace("path = inbox", "path = a/b/in"))
    (daemon.folder / "a" / "b" / "in" / "one").write_text("1")
    settled(daemon, ["one"])
    os.rename(daemon.folder / "a", daemon.folder / "away")
    until(lambda: not daemon.api("GET", "/belfry/v1/triggers").json[0]["there"], "it is seen to be gone")
    (daemon.folder / "away" / "b" / "in" / "elsewhere").write_text("1")
    (daemon.folder / "a" / "b" / "in").mkdir(parents=True)
    (daemon.folder / "a" / "b" / "in" / "two").write_text("2")
    settled(daemon, ["one", "two"])


def test_polling(daemon):
    start(daemon, "mode = poll\npoll_interval = 200ms")
    drop(daemon, "a", "1")
    settled(daemon, ["a"])
    assert daemon.api("GET", "/belfry/v1/triggers").json[0]["polling"] is True


def test_paused(daemon):
    start(daemon)
    daemon.api("POST", "/belfry/v1/triggers/watch/w/pause")
    drop(daemon, "a", "1")
    daemon.stop()
    daemon.start()
    assert daemon.api("GET", "/belfry/v1/triggers").json[0]["paused"] is True and daemon.runs() == []
    daemon.api("POST", "/belfry/v1/triggers/watch/w/resume")
    settled(daemon, ["a"])


def test_hostile_names(daemon):
    start(daemon)
    drop(daemon, "with\nnewline and \x1b[31m", "1")
    with open(os.fsencode(daemon.folder) + b"/inbox/\xff\xfe", "w") as out:
        out.write("not UTF-8")
    (daemon.folder / "inbox" / "link").symlink_to("/etc/passwd")
    (daemon.folder / "inbox" / "folder").mkdir()
    os.mkfifo(daemon.folder / "inbox" / "pipe")
    flush(daemon)
    runs = until(lambda: len(daemon.runs()) == 3 and daemon.runs(), "three records")
    assert sorted(r["state"] for r in runs) == ["completed", "completed", "skipped"]
    assert "\x1b" not in daemon.log_text()


def test_a_large_file_delays_nobody_else(daemon):
    """It is copied aside: what the run works on stays what it was, and others are served meanwhile."""
    start(daemon, "success = delete")
    with open(daemon.folder / "inbox" / "large", "wb") as out:
        out.truncate(300 << 20)
    until(lambda: [r for r in daemon.runs() if r["event"]["file"]["name"] == "large"], "it rings")
    assert daemon.api("GET", "/healthz").status == 200
    record = until(lambda: daemon.runs(state="completed"), "it ends")[0]
    assert record["artifacts"][0]["size"] == 300 << 20
    until(lambda: not (daemon.folder / "inbox" / "large").exists(), "it is deleted")
