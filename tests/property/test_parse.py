"""`parse` says what any bytes are, never raises, and what it accepts can be made an event of."""

import copy
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from consumer.consume.fast_path.glance import look
from schemas import events, times
from schemas.parse import Ignored, Reject, parse
from schemas.sources import Invoice, Snapshot, Unmetered
from tests.support import openmeter_examples
from tests.support.factories import native_record, openmeter_record
from tests.support.records import native_invoice, native_reset

TIME = "2026-11-22T10:15:30Z"
LATEST = dt.datetime(2026, 12, 31, tzinfo=dt.UTC)
VALID = (
    native_record(80),
    native_reset(),
    native_invoice("updated", data={"previousStatus": "draft"}),
    openmeter_record(),
    openmeter_examples.snapshot("reset"),
    openmeter_examples.created(),
    openmeter_examples.updated(),
)
TYPES = sorted({json.loads(value)["type"] for value in VALID})

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "1", "-0", "1e5", "NaN", "1_000", "٣", "a\x00b", "a\n", "2026-11-01T00:00:00Z", "0001-01-01T00:00:00Z"]
    ),
    st.sampled_from(["metered", "static", "delete", "default", "1.0", "\udc80", "9" * 60, "1e99999999999999999999"]),
)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.sampled_from([10**60, -(10**400), 1e300, 0.1]),
        TEXTS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)
# Times as producers may write them, and what comes near: other separators, cases, offsets, digits; days that are none.
SPELLINGS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(
            ["2026-11-22", "2026-11-22", "20261122", "2026-W47-7", "2026-02-30", "0001-01-01", "9999-12-31"]
        ),
        st.sampled_from(["T", "T", "t", " ", "", "_"]),
        st.sampled_from(["10:15:30", "10:15:30", "101530", "10:15", "23:59:60", "24:00:00"]),
        st.sampled_from(["", "", ".1", ".123456", ".1234567", ".999999999", ".", ",5", "." + "1" * 50]),
        st.sampled_from(
            ["Z", "Z", "z", "", "+00:00", "-00:00", "+0000", "-0500", "+05:30", "+05", "+24:00", "+00:00:30", "-23:59"]
        ),
        st.sampled_from(["", "", "", " ", "Z"]),
    ),
)
NAMES = st.sampled_from(
    ["specversion", "id", "source", "type", "subject", "data", "ce_specversion", "ce_id", "ce_type", "ce_source", "x"]
)
HEADERS = st.lists(
    st.tuples(NAMES, st.one_of(st.none(), st.binary(max_size=8), st.just(b"1.0"), st.just(b"tollbell.usage.snapshot"))),
    max_size=6,
)


def native(calculated_at: str) -> bytes:
    return native_record(80, calculated_at=calculated_at)


def openmeter_time(calculated_at: str) -> bytes:
    return openmeter_record(calculatedAt=calculated_at)


def said(source: Snapshot | Invoice) -> bytes:
    """Return what the payload of an event says of *source*."""
    return events.encode(source.origin.about() if isinstance(source, Snapshot) else source.origin.invoice())


def faults(value: bytes, headers: list[tuple[str, bytes | None]] | None = None) -> list[str]:
    """Parse twice; return what is wrong with the answer: nothing, for any bytes."""
    first, second = (parse(value, headers or [], latest=LATEST) for _ in range(2))
    found = []
    if isinstance(first, Snapshot | Invoice) and isinstance(second, Snapshot | Invoice):
        made = said(first)
        if not msgspec.json.decode(made) or made != said(second):
            found.append(f"what events say of it is {made!r}, or another time not")
        first, second = (msgspec.structs.replace(one, origin=VALID) for one in (first, second))  # lazy: not compared
    elif isinstance(first, Reject):
        if not (0 < len(first.error) <= 500 and first.error.isprintable()):
            found.append(f"no line for a person: {first.error!r}")
    elif not isinstance(first, Ignored | Unmetered):
        found.append(f"no answer that goes on: {first!r}")
    if first != second:
        found.append(f"{first!r}, and another time {second!r}")
    return found


