"""A template's body is always valid JSON, or a clear refusal with the place; it reaches its event and nothing else."""

import gc
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from consumer.formats.rendered import Rendered, fill
from consumer.formats.template import Template, read_template
from consumer.formats.template_tree import TemplateProblem
from consumer.formats.template_writing import CannotRender
from schemas.channels import ContentType
from schemas.secret import Secret
from tests.support.payloads import PAYLOADS, with_members

EVENT = with_members(PAYLOADS["PERCENT triggered"], {"customer.name": "ACME <Inc.>", "customer.key": 'a"b\\c'})


def made(tree: object, content_type: ContentType = "json") -> Template:
    template = read_template(tree, content_type)
    assert isinstance(template, Template), template
    return template


def refused(tree: object, content_type: ContentType = "json") -> list[str]:
    problems = read_template(tree, content_type)
    assert isinstance(problems, list)
    return [str(problem) for problem in problems]


def body(tree: object, event: bytes = EVENT, *, is_test: bool = False) -> Any:
    return json.loads(made(tree).render(event, is_test=is_test).body, parse_float=Decimal)


def text(template: str, event: bytes = EVENT) -> Any:
    return body([template], event)[0]


def test_what_is_no_template_stays_as_it_is() -> None:
    tree = {"a": [1, Decimal("1.50"), True, False, None, "x", {}, [], "100 %}"], "b": {"c": {"d": 'é"\\'}}}

    assert body(tree) == tree
    assert made(tree).render(EVENT) == Rendered(made(tree).render(b"{}".replace(b"{}", EVENT)).body)


@pytest.mark.parametrize(
    "number", ["123456789012345678901234567890", "0.10000000000000000000000000000000000001", "1E+2", "12.30", "-0.0"]
)
def test_a_path_alone_copies_every_digit(number: str) -> None:
    event = EVENT.replace(b'"usage":100', b'"usage":' + number.encode())

    assert made(["{{ data.value.usage }}"]).render(event).body == f"[{number}]".encode()
    assert text("{{ data.value.usage }} used", event) == f"{number} used"


@pytest.mark.parametrize(
    ("dotted", "nested"), [("a.b", {"a": {"b": "2 {{ type }}"}}), ("a[0]", {"a": ["2 {{ type }}"]})]
)
def test_names_with_dots_and_brackets_are_not_paths(dotted: str, nested: Any) -> None:
    """Mailgun's `v:user.name`, OpenTelemetry's `service.name`: written as places, two texts have one name."""
    name, (member,) = json.loads(EVENT)["id"], nested

    found = body({dotted: "1 {{ id }}", **nested})

    assert found == {dotted: f"1 {name}", member: body(nested)[member]}


def test_a_path_alone_copies_whole_objects_and_nothings() -> None:
    event = with_members(EVENT, {"customer.metadata": {"list": [{"a": None}, 7]}})

    assert body({"c": "{{ data.customer.metadata }}", "a": "{{ data.customer.metadata.list[0].a }}"}, event) == {
        "c": {"list": [{"a": None}, 7]},
        "a": None,
    }
    assert text("{{ data.customer.metadata.list[1] }}!", event) == "7!"
    assert text("{{ data.customer.metadata }}!", event) == '{"list":[{"a":null},7]}!'
    assert text("<{{ data.customer.metadata.list[0].a }}>", event) == "<>"


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ data.customer.name }}: {{ data.value.usage }}", "ACME <Inc.>: 100"),
        ("{{ data.customer.name|e }} {{ data.customer.key }}", 'ACME &lt;Inc.&gt; a"b\\c'),
        ("{{ data.value.hasAccess }}, {{ is_test }}!", "false, false!"),
        ("{% if data.value.hasAccess %}yes{% else %}no{% endif %}\n", "no\n"),
        ("{{ 'much' if data.value.usage|number >= 100 else 'little' }}", "much"),
        ("{{ data.nope|default('none') }}", "none"),
        ("{{ data.nope.deeper[3].still|d('none') }}", "none"),
        ("{{ 'there' if data.customer.name is defined and data.nope is not defined }}", "there"),
        ("{{ message.title }}.", "ACME <Inc.> has reached 100 % of Sample feature."),
        ("{{ message.severity|upper }}", "CRITICAL"),
        ("{{ message.facts[0].label }}: {{ message.facts[0].value }}", 'Customer: ACME <Inc.> (a"b\\c)'),
        ("{{ timestamp|moment }} {{ data.threshold.value|grouped }}", "22 November 2026, 10:15 UTC 100"),
        ("{{ (data.value.usage|number / 3)|round(2) }}", "33.33"),
        ("{{ ['a', type]|join(' ') }}", "a entitlements.balance.threshold"),
        ("{{ 'value1:' }} ", "value1: "),  # never read as YAML
        ("{{ data['customer'][\"name\"] }}!", "ACME <Inc.>!"),
    ],
)
def test_a_text_is_rendered(template: str, shown: str) -> None:
    assert text(template) == shown


