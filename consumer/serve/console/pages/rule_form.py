"""The form of a rule: of each type, made or changed."""

from collections.abc import Sequence
from http import HTTPStatus
from itertools import zip_longest
from typing import Final

from aiohttp import web

from consumer.serve.api.call import CHANGED, MADE, PERHAPS
from consumer.serve.console import drafts
from consumer.serve.console.page import ConsolePage
from consumer.serve.console.visits import Form, Texts, Visit
from consumer.serve.problems import ApiProblem, conflict
from consumer.store import configured
from schemas import answers
from schemas.rules import RuleType
from schemas.thresholds import ThresholdType

KINDS: Final = (
    (ThresholdType.USAGE_PERCENTAGE, "usage, % of the allowance ≥"),
    (ThresholdType.USAGE_VALUE, "usage ≥"),
    (ThresholdType.BALANCE_VALUE, "balance ≤"),
)
FIRST: Final = KINDS[0][0]
MOST_CHANNELS: Final = 200  # to choose from; a rule may have those that it has all the same
Thresholds = Sequence[tuple[str, str]]


async def new(visit: Visit) -> web.Response:
    """Return an empty form of the type that the URL names, or one with which most begin."""
    kind = visit.query["type"] if visit.query["type"] in RuleType.__members__.values() else RuleType.BALANCE_THRESHOLD
    return await _page(visit, Texts(type=str(kind)), [(FIRST, "80"), (FIRST, "100")], [])


async def create(visit: Visit) -> web.Response:
    """Make the rule."""
    form = await visit.form()
    draft, thresholds, channels = _given(form)
    if form.one("act") == "rows":
        return await _page(visit, draft, thresholds, channels)
    new_id = visit.id_of(form)
    try:
        body = drafts.rule_body(draft, thresholds, channels)
        made = await visit.read(answers.NotificationRule, "create_rule", body=body, new_id=new_id)
    except ApiProblem as problem:
        if problem.detail == MADE:
            return visit.go(f"/rules/{new_id}", said="made")
        if problem.detail == PERHAPS:  # without Postgres there is no form to show it on
            raise
        return await _page(visit, draft, thresholds, channels, problem=problem)
    return visit.go(f"/rules/{made.id}", said="created")


async def edit(visit: Visit) -> web.Response:
    """Return the form with the rule as it is."""
    rule = await _found(visit)
    draft, thresholds = await _stored(visit, rule)
    return await _page(visit, draft, thresholds, [one.id for one in rule.channels], rule)


async def update(visit: Visit) -> web.Response:
    """Change the rule; it stays enabled, or disabled, and of its type."""
    form = await visit.form()
    draft, thresholds, channels = _given(form)
    seen_at, rule = form.one("updatedAt"), await _found(visit)
    if form.one("act") == "rows":
        return await _page(visit, draft, thresholds, channels, rule, seen_at=seen_at)
    try:
        if seen_at != rule.updated_at:  # before what else is wrong with it
            raise conflict(CHANGED)
        body = drafts.rule_body(draft, thresholds, channels) | {"disabled": rule.disabled}
        await visit.ask("update_rule", body=body, seen_at=seen_at, rule=rule.id)
    except ApiProblem as problem:
        if problem.detail == CHANGED:
            now = await _found(visit)
            is_saved = {one.id for one in now.channels} == set(channels)
            if is_saved and await _stored(visit, now) == (draft, thresholds):  # by this very form, which was sent twice
                return visit.go(f"/rules/{rule.id}", said="saved")
            # Once it has been read, it may be saved.
            return await _page(visit, draft, thresholds, channels, now, problem=problem)
        if problem.detail == PERHAPS:
            raise
        return await _page(visit, draft, thresholds, channels, rule, problem=problem, seen_at=seen_at)
    return visit.go(f"/rules/{rule.id}", said="saved")


async def _found(visit: Visit) -> answers.NotificationRule:
    return await visit.read(answers.NotificationRule, "get_rule", rule=visit.request.match_info["rule"])


async def _stored(visit: Visit, rule: answers.NotificationRule) -> tuple[Texts, Thresholds]:
    """Return the fields of a rule as it is."""
    # As a person wrote them: an answer has id and key of each, and a key that became an id would be another rule.
    stored = await configured.rule(visit.served.database, visit.access.namespace, rule.id)
    draft = drafts.of_rule(rule, getattr(stored.spec, "features", None) if stored else None)
    thresholds = [(str(ThresholdType(one.type).canonical), format(one.value, "f")) for one in rule.thresholds or []]
    return draft, thresholds


def _given(form: Form) -> tuple[Texts, Thresholds, list[str]]:
    values = [value.strip() for value in form.raw("value")]
    thresholds = list(zip_longest(form.all("kind"), values, fillvalue=""))
    return drafts.of_form(form, drafts.RULE_FIELDS), [one for one in thresholds if one[1]], form.all("channel")


async def _page(
    visit: Visit,
    draft: Texts,
    thresholds: Thresholds,
    chosen: Sequence[str],
    rule: answers.NotificationRule | None = None,
    *,
    problem: ApiProblem | None = None,
    seen_at: str = "",
) -> web.Response:
    """Return the form; *seen_at*: when what it was filled from was changed, where that is not now looked at."""
    visit.access.check_write()
    if problem and problem.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT}:
        raise problem
    query = f"pageSize={MOST_CHANNELS}&order=DESC&includeDisabled=true"
    found = await visit.read(answers.Page[answers.NotificationChannel], "list_channels", query=query)
    names = {one.id: one.name for one in found.items}
    names |= await visit.channel_names(one for one in chosen if one not in names)
    return visit.page(
        "rule_form",
        problem.status if problem else HTTPStatus.OK,
        draft=draft,
        rule=rule,
        problem=problem,
        faults=drafts.by_field(problem.faults if problem else ()),
        thresholds=[*thresholds, *[(FIRST, "")] * drafts.BLANK_ROWS],
        kinds=KINDS,
        channels=names,
        chosen=set(chosen),
        left_out=max(found.total_count - MOST_CHANNELS, 0),
        seen_at=seen_at or (rule.updated_at if rule else ""),
    )


PAGES: Final = (
    ConsolePage("new_rule", "GET", "/rules/new", new),
    ConsolePage("create_rule", "POST", "/rules/new", create),
    ConsolePage("edit_rule", "GET", "/rules/{rule}/edit", edit),
    ConsolePage("update_rule", "POST", "/rules/{rule}/edit", update),
)
