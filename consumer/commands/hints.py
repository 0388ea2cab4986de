"""What is right in a rules file and still looks like a mistake: a feature or a status that no record has ever had."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

from consumer.commands.rules_files import At, WantedConfiguration
from consumer.decide.rules import features_named
from consumer.store import features
from consumer.store.database import Database
from schemas.rules import InvoiceUpdatedSpec

_STEPS: Final = {
    "draft": (
        "created waiting_for_collection collecting updating manual_approval_needed validating invalid syncing"
        " sync_failed waiting_auto_approval ready_to_issue"
    ),
    "delete": "in_progress syncing failed",
    "issuing": "line_finalization line_finalization_failed syncing failed charge_booking charge_booking_failed",
    "payment_processing": (
        "pending booking_authorized booking_authorized_failed booking_authorized_and_settled"
        " booking_authorized_and_settled_failed authorized failed action_required booking_settled"
        " booking_settled_failed"
    ),
}
# The reference product's (openmeter.md 4): short ones, and extended ones. Native records may have others.
STATUSES: Final = frozenset(
    {"gathering", "deleted", "issued", "overdue", "paid", "uncollectible", "voided", *_STEPS}
    | {f"{short}.{step}" for short, steps in _STEPS.items() for step in steps.split()}
)


async def of(wanted: WantedConfiguration, database: Database) -> list[str]:
    """Return a line for each feature or status that looks misspelt.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    named = {name for config, _ in wanted.rules for name in features_named(config.spec) or ()}
    seen = await features.some_keys(database, wanted.namespace) if named else []
    unknown = named - (await features.seen(database, wanted.namespace, named)).keys() if seen else set[str]()
    said = [
        wanted.line(at, f"no record of this namespace has had the feature {name!r}{_meant(name, seen)}")
        for name, at in (_features(wanted) if unknown else ())
        if name in unknown
    ]
    return said + [
        wanted.line(at, f"{name!r} is not a status of OpenMeter's invoices{_meant(name, sorted(STATUSES))}")
        for name, at in _statuses(wanted)
        if name not in STATUSES
    ]


def _features(wanted: WantedConfiguration) -> Iterator[tuple[str, At]]:
    for config, at in wanted.rules:
        for n, name in enumerate(features_named(config.spec) or ()):
            yield name, At(at.file, (*at.place, "features", n))


def _statuses(wanted: WantedConfiguration) -> Iterator[tuple[str, At]]:
    for config, at in wanted.rules:
        if isinstance(config.spec, InvoiceUpdatedSpec):
            for n, name in enumerate(config.spec.statuses or ()):
                yield name, At(at.file, (*at.place, "statuses", n))


def _meant(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f": did you mean {close[0]!r}?" if close else ""
