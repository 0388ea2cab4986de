"""The processes of the deployment: whether each is well and how far it is; for tokens for all namespaces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from consumer.serve.console.page import ConsolePage
from consumer.serve.console.visits import Visit
from schemas import answers

SILENT: Final = 30.0  # seconds: it speaks every ten


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """A process.

    Attributes:
        is_silent: it has not been heard of for so long that it is dead, hangs, or cannot reach Postgres.
        lag: records of all of its partitions that are not taken; None: of one of them it is not known.
    """

    replica: answers.Replica
    is_silent: bool
    lag: int | None


async def show(visit: Visit) -> web.Response:
    """Return the page."""
    found = await visit.read(answers.Page[answers.Replica], "list_replicas")
    listed = [ReplicaRow(one, one.silent_seconds >= SILENT, lag_of(one)) for one in found.items]
    return visit.page(
        "replicas",
        listed=listed,
        partitions=partitions_of([one.replica for one in listed if not one.is_silent]),
        dead_letters=dead_letters_of(found.items),
        settings=visit.served.settings,
    )


def lag_of(replica: answers.Replica) -> int | None:
    """Return how many records its partitions have that are not taken; None where that is not known of all of them."""
    known = [one.lag for one in replica.partitions or () if one.lag is not None]
    return sum(known) if known and len(known) == len(replica.partitions or ()) else None


def partitions_of(replicas: Sequence[answers.Replica]) -> list[tuple[answers.PartitionLag, answers.Replica]]:
    """Return each partition with the process that reads it, those that are most behind first."""
    found = [(one, replica) for replica in replicas for one in replica.partitions or ()]
    return sorted(found, key=lambda pair: (-(pair[0].lag or 0), pair[0].topic, pair[0].partition))


def dead_letters_of(replicas: Sequence[answers.Replica]) -> Mapping[str, int]:
    """Return how many dead letters these processes have made since each began, by reason."""
    found = Counter[str]()
    for one in replicas:
        found.update(one.dead_letters or {})
    return dict(found.most_common())


PAGES: Final = (ConsolePage("replicas", "GET", "/replicas", show),)
