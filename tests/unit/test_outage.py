"""A wait is said when it begins, ever more rarely while it lasts, and once when it is over."""

import logging

import pytest

from consumer import log
from consumer.patience import Outage


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    return [(one.getMessage(), getattr(one, "fields", {}).get("waited_s")) for one in caplog.records]


def test_a_wait_of_an_hour_tried_each_second_has_few_lines(now: list[float], caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(log.get("tests"), "consume")

    with caplog.at_level(logging.INFO, logger="tollbell"):
        for _ in range(3601):
            outage.met("no broker")
            now[0] += 1
        outage.over()
        outage.over()

    again = [60, 180, 420, 900, 1500, 2100, 2700, 3300]
    assert said(caplog) == [
        ("consume.waiting", None),
        *(("consume.waiting", seconds) for seconds in again),
        ("consume.resumed", 3601),
    ]


def test_the_next_wait_is_said_at_once(now: list[float], caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(log.get("tests"), "consume")

    with caplog.at_level(logging.INFO, logger="tollbell"):
        outage.met("no broker")
        outage.over()
        now[0] += 1
        outage.met("no answer")

    assert [event for event, _ in said(caplog)] == ["consume.waiting", "consume.resumed", "consume.waiting"]
