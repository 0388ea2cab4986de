"""A template's nodes and one event → the bytes of a body, and the holes for its secrets."""

import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

import msgspec

from consumer.formats.expressions import Copy, SecretName, Source
from consumer.formats.rendered import Hole
from consumer.formats.template_tree import Array, Constant, Guarded, Leaf, Node, Object

MOST_OUTPUT: Final = 256 * 1024  # bytes of a body
_text: Final = msgspec.json.Decoder(str)


class CannotRender(ValueError):
    """A template can't be made of this event: where, and why, for a person."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem


class Values(Protocol):
    """What an event makes of the texts of a template."""

    def text(self, leaf: Leaf, source: Source) -> str:
        """Return the text of a leaf."""
        ...

    def raw(self, leaf: Leaf, copy: Copy) -> bytes:
        """Return the JSON that a leaf copies."""
        ...

    def holds(self, condition: Leaf | None) -> bool:
        """Whether a member or item is in the body."""
        ...


@dataclass(slots=True)
class JsonWriter:
    """Writes JSON.

    Attributes:
        parts: of the body so far.
        size: of them all, in bytes.
        holes: for secrets.
    """

    values: Values
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    holes: list[Hole] = field(default_factory=list)

    def write(self, node: Node) -> None:
        """Write *node* and what is in it.

        Raises:
            CannotRender: a text can't be made, or the body is too large.
        """
        match node:
            case Constant(json=json):
                self._put(json)
            case Leaf():
                self._leaf(node)
            case Object(members=members):
                separator = b"{"
                for name, member in _kept(members, self.values):
                    self._put(separator + msgspec.json.encode(name) + b":")
                    self.write(member)
                    separator = b","
                self._put(b"{}" if separator == b"{" else b"}")
            case Array(items=items):
                self._put(b"[")
                for n, item in enumerate(one for one in items if self.values.holds(one.when)):
                    self._put(b"," if n else b"")
                    self.write(item.node)
                self._put(b"]")
            case _:
                assert_never(node)

    def _leaf(self, leaf: Leaf) -> None:
        match leaf.what:
            case Source() as source:
                self._put(msgspec.json.encode(self.values.text(leaf, source)), leaf.place)
            case Copy() as copy:
                self._put(self.values.raw(leaf, copy), leaf.place)
            case SecretName(name=name):
                self.holes.append(Hole(self.size + 1, name))
                self._put(b'""')
            case _:
                assert_never(leaf.what)

    def _put(self, part: bytes, place: str = "template") -> None:
        self.size += len(part)
        if self.size > MOST_OUTPUT:
            raise _too_large(place)
        self.parts.append(part)


def write_form(root: Object, values: Values) -> bytes:
    """Return the form of *root*, percent-encoded.

    Raises:
        CannotRender: a text can't be made, a value is not flat, or the body is too large.
    """
    pairs = [(name, _flat(node, values)) for name, node in _kept(root.members, values)]
    form = urllib.parse.urlencode(pairs).encode()
    if len(form) > MOST_OUTPUT:
        raise _too_large("template")
    return form


def _too_large(place: str) -> CannotRender:
    return CannotRender(place, f"the body has more than {MOST_OUTPUT // 1024} KiB")


def _kept(members: tuple[tuple[str, Guarded], ...], values: Values) -> Iterator[tuple[str, Node]]:
    return ((name, member.node) for name, member in members if values.holds(member.when))


def _flat(node: Node, values: Values) -> str:
    if isinstance(node, Constant):
        return node.value or ""
    assert isinstance(node, Leaf)  # noqa: S101 - what is not flat was refused when it was read
    if isinstance(node.what, Source):
        return values.text(node, node.what)
    assert isinstance(node.what, Copy)  # noqa: S101 - so were secrets
    raw = values.raw(node, node.what)
    if raw[:1] in b"{[":
        raise CannotRender(node.place, "a form has flat values only, and this is an object or a list")
    if raw == b"null":
        return ""
    return _text.decode(raw) if raw[:1] == b'"' else raw.decode()
