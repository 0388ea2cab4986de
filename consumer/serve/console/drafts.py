"""Forms: what a channel or rule is as texts of fields, and the API's body that the fields ask for. Pure.

A text that is no number, or no JSON, goes on as it is: the API says what is wrong with it, as to everyone.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, assert_never

import msgspec

from consumer.serve.console.rendering import number, tree
from consumer.serve.console.visits import Form, Texts
from consumer.serve.problems import Fault, bad_request
from schemas import answers
from schemas.rules import RuleType
from schemas.secret import MASK

CHANNEL: Final = (
    *("name", "url", "key", "format", "contentType", "contentMode", "requestOrigin", "template"),
    *("expireAfter", "concurrency", "rateLimit"),
)
BLANK_ROWS: Final = 2  # for further thresholds
_STAND_IN: Final = "0" * 32  # for a stored secret: of a form that each format takes
MOST_DIGITS: Final = 400  # more than any amount may have
_MASKED_END: Final = f"/{MASK}"
_LEFT_OUT_STAYS: Final = frozenset({"customHeaders", "secrets"})  # of a PUT: what was taken out must be said as empty


def of_form(form: Form, names: Iterable[str]) -> Texts:
    """Return what the fields *names* of *form* hold."""
    return Texts({name: form.one(name) for name in names})


def of_channel(channel: answers.NotificationChannel) -> Texts:
    """Return the fields of a channel as it is; masks keep what is stored."""
    return Texts(
        name=channel.name,
        url=channel.url,
        key=channel.key or "",
        format=channel.format,
        contentType=channel.content_type or "",
        contentMode=channel.content_mode or "",
        requestOrigin=channel.request_origin or "",
        template="" if channel.template is None else tree(channel.template),
        expireAfter=channel.expire_after or "",
        concurrency=str(channel.concurrency or ""),
        rateLimit="" if channel.rate_limit is None else number(channel.rate_limit),
        secretUrl="true" if channel.secret_url else "",
        retrySchedule=", ".join(channel.retry_schedule or []),
        permanentStatuses=", ".join(map(str, channel.permanent_statuses or [])),
        customHeaders=_pairs(channel.custom_headers),
        secrets=_pairs(channel.secrets),
        metadata=_pairs(channel.metadata),
    )


CHANNEL_FIELDS: Final = (
    *CHANNEL,
    "secretUrl",
    "retrySchedule",
    "permanentStatuses",
    "customHeaders",
    "secrets",
    "metadata",
)


def channel_body(draft: Texts) -> dict[str, Any]:
    """Return the body that *draft* asks for; a field that is empty is left out, but those whose absence keeps.

    Raises:
        Problem: 400: in a field a name stands twice.
    """
    body: dict[str, Any] = {"type": "WEBHOOK", "name": draft["name"], "url": draft["url"], "format": draft["format"]}
    body |= {
        name: draft[name]
        for name in ("key", "contentType", "contentMode", "requestOrigin", "expireAfter")
        if draft[name]
    }
    body |= {name: _number(draft[name]) for name in ("concurrency", "rateLimit") if draft[name]}
    if draft["template"]:
        body["template"] = _json(draft["template"])
    if draft["retrySchedule"]:
        body["retrySchedule"] = _listed(draft["retrySchedule"])
    if draft["permanentStatuses"]:
        body["permanentStatuses"] = [_number(one) for one in _listed(draft["permanentStatuses"])]
    maps = {name: _map(name, draft[name]) for name in ("customHeaders", "secrets", "metadata")}
    body |= {name: made for name, made in maps.items() if made or name in _LEFT_OUT_STAYS}
    return body | {"secretUrl": bool(draft["secretUrl"])}


def is_masked(url: str) -> bool:
    """Return whether *url* keeps the one that is stored."""
    return url.endswith(_MASKED_END)


def for_preview(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return *body* for a look at what it would send: headers and secrets that are stored are not needed for that."""
    made = dict(body)
    made["customHeaders"] = {name: value for name, value in made["customHeaders"].items() if value != MASK}
    if isinstance(secrets := made.get("secrets"), dict):
        made["secrets"] = {name: _STAND_IN if value == MASK else value for name, value in secrets.items()}
    return made


RULE_FIELDS: Final = (
    "type",
    "name",
    "key",
    "emit",
    "rearm",
    "recovered",
    "onCreate",
    "features",
    "statuses",
    "metadata",
)


