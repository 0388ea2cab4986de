"""What channels would get of events that are only explained: each in its own format, secrets masked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consumer.formats.preview import Preview, preview
from consumer.serve.console.visits import Visit
from consumer.store import configured
from schemas import answers
from schemas.channels import Format
from schemas.rules import RuleType

MOST: Final = 20  # of one page: each takes a millisecond, a large template more


@dataclass(frozen=True, slots=True)
class WebhookPreview:
    """What a channel would get of one event."""

    channel_id: str
    name: str
    format: Format
    made: Preview


Explained = tuple[answers.NotificationRule, answers.Explanation]


async def webhooks(visit: Visit, explained: Iterable[Explained]) -> tuple[Mapping[str, Sequence[WebhookPreview]], int]:
    """Return by a rule's id what its channels would get, at most `MOST` in all, and how many were left out.

    Of channels that are there and enabled: others get nothing.
    """
    firing = [(rule, explanation.events) for rule, explanation in explained if explanation.events]
    ids = {channel.id for rule, _ in firing for channel in rule.channels}
    database = visit.served.database
    stored = await configured.some_channels(database, visit.served.cipher, visit.access.namespace, ids) if ids else []
    by_id = {one.id: one for one in stored if one.disabled_by is None}
    now = await database.now()
    made: dict[str, list[WebhookPreview]] = {}
    wanted = [
        (rule, bytes(event), by_id[to.id])
        for rule, events in firing
        for event in events
        for to in rule.channels
        if to.id in by_id
    ]
    for rule, event, to in wanted[:MOST]:
        looked = preview(to.config, RuleType(rule.type), event, now)
        made.setdefault(rule.id, []).append(WebhookPreview(to.id, to.config.name, to.config.format, looked))
    return made, max(len(wanted) - MOST, 0)
