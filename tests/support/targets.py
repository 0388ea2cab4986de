"""Receivers that judge a body as the real target does, by what `reference/formats.md` says of it.

Each returns the status and the answer, and `shown`: what a person would read, after the target's own markup. What a
name in the event made the target interpret is in `interpreted`. Nothing of the service is imported.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

SLACK_TYPES: Final = {"header", "section", "actions"}
KEY: Final = re.compile(r"[0-9A-Za-z]{32}")
SEVERITIES: Final = {"critical", "error", "warning", "info"}
TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass(frozen=True, slots=True)
class Judged:
    """What a target makes of a body."""

    status: int
    answer: str
    shown: list[str] = field(default_factory=list)
    interpreted: list[str] = field(default_factory=list)


def length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def slack(body: bytes) -> Judged:
    try:
        message = json.loads(body)
    except ValueError:
        return Judged(400, "invalid_payload")
    if not message.get("text"):
        return Judged(400, "no_text")
    blocks, whole = message.get("blocks", []), length(body.decode())
    if len(blocks) > 50 or whole > 13_200 or not all(_slack_block(one) for one in blocks):
        return Judged(400, "invalid_blocks")
    objects = [one for block in blocks for one in _slack_texts(block)]
    marked = [one["text"] for one in objects if one["type"] == "mrkdwn"]
    if message.get("mrkdwn", True):
        marked.append(message["text"])
    marked += [one["text"] for one in objects if one.get("emoji", True) and re.search(r":\w+:", one["text"])]
    marked += re.findall(r"[<>]|&(?!amp;|lt;|gt;).*", message["text"])
    notification = message["text"].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return Judged(200, "ok", [notification, *(one["text"] for one in objects)], marked)


def _slack_texts(block: dict[str, Any]) -> list[dict[str, Any]]:
    of_elements = [one["text"] for one in block.get("elements", [])]
    return [*([block["text"]] if "text" in block else []), *block.get("fields", []), *of_elements]


def _slack_block(block: dict[str, Any]) -> bool:
    limit = {"header": 150, "section": 3_000}.get(block["type"], 75)
    fields = block.get("fields", [])
    is_fitting = all(0 < length(one["text"]) <= 2_000 for one in fields) and len(fields) <= 10
    if "text" in block and not 0 < length(block["text"]["text"]) <= limit:
        return False
    if block["type"] == "header" and block["text"]["type"] != "plain_text":
        return False
    if block["type"] == "section" and not ("text" in block or fields):
        return False
    return is_fitting and block["type"] in SLACK_TYPES and all(len(one["url"]) <= 3_000 for one in _buttons(block))


def _buttons(block: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in block.get("elements", []) if one["type"] == "button"]


def teams(body: bytes) -> Judged:
    if len(body) > 28 * 1024:
        return Judged(413, "Request entity too large")
    message = json.loads(body)
    (attachment,) = message["attachments"]
    card = attachment["content"]
    is_card = attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    if message["type"] != "message" or not is_card or card["type"] != "AdaptiveCard" or card["version"] > "1.5":
        return Judged(400, "bad card")
    marked = [json.dumps(one) for one in card["body"] if one["type"] in {"TextBlock", "FactSet"}]
    runs = [run for one in card["body"] if one["type"] == "RichTextBlock" for run in one["inlines"]]
    if not all(run["type"] == "TextRun" and run["text"] for run in runs):
        return Judged(400, "bad run")
    return Judged(202, "", [run["text"] for run in runs], marked)


def discord(body: bytes) -> Judged:
    message = json.loads(body)
    embeds, refused = message.get("embeds", []), Judged(400, '{"code": 50035, "message": "Invalid Form Body"}')
    if not (message.get("content") or embeds) or len(embeds) > 10 or len(message.get("content", "")) > 2_000:
        return refused
    texts: list[str] = []
    for embed in embeds:
        fields = embed.get("fields", [])
        limits = [(embed.get("title", "-"), 256), (embed.get("description", "-"), 4_096)]
        limits += [pair for one in fields for pair in ((one["name"], 256), (one["value"], 1_024))]
        if len(fields) > 25 or not all(text.strip() and length(text) <= limit for text, limit in limits):
            return refused
        texts += [text for text, _ in limits]
    if sum(map(length, texts)) > 6_000:
        return refused
    read = [_markdown(text) for text in texts]
    marked = [mark for _, marks in read for mark in marks]
    if message.get("allowed_mentions") != {"parse": []}:
        marked.append("mentions")
    return Judged(200, '{"id": "1"}', [text for text, _ in read], marked)


def _markdown(text: str) -> tuple[str, list[str]]:
    """What Discord shows of *text*, and what in it is markup: any ASCII mark after a backslash is itself."""
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "x", text)  # what is escaped still stands before what follows it
    return shown, re.findall(r"[\\*_~`|><\[\]#@]|:\w+:|://|^\s*(?:[-+]|\d+\.)\s", bare)


def pagerduty(body: bytes) -> Judged:
    event = json.loads(body)
    refused = Judged(400, '{"status": "invalid event"}')
    if not KEY.fullmatch(event.get("routing_key", "")) or len(body) > 512_000:
        return refused
    if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
        return refused
    if length(event.get("dedup_key", "")) > 255 or (event["event_action"] != "trigger" and not event.get("dedup_key")):
        return refused
    payload = event["payload"]
    is_whole = (
        0 < length(payload["summary"]) <= 1_024 and payload["source"] and TIMESTAMP.fullmatch(payload["timestamp"])
    )
    if not is_whole or payload["severity"] not in SEVERITIES:
        return refused
    return Judged(202, '{"status": "success"}', [payload["summary"], *map(str, payload["custom_details"].values())])


TARGETS: Final = {"slack": slack, "teams": teams, "discord": discord, "pagerduty": pagerduty}
