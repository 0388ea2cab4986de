"""The mutants are of the code as it is; `make mutants` runs the tests against each."""

import ast
from pathlib import Path

import pytest

from tests.faults.cases import CASES
from tests.mutants import __main__ as mutants
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.breaks)
def test_a_mutant_changes_one_place_of_the_code_as_it_is(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")

    assert text.count(mutant.old) == 1, "the code has changed: give the mutant its new text"
    mutated = text.replace(mutant.old, mutant.new)
    assert mutated != text
    if mutant.file.endswith(".py"):
        assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(text))


@pytest.mark.parametrize("by", sorted({mutant.by for mutant in mutants.MUTANTS} - {"", *CASES}))
def test_what_a_mutant_is_killed_by_is_there(by: str) -> None:
    """Of no file pytest would run everything, and whatever fails without servers would be the killer."""
    assert list((ROOT / "tests").glob(by)), f"tests/{by} is no file, nor is it a case of tests.faults"


def test_what_a_mutant_changes_is_copied() -> None:
    """Of a file that is not, the whole run ended with a traceback, two thirds of the way."""
    assert {Path(one.file).parts[0] for one in mutants.MUTANTS} <= set(mutants.COPIED)


def test_no_mutant_is_there_twice() -> None:
    assert len({(one.file, one.old, one.new) for one in mutants.MUTANTS}) == len(mutants.MUTANTS)


def test_most_are_of_the_judge_and_the_verdict() -> None:
    judging = [one for one in mutants.MUTANTS if one.file.startswith("consumer/decide/")]

    assert len(judging) >= 30
    assert {Path(one.file).stem for one in judging} >= {
        "entitlements",
        "balance_threshold",
        "entitlement_reset",
        "invoices",
        "invoice_updated",
        "levels",
        "crossing",
        "invoice_created",
        "invoice_change",
        "verdict",
        "backoff",
        "outcome",
        "retry_after",
    }
