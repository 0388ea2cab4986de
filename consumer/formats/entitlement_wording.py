"""Events of entitlements in words: thresholds reached and recovered, and resets."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from consumer.formats import texts
from consumer.formats.message import Message, Severity, facts, sentences
from consumer.formats.seen import (
    CrossingData,
    SeenParty,
    SeenPeriod,
    SeenResetData,
    SeenValue,
    ThresholdSeen,
    party,
    time,
)
from schemas.thresholds import ThresholdType

_ALL: Final = Decimal(100)
_ALSO_SHOWN: Final = 5  # of a hundred thresholds


def crossed(data: CrossingData) -> Message:
    """Return what a threshold that fired says."""
    who, what, period = _who(data), _what(data), data.entitlement.current_usage_period
    reached = "is down to" if _is_balance(data.threshold) else "has reached"
    title = f"{who} {reached} {_line(data.threshold)} of {what}"
    again = data.crossing.episode
    repeated = f"It is the {texts.ordinal(again)} time in this period." if again > 1 else ""
    text = sentences(_use(who, data.value, what, period), _rest(data.value, period), repeated)
    return Message(title, text, facts(_facts(data)), _severity(data))


def recovered(data: CrossingData) -> Message:
    """Return what a threshold that is no longer reached says: by the level, or because its period has ended."""
    who, what, period = _who(data), _what(data), data.entitlement.current_usage_period
    line = _line(data.threshold)
    if data.crossing.cause == "period_end":
        reached = "was down to" if _is_balance(data.threshold) else "reached"
        title = f"The period in which {who} {reached} {line} of {what} has ended"
        began = time(period.from_)
        which = f"The usage period that began on {texts.moment(began)}" if began else "The usage period"
        ended = f"{which} ended{_on(period.to)}, and a new one counts from now on."
        access = f"{who} has access." if data.value.has_access else ""
        return Message(title, sentences(ended, access), facts(_facts(data)), Severity.GOOD)
    side = "above" if _is_balance(data.threshold) else "below"
    text = sentences(_use(who, data.value, what, period), _rest(data.value, period))
    return Message(f"{who} is {side} {line} of {what} again", text, facts(_facts(data)), Severity.GOOD)


def reset(data: SeenResetData) -> Message:
    """Return what a new usage period says; of the clock's own, of which no amounts are known, what ended."""
    who, what, period = _who(data), _what(data), data.entitlement.current_usage_period
    title = f"A new usage period of {what} has begun for {who}"
    if data.reset.kind == "manual":
        began = f"It was reset manually{_on(data.reset.at)}."
    else:
        began = f"It began{_on(data.reset.at)}, at the end of the one before."
    if data.value.usage is None:
        access = f"{who} has access." if data.value.has_access else ""
        return Message(title, sentences(began, access), facts(_facts(data)), Severity.INFO)
    text = sentences(began, _use(who, data.value, what, period), _rest(data.value, period))
    return Message(title, text, facts(_facts(data)), Severity.INFO)


def _use(who: str, value: SeenValue, what: str, period: SeenPeriod) -> str:
    """Return the sentence that says how much of how much, and since when."""
    if value.usage is None:
        return ""
    allowance = value.total_available_grant_amount
    if allowance is None or allowance <= 0:
        return f"{who} has used {texts.number(value.usage)} of {what}{_since(period)}."
    used = f"{texts.number(value.usage)} of {texts.number(allowance)}"
    return f"{who} has used {used} {what} ({texts.share(value.usage, allowance)}){_since(period)}."


def _rest(value: SeenValue, period: SeenPeriod) -> str:
    """Return the sentences that say what is left, and what happens next."""
    end = time(period.to)
    lasting = f" until {texts.moment(end)}, when the next period begins" if end else "; the period has no end"
    left, over = value.balance, value.overage
    if left is not None and left > 0:
        return f"{texts.number(left)} {'is' if left == 1 else 'are'} left{lasting}."
    if over is not None and over > 0:
        lacking = f"That is {texts.number(over)} more than the allowance."
    elif left is not None and left < 0:
        lacking = f"The balance is {texts.number(left)}."
    else:
        lacking = "Nothing is left." if left is not None else ""
    if not value.has_access:
        return sentences(lacking, f"Access is cut off{lasting}.")
    following = f"The next period begins{_on(period.to)}." if end else "The period has no end."
    return sentences(lacking, "Access goes on." if lacking else "", following)


