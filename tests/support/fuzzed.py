"""What must be true of anything that comes in: of bytes that a producer sends, of a text that a person writes.

Each function returns what is wrong, nothing for whatever it is given. Used on what hypothesis makes up, and on the
corpus: what was bad once, or is odd in a way that hypothesis would take long to find.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import standardwebhooks

from consumer import clock, formats, ids
from consumer.commands import rules_files, yaml_file
from consumer.consume.batch import WantedRecord, fold
from consumer.consume.fast_path.glance import look
from consumer.consume.fast_path.standing import Standing, Under, Why, standing, stands
from consumer.decide.model import UNSEEN, UNSEEN_INVOICE
from consumer.decide.payloads import freeze
from consumer.deliver import signing
from consumer.errors import ConfigInvalid
from consumer.store.memory import EntitlementKey, key_of
from schemas import times
from schemas.channels import Format
from schemas.parse import Ignored, Parsed, Reject, parse
from schemas.rules import Rule, RuleId, read_spec
from schemas.secret import Secret
from schemas.sources import Snapshot, SourceEvent, Unmetered
from tests.support.factories import kafka_record, native_record, openmeter_record
from tests.support.verification import SECRET

CORPUS: Final = Path(__file__).parents[1] / "corpus"
LATEST: Final = times.parse("2026-12-31T00:00:00Z")
ENVIRONMENT: Final = {"HOOK_SECRET": SECRET, "TOKEN": "hush-hush", "ODD": "a\n- b: {c: ${TOKEN}"}
ROOM: Final = 16_384  # bytes of a webhook beside what its record says: envelope, rule, thresholds
EVENT_ID: Final = "01K9ZZZZZZZZZZZZZZZZZZZZZZ"
# What is said of members that a glance does not look into.
UNREADABLE: Final = ("holds a number too large to be read", "nested deeper than any record needs")
FORMATS: Final[tuple[Format, ...]] = (
    "openmeter",
    "flat",
    "cloudevents",
)  # for programs; the others have tests of their own
TIMES: Final = {"cloudevents": "time"}  # what a format calls the timestamp, where that is another name
_exactly: Final = msgspec.json.Decoder(float_hook=Decimal)  # 1e400 is JSON, though no float


def _rule(n: int, **spec: object) -> Rule:
    return Rule(id=RuleId(f"rule-{n}"), namespace="default", name="Rule", spec=read_spec(spec), channels=("c",))


LEVELS: Final = [{"type": kind, "value": value} for kind, value in (("usage_percentage", 1), ("usage_value", "1e-38"))]
RULES: Final = [
    _rule(1, type="entitlements.balance.threshold", thresholds=[*LEVELS, {"type": "balance_value", "value": "9e38"}]),
    _rule(2, type="entitlements.balance.threshold", thresholds=LEVELS, emit="highest"),
    _rule(3, type="entitlements.reset", features=["llm_tokens"]),
    _rule(4, type="invoice.created"),
    _rule(5, type="invoice.updated"),
]


@dataclass(frozen=True, slots=True)
class Example:
    """A line of the corpus."""

    why: str
    value: bytes
    says: str | None  # part of what is said of it; None: it is good


def corpus(name: str) -> list[Example]:
    """Return the examples of one file."""
    lines = (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
    kept = [json.loads(one) for one in lines if one]
    return [Example(one["why"], _bytes(one), one.get("says")) for one in kept]


def _bytes(one: Mapping[str, str]) -> bytes:
    return base64.b64decode(one["base64"]) if "base64" in one else one["text"].encode()


def line(value: bytes, says: str | None) -> str:
    """Return a line for the corpus, whose `why` is to be filled in."""
    try:
        shown = {"text": value.decode()}
    except UnicodeDecodeError:
        shown = {"base64": base64.b64encode(value).decode()}
    return json.dumps({"why": "?", **shown, "says": says}, ensure_ascii=False)


def problem_of_record(value: bytes) -> str | None:
    """Return what is said of a record that is no good; None for one that is, or is not for us."""
    found = parse(value, [], latest=LATEST)
    return f"{found.reason}: {found.error}" if isinstance(found, Reject) else None


def faults_of_record(value: bytes) -> list[str]:
    """Return what is wrong with the answer to a record, and with the webhooks that it would cause."""
    found = parse(value, [], latest=LATEST)
    if fault := _fault_of_glance(value, found):
        return [fault]
    match found:
        case Reject(_, error):
            good = 0 < len(error) <= 500 and error.isprintable()
            return [] if good else [f"no line for a person: {error!r}"]
        case Ignored() | Unmetered():
            return []
        case source:
            return [fault for body in _payloads(source) for fault in _faults_of_payload(body, len(value))]


def _stood() -> dict[tuple[str, str], Standing]:
    """Return where the entitlements of the good examples stand, under rules without a line."""
    found: dict[tuple[str, str], Standing] = {}
    for example in (native_record(90), openmeter_record()):
        shown, seen = parse(example, [], latest=LATEST), look(example, ())
        assert isinstance(shown, Snapshot)
        assert seen is not None
        stands_at = standing(seen, shown, Under(*seen.key, "", ()), None, Why(()))
        assert stands_at is not None
        found[seen.key] = stands_at
    return found


STOOD: Final = _stood()


def _fault_of_glance(value: bytes, found: Parsed) -> str:
    """Return how *value*, passed over at a glance, differs from what it is; but for what matters in payloads alone."""
    seen = look(value, ())
    if seen is None or seen.key not in STOOD or not stands(STOOD[seen.key], seen):
        return ""
    if isinstance(found, Reject):
        is_known = found.error.endswith(UNREADABLE) or seen.at > LATEST or _says_twice(value)
        return "" if is_known else f"{seen}, but {found}"
    is_same = isinstance(found, Snapshot) and (seen.usage, seen.balance) == (found.usage, found.balance)
    is_same = is_same and seen.at == found.calculated_at
    return "" if is_same else f"{seen}, but {found}"


def _says_twice(value: bytes) -> bool:
    """Return whether an object has a name twice: at a glance only the last one counts."""
    doubled: list[int] = []
    json.loads(value, object_pairs_hook=lambda pairs: doubled.append(len(pairs) - len(dict(pairs))))
    return any(doubled)


def _payloads(source: SourceEvent) -> Iterator[bytes]:
    wanted = WantedRecord(
        kafka_record(), key_of(source), source, RULES[:3] if isinstance(source, Snapshot) else RULES[3:]
    )
    unseen = UNSEEN if isinstance(wanted.key, EntitlementKey) else UNSEEN_INVOICE
    (folded,) = fold([wanted], {wanted.key: unseen}, ids.new).states.values()
    for occurrence, _ in folded.occurrences:
        yield freeze(occurrence, EVENT_ID).body


def _faults_of_payload(payload: bytes, record_bytes: int) -> Iterator[str]:
    for fmt in FORMATS:
        body = formats.render(fmt, payload).body
        try:
            read = json.loads(body.decode(), parse_constant=_no_number)
            _exactly.decode(body)
        except ValueError as exc:
            yield f"{fmt}: is no JSON: {exc}"
            continue
        if (read["id"], set(read) >= {"id", "type", TIMES.get(fmt, "timestamp")}) != (EVENT_ID, True):
            yield f"{fmt}: is no event: {sorted(read)}"
        if len(body) > record_bytes + ROOM:
            yield f"{fmt}: {len(body)} bytes, of a record of {record_bytes}"
        yield from _faults_of_signature(body)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _faults_of_signature(body: bytes) -> Iterator[str]:
    now = int(clock.now().timestamp())
    made = signing.sign(signing.keys([Secret(SECRET)]), webhook_id=EVENT_ID, timestamp=now, body=body)
    headers = {"webhook-id": EVENT_ID, "webhook-timestamp": str(now), "webhook-signature": made}
    try:
        standardwebhooks.Webhook(SECRET).verify(body, headers)
    except (standardwebhooks.WebhookVerificationError, ValueError) as exc:
        yield f"a receiver refuses it: {exc!r}"


def problem_of_rules(path: Path, environment: Mapping[str, str] = ENVIRONMENT) -> str | None:
    """Return what `tollbell apply` says of a rules file; None for a good one."""
    try:
        rules_files.read([path], environment)
    except ConfigInvalid as exc:
        return str(exc)
    return None


def faults_of_rules(path: Path, environment: Mapping[str, str] = ENVIRONMENT) -> list[str]:
    """Return what is wrong with that: it is lines, each with the file's name in it, and no secret."""
    said = problem_of_rules(path, environment)
    return [] if said is None else [fault for line in said.split("\n") for fault in _faults_of_line(path, line)]


def _faults_of_line(path: Path, said: str) -> list[str]:
    faults: list[tuple[bool, Any]] = [
        (said.isprintable(), "is no line"),
        (len(said) <= yaml_file.LINE_LIMIT, f"has {len(said)} characters"),
        (path.name in said, "does not name the file"),
        ("hush-hush" not in said and SECRET not in said, "shows a secret"),
    ]
    return [f"{said!r} {fault}" for is_well, fault in faults if not is_well]
