"""The rules file: everything has a key, keys are names, rules name channels of the same file."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.rules_file import Misfit, RulesFile, misfits


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


NO_KEY = "key is missing: by it `apply` finds the {} again"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        # right: a channel of another file, one that no rule names, the same key for a channel and a rule
        ([{"channels": [channel(), channel(key="unused")]}, {"rules": [rule(), rule(key="hook")]}], []),
        ([{}, {"namespace": "default"}], []),
        # a key that is missing, or names two things
        ([{"channels": [channel(key=None)]}], [Misfit(0, ("channels", 0), NO_KEY.format("channel"))]),
        (
            [{"channels": [channel()], "rules": [rule(), rule(key=None)]}],
            [Misfit(0, ("rules", 1), NO_KEY.format("rule"))],
        ),
        (
            [{"channels": [channel()]}, {"channels": [channel()]}],
            [Misfit(1, ("channels", 0, "key"), "duplicate key 'hook'", (0, ("channels", 0, "key")))],
        ),
        # a channel that is in none of the files
        ([{"rules": [rule()]}], [Misfit(0, ("rules", 0, "channels"), "no channel of this file has the key 'hook'")]),
        (
            [{"channels": [channel(key="hooks")]}, {"rules": [rule()]}],
            [
                Misfit(
                    1, ("rules", 0, "channels"), "no channel of these files has the key 'hook': did you mean 'hooks'?"
                )
            ],
        ),
        # several namespaces
        (
            [{}, {"namespace": "acme"}],
            [
                Misfit(
                    1,
                    ("namespace",),
                    "is 'acme', and 'default' in another file: apply one namespace at a time",
                    (0, ("namespace",)),
                )
            ],
        ),
        # what is wrong by itself is not looked at here
        (
            [
                None,
                {"namespace": 5, "channels": "hook", "rules": [3, rule(key=5), rule(key="a", channels="hook")]},
                {"channels": [channel()], "rules": [rule(key="b", channels=[5, "hook"])]},
            ],
            [],
        ),
    ],
)
def test_conflicts_are_found_across_any_number_of_files(files: list[Any], found: list[Misfit]) -> None:
    assert misfits(files) == found


@pytest.mark.parametrize("namespace", ["", "n" * 257, "a\x00b", None])
def test_a_namespace_is_a_name(namespace: object) -> None:
    with pytest.raises(ValidationError, match="namespace"):
        RulesFile.model_validate({"namespace": namespace})
