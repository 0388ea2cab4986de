"""Whatever a receiver writes there is a wait of at most an hour, or none; an exception would lose the attempt."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from consumer.decide import retry_after
from consumer.decide.outcome import Outcome, OutcomeClass

NUMBERS = st.integers()
SPLINTERS = st.one_of(
    st.text(max_size=4), NUMBERS.map(str), st.sampled_from(["Sun,", "Nov", "GMT", "+", "-", ":", " "])
)
HEADERS = st.one_of(
    st.text(),
    st.lists(SPLINTERS, max_size=14).map("".join),
    st.builds("Sun, {} Nov {} {}:{}:{} {}".format, *[NUMBERS] * 5, SPLINTERS),
)


@given(HEADERS)
def test_a_wish_is_an_hour_at_most_or_none(header: str) -> None:
    answered = Outcome(
        kind=OutcomeClass.STATUS,
        started_at=dt.datetime(2026, 11, 22, tzinfo=dt.UTC),
        duration_ms=1,
        status=503,
        retry_after=header,
    )

    wish = retry_after.asked(answered)

    assert wish is None or dt.timedelta() <= wish <= retry_after.LONGEST
