"""Belfry's own routes over TCP: with a key of a workspace, and no further than that."""
import pytest

from conftest import bearer, until

CONFIG = """
[process mine]
workspace = here
shell = yes
command = echo said; echo kept > output/kept
[process stays]
workspace = here
shell = yes
command = sleep 600
[process breaks]
workspace = here
steps = broken
[step broken]
command = false
[schedule mine]
process = mine
cron = 0 0 1 1 *
[webhook mine]
process = mine
verify = none
[watch mine]
process = mine
path = {folder}
include = *.mine
[workspace there]
type = local
[process theirs]
workspace = there
shell = yes
command = echo theirs > output/kept
[process theirs-stays]
workspace = there
shell = yes
command = sleep 600
[schedule theirs]
process = theirs
cron = 0 0 1 1 *
[webhook theirs]
process = theirs
verify = none
[watch theirs]
process = theirs
path = {folder}
include = *.theirs
"""


@pytest.fixture
def gate(daemon):
    daemon.start(CONFIG.format(folder=daemon.folder))
    headers = bearer(daemon.add_key(name="monitor")["key"])

    def call(method, path, body=None, status=200, headers=headers):
        answer = daemon.tcp(method, path, body, headers)
        assert answer.status == status, (method, path, answer.status, answer.body)
        return answer.json if answer.headers["Content-Type"] == "application/json" else answer.body
    call.daemon = daemon
    return call


def test_a_key_sees_its_workspace_and_no_other(gate):
    daemon = gate.daemon
    mine, theirs = daemon.run_and_wait("mine")["id"], daemon.run_and_wait("theirs")["id"]
    assert [r["id"] for r in gate("GET", "/belfry/v1/runs")["data"]] == [mine]
    assert [r["id"] for r in gate("GET", "/belfry/v1/runs?workspace=here")["data"]] == [mine]
    gate("GET", "/belfry/v1/runs?workspace=there", status=403)
    assert gate("GET", "/belfry/v1/runs?process=theirs")["data"] == []
    for tail in ("", "?wait_ms=1000", "/log", "/files/artifacts/main/kept"):
        gate("GET", f"/belfry/v1/runs/{mine}{tail}")
        gate("GET", f"/belfry/v1/runs/{theirs}{tail}", status=404)
    assert gate("GET", f"/belfry/v1/runs/{mine}/log") == b"said\n"
    for kind in ("triggers", "next"):
        assert {t.get("name", t.get("schedule")) for t in gate("GET", f"/belfry/v1/{kind}")} == {"mine"}
        assert {t.get("name", t.get("schedule")) for t in daemon.api("GET", f"/belfry/v1/{kind}").json} == {"mine", "theirs"}
    assert len(gate("GET", "/belfry/v1/triggers")) == 3
    gate("GET", "/belfry/v1/next?schedule=theirs", status=404)
    metrics = gate("GET", "/metrics")
    assert b"belfry_runs_ended_total" in metrics and b'"mine"' in metrics and b'"theirs"' not in metrics
    assert b'"theirs"' in daemon.api("GET", "/metrics").body


def test_a_key_acts_in_its_workspace_and_no_other(gate):
    daemon = gate.daemon
    for kind in ("schedule", "watch", "webhook"):
        assert gate("POST", f"/belfry/v1/triggers/{kind}/mine/pause") == {"paused": True}
        for action in ("pause", "resume"):
            gate("POST", f"/belfry/v1/triggers/{kind}/theirs/{action}", status=404)
    assert {t["name"] for t in daemon.api("GET", "/belfry/v1/triggers").json if t["paused"]} == {"mine"}
    headers = dict(bearer(daemon.add_key(name="caller")["key"]), **{"Idempotency-Key": "k"})
    run = gate("POST", "/belfry/v1/processes/mine/runs", {"input": {"a": 1}}, 202, headers)["run_id"]
    assert gate("POST", "/belfry/v1/processes/mine/runs", {"input": {"a": 1}}, 202, headers)["run_id"] == run
    record = daemon.ended(run)
    assert record["trigger"] == {"kind": "api", "name": "caller"}
    gate("POST", "/belfry/v1/processes/theirs/runs", {}, 404)
    for body in ({"files": [str(daemon.config)]}, {"by": "root"}):   # nobody reads the machine's files through a key
        gate("POST", "/belfry/v1/processes/mine/runs", body, 422)
    stays, theirs = daemon.begin("stays"), daemon.begin("theirs-stays")
    until(lambda: {daemon.run(r)["state"] for r in (stays, theirs)} == {"running"}, "both run")
    gate("POST", f"/belfry/v1/runs/{theirs}/cancel", {}, 404)
    gate("POST", f"/belfry/v1/runs/{stays}/cancel", {}, 202)
    assert daemon.ended(stays)["state"] == "canceled" and daemon.run(theirs)["state"] == "running"
    gate("POST", f"/belfry/v1/runs/{stays}/cancel", {}, 409)
    broken = daemon.run_and_wait("breaks")["id"]
    other = bearer(daemon.add_key(workspace="there")["key"])
    gate("POST", f"/belfry/v1/runs/{broken}/retry", {}, 404, other)
    gate("POST", f"/belfry/v1/runs/{broken}/retry", {}, 202)
    assert gate("POST", f"/belfry/v1/runs/{theirs}/cancel", {}, 202, other) == {"accepted": True}


