"""SQL from files: names become numbers, and a wrong name stops before anything is sent."""

import re

import pytest

from consumer.store import queries


def test_names_are_numbered_by_first_appearance() -> None:
    query = queries.NumberedStatement("x", "SELECT $1, $2", ("b", "a"))

    assert query.arguments({"a": 1, "b": 2}) == [2, 1]


@pytest.mark.parametrize("name", queries.names())
def test_a_statement_has_numbered_parameters_and_no_comments(name: str) -> None:
    query = queries.load(name)

    numbers = {int(number) for number in re.findall(r"\$([0-9]+)", query.sql)}
    assert numbers == set(range(1, len(query.parameters) + 1))
    assert len(set(query.parameters)) == len(query.parameters)
    assert not re.search(r"(?<![@\w])@[a-z]|--", query.sql)


@pytest.mark.parametrize("name", queries.names())
def test_a_file_holds_one_statement(name: str) -> None:
    assert ";" not in queries.load(name).sql.rstrip(";")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "missing ['a', 'b'], unknown []"),
        ({"a": 1}, "missing ['b'], unknown []"),
        ({"a": 1, "b": 2, "c": 3}, "missing [], unknown ['c']"),
    ],
)
def test_an_argument_too_many_or_too_few_is_our_mistake(given: dict[str, object], says: str) -> None:
    query = queries.NumberedStatement("deliveries/claim", "SELECT $1, $2", ("a", "b"))

    with pytest.raises(TypeError) as caught:
        query.arguments(given)

    assert str(caught.value) == f"deliveries/claim: {says}"


def test_a_statement_that_is_not_there_is_our_mistake() -> None:
    with pytest.raises(FileNotFoundError):
        queries.load("deliveries/nothing")
