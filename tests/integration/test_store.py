"""The store's guarantees, on a real Postgres: each statement beside the races it is made for."""

import asyncio
import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from consumer import encryption, ids
from consumer.commands.apply import change as apply_change
from consumer.commands.yaml_file import YamlFile
from consumer.decide.model import Document, Mark
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.verdict import Delivered, Disable, GiveUp, RetryIn, Verdict
from consumer.errors import DataRefused, Refused
from consumer.store import configuration, deliveries, migrate, outbox, queries
from consumer.store.database import Database
from consumer.store.deliveries import Claimed, Ended
from consumer.store.memory import EntitlementKey, Memory
from consumer.store.outbox import Change, NewEvent, Result
from schemas.rules import RuleId
from schemas.rules_file import RulesFile
from tests.factories import NOW, PERIOD

LEASE = dt.timedelta(seconds=30)
CIPHER = encryption.parse_keys(encryption.new_key())
KEY = EntitlementKey("default", "ent-1")
CHANNEL = {"type": "WEBHOOK", "name": "Hook", "url": "http://127.0.0.1:8080/hook"}
RULE = {
    "type": "entitlements.balance.threshold",
    "name": "Quota",
    "key": "quota",
    "thresholds": [{"type": "usage_percentage", "value": 80}],
}


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database, size=8)
    await migrate.migrate(opened)
    yield opened
    await opened.close()


async def configure(store: Database, *channels: str, **rule: object) -> str:
    """Make a rule that sends to *channels*; return its id."""
    file = RulesFile.model_validate(
        {
            "channels": [{**CHANNEL, "key": key} for key in channels],
            "rules": [{**RULE, "channels": list(channels), **rule}],
        }
    )
    async with configuration.edit(store, CIPHER, "default") as edit:
        await apply_change(edit, YamlFile("rules.yaml", file, {}), prune=False)
    async with configuration.edit(store, CIPHER, "default", keep=False) as edit:
        return (await edit.rules())[0].id


def make_change(rule_id: str, *, version: int = 0, identity: bytes = b"i" * 32, key: EntitlementKey = KEY) -> Change:
    marks = {RuleId(rule_id): {"usage_percentage:80": Mark("fired", 1, NOW, Decimal("80.50"))}}
    document = Document(version=version, period_from=PERIOD[0], period_to=PERIOD[1], as_of=NOW, marks=marks)
    event = NewEvent(
        id=ids.new(),
        identity=identity,
        rule_id=rule_id,
        type="entitlements.balance.threshold",
        action="triggered",
        after=None,
        payload=b'{"a": 1}',
        occurred_at=NOW,
        recorded_at=NOW,
    )
    return Change(key, document, b"{}", (event,))


