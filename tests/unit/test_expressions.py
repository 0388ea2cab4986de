"""A template's expressions are read before the engine sees them: it gets names of ours, and no more."""

import pytest

from consumer.formats.expressions import BadExpression, Copy, SecretName, Source, read, read_condition, written


@pytest.mark.parametrize("text", ["", "plain", "{ x }", "a } } b", "100 %}", "}}", "ünï 😀"])
def test_a_text_without_an_opening_is_no_template(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{{ data.value.usage }}", ("data", "value", "usage")),
        ("{{data.value.usage}}", ("data", "value", "usage")),
        ("  {{ type }}\n", ("type",)),
        ("{{ data.lines[0].name }}", ("data", "lines", 0, "name")),
        ("{{ data['odd key'][\"a.b\"] }}", ("data", "odd key", "a.b")),
        ("{{ is_test }}", ("is_test",)),
    ],
)
def test_a_path_alone_is_a_copy(text: str, path: tuple[str | int, ...]) -> None:
    assert read(text) == Copy(path)


def test_a_path_is_written_as_people_do() -> None:
    assert written(("data", "lines", 0, "name")) == "data.lines[0].name"


@pytest.mark.parametrize(
    ("text", "source", "paths"),
    [
        ("Hi {{ data.a }}!", "Hi {{ v0 }}!", ["data.a"]),
        ("{{data.a}}{{ data.b }}{{ data.a }}", "{{ v0 }}{{ v1 }}{{ v0 }}", ["data.a", "data.b"]),
        ("{{- type -}} x", "{{- v0 -}} x", ["type"]),
        ("{{ type|upper }}", "{{ v0 | upper }}", ["type"]),
        ("{{ type|replace('}}', 'data.x') }}", "{{ v0 | replace ( '}}' , 'data.x' ) }}", ["type"]),
        ("{{ type|truncate(length=5) }}", "{{ v0 | truncate ( length = 5 ) }}", ["type"]),
        ("{{ 'a' if data.b is defined else none }}", "{{ 'a' if v0 is defined else none }}", ["data.b"]),
        ("{{ data.b is not none }}", "{{ v0 is not none }}", ["data.b"]),
        ("{{ data.b is not defined }}", "{{ v0 is not defined }}", ["data.b"]),
        ("{{ not type }}", "{{ not v0 }}", ["type"]),
        ('{{ type not in [\'a\', "b\\""] }}', '{{ v0 not in [ \'a\' , "b\\"" ] }}', ["type"]),
        (
            "{% if type %}a{%elif id -%}b{%- else %}c{% endif %}",
            "{% if v0 %}a{% elif v1 -%}b{%- else %}c{% endif %}",
            None,
        ),
        ("{{ true }}", "{{ true }}", []),
    ],
)
def test_a_path_within_a_text_becomes_a_name(text: str, source: str, paths: list[str] | None) -> None:
    found = read(text)

    assert isinstance(found, Source)
    assert " ".join(found.text.split()) == source
    if paths is not None:
        assert [written(path) for path in found.paths.values()] == paths


def test_a_comment_says_nothing() -> None:
    assert read("a{# {{ nope }} #}b") == Source("ab", {})


