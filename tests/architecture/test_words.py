"""Plain English in names and prose: none of the words of the list, in any source or statement of ours."""

import pytest

from tests import shape

TEXTS = shape.texts(shape.sources())


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_has_none_of_the_words(name: str) -> None:
    assert [line.strip() for line in TEXTS[name].splitlines() if shape.has_word(line)] == []


def test_a_word_is_found_in_a_name_and_in_prose() -> None:
    text = "was_told = 1\n# Nobody knows\n-- customers do: `told`\n"

    assert shape.words({"x.py": text}) == {"x.py": 2}


def test_statements_are_read_but_for_frozen_migrations() -> None:
    assert "consumer/store/sql/outbox/write.sql" in TEXTS
    assert not [name for name in TEXTS if "migrations/0001_" in name]


def test_no_figure_of_the_shape_fails() -> None:
    assert any(line.startswith("complexity") for line in shape.report())
