"""For how long a record may be read again, by its topic's configuration."""

import datetime as dt

import pytest

from consumer.consume.topics import SLACK, kept_for

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("config", "days"),
    [
        ({"retention.ms": str(7 * DAY_MS), "cleanup.policy": "delete"}, 7),
        # A segment goes when its newest record is old enough.
        ({"retention.ms": str(7 * DAY_MS), "segment.ms": str(2 * DAY_MS), "cleanup.policy": "delete"}, 9),
        ({"retention.ms": str(7 * DAY_MS), "cleanup.policy": "compact,delete"}, 7),
        ({"retention.ms": "0", "cleanup.policy": "delete"}, 0),
        ({"retention.ms": "-1", "cleanup.policy": "delete"}, None),
        ({"retention.ms": str(7 * DAY_MS), "cleanup.policy": "compact"}, None),
        ({"retention.ms": str(7 * DAY_MS), "cleanup.policy": ""}, None),
        # Longer than a date can say.
        ({"retention.ms": str(2**63 - 1), "cleanup.policy": "delete"}, None),
        # What the broker does not say is taken for the longest.
        ({}, None),
        ({"retention.ms": None, "cleanup.policy": None}, None),
    ],
)
def test_records_are_kept_as_long_as_the_topic_says_or_for_ever(
    config: dict[str, str | None], days: int | None
) -> None:
    assert kept_for(config) == (None if days is None else dt.timedelta(days=days) + SLACK)
