"""The rules file: everything has a key, keys are names, rules name channels of the same file."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.rules_file import RulesFile


def channel(**changed: Any) -> dict[str, Any]:
    return {"key": "hook", "type": "WEBHOOK", "name": "Hook", "url": "https://example.com", **changed}


def rule(**changed: Any) -> dict[str, Any]:
    thresholds = [{"type": "usage_percentage", "value": 80}]
    fixed = {"key": "quota", "type": "entitlements.balance.threshold", "name": "Quota", "channels": ["hook"]}
    return {**fixed, "thresholds": thresholds, **changed}


def test_an_empty_file_is_an_empty_default_namespace() -> None:
    assert RulesFile.model_validate({}) == RulesFile(namespace="default", channels=(), rules=())


def test_rules_may_share_channels_and_channels_may_have_no_rule() -> None:
    given = {
        "namespace": "acme-eu",
        "channels": [channel(), channel(key="unused")],
        "rules": [rule(), rule(key="second"), rule(key="hook")],
    }

    file = RulesFile.model_validate(given)

    assert [one.key for one in file.rules] == ["quota", "second", "hook"]
    assert [one.key for one in file.channels] == ["hook", "unused"]


@pytest.mark.parametrize(
    ("channels", "rules", "says"),
    [
        ([channel(key=None)], [], "channels[0]: key is missing: by it `apply` finds the channel again"),
        ([channel()], [rule(), rule(key=None)], "rules[1]: key is missing: by it `apply` finds the rule again"),
        ([channel(), channel()], [], "channels: key 'hook' stands 2 times; a key names one channel"),
        ([channel()], [rule(), rule(), rule()], "rules: key 'quota' stands 3 times; a key names one rule"),
        ([], [rule()], "rules[0].channels: no channel of this file has the key 'hook'"),
        ([channel()], [rule(), rule(key="b", channels=["hook", "x"])], "rules[1].channels: no channel of this file"),
    ],
)
def test_a_key_that_does_not_name_one_thing_is_refused(channels: list[Any], rules: list[Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RulesFile.model_validate({"channels": channels, "rules": rules})

    assert says in str(caught.value)


@pytest.mark.parametrize("namespace", ["", "n" * 257, "a\x00b", None])
def test_a_namespace_is_a_name(namespace: object) -> None:
    with pytest.raises(ValidationError, match="namespace"):
        RulesFile.model_validate({"namespace": namespace})
