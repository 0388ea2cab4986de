"""The README and the quick start, followed by their blocks alone, in a clean clone with an empty home."""

import os
import re
import sys
from pathlib import Path

import asyncpg
import pytest

from consumer.demo.servers import network
from consumer.demo.servers.contracts import Broker
from tests.conftest import MakeDeployment
from tests.pictures import svg
from tests.pictures.__main__ import PICTURE
from tests.support import reader
from tests.support.demo import check_ended_as_expected

FOLLOWED = {"README.md", "docs/quickstart.md", "docs/api.md"}
PAGES = sorted(str(path.relative_to(reader.ROOT)) for each in ("*.md", "docs/*.md") for path in reader.ROOT.glob(each))


@pytest.mark.parametrize("page", PAGES)
def test_a_block_of_commands_is_run_or_says_why_it_is_not(page: str) -> None:
    commands = [block for block in reader.blocks(page) if block.language == "sh"]
    run = [block for block in commands if not block.not_run]

    assert bool(run) == (page in FOLLOWED)
    assert all(len(block.not_run) > 10 for block in commands if block.not_run)


async def test_the_readme_plays_the_demo_with_only_python_and_make(tmp_path: Path) -> None:
    clone = reader.clone(tmp_path / "tollbell")
    path = reader.bare_path(tmp_path / "bin", "make", "sh", "find", "touch", "expand", "sed", "grep")
    env = reader.environment(tmp_path / "home", path)

    async with reader.shell(clone, env) as shell:
        for block in reader.blocks("README.md"):
            await shell.follow(block)
        status = await shell.end()

    assert status == 0
    check_ended_as_expected(shell.printed)
    printed = shell.printed[shell.printed.index("1. ") : shell.printed.index("   first webhook")]
    assert pictured([line for line in printed.splitlines() if line.strip()]) == pictured(
        [line for scene in svg.read(PICTURE.read_text(encoding="utf-8"))[1:] for line in scene]
    ), "the demo prints something else than its picture shows: `make pictures` draws it again"
    assert "librdkafka's mock broker (not Apache Kafka)" in shell.printed  # no Java, no Maven, no Docker on the path
    assert "librdkafka's mock broker" in (reader.ROOT / "README.md").read_text(encoding="utf-8").partition("![The")[0]
    assert "Sample customer has reached 80 % of Sample feature" in shell.printed  # the message that Slack would get


def pictured(lines: list[str]) -> list[str]:
    """Return *lines* without numbers and room: webhooks of one record come in any order, in any time."""
    masked = ["".join(re.sub(r"[\d.]+", "0", line).split()) for line in lines]
    return sorted(line for line in masked if not re.match(r"clock|record→|first|thewhole", line))


@pytest.mark.real_kafka
async def test_the_quick_start_leads_to_a_webhook(kafka: Broker, database: str, tmp_path: Path) -> None:
    clone, blocks = reader.clone(tmp_path / "tollbell"), reader.blocks("docs/quickstart.md")
    here = {
        "localhost:9092": kafka.bootstrap,
        "postgresql://postgres:only-here@localhost:5432/postgres": database,
        "9000": str(network.free_ports(1)[0]),
    }
    for there in here:
        assert any(there in block.text for block in blocks if not block.not_run), there
    (tmp_path / "bin").mkdir()
    env = reader.environment(tmp_path / "home", reader.kafka_scripts(tmp_path / "bin"))

    async with reader.shell(clone, env, here) as shell:
        for block in blocks:
            await shell.follow(block)
        status = await shell.end()

    assert status == 0
    assert shell.printed.count("'value': 80}") == 1  # the same record again makes nothing
    assert shell.printed.count("'value': 100}") == 1
    assert '"event":"app.stopped"' in shell.printed
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT level FROM entitlement") == 100  # the console shows what was just fired
    await connection.close()


@pytest.mark.real_kafka
async def test_the_api_answers_as_its_page_says(deploy: MakeDeployment, tmp_path: Path) -> None:
    deployment, port = await deploy(), network.free_ports(1)[0]
    here = {"localhost:8080": f"127.0.0.1:{port}"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = reader.environment(tmp_path / "home", path) | deployment.environment
    env["TOLLBELL_HTTP_LISTEN"] = f"127.0.0.1:{port}"

    async with reader.shell(tmp_path, env, here) as shell:
        for block in reader.blocks("docs/api.md"):
            await shell.follow(block)


async def test_the_statements_of_the_pages_run_on_the_schema_as_it_is(migrated: str) -> None:
    statements = [block.text for page in PAGES for block in reader.blocks(page) if block.language == "sql"]
    connection = await asyncpg.connect(migrated)

    for statement in statements:
        await connection.fetch(statement)

    assert statements
    await connection.close()
