"""The composition root: settings → clients and stages; one task for each role; an ordered drain.

`Settings` stops here: everything below receives plain values.
"""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Collection, Coroutine
from enum import StrEnum
from typing import Final, TypeVar

from aiohttp import web

from consumer import clock, encryption, log, loop
from consumer.config import Settings
from consumer.consume.dead_letters import DeadLetters
from consumer.consume.fetch import Fetch
from consumer.consume.ingest import Ingest
from consumer.consume.kafka import Kafka, close, partitions, started
from consumer.consume.rulebook import Rulebook
from consumer.consume.starts import Starts
from consumer.consume.topics import Topics
from consumer.deliver.attempt import Attempts
from consumer.deliver.dispatch import Dispatch
from consumer.deliver.recorder import Recorder
from consumer.deliver.slots import Limits
from consumer.deliver.webhook import Webhook
from consumer.errors import Refused, TollbellError, Unavailable
from consumer.metrics import Metrics
from consumer.retention import Retention
from consumer.serve import health
from consumer.store import catalog, deliveries, migrate, outbox
from consumer.store.database import Database
from consumer.store.listen import listen
from consumer.store.memory import Memory

T = TypeVar("T")
CATALOG_POLL: Final = 1.0  # seconds: a change is in force within one, even where no notification comes
SWEEP_EVERY: Final = 1.0
GAUGES_EVERY: Final = 5.0
LOOK_EVERY: Final = 2.0
LAG_EVERY: Final = 5.0
ANNOUNCE_EVERY: Final = 0.005  # seconds: at most one NOTIFY in as long
RETRY_PAUSE: Final = 1.0
STALE_AFTER: Final = 10.0  # seconds without a look at Postgres: not ready
logger = log.get("app")


class Role(StrEnum):
    """What a process does; any of them alone, or all in one."""

    CONSUME = "consume"
    DELIVER = "deliver"
    SERVE = "serve"


def kafka(settings: Settings) -> Kafka:
    """Return how to reach the brokers.

    Raises:
        ConfigInvalid: no broker is named.
    """
    return Kafka(
        bootstrap=settings.needed("kafka_bootstrap_servers"),
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_username=settings.kafka_sasl_username,
        sasl_password=settings.kafka_sasl_password,
        ssl_ca_file=settings.kafka_ssl_ca_file,
        ssl_cert_file=settings.kafka_ssl_cert_file,
        ssl_key_file=settings.kafka_ssl_key_file,
    )


class _Stopped(Exception):
    pass


