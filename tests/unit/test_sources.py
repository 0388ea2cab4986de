"""Native records: what is derived, what stays unknown, and what the payload repeats."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.native import NativeValue, derived, read_native_snapshot
from schemas.reading import Rejected, RejectReason
from schemas.sources import Snapshot, check_consistent
from tests.support import parsing
from tests.support.factories import native_record, openmeter_record

NAMES = ("usage", "allowance", "balance", "overage")
AMOUNTS = st.decimals(-(10**37), 10**37, places=1)


def amounts(texts: tuple[str | None, ...]) -> NativeValue:
    known = {name: Decimal(text) for name, text in zip(NAMES, texts, strict=True) if text is not None}
    return NativeValue(**known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # usage, allowance, balance, overage
        # usage and allowance give both: never both above 0
        (("8100", "10000", None, None), ("8100", "10000", "1900", "0")),
        (("10000", "10000", None, None), ("10000", "10000", "0", "0")),
        (("11000", "10000", None, None), ("11000", "10000", "0", "1000")),
        (("0", "-5", None, None), ("0", "-5", "0", "5")),
        # one of the two is missing: what is given is not doubted, where it does not add up
        (("33.333", "100", "66.67", None), ("33.333", "100", "66.67", "0")),
        (("90", "100", "50", None), ("90", "100", "50", "0")),
        (("150", "100", "5", None), ("150", "100", "5", "0")),
        (("90", "100", None, "5"), ("90", "100", "0", "5")),
        (("125", "100", "-25", None), ("125", "100", "-25", "25")),
        (("90", "100", "-25", None), ("90", "100", "-25", "0")),
        (("33.333", "100", None, "-0.007"), ("33.333", "100", "66.667", "-0.007")),
        (("8100", "10000", "1900", None), ("8100", "10000", "1900", "0")),
        (("8100", "10000", None, "0"), ("8100", "10000", "1900", "0")),
        (("11000", "10000", "0", None), ("11000", "10000", "0", "1000")),
        (("11000", "10000", None, "1000"), ("11000", "10000", "0", "1000")),
        # the allowance is missing
        (("8100", None, "1900", "0"), ("8100", "10000", "1900", "0")),
        (("11000", None, "0", "1000"), ("11000", "10000", "0", "1000")),
        (("8100", None, "1900", None), ("8100", "10000", "1900", "0")),  # something left: not over
        (("11000", None, None, "1000"), ("11000", "10000", "0", "1000")),  # over: nothing left
        (("125", None, None, "25"), ("125", "100", "0", "25")),
        (("125", None, "-25", None), ("125", "100", "-25", "25")),  # below nothing: so much over
        (("125", None, "-25", "25"), ("125", "75", "-25", "25")),
        # more than one answer: it stays unknown
        (("8100", None, None, None), ("8100", None, None, None)),
        (("8100", None, "0", None), ("8100", None, "0", None)),
        (("8100", None, None, "0"), ("8100", None, None, "0")),
        # complete: as it came, even where it does not add up
        (("1", "2", "3", "0"), ("1", "2", "3", "0")),
        # every digit counts
        (("1" * 38, "0", None, None), ("1" * 38, "0", "0", "1" * 38)),
        (("1e-38", "1e38", None, None), ("1e-38", "1e38", "9" * 38 + "." + "9" * 38, "0")),
    ],
)
def test_what_is_absent_is_derived_where_that_leaves_one_answer(
    given: tuple[str | None, ...], expected: tuple[str | None, ...]
) -> None:
    assert derived(amounts(given)) == amounts(expected)


@given(st.builds(NativeValue, AMOUNTS, AMOUNTS, st.none() | AMOUNTS, st.none() | AMOUNTS))
def test_a_given_amount_is_kept_and_derived_ones_are_consistent(value: NativeValue) -> None:
    found = derived(value)

    for name in NAMES:
        assert getattr(value, name) in {None, getattr(found, name)}
    assert found.balance is not None
    assert found.overage is not None
    if value.balance is None and value.overage is None:
        assert found.allowance - found.usage == found.balance - found.overage  # type: ignore[operator]
    if None in {value.balance, value.overage}:
        assert min(found.balance, found.overage) <= 0
    if value.overage is None:
        assert found.overage >= 0


@pytest.mark.parametrize(
    ("balance", "overage", "is_consistent"),
    [
        ("1900", "0", True),
        ("0", "1000", True),
        ("0", "0", True),
        ("1", "1", False),
        ("0.000000001", "5", True),  # OpenMeter's tolerance
        ("0.0000000011", "5", False),
        ("-1", "5", True),
        (None, "5", True),
        ("5", None, True),
    ],
)
def test_balance_and_overage_are_not_both_above_zero(
    balance: str | None, overage: str | None, is_consistent: bool
) -> None:
    given = amounts(("0", None, balance, overage))

    if is_consistent:
        check_consistent(given.balance, given.overage)
        return
    with pytest.raises(Rejected) as caught:
        check_consistent(given.balance, given.overage)
    assert caught.value.reason is RejectReason.CONTRADICTORY


def read(of_event: str | None = None, /, **changed: Any) -> Snapshot:
    """The snapshot of a native record's data; members replaced, or taken away by `...`."""
    data = json.loads(native_record(8100, 10_000))["data"] | changed
    found = read_native_snapshot(
        json.dumps({name: member for name, member in data.items() if member is not ...}).encode(), subject=of_event
    )
    assert isinstance(found, Snapshot)
    return found


