"""Mutants of what is passed over at a glance: each lets something be passed over that has to be judged."""

from tests.mutants.mutant import Mutant

STANDING = "consumer/decide/standing.py"
GLANCE = "schemas/glance.py"
OF_STANDING = "unit/test_standing.py"
OF_GLANCE = "unit/test_glance.py"
OF_BOTH = "property/test_standing.py"

MUTANTS = [
    Mutant(
        STANDING,
        "seen.usage < usage_below",
        "seen.usage <= usage_below",
        "exactly 100 % is passed over",
        by=OF_STANDING,
    ),
    Mutant(
        STANDING,
        "usage_from <= seen.usage",
        "usage_from - 1 <= seen.usage",
        "a recovery is passed over",
        by=OF_STANDING,
    ),
    Mutant(
        STANDING,
        "balance_above < seen",
        "balance_above <= seen",
        "a balance at its line is passed over",
        by=OF_STANDING,
    ),
    Mutant(STANDING, "seen.said == said\n        and ", "", "a new period is passed over", by=OF_STANDING),
    Mutant(STANDING, "since + _INSTANT", "since", "a late record is passed over, an instant early", by=OF_STANDING),
    Mutant(STANDING, "before - _INSTANT", "before", "what is no longer active is passed over", by=OF_STANDING),
    Mutant(STANDING, "        after.append(document.as_of)\n", "", "a late record is passed over", by=OF_STANDING),
    Mutant(STANDING, " or document.ended or", " or", "a record of a period that was ended stands", by=OF_STANDING),
    Mutant(STANDING, "if snapshot.is_deleted or ", "if ", "a delete stands", by=OF_STANDING),
    Mutant(
        STANDING,
        '("usage_below", min)',
        '("usage_below", max)',
        "all lines but the last are passed over",
        by=OF_STANDING,
    ),
    Mutant(GLANCE, " or 0 < balance > rest", "", "a contradictory record is passed over", by=OF_GLANCE),
    Mutant(
        GLANCE,
        "not (is_plain or _is_printable(value, seen))",
        "False",
        "a control character is passed over",
        by=OF_GLANCE,
    ),
    Mutant(GLANCE, "amounts.problem(given) is None", "True", "39 digits are passed over", by=OF_GLANCE),
    Mutant(
        GLANCE,
        "amounts.judged_float(Decimal(amount))",
        "amount",
        "99.99999999999999 of 100 is passed over",
        by=OF_GLANCE,
    ),
    Mutant(
        "consumer/consume/sift.py",
        "            standings.drop(key_of(source))\n",
        "",
        "what comes after a crossing in a batch is passed over",
        by=OF_BOTH,
    ),
    Mutant(
        "consumer/store/memory.py",
        "            self._catalog = catalog\n            self.clear()\n",
        "            self._catalog = catalog\n",
        "a new rule waits for its entitlements to move",
        by=OF_BOTH,
    ),
    Mutant(
        "consumer/consume/ingest.py",
        "if age == self.memory.age:",
        "if age >= 0:",
        "what another replica may change is remembered",
        by="integration/test_glances.py",
    ),
    Mutant(
        "consumer/consume/ingest.py",
        "parts[hash(one.key) % len(parts)]",
        "parts[one.record.offset % len(parts)]",
        "two parts of a batch judge one entitlement beside each other",
        by="integration/test_glances.py",
    ),
]
