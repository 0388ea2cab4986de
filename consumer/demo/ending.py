"""How the story ended, against how it was to end: every difference in a line of its own. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from consumer.demo.receiver import Arrival
from consumer.demo.steps import BUSY, OK, Clock, Record, Step, Usage, answers
from consumer.demo.webhooks import Webhook


@dataclass(frozen=True, slots=True)
class Counts:
    """What the service itself counted (/metrics).

    Attributes:
        records: taken to their effects, of whatever kind.
        deliveries: attempts that a receiver took.
        retries: attempts that ended otherwise: each was followed by another one.
    """

    records: int
    events: int
    deliveries: int
    retries: int
    dead_letters: int


@dataclass(slots=True)
class Happened:
    """What was seen while the story was played.

    Attributes:
        judged: each record that was produced, with the reasons of each rule that judged it, by the rule's type.
        clocked: how many events the clock made.
        dead_letters: the reasons of what lies in the dead-letter topic.
        counts: None where the service was not asked.
    """

    judged: Sequence[tuple[Record, Mapping[str, tuple[str, ...]]]] = ()
    clocked: int = 0
    arrivals: Sequence[Arrival] = ()
    cut_off: frozenset[str] = frozenset()
    given_back: frozenset[str] = frozenset()
    dead_letters: Sequence[str] = ()
    counts: Counts | None = None


def expected_counts(steps: Sequence[Step]) -> Counts:
    """Return what the service must have counted when *steps* have been played."""
    statuses = [status for step in steps for each in answers(step).values() for status in each]
    return Counts(
        records=len(_records(steps)),
        events=sum(len(step.webhooks) for step in steps),
        deliveries=statuses.count(OK),
        retries=statuses.count(BUSY),
        dead_letters=len(_rejects(steps)),
    )


def differences(steps: Sequence[Step], happened: Happened) -> list[str]:
    """Return in what *happened* differs from what *steps* expect; nothing where all is as expected."""
    return [
        *_judgements(steps, happened),
        *_clock(steps, happened.clocked),
        *_webhooks(steps, happened.arrivals),
        *_trust(happened.arrivals),
        *_access(steps, happened),
        *_dead_letters(steps, happened.dead_letters),
        *_counts(steps, happened.counts),
    ]


def expected_access(steps: Sequence[Step]) -> dict[str, bool]:
    """Return who must have access when *steps* have been played, of those who lost it at some time."""
    access: dict[str, bool] = {}
    for webhook in (webhook for step in steps for webhook in step.webhooks):
        if webhook.gives_access is False or (webhook.gives_access and webhook.customer in access):
            access[webhook.customer] = webhook.gives_access
    return access


def _records(steps: Sequence[Step]) -> list[Record]:
    return [step for step in steps if not isinstance(step, Clock)]


def _rejects(steps: Sequence[Step]) -> list[str]:
    return [step.reject.value for step in steps if isinstance(step, Usage) and step.reject]


def _judgements(steps: Sequence[Step], happened: Happened) -> Iterator[str]:
    expected = len(_records(steps))
    if expected != len(happened.judged):
        yield f"{len(happened.judged)} records were produced, not {expected}"
    for step, judged in happened.judged:
        wanted = {rule_type.value: reasons for rule_type, reasons in step.reasons.items()}
        for rule_type in dict.fromkeys([*wanted, *judged]):
            seen, expected_of = judged.get(rule_type, ()), wanted.get(rule_type, ())
            if seen != expected_of:
                yield f"{step} was judged {_listed(seen)}, not {_listed(expected_of)}, by {rule_type}"


def _clock(steps: Sequence[Step], clocked: int) -> Iterator[str]:
    expected = sum(len(step.webhooks) for step in steps if isinstance(step, Clock))
    if clocked != expected:
        yield f"the clock made {clocked} events, not {expected}"


def _webhooks(steps: Sequence[Step], arrivals: Sequence[Arrival]) -> Iterator[str]:
    wanted = {webhook: statuses for step in steps for webhook, statuses in answers(step).items()}
    came: dict[Webhook, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        if arrival.webhook:
            came[arrival.webhook].append(arrival)
    for webhook in wanted.keys() - came.keys():
        yield f"missing: the webhook {webhook}"
    for webhook, its in came.items():
        statuses = tuple(arrival.status for arrival in its)
        if webhook not in wanted:
            yield f"not in the story: the webhook {webhook}"
        elif statuses != wanted[webhook]:
            yield f"the webhook {webhook} was answered {_listed(statuses)}, not {_listed(wanted[webhook])}"
        if len({arrival.webhook_id for arrival in its}) > 1:
            yield f"the webhook {webhook} came with more than one webhook-id: it is more than one event"


def _trust(arrivals: Sequence[Arrival]) -> Iterator[str]:
    for problem, times in Counter(arrival.problem for arrival in arrivals if arrival.problem).items():
        yield f"webhooks turned away: {times}: {problem}"
    taken = Counter(arrival.webhook_id for arrival in arrivals if arrival.is_taken)
    for webhook_id, times in taken.items():
        if times > 1:
            yield f"the webhook-id {webhook_id} was acted upon {times} times"


def _access(steps: Sequence[Step], happened: Happened) -> Iterator[str]:
    wanted = expected_access(steps)
    for customer in sorted(wanted.keys() | happened.cut_off | happened.given_back):
        has_access = customer not in happened.cut_off
        if has_access != wanted.get(customer, True):
            yield f"{customer} {'still has access' if has_access else 'has no access any more'}"
        elif (customer in happened.given_back) != wanted.get(customer, False):
            yield f"{customer} {'lost' if customer in happened.given_back else 'never lost'} access before"


def _dead_letters(steps: Sequence[Step], reasons: Sequence[str]) -> Iterator[str]:
    wanted = Counter(_rejects(steps))
    for reason in (wanted - Counter(reasons)).elements():
        yield f"missing: a dead letter with the reason {reason}"
    for reason in (Counter(reasons) - wanted).elements():
        yield f"not in the story: a dead letter with the reason {reason}"


def _counts(steps: Sequence[Step], counts: Counts | None) -> Iterator[str]:
    if counts is None:
        return
    wanted = expected_counts(steps)
    for name in Counts.__slots__:
        seen, expected = getattr(counts, name), getattr(wanted, name)
        if seen != expected:
            yield f"the service counted {seen} {name.replace('_', ' ')}, not {expected}"


def _listed(words: Sequence[object]) -> str:
    return ", ".join(map(str, words)) or "nothing"
