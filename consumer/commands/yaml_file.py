"""A YAML file whose errors name the line. Numbers exact, keys once.

`${NAME}` is taken from the environment; `$${` stands for `${` itself. A file of thousands of rules is made by a program
and often JSON, which is YAML: it is read as JSON, in a fifth of the time; else as YAML's events, in half of it. Where
neither can be, it is read as YAML's nodes, which say why, and in which line.
"""

import contextlib
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from consumer.commands.yaml_values import MAX_VALUES, SCALARS, VARIABLE, NotPlain, number, of_events, substituted
from consumer.errors import ConfigInvalid
from schemas.refusals import Place, refusals, written

ModelT = TypeVar("ModelT", bound=BaseModel)
MAX_BYTES: Final = 10 * 1024 * 1024
MOST_COMPLAINTS: Final = 100  # lines: who wrote more wrong ones made one mistake many times
LINE_LIMIT: Final = 500  # characters of a refusal, as of a dead letter's reason
_NAMES: Final = re.compile(r"(?<=alias |nchor |andle ).*", re.DOTALL)  # what stands behind * or ! may be a secret


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """What is wrong in a line (0: in the file as a whole); *text* is all that is said, with the file's name."""

    line: int
    text: str = field(compare=False)


@dataclass(frozen=True)
class YamlFile(Generic[ModelT]):
    """What was read, and of which text: it knows the line of each value."""

    name: str
    model: ModelT
    text: str

    def complaint(self, at: Place, problem: str) -> Complaint:
        """Return what says that the value *at* is wrong, and in which line it is."""
        return self._lines.complaint(at, problem)

    @functools.cached_property
    def _lines(self) -> "_Lines":
        return _Lines(self.name, self.text)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[ModelT]):
    """A file as far as it could be read.

    Attributes:
        value: as the text has it; None where it is not YAML at all.
        file: None where there are complaints.
        lines: to complain of further values.
    """

    value: object
    file: YamlFile[ModelT] | None
    complaints: Sequence[Complaint]
    lines: "_Lines"


class _Lines:
    """Finds the line of a value; the text is read once, however many are asked for."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text

    @functools.cached_property
    def _root(self) -> yaml.Node | None:
        with contextlib.suppress(yaml.YAMLError, RecursionError):  # JSON may hold what no YAML may: U+007F
            return _composed(self._text)
        return None

    def complaint(self, at: Place, problem: str) -> Complaint:
        field_name = written(at)
        return self.of_line(self.line(at), f"{field_name}: {problem}" if field_name else problem)

    def of_line(self, line: int, problem: str) -> Complaint:
        return Complaint(line, _shortened(f"{self._where(line)}: {problem}"))

    def said(self, at: Place) -> str:
        """Return the file's name and the line of the value *at*."""
        return self._where(self.line(at))

    def _where(self, line: int) -> str:
        return f"{self._name}, line {line}" if line else self._name

    def line(self, at: Place) -> int:
        """Return the line of the value *at*, or of the innermost one around it that there is."""
        node, line = self._root, _line_of(self._root) if self._root else 1
        for part in at:
            if isinstance(node, yaml.MappingNode) and part in (names := [key.value for key, _ in node.value]):
                key, node = node.value[names.index(part)]
                line = _line_of(key)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = _line_of(node)
            else:
                break
        return line


class _Stop(Exception):
    """The text is no YAML from here on; what was found before is kept."""