def _facts(data: CrossingData | SeenResetData) -> Iterator[tuple[str, str]]:
    customer, subject, value = party(data.customer), party(data.subject), data.value
    yield "Customer", _labelled(customer)
    if texts.name(_key(subject)) not in {texts.name(_key(customer)), ""}:
        yield "Subject", _labelled(subject)
    yield "Feature", _labelled(data.feature)
    yield "Used", _used(value)
    if value.overage is not None and value.overage > 0:
        yield "Over the allowance", texts.number(value.overage)
    elif value.balance is not None:
        yield "Left", texts.number(value.balance)
    if isinstance(data, CrossingData):
        yield "Threshold", _line(data.threshold)
        also = [_line(one) for one in data.crossing.also_crossed]
        more = [f"and {len(also) - _ALSO_SHOWN} more"] if len(also) > _ALSO_SHOWN else []
        yield "Also reached", ", ".join([*also[:_ALSO_SHOWN], *more])
    yield "Period", _span(data.entitlement.current_usage_period)
    yield "Access", "yes" if value.has_access else "cut off"
    yield "Rule", texts.name(data.rule.name)


def _severity(data: CrossingData) -> Severity:
    balance, line = data.value.balance, data.threshold
    is_all = _kind(line) is ThresholdType.USAGE_PERCENTAGE and line.value >= _ALL
    is_empty = balance is not None and balance <= 0
    return Severity.CRITICAL if is_all or is_empty or not data.value.has_access else Severity.WARNING


def _kind(threshold: ThresholdSeen) -> ThresholdType:
    return ThresholdType(threshold.type).canonical


def _is_balance(threshold: ThresholdSeen) -> bool:
    return _kind(threshold) is ThresholdType.BALANCE_VALUE


def _line(threshold: ThresholdSeen) -> str:
    value = texts.plain(threshold.value)
    match _kind(threshold):
        case ThresholdType.USAGE_PERCENTAGE:
            return f"{value} %"
        case ThresholdType.BALANCE_VALUE:
            return f"a balance of {value}"
        case _:
            return f"a usage of {value}"


def _who(data: CrossingData | SeenResetData) -> str:
    customer, subject = party(data.customer).texts(), party(data.subject).texts()
    named = (texts.name(one) for one in (*customer[:2], *subject[:2], customer[2], subject[2]))
    return next(filter(None, named), f"entitlement {texts.name(data.entitlement.id)}")


def _what(data: CrossingData | SeenResetData) -> str:
    return next(filter(None, map(texts.name, data.feature.texts())), "the feature")


def _key(of: SeenParty) -> str:
    return of.texts()[1]


def _labelled(of: SeenParty) -> str:
    """Return name and key, or what there is of them."""
    name, key, id_ = map(texts.name, of.texts())
    return f"{name} ({key})" if name and key and name != key else name or key or id_


def _used(value: SeenValue) -> str:
    if value.usage is None:
        return ""
    allowance = value.total_available_grant_amount
    if allowance is None or allowance <= 0:
        return texts.number(value.usage)
    share = texts.share(value.usage, allowance)
    return f"{texts.number(value.usage)} of {texts.number(allowance)} ({share})"


def _since(period: SeenPeriod) -> str:
    start = time(period.from_)
    return f" since {texts.moment(start)}" if start else ""


def _on(written: str | None) -> str:
    at = time(written)
    return f" on {texts.moment(at)}" if at else ""


def _span(period: SeenPeriod) -> str:
    start, end = time(period.from_), time(period.to)
    if start is None:
        return ""
    return f"{texts.moment(start)} to {texts.moment(end)}" if end else f"since {texts.moment(start)}, without end"
