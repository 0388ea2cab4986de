"""/notification/events: listed, read, sent again."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web

from consumer.errors import Refused
from consumer.serve import bodies, large
from consumer.serve.api import lists, shown
from consumer.serve.api.call import Call, Operation
from consumer.serve.bodies import QueryParameters
from consumer.serve.described import CLASH, TEXT, Described, Parameter, RequestBody
from consumer.serve.problems import Fault, bad_request, conflict, not_found
from consumer.store import configured, features, history, jobs
from consumer.store.history import Event, EventFilter
from consumer.store.jobs import JobState, NoneLeft
from schemas import answers
from schemas.events import DeliveryState
from schemas.requests import ResendRequest
from schemas.rules import RuleType

SHOWN: Final = 500  # characters of a refusal
ORDER_BY: Final = ("id", "createdAt")  # which is the same order: an id begins with its time


async def list_all(call: Call) -> web.Response:
    """Return a page of events."""
    query = call.query()
    page, size = lists.numbers(query)
    wanted = await _wanted(call, query, limit=size, offset=(page - 1) * size)
    query.check()
    found = await history.page(call.served.database, call.namespace, wanted)
    await call.turn.take(large.check(found.parts, size))
    items = large.Items(size)
    for part in large.parts(found.parts):
        read = await history.read(call.served.database, call.namespace, [one.id for one in part])
        for one in await shown_events(call, read):
            await items.add(one)
    answer = answers.NotificationEventPage(
        total_count=found.total,
        page=page,
        page_size=size,
        items=cast("list[answers.NotificationEvent]", items.raws),
        next_cursor=found.parts[-1].id if len(found.parts) == size else None,
    )
    return bodies.answer(answer)


async def get(call: Call) -> web.Response:
    """Return an event with its deliveries and every attempt."""
    event = await _found(call)
    return bodies.answer((await shown_events(call, [event]))[0])


async def resend(call: Call) -> web.Response:
    """Send an event again, to all of its channels or to those named; the answer names the job that does it."""
    named = bodies.fit(ResendRequest, await call.body()).channels
    event = await _found(call)
    channels = await call.ids("channel", named or None)
    try:
        job_id = await jobs.resend(
            call.served.database, call.namespace, event.id, channels=channels, job_id=await call.new_job_id()
        )
    except NoneLeft as exc:
        raise conflict(str(exc)) from None
    except Refused as exc:
        said = str(exc)[:SHOWN]  # it repeats what was asked for
        raise bad_request(said, [Fault("channels", said)]) from None
    return web.Response(status=HTTPStatus.ACCEPTED, headers={"location": call.job_path(job_id)})


async def get_job(call: Call) -> web.Response:
    """Return a resend or a recovery as it stands."""
    job = await jobs.get(call.served.database, call.namespace, call.named["job"])
    if job is None:
        raise not_found("job", call.named["job"])
    return bodies.answer(shown.job(job))


async def list_jobs(call: Call) -> web.Response:
    """Return a page of resends and recoveries, the newest first."""
    query = call.query()
    page, size = lists.numbers(query)
    wanted = _known(query, "state", JobState)
    channels = await call.ids("channel", query.all("channel"))
    query.check()
    found, total = await jobs.page(
        call.served.database,
        call.namespace,
        states=wanted or None,
        channels=channels,
        limit=size,
        offset=(page - 1) * size,
    )
    items = [shown.job(one) for one in found]
    return bodies.answer(answers.Page(total_count=total, page=page, page_size=size, items=items))


async def _found(call: Call) -> Event:
    event = await history.get(call.served.database, call.namespace, call.named["event"])
    if event is None:
        raise not_found("event", call.named["event"])
    return event


async def _wanted(call: Call, query: QueryParameters, *, limit: int, offset: int) -> EventFilter:
    query.choice("orderBy", ORDER_BY, "id")
    customers = query.one("customer")
    return EventFilter(
        rules=await call.ids("rule", query.all("rule")) or (),
        types=_known(query, "type", RuleType),
        subjects=query.all("subject") or (),
        features=await features.keys_of(call.served.database, call.namespace, query.all("feature") or ()),
        channels=await call.ids("channel", query.all("channel")) or (),
        states=states(query),
        customer=customers,
        since=query.time("from"),
        until=query.time("to"),
        after=query.one("cursor"),
        descending=lists.is_descending(query),
        limit=limit,
        offset=offset,
    )


def states(query: QueryParameters) -> Sequence[str]:
    """Return which states of deliveries are asked for.

    Raises:
        Problem: 400, there is no such state.
    """
    return _known(query, "state", DeliveryState)


def _known(
    query: QueryParameters, name: str, kinds: type[RuleType] | type[DeliveryState] | type[JobState]
) -> Sequence[str]:
    values = query.all(name) or []
    known = [kind.value for kind in kinds]
    if unknown := [value for value in values if value not in known]:
        problem = f"{unknown[0][:50]!r} is none of {', '.join(known)}"
        raise bad_request(f"{name}: {problem}", [Fault(name, problem)])
    return values


async def shown_events(call: Call, events: Sequence[Event]) -> list[answers.NotificationEvent]:
    """Return *events* as the API shows them, each with its rule as it is now."""
    database, namespace = call.served.database, call.namespace
    rules = await configured.rules_of(database, namespace, {event.rule_id for event in events})
    refs = await features.seen(database, namespace, features.named_by(list(rules.values())))
    by_id: Mapping[str, answers.NotificationRule] = {rule_id: shown.rule(rule, refs) for rule_id, rule in rules.items()}
    return [shown.event(event, by_id.get(event.rule_id) or shown.sample_rule(event)) for event in events]


_TIME: Final = {"type": "string", "format": "date-time"}
TIMES_AND_STATES: Final = (
    Parameter(
        "state",
        {"type": "string", "enum": [state.value for state in DeliveryState]},
        "With a delivery in one of these states.",
        is_list=True,
    ),
    Parameter("from", _TIME, "Made at or after this time."),
    Parameter("to", _TIME, "Made before this time."),
    Parameter("cursor", TEXT, "What follows this event: `nextCursor` of the page before."),
)
_QUERY: Final = (
    *lists.parameters(ORDER_BY),
    Parameter("rule", TEXT, "Of one of these rules, by id or `key:NAME`.", is_list=True),
    Parameter("type", {"type": "string", "enum": [kind.value for kind in RuleType]}, "Of these types.", is_list=True),
    Parameter("subject", TEXT, "About one of these subjects, by key.", is_list=True),
    Parameter("feature", TEXT, "About one of these features, by id or key.", is_list=True),
    Parameter("channel", TEXT, "With a delivery to one of these channels, by id or `key:NAME`.", is_list=True),
    Parameter("customer", TEXT, "About this customer, by id or key."),
    *TIMES_AND_STATES,
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "list_events",
        "GET",
        "/notification/events",
        list_all,
        writes=False,
        about=Described(summary="List events", answers={HTTPStatus.OK: answers.NotificationEventPage}, query=_QUERY),
    ),
    Operation(
        "get_event",
        "GET",
        "/notification/events/{event}",
        get,
        writes=False,
        about=Described(
            summary="Read an event with its deliveries and their attempts",
            answers={HTTPStatus.OK: answers.NotificationEvent},
        ),
    ),
    Operation(
        "resend_event",
        "POST",
        "/notification/events/{event}/resend",
        resend,
        writes=True,
        about=Described(
            summary="Send an event again; `location` names the job that does it",
            takes=RequestBody(ResendRequest, "ResendRequest", is_optional=True),
            answers={HTTPStatus.ACCEPTED: None},
            problems=CLASH,
        ),
    ),
    Operation(
        "list_jobs",
        "GET",
        "/notification/jobs",
        list_jobs,
        writes=False,
        about=Described(
            summary="List resends and recoveries, the newest first",
            answers={HTTPStatus.OK: answers.Page[answers.Job]},
            query=(
                *lists.PAGES,
                Parameter(
                    "state", {"type": "string", "enum": [state.value for state in JobState]}, "In these.", is_list=True
                ),
                Parameter("channel", TEXT, "Recoveries of one of these channels, by id or `key:NAME`.", is_list=True),
            ),
        ),
    ),
    Operation(
        "get_job",
        "GET",
        "/notification/jobs/{job}",
        get_job,
        writes=False,
        about=Described(summary="Read a resend or a recovery as it stands", answers={HTTPStatus.OK: answers.Job}),
    ),
)
