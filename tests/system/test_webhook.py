"""Webhooks: the answers, and what they promise."""
import hashlib
import hmac
import json
import pathlib

import pytest

from conftest import until

CONFIG = """
[process p]
workspace = here
command = {command}
{process}
[webhook hook]
process = p
{hook}
"""
SECRET = "hunter2-hunter2"


def start(daemon, hook, process="", command="sh -c 'echo $BELFRY_RUN_ID >> started'"):
    command = command.replace("started", f"{daemon.folder}/started")
    secret = daemon.folder / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    return daemon.start(CONFIG.format(command=command, hook=hook, process=process).replace("$", "$$"))


def post(daemon, body, headers=None, path="/hooks/hook", method="POST"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return daemon.tcp(method, path, data, dict({"Content-Type": "application/json"}, **(headers or {})))


def sign(body, secret=SECRET):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def code(answer):
    return answer.json["error"]["code"]


def test_accepted_means_on_disk(daemon):
    start(daemon, "verify = hmac X-Sig hex\nsecret_file = secret")
    ids = []
    for n in range(20):
        answer = post(daemon, {"n": n}, {"X-Sig": sign({"n": n})})
        assert answer.status == 202 and set(answer.json) == {"run_id", "event_id", "state"}
        ids.append(answer.json["run_id"])
    daemon.kill()
    daemon.start()
    for n, run_id in enumerate(ids):
        record = daemon.ended(run_id)
        assert record["state"] == "completed" and record["event"]["request"]["body"] == {"n": n}
    started = (daemon.folder / "started").read_text().split()
    assert sorted(started) == sorted(ids)


def test_the_event(daemon):
    start(daemon, "verify = bearer\nsecret_file = secret")
    answer = post(daemon, {"a": [1]}, {"Authorization": f"Bearer {SECRET}", "X-One": "1", "Cookie": "c=1", "x-one": "2"},
                  path="/hooks/hook?q=1&q=2&r=%C3%A4")
    record = daemon.ended(answer.json["run_id"])
    request = record["event"]["request"]
    assert request["method"] == "POST" and request["path"] == "/hooks/hook" and request["remote"] == "127.0.0.1"
    assert request["query"] == {"q": ["1", "2"], "r": "ä"} and request["body"] == {"a": [1]}
    assert "authorization" not in request["headers"] and "cookie" not in request["headers"]
    assert "headers" not in record["work_items"]["input"][0]["payload"]["request"]
    everything = daemon.log_text() + json.dumps(record) + daemon.api("GET", "/belfry/v1/triggers").body.decode()
    everything += "".join(p.read_text(errors="replace") for p in pathlib.Path(record["results"]).rglob("*") if p.is_file())
    assert SECRET not in everything


@pytest.mark.parametrize("kind, body, shown", [
    ("application/x-www-form-urlencoded", b"a=1&b=%C3%A4+x&a=2", {"a": ["1", "2"], "b": "ä x"}),
    ("application/vnd.api+json; charset=utf-8", b"[1]", [1]), ("text/plain", b"plain", "plain"),
    ("application/octet-stream", b"\xff\x00", "/wA="), ("application/json", b"", None)])
def test_bodies(daemon, kind, body, shown):
    start(daemon, "verify = none")
    answer = post(daemon, body, {"Content-Type": kind})
    assert answer.status == 202, answer.body
    assert daemon.ended(answer.json["run_id"])["event"]["request"]["body"] == shown


@pytest.mark.parametrize("body", [b"{", b'{"a": 1, "a": 2}', b"[1] 2", b"nul", b'"\xff"', b"[" * 1000 + b"]" * 1000])
def test_bad_bodies(daemon, body):
    start(daemon, "verify = none")
    answer = post(daemon, body)
    assert answer.status == 400 and code(answer) == "bad_body"
    assert daemon.runs() == []


def test_github(daemon):
    start(daemon, "verify = github\nsecret_file = secret")
    body = {"action": "opened"}
    assert post(daemon, body).status == 401
    assert post(daemon, body, {"X-Hub-Signature-256": "sha256=" + sign(body, "wrong")}).status == 401
    assert post(daemon, body, {"X-Hub-Signature-256": sign(body)}).status == 401
    assert post(daemon, body, {"X-Hub-Signature-256": "sha256=" + sign(body)}).status == 202
    assert len(daemon.runs()) == 1


def test_a_signed_message_that_comes_again(daemon):
    start(daemon, "verify = hmac X-Sig hex\nsecret_file = secret")
    first = post(daemon, {"n": 1}, {"X-Sig": sign({"n": 1})})
    again = post(daemon, {"n": 1}, {"X-Sig": sign({"n": 1}).upper()})
    assert again.status == 202 and again.json["run_id"] == first.json["run_id"]
    daemon.ended(first.json["run_id"])
    daemon.kill()
    daemon.start()
    after = post(daemon, {"n": 1}, {"X-Sig": sign({"n": 1})})
    assert after.json["run_id"] == first.json["run_id"] and after.json["state"] == "completed"
    assert len(daemon.runs()) == 1


def test_when_key_and_input(daemon):
    start(daemon, """verify = none
when = .request.body.go
key = .request.body.order
input = .request.body | {order, times: 2}""")
    no = post(daemon, {"go": False, "order": 1})
    assert no.status == 200 and "skipped" in no.json and daemon.runs() == []
    first = post(daemon, {"go": True, "order": 1})
    again = post(daemon, {"go": True, "order": 1, "more": 1})
    other = post(daemon, {"go": True, "order": 2})
    assert first.json["run_id"] == again.json["run_id"] != other.json["run_id"]
    record = daemon.ended(first.json["run_id"])
    assert record["work_items"]["input"][0]["payload"] == {"order": 1, "times": 2}
    bad = post(daemon, [1])
    assert bad.status == 422 and code(bad) == "event_error"


def test_an_input_program_that_gives_many(daemon):
    start(daemon, "verify = none\ninput = [.request.body.items[] | {n: .}]")
    record = daemon.ended(post(daemon, {"items": [1, 2, 3]}).json["run_id"])
    assert [i["payload"] for i in record["work_items"]["input"]] == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_program_that_does_not_end(daemon):
    start(daemon, "verify = none\ninput = if .request.body.loop then [range(1e12)] | length else 1 end")
    answer = post(daemon, {"loop": True})
    assert answer.status == 422 and code(answer) == "event_error"
    assert daemon.ended(post(daemon, {"loop": False}).json["run_id"])["state"] == "completed"


def test_refusals(daemon):
    start(daemon, "verify = none\nallow_from = 10.0.0.0/8 192.0.2.7\nmax_body = 100\nmethods = POST PUT")
    assert post(daemon, {}).status == 403
    assert post(daemon, {}, {"X-Forwarded-For": "1.2.3.4, 192.0.2.7"}).status == 202
    assert post(daemon, {}, {"X-Forwarded-For": "192.0.2.7, 1.2.3.4"}).status == 403
    inside = {"X-Forwarded-For": "10.1.2.3"}
    wrong = post(daemon, {}, inside, method="DELETE")
    assert wrong.status == 405 and wrong.headers["Allow"] == "POST, PUT"
    assert post(daemon, {}, inside, method="PUT").status == 202
    assert post(daemon, {"a": "x" * 200}, inside).status == 413
    assert post(daemon, {}, inside, path="/hooks/other").status == 404
    assert daemon.api("POST", "/belfry/v1/triggers/webhook/hook/pause").status == 200
    assert post(daemon, {}, inside).status == 409
    daemon.stop()
    daemon.start()
    assert post(daemon, {}, inside).status == 409
    assert daemon.api("POST", "/belfry/v1/triggers/webhook/hook/resume").status == 200
    assert post(daemon, {}, inside).status == 202


def test_rate(daemon):
    start(daemon, "verify = none\nrate = 2")
    answers = [post(daemon, {"n": n}) for n in range(30)]
    refused = [a for a in answers if a.status == 429]
    assert refused and all(a.headers["Retry-After"] for a in refused)
    assert len(daemon.runs()) == len([a for a in answers if a.status == 202])


def test_who_cannot_sign_takes_nothing_from_who_can(daemon):
    start(daemon, "verify = bearer\nsecret_file = secret\nrate = 2")
    bad = [post(daemon, {}, {"Authorization": "Bearer wrong"}).status for _ in range(30)]
    assert set(bad) == {401, 429}
    assert post(daemon, {}, {"Authorization": f"Bearer {SECRET}"}).status == 202


def test_a_full_queue(daemon):
    start(daemon, "verify = none", process="queue_limit = 2\nmax_parallel = 1\n", command="sleep 60")
    answers = [post(daemon, {"n": n}) for n in range(6)]
    assert [a.status for a in answers] == [202, 202, 202, 429, 429, 429]
    assert answers[-1].headers["Retry-After"] and code(answers[-1]) == "queue_full"
    for run in daemon.runs():
        daemon.api("POST", f"/belfry/v1/runs/{run['id']}/cancel", {})


def test_respond_with_the_result(daemon):
    start(daemon, "verify = none\nrespond = result\nwait = 20s")
    answer = post(daemon, {"n": 1})
    assert answer.status == 200 and answer.json["state"] == "completed" and answer.json["event"]["request"]["body"] == {"n": 1}


def test_respond_when_the_wait_is_over(daemon):
    start(daemon, "verify = none\nrespond = result\nwait = 100ms", command="sleep 60")
    answer = post(daemon, {"n": 1})
    assert answer.status == 202
    daemon.api("POST", f"/belfry/v1/runs/{answer.json['run_id']}/cancel", {})
    assert daemon.ended(answer.json["run_id"])["state"] == "canceled"


def test_counters(daemon):
    start(daemon, "verify = bearer\nsecret_file = secret")
    post(daemon, {})
    post(daemon, {}, {"Authorization": f"Bearer {SECRET}"})
    view = until(lambda: daemon.api("GET", "/belfry/v1/triggers").json[0], "views")
    assert (view["accepted"], view["refused"], view["path"]) == (1, 1, "/hooks/hook")
    metrics = daemon.api("GET", "/metrics").body.decode()
    assert 'belfry_webhook_requests_total{webhook="hook",answer="accepted"} 1' in metrics