async def scalar(store_url: str, sql: str) -> Any:
    connection = await asyncpg.connect(store_url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


@pytest.mark.usefixtures("store")
async def test_every_statement_prepares_on_a_migrated_database(database: str) -> None:
    connection = await asyncpg.connect(database)

    prepared = [await connection.prepare(queries.load(name).sql) for name in queries.names()]

    assert len(prepared) == len(queries.names()) > 0
    await connection.close()


@pytest.mark.usefixtures("store")
async def test_the_claim_uses_the_index_of_due_deliveries(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("""
        INSERT INTO delivery (event_id, channel_id, namespace, state, due_at)
        SELECT n, 'c' || n % 50, 'default', 'PENDING', now() FROM generate_series(1, 20000) n
    """)
    await connection.execute("ANALYZE delivery")
    query = queries.load("deliveries/claim")
    given = {"channels": ["c1", "c2"], "free": [8, 8], "lease": LEASE, "free_interruptions": 5, "burst_seconds": 0.1}

    plan = json.dumps(await (await connection.prepare(query.sql)).explain(*query.arguments(given)))

    assert '"Index Name": "delivery_due"' in plan
    await connection.close()


async def test_memory_comes_back_as_it_was_written(store: Database) -> None:
    change = make_change(await configure(store, "hook"))

    (written,) = await outbox.write(store, [change])
    documents = await Memory(store, limit=10).load([KEY])

    assert written.result is Result.WRITTEN
    assert written.event_ids == {change.events[0].id}
    assert documents[KEY] == dataclasses.replace(change.document, version=1)


async def test_of_two_that_are_one_event_in_a_batch_the_first_is_made(store: Database) -> None:
    rule = await configure(store, "hook")
    made = []
    for n in range(20):
        key = EntitlementKey("default", f"twice-{n}")
        one = make_change(rule, key=key, identity=hashlib.sha256(bytes([n])).digest())
        later = [dataclasses.replace(one.events[0], id=ids.new(), payload=b"{}") for _ in range(5)]
        made.append(dataclasses.replace(one, events=(*one.events, *later)))

    written = await outbox.write(store, made)

    assert [one.was_made for one in written] == [(True, False, False, False, False, False)] * 20


async def test_of_two_writers_on_one_version_one_wins_and_the_other_is_told(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    changes = [make_change(rule, identity=bytes([n]) * 32) for n in range(8)]

    results = await asyncio.gather(*(outbox.write(store, [change]) for change in changes))

    assert sorted(one.result for (one,) in results) == ["changed"] * 7 + ["written"]
    assert await scalar(database, "SELECT count(*) FROM event") == 1
    assert await scalar(database, "SELECT count(*) FROM delivery") == 1


async def test_a_document_judged_on_an_older_version_writes_nothing(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    await outbox.write(store, [make_change(rule)])
    await outbox.write(store, [make_change(rule, version=1, identity=b"j" * 32)])

    (late,) = await outbox.write(store, [make_change(rule, version=1, identity=b"k" * 32)])

    assert late.result is Result.CHANGED
    assert await scalar(database, "SELECT count(*) FROM event") == 2


async def test_a_rule_disabled_meanwhile_writes_nothing_of_the_documents_with_its_events(
    store: Database, database: str
) -> None:
    rule = await configure(store, "hook")
    change = make_change(rule)
    silent = dataclasses.replace(make_change(rule, key=EntitlementKey("default", "ent-2")), events=())
    await configure(store, "hook", disabled=True)

    gone, written = await outbox.write(store, [change, silent])

    assert gone.result is Result.RULE_GONE
    assert written.result is Result.WRITTEN
    assert await scalar(database, "SELECT count(*) FROM event") == 0
    assert await scalar(database, "SELECT count(*) FROM entitlement") == 1


async def test_an_event_that_was_made_before_is_not_made_again(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    await outbox.write(store, [make_change(rule)])

    # The memory was lost, say by a restore: the identity still stands.
    (again,) = await outbox.write(store, [make_change(rule, key=EntitlementKey("default", "ent-1b"))])

    assert again.result is Result.WRITTEN
    assert again.event_ids == frozenset()
    assert await scalar(database, "SELECT count(*) FROM delivery") == 1


async def test_data_that_postgres_refuses_writes_nothing_at_all(store: Database, database: str) -> None:
    rule = await configure(store, "hook")
    good = make_change(rule)
    bad = make_change(rule, key=EntitlementKey("default", "nul \x00"), identity=b"x" * 32)

    with pytest.raises(DataRefused):
        await outbox.write(store, [good, bad])

    assert await scalar(database, "SELECT count(*) FROM entitlement") == 0


async def test_a_channel_that_a_person_disabled_gets_none_and_tollbells_gets_a_failed_one(
    store: Database, database: str
) -> None:
    rule = await configure(store, "one", "two", "three")
    await scalar(database, "UPDATE channel SET disabled_by = 'person' WHERE key = 'one' RETURNING 1")
    await scalar(database, "UPDATE channel SET disabled_by = 'tollbell' WHERE key = 'two' RETURNING 1")

    (written,) = await outbox.write(store, [make_change(rule)])

    assert written.deliveries == 2
    rows = """
        SELECT array_agg(c.key || ' ' || state || coalesce(' ' || reason, '') ORDER BY c.key)
        FROM delivery d
        JOIN channel c ON c.id = d.channel_id
    """
    assert await scalar(database, rows) == ["three PENDING", "two FAILED channel_disabled"]


@pytest.fixture
async def one_delivery(store: Database) -> str:
    """A pending delivery; its channel's id."""
    await outbox.write(store, [make_change(await configure(store, "hook"))])
    (channel,) = await deliveries.due_channels(store)
    return channel.id


Expire = Callable[[], Coroutine[None, None, Any]]


@pytest.fixture
def lease_runs_out(database: str) -> Expire:
    """Let all leases run out: the database's clock cannot be held, so the rows are moved instead."""
    return lambda: scalar(
        database, "UPDATE delivery SET due_at = now() - interval '1 s' WHERE token IS NOT NULL RETURNING 1"
    )


def outcome(status: int | None, kind: OutcomeClass = OutcomeClass.STATUS) -> Outcome:
    return Outcome(kind=kind, started_at=NOW, duration_ms=12, status=status, body="said", detail="")


def ended(claimed: Claimed, status: int, verdict: Verdict) -> Ended:
    return Ended(claimed, outcome(status), verdict)


async def state(database: str) -> dict[str, Any]:
    connection = await asyncpg.connect(database)
    row = await connection.fetchrow(
        "SELECT state, attempts, step, interrupted, reason, token IS NULL AS free FROM delivery"
    )
    numbers = await connection.fetch("SELECT number, outcome, status FROM attempt ORDER BY number")
    await connection.close()
    assert row is not None
    return {**row, "tried": [tuple(number) for number in numbers]}


async def test_a_lease_is_held_by_one_claimer(store: Database, one_delivery: str) -> None:
    claims = await asyncio.gather(*(deliveries.claim(store, {one_delivery: 8}, LEASE) for _ in range(6)))

    assert sum(len(claimed) for claimed in claims) == 1


async def test_six_claimers_share_many_deliveries_without_sharing_one(store: Database) -> None:
    rule = await configure(store, "a", "b", "c")
    changes = [
        make_change(rule, key=EntitlementKey("default", f"e{n}"), identity=n.to_bytes(32, "big")) for n in range(500)
    ]
    await outbox.write(store, changes)
    channels = [channel.id for channel in await deliveries.due_channels(store)]

    async def claimer() -> list[int]:
        mine: list[int] = []
        while batch := await deliveries.claim(store, dict.fromkeys(channels, 10), LEASE):
            mine += [one.id for one in batch]
        return mine

    taken = [one for mine in await asyncio.gather(*(claimer() for _ in range(6))) for one in mine]

    assert len(taken) == len(set(taken)) == 1500


async def test_a_success_ends_the_delivery_and_keeps_the_attempt(
    store: Database, database: str, one_delivery: str
) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)

    await deliveries.record(store, [ended(claimed, 204, Delivered())])

    assert await state(database) == {
        "state": "SUCCESS", "attempts": 1, "step": 1, "interrupted": 0, "reason": None, "free": True,
        "tried": [(1, "status", 204)],
    }  # fmt: skip


async def test_a_retry_is_due_after_its_delay_and_spends_a_step(
    store: Database, database: str, one_delivery: str
) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)

    await deliveries.record(store, [ended(claimed, 503, RetryIn(dt.timedelta(minutes=5)))])

    (channel,) = await deliveries.due_channels(store)
    assert 295 < channel.due_in <= 300
    assert await deliveries.claim(store, {one_delivery: 1}, LEASE) == []
    assert (await state(database))["step"] == 1


async def test_recording_twice_changes_nothing(store: Database, database: str, one_delivery: str) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)
    done = ended(claimed, 503, GiveUp())

    await deliveries.record(store, [done])
    once = await state(database)
    await deliveries.record(store, [done])

    assert await state(database) == once
    assert once["state"] == "FAILED"


async def test_a_lease_that_ran_out_is_due_again_and_shows_as_interrupted(
    store: Database, database: str, one_delivery: str, lease_runs_out: Expire
) -> None:
    await deliveries.claim(store, {one_delivery: 1}, LEASE)
    await lease_runs_out()

    (again,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)

    assert (again.was_lost, again.number, again.step, again.interrupted) == (True, 2, 0, 1)
    assert (await state(database))["tried"] == [(1, "interrupted", None)]


async def test_the_first_five_interruptions_spend_no_step_of_the_schedule(
    store: Database, one_delivery: str, lease_runs_out: Expire
) -> None:
    await deliveries.claim(store, {one_delivery: 1}, LEASE)
    steps = []
    for _ in range(7):
        await lease_runs_out()
        (again,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)
        steps.append(again.step)

    assert steps == [0, 0, 0, 0, 0, 1, 2]


async def test_a_zombies_2xx_counts_and_its_other_answers_do_not(
    store: Database, database: str, one_delivery: str, lease_runs_out: Expire
) -> None:
    (zombie,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)
    await lease_runs_out()
    (owner,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)

    await deliveries.record(store, [ended(zombie, 500, GiveUp())])
    refused = await state(database)
    await deliveries.record(store, [ended(zombie, 200, Delivered())])
    await deliveries.record(store, [ended(owner, 500, RetryIn(dt.timedelta(0)))])

    # The answer is kept in place of `interrupted`; the delivery is the owner's, until somebody has a 2xx.
    assert (refused["state"], refused["tried"]) == ("SENDING", [(1, "status", 500)])
    last = await state(database)
    assert last["state"] == "SUCCESS"
    assert last["tried"][1] == (2, "status", 500)


async def test_a_claim_handed_back_leaves_no_trace(store: Database, database: str, one_delivery: str) -> None:
    before = await state(database)
    claimed = await deliveries.claim(store, {one_delivery: 1}, LEASE)

    await deliveries.hand_back(store, claimed)

    assert await state(database) == before
    assert len(await deliveries.claim(store, {one_delivery: 1}, LEASE)) == 1


@pytest.mark.usefixtures("one_delivery")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE channel SET disabled_by = 'person' RETURNING 1", "channel_disabled"),
        ("UPDATE channel SET deleted_at = now() RETURNING 1", "channel_deleted"),
        ("UPDATE delivery SET round_from = now() - interval '73 h' RETURNING 1", "too_old"),
    ],
)
async def test_the_sweep_ends_what_no_attempt_will_end(
    store: Database, database: str, change: str, reason: str
) -> None:
    assert await deliveries.sweep(store, longest_round=dt.timedelta(hours=72)) == 0
    await scalar(database, change)

    assert await deliveries.sweep(store, longest_round=dt.timedelta(hours=72)) == 1

    assert (await state(database))["reason"] == reason
    assert await deliveries.due_channels(store) == []


