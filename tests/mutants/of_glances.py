"""Mutants of what is passed over at a glance: each lets something be passed over that has to be judged."""

from tests.mutants.mutant import Mutant

GLANCE = "schemas/glance.py"
STANDING = "consumer/decide/standing.py"
INGEST = "consumer/consume/ingest.py"
ON_POSTGRES = "integration/test_glances.py"
TOGETHER = "property/test_standing.py"

# What becomes what, and what would then be passed over.
OF_GLANCE = [
    (" or 0 < balance > rest", "", "a contradictory record is passed over"),
    ("not (is_plain or _is_printable(value, seen))", "False", "a control character is passed over"),
    ("amounts.problem(given) is None", "True", "39 digits are passed over"),
    ("amounts.judged_float(Decimal(amount))", "amount", "99.99999999999999 of 100 is passed over"),
]
OF_STANDING = [
    ("seen.usage < usage_below", "seen.usage <= usage_below", "exactly 100 % is passed over"),
    ("usage_from <= seen.usage", "usage_from - 1 <= seen.usage", "a recovery is passed over"),
    ("balance_above < seen", "balance_above <= seen", "a balance at its line is passed over"),
    ("seen.said == said\n        and ", "", "a new period is passed over"),
    ("since + _INSTANT", "since", "a late record is passed over, an instant early"),
    ("before - _INSTANT", "before", "what is no longer active is passed over"),
    ("        after.append(document.as_of)\n", "", "a late record is passed over"),
    (" or document.ended or", " or", "a record of a period that was ended stands"),
    ("if snapshot.is_deleted or ", "if ", "a delete stands"),
    ('("usage_below", min)', '("usage_below", max)', "all lines but the last are passed over"),
]

MUTANTS = [
    *(Mutant(GLANCE, *change, by="unit/test_glance.py") for change in OF_GLANCE),
    *(Mutant(STANDING, *change, by="unit/test_standing.py") for change in OF_STANDING),
    Mutant(
        "consumer/consume/sift.py",
        "            standings.drop(key)\n",
        "",
        "what comes after a crossing in a batch is passed over",
        by=TOGETHER,
    ),
    Mutant(
        "consumer/store/memory.py",
        "            self._catalog = catalog\n            self.clear()\n",
        "            self._catalog = catalog\n",
        "a new rule waits for its entitlements to move",
        by=TOGETHER,
    ),
    Mutant(
        INGEST,
        "if age == self.memory.age:",
        "if age >= 0:",
        "what another replica may change is remembered",
        by=ON_POSTGRES,
    ),
    Mutant(
        INGEST,
        "if not self.turns.is_awaited(key):",
        "if key in documents:",
        "a record is passed over by where its entitlement stood before one that is yet to be judged",
        by=ON_POSTGRES,
    ),
    Mutant(
        INGEST,
        "async with self.sifting:",
        "async with asyncio.Lock():",
        "a batch is sifted while the one before it still is: its records may be passed over before those are judged",
        by="integration/test_two_in_hand.py",
    ),
    Mutant(
        INGEST,
        "parts[hash(one.key) % len(parts)]",
        "parts[one.record.offset % len(parts)]",
        "two parts of a batch judge one entitlement beside each other",
        by=ON_POSTGRES,
    ),
]
