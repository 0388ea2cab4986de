"""/notification/entitlements: who has used how much of the allowance now, by feature and customer."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final, cast

import msgspec
from aiohttp import web

from consumer.serve import bodies, large
from consumer.serve.api.call import Call, Operation
from consumer.serve.bodies import MAX_PAGE_SIZE, PAGE_SIZE, QueryParameters
from consumer.serve.described import TEXT, Described, Parameter
from consumer.serve.problems import Fault, bad_request
from consumer.store import features, levels
from consumer.store.levels import UNKNOWN, LevelCursor, Leveled, LevelFilter
from schemas import answers, times
from schemas.events import threshold_part
from schemas.thresholds import Threshold, ThresholdType

MOST: Final = 1000  # per cent: consumer/decide/levels.py keeps no higher level
STEP: Final = 10
MAX_LEVEL_DIGITS: Final = 4


async def list_all(call: Call) -> web.Response:
    """Return a page of entitlements, the highest percentage first."""
    query = call.query()
    size = query.number("pageSize", PAGE_SIZE, least=1, most=MAX_PAGE_SIZE)
    feature = query.one("feature")
    keys = await features.keys_of(call.served.database, call.namespace, [feature] if feature else [])
    wanted = LevelFilter(
        at_least=_at_least(query),
        feature=keys[0] if keys else None,
        customer=query.one("customer") or None,
        after=_place(query),
        limit=size,
    )
    query.check()
    found = await levels.page(call.served.database, call.namespace, wanted, most_bytes=large.ANSWER_BYTES)
    if found.left_out:
        raise large.too_large(size, len(found.entitlements))
    await call.turn.take(found.bytes)
    items = large.Items(size)
    for one in found.entitlements:
        await items.add(_shown(one))
    place = found.entitlements[-1].place if len(found.entitlements) == size else None
    answer = answers.EntitlementPage(
        total_count=found.total,
        items=cast("list[answers.Entitlement]", items.raws),
        next_cursor=f"{place.level}:{place.id}" if place else None,
    )
    return bodies.answer(answer)


def _at_least(query: QueryParameters) -> int | None:
    if query.one("atLeast") is None:
        return None
    found = query.number("atLeast", 0, least=0, most=MOST)
    if found % STEP:
        problem = f"must be a multiple of ten: what is between {found // STEP * STEP} and the next one is not kept"
        raise bad_request(f"atLeast: {problem}", [Fault("atLeast", problem)])
    return found


def _place(query: QueryParameters) -> LevelCursor:
    """Return where the page begins: behind `nextCursor` of the one before."""
    cursor = query.one("cursor")
    if cursor is None:
        return LevelCursor()
    level, colon, entitlement_id = cursor.partition(":")
    is_level = level == str(UNKNOWN) or (level.isascii() and level.isdigit() and len(level) <= MAX_LEVEL_DIGITS)
    if not colon or not is_level:
        problem = "must be `nextCursor` of the page before"
        raise bad_request(f"cursor: {problem}", [Fault("cursor", problem)])
    return LevelCursor(int(level), entitlement_id)


def _shown(one: Leveled) -> answers.Entitlement:
    return answers.Entitlement(
        id=one.id,
        percentage=one.level,
        since=times.text(one.level_at) if one.level_at else None,
        period=answers.EntitlementPeriod(
            from_=times.text(one.period_from), to=times.text(one.period_to) if one.period_to else None
        ),
        feature=_raw(one.feature),
        subject=_raw(one.subject),
        customer=_raw(one.customer),
        fired=sorted(_fired(one), key=lambda mark: mark.at),
    )


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None or text == "null" else msgspec.Raw(text.encode())


def _fired(one: Leveled) -> Iterator[answers.FiredMark]:
    for rule_id, marks in one.marks.items():
        for identity, mark in marks.items():
            kind, _, value = identity.partition(":")
            if mark.episode:
                yield answers.FiredMark(
                    rule_id=rule_id,
                    threshold=threshold_part(Threshold(type=ThresholdType(kind), value=value)),
                    at=times.text(mark.at),
                    level=mark.level,
                    is_reached=mark.state == "fired",
                )


_PERCENT: Final = {"type": "integer", "minimum": 0, "maximum": MOST, "multipleOf": STEP}
OPERATIONS: Final = (
    Operation(
        "list_entitlements",
        "GET",
        "/notification/entitlements",
        list_all,
        writes=False,
        about=Described(
            summary="Who has used how much of the allowance now, of entitlements that a rule is about, the most first",
            answers={HTTPStatus.OK: answers.EntitlementPage},
            query=(
                Parameter("atLeast", _PERCENT, "Those that have used so many per cent or more: a multiple of ten."),
                Parameter("feature", TEXT, "Of this feature, by id or key."),
                Parameter("customer", TEXT, "Of this customer, by id or key."),
                Parameter(
                    "pageSize",
                    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE},
                    "How many a page has.",
                ),
                Parameter("cursor", TEXT, "`nextCursor` of the page before."),
            ),
        ),
    ),
)