def of_rule(rule: answers.NotificationRule, features: Iterable[str] | None) -> Texts:
    """Return the fields of a rule as it is; *features* as a person wrote them, by id or key."""
    return Texts(
        type=rule.type,
        name=rule.name,
        key=rule.key or "",
        emit=rule.emit or "",
        rearm=rule.rearm or "",
        recovered="true" if "recovered" in (rule.notify_on or []) else "",
        onCreate=rule.on_create or "",
        features="\n".join(features or []),
        statuses=", ".join(rule.statuses or []),
        metadata=_pairs(rule.metadata),
    )


def rule_body(draft: Texts, thresholds: Iterable[tuple[str, str]], channels: Iterable[str]) -> dict[str, Any]:
    """Return the body that *draft* asks for, with what its type has alone.

    Raises:
        Problem: 400: in a field a name stands twice.
    """
    body: dict[str, Any] = {"type": draft["type"], "name": draft["name"], "channels": list(channels)}
    if draft["key"]:
        body["key"] = draft["key"]
    if metadata := _map("metadata", draft["metadata"]):
        body["metadata"] = metadata
    kind = next((one for one in RuleType if one == draft["type"]), None)
    return body if kind is None else body | _of_type(kind, draft, thresholds)


def _of_type(kind: RuleType, draft: Texts, thresholds: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the members that rules of *kind* have alone."""
    features = [line.strip() for line in draft["features"].splitlines() if line.strip()]
    named = {"features": features} if draft["features"] else {}
    match kind:
        case RuleType.BALANCE_THRESHOLD:
            return {
                **named,
                "thresholds": [{"type": kind, "value": _number(value)} for kind, value in thresholds if value],
                "notifyOn": ["triggered", "recovered"] if draft["recovered"] else ["triggered"],
                **{name: draft[name] for name in ("emit", "rearm", "onCreate") if draft[name]},
            }
        case RuleType.ENTITLEMENT_RESET:
            return dict(named)
        case RuleType.INVOICE_CREATED:
            return {}
        case RuleType.INVOICE_UPDATED:
            return {"statuses": _listed(draft["statuses"])} if draft["statuses"] else {}
        case _:
            assert_never(kind)


def by_field(faults: Iterable[Fault]) -> Texts:
    """Return what is wrong by the field of the form that is at fault: `thresholds[0].value` is of `thresholds`."""
    found = Texts()
    for fault in faults:
        name = fault.field.partition(".")[0].partition("[")[0]
        rest = fault.field.removeprefix(name).strip(".")
        found[name] = "; ".join(filter(None, (found[name], f"{rest}: {fault.problem}" if rest else fault.problem)))
    return found


def _pairs(values: Mapping[str, str] | None) -> str:
    """Return *values* as lines of `name: value`; as JSON, where lines would be read as others."""
    lines = "\n".join(f"{name}: {value}" for name, value in (values or {}).items())
    return lines if _named(lines) == list((values or {}).items()) else tree(values)


def _map(field: str, text: str) -> dict[str, str]:
    """Return the texts by name that the *field* holds.

    Raises:
        Problem: 400: a name stands twice. The later one would take the place of the other.
    """
    pairs = _named(text)
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        problem = f"{', '.join(twice)}: duplicate name"
        raise bad_request(f"{field}: {problem}", [Fault(field, problem)])
    return dict(pairs)


def _named(text: str) -> list[tuple[str, str]]:
    """Return lines of `name: value`, or JSON of texts by name; a line without a colon is a name without a value."""
    try:
        msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pairs = [line.partition(":") for line in text.splitlines() if line.strip()]
        return [(name.strip(), value.strip()) for name, _, value in pairs]
    return [(name, value) for name, value in json.loads(text, object_pairs_hook=list)]


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


def _number(text: str) -> int | Decimal | str:
    if len(text) > MOST_DIGITS:
        return text
    try:
        made = Decimal(text)
    except InvalidOperation:
        return text
    if not made.is_finite() or abs(made.adjusted()) > MOST_DIGITS:
        return text
    return int(text) if text.isdecimal() and text.isascii() else made


def _json(text: str) -> msgspec.Raw | str:
    """Return *text*, if it is JSON, as it was typed: what strict JSON has not is the API's to refuse, not lost here."""
    try:
        json.loads(text, parse_int=str)
    except (ValueError, RecursionError):
        return text
    return msgspec.Raw(text.encode())
