"""OpenMeter's records: the payload's parts, in the form of its API's models."""

import datetime as dt
from typing import Any

import pytest

from schemas.events import encode
from schemas.parse import parse
from schemas.sources import About, Snapshot
from tests.support.factories import OPENMETER_ENTITLEMENT, openmeter_record

LATEST = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)


def about(value: str = "", **data: Any) -> About:
    found = parse(openmeter_record(value, **data), (), latest=LATEST)
    assert isinstance(found, Snapshot), found
    return found.origin.about()


def entitlement(**changed: Any) -> dict[str, Any]:
    return about(entitlement={**OPENMETER_ENTITLEMENT, **changed}).entitlement


def test_the_entitlement_is_the_apis_model() -> None:
    assert about().entitlement == {
        "id": "01J5WM25BAXSCBKG2D9NDYJB6S",
        "type": "metered",
        "featureId": "01J5WKAM9FJ4621ARR641JS17Q",
        "featureKey": "llm_tokens",
        "subjectKey": "acme-prod",
        "createdAt": "2026-07-15T09:00:00Z",
        "updatedAt": "2026-07-15T09:00:00Z",
        "activeFrom": "2026-07-15T09:00:00Z",
        "isSoftLimit": False,
        "isUnlimited": False,
        "issueAfterReset": 10_000,
        "issueAfterResetPriority": 1,
        "preserveOverageAtReset": False,
        "lastReset": "2026-08-01T00:00:00Z",
        "measureUsageFrom": "2026-08-01T00:00:00Z",
        "usagePeriod": {"anchor": "2026-08-01T00:00:00Z", "interval": "MONTH", "intervalISO": "P1M"},
        "currentUsagePeriod": {"from": "2026-08-01T00:00:00Z", "to": "2026-09-01T00:00:00Z"},
    }


def test_the_value_is_repeated_with_every_digit_that_came() -> None:
    text = '{"usage": 99.99999999999999, "balance": 1E-12, "overage": 0.0, "totalAvailableGrantAmount": 100}'

    value = about(text).value

    assert encode(value) == (
        b'{"balance":1E-12,"usage":99.99999999999999,"overage":0.0,"totalAvailableGrantAmount":100,"hasAccess":false}'
    )


@pytest.mark.parametrize(
    ("value", "repeated"),
    [
        # no hasAccess means false: Go leaves false out
        ('{"usage": 5}', {"usage": 5, "hasAccess": False}),
        ('{"usage": 5, "hasAccess": true}', {"usage": 5, "hasAccess": True}),
        ('{"usage": 5, "hasAccess": null}', {"usage": 5, "hasAccess": False}),
        ("{}", {"hasAccess": False}),
        # what is not known stays out, and so do unknown members
        ('{"balance": null, "config": "x"}', {"hasAccess": False}),
    ],
)
def test_of_the_value_what_is_absent_stays_out(value: str, repeated: dict[str, object]) -> None:
    assert about(value).value == repeated


def test_feature_subject_and_customer_keep_the_apis_fields_alone() -> None:
    found = about()

    assert found.feature == {
        "id": "01J5WKAM9FJ4621ARR641JS17Q",
        "key": "llm_tokens",
        "name": "LLM tokens",
        "meterSlug": "tokens_total",
        "createdAt": "2026-07-01T08:00:00Z",
        "updatedAt": "2026-07-01T08:00:00Z",
    }
    assert found.subject == {
        "id": "",
        "key": "acme-prod",
        "createdAt": "0001-01-01T00:00:00Z",
        "updatedAt": "0001-01-01T00:00:00Z",
    }
    assert found.customer == {
        "id": "01J5WZ3M2A7Q9R4T6V8X0Y1Z2B",
        "key": "acme",
        "name": "ACME Inc.",
        "createdAt": "2026-07-15T08:00:00Z",
        "updatedAt": "2026-07-15T08:00:00Z",
        "usageAttribution": {"subjectKeys": ["acme-prod"]},
    }


def test_an_entitlement_alone_gives_the_names_that_it_can() -> None:
    found = about(feature=None, subject=None, customer=None)

    assert found.feature == {"id": "01J5WKAM9FJ4621ARR641JS17Q", "key": "llm_tokens"}
    assert (found.subject, found.customer) == (None, None)
    assert found.entitlement["subjectKey"] == ""


@pytest.mark.parametrize(
    ("interval", "named"),
    [
        ("P1D", "DAY"),
        ("P1W", "WEEK"),
        ("P7D", "WEEK"),
        ("P1M", "MONTH"),
        ("P1Y", "YEAR"),
        ("P3M", "P3M"),  # the API's enum has no word for it
        ("PT1H", "PT1H"),
    ],
)
def test_an_interval_is_named_as_in_the_api(interval: str, named: str) -> None:
    recurrence = {"value": {"interval": interval, "anchor": "2026-08-01T00:00:00Z"}}

    period = entitlement(usagePeriod={"recurrences": [{"value": {"interval": "P1D", "anchor": "x"}}, recurrence]})

    assert period["usagePeriod"] == {"anchor": "2026-08-01T00:00:00Z", "interval": named, "intervalISO": interval}


@pytest.mark.parametrize(
    "usage_period",
    [
        None,
        5,
        "x",
        [],
        {},
        {"recurrences": None},
        {"recurrences": "abc"},
        {"recurrences": []},
        {"recurrences": {"a": 1}},
        {"recurrences": [1]},
        {"recurrences": [{}]},
        {"recurrences": [{"value": None}]},
        {"recurrences": [{"value": {"interval": "P1M"}}]},
        {"recurrences": [{"value": {"interval": 5, "anchor": "x"}}]},
        {"recurrences": [{"value": {"interval": "monthly", "anchor": "x"}}]},
    ],
)
def test_a_usage_period_of_another_form_is_omitted(usage_period: object) -> None:
    assert "usagePeriod" not in entitlement(usagePeriod=usage_period)


@pytest.mark.parametrize(
    ("changed", "active_from"),
    [
        ({}, "2026-07-15T09:00:00Z"),  # created
        ({"activeFrom": "2026-07-20T00:00:00Z"}, "2026-07-20T00:00:00Z"),
        ({"createdAt": None}, None),
    ],
)
def test_an_entitlement_is_active_from_its_creation_by_default(
    changed: dict[str, Any], active_from: str | None
) -> None:
    assert entitlement(**changed).get("activeFrom") == active_from
