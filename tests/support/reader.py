"""A reader with an empty home who follows a page: writes its files, runs its commands, sees what it says is printed.

An HTML comment before a block, which no reader sees, says why it is not run here: `<!-- not run: needs Docker -->`.
A file is named in the paragraph before its block; of several blocks of commands, all are of one shell. A `text` block
is what has to be printed. "Wait for `this`." is waited for, after the block.

Two things are not as a reader has them. Packages come from the environment that runs the tests, so pip finds them
installed: that an index has them is not proven here, but by `make .venv/.test`, which installs them for these tests.
And Kafka's own scripts are stand-ins (`_STAND_IN`) which take the same options.
"""

import asyncio
import contextlib
import os
import re
import shutil
import sys
import sysconfig
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 150  # of a page as a whole; a busy machine takes a minute for what takes 20 s alone
SIGHT_SECONDS = 90  # of one thing that must be printed
_FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->\s*\Z")
_WAIT = re.compile(r"[Ww]ait\s+for\s+`([^`]+)`")
_FILE = re.compile(r"`([\w-]+\.(?:yaml|py|json))`")
_FILES = ("yaml", "python", "json")
_STAND_IN = f"""\
#!{sys.executable}
import argparse, asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
from aiokafka import AIOKafkaProducer
from consumer.demo.servers.given import kafka
from consumer.demo.servers.topics import create_topics

options = argparse.ArgumentParser()
options.add_argument("--bootstrap-server", required=True)
options.add_argument("--topic", required=True)
options.add_argument("--create", action="store_true")
options.add_argument("--partitions", type=int)
given = options.parse_args()


async def main():
    if given.create:
        await create_topics(kafka(given.bootstrap_server), {{given.topic: given.partitions}})
        return
    async with AIOKafkaProducer(bootstrap_servers=given.bootstrap_server) as producer:
        for line in sys.stdin.buffer.read().splitlines():
            await producer.send_and_wait(given.topic, line)


asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a page, with the words before it."""

    language: str
    text: str
    before: str

    @property
    def not_run(self) -> str:
        """Why it is not run here; empty where it is."""
        found = _NOT_RUN.search(self.before)
        return found[1] if found else ""

    @property
    def file(self) -> str:
        """The file that a reader writes it to; empty where it has none."""
        named = _FILE.findall(self.before.strip().rpartition("\n\n")[2])
        return named[-1] if named and self.language in _FILES else ""

    @property
    def awaited(self) -> str:
        """What a reader waits to see once it runs."""
        found = _WAIT.search(self.before)
        return found[1] if found else ""


def blocks(page: str) -> list[Block]:
    """Return the blocks of *page*, a path in the tree, each with the text since the one before it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found, end = [], 0
    for fence in _FENCE.finditer(text):
        found.append(Block(fence["language"], fence["text"], text[end : fence.start()]))
        end = fence.end()
    return found


def clone(to: Path) -> Path:
    """Copy the tree as a clone has it, without what is made in it."""
    made = shutil.ignore_patterns(".?*", "__pycache__", "*.egg-info")
    return shutil.copytree(ROOT, to, ignore=made)


def bare_path(directory: Path, *programs: str) -> str:
    """Return a PATH with `python3` and *programs* alone: those links are made in *directory*."""
    directory.mkdir()
    for name, program in {"python3": _python(), **{each: shutil.which(each) for each in programs}}.items():
        assert program, name
        (directory / name).symlink_to(program)
    return str(directory)


def _python() -> str:
    """Return the Python that the tests' environment is of: what is installed there is built for no other."""
    base: str = getattr(sys, "_base_executable", sys.executable)
    return base


def kafka_scripts(directory: Path) -> str:
    """Return a PATH that has stand-ins of Kafka's own scripts, made in *directory*, and our Python before all else."""
    (directory / "python3").symlink_to(_python())
    for name in ("kafka-topics.sh", "kafka-console-producer.sh"):
        script = directory / name
        script.write_text(_STAND_IN, encoding="utf-8")
        script.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


def environment(home: Path, path: str) -> dict[str, str]:
    """Return what a reader's shell begins with: an empty home, a path, and where pip finds packages installed."""
    home.mkdir()
    of_the_machine = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {
        **of_the_machine,  # where a CI's Python has its libraries, and everyone their scratch
        "HOME": str(home),
        "PATH": path,
        "LANG": "C.UTF-8",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say: without; the tools that build are installed as well
        "TOLLBELL_HTTP_LISTEN": "127.0.0.1:0",  # tests run beside each other
    }


class Shell:
    """A shell that is given a block at a time, as if it were pasted."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path, moved: Mapping[str, str]) -> None:
        self._process = process
        self._directory = directory
        self._moved = moved
        self.printed = ""
        self._grew = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(), name="reader-shell")
        self._ending = asyncio.create_task(self._wait(), name="reader-shell-end")

    async def follow(self, block: Block) -> None:
        """Do what a reader does with *block*."""
        text = self._here(block.text)
        if block.not_run or block.language in {"mermaid", ""}:
            return
        if block.file:
            (self._directory / block.file).write_text(text, encoding="utf-8")
        elif block.language == "sh":
            await self._run(text)
        elif block.language == "text":
            for line in text.splitlines():
                await self.sees(line)
        else:
            raise AssertionError(f"a reader does not know what to do with {block}")
        if block.awaited:
            await self.sees(block.awaited)

    async def sees(self, text: str) -> None:
        """Return once *text* was printed; fail with all that was if it does not come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SIGHT_SECONDS), self._grew:
                await self._grew.wait_for(lambda: text in self.printed or self._ending.done())
        assert text in self.printed, f"not printed: {text}\n{self.printed}"

    async def end(self) -> int:
        """Close the shell, wait for what it started, and return its status."""
        await self._write("wait\n")
        assert self._process.stdin
        self._process.stdin.close()
        status = await self._process.wait()
        await self._reading
        return status

    async def _run(self, commands: str) -> None:
        mark = uuid.uuid4().hex
        await self._write(f"{commands}\necho {mark} $?\n")
        await self.sees(mark)
        assert re.search(rf"{mark} 0$", self.printed, re.MULTILINE), f"failed: {commands}\n{self.printed}"

    async def _write(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text.encode())
        await self._process.stdin.drain()

    async def _read(self) -> None:
        assert self._process.stdout
        while chunk := await self._process.stdout.read(65_536):
            async with self._grew:
                self.printed += chunk.decode(errors="replace")
                self._grew.notify_all()

    async def _wait(self) -> None:
        """Wait for the shell's end: a command that fails ends it, though what it started may go on printing."""
        await self._process.wait()
        await asyncio.wait([self._reading], timeout=1)  # what it printed last is on its way
        async with self._grew:
            self._grew.notify_all()

    def _here(self, text: str) -> str:
        for there, here in self._moved.items():
            text = text.replace(there, here)
        return text


@contextlib.asynccontextmanager
async def shell(
    directory: Path, env: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> AsyncIterator[Shell]:
    """Open a shell in *directory*; addresses of a page are *moved* to where they are here. It ends within a limit."""
    bash = shutil.which("bash")
    assert bash
    process = await asyncio.create_subprocess_exec(
        *(bash, "--noprofile", "--norc", "-e", "-s"),
        cwd=directory,
        env=dict(env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # what it leaves running ends with it
    )
    made = Shell(process, directory, moved or {})
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()
        await made._reading  # noqa: SLF001 - its own
