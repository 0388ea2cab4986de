"""Consents of receivers that are asked for one: kept with the channel, for all replicas."""

import datetime as dt
from dataclasses import dataclass

from consumer.store.database import Database
from consumer.store.deliveries import Claimed


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be asked.

    Attributes:
        rate: requests a second that the channel is to make; None: no limit of ours.
        is_answered: there is a consent already: another replica was faster.
    """

    rate: float | None
    is_answered: bool


async def question(database: Database, delivery: Claimed) -> Question | None:
    """Return what to ask the receiver of *delivery*; None where its channel is not any more what was claimed.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    row = await database.row("deliveries/consent", **_which(delivery))
    return None if row is None else Question(row["rate"], row["is_given"])


async def keep(database: Database, delivery: Claimed, rate: float | None, *, valid: dt.timedelta) -> None:
    """Keep the consent of *delivery*'s receiver to *rate* requests a second, for so long; None: to as many as we like.

    Raises:
        StoreUnavailable: no answer came; it is asked for again.
    """
    await database.rows("deliveries/keep_consent", rate=rate, is_answered=True, valid=valid, **_which(delivery))


async def prolong(database: Database, delivery: Claimed, *, valid: dt.timedelta) -> None:
    """Take the consent of *delivery*'s receiver, which could not be asked once more, for given for so long.

    Raises:
        StoreUnavailable: likewise.
    """
    await database.rows("deliveries/keep_consent", rate=None, is_answered=False, valid=valid, **_which(delivery))


def _which(delivery: Claimed) -> dict[str, object]:
    return {"channel": delivery.channel_id, "revision": delivery.revision, "origin": delivery.request_origin}