class App:
    """One process.

    Raises:
        ConfigInvalid: a setting that a role needs is missing or wrong.
    """

    def __init__(self, settings: Settings, roles: Collection[Role]) -> None:
        if Role.CONSUME in roles:
            self._source = kafka(settings)
        if Role.DELIVER in roles:
            self._cipher = encryption.parse_keys(settings.needed("encryption_keys").reveal())
        self._settings = settings
        self._roles = frozenset(roles)
        self._metrics = Metrics()
        self._checks: dict[str, health.Check] = {}
        self._stop = asyncio.Event()
        self._stop_at = float("inf")
        self._due = asyncio.Event()  # something may be due: wakes this process' deliverer
        self._announced = asyncio.Event()  # something is due: other processes' deliverers are to be told

    def stop(self) -> None:
        """Begin the drain."""
        self._stop_at = clock.monotonic() + self._settings.drain_timeout.total_seconds()
        self._stop.set()
        logger.info("app.stopping", drain_timeout_s=self._settings.drain_timeout.total_seconds())

    async def run(self) -> None:
        """Run until stopped; return when everything in hand has ended.

        Raises:
            ConfigInvalid: a setting does not fit.
            Refused: a server answers, and it will not work like this.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(contextlib.suppress(_Stopped))
            await self._listen_http(stack)
            database = await self._patiently("postgres", self._connect)
            stack.push_async_callback(database.close)
            await self._patiently("postgres", lambda: migrate.check(database))
            gc.freeze()  # what lives as long as the process is not looked through again (performance.md B.4)
            gc.set_threshold(50_000, 20, 20)
            logger.info("app.started", roles=",".join(sorted(self._roles)))
            await self._run_roles(database)
        logger.info("app.stopped")

    async def _run_roles(self, database: Database) -> None:
        roles = {Role.CONSUME: self._consume, Role.DELIVER: self._deliver, Role.SERVE: self._serve}
        keep, longest = self._settings.retention, self._settings.delivery_longest_round
        retention = Retention(database, self._metrics, keep=keep, longest_round=longest)
        try:
            async with loop.beside(retention.run()), asyncio.TaskGroup() as tasks:
                for role in sorted(self._roles):
                    tasks.create_task(roles[role](database), name=role.value)
        except* _Stopped:
            pass
        except* TollbellError as group:
            raise _first(group) from group

    async def _connect(self) -> Database:
        settings = self._settings
        return await Database.connect(settings.database_url.reveal(), size=settings.database_pool_size)

    async def _patiently(self, name: str, step: Callable[[], Awaitable[T]]) -> T:
        """Return what *step* returns, waiting as long as its server is away; `/readyz` says so meanwhile."""
        waiting = False
        while not self._stop.is_set():
            try:
                result = await step()
            except Unavailable as exc:
                line = str(exc)
                self._checks[name] = lambda line=line: line  # type: ignore[misc]  # binds this line
                if not waiting:
                    logger.warning("app.waiting", name=name, error=line)
                waiting = True
                await clock.wait(self._stop, RETRY_PAUSE)
            else:
                self._checks.pop(name, None)
                return result
        raise _Stopped

    async def _listen_http(self, stack: contextlib.AsyncExitStack) -> None:
        self._checks["start"] = lambda: None if self._ready_roles >= self._roles else "starting"
        runner = web.AppRunner(health.application(self._checks, self._metrics.registry), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        listen_on = self._settings.http_listen
        try:
            await web.TCPSite(runner, listen_on.host, listen_on.port).start()
        except OSError as exc:
            raise Refused(f"TOLLBELL_HTTP_LISTEN: cannot listen there: {exc.strerror or exc}") from exc
        logger.info("http.listening", host=listen_on.host, port=runner.addresses[0][1] if runner.addresses else 0)

    _ready_roles: frozenset[Role] = frozenset()

    def _is_ready(self, role: Role) -> None:
        self._ready_roles |= {role}
        logger.info("role.ready", role=role.value)

    async def _serve(self, database: Database) -> None:
        self._is_ready(Role.SERVE)
        async with loop.beside(loop.every(lambda: self._look(database), LOOK_EVERY, name="postgres")):
            await self._stop.wait()

    async def _look(self, database: Database) -> None:
        try:
            await database.now()
        except Unavailable as exc:
            line = str(exc)
            self._checks["postgres"] = lambda: line
            raise
        self._checks.pop("postgres", None)

    # --- consume -------------------------------------------------------------------------------------------------

    async def _consume(self, database: Database) -> None:
        settings = self._settings
        source = self._source
        rulebook = Rulebook(database, self._metrics)
        async with contextlib.AsyncExitStack() as stack:
            wanted = (*settings.input_topics, settings.topic_dead_letters)
            found = await self._patiently("kafka", lambda: partitions(source, wanted))
            producer = await self._patiently("kafka", lambda: started(source.producer))
            stack.push_async_callback(close, producer)
            consumer = await self._patiently("kafka", lambda: started(lambda: source.consumer(settings.kafka_group_id)))
            stack.push_async_callback(close, consumer)
            starts = Starts(
                consumer, database, self._metrics, group_id=settings.kafka_group_id, start=settings.kafka_start
            )
            topics = {topic: found[topic] for topic in settings.input_topics}
            await self._patiently("kafka", lambda: starts.resolve(topics))
            await self._patiently("postgres", rulebook.refresh)
            ingest = Ingest(
                database=database,
                memory=Memory(database, limit=settings.consume_memory_entitlements),
                rulebook=rulebook,
                dead_letters=DeadLetters(producer, settings.topic_dead_letters),
                metrics=self._metrics,
                announce=self._announce,
                future_tolerance=settings.consume_future_tolerance,
            )
            fetch = Fetch(consumer, ingest, starts, settings.input_topics)
            self._checks["consume"] = lambda: fetch.waiting_for
            self._checks["catalog"] = lambda: (
                f"the rules were last looked at {rulebook.age_seconds:.0f} s ago"
                if rulebook.age_seconds > STALE_AFTER
                else None
            )
            fetch.subscribe()
            self._is_ready(Role.CONSUME)
            async with loop.beside(
                loop.every(rulebook.refresh, CATALOG_POLL, name="catalog", wake=rulebook.changed),
                loop.every(self._listener({catalog.CHANNEL: rulebook.changed}), RETRY_PAUSE, name="listen-catalog"),
                loop.every(lambda: self._tell(database), ANNOUNCE_EVERY, name="announce"),
                loop.every(fetch.measure, LAG_EVERY, name="lag"),
                Topics(source, database, wanted).run(),
            ):
                await fetch.run(self._stop)

    def _announce(self) -> None:
        self._due.set()
        self._announced.set()

    async def _tell(self, database: Database) -> None:
        """Notify other processes once, of however many batches were announced."""
        await self._announced.wait()
        self._announced.clear()
        await outbox.notify(database)

    def _listener(self, events: dict[str, asyncio.Event]) -> Callable[[], Coroutine[None, None, None]]:
        return lambda: listen(self._settings.database_url.reveal(), events)

    # --- deliver -------------------------------------------------------------------------------------------------

    async def _deliver(self, database: Database) -> None:
        settings = self._settings
        recorder = Recorder(database)
        webhook = Webhook(
            settings.delivery_timeout,
            allowed=settings.delivery_allow_cidrs,
            ca_file=settings.delivery_ca_file,
        )
        async with webhook:
            dispatch = Dispatch(
                database,
                Attempts(webhook, recorder, self._cipher, self._metrics, settings.retry_schedule),
                self._metrics,
                Limits(settings.delivery_concurrency, settings.delivery_channel_concurrency),
                settings.delivery_timeout,
                wake=self._due,
            )
            self._checks["deliver"] = lambda: dispatch.waiting_for
            self._is_ready(Role.DELIVER)
            longest = settings.delivery_longest_round
            async with loop.beside(
                recorder.run(),
                loop.every(self._listener({deliveries.CHANNEL: self._due}), RETRY_PAUSE, name="listen-outbox"),
                loop.every(lambda: deliveries.sweep(database, longest_round=longest), SWEEP_EVERY, name="sweep"),
                loop.every(lambda: self._gauges(database), GAUGES_EVERY, name="gauges"),
            ):
                await dispatch.run(self._stop)
                await dispatch.drain(self._stop_at)

    async def _gauges(self, database: Database) -> None:
        seen = await deliveries.gauges(database)
        self._metrics.outbox(seen.states, seen.due, seen.oldest_seconds, seen.channels)


def _first(group: BaseExceptionGroup[TollbellError]) -> TollbellError:
    """Return one of what several roles met: the reader mends one thing at a time."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, TollbellError)  # noqa: S101 - the group holds nothing else
    return found
