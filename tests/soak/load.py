"""What flows during a soak: entitlements used at a steady pace through many periods, in the oracle's words.

The oracle's own workloads have every rule and every order, and few records; these have many, in few shapes.
"""

from collections.abc import Iterator
from random import Random

from tests.property.words import Line, Rule, Shown
from tests.support.workload import Workload

VISITS = 40  # records of an entitlement in a period, each a minute of its own time
ALLOWANCE = 36
AGAIN = 20  # one record in so many is followed by one that has come before
ONES = ("50", "80", "100")


def steady(namespace: str, *, entitlements: int, records: int, seed: int) -> Workload:
    """Return *records* records, in turn of each of *entitlements*: usage grows past every threshold, period by period.

    Each period makes six events of an entitlement: three levels, a balance, a reset and a highest level. They begin
    each at another place in its first period, so that at any moment some reach a threshold.
    """
    rules = {
        "levels": Rule("balance", [Line("usage_percentage", value) for value in ONES], namespace=namespace),
        "highest": Rule("balance", [Line("usage_value", "20")], emit="highest", namespace=namespace),
        "low": Rule("balance", [Line("balance_value", "5")], namespace=namespace),
        "reset": Rule("reset", namespace=namespace),
    }
    return Workload(namespace, rules, list(_records(namespace, entitlements, records, Random(seed))))


def _records(namespace: str, entitlements: int, number: int, dice: Random) -> Iterator[Shown]:
    made: list[Shown] = []
    for n in range(number):
        visit = n // entitlements + n % entitlements % VISITS
        made.append(_record((namespace, f"ent-{n % entitlements}"), visit))
        yield made[-1]
        if dice.randrange(AGAIN) == 0:
            yield dice.choice(made)


def _record(about: tuple[str, str], visit: int) -> Shown:
    usage, start = visit % VISITS + 1, visit // VISITS * VISITS
    left = str(max(ALLOWANCE - usage, 0))
    return Shown(about, visit, str(usage), str(ALLOWANCE), left, start, start + VISITS)
