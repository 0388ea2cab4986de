"""Where a percentage is decided in the last digit: from bytes to what fires."""

import datetime as dt

import pytest

from consumer.decide.judge import judge
from consumer.decide.model import UNSEEN
from schemas.parse import parse
from schemas.sources import Snapshot
from tests.support.factories import make_rule, native_record, openmeter_record

LATEST = dt.datetime(2026, 12, 31, tzinfo=dt.UTC)


def openmeter(usage: str, allowance: str) -> bytes:
    return openmeter_record(f'{{"usage": {usage}, "totalAvailableGrantAmount": {allowance}, "hasAccess": true}}')


# (record, whether usage has reached 100 % of the allowance)
RECORDS = [
    # What OpenMeter sends are binary floats: eight tenths, counted in steps of a tenth, is the whole of 0.8.
    (openmeter("0.7999999999999999", "0.8"), True),
    (openmeter("99.99999999999999", "100"), True),
    (openmeter("99.9999999", "100"), False),
    # What others send is exact: what is less is less.
    (native_record("0.7999999999999999", "0.8"), False),
    (native_record("99.99999999999999", "100"), False),
    (native_record("0.8", "0.8"), True),
    # Multiplied, never divided; beyond what a float or 28 digits would distinguish.
    (native_record(10**30 - 1, 10**30), False),
    (native_record(10**30, 10**30), True),
    (native_record('"' + "9" * 37 + "8" + '"', '"' + "9" * 38 + '"'), False),
]


@pytest.mark.parametrize(("record", "is_reached"), RECORDS)
def test_100_percent_is_exact_but_for_floats(record: bytes, *, is_reached: bool) -> None:
    """A float reaches it by being nearly there."""
    snapshot = parse(record, [], latest=LATEST)
    assert isinstance(snapshot, Snapshot)

    judgement = judge([make_rule(percents=[100])], snapshot, UNSEEN)

    assert bool(judgement.occurrences) is is_reached
