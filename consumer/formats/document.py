"""An event as templates see it: looked into by paths, each value with the bytes that it was written with."""

from typing import Final

import msgspec

from consumer.formats import wording
from consumer.formats.expressions import Path
from consumer.formats.seen import see

_Members = dict[str, msgspec.Raw]
_members: Final = msgspec.json.Decoder(_Members)
_items: Final = msgspec.json.Decoder(list[msgspec.Raw])
_scalar: Final = msgspec.json.Decoder(str | bool | None)
_EVENTS_OWN: Final = ("id", "type", "timestamp", "data")


class EventTree:
    """One event. What was looked into once is kept, so that many paths into it cost one reading."""

    def __init__(self, payload: bytes, *, is_test: bool) -> None:
        """Read *payload*, an event's frozen data.

        Raises:
            msgspec.MsgspecError: it is not an event.
        """
        self._payload = payload
        event = _members.decode(payload)
        self._open: dict[Path, _Members] = {
            (): {
                **{name: event[name] for name in _EVENTS_OWN if name in event},
                "is_test": msgspec.Raw(b"true" if is_test else b"false"),
            }
        }
        self._is_test = is_test

    def raw(self, path: Path) -> msgspec.Raw | None:
        """Return the JSON value at *path*, as it was written; None where there is none.

        Raises:
            msgspec.MsgspecError: the event is not one of ours, and *path* is of its message.
        """
        if path[:1] == ("message",) and "message" not in self._open[()]:
            self._open[()]["message"] = self._message()
        found = self._children(path[:-1])
        return None if found is None else found.get(str(path[-1]))

    def _children(self, path: Path) -> _Members | None:
        if path in self._open:
            return self._open[path]
        above = self._children(path[:-1])
        raw = None if above is None else above.get(str(path[-1]))
        match bytes(raw or b"")[:1]:
            case b"{":
                children = _members.decode(raw or b"")
            case b"[":
                children = {str(n): one for n, one in enumerate(_items.decode(raw or b""))}
            case _:
                return None
        self._open[path] = children
        return children

    def _message(self) -> msgspec.Raw:
        message = wording.message(see(self._payload), is_test=self._is_test)
        facts = [{"label": fact.label, "value": fact.value} for fact in message.facts]
        shown = {"title": message.title, "text": message.text, "severity": message.severity.value, "facts": facts}
        return msgspec.Raw(msgspec.json.encode(shown))


def value(raw: msgspec.Raw) -> str | bool | None:
    """Return the value of *raw* for the engine: a number is the text of its digits, an object its JSON."""
    text = bytes(raw)
    return _scalar.decode(text) if text[:1] in b'"tfn' else text.decode()
