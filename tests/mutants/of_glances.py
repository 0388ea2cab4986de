"""Mutants of what is passed over at a glance: each lets something be passed over that has to be judged."""

from tests.mutants.mutant import Mutant

GLANCE = "consumer/consume/fast_path/glance.py"
STANDING = "consumer/consume/fast_path/standing.py"
INGEST = "consumer/consume/ingest.py"
BATCH = "consumer/consume/batch.py"
MEMORY = "consumer/consume/memory.py"
STANDINGS = "consumer/consume/fast_path/standings.py"
SIFT = "consumer/consume/fast_path/sift.py"
ON_POSTGRES = "integration/consume/test_glances.py"
STALE = "integration/consume/test_stale_memory.py"
LEVELS = "integration/consume/test_levels_written.py"
COMMITTER = "consumer/consume/offset_committer.py"
TOGETHER = "property/test_standing.py"

# What becomes what, and what would then be passed over.
OF_GLANCE = [
    ("not (is_plain or _is_printable(value, seen))", "False", "a control character is passed over"),
    ("amounts.problem(given) is None", "True", "39 digits are passed over"),
    ("amounts.judged_float(Decimal(amount))", "amount", "99.99999999999999 of 100 is passed over"),
]
OF_STANDING = [
    ("<= seen.usage < usage_below", "<= seen.usage <= usage_below", "exactly 100 % is passed over"),
    ("        and usage_from <= seen.usage", "        and usage_from - 1 <= seen.usage", "a recovery is passed over"),
    ("or balance_above < seen", "or balance_above <= seen", "a balance at its line is passed over"),
    ("seen.said == said\n        and ", "", "a new period is passed over"),
    ("and after < seen.at", "and after <= seen.at", "a record as old as the newest one is passed over"),
    ("seen.at < before", "seen.at <= before", "the moment at which it is no longer active is passed over"),
    (
        "        if feature_of(document, snapshot) is not document.feature:\n            return None\n",
        "",
        "a late record of another feature passes over the newer ones that rename it",
    ),
    ("times += [document.as_of, document.begins_at]", "times += [document.begins_at]", "a late record is passed over"),
    (
        "times += [document.as_of, document.begins_at]",
        "times += [document.as_of]",
        "a record of before the move is judged",
    ),
    (
        "if document.period_to != snapshot.period_to or document.active_to",
        "if document.active_to",
        "a late record with another end passes over the newer ones that say the same",
    ),
    (
        "if document.period_to != snapshot.period_to or document.active_to != snapshot.active_to:",
        "if document.period_to != snapshot.period_to:",
        "a late record with another activeTo passes over the newer ones that say the same",
    ),
    (" or document.ended or", " or", "a record of a period that was ended stands"),
    ("if snapshot.is_deleted or ", "if ", "a delete stands"),
    (
        "if level != known and at <= changed_at:",
        "if at < changed_at and False:",
        "what is older than the coarse level is judged again and again, however often it is replayed",
    ),
    (
        "levels.coarse_amount(known + 10,",
        "levels.coarse_amount(known + 20,",
        "a rise of the coarse level is passed over",
    ),
    ("if level == known > 0:", "if False:", "a fall of the coarse level is passed over"),
    ("before = min(before, changed_at + FALL_PAUSE)", "pass", "a fall that waits is never written"),
    ("amount < self.usage_below", "amount > self.usage_below", "all lines but the last are passed over"),
]
# Of records that may change the coarse level alone.
BUT_FOR_LEVEL = [
    ("and seen.said == standing.said", "and True", "another allowance is passed over"),
    ("standing.after < seen.at < beyond", "seen.at < beyond", "a record as old as its period is passed over"),
    ("< seen.at < beyond.before", "< seen.at", "the moment at which it is no longer active is passed over"),
    ("<= seen.usage < beyond.usage_below", "<= seen.usage", "a threshold is passed over for a level"),
    ("standing.balance_above < seen.balance <=", "seen.balance <=", "one of the balance is passed over for a level"),
]

