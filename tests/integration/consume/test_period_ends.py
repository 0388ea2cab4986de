"""The clock: the end of a period that a record showed is a reset by itself, once, and none where it is not one.

Where days would have to pass, the test moves the row's times in its own database.
"""

import asyncio
import datetime as dt
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from consumer import clock
from schemas import times
from tests.conftest import MakeDeployment, Produce
from tests.support.factories import native_record, openmeter_record
from tests.support.fakes import Receiver
from tests.support.service import Deployment
from tests.support.verification import SECRET

RULES = """\
channels:
  - {{key: hook, type: WEBHOOK, name: Hook, url: "{url}", signingSecret: "{secret}"}}
rules:
  - {{key: reset, type: entitlements.reset, name: Reset, channels: [hook]}}
  - {{key: quota, type: entitlements.balance.threshold, name: Quota, channels: [hook],
     thresholds: [{{type: usage_percentage, value: 100}}]}}
"""
DAY = dt.timedelta(days=1)
NO_END = """
    CREATE FUNCTION no_end() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF NEW.ended THEN RAISE EXCEPTION 'made to fail'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER no_end BEFORE UPDATE ON entitlement FOR EACH ROW EXECUTE FUNCTION no_end();
"""


@pytest.fixture
async def deployment(deploy: MakeDeployment, receiver: Receiver) -> Deployment:
    made = await deploy(TOLLBELL_CONSUME_PERIOD_END_DELAY="0s")
    applied = await made.apply(RULES.format(url=receiver.url(), secret=SECRET))
    assert applied.status == 0, applied.err
    return made


@pytest.fixture
async def rows(deployment: Deployment) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(deployment.environment["TOLLBELL_DATABASE_URL"])
    yield connection
    await connection.close()


def body(received: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(received.body)
    return made


async def pass_the_end(rows: asyncpg.Connection, entitlement: str | None = None) -> None:
    """Let the period of the entitlement, or of all, have been shown yesterday and have ended a moment ago."""
    await rows.execute(
        "UPDATE entitlement SET shown_at = shown_at - interval '1 day', period_to = now() - interval '1 millisecond'"
        " WHERE id = $1 OR $1 IS NULL",
        entitlement,
    )


async def test_the_end_of_a_period_gives_access_back_without_a_record(
    deployment: Deployment, produce: Produce, receiver: Receiver
) -> None:
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    now = clock.now()
    end = times.text(now + dt.timedelta(seconds=6))
    short = (times.text(now - DAY), end)
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, native_record(100, calculated_at=times.text(now), period=short))

        cut_off, given_back = [body(one) for one in await receiver.wait_for(2, timeout=40)]

        assert cut_off["type"] == "entitlements.balance.threshold"
        assert (given_back["type"], given_back["timestamp"]) == ("entitlements.reset", end)
        data = given_back["data"]
        assert data["reset"] == {"kind": "automatic", "at": end}
        assert data["value"] == {"hasAccess": True}
        assert (data["entitlement"]["id"], data["customer"]["key"]) == ("ent-1", "acme")

        # The ended period makes nothing any more; the one that begins there has fired already, and is re-armed.
        later = (end, times.text(now + DAY))
        for n, record in enumerate(
            (
                native_record(150, calculated_at=times.text(now), period=short),
                native_record(100, calculated_at=end, period=later),
            ),
            2,
        ):
            await produce(topic, record)
            await replica.reaches("tollbell_records_total", n)
        third = body((await receiver.wait_for(3, timeout=30))[2])
        assert (third["type"], third["timestamp"]) == ("entitlements.balance.threshold", end)
        for rule_type, reason in (
            (cut_off["type"], "stale_period"),
            (given_back["type"], "already_reset"),
            (given_back["type"], "reset_automatic"),
        ):
            assert await replica.metric("tollbell_judgements_total", rule_type=rule_type, reason=reason) == 1, reason


async def test_the_clock_ends_no_period_where_that_would_be_wrong(
    deployment: Deployment, produce: Produce, receiver: Receiver, rows: asyncpg.Connection
) -> None:
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    now = clock.now()
    month = {"from": times.text(now - DAY), "to": times.text(now + 30 * DAY)}

    def record(entitlement: str, **more: object) -> bytes:
        made = json.loads(native_record(1, calculated_at=times.text(now)))
        made["data"]["entitlement"] = {"id": entitlement, "period": month, **more}
        return json.dumps(made).encode()

    gone = json.loads(openmeter_record(operation="delete"))["data"]["entitlement"]
    deleted = openmeter_record(
        operation="delete",
        calculatedAt=times.text(now),
        entitlement=gone | {"id": "deleted", "currentUsagePeriod": month},
    )
    past = native_record(
        1,
        entitlement="past",
        calculated_at=times.text(now - 9 * DAY),
        period=("2026-01-01T00:00:00Z", times.text(now - DAY)),
    )
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, record("ends", activeTo=times.text(now + DAY)), deleted, past, record("lives"))
        await replica.reaches("tollbell_records_total", 4)

        # `past` was shown after its end: what was read from an old topic fires nothing. It stays as it was shown.
        for entitlement in ("ends", "deleted", "lives"):
            await pass_the_end(rows, entitlement)
        await rows.execute("UPDATE entitlement SET active_to = period_to WHERE id = 'ends'")

        event = body((await receiver.wait_for(1, timeout=30))[0])
        assert event["data"]["entitlement"]["id"] == "lives"
        await replica.logged("periods.ended", periods=1, events=1)
        states = await rows.fetch("SELECT id, ended FROM entitlement ORDER BY id")
        assert dict(states) == {"deleted": False, "ends": False, "lives": True, "past": False}
        assert await rows.fetchval("SELECT count(*) FROM event") == 1


