"""The composition root: settings → clients and stages; one task for each role; an ordered drain.

`Settings` stops here: everything below receives plain values.
"""

import asyncio
import contextlib
import gc
import importlib.metadata
import platform
import signal
from collections.abc import Callable, Collection, Coroutine, Mapping
from enum import StrEnum
from typing import Final

from consumer import clock, descriptors, encryption, ids, log, loop, patience, pauses
from consumer.config import Settings
from consumer.consume.kafka import Kafka
from consumer.consume.role import Consume, Reading
from consumer.decide.breaker import Breaker, Endurance
from consumer.deliver.role import Deliver, Terms
from consumer.deliver.slots import Limits
from consumer.errors import Refused, TollbellError, Unavailable
from consumer.handoff import Handoff
from consumer.metrics import Metrics
from consumer.patience import Patience, Stopped
from consumer.presence import Presence
from consumer.retention import Retention
from consumer.serve import health
from consumer.serve.access import ApiToken
from consumer.serve.connections import Connections
from consumer.serve.role import Api, ForConsole
from consumer.store import migrate, outbox, queries
from consumer.store.database import Database
from consumer.store.listen import Settable, listen

LOOK_EVERY: Final = 2.0
ANNOUNCE_EVERY: Final = 0.005  # seconds: at most one NOTIFY in as long
# The same where the process delivers itself: others need but help. Each of them would look for what it has taken.
ASK_FOR_HELP_EVERY: Final = 0.05
GC_THRESHOLDS: Final = (50_000, 20, 20)  # by default thousands of young objects are looked through for each batch
VERSION: Final = importlib.metadata.version("tollbell")
logger = log.get("app")


class Role(StrEnum):
    """What a process does; any of them alone, or all in one."""

    CONSUME = "consume"
    DELIVER = "deliver"
    SERVE = "serve"


