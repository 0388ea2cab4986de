"""For how long a record may be read again: as its topic says, for the retention of what keeps it from firing twice.

Asked of Kafka from time to time: a topic's retention may be changed at any time.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from consumer import log, loop
from consumer.consume.kafka import Kafka, translated
from consumer.errors import Refused, SourceUnavailable
from consumer.store import retention
from consumer.store.database import Database

EVERY: Final = 3600.0  # seconds
SLACK: Final = dt.timedelta(days=1)  # the broker looks for what to delete now and then, not all the time
FOR_EVER: Final = dt.timedelta(days=36_500)  # a hundred years
logger = log.get("consume")


class Topics:
    """Asks about *topics*, and remembers the answers in Postgres."""

    def __init__(self, kafka: Kafka, database: Database, topics: Sequence[str]) -> None:
        self._kafka = kafka
        self._database = database
        self._topics = list(dict.fromkeys(topics))

    async def run(self) -> None:
        """Ask every hour, the first time now."""
        await loop.every(self.once, EVERY, name="topics")

    async def once(self) -> None:
        """Ask once. Without the right to ask nothing is remembered, and guards stay: it costs room, not work.

        Raises:
            SourceUnavailable: Kafka cannot be reached, or does not know the question.
            StoreUnavailable: Postgres cannot be reached.
        """
        try:
            described = await configs(self._kafka, self._topics)
        except Refused as exc:
            logger.warning(
                "topics.not_described",
                error=str(exc),
                why="what keeps records from firing twice stays until it is allowed",
            )
            return
        kept = {topic: kept_for(config) for topic, config in described.items()}
        await retention.remember_topics(self._database, kept)
        said = {topic: "ever" if one is None else str(one) for topic, one in kept.items()}
        logger.debug("topics.described", kept_for=said)


async def configs(kafka: Kafka, topics: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Return how long each of *topics* keeps its records, and how: `retention.ms`, `segment.ms`, `cleanup.policy`.

    Raises:
        Refused: a topic may not be described.
        SourceUnavailable: Kafka cannot be reached, or does not know the question.
    """
    admin = kafka.admin()
    names = {"retention.ms": None, "segment.ms": None, "cleanup.policy": None}
    with translated("asking for the configuration of topics"):
        try:
            await admin.start()
            wanted = [ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict(names)) for topic in topics]
            answers = await admin.describe_configs(wanted)
        finally:
            await admin.close()
        found: dict[str, dict[str, str | None]] = {}
        for answer in answers:
            for code, text, _, topic, entries in answer.resources:
                if code:
                    raise for_code(code)(text or topic)
                found[topic] = {entry[0]: entry[1] for entry in entries}
    if missing := sorted(set(topics) - found.keys()):
        raise SourceUnavailable(f"Kafka: said nothing of topic {', '.join(missing)}")
    return found


def kept_for(config: Mapping[str, str | None]) -> dt.timedelta | None:
    """Return for how long a record may be read again in a topic with that *config*; None: for ever.

    A segment goes as a whole, once its newest record is old enough: its oldest one is older by up to `segment.ms`.
    """
    retention_ms, segment_ms = int(config.get("retention.ms") or -1), int(config.get("segment.ms") or 0)
    if retention_ms < 0 or "delete" not in (config.get("cleanup.policy", "delete") or ""):
        return None
    milliseconds = retention_ms + segment_ms
    if milliseconds > FOR_EVER / dt.timedelta(milliseconds=1):
        return None
    return dt.timedelta(milliseconds=milliseconds) + SLACK
