"""Bodies in formats other than the event's own: made once, kept, and sent byte for byte, by later releases too."""

from consumer.store.database import Database


async def keep(database: Database, event_id: str, fmt: str, body: bytes) -> bytes:
    """Keep *body* for the event in the format, unless one is kept already; return the one that is.

    Raises:
        StoreUnavailable: nobody answered; whether it is kept is unknown.
    """
    row = await database.row("rendered/keep", event_id=event_id, format=fmt, body=body)
    assert row is not None  # noqa: S101 - the statement inserts or updates one row
    kept: bytes = row["body"]
    return kept
