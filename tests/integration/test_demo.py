"""`tollbell demo` tells its story to the end, on a real Kafka and on the mock broker, and leaves nothing behind."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from consumer.servers.contracts import Broker
from tests.service import ROOT, Deployment, Finished

WIDTH = 100


def check_as_told(done: Finished) -> None:
    assert done.status == 0, done.out + done.err
    assert done.err == ""
    assert "All as told." in done.out
    summary = dict(re.findall(r"^   (records|events|deliveries|retries|dead letters) +(\d+)", done.out, re.MULTILINE))
    assert summary == {"records": "25", "events": "18", "deliveries": "18", "retries": "1", "dead letters": "1"}
    assert re.search(r"cut off +hooli\n +access back +acme, globex, initech\n", done.out)
    assert re.search(r"first webhook +\d+\.\d s after the start", done.out)
    assert "\x1b" not in done.out  # no colours where nobody sees them


@pytest.mark.real_kafka
async def test_the_demo_ends_as_told_on_given_servers_and_may_be_repeated_there(
    kafka: Broker, database: str, tmp_path: Path
) -> None:
    given = ["--kafka", kafka.bootstrap, "--postgres", database]

    first = await Deployment({}, tmp_path).tollbell("demo", *given)
    second = await Deployment({}, tmp_path).tollbell("demo", *given)

    check_as_told(first)
    check_as_told(second)
    assert [line for line in first.out.splitlines() if len(line) > WIDTH] == []


async def test_the_demo_ends_as_told_on_the_mock_broker_and_says_that_it_is_one(tmp_path: Path) -> None:
    nowhere = str(tmp_path)  # no Java, no Maven, no system PostgreSQL

    done = await Deployment({}, tmp_path).tollbell("demo", PATH=nowhere)

    check_as_told(done)
    assert "librdkafka's mock broker (not Apache Kafka)" in done.out


@pytest.mark.real_kafka
async def test_kept_running_it_ends_at_ctrl_c_and_leaves_nothing(kafka: Broker, database: str) -> None:
    process = await start_demo("--keep", "--kafka", kafka.bootstrap, "--postgres", database)
    shown = await read_until(process, "produce it by")
    [service] = re.findall(r"process (\d+)", shown)
    [record] = re.findall(r"the record +(\S+)", shown)
    assert exists(record)

    process.send_signal(signal.SIGINT)

    assert await end(process) == 0
    assert not exists(record)
    assert not is_running(int(service))


async def test_stopped_in_the_middle_it_leaves_nothing(tmp_path: Path) -> None:
    process = await start_demo(PATH=str(tmp_path))
    shown = await read_until(process, "record    ")
    [service] = re.findall(r"process (\d+)", shown)

    process.send_signal(signal.SIGTERM)

    assert await end(process) == 1
    assert not is_running(int(service))


async def start_demo(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "consumer", "demo", *arguments),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def read_until(process: asyncio.subprocess.Process, text: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readuntil(text.encode())).decode()


async def end(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(30):
        await process.communicate()
    return process.returncode or 0


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def exists(path: str) -> bool:
    return Path(path).exists()
