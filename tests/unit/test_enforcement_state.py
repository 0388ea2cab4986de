"""Which of what has fired still counts: what the rule has now."""

from typing import Any

import pytest

from deploy.enforcement import access

ITEM = {
    "threshold": {"type": "usage_percentage", "value": 100},
    "feature": {"id": "f-1", "key": "llm_tokens"},
}


@pytest.mark.parametrize(
    ("rule", "has"),
    [
        ({"thresholds": [{"type": "usage_percentage", "value": 100}]}, True),
        ({"thresholds": [{"type": "PERCENT", "value": "1e2"}], "features": None}, True),
        ({"thresholds": [{"type": "usage_percentage", "value": 120}]}, False),
        ({"thresholds": [{"type": "usage_value", "value": 100}]}, False),
        ({"thresholds": [{"type": "PERCENT", "value": 100}], "features": [{"id": "f-1", "key": "renamed"}]}, True),
        ({"thresholds": [{"type": "PERCENT", "value": 100}], "features": [{"id": "", "key": "llm_tokens"}]}, True),
        ({"thresholds": [{"type": "PERCENT", "value": 100}], "features": [{"id": "", "key": "storage"}]}, False),
    ],
)
def test_what_a_rule_still_has_is_known_by_value_and_name(rule: dict[str, Any], has: bool) -> None:
    assert access.still_has(rule, ITEM) is has


@pytest.mark.parametrize("rule", [{}, {"thresholds": [{"type": "PERCENT", "value": "x"}]}, {"thresholds": 1}])
def test_a_rule_that_is_not_as_documented_is_unreadable(rule: dict[str, Any]) -> None:
    with pytest.raises(access.Unreadable, match="not a rule or state as documented"):
        access.still_has(rule, ITEM)
