"""No template takes a process longer than 50 ms, whatever its event: by its fuel, and what fuel does not bound.

In CPU time of the thread, the median of some: a busy machine makes that longer by little. `SLACK` is for slow ones, and
for a tracer; what fuel misses takes a second.
"""

import contextlib
import itertools
import statistics
import time
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.formats.expressions import FILTERS
from consumer.formats.template import FUEL, LEAST_FUEL, MOST_VALUE, Template, read_template
from consumer.formats.template_tree import MOST_SOURCE, MOST_TEMPLATES
from consumer.formats.template_writing import CannotRender
from tests.support.payloads import PAYLOADS, with_members

EVENT: Final = PAYLOADS["PERCENT triggered"]
MOST_SECONDS: Final = 0.050
SLACK: Final = 3
REPEATED: Final = 5
NAME, KEY = "data.customer.name", "data.customer.key"
PATHS = st.sampled_from([NAME, KEY, "data", "timestamp", "message.text", "type"])
LITERALS = st.sampled_from(["'a'", "''", "'ab'", "'aaaaaaaab'", "'Σ'", "9", "1000", "0.5", "['a', 'b']", "true"])
ARGUMENTS = st.one_of(PATHS, LITERALS, st.sampled_from(["'Σ' * 3000", "3, true, true"]))
CALLS = st.builds(
    lambda name, given: f"{name}({', '.join(given)})" if given else name,
    st.sampled_from(sorted(FILTERS)),
    st.lists(ARGUMENTS, max_size=3),
)
OPERATORS = st.sampled_from(["~", "+", "*", "**", "%", "//", "==", "<", "in", "and", "or"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}|{}".format, inner, CALLS),
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{} is endingwith {}".format, inner, inner),
    )


EXPRESSIONS = st.recursive(st.one_of(PATHS, LITERALS), larger, max_leaves=6)
# What filters walk through, look into, let grow, and read; long, or of a length that 200 texts may have each.
SHAPES = st.sampled_from(["a", "ba", "ab", "é", "Σ", "İ", "ΐ", "😀", "9", " ", "<", "\\n", "e\u0301"])
SIZES = st.sampled_from([38, 1_000, 5_000, 30_000, MOST_VALUE - 1_000])


def long(shape: str, size: int) -> str:
    """Return *size* bytes: the half of each letter of *shape*, one after the other."""
    each = size // len(shape.encode())
    return "".join(letter * each for letter in shape)


VALUES = st.builds(long, SHAPES, SIZES)


def filled(expression: str, texts: int) -> list[object]:
    """Return a template of so many *texts* that say *expression* as often as there is room for."""
    one = f"{{{{ {expression} }}}}"
    times = MOST_SOURCE // texts // len(one)
    return [one * times] * texts


def measured(template: Template, event: bytes) -> float:
    """Return the seconds of CPU that a body takes; a template that is out of fuel took as long as it may."""
    taken = []
    for _ in range(REPEATED):
        before = time.thread_time()
        with contextlib.suppress(CannotRender):
            template.render(event)
        taken.append(time.thread_time() - before)
        if taken[-1] < MOST_SECONDS:
            break
    return statistics.median(taken)


def takes(source: list[object], name: str = "a", key: str = "b") -> float | None:
    """Return what a body of *source* takes; None where that is refused."""
    template = read_template(source)
    if not isinstance(template, Template):
        return None
    return measured(template, with_members(EVENT, {"customer.name": name, "customer.key": key}))


# Those that took longest of all that were tried: each character of a text looked for in another, an attribute of each.
@example(f"{NAME}|trim({NAME})", 1, long("ba", 64_000), "")
@example(f"{NAME}|join('', {NAME})", 1, long("a", 64_000), "")
@example(f"{NAME}|lower", 200, long("Σ", 5_000), "")
@example(f"{NAME}|trim('{'a' * 15}b')", 1, long("b", 64_000), "")
@example(f"{NAME} in {KEY}", 1, long("ba", 30_000), long("ab", 64_000))
@given(EXPRESSIONS, st.sampled_from([1, 20, MOST_TEMPLATES]), VALUES, VALUES)
def test_no_template_takes_a_process_longer_than_it_may(expression: str, texts: int, name: str, key: str) -> None:
    seconds = takes(filled(expression, texts), name, key)

    assert seconds is None or seconds < MOST_SECONDS * SLACK


@pytest.mark.parametrize("texts", [1, 40, MOST_TEMPLATES])
@pytest.mark.parametrize("name", ["lower", "title", "capitalize", "upper", "replace('Σ', 'x')", "join"])
def test_texts_that_a_template_makes_itself_take_no_longer(name: str, texts: int) -> None:
    """Of the longest text that fuel lets it make: one that is out of fuel at once takes nothing."""
    enough = itertools.takewhile(lambda size: takes_whole(name, texts, size), range(500, 60_000, 500))

    longest = max(enough, default=500)

    seconds = takes([f"{{{{ ('Σ' * {longest})|{name}|length }}}}"] * texts)
    assert seconds is not None
    assert seconds < MOST_SECONDS * SLACK


def takes_whole(name: str, texts: int, size: int) -> bool:
    template = read_template([f"{{{{ ('Σ' * {size})|{name}|length }}}}"] * texts)
    assert isinstance(template, Template)
    try:
        template.render(EVENT)
    except CannotRender:
        return False
    return True


@given(st.integers(1, MOST_TEMPLATES))
def test_all_texts_of_a_body_have_a_bounded_fuel(texts: int) -> None:
    template = read_template(["{{ type|upper }}"] * (texts - 1) + [{"when": "type", "value": 1}])

    assert isinstance(template, Template)
    assert template.engine.fuel == template.deciding.fuel
    assert texts * (template.engine.fuel or 0) <= max(FUEL, LEAST_FUEL * MOST_TEMPLATES)
