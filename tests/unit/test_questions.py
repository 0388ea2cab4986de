"""The readers' questions: each is answered in two sentences, and its link leads to a section that is about it."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
_QUESTION = re.compile(r"^\*\*(.+?\?)\*\* (.+?)(?:\n\n|\Z)", re.DOTALL | re.MULTILINE)
QUESTIONS = [
    (question, " ".join(answer.split()))
    for question, answer in _QUESTION.findall((DOCS / "questions.md").read_text(encoding="utf-8"))
]
_LINK = re.compile(r"\[[^\]]+\]\(([\w.-]+)(?:#([\w-]+))?\)")


def section(page: str, anchor: str) -> str:
    """Return what is under the heading of *anchor* in *page*, down to the next one; all of it without an anchor."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if not anchor:
        return text
    parts = re.split(r"^(?=#+ )", text, flags=re.MULTILINE)
    return next(part for part in parts if slug(part.partition("\n")[0]) == anchor)


def slug(heading: str) -> str:
    """Return how GitHub names *heading*."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lstrip("# ").lower()).replace(" ", "-")


def stems(text: str) -> set[str]:
    """Return what the longer words of *text* begin with: `retries` and `retry` are one."""
    return {word[:5] for word in re.findall(r"[a-z_]{5,}", text.lower())}


def test_there_are_at_least_twenty() -> None:
    assert len(QUESTIONS) >= 20


@pytest.mark.parametrize(("question", "answer"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_a_question_is_answered_shortly_and_its_link_is_about_it(question: str, answer: str) -> None:
    links = _LINK.findall(answer)
    said = _LINK.sub("", answer)

    assert links
    assert len(said) <= 330
    about = stems(" ".join(section(page, anchor) for page, anchor in links))
    assert len(stems(f"{question} {said}") & about) >= 4
