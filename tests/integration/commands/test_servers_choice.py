"""Which servers are looked for, in which order, and what is said where one is not to be had."""

import contextlib
import http.server
import socket
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consumer import clock, errors
from consumer.demo.servers import account, choose, docker, given, jars
from consumer.demo.servers.contracts import Broker, PostgresServer


@pytest.fixture
def directory() -> Iterator[Path]:
    with account.scratch() as made:
        yield made


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/tollbell"


def fake_maven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    program = tmp_path / "bin/mvn"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@pytest.mark.usefixtures("no_docker", "no_java")
def test_ci_without_a_real_broker_is_refused(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.delenv("TOLLBELL_TEST_KAFKA", raising=False)
    said: list[str] = []

    with pytest.raises(errors.Refused, match="CI does not test on the mock broker"):
        enter(choose.kafka_for_tests(directory, said.append))

    assert [line.partition(" at ")[0] for line in said] == [
        "no Docker engine answers",
        "no java on the path: Kafka needs Java 17 or newer",
    ]


@pytest.mark.usefixtures("no_docker", "no_java")
def test_without_java_a_developer_gets_the_mock_broker(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("TOLLBELL_TEST_KAFKA", raising=False)
    said: list[str] = []

    with choose.kafka_for_tests(directory, said.append) as server:
        assert not server.is_real

    assert len(said) == 2
    assert all("\n" not in line for line in said)


def test_a_given_address_is_used_unchanged_and_never_stopped(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("TOLLBELL_TEST_KAFKA", "broker.test:9092")
    monkeypatch.setenv("TOLLBELL_TEST_POSTGRES", "postgresql://u:secret@db.test/postgres")

    with (
        choose.kafka_for_tests(directory, pytest.fail) as broker,
        choose.postgres_for_tests(directory, pytest.fail) as database,
    ):
        assert (broker.bootstrap, broker.is_real, broker.is_ours) == ("broker.test:9092", True, False)
        assert database.url == "postgresql://u:secret@db.test/postgres"
        assert "secret" not in database.description
        for refused in (broker.start, broker.stop, broker.kill):
            with pytest.raises(errors.Refused, match="is not ours"):
                refused()


def test_an_engine_that_cannot_pull_is_passed_over_with_one_line(
    monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    with engine(directory / "engine.sock", CannotPull):
        monkeypatch.setenv("DOCKER_HOST", f"unix://{directory}/engine.sock")

        with pytest.raises(errors.Unavailable, match=r"^Apache Kafka .* did not start: .*pull access denied.*$"):
            enter(docker.kafka())


def test_a_silent_docker_engine_is_skipped_within_two_seconds(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{directory}/engine.sock")
    began = clock.monotonic()

    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{directory}/engine.sock")
        silent.listen()
        with pytest.raises(errors.Unavailable, match=r"^no Docker engine answers at .*: timed out$"):
            enter(docker.postgres())

    assert clock.monotonic() - began < 3


@pytest.mark.usefixtures("no_docker")
def test_the_demo_looks_for_docker_only_when_asked(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(directory))
    asked: list[str] = []
    unasked: list[str] = []

    enter(choose.kafka_for_demo(directory, asked.append, in_docker=True))
    enter(choose.kafka_for_demo(directory, unasked.append))

    assert [len(asked), len(unasked)] == [2, 1]
    with choose.kafka_for_demo(directory, pytest.fail, address="broker.test:9092") as broker:
        assert broker == given.kafka("broker.test:9092")


@pytest.mark.usefixtures("no_java")
def test_jars_that_are_there_need_no_maven(empty_cache: Path) -> None:
    there = empty_cache / f"kafka-{jars.VERSION}"
    there.mkdir(parents=True)

    assert jars.directory() == there


@pytest.mark.usefixtures("no_java", "empty_cache")
def test_without_jars_and_maven_the_reason_is_one_line() -> None:
    with pytest.raises(errors.Unavailable, match=r"^no mvn on the path .*$"):
        jars.directory()


def test_jars_that_many_fetch_at_once_come_into_place_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_cache: Path
) -> None:
    output = 'for each; do case $each in -DoutputDirectory=*) libs="${each#*=}";; esac; done'
    fake_maven(
        monkeypatch, tmp_path, f'{output}; mkdir "$libs"; for n in 1 2 3 4 5; do echo jar > "$libs/$n.jar"; done'
    )

    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(lambda _: len(list(jars.directory().iterdir())), range(8)))

    assert seen == [5] * 8
    assert [each.name for each in empty_cache.iterdir()] == [f"kafka-{jars.VERSION}"]


def test_a_fetch_that_fails_says_why_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_cache: Path
) -> None:
    fake_maven(monkeypatch, tmp_path, "echo '[ERROR] Could not transfer artifact'; exit 1")

    with pytest.raises(errors.Unavailable, match="Could not transfer artifact"):
        jars.directory()

    assert list(empty_cache.iterdir()) == []


class CannotPull(http.server.BaseHTTPRequestHandler):
    """A Docker engine that is cut off from the registry, as far as its API's first calls."""

    def do_GET(self) -> None:
        if self.path == "/_ping":
            self._answer(200, "OK")
        elif self.path.endswith("/version"):
            self._answer(200, '{"ApiVersion": "1.44"}')
        else:
            self._answer(404, '{"message": "No such image"}')

    def do_POST(self) -> None:
        self._answer(500, '{"message": "pull access denied"}')

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@contextlib.contextmanager
def engine(path: Path, answering: type[http.server.BaseHTTPRequestHandler]) -> Iterator[None]:
    with socketserver.ThreadingUnixStreamServer(str(path), answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def enter(server: contextlib.AbstractContextManager[Broker | PostgresServer]) -> None:
    with server:
        pass
