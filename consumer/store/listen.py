"""LISTEN on a connection of its own: never the pool's, which forgets listeners when a connection goes back."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from consumer import clock
from consumer.errors import StoreUnavailable
from consumer.store.connections import CONNECT_TIMEOUT, PostgresConnector
from consumer.store.database import SETTINGS, translated

HEARTBEAT: Final = 10.0  # seconds; asyncpg does not notice a dead peer until a command is run


class Settable(Protocol):
    """What is set at a notification: an event, or the like."""

    def set(self) -> None:
        """Take note."""
        ...


async def listen(url: str, events: Mapping[str, Settable], *, own: str) -> None:
    """Set the event of a channel at every notification but those that say *own*, and all at once after connecting.

    Returns when the connection is lost: call it again. Notifications sent while this process is not connected are
    lost: hence "all at once", and the callers' polls.

    Raises:
        StoreUnavailable: no connection can be made.
    """
    lost = asyncio.Event()
    with translated():
        connection = await PostgresConnector(url)(
            command_timeout=CONNECT_TIMEOUT,
            server_settings={**SETTINGS, "application_name": "tollbell-listen"},
        )
    try:
        connection.add_termination_listener(lambda _: lost.set())
        with contextlib.suppress(StoreUnavailable), translated():
            for channel, event in events.items():
                await connection.add_listener(channel, _setter(event, own))
            for event in events.values():
                event.set()
            while not await clock.wait(lost, HEARTBEAT):
                await connection.execute("SELECT 1")
    finally:
        connection.terminate()


def _setter(event: Settable, own: str) -> Callable[..., None]:
    def on_notification(_connection: object, _pid: int, _channel: str, sender: object) -> None:
        if sender != own:
            event.set()

    return on_notification
