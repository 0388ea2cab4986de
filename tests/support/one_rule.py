"""A store with one rule: its channels, what is written for it, and what becomes of its delivery."""

import datetime as dt
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import asyncpg

from consumer import encryption, ids
from consumer.commands.apply import change as apply_change
from consumer.commands.rules_files import merged
from consumer.commands.yaml_file import YamlFile
from consumer.decide.model import Document, Mark
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.decide.verdict import Verdict
from consumer.store import configuration
from consumer.store.database import Database
from consumer.store.deliveries import Claimed, Ended
from consumer.store.memory import EntitlementKey
from consumer.store.outbox import Change, NewEvent
from schemas.rules import RuleId
from schemas.rules_file import RulesFile
from tests.support.factories import NOW, PERIOD

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
Expire = Callable[[], Coroutine[None, None, Any]]


async def configure(store: Database, *channels: str, **rule: object) -> str:
    """Make a rule that sends to *channels*; return its id."""
    file = RulesFile.model_validate(
        {
            "channels": [{**CHANNEL, "key": key} for key in channels],
            "rules": [{**RULE, "channels": list(channels), **rule}],
        }
    )
    async with configuration.edit(store, CIPHER, "default") as edit:
        await apply_change(edit, merged([YamlFile("rules.yaml", file, "")]), prune=False)
    async with configuration.edit(store, CIPHER, "default", keep=False) as edit:
        return (await edit.rules())[0].id


def make_change(rule_id: str, *, version: int = 0, identity: bytes = b"i" * 32, key: EntitlementKey = KEY) -> Change:
    marks = {RuleId(rule_id): {"usage_percentage:80": Mark("fired", 1, NOW, Decimal("80.50"))}}
    period = {"period_from": PERIOD[0], "period_to": PERIOD[1]}
    document = Document(version=version, **period, known_at=NOW, newest_at=NOW, as_of=NOW, marks=marks)
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
