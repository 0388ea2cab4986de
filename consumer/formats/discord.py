"""`discord`: a webhook's message, one embed. Its texts are Markdown, in which every name is escaped.

Limits: discord-api-docs. Lengths are counted in UTF-16, with the escapes, the longest that Discord might count.
"""

import re
from typing import Any, Final

import msgspec

from consumer.formats import texts
from consumer.formats.message import Fact, Message, Severity
from consumer.formats.rendered import Rendered

TITLE_LIMIT: Final = 256
DESCRIPTION_LIMIT: Final = 4_096
FIELDS: Final = 25
FIELD_NAME_LIMIT: Final = 256
FIELD_VALUE_LIMIT: Final = 1_024
EMBED_LIMIT: Final = 6_000  # over all texts of all embeds
URL_LIMIT: Final = 2_048
_OUR_DESCRIPTION: Final = 1_500
_OUR_VALUE: Final = 400  # ten of them, the title and the description: within the 6,000
_COLOURS: Final = {
    Severity.CRITICAL: 0xD92D20,
    Severity.WARNING: 0xF79009,
    Severity.INFO: 0x2E90FA,
    Severity.GOOD: 0x12B76A,
}
# Markdown, and what makes mentions, emoji, timestamps and links: any mark of ASCII may follow a backslash. The colon of
# a time is none of these.
_MARKS: Final = re.compile(r"[\\*_~`|><\[\]#@]|:(?!\d\d UTC|\s)")
_LIST: Final = re.compile(r"^(\s*\d*)([-+.])")  # at the start of a text


def render(message: Message, timestamp: str, link: str | None) -> Rendered:
    """Return the body that says *message*, of an event at *timestamp*."""
    embed: dict[str, Any] = {
        "title": _cut(message.title, TITLE_LIMIT),
        "description": _cut(message.text, _OUR_DESCRIPTION),
        "color": _COLOURS[message.severity],
        "fields": [_field(fact) for fact in message.facts],
        "timestamp": timestamp,
    }
    if link is not None and len(link) <= URL_LIMIT:
        embed["url"] = link
    return Rendered(msgspec.json.encode({"embeds": [embed], "allowed_mentions": {"parse": []}}))


def _cut(text: str, limit: int) -> str:
    """Return *text* as Markdown that shows it as it is, of at most *limit* units."""
    return _LIST.sub(r"\1\\\2", texts.cut(text, limit - 1, _escape))


def _escape(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", text)


def _field(fact: Fact) -> dict[str, Any]:
    return {"name": fact.label, "value": _cut(fact.value, _OUR_VALUE), "inline": True}
