"""Does a test notice? Each mutant is applied to a copy of the tree, and the tests that matter are run against it.

`make mutants`, or `python -m tests.mutants WORD` for those that have WORD in their file or text. Fails where one
survives without an argument, or is killed in spite of one.
"""

import ast
import concurrent.futures
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.faults.cases import CASES
from tests.mutants import (
    of_bounds,
    of_deliveries,
    of_entitlements,
    of_glances,
    of_guards,
    of_metrics,
    of_retention,
    of_rules,
    of_setups,
    of_the_rest,
    of_thresholds,
)
from tests.mutants.mutant import Mutant

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("consumer", "deploy", "schemas", "tests")  # folders: a mutant is of a file in one of them
MUTANTS: Final = [
    *of_thresholds.MUTANTS,
    *of_entitlements.MUTANTS,
    *of_glances.MUTANTS,
    *of_the_rest.MUTANTS,
    *of_guards.MUTANTS,
    *of_metrics.MUTANTS,
    *of_rules.MUTANTS,
    *of_retention.MUTANTS,
    *of_setups.MUTANTS,
    *of_bounds.MUTANTS,
    *of_deliveries.MUTANTS,
]
LONGEST_SECONDS: Final = 240  # for the tests of one mutant, which take 15: a mutant may make a loop endless
JOBS: Final = 2
_JUDGE: Final = (
    "unit/test_judge*.py",
    "unit/test_levels.py",
    "unit/test_entitle*.py",
    "unit/test_periods.py",
    "unit/test_on_create.py",
    "unit/test_ignored_again.py",
    "unit/test_invoices.py",
    "unit/test_payloads*.py",
    "property/test_judge*.py",
)
_VERDICT: Final = ("unit/test_verdict.py", "unit/test_retry_after.py")
_CONTRACTS: Final = (
    "unit/test_rule*.py",
    "unit/test_on_create.py",
    "unit/test_ignored_again.py",
    "unit/test_amounts.py",
    "unit/test_sources.py",
    "unit/test_levels.py",
    "unit/test_openmeter.py",
    "unit/test_parse.py",
    "unit/test_parse_binary.py",
    "unit/test_parse_invoices.py",
    "unit/test_parse_openmeter.py",
    "unit/test_parse_rejects.py",
)


def main(word: str) -> int:
    """Run the mutants that have *word*; return the exit status."""
    chosen = [mutant for mutant in MUTANTS if word in mutant.file + mutant.old + mutant.breaks]
    if not chosen:
        print(f"ARGS: no mutant has {word!r} in its file or text")
        return 2
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tollbell-mutants-") as scratch:
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for job in range(JOBS):
            trees.put(_copy(Path(scratch) / str(job)))
        if problem := _unmutated(trees):
            print(problem)
            return 1
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            wrong = sum(pool.map(lambda mutant: _is_wrong(mutant, trees), chosen))
    print(f"{len(chosen)} mutants, {wrong} wrong, {time.perf_counter() - started:.0f} s")
    return 1 if wrong else 0


def _copy(tree: Path) -> Path:
    for folder in COPIED:
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def _unmutated(trees: "queue.SimpleQueue[Path]") -> str:
    """Return why the results of a copy would mean nothing: it fails as it is, or it is not what the tests import."""
    tree = trees.get()
    where = subprocess.run(
        [sys.executable, "-c", "import consumer; print(consumer.__file__)"],
        cwd=tree,
        env=_environment(tree),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if not where.startswith(str(tree)):
        return f"the tests would import {where.strip()}, not the copy in {tree}"
    killer = _killer(tree, (*_JUDGE, *_VERDICT, *_CONTRACTS))
    trees.put(tree)
    return f"the tests fail without any mutant: {killer}" if killer else ""


def _is_wrong(mutant: Mutant, trees: "queue.SimpleQueue[Path]") -> bool:
    """Say what became of *mutant*; return whether that is not what it should be."""
    tree = trees.get()
    path = tree / mutant.file
    original = path.read_text(encoding="utf-8")
    try:
        if original.count(mutant.old) != 1:
            killer, wrong = "", "NOT FOUND ONCE"
        else:
            mutated = original.replace(mutant.old, mutant.new)
            if path.suffix == ".py":
                ast.parse(mutated)
            _write(path, mutated)
            killer = _failed_case(tree, mutant.by) if mutant.by in CASES else _killer(tree, _tests(mutant))
            wrong = "" if bool(killer) is not bool(mutant.survives) else "KILLED" if killer else "SURVIVED"
    finally:
        _write(path, original)
        trees.put(tree)
    fate = f"{wrong} " if wrong else "killed by " if killer else "survives: "
    print(f"{mutant.file}: {mutant.breaks}: {fate}{killer or mutant.survives or mutant.old}", flush=True)
    return bool(wrong)


def _write(path: Path, text: str) -> None:
    """Write *path* and forget it compiled: Python knows a file by second and size, and two mutants may share both."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


def _tests(mutant: Mutant) -> tuple[str, ...]:
    if mutant.by:
        return (mutant.by,)
    if mutant.file.startswith("schemas/"):
        return _CONTRACTS
    return _VERDICT if Path(mutant.file).stem in {"verdict", "outcome", "backoff", "retry_after"} else _JUDGE


def _killer(tree: Path, patterns: tuple[str, ...]) -> str:
    """Return which test of *patterns* fails in *tree*; empty where none does."""
    tests = [str(path.relative_to(tree)) for pattern in patterns for path in sorted((tree / "tests").glob(pattern))]
    # No conftest: it loads servers that these tests do not ask for. "ci": no deadline, and the same examples each time.
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    if not any(test.startswith("tests/integration/") for test in tests):
        command += ["--noconftest", "--hypothesis-profile=ci"]
    done = _done(tree, [*command, *dict.fromkeys(tests)])
    if done is None:
        return f"{LONGEST_SECONDS} s without an end"
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if found is not None:
        return found[1]
    if "PytestUnraisableExceptionWarning" in done.stderr:  # what the test left open ends pytest before it reports
        return "what was left open"
    raise RuntimeError(done.stdout + done.stderr)


def _failed_case(tree: Path, case: str) -> str:
    """Return the case of the fault tests, where it fails in *tree*; empty where it does not."""
    done = _done(tree, [sys.executable, "-m", "tests.faults", case], SEED="1", SEEDS="1")
    if done is not None and done.returncode and "1 wrong: " not in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)
    return "" if done is not None and done.returncode == 0 else f"tests.faults: {case}"


def _done(tree: Path, command: list[str], **environment: str) -> subprocess.CompletedProcess[str] | None:
    """Run *command* in *tree*; None where it does not end."""
    try:
        return subprocess.run(
            command,
            cwd=tree,
            env=_environment(tree) | environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def _environment(tree: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tree)}


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