def test_what_was_accepted_is_kept_by_a_daemon_that_is_killed(gate):
    daemon = gate.daemon
    for n in range(8):
        run = daemon.begin("stays")
        until(lambda: daemon.run(run)["state"] == "running", "it runs")
        if n % 4 < 2:
            assert daemon.api("POST", f"/belfry/v1/runs/{run}/cancel").status == 202
        else:
            stop = {"set_remaining_work_items_as_done": False, "terminate_ongoing_activity_runs": True}
            assert daemon.api("POST", f"/api/v1/workspaces/here/process-runs/{run}/stop", stop).status == 200
        action = "pause" if n % 2 else "resume"
        assert daemon.api("POST", f"/belfry/v1/triggers/schedule/mine/{action}").status == 200
        daemon.kill()
        daemon.start()
        assert [t["paused"] for t in daemon.api("GET", "/belfry/v1/triggers").json if (t["kind"], t["name"]) == ("schedule", "mine")] == [bool(n % 2)]
        assert daemon.ended(run)["state"] == "canceled"


RUN = "01890000-0000-7000-8000-000000000000"
ROUTES = {
    ("GET", "/metrics"): ["read_runs"], ("GET", "/belfry/v1/triggers"): ["read_processes"], ("GET", "/belfry/v1/next"): ["read_processes"],
    ("POST", "/belfry/v1/triggers/schedule/mine/pause"): ["trigger_processes"],
    ("POST", "/belfry/v1/triggers/schedule/mine/resume"): ["trigger_processes"],
    ("GET", "/belfry/v1/runs"): ["read_runs", "read_work_items"], ("GET", f"/belfry/v1/runs/{RUN}"): ["read_runs", "read_work_items"],
    ("GET", f"/belfry/v1/runs/{RUN}/log"): ["read_run_outputs"],
    ("GET", f"/belfry/v1/runs/{RUN}/files/a"): ["read_run_outputs", "read_work_items"],
    ("POST", f"/belfry/v1/runs/{RUN}/cancel"): ["trigger_processes"], ("POST", f"/belfry/v1/runs/{RUN}/retry"): ["write_work_items"],
    ("POST", "/belfry/v1/processes/mine/runs"): ["trigger_processes"],
}
OPERATORS = [("GET", "/belfry/v1/status"), ("POST", "/belfry/v1/reload"), ("GET", "/belfry/v1/keys"), ("GET", f"/belfry/v1/keys/{RUN}"),
             ("POST", f"/belfry/v1/keys/{RUN}"), ("DELETE", f"/belfry/v1/keys/{RUN}"), ("GET", "/belfry/v1/workspaces/here/keys"),
             ("POST", "/belfry/v1/workspaces/here/keys"), ("GET", f"/belfry/v1/workspaces/here/keys/{RUN}"),
             ("POST", f"/belfry/v1/workspaces/here/keys/{RUN}"), ("DELETE", f"/belfry/v1/workspaces/here/keys/{RUN}")]


def test_every_route_asks_for_its_permissions(gate):
    daemon = gate.daemon
    names = [n.partition(".")[2] for n in daemon.add_key()["permissions"]]
    for (method, path), wanted in ROUTES.items():
        exactly = bearer(daemon.add_key(wanted)["key"])
        assert daemon.tcp(method, path, headers=exactly).status in (200, 202, 404), path
        for name in wanted:
            lacking = bearer(daemon.add_key([n for n in names if n != name])["key"])
            assert daemon.tcp(method, path, headers=lacking).status == 403, (path, name)
    for method, path in [*ROUTES, *OPERATORS]:
        gate(method, path, status=401, headers={})
        gate(method, path, status=401, headers=bearer("belfry_nonsense"))
    for method, path in OPERATORS:
        gate(method, path, status=403)
    gate("GET", "/belfry/v1/nothing", status=404)
    gate("DELETE", "/belfry/v1/runs", status=405)