def test_a_test_is_known_to_the_template() -> None:
    assert body(["{{ is_test }}", "{{ message.title }}"], is_test=True) == [
        True,
        "Test: ACME <Inc.> has reached 100 % of Sample feature",
    ]


@pytest.mark.parametrize(
    "value", ["no", "12.30", "{}", "null", "{{ type }}", "</script>", "\u2028", "😀", "\x00", '",']
)
def test_a_value_is_never_markup_or_template(value: str) -> None:
    event = with_members(EVENT, {"customer.name": value})

    assert text("{{ data.customer.name }}", event) == value
    assert text("<{{ data.customer.name }}>", event) == f"<{value}>"


def test_when_leaves_members_and_items_out() -> None:
    tree = {
        "a": {"when": "data.value.usage|number > 100", "b": 1},
        "c": {"when": "data.value.usage|number >= 100", "value": "{{ type }}"},
        "d": [
            {"when": "data.nope", "value": 1},
            {"when": "data.customer.name", "value": [2]},
            3,
            {"when": "data.nope.deeper|number < 5", "value": 4},
            {"when": "not data.nope", "x": {"when": "type == 'x'"}, "y": 5},
        ],
        "\\when": "{{ type }}",
        "e": {"value": 6},
    }

    assert body(tree) == {
        "c": "entitlements.balance.threshold",
        "d": [[2], 3, {"y": 5}],
        "when": "entitlements.balance.threshold",
        "e": {"value": 6},
    }
    assert body({"a": {"when": "data.nope", "b": 1}}) == {}
    assert body([{"when": "data.nope", "b": 1}]) == []


def test_a_secret_is_a_hole_until_the_body_is_sent() -> None:
    event = with_members(EVENT, {"customer.name": "{{ secrets.key }}"})
    template = made({"é": "{{ data.customer.name }}", "k": ["{{ secrets.key }}", "{{ secrets.other }}"], "z": 1})

    rendered = template.render(event)

    assert template.secrets == {"key", "other"}
    assert json.loads(rendered.body) == {"é": "{{ secrets.key }}", "k": ["", ""], "z": 1}
    filled = fill(rendered.body, rendered.holes, {"key": Secret('"s"'), "other": Secret("t")})
    assert json.loads(filled) == {"é": "{{ secrets.key }}", "k": ['"s"', "t"], "z": 1}


def test_a_form_is_percent_encoded() -> None:
    tree = {
        "to": "{{ data.customer.name }}",
        "n": "{{ data.value.usage }}",
        "none": "{{ data.customer.none }}",
        "o:tag": "a {{ type }}&b",
        "yes": True,
        "empty": None,
        "gone": {"when": "data.nope", "value": 1},
        "price": Decimal("1.50"),
    }

    rendered = made(tree, "form").render(EVENT.replace(b'"customer":{', b'"customer":{"none":null,'))

    assert rendered.content_type == "application/x-www-form-urlencoded"
    assert rendered.body == (
        b"to=ACME+%3CInc.%3E&n=100&none=&o%3Atag=a+entitlements.balance.threshold%26b&yes=true&empty=&price=1.50"
    )


def test_a_form_takes_no_object_from_an_event() -> None:
    with pytest.raises(CannotRender, match=r"template\.a: a form has flat values only"):
        made({"a": "{{ data.customer }}"}, "form").render(EVENT)


