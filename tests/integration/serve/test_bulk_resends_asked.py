"""Many deliveries sent again, as it is asked for: by the API, and by a person who sees the exact count first."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.conftest import Shared, reading
from tests.support.api import Api, channel, rule, talking
from tests.support.console import Browser, browsing
from tests.support.fakes import Receiver


class Failed:
    """A namespace with two channels, whose test events have failed: two to one of them, one to the other."""

    def __init__(self, shared: Shared, api: Api, token: str, ids: dict[str, str]) -> None:
        self.shared, self.api, self.token, self.ids = shared, api, token, ids

    async def end(self) -> None:
        """Let what is open fail: this replica sends nothing."""
        connection = await asyncpg.connect(self.shared.deployment.environment["TOLLBELL_DATABASE_URL"])
        await connection.execute(
            "UPDATE delivery SET state = 'FAILED', due_at = NULL, ended_at = now()"
            " WHERE namespace = $1 AND due_at IS NOT NULL",
            self.api.namespace,
        )
        await connection.close()


@pytest.fixture
async def failed(shared: Shared) -> AsyncIterator[Failed]:
    namespace, token = next(shared.namespaces)
    async with talking(shared.replica, token=token, namespace=namespace) as api:
        ids = {}
        for name, times in (("billing", 2), ("staging", 1)):
            ids[name] = (await api("POST", "/channels", channel(name=name, key=name)))[1]["id"]
            for _ in range(times):
                await api("POST", f"/channels/{ids[name]}/test")
        made = Failed(shared, api, token, ids)
        await made.end()
        yield made


async def test_the_api_counts_then_sends_what_was_counted(failed: Failed) -> None:
    api, which = failed.api, {"filter": {"channel": ["key:billing"]}}

    dry, counted = await api("POST", "/events/resend", which | {"dryRun": True})
    wrong, problem = await api("POST", "/events/resend", which | {"expected": 3})
    asked, job = await api("POST", "/events/resend", which | {"expected": 2})
    _, found = await api("GET", f"/jobs/{job['jobId']}")

    assert (dry, counted, wrong, asked, job["total"]) == (200, {"total": 2}, 409, 202, 2)
    assert "2 deliveries match now, not 3" in problem["detail"]
    assert (found["kind"], found["total"], found["filter"]) == ("resend_many", 2, {"channel": ["key:billing"]})


async def test_a_filter_that_finds_none_is_a_conflict(failed: Failed) -> None:
    for which in ({"customer": "no-such"}, {"rule": ["no-such"]}, {"feature": ["f"]}, {"state": ["SUCCESS"]}):
        status, _ = await failed.api("POST", "/events/resend", {"filter": which})
        assert status == 409, which


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filter": {}},
        {"filter": {"states": ["FAILED"]}},
        {"filter": {"state": ["PENDING"]}},
        {"filter": {"state": []}},
        {"filter": {"channel": []}},
        {"filter": {"state": ["FAILED"], "rule": []}},
        {"filter": {"type": []}},
        {"filter": {"customer": None}},
        {"filter": {"customer": "a\0"}},
        {"filter": {"from": "yesterday"}},
        {"filter": {"channel": ["c"] * 101}},
        {"filter": {"state": ["FAILED"]}, "expected": -1},
        {"filter": {"state": ["FAILED"]}, "expected": "2"},
    ],
)
async def test_a_wrong_filter_is_refused_and_never_means_all(failed: Failed, body: object) -> None:
    status, _ = await failed.api("POST", "/events/resend", body)

    assert status == 400
    assert (await failed.api("GET", "/jobs"))[1]["totalCount"] == 0


async def test_a_read_token_and_another_namespace_send_nothing(failed: Failed, shared: Shared) -> None:
    body = {"filter": {"channel": [failed.ids["billing"]]}}
    async with talking(shared.replica, token=reading(failed.token)) as reader:
        read, _ = await reader("POST", "/events/resend", body | {"dryRun": True})
    async with talking(shared.replica, token=next(shared.namespaces)[1]) as foreign:
        elsewhere, _ = await foreign("POST", "/events/resend", body)

    assert (read, elsewhere) == (403, 409)


def button(seen_html: str) -> bool:
    return 'name="expected"' in seen_html


async def test_a_person_sees_the_count_and_the_filter_and_then_the_job(failed: Failed) -> None:
    async with browsing(failed.shared.replica, token=failed.token) as browser:
        listed = await browser.get(f"/events?channel={failed.ids['billing']}&state=FAILED")
        (link,) = [one["href"] for one in listed.all("a") if one.get("href", "").startswith("/resend?")]
        page = await browser.get(link)
        fields = {one["name"]: one["value"] for one in page.all("input", type="hidden")}
        job = await browser.post("/resend", fields)

    assert "2 deliveries" in page.text
    assert "Send 2 again" in page.text
    assert "billing" in page.text
    assert job.path.startswith("/jobs/")
    assert "0 of 2 deliveries" in job.text


async def test_a_changed_count_sends_nothing_and_shows_the_new_one(failed: Failed) -> None:
    async with browsing(failed.shared.replica, token=failed.token) as browser:
        page = await browser.get("/resend?state=FAILED")
        fields = {one["name"]: one["value"] for one in page.all("input", type="hidden")}
        await failed.api("POST", f"/channels/{failed.ids['billing']}/test")
        await failed.end()
        sent = await browser.post("/resend", fields)

    assert (fields["expected"], sent.status) == ("3", 409)
    assert "4 deliveries match now, not 3" in sent.text
    assert "Send 4 again" in sent.text
    assert (await failed.api("GET", "/jobs"))[1]["totalCount"] == 0


async def test_open_and_unknown_states_mean_failed_ones(failed: Failed) -> None:
    await failed.api("POST", f"/channels/{failed.ids['billing']}/test")  # stays open
    async with browsing(failed.shared.replica, token=failed.token) as browser:
        for query in ("state=PENDING,SENDING,RESENDING", "", "state=nonsense"):
            page = await browser.get(f"/resend?{query}")
            assert "3 deliveries" in page.text, query


async def test_a_form_without_its_count_sends_nothing(failed: Failed) -> None:
    async with browsing(failed.shared.replica, token=failed.token) as browser:
        for expected in ("", "three", "-1", "9" * 400):
            sent = await browser.post("/resend", {"state": "FAILED", "expected": expected})
            assert sent.status == 400, expected

    assert (await failed.api("GET", "/jobs"))[1]["totalCount"] == 0


async def test_a_reader_has_no_such_link(failed: Failed) -> None:
    async with browsing(failed.shared.replica, token=reading(failed.token)) as browser:
        listed = await browser.get("/events?state=FAILED")
        page = await browser.get("/resend?state=FAILED")

    assert not [one for one in listed.all("a") if one.get("href", "").startswith("/resend")]
    assert page.status == 403


async def test_the_job_is_worked_off_by_a_running_deliverer(api: Api, receiver: Receiver) -> None:
    for _ in range(3):
        receiver.answer(500, path="/hook")
    _, hook = await api("POST", "/channels", channel(receiver.url(), retrySchedule=["0s"]))
    _, quota = await api("POST", "/rules", rule(hook["id"]))
    for _ in range(3):
        await api("POST", f"/rules/{quota['id']}/test")
    await api.replica.logged("delivery.attempted", 3)

    async with browsing(api.replica) as browser:
        await sent_again(browser)

    await receiver.wait_for(6)


async def sent_again(browser: Browser) -> None:
    page = await browser.get("/resend?state=FAILED")
    assert "3 deliveries" in page.text
    fields = {one["name"]: one["value"] for one in page.all("input", type="hidden")}
    job = await browser.post("/resend", fields)
    assert job.path.startswith("/jobs/")
