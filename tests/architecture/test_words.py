"""Plain English in names and prose: none of the words of the list, in any source, statement, test or page of ours."""

import pytest

from tests import shape

TEXTS = shape.texts(shape.sources())
AROUND = shape.texts_around()


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_has_none_of_the_words(name: str) -> None:
    assert [line.strip() for line in TEXTS[name].splitlines() if shape.has_word(line)] == []


def test_tests_deploy_and_their_pages_have_none_of_the_words() -> None:
    lines = [(name, line.strip()) for name, text in AROUND.items() for line in text.splitlines()]

    assert [(name, line) for name, line in lines if shape.has_word(line)] == []


def test_a_word_is_found_in_a_name_and_in_prose() -> None:
    text = "was_told = 1\n# Nobody knows\n-- customers do: `told`\n"

    assert shape.words({"x.py": text}) == {"x.py": 2}


def test_statements_are_read_but_for_frozen_migrations() -> None:
    assert "consumer/store/sql/outbox/write.sql" in TEXTS
    assert not [name for name in TEXTS if "migrations/0001_" in name]


def test_what_spells_the_words_as_data_is_not_read() -> None:
    assert AROUND.keys() >= {"tests/promises.md", "tests/conftest.py", "deploy/rules.yaml", "schemas/README.md"}
    assert shape.SPELT.isdisjoint(AROUND)


def test_the_words_of_the_contract_are_read_as_quoted() -> None:
    row = '| `notifyOn: ["triggered", "recovered"]` also tells … | `unit/test_judge.py::test_that_is_told` |'

    assert shape.QUOTED.sub("", row) == "`unit/test_judge.py::test_that_is_told` |"


def test_no_figure_of_the_shape_fails() -> None:
    assert any(line.startswith("complexity") for line in shape.report())
