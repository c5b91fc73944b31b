"""API keys: made, viewed, edited, removed, and what of them reaches the disk."""
import concurrent.futures
import json
import pathlib
import re
import sqlite3
from datetime import datetime, timedelta, timezone

import pytest


def add(daemon, *more, workspace="here", name="ci", permissions="read_runs,Processes.trigger_processes"):
    return daemon.cli("keys", "add", "-w", workspace, "-n", name, "-p", permissions, *more).stdout.strip()


def keys(daemon):
    return json.loads(daemon.cli("--json", "keys", "list").stdout)


def test_a_life(daemon):
    daemon.start("")
    assert daemon.cli("keys", "list").stdout == "there are no keys; see belfry help keys\n"
    value = add(daemon)
    assert re.fullmatch(r"belfry_[0-9A-Za-z]{38}", value)
    key, = keys(daemon)
    assert key["name"] == "ci" and key["workspace"] == "here" and key["uses"] == 0 and key["last_used_at"] is None
    assert key["permissions"] == ["Processes.read_runs", "Processes.trigger_processes"]
    assert "key" not in key
    shown = json.loads(daemon.cli("--json", "keys", "show", key["id"]).stdout)
    assert shown == dict(key, key=value)
    assert value in daemon.cli("keys", "show", key["id"]).stdout
    edited = json.loads(daemon.cli("--json", "keys", "edit", key["id"], "-n", "nightly", "-p", "all", "--expires", "2099-01-01T00:00:00Z").stdout)
    assert edited["name"] == "nightly" and len(edited["permissions"]) == 16 and edited["expires_at"].startswith("2099-01-01")
    assert "expires_at" not in json.loads(daemon.cli("--json", "keys", "edit", key["id"], "--expires", "never").stdout)
    daemon.stop()
    daemon.start()
    assert json.loads(daemon.cli("--json", "keys", "show", key["id"]).stdout)["key"] == value
    other = add(daemon, name="other")
    assert other != value and [k["name"] for k in keys(daemon)] == ["nightly", "other"]
    assert daemon.cli("keys", "remove", key["id"]).stdout == f"the key {key['id']} is removed\n"
    assert [k["name"] for k in keys(daemon)] == ["other"]
    assert daemon.cli("keys", "show", key["id"], check=False).returncode == 1
    assert daemon.cli("keys", "remove", key["id"], check=False).returncode == 1
    daemon.kill()
    daemon.start()
    assert [k["name"] for k in keys(daemon)] == ["other"]


