"""The oracle is worth something: short enough to be read against the contract, and independent of the judgement."""

import ast
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_the_oracle_has_at_most_200_lines() -> None:
    assert len((HERE / "oracle.py").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("module", ["oracle", "words"])
def test_the_oracle_imports_nothing_of_the_project(module: str) -> None:
    tree = ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8"))

    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}

    assert {name for name in imported if str(name).split(".")[0] not in sys.stdlib_module_names} <= {
        "tests.property.words"
    }
