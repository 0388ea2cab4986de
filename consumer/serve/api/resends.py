"""/notification/events/resend: every delivery that fits a filter, sent again by a durable job; counted before."""

import json
from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer.serve import bodies
from consumer.serve.api.call import Call, Operation
from consumer.serve.described import Described, RequestBody
from consumer.serve.problems import Fault, bad_request, conflict
from consumer.store import features, jobs
from consumer.store.history import EventFilter
from consumer.store.jobs import NoneLeft, OtherCount, TooManyOpen
from schemas import answers
from schemas.requests import ResendFilter, ResendManyRequest


async def resend_events(call: Call) -> web.Response:
    """Ask for it, or say how many there would be."""
    wanted = bodies.fit(ResendManyRequest, await call.body())
    if not wanted.filter.model_fields_set:
        problem = "names nothing: at least one field, such as `state` or `from`"
        raise bad_request(f"filter: {problem}", [Fault("filter", problem)])
    database, which = call.served.database, await _which(call, wanted.filter)
    if wanted.dry_run:
        return bodies.answer(answers.Resending(total=await jobs.count_many(database, call.namespace, which)))
    written = json.dumps(wanted.filter.model_dump(mode="json", by_alias=True, exclude_unset=True))
    try:
        asked = await jobs.resend_many(
            database,
            call.namespace,
            which,
            written=written,
            expected=wanted.expected,
            job_id=await call.new_job_id(),
        )
    except (NoneLeft, OtherCount, TooManyOpen) as exc:
        raise conflict(str(exc)) from None
    made = bodies.answer(answers.Resending(total=asked.total, job_id=asked.job_id), HTTPStatus.ACCEPTED)
    made.headers["location"] = call.job_path(asked.job_id)
    return made


async def _which(call: Call, given: ResendFilter) -> EventFilter:
    return EventFilter(
        rules=await call.ids("rule", given.rule) or (),
        types=[kind.value for kind in given.type],
        subjects=given.subject,
        features=await features.keys_of(call.served.database, call.namespace, given.feature),
        channels=await call.ids("channel", given.channel) or (),
        states=given.state,
        customer=given.customer,
        since=given.from_,
        until=given.to,
    )


OPERATIONS: Final = (
    Operation(
        "resend_events",
        "POST",
        "/notification/events/resend",
        resend_events,
        writes=True,
        about=Described(
            summary="Send again every delivery that fits a filter, at most 100,000; `location` names the job",
            takes=RequestBody(ResendManyRequest, "ResendManyRequest"),
            answers={HTTPStatus.OK: answers.Resending, HTTPStatus.ACCEPTED: answers.Resending},
            problems={
                HTTPStatus.CONFLICT: "None matches, or not as many as expected, or more than 100,000, or ten such jobs"
                " are not done yet: nothing is sent."
            },
        ),
    ),
)
