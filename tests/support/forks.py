"""Commands of `tollbell` in forks of one process that has imported it already.

Its imports take 0.8 s of a processor, and the tests start hundreds of commands. A fork is the same code from `main` on,
in a process of its own with the environment, directory and standard files that it is given: what a kill, a signal or an
exit does to it is what it does to `tollbell`. Started for itself, as users do, it is in test_cli.py, test_demo.py, the
fault cases and the soak.

`python -m tests.support.forks FD` is that process: it takes requests on the listening socket of that number, and ends
when its standard input does. A fork whose asker is gone is killed: a pytest that was killed leaves nothing running.
"""

import asyncio
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

LONGEST = 2**20  # bytes of a request: arguments and an environment
STANDARD = 3  # input, output, error


class Command(Protocol):
    """What of asyncio.subprocess.Process the tests use."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stderr(self) -> asyncio.StreamReader | None: ...
    async def wait(self) -> int: ...
    def kill(self) -> None: ...
    def terminate(self) -> None: ...
    def send_signal(self, signal: int, /) -> None: ...


class Forked:
    """A command in a fork; its *supervisor* reports its status when it has ended."""

    def __init__(self, pid: int, supervisor: "_Supervisor", out: "_Pipe", err: "_Pipe") -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout, self.stderr = out.reader, err.reader
        self._closed = (supervisor.writer, out.transport, err.transport)
        self._ending = asyncio.create_task(self._end(supervisor.reader), name=f"fork-{pid}")

    async def _end(self, supervisor: asyncio.StreamReader) -> int:
        self.returncode = status = int(await supervisor.readline())
        return status

    async def close(self) -> None:
        """Kill it where it runs, and let go of what it is read from."""
        self.kill()
        await self.wait()
        for one in self._closed:
            one.close()

    async def wait(self) -> int:
        """Return its status once it has ended; below 0: the signal that ended it."""
        return await asyncio.shield(self._ending)

    def send_signal(self, signal: int, /) -> None:
        """Send *signal*; nothing where it has ended."""
        if self.returncode is None:
            try:
                os.kill(self.pid, signal)
            except ProcessLookupError:  # it has ended just now
                return

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


class Forks:
    """The process that forks: started at the first command, ended by `close`."""

    def __init__(self) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._directory = tempfile.TemporaryDirectory()
        self._path = f"{self._directory.name}/forks"
        self._listening.bind(self._path)
        self._listening.listen()
        self._process: subprocess.Popen[bytes] | None = None
        self._made: list[Forked] = []

    async def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path, given: str | None
    ) -> Forked:
        """Run `tollbell` with *arguments*; *given* is its standard input."""
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns once the fork is made
                [sys.executable, "-m", "tests.support.forks", str(self._listening.fileno())],
                stdin=subprocess.PIPE,  # nothing is written: it ends with this process, however that ends
                pass_fds=[self._listening.fileno()],
                cwd=directory,
            )
        request = {"arguments": arguments, "environment": environment, "directory": str(directory)}
        out, err = await _pipe(), await _pipe()
        asked = socket.socket(socket.AF_UNIX)
        with tempfile.TemporaryFile() as its_in:
            its_in.write((given or "").encode())
            its_in.seek(0)
            asked.connect(self._path)
            text = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(asked, [text], [its_in.fileno(), out.its_end, err.its_end])
            asked.sendall(text[sent:])
        os.close(out.its_end)
        os.close(err.its_end)
        supervisor = _Supervisor(*await asyncio.open_connection(sock=asked))
        self._made.append(fork := Forked(int(await supervisor.reader.readline()), supervisor, out, err))
        return fork

    async def close(self) -> None:
        """End it, and what it has forked."""
        for fork in self._made:
            await fork.close()
        if self._process is not None:
            self._process.communicate()  # closes its input
        self._listening.close()
        self._directory.cleanup()


class _Supervisor(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _Pipe(NamedTuple):
    reader: asyncio.StreamReader
    transport: asyncio.ReadTransport
    its_end: int  # the descriptor that the command writes to


async def _pipe() -> _Pipe:
    reads, writes = os.pipe()
    reader = asyncio.StreamReader(limit=2**24)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(reads, "rb"))
    return _Pipe(reader, transport, writes)


def _serve(listening: socket.socket) -> dict[str, Any]:
    """Fork for each request; returns in the fork that is to be the command, with its request."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # each supervisor reports how its command ended: none is waited for
    while True:
        readable, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in readable:
            os._exit(0)
        asked, _ = listening.accept()
        if not os.fork():
            listening.close()
            return _supervise(asked)
        asked.close()


def _supervise(asked: socket.socket) -> dict[str, Any]:
    """Fork the command, report its pid and then its status; kill it once the asker is gone."""
    text, files, _, _ = socket.recv_fds(asked, LONGEST, STANDARD)
    while not text.endswith(b"\n"):
        text += asked.recv(LONGEST)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if not (pid := os.fork()):
        asked.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        request: dict[str, Any] = json.loads(text)
        return request
    os.closerange(0, STANDARD)
    for file in files:
        os.close(file)
    _report(asked, pid)
    ended = os.pidfd_open(pid)
    readable, _, _ = select.select([asked, ended], [], [])
    if asked in readable:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    _report(asked, os.waitstatus_to_exitcode(status))
    os._exit(0)


def _report(asked: socket.socket, number: int) -> None:
    try:
        asked.sendall(b"%d\n" % number)
    except BrokenPipeError:
        return  # the asker is gone


def _main() -> NoReturn:
    command = import_module("consumer.cli").main
    for name in ("run", "apply", "check", "migrate"):
        import_module(f"consumer.commands.{name}")
    import_module("consumer.app")
    gc.freeze()
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[1:] = request["arguments"]
    command()
    sys.exit(0)


if __name__ == "__main__":
    _main()