# What `/readyz` looks at, by role, so that each has its series before it first fails.
CHECKS: Final = {
    Role.CONSUME: ("kafka", "consume", "catalog", "period-ends"),
    Role.DELIVER: ("deliver",),
    Role.SERVE: (),
}


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
        self._api = self._make_api() if Role.SERVE in roles else None
        self._stop = asyncio.Event()
        self._patience = Patience(self._stop)
        self._stop_at = float("inf")
        self._due = asyncio.Event()  # something may be due: wakes this process' deliverer
        self._announced = asyncio.Event()  # something is due: other processes' deliverers are to be notified
        self._handoff = Handoff()
        self._files = descriptors.budget(descriptors.raised(), settings.delivery_concurrency)
        self._id = ids.new()  # by which it knows its own notifications

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
        loop.say_unhandled(asyncio.get_running_loop())
        queries.load_all()
        self._say_files()
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(contextlib.suppress(Stopped))
            await self._listen_http(stack)
            database = await self._patience.until("postgres", self._connect)
            stack.push_async_callback(database.close)
            await self._patience.until("postgres", lambda: migrate.check(database))
            gc.freeze()  # what lives as long as the process is not looked through again (performance.md B.4)
            gc.set_threshold(*GC_THRESHOLDS)
            logger.info("app.started", roles=",".join(sorted(self._roles)))
            await self._run_roles(database)
        logger.info("app.stopped")

    async def _run_roles(self, database: Database) -> None:
        roles = {Role.CONSUME: self._consume, Role.DELIVER: self._deliver, Role.SERVE: self._serve}
        keep, longest = self._settings.retention, self._settings.delivery_longest_round
        retention = Retention(database, self._metrics, keep=keep, longest_round=longest)
        presence = Presence(
            database,
            self._metrics,
            replica_id=self._id,
            version=VERSION,
            roles=self._roles,
            consumes=Role.CONSUME in self._roles,
            failing=lambda: patience.failing(self._patience.checks),
        )
        try:
            async with (
                loop.beside(
                    loop.every(lambda: self._look(database), LOOK_EVERY, name="postgres"),
                    loop.every(lambda: self._notify(database), self._announce_every, name="announce"),
                    retention.run(),
                    presence.run(),
                ),
                asyncio.TaskGroup() as tasks,
            ):
                for role in sorted(self._roles):
                    tasks.create_task(roles[role](database), name=role.value)
        except* Stopped:
            pass
        except* TollbellError as group:
            raise _first(group) from group
        finally:
            await presence.leave()

    async def _connect(self) -> Database:
        settings = self._settings
        return await Database.connect(
            settings.database_url.reveal(), size=settings.database_pool_size, took=self._metrics.statement
        )

    async def _listen_http(self, stack: contextlib.AsyncExitStack) -> None:
        self._patience.checks["start"] = lambda: None if self._ready_roles >= self._roles else "starting"
        self._describe()
        app = health.application(self._patience.checks, self._metrics.registry)
        if self._api:
            self._api.add_to(app)
        listen_on = self._settings.http_listen
        listening = Connections(self._files.served).listening(app, listen_on.host, listen_on.port)
        try:
            port = await stack.enter_async_context(listening)
        except OSError as exc:
            raise Refused(f"TOLLBELL_HTTP_LISTEN: cannot listen there: {exc.strerror or exc}") from exc
        logger.info("http.listening", host=listen_on.host, port=port)

    def _say_files(self) -> None:
        files, concurrency = self._files, self._settings.delivery_concurrency
        logger.info("app.files", limit=files.limit, served=files.served, sent=files.sent)
        if Role.DELIVER in self._roles and files.sent < concurrency:
            logger.warning(
                "app.few_files",
                limit=files.limit,
                why=f"fewer webhooks in flight than TOLLBELL_DELIVERY_CONCURRENCY={concurrency}: raise ulimit -n",
                in_flight=files.sent,
            )

    def _describe(self) -> None:
        """Let the metrics say which release this is, and what it is ready for."""
        self._metrics.build(
            version=VERSION,
            schema=migrate.migrations()[-1].name,
            python=platform.python_version(),
        )
        checks = ("start", "postgres", *(name for role in self._roles for name in CHECKS[role]))
        self._metrics.readiness(checks, lambda: patience.failing(self._patience.checks))

    _ready_roles: frozenset[Role] = frozenset()

    def _is_ready(self, role: Role) -> None:
        self._ready_roles |= {role}
        logger.info("role.ready", role=role.value)

    def _make_api(self) -> Api:
        settings = self._settings
        keys = settings.encryption_keys
        tokens = [ApiToken(one.namespace, one.scope, one.token) for one in settings.api_tokens]
        cipher = encryption.parse_keys(keys.reveal()) if keys else None
        return Api(
            tokens,
            cipher,
            self._metrics,
            host=settings.http_listen.host,
            future_tolerance=settings.consume_future_tolerance,
            allowed=settings.delivery_allow_cidrs,
            console=ForConsole(settings.console_prefix or "", settings.shown()) if settings.console == "on" else None,
        )

    async def _serve(self, database: Database) -> None:
        if self._api:
            self._api.say()
            # Many who ask for much do not keep records and webhooks from a connection.
            alone = self._roles == {Role.SERVE}
            self._api.begin(database if alone else database.shared(self._settings.database_pool_size // 2))
        self._is_ready(Role.SERVE)
        await self._stop.wait()

    async def _look(self, database: Database) -> None:
        try:
            await database.now()
        except Unavailable as exc:
            line = str(exc)
            self._patience.checks["postgres"] = lambda: line
            raise
        self._patience.checks.pop("postgres", None)

    # --- consume -------------------------------------------------------------------------------------------------

    async def _consume(self, database: Database) -> None:
        consume = Consume(
            database, self._metrics, self._reading(), self._patience, announce=self._announce, handoff=self._handoff
        )
        async with loop.beside(loop.every(self._listener(consume.wakes), pauses.SERVER, name="listen-catalog")):
            await consume.run(self._stop, lambda: self._is_ready(Role.CONSUME), lambda: self._stop_at)

    def _reading(self) -> Reading:
        settings = self._settings
        return Reading(
            kafka=self._source,
            group_id=settings.kafka_group_id,
            start=settings.kafka_start,
            topics=settings.input_topics,
            dead_letters=settings.topic_dead_letters,
            future_tolerance=settings.consume_future_tolerance,
            period_end_delay=settings.consume_period_end_delay,
            entitlements=settings.consume_memory_entitlements,
        )

    def _announce(self) -> None:
        self._due.set()
        self._announced.set()

    async def _notify(self, database: Database) -> None:
        """Notify other processes once, of however many batches were announced."""
        await self._announced.wait()
        self._announced.clear()
        await outbox.notify(database, sender=self._id)

    @property
    def _announce_every(self) -> float:
        return ASK_FOR_HELP_EVERY if Role.DELIVER in self._roles else ANNOUNCE_EVERY

    def _listener(self, events: Mapping[str, Settable]) -> Callable[[], Coroutine[None, None, None]]:
        return lambda: listen(self._settings.database_url.reveal(), events, own=self._id)

    # --- deliver -------------------------------------------------------------------------------------------------

    async def _deliver(self, database: Database) -> None:
        deliver = Deliver(database, self._cipher, self._metrics, self._terms(), due=self._due, announce=self._announce)
        self._handoff.joined(deliver.dispatch)
        self._patience.checks["deliver"] = lambda: deliver.waiting_for
        self._is_ready(Role.DELIVER)
        async with loop.beside(loop.every(self._listener(deliver.wakes), pauses.SERVER, name="listen-outbox")):
            await deliver.run(self._stop, lambda: self._stop_at)

    def _terms(self) -> Terms:
        settings = self._settings
        return Terms(
            timeout=settings.delivery_timeout,
            allow=settings.delivery_allow_cidrs,
            ca_file=settings.delivery_ca_file,
            connections=self._files.sent,
            limits=Limits(min(settings.delivery_concurrency, self._files.sent), settings.delivery_channel_concurrency),
            schedule=settings.retry_schedule,
            longest_round=settings.delivery_longest_round,
            breaker=Breaker(
                failures=settings.delivery_breaker_failures,
                pause=settings.delivery_breaker_pause,
                longest=settings.delivery_breaker_longest_pause,
            ),
            endurance=Endurance(
                lasting=settings.delivery_disable_after,
                attempts=settings.delivery_disable_attempts,
                events=settings.delivery_disable_events,
            ),
        )


def _first(group: BaseExceptionGroup[TollbellError]) -> TollbellError:
    """Return one of what several roles met: the reader mends one thing at a time."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, TollbellError)  # noqa: S101 - the group holds nothing else
    return found
