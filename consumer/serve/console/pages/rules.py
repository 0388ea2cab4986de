"""Rules: listed, one of them with what has fired, and what a person does with it."""

from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from consumer.serve.console import paging
from consumer.serve.console.listed import listed
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.summaries import text_of
from consumer.serve.console.visits import Visit, segment
from schemas import answers
from schemas.events import ThresholdPart
from schemas.rules import RuleType

RECENT: Final = 10  # events of a rule that its page shows
# Events of a rule: what has fired is found among them, at some 0.3 ms each; of more it is looked up where asked for.
QUICK: Final = 200


class _Fired(msgspec.Struct, rename="camel", kw_only=True):
    """A threshold that has fired, as far as the page says it: `answers.FiredThreshold` can't be read, only written."""

    event_id: str
    threshold: ThresholdPart
    entitlement_id: str
    at: str
    level: Decimal
    is_reached: bool | None = None
    customer: dict[str, Any] | None = None
    subject: dict[str, Any] | None = None

    @property
    def party(self) -> str:
        """The customer or subject, as people call it."""
        return text_of(self.customer or {}, "name", "key", "id") or text_of(self.subject or {}, "key", "id")


class _State(msgspec.Struct, rename="camel"):
    items: list[_Fired]
    next_cursor: str | None = None


async def show_all(visit: Visit) -> web.Response:
    """Return the list."""
    wanted = paging.configured(visit.query, "feature", "channel")
    found = await visit.read(answers.Page[answers.NotificationRule], "list_rules", query=wanted)
    channels = await visit.channel_names(one.id for rule in found.items for one in rule.channels)
    return visit.page("rules", found=found, channels=channels, pages=paging.Numbered.of(found, visit.query))


async def show(visit: Visit) -> web.Response:
    """Return one rule."""
    rule = await visit.read(answers.NotificationRule, "get_rule", rule=visit.request.match_info["rule"])
    newest = urlencode({"rule": rule.id, "order": "DESC", "pageSize": RECENT})
    events = await visit.read(answers.NotificationEventPage, "list_events", query=newest)
    is_quick = events.total_count <= QUICK or bool(visit.query["fired"])
    state = await _state(visit, rule) if is_quick else None
    ids = {one.channel.id for event in events.items for one in event.delivery_status}
    channels = await visit.channel_names(ids | {one.id for one in rule.channels})
    return visit.page("rule", rule=rule, state=state, events=listed(events.items), channels=channels)


async def _state(visit: Visit, rule: answers.NotificationRule) -> _State | None:
    """Return what has fired; None of a rule that has no thresholds."""
    if rule.type is not RuleType.BALANCE_THRESHOLD:
        return None
    return await visit.read(_State, "get_rule_state", rule=rule.id)


async def test(visit: Visit) -> web.Response:
    """Send a sample; lead to its event."""
    event = await visit.read(answers.NotificationEvent, "test_rule", rule=visit.request.match_info["rule"])
    return visit.go(f"/events/{event.id}", said="sampled")


async def enable(visit: Visit) -> web.Response:
    """Enable it."""
    return await _changed(visit, "enable_rule", "enabled")


async def disable(visit: Visit) -> web.Response:
    """Disable it."""
    return await _changed(visit, "disable_rule", "disabled")


async def delete(visit: Visit) -> web.Response:
    """Delete it; its page stays."""
    return await _changed(visit, "delete_rule", "deleted")


async def _changed(visit: Visit, operation: str, said: str) -> web.Response:
    rule = visit.request.match_info["rule"]
    await visit.ask(operation, rule=rule)
    return visit.go(f"/rules/{segment(rule)}", said=said)


PAGES: Final = (
    ConsolePage("rules", "GET", "/rules", show_all),
    ConsolePage("rule", "GET", "/rules/{rule}", show),
    ConsolePage("test_rule", "POST", "/rules/{rule}/test", test),
    ConsolePage("enable_rule", "POST", "/rules/{rule}/enable", enable),
    ConsolePage("disable_rule", "POST", "/rules/{rule}/disable", disable),
    ConsolePage("delete_rule", "POST", "/rules/{rule}/delete", delete),
)
