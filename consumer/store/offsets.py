"""Where each (group, topic, partition) began. Progress itself is Kafka's: the committed offset."""

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.store.database import Database


@dataclass(frozen=True, slots=True)
class StartOffset:
    """A partition's start.

    Attributes:
        committed: Kafka has had an offset of ours: if it has none now, it was lost.
    """

    partition: int
    offset: int
    committed: bool


async def known(database: Database, group_id: str, topic: str) -> dict[int, StartOffset]:
    """Return what is remembered of *topic*, by partition; empty for a topic new to the group.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    rows = await database.rows("offsets/known", group_id=group_id, topic=topic)
    return {row["partition"]: StartOffset(row["partition"], row["offset"], row["committed"]) for row in rows}


async def remember(database: Database, group_id: str, topic: str, starts: Sequence[StartOffset]) -> None:
    """Remember *starts*: the first writer's offsets stay; `committed` only ever becomes true.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    await database.rows(
        "offsets/remember",
        group_id=group_id,
        topic=topic,
        partitions=[start.partition for start in starts],
        offsets=[start.offset for start in starts],
        committed=[start.committed for start in starts],
    )
