"""The story: records, and what must come of each. Data alone; `play` tells it, `ending` compares."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from consumer.decide.model import Reason
from schemas.reading import RejectReason

THRESHOLDS: Final = (Decimal(80), Decimal(100), Decimal(120))  # percent; those of deploy/demo/rules.yaml
CUTS_OFF: Final = Decimal(100)  # at this one a receiver takes away access
OK: Final = 200
BUSY: Final = 503


@dataclass(frozen=True, slots=True, order=True)
class Webhook:
    """What tells one webhook of the story from the others. *period*: 1 for the first one, 0 for none of ours."""

    customer: str
    percent: Decimal
    period: int
    episode: int = 1

    def __str__(self) -> str:
        return f"{self.customer} {self.percent:f} % (period {self.period}, episode {self.episode})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A record to produce, and what must come of it.

    Attributes:
        usage: of *allowance*, as it stands in the record.
        period: 1, or 2 for the one after.
        is_repeat: the very bytes of the record before, once more.
        reasons: how each threshold is judged, in their order; one alone where the record as a whole decides.
        reject: why it goes to the dead letters, in place of *reasons*.
        busy: whether the receiver answers the first webhook of this step 503 once.
        note: what a person should notice.
    """

    customer: str
    usage: int | str
    allowance: int = 100
    period: int = 1
    is_repeat: bool = False
    reasons: tuple[Reason, ...] = ()
    reject: RejectReason | None = None
    busy: bool = False
    note: str = ""

    @property
    def answers(self) -> dict[Webhook, tuple[int, ...]]:
        """The webhooks that must come of it, and how the receiver answers each of their attempts."""
        fired = [
            Webhook(self.customer, percent, self.period)
            for percent, reason in zip(THRESHOLDS, self.reasons, strict=False)
            if reason is Reason.FIRST_CROSSING
        ]
        return {webhook: (BUSY, OK) if self.busy and webhook == fired[0] else (OK,) for webhook in fired}


@dataclass(frozen=True, slots=True)
class Act:
    """A part of the story: its title, what it shows, its steps."""

    title: str
    shows: str
    steps: tuple[Step, ...]


BELOW: Final = Reason.BELOW
FIRST: Final = Reason.FIRST_CROSSING
ALREADY: Final = Reason.ALREADY_FIRED

ACTS: Final = (
    Act(
        "Usage climbs: 10 → 85 → 100 → 130 %",
        "Each threshold rings once, when it is reached. At 100 % the receiver cuts off access.",
        (
            Step(customer="acme", usage=10, reasons=(BELOW, BELOW, BELOW)),
            Step(customer="acme", usage=85, reasons=(FIRST, BELOW, BELOW)),
            Step(
                customer="acme",
                usage=100,
                reasons=(ALREADY, FIRST, BELOW),
                busy=True,
                note="exactly 100 % is reached; the receiver is busy",
            ),
            Step(customer="acme", usage=130, reasons=(ALREADY, ALREADY, FIRST)),
        ),
    ),
    Act(
        "Usage jumps: 10 → 110 %",
        "What lies between is not lost: each threshold is an event of its own. And none comes twice.",
        (
            Step(customer="globex", usage=10, reasons=(BELOW, BELOW, BELOW)),
            Step(customer="globex", usage=110, reasons=(FIRST, FIRST, BELOW)),
            Step(
                customer="globex",
                usage=110,
                is_repeat=True,
                reasons=(ALREADY, ALREADY, BELOW),
                note="the same record once more",
            ),
        ),
    ),
    Act(
        "A top-up: the allowance grows from 100 to 200",
        "Nothing rings on the way down, nor for what has rung in this period already.",
        (
            Step(customer="acme", usage=130, allowance=200, reasons=(BELOW, BELOW, BELOW)),
            Step(customer="acme", usage=170, allowance=200, reasons=(ALREADY, BELOW, BELOW)),
        ),
    ),
    Act(
        "A new period",
        "Every threshold is armed anew. A late record of the old period makes nothing.",
        (
            Step(customer="acme", usage=5, period=2, reasons=(BELOW, BELOW, BELOW), note="the new period begins"),
            Step(customer="acme", usage=85, period=2, reasons=(FIRST, BELOW, BELOW)),
            Step(
                customer="acme",
                usage=140,
                reasons=(Reason.STALE_PERIOD,),
                note="of the old period, come late",
            ),
        ),
    ),
    Act(
        "A record that nobody understands",
        "It goes to the dead letters with its reason, and the next one is judged.",
        (
            Step(customer="globex", usage="a lot", reject=RejectReason.INVALID),
            Step(customer="globex", usage=120, reasons=(ALREADY, ALREADY, FIRST)),
        ),
    ),
)


def steps() -> Iterator[Step]:
    """Give the steps of all acts in order."""
    for act in ACTS:
        yield from act.steps
