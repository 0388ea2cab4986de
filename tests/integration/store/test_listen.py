"""Who is woken by a notification, on a real Postgres."""

import asyncio
import contextlib

from consumer.store import catalog, deliveries, outbox
from consumer.store.database import Database
from consumer.store.listen import listen


async def test_a_notification_wakes_everybody_but_its_sender(store: Database, database: str) -> None:
    due = {name: asyncio.Event() for name in ("me", "other")}
    fence = {name: asyncio.Event() for name in due}
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(30):
        for name, event in due.items():
            events = {deliveries.CHANNEL: event, catalog.CHANNEL: fence[name]}
            task = asyncio.create_task(listen(database, events, own=name))
            stack.callback(task.cancel)
            await fence[name].wait()  # it is connected
        for event in (*due.values(), *fence.values()):
            event.clear()

        await outbox.notify(store, sender="me")
        await store.rows("catalog/notify")  # comes after
        for event in fence.values():
            await event.wait()

        assert {name: event.is_set() for name, event in due.items()} == {"me": False, "other": True}
        await outbox.notify(store, sender="")
        await due["me"].wait()
