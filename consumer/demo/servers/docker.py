"""Servers in containers, by testcontainers, where an engine answers and has or can pull the images.

Written by the documentation of testcontainers and of the images; it has not run beside an engine yet. Whatever goes
wrong here is `Unavailable`, so that those who choose can go on to the next kind.
"""

import contextlib
import importlib
import importlib.util
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from consumer import clock, errors
from consumer.demo.servers import network
from consumer.demo.servers.kafka import SETTINGS

DEFAULT_ENGINE = "unix:///var/run/docker.sock"
ENGINE_LIMIT_SECONDS = 2  # for the engine to answer at all
CALL_LIMIT_SECONDS = 120  # for the engine to take a step; of a pull, between two of its progress lines
START_LIMIT = timedelta(seconds=90)
PAUSE_SECONDS = 0.2
LOCAL = {"localhost", network.LOOPBACK}

KAFKA_IMAGE = "apache/kafka:4.1.0"
KAFKA_PORT = 9092
CONTROLLER = "localhost:9093"
POSTGRES_IMAGE = "postgres:18"
POSTGRES_PORT = 5432


@dataclass(frozen=True, slots=True)
class Container:
    """A container at a fixed port, so that it comes back where it was; as a `Broker` or a `Database`."""

    engine: Any  # testcontainers' DockerContainer
    description: str
    answers: Callable[[], bool]
    bootstrap: str = ""
    url: str = ""
    is_real: bool = True
    is_ours: bool = True

    def start(self) -> None:
        """Start it again; return once it answers."""
        with _as_unavailable(f"{self.description} did not start again"):
            self.engine.get_wrapped_container().start()
            self.wait()

    def stop(self) -> None:
        """End it in good order."""
        self.engine.get_wrapped_container().stop()

    def kill(self) -> None:
        """Kill it."""
        self.engine.get_wrapped_container().kill()

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            Unavailable: it did not in time.
        """
        deadline = clock.monotonic() + START_LIMIT.total_seconds()
        while not self.answers():
            if clock.monotonic() > deadline:
                raise errors.Unavailable(f"{self.description} did not answer within {START_LIMIT.total_seconds():g} s")
            threading.Event().wait(PAUSE_SECONDS)


@contextlib.contextmanager
def kafka() -> Iterator[Container]:
    """Run Apache Kafka in a container; it is removed at the end.

    Raises:
        Unavailable: no engine, no image, or it did not start.
    """
    engine = _new(KAFKA_IMAGE)
    host, port = _publish(engine, KAFKA_PORT)
    settings = {
        **SETTINGS,
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "controller.quorum.voters": f"1@{CONTROLLER}",
        "listeners": f"PLAINTEXT://:{KAFKA_PORT},CONTROLLER://{CONTROLLER}",
        "log.dirs": "/tmp/kraft-combined-logs",  # noqa: S108 - in the container, as its image has it
    }
    for name, value in settings.items():
        engine.with_env(f"KAFKA_{name.replace('.', '_').upper()}", value)
    server = Container(
        engine,
        f"Apache Kafka ({KAFKA_IMAGE} in Docker)",
        lambda: network.kafka_answers(host, port),
        bootstrap=f"{host}:{port}",
    )
    with _running(server):
        yield server


@contextlib.contextmanager
def postgres() -> Iterator[Container]:
    """Run PostgreSQL in a container; it is removed at the end.

    Raises:
        Unavailable: no engine, no image, or it did not start.
    """
    engine = _new(POSTGRES_IMAGE)
    host, port = _publish(engine, POSTGRES_PORT)
    password = secrets.token_urlsafe()
    engine.with_env("POSTGRES_PASSWORD", password)
    # Not the published port: the engine's proxy listens there before PostgreSQL does.
    ready = ["pg_isready", "--host=127.0.0.1", "--username=postgres"]
    server = Container(
        engine,
        f"PostgreSQL ({POSTGRES_IMAGE} in Docker)",
        lambda: engine.exec(ready).exit_code == 0,
        url=f"postgresql://postgres:{password}@{host}:{port}/postgres",
    )
    with _running(server):
        yield server


def _new(image: str) -> Any:
    if importlib.util.find_spec("testcontainers") is None:
        raise errors.Unavailable("no Docker: testcontainers is not installed")
    client = importlib.import_module("testcontainers.core.docker_client")
    place = urlsplit(client.get_docker_host() or DEFAULT_ENGINE)
    if place.scheme == "unix":  # by hand: docker's own client leaves the sockets of failed attempts open
        _ping(place.path)
    with _as_unavailable("no Docker engine answers"):
        container = importlib.import_module("testcontainers.core.container")
        return container.DockerContainer(image, docker_client_kw={"timeout": CALL_LIMIT_SECONDS})


def _ping(path: str) -> None:
    try:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.settimeout(ENGINE_LIMIT_SECONDS)
            engine.connect(path)
            engine.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
            answer = engine.recv(12, socket.MSG_WAITALL)
    except OSError as exc:
        raise errors.Unavailable(f"no Docker engine answers at {path}: {exc.strerror or exc}") from exc
    if not re.fullmatch(rb"HTTP/1\.. 200", answer):
        raise errors.Unavailable(f"no Docker engine answers at {path}, something else does")


def _publish(engine: Any, inside: int) -> tuple[str, int]:
    host, [port] = engine.get_docker_client().host(), network.free_ports(1)
    # testcontainers' own with_bind_ports would open it to the whole network.
    engine.ports[f"{inside}/tcp"] = (network.LOOPBACK, port) if host in LOCAL else port
    return host, port


@contextlib.contextmanager
def _running(server: Container) -> Iterator[None]:
    try:
        with _as_unavailable(f"{server.description} did not start"):
            server.engine.start()
            server.wait()
        yield
    finally:
        with _as_unavailable(f"{server.description} could not be removed"):
            server.engine.stop()


@contextlib.contextmanager
def _as_unavailable(what: str) -> Iterator[None]:
    docker_errors = importlib.import_module("docker.errors")
    try:
        yield
    except (docker_errors.DockerException, OSError, RuntimeError) as exc:  # requests' errors are OSErrors
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise errors.Unavailable(f"{what}: {reason}") from exc
