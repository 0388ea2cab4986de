"""Customers: who has used how much now, and one of them with its entitlements, what has fired, and its events."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from consumer.serve.console import paging
from consumer.serve.console.listed import listed
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.summaries import text_of
from consumer.serve.console.visits import Texts, Visit
from consumer.store import configured
from consumer.store.history import MOST_COUNTED
from schemas import answers
from schemas.events import ThresholdPart

FILTERS: Final = ("atLeast", "feature", "customer")
RECENT: Final = 10  # events of a customer that its page shows


class _Fired(msgspec.Struct, rename="camel", kw_only=True):
    rule_id: str
    threshold: ThresholdPart
    at: str
    level: Decimal
    is_reached: bool


class _Period(msgspec.Struct, kw_only=True):
    from_: str = msgspec.field(name="from")
    to: str | None = None


class _Entitlement(msgspec.Struct, rename="camel", kw_only=True):
    """An entitlement, as far as pages say it: `answers.Entitlement` can't be read, only written."""

    id: str
    period: _Period
    percentage: int | None = None
    since: str | None = None
    feature: dict[str, Any] = {}
    subject: dict[str, Any] = {}
    customer: dict[str, Any] = {}
    fired: list[_Fired] = []

    @property
    def named(self) -> str:
        """The customer, as people call it; the subject's key where the record says none."""
        return text_of(self.customer, "name", "key", "id") or text_of(self.subject, "key")

    @property
    def customer_key(self) -> str:
        """By which the customer is found; empty where there is none."""
        return text_of(self.customer, "id", "key")

    @property
    def beside(self) -> str:
        """What else the customer is called: its key, or id."""
        return next((text for text in (text_of(self.customer, "key"), self.customer_key) if text != self.named), "")

    @property
    def feature_key(self) -> str:
        """The feature."""
        return text_of(self.feature, "key", "id")


class _Found(msgspec.Struct, rename="camel", kw_only=True):
    total_count: int
    items: list[_Entitlement]
    next_cursor: str | None = None


async def show_all(visit: Visit) -> web.Response:
    """Return the list, who has used most first."""
    given = Texts({name: value for name in FILTERS if (value := visit.query[name].strip())})
    found = await _found(visit, given)
    return visit.page("customers", found=found, filters=given, **_pages(visit, found, given))


async def show(visit: Visit) -> web.Response:
    """Return one customer, by id or key."""
    customer = visit.query["customer"].strip()
    if not customer:
        return visit.go("/customers")
    given = Texts(customer=customer)
    found = await _found(visit, given)
    newest = urlencode(given | {"order": "DESC", "pageSize": RECENT})
    events = await visit.read(answers.NotificationEventPage, "list_events", query=newest)
    names = await visit.channel_names(one.channel.id for event in events.items for one in event.delivery_status)
    return visit.page(
        "customer",
        customer=customer,
        found=found,
        rules=await _rules(visit, found.items),
        events=listed(events.items),
        channels=names,
        **_pages(visit, found, given),
    )


async def _found(visit: Visit, given: Mapping[str, str]) -> _Found:
    cursor = visit.query["cursor"]
    query = {**given, "pageSize": str(paging.SIZE)} | ({"cursor": cursor} if cursor else {})
    return await visit.read(_Found, "list_entitlements", query=urlencode(query))


def _pages(visit: Visit, found: _Found, given: Mapping[str, str]) -> dict[str, Any]:
    return {
        "is_capped": found.total_count >= MOST_COUNTED,
        "cursor": visit.query["cursor"],
        "first": urlencode(given),
        "more": urlencode({**given, "cursor": found.next_cursor}) if found.next_cursor else "",
    }


async def _rules(visit: Visit, entitlements: Iterable[_Entitlement]) -> Mapping[str, str]:
    """Return what the rules are called that have fired, by id."""
    ids = {mark.rule_id for one in entitlements for mark in one.fired}
    found = await configured.rules_of(visit.served.database, visit.access.namespace, ids)
    return {rule_id: rule.name for rule_id, rule in found.items()}


PAGES: Final = (
    ConsolePage("customers", "GET", "/customers", show_all),
    ConsolePage("customer", "GET", "/customers/one", show),
)
