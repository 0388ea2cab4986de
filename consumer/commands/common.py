"""What several commands begin with."""

import contextlib
import gc
import os
from collections.abc import AsyncIterator, Iterator

from consumer import config, log
from consumer.config import Settings
from consumer.store.database import Database


def settings(*needed: str) -> Settings:
    """Return the settings of the environment, and set up logging by them.

    Args:
        needed: fields that this command cannot do without.

    Raises:
        ConfigInvalid: some are unknown, missing or wrong: a line for each.
    """
    read = config.read(os.environ, needed)
    log.configure(read.log_level, read.log_format)
    return read


@contextlib.asynccontextmanager
async def open_database(*needed: str) -> AsyncIterator[tuple[Database, Settings]]:
    """Give the database and the settings. A command does not wait for Postgres: it says that it is unavailable.

    Args:
        needed: fields that this command cannot do without.

    Raises:
        ConfigInvalid: a setting is wrong.
        StoreUnavailable: Postgres cannot be reached.
    """
    read = settings(*needed)
    database = await Database.connect(read.database_url.reveal(), size=4)
    try:
        yield database, read
    finally:
        await database.close()


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Let the garbage collector rest: of the many objects of a large file it finds none to collect, again and again.

    For the rest of a process that ends then: its end collects once more, and what is there by now is left out of that.
    """
    gc.disable()  # 6,000 rules: 1 s of 2
    try:
        yield
    finally:
        gc.freeze()  # 6,000 rules: 0.1 s of 1
        gc.enable()
