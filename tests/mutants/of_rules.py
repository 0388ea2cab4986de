"""Mutants of what a replica knows of the rules: each lets it go on with rules that are no longer so."""

from tests.mutants.mutant import Mutant

CATALOG = "consumer/store/catalog.py"
RULEBOOK = "consumer/consume/rulebook.py"
MIGRATION = "consumer/store/migrations/0002_01_rule_revisions.sql"
ON_POSTGRES = "integration/consume/test_rulebook.py"
CHANGES = "property/test_catalog.py"

MUTANTS = [
    Mutant(
        CATALOG,
        'rows[0]["server"] != known.server or ',
        "",
        "after a failover that lost commits, a rule is judged that was never made",
        by=ON_POSTGRES,
    ),
    Mutant(
        CATALOG,
        ' or rows[0]["revision"] < known.revision:',
        ":",
        "after a dump was restored, a rule is judged that is not there",
        by=ON_POSTGRES,
    ),
    Mutant(
        RULEBOOK,
        "(seen.revision, seen.server) != (before.revision, before.server)",
        "seen.revision != before.revision",
        "after a failover, another edit's revision is taken for the known one",
        by=ON_POSTGRES,
    ),
    Mutant(
        RULEBOOK,
        "        async with self._turn:\n",
        "        async with asyncio.Lock():\n",
        "the rules of an earlier look come after those of a later one",
        by=ON_POSTGRES,
    ),
    Mutant(
        MIGRATION,
        "IF NOT is_editor THEN",
        "IF false THEN",
        "a manual change of a rule is never loaded",
        by=ON_POSTGRES,
    ),
    Mutant(
        MIGRATION,
        "BEFORE INSERT OR UPDATE ON rule",
        "BEFORE INSERT ON rule",
        "a rule that was disabled is judged until the next restart",
        by=ON_POSTGRES,
    ),
    Mutant(
        CATALOG,
        "if before := self._rules.get(rule_id):",
        "if (before := self._rules.get(rule_id)) and rules[rule_id] is None:",
        "a rule is still about the feature that it was about",
        by=CHANGES,
    ),
    Mutant(
        CATALOG,
        "if len(known) == len(parts) and all(map(is_, known, parts)):",
        "if len(known) == len(parts):",
        "the rules of a feature are judged as they were before the change",
        by=CHANGES,
    ),
    Mutant(
        "consumer/store/sql/configuration/lock_rules.sql",
        "ORDER BY id\n",
        "ORDER BY id DESC\n",
        "an editor and a batch wait for each other: one of them is ended by Postgres",
        by="integration/commands/test_edits_of_many.py",
    ),
    Mutant(
        "consumer/commands/apply.py",
        "            edit.keep = not dry_run and any(step.is_change for step in steps)\n",
        "            edit.keep = not dry_run\n",
        "every replica loads rules that have not changed",
        by="integration/commands/test_apply.py",
    ),
]