@pytest.mark.parametrize("text", ["{{ secrets.api_key }}", " {{secrets['api_key']}} "])
def test_a_secret_alone_is_a_hole(text: str) -> None:
    assert read(text) == SecretName("api_key")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x{{ secrets.api_key }}", "a secret is a whole text by itself"),
        ("{{ secrets.api_key|upper }}", "a secret is a whole text by itself"),
        ("{{ secrets }}", "write {{ secrets.name }}"),
        ("{{ secrets.a.b }}", "write {{ secrets.name }}"),
        ("{{ secrets[0] }}", "write {{ secrets.name }}"),
        ("{{ secrets['a b'] }}", "write {{ secrets.name }}"),
        ("{{ secrets." + "a" * 65 + " }}", "write {{ secrets.name }}"),
        ("{{ nope }}", "unknown name 'nope'; known: data, id,"),
        ("{{ v0 }}x", "unknown name 'v0'"),
        ("{{ self.x }} ", "unknown name 'self'"),
        ("{{ loop.index }}x", "unknown name 'loop'"),
        ("{{ type|foo }}", "unknown filter 'foo'; known: abs,"),
        ("{{ type|tojson }}", "unknown filter 'tojson'"),
        ("{{ type|a.b }}", "unknown filter 'a.b'"),
        ("{{ type is foo }}", "unknown test 'foo'"),
        ("{{ type is not foo }}", "unknown test 'foo'"),
        ("{{ data.clear() }}x", "unknown function 'data.clear'"),
        ("{{ range(10) }}", "unknown function 'range'"),
        ("{{ type.upper () }}", "unknown function 'type.upper'"),
        (
            "{% for x in data.lines %}{% endfor %}",
            "unknown statement 'for'; there are if, elif, else and endif, and no loops",
        ),
        ("{% set a = 1 %}", "unknown statement 'set'"),
        ("{% include 'a' %}", "unknown statement 'include'"),
        ("{% raw %}{% endraw %}", "unknown statement 'raw'"),
        ("{% %}", "unknown statement ''"),
        ("{% else type %}", "else takes nothing"),
        ("{{ type", "}} is missing"),
        ("{% if type", "%} is missing"),
        ("{% endif", "endif takes nothing"),
        ("{# never", "a comment {# has no end #}"),
        ("{{ 'open }}", 'unexpected "\'" in an expression'),
        ("{{ type }", "unexpected '}' in an expression"),
        ("{{ {'a': 1} }}", "unexpected '{' in an expression"),
        ("{{ type[:10] }}", "unexpected ':' in an expression"),
        ("{{ type; }}", "unexpected ';' in an expression"),
        ("{{ naïve }}", "unexpected 'ï' in an expression"),
        ("{{ type .x }}x", "unexpected '.' in an expression"),
        ("{{ data.a >= 100 }}", "data.a is a text, that keeps its digits: compare data.a|number"),
        ("{{ 100 < data.a }}", "compare data.a|number"),
        ("{{ data.a == 5 }}", "compare data.a|number"),
        ("{{ data.a < data.b }}", "compare data.a|number"),
        ("{{ data.a|number < data.b }}", "compare data.b|number"),
        ("{{ data.a < data.b|number }}", "compare data.a|number"),
        ("{{ data.a|trim(data.b) }}", "trim takes at most 16 characters, as a text: trim('/')"),
        ("{{ data.a|trim('aaaaaaaaaaaaaaaab') }}", "trim takes at most 16 characters"),
        ("{{ data.a|trim('a' ~ data.b) }}", "trim takes at most 16 characters"),
        ("{{ data.a|trim(", "}} is missing"),
        ("{{ data.a|trim( }}", "trim takes at most 16 characters"),
        ("{{ data.a|join('', data.b) }}", "join takes one text, to stand between: join(', ')"),
        ("{{ data.a|join(attribute=data.b) }}", "join takes one text"),
    ],
)
def test_what_templates_cannot_do_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadExpression) as refused:
        read(text)

    assert says in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ data.a|number >= 100 }}",
        "{{ 100 < data.a|number }}",
        "{{ data.a|number < data.b|number }}",
        "{{ data.a == data.b }}",
        "{{ data.a == '5' }}",
        "{{ data.a|length == 5 }}",
    ],
)
def test_a_comparison_that_means_what_it_says_is_fine(text: str) -> None:
    assert isinstance(read(text), Source)


@pytest.mark.parametrize(
    "text",
    [
        "{{ data.a|trim }}",
        "{{ data.a|trim() }}",
        "{{ data.a|trim('/, abcdefghijklm') }}",
        "{{ [data.a, data.b]|join(data.c)|trim }}",
    ],
)
def test_an_argument_that_a_filters_fuel_pays_for_is_fine(text: str) -> None:
    assert isinstance(read(text), Source)


def test_a_condition_is_an_expression() -> None:
    assert read_condition("type == 'a'") == Source("{% if v0 == 'a' %}1{% endif %}", {"v0": ("type",)})


@pytest.mark.parametrize(
    "text", ["{{ type }}", "type %}x", "type %}{% endif %}", "type }}", "nope", "data.a >= 1", "'"]
)
def test_a_condition_that_is_more_or_less_is_refused(text: str) -> None:
    with pytest.raises(BadExpression):
        read_condition(text)


@pytest.mark.parametrize(
    ("begin", "one", "end", "most"),
    [
        ("{{ ", "1+", "1 }}", 100),
        ("{{ ", "- ", "1 }}", 100),
        ("{{ ", "2**", "1 }}", 100),
        ("{{ ", "not ", "1 }}", 100),
        ("{{ ", "true and ", "1 }}", 100),
        ("{{ id", "|upper", " }}", 100),
        ("{{ ", "1 if ", "1 }}", 100),
        ("{% if true %}", "{% elif true %}", "{% endif %}", 100),
        ("{{ data", ".a", " }}", 32),
        ("{{ 1 + data", ".a", " }}", 32),
    ],
)
def test_recursion_in_an_expression_is_counted(begin: str, one: str, end: str, most: int) -> None:
    """The process would die of its stack."""
    read(begin + one * (most - 1) + end)
    with pytest.raises(BadExpression, match=rf" has at most {most} "):
        read(begin + one * (most + 1) + end)


def test_long_lists_and_texts_of_expressions_are_accepted() -> None:
    found = read("{{ id in [" + ", ".join(["'a'"] * 1_000) + "] }}" + "{{ id|upper }}" * 1_000)

    assert isinstance(found, Source)
    assert (found.text.count("'a'"), found.text.count("upper"), len(found.paths)) == (1_000, 1_000, 1)
