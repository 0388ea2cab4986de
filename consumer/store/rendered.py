"""Bodies in formats other than the event's own: made once, kept, and sent byte for byte, by later releases too.

Without secrets: `holes` says where they go when a body is sent.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from consumer.store.database import Database, columns

Hole = tuple[int, str]  # how many bytes are before it, and the secret's name
Key = tuple[str, str]  # an event's id, and a format
Body = tuple[bytes, Sequence[Hole]]
read_holes: Final = msgspec.json.Decoder(tuple[Hole, ...]).decode


async def keep(database: Database, bodies: Mapping[Key, Body]) -> dict[Key, Body]:
    """Keep each of *bodies* unless one is kept already; return those that are. Safe from any number of processes.

    Raises:
        StoreUnavailable: Postgres did not answer; whether they are kept is unknown.
    """
    rows = [(event, fmt, body, _written(holes)) for (event, fmt), (body, holes) in bodies.items()]
    event_ids, formats, given, holes = columns(rows, 4)
    kept = await database.rows("rendered/keep", event_ids=event_ids, formats=formats, bodies=given, holes=holes)
    return {(row["event_id"], row["format"]): (row["body"], read_holes(row["holes"])) for row in kept}


def _written(holes: Sequence[Hole]) -> str:
    return msgspec.json.encode(holes).decode()


async def template(database: Database, fmt: str) -> str | None:
    """Return the tree of the template that *fmt* names, as JSON; None where no channel ever had that."""
    row = await database.row("rendered/template", format=fmt)
    return None if row is None else str(row["tree"])