def test_a_payload_repeats_the_record_in_the_references_form() -> None:
    about = read().origin.about()

    assert about.feature == {"id": "f-1", "key": "llm_tokens"}
    assert about.subject == {"key": "acme-prod"}
    assert about.customer == {"id": "c-1", "key": "acme", "name": "ACME Inc."}
    assert about.entitlement == {
        "type": "metered",
        "id": "ent-1",
        "featureId": "f-1",
        "featureKey": "llm_tokens",
        "subjectKey": "acme-prod",
        "currentUsagePeriod": {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"},
    }
    assert about.value == {
        "usage": 8100,
        "balance": 1900,
        "overage": 0,
        "totalAvailableGrantAmount": 10_000,
        "hasAccess": True,
    }


def test_further_fields_reach_the_payload_as_they_are() -> None:
    period = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}

    about = read(
        feature={"key": "k", "unit": "tokens"},
        entitlement={"id": "e", "period": period, "plan": {"name": "pro"}, "currentUsagePeriod": "not this"},
        customer={"vat": "DE1"},
    ).origin.about()

    assert about.feature == {"key": "k", "unit": "tokens"}
    assert about.entitlement["plan"] == {"name": "pro"}
    assert about.entitlement["currentUsagePeriod"] == period
    assert about.customer == {"vat": "DE1"}


def test_what_is_null_is_absent() -> None:
    about = read(feature={"key": "k", "id": None, "unit": None}, customer={"id": None}, subject={}).origin.about()

    assert about.feature == {"key": "k"}
    assert about.customer is None
    assert about.subject is None


@pytest.mark.parametrize(
    ("subject", "of_event", "expected"),
    [
        ({"key": "s"}, "other", {"key": "s"}),
        # without one of its own, the CloudEvent's
        (..., "acme-prod", {"key": "acme-prod"}),
        (None, "acme-prod", {"key": "acme-prod"}),
        (..., None, None),
        (..., "", None),
    ],
)
def test_the_subject_is_the_records_own_or_the_cloudevents(
    subject: object, of_event: str | None, expected: dict[str, str] | None
) -> None:
    assert read(of_event, subject=subject).origin.about().subject == expected


@pytest.mark.parametrize(
    ("value", "has_access"),
    [
        ({"usage": 1, "allowance": 100}, True),
        ({"usage": 100, "allowance": 100}, False),  # nothing left
        ({"usage": 101, "allowance": 100}, False),
        ({"usage": 1}, True),  # not known to be over
        ({"usage": 101, "allowance": 100, "hasAccess": True}, True),  # a soft limit
        ({"usage": 1, "allowance": 100, "hasAccess": False}, False),
    ],
)
def test_access_is_as_given_or_whether_something_is_left(value: dict[str, object], has_access: bool) -> None:
    assert read(value=value).origin.about().value["hasAccess"] is has_access


def test_what_is_not_known_stays_out_of_the_payload() -> None:
    assert read(value={"usage": 1}).origin.about().value == {"usage": 1, "hasAccess": True}


def test_an_entitlements_own_times_are_read() -> None:
    period = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    times = {"activeFrom": "2026-11-05T00:00:00+01:00", "activeTo": "2026-11-20T00:00:00Z"}

    found = read(entitlement={"id": "e", "period": period, **times})

    assert [str(found.active_from), str(found.active_to)] == ["2026-11-04 23:00:00+00:00", "2026-11-20 00:00:00+00:00"]


def test_a_snapshot_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        read().usage = Decimal(0)  # type: ignore[misc]
    assert msgspec.structs.asdict(read())["usage"] == 8100


@pytest.mark.parametrize("record", [native_record(80), openmeter_record()])
def test_a_record_is_read_whole_once(record: bytes) -> None:
    origin = parsing.snapshot(record).origin

    assert origin.about() is origin.about()
