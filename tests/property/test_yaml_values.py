"""A rules file reads the same by events as by nodes, whatever is in it and however it is written."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from consumer.commands import yaml_file
from consumer.commands.yaml_values import MAX_VALUES, NotPlain, of_events

ENVIRONMENT = {"NAME": "hush: [1"}
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "yes",
        "No",
        "~",
        "null",
        "1_000",
        "0x1f",
        "1:30",
        "1e3",
        "1.0",
        ".5",
        "-0",
        "=",
        "<<",
        "2026-11-30",
        "${NAME}",
        "$${",
        "a$b",
    ]
)
SCALARS = TEXTS | st.none() | st.booleans() | st.integers() | st.floats()
VALUES = st.recursive(
    SCALARS, lambda of: st.lists(of, max_size=4) | st.dictionaries(TEXTS, of, max_size=4), max_leaves=20
)


def by_nodes(text: str) -> Any:
    reader = yaml_file._Reader(ENVIRONMENT)  # noqa: SLF001 - what is read by events never comes to it
    found = reader.value(yaml.compose(text, Loader=yaml.SafeLoader))
    assert not reader.problems
    return found


@given(VALUES, st.sampled_from([None, True, False]), st.sampled_from([None, '"', "'", "|", ">"]))
def test_events_say_what_nodes_say(value: Any, is_flow: bool | None, style: str | None) -> None:
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - equal values would be anchors
            return True

    text = yaml.dump(value, Dumper=Plain, default_flow_style=is_flow, allow_unicode=True)
    if style is not None:
        text = yaml.dump({"a": str(value)}, default_style=style).replace("!!str ", "")

    assert repr(of_events(text, ENVIRONMENT)) == repr(by_nodes(text))


@given(VALUES)
def test_unquoted_texts_mean_by_events_what_they_mean_by_nodes(value: Any) -> None:
    text = f"a: [{value}]\nb: {value}\n"  # as Python writes it: often not YAML, or something else
    try:
        found = of_events(text, ENVIRONMENT)
    except (NotPlain, KeyError):
        return

    assert repr(found) == repr(by_nodes(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: &b 1",
        "a: *b",
        "&a {}",
        "- &a []",
        "a: !!str 1",
        "!!map {}",
        "- !!seq []",
        "&a a: 1",
        "!!str a: 1",
        "[a]: 1",
        "a: 1\na: 2",
        "a: 1\n---\nb: 2",
        "a: [",
        "\x7f",
        "[" * 100_000,
        "[" + "1," * MAX_VALUES + "]",
    ],
)
def test_what_is_rarer_is_left_to_nodes(text: str) -> None:
    with pytest.raises(NotPlain):
        of_events(text, ENVIRONMENT)