class _Reader:
    """Turns a text's nodes into values; what is wrong with them is kept, by line, and reading goes on.

    Attributes:
        problems: by line.
        unread: places whose value is not known: what a model says of them says nothing.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._values = 0
        self.problems: list[tuple[int, str]] = []
        self.unread: list[Place] = []

    def read(self, text: str) -> Any:
        with contextlib.suppress(ValueError, LookupError, RecursionError):
            found = json.loads(
                text, object_pairs_hook=_once, parse_int=number, parse_float=number, parse_constant=_refuse
            )
            return self._substituted(found)
        with contextlib.suppress(NotPlain, LookupError):
            return of_events(text, self._environment)
        self._values = 0
        root = _composed(text)
        return self.value(root) if root is not None else {}

    def _substituted(self, found: Any) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise ValueError
        match found:
            case dict():
                return {key: self._substituted(child) for key, child in found.items()}
            case list():
                return [self._substituted(child) for child in found]
            case str():
                return substituted(found, self._environment)
            case _:
                return found

    def value(self, node: yaml.Node, at: Place = ()) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            self.problems.append((_line_of(node), f"holds more than {MAX_VALUES} values: use several files"))
            raise _Stop
        match node:
            case yaml.MappingNode():
                return self._mapping(node, at)
            case yaml.SequenceNode():
                return [self.value(child, (*at, n)) for n, child in enumerate(node.value)]
            case _:
                return self._scalar(node, at)

    def _mapping(self, node: yaml.MappingNode, at: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            key = key_node.value
            if not isinstance(key, str):
                self.problems.append((_line_of(key_node), "a key must be a plain text"))
                self.unread.append(at)
            elif key in found:
                self.problems.append((_line_of(key_node), f"duplicate key {key!r}"))
            else:
                found[key] = self.value(child, (*at, key))
        return found

    def _scalar(self, node: yaml.Node, at: Place) -> Any:
        text = str(node.value)
        if node.tag in SCALARS:
            return SCALARS[node.tag](text)
        if "$" not in text:
            return text
        for name in filter(None, (found[1] for found in VARIABLE.finditer(text))):
            if name not in self._environment:
                self.problems.append((_line_of(node), f"${{{name}}}: the environment has no {name}"))
                self.unread.append(at)
        return VARIABLE.sub(lambda named: self._environment.get(named[1], "") if named[1] else "${", text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _refuse(_: str) -> None:
    raise ValueError  # NaN and Infinity are no JSON


def read(path: Path, model: type[ModelT], environment: Mapping[str, str]) -> YamlFile[ModelT]:
    """Return the file at *path*, read as *model*.

    Raises:
        ConfigInvalid: the file can't be read, is no YAML, or breaks rules: a line for each, in the order of the file's
            lines: the line, the field, what is allowed. Never a value: it may be a secret.
    """
    loaded = load(path.name, contents(path), model, environment)
    if loaded.file is None:
        raise refusal([loaded.complaints])
    return loaded.file


def contents(path: Path) -> bytes:
    """Return what is in the file at *path*; one byte more than `load` takes, of one that is larger.

    Raises:
        ConfigInvalid: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigInvalid(_shortened(f"{path}: cannot be read: {exc.strerror}")) from None


def load(name: str, data: bytes, model: type[ModelT], environment: Mapping[str, str]) -> Loaded[ModelT]:
    """Return what *data*, the contents of the file *name*, is as *model*, and everything that is wrong with it."""
    reader, text, problem = _Reader(environment), "", None
    value: object = None
    is_read = False
    try:
        if len(data) > MAX_BYTES:
            raise _Whole(0, f"is larger than {MAX_BYTES} bytes")
        text = _decoded(data)
        value, is_read = _parsed(reader, text), True
    except _Whole as exc:
        problem = exc
    except _Stop:
        pass
    lines = _Lines(name, text)
    complaints = [lines.of_line(line, said) for line, said in reader.problems]
    if problem:
        complaints.append(lines.of_line(problem.line, problem.problem))
    file = None
    if is_read:
        try:
            file = YamlFile(name, model.model_validate(value), text)
        except ValidationError as exc:
            wrong = [one for one in refusals(exc) if not _concerns(one.place, reader.unread)]
            complaints += [lines.complaint(one.place, one.problem) for one in wrong]
    return Loaded(value, None if complaints else file, sorted(complaints), lines)


def refusal(of_files: Sequence[Sequence[Complaint]]) -> ConfigInvalid:
    """Return what says all complaints: file by file, in the order of lines; the first of very many."""
    said = list(dict.fromkeys(one.text for complaints in of_files for one in sorted(complaints)))
    more = [f"and {len(said) - MOST_COMPLAINTS} more"] if len(said) > MOST_COMPLAINTS else []
    return ConfigInvalid("\n".join([*said[:MOST_COMPLAINTS], *more]))


def _concerns(place: Place, unread: Sequence[Place]) -> bool:
    """Whether what is said of *place* may come of a value that is not known: of it, in it, or beside it."""
    return any(place[: len(one)] == one or (place and one[: len(place)] == place) for one in unread)


class _Whole(Exception):
    """The text as a whole cannot be read, from a line on (0: none is known)."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise _Whole(0, f"is not UTF-8 at byte {exc.start}") from None


def _parsed(reader: _Reader, text: str) -> object:
    try:
        return reader.read(text)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise _Whole(line, f"invalid YAML: {_NAMES.sub('', str(exc.problem))}") from None
    except yaml.reader.ReaderError as exc:
        raise _Whole(0, f"invalid YAML: character {exc.position + 1} is not allowed: U+{exc.character:04X}") from None
    except yaml.YAMLError as exc:
        raise _Whole(0, f"invalid YAML: {type(exc).__name__}") from None
    except RecursionError:
        raise _Whole(0, "is nested without end, or deeper than any rule needs") from None


def _composed(text: str) -> yaml.Node | None:
    """Return the nodes of *text*: by libyaml, else by Python, which takes ten times as long and says what is wrong."""
    with contextlib.suppress(AttributeError, yaml.YAMLError):  # a PyYAML without libyaml has no such loader
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _line_of(node: yaml.Node) -> int:
    line: int = node.start_mark.line + 1
    return line


def _shortened(text: str) -> str:
    """Return *text* in one line of a bearable length: a field's name may hold anything, and be of any length."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return shown if len(shown) <= LINE_LIMIT else f"{shown[: LINE_LIMIT - 1]}…"
