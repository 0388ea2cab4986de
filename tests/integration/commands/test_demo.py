"""`tollbell demo` plays its story to the end on servers that it is given, and leaves nothing behind.

On servers of its own, and on the mock broker, it is played by a reader of the README: `test_pages_followed.py`.
"""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from consumer.demo.servers.contracts import Broker
from tests.support.console import Browser
from tests.support.demo import check_ended_as_expected
from tests.support.service import ROOT, Deployment

WIDTH = 100


@pytest.mark.real_kafka
async def test_the_demo_ends_as_expected_and_again_on_given_servers(
    kafka: Broker, database: str, tmp_path: Path
) -> None:
    given = ["--kafka", kafka.bootstrap, "--postgres", database]

    first = await Deployment({}, tmp_path).tollbell("demo", *given)
    second = await Deployment({}, tmp_path).tollbell("demo", *given)

    assert (first.status, first.err) == (0, "")
    check_ended_as_expected(first.out)
    assert (second.status, second.err) == (0, "")
    check_ended_as_expected(second.out)
    assert [line for line in first.out.splitlines() if len(line) > WIDTH] == []


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


@pytest.mark.real_kafka
async def test_kept_running_it_has_a_console_with_the_story_in_it(kafka: Broker, database: str) -> None:
    process = await start_demo("--keep", "--kafka", kafka.bootstrap, "--postgres", database)
    shown = await read_until(process, "\n   then ")
    [url] = re.findall(r"^   console +(http\S+)$", shown, re.MULTILINE)
    [token] = re.findall(r"^   sign in with +(\S+)$", shown, re.MULTILINE)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        browser = Browser(session, url.rstrip("/"))

        events = await browser.sign_in(token, "/events")
        channels = await browser.get("/channels")

    process.send_signal(signal.SIGINT)
    assert await end(process) == 0
    assert "18 events" in events.text
    assert "read only" not in events.text
    assert channels.all("a", href="/channels/new")


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
