"""Records that can't be understood, produced to the dead-letter topic: alone, as they were, with the reason."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from consumer import log
from consumer.consume.batch import KafkaRecord
from consumer.consume.kafka import translated
from consumer.errors import SourceUnavailable
from schemas.parse import Reject
from schemas.tracing import located

# A broker takes 1 MiB a record by default (message.max.bytes); the rest is room for the record's own overhead.
MAX_BYTES: Final = 1_048_576 - 4_096
OWN_PREFIX: Final = "tollbell-"
logger = log.get("consume")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record, and why it is here."""

    record: KafkaRecord
    reject: Reject


class Sink(Protocol):
    """Where dead letters go."""

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        """Return when *letters* are durable."""
        ...


class DeadLetters:
    """The dead-letter topic's producer."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._is_gone = False

    async def watch(self) -> None:
        """Have the producer ask for the topic from now on, as it does once it has sent a dead letter.

        Raises:
            SourceUnavailable: it is not there now, or Kafka cannot be reached.
        """
        with translated(f"asking for topic {self._topic}"):
            await self._producer.partitions_for(self._topic)

    @property
    def gone(self) -> str | None:
        """What to do where Kafka does not know the topic any more; None while it does, as far as it has answered."""
        if self._producer.client.cluster.partitions_for_topic(self._topic):
            return None
        return (
            f"Kafka: topic {self._topic}: is not there any more: create it again, or name another in"
            " TOLLBELL_TOPIC_DEAD_LETTERS: the first dead letter stops its partition until then"
        )

    async def look(self) -> None:
        """Say that the topic is gone, once, and that it is there again: no record need be rejected for that."""
        was_gone, why = self._is_gone, self.gone
        self._is_gone = why is not None
        if why is not None and not was_gone:
            logger.warning("dead_letters.no_topic", error=why)
        elif why is None and was_gone:
            logger.info("dead_letters.topic_back", topic=self._topic)

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        """Produce *letters*; return when the brokers have all of them.

        Raises:
            SourceUnavailable: they could not take one now; some may be there, and will be there twice when repeated.
            Refused: the right to write there is missing.
        """
        if not letters:
            return
        with translated(f"producing dead letters to topic {self._topic}"):
            sent = [await self._send(letter, MAX_BYTES) for letter in letters]
            ended = await asyncio.gather(*sent, return_exceptions=True)
            refused = [
                (letter, one) for letter, one in zip(letters, ended, strict=True) if isinstance(one, BaseException)
            ]
            if other := [one for _, one in refused if not isinstance(one, MessageSizeTooLargeError)]:
                raise other[0]
            await self._send_one_by_one([letter for letter, _ in refused])
        for letter in letters:
            record = letter.record
            logger.warning(
                "record.dead_lettered",
                **located(record.topic, record.partition, record.offset, record.value, record.headers),
                reason=letter.reject.reason.value,
                error=letter.reject.error,
            )

    async def _send_one_by_one(self, letters: Sequence[DeadLetter]) -> None:
        """The topic takes less than the default: cut what does not fit to half of that, again and again.

        What was refused as one of a batch fits as it is.
        """
        for letter in letters:
            limit = MAX_BYTES
            while True:
                try:
                    await (await self._send(letter, limit))
                    break
                except MessageSizeTooLargeError as exc:
                    limit //= 2
                    if not limit:
                        raise SourceUnavailable("dead letters: the topic takes no record at all") from exc

    async def _send(self, letter: DeadLetter, limit: int) -> "asyncio.Future[object]":
        key, value, headers = cut(letter, limit)
        sent: asyncio.Future[object] = await self._producer.send(self._topic, key=key, value=value, headers=headers)
        return sent


def cut(letter: DeadLetter, limit: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """Return key, value and headers of *letter* in at most *limit* bytes; a header `tollbell-cut` says what was cut."""
    record = letter.record
    own = [
        ("tollbell-reason", letter.reject.reason.value.encode()),
        ("tollbell-error", letter.reject.error.encode(errors="replace")),
        ("tollbell-topic", record.topic.encode()),
        ("tollbell-partition", str(record.partition).encode()),
        ("tollbell-offset", str(record.offset).encode()),
        ("tollbell-time", str(record.timestamp).encode()),
    ]
    theirs = [(name, text) for name, text in record.headers if not name.startswith(OWN_PREFIX)]
    room = limit - _size(own) - 200
    lengths: list[str] = []
    key = record.key
    if key is not None and len(key) > room // 4:
        lengths.append(f"key={len(key)}")
        key = key[: max(room // 4, 0)]
    room -= len(key or b"")
    if _size(theirs) > room // 2:
        lengths.append(f"headers={len(theirs)}")
        theirs = []
    room -= _size(theirs)
    value = record.value
    if value is not None and len(value) > room:
        lengths.append(f"value={len(value)}")
        value = value[: max(room, 0)]
    if lengths:
        own.append(("tollbell-cut", " ".join(lengths).encode()))
    return key, value, theirs + own


def _size(headers: Sequence[tuple[str, bytes | None]]) -> int:
    return sum(len(name.encode()) + len(text or b"") + 10 for name, text in headers)
