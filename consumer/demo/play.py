"""Tells the story, a record at a time: produce it, see it judged, see its webhooks come."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from consumer import clock
from consumer.consume.kafka import translated
from consumer.demo.ending import Happened
from consumer.demo.receiver import Arrival, Receiver
from consumer.demo.records import Records
from consumer.demo.screen import Screen
from consumer.demo.service import LINE_LIMIT, Line, Service
from consumer.demo.story import Act, Step


@dataclass(slots=True)
class Player:
    """Whoever tells the story.

    Attributes:
        first_webhook_at: monotonic seconds; None before.
        delays: seconds from each record to the first attempt of each of its webhooks.
    """

    screen: Screen
    records: Records
    producer: AIOKafkaProducer
    topic: str
    service: Service
    receiver: Receiver
    happened: Happened = field(default_factory=Happened)
    first_webhook_at: float | None = None
    delays: list[float] = field(default_factory=list)
    _last: bytes = b""

    async def play(self, acts: Sequence[Act]) -> None:
        """Tell *acts*.

        Raises:
            Unavailable: something that must come did not come in time: what, and the end of the service's log.
        """
        for number, act in enumerate(acts, 1):
            self.screen.act(number, act)
            for step in act.steps:
                await self._tell(step)

    async def _tell(self, step: Step) -> None:
        for webhook, answers in step.answers.items():
            if len(answers) > 1:
                self.receiver.be_busy_for(webhook)
        produced_at = clock.monotonic()
        metadata = await self._produce(step)
        self.screen.record(step)
        await self._see_judged(step, metadata)
        for _ in range(sum(len(answers) for answers in step.answers.values())):
            arrival = await self._next_arrival(step)
            self._show(arrival, produced_at)
            # The service has counted an attempt when it says so.
            await self.service.line("delivery.attempted", event_id=arrival.webhook_id, status=arrival.status)

    async def _produce(self, step: Step) -> RecordMetadata:
        self._last = self._last if step.is_repeat else self.records.value(step)
        with translated("producing the story's records"):
            return await self.producer.send_and_wait(self.topic, key=self.records.key(step), value=self._last)

    async def _see_judged(self, step: Step, metadata: RecordMetadata) -> None:
        event = "record.dead_lettered" if step.reject else "record.judged"
        line = await self.service.line(
            event, topic=metadata.topic, partition=metadata.partition, offset=metadata.offset
        )
        show_judgement(self.screen, line)
        if not step.reject:
            self.happened.judged.append((step, tuple(line["reasons"])))

    async def _next_arrival(self, step: Step) -> Arrival:
        wanted = " and ".join(f"{webhook.percent:f} %" for webhook in step.answers)
        with self.service.explained(f"the webhooks of {step.customer} at {wanted}"):
            async with asyncio.timeout(LINE_LIMIT.total_seconds()):
                return await self.receiver.news.get()

    def _show(self, arrival: Arrival, produced_at: float) -> None:
        self.first_webhook_at = self.first_webhook_at or arrival.at
        delay = arrival.at - produced_at
        if not arrival.is_again:
            self.delays.append(delay)
        self.screen.webhook(arrival, delay)


def show_judgement(screen: Screen, line: Line, customer: str = "") -> None:
    """Show what a log line of the service says of a record; nothing where it is about something else."""
    match line["event"]:
        case "record.judged":
            screen.judged(line["reasons"], customer)
        case "record.dead_lettered":
            screen.dead_letter(line["reason"], line["error"])
        case _:
            pass
