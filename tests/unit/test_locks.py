"""What `make lock` wrote is whole, and of one mind: pins with hashes of public files, for every extra."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
LOCKS = {
    "deploy/requirements.txt": PROJECT["project"]["dependencies"],
    "deploy/requirements-build.txt": PROJECT["build-system"]["requires"],
    "deploy/requirements-demo.txt": EXTRAS["demo"],
    "tests/requirements.txt": EXTRAS["test"],
    "tests/requirements-soak.txt": EXTRAS["soak"],
}
# `name==version`, maybe a marker, then its hashes. Nothing else: no index, no option, no path of the machine it ran on.
PIN = re.compile(
    r"^([a-z0-9-]+)==([a-z0-9.]+)( ; [^\\\n]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def pins(lock: str) -> dict[str, set[str]]:
    """Return name → versions; more than one where Pythons differ."""
    found: dict[str, set[str]] = {}
    for pin in PIN.finditer((ROOT / lock).read_text(encoding="utf-8")):
        found.setdefault(pin[1], set()).add(pin[2] + (pin[3] or ""))
    return found


def names(requirements: list[str]) -> set[str]:
    found = {re.split(r"[^A-Za-z0-9_.-]", one)[0].lower().replace("_", "-") for one in requirements}
    return found - {"tollbell"}  # its own extras


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_pins_with_hashes_and_nothing_else(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")

    rest = PIN.sub("", text)

    assert [line for line in rest.splitlines() if not re.fullmatch(r" *#.*", line)] == []
    assert re.findall(r"(?<![a-z])/[a-z]+/", text) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_all_that_the_project_asks_for(lock: str) -> None:
    assert names(LOCKS[lock]) <= pins(lock).keys()


def test_what_is_tested_is_what_is_deployed() -> None:
    image, demo, tests, soak = (
        pins(f"{lock}.txt")
        for lock in ("deploy/requirements", "deploy/requirements-demo", "tests/requirements", "tests/requirements-soak")
    )

    assert image.items() <= demo.items() <= tests.items() <= soak.items()
    assert {name: pinned for name, pinned in pins("deploy/requirements-build.txt").items() if name in soak} == {
        name: pinned for name, pinned in soak.items() if name in pins("deploy/requirements-build.txt")
    }
