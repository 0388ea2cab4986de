"""The body of a delivery: made in its channel's format, kept for every attempt, secrets put in when it is sent."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, cast, get_args

import msgspec

from consumer import clock, formats
from consumer.decide.outcome import Outcome, OutcomeClass
from consumer.deliver.keeping import Keeper
from consumer.deliver.render_turns import RenderTurns
from consumer.formats import cloudevents, handshake
from consumer.formats.rendered import JSON, Hole, Options, Rendered, fill
from consumer.formats.template import FORM, Template, read_template
from consumer.formats.template_tree import TemplateProblem
from consumer.formats.template_writing import CannotRender
from consumer.store import deliveries, rendered
from consumer.store.catalog import exact as read_tree
from consumer.store.database import Database
from consumer.store.deliveries import Claimed
from schemas import channels
from schemas.channels import Format
from schemas.secret import Secret

_FORMATS: Final[frozenset[str]] = frozenset(get_args(Format))
MOST_TEMPLATES: Final = 256  # known at once; each has 64 KiB at most
_EVENTS_OWN: Final[Format] = "openmeter"  # the body is the event's data as frozen: kept already


class Bodies:
    """Makes bodies, each once for an event and a format, by its first sender."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keeper = Keeper(database)
        self._turns = RenderTurns()
        self._templates: dict[str, Template | str] = {}  # by format; a text says why one cannot be read
        self._reading = asyncio.Lock()  # one at a time: several threads share one interpreter

    async def prepared(self, delivery: Claimed) -> Claimed | None:
        """Return *delivery* with its body, kept for every later attempt; or with why none can be made.

        None where its event is not there any more, or too many wait for bodies that take long to make.

        Raises:
            StoreUnavailable: the body could not be read or kept; nothing may be sent.
        """
        if delivery.payload is not None and (delivery.rendered is not None or delivery.format == _EVENTS_OWN):
            return delivery
        whole = await deliveries.whole(self._database, delivery)
        if whole is None or whole.rendered is not None or whole.format == _EVENTS_OWN:
            return whole
        await self._learn(whole.format)
        made = await self._turns.made(whole.format, lambda: self.make(whole))
        if made is None:
            return None
        if isinstance(made, Outcome):
            return msgspec.structs.replace(whole, unrendered=made.detail)
        holes = [(hole.position, hole.name) for hole in made.holes]
        body, kept = await self._keeper.kept((whole.event_id, whole.format), (made.body, holes))
        return msgspec.structs.replace(whole, rendered=body, holes=kept)

    def make(self, delivery: Claimed) -> Rendered | Outcome:
        """Return the body of *delivery*, which is whole; how the attempt ended where none can be made."""
        assert delivery.payload is not None  # noqa: S101 - it is whole
        fmt, template = known(delivery.format), self._templates.get(delivery.format)
        if fmt is None:
            return unsent(OutcomeClass.RENDERING, f"format {delivery.format}: is none that this release knows")
        if isinstance(template, str) or (template is None and fmt == "template"):
            return unsent(OutcomeClass.RENDERING, template or "its template is not there any more")
        try:
            options = Options(is_test=delivery.is_test, template=template, is_binary=delivery.format == channels.BINARY)
            return formats.render(fmt, delivery.payload, options)
        except CannotRender as failed:  # of our own words, and with no value of the event
            return unsent(OutcomeClass.RENDERING, str(failed))
        except msgspec.MsgspecError as exc:
            return unsent(OutcomeClass.RENDERING, f"format {delivery.format}: {type(exc).__name__}")

    def filled(self, delivery: Claimed, secrets: Mapping[str, Secret]) -> bytes | Outcome:
        """Return what is to be sent of *delivery*, which is prepared; how the attempt ended where nothing can be."""
        if delivery.payload is not None and delivery.format == _EVENTS_OWN:
            return delivery.payload
        body, holes = delivery.rendered, [Hole(*hole) for hole in delivery.holes]
        if body is None:
            return unsent(OutcomeClass.RENDERING, delivery.unrendered)
        missing = sorted({hole.name for hole in holes} - secrets.keys())
        if missing:
            said = f"the channel has no secrets.{missing[0]}, which its body needs: set it"
            return unsent(OutcomeClass.REQUEST, said)
        return fill(body, holes, secrets)

    async def _learn(self, fmt: str) -> None:
        """Know the template that *fmt* names. Never stale: the name has its hash.

        Read in a thread: one of 64 KiB takes 120 ms, in which nothing else would be sent.

        Raises:
            StoreUnavailable: it could not be read.
        """
        if known(fmt) != "template" or fmt in self._templates:
            return
        text = await rendered.template(self._database, fmt)
        if text is None:
            return
        async with self._reading:
            if fmt in self._templates:  # another delivery's, meanwhile
                return
            read = await asyncio.to_thread(_read, fmt, text)
            if len(self._templates) >= MOST_TEMPLATES:
                del self._templates[next(iter(self._templates))]
            self._templates[fmt] = str(read[0]) if isinstance(read, list) else read


def _read(fmt: str, text: str) -> Template | list[TemplateProblem]:
    return read_template(read_tree(text), "form" if _is_form(fmt) else "json")


def known(fmt: str) -> Format | None:
    """Return the format that is kept as *fmt*; None where it is a newer release's."""
    name = fmt.partition(":")[0]
    return cast("Format", name) if name in _FORMATS else None


def content_type(fmt: str) -> str:
    """Return the media type of a body in *fmt*, as stored: a newer release's format, too, is JSON."""
    if _is_form(fmt):
        return FORM
    return cloudevents.CONTENT_TYPE if fmt == "cloudevents" else JSON


def headers(delivery: Claimed) -> Sequence[tuple[str, str]]:
    """Return what the format of *delivery*, which is prepared, sends as headers beside its body."""
    origin = () if delivery.request_origin is None else ((handshake.ORIGIN, delivery.request_origin),)
    if delivery.format != channels.BINARY or delivery.payload is None:
        return origin
    return (*origin, *cloudevents.binary_headers(delivery.payload))


def _is_form(fmt: str) -> bool:
    return fmt.startswith("template:form:")


def unsent(kind: OutcomeClass, detail: str) -> Outcome:
    """Return the end of an attempt for which nothing was sent."""
    return Outcome(kind=kind, started_at=clock.now(), duration_ms=0, detail=detail)
