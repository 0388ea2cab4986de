"""One line for each unit of work: the event first, its fields flat; secrets masked, terminals safe."""

import io
import json
import logging
import select
import sys
from collections.abc import Iterator

import pytest

from consumer import log
from schemas.secret import Secret

logger = log.get("tests")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Put the process's logging back as it was."""
    names = ["tollbell", *log.LIBRARIES]
    root = logging.getLogger()
    handlers, level, levels = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in names}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_a_json_line_has_time_level_event_and_flat_fields(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "json")

    logger.info("delivery.attempted", attempt=3, outcome="status", retry_in=None, topics=["a"])

    (line,) = lines(capsys)
    said = json.loads(line)
    assert list(said) == ["time", "level", "event", "attempt", "outcome", "retry_in", "topics"]
    assert (said["level"], said["event"], said["attempt"]) == ("info", "delivery.attempted", 3)
    assert said["time"].endswith("Z")


@pytest.mark.parametrize("fmt", ["json", "text"])
def test_many_lines_of_a_moment_read_as_each_alone(fmt: log.Format, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", fmt)

    logger.infos("delivery.attempted", [{"attempt": 1}, {"attempt": 2, "status": 200}])
    logger.infos("delivery.attempted", [])
    many = lines(capsys)
    logger.info("delivery.attempted", attempt=1)
    logger.info("delivery.attempted", attempt=2, status=200)
    alone = lines(capsys)

    assert [line.replace(time_of(line), "") for line in many] == [line.replace(time_of(line), "") for line in alone]
    assert len(many) == 2


def test_at_once_as_many_lines_are_written_as_a_pipe_keeps_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    monkeypatch.setattr(stream, "write", written.append)
    log.configure("info", "json")

    logger.infos("event.made", [{"rule": letter * size} for letter, size in [*[("\u2028", 200)] * 20, ("x", 9_000)]])

    *whole, long = [piece.encode() for piece in written]
    assert len(whole) > 1
    assert all(2_048 < len(piece) <= select.PIPE_BUF for piece in whole[:-1])
    assert all(piece.endswith(b"\n") for piece in [*whole, long])
    assert b"".join([*whole, long]).count(b"\n") == 21
    assert long.count(b"\n") == 1


def time_of(line: str) -> str:
    return json.loads(line)["time"] if line.startswith("{") else line.split(maxsplit=1)[0]


def test_a_text_line_has_the_same_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "text")

    logger.warning("consume.waiting", error="no broker", name="ünï", attempt=3, empty="", quoted='a"b', sure=True)

    (line,) = lines(capsys)
    assert line.split(" ", 1)[1] == (
        'warning consume.waiting error="no broker" name=ünï attempt=3 empty="" quoted="a\\"b" sure=True'
    )


@pytest.mark.parametrize("fmt", ["json", "text"])
@pytest.mark.parametrize("hostile", ["a\nb", "a\r\nb", "a\x1b[2Jb", "a\x9b2Jb", "a\u2028b", "a\x00b", "\x7f"])
def test_a_producers_text_stays_in_its_line(capsys: pytest.CaptureFixture[str], fmt: log.Format, hostile: str) -> None:
    log.configure("info", fmt)

    logger.info("record.dead_lettered", error=hostile)

    (line,) = capsys.readouterr().err.rstrip("\n").split("\n")
    if fmt == "text":
        assert line.isprintable()
    else:
        assert json.loads(line)["error"] == hostile


def test_what_json_has_no_text_for_is_in_its_line_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "json")

    logger.info("record.dead_lettered", half="\ud800", large=2**70, error=ValueError("why"), of={"a": Secret("hush")})

    (line,) = lines(capsys)
    said = json.loads(line)
    assert {name: said[name] for name in ("large", "error", "of")} == {
        "large": 2**70,
        "error": "why",
        "of": {"a": "***"},
    }
    assert "ud800" in line


@pytest.mark.parametrize("fmt", ["json", "text"])
def test_a_secret_is_masked_wherever_it_stands(capsys: pytest.CaptureFixture[str], fmt: log.Format) -> None:
    log.configure("info", fmt)

    logger.info("channel.made", secret=Secret("hush-hush"), headers={"X": Secret("hush-hush")})

    (line,) = lines(capsys)
    assert "***" in line
    assert "hush" not in line


def test_a_logged_failure_has_place_and_class_without_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "json")

    try:
        raise ValueError("hush-hush")
    except ValueError as exc:
        logger.failure("loop.failed", exc, name="deliver")

    (line,) = lines(capsys)
    said = json.loads(line)
    assert (said["level"], said["error"], said["name"]) == ("error", "ValueError", "deliver")
    assert "test_log.py" in said["traceback"]


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_a_level_leaves_out_what_is_below_it(capsys: pytest.CaptureFixture[str], level: str, said: list[str]) -> None:
    log.configure(level, "json")

    logger.debug("x")
    logger.info("x")
    logger.warning("x")
    logger.error("x")

    assert [json.loads(line)["level"] for line in lines(capsys)] == said
    assert logger.is_debug is (level == "debug")


def test_libraries_that_log_every_broken_connection_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "json")

    for library in log.LIBRARIES:
        logging.getLogger(library).error("Unable to connect to %s", "broker")
    logging.getLogger("another").warning("seldom %s", "said")

    assert [json.loads(line)["event"] for line in lines(capsys)] == ["seldom said"]


def test_off_a_terminal_lines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info")

    logger.info("x")

    (line,) = lines(capsys)
    assert json.loads(line)["event"] == "x"