@pytest.mark.parametrize(
    ("tree", "content_type", "says"),
    [
        ("{{ type }}", "json", "template: is not a tree"),
        (None, "json", "template: is not a tree"),
        (7, "json", "template: is not a tree"),
        ({"when": "type", "a": 1}, "json", "template.when: the whole body has no `when`"),
        ({"blocks": [{"text": "{{ type|foo }}"}]}, "json", "template.blocks[0].text: unknown filter 'foo'"),
        ({"a": [{"when": "nope", "b": 1}]}, "json", "template.a[0].when: unknown name 'nope'"),
        ({"a": {"when": "", "b": 1}}, "json", "template.a.when: "),
        ({"a": {"when": True, "b": 1}}, "json", "template.a.when: must be an expression"),
        ({"a": {"when": "\ud800", "b": 1}}, "json", "template.a.when: has half of a surrogate pair"),
        ({"a": {"when": "type", "value": "{{ }}"}}, "json", "template.a.value: "),
        ({"a": "{{ type + }}"}, "json", "template.a: unexpected"),
        ({"a": "{% if type %}x"}, "json", "template.a: unexpected end of input"),
        ({"a": "\ud800"}, "json", "template.a: has half of a surrogate pair"),
        ({"\udc00": 1}, "json", "template: a member's name must be a text"),
        ({7: 1}, "json", "template: a member's name must be a text"),
        ({"{{ type }}": 1}, "json", "template.{{ type }}: a member's name is not a template"),
        ({"a": 1, "\\a": 2}, "json", "template.\\a: is there twice"),
        ({"a": "x{{ secrets.k }}"}, "json", "template.a: a secret is a whole text by itself"),
        ([1], "form", "template: a form is an object of flat values"),
        ({"a": {"b": 1}}, "form", "template.a: a form has flat values only"),
        ({"a": [1]}, "form", "template.a: a form has flat values only"),
        ({"a": "{{ secrets.k }}"}, "form", "template.a: a form takes no secret"),
    ],
)
def test_what_is_no_template_is_refused_with_its_place(tree: object, content_type: ContentType, says: str) -> None:
    (problem,) = refused(tree, content_type)

    assert problem.startswith(says)
    assert "\n" not in problem


def test_every_problem_is_found_at_once_but_no_more_than_twenty() -> None:
    assert len(refused({"a": "{{ x }}", "b": ["{{ y }}"], "c": {"when": "z", "d": "{{ type|q }}"}})) == 4
    assert len(refused(["{{ x }}"] * 100)) == 20


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ([0] * 2_000, "template[1999]: the template has more than 2000 values"),
        (["{{ type }}!"] * 201, "template[200]: the template has more than 200 expressions"),
        ([{"when": "type", "a": 1}] * 201, "template[200].when: the template has more than 200 expressions"),
        (["x" * 40_000, "y" * 40_000, "z"], "template[1]: the template's texts have more than 65536 characters"),
        ({"a": {"when": "'" + "x" * 70_000 + "'", "b": 1}}, "template.a.when: the template's texts have more than"),
    ],
)
def test_a_template_that_is_too_large_is_refused(tree: object, says: str) -> None:
    (problem,) = refused(tree)

    assert problem.startswith(says)


def test_a_template_that_is_too_deep_is_refused() -> None:
    deep: object = 1
    for _ in range(31):
        deep = [deep]
    assert json.loads(made(deep).render(EVENT).body) == deep
    (problem,) = refused([[deep]])
    assert problem.endswith("is nested deeper than 32 levels")
    for _ in range(5_000):
        deep = {"a": deep}
    assert len(refused(deep)) == 1


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ data.nope }}", "template[0]: this event has no data.nope: give it |default"),
        ("x{{ data.nope.deeper }}", "template[0]: this event has no data.nope.deeper: give it |default"),
        ("x{{ data.customer.name[0] }}", "template[0]: this event has no data.customer.name[0]"),
        ("x{{ data.nope|grouped }}", "template[0]: this event has no data.nope"),
        ("{{ message.nope }}", "template[0]: this event has no message.nope"),
        ("{{ data.customer.name|number }}", "template[0]: takes a number"),
        ("{{ data.customer.name|moment }}", "template[0]: is not an RFC 3339 time"),
        ("{{ data.value.hasAccess|moment }}", "template[0]: moment: takes a time"),
        ("{{ data.value.hasAccess|number }}", "template[0]: takes a number"),
        ("{{ '1e99'|grouped }}", "template[0]: takes a number, and this one has more than 38"),
        ("{{ '1e99999999999999999999'|number }}", "template[0]: takes a number of at most 38 digits"),
        ("{{ type|number(1, 2) }}", "template[0]: "),
        ("{{ type|round }}", "template[0]: invalid operation"),
        ("{{ 1 // 0 }}", "template[0]: invalid operation"),
    ],
)
def test_what_an_event_lacks_is_said_with_the_place(template: str, says: str) -> None:
    with pytest.raises(CannotRender) as failed:
        made([template]).render(EVENT)

    assert str(failed.value).startswith(says)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("number", ["9" * 38, "-" + "8" * 38])
