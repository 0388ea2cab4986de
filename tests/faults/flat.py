"""Memory and descriptors of the sender under odd answers: `python -m tests.faults.flat COUNT` says both, by tenths.

Receivers of a process of its own answer each request with another of `tests.support.answers`, cut anywhere, and then
keep the connection open, close or reset it; over TLS every second one.
"""

import asyncio
import datetime as dt
import gc
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
from msgspec.structs import replace

from consumer import clock
from consumer.deliver.webhook import Webhook
from tests.support.answers import ANSWERS
from tests.support.fakes import RawReceiver, read_request
from tests.support.service import ROOT
from tests.support.webhooks import LOOPBACK, Authority, make_request

IN_FLIGHT = 100
TENTHS = 10
SAID = [one.said for one in ANSWERS.values()]


async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer, oddly; the connection lives on, or not."""
    while True:
        await read_request(reader)
        said = random.choice(SAID)
        at = random.randrange(len(said) + 1)
        writer.write(said[:at])
        await writer.drain()
        await clock.sleep(0)
        writer.write(said[at:])
        await writer.drain()
        match random.randrange(4):
            case 0:
                return
            case 1:
                writer.transport.abort()
                return
            case _:
                pass


async def receive(directory: Path) -> None:
    authority = Authority(directory)
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(RawReceiver(odd))
        secured = await stack.enter_async_context(RawReceiver(odd, tls=authority.server()))
        sys.stdout.write(f"{plain.url()} {secured.url(scheme='https')}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def receivers(directory: Path) -> AsyncIterator[list[str]]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__ if __name__ != "__main__" else "tests.faults.flat", "receive", str(directory),
        cwd=ROOT, stdin=pipe, stdout=pipe,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().split()
    finally:
        process.stdin.close()
        await process.wait()


async def sent(count: int) -> None:
    """Send *count* webhooks; say MiB of this process and its descriptors after each tenth, and what came of them."""
    itself = psutil.Process()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        async with receivers(Path(directory)) as urls:
            made = Webhook(dt.timedelta(seconds=5), allowed=LOOPBACK, ca_file=Path(directory, "ca.pem"))
            async with made as webhook:
                requests = [make_request(url) for url in urls]
                for _ in range(TENTHS):
                    numbers = iter(range(count // TENTHS))

                    async def worker() -> None:
                        for n in numbers:  # noqa: B023 - it ends before the next tenth
                            request = requests[n % len(requests)]
                            outcome = await webhook.send(replace(request, channel_id=f"c{n % 2}"))
                            outcomes[outcome.kind] += 1

                    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
                    gc.collect()
                    mebibytes = itself.memory_info().rss / 2**20
                    sys.stdout.write(f"{outcomes.total()}: {mebibytes:.1f} MiB, {itself.num_fds()} descriptors\n")
                    sys.stdout.flush()
    sys.stdout.write(f"{dict(outcomes)}\n")


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        asyncio.run(receive(Path(sys.argv[2])))
    else:
        asyncio.run(sent(int(sys.argv[1])))
