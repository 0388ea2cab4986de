"""What the scalars of a YAML file mean; and plain values read by libyaml's events, in half the time of nodes."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import yaml

MAX_VALUES: Final = 100_000  # aliases of aliases: a billion values in ten lines
VARIABLE: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,99})")


class NotPlain(Exception):
    """The text holds more than plain values, or is not YAML: its nodes say what."""


def number(text: str) -> int | Decimal | str:
    """Return the number that *text* is, with all its digits; *text* where it is none of JSON's."""
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return Decimal(text) if _JSON_NUMBER.fullmatch(text) else text
    except ArithmeticError:  # an exponent of twenty digits: the model says what is allowed
        return text


# By the tag of a text without quotes; one of any other tag is itself.
SCALARS: Final[Mapping[str, Callable[[str], bool | int | Decimal | str | None]]] = {
    "tag:yaml.org,2002:bool": lambda text: text.lower() in {"true", "yes", "on"},
    "tag:yaml.org,2002:null": lambda _: None,
    "tag:yaml.org,2002:int": number,
    "tag:yaml.org,2002:float": number,
}


def substituted(text: str, environment: Mapping[str, str]) -> str:
    """Return *text* with variables of the *environment* in it.

    Raises:
        KeyError: it has none of that name.
    """
    if "$" not in text:
        return text
    return VARIABLE.sub(lambda named: environment[named[1]] if named[1] else "${", text)


def of_events(text: str, environment: Mapping[str, str]) -> Any:
    """Return the value of *text*, a document of plain values: none has a tag or an anchor, and each key is there once.

    Raises:
        NotPlain: it is another.
        KeyError: the environment has no such variable.
    """
    try:
        return _Events(text, environment).read()
    except (yaml.YAMLError, AttributeError, RecursionError) as exc:  # a PyYAML without libyaml has no such loader
        raise NotPlain from exc


class _Events:
    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        loader = yaml.CSafeLoader(text)
        self._next = loader.get_event
        self._tag: Callable[[type[yaml.Node], str, tuple[bool, bool]], str] = loader.resolve
        self._environment = environment
        self._values = 0
        self._known: dict[str, Any] = {}  # what texts without quotes mean: most come again and again

    def read(self) -> Any:
        self._next()  # the stream begins
        self._next()  # its document
        found = self._value(self._next())
        self._next()
        match self._next():
            case yaml.StreamEndEvent():
                return found
            case _:
                raise NotPlain

    def _value(self, event: yaml.Event | None) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise NotPlain
        match event:
            case yaml.ScalarEvent():
                return self._scalar(event)
            case yaml.MappingStartEvent() if not (event.anchor or event.tag):
                return self._mapping()
            case yaml.SequenceStartEvent() if not (event.anchor or event.tag):
                found = []
                while not isinstance(child := self._next(), yaml.SequenceEndEvent):
                    found.append(self._value(child))
                return found
            case _:
                raise NotPlain

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent) or key.anchor or key.tag or key.value in found:
                raise NotPlain
            found[key.value] = self._value(self._next())
        return found

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        if event.anchor or event.tag:
            raise NotPlain
        text: str = event.value
        if not event.implicit[0]:  # in quotes, or a block
            return substituted(text, self._environment)
        if text not in self._known:
            read = SCALARS.get(self._tag(yaml.ScalarNode, text, event.implicit))
            self._known[text] = read(text) if read else substituted(text, self._environment)
        return self._known[text]
