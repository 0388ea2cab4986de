"""A YAML file whose errors name the line. Numbers exact, keys once.

`${NAME}` is taken from the environment; `$${` stands for `${` itself.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from consumer.errors import ConfigInvalid
from schemas.refusals import Place, refusals, written

ModelT = TypeVar("ModelT", bound=BaseModel)
MAX_BYTES: Final = 10 * 1024 * 1024
LINE_LIMIT: Final = 500  # characters of a refusal, as of a dead letter's reason
MAX_VALUES: Final = 100_000  # aliases of aliases: a billion values in ten lines
_VARIABLE: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAMES: Final = re.compile(r"(?<=alias |nchor |andle ).*", re.DOTALL)  # what stands behind * or ! may be a secret
_NUMBER_TAGS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,99})")
_SCALARS: Final[dict[str, Callable[[str], bool | None]]] = {
    "tag:yaml.org,2002:bool": lambda text: text.lower() in {"true", "yes", "on"},
    "tag:yaml.org,2002:null": lambda _: None,
}


@dataclass(frozen=True, slots=True)
class YamlFile(Generic[ModelT]):
    """What was read, and where each value stands."""

    name: str
    model: ModelT
    lines: Mapping[Place, int]

    def refusal(self, at: Place, problem: str) -> ConfigInvalid:
        """Return what says that the value *at* is wrong, and in which line it is."""
        return _refusal(self.name, self.lines, at, problem)


class _Reader:
    """Turns nodes into values, remembering the line of each."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._environment = environment
        self.lines: dict[Place, int] = {}

    def fail(self, line: int, problem: str) -> ConfigInvalid:
        return _invalid(f"{self._path.name}, line {line}: {problem}")

    def value(self, node: yaml.Node, at: Place = ()) -> Any:
        self.lines[at] = node.start_mark.line + 1
        if len(self.lines) > MAX_VALUES:
            raise self.fail(self.lines[at], f"holds more than {MAX_VALUES} values")
        match node:
            case yaml.MappingNode():
                return self._mapping(node, at)
            case yaml.SequenceNode():
                return [self.value(child, (*at, n)) for n, child in enumerate(node.value)]
            case _:
                return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, at: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key, str):
                raise self.fail(line, "a key must be a plain text")
            if key in found:
                raise self.fail(line, f"{key} stands twice")
            found[key] = self.value(child, (*at, key))
            self.lines[(*at, key)] = line
        return found

    def _scalar(self, node: yaml.Node) -> Any:
        text = str(node.value)
        if node.tag in _SCALARS:
            return _SCALARS[node.tag](text)
        if node.tag in _NUMBER_TAGS:
            return _number(text)
        return _VARIABLE.sub(lambda found: self._variable(found[1], node) if found[1] else "${", text)

    def _variable(self, name: str, node: yaml.Node) -> str:
        if name not in self._environment:
            raise self.fail(node.start_mark.line + 1, f"${{{name}}}: the environment has no {name}")
        return self._environment[name]


def _number(text: str) -> int | Decimal | str:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return Decimal(text) if _JSON_NUMBER.fullmatch(text) else text
    except ArithmeticError:  # an exponent of twenty digits: the model says what is allowed
        return text


def read(path: Path, model: type[ModelT], environment: Mapping[str, str]) -> YamlFile[ModelT]:
    """Return the file at *path*, read as *model*.

    Raises:
        ConfigInvalid: the file can't be read, is no YAML, or breaks a rule: its line, the field, what is allowed.
            Never a value: it may be a secret.
    """
    reader = _Reader(path, environment)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _invalid(f"{path.name}: is larger than {MAX_BYTES} bytes")
        root = yaml.compose(data.decode(), Loader=yaml.SafeLoader)
        given = reader.value(root) if root is not None else {}
        return YamlFile(path.name, model.model_validate(given), reader.lines)
    except OSError as exc:
        raise _invalid(f"{path}: cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError as exc:
        raise _invalid(f"{path.name}: is not UTF-8 at byte {exc.start}") from None
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise reader.fail(line, f"is no YAML: {_NAMES.sub('', str(exc.problem))}") from None
    except yaml.reader.ReaderError as exc:
        raise _invalid(
            f"{path.name}: is no YAML: character {exc.position + 1} is none of its: U+{exc.character:04X}"
        ) from None
    except yaml.YAMLError as exc:
        raise _invalid(f"{path.name}: is no YAML: {type(exc).__name__}") from None
    except RecursionError:
        raise _invalid(f"{path.name}: is nested without end, or deeper than any rule needs") from None
    except ValidationError as exc:
        first = refusals(exc)[0]
        raise _refusal(path.name, reader.lines, first.place, first.problem) from None


def _refusal(name: str, lines: Mapping[Place, int], at: Place, problem: str) -> ConfigInvalid:
    known = at
    while known and known not in lines:
        known = known[:-1]
    field = written(at)
    return _invalid(f"{name}, line {lines.get(known, 1)}: {f'{field}: ' if field else ''}{problem}")


def _invalid(text: str) -> ConfigInvalid:
    """Return the refusal, in one line of a bearable length: a field's name may hold anything, and be of any length."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return ConfigInvalid(shown if len(shown) <= LINE_LIMIT else f"{shown[: LINE_LIMIT - 1]}…")
