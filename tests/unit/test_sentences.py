"""The table of sentences: each one of the contract's section 3 has a test, and each test that is named is there."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LATER = "comes with the API"
_NAME = re.compile(r"`([a-z/_0-9]+\.py::[a-z_0-9]+)`")
# Behind a full stop a sentence begins: with a capital, code, a quotation or a parenthesis. A bold one goes on.
_END = re.compile(r"(?<=\.) (?=[A-Z`\"*(])")


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs, list items and table rows of *text*, each in one line; no headings, no comments."""
    found: list[str] = []
    is_open = False
    for line in text.splitlines():
        begins = line.startswith(("* ", "|"))
        if not line or line.startswith(("#", "<!--", "|--", "| type |")):
            is_open = False
        elif is_open and not begins:
            found[-1] += f" {line.strip()}"
        else:
            found.append(line.removeprefix("* ").strip("| "))
            is_open = True
    return [" ".join(one.split()) for one in found]


def sentences() -> list[str]:
    text = (TESTS / "contract.md").read_text(encoding="utf-8")
    return [sentence for one in paragraphs(text) for sentence in _END.split(one)]


def rows() -> list[tuple[str, str]]:
    """Return each row of the table: how its sentence begins, and what stands for it."""
    lines = (TESTS / "sentences.md").read_text(encoding="utf-8").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ") and "…" in line]
    return [(" ".join(begins.removesuffix("…").split()), tests) for begins, tests in cells]


SENTENCES, ROWS = sentences(), rows()


def defined(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_table_has_each_sentence_once_and_in_order() -> None:
    assert len(SENTENCES) > 50
    unlike = [
        (begins, sentence)
        for (begins, _), sentence in zip(ROWS, SENTENCES, strict=False)
        if not sentence.startswith(begins)
    ]

    assert unlike[:1] == []
    assert len(ROWS) == len(SENTENCES)


@pytest.mark.parametrize(("begins", "tests"), ROWS, ids=[begins[:40] for begins, _ in ROWS])
def test_a_sentence_has_a_test_that_is_there(begins: str, tests: str) -> None:
    named = [name.split("::") for name in _NAME.findall(tests)]

    assert len(begins) >= 10
    assert named or LATER in tests
    missing = [name for file, name in named if not (TESTS / file).exists() or name not in defined(TESTS / file)]
    assert missing == []
    assert all(name.startswith("test_") for _, name in named)
