"""Plays the story, a record at a time: produce it, see it judged, see its webhooks come."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from consumer import clock
from consumer.consume.kafka import translated
from consumer.demo.arrivals import Arrivals
from consumer.demo.receiver import Arrival, Receiver
from consumer.demo.records import StoryRecords
from consumer.demo.screen import Screen
from consumer.demo.service import LINE_LIMIT, Line, Service
from consumer.demo.steps import Act, Clock, Record, Step, StoryFeature, Topic, Usage, answers
from schemas.rules import RuleType

USUAL: Final = ["same_period"]  # of nearly every record, says a rule about resets: no news for anybody


@dataclass(slots=True)
class Player:
    """Plays the story.

    Attributes:
        topic: names a topic as it is called here.
        first_webhook_at: monotonic seconds; None before.
        delays: seconds from each record to the first attempt of each of its webhooks.
    """

    screen: Screen
    records: StoryRecords
    producer: AIOKafkaProducer
    topic: Callable[[Topic], str]
    service: Service
    receiver: Receiver
    first_webhook_at: float | None = None
    delays: list[float] = field(default_factory=list)
    _last: bytes = b""
    _produced: list[tuple[Record, RecordMetadata]] = field(default_factory=list)

    async def play(self, acts: Sequence[Act]) -> None:
        """Play *acts*.

        Raises:
            Unavailable: something that must come did not come in time: what, and the end of the service's log.
        """
        steps = [step for act in acts for step in act.steps]
        clocks = frozenset(webhook for step in steps if isinstance(step, Clock) for webhook in step.webhooks)
        arrivals = Arrivals(self.receiver.news, clocks)
        for number, act in enumerate(acts, 1):
            self.screen.act(number, act)
            for step in act.steps:
                await self._play(step, arrivals)

    def judged(self) -> list[tuple[Record, dict[str, tuple[str, ...]]]]:
        """Return each record that was produced, with the reasons of all rules that have judged it, by their type."""
        lines = [line for line in self.service.lines("record.judged") if line["reasons"]]
        return [
            (step, {line["rule_type"]: tuple(line["reasons"]) for line in lines if _place(at).items() <= line.items()})
            for step, at in self._produced
        ]

    async def _play(self, step: Step, arrivals: Arrivals) -> None:
        for webhook, statuses in answers(step).items():
            if len(statuses) > 1:
                self.receiver.be_busy_for(webhook)
        began_at = self._wait_for_clock(step) if isinstance(step, Clock) else await self._see_judged(step)
        for _ in range(sum(len(statuses) for statuses in answers(step).values())):
            arrival = await self._next(arrivals, step)
            self._show(arrival, began_at, is_of_record=not isinstance(step, Clock))
            # The service has counted an attempt when it says so.
            await self.service.line("delivery.attempted", event_id=arrival.webhook_id, status=arrival.status)
        if isinstance(step, Clock):
            await self.service.line("periods.ended", events=len(step.webhooks))

    def _wait_for_clock(self, step: Clock) -> float:
        """Say what is waited for; return when the period ends, in monotonic seconds."""
        seconds = (self.records.ends[step.customer] - clock.now()).total_seconds()
        self.screen.clock(step.customer, seconds)
        return clock.monotonic() + seconds

    async def _see_judged(self, step: Record) -> float:
        """Produce *step*'s record and see it judged by each of its rules; return when, in monotonic seconds."""
        produced_at = clock.monotonic()
        at = await self._produce(step)
        self._produced.append((step, at))
        self.screen.record(step)
        if isinstance(step, Usage) and step.reject:
            letter = await self.service.line("record.dead_lettered", **_place(at))
            self.screen.dead_letter(letter["reason"], letter["error"])
        shown: list[object] = []  # what all rules say alike is said once
        for rule_type in step.reasons:
            line = await self.service.line("record.judged", **_place(at), rule_type=rule_type.value)
            if is_worth_showing(line) and line["reasons"] not in shown:
                show_judgement(self.screen, line, step.feature if isinstance(step, Usage) else None)
            shown.append(line["reasons"])
        return produced_at

    async def _produce(self, step: Record) -> RecordMetadata:
        is_repeat = isinstance(step, Usage) and step.is_repeat
        self._last = self._last if is_repeat else self.records.value(step)
        with translated("producing the story's records"):
            return await self.producer.send_and_wait(
                self.topic(step.topic), key=self.records.key(step), value=self._last
            )

    async def _next(self, arrivals: Arrivals, step: Step) -> Arrival:
        with self.service.explained(f"the webhooks {', '.join(map(str, step.webhooks))}"):
            async with asyncio.timeout(LINE_LIMIT.total_seconds()):
                return await arrivals.next(step.webhooks)

    def _show(self, arrival: Arrival, began_at: float, *, is_of_record: bool) -> None:
        self.first_webhook_at = self.first_webhook_at or arrival.at
        delay = arrival.at - began_at
        if is_of_record and not arrival.is_again:
            self.delays.append(delay)
        self.screen.webhook(arrival, delay)


def is_worth_showing(line: Line) -> bool:
    """Whether a log line of the service says something of a record that a person should see."""
    match line["event"]:
        case "record.judged":
            return line["reasons"] not in ([], USUAL)
        case "record.dead_lettered":
            return True
        case _:
            return False


def show_judgement(screen: Screen, line: Line, feature: StoryFeature | None, customer: str = "") -> None:
    """Show what a log line worth showing says of a record, by the thresholds of *feature* where it has some."""
    if line["event"] == "record.dead_lettered":
        screen.dead_letter(line["reason"], line["error"])
    else:
        by_levels = feature if line["rule_type"] == RuleType.BALANCE_THRESHOLD else None
        screen.judged(line["reasons"], by_levels, customer)


def _place(at: RecordMetadata) -> dict[str, object]:
    return {"topic": at.topic, "partition": at.partition, "offset": at.offset}
