"""/notification/rules/{id}/explain and /rules/preview: what a record means to a rule, by the judgement itself."""

import difflib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from consumer.decide.explain import explain
from consumer.decide.payloads import payload
from consumer.decide.rules import features_named, is_about_invoices
from consumer.serve import bodies, large
from consumer.serve.api import rules
from consumer.serve.api.call import Call, Operation
from consumer.serve.described import Described, RequestBody
from consumer.serve.problems import bad_request
from consumer.store import memory
from consumer.store.catalog import Catalog
from consumer.store.memory import key_of
from schemas import answers, events, parse
from schemas.events import threshold_part
from schemas.parse import Ignored, Reject
from schemas.requests import ExplainRequest, PreviewRequest
from schemas.rules import Rule, RuleId, Since, ignoring
from schemas.sources import Invoice, SourceEvent

_FREE: Final = ("record",)
SHOWN: Final = 300  # characters of what was sent, in an answer
NO_ID: Final = "0" * 26  # of an event that is not made


async def explain_rule(call: Call) -> web.Response:
    """Explain a record by a rule, as it is and on what is remembered now."""
    wanted = bodies.fit(ExplainRequest, await call.body(), free=_FREE)
    stored = await rules.found(call)
    return bodies.answer(await _explained(call, stored.judged, wanted.record))


async def preview_rule(call: Call) -> web.Response:
    """Explain a record by a rule that would be made now."""
    wanted = bodies.fit(PreviewRequest, await call.body(), free=_FREE)
    config = rules.read_config(wanted.rule)
    now = await call.served.database.now()
    rule = Rule(
        id=RuleId(NO_ID),
        namespace=call.namespace,
        name=config.name,
        spec=config.spec,
        channels=config.channels,
        ignoring=ignoring(config.spec, Since(revision=0, at=now)),
    )
    return bodies.answer(await _explained(call, rule, wanted.record))


async def _explained(call: Call, rule: Rule, record: Mapping[str, Any]) -> answers.Explanation:
    database = call.served.database
    latest = await database.now() + call.served.future_tolerance
    source = parse.parse(events.encode(record), (), latest=latest)
    if isinstance(source, Reject):
        rejected = answers.Rejection(source.reason.value, source.error)
        why = f"it would be a dead letter ({rejected.reason}): {rejected.error}"
        return answers.Explanation(understood=False, about=False, judgements=[], events=[], rejected=rejected, why=why)
    if isinstance(source, Ignored):
        return answers.Explanation(understood=False, about=False, judgements=[], events=[], why=_passed_over(record))
    # A record of another namespace is not judged here: its memory is not this caller's to see.
    if source.namespace != call.namespace or not Catalog(0, [rule]).about(source):
        why = _not_about(source, rule)
        return answers.Explanation(understood=True, about=False, judgements=[], events=[], why=why)
    key = key_of(source)
    document = (await memory.load(database, [key]))[key]
    explained = explain(rule, source, document, tolerance=call.served.future_tolerance)
    bodies_made = large.Items()
    for one in explained.judgement.occurrences:
        await bodies_made.add(msgspec.Raw(payload(one, NO_ID)))
        await call.turn.take(bodies_made.bytes)
        if bodies_made.is_full:
            raise bad_request(
                f"record: its {len(explained.judgement.occurrences)} events have more than"
                f" {large.ANSWER_BYTES // 2**20} MiB: explain a smaller record, or by fewer thresholds"
            )
    return answers.Explanation(
        understood=True,
        about=True,
        judgements=[
            answers.JudgementLine(
                reason=line.reason.value, threshold=threshold_part(line.threshold) if line.threshold else None
            )
            for line in explained.lines
        ],
        events=bodies_made.raws,
    )


def _passed_over(record: Mapping[str, Any]) -> str:
    """Return why a record of another type is no concern of Tollbell's, and which type may have been meant."""
    given, known = str(record.get("type"))[:SHOWN], sorted(parse.KNOWN_TYPES)
    close = difflib.get_close_matches(given, known, n=1)
    meant = f"did you mean {close[0]}?" if close else f"it reads {', '.join(known)}"
    return f"Tollbell passes over records of the type {given!r}: {meant}"


def _not_about(source: SourceEvent, rule: Rule) -> str:
    """Return why *rule* is not about *source*, without anything of another namespace than the rule's."""
    if source.namespace != rule.namespace:
        return f"the record is not of the namespace {rule.namespace!r}"
    if isinstance(source, Invoice):
        return f"the record is of an invoice, the rule's type is {rule.type}"
    if is_about_invoices(rule.type):
        return f"the record is of an entitlement, the rule's type is {rule.type}"
    feature = (
        source.feature_key if source.feature_key == source.feature_id else f"{source.feature_key} ({source.feature_id})"
    )
    return f"the rule's features are {', '.join(features_named(rule.spec) or ())[:SHOWN]}, the record's is {feature}"


_ANSWERS: Final = {HTTPStatus.OK: answers.Explanation}

OPERATIONS: Final = (
    Operation(
        "preview_rule",
        "POST",
        "/notification/rules/preview",
        preview_rule,
        writes=False,
        about=Described(
            summary="What a record would mean to a rule that is not made; nothing is sent",
            takes=RequestBody(PreviewRequest, "PreviewRequest", parts={"rule": rules.BODY.name}),
            answers=_ANSWERS,
        ),
    ),
    Operation(
        "explain_rule",
        "POST",
        "/notification/rules/{rule}/explain",
        explain_rule,
        writes=False,
        about=Described(
            summary="What a record means to a rule now; nothing is sent",
            takes=RequestBody(ExplainRequest, "ExplainRequest"),
            answers=_ANSWERS,
        ),
    ),
)
