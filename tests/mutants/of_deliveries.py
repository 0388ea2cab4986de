"""Mutants of statements that meet: each takes away what keeps two from undoing or awaiting each other."""

from tests.mutants.mutant import Mutant

RACES = "integration/deliver/test_races_of_deliveries.py"
BULK = "integration/deliver/test_bulk_resends.py"
AFTER_DISABLING = "integration/deliver/test_recoveries_after_disabling.py"

MUTANTS = [
    Mutant(f"consumer/store/sql/{file}.sql", old, new, survives, by=by)
    for file, old, new, survives, by in [
        (
            "deliveries/record",
            "    ORDER BY c.id\n    FOR SHARE\n",
            "    ORDER BY c.id\n",
            "a 429 of an old address pauses the new one as the edit commits",
            RACES,
        ),
        (
            "paces/disable",
            "      AND p.failing_since = @failing_since\n    FOR UPDATE\n",
            "      AND p.failing_since = @failing_since\n",
            "a new address is disabled for what the old one failed, as the edit commits",
            RACES,
        ),
        (
            "sweeps/hold",
            "      AND (d.due_at = 'infinity') = w.is_held",
            "      AND w.is_held IS NOT NULL",
            "a row that another process has corrected is due too early",
            RACES,
        ),
        (
            "sweeps/hold",
            "    UNION\n    SELECT f.id, f.waits_for, f.channel_id, true\n    FROM fresh f\n",
            "",
            "behind 300,000 that wait one that waits in vain is found after a minute",
            "integration/deliver/test_order_of_deliveries.py",
        ),
        (
            "sweeps/hold",
            "      AND w.round_from < statement_timestamp() - @settled::interval\n",
            "      AND @settled::interval IS NOT NULL\n",
            "what ends as it is written is looked at before that is committed, and not again for a minute",
            "integration/deliver/test_order_of_deliveries.py",
        ),
        (
            "sweeps/sweep",
            "    ORDER BY d.id\n    FOR UPDATE SKIP LOCKED\n),\nfreed",
            "    ORDER BY d.id\n    FOR UPDATE\n),\nfreed",
            "two sweeps of one chain wait for each other",
            RACES,
        ),
        (
            "jobs/resend_many",
            "      AND (c.rounds_end_before IS NULL OR c.rounds_end_before <= w.created_at)\n",
            "",
            "a resend of many goes on over a short disabling, a recovery does not",
            BULK,
        ),
        (
            "sweeps/settle",
            " OR j.kind <> 'recover'",
            "",
            "a disabling is forgotten while a resend of many has yet to see it",
            BULK,
        ),
        (
            "jobs/recover",
            "      AND j.namespace > @after\n",
            "      AND @after::text IS NOT NULL\n",
            "many recoveries of one namespace go before one of another",
            "integration/deliver/test_turns_of_jobs.py",
        ),
        (
            "jobs/recover",
            " UNION ALL SELECT * FROM swept",
            "",
            "a recovery asked for before the sweep has nothing of what that ends",
            AFTER_DISABLING,
        ),
        (
            "jobs/recover",
            "c.disabled_by IS NOT NULL OR c.rounds_end_before > j.created_at THEN",
            "c.disabled_by IS NOT NULL THEN",
            "half of a recovery ends by a short disabling, and the other half is sent",
            AFTER_DISABLING,
        ),
    ]
]