def changed(record: Any, data: st.DataObject) -> Any:
    """*record* with a member, however deep, replaced or taken away."""
    at = record
    while True:
        name = data.draw(st.sampled_from(sorted(at)))
        if isinstance(at[name], dict) and at[name] and data.draw(st.booleans()):
            at = at[name]
            continue
        if data.draw(st.integers(0, 4)):
            at[name] = data.draw(JSON)
        else:
            del at[name]
        return record


@given(st.binary(max_size=200), HEADERS)
def test_any_bytes_are_understood_or_rejected(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    assert faults(value, headers) == []


@given(JSON, HEADERS)
def test_any_json_is_understood_or_rejected(value: object, headers: list[tuple[str, bytes | None]]) -> None:
    assert faults(json.dumps(value).encode(errors="surrogatepass"), headers) == []


@given(JSON, st.sampled_from(TYPES))
def test_any_data_of_a_type_of_ours_is_understood_or_rejected(data: object, kind: str) -> None:
    envelope = {"specversion": "1.0", "id": "1", "source": "s", "type": kind, "time": TIME, "data": data}
    value = json.dumps(envelope).encode()

    assert faults(value) == []
    assert not isinstance(parse(value, [], latest=LATEST), Ignored)


@given(st.sampled_from(VALID), st.integers(1, 3), st.data())
def test_a_record_with_changed_members_is_understood_or_rejected(
    value: bytes, changes: int, data: st.DataObject
) -> None:
    record = json.loads(value)
    for _ in range(changes):
        record = changed(copy.deepcopy(record), data) or record

    assert faults(json.dumps(record).encode()) == []


@given(st.sampled_from(VALID), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=3))))
def test_a_record_with_broken_bytes_is_understood_or_rejected(
    value: bytes, changes: list[tuple[float, int, bytes]]
) -> None:
    for where, taken, put in changes:
        at = round(where * len(value))
        value = value[:at] + put + value[at + taken :]

    assert faults(value) == []


@given(st.sampled_from(VALID), st.floats(0, 1, exclude_max=True))
def test_a_record_cut_off_is_rejected(value: bytes, where: float) -> None:
    cut = value[: int(where * len(value))]

    assert faults(cut) == []
    assert isinstance(parse(cut, [], latest=LATEST), Reject)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), st.sampled_from(["id", "name", "usage"]))
def test_a_rejection_never_repeats_what_it_rejects(text: str, member: str) -> None:
    canary = f"hush-hush {text}"
    record = json.loads(native_record(80))
    record["data"]["entitlement"]["type"] = canary
    record["data"][member] = canary

    value = json.dumps(record).encode()

    found = parse(value, [], latest=LATEST)

    assert faults(value) == []
    assert isinstance(found, Reject)
    assert "hush" not in found.error


@given(SPELLINGS, st.sampled_from([native, openmeter_time]))
def test_a_time_is_passed_over_at_a_glance_only_as_it_is_parsed(text: str, record: Callable[[str], bytes]) -> None:
    seen, parsed = look(record(text), ()), parse(record(text), [], latest=dt.datetime.max.replace(tzinfo=dt.UTC))

    assert seen is None or times.read(text) == seen.at
    if isinstance(parsed, Snapshot):
        assert seen is not None
        assert seen.at == parsed.calculated_at
    else:
        assert isinstance(parsed, Reject)
        assert seen is None or seen.at.year == 1


@given(st.one_of(SPELLINGS, SPELLINGS.flatmap(lambda text: st.permutations(text).map("".join))))
def test_a_time_in_small_letters_is_the_same_time(text: str) -> None:
    """Which is read the long way."""

    def read(text: str) -> object:
        try:
            return times.read(text)
        except ValueError as exc:
            return str(exc)

    assert read(text.replace("T", "t").replace("Z", "z")) == read(text)
