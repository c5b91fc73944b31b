"""What the page of the API does with many failed work items, request by request as it makes them."""
import pytest

from conftest import bearer, until

ITEMS = 1100
BATCH = 1000


class Page:
    def __init__(self, daemon):
        self.daemon, self.headers = daemon, bearer(daemon.add_key()["key"])

    def ask(self, method, path, body=None):
        answer = self.daemon.tcp(method, path, body, self.headers)
        return answer.status, answer.json

    def failed(self, run):
        """All of them: page after page."""
        found, at = [], f"/api/v1/workspaces/here/work-items?process_run_id={run}&state=failed&limit={BATCH}"
        while at:
            status, page = self.ask("GET", at)
            assert status == 200 and len(page["data"]) <= BATCH
            found += [item["id"] for item in page["data"]]
            at = page["next"] and page["next"][page["next"].index("/api/"):]
        return found

    def batch(self, operation, ids):
        return self.ask("POST", "/api/v1/workspaces/here/work-items/batch", {"batch_operation": operation, "work_item_ids": ids})[0]


@pytest.fixture
def page(daemon):
    daemon.start(f"""
[process many]
workspace = here
steps = only
[step only]
work_items = file
shell = yes
command = test -e {daemon.folder}/mended
""")
    return Page(daemon)


def with_failed_items(page):
    run = page.daemon.run_and_wait("many", input=[{"n": n} for n in range(ITEMS)])
    assert run["state"] == "failed"
    ids = page.failed(run["id"])
    assert len(set(ids)) == ITEMS
    return run["id"], ids


def test_more_than_a_batch_is_taken_as_done_piece_by_piece(page):
    run, ids = with_failed_items(page)
    assert page.batch("mark_as_done", ids) == 400
    assert page.batch("mark_as_done", ids[:BATCH]) == 200
    assert page.daemon.run(run)["state"] == "failed" and sorted(page.failed(run)) == sorted(ids[BATCH:])
    assert page.batch("mark_as_done", ids[BATCH:]) == 200
    until(lambda: page.daemon.run(run)["state"] == "completed", "it is over anew")
    assert page.failed(run) == []


def test_more_than_a_batch_is_tried_again_as_a_whole(page):
    run, _ = with_failed_items(page)
    (page.daemon.folder / "mended").touch()
    assert page.ask("POST", f"/belfry/v1/runs/{run}/retry", {})[0] == 202
    until(lambda: page.daemon.run(run)["state"] == "completed", "all of it was tried again")
    assert page.failed(run) == []