MUTANTS = [
    *(Mutant(STANDING, *change, by="unit/test_levels_at_a_glance.py") for change in BUT_FOR_LEVEL),
    Mutant(
        STANDINGS,
        "self._documents[key] = self.leveled[key] = after",
        "self._documents[key] = after",
        "a level that changed alone is never written",
        by="unit/test_levels_at_a_glance.py",
    ),
    Mutant(
        STANDINGS,
        "        self._keep(seen.key, now)\n        return True",
        "        return True",
        "a fall between two rises is passed over at the level before them",
        by=TOGETHER,
    ),
    Mutant(
        MEMORY,
        "            if self.standings.leveled.get(key) is document:\n",
        "            if True:\n",
        "a level that changed while another was written is never written",
        by="unit/test_levels_at_a_glance.py",
    ),
    Mutant(
        MEMORY,
        "            elif row.version != document.version:\n",
        "            elif False:\n",
        "a row that another has written never gets the level that came before that",
        by=LEVELS,
    ),
    Mutant(
        MEMORY,
        "                    found[key] = _with_level_of(row, ahead)\n",
        "                    pass\n",
        "a document that is read before its level is written has the one before it, and misses a fall to that",
        by=LEVELS,
    ),
    Mutant(
        MEMORY,
        "if (row.period_from, row.begins_at, row.ended) != (ahead.period_from, ahead.begins_at, False):",
        "if False:",
        "the level of a period that is over is written",
        by=LEVELS,
    ),
    Mutant(
        STANDINGS,
        "        if len(self._shared) > self._limit:\n            self._shared.clear()\n",
        "",
        "where levels alone change, what stands alike is kept for ever",
        by="unit/test_levels_at_a_glance.py",
    ),
    Mutant(
        MEMORY,
        "                del self.standings.leveled[key]\n                self.forget([key])\n",
        "                pass\n",
        "a level that Postgres fails is written again and again",
        by=LEVELS,
    ),
    *(
        Mutant("consumer/store/sql/levels/write.sql", line, "true\n", what, by=LEVELS)
        for line, what in (
            ("e.version = l.version\n", "a level that another writer has left behind is written"),
            (
                "(e.level_at IS NULL OR e.level_at <= l.level_at)\n",
                "a replica that was left behind writes an old level",
            ),
        )
    ),
    Mutant(
        "consumer/store/sql/levels/write.sql",
        " SKIP LOCKED",
        "",
        "a level waits for a row that is being written",
        by=LEVELS,
    ),
    Mutant(
        COMMITTER,
        "                await self._before()\n",
        "",
        "a record's offset is committed before its level",
        by="integration/consume/test_progress.py",
    ),
    *(Mutant(GLANCE, *change, by="unit/test_glance.py") for change in OF_GLANCE),
    *(Mutant(STANDING, *change, by="unit/test_standing.py") for change in OF_STANDING),
    Mutant(
        SIFT,
        "            standings.drop(key)\n",
        "",
        "what comes after a crossing in a batch is passed over",
        by=TOGETHER,
    ),
    Mutant(
        SIFT,
        "            and (found.under.turn == turn or standings.holds(found.under))\n",
        "",
        "a new rule waits for its entitlements to move",
        by=TOGETHER,
    ),
    Mutant(
        STANDINGS,
        "            self.turn += 1\n",
        "",
        "where an entitlement stood under the old rules is believed under the new ones",
        by=TOGETHER,
    ),
    Mutant(
        STANDINGS,
        "            if rules is not under.rules:\n",
        "            if False:\n",
        "rules that have changed are taken for the same",
        by=TOGETHER,
    ),
    Mutant(
        STANDINGS,
        "                found.rules, found.turn = None, -1\n",
        "                pass\n",
        "quiet entitlements keep all the rules that there ever were",
        by="unit/test_memory.py",
    ),
    Mutant(
        MEMORY,
        "            filling.refuse(keys)\n",
        "            pass\n",
        "what another replica may change is remembered",
        by=ON_POSTGRES,
    ),
    Mutant(
        INGEST,
        "if key not in unsettled and filling.accepts(key):",
        "if key not in unsettled:",
        "what the clock has ended meanwhile is passed over as if it had not",
        by=STALE,
    ),
    Mutant(
        INGEST,
        "if changed := await self.memory.changed(sifted.believed):",
        "if changed := await self.memory.changed({}):",
        "a record is passed over on a memory that another writer has changed: no recovery",
        by=STALE,
    ),
    Mutant(
        INGEST,
        "return {one.key for one in wanted if looks_back(one.rules)}",
        "return set()",
        "a record is judged on a memory that another writer has changed: no recovery",
        by=STALE,
    ),
    Mutant(
        INGEST,
        "            self.memory.forget()  # an outcome",
        "            pass  # an outcome",
        "what is remembered of a batch that failed is believed",
        by=STALE,
    ),
    Mutant(
        BATCH,
        "parts[hash(one.key) % len(parts)]",
        "parts[one.record.offset % len(parts)]",
        "two parts of a batch judge one entitlement beside each other",
        by=ON_POSTGRES,
    ),
]
