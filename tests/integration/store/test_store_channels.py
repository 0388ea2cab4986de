"""What becomes of a channel, on a real Postgres: its secrets, its pause, and who disabled it."""

import datetime as dt

import pytest

from consumer.commands.apply import change as apply_change
from consumer.commands.rules_files import merged
from consumer.commands.yaml_file import YamlFile
from consumer.decide.verdict import Disable, RetryIn
from consumer.errors import Refused
from consumer.store import configuration, deliveries, outbox
from consumer.store.database import Database
from consumer.store.memory import EntitlementKey
from schemas.rules_file import RulesFile
from tests.support.one_rule import CHANNEL, CIPHER, LEASE, configure, ended, make_change, scalar, state
from tests.support.stores import STEPS


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
        await apply_change(edit, merged([YamlFile("rules.yaml", file, "")]), prune=False)

    text = await scalar(database, "SELECT channel::text FROM channel")

    for clear in (secret, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "t1ger", "Authorization"):
        assert clear not in text
        assert clear.encode().hex() not in text
    async with configuration.edit(store, CIPHER, "default", keep=False) as edit:
        (channel,) = await edit.channels()
    assert channel.signing_secret.reveal() == secret
    assert channel.headers["Authorization"].reveal() == "Bearer t1ger"


async def test_a_pause_holds_the_whole_channel_and_the_longest_wins(store: Database) -> None:
    rule = await configure(store, "a", "b")
    changes = [
        make_change(rule, key=EntitlementKey("default", f"e{n}"), identity=n.to_bytes(32, "big")) for n in range(3)
    ]
    await outbox.write(store, changes)
    channels = [channel.id for channel in await deliveries.due_channels(store)]
    first, second = await deliveries.claim(store, {channels[0]: 2}, LEASE, steps=STEPS)

    pauses = [dt.timedelta(minutes=10), dt.timedelta(minutes=2)]
    await deliveries.record(
        store,
        [ended(one, 429, RetryIn(pause, pause=pause)) for one, pause in zip((first, second), pauses, strict=True)],
    )

    due_in = {channel.id: channel.due_in for channel in await deliveries.due_channels(store)}
    assert 590 < due_in[channels[0]] <= 600
    assert due_in[channels[1]] <= 0
    assert await deliveries.claim(store, {channels[0]: 8}, LEASE, steps=STEPS) == []
    assert len(await deliveries.claim(store, {channels[1]: 8}, LEASE, steps=STEPS)) == 3


async def test_a_gone_receiver_disables_its_channel_with_the_reason(
    store: Database, database: str, one_delivery: str
) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)

    await deliveries.record(store, [ended(claimed, 410, Disable("gone"))])

    last = await state(database)
    assert (last["state"], last["reason"], last["tried"]) == ("FAILED", "channel_disabled", [(1, "status", 410)])
    by = await scalar(database, "SELECT disabled_by || ' ' || disabled_reason FROM channel")
    assert by == "tollbell gone"
    assert (await deliveries.gauges(store)).channels["disabled_by_tollbell"] == 1


async def test_a_person_who_disabled_a_channel_stays_who_did(store: Database, database: str, one_delivery: str) -> None:
    (claimed,) = await deliveries.claim(store, {one_delivery: 1}, LEASE, steps=STEPS)
    await scalar(database, "UPDATE channel SET disabled_by = 'person' RETURNING 1")

    await deliveries.record(store, [ended(claimed, 410, Disable("gone"))])

    assert await scalar(database, "SELECT disabled_by FROM channel") == "person"
