"""The command line, without running anything."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from consumer.cli import COMMANDS, tollbell


def test_the_help_names_every_command() -> None:
    shown = CliRunner().invoke(tollbell, ["--help"])

    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.output.partition("Commands:\n")[2].splitlines()] == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_found_by_its_name(name: str) -> None:
    found = tollbell.get_command(click.Context(tollbell), name)

    assert found is not None
    assert found.name == name


def test_what_is_no_command_is_refused() -> None:
    assert CliRunner().invoke(tollbell, ["nope"]).exit_code == 2


def test_a_command_imports_nothing_that_only_run_needs() -> None:
    shown = "import sys; from consumer.cli import COMMANDS, tollbell; tollbell(['keygen'], standalone_mode=False)"
    ended = subprocess.run(
        [sys.executable, "-c", f"{shown}; print('aiokafka' in sys.modules)"], capture_output=True, text=True, check=True
    )

    assert ended.stdout.splitlines()[1] == "False"
