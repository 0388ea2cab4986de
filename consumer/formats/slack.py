"""`slack`: an incoming webhook's message. Names never get into mrkdwn, whose `*` and `_` can't be escaped.

Limits: docs.slack.dev, Block Kit. Lengths are counted in UTF-16, the longest that Slack might count.
"""

from typing import Any, Final

import msgspec

from consumer.formats import texts
from consumer.formats.message import Fact, Message
from consumer.formats.rendered import Rendered

HEADER_LIMIT: Final = 150
TEXT_LIMIT: Final = 3_000  # of a section; the whole message has some 13,000 (bolt-js#2509)
_OUR_TEXT: Final = 1_500
FIELD_LIMIT: Final = 2_000
FIELDS: Final = 10
URL_LIMIT: Final = 2_000  # of a button, which may have 3,000
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(message: Message, link: str | None) -> Rendered:
    """Return the body that says *message*: blocks, and `text` for the notification."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(message.title, HEADER_LIMIT)},
        {"type": "section", "text": _plain(message.text, _OUR_TEXT)},
        {"type": "section", "fields": [_field(fact) for fact in message.facts[:FIELDS]]},
    ]
    if link is not None and len(link) <= URL_LIMIT:
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open in Tollbell"}, "url": link}
        blocks.append({"type": "actions", "elements": [button]})
    return Rendered(
        msgspec.json.encode(
            {
                # Of a message with blocks only the notification shows it: escaped all the same, and never mrkdwn.
                "text": texts.cut(f"{message.title}. {message.text}", _OUR_TEXT, escape),
                "mrkdwn": False,
                "unfurl_links": False,
                "unfurl_media": False,
                "blocks": blocks,
            }
        )
    )


def escape(text: str) -> str:
    """Return *text* without what Slack would take for a link, a mention or an entity."""
    return text.translate(_ESCAPES)


def _field(fact: Fact) -> dict[str, Any]:
    return _plain(f"{fact.label}\n{fact.value}", FIELD_LIMIT)


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": texts.cut(text, limit), "emoji": False}  # `:name:` stays that text
