"""Mutants of what is measured: each would show an operator what is not so, or hide what is."""

from tests.mutants.mutant import Mutant

LAG = "consumer/consume/lag.py"
METRICS = "consumer/metrics.py"
RECORD = "consumer/store/sql/deliveries/record.sql"
FAILING = "consumer/store/sql/paces/failing.sql"
GAUGES = "consumer/store/sql/deliveries/gauges.sql"
SERVED = "integration/serve/test_metrics.py"

MUTANTS = [
    Mutant(
        GAUGES,
        " FILTER (WHERE p.is_paused IS NOT TRUE)",
        "",
        "one receiver that is down makes everything look late",
        by="integration/deliver/test_breakers.py",
    ),
    Mutant(
        LAG,
        "            return before.at  # it was not there yet",
        "            return self._taken.get(tp)",
        "a new record on a quiet partition looks hours old",
        by="unit/test_lag.py",
    ),
    Mutant(
        LAG,
        "            return before.oldest",
        "            return before.at",
        "what waits does not age while Postgres is unavailable",
        by="unit/test_lag.py",
    ),
    Mutant(
        LAG,
        "if end > offset else now",
        "",
        "a partition that is read to its end lags by its last record's age",
        by="unit/test_lag.py",
    ),
    Mutant(
        LAG,
        "min(records[-1].timestamp / _MS, now)",
        "records[-1].timestamp / _MS",
        "one producer's wrong clock hides that no record comes",
        by="unit/test_lag.py",
    ),
    Mutant(
        METRICS,
        "        if number == 1:",
        "        if True:",
        "retries count as late first attempts",
        by="unit/test_metrics.py",
    ),
    Mutant(
        METRICS,
        "if outcome.is_success and round == 1:",
        "if outcome.is_success:",
        "a resend of last week counts as a week late",
        by="unit/test_metrics.py",
    ),
    Mutant(
        RECORD,
        "WHERE state = 'SUCCESS' AND was <> 'SUCCESS'",
        "WHERE state = 'SUCCESS'",
        "a success that is recorded again counts twice",
        by=SERVED,
    ),
    Mutant(
        FAILING,
        "  AND c.disabled_by IS NULL\n",
        "",
        "a disabled channel is shown as failing for ever",
        by=SERVED,
    ),
    Mutant(
        "consumer/deliver/consents.py",
        '"refused" if is_refusal else "unanswered"',
        '"refused"',
        "a receiver that is down looks as if it had taken its consent back",
        by="integration/deliver/test_handshake.py",
    ),
]