async def test_what_is_in_flight_when_its_channel_is_disabled_ends_with_its_attempt(
    store: Database, database: str, one_delivery: str
) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)
    await scalar(database, "UPDATE channel SET disabled_by = 'person' RETURNING 1")

    swept = await deliveries.sweep(store, longest_round=dt.timedelta(hours=72))
    await deliveries.record(store, [ended(claimed, 503, RetryIn(dt.timedelta(seconds=5)))])

    assert swept == 0
    last = await state(database)
    assert (last["state"], last["reason"], last["tried"]) == ("FAILED", "channel_disabled", [(1, "status", 503)])


async def test_a_channel_that_a_rule_uses_is_not_deleted(store: Database) -> None:
    await configure(store, "hook")

    with pytest.raises(Refused, match="channel hook: a rule still sends to it"):
        async with configuration.edit(store, CIPHER, "default") as edit:
            await edit.delete_channel((await edit.channels())[0])

    async with configuration.edit(store, CIPHER, "default", keep=False) as edit:
        assert len(await edit.channels()) == 1


async def test_secrets_are_nowhere_in_the_database_in_clear(store: Database, database: str) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    file = RulesFile.model_validate(
        {
            "channels": [
                {**CHANNEL, "key": "k", "signingSecret": secret, "customHeaders": {"Authorization": "Bearer t1ger"}}
            ]
        }
    )
    async with configuration.edit(store, CIPHER, "default") as edit:
        await apply_change(edit, YamlFile("rules.yaml", file, {}), prune=False)

    text = await scalar(database, "SELECT channel::text FROM channel")

    for clear in (secret, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "t1ger", "Authorization"):
        assert clear not in text
        assert clear.encode().hex() not in text
    async with configuration.edit(store, CIPHER, "default", keep=False) as edit:
        (channel,) = await edit.channels()
    assert channel.signing_secret.reveal() == secret
    assert channel.headers["Authorization"].reveal() == "Bearer t1ger"


