"""One line for each unit of work: the event's name first, its fields flat after it.

`json` for machines, `text` for a terminal. Both are made of the same fields, so a line seen by eye can be searched for.
Fields are given as keywords; a value of type `Secret` prints its mask, as everywhere.
"""

import datetime as dt
import json
import logging
import select
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, TextIO

import msgspec

from consumer.errors import TollbellError

Format = Literal["json", "text"]
ERRORS: Final[Counter[str]] = Counter()  # lines of level error since the start, by event; a metric shows them
_SHORT: Final = select.PIPE_BUF // 4  # characters: whatever they are, a pipe keeps them whole
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

    def infos(self, event: str, /, many: Sequence[Mapping[str, object]]) -> None:
        """Say something a person may want, of each of *many*: lines of the same moment, written at once."""
        if many:
            self._say(logging.INFO, event, many)

    def warnings(self, event: str, /, many: Sequence[Mapping[str, object]]) -> None:
        """Say something a person should look at, of each of *many*, likewise."""
        if many:
            self._say(logging.WARNING, event, many)

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

    def _say(self, level: int, event: str, fields: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
        """Hand a record on as `Logger.log` does, but without a walk up the stack for a caller that no line shows."""
        if self._logger.isEnabledFor(level):
            record = logging.LogRecord(self._logger.name, level, "", 0, event, None, None)
            record.fields = fields
            self._logger.handle(record)

    @property
    def is_debug(self) -> bool:
        """Whether debug lines are wanted: ask before making many."""
        return self._logger.isEnabledFor(logging.DEBUG)


def named(what: str, its_id: str, key: str | None, name: str) -> dict[str, object]:
    """Return the fields by which a line names a rule or a channel, *what*: no key where a person gave it none."""
    return {f"{what}_id": its_id, **({} if key is None else {f"{what}_key": key}), what: name}


def get(name: str) -> Log:
    """Return the log called *name*."""
    return Log(f"tollbell.{name}")


class _Whole:
    """A stream to which as many lines are written at once as POSIX keeps whole where processes share a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.flush = stream.flush

    def write(self, text: str) -> None:
        """Write *text*, whole lines."""
        for lines in _at_once(text):
            self._stream.write(lines)
            self.flush()


def _at_once(text: str) -> Iterator[str]:
    if len(text) <= _SHORT:
        yield text
        return
    lines, size = "", 0
    for line in text.removesuffix("\n").split("\n"):  # not splitlines: JSON leaves other line breaks as they are
        more = len(line.encode(errors="replace")) + 1
        if size + more > select.PIPE_BUF and lines:
            yield lines
            lines, size = "", 0
        lines += f"{line}\n"
        size += more
    yield lines


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        begin = f"{_time(record)} {record.levelname.lower():7} {record.getMessage()}"
        return "\n".join(
            " ".join([begin, *(f"{key}={_plain(value)}" for key, value in fields.items())]) for fields in _lines(record)
        )


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        begin = {"time": _time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return "\n".join(_json({**begin, **fields}) for fields in _lines(record))


def configure(level: str, fmt: Format | None = None) -> None:
    """Send every line to standard error at *level*; *fmt* defaults to text on a terminal, else JSON."""
    handler = logging.StreamHandler(_Whole(sys.stderr))
    chosen = fmt or ("text" if sys.stderr.isatty() else "json")
    handler.setFormatter(_Text() if chosen == "text" else _Json())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tollbell").setLevel(level.upper())
    for library in LIBRARIES:  # they log every broken connection as an error; we say it once, in our words
        logging.getLogger(library).setLevel(logging.CRITICAL if level != "debug" else logging.INFO)


def _lines(record: logging.LogRecord) -> Sequence[Mapping[str, object]]:
    """Return the fields of each line that *record* is."""
    fields = getattr(record, "fields", {})
    return fields if isinstance(fields, list) else [fields]


def _json(line: Mapping[str, object]) -> str:
    try:
        return msgspec.json.encode(line, enc_hook=str).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which a producer may write
        return json.dumps(line, default=str)


def _time(record: logging.LogRecord) -> str:
    at = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> str:
    text = str(value)
    if text.isprintable():
        return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text
    return json.dumps(text)  # what an escape sequence would do to a terminal, it does not
