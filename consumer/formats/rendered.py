"""What a format makes of an event: the bytes to send, and where a secret goes into them at the last moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from schemas.secret import MASK, Secret

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Hole:
    """A place in a body, inside a JSON string, that is empty until the body is sent.

    Attributes:
        position: in bytes from the start of the body without any secret.
        name: of the channel's secret that goes there.
    """

    position: int
    name: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A delivery's body, to be stored as it is.

    Attributes:
        body: without secrets.
        content_type: of the body.
        headers: that the format brings, in lower case.
        holes: where secrets go, by rising position.
    """

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    holes: tuple[Hole, ...] = ()


class Renders(Protocol):
    """A template that was read."""

    def render(self, payload: bytes, *, is_test: bool = False) -> Rendered:
        """Return the body for an event's frozen *payload*.

        Raises:
            ValueError: the event lacks what the template needs, or a limit is exceeded.
            msgspec.MsgspecError: *payload* is no event of ours.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a channel brings to its format.

    Attributes:
        is_test: whether the event is a sample: a person must see that nothing has happened.
        link: where a person finds the event, https; None: nowhere.
        is_binary: of `cloudevents`: attributes as headers, the data alone as the body.
        template: of `template`, which needs one.
    """

    is_test: bool = False
    link: str | None = None
    is_binary: bool = False
    template: Renders | None = None


DEFAULTS: Final = Options()


def fill(body: bytes, holes: Sequence[Hole], secrets: Mapping[str, Secret]) -> bytes:
    """Return *body* with each secret in its hole, JSON-escaped; nothing else of it is looked at.

    Raises:
        KeyError: the channel has no secret of that name.
    """
    parts, start = [], 0
    for hole in holes:
        parts += [body[start : hole.position], _escaped(secrets[hole.name].reveal())]
        start = hole.position
    return b"".join([*parts, body[start:]])


def masked(rendered: Rendered) -> bytes:
    """Return the body for people to look at: `***` in every hole."""
    return fill(rendered.body, rendered.holes, {hole.name: Secret(MASK) for hole in rendered.holes})


def _escaped(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]
