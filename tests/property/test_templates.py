"""Any template with any event: valid JSON within its limits, or a clear refusal; and nothing else is reached."""

import json
import urllib.parse
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consumer.formats.document import EventTree
from consumer.formats.expressions import BadExpression, read
from consumer.formats.rendered import Rendered
from consumer.formats.template import Template, read_template
from consumer.formats.template_tree import MOST_PROBLEMS, TemplateProblem
from consumer.formats.template_writing import MOST_OUTPUT, CannotRender
from tests.support.payloads import NAMES, PAYLOADS, with_members

CANARY = "canary-of-another-event"
OTHER = with_members(PAYLOADS["invoice paid"], {"customer.name": CANARY, "number": CANARY})
PATHS = st.sampled_from(
    [
        *(
            "id",
            "type",
            "timestamp",
            "is_test",
            "data",
            "message",
            "message.title",
            "message.facts",
            "message.facts[1].value",
        ),
        *(
            "data.customer",
            "data.customer.name",
            "data.value.usage",
            "data.value",
            "data.nope",
            "data.nope.a[0]",
            "data['x y']",
        ),
        *(
            "data.threshold.value",
            "data.totals.total",
            "data.previousStatus",
            "data.lines[0].name",
            "data.crossing.alsoCrossed",
        ),
        *(
            "secrets.key",
            "secrets",
            "self",
            "loop",
            "cycler",
            "debug",
            "data.__class__",
            "data.clear",
            "v0",
            "namespace",
            "x",
        ),
    ]
)
FILTERS = st.sampled_from(
    [
        *(
            "upper",
            "e",
            "number",
            "grouped",
            "moment",
            "length",
            "default('x')",
            "replace('a', 'bb')",
            "truncate(length=3)",
        ),
        *(
            "join(',')",
            "round(2)",
            "int",
            "float",
            "indent(4)",
            "urlencode",
            "first",
            "foo",
            "tojson",
            "map('upper')",
            "attr('x')",
        ),
    ]
)
LITERALS = st.sampled_from(
    ["'a'", '"}}"', "1", "0.5", "true", "none", "['a', 'b']", "''", "'\\n'", "100000000", "'%}'", "'{{'"]
)
OPERATORS = st.sampled_from(
    ["~", "+", "-", "*", "/", "**", "//", "%", "==", "!=", "<", ">=", "and", "or", "in", "not in", "if"]
)
MARKUP = st.sampled_from(
    [*"{}%#-'\"()[].,|:~*", "{{", "}}", "{%", "%}", "{#", "#}", "for", "if", "set", "endif", " ", "data"]
)


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}|{}".format, inner, FILTERS),
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("{} if {} is defined else {}".format, inner, inner, inner),
        st.builds("not {}".format, inner),
        st.builds("{}()".format, inner),
    )


EXPRESSIONS = st.recursive(st.one_of(PATHS, LITERALS), larger, max_leaves=8)
TEXTS = st.one_of(
    st.builds("{{{{ {} }}}}".format, PATHS),
    st.lists(
        st.one_of(
            st.builds("{{{{ {} }}}}".format, EXPRESSIONS),
            st.builds("{{% if {} %}}{{{{ {} }}}}{{% endif %}}".format, EXPRESSIONS, EXPRESSIONS),
            st.text(max_size=5),
            MARKUP,
        ),
        max_size=6,
    ).map("".join),
)
SCALARS = st.one_of(TEXTS, st.integers(), st.booleans(), st.none(), st.decimals(allow_nan=False, allow_infinity=False))


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.one_of(st.text(max_size=4), st.sampled_from(["a", "when", "value", "\\when", "{{ type }}"]))
    guarded = st.builds(lambda when, rest: {"when": when, "value": rest}, st.one_of(EXPRESSIONS, TEXTS), inner)
    return st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4), guarded)


TREES = st.recursive(SCALARS, nested, max_leaves=12)
EVENTS = st.builds(
    with_members,
    st.sampled_from(sorted(PAYLOADS.values())),
    st.dictionaries(st.sampled_from(NAMES), st.one_of(TEXTS, st.text(max_size=20)), max_size=3),
)


def parsed(body: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(body.decode(), parse_constant=refuse, parse_float=str)


def rendered_or_refused(template: Template, event: bytes, *, is_test: bool) -> Rendered | CannotRender:
    try:
        return template.render(event, is_test=is_test)
    except CannotRender as refused:
        return refused


def say_why(problems: Sequence[TemplateProblem]) -> None:
    assert 0 < len(problems) <= MOST_PROBLEMS
    assert all(str(one).startswith("template") and "\n" not in one.text and one.text for one in problems)


@given(TREES, EVENTS, st.booleans())
def test_a_template_makes_valid_json_or_says_why_not(tree: object, event: bytes, is_test: bool) -> None:
    template = read_template(tree)
    if not isinstance(template, Template):
        say_why(template)
        return
    rendered = rendered_or_refused(template, event, is_test=is_test)
    rendered_or_refused(template, OTHER, is_test=False)
    if isinstance(rendered, CannotRender):
        assert str(rendered).startswith("template")
        assert rendered.problem
        return

    made = parsed(rendered.body)
    assert isinstance(made, dict | list)
    assert len(rendered.body) <= MOST_OUTPUT
    assert CANARY not in rendered.body.decode()
    assert b"built-in" not in rendered.body
    assert rendered_or_refused(template, event, is_test=is_test) == rendered
    assert {hole.name for hole in rendered.holes} <= template.secrets, "no customer's name pulls one out"
    for hole in rendered.holes:
        assert rendered.body[hole.position - 1 : hole.position + 1] == b'""'


@given(st.dictionaries(st.text(max_size=5), SCALARS, max_size=5), EVENTS)
def test_a_form_is_one_or_says_why_not(tree: dict[str, object], event: bytes) -> None:
    template = read_template(tree, "form")
    if not isinstance(template, Template):
        say_why(template)
        return
    rendered = rendered_or_refused(template, event, is_test=False)
    if isinstance(rendered, CannotRender):
        assert str(rendered).startswith("template")
        assert rendered.problem
        return

    assert rendered.body.isascii()
    assert len(urllib.parse.parse_qsl(rendered.body.decode(), keep_blank_values=True)) <= len(tree)


@given(TEXTS)
def test_the_engine_is_given_no_name_but_ours(text: str) -> None:
    try:
        found = read(text)
    except BadExpression:
        return
    paths = getattr(found, "paths", {})

    assert list(paths) == [f"v{n}" for n in range(len(paths))]
    assert all(path[0] in {"id", "type", "timestamp", "data", "message", "is_test"} for path in paths.values())


@given(EVENTS)
def test_a_document_gives_every_value_as_it_was_written(event: bytes) -> None:
    document = EventTree(event, is_test=False)
    whole = parsed(event)

    def compare(path: tuple[str | int, ...], value: object) -> None:
        raw = document.raw(path)
        assert raw is not None
        assert parsed(bytes(raw)) == value
        assert bytes(raw) in event
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, child in children:
            compare((*path, name), child)

    compare(("data",), whole["data"])