async def test_a_delete_with_a_later_record_does_not_stop_the_clock(
    deployment: Deployment, produce: Produce, receiver: Receiver, rows: asyncpg.Connection
) -> None:
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    now = clock.now()
    known = json.loads(openmeter_record())["data"]["entitlement"]
    month = {"from": times.text(now - DAY), "to": times.text(now + 30 * DAY)}

    def record(operation: str, minutes: int) -> bytes:
        at = times.text(now - dt.timedelta(minutes=minutes))
        return openmeter_record(operation=operation, calculatedAt=at, entitlement=known | {"currentUsagePeriod": month})

    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(topic, record("update", 3), record("delete", 2), record("update", 1))
        await replica.reaches("tollbell_records_total", 3)

        await pass_the_end(rows)

        assert body((await receiver.wait_for(1, timeout=30))[0])["type"] == "entitlements.reset"


async def test_many_periods_that_end_at_once_fire_once_by_two_replicas(
    deployment: Deployment, produce: Produce, receiver: Receiver, rows: asyncpg.Connection
) -> None:
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    now, count = clock.now(), 3_000
    month = (times.text(now - DAY), times.text(now + 30 * DAY))
    async with await deployment.replica() as one, await deployment.replica() as other:
        await one.ready()
        at = times.text(now)
        await produce(
            topic, *(native_record(1, entitlement=f"ent-{n}", calculated_at=at, period=month) for n in range(count))
        )
        async with asyncio.timeout(60):
            while await rows.fetchval("SELECT count(*) FROM entitlement") < count:
                await clock.wait(asyncio.Event(), 0.1)

        await pass_the_end(rows)

        requests = await receiver.wait_for(count, timeout=90)
        assert len({body(request)["data"]["entitlement"]["id"] for request in requests}) == count
        assert await rows.fetchval("SELECT count(*) FROM event") == count
        assert (await one.terminate(), await other.terminate()) == (0, 0)
    said = [line["events"] for line in (*one.lines, *other.lines) if line["event"] == "periods.ended"]
    assert sum(said) == count
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == count


# What stands in the row: of an older release, a key that is too long for an index now; and nothing that is a record's.
UNENDABLE = {
    "too long": """UPDATE entitlement SET about = jsonb_set(about::jsonb, '{subject,key}', to_jsonb($2::text))::json
                   WHERE id = $1""",
    "no record": "UPDATE entitlement SET about = coalesce('{}'::json, to_json($2::text)) WHERE id = $1",
}


@pytest.mark.parametrize("what", UNENDABLE)
async def test_a_period_that_cannot_be_ended_stops_no_other(
    what: str, deployment: Deployment, produce: Produce, receiver: Receiver, rows: asyncpg.Connection
) -> None:
    now, count = clock.now(), 20
    month = (times.text(now - DAY), times.text(now + 30 * DAY))
    records = [
        native_record(1, entitlement=f"ent-{n}", calculated_at=times.text(now), period=month) for n in range(count)
    ]
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], *records)
        await replica.reaches("tollbell_records_total", count)
        await rows.execute(UNENDABLE[what], "ent-7", random.Random(7).randbytes(4_500).hex())

        await pass_the_end(rows)

        fired = {body(one)["data"]["entitlement"]["id"] for one in await receiver.wait_for(count - 1, timeout=30)}
        assert fired == {f"ent-{n}" for n in range(count)} - {"ent-7"}
        (line, *_) = await replica.logged("row.set_aside")
        assert (line["level"], line["what"], line["namespace"], line["id"]) == (
            "error",
            "period_end",
            "default",
            "ent-7",
        )
        assert await replica.metric("tollbell_rows_failed_total", what="period_end") >= 1

        await rows.execute("UPDATE entitlement SET about = o.about FROM entitlement o WHERE o.id = 'ent-8'")

        await receiver.wait_for(count, timeout=60)
        assert await rows.fetchval("SELECT bool_and(ended) FROM entitlement")


async def test_while_no_period_can_be_ended_readyz_says_so(
    deployment: Deployment, produce: Produce, receiver: Receiver, rows: asyncpg.Connection
) -> None:
    now, count = clock.now(), 40
    month = (times.text(now - DAY), times.text(now + 30 * DAY))
    records = [
        native_record(1, entitlement=f"ent-{n}", calculated_at=times.text(now), period=month) for n in range(count)
    ]
    async with await deployment.replica() as replica:
        await replica.ready()
        await produce(deployment.environment["TOLLBELL_TOPICS_USAGE"], *records)
        await replica.reaches("tollbell_records_total", count)
        await rows.execute(NO_END)

        await pass_the_end(rows)

        await replica.readyz(503)
        assert '"period-ends": "3 times in a row' in (await replica.http("/readyz"))[1]
        await rows.execute("DROP FUNCTION no_end CASCADE")
        await receiver.wait_for(count, timeout=60)
        await replica.readyz(200)
