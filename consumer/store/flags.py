"""Who is cut off now, by the memory of the judgement: events may be gone by then, and marks are of now."""

from collections.abc import Collection
from typing import NamedTuple

from consumer.store.database import Database


class CutOff(NamedTuple):
    """A customer, and the feature that is used up; a customer is called by key, subject or id, whichever there is."""

    feature: str
    customer: str


async def cut_off(
    database: Database,
    namespace: str,
    rule_id: str,
    thresholds: Collection[str],
    *,
    features: Collection[str] | None,
    limit: int,
) -> list[CutOff]:
    """Return those for which one of *thresholds*, by identity, is reached now, in no order; up to *limit* of them.

    Of *features*, by id or key; None: of all. Reads every entitlement of the namespace.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows(
        "flags/cut_off",
        namespace=namespace,
        rule_id=rule_id,
        thresholds=list(thresholds),
        features=None if features is None else list(features),
        limit=limit,
    )
    return [CutOff(row["feature"], row["customer"]) for row in rows]
