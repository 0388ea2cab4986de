"""/notification/rules/{id}/explain and /rules/preview: what a record means to a rule, by the judgement itself."""

from typing import Any, Final

from aiohttp import web

from consumer.decide.explain import explain
from consumer.decide.payloads import payload
from consumer.serve import bodies
from consumer.serve.api import rules
from consumer.serve.api.call import Call, Operation
from consumer.serve.problems import Fault, bad_request
from consumer.store.catalog import Catalog
from consumer.store.memory import Memory, key_of
from schemas import answers, events, parse
from schemas.events import threshold_part
from schemas.parse import Ignored, Reject
from schemas.reading import read_all
from schemas.rules import Rule, RuleId, Since, ignoring

NO_ID: Final = "0" * 26  # of an event that is not made


async def explain_rule(call: Call) -> web.Response:
    """Explain a record by a rule, as it is and on what is remembered now."""
    body = _only(await call.body(), "record")
    stored = await rules.found(call)
    return bodies.answer(await _explained(call, stored.judged, body.get("record")))


async def preview_rule(call: Call) -> web.Response:
    """Explain a record by a rule that would be made now."""
    body = _only(await call.body(), "record", "rule")
    wanted = body.get("rule")
    if not isinstance(wanted, dict):
        raise bad_request("rule: must be an object", [Fault("rule", "must be an object")])
    config = rules.read_config(wanted)
    now = await call.served.database.now()
    rule = Rule(
        id=RuleId(NO_ID),
        namespace=call.namespace,
        name=config.name,
        spec=config.spec,
        channels=config.channels,
        ignoring=ignoring(config.spec, Since(revision=0, at=now)),
    )
    return bodies.answer(await _explained(call, rule, body.get("record")))


def _only(body: dict[str, Any], *known: str) -> dict[str, Any]:
    if faults := [Fault(name, "there is no such field") for name in sorted(set(body) - set(known))]:
        raise bad_request(f"{faults[0].field}: {faults[0].problem}", faults)
    return body


async def _explained(call: Call, rule: Rule, record: object) -> answers.Explanation:
    if not isinstance(record, dict):
        problem = "must be a CloudEvent, as an object"
        raise bad_request(f"record: {problem}", [Fault("record", problem)])
    database = call.served.database
    latest = await database.now() + call.served.future_tolerance
    source = parse.parse(events.encode(record), (), latest=latest)
    if isinstance(source, Ignored | Reject):
        rejected = answers.Rejection(source.reason.value, source.error) if isinstance(source, Reject) else None
        return answers.Explanation(understood=False, about=False, judgements=[], events=[], rejected=rejected)
    # A record of another namespace is nobody's here: its memory is not this caller's to see.
    if source.namespace != call.namespace or not Catalog(0, [rule]).about(source):
        return answers.Explanation(understood=True, about=False, judgements=[], events=[])
    key = key_of(source)
    document = (await Memory(database, limit=0).load([key]))[key]
    explained = explain(rule, source, document)
    return answers.Explanation(
        understood=True,
        about=True,
        judgements=[
            answers.JudgementLine(
                reason=line.reason.value, threshold=threshold_part(line.threshold) if line.threshold else None
            )
            for line in explained.lines
        ],
        events=[read_all(payload(one, NO_ID)) for one in explained.judgement.occurrences],
    )


OPERATIONS: Final = (
    Operation("preview_rule", "POST", "/notification/rules/preview", preview_rule, writes=False),
    Operation("explain_rule", "POST", "/notification/rules/{rule}/explain", explain_rule, writes=False),
)
