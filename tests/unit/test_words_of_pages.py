"""The pages are plain English: words that an engineer of the field would not say are in none of them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = (
    "nobody",
    "somebody",
    "whoever",
    "whom",
    "anew",
    "heed",
    "tell",
    "tells",
    "told",
    "rings",
    "rang",
    "stands for",
)
WORDS_OF_PAGES = re.compile(rf"\b({'|'.join(WORDS)})\b", re.IGNORECASE)
PAGES = [
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")),
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "deploy/README.md", "schemas/README.md"),
]


def prose(text: str) -> str:
    """Return *text* without its code, in blocks and in lines."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_none_of_the_words(page: str) -> None:
    lines = prose((ROOT / page).read_text(encoding="utf-8")).splitlines()

    assert [line for line in lines if WORDS_OF_PAGES.search(line)] == []


def test_code_may_have_them() -> None:
    found = prose("`nobody` runs it\n```sh\ntell whoever\n```\nNobody does")

    assert WORDS_OF_PAGES.findall(found) == ["Nobody"]
