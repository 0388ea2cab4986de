"""A fork is a process as the command is: status, signals, environment, and it ends with who asked for it."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.forks import Forks
from tests.support.service import ROOT

ASKER = """
import asyncio, sys
from pathlib import Path
from tests.support.forks import Forks

async def main():
    fork = await Forks().start(("migrate",), {"TOLLBELL_DATABASE_URL": sys.argv[1]}, Path.cwd(), None)
    print(fork.pid, Path(f"/proc/{fork.pid}/stat").read_text().split()[3], flush=True)
    await fork.wait()

asyncio.run(main())
"""


pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="forks need Linux' process descriptors")


@pytest.fixture
async def forks() -> AsyncIterator[Forks]:
    yield (made := Forks())
    await made.close()


async def test_it_says_what_the_command_says_and_ends_as_it_ends(forks: Forks, tmp_path: Path) -> None:
    good = await forks.start(("keygen",), {}, tmp_path, None)
    assert len((await good.stdout.read()).strip()) == 44
    assert await good.wait() == good.returncode == 0

    bad = await forks.start(("render", "none.yaml"), {}, tmp_path, None)
    assert b"none.yaml" in await bad.stderr.read()
    assert await bad.wait() == 2


async def test_forks_share_neither_environment_nor_random_numbers(forks: Forks) -> None:
    both = [await forks.start(("keygen",), {}, ROOT, None) for _ in range(2)]
    assert len({await fork.stdout.read() for fork in both}) == 2

    wrong = [await forks.start(("run",), {"TOLLBELL_DATABASE_URL": url}, ROOT, None) for url in ("here", "there")]
    for fork in wrong:
        assert b"TOLLBELL_DATABASE_URL" in await fork.stderr.read()
        assert await fork.wait() == 2


@pytest.fixture
def silent() -> Iterator[str]:
    """A Postgres that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql://tollbell:none@127.0.0.1:{listening.getsockname()[1]}/none"


async def test_a_signal_ends_it(forks: Forks, silent: str) -> None:
    waits = await forks.start(("migrate",), {"TOLLBELL_DATABASE_URL": silent}, ROOT, None)
    waits.kill()
    assert await waits.wait() == waits.returncode == -signal.SIGKILL
    waits.kill()  # it is gone already, and no other process of this number is hit


def test_a_fork_ends_when_its_caller_is_killed(silent: str) -> None:
    with subprocess.Popen([sys.executable, "-c", ASKER, silent], cwd=ROOT, stdout=subprocess.PIPE, text=True) as asker:
        assert asker.stdout is not None
        fork, supervisor = (int(pid) for pid in asker.stdout.readline().split())
        forking = int(Path(f"/proc/{supervisor}/stat").read_text().split()[3])
        ending = [os.pidfd_open(pid) for pid in (fork, forking)]
        asker.kill()
    for one in ending:
        gone, _, _ = select.select([one], [], [], 30)
        os.close(one)
        assert gone
