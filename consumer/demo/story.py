"""The story: records, and what must come of each. No logic: `play` plays it, `ending` compares."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from consumer.decide.model import Reason
from consumer.demo.steps import STORAGE, Act, Clock, InvoiceStep, Step, Usage
from schemas.reading import RejectReason

BELOW: Final = Reason.BELOW
FIRST: Final = Reason.FIRST_CROSSING
ALREADY: Final = Reason.ALREADY_FIRED
# A record must be judged before its period ends, also where a machine has much to do; and the wait should be short.
# The acts between are played meanwhile.
SHORT_PERIOD: Final = dt.timedelta(seconds=5)

_CLIMB: Final = Act(
    "Usage climbs: 10 → 85 → 100 → 130 %",
    "Each threshold fires once, when it is reached. At 100 % the receiver cuts off access.",
    (
        Usage(customer="acme", usage=10, levels=(BELOW, BELOW, BELOW)),
        Usage(customer="acme", usage=85, levels=(FIRST, BELOW, BELOW)),
        Usage(
            customer="acme",
            usage=100,
            levels=(ALREADY, FIRST, BELOW),
            busy=True,
            note="exactly 100 % is reached; the receiver is busy",
        ),
        Usage(customer="acme", usage=130, levels=(ALREADY, ALREADY, FIRST)),
    ),
)
_JUMP: Final = Act(
    "Usage jumps: 10 → 110 %",
    "What lies between is not lost: each threshold makes its own event. And none comes twice.",
    (
        Usage(customer="globex", usage=10, levels=(BELOW, BELOW, BELOW)),
        Usage(customer="globex", usage=110, levels=(FIRST, FIRST, BELOW)),
        Usage(
            customer="globex",
            usage=110,
            is_repeat=True,
            levels=(ALREADY, ALREADY, BELOW),
            note="the same record once more",
        ),
        Usage(
            customer="initech",
            usage=100,
            lasts=SHORT_PERIOD,
            levels=(FIRST, FIRST, BELOW),
            note=f"its period ends in {SHORT_PERIOD.total_seconds():g} s",
        ),
    ),
)
_TOP_UP: Final = Act(
    "A top-up: the allowance grows from 100 to 200",
    "Nothing fires on the way down, nor what has fired in this period already.",
    (
        Usage(customer="acme", usage=130, allowance=200, levels=(BELOW, BELOW, BELOW)),
        Usage(customer="acme", usage=170, allowance=200, levels=(ALREADY, BELOW, BELOW)),
    ),
)
_NEW_PERIOD: Final = Act(
    "A new period",
    "It gives access back and re-arms every threshold. A late record of the old period makes nothing.",
    (
        Usage(
            customer="acme",
            usage=5,
            period=2,
            levels=(BELOW, BELOW, BELOW),
            renewal=Reason.RESET_MANUAL,
            note="renewed before its time",
        ),
        Usage(customer="acme", usage=85, period=2, levels=(FIRST, BELOW, BELOW)),
        Usage(
            customer="acme",
            usage=140,
            levels=(Reason.STALE_PERIOD,),
            renewal=Reason.STALE_PERIOD,
            note="of the old period, come late",
        ),
    ),
)
_DEAD_LETTER: Final = Act(
    "A record that can't be understood",
    "It goes to the dead letters with its reason, and the next one is judged.",
    (
        Usage(customer="globex", usage="a lot", reject=RejectReason.INVALID),
        Usage(customer="globex", usage=120, levels=(ALREADY, ALREADY, FIRST)),
    ),
)
_RESET: Final = Act(
    "A manual reset",
    "The quota is renewed: a reset record says so, and access is given back. Once.",
    (
        Usage(
            customer="globex",
            usage=0,
            period=2,
            is_reset=True,
            levels=(BELOW, BELOW, BELOW),
            renewal=Reason.RESET_MANUAL,
        ),
        Usage(
            customer="globex",
            usage=0,
            period=2,
            is_reset=True,
            is_repeat=True,
            levels=(BELOW, BELOW, BELOW),
            renewal=Reason.ALREADY_RESET,
            note="the same record once more",
        ),
    ),
)
_REARM: Final = Act(
    "A level that falls and rises again: 100 → 60 → 100 %",
    "Storage is cleared. A rule with re-arm and recovery notifies of that, and fires again: episode 2.",
    (
        Usage(customer="hooli", feature=STORAGE, usage=100, levels=(FIRST,)),
        Usage(customer="hooli", feature=STORAGE, usage=60, levels=(Reason.RECOVERED,)),
        Usage(customer="hooli", feature=STORAGE, usage=100, levels=(Reason.REARMED,)),
    ),
)
_INVOICE: Final = Act(
    "An invoice: draft → issued → paid",
    "Notified when created, and in the states that a rule names. One that still gathers is silent.",
    (
        InvoiceStep(customer="acme", number="A-1", state="draft", is_created=True, reason=Reason.INVOICE_CREATED),
        InvoiceStep(customer="acme", number="A-1", state="issuing.syncing", reason=Reason.STATUS_NOT_WANTED),
        InvoiceStep(customer="acme", number="A-1", state="issued", reason=Reason.STATE_CHANGED),
        InvoiceStep(customer="acme", number="A-1", state="paid", reason=Reason.STATE_CHANGED),
        InvoiceStep(
            customer="acme",
            number="A-2",
            state="gathering",
            is_created=True,
            reason=Reason.GATHERING,
            note="collects what will be charged next",
        ),
    ),
)
_CLOCK: Final = Act(
    "A reset by the clock",
    "initech was cut off in act 2: it uses nothing, so no record shows its new period. The clock does.",
    (Clock(customer="initech"),),
)

ACTS: Final = (_CLIMB, _JUMP, _TOP_UP, _NEW_PERIOD, _DEAD_LETTER, _RESET, _REARM, _INVOICE, _CLOCK)


def steps() -> Iterator[Step]:
    """Give the steps of all acts in order."""
    for act in ACTS:
        yield from act.steps
