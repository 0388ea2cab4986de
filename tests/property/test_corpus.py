"""What was bad once, or is odd: each line of tests/corpus is answered as it says, and soundly."""

from pathlib import Path

import pytest

from tests.support import fuzzed
from tests.support.fuzzed import Example


def why(example: Example) -> str:
    return example.why


@pytest.mark.parametrize("example", fuzzed.corpus("records"), ids=why)
def test_a_record_of_the_corpus(example: Example) -> None:
    problem = fuzzed.problem_of_record(example.value)

    assert fuzzed.faults_of_record(example.value) == []
    assert problem == example.says or str(example.says) in str(problem)


@pytest.mark.parametrize("example", fuzzed.corpus("rules"), ids=why)
def test_a_rules_file_of_the_corpus(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(example.value)

    problem = fuzzed.problem_of_rules(path)

    assert fuzzed.faults_of_rules(path) == []
    assert problem == example.says or str(example.says) in str(problem)
