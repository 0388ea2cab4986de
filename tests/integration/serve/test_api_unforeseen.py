"""An unforeseen failure is a 500 without details, counted and logged: a mistake of ours, or a failure of Postgres."""

import datetime as dt
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from consumer import encryption
from consumer.errors import StoreFailed
from consumer.metrics import Metrics
from consumer.serve.access import Gate
from consumer.serve.api.call import PREFIX, Call, Operation, Served, Work, route
from consumer.store.database import Database


def nowhere() -> Database:
    raise AssertionError("this call asks for no database")


async def broken(_: Call) -> web.StreamResponse:
    raise LookupError("hush-hush")


async def failed(_: Call) -> web.StreamResponse:
    raise StoreFailed("Postgres: XX001: hush-hush")


async def answered_by(work: Work, metrics: Metrics) -> tuple[int, dict[str, Any]]:
    """Return the status and the problem that a call answers whose work is *work*."""
    served = Served(nowhere, encryption.parse_keys(encryption.new_key()), dt.timedelta(0), ())
    app = web.Application()
    app.add_routes([route(Operation("broken", "GET", "/broken", work, writes=False), served, Gate([]), metrics)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}{PREFIX}/broken"
        async with aiohttp.ClientSession() as session, session.get(url) as answered:
            return answered.status, await answered.json(content_type="application/problem+json")
    finally:
        await runner.cleanup()


async def test_a_mistake_of_ours_is_a_problem_and_a_logged_traceback(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()

    status, problem = await answered_by(broken, metrics)

    assert (status, problem["status"]) == (500, 500)
    assert "hush" not in str(problem)
    fields = {record.getMessage(): vars(record).get("fields", {}) for record in caplog.records}
    assert fields["api.unforeseen"]["error"] == "LookupError"
    assert "in broken" in fields["api.unforeseen"]["traceback"]
    assert str(fields["api.unforeseen"]["request_id"]) in problem["instance"]
    assert (
        metrics.registry.get_sample_value("tollbell_api_requests_total", {"operation": "broken", "status": "5xx"}) == 1
    )


async def test_what_postgres_fails_is_an_error_of_its_own_kind(caplog: pytest.LogCaptureFixture) -> None:
    status, problem = await answered_by(failed, Metrics())

    assert (status, "hush" in str(problem)) == (500, False)
    fields = {record.getMessage(): vars(record).get("fields", {}) for record in caplog.records}
    assert fields["api.store_failed"]["error"] == "Postgres: XX001: hush-hush"
    assert str(fields["api.store_failed"]["request_id"]) in problem["instance"]
