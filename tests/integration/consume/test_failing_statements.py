"""Where Postgres fails a statement, for one row's sake or for now, the rest goes on; what failed is tried again."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from consumer import log
from consumer.decide.breaker import Breaker, Endurance
from consumer.deliver.watch import Watch
from consumer.metrics import Metrics
from consumer.store import jobs, retention
from consumer.store.database import Database
from tests.conftest import MakeDeployment, Produce
from tests.integration.deliver.test_deliverers import deliverer, hook, until
from tests.support.factories import native_record, rules_yaml
from tests.support.fakes import Receiver
from tests.support.jobs import LONG_AGO, fail_all
from tests.support.partitions import DAY, KEEP, duty
from tests.support.service import Deployment, Replica
from tests.support.stores import KEY, Store, ended
from tests.support.verification import SECRET

# SQLSTATEs: a user's trigger, a check that a row breaks, a text that is too long for an index.
UNKNOWN, OF_DATA, OF_INDEX = "P0001", "23514", "54000"

ENDURANCE = Endurance(lasting=5 * DAY, attempts=10, events=2)


@contextlib.asynccontextmanager
async def failing(stored: Store, what: str, when: str, state: str = UNKNOWN) -> AsyncIterator[None]:
    """Let *what*, such as `INSERT ON attempt`, fail with the SQLSTATE *state* for every row of which *when* is true."""
    name = f"fail_{abs(hash((what, when)))}"
    row = "OLD" if what.startswith("DELETE") else "NEW"
    body = f"BEGIN IF {when} THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = '{state}'; END IF; RETURN {row}; END"
    await stored.sql(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    await stored.sql(f"CREATE TRIGGER {name} BEFORE {what} FOR EACH ROW EXECUTE FUNCTION {name}()")
    yield
    await stored.sql(f"DROP FUNCTION {name} CASCADE")


@contextlib.asynccontextmanager
async def broken(
    *failures: contextlib.AbstractAsyncContextManager[None],
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Begin *failures*, before a replica starts that might be ahead of them; give what ends them."""
    async with contextlib.AsyncExitStack() as stack:
        for one in failures:
            await stack.enter_async_context(one)
        yield stack.aclose


async def with_two_hooks(deploy: MakeDeployment, stored: Store, receiver: Receiver) -> Deployment:
    """Make a deployment with the channels `bad` and `good`."""
    await stored.configure({name: hook(receiver, url=receiver.url(f"/{name}")) for name in ("bad", "good")})
    return await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY)


async def ends_well(replica: Replica) -> None:
    """See that the failures were said aloud, and that nothing else went wrong."""
    assert await replica.metric("tollbell_errors_total") >= 1
    assert await replica.terminate() == 0


