"""What the tests of the store share: a rule and its channels, events to deliver, attempts that ended."""

import datetime as dt
from decimal import Decimal
from typing import Any

import asyncpg

from consumer import encryption, ids
from consumer.commands.apply import change as apply_change
from consumer.commands.rules_files import merged
from consumer.commands.yaml_file import YamlFile
from consumer.decide.model import Document, Mark
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.verdict import Delivered, RetryIn, Verdict
from consumer.store import configuration, deliveries, outbox
from consumer.store.database import Database
from consumer.store.deliveries import Claimed, Ended, Recorded
from consumer.store.memory import EntitlementKey
from consumer.store.outbox import Change, NewEvent, Reserved, ReservedSlots, Written
from consumer.store.sweeps import Ends
from schemas.rules import RuleId
from schemas.rules_file import RulesFile
from tests.support.factories import NOW, PERIOD

LEASE = dt.timedelta(seconds=30)
DAYS = dt.timedelta(hours=72)
STEPS = 8  # of the service's schedule
ENDS = Ends(longest_round=DAYS, steps=STEPS)
KEY = encryption.new_key()
CIPHER = encryption.parse_keys(KEY)
URL = "http://127.0.0.1:8080/hook"
TYPE = "entitlements.balance.threshold"
PAYLOAD = b'{"id":"%s","type":"entitlements.balance.threshold","timestamp":"t","data":{"value":{"usage":1.50}}}'


class Store:
    """A migrated database with one rule, and what a test does with it. `ids` are the channels' by key."""

    def __init__(self, database: Database, url: str) -> None:
        self.database = database
        self.url = url
        self.ids: dict[str, str] = {}
        self.rule_id = ""
        self._made = 0

    async def configure(self, channels: dict[str, dict[str, Any]], **rule: Any) -> None:
        """Make channels, by key with their settings, and a rule that sends to all of them."""
        file = RulesFile.model_validate(
            {
                "channels": [
                    {"type": "WEBHOOK", "name": key, "url": URL, "key": key, **more} for key, more in channels.items()
                ],
                "rules": [
                    {
                        "type": TYPE,
                        "name": "Quota",
                        "key": "quota",
                        "thresholds": [{"type": "usage_percentage", "value": 80}],
                        "channels": list(channels),
                        **rule,
                    }
                ],
            }
        )
        async with configuration.edit(self.database, CIPHER, "default") as edit:
            await apply_change(edit, merged([YamlFile("rules.yaml", file, "")]), prune=False)
        async with configuration.edit(self.database, CIPHER, "default", keep=False) as edit:
            self.ids = {str(channel.key): channel.id for channel in await edit.channels()}
            self.rule_id = (await edit.rules())[0].id

    async def events(self, count: int, *, after: bytes | None = None) -> list[str]:
        """Make *count* events; return their ids, in order. Each one's identity is its number, from 1 on."""
        return [written.made[0].id for written in await self.write(count, after=after)]

    async def write(self, count: int, *, after: bytes | None = None, **kept: ReservedSlots) -> list[Written]:
        """Make *count* events, with slots *kept* of channels by key; return what became of each."""
        changes = []
        for _ in range(count):
            self._made += 1
            changes.append(self.change(self._made, after))
        slots = {self.ids[key]: some for key, some in kept.items()}
        return await outbox.write(self.database, changes, Reserved(slots, LEASE))

    def change(self, n: int, after: bytes | None = None) -> Change:
        """A change of an entitlement of its own, with the event whose identity is *n*."""
        marks = {RuleId(self.rule_id): {"usage_percentage:80": Mark("fired", 1, NOW, Decimal(80))}}
        period = {"period_from": PERIOD[0], "period_to": PERIOD[1]}
        document = Document(**period, known_at=NOW, newest_at=NOW, as_of=NOW, marks=marks)
        event_id = ids.new()
        event = NewEvent(
            id=event_id,
            identity=identity(n),
            rule_id=self.rule_id,
            rule_name="Quota",
            rule_key="quota",
            type=TYPE,
            action="triggered",
            after=after,
            payload=PAYLOAD % event_id.encode(),
            occurred_at=NOW,
            recorded_at=NOW,
        )
        return Change(EntitlementKey("default", f"ent-{n}"), document, b"{}", (event,))

    async def claim(self, key: str, count: int = 8) -> list[Claimed]:
        return await deliveries.claim(self.database, {self.ids[key]: count}, LEASE, steps=STEPS)

    async def record(self, *ended: Ended) -> Recorded:
        return await deliveries.record(self.database, ended)

    async def due_in(self, key: str) -> float:
        """In how many seconds the channel may send."""
        due = {channel.id: channel.due_in for channel in await deliveries.due_channels(self.database)}
        return due[self.ids[key]]

    async def sql(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()

    async def one(self, statement: str, *arguments: object) -> Any:
        return (await self.sql(statement, *arguments))[0][0]


def identity(n: int) -> bytes:
    return n.to_bytes(32, "big")


def ended(
    claimed: Claimed,
    status: int | None = 503,
    verdict: Verdict | None = None,
    *,
    kind: OutcomeClass = OutcomeClass.STATUS,
    started_at: dt.datetime = NOW,
) -> Ended:
    """An attempt that ended with *status*; without a verdict: delivered where it is 200, else due again at once."""
    if verdict is None:
        verdict = Delivered() if status == 200 else RetryIn(dt.timedelta())
    return Ended(claimed, Outcome(kind=kind, started_at=started_at, duration_ms=1, status=status), verdict)
