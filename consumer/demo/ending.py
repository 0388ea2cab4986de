"""How the story ended, against how it was to end: every difference in a line of its own. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from consumer.demo.receiver import Arrival
from consumer.demo.story import BUSY, CUTS_OFF, OK, Step, Webhook


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
    """What was seen while the story was told.

    Attributes:
        judged: each step that was judged, with its reasons in order.
        dead_letters: the reasons of what lies in the dead-letter topic.
        counts: None where nobody asked.
    """

    judged: list[tuple[Step, tuple[str, ...]]] = field(default_factory=list)
    arrivals: Sequence[Arrival] = ()
    cut_off: frozenset[str] = frozenset()
    dead_letters: Sequence[str] = ()
    counts: Counts | None = None


def expected_counts(steps: Sequence[Step]) -> Counts:
    """Return what the service must have counted when *steps* have been told."""
    answers = [status for step in steps for each in step.answers.values() for status in each]
    return Counts(
        records=len(steps),
        events=sum(len(step.answers) for step in steps),
        deliveries=answers.count(OK),
        retries=answers.count(BUSY),
        dead_letters=sum(step.reject is not None for step in steps),
    )


def differences(steps: Sequence[Step], happened: Happened) -> list[str]:
    """Return in what *happened* differs from what *steps* tell; nothing where all is as told."""
    return [
        *_judgements(steps, happened),
        *_webhooks(steps, happened.arrivals),
        *_trust(happened.arrivals),
        *_access(steps, happened.cut_off),
        *_dead_letters(steps, happened.dead_letters),
        *_counts(steps, happened.counts),
    ]


def _judgements(steps: Sequence[Step], happened: Happened) -> Iterator[str]:
    to_judge = [step for step in steps if step.reject is None]
    if len(to_judge) != len(happened.judged):
        yield f"{len(happened.judged)} records were judged, not {len(to_judge)}"
    for step, reasons in happened.judged:
        if reasons != step.reasons:
            told = f"{step.customer} at {step.usage} of {step.allowance}"
            yield f"{told} was judged {_listed(reasons)}, not {_listed(step.reasons)}"


def _webhooks(steps: Sequence[Step], arrivals: Sequence[Arrival]) -> Iterator[str]:
    wanted = {webhook: answers for step in steps for webhook, answers in step.answers.items()}
    came: dict[Webhook, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        if arrival.webhook:
            came[arrival.webhook].append(arrival)
    for webhook in wanted.keys() - came.keys():
        yield f"missing: the webhook {webhook}"
    for webhook, its in came.items():
        answers = tuple(arrival.status for arrival in its)
        if webhook not in wanted:
            yield f"not in the story: the webhook {webhook}"
        elif answers != wanted[webhook]:
            yield f"the webhook {webhook} was answered {_listed(answers)}, not {_listed(wanted[webhook])}"
        if len({arrival.webhook_id for arrival in its}) > 1:
            yield f"the webhook {webhook} came with more than one webhook-id: it is more than one event"


def _trust(arrivals: Sequence[Arrival]) -> Iterator[str]:
    for problem, times in Counter(arrival.problem for arrival in arrivals if arrival.problem).items():
        yield f"webhooks turned away: {times}: {problem}"
    taken = Counter(arrival.webhook_id for arrival in arrivals if arrival.is_taken)
    for webhook_id, times in taken.items():
        if times > 1:
            yield f"the webhook-id {webhook_id} was acted upon {times} times"


def _access(steps: Sequence[Step], cut_off: frozenset[str]) -> Iterator[str]:
    wanted = {webhook.customer for step in steps for webhook in step.answers if webhook.percent == CUTS_OFF}
    for customer in sorted(wanted - cut_off):
        yield f"{customer} still has access"
    for customer in sorted(cut_off - wanted):
        yield f"{customer} has no access any more"


def _dead_letters(steps: Sequence[Step], reasons: Sequence[str]) -> Iterator[str]:
    wanted = Counter(step.reject.value for step in steps if step.reject)
    for reason in (wanted - Counter(reasons)).elements():
        yield f"missing: a dead letter with the reason {reason}"
    for reason in (Counter(reasons) - wanted).elements():
        yield f"not in the story: a dead letter with the reason {reason}"


def _counts(steps: Sequence[Step], counts: Counts | None) -> Iterator[str]:
    if counts is None:
        return
    wanted = expected_counts(steps)
    for name in Counts.__slots__:
        seen, told = getattr(counts, name), getattr(wanted, name)
        if seen != told:
            yield f"the service counted {seen} {name.replace('_', ' ')}, not {told}"


def _listed(words: Sequence[object]) -> str:
    return ", ".join(map(str, words)) or "nothing"
