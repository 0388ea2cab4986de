"""Providers that the recipes send to, which judge a request as the real ones do, by `reference/formats.md`.

Postmark, SendGrid, Mailgun, ntfy; and an ERP that wants what `flat` has. Nothing of the service is imported.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from tests.support.targets import Judged

ADDRESS: Final = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+")
MAILBOX: Final = re.compile(r"(?:[^<>\r\n]+ <[^@\s<>]+@[^@\s<>]+>|[^@\s<>]+@[^@\s<>]+)")
Headers = Mapping[str, str]


def postmark(headers: Headers, body: bytes) -> Judged:
    if headers.get("x-postmark-server-token") != "token":
        return Judged(401, '{"ErrorCode": 10}')
    mail = _json(headers, body)
    known = {"From", "To", "Subject", "TextBody", "HtmlBody", "MessageStream", "Metadata"}
    if mail is None or not set(mail) <= known or not MAILBOX.fullmatch(mail.get("From", "")):
        return Judged(422, '{"ErrorCode": 300}')
    is_whole = MAILBOX.fullmatch(mail.get("To", "")) and (mail.get("TextBody") or mail.get("HtmlBody"))
    if not is_whole or not all(isinstance(value, str) for value in mail.get("Metadata", {}).values()):
        return Judged(422, '{"ErrorCode": 300}')
    return Judged(200, '{"ErrorCode": 0}', [mail["To"], mail["Subject"], mail["TextBody"]])


def sendgrid(headers: Headers, body: bytes) -> Judged:
    if headers.get("authorization") != "Bearer token":
        return Judged(401, '{"errors": []}')
    mail, refused = _json(headers, body), Judged(400, '{"errors": [{"message": "Bad Request"}]}')
    try:
        assert mail is not None
        to = [one["email"] for person in mail["personalizations"] for one in person["to"]]
        texts = [part["value"] for part in mail["content"] if part["type"] in {"text/plain", "text/html"}]
        is_whole = to and all(texts) and texts and mail["subject"] and ADDRESS.fullmatch(mail["from"]["email"])
    except (AssertionError, KeyError, TypeError):
        return refused
    if not is_whole or not all(ADDRESS.fullmatch(one) for one in to) or len(to) > 1000:
        return refused
    return Judged(202, "", [*to, mail["subject"], *texts])


def mailgun(headers: Headers, body: bytes) -> Judged:
    if headers.get("authorization") != "Basic " + base64.b64encode(b"api:token").decode():
        return Judged(401, "Forbidden")
    if headers["content-type"] != "application/x-www-form-urlencoded":
        return Judged(400, '{"message": "from parameter is missing"}')
    form = {name: values[0] for name, values in parse_qs(body.decode(), strict_parsing=True).items()}
    if not all(MAILBOX.fullmatch(form.get(name, "")) for name in ("from", "to")):
        return Judged(400, '{"message": "to parameter is not a valid address"}')
    if not form.get("text") and not form.get("html"):
        return Judged(400, "{\"message\": \"Need at least one of 'text' or 'html' parameters specified\"}")
    return Judged(200, '{"id": "<1@mg>", "message": "Queued."}', [form["to"], form["subject"], form["text"]])


def ntfy(headers: Headers, body: bytes) -> Judged:
    if headers.get("authorization") != "Bearer token":
        return Judged(401, '{"code": 40101}')
    push = _json(headers, body)
    if push is None or not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", push.get("topic", "")):
        return Judged(400, '{"code": 40009}')
    if push.get("priority", 3) not in range(1, 6) or len(push.get("message", "").encode()) > 4096:
        return Judged(400, '{"code": 40007}')
    shown = [push["title"], push["message"], f"priority {push.get('priority', 3)}"]
    return Judged(200, '{"id": "1"}', shown)


def erp(headers: Headers, body: bytes) -> Judged:
    if headers.get("authorization") != "Bearer token":
        return Judged(401, "")
    said = _json(headers, body)
    if said is None or said["id"] != headers.get("webhook-id") or said["invoice"]["status"] != "paid":
        return Judged(422, "")
    invoice = said["invoice"]
    return Judged(204, "", [invoice["number"], invoice["totals"]["total"], str(said["previousStatus"])])


def _json(headers: Headers, body: bytes) -> dict[str, Any] | None:
    if not headers["content-type"].startswith("application/json"):
        return None
    made = json.loads(body)
    return made if isinstance(made, dict) else None
