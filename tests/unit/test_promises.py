"""The table of promises: each is in its page, word for word, and has tests that are there; none is left out."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PAGES = ("README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))
_NAME = re.compile(r"`([a-z/_0-9]+\.py)::([a-z_0-9]+)`")
# Sentences with "never" that promise nothing of the service: what others do, what operators should, what was measured.
NO_PROMISES = (
    "A field never changes its type or meaning",  # of releases to come
    "of which each fires, every fourth of an entitlement never seen before",
    "with 10 of 50 channels never answering",
    "the replica that was never killed",
    "one deployment for each consumer group and database, never two",
    "Of a period that never ends: its deletion",
)


def words(text: str) -> str:
    """Return *text* in one line: pages break lines where they like."""
    return " ".join(text.split())


def rows() -> list[tuple[str, str, str]]:
    """Return each promise with its page before it and its tests behind."""
    found = []
    for line in (TESTS / "promises.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and ".md |" in line:
            page, rest = line.strip("| ").split(" | ", 1)
            promise, tests = rest.rsplit(" | ", 1)
            found.append((page, promise, tests))
    return found


ROWS = rows()


def sentences(page: str) -> list[str]:
    """Return the sentences and cells of *page*, without its code blocks."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    blocks = re.split(r"\n\n|\n(?=[|*] )", text)
    return [one for block in blocks for one in re.split(r"(?<=[.:;]) | \| ", words(block))]


def defined(file: str) -> set[str]:
    path = TESTS / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_there_are_many_and_none_twice() -> None:
    assert len(ROWS) >= 60
    assert len({(page, promise) for page, promise, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("page", "promise", "tests"), ROWS, ids=[f"{page}: {said[:40]}" for page, said, _ in ROWS])
def test_a_promise_is_in_its_page_and_its_tests_are_there(page: str, promise: str, tests: str) -> None:
    named = _NAME.findall(tests)

    assert len(promise) >= 12
    assert promise in words((ROOT / page).read_text(encoding="utf-8"))
    assert named
    assert [f"{file}::{name}" for file, name in named if name not in defined(file)] == []


def test_each_guarantee_of_the_architecture_has_a_row() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("\n## ")[0]
    guarantees = re.findall(r"^\* (\*\*.+?\*\*)", text, re.MULTILINE)

    assert len(guarantees) >= 8
    assert [one for one in guarantees if not any(one in promise for _, promise, _ in ROWS)] == []


@pytest.mark.parametrize("page", PAGES)
def test_each_sentence_with_never_has_a_row(page: str) -> None:
    held = [promise for of, promise, _ in ROWS if of == page]
    said = [one for one in sentences(page) if re.search(r"\bnever\b", one, re.IGNORECASE)]

    kept = [one for one in said if any(promise in one or one in promise for promise in (*held, *NO_PROMISES))]
    assert [one for one in said if one not in kept] == []
