"""`teams`: an adaptive card for a webhook of Workflows (Power Automate).

Every text is a TextRun: TextBlock and FactSet read Markdown, and it can't be switched off.
"""

from typing import Any, Final

import msgspec

from consumer.formats import texts
from consumer.formats.message import Fact, Message, Severity
from consumer.formats.rendered import Rendered

MOST_BYTES: Final = 28 * 1024  # of a message; beyond it: "Request entity too large"
_TITLE_LIMIT: Final = 500
_TEXT_LIMIT: Final = 2_000  # three bytes for each at most: with ten facts of 400, within the 28 KiB
_COLOURS: Final = {
    Severity.CRITICAL: "Attention",
    Severity.WARNING: "Warning",
    Severity.INFO: "Accent",
    Severity.GOOD: "Good",
}
_URL_LIMIT: Final = 2_048


def render(message: Message, link: str | None) -> Rendered:
    """Return the body that says *message*."""
    title = {"weight": "Bolder", "size": "Large", "color": _COLOURS[message.severity]}
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [
            _rich(_run(message.title, _TITLE_LIMIT, **title)),
            _rich(_run(message.text, _TEXT_LIMIT)),
            *(_fact(fact) for fact in message.facts),
        ],
        "msteams": {"width": "Full"},
    }
    if link is not None and len(link) <= _URL_LIMIT:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Tollbell", "url": link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return Rendered(msgspec.json.encode({"type": "message", "attachments": [attachment]}))


def _fact(fact: Fact) -> dict[str, Any]:
    return _rich(_run(f"{fact.label}: ", _TITLE_LIMIT, weight="Bolder"), _run(fact.value, _TITLE_LIMIT))


def _rich(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, limit: int, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": texts.cut(text, limit), **style}
