"""The limits that the operators' table states: at each, things work; one above is refused, and says what is allowed."""

import json
import re
from pathlib import Path

import pytest

from consumer.commands import yaml_file
from consumer.consume.aiokafka_patch.polls import FETCHED_BYTES, POLL_BYTES
from consumer.consume.aiokafka_patch.records import UNPACKED_LIMIT
from consumer.deliver.rooms import ROOM_BYTES, SLOW_ROOM_BYTES
from consumer.errors import ConfigInvalid
from consumer.serve.bodies import MAX_BYTES as BODY_BYTES
from consumer.serve.bodies import MAX_MEMBERS
from consumer.serve.large import ANSWER_BYTES
from consumer.store.history import MOST_ATTEMPTS
from schemas import headers, urls
from schemas.model import MAX_METADATA
from schemas.parse import MAX_BYTES, Reject
from schemas.reading import MAX_LEVELS
from schemas.rules import MAX_CHANNELS, MAX_FEATURES, MAX_STATUSES, MAX_THRESHOLDS
from schemas.rules_file import RulesFile
from schemas.sources import MAX_IDENTIFIER, Snapshot
from tests.support.parsing import deep, envelope, parsed

ROOT = Path(__file__).parents[2]
LIMITS = {
    "record": MAX_BYTES,
    "batch of records": UNPACKED_LIMIT,
    "levels of a record": MAX_LEVELS,
    "one poll": POLL_BYTES,
    "what was fetched and is not yet polled": FETCHED_BYTES,
    "id or key in a record": MAX_IDENTIFIER,
    "rules file": yaml_file.MAX_BYTES,
    "values of a rules file": yaml_file.MAX_VALUES,
    "body of the API": BODY_BYTES,
    "members of a list or object in a body, but a record's": MAX_MEMBERS,
    "page of the API": ANSWER_BYTES,
    "events of an explanation": ANSWER_BYTES,
    "attempts that are shown of a delivery": MOST_ATTEMPTS,
    "webhooks of more than 32 KiB that are held at once": ROOM_BYTES,
    "the same, of slow channels": SLOW_ROOM_BYTES,
    "channels of a rule": MAX_CHANNELS,
    "thresholds of a rule": MAX_THRESHOLDS,
    "features of a rule": MAX_FEATURES,
    "statuses of a rule": MAX_STATUSES,
    "headers of a channel": headers.MAX_HEADERS,
    "header's value": headers.MAX_VALUE_LENGTH,
    "URL": urls.MAX_LENGTH,
    "metadata": MAX_METADATA,
}


def rows() -> list[list[str]]:
    text = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]


def test_the_table_has_each_limit_as_it_is() -> None:
    table = {row[0]: int(re.sub(r"[^0-9]", "", row[1])) for row in rows()[1:] if re.search(r"\d", row[1])}

    assert {name: table.get(name) for name in LIMITS} == LIMITS


def test_the_table_names_tests_that_are_there() -> None:
    named = [found for row in rows() for found in re.findall(r"`([\w/]+\.py)::(\w+)`", row[-1])]

    assert len(named) >= len(LIMITS)
    for path, name in named:
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(encoding="utf-8"), name


def of_bytes(size: int) -> bytes:
    """Return a record whose data has *size* bytes."""
    record = json.loads(envelope())
    record["data"]["more"] = ""
    room = size - len(json.dumps(record["data"]))
    record["data"]["more"] = "x" * room
    return json.dumps(record).encode()


def test_a_records_data_has_at_most_a_mebibyte() -> None:
    largest, larger = parsed(of_bytes(MAX_BYTES)), parsed(of_bytes(MAX_BYTES + 1))

    assert isinstance(largest, Snapshot)
    assert isinstance(larger, Reject)
    assert (larger.reason, larger.error) == ("too_large", "data: has 1048577 bytes: at most 1048576 are read")


def test_a_record_has_at_most_a_hundred_levels() -> None:
    assert isinstance(parsed(deep(MAX_LEVELS)), Snapshot)
    assert isinstance(parsed(deep(MAX_LEVELS + 1)), Reject)


def test_a_rules_file_has_at_most_ten_mebibytes(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    largest = b"####" + "\U0001f514".encode() * (yaml_file.MAX_BYTES // 4 - 1)  # fewer characters are sooner read
    path.write_bytes(largest)

    assert yaml_file.read(path, RulesFile, {}).model == RulesFile()
    path.write_bytes(largest + b"#")
    with pytest.raises(ConfigInvalid, match=r"rules.yaml: is larger than 10485760 bytes"):
        yaml_file.read(path, RulesFile, {})
