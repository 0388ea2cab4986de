"""A flagd file as the backend: always whole, what an earlier life left counts, and no one is forgotten."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.enforcement.access import Place
from deploy.enforcement.flagd import FlagdFile
from deploy.enforcement.handler import BackendFailed
from tests.support.enforcement import ACME, SECRET
from tests.support.flagd import has_access

ROOT = Path(__file__).parents[2]
FLAGS = {"llm_tokens": "may-use-tokens", "storage": "may-store"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.json"


def answers(path: Path, customer: str) -> tuple[bool, bool]:
    document = json.loads(path.read_text())
    return has_access(document, "may-use-tokens", customer), has_access(document, "may-store", customer)


async def test_a_flag_is_false_for_who_is_cut_off_from_its_feature(path: Path) -> None:
    backend = FlagdFile(path, FLAGS)

    await backend.cut_off(ACME, None)
    await backend.cut_off(ACME, None)
    await backend.cut_off(Place("acme", "another"), None)
    assert answers(path, "acme") == (False, True)
    assert answers(path, "globex") == (True, True)

    await backend.give_back(ACME)
    await backend.give_back(ACME)
    assert answers(path, "acme") == (True, True)


async def test_an_earlier_runs_file_counts_until_the_state_is_known(path: Path) -> None:
    await FlagdFile(path, FLAGS).cut_off(ACME, None)
    backend = FlagdFile(path, FLAGS)

    await backend.cut_off(Place("globex", "storage"), None)
    assert (answers(path, "acme"), answers(path, "globex")) == ((False, True), (True, False))

    await backend.converge({Place("hooli", "llm_tokens"): None})
    assert [answers(path, name) for name in ("acme", "globex", "hooli")] == [(True, True), (True, True), (False, True)]


async def test_the_flags_are_there_before_anyone_is_cut_off(path: Path) -> None:
    await FlagdFile(path, FLAGS).give_back(ACME)

    assert answers(path, "acme") == (True, True)


async def test_the_file_is_replaced_and_never_written_into(path: Path) -> None:
    await FlagdFile(path, FLAGS).converge({})
    with path.open() as opened:
        await FlagdFile(path, FLAGS).cut_off(ACME, None)

        assert json.load(opened)["flags"]["may-use-tokens"]["targeting"]["if"][0]["in"][1] == []
    assert [one.name for one in path.parent.iterdir()] == ["access.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"flags": {"may-use-tokens": {}}}', '{"flags": 1}'])
def test_a_foreign_file_is_a_failure_until_the_state_is_known(path: Path, text: str) -> None:
    path.write_text(text)
    backend = FlagdFile(path, FLAGS)

    with pytest.raises(BackendFailed):
        asyncio.run(backend.cut_off(ACME, None))
    assert path.read_text() == text

    asyncio.run(backend.converge({ACME: None}))
    assert answers(path, "acme") == (False, True)


async def test_a_directory_that_is_not_there_is_a_failure(path: Path) -> None:
    with pytest.raises(BackendFailed, match="cannot be written"):
        await FlagdFile(path / "below", FLAGS).converge({})


SETTINGS = {
    "ENFORCEMENT_SECRETS": SECRET,
    "ENFORCEMENT_TOLLBELL_URL": "http://127.0.0.1:1",
    "ENFORCEMENT_RULES": "key:quota",
    "ENFORCEMENT_BACKEND": "flagd",
    "ENFORCEMENT_FEATURES": "llm_tokens=may-use-tokens",
    "ENFORCEMENT_FLAGD_FILE": "access.json",
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ENFORCEMENT_SECRETS": None}, "ENFORCEMENT_SECRETS is not set"),
        ({"ENFORCEMENT_SECRETS": "whsec_"}, "no signing secret is given"),
        ({"ENFORCEMENT_BACKEND": "nginx"}, "ENFORCEMENT_BACKEND=nginx: is none of flagd, kong-acl"),
        ({"ENFORCEMENT_BACKEND": "kong-acl"}, "ENFORCEMENT_KONG_URL is not set"),
        ({"ENFORCEMENT_FEATURES": "llm_tokens"}, "ENFORCEMENT_FEATURES: must be FEATURE=NAME"),
        ({"ENFORCEMENT_LISTEN": "nowhere"}, "ENFORCEMENT_LISTEN=nowhere: must be HOST:PORT"),
    ],
)
def test_a_wrong_setting_is_one_line(changed: dict[str, str | None], said: str) -> None:
    settings: dict[str, Any] = {name: value for name, value in (SETTINGS | changed).items() if value is not None}
    usual = {name: value for name, value in os.environ.items() if not name.startswith("ENFORCEMENT_")}

    done = subprocess.run(
        [sys.executable, "-m", "deploy.enforcement"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=usual | settings,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"enforcement: {said}"), done.stderr
    assert len(done.stderr.splitlines()) == 1
