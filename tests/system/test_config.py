"""Configuration: everything that is wrong, at once; and reloading it."""
import subprocess

from conftest import BUILD, until

BAD = """[daemon]
state_dir = state
results_dir = results
socket = s
log_levl = info
[workspace here]
type = lokal
[process p]
workspace = ther
command = true
timeout = 5 minutes
timeout = 5m
[schedule s]
proces = p
cron = 61 * * * *
[webhok w]
process = p
just text
[watch w]
process = p
path = .
input = .a |
"""


def check(daemon, text, program="belfryd"):
    daemon.config.write_text(text)
    words = [str(BUILD / "belfryd"), "-t", "-c", str(daemon.config)]
    if program == "belfry":
        words = [str(BUILD / "belfry"), "-c", str(daemon.config), "check"]
    return subprocess.run(words, env=daemon.env, capture_output=True, text=True, timeout=30)


def test_all_that_is_wrong_at_once(daemon):
    for program in ("belfryd", "belfry"):
        done = check(daemon, BAD, program)
        assert done.returncode == 78
        name = str(daemon.config)
        lines = done.stderr.splitlines()
        assert all(line.startswith(name + ":") for line in lines), done.stderr
        numbers = [int(line[len(name) + 1:].split(":")[0]) for line in lines]
        assert numbers == sorted(numbers)
        assert {5, 7, 9, 11, 12, 14, 15, 16, 18, 22} <= set(numbers), done.stderr
        for words in ("log_level", "local", "here", "process", "webhook"):
            assert words in done.stderr, words
    started = daemon.start(wait=False)
    assert started.process.wait(timeout=20) == 78 and not (daemon.folder / "state").exists()
    started.log.close()


def test_a_good_one(daemon):
    daemon.configure("[process p]\nworkspace = here\ncommand = true\n")
    done = check(daemon, daemon.config.read_text())
    assert done.returncode == 0 and "good" in done.stdout and done.stderr == ""


def test_no_file(daemon):
    done = subprocess.run([str(BUILD / "belfryd"), "-t", "-c", str(daemon.folder / "none.conf")], env=daemon.env,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 78 and "none.conf" in done.stderr


def test_usage():
    done = subprocess.run([str(BUILD / "belfryd"), "-x"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "usage: belfryd" in done.stderr
    assert subprocess.run([str(BUILD / "belfryd"), "-V"], capture_output=True, text=True, timeout=30).stdout.startswith("belfryd ")


def test_conf_d_and_environment(daemon):
    (daemon.folder / "conf.d").mkdir()
    (daemon.folder / "conf.d" / "10.conf").write_text("[process p]\nworkspace = here\ncommand = echo ${WORD} $$HOME\n")
    (daemon.folder / "conf.d" / "ignored").write_text("nonsense")
    daemon.env["WORD"] = "from the environment"
    daemon.start("")
    record = daemon.run_and_wait("p")
    assert daemon.api("GET", f"/belfry/v1/runs/{record['id']}/log").body == b"from the environment $HOME\n"


def test_secrets_that_others_may_write(daemon):
    daemon.configure("[process p]\nworkspace = here\ncommand = true\n[webhook w]\nprocess = p\nverify = bearer\nsecret_file = s\n")
    text = daemon.config.read_text()
    (daemon.folder / "s").write_text("hunter2")
    (daemon.folder / "s").chmod(0o620)
    done = check(daemon, text)
    assert done.returncode == 78 and "hunter2" not in done.stderr + done.stdout
    (daemon.folder / "s").chmod(0o640)
    done = check(daemon, text)
    assert done.returncode == 0 and "secret_file" in done.stderr


PROCESS = "[process p]\nworkspace = here\ncommand = true\n"


def test_reload(daemon):
    daemon.start(PROCESS + "[schedule a]\nprocess = p\ncron = 0 0 1 1 *\n[schedule b]\nprocess = p\ncron = 0 0 1 1 *\n")
    daemon.api("POST", "/belfry/v1/triggers/schedule/b/pause")
    daemon.configure(PROCESS + "[schedule b]\nprocess = p\ncron = 0 0 1 1 *\n[schedule c]\nprocess = p\ncron = * * * * * *\n")
    assert daemon.api("POST", "/belfry/v1/reload").json == {"reloaded": True, "warnings": ""}
    views = {v["name"]: v for v in daemon.api("GET", "/belfry/v1/triggers").json}
    assert set(views) == {"b", "c"} and views["b"]["paused"] is True
    until(lambda: daemon.runs(), "the new one rings")
    daemon.configure("[process p]\nworkspace = nowhere\n")
    answer = daemon.api("POST", "/belfry/v1/reload")
    assert answer.status == 422 and answer.json["error"]["code"] == "bad_configuration"
    assert "belfry.conf:" in answer.json["error"]["message"]
    count = len(daemon.runs())
    until(lambda: len(daemon.runs()) > count, "the old one stays in force")


def test_reload_by_signal(daemon):
    import signal
    daemon.start(PROCESS)
    daemon.configure(PROCESS + "[schedule c]\nprocess = p\ncron = 0 0 1 1 *\n")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: daemon.api("GET", "/belfry/v1/triggers").json, "it is read again")
    daemon.configure("nonsense")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "stays as it was" in daemon.log_text(), "it is refused")
    assert len(daemon.api("GET", "/belfry/v1/triggers").json) == 1


def test_a_running_run_is_not_disturbed_by_a_reload(daemon):
    go = daemon.folder / "go"
    daemon.start(PROCESS.replace("true", f"sh -c 'while [ ! -e {go} ]; do sleep 0.05; done'"))
    run_id = daemon.begin("p")
    until(lambda: daemon.run(run_id)["state"] == "running", "it runs")
    daemon.configure("[process other]\nworkspace = here\ncommand = true\n")
    assert daemon.api("POST", "/belfry/v1/reload").status == 200
    assert daemon.api("POST", "/belfry/v1/processes/p/runs", {}).status == 404
    go.touch()
    assert daemon.ended(run_id)["state"] == "completed"
