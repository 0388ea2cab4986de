"""Bodies of calls that are neither a channel nor a rule."""

import datetime as dt
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from consumer.serve import bodies
from consumer.serve.problems import ApiProblem
from schemas.requests import ExplainRequest, RecoverRequest, ResendFilter, ResendRequest, RotateRequest

HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("body", "overlap"),
    [({}, 24 * HOUR), ({"overlap": "0s"}, 0 * HOUR), ({"overlap": "1h"}, HOUR), ({"overlap": "7d"}, 168 * HOUR)],
)
def test_a_rotated_secret_stays_valid_for_a_day_or_as_asked(body: dict[str, str], overlap: dt.timedelta) -> None:
    assert RotateRequest.model_validate(body).overlap == overlap


def test_a_time_is_read_as_everywhere() -> None:
    wanted = RecoverRequest.model_validate({"since": "2026-11-22T11:15:30+01:00"})

    assert wanted.since == dt.datetime(2026, 11, 22, 10, 15, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("model", "body", "says"),
    [
        (RotateRequest, {"overlap": "8d"}, "must be at most 7d"),
        (RotateRequest, {"overlap": "soon"}, "must be a duration"),
        (RotateRequest, {"signingSecret": "short"}, "signing secret"),
        (RecoverRequest, {}, "Field required"),
        (RecoverRequest, {"since": 1}, "must be a text"),
        (RecoverRequest, {"since": "yesterday"}, "RFC 3339"),
        (ResendFilter, {"customer": None}, "must be a text"),
        (ResendFilter, {"channel": []}, "at least 1"),
        (ResendFilter, {"type": []}, "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(model: type[BaseModel], body: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        model.model_validate(body)


# (a body, what of it is too long)
TOO_LONG: list[tuple[dict[str, object], str]] = [
    ({"channels": ["c"] * 1001}, "channels: has 1001 members"),
    ({"channels": dict.fromkeys(map(str, range(1001)))}, "channels: has 1001 members"),
    (dict.fromkeys(map(str, range(1001))), "the body: has 1001 members"),
]


@pytest.mark.parametrize(("body", "says"), TOO_LONG)
def test_no_list_or_object_has_more_than_a_thousand_members(body: dict[str, Any], says: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        bodies.fit(ResendRequest, body)

    assert (caught.value.status, caught.value.detail) == (400, f"{says}: none here has more than 1000")
    assert len(caught.value.faults) == 1


def test_a_record_may_have_as_many_members_as_it_likes() -> None:
    record = dict.fromkeys(map(str, range(5000)))

    assert bodies.fit(ExplainRequest, {"record": record}, free=("record",)).record == record
