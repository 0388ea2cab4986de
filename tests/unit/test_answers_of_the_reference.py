"""What holds the API's answers against the reference's document notices what is not of it."""

from typing import Any

import pytest

from tests.support.openapi import problems_of_answer

BASE = "/api/v1/notification"
ID = "01K9ZBC3K9YJ4M2V7Q8R5T6W1X"
JSON, PROBLEM = "application/json", "application/problem+json"
AT = "2026-11-22T10:15:30Z"
CHANNEL = {"id": ID, "type": "WEBHOOK", "name": "Hook", "url": "https://x", "createdAt": AT, "updatedAt": AT}
RULE = CHANNEL | {
    "type": "entitlements.balance.threshold",
    "channels": [{"id": ID, "type": "WEBHOOK"}],
    "thresholds": [{"type": "usage_value", "value": n + 1} for n in range(11)],
}
WRONG = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "no", "instance": "urn:request:1"}


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "answer"),
    [
        ("GET", f"/channels/{ID}", 200, JSON, CHANNEL),
        # ours may have more thresholds
        ("POST", "/rules", 201, JSON, RULE),
        # a status that the document does not name
        ("PUT", f"/rules/{ID}", 409, PROBLEM, WRONG | {"status": 409}),
        ("DELETE", f"/rules/{ID}", 204, "application/octet-stream", None),
        # a path of ours
        ("POST", f"/rules/{ID}/explain", 200, JSON, {}),
    ],
)
def test_an_answer_of_the_reference_fits(method: str, path: str, status: int, kind: str, answer: Any) -> None:
    assert problems_of_answer(method, BASE + path, status, kind, answer) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "answer"),
    [
        ("GET", f"/channels/{ID}", 200, JSON, CHANNEL | {"id": "x"}),
        ("GET", f"/channels/{ID}", 200, JSON, CHANNEL | {"createdAt": "today"}),
        ("GET", f"/channels/{ID}", 200, JSON, CHANNEL | {"customHeaders": None}),
        ("GET", "/channels", 200, JSON, {"items": [CHANNEL], "page": 1, "pageSize": 1}),
        ("POST", "/rules", 201, JSON, RULE | {"thresholds": [{"type": "usage_value", "value": "1"}]}),
        # the kind, or a body where there is none
        ("POST", "/rules", 400, JSON, WRONG),
        ("DELETE", f"/rules/{ID}", 204, JSON, {}),
        ("POST", "/rules", 400, PROBLEM, {"title": "Bad Request"}),
    ],
)
def test_an_answer_that_is_not_the_references_is_noticed(
    method: str, path: str, status: int, kind: str, answer: Any
) -> None:
    assert problems_of_answer(method, BASE + path, status, kind, answer)
