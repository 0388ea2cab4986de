"""What a target's answer means: beyond its status, by what the target is known to answer. Pure.

Sources: api.slack.com/changelog/2016-05-17, learn.microsoft.com/connectors/teams and msteams-docs#1810 and #4145,
discord-api-docs (webhook, rate limits), PagerDuty/developer-docs (Events v2).
"""

import math
import re
from collections.abc import Set as AbstractSet
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from consumer.decide.outcome import Outcome, Refusal
from consumer.decide.verdict import GONE
from schemas.channels import Format

ACCEPTED: Final = 202
NOT_FOUND: Final = 404
TOO_LARGE: Final = 413
TOO_MANY: Final = 429
NO_STATUSES: Final[AbstractSet[int]] = frozenset()
_REFUSED: Final = frozenset({400, 401, 403, 404})  # the same body, to the same URL, is refused again
_TEAMS_REFUSED: Final = _REFUSED | {TOO_LARGE}
_TEAMS_ERROR: Final = re.compile(r"HTTP error ([0-9]{3})")  # of the retired connectors, with a status of 200
_TEAMS_WAIT: Final = "60"  # seconds; what is behind a connector says no time of its own
_PAGERDUTY_WAIT: Final = "60"  # seconds: "preferably minutes"
_LONGEST_WAIT: Final = 86_400.0  # seconds; `retry_after.asked` cuts at an hour
_SAID: Final = 100  # characters of an answer that are repeated


class _Ok(msgspec.Struct):
    ok: bool


class _Wait(msgspec.Struct):
    retry_after: float


_ok: Final = msgspec.json.Decoder(_Ok)
_wait: Final = msgspec.json.Decoder(_Wait)


def read(fmt: Format, outcome: Outcome, permanent: AbstractSet[int] = NO_STATUSES) -> Outcome:
    """Return *outcome* with what *fmt* reads of its answer: `refusal`, `detail`, `retry_after`.

    Args:
        fmt: of the channel.
        outcome: of the attempt; one without an answer is returned as it is.
        permanent: statuses that the channel itself says end a delivery.
    """
    if outcome.status is None:
        return outcome
    if outcome.status in permanent:
        return _refused(outcome, Refusal.PERMANENT, f"{outcome.status} is one of this channel's permanentStatuses")
    return _read(fmt, outcome)


def _read(fmt: Format, outcome: Outcome) -> Outcome:
    match fmt:
        case "openmeter" | "flat" | "cloudevents" | "template":
            return outcome
        case "slack":
            return _slack(outcome)
        case "teams":
            return _teams(outcome)
        case "discord":
            return _discord(outcome)
        case "pagerduty":
            return _pagerduty(outcome)
        case _:
            assert_never(fmt)


def _slack(outcome: Outcome) -> Outcome:
    if outcome.is_success and outcome.body != "ok" and not _says_ok(outcome.body):
        return _refused(outcome, Refusal.RETRY, f"Slack answered {outcome.status} without ok: {_shown(outcome)}")
    if outcome.status in {NOT_FOUND, GONE}:  # no_service, channel_not_found; channel_is_archived
        return _gone(outcome, "Slack")
    return _permanent(outcome, "Slack", _REFUSED)


def _says_ok(body: str) -> bool:
    """Whether *body* is the JSON that webhooks of workflows, and Slack's API, answer with."""
    try:
        return _ok.decode(body).ok
    except (msgspec.MsgspecError, RecursionError):  # nested deeper than a parser goes
        return False


def _teams(outcome: Outcome) -> Outcome:
    if outcome.is_success and (found := _TEAMS_ERROR.search(outcome.body)):
        inner = int(found[1])
        detail = f"answered {outcome.status}, but Microsoft Teams behind it answered {inner}"
        if inner in _TEAMS_REFUSED:
            return _refused(outcome, Refusal.PERMANENT, detail)
        retry_after = outcome.retry_after or (_TEAMS_WAIT if inner == TOO_MANY else None)
        return replace(_refused(outcome, Refusal.RETRY, detail), retry_after=retry_after)
    return _permanent(outcome, "Teams", _TEAMS_REFUSED)


def _discord(outcome: Outcome) -> Outcome:
    if outcome.status == TOO_MANY:
        return replace(outcome, retry_after=_discord_wait(outcome.body) or outcome.retry_after)
    if outcome.status == NOT_FOUND:  # asking on would have our address banned
        return _gone(outcome, "Discord")
    return _permanent(outcome, "Discord", _REFUSED)


def _discord_wait(body: str) -> str | None:
    """Return the seconds to wait that *body* asks for, rounded up to milliseconds; None where it asks for none."""
    try:
        seconds = _wait.decode(body).retry_after
    except (msgspec.MsgspecError, RecursionError):  # nested deeper than a parser goes
        return None
    return f"{math.ceil(min(seconds, _LONGEST_WAIT) * 1000) / 1000:.3f}" if seconds >= 0 else None


def _pagerduty(outcome: Outcome) -> Outcome:
    if outcome.is_success and outcome.status != ACCEPTED:
        said = f"PagerDuty accepts with 202, this is {outcome.status}: {_shown(outcome)}"
        return _refused(outcome, Refusal.RETRY, said)
    if outcome.status == TOO_MANY:
        return replace(outcome, retry_after=outcome.retry_after or _PAGERDUTY_WAIT)
    return _permanent(outcome, "PagerDuty", _REFUSED)


def _permanent(outcome: Outcome, target: str, refused: AbstractSet[int]) -> Outcome:
    if outcome.status not in refused:
        return outcome
    said = f"{target} refuses this message for good, {outcome.status}: {_shown(outcome)}"
    return _refused(outcome, Refusal.PERMANENT, said)


def _gone(outcome: Outcome, target: str) -> Outcome:
    said = f"{target} answered {outcome.status}, {_shown(outcome)}: the webhook is gone; make a new one there"
    return _refused(outcome, Refusal.GONE, said)


def _refused(outcome: Outcome, refusal: Refusal, detail: str) -> Outcome:
    return replace(outcome, refusal=refusal, detail=detail)


def _shown(outcome: Outcome) -> str:
    text = " ".join(outcome.body.split())
    return text[:_SAID] if text else "an empty answer"
