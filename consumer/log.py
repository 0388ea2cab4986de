"""One line for each unit of work: the event's name first, its fields flat after it.

`json` for machines, `text` for a terminal. Both are made of the same fields, so a line seen by eye can be searched for.
Fields are given as keywords; a value of type `Secret` prints its mask, as everywhere.
"""

import datetime as dt
import json
import logging
import sys
import traceback
from collections import Counter
from typing import Final, Literal

import msgspec

from consumer.errors import TollbellError

Format = Literal["json", "text"]
ERRORS: Final[Counter[str]] = Counter()  # lines of level error since the start, by event; a metric shows them
LIBRARIES = ("aiokafka", "asyncio", "aiohttp", "asyncpg")


class Log:
    """A named logger whose calls take an event name and flat fields."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, /, **fields: object) -> None:
        """Say something only a developer wants."""
        self._say(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Say something a person may want."""
        self._say(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Say something a person should look at."""
        self._say(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Say something a person must act on."""
        ERRORS[event] += 1
        self._say(logging.ERROR, event, fields)

    def failed(self, event: str, exc: TollbellError, /, **fields: object) -> None:
        """Say that *exc*, in our words and without a secret, is something a person must act on."""
        self.error(event, **fields, error=str(exc))

    def failure(self, event: str, exc: BaseException, /, **fields: object) -> None:
        """Say that *exc* is a mistake of ours, with its traceback; its arguments stay out, they may hold secrets."""
        ERRORS[event] += 1
        where = "".join(traceback.format_tb(exc.__traceback__))
        self._say(logging.ERROR, event, {**fields, "error": type(exc).__name__, "traceback": where})

    def _say(self, level: int, event: str, fields: dict[str, object]) -> None:
        """Hand a record on as `Logger.log` does, but without a walk up the stack for a caller that no line shows."""
        if self._logger.isEnabledFor(level):
            record = logging.LogRecord(self._logger.name, level, "", 0, event, None, None)
            record.fields = fields
            self._logger.handle(record)

    @property
    def is_debug(self) -> bool:
        """Whether debug lines are wanted: ask before making many."""
        return self._logger.isEnabledFor(logging.DEBUG)


def get(name: str) -> Log:
    """Return the log called *name*."""
    return Log(f"tollbell.{name}")


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={_plain(value)}" for key, value in _fields(record).items())
        return f"{_time(record)} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_fields(record),
        }
        try:
            return msgspec.json.encode(line, enc_hook=str).decode()
        except UnicodeEncodeError:  # half a surrogate pair, which a producer may write
            return json.dumps(line, default=str)


def configure(level: str, fmt: Format | None = None) -> None:
    """Send every line to standard error at *level*; *fmt* defaults to text on a terminal, else JSON."""
    handler = logging.StreamHandler(sys.stderr)
    chosen = fmt or ("text" if sys.stderr.isatty() else "json")
    handler.setFormatter(_Text() if chosen == "text" else _Json())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tollbell").setLevel(level.upper())
    for library in LIBRARIES:  # they log every broken connection as an error; we say it once, in our words
        logging.getLogger(library).setLevel(logging.CRITICAL if level != "debug" else logging.INFO)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _time(record: logging.LogRecord) -> str:
    at = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> str:
    text = str(value)
    if text.isprintable():
        return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text
    return json.dumps(text)  # what an escape sequence would do to a terminal, it does not
