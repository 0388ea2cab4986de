"""What a model refused, as a person reads it: each mistake once, where it is."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.refusals import refusals, written
from schemas.rules import RuleConfig

RULE = {
    "type": "entitlements.balance.threshold",
    "name": "Quota",
    "channels": ["hook"],
    "thresholds": [{"type": "usage_value", "value": 1}],
}
BAD: list[tuple[dict[str, Any], list[str]]] = [
    # what is wrong with a member is said of the member, not of the list that is left without it
    ({"thresholds": [{"type": "usage_value", "value": "NaN"}]}, ["thresholds[0].value"]),
    ({"features": ["", "a"]}, ["features[0]"]),
    ({"channels": [1, "a"], "features": [2]}, ["features[0]", "channels[0]"]),
    # an empty list is too short
    ({"thresholds": []}, ["thresholds"]),
    # a check over several fields names the one to change
    ({"thresholds": [{"type": "usage_value", "value": 0}]}, ["thresholds[0].value"]),
    ({"notifyOn": ["recovered"]}, ["notifyOn"]),
    ({"emit": "highest", "rearm": "recovery"}, ["emit"]),
    # unknown fields first
    ({"channels": [], "chanels": ["a"]}, ["chanels", "channels"]),
]


@pytest.mark.parametrize(("wrong", "fields"), BAD, ids=",".join)
def test_each_mistake_is_named_once_where_it_is(wrong: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(RuleConfig).validate_python(RULE | wrong, by_alias=True, by_name=False)

    assert [written(one.place) for one in refusals(refused.value)] == fields
