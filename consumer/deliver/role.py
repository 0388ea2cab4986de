"""The role `deliver`: the dispatcher, and the duties beside it."""

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consumer import loop
from consumer.addresses import Network
from consumer.decide.breaker import Breaker, Endurance
from consumer.deliver.attempt import Attempts
from consumer.deliver.attempt_log import AttemptLog
from consumer.deliver.bodies import Bodies
from consumer.deliver.consents import Consents
from consumer.deliver.dispatch import Dispatch
from consumer.deliver.job_worker import JobWorker
from consumer.deliver.opened import OpenedChannels
from consumer.deliver.recorder import Recorder
from consumer.deliver.slots import Limits
from consumer.deliver.sweep import Sweep
from consumer.deliver.watch import Watch
from consumer.deliver.webhook import Webhook
from consumer.encryption import Cipher
from consumer.errors import DataRefused, Unavailable
from consumer.metrics import Metrics
from consumer.patience import Check
from consumer.store import catalog, deliveries, jobs, paces
from consumer.store.database import Database
from consumer.store.listen import Settable
from consumer.store.sweeps import Ends

SWEEP_EVERY: Final = 1.0
GAUGES_EVERY: Final = 5.0
JOBS_EVERY: Final = 1.0  # seconds: the backstop of notifications


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms webhooks are sent."""

    timeout: dt.timedelta
    allow: Sequence[Network]
    ca_file: Path | None
    connections: int
    limits: Limits
    schedule: Sequence[dt.timedelta]
    longest_round: dt.timedelta
    breaker: Breaker
    endurance: Endurance


@dataclass(frozen=True, slots=True)
class _Each:
    """Sets each of several."""

    several: Sequence[Settable]

    def set(self) -> None:
        for one in self.several:
            one.set()


class Deliver:
    """Sends what is due, ends what can't be sent, and works off what people asked for.

    Attributes:
        wakes: what is to be set by notifications, by the channel they are notified on.
        dispatch: by which slots are kept for what is about to be written.
    """

    def __init__(
        self,
        database: Database,
        cipher: Cipher,
        metrics: Metrics,
        terms: Terms,
        *,
        due: asyncio.Event,
        announce: Callable[[], None],
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._terms = terms
        self._failing: dict[str, Check] = {}
        self._jobs = JobWorker(database, metrics, announce)
        watch = Watch(
            database=database, breaker=terms.breaker, endurance=terms.endurance, announce=announce, metrics=metrics
        )
        self._recorder = Recorder(database, watch.follow_up, AttemptLog(metrics).report)
        self._webhook = Webhook(
            terms.timeout, allowed=terms.allow, ca_file=terms.ca_file, connections=terms.connections
        )
        channels, consents = OpenedChannels(cipher), Consents(database, self._webhook, metrics)
        attempts = Attempts(Bodies(database), self._webhook, channels, terms.schedule, consents)
        self.dispatch = Dispatch(database, attempts, self._recorder, metrics, terms.limits, terms.timeout, wake=due)
        ends = Ends(longest_round=terms.longest_round, steps=len(terms.schedule))
        self._sweep = Sweep(database, metrics, ends, announce)
        self.wakes: Mapping[str, Settable] = {
            deliveries.CHANNEL: due,
            jobs.CHANNEL: self._jobs.asked,
            catalog.CHANNEL: _Each((channels, self.dispatch.looks)),
        }

    @property
    def waiting_for(self) -> str | None:
        """Why nothing is claimed now, or which duty fails again and again; None while all is well."""
        failing = [f"{name}: {check()}" for name, check in self._failing.items()]
        return self.dispatch.waiting_for or "; ".join(failing) or None

    async def run(self, stop: asyncio.Event, stop_at: Callable[[], float]) -> None:
        """Deliver until *stop* is set, then drain until *stop_at* (monotonic)."""
        async with (
            self._webhook,
            loop.beside(
                self._recorder.run(),
                loop.every(self._sweep.once, SWEEP_EVERY, name="sweep", checks=self._failing),
                loop.every(self._jobs.once, JOBS_EVERY, name="jobs", wake=self._jobs.asked, checks=self._failing),
                loop.every(self._gauges, GAUGES_EVERY, name="gauges", checks=self._failing),
            ),
        ):
            await self.dispatch.run(stop, stop_at)
            await self.dispatch.drain(stop_at())

    async def _gauges(self) -> None:
        try:
            seen, failing = await deliveries.gauges(self._database), await paces.failing(self._database)
        except (Unavailable, DataRefused):
            self._metrics.outbox_unknown()
            raise
        self._metrics.outbox(
            seen.states,
            seen.due,
            oldest=seen.oldest_seconds,
            oldest_sendable=seen.oldest_sendable_seconds,
            channels=seen.channels,
        )
        self._metrics.channels_failing(failing)
