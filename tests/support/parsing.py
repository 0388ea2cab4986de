"""Records to be parsed, with members replaced; and what became of them."""

import datetime as dt
import json
from typing import Any

from schemas.parse import Parsed, Reject, parse
from schemas.sources import Snapshot
from tests.support.factories import native_record

LATEST = dt.datetime(2026, 11, 22, 10, 20, 30, tzinfo=dt.UTC)  # five minutes after the records' calculatedAt
PERIOD = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
TYPE = "tollbell.usage.snapshot"
# A value that must never be seen in an error.
CANARY = "hush-hush"


def parsed(value: bytes | None, *headers: tuple[str, bytes | None]) -> Parsed:
    return parse(value, headers, latest=LATEST)


def rejected(value: bytes, *headers: tuple[str, bytes | None]) -> Reject:
    found = parsed(value, *headers)
    assert isinstance(found, Reject), found
    assert found.error.isprintable()
    assert len(found.error) <= 500
    return found


def snapshot(value: bytes, *headers: tuple[str, bytes | None]) -> Snapshot:
    found = parsed(value, *headers)
    assert isinstance(found, Snapshot), found
    return found


def level(of: Snapshot) -> tuple[object, object, object]:
    return (of.usage, of.allowance, of.balance)


def envelope(**changed: Any) -> bytes:
    """A native record; members of the envelope replaced, or taken away by `...`."""
    record = json.loads(native_record(80)) | changed
    return json.dumps({name: member for name, member in record.items() if member is not ...}).encode()


def data(**changed: Any) -> bytes:
    """A native record; members of its data replaced, or taken away by `...`."""
    record = json.loads(native_record(80))["data"] | changed
    return envelope(data={name: member for name, member in record.items() if member is not ...})


def value(text: str) -> bytes:
    """A native record whose `data.value` is *text*."""
    return data(value="@value@").replace(b'"@value@"', text.encode())


def extra(text: str) -> bytes:
    """A native record with an unknown member, in a place that reaches the payload."""
    return data(feature={"key": "llm_tokens", "more": "@more@"}).replace(b'"@more@"', text.encode())


def entitlement(**changed: Any) -> bytes:
    return data(entitlement={"id": "ent-1", "period": PERIOD, **changed})


def deep(levels: int) -> bytes:
    """A record of *levels* levels: the envelope, its data and the feature are three."""
    return extra("[" * (levels - 3) + "]" * (levels - 3))


def name(value: object) -> str | None:
    """A test's id: no record, some have megabytes."""
    return "record" if isinstance(value, bytes) else None