def test_nothing_on_disk_or_in_the_log_shows_a_key(daemon):
    daemon.start("[workspace sealed]\ntype = local\nviewable_keys = no\n")
    values = [add(daemon), add(daemon, workspace="sealed")]
    hidden = next(k for k in keys(daemon) if k["workspace"] == "sealed")
    assert json.loads(daemon.cli("--json", "keys", "show", hidden["id"]).stdout)["key"] is None
    assert "its hash is all there is" in daemon.cli("keys", "show", hidden["id"]).stdout
    assert len(json.loads(daemon.cli("--json", "keys", "list", "-w", "sealed").stdout)) == 1
    daemon.stop()
    for path in daemon.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(v.encode() in data or v[7:39].encode() in data for v in values), path
    assert (daemon.folder / "state" / "master.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("by_reload", [False, True])
def test_values_of_before_are_kept_no_longer(daemon, by_reload):
    sealing = "[workspace sealing]\ntype = local\nviewable_keys = {}\n"
    daemon.start(sealing.format("yes"))
    value, other = add(daemon, workspace="sealing"), add(daemon)
    ids = {k["workspace"]: k["id"] for k in keys(daemon)}
    with sqlite3.connect(daemon.folder / "state" / "belfry.db") as db:
        sealed, = db.execute("SELECT sealed FROM api_keys WHERE id = ?", (ids["sealing"],)).fetchone()
    db.close()
    if not by_reload:
        daemon.stop()
    daemon.configure(sealing.format("no"))
    if by_reload:
        assert daemon.api("POST", "/belfry/v1/reload").status == 200
    else:
        daemon.start()
    for _ in range(2):
        assert daemon.api("GET", f"/belfry/v1/keys/{ids['sealing']}").json["key"] is None
        assert daemon.api("GET", f"/belfry/v1/keys/{ids['here']}").json["key"] == other
        assert daemon.tcp("GET", "/metrics", headers={"Authorization": f"RC-WSKEY {value}"}).status == 200
        daemon.stop()
        assert not any(sealed in path.read_bytes() for path in (daemon.folder / "state").glob("belfry.db*"))
        daemon.configure(sealing.format("yes"))   # what is gone is gone
        daemon.start()


def test_another_master_key_shows_nothing(daemon):
    daemon.start("")
    add(daemon)
    daemon.stop()
    (daemon.folder / "state" / "master.key").write_text("0" * 64 + "\n")
    daemon.start()
    key, = keys(daemon)
    assert "another master key" in daemon.cli("keys", "show", key["id"]).stdout
    daemon.stop()
    (daemon.folder / "state" / "master.key").chmod(0o644)
    assert daemon.start(wait=False).process.wait(30) == 1
    assert "can be read by others" in daemon.log_text()


@pytest.mark.parametrize("body, words", [
    ({}, "needs a name and permissions"), ({"name": "x"}, "needs a name"), ({"name": "", "permissions": []}, "name has to be"),
    ({"name": 1, "permissions": []}, "name has to be"), ({"name": "n" * 201, "permissions": []}, "name has to be"),
    ({"name": "x", "permissions": 1}, "list of names"), ({"name": "x", "permissions": [1]}, "list of names"),
    ({"name": "x", "permissions": ["read_run"]}, "do you mean"), ({"name": "x", "permissions": ["zzz"]}, "there is no permission zzz"),
    ({"name": "x", "permissions": [], "expires_at": "soon"}, "has to be a time"), ({"name": "x", "permissions": [], "wat": 1}, "a key has"),
    ({"name": "x", "permissions": [], "expires_at": "2001-01-01T00:00:00Z"}, "is over already")])
def test_what_is_not_good_changes_nothing(daemon, body, words):
    daemon.start("")
    answer = daemon.api("POST", "/belfry/v1/workspaces/here/keys", body)
    assert answer.status == 400 and words in answer.json["error"]["message"], answer.body
    assert keys(daemon) == []


def test_who_may_and_where(daemon):
    daemon.start("[workspace far]\ntype = local\n")
    assert daemon.api("POST", "/belfry/v1/workspaces/nowhere/keys", {"name": "x", "permissions": []}).status == 404
    value = add(daemon)
    key, = keys(daemon)
    for method, path in (("GET", "/belfry/v1/keys"), ("GET", f"/belfry/v1/keys/{key['id']}"), ("DELETE", f"/belfry/v1/keys/{key['id']}")):
        assert daemon.tcp(method, path).status == 401
        assert daemon.tcp(method, path, headers={"Authorization": f"RC-WSKEY {value}"}).status == 403
    assert daemon.api("GET", f"/belfry/v1/workspaces/far/keys/{key['id']}").status == 404
    assert daemon.api("GET", f"/belfry/v1/workspaces/here/keys/{key['id']}").json["key"] == value
    assert daemon.api("DELETE", f"/belfry/v1/workspaces/here/keys/{key['id']}").json == {"id": key["id"], "deleted": True}
    for words in (["keys"], ["keys", "add"], ["keys", "show"], ["keys", "burn", "x"], ["keys", "add", "-w", "here", "-n", "x"]):
        assert daemon.cli(*words, check=False).returncode == 2
    bad = daemon.cli("keys", "add", "-w", "here", "-n", "x", "-p", "read_run", check=False)
    assert bad.returncode == 2 and "--permissions" in bad.stderr and "do you mean" in bad.stderr


def test_a_key_by_its_name_or_part_of_its_id(daemon):
    daemon.start("")
    for name in ("ci", "twin", "twin", "deadbeef"):
        add(daemon, name=name)
    made = keys(daemon)
    ids = [k["id"] for k in made]
    for i, words in ((0, ("ci", ids[0], ids[0][-8:], ids[0][:-1])), (3, ("deadbeef",))):
        for word in words:
            assert json.loads(daemon.cli("--json", "keys", "show", word).stdout)["id"] == ids[i], word
    for verb in (("show",), ("edit",), ("remove",)):
        both = daemon.cli("keys", *verb, "twin", *(["-n", "x"] if verb == ("edit",) else []), check=False)
        assert both.returncode == 1 and ids[1] in both.stderr and ids[2] in both.stderr and ids[0] not in both.stderr
        none = daemon.cli("keys", *verb, "c", *(["-n", "x"] if verb == ("edit",) else []), check=False)
        assert none.returncode == 1 and 'no key is named "c"' in none.stderr
    assert keys(daemon) == made
    assert daemon.cli("keys", "edit", ids[1][-8:], "-n", "other").returncode == 0
    assert "the key " + ids[2] in daemon.cli("keys", "remove", "twin").stdout
    assert sorted(k["name"] for k in keys(daemon)) == ["ci", "deadbeef", "other"]


def test_the_list_shows_whole_ids(daemon):
    daemon.start("")
    add(daemon, permissions="all")
    add(daemon, name="a-name-of-some-length", permissions="read_runs,read_processes,read_work_items")
    for columns in (60, 80, 200):
        lines = daemon.cli("keys", "list", env={"COLUMNS": str(columns), "LC_ALL": "C.UTF-8"}).stdout.splitlines()
        for key, line in zip(keys(daemon), lines[1:], strict=True):
            assert line.startswith(key["id"] + "  "), line
        assert lines[1].endswith("all") and all(len(line) <= columns for line in lines) or columns == 60
        assert ("Processes.read_work_items" in lines[2]) == (columns == 200)
    assert "never used" in daemon.cli("keys", "show", "ci").stdout


MISUSE = (
    (["add", "-w", "here", "-n", "x", "-p", ""], "--permissions: a key needs one"), (["add", "-w", "here", "-n", "x", "-p", " , "], "needs one"),
    (["edit", "ci", "-p", ""], "needs one"), (["edit", "ci"], "what changes"), (["edit", "ci", "-w", "here"], "edit takes no --workspace"),
    (["show", "ci", "-n", "x"], "show takes no --name"), (["remove", "ci", "-p", "all"], "remove takes no --permissions"),
    (["list", "--expires", "1d"], "list takes no --expires"), (["edit", "ci", "-p", "read_run"], "do you mean"),
    (["edit", "ci", "-n", ""], "name has to be"),
    *((["edit", "ci", "--expires", word], "--expires: ") for word in
      ("", "soon", "2027-02-30", "2027-01-01x", "2001-01-01", "0", "2001-01-01T00:00:00Z", "9999999999d")))


def test_misuse(daemon):
    daemon.start("")
    add(daemon)
    before = keys(daemon)
    for words, said in MISUSE:
        done = daemon.cli("keys", *words, check=False)
        assert done.returncode == 2 and said in done.stderr, done
    assert keys(daemon) == before


def test_until_when_a_key_is_good(daemon):
    daemon.start("")
    add(daemon)

    def expires(text):
        return json.loads(daemon.cli("--json", "keys", "edit", "ci", "--expires", text, env={"TZ": "Europe/Helsinki"}).stdout).get("expires_at")
    assert expires("2099-07-01T12:00:00+02:00") == "2099-07-01T10:00:00.000Z"
    assert expires("2099-07-01") == "2099-06-30T21:00:00.000Z"   # when that day begins
    assert abs(datetime.fromisoformat(expires("30d")) - datetime.now(timezone.utc) - timedelta(days=30)) < timedelta(minutes=5)
    assert expires("never") is None


def test_the_help_names_every_permission(daemon):
    daemon.start("")
    add(daemon, permissions="all")
    shown = daemon.cli("help", "keys", env={"LC_ALL": "C.UTF-8"}).stdout
    manual = (pathlib.Path(__file__).parents[2] / "packaging" / "man" / "belfry.1").read_text()
    assert all(f"  {name} " in shown and name in manual for name in keys(daemon)[0]["permissions"])
    abouts = [line for line in shown.splitlines() if line.startswith("  -") or line.startswith("      --")]
    assert len({line.index("add") if "list" not in line else line.index("list") for line in abouts}) == 1, shown


def test_a_cut_that_was_acknowledged_stays(daemon):
    """Whatever else is edited of the key at that moment."""
    daemon.start("")
    for n in range(20):
        key = daemon.add_key(name=f"k{n}")
        path = f"/belfry/v1/keys/{key['id']}"
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            edits = [pool.submit(daemon.api, "POST", path, body) for body in
                     ({"permissions": ["read_runs"]}, {"name": "renamed"}, {"expires_at": "2099-01-01T00:00:00Z"})]
        assert [e.result().status for e in edits] == [200] * 3
        edited = daemon.api("GET", path).json
        assert edited["permissions"] == ["Processes.read_runs"] and edited["name"] == "renamed" and edited["expires_at"].startswith("2099")
    before = keys(daemon)
    daemon.kill()
    daemon.start()
    assert keys(daemon) == before
