"""Lists that go on page by page, while what they list goes; and the console, piece by piece."""
import urllib.parse

import pytest

from conftest import bearer, until

CONFIG = """
[process long]
workspace = here
command = /bin/true
[process good]
workspace = here
command = /bin/true
[process bad]
workspace = here
command = /bin/true
[process leaves]
workspace = here
shell = yes
command = if mkdir {folder}/once; then touch output/a output/b output/ü output/d; exit 1; else touch output/a output/c output/d output/e; fi
[process tells]
workspace = here
command = /bin/cat {folder}/told
"""


@pytest.fixture
def api(daemon):
    daemon.start(CONFIG.format(folder=daemon.folder))
    headers = bearer(daemon.add_key()["key"])

    def call(method, path, body=None, status=200):
        answer = daemon.tcp(method, "/api/v1/workspaces/here" + path, body, headers)
        assert answer.status == status, (method, path, answer.status, answer.body)
        return answer.json
    call.daemon = daemon
    call.processes = {p["name"]: p["id"] for p in call("GET", "/processes")["data"]}
    return call


def follow(api, page):
    parts = urllib.parse.urlsplit(page["next"])
    return api("GET", parts.path.split("/api/v1/workspaces/here", 1)[1] + "?" + parts.query)


def test_a_page_that_is_deleted_is_no_end(api):
    made = [api("POST", "/work-items", {"process": {"id": api.processes["good"]}, "payload": n})["id"] for n in range(10)][::-1]
    page = api("GET", "/work-items?state=new&limit=3")
    seen = []
    while True:
        ids = [i["id"] for i in page["data"]]
        seen += ids
        if ids:
            api("POST", "/work-items/batch", {"batch_operation": "delete", "work_item_ids": ids})
        if not page["has_more"]:
            break
        page = follow(api, page)
    assert seen == made
    assert api("GET", "/work-items?state=new")["data"] == []


def test_a_process_that_goes_ends_no_list(api):
    page = api("GET", "/processes?limit=2")
    assert [p["name"] for p in page["data"]] == ["bad", "good"]
    text = api.daemon.config.read_text()
    for gone in ("good", "bad"):
        begin = text.index(f"[process {gone}]")
        text = text[:begin] + text[text.index("[process", begin + 1):]
    api.daemon.config.write_text(text)
    assert api.daemon.api("POST", "/belfry/v1/reload").status == 200
    page = follow(api, page)
    assert [p["name"] for p in page["data"]] == ["leaves", "long"] and page["has_more"]
    assert [p["name"] for p in follow(api, page)["data"]] == ["tells"]
    api("GET", "/processes?cursor=" + "x" * 65, status=400)


def test_an_artifact_that_goes_ends_no_list(api):
    run = api.daemon.run_and_wait("leaves")
    path = f"/step-runs/{run['steps'][0]['id']}/artifacts"
    page = api("GET", path + "?limit=2")
    assert [a["name"] for a in page["data"]] == ["a", "b"]
    last = follow(api, api("GET", path + "?limit=3"))
    assert [a["name"] for a in last["data"]] == ["ü"] and not last["has_more"]
    api.daemon.cli("retry", run["id"])
    until(lambda: api.daemon.run(run["id"])["state"] == "completed", "it completes")
    seen = []
    while page["has_more"]:
        page = follow(api, page)
        seen += [a["name"] for a in page["data"]]
    assert seen == ["a", "c", "d", "e"]   # all that the second attempt has left


def test_a_long_line_is_cut_between_characters(api):
    piece = 1 << 20
    lines = ["short", "x" * piece, "", "y" * (2 * piece), "ä" * piece, "ü" * (piece // 2), "z" * (piece - 1) + "ß", "end"]
    (api.daemon.folder / "told").write_text("\n".join(lines) + "\n")
    run = api.daemon.run_and_wait("tells")
    page = api("GET", f"/step-runs/{run['steps'][0]['id']}/console-messages")
    seen = [line["message"] for line in page["data"]]
    while page["has_more"]:
        page = follow(api, page)
        seen += [line["message"] for line in page["data"]]
    assert seen == ["short", "x" * piece, "", "y" * piece, "y" * piece, "ä" * (piece // 2), "ä" * (piece // 2), "ü" * (piece // 2),
                    "z" * (piece - 1), "ß", "end"]
