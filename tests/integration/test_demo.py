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
    assert summary == {"records": "14", "events": "7", "deliveries": "7", "retries": "1", "dead letters": "1"}
    assert re.search(r"first webhook +\d+\.\d s after the start", done.out)
    assert "\x1b" not in done.out  # no colours where nobody sees them


@pytest.mark.real_kafka
async def test_the_demo_ends_as_told_on_given_servers(kafka: Broker, database: str, tmp_path: Path) -> None:
    done = await Deployment({}, tmp_path).tollbell("demo", "--kafka", kafka.bootstrap, "--postgres", database)

    check_as_told(done)
    assert [line for line in done.out.splitlines() if len(line) > WIDTH] == []


@pytest.mark.real_kafka
async def test_the_demo_can_be_shown_again_on_the_same_servers(kafka: Broker, database: str, tmp_path: Path) -> None:
    first, second = [
        await Deployment({}, tmp_path).tollbell("demo", "--kafka", kafka.bootstrap, "--postgres", database)
        for _ in range(2)
    ]

    check_as_told(first)
    check_as_told(second)


async def test_the_demo_ends_as_told_on_the_mock_broker_and_says_that_it_is_one(tmp_path: Path) -> None:
    nowhere = str(tmp_path)  # no Java, no Maven, no system PostgreSQL

    done = await Deployment({}, tmp_path).tollbell("demo", PATH=nowhere)

    check_as_told(done)
    assert "librdkafka's mock broker (not Apache Kafka)" in done.out


@pytest.mark.real_kafka
async def test_kept_running_it_ends_at_ctrl_c_and_leaves_nothing(kafka: Broker, database: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "consumer", "demo", "--keep", "--kafka", kafka.bootstrap, "--postgres", database),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    shown = (await process.stdout.readuntil(b"produce it by")).decode()
    service, record = re.search(r"process (\d+)", shown), re.search(r"the record +(\S+)", shown)
    assert service
    assert record
    assert Path(record[1]).exists()

    process.send_signal(signal.SIGINT)
    rest = (await process.stdout.read()).decode()

    assert await process.wait() == 0, rest
    assert not Path(record[1]).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(service[1]), 0)


async def test_stopped_in_the_middle_it_leaves_nothing(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "consumer", "demo"),
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path), "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    shown = (await process.stdout.readuntil(b"record ")).decode()
    service = re.search(r"process (\d+)", shown)
    assert service

    process.send_signal(signal.SIGTERM)
    rest = (await process.stdout.read()).decode()

    assert await process.wait() == 1
    assert rest.endswith("Stopped.\n")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(service[1]), 0)