@pytest.mark.parametrize("state", [UNKNOWN, OF_DATA])
async def test_a_failing_claim_blocks_its_own_channel_alone(
    state: str, deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    """Until the cause is mended."""
    deployment = await with_two_hooks(deploy, stored, receiver)
    bad = f"NEW.channel_id = '{stored.ids['bad']}' AND NEW.token IS NOT NULL"
    await stored.events(3)
    async with (
        broken(failing(stored, "UPDATE ON delivery", bad, state)) as mend,
        await deliverer(deployment) as replica,
    ):
        await receiver.wait_for(3, path="/good")
        (line, *_) = await replica.logged("deliver.held")
        await stored.events(3)
        await receiver.wait_for(6, path="/good")
        meanwhile = len(receiver.at("/bad"))
        await mend()

        await receiver.wait_for(6, path="/bad")
        assert (line["channel_id"], line["channel_key"], line["channel"]) == (stored.ids["bad"], "bad", "bad")
        assert meanwhile == 0
        assert "made to fail" in line["error"]
        await ends_well(replica)


async def test_a_delivery_that_cannot_be_claimed_holds_up_no_other_one(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await with_two_hooks(deploy, stored, receiver)
    (first, *_) = await stored.events(3)
    async with (
        broken(failing(stored, "UPDATE ON delivery", f"NEW.event_id = '{first}' AND NEW.token IS NOT NULL")) as mend,
        await deliverer(deployment) as replica,
    ):
        for path in ("/good", "/bad"):
            await receiver.wait_for(2, path=path)
        lines = await replica.logged("row.set_aside", 2, what="delivery")
        await stored.events(3)
        await until(stored, "SELECT count(*) = 10 FROM delivery WHERE state = 'SUCCESS'")
        await mend()

        await until(stored, "SELECT bool_and(state = 'SUCCESS') FROM delivery")
        assert len({line["delivery_id"] for line in lines}) == 2
        await ends_well(replica)
    assert [line for line in replica.lines if line["event"] == "deliver.held"] == []


@pytest.mark.parametrize("state", [UNKNOWN, OF_DATA])
async def test_an_attempt_that_cannot_be_recorded_waits_alone(
    state: str, deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await with_two_hooks(deploy, stored, receiver)
    bad = f"NEW.channel_id = '{stored.ids['bad']}' AND NEW.state = 'SUCCESS'"
    await stored.events(3)
    async with (
        broken(failing(stored, "UPDATE ON delivery", bad, state)) as mend,
        await deliverer(deployment) as replica,
    ):
        await receiver.wait_for(3, path="/bad")
        await replica.logged("deliver.not_recorded")
        await stored.events(3)
        await until(stored, "SELECT count(*) = 6 FROM delivery WHERE state = 'SUCCESS'")
        await mend()

        await until(stored, "SELECT bool_and(state = 'SUCCESS') FROM delivery")
        assert len(receiver.at("/bad")) == len(receiver.at("/good")) == 6
        await ends_well(replica)


async def test_a_failing_body_or_sweep_blocks_nothing_else(
    deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await deploy(TOLLBELL_ENCRYPTION_KEYS=KEY)
    names = {"good": "openmeter", "flat": "flat", "off": "openmeter"}
    await stored.configure({n: hook(receiver, url=receiver.url(f"/{n}"), format=f) for n, f in names.items()})
    await stored.events(3)
    await stored.sql("UPDATE channel SET disabled_by = 'person' WHERE id = $1", stored.ids["off"])
    async with (
        broken(
            failing(stored, "INSERT ON rendered", "true"), failing(stored, "UPDATE ON delivery", "NEW.state = 'FAILED'")
        ) as mend,
        await deliverer(deployment) as replica,
    ):
        (line, *_) = await replica.logged("deliver.held")
        assert line["channel_key"] == "flat"
        await replica.logged("row.set_aside", 3, what="delivery_end")
        await receiver.wait_for(3, path="/good")
        assert receiver.at("/flat") == []
        await mend()

        await receiver.wait_for(3, path="/flat", timeout=30)
        await until(stored, "SELECT count(*) = 3 FROM delivery WHERE state = 'FAILED'")
        assert await stored.one("SELECT count(*) FROM attempt WHERE outcome = 'interrupted'") == 0
        await ends_well(replica)


@pytest.mark.parametrize("state", [UNKNOWN, OF_DATA, OF_INDEX])
async def test_a_delivery_that_cannot_be_ended_stops_no_other_ones_end(
    state: str, deploy: MakeDeployment, stored: Store, receiver: Receiver
) -> None:
    deployment = await with_two_hooks(deploy, stored, receiver)
    await stored.events(10)
    (bad, *_) = await stored.sql("SELECT id FROM delivery ORDER BY id LIMIT 1 OFFSET 7")
    await stored.sql("UPDATE channel SET disabled_by = 'person'")
    async with (
        broken(failing(stored, "UPDATE ON delivery", f"NEW.state = 'FAILED' AND NEW.id = {bad[0]}", state)) as mend,
        await deliverer(deployment) as replica,
    ):
        await until(stored, "SELECT count(*) = 19 FROM delivery WHERE state = 'FAILED'")
        (line, *_) = await replica.logged("row.set_aside")
        counted = await replica.metric("tollbell_rows_failed_total", what="delivery_end")
        await mend()

        await until(stored, "SELECT count(*) = 20 FROM delivery WHERE state = 'FAILED'")
        assert (line["what"], line["delivery_id"], counted >= 1) == ("delivery_end", bad[0], True)
        await ends_well(replica)


async def test_a_job_that_fails_stops_no_other_job(deploy: MakeDeployment, stored: Store, receiver: Receiver) -> None:
    deployment = await with_two_hooks(deploy, stored, receiver)
    first, second = await stored.events(2)
    for key in ("bad", "good"):
        await fail_all(stored, key)
    await stored.sql(
        "UPDATE channel_pace SET open_until = NULL, opened = 0, downs = 0, failures = 0, failing_since = NULL"
    )
    async with (
        broken(failing(stored, "UPDATE ON delivery", f"NEW.event_id = '{first}' AND NEW.state = 'RESENDING'")) as mend,
        await deliverer(deployment) as replica,
    ):
        failing_job = await jobs.resend(stored.database, "default", first)
        await jobs.resend(stored.database, "default", second, channels=[stored.ids["good"]])
        await jobs.recover(stored.database, "default", stored.ids["bad"], since=LONG_AGO)
        await until(stored, "SELECT count(*) = 1 FROM job WHERE state = 'DONE'")
        lines = await replica.logged("row.set_aside", 2, what="job")
        await receiver.wait_for(1, path="/good")
        await mend()

        await until(stored, "SELECT count(*) = 3 FROM job WHERE state = 'DONE'")
        assert failing_job in {line["job_id"] for line in lines}
        await ends_well(replica)


async def test_a_failing_pause_stops_no_other_channels_pause(stored: Store) -> None:
    await stored.configure({"bad": {}, "good": {}})
    await stored.events(1)
    claimed = [*await stored.claim("bad"), *await stored.claim("good")]
    recorded = await stored.record(*(ended(one) for one in claimed))
    breaker = Breaker(failures=1, pause=DAY, longest=DAY)
    watch = Watch(
        database=stored.database, breaker=breaker, endurance=ENDURANCE, announce=lambda: None, metrics=Metrics()
    )
    paused = "SELECT array_agg(channel_id) FROM channel_pace WHERE open_until IS NOT NULL"
    async with failing(stored, "UPDATE ON channel_pace", f"NEW.channel_id = '{recorded.runs[0].channel_id}'"):
        await watch.follow_up(recorded)

        assert await stored.one(paused) == [recorded.runs[1].channel_id]


async def test_pauses_that_wait_for_postgres_are_logged_once(stored: Store, caplog: pytest.LogCaptureFixture) -> None:
    await stored.configure({"hook": {}})
    await stored.events(1)
    recorded = await stored.record(*(ended(one) for one in await stored.claim("hook")))
    gone = await Database.connect(stored.url, size=1)
    await gone.close()
    breaker = Breaker(failures=1, pause=DAY, longest=DAY)
    watch = Watch(database=gone, breaker=breaker, endurance=ENDURANCE, announce=lambda: None, metrics=Metrics())

    for _ in range(3):
        await watch.follow_up(recorded)

    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == ["breakers.waiting"]


async def test_a_failing_retention_step_is_logged_and_others_run(stored: Store) -> None:
    long_ago = await stored.database.now() - KEEP - DAY
    metrics = Metrics()
    add = (
        "INSERT INTO job (id, namespace, kind, channel_id, since, state, total, created_at, ended_at)"
        " VALUES ('1', 'default', 'recover', 'c', $1, 'DONE', 1, $1, $1)"
    )
    await stored.sql(add, long_ago)
    await retention.remember_topics(stored.database, {"usage": DAY})
    await stored.configure({"hook": {}})
    await stored.events(1)
    await stored.sql(
        "UPDATE entitlement SET period_from = $1, period_to = $2, written_at = $2, ended = true",
        long_ago,
        long_ago + DAY / 2,
    )
    async with failing(stored, "DELETE ON entitlement", "true"):
        before = log.ERRORS.total()
        await duty(stored.database, metrics).once()

        assert log.ERRORS["retention.failed"] >= 1
        assert metrics.registry.get_sample_value("tollbell_errors_total") == before + 1
        assert await stored.one("SELECT count(*) FROM job") == 0
        assert await stored.one("SELECT count(*) FROM entitlement") == 1

    await duty(stored.database, metrics).once()

    assert await stored.one("SELECT count(*) FROM entitlement") == 0


async def test_a_batch_that_postgres_fails_is_retried_until_it_works(
    deploy: MakeDeployment, stored: Store, produce: Produce, receiver: Receiver
) -> None:
    deployment = await deploy()
    await deployment.apply(rules_yaml(receiver.url(), 80), HOOK_SECRET=SECRET)
    topic = deployment.environment["TOLLBELL_TOPICS_USAGE"]
    async with await deployment.replica() as replica:
        await replica.ready()
        async with failing(stored, "INSERT ON event", "true"):
            await produce(topic, native_record(90))
            await replica.logged("batch.failed", 3)
            status, said = await replica.http("/readyz")

        await receiver.wait_for(1)
        (waiting,) = await replica.logged("consume.waiting")  # once, however often it was tried
        (resumed,) = await replica.logged("consume.resumed")
        assert ("made to fail" in waiting["error"], resumed["waited_s"] > 0) == (True, True)
        assert (status, "made to fail" in said) == (503, True)
        assert await replica.metric("tollbell_records_total", result="dead_letter") == 0
        assert await replica.terminate() == 0


async def test_a_channel_failing_for_five_minutes_is_logged_once(stored: Store) -> None:
    await stored.configure({"hook": {}})
    await stored.events(4)
    claimed = await stored.claim("hook")
    breaker = Breaker(failures=100, pause=DAY, longest=DAY)
    watch = Watch(
        database=stored.database, breaker=breaker, endurance=ENDURANCE, announce=lambda: None, metrics=Metrics()
    )
    said = log.ERRORS["channel.failing"]

    await watch.follow_up(await stored.record(ended(claimed[0])))
    assert log.ERRORS["channel.failing"] == said

    await stored.sql("UPDATE channel_pace SET failing_since = failing_since - interval '6 minutes'")
    for one in claimed[1:3]:
        await watch.follow_up(await stored.record(ended(one)))
        assert log.ERRORS["channel.failing"] == said + 1

    # It works, and later fails as long again.
    await stored.sql("UPDATE channel_pace SET failing_since = failing_since + interval '1 second'")
    await watch.follow_up(await stored.record(ended(claimed[3])))
    assert log.ERRORS["channel.failing"] == said + 2
