"""Mutants of what retention leaves: each lets a guard go before the last record that it guards against."""

from tests.mutants.mutant import Mutant

ROWS = "integration/store/test_retention_rows.py"

MUTANTS = [
    Mutant(
        "consumer/retention.py",
        "for what in (Removable.EVENTS, Removable.JOBS, Removable.TEMPLATES):",
        "for what in (Removable.EVENTS, Removable.JOBS, Removable.ENTITLEMENTS):",
        "a record of a notified period that is read again makes a second event",
        by=ROWS,
    ),
    Mutant(
        "consumer/store/retention.py",
        "    return min(over_by, now - longest)\n",
        "    return over_by\n",
        "where a topic keeps its records for longer than the retention, they make their events again",
        by=ROWS,
    ),
    Mutant(
        "consumer/store/sql/retention/remove_entitlements.sql",
        "      AND e.written_at <= @over_by::timestamptz\n",
        "",
        "records that came long after their period's end make their events again",
        by=ROWS,
    ),
]
