"""A YAML file whose errors name the line. Numbers exact, keys once.

`${NAME}` is taken from the environment; `$${` stands for `${` itself. A file of thousands of rules is made by a program
and often JSON, which is YAML: it is read as JSON, in a fifth of the time. Where it can't be, it is read as YAML, which
says why.
"""

import contextlib
import json
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
    """What was read, and of which text: it knows where each value stands."""

    name: str
    model: ModelT
    text: str

    def refusal(self, at: Place, problem: str) -> ConfigInvalid:
        """Return what says that the value *at* is wrong, and in which line it is."""
        return _refusal(self.name, self.text, at, problem)


class _Reader:
    """Turns a text's nodes into values."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._environment = environment
        self._values = 0

    def fail(self, line: int, problem: str) -> ConfigInvalid:
        return _invalid(f"{self._path.name}, line {line}: {problem}")

    def read(self, text: str) -> Any:
        with contextlib.suppress(ValueError, LookupError, RecursionError):
            found = json.loads(
                text, object_pairs_hook=_once, parse_int=_number, parse_float=_number, parse_constant=_refuse
            )
            return self._substituted(found)
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
                return _VARIABLE.sub(lambda named: self._environment[named[1]] if named[1] else "${", found)
            case _:
                return found

    def value(self, node: yaml.Node) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise self.fail(_line_of(node), f"holds more than {MAX_VALUES} values")
        match node:
            case yaml.MappingNode():
                return self._mapping(node)
            case yaml.SequenceNode():
                return [self.value(child) for child in node.value]
            case _:
                return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise self.fail(_line_of(key_node), "a key must be a plain text")
            if key in found:
                raise self.fail(_line_of(key_node), f"{key} stands twice")
            found[key] = self.value(child)
        return found

    def _scalar(self, node: yaml.Node) -> Any:
        text = str(node.value)
        if node.tag in _SCALARS:
            return _SCALARS[node.tag](text)
        if node.tag in _NUMBER_TAGS:
            return _number(text)
        if "$" not in text:
            return text
        return _VARIABLE.sub(lambda named: self._variable(named[1], node) if named[1] else "${", text)

    def _variable(self, name: str, node: yaml.Node) -> str:
        if name not in self._environment:
            raise self.fail(_line_of(node), f"${{{name}}}: the environment has no {name}")
        return self._environment[name]


def _number(text: str) -> int | Decimal | str:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return Decimal(text) if _JSON_NUMBER.fullmatch(text) else text
    except ArithmeticError:  # an exponent of twenty digits: the model says what is allowed
        return text


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
        ConfigInvalid: the file can't be read, is no YAML, or breaks a rule: its line, the field, what is allowed.
            Never a value: it may be a secret.
    """
    reader, text = _Reader(path, environment), ""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _invalid(f"{path.name}: is larger than {MAX_BYTES} bytes")
        text = data.decode()
        return YamlFile(path.name, model.model_validate(reader.read(text)), text)
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
        raise _refusal(path.name, text, first.place, first.problem) from None


def _composed(text: str) -> yaml.Node | None:
    """Return the nodes of *text*: by libyaml, else by Python, which takes ten times as long and says what is wrong."""
    with contextlib.suppress(AttributeError, yaml.YAMLError):  # a PyYAML without libyaml has no such loader
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _refusal(name: str, text: str, at: Place, problem: str) -> ConfigInvalid:
    field, root = written(at), None
    with contextlib.suppress(yaml.YAMLError, RecursionError):  # JSON may hold what no YAML may: U+007F
        root = _composed(text)
    return _invalid(f"{name}, line {_line(root, at)}: {f'{field}: ' if field else ''}{problem}")


def _line(root: yaml.Node | None, at: Place) -> int:
    """Return the line of the value *at*, or of the innermost one around it that there is."""
    node, line = root, _line_of(root) if root else 1
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


def _line_of(node: yaml.Node) -> int:
    line: int = node.start_mark.line + 1
    return line


def _invalid(text: str) -> ConfigInvalid:
    """Return the refusal, in one line of a bearable length: a field's name may hold anything, and be of any length."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return ConfigInvalid(shown if len(shown) <= LINE_LIMIT else f"{shown[: LINE_LIMIT - 1]}…")
