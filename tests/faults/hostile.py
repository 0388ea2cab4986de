"""Hostile receivers of each kind, in a process of their own: what they write for ever must not slow who measures.

`python -m tests.faults.hostile DIRECTORY` writes `ca.pem` there, says the URLs as JSON, by kind, and serves until its
input ends.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

from tests.faults.kinds import EVERY_STATUS, KINDS, Kind, Trust
from tests.support.fakes import RawReceiver
from tests.support.service import ROOT
from tests.support.webhooks import Authority

AUTHORITY = "ca.pem"
EVERY = "every status"
INSIDE = "http://10.0.0.1/hook"


@contextlib.asynccontextmanager
async def receivers(directory: Path) -> AsyncIterator[dict[str, str]]:
    """Start them; give their URLs by kind, and leave the authority that they should be of in *directory*."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(directory)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


class Hosts:
    """Makes what the kinds need; ended with *stack*."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        (directory / "other").mkdir()
        self._trusted = Authority(directory)
        self._other = Authority(directory / "other")
        self._stack = stack

    async def url(self, kind: Kind) -> str:
        match kind.place:
            case "inside":
                return INSIDE
            case "closed" | "full":
                return f"http://127.0.0.1:{self._taken(accepts=kind.place == 'full')}/hook"
            case "port":
                receiver = RawReceiver(kind.handler, tls=self._tls(kind.trust))
                return (await self._stack.enter_async_context(receiver)).url(scheme=kind.scheme)

    def _taken(self, *, accepts: bool) -> int:
        """Return a port where nothing listens, or one whose queue is full and stays so."""
        listening = self._stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        if accepts:
            listening.listen(0)
            for _ in range(2):
                waiting = self._stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listening.getsockname())
        return int(listening.getsockname()[1])

    def _tls(self, trust: Trust) -> ssl.SSLContext | None:
        match trust:
            case "" | "none":
                return None
            case "expired":
                return self._trusted.server(days=-1)
            case "of another name":
                return self._trusted.server(address="192.0.2.1")
            case "of another authority":
                return self._other.server()


async def main() -> None:
    async with AsyncExitStack() as stack:
        hosts = Hosts(Path(sys.argv[1]), stack)
        urls = {name: await hosts.url(kind) for name, kind in {**KINDS, EVERY: EVERY_STATUS}.items()}
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
