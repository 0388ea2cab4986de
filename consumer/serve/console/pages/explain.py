"""Explain: what a pasted record means to each rule now, by the judgement itself. Nothing is sent."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from consumer.serve import bodies
from consumer.serve.console import records, webhooks
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.rendering import pretty
from consumer.serve.console.visits import Visit
from consumer.serve.problems import ApiProblem, bad_request
from schemas import answers

MOST_RULES: Final = 50  # that a record is explained by at once: each takes four statements
MOST_BY_ALL: Final = 65_536  # characters of a record that is explained by many rules
EXAMPLE: Final = """{
  "specversion": "1.0",
  "id": "e-1",
  "source": "my-metering",
  "type": "tollbell.usage.snapshot",
  "data": {
    "calculatedAt": "2026-11-22T10:15:30.123Z",
    "customer": {"id": "c-1", "key": "acme", "name": "ACME Inc."},
    "subject": {"key": "acme-prod"},
    "feature": {"id": "f-1", "key": "llm_tokens"},
    "entitlement": {
      "id": "ent-1",
      "period": {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    },
    "value": {"usage": 8100, "allowance": 10000}
  }
}"""


@dataclass(frozen=True, slots=True)
class Explained:
    """What the record means to a rule."""

    rule: answers.NotificationRule
    explanation: answers.Explanation


async def show(visit: Visit) -> web.Response:
    """Return the form; with an event, the record that its frozen data shows, and its rule."""
    if visit.query["event"]:
        return await _of_event(visit, visit.query["event"])
    record = EXAMPLE if visit.query.get("example") else ""
    return await _page(visit, record=record, chosen=visit.query.get("rule", ""))


async def _of_event(visit: Visit, event_id: str) -> web.Response:
    event = await visit.read(answers.NotificationEvent, "get_event", event=event_id)
    shown = records.record_of(event.id, event.type, bytes(event.payload), visit.access.namespace)
    problem = "" if shown else "This event shows no amounts: the clock made it. Paste a record of its entitlement."
    record = pretty(shown.encode()) if shown else ""
    chosen = event.rule.id if not event.rule.deleted_at else ""
    return await _page(visit, record=record, chosen=chosen, event=event, problem=problem)


async def explain(visit: Visit) -> web.Response:
    """Return the form, and what the record means."""
    form = await visit.form()
    given, chosen = form.one("record"), form.one("rule")
    try:
        record = await bodies.parsed(given.encode())
        if not chosen and len(given) > MOST_BY_ALL:
            raise bad_request(f"the record has more than {MOST_BY_ALL} characters: choose one rule")
        rules = await _rules(visit, chosen)
        explained = [
            Explained(
                rule, await visit.read(answers.Explanation, "explain_rule", body={"record": record}, rule=rule.id)
            )
            for rule in rules.items
        ]
    except ApiProblem as problem:
        if problem.status is not HTTPStatus.BAD_REQUEST:
            raise
        return await _page(visit, record=given, chosen=chosen, problem=problem.detail.replace("the body", "the record"))
    explained.sort(key=lambda one: not one.explanation.events)  # what fires comes first
    channels = await visit.channel_names(one.id for rule in rules.items for one in rule.channels)
    made, not_made = await webhooks.webhooks(visit, [(one.rule, one.explanation) for one in explained])
    return await _page(
        visit,
        record=given,
        chosen=chosen,
        explained=explained,
        left_out=max(rules.total_count - MOST_RULES, 0),
        channels=channels,
        webhooks=made,
        not_made=not_made,
    )


async def _rules(visit: Visit, chosen: str) -> answers.Page[answers.NotificationRule]:
    if not chosen:
        return await visit.read(
            answers.Page[answers.NotificationRule], "list_rules", query=urlencode({"pageSize": MOST_RULES})
        )
    rule = await visit.read(answers.NotificationRule, "get_rule", rule=chosen)
    return answers.Page(total_count=1, page=1, page_size=1, items=[rule])


async def _page(visit: Visit, **context: Any) -> web.Response:
    query = urlencode({"pageSize": 200, "includeDisabled": "true"})
    rules = await visit.read(answers.Page[answers.NotificationRule], "list_rules", query=query)
    empty: dict[str, Any] = {
        "problem": "",
        "explained": None,
        "left_out": 0,
        "channels": {},
        "webhooks": {},
        "not_made": 0,
        "event": None,
    }
    context = empty | context
    return visit.page("explain", rules=rules.items, **context)


PAGES: Final = (
    ConsolePage("explain", "GET", "/explain", show),
    ConsolePage("explain_record", "POST", "/explain", explain),
)
