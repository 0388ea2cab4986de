"""What a template may take of a process, whatever its event: beside its fuel, which `test_template` is about."""

import json
import sys
from types import FrameType

import pytest

from consumer.formats.template import Template, read_template
from consumer.formats.template_writing import CannotRender
from tests.support.payloads import PAYLOADS, with_members

EVENT = PAYLOADS["PERCENT triggered"]


def made(tree: object) -> Template:
    template = read_template(tree)
    assert isinstance(template, Template), template
    return template


def test_values_count_in_each_text_as_comparing_costs_no_fuel() -> None:
    event = with_members(EVENT, {"customer.name": "é" * 30_000})
    one = {"when": "data.customer.name == data.customer.name", "value": 1}

    assert json.loads(made([one] * 17).render(event).body) == [1] * 17
    with pytest.raises(
        CannotRender, match=r"template\[17\].when: all texts together take more than 1024 KiB of values"
    ):
        made([one] * 18).render(event)


def test_a_templates_places_for_secrets_are_limited() -> None:
    made(["{{ secrets.a }}"] * 20)

    problems = read_template(["{{ secrets.a }}"] * 22)

    assert isinstance(problems, list)
    assert [str(one) for one in problems] == ["template[20]: the template has more than 20 places for secrets"]


class Counted:
    """How many calls Python makes while it is the profiler: what stands in for time, alike on each machine."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _frame: FrameType, kind: str, _what: object) -> None:
        self.calls += kind in {"call", "c_call"}


MOST_CALLS = 60_000  # of 0.25 to 0.5 µs each, as measured: 30 ms at most, of the 50 that a body may take
# Where time goes that fuel does not bound: filters of ours, values that are looked up and read, JSON that is written.
# So much of each as a template has room for: 64 KiB of source, 200 texts, 2,000 values.
COSTLIEST = {
    "moment": ["{{ " + " ~ ".join(["timestamp|moment"] * 15) + " }}"] * 190,
    "number": ["{{ '9'" + "|number|string" * 48 + " }}"] * 90,
    "grouped": ["{{ " + " ~ ".join(["'1.5'|grouped"] * 48) + " }}"] * 80,
    "message": ["{{ message.title }} {{ message.text }} {{ message.facts[1].value }}"] * 200,
    "paths": ["{{ " + " ~ ".join(["data.customer.name"] * 13) + " }}"] * 200,
    "conditions": [{"when": "data.customer.name == data.customer.key", "value": 1}] * 200,
    "copies": ["{{ data.customer.name }}"] * 1_900,
    "constants": list(range(1_999)),
}


@pytest.mark.parametrize("source", COSTLIEST.values(), ids=COSTLIEST)
def test_what_fuel_does_not_bound_is_bound_by_the_templates_size(source: list[object]) -> None:
    template, counted = made(source), Counted()

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        template.render(EVENT)
    except CannotRender:
        pass
    finally:
        sys.setprofile(before)

    assert 1_000 < counted.calls < MOST_CALLS
