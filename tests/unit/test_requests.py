"""Bodies of calls that are neither a channel nor a rule."""

import datetime as dt

import pytest
from pydantic import BaseModel, ValidationError

from schemas.requests import RecoverRequest, RotateRequest

HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("body", "overlap"),
    [({}, 24 * HOUR), ({"overlap": "0s"}, 0 * HOUR), ({"overlap": "1h"}, HOUR), ({"overlap": "7d"}, 168 * HOUR)],
)
def test_the_secret_before_stays_valid_for_a_day_or_as_long_as_is_asked_for(
    body: dict[str, str], overlap: dt.timedelta
) -> None:
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
    ],
)
def test_what_cannot_be_meant_is_refused(model: type[BaseModel], body: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        model.model_validate(body)
