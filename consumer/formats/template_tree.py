r"""A template as a person writes it → its nodes, or every place where it is not one.

* A text that is exactly `{{ path }}` copies the raw value, with all its digits; any other is a text when rendered, too.
* An object with `when` is left out where that expression is false; `{when: …, value: …}` is its value instead. A member
  that is itself called `when` is written `\when`.
* A form has members of texts, numbers and truth values alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from consumer.formats import expressions
from consumer.formats.expressions import BadExpression, Copy, SecretName, Source
from schemas import refusals
from schemas.channels import ContentType
from schemas.events import encode
from schemas.refusals import Place

MOST_NODES: Final = 2_000
MOST_DEPTH: Final = 32
MOST_TEMPLATES: Final = 200  # texts and conditions that the engine renders, each with fuel of its own
MOST_HOLES: Final = 20  # for secrets, each of which may take 24 KiB; so much is not kept, but sent
MOST_SOURCE: Final = 65_536  # characters of all texts together
MOST_PROBLEMS: Final = 20  # of one template: who has more made one mistake many times
_WHEN: Final = "when"
_VALUE: Final = "value"
_ESCAPE: Final = "\\"
_TO_NAME: Final = "a member's name is not a template: make it a value, or choose between members by `when`"


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """What is wrong with a template, and where: `template.blocks[0].text`.

    Attributes:
        is_refused: else it is a warning.
    """

    place: str
    text: str
    is_refused: bool = True

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that no event changes, and its JSON."""

    value: str | None
    json: bytes


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text that is a template.

    Attributes:
        place: for people. Of the members `a.b` and `b` in `a` it is the same.
        what: it says.
        name: with the engine, of it alone.
    """

    place: str
    what: Source | Copy | SecretName
    name: str


@dataclass(frozen=True, slots=True)
class Guarded:
    """A member or item, and the expression without which it is left out."""

    node: "Node"
    when: Leaf | None


@dataclass(frozen=True, slots=True)
class Object:
    """An object: its members by name."""

    members: tuple[tuple[str, Guarded], ...]


@dataclass(frozen=True, slots=True)
class Array:
    """A list."""

    items: tuple[Guarded, ...]


Node = Constant | Leaf | Object | Array


@dataclass(frozen=True, slots=True)
class Tree:
    """A template that was read.

    Attributes:
        root: of the body.
        leaves: what the engine has to know; conditions are among `conditions` instead.
        conditions: likewise.
        secrets: names of the secrets that it needs.
    """

    root: Object | Array
    leaves: tuple[Leaf, ...]
    conditions: tuple[Leaf, ...]
    secrets: frozenset[str]


def read_tree(value: object, content_type: ContentType, at: Place) -> Tree | list[TemplateProblem]:
    """Return *value*, of JSON or YAML, as a tree; or what is wrong with it, at most twenty problems.

    Args:
        value: of objects, lists, texts, numbers, truth values and None.
        content_type: of the body.
        at: the place of *value* in what a person wrote.
    """
    reader = _Reader(content_type)
    root = reader.root(value, at)
    if reader.problems or root is None:
        return reader.problems[:MOST_PROBLEMS]
    return Tree(root, tuple(reader.leaves), tuple(reader.conditions), frozenset(reader.secrets))


@dataclass(slots=True)
class _Reader:
    """Reads nodes; what is wrong is kept, and reading goes on."""

    content_type: ContentType
    problems: list[TemplateProblem] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    conditions: list[Leaf] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    nodes: int = 0
    holes: int = 0
    source: int = 0

    def root(self, value: object, at: Place) -> Object | Array | None:
        if not isinstance(value, dict | list):
            self._refuse(at, "is not a tree: write an object or a list, whose texts are templates")
        elif isinstance(value, dict) and _WHEN in value:
            self._refuse((*at, _WHEN), "the whole body has no `when`: choose events by the channel's rules")
        elif self.content_type == "form" and not isinstance(value, dict):
            self._refuse(at, "a form is an object of flat values")
        else:
            node = self._node(value, at, depth=1)
            return node if isinstance(node, Object | Array) else None
        return None

    def _guarded(self, value: object, at: Place, depth: int) -> Guarded:
        if not isinstance(value, dict) or _WHEN not in value:
            return Guarded(self._node(value, at, depth), None)
        rest = {name: member for name, member in value.items() if name != _WHEN}
        when = self._condition(value[_WHEN], (*at, _WHEN))
        if rest.keys() == {_VALUE}:
            return Guarded(self._node(rest[_VALUE], (*at, _VALUE), depth), when)
        return Guarded(self._node(rest, at, depth), when)

    def _node(self, value: Any, at: Place, depth: int) -> Node:
        self.nodes += 1
        if self.nodes == MOST_NODES + 1:
            self._refuse(at, f"the template has more than {MOST_NODES} values")
        if depth > MOST_DEPTH:
            self._refuse(at, f"is nested deeper than {MOST_DEPTH} levels")
        if depth > MOST_DEPTH or self.nodes > MOST_NODES:
            return Constant(None, b"null")
        if isinstance(value, dict | list) and self.content_type == "form" and depth > 1:
            self._refuse(at, "a form has flat values only: a text, a number, true or false")
            return Constant(None, b"null")
        match value:
            case dict():
                return Object(tuple(self._members(value, at, depth)))
            case list():
                return Array(tuple(self._guarded(one, (*at, n), depth + 1) for n, one in enumerate(value)))
            case str():
                return self._text(value, at)
            case _:
                return _constant(value)

    def _members(self, value: Mapping[object, object], at: Place, depth: int) -> Iterator[tuple[str, Guarded]]:
        names: set[str] = set()
        for name, member in value.items():
            if not isinstance(name, str) or not _is_text(name):
                self._refuse(at, "a member's name must be a text")
            elif expressions.is_template(name):
                self._refuse((*at, name), _TO_NAME)
            elif name.removeprefix(_ESCAPE) in names:
                self._refuse((*at, name), "is there twice")
            else:
                names.add(name.removeprefix(_ESCAPE))
                yield name.removeprefix(_ESCAPE), self._guarded(member, (*at, name), depth + 1)

    def _text(self, text: str, at: Place) -> Node:
        if not self._is_fitting(text, at):
            return _constant(None)
        try:
            what = expressions.read(text)
        except BadExpression as problem:
            self._refuse(at, str(problem))
            return _constant(None)
        if what is None:
            return _constant(text)
        leaf = Leaf(refusals.written(at), what, self._name())
        if isinstance(what, SecretName):
            self.secrets.add(what.name)
            self.holes += 1
            if self.holes == MOST_HOLES + 1:
                self._refuse(at, f"the template has more than {MOST_HOLES} places for secrets")
            if self.content_type == "form":
                self._refuse(at, "a form takes no secret: put it into customHeaders")
        elif isinstance(what, Source):
            self._count(at)
            self.leaves.append(leaf)
        return leaf

    def _condition(self, value: object, at: Place) -> Leaf | None:
        if not isinstance(value, str):
            self._refuse(at, "must be an expression, such as data.customer is defined")
            return None
        if not self._is_fitting(value, at):
            return None
        try:
            leaf = Leaf(refusals.written(at), expressions.read_condition(value), self._name())
        except BadExpression as problem:
            self._refuse(at, str(problem))
            return None
        self._count(at)
        self.conditions.append(leaf)
        return leaf

    def _name(self) -> str:
        return f"text {len(self.leaves) + len(self.conditions)}"

    def _count(self, at: Place) -> None:
        if len(self.leaves) + len(self.conditions) == MOST_TEMPLATES:
            self._refuse(at, f"the template has more than {MOST_TEMPLATES} expressions")

    def _is_fitting(self, text: str, at: Place) -> bool:
        self.source += len(text)
        if not _is_text(text):
            self._refuse(at, "has half of a surrogate pair, which is not a character")
        elif self.source > MOST_SOURCE:
            if self.source - len(text) <= MOST_SOURCE:
                self._refuse(at, f"the template's texts have more than {MOST_SOURCE} characters")
        else:
            return True
        return False

    def _refuse(self, at: Place, text: str) -> None:
        self.problems.append(TemplateProblem(refusals.written(at), text))


def _constant(value: str | float | None) -> Constant:
    json = encode(value)
    if value is None or isinstance(value, str):
        return Constant(value, json)
    return Constant(json.decode(), json)


def _is_text(text: str) -> bool:
    return not any("\ud800" <= one <= "\udfff" for one in text)