def test_a_whole_number_is_compared_exactly(number: str) -> None:
    less = number[:-1] + ("9" if number.startswith("-") else "8")
    template = "{{ '" + number + "'|number > '" + less + "'|number }}"

    assert text(template) == "true"
    assert text("{{ ('" + number + "'|number) ~ '' }}") == number


def test_a_number_beyond_the_engines_integers_is_a_float() -> None:
    assert text("{{ '9e38'|number > '9e37'|number }}") == "true"
    assert text("{{ '0.5'|number + 1 }}") == "1.5"


@pytest.mark.parametrize(
    "attack",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ 'a' * 1000 * 1000 * 1000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ ['a' * 900] * 900 }}",
        "{{ (['a' * 900] * 900)|join(',') }}",
        "{{ 'aaaaaaaaaa'" + "|replace('a', 'aaaaaaaaaa')" * 9 + " }}",
        "{{ 'a\n'|indent(1000000000) }}",
        "{{ [[[[1] * 100] * 100] * 100] * 100 }}",
        "{{ [1] * 100000 == [1] * 100000 }}",
        "{{ 2 ** 100000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
        "{% if type %}" * 3_000,
        "{{ 'x'|center(900000000) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ range(1000000000)|length }}",
        "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% set a = 'aa' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ data.__class__.__base__ }}",
        "{{ data.clear() }}",
        "{{ data.customer.pop('name') }}",
        "{{ debug() }}",
        "{{ namespace }}",
        "{{ self._TemplateReference__context }}",
        "{{ lipsum.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% extends 'template[0]' %}",
        "{% import 'x' as y %}",
        "{{ type|attr('__class__') }}",
        "{{ type|map('upper') }}",
        "{{ secrets|default('x') }}",
    ],
)
def test_an_attack_is_refused(attack: str) -> None:
    before = body(["{{ data }}"])
    template = read_template([attack, "{{ data }}"])

    if isinstance(template, Template):
        with pytest.raises(CannotRender):
            template.render(EVENT)
    assert body(["{{ data }}"]) == before


def test_a_body_has_an_end() -> None:
    event = with_members(EVENT, {"customer.name": "x" * 100_000})
    assert len(made(["{{ data.customer.name }}"] * 2).render(event).body) > 200_000

    with pytest.raises(CannotRender, match=r"template\[2\]: the body has more than 256 KiB"):
        made(["{{ data.customer.name }}"] * 3).render(event)
    with pytest.raises(CannotRender, match="the body has more than 256 KiB"):
        made(dict.fromkeys("abc", "{{ data.customer.name }}"), "form").render(event)
    with pytest.raises(CannotRender, match=r"template\[0\]: data.customer.name has more than 64 KiB"):
        made(["{{ data.customer.name }}!"]).render(event)
    with pytest.raises(CannotRender, match=r"template\[0\]: engine ran out of fuel$"):
        made(["\n{{ 'a\n'|indent(1000000000) }}"]).render(event)


def test_fuel_is_shared_out_among_the_texts_of_a_body() -> None:
    costly = "{{ ('a' * 100000)|length }}"

    assert text(costly) == "100000"
    with pytest.raises(CannotRender, match=r"template\[0\]: engine ran out of fuel"):
        made([costly] * 100).render(EVENT)


def test_one_event_leaves_nothing_to_the_next() -> None:
    template = made(["{{ data.customer.name|default('-') }}", {"when": "data.customer", "value": 1}])

    first = template.render(EVENT).body
    second = template.render(with_members(EVENT, {"customer": None})).body
    gc.collect()

    assert (json.loads(first), json.loads(second)) == (["ACME <Inc.>", 1], ["-"])
    assert template.render(EVENT).body == first


def test_what_is_not_an_event_is_not_rendered() -> None:
    with pytest.raises(msgspec.MsgspecError):
        made(["{{ type }}"]).render(b"[]")
    with pytest.raises(msgspec.MsgspecError):
        made(["{{ message.title }}"]).render(b'{"type":"x"}')


def test_a_problem_reads_as_its_place_and_what_is_wrong() -> None:
    assert str(TemplateProblem("template.a", "is wrong")) == "template.a: is wrong"