async def test_a_pause_holds_all_of_the_channels_deliveries_and_the_longest_one_counts(store: Database) -> None:
    rule = await configure(store, "a", "b")
    changes = [
        make_change(rule, key=EntitlementKey("default", f"e{n}"), identity=n.to_bytes(32, "big")) for n in range(3)
    ]
    await outbox.write(store, changes)
    channels = [channel.id for channel in await deliveries.due_channels(store)]
    first, second = await deliveries.claim(store, {channels[0]: 2}, LEASE)

    pauses = [dt.timedelta(minutes=10), dt.timedelta(minutes=2)]
    await deliveries.record(
        store,
        [ended(one, 429, RetryIn(pause, pause=pause)) for one, pause in zip((first, second), pauses, strict=True)],
    )

    due_in = {channel.id: channel.due_in for channel in await deliveries.due_channels(store)}
    assert 590 < due_in[channels[0]] <= 600
    assert due_in[channels[1]] <= 0
    assert await deliveries.claim(store, {channels[0]: 8}, LEASE) == []
    assert len(await deliveries.claim(store, {channels[1]: 8}, LEASE)) == 3


async def test_a_receiver_that_is_gone_has_its_channel_disabled_with_the_reason(
    store: Database, database: str, one_delivery: str
) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)

    await deliveries.record(store, [ended(claimed, 410, Disable("gone"))])

    last = await state(database)
    assert (last["state"], last["reason"], last["tried"]) == ("FAILED", "channel_disabled", [(1, "status", 410)])
    by = await scalar(database, "SELECT disabled_by || ' ' || disabled_reason FROM channel")
    assert by == "tollbell gone"
    assert (await deliveries.gauges(store)).channels["disabled_by_tollbell"] == 1


async def test_a_person_who_disabled_a_channel_stays_who_did(store: Database, database: str, one_delivery: str) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE)
    await scalar(database, "UPDATE channel SET disabled_by = 'person' RETURNING 1")

    await deliveries.record(store, [ended(claimed, 410, Disable("gone"))])

    assert await scalar(database, "SELECT disabled_by FROM channel") == "person"
